//! Request heads (RFC 9112, sections 2, 3, 5, 6): complete or not, right or refused.
//!
//! Method: look for the empty line with strict CRLF line ends, then let httparse check every byte
//! of what lies before it, then give the framing headers their one meaning. An incomplete head is
//! checked as far as it goes, so that garbage is answered at once and not at the time-out.
//!
//! Invariant: never reads past [`HTTP_HEAD_BYTES_MAX`]; what is refused is refused for every way
//! in which the same bytes may arrive.
//!
//! Cost: two passes over the head, 2 KiB of stack, no allocation.

use super::{BodyLength, Headers, HttpError, headers, target};
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX};
use memchr::{memchr, memchr_iter};

/// One request without its body, borrowed from the receive buffer.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Method as sent; methods are case-sensitive.
    pub method: &'a str,
    /// Request target as sent.
    pub target: &'a str,
    /// Path of the target, still percent-encoded: `/a%20b`, or `*`.
    pub path: &'a str,
    /// What follows `?`, still percent-encoded.
    pub query: Option<&'a str>,
    /// Minor version of HTTP/1: 0 or 1.
    pub minor_version: u8,
    /// Header lines.
    pub headers: Headers<'a>,
    /// How the body is framed.
    pub body: BodyLength,
    /// Whether the connection may serve another request after this one (RFC 9112, 9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before its body (RFC 9110, 10.1.1).
    pub expect_continue: bool,
    /// Whether the head asks for WebSocket; [`crate::wire::ws::handshake::upgrade`] checks it.
    pub upgrade_websocket: bool,
}

/// Reads a request head from the start of `buffer`.
///
/// `Ok(None)`: more bytes are needed. `Ok(Some((head, used)))`: `used` bytes were the head; the
/// body or the next request follows. One empty line before the request is skipped (RFC 9112, 2.2).
///
/// # Errors
/// 400 for anything malformed or ambiguous, 417 for an unknown expectation, 431 for a head of more
/// than [`HTTP_HEAD_BYTES_MAX`] bytes or [`HTTP_HEADERS_MAX`] lines, 501 for a transfer coding
/// other than `chunked`, 505 for a version other than 1.0 and 1.1.
pub fn parse_head(buffer: &[u8]) -> Result<Option<(Head<'_>, usize)>, HttpError> {
    let skipped = if buffer.starts_with(b"\r\n") { 2 } else { 0 };
    let bound = buffer.len().min(HTTP_HEAD_BYTES_MAX);
    let window = buffer.get(skipped..bound).unwrap_or_default();
    if let Some(end) = head_end(window)? {
        let head = read_whole(window.get(..end).unwrap_or_default())?;
        return Ok(Some((head, skipped + end)));
    }
    if buffer.len() >= HTTP_HEAD_BYTES_MAX {
        return Err(HttpError::new(431, "request head too large"));
    }
    let mut slots = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
    match httparse::Request::new(&mut slots).parse(window) {
        Ok(_) => Ok(None),
        Err(error) => Err(refuse(error, window)),
    }
}

/// Where the empty line ends, if it has come. A line feed without its carriage return is refused:
/// some parsers take it for a line end and some do not.
fn head_end(bytes: &[u8]) -> Result<Option<usize>, HttpError> {
    let mut line_start = 0;
    for at in memchr_iter(b'\n', bytes) {
        match at.checked_sub(1).and_then(|before| bytes.get(before)) {
            Some(b'\r') if at == line_start + 1 => return Ok(Some(at + 1)),
            Some(b'\r') => line_start = at + 1,
            _ => return Err(HttpError::new(400, "line feed without carriage return")),
        }
    }
    Ok(None)
}

fn refuse(error: httparse::Error, head: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::new(431, "too many headers"),
        httparse::Error::Version if names_http(head) => {
            HttpError::new(505, "only HTTP/1.0 and HTTP/1.1 are served")
        }
        httparse::Error::HeaderName => HttpError::new(400, "bad header name"),
        httparse::Error::HeaderValue => HttpError::new(400, "bad header value"),
        _ => HttpError::new(400, "bad request line"),
    }
}

/// Whether the request line is in order but for an HTTP version that is not served.
fn names_http(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    let (Some(version), None) = (words.next(), words.next()) else { return false };
    match version.strip_prefix(b"HTTP/") {
        Some(b"1.0" | b"1.1") => false,
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        Some([major] | [major, b'.']) => major.is_ascii_digit(),
        _ => false,
    }
}

fn read_whole(head: &[u8]) -> Result<Head<'_>, HttpError> {
    let mut slots = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
    let mut request = httparse::Request::new(&mut slots);
    request.parse(head).map_err(|error| refuse(error, head))?;
    let (Some(method), Some(target), Some(minor_version)) =
        (request.method, request.path, request.version)
    else {
        return Err(HttpError::new(400, "bad request line"));
    };
    let text = simdutf8::basic::from_utf8(head)
        .map_err(|_| HttpError::new(400, "header value is not UTF-8"))?;
    let lines = memchr(b'\n', head).map_or(0, |at| at + 1);
    let end = head.len().saturating_sub(2);
    let headers = Headers::new(text.get(lines..end).unwrap_or_default());
    let (path, query) = target::split(target)?;
    let framing = Framing::read(&headers)?;
    framing.check_host(minor_version)?;
    Ok(Head {
        method,
        target,
        path,
        query,
        minor_version,
        headers,
        body: framing.body(minor_version)?,
        keep_alive: !framing.close && (minor_version == 1 || framing.keep_alive),
        expect_continue: framing.expects_continue(minor_version)?,
        upgrade_websocket: framing.upgrade && framing.websocket,
    })
}

/// What the headers say about this message and this connection, from one pass over them.
#[derive(Default)]
struct Framing<'a> {
    host: Option<&'a str>,
    length: Option<&'a str>,
    coding: Option<&'a str>,
    expect: Option<&'a str>,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    websocket: bool,
}

impl<'a> Framing<'a> {
    fn read(headers: &Headers<'a>) -> Result<Self, HttpError> {
        let mut framing = Self::default();
        for (name, value) in headers.iter() {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            match name.len() {
                4 if is("host") => once(&mut framing.host, value, "several host headers")?,
                6 if is("expect") => framing.expect = Some(value),
                7 if is("upgrade") => framing.websocket |= has(value, "websocket"),
                10 if is("connection") => {
                    framing.close |= has(value, "close");
                    framing.keep_alive |= has(value, "keep-alive");
                    framing.upgrade |= has(value, "upgrade");
                }
                14 if is("content-length") => {
                    once(&mut framing.length, value, "several content-length headers")?;
                }
                17 if is("transfer-encoding") => {
                    once(&mut framing.coding, value, "several transfer-encoding headers")?;
                }
                _ => {}
            }
        }
        Ok(framing)
    }

    /// RFC 9112, 3.2: one `Host` in HTTP/1.1, at most one in HTTP/1.0, and it names a host.
    fn check_host(&self, minor_version: u8) -> Result<(), HttpError> {
        match self.host {
            None if minor_version == 1 => Err(HttpError::new(400, "no host header")),
            Some(host) if !host.bytes().all(is_host_byte) => {
                Err(HttpError::new(400, "bad host header"))
            }
            _ => Ok(()),
        }
    }

    /// RFC 9112, 6.3, where it leaves a choice the strict way.
    fn body(&self, minor_version: u8) -> Result<BodyLength, HttpError> {
        match (self.coding, self.length) {
            (None, None) => Ok(BodyLength::None),
            (None, Some(text)) => parse_length(text).map(BodyLength::Bytes),
            (Some(_), Some(_)) => {
                Err(HttpError::new(400, "both content-length and transfer-encoding"))
            }
            (Some(_), None) if minor_version == 0 => {
                Err(HttpError::new(400, "transfer-encoding in HTTP/1.0"))
            }
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => {
                Ok(BodyLength::Chunked)
            }
            (Some(_), None) => Err(HttpError::new(501, "unknown transfer coding")),
        }
    }

    /// RFC 9110, 10.1.1: an expectation in HTTP/1.0 is ignored.
    fn expects_continue(&self, minor_version: u8) -> Result<bool, HttpError> {
        match self.expect {
            Some(_) if minor_version == 0 => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("100-continue") => Ok(true),
            Some(_) => Err(HttpError::new(417, "unknown expectation")),
            None => Ok(false),
        }
    }
}

/// Stores the value of a header that may come once.
fn once<'a>(
    slot: &mut Option<&'a str>,
    value: &'a str,
    repeated: &'static str,
) -> Result<(), HttpError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(HttpError::new(400, repeated)),
    }
}

/// Whether the comma list `value` has `token`.
fn has(value: &str, token: &str) -> bool {
    headers::elements(value).any(|element| element.eq_ignore_ascii_case(token))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"/\\@?#,\"<>^`{|}".contains(&byte)
}

/// RFC 9112, 6.2: digits only; a list of equal numbers is refused like a list of different ones.
fn parse_length(text: &str) -> Result<u64, HttpError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HttpError::new(400, "bad content-length"));
    }
    text.parse().map_err(|_| HttpError::new(400, "bad content-length"))
}

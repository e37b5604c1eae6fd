//! Answers (RFC 9112, 4 and 6): status line, headers, counted body.
//!
//! Invariant: an answer cannot be split by what is put in it: control characters in header values
//! become blanks.
//!
//! Cost: appends to the caller's vector; no other allocation.

/// One answer, to be appended with [`Reply::write`].
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Status code, 100-599.
    pub status: u16,
    /// `Content-Type`, when there is one.
    pub content_type: Option<&'a str>,
    /// Further headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body bytes.
    pub body: &'a [u8],
    /// Whether the connection stays open after this answer.
    pub keep_alive: bool,
    /// Whether the request was HEAD: the length is told, the body is not sent.
    pub head_only: bool,
}

impl Reply<'_> {
    /// Appends the answer to `out`. Answers 1xx, 204 and 304 carry neither length nor body
    /// (RFC 9110, 8.6).
    pub fn write(&self, out: &mut Vec<u8>) {
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        let body = if bodiless || self.head_only { &[] } else { self.body };
        out.reserve(192 + body.len());
        status_line(out, self.status);
        if let Some(content_type) = self.content_type {
            header(out, "Content-Type", content_type);
        }
        if !bodiless {
            header(out, "Content-Length", itoa::Buffer::new().format(self.body.len()));
        }
        if self.status >= 200 {
            header(out, "Connection", if self.keep_alive { "keep-alive" } else { "close" });
        }
        for (name, value) in self.headers {
            header(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
    }
}

/// Appends an answer to `out`; the parameters are the fields of [`Reply`].
pub fn write_response(
    out: &mut Vec<u8>,
    status: u16,
    content_type: Option<&str>,
    extra: &[(&str, &str)],
    body: &[u8],
    keep_alive: bool,
    head_only: bool,
) {
    Reply { status, content_type, headers: extra, body, keep_alive, head_only }.write(out);
}

/// Appends `HTTP/1.1 <status> <reason>`.
pub(crate) fn status_line(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends one header line.
pub(crate) fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(name.bytes().filter(|byte| byte.is_ascii_graphic() && *byte != b':'));
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

/// The phrase of a status code (RFC 9110, 15); "Status" for codes that are not used here.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Status",
    }
}

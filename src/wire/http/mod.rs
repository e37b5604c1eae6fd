//! HTTP/1.0 and 1.1 requests and answers (RFC 9112), without a socket.
//!
//! Method: [`parse_head`] reads a head once it is complete, [`BodyReader`] takes the body as it
//! comes, [`write_response`] appends an answer. Whatever two parsers on one path could read in two
//! ways (request smuggling) is refused rather than repaired.
//!
//! Invariant: a [`Head`] that exists has been checked whole; its parts are valid UTF-8 without
//! control characters, and its body length has one meaning.
//!
//! Cost: one scan for line ends, one httparse pass; no allocation.

mod body;
mod head;
mod headers;
mod response;
mod target;

pub use body::{BodyLength, BodyReader};
pub use head::{Head, parse_head};
pub use headers::Headers;
pub use response::{Reply, reason, write_response};
pub(crate) use response::{header, status_line};
pub use target::{percent_decode, query_value};

/// A request that cannot be served: answer with `status`, then close the connection, because where
/// the next request starts is no longer certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// Status code of the answer, 400-599 (RFC 9110, section 15).
    pub status: u16,
    /// What was wrong, for the body of the answer and for logs.
    pub reason: &'static str,
}

impl HttpError {
    pub(crate) const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }

    /// Headers that an answer of this status must carry: `Upgrade` with 426 (RFC 9110, 15.5.22)
    /// and the WebSocket version (RFC 6455, 4.4), `Allow` with 405.
    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.status {
            405 => &[("Allow", "GET")],
            426 => &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            _ => &[],
        }
    }

    /// Appends the whole answer to `out`. The connection is to be closed after it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(self.reason.len() + 1);
        body.extend_from_slice(self.reason.as_bytes());
        body.push(b'\n');
        let content_type = Some("text/plain; charset=utf-8");
        write_response(out, self.status, content_type, self.headers(), &body, false, false);
    }
}

//! WebSocket (RFC 6455) and permessage-deflate (RFC 7692), server side, without a socket.
//!
//! Method: [`handshake`] turns a request head into an offer and an answer; [`decoder`] turns bytes
//! into messages and control frames; [`encode`] writes frames; [`deflate`] holds the extension. The
//! closing handshake, pings and time-outs belong to the owner of the connection.
//!
//! Invariant: every violation has its close code ([`CloseError`]) and is found at the first octet
//! that shows it.

pub mod decoder;
pub mod deflate;
pub mod encode;
mod extension;
mod frame;
pub mod handshake;
pub mod mask;
mod negotiate;
mod partial;
pub mod utf8;

pub use decoder::{Decoder, Incoming, Policy};
pub use frame::Opcode;

/// Why a connection must be closed: send a close frame with `code`, then close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseError {
    /// Close code (RFC 6455, 7.4.1): 1002 protocol, 1007 content, 1009 size, 1011 internal.
    pub code: u16,
    /// What was wrong, at most 123 bytes, so that it fits the close frame.
    pub reason: &'static str,
}

impl CloseError {
    pub(crate) const fn protocol(reason: &'static str) -> Self {
        Self { code: 1002, reason }
    }

    pub(crate) const fn content(reason: &'static str) -> Self {
        Self { code: 1007, reason }
    }

    pub(crate) const fn size() -> Self {
        Self { code: 1009, reason: "message too large" }
    }

    pub(crate) const fn internal(reason: &'static str) -> Self {
        Self { code: 1011, reason }
    }
}

/// Whether an endpoint may send `code` in a close frame (RFC 6455, 7.4; 1012-1014 from the IANA
/// registry). 1004-1006 and 1015 are reserved, 1016-2999 are not assigned.
pub fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

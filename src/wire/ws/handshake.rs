//! The opening handshake, server side (RFC 6455, 4.2).
//!
//! Method: [`upgrade`] checks a request head and gives the client's offer; the owner chooses a
//! subprotocol and compression; [`write_accept`] appends the answer.
//!
//! Invariant: an [`Offer`] that exists may be accepted; what is answered was offered.

use super::deflate::{Agreed, Preference};
use super::extension::is_token_byte;
use super::negotiate;
use crate::wire::http::{BodyLength, Head, Headers, HttpError};
use crate::wire::http::{header, status_line};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a client offers.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    key: &'a str,
    headers: Headers<'a>,
}

impl<'a> Offer<'a> {
    /// Subprotocols in the client's order of preference (RFC 6455, 11.3.4).
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.headers.list("sec-websocket-protocol").filter(|name| name.bytes().all(is_token_byte))
    }

    /// Whether `subprotocol` is among the offered; names are case-sensitive.
    pub fn has_subprotocol(&self, subprotocol: &str) -> bool {
        self.subprotocols().any(|offered| offered == subprotocol)
    }

    /// The first offer of permessage-deflate that can be kept (RFC 7692, 5.1), as `preference`
    /// would have it; `None` when there is none.
    pub fn deflate(&self, preference: &Preference) -> Option<Agreed> {
        negotiate::choose(&self.headers, preference)
    }

    /// The answer's `Sec-WebSocket-Accept` (RFC 6455, 4.2.2).
    pub fn accept_key(&self) -> String {
        tungstenite::handshake::derive_accept_key(self.key.as_bytes())
    }
}

/// Checks a request for WebSocket (RFC 6455, 4.2.1).
///
/// # Errors
/// 405 for a method other than GET, 426 when the upgrade is not asked for or is for a version other
/// than 13 (answer with [`HttpError::headers`]), 400 for HTTP/1.0, a body, a key that is not one of
/// 16 bytes, or extensions that do not fit the grammar.
pub fn upgrade<'a>(head: &Head<'a>) -> Result<Offer<'a>, HttpError> {
    if head.method != "GET" {
        return Err(HttpError::new(405, "WebSocket needs GET"));
    }
    if head.minor_version == 0 {
        return Err(HttpError::new(400, "WebSocket needs HTTP/1.1"));
    }
    if !head.upgrade_websocket {
        return Err(HttpError::new(426, "this address speaks WebSocket"));
    }
    if !matches!(head.body, BodyLength::None | BodyLength::Bytes(0)) {
        return Err(HttpError::new(400, "WebSocket request with a body"));
    }
    let version = head
        .headers
        .single("sec-websocket-version")
        .map_err(|()| HttpError::new(400, "several WebSocket versions"))?;
    if version != Some("13") {
        return Err(HttpError::new(426, "only WebSocket version 13 is served"));
    }
    let bad_key = HttpError::new(400, "bad Sec-WebSocket-Key");
    let key = head.headers.single("sec-websocket-key").map_err(|()| bad_key)?.ok_or(bad_key)?;
    if key.len() != 24 || STANDARD.decode(key).map_err(|_| bad_key)?.len() != 16 {
        return Err(bad_key);
    }
    negotiate::check_syntax(&head.headers)
        .map_err(|_| HttpError::new(400, "bad Sec-WebSocket-Extensions"))?;
    Ok(Offer { key, headers: head.headers })
}

/// Appends the answer that completes the handshake (RFC 6455, 4.2.2); frames follow it.
///
/// `subprotocol` must be one of the offered, `deflate` what [`Offer::deflate`] gave; `extra` are
/// further headers. A `subprotocol` that was not offered is left out: clients fail on it.
pub fn write_accept(
    out: &mut Vec<u8>,
    offer: &Offer<'_>,
    subprotocol: Option<&str>,
    deflate: Option<&Agreed>,
    extra: &[(&str, &str)],
) {
    status_line(out, 101);
    header(out, "Upgrade", "websocket");
    header(out, "Connection", "Upgrade");
    header(out, "Sec-WebSocket-Accept", &offer.accept_key());
    if let Some(name) = subprotocol.filter(|name| offer.has_subprotocol(name)) {
        header(out, "Sec-WebSocket-Protocol", name);
    }
    if let Some(agreed) = deflate {
        let mut value = String::with_capacity(160);
        agreed.write_parameters(&mut value);
        header(out, "Sec-WebSocket-Extensions", &value);
    }
    for (name, value) in extra {
        header(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

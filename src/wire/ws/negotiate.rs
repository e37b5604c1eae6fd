//! What client and server agree about compression (RFC 7692, 7.1).
//!
//! Method: offers are read in the client's order; the first one that can be kept is answered, with
//! the least memory that it allows.
//!
//! Invariant: an answer never widens an offer: a window asked for is not exceeded, a parameter the
//! client did not declare is not sent to it.

use super::deflate::WINDOW_BITS;
use super::extension::{BadSyntax, Scanner};
use crate::wire::http::Headers;

/// What was agreed; the answer's parameters follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The server starts each message with an empty window.
    pub server_no_context_takeover: bool,
    /// The client starts each message with an empty window.
    pub client_no_context_takeover: bool,
    /// Exponent of the server's window, 9-15.
    pub server_max_window_bits: u8,
    /// Exponent of the client's window, 8-15.
    pub client_max_window_bits: u8,
    /// Whether the answer names the server's window: it must when the offer did.
    pub server_window_named: bool,
}

impl Default for Agreed {
    /// Both sides drop their context, both windows are 32 KiB.
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            server_window_named: false,
        }
    }
}

impl Agreed {
    /// Appends the answer's value of `Sec-WebSocket-Extensions` (RFC 7692, 7.1).
    pub fn write_parameters(&self, out: &mut String) {
        out.push_str("permessage-deflate");
        if self.server_no_context_takeover {
            out.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            out.push_str("; client_no_context_takeover");
        }
        if self.server_window_named || self.server_max_window_bits < 15 {
            out.push_str("; server_max_window_bits=");
            out.push_str(itoa::Buffer::new().format(self.server_max_window_bits));
        }
        // Below 15 only if the client declared the parameter, so it may be sent.
        if self.client_max_window_bits < 15 {
            out.push_str("; client_max_window_bits=");
            out.push_str(itoa::Buffer::new().format(self.client_max_window_bits));
        }
    }
}

/// What the server would like. The default holds no compression state for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    /// Drop the server's context after each message even if the client does not ask for it.
    pub server_no_context_takeover: bool,
    /// Tell the client to drop its context after each message.
    pub client_no_context_takeover: bool,
    /// Exponent of the server's window at most, 9-15; others are taken as the nearest of these.
    pub server_max_window_bits: u8,
    /// Exponent of the client's window at most, 9-15, where the client lets the server choose.
    pub client_max_window_bits: u8,
}

impl Default for Preference {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}

/// The parameters of one offer.
#[derive(Default)]
struct Asked {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// `Some(None)`: declared without a value.
    client_max_window_bits: Option<Option<u8>>,
}

/// The first offer in `headers` that can be kept, as it would be answered.
pub(super) fn choose(headers: &Headers<'_>, preference: &Preference) -> Option<Agreed> {
    headers
        .all("sec-websocket-extensions")
        .find_map(|value| choose_in(value, preference).ok().flatten())
}

/// Checks the grammar of every extension header; an endpoint must refuse others (RFC 6455, 9.1).
pub(super) fn check_syntax(headers: &Headers<'_>) -> Result<(), BadSyntax> {
    for value in headers.all("sec-websocket-extensions") {
        let mut scanner = Scanner::new(value);
        while scanner.extension()?.is_some() {
            while scanner.parameter()?.is_some() {}
        }
    }
    Ok(())
}

fn choose_in(value: &str, preference: &Preference) -> Result<Option<Agreed>, BadSyntax> {
    let mut scanner = Scanner::new(value);
    while let Some(name) = scanner.extension()? {
        let mut asked = Some(Asked::default());
        while let Some((parameter, value)) = scanner.parameter()? {
            asked = asked.and_then(|asked| asked.with(parameter, value));
        }
        if let Some(asked) = asked.filter(|_| name.eq_ignore_ascii_case("permessage-deflate")) {
            return Ok(Some(asked.answer(preference)));
        }
    }
    Ok(None)
}

impl Asked {
    /// Adds a parameter; `None` declines the offer: unknown, repeated or with a wrong value.
    fn with(mut self, name: &str, value: Option<&str>) -> Option<Self> {
        match (name, value) {
            ("server_no_context_takeover", None) if !self.server_no_context_takeover => {
                self.server_no_context_takeover = true;
            }
            ("client_no_context_takeover", None) if !self.client_no_context_takeover => {
                self.client_no_context_takeover = true;
            }
            ("server_max_window_bits", Some(value)) if self.server_max_window_bits.is_none() => {
                // No encoder here keeps to 256 bytes, and the answer may not be larger than asked.
                let bits = window_bits(value).filter(|bits| WINDOW_BITS.contains(bits))?;
                self.server_max_window_bits = Some(bits);
            }
            ("client_max_window_bits", value) if self.client_max_window_bits.is_none() => {
                self.client_max_window_bits = Some(match value {
                    Some(value) => Some(window_bits(value)?),
                    None => None,
                });
            }
            _ => return None,
        }
        Some(self)
    }

    fn answer(&self, preference: &Preference) -> Agreed {
        let clamp = |bits: u8| bits.clamp(*WINDOW_BITS.start(), *WINDOW_BITS.end());
        let server = clamp(preference.server_max_window_bits);
        let client = match self.client_max_window_bits {
            Some(bits) => clamp(preference.client_max_window_bits).min(bits.unwrap_or(15)),
            None => 15,
        };
        Agreed {
            server_no_context_takeover: self.server_no_context_takeover
                || preference.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover
                || preference.client_no_context_takeover,
            server_max_window_bits: server.min(self.server_max_window_bits.unwrap_or(15)),
            client_max_window_bits: client,
            server_window_named: self.server_max_window_bits.is_some(),
        }
    }
}

/// A window exponent: 8-15, decimal, without leading zeros (RFC 7692, 7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        _ => value.parse().ok().filter(|bits| value.len() == 2 && (10..=15).contains(bits)),
    }
}

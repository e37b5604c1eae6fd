//! Sans-I/O HTTP/1.1 and WebSocket, server side: bytes in, heads and messages out, and back.
//!
//! Method: every parser takes the bytes that have arrived and says how many it used; it holds
//! nothing that the caller's receive buffer already holds. A message that lies whole in that buffer
//! is unmasked, checked and lent in place.
//!
//! Invariants: no socket, no clock, no domain; no input panics; nothing is allocated on the word of
//! a header, only for bytes that came.
//!
//! Cost: for a whole frame, one pass to unmask and one to check UTF-8, no copy and no allocation.
//! An idle connection holds three machine words here.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod http;
pub mod ws;

#[cfg(test)]
mod tests;

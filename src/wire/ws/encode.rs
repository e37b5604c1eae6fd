//! Outbound frames (RFC 6455, 5.2): server frames, never masked, never fragmented.
//!
//! Method: a header is at most ten bytes on the stack, so a shared payload can follow it in a
//! vectored write without being copied.
//!
//! Cost: one copy of the payload for the functions that take it.

use super::Opcode;

/// The header of a final frame of `len` bytes, and how many of the ten bytes it uses.
/// `compressed` sets RSV1 (RFC 7692, 6).
pub fn header_bytes(opcode: Opcode, compressed: bool, len: usize) -> ([u8; 10], usize) {
    let first = 0x80 | u8::from(compressed) << 6 | opcode as u8;
    let [a, b, c, d, e, f, g, h] = (len as u64).to_be_bytes();
    match len {
        0..=125 => ([first, h, 0, 0, 0, 0, 0, 0, 0, 0], 2),
        126..=0xffff => ([first, 126, g, h, 0, 0, 0, 0, 0, 0], 4),
        _ => ([first, 127, a, b, c, d, e, f, g, h], 10),
    }
}

/// Appends the header of a final frame whose payload of `len` bytes follows.
pub fn header(out: &mut Vec<u8>, opcode: Opcode, compressed: bool, len: usize) {
    let (bytes, count) = header_bytes(opcode, compressed, len);
    out.extend_from_slice(bytes.get(..count).unwrap_or_default());
}

/// Appends a whole frame.
fn frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.reserve(10 + payload.len());
    header(out, opcode, false, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a text message; `payload` is UTF-8.
pub fn text(out: &mut Vec<u8>, payload: &[u8]) {
    debug_assert!(simdutf8::basic::from_utf8(payload).is_ok());
    frame(out, Opcode::Text, payload);
}

/// Appends a binary message.
pub fn binary(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Binary, payload);
}

/// Appends a ping; of `payload` the first 125 bytes go out (RFC 6455, 5.5).
pub fn ping(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Ping, payload.get(..125).unwrap_or(payload));
}

/// Appends a pong; `payload` is that of the ping, of which the first 125 bytes go out.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Pong, payload.get(..125).unwrap_or(payload));
}

/// Appends a close frame. `None` sends no code, as an answer to a close frame without one. Of
/// `reason` as many whole characters go out as fit 123 bytes (RFC 6455, 5.5.1). A code that must
/// not be sent ([`super::is_close_code`]) goes out as 1011: it is a fault of ours.
pub fn close(out: &mut Vec<u8>, code: impl Into<Option<u16>>, reason: &str) {
    let Some(code) = code.into() else { return frame(out, Opcode::Close, &[]) };
    let code = if super::is_close_code(code) { code } else { 1011 };
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = reason.get(..end).unwrap_or_default();
    header(out, Opcode::Close, false, 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

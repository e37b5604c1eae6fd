//! The client's side of WebSocket: the upgrade and masked frames.
//!
//! The mask key is a constant: servers must unmask all the same, and a ring of frames encoded beforehand can
//! be sent again and again. A client that cares for proxies must not do this.

use crate::Result;
use crate::net::Conn;

/// The key of every frame.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    Text = 1,
    /// Bytes.
    Binary = 2,
}

/// Appends one masked frame and says where its payload begins.
pub fn frame(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) -> usize {
    out.push(0x80 | kind as u8);
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=65535 => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    let begin = out.len();
    out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ KEY[at % 4]));
    begin
}

/// Asks for the upgrade and waits for 101.
pub fn upgrade(conn: &mut Conn, host: &str, path: &str, protocol: Option<&str>) -> Result<()> {
    let protocol = protocol.map_or(String::new(), |p| format!("Sec-WebSocket-Protocol: {p}\r\n"));
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
    );
    conn.send(request.as_bytes())?;
    let head = conn.until(b"\r\n\r\n")?;
    if !head.starts_with(b"HTTP/1.1 101") {
        let first = String::from_utf8_lossy(&head);
        return Err(format!("{host}{path}: {}", first.lines().next().unwrap_or("no answer")));
    }
    Ok(())
}

/// Sends one frame.
pub fn send(conn: &mut Conn, kind: Kind, payload: &[u8]) -> Result<()> {
    let mut out = Vec::with_capacity(payload.len() + 14);
    frame(&mut out, kind, payload);
    conn.send(&out)
}

/// Waits for one data frame and gives its payload; control frames are passed over.
pub fn receive(conn: &mut Conn) -> Result<Vec<u8>> {
    loop {
        let head = conn.exactly(2)?;
        let len = match head[1] & 0x7f {
            126 => u16::from_be_bytes(conn.exactly(2)?.try_into().expect("two bytes")).into(),
            127 => u64::from_be_bytes(conn.exactly(8)?.try_into().expect("eight bytes")),
            short => u64::from(short),
        };
        let payload = conn.exactly(len as usize)?;
        match head[0] & 0x0f {
            8 => return Err("the server closed during the set-up".into()),
            9 | 10 => {}
            _ => return Ok(payload),
        }
    }
}

/// Waits for a text frame that holds `wanted`; a frame before it is an error that shows it.
pub fn expect(conn: &mut Conn, wanted: &str) -> Result<String> {
    let text = String::from_utf8_lossy(&receive(conn)?).into_owned();
    if text.contains(wanted) { Ok(text) } else { Err(format!("expected {wanted}, got {text}")) }
}

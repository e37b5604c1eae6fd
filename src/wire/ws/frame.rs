//! Headers of inbound frames (RFC 6455, 5.2): read from a prefix, judged octet by octet.
//!
//! Method: rules are applied in the order in which the octets come, so a header judged in pieces
//! ends like one judged whole.
//!
//! Cost: a few comparisons; no allocation.

use super::CloseError;

/// Bytes of the longest header a client may send: two, eight of length, four of mask.
pub(super) const HEADER_BYTES_MAX: usize = 14;
/// Bytes of the payload of a control frame (RFC 6455, 5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further part of the message under way.
    Continuation = 0,
    /// UTF-8 text, or its first part.
    Text = 1,
    /// Bytes, or their first part.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// A question whether the peer is there.
    Ping = 9,
    /// The answer to a ping.
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is a control frame, which may come between the parts of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// One frame header that passed every rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) fin: bool,
    /// RSV1: the first frame of a compressed message (RFC 7692, 6).
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) key: [u8; 4],
    pub(super) len: usize,
}

/// What the rules need to know beside the octets.
pub(super) struct Expect {
    /// Bytes held of the message under way, and whether it is compressed.
    pub(super) open: Option<(usize, bool)>,
    /// Whether permessage-deflate was agreed.
    pub(super) deflate: bool,
    /// Bytes of one message.
    pub(super) message_bytes_max: usize,
}

impl Expect {
    /// Reads the header at the start of `bytes`; with it, how many bytes it took. `None`: more
    /// bytes are needed, and those that came break no rule.
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, CloseError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = self.check_first(first)?;
        let (fin, compressed) = (first & 0x80 != 0, first & 0x40 != 0);
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & 0x80 == 0 {
            return Err(CloseError::protocol("frame is not masked"));
        }
        let short = second & 0x7f;
        if opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(CloseError::protocol("control frame too long"));
        }
        let Some((len, used)) = length(short, bytes)? else { return Ok(None) };
        let len = self.check_size(opcode, compressed, len)?;
        let Some(&key) = bytes.get(used..).and_then(<[u8]>::first_chunk::<4>) else {
            return Ok(None);
        };
        Ok(Some((Header { fin, compressed, opcode, key, len }, used + 4)))
    }

    fn check_first(&self, first: u8) -> Result<Opcode, CloseError> {
        if first & 0x30 != 0 {
            return Err(CloseError::protocol("reserved bit set"));
        }
        let opcode =
            Opcode::from_bits(first & 0x0f).ok_or(CloseError::protocol("reserved opcode"))?;
        let starts = matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & 0x40 != 0 && !(self.deflate && starts) {
            return Err(CloseError::protocol("compression bit set"));
        }
        if opcode.is_control() && first & 0x80 == 0 {
            return Err(CloseError::protocol("control frame is fragmented"));
        }
        match (opcode, self.open) {
            (Opcode::Continuation, None) => {
                Err(CloseError::protocol("continuation without a message"))
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                Err(CloseError::protocol("message inside a message"))
            }
            _ => Ok(opcode),
        }
    }

    /// Refuses a frame whose message could not be accepted, before any of its bytes.
    fn check_size(&self, opcode: Opcode, first: bool, len: u64) -> Result<usize, CloseError> {
        let len = usize::try_from(len).map_err(|_| CloseError::size())?;
        if opcode.is_control() {
            return Ok(len);
        }
        let (held, compressed) = self.open.unwrap_or((0, first));
        let limit = if compressed {
            compressed_bytes_max(self.message_bytes_max)
        } else {
            self.message_bytes_max
        };
        if held.saturating_add(len) > limit { Err(CloseError::size()) } else { Ok(len) }
    }
}

/// Bytes that a message of `message_bytes_max` may take compressed. The fixed code of DEFLATE needs
/// nine bits for an octet at worst, and quick encoders use it even for what does not compress.
fn compressed_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(message_bytes_max / 8).saturating_add(1024)
}

/// Payload length and the bytes of header before the mask. RFC 6455, 5.2: the shortest form is
/// mandatory and the top bit of eight is zero.
fn length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, CloseError> {
    let extended = bytes.get(2..).unwrap_or_default();
    match short {
        126 => {
            let Some(&two) = extended.first_chunk::<2>() else { return Ok(None) };
            match u16::from_be_bytes(two) {
                0..=125 => Err(CloseError::protocol("length is not minimal")),
                len => Ok(Some((u64::from(len), 4))),
            }
        }
        127 => {
            let Some(&eight) = extended.first_chunk::<8>() else { return Ok(None) };
            match u64::from_be_bytes(eight) {
                0..=0xffff => Err(CloseError::protocol("length is not minimal")),
                len if len >> 63 != 0 => Err(CloseError::protocol("length has its top bit set")),
                len => Ok(Some((len, 10))),
            }
        }
        len => Ok(Some((u64::from(len), 2))),
    }
}

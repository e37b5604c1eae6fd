//! A frame or message that is not complete: what has come of it, unmasked and checked.
//!
//! Method: bytes are unmasked in the receive buffer, checked, and then kept; text is checked octet
//! by octet so that a fault is told before its frame ends.
//!
//! Invariant: memory grows with what arrived, never with what a header announced, and never beyond
//! what the message may still become.
//!
//! Cost: one allocation for the state (about 200 bytes), one copy of the payload, doubling growth.

use super::frame::{CONTROL_BYTES_MAX, Expect, HEADER_BYTES_MAX, Header};
use super::utf8::Utf8;
use super::{CloseError, Opcode, mask};

/// Everything held of what is incomplete on one connection.
#[derive(Debug)]
pub(super) struct Partial {
    /// Bytes of the message under way, or of the compressed form of it.
    pub(super) data: Vec<u8>,
    /// Text or binary, while a message is under way, and whether it is compressed.
    message: Option<(Opcode, bool)>,
    utf8: Utf8,
    /// The start of a header that is not complete.
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    /// The frame under way, and how many bytes of it are missing.
    frame: Option<(Header, usize)>,
    /// Payload of the last control frame.
    control: [u8; CONTROL_BYTES_MAX],
    control_len: u8,
    /// Whether what was held has been given out and nothing else is incomplete.
    pub(super) delivered: bool,
}

/// What a step completed.
pub(super) enum Complete {
    /// A control frame; its payload is [`Partial::control`].
    Control(Opcode),
    /// A message; its bytes are [`Partial::data`].
    Message { opcode: Opcode, compressed: bool },
}

impl Partial {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            data: Vec::new(),
            message: None,
            utf8: Utf8::new(),
            header: [0; HEADER_BYTES_MAX],
            header_len: 0,
            frame: None,
            control: [0; CONTROL_BYTES_MAX],
            control_len: 0,
            delivered: false,
        })
    }

    /// Payload of the control frame that was completed last.
    pub(super) fn control(&mut self) -> &mut [u8] {
        self.control.get_mut(..usize::from(self.control_len)).unwrap_or_default()
    }

    /// Bytes held and whether they are compressed, while a message is under way.
    pub(super) fn open(&self) -> Option<(usize, bool)> {
        self.message.map(|(_, compressed)| (self.data.len(), compressed))
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.capacity()
    }

    /// Takes bytes of `rest` until something is complete or all are used; says how many.
    pub(super) fn advance(
        &mut self,
        rest: &mut [u8],
        expect: &Expect,
    ) -> Result<(usize, Option<Complete>), CloseError> {
        if self.frame.is_none() {
            let (used, header) = self.take_header(rest, expect)?;
            if let Some(header) = header {
                self.begin(header);
            }
            return Ok((used, None));
        }
        self.take_payload(rest)
    }

    /// Whether a frame is under way that lacks no payload, so that it completes without a byte.
    pub(super) fn is_due(&self) -> bool {
        matches!(self.frame, Some((_, 0)))
    }

    fn take_header(
        &mut self,
        rest: &[u8],
        expect: &Expect,
    ) -> Result<(usize, Option<Header>), CloseError> {
        if self.header_len == 0
            && let Some((header, used)) = expect.parse(rest)?
        {
            return Ok((used, Some(header)));
        }
        for (at, &byte) in rest.iter().enumerate() {
            if let Some(slot) = self.header.get_mut(usize::from(self.header_len)) {
                *slot = byte;
                self.header_len += 1;
            }
            let held = self.header.get(..usize::from(self.header_len)).unwrap_or_default();
            if let Some((header, _)) = expect.parse(held)? {
                self.header_len = 0;
                return Ok((at + 1, Some(header)));
            }
        }
        Ok((rest.len(), None))
    }

    /// A frame starts; `header` has passed the rules for this moment.
    pub(super) fn begin(&mut self, header: Header) {
        match header.opcode {
            Opcode::Text | Opcode::Binary => {
                self.message = Some((header.opcode, header.compressed));
            }
            Opcode::Continuation => {}
            Opcode::Close | Opcode::Ping | Opcode::Pong => self.control_len = 0,
        }
        self.frame = Some((header, header.len));
    }

    fn take_payload(&mut self, rest: &mut [u8]) -> Result<(usize, Option<Complete>), CloseError> {
        let Some((mut header, missing)) = self.frame else { return Ok((0, None)) };
        let count = missing.min(rest.len());
        let piece = rest.get_mut(..count).unwrap_or_default();
        mask::apply(piece, header.key);
        header.key = mask::advance(header.key, count);
        let missing = missing - count;
        if header.opcode.is_control() {
            self.keep_control(piece);
        } else {
            if self.message == Some((Opcode::Text, false)) {
                self.utf8.push(piece).map_err(|_| CloseError::content("text is not UTF-8"))?;
            }
            self.keep(piece, missing);
        }
        if missing > 0 {
            self.frame = Some((header, missing));
            return Ok((count, None));
        }
        self.frame = None;
        Ok((count, self.complete(header)?))
    }

    fn keep_control(&mut self, piece: &[u8]) {
        let start = usize::from(self.control_len);
        if let Some(room) = self.control.get_mut(start..start + piece.len()) {
            room.copy_from_slice(piece);
            self.control_len += piece.len() as u8;
        }
    }

    /// Appends; grows twofold but not beyond the end of the frame, `missing` bytes further on.
    fn keep(&mut self, piece: &[u8], missing: usize) {
        let needed = self.data.len() + piece.len();
        if needed > self.data.capacity() {
            let doubled = self.data.capacity().saturating_mul(2).max(needed);
            let target = doubled.min(needed.saturating_add(missing));
            self.data.reserve_exact(target - self.data.len());
        }
        self.data.extend_from_slice(piece);
    }

    /// The frame is whole: is it something to give out?
    fn complete(&mut self, header: Header) -> Result<Option<Complete>, CloseError> {
        if header.opcode.is_control() {
            self.delivered = self.message.is_none();
            return Ok(Some(Complete::Control(header.opcode)));
        }
        let Some((opcode, compressed)) = self.message else { return Ok(None) };
        if !header.fin {
            return Ok(None);
        }
        self.utf8.finish().map_err(|_| CloseError::content("text ends inside a character"))?;
        self.message = None;
        self.delivered = true;
        Ok(Some(Complete::Message { opcode, compressed }))
    }
}

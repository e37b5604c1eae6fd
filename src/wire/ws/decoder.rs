//! Inbound messages of one connection (RFC 6455, 5 and 6), borrowed where they lie.
//!
//! Method: a whole unfragmented frame is unmasked and checked in the receive buffer and lent from
//! there. Everything else goes through a boxed [`Partial`], which exists only while something is
//! incomplete. Compressed messages are collected and inflated at their end, so that one inflater
//! can serve all connections of a shard.
//!
//! Invariants: after an error or a close frame nothing more is decoded; the results do not depend
//! on how the bytes were cut; memory is bounded by `message_bytes_max` (compressed: twice).
//!
//! Cost: 24 bytes idle. Whole frame: two passes, no copy, no allocation.

use super::deflate::{self, Inflater};
use super::frame::Expect;
use super::partial::{Complete, Partial};
use super::{CloseError, Opcode, is_close_code, mask};
use flate2::Decompress;
use std::ops::Range;

/// What a connection accepts; shared by all connections of one port and agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bytes of one message, assembled and inflated.
    pub message_bytes_max: usize,
    /// What the handshake agreed about compression.
    pub deflate: Option<deflate::Agreed>,
}

/// One message or control frame, unmasked and checked. Messages may be changed in place by whoever
/// parses them.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message: valid UTF-8.
    Text(&'a mut [u8]),
    /// A binary message.
    Binary(&'a mut [u8]),
    /// A ping of at most 125 bytes, to be answered with a pong of the same.
    Ping(&'a [u8]),
    /// A pong of at most 125 bytes.
    Pong(&'a [u8]),
    /// The peer closes: answer with a close frame of the same code. Nothing follows.
    Close {
        /// The peer's code; valid to send.
        code: Option<u16>,
        /// The peer's reason: valid UTF-8, at most 123 bytes.
        reason: &'a [u8],
    },
}

/// The inbound state of one connection.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    /// The inflater of a connection whose client keeps its compression context.
    context: Option<Box<Decompress>>,
    closed: bool,
}

const _: () = assert!(size_of::<Decoder>() <= 32);

/// Where the bytes of something complete lie.
enum Place {
    Buffer(Range<usize>),
    Control,
    Assembled,
    Inflated,
}

impl Decoder {
    /// The state after the handshake.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing incomplete is held: the receive buffer may go back to its pool.
    pub fn idle(&self) -> bool {
        self.partial.as_ref().is_none_or(|partial| partial.delivered)
    }

    /// Bytes of memory held for what is incomplete.
    pub fn buffered_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.bytes())
    }

    /// Consumes bytes of `buffer` from `*used` on, and moves `*used`. Returns the next whole
    /// message or control frame, or `None` when all bytes are used; call again until `None`, which
    /// also frees what the last message held. After a close frame or an error, further bytes are
    /// used and ignored (RFC 6455, 1.4 and 7.1.7).
    ///
    /// # Errors
    /// 1002 for what breaks the framing, 1007 for text that is not UTF-8 and data that does not
    /// inflate, 1009 for a message over `policy.message_bytes_max`, as soon as an octet shows it.
    pub fn next<'a>(
        &'a mut self,
        buffer: &'a mut [u8],
        used: &mut usize,
        policy: &Policy,
        inflater: &'a mut Inflater,
    ) -> Result<Option<Incoming<'a>>, CloseError> {
        match self.find(buffer, used, policy, inflater) {
            Ok(Some((opcode, place))) => {
                let bytes = self.bytes(place, buffer, inflater);
                Ok(Some(lend(opcode, bytes)))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                *self = Self { closed: true, ..Self::default() };
                *used = buffer.len();
                Err(error)
            }
        }
    }

    /// Finds and checks the next complete thing; all that can fail happens here.
    fn find(
        &mut self,
        buffer: &mut [u8],
        used: &mut usize,
        policy: &Policy,
        inflater: &mut Inflater,
    ) -> Result<Option<(Opcode, Place)>, CloseError> {
        if self.idle() {
            self.partial = None;
        }
        if self.closed {
            *used = buffer.len();
            return Ok(None);
        }
        loop {
            let start = *used;
            let rest = buffer.get_mut(start..).unwrap_or_default();
            let due = self.partial.as_ref().is_some_and(|partial| partial.is_due());
            if rest.is_empty() && !due {
                return Ok(None);
            }
            if let Some(found) = self.step(rest, used, policy, inflater)? {
                return Ok(Some(found));
            }
        }
    }

    /// One header, one piece of payload, or one whole frame.
    fn step(
        &mut self,
        rest: &mut [u8],
        used: &mut usize,
        policy: &Policy,
        inflater: &mut Inflater,
    ) -> Result<Option<(Opcode, Place)>, CloseError> {
        let expect = Expect {
            open: self.partial.as_ref().and_then(|partial| partial.open()),
            deflate: policy.deflate.is_some(),
            message_bytes_max: policy.message_bytes_max,
        };
        let Some(partial) = &mut self.partial else {
            return self.step_fresh(rest, used, policy, &expect, inflater);
        };
        let (count, complete) = partial.advance(rest, &expect)?;
        *used += count;
        match complete {
            None => Ok(None),
            Some(Complete::Control(opcode)) => {
                self.closed = check_control(opcode, partial.control())?;
                Ok(Some((opcode, Place::Control)))
            }
            Some(Complete::Message { opcode, compressed: false }) => {
                Ok(Some((opcode, Place::Assembled)))
            }
            Some(Complete::Message { opcode, compressed: true }) => {
                let data = std::mem::take(&mut partial.data);
                self.inflate(opcode, &data, policy, inflater)?;
                Ok(Some((opcode, Place::Inflated)))
            }
        }
    }

    /// Nothing is held: a whole frame stays in the buffer, anything less starts a [`Partial`].
    fn step_fresh(
        &mut self,
        rest: &mut [u8],
        used: &mut usize,
        policy: &Policy,
        expect: &Expect,
        inflater: &mut Inflater,
    ) -> Result<Option<(Opcode, Place)>, CloseError> {
        let Some((header, taken)) = expect.parse(rest)? else {
            let mut partial = Partial::new();
            let (count, _) = partial.advance(rest, expect)?;
            self.partial = Some(partial);
            *used += count;
            return Ok(None);
        };
        let start = *used + taken;
        let payload = match rest.get_mut(taken..taken.saturating_add(header.len)) {
            Some(payload) if header.fin => payload,
            _ => {
                let mut partial = Partial::new();
                partial.begin(header);
                self.partial = Some(partial);
                *used = start;
                return Ok(None);
            }
        };
        mask::apply(payload, header.key);
        *used = start + header.len;
        let place = match header.opcode {
            opcode if opcode.is_control() => {
                self.closed = check_control(opcode, payload)?;
                Place::Buffer(start..*used)
            }
            opcode if header.compressed => {
                self.inflate(opcode, payload, policy, inflater)?;
                Place::Inflated
            }
            opcode => {
                check_text(opcode, payload)?;
                Place::Buffer(start..*used)
            }
        };
        Ok(Some((header.opcode, place)))
    }

    /// Inflates a message into the shard's buffer, with the connection's own context if the client
    /// keeps one.
    fn inflate(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        policy: &Policy,
        inflater: &mut Inflater,
    ) -> Result<(), CloseError> {
        let limit = policy.message_bytes_max;
        match policy.deflate {
            Some(agreed) if !agreed.client_no_context_takeover => {
                let context = self.context.get_or_insert_with(|| {
                    Box::new(deflate::inflate_context(agreed.client_max_window_bits))
                });
                inflater.inflate_with(context, payload, limit)?;
            }
            _ => inflater.inflate(payload, limit)?,
        }
        check_text(opcode, inflater.output())
    }

    fn bytes<'a>(
        &'a mut self,
        place: Place,
        buffer: &'a mut [u8],
        inflater: &'a mut Inflater,
    ) -> &'a mut [u8] {
        match (place, &mut self.partial) {
            (Place::Buffer(range), _) => buffer.get_mut(range).unwrap_or_default(),
            (Place::Control, Some(partial)) => partial.control(),
            (Place::Assembled, Some(partial)) => &mut partial.data,
            (Place::Inflated, _) => inflater.output(),
            (Place::Control | Place::Assembled, None) => &mut [],
        }
    }
}

fn check_text(opcode: Opcode, payload: &[u8]) -> Result<(), CloseError> {
    if opcode == Opcode::Text && simdutf8::basic::from_utf8(payload).is_err() {
        return Err(CloseError::content("text is not UTF-8"));
    }
    Ok(())
}

/// Checks a control frame's payload; true when it closes the connection (RFC 6455, 5.5.1).
fn check_control(opcode: Opcode, payload: &[u8]) -> Result<bool, CloseError> {
    if opcode != Opcode::Close {
        return Ok(false);
    }
    match payload {
        [] => Ok(true),
        [_] => Err(CloseError::protocol("close frame of one byte")),
        [high, low, reason @ ..] => {
            if !is_close_code(u16::from_be_bytes([*high, *low])) {
                return Err(CloseError::protocol("close code must not be sent"));
            }
            simdutf8::basic::from_utf8(reason)
                .map_err(|_| CloseError::content("close reason is not UTF-8"))?;
            Ok(true)
        }
    }
}

fn lend(opcode: Opcode, bytes: &mut [u8]) -> Incoming<'_> {
    match opcode {
        Opcode::Text => Incoming::Text(bytes),
        Opcode::Binary | Opcode::Continuation => Incoming::Binary(bytes),
        Opcode::Ping => Incoming::Ping(bytes),
        Opcode::Pong => Incoming::Pong(bytes),
        Opcode::Close => match bytes {
            [high, low, reason @ ..] => {
                Incoming::Close { code: Some(u16::from_be_bytes([*high, *low])), reason }
            }
            _ => Incoming::Close { code: None, reason: &[] },
        },
    }
}

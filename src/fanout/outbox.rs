//! The bounded output of one connection within a turn.

use super::palette::{BodyList, Palette, Piece, Span};
use crate::wire::ws::Opcode;

/// The connection has more queued than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// What one connection holds across turns for its output, in the fewest bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutState {
    /// Bytes queued: this turn's pieces and the backlog.
    pub queued: usize,
    /// Ends the connection with this code after what is queued.
    pub close: Option<u16>,
    /// The limit was passed by a frame that could not be refused.
    pub overflowed: bool,
}

/// See the module's page.
#[derive(Debug)]
pub struct Outbox<'a> {
    /// Where to encode.
    pub palette: &'a mut Palette,
    pieces: &'a mut Vec<Piece>,
    state: &'a mut OutState,
    limit: usize,
}

impl<'a> Outbox<'a> {
    /// Joins the parts; `limit` in bytes.
    pub fn new(
        palette: &'a mut Palette,
        pieces: &'a mut Vec<Piece>,
        state: &'a mut OutState,
        limit: usize,
    ) -> Self {
        Self { palette, pieces, state, limit }
    }

    /// Bytes queued.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.state.queued
    }

    /// Whether less than half of the limit is queued, and so more may be read for it.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state.queued < self.limit / 2 && self.state.close.is_none()
    }

    /// A text frame.
    pub fn text(&mut self, payload: &[u8]) {
        let span = self.palette.frame(Opcode::Text, payload);
        self.push(Piece::Own(span));
    }

    /// A binary frame.
    pub fn binary(&mut self, payload: &[u8]) {
        let span = self.palette.frame(Opcode::Binary, payload);
        self.push(Piece::Own(span));
    }

    /// A control frame of at most 125 bytes.
    pub fn pong(&mut self, payload: &[u8]) {
        let span = self.palette.frame(Opcode::Pong, payload);
        self.push(Piece::Own(span));
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        let span = self.palette.raw(bytes);
        self.push(Piece::Own(span));
    }

    /// Bytes appended by `write`.
    pub fn raw_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let span = self.palette.raw_with(write);
        self.push(Piece::Own(span));
    }

    /// A frame of this connection alone that it may refuse.
    ///
    /// # Errors
    /// The limit would be passed, or the connection is closing; nothing was queued.
    pub fn try_frame(&mut self, binary: bool, payload: &[u8]) -> Result<(), Overflow> {
        if self.refuses(payload.len()) {
            return Err(Overflow);
        }
        if binary {
            self.binary(payload)
        } else {
            self.text(payload)
        }
        Ok(())
    }

    /// Frames that several connections get.
    ///
    /// # Errors
    /// As [`Outbox::try_frame`].
    pub fn shared(&mut self, span: Span) -> Result<(), Overflow> {
        if self.refuses(span.len()) {
            return Err(Overflow);
        }
        self.push(Piece::Shared(span));
        Ok(())
    }

    /// One text frame for each body of `list`, with `tail` appended to each.
    pub fn tailed(&mut self, list: BodyList, tail: &[u8]) {
        let tail = self.palette.raw(tail);
        self.push(Piece::Tailed(list, tail));
    }

    /// Queues a close frame and ends the connection after it.
    pub fn close(&mut self, code: u16, reason: &str) {
        if self.state.close.is_some() {
            return;
        }
        let span = self.palette.raw_with(|out| {
            crate::wire::ws::encode::close(out, Some(code), reason);
        });
        self.push(Piece::Own(span));
        self.state.close = Some(code);
    }

    fn refuses(&self, bytes: usize) -> bool {
        self.state.close.is_some()
            || (self.state.queued > 0 && self.state.queued + bytes > self.limit)
    }

    fn push(&mut self, piece: Piece) {
        if self.state.close.is_some() {
            return;
        }
        let queued = self.state.queued + Palette::weight(piece);
        self.state.overflowed |= queued > self.limit;
        self.state.queued = queued;
        if let Some(last) = self.pieces.last_mut()
            && let Some(joined) = Piece::joined(*last, piece)
        {
            *last = joined;
            return;
        }
        self.pieces.push(piece);
    }
}

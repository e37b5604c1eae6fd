//! UTF-8 of text that arrives in pieces (RFC 3629): refuses at the first octet that cannot be.
//!
//! Method: between pieces only the unfinished sequence is remembered, as the number of octets it
//! lacks and the range the next one must lie in. Whole stretches go to simdutf8.
//!
//! Invariant: the verdict does not depend on where the text was cut.
//!
//! Cost: three bytes of state; memory speed for long pieces, about a nanosecond an octet at seams.

/// Checks one text piece by piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8 {
    /// Octets that the sequence under way still lacks.
    lacking: u8,
    /// Least value of the next octet.
    low: u8,
    /// Greatest value of the next octet.
    high: u8,
}

/// The text is not UTF-8, whatever may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

impl Default for Utf8 {
    fn default() -> Self {
        Self::new()
    }
}

impl Utf8 {
    /// The start of a text.
    pub const fn new() -> Self {
        Self { lacking: 0, low: 0x80, high: 0xbf }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`NotUtf8`] when an octet of it can belong to no UTF-8 text: overlong forms, surrogates and
    /// values over U+10FFFF at their second octet, stray and missing continuations at once.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NotUtf8> {
        let mut rest = piece;
        while self.lacking > 0 {
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            self.step(byte)?;
            rest = after;
        }
        let Err(error) = simdutf8::compat::from_utf8(rest) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(NotUtf8);
        }
        // Cut inside a sequence: at most three octets are left.
        for &byte in rest.get(error.valid_up_to()..).unwrap_or_default() {
            self.step(byte)?;
        }
        Ok(())
    }

    /// Ends the text.
    ///
    /// # Errors
    /// [`NotUtf8`] when a sequence is unfinished.
    pub fn finish(&self) -> Result<(), NotUtf8> {
        if self.lacking == 0 { Ok(()) } else { Err(NotUtf8) }
    }

    fn step(&mut self, byte: u8) -> Result<(), NotUtf8> {
        if self.lacking > 0 {
            if !(self.low..=self.high).contains(&byte) {
                return Err(NotUtf8);
            }
            *self = Self { lacking: self.lacking - 1, ..Self::new() };
            return Ok(());
        }
        let (lacking, low, high) = match byte {
            0x00..=0x7f => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xe1..=0xec | 0xee..=0xef => (2, 0x80, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return Err(NotUtf8),
        };
        *self = Self { lacking, low, high };
        Ok(())
    }
}

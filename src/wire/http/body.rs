//! Request bodies as they arrive: counted, or chunked (RFC 9112, 6 and 7.1).
//!
//! Method: a state machine; chunk framing octet by octet, data in slices. Strict where two parsers
//! could differ: CRLF only, hexadecimal sizes that fit, no blanks around them.
//!
//! Invariant: at most `limit` bytes are ever appended, and the reader uses no byte after the body.
//!
//! Cost: 32 bytes of state, one copy of the data into the caller's vector.

use super::HttpError;
use super::target::hex_digit;
use crate::limits::HTTP_HEAD_BYTES_MAX;

/// Bytes of one chunk's extensions that are read over; more is refused.
const CHUNK_EXTENSION_BYTES_MAX: u32 = 256;

/// How a request says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// No body.
    None,
    /// `Content-Length`, bytes.
    Bytes(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Takes one body out of the byte stream.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// Bytes that may still be appended.
    room: u64,
    /// Bytes of the extension or of the trailers read so far.
    ignored: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Counted { left: u64 },
    Size { value: u64, digits: u8 },
    Extension { value: u64 },
    SizeLineFeed { value: u64 },
    Data { left: u64 },
    DataReturn,
    DataLineFeed,
    Trailer { line_empty: bool },
    TrailerLineFeed { line_empty: bool },
    Complete,
}

impl BodyReader {
    /// A reader for a body framed by `length`, of at most `limit` bytes.
    ///
    /// # Errors
    /// 413 when the announced length is over `limit`.
    pub fn new(length: BodyLength, limit: u64) -> Result<Self, HttpError> {
        let state = match length {
            BodyLength::None | BodyLength::Bytes(0) => State::Complete,
            BodyLength::Bytes(left) if left > limit => return Err(too_large()),
            BodyLength::Bytes(left) => State::Counted { left },
            BodyLength::Chunked => State::Size { value: 0, digits: 0 },
        };
        Ok(Self { state, room: limit, ignored: 0 })
    }

    /// Takes bytes from `input` and appends what is body to `body`. Returns how many bytes were
    /// used, and whether the body is complete; what follows then belongs to the next request.
    /// The reader keeps the framing only, so each call may bring another `body` vector.
    ///
    /// # Errors
    /// 413 when the body grows past the limit, 400 for bad chunk syntax, 431 for trailers of more
    /// than [`HTTP_HEAD_BYTES_MAX`] bytes.
    pub fn feed(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<(usize, bool), HttpError> {
        let mut rest = input;
        while self.state != State::Complete {
            match self.state {
                State::Counted { left } => {
                    let left = self.take(left, &mut rest, body);
                    self.state = if left == 0 { State::Complete } else { State::Counted { left } };
                }
                State::Data { left } => {
                    let left = self.take(left, &mut rest, body);
                    self.state = if left == 0 { State::DataReturn } else { State::Data { left } };
                }
                state => {
                    let Some((&byte, after)) = rest.split_first() else { break };
                    rest = after;
                    self.state = self.step(state, byte)?;
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        Ok((input.len() - rest.len(), self.state == State::Complete))
    }

    /// Moves up to `left` bytes; returns how many are still to come.
    fn take(&mut self, left: u64, rest: &mut &[u8], body: &mut Vec<u8>) -> u64 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        let (data, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        body.extend_from_slice(data);
        *rest = after;
        self.room = self.room.saturating_sub(count as u64);
        left - count as u64
    }

    /// One octet of chunk framing.
    fn step(&mut self, state: State, byte: u8) -> Result<State, HttpError> {
        match (state, byte) {
            (State::Size { value, digits: 1.. }, b'\r') => self.sized(value),
            (State::Size { value, digits: 1.. }, b';') => {
                self.ignored = 0;
                Ok(State::Extension { value })
            }
            (State::Size { value, digits }, byte) => {
                let digit = hex_digit(byte).ok_or(bad("bad chunk size"))?;
                if digits == 16 {
                    return Err(bad("chunk size too long"));
                }
                Ok(State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
            }
            (State::Extension { value }, b'\r') => self.sized(value),
            (State::Extension { value }, byte) => {
                self.ignore(byte, CHUNK_EXTENSION_BYTES_MAX, bad("chunk extension too long"))?;
                Ok(State::Extension { value })
            }
            (State::SizeLineFeed { value: 0 }, b'\n') => {
                self.ignored = 0;
                Ok(State::Trailer { line_empty: true })
            }
            (State::SizeLineFeed { value }, b'\n') => Ok(State::Data { left: value }),
            (State::DataReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::Size { value: 0, digits: 0 }),
            (State::Trailer { line_empty }, b'\r') => Ok(State::TrailerLineFeed { line_empty }),
            (State::Trailer { .. }, byte) => {
                let long = HttpError::new(431, "trailers too large");
                self.ignore(byte, HTTP_HEAD_BYTES_MAX as u32, long)?;
                Ok(State::Trailer { line_empty: false })
            }
            (State::TrailerLineFeed { line_empty: true }, b'\n') => Ok(State::Complete),
            (State::TrailerLineFeed { line_empty: false }, b'\n') => {
                Ok(State::Trailer { line_empty: true })
            }
            _ => Err(bad("bad chunk framing")),
        }
    }

    /// The size of a chunk is known: refuse it here, before any of its bytes.
    fn sized(&self, value: u64) -> Result<State, HttpError> {
        if value > self.room { Err(too_large()) } else { Ok(State::SizeLineFeed { value }) }
    }

    /// Reads over one octet of what nobody uses, up to `limit` of them.
    fn ignore(&mut self, byte: u8, limit: u32, long: HttpError) -> Result<(), HttpError> {
        if byte != b'\t' && byte.is_ascii_control() {
            return Err(bad("control character in chunk framing"));
        }
        self.ignored += 1;
        if self.ignored > limit { Err(long) } else { Ok(()) }
    }
}

fn bad(reason: &'static str) -> HttpError {
    HttpError::new(400, reason)
}

fn too_large() -> HttpError {
    HttpError::new(413, "request body too large")
}

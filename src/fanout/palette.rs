//! What was encoded in this turn.

use crate::model::interest::Memo;
use crate::wire::ws::{Opcode, encode};
use ahash::AHashMap;

/// Bytes of a palette after which the turn flushes before it goes on.
pub const PALETTE_BYTES_MAX: usize = 4 << 20;
/// Capacity kept between turns.
const PALETTE_BYTES_KEPT: usize = 1 << 20;

/// A range of one of the palette's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    length: u32,
}

impl Span {
    fn of(start: usize, end: usize) -> Self {
        Self { start: start as u32, length: (end - start) as u32 }
    }

    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.length) as usize
    }

    /// Bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.length as usize
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// Bodies encoded once, to be framed for each subscription with a tail of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyList {
    first: u32,
    count: u32,
    bytes: u32,
}

impl BodyList {
    /// Bytes of all bodies.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.bytes as usize
    }

    /// Number of bodies.
    #[must_use]
    pub fn count(self) -> usize {
        self.count as usize
    }
}

/// Something one connection gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Whole frames (or HTTP bytes) made for this connection.
    Own(Span),
    /// Whole frames that several connections get.
    Shared(Span),
    /// One text frame for each body, `tail` appended to each.
    Tailed(BodyList, Span),
}

/// Names a list of bodies within a turn: encoding, topic, first offset.
pub type ListKey = (u8, u32, u64);

/// See the module's page.
#[derive(Debug, Default)]
pub struct Palette {
    own: Vec<u8>,
    shared: Vec<u8>,
    bodies: Vec<Span>,
    lists: AHashMap<ListKey, BodyList>,
    /// For a session to build a payload in before it is framed.
    pub scratch: Vec<u8>,
    /// What sessions worked out in this turn and others may use.
    pub memo: Memo,
}

impl Palette {
    /// Bytes encoded in this turn.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.own.len() + self.shared.len()
    }

    /// Whether the turn should flush before it encodes more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes() > PALETTE_BYTES_MAX || self.bodies.len() > (1 << 20)
    }

    /// Forgets everything; pieces made before are void.
    pub fn clear(&mut self) {
        for buffer in [&mut self.own, &mut self.shared] {
            buffer.clear();
            buffer.shrink_to(PALETTE_BYTES_KEPT);
        }
        self.bodies.clear();
        self.bodies.shrink_to(PALETTE_BYTES_KEPT / 64);
        self.lists.clear();
        self.memo = Memo::default();
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> Span {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        Span::of(start, self.own.len())
    }

    /// Bytes appended by `write`, for one connection.
    pub fn raw_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.own.len();
        write(&mut self.own);
        Span::of(start, self.own.len())
    }

    /// A whole frame for one connection.
    pub fn frame(&mut self, opcode: Opcode, payload: &[u8]) -> Span {
        let start = self.own.len();
        encode::header(&mut self.own, opcode, false, payload.len());
        self.own.extend_from_slice(payload);
        Span::of(start, self.own.len())
    }

    /// A whole frame for several connections. Frames made one after another are one contiguous
    /// span.
    pub fn shared_frame(&mut self, opcode: Opcode, payload: &[u8]) -> Span {
        let start = self.shared.len();
        encode::header(&mut self.shared, opcode, false, payload.len());
        self.shared.extend_from_slice(payload);
        Span::of(start, self.shared.len())
    }

    /// The frames of a shared span once more, each payload compressed by `compress`, which appends
    /// to its second argument and says whether it could.
    pub fn compressed(
        &mut self,
        span: Span,
        mut compress: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Option<Span> {
        let frames = self.shared.get(span.range())?.to_vec();
        let start = self.shared.len();
        let mut payload = Vec::new();
        let mut rest = &frames[..];
        while let Some((opcode, plain, after)) = split_frame(rest) {
            payload.clear();
            if !compress(plain, &mut payload) {
                self.shared.truncate(start);
                return None;
            }
            encode::header(&mut self.shared, opcode, true, payload.len());
            self.shared.extend_from_slice(&payload);
            rest = after;
        }
        Some(Span::of(start, self.shared.len()))
    }

    /// The list named `key`, made by `encode` (which appends one body for each call of its
    /// argument's [`BodyWriter::body`]) if this turn has not made it yet. `None` as key: never
    /// shared.
    pub fn list(
        &mut self,
        key: Option<ListKey>,
        encode: impl FnOnce(&mut BodyWriter<'_>),
    ) -> BodyList {
        if let Some(list) = key.and_then(|key| self.lists.get(&key)) {
            return *list;
        }
        let first = self.bodies.len();
        let start = self.shared.len();
        encode(&mut BodyWriter { buffer: &mut self.shared, bodies: &mut self.bodies });
        let list = BodyList {
            first: first as u32,
            count: (self.bodies.len() - first) as u32,
            bytes: (self.shared.len() - start) as u32,
        };
        if let Some(key) = key {
            self.lists.insert(key, list);
        }
        list
    }

    /// Bytes that `piece` puts on the wire, within ten for each frame.
    #[must_use]
    pub fn weight(piece: Piece) -> usize {
        match piece {
            Piece::Own(span) | Piece::Shared(span) => span.len(),
            Piece::Tailed(list, tail) => list.bytes() + list.count() * (tail.len() + 4),
        }
    }

    /// The bytes of a piece that is contiguous as it stands.
    #[must_use]
    pub fn contiguous(&self, piece: Piece) -> Option<&[u8]> {
        match piece {
            Piece::Own(span) => self.own.get(span.range()),
            Piece::Shared(span) => self.shared.get(span.range()),
            Piece::Tailed(..) => None,
        }
    }

    /// Appends what `piece` puts on the wire; `frame` is told the length of each tailed frame.
    pub fn write(&self, piece: Piece, out: &mut Vec<u8>, mut frame: impl FnMut(usize)) {
        match piece {
            Piece::Own(_) | Piece::Shared(_) => {
                out.extend_from_slice(self.contiguous(piece).unwrap_or_default());
            }
            Piece::Tailed(list, tail) => {
                let tail = self.own.get(tail.range()).unwrap_or_default();
                let bodies = list.first as usize..(list.first + list.count) as usize;
                out.reserve(Self::weight(piece) + list.count() * 6);
                for body in self.bodies.get(bodies).unwrap_or_default() {
                    let body = self.shared.get(body.range()).unwrap_or_default();
                    let before = out.len();
                    encode::header(out, Opcode::Text, false, body.len() + tail.len());
                    out.extend_from_slice(body);
                    out.extend_from_slice(tail);
                    frame(out.len() - before);
                }
            }
        }
    }
}

/// Takes one of our own data frames off `bytes`: what it is, its payload, the rest.
fn split_frame(bytes: &[u8]) -> Option<(Opcode, &[u8], &[u8])> {
    let opcode = if bytes.first()? & 0xF == 1 { Opcode::Text } else { Opcode::Binary };
    let (start, length) = match bytes.get(1)? {
        126 => (4, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        short => (2, u64::from(*short)),
    };
    let end = start + usize::try_from(length).ok()?;
    Some((opcode, bytes.get(start..end)?, bytes.get(end..)?))
}

/// Appends bodies to a list.
#[derive(Debug)]
pub struct BodyWriter<'a> {
    buffer: &'a mut Vec<u8>,
    bodies: &'a mut Vec<Span>,
}

impl BodyWriter<'_> {
    /// Appends one body, written by `write`.
    pub fn body(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        write(self.buffer);
        self.bodies.push(Span::of(start, self.buffer.len()));
    }
}

impl Piece {
    /// Both as one, if the second follows the first in the same buffer.
    #[must_use]
    pub fn joined(first: Piece, second: Piece) -> Option<Piece> {
        let join = |a: Span, b: Span| {
            (a.start + a.length == b.start)
                .then_some(Span { start: a.start, length: a.length + b.length })
        };
        match (first, second) {
            (Piece::Own(a), Piece::Own(b)) => join(a, b).map(Piece::Own),
            (Piece::Shared(a), Piece::Shared(b)) => join(a, b).map(Piece::Shared),
            _ => None,
        }
    }
}

impl Span {
    /// Both as one, if `next` follows directly.
    #[must_use]
    pub fn extended(self, next: Span) -> Option<Span> {
        (self.start + self.length == next.start)
            .then_some(Span { start: self.start, length: self.length + next.length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_frames_carry_the_same_payloads() {
        let mut palette = Palette::default();
        palette.raw(b"before");
        let long = vec![b'x'; 70_000];
        let payloads: [&[u8]; 4] = [b"one", &[0; 300], b"", &long];
        let mut span: Option<Span> = None;
        for payload in payloads {
            let next = palette.shared_frame(Opcode::Text, payload);
            span = Some(span.map_or(next, |span| span.extended(next).unwrap()));
        }
        // "Compression" that keeps the payload shows the framing.
        let copy = |plain: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(plain);
            true
        };
        let made = palette.compressed(span.unwrap(), copy).unwrap();
        let mut rest = palette.contiguous(Piece::Shared(made)).unwrap();
        for payload in payloads {
            assert_eq!(rest[0], 0b1100_0001, "final, compressed, text");
            let (_, found, after) = split_frame(rest).unwrap();
            assert_eq!(found, payload);
            rest = after;
        }
        assert!(rest.is_empty());
        assert!(palette.compressed(span.unwrap(), |_, _| false).is_none());
    }

    #[test]
    fn tailed_bodies_are_framed_each_with_its_tail() {
        let mut palette = Palette::default();
        let list = palette.list(Some((1, 2, 3)), |bodies| {
            bodies.body(|b| b.extend_from_slice(b"{\"a\":1"));
            bodies.body(|b| b.extend_from_slice(&[b'y'; 200]));
        });
        assert_eq!(palette.list(Some((1, 2, 3)), |_| panic!("encoded twice")), list);
        let tail = palette.raw(b"}");
        let mut out = Vec::new();
        let mut lengths = Vec::new();
        palette.write(Piece::Tailed(list, tail), &mut out, |length| lengths.push(length));
        assert_eq!(lengths.iter().sum::<usize>(), out.len());
        let (_, first, rest) = split_frame(&out).unwrap();
        assert_eq!(first, b"{\"a\":1}");
        assert_eq!(split_frame(rest).unwrap().1.len(), 201);
        assert!(Palette::weight(Piece::Tailed(list, tail)) + 20 >= out.len());
    }
}

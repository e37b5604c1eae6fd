//! Tests of `wire`: tables of bytes through a few helpers, every stream cut at every place.

mod conversation;
mod deflate;
mod fuzz;
mod http;
mod negotiate;
mod oracle;
mod small;
mod violations;

use super::ws::deflate::{Agreed, Inflater};
use super::ws::{Decoder, Incoming, Policy, mask};

/// Deterministic random numbers (xorshift64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 24) as u8).collect()
    }
}

/// A message or control frame that outlives its buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owned {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Vec<u8>),
}

impl From<Incoming<'_>> for Owned {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(bytes) => Self::Text(bytes.to_vec()),
            Incoming::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Incoming::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Incoming::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Incoming::Close { code, reason } => Self::Close(code, reason.to_vec()),
        }
    }
}

/// What a stream came to: what was decoded, and the close code if it was refused.
pub(super) type Outcome = (Vec<Owned>, Option<u16>);

pub(super) const PLAIN: Policy = Policy { message_bytes_max: 1 << 20, deflate: None };

pub(super) fn compressed(agreed: Agreed) -> Policy {
    Policy { message_bytes_max: 1 << 20, deflate: Some(agreed) }
}

/// A client frame: `first` is the first octet; the length takes its shortest form.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let key = [0x12, 0x34, 0x56, payload.len() as u8];
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut out[start..], key);
    out
}

/// Decodes `pieces` one after the other.
pub(super) fn decode<'a>(policy: &Policy, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new();
    let mut inflater = Inflater::new();
    let mut seen = Vec::new();
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let mut used = 0;
        loop {
            match decoder.next(&mut buffer, &mut used, policy, &mut inflater) {
                Ok(Some(incoming)) => seen.push(Owned::from(incoming)),
                Ok(None) => break,
                Err(error) => return (seen, Some(error.code)),
            }
        }
        assert_eq!(used, buffer.len());
    }
    (seen, None)
}

/// Decodes `stream` whole, in single octets, and in two pieces cut at every place, demands the same
/// outcome each time, and returns it.
pub(super) fn decode_every_way(policy: &Policy, stream: &[u8]) -> Outcome {
    let whole = decode(policy, std::iter::once(stream));
    assert_eq!(decode(policy, stream.chunks(1)), whole, "octet by octet");
    assert_eq!(decode(policy, stream.chunks(3)), whole, "in threes");
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(decode(policy, [head, tail].into_iter()), whole, "cut at {cut}");
    }
    whole
}

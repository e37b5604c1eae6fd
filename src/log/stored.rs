//! What is archived: one rkyv type for each kind of record, and the way between it and the model.
//!
//! Method: the kind stands in the record header, so that a new kind changes no older archive. The
//! archived types hold plain numbers and byte vectors only; `unaligned` lets them lie anywhere.
//! Cost: the bytes of the content and 16 to 40 more; encoding copies once, decoding not at all.

use std::mem::MaybeUninit;

use rkyv::api::low::to_bytes_in_with_alloc;
use rkyv::rancor::Failure;
use rkyv::ser::allocator::SubAllocator;
use rkyv::with::InlineAsBox;
use rkyv::{Archive, Serialize};

use super::format::Fault;
use crate::model::flow::Derivation;
use crate::model::record::{Body, Record, TimeNs};

/// Kinds of records, as they stand in the record header.
pub mod kind {
    /// [`super::Stored::Epoch`]: a mark, takes no offset.
    pub const EPOCH: u8 = 1;
    /// A JSON text.
    pub const JSON: u8 = 2;
    /// A WebSocket message.
    pub const FRAME: u8 = 3;
    /// Something that happened to a client.
    pub const LIFECYCLE: u8 = 4;
    /// An entry of the catalog.
    pub const ENTRY: u8 = 5;
    /// A JSON text that a flow made.
    pub const DERIVED: u8 = 6;
    /// Typed rows.
    pub const ROWS: u8 = 7;
}

#[derive(Archive, Serialize)]
struct Json<'a> {
    producer: u64,
    #[rkyv(with = InlineAsBox)]
    json: &'a [u8],
}

#[derive(Archive, Serialize)]
struct Frame<'a> {
    producer: u64,
    binary: bool,
    #[rkyv(with = InlineAsBox)]
    bytes: &'a [u8],
    #[rkyv(with = InlineAsBox)]
    context: &'a [u8],
    #[rkyv(with = InlineAsBox)]
    event: &'a [u8],
}

#[derive(Archive, Serialize)]
struct Lifecycle<'a> {
    producer: u64,
    #[rkyv(with = InlineAsBox)]
    json: &'a [u8],
    #[rkyv(with = InlineAsBox)]
    context: &'a [u8],
}

#[derive(Archive, Serialize)]
struct Derived<'a> {
    producer: u64,
    flow: u64,
    offset: u64,
    ordinal: u32,
    #[rkyv(with = InlineAsBox)]
    json: &'a [u8],
}

#[derive(Archive, Serialize)]
struct Rows<'a> {
    producer: u64,
    #[rkyv(with = InlineAsBox)]
    rows: &'a [u8],
}

#[derive(Archive, Serialize)]
struct Entry<'a> {
    family: u8,
    dead: bool,
    #[rkyv(with = InlineAsBox)]
    key: &'a [u8],
    #[rkyv(with = InlineAsBox)]
    value: &'a [u8],
}

/// The content of a record as the log knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// A new epoch begins behind this record.
    Epoch,
    /// A record of the model.
    Record(Record<'a>),
    /// An entry of the catalog; no value: it is deleted.
    Entry {
        /// What the key names.
        family: u8,
        /// Its key.
        key: &'a [u8],
        /// Its value.
        value: Option<&'a [u8]>,
    },
}

impl Stored<'_> {
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Epoch => kind::EPOCH,
            Self::Entry { .. } => kind::ENTRY,
            Self::Record(record) => match record.body {
                Body::Json(_) => kind::JSON,
                Body::Derived { .. } => kind::DERIVED,
                Body::Frame { .. } => kind::FRAME,
                Body::Lifecycle { .. } => kind::LIFECYCLE,
                Body::Rows(_) => kind::ROWS,
            },
        }
    }

    /// Bytes of the content, without headers.
    pub(super) fn content_bytes(&self) -> usize {
        match self {
            Self::Epoch => 0,
            Self::Entry { key, value, .. } => key.len() + value.map_or(0, <[u8]>::len),
            Self::Record(record) => match record.body {
                Body::Json(json) | Body::Derived { json, .. } | Body::Rows(json) => json.len(),
                Body::Frame { bytes, context, event, .. } => {
                    bytes.len() + context.len() + event.len()
                }
                Body::Lifecycle { json, context } => json.len() + context.len(),
            },
        }
    }

    /// Appends the archive; `false` (and `out` as it was) if it cannot be encoded.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        let mut scratch = [MaybeUninit::<u8>::uninit(); 16];
        let scratch = SubAllocator::new(&mut scratch);
        macro_rules! archive {
            ($value:expr) => {
                to_bytes_in_with_alloc::<_, _, Failure>(&$value, &mut *out, scratch).is_ok()
            };
        }
        let done = match *self {
            Self::Epoch => true,
            Self::Entry { family, key, value } => archive!(Entry {
                family,
                dead: value.is_none(),
                key,
                value: value.unwrap_or_default()
            }),
            Self::Record(Record { producer, body, .. }) => match body {
                Body::Json(json) => archive!(Json { producer, json }),
                Body::Rows(rows) => archive!(Rows { producer, rows }),
                Body::Derived { json, flow, from: Derivation { offset, ordinal } } => {
                    archive!(Derived { producer, flow, offset, ordinal, json })
                }
                Body::Frame { binary, bytes, context, event } => {
                    archive!(Frame { producer, binary, bytes, context, event })
                }
                Body::Lifecycle { json, context } => {
                    archive!(Lifecycle { producer, json, context })
                }
            },
        };
        if !done {
            out.truncate(before);
        }
        done
    }
}

/// Reads an archive whose CRC was checked; what it holds is validated all the same.
///
/// # Errors
/// [`Fault::Content`] for an unknown kind and for bytes that are not of their kind.
pub fn decode(kind: u8, time: TimeNs, payload: &[u8]) -> Result<Stored<'_>, Fault> {
    decode_inner(kind, time, payload).ok_or(Fault::Content)
}

fn decode_inner(kind: u8, time: TimeNs, payload: &[u8]) -> Option<Stored<'_>> {
    let record = |producer, body| Stored::Record(Record { time, producer, body });
    Some(match kind {
        kind::EPOCH if payload.is_empty() => Stored::Epoch,
        kind::JSON => {
            let it = rkyv::access::<ArchivedJson<'_>, Failure>(payload).ok()?;
            record(it.producer.into(), Body::Json(it.json.get()))
        }
        kind::DERIVED => {
            let it = rkyv::access::<ArchivedDerived<'_>, Failure>(payload).ok()?;
            let from = Derivation { offset: it.offset.into(), ordinal: it.ordinal.into() };
            let body = Body::Derived { json: it.json.get(), flow: it.flow.into(), from };
            record(it.producer.into(), body)
        }
        kind::ROWS => {
            let it = rkyv::access::<ArchivedRows<'_>, Failure>(payload).ok()?;
            record(it.producer.into(), Body::Rows(it.rows.get()))
        }
        kind::FRAME => {
            let it = rkyv::access::<ArchivedFrame<'_>, Failure>(payload).ok()?;
            let body = Body::Frame {
                binary: it.binary,
                bytes: it.bytes.get(),
                context: it.context.get(),
                event: it.event.get(),
            };
            record(it.producer.into(), body)
        }
        kind::LIFECYCLE => {
            let it = rkyv::access::<ArchivedLifecycle<'_>, Failure>(payload).ok()?;
            let body = Body::Lifecycle { json: it.json.get(), context: it.context.get() };
            record(it.producer.into(), body)
        }
        kind::ENTRY => {
            let it = rkyv::access::<ArchivedEntry<'_>, Failure>(payload).ok()?;
            let value = (!it.dead).then(|| it.value.get());
            Stored::Entry { family: it.family, key: it.key.get(), value }
        }
        _ => return None,
    })
}

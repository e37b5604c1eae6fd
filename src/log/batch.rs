//! Records appended in one turn: encoded one behind another in the form they have in the file.
//!
//! Method: each record is encoded where it stays; the turn's end freezes the buffer, and from then
//! on the same bytes are written to the file, sent to live subscribers and, if a write fails,
//! written again. Cost: one copy of the content, two CRCs, 4 bytes of position for each record.

use std::ops::Range;
use std::sync::Arc;

use super::disk::Extent;
use super::format::{FLAG_CONTINUES, FLAG_JOINED, RECORD_ALIGN, RECORD_HEADER_BYTES, RecordHeader};
use super::scan::record_at;
use super::stored::{self, Stored};
use super::view::SegmentView;
use crate::model::record::{Offset, Record, TimeNs};

/// Buffers larger than this are not kept for the next turn.
const KEEP_BYTES_MAX: usize = 4 << 20;
/// Bytes that an archive adds to its content at most.
pub(super) const ARCHIVE_EXTRA_BYTES: usize = 64;

/// The frozen records of one turn; offsets follow one another.
#[derive(Debug)]
pub struct Batch {
    bytes: Arc<Vec<u8>>,
    starts: Vec<u32>,
    first: Offset,
}

impl Batch {
    /// Offset of the first record.
    #[must_use]
    pub fn first(&self) -> Offset {
        self.first
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none; a batch that was handed out has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes as in the file.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// A record by its place in the batch.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(Offset, Record<'_>)> {
        let rest = self.bytes.get(*self.starts.get(index)? as usize..)?;
        let header = RecordHeader::decode_unchecked(rest)?;
        Some((header.offset, decode_unchecked(&header, rest)?))
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = (Offset, Record<'_>)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    pub(super) fn header(&self, index: usize) -> Option<RecordHeader> {
        RecordHeader::decode_unchecked(self.bytes.get(*self.starts.get(index)? as usize..)?)
    }

    /// Where a record starts; the end of the bytes for the one behind the last.
    pub(super) fn start(&self, index: usize) -> usize {
        self.starts.get(index).map_or(self.bytes.len(), |start| *start as usize)
    }

    pub(super) fn extent(&self, bytes: Range<usize>) -> Extent {
        Extent::new(Arc::clone(&self.bytes), bytes)
    }

    /// The greatest index in `records` such that whole appends up to it take at most `room` bytes.
    pub(super) fn split(&self, records: Range<usize>, room: usize) -> usize {
        let start = self.start(records.start);
        if self.start(records.end) - start <= room {
            return records.end;
        }
        let limit = start + room;
        let within = self.starts.get(records.clone()).unwrap_or_default();
        // The record at `fit` starts within the limit; the one before it ends there.
        let fit = within.partition_point(|at| *at as usize <= limit).saturating_sub(1);
        let mut index = records.start + fit;
        while index > records.start && self.joined(index) {
            index -= 1;
        }
        index
    }

    /// Bytes of the append that begins at `index`.
    pub(super) fn group_bytes(&self, index: usize) -> usize {
        let mut end = index + 1;
        while end < self.len() && self.joined(end) {
            end += 1;
        }
        self.start(end) - self.start(index)
    }

    fn joined(&self, index: usize) -> bool {
        self.header(index).is_some_and(|header| header.flags & FLAG_JOINED != 0)
    }
}

/// Decodes without CRC: only for bytes that this process encoded, or whose CRC it has checked.
pub(super) fn decode_unchecked<'a>(header: &RecordHeader, rest: &'a [u8]) -> Option<Record<'a>> {
    let end = RECORD_HEADER_BYTES + header.payload_bytes as usize;
    let payload = rest.get(RECORD_HEADER_BYTES..end)?;
    match stored::decode(header.kind, header.time, payload).ok()? {
        Stored::Record(record) => Some(record),
        Stored::Epoch | Stored::Entry { .. } => None,
    }
}

/// One record, held alive by what it lies in; small, shared between threads.
#[derive(Clone, Debug)]
pub enum RecordRef {
    /// In a batch still in memory.
    Batch(Arc<Batch>, u32),
    /// In a mapped segment, at that position behind its header.
    Mapped(Arc<SegmentView>, u32),
}

impl RecordRef {
    /// Offset and record; `None` only if the medium changed after the reference was made.
    #[must_use]
    pub fn get(&self) -> Option<(Offset, Record<'_>)> {
        match self {
            Self::Batch(batch, index) => batch.get(*index as usize),
            Self::Mapped(segment, at) => {
                let data = segment.data();
                let found = record_at(data, *at as usize, segment.seed()).ok()?;
                let record = decode_unchecked(&found.header, data.get(*at as usize..)?)?;
                Some((found.header.offset, record))
            }
        }
    }
}

/// The turn's buffer while it fills.
#[derive(Debug, Default)]
pub(super) struct Builder {
    bytes: Vec<u8>,
    starts: Vec<u32>,
    first: Offset,
}

/// What the headers of a partition's records have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub seed: u32,
    pub epoch: u32,
}

impl Builder {
    pub(super) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Encodes one append; `false` (and nothing added) if something cannot be encoded.
    pub(super) fn push<'a>(
        &mut self,
        stamp: Stamp,
        first: Offset,
        items: impl ExactSizeIterator<Item = (TimeNs, Stored<'a>)>,
    ) -> bool {
        let (bytes, records, count) = (self.bytes.len(), self.starts.len(), items.len());
        if records == 0 {
            self.first = first;
        }
        for (index, (time, stored)) in items.enumerate() {
            let joined = if index > 0 { FLAG_JOINED } else { 0 };
            let continues = if index + 1 < count { FLAG_CONTINUES } else { 0 };
            let start = u32::try_from(self.bytes.len());
            let offset = first + index as u64;
            let put = encode(&mut self.bytes, stamp, offset, joined | continues, time, &stored);
            let (Ok(start), true) = (start, put) else {
                self.bytes.truncate(bytes);
                self.starts.truncate(records);
                return false;
            };
            self.starts.push(start);
        }
        true
    }

    pub(super) fn freeze(&mut self, spare: Vec<u8>) -> Arc<Batch> {
        let bytes = Arc::new(std::mem::replace(&mut self.bytes, spare));
        let starts = std::mem::take(&mut self.starts);
        self.starts.reserve(starts.len().min(1024));
        Arc::new(Batch { bytes, starts, first: self.first })
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }
}

/// Takes the buffer out of a batch that nobody else holds, to be filled again.
pub(super) fn reclaim(batch: Arc<Batch>) -> Option<Vec<u8>> {
    let mut bytes = Arc::try_unwrap(Arc::into_inner(batch)?.bytes).ok()?;
    if bytes.capacity() > KEEP_BYTES_MAX {
        return None;
    }
    bytes.clear();
    Some(bytes)
}

/// Appends one record in the form of the file.
pub(super) fn encode(
    out: &mut Vec<u8>,
    stamp: Stamp,
    offset: Offset,
    flags: u8,
    time: TimeNs,
    stored: &Stored<'_>,
) -> bool {
    let start = out.len();
    out.reserve(RECORD_HEADER_BYTES + stored.content_bytes() + ARCHIVE_EXTRA_BYTES);
    out.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
    let body = out.len();
    let encoded = stored.encode(out);
    let Ok(payload_bytes) = u32::try_from(out.len() - body) else { return false };
    if !encoded {
        out.truncate(start);
        return false;
    }
    out.resize(out.len().next_multiple_of(RECORD_ALIGN), 0);
    let Stamp { seed, epoch } = stamp;
    let (kind, crc, payload_crc) = (stored.kind(), 0, 0);
    let header = RecordHeader { payload_bytes, epoch, kind, flags, offset, time, crc, payload_crc };
    let (head, padded) = out[start..].split_at_mut(RECORD_HEADER_BYTES);
    head.copy_from_slice(&header.encode(seed, padded));
    true
}

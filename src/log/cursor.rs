//! Reading a partition from an offset on, a chunk at a time.
//!
//! Method: a cursor keeps its segment and its position there, so that going on costs no search.
//! Each record's CRCs are checked when its chunk is made; a damaged one is stepped over and told.
//! Invariant: offsets ascend; what is passed over is counted. Cost: the CRC of what is read, 16
//! bytes for each record of a chunk, no copy of contents.

use std::ops::Range;
use std::sync::Arc;

use super::Corruption;
use super::batch::RecordRef;
use super::format::{Fault, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES};
use super::scan::{record_at, resync};
use super::stored::{self, Stored};
use super::view::{PartitionView, SegmentView, UpTo};
use crate::model::record::{Offset, Record};

/// A reader's place in a partition.
#[derive(Debug)]
pub struct Cursor {
    view: Arc<PartitionView>,
    next: Offset,
    place: Option<(Arc<SegmentView>, usize)>,
}

impl Cursor {
    /// A reader that begins at `offset`, or at the start of the partition if that is later.
    #[must_use]
    pub fn new(view: Arc<PartitionView>, offset: Offset) -> Self {
        Self { view, next: offset, place: None }
    }

    /// Offset that is read next.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.next
    }

    /// Goes on at an offset.
    pub fn rewind(&mut self, offset: Offset) {
        (self.next, self.place) = (offset, None);
    }

    /// The next records, about `limit_bytes` of them in the file but at least one; from one
    /// segment.
    ///
    /// `None`: there is nothing more yet. A chunk without records tells that something was skipped.
    pub fn next_batch(&mut self, limit_bytes: usize, up_to: UpTo) -> Option<Chunk> {
        let from = self.next;
        let end = self.view.end(up_to);
        let start = self.view.start();
        if self.next < start {
            (self.next, self.place) = (start, None);
        }
        if self.next >= end {
            return (self.next > from).then(|| Chunk::skip(from..self.next));
        }
        let (segment, at) = match self.place.take() {
            Some((segment, at)) if self.next < segment.end() => (segment, at),
            _ => {
                let Some(segment) = self.view.find(self.next) else {
                    // Offsets that were appended and reported as failed.
                    self.next = end;
                    return Some(Chunk::skip(from..end));
                };
                let at = segment.seek(self.next);
                (segment, at)
            }
        };
        let mut chunk = Chunk::skip(from..from);
        self.fill(&mut chunk, &segment, at, limit_bytes, end);
        if chunk.found.is_empty() {
            self.next = segment.end().clamp(self.next, end);
            self.place = None;
        }
        let first = chunk.found.first().map_or(self.next, |(offset, _)| *offset);
        chunk.skipped = first - from;
        chunk.segment = Some(segment);
        Some(chunk)
    }

    fn fill(
        &mut self,
        chunk: &mut Chunk,
        segment: &Arc<SegmentView>,
        mut at: usize,
        limit_bytes: usize,
        end: Offset,
    ) {
        let data = segment.data();
        let segment_end = segment.end();
        let hidden = self.view.hidden();
        let is_hidden = |offset: Offset| {
            let after = hidden.partition_point(|(from, _)| *from <= offset);
            after > 0 && hidden.get(after - 1).is_some_and(|(_, to)| offset < *to)
        };
        let mut bytes = 0;
        loop {
            at = segment.past_holes(at);
            if at >= data.len() || bytes >= limit_bytes {
                break;
            }
            let found = match record_at(data, at, segment.seed()) {
                Ok(found) => found,
                Err(fault) => {
                    if !chunk.found.is_empty() {
                        break;
                    }
                    chunk.damage = Some(damage(segment, at, fault));
                    let next = self.next;
                    match resync(data, at + 1, segment.seed(), |header| header.offset >= next) {
                        Some(next) => at = next,
                        None => break,
                    }
                    continue;
                }
            };
            let offset = found.header.offset;
            if offset >= end || offset >= segment_end {
                break;
            }
            if found.counts() && offset >= self.next && is_hidden(offset) {
                // What stands in the log for nobody: passed over like what is not there.
                self.next = offset + 1;
            } else if found.counts() && offset >= self.next {
                if !chunk.found.is_empty() && offset != self.next {
                    break;
                }
                chunk.found.push((offset, u32::try_from(at).unwrap_or(u32::MAX)));
                bytes += found.next - at;
                self.next = offset + 1;
            }
            at = found.next;
        }
        self.place = Some((Arc::clone(segment), at));
    }
}

fn damage(segment: &SegmentView, at: usize, fault: Fault) -> Corruption {
    Corruption::record(segment.path(), SEGMENT_HEADER_BYTES + at, fault)
}

/// Records read at once, held alive by their segment.
#[derive(Debug)]
pub struct Chunk {
    segment: Option<Arc<SegmentView>>,
    found: Vec<(Offset, u32)>,
    skipped: u64,
    damage: Option<Corruption>,
}

impl Chunk {
    fn skip(offsets: Range<Offset>) -> Self {
        let skipped = offsets.end - offsets.start;
        Self { segment: None, found: Vec::new(), skipped, damage: None }
    }

    /// How many offsets were passed over before the first record: no longer retained, or damaged.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The damage that was stepped over, if that was the reason.
    #[must_use]
    pub fn damage(&self) -> Option<&Corruption> {
        self.damage.as_ref()
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The records with their offsets, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Offset, Record<'_>)> {
        self.stored().filter_map(|(offset, stored)| match stored {
            Stored::Record(record) => Some((offset, record)),
            Stored::Epoch | Stored::Entry { .. } => None,
        })
    }

    pub(super) fn stored(&self) -> impl Iterator<Item = (Offset, Stored<'_>)> {
        let segment = self.segment.as_deref();
        let data = segment.map(SegmentView::data).unwrap_or_default();
        self.found.iter().filter_map(move |(offset, at)| {
            let rest = data.get(*at as usize..)?;
            let header = RecordHeader::decode_unchecked(rest)?;
            let start = RECORD_HEADER_BYTES;
            let payload = rest.get(start..start + header.payload_bytes as usize)?;
            Some((*offset, stored::decode(header.kind, header.time, payload).ok()?))
        })
    }

    /// References that outlive the chunk.
    pub fn refs(&self) -> impl Iterator<Item = (Offset, RecordRef)> {
        self.found.iter().filter_map(|(offset, at)| {
            let segment = self.segment.as_ref()?;
            Some((*offset, RecordRef::Mapped(Arc::clone(segment), *at)))
        })
    }
}

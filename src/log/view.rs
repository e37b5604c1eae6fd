//! What readers on any thread see of a partition: its published end, its start, its mapped segments.
//!
//! Method: the owner publishes how far each segment is written; readers follow through the maps and
//! check every CRC themselves, so damage shows where it lies and is stepped over, with its size.
//! Invariant: bytes below a published position never change. Cost: two atomic loads for each
//! [`Cursor::next_batch`]; the lock of the list is taken once for each segment crossed.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Corruption;
use super::batch::RecordRef;
use super::disk::Map;
use super::format::{Fault, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, record_bytes};
use super::scan::{record_at, resync};
use super::stored::{self, Stored};
use crate::model::record::{Offset, Record};

/// A segment as readers see it. Positions count from behind the segment header.
#[derive(Debug)]
pub struct SegmentView {
    path: PathBuf,
    map: Map,
    seed: u32,
    base: Offset,
    end: AtomicU64,
    data_end: AtomicU64,
    /// Sparse: offset and position, ascending.
    index: RwLock<Vec<(Offset, u32)>>,
    index_every: usize,
    /// Ranges without sound records, found when opening; ascending.
    holes: Vec<Range<usize>>,
}

/// What a [`SegmentView`] starts from.
#[derive(Debug)]
pub(super) struct SegmentParts {
    pub path: PathBuf,
    pub map: Map,
    pub seed: u32,
    pub base: Offset,
    pub end: Offset,
    pub data_end: usize,
    pub index: Vec<(Offset, u32)>,
    pub index_every: usize,
    pub holes: Vec<Range<usize>>,
}

impl SegmentView {
    pub(super) fn new(parts: SegmentParts) -> Arc<Self> {
        Arc::new(Self {
            path: parts.path,
            map: parts.map,
            seed: parts.seed,
            base: parts.base,
            end: AtomicU64::new(parts.end),
            data_end: AtomicU64::new(parts.data_end as u64),
            index: RwLock::new(parts.index),
            index_every: parts.index_every,
            holes: parts.holes,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base(&self) -> Offset {
        self.base
    }

    /// One more than the last published offset.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end.load(Ordering::Acquire)
    }

    /// All published bytes, without the segment header.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        let header = SEGMENT_HEADER_BYTES as u64;
        let end = header + self.data_end.load(Ordering::Acquire);
        self.map.bytes(header..end).unwrap_or_default()
    }

    pub(super) fn seed(&self) -> u32 {
        self.seed
    }

    /// Owner only: records up to `end` now lie below `data_end`.
    pub(super) fn publish(&self, end: Offset, data_end: usize, index: &[(Offset, u32)]) {
        if !index.is_empty() {
            let mut own = self.index.write().unwrap_or_else(PoisonError::into_inner);
            own.extend_from_slice(index);
        }
        self.data_end.store(data_end as u64, Ordering::Release);
        self.end.store(end, Ordering::Release);
    }

    /// Position to begin walking at to find `offset`.
    fn seek(&self, offset: Offset) -> usize {
        let lookup = |index: &[(Offset, u32)]| {
            let at = index.partition_point(|(first, _)| *first <= offset);
            at.checked_sub(1).and_then(|at| index.get(at)).map_or(0, |(_, at)| *at as usize)
        };
        {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            if !index.is_empty() {
                return lookup(&index);
            }
        }
        // A segment trusted by its footer: its index is made when it is first looked into.
        let data = self.data();
        let (mut made, mut at) = (Vec::new(), 0);
        let mut due = 0;
        while let Some((start, header, next)) = self.header_from(data, at) {
            if start >= due && header.kind != stored::kind::EPOCH {
                made.push((header.offset, u32::try_from(start).unwrap_or(u32::MAX)));
                due = start + self.index_every;
            }
            at = next;
        }
        let place = lookup(&made);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if index.is_empty() {
            *index = made;
        }
        place
    }

    /// The next header at or behind `at`, without looking at archives.
    fn header_from(&self, data: &[u8], at: usize) -> Option<(usize, RecordHeader, usize)> {
        let at = self.past_holes(at);
        let header = data.get(at..).and_then(|rest| RecordHeader::decode(rest, self.seed).ok());
        let (at, header) = match header {
            Some(header) => (at, header),
            None if at >= data.len() => return None,
            None => {
                let at = resync(data, at + 1, self.seed, |_| true)?;
                (at, record_at(data, at, self.seed).ok()?.header)
            }
        };
        let next = at + record_bytes(header.payload_bytes as usize);
        Some((at, header, next))
    }

    fn past_holes(&self, mut at: usize) -> usize {
        // One hole may begin where another ends.
        for hole in &self.holes {
            if hole.contains(&at) {
                at = hole.end;
            }
        }
        at
    }
}

type Segments = Arc<VecDeque<Arc<SegmentView>>>;

/// A partition as readers see it. Shared between threads.
#[derive(Debug)]
pub struct PartitionView {
    start: AtomicU64,
    written: AtomicU64,
    acknowledged: AtomicU64,
    /// In order of their sequence; a later one wins where two hold the same offsets.
    segments: RwLock<Segments>,
}

/// How far a reader may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpTo {
    /// Everything written: live subscribers, queries.
    Written,
    /// What is acknowledged, under group durability what survives a loss of power: durable consumers.
    Acknowledged,
    /// Below that offset, and not beyond what is written.
    Offset(Offset),
}

impl PartitionView {
    pub(super) fn new(start: Offset, written: Offset, acknowledged: Offset) -> Arc<Self> {
        Arc::new(Self {
            start: start.into(),
            written: written.into(),
            acknowledged: acknowledged.into(),
            segments: RwLock::default(),
        })
    }

    /// Offset of the first record that is still retained.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start.load(Ordering::Acquire)
    }

    /// One more than the last offset that may be read.
    #[must_use]
    pub fn end(&self, up_to: UpTo) -> Offset {
        let written = self.written.load(Ordering::Acquire);
        match up_to {
            UpTo::Written => written,
            UpTo::Acknowledged => self.acknowledged.load(Ordering::Acquire),
            UpTo::Offset(end) => end.min(written),
        }
    }

    pub(super) fn set_start(&self, start: Offset) {
        self.start.store(start, Ordering::Release);
    }

    pub(super) fn set_ends(&self, written: Offset, acknowledged: Offset) {
        self.written.store(written, Ordering::Release);
        self.acknowledged.store(acknowledged, Ordering::Release);
    }

    pub(super) fn set_segments(&self, segments: VecDeque<Arc<SegmentView>>) {
        *self.segments.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(segments);
    }

    fn segments(&self) -> Segments {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The segment that holds `offset`, else the one with the next greater offset.
    fn find(&self, offset: Offset) -> Option<Arc<SegmentView>> {
        let segments = self.segments();
        let holds = |it: &&Arc<SegmentView>| it.base <= offset && offset < it.end();
        let exact = segments.iter().rev().find(holds);
        let later = || segments.iter().find(|it| it.base > offset && it.base < it.end());
        exact.or_else(later).map(Arc::clone)
    }
}

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

    /// The next records, about `limit_bytes` of them in the file but at least one; from one segment.
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
        let mut bytes = 0;
        loop {
            at = segment.past_holes(at);
            if at >= data.len() || bytes >= limit_bytes {
                break;
            }
            let found = match record_at(data, at, segment.seed) {
                Ok(found) => found,
                Err(fault) => {
                    if !chunk.found.is_empty() {
                        break;
                    }
                    chunk.damage = Some(damage(segment, at, fault));
                    let next = self.next;
                    match resync(data, at + 1, segment.seed, |header| header.offset >= next) {
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
            if found.counts() && offset >= self.next {
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
    Corruption::record(&segment.path, SEGMENT_HEADER_BYTES + at, fault)
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

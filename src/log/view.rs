//! What readers on any thread see of a partition: its published end, its start, its mapped
//! segments.
//!
//! Method: the owner publishes how far each segment is written; readers follow through the maps.
//! Invariant: bytes below a published position never change. Cost: two atomic loads for each chunk
//! that a cursor reads; the lock of the list is taken once for each segment crossed.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::disk::Map;
use super::format::{RecordHeader, SEGMENT_HEADER_BYTES, record_bytes};
use super::scan::{record_at, resync};
use super::stored;
use crate::model::record::{Offset, Ranges};

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
    pub(super) fn seek(&self, offset: Offset) -> usize {
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
    pub(super) fn header_from(
        &self,
        data: &[u8],
        at: usize,
    ) -> Option<(usize, RecordHeader, usize)> {
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

    pub(super) fn past_holes(&self, mut at: usize) -> usize {
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
    hidden: RwLock<Arc<Ranges>>,
}

/// How far a reader may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpTo {
    /// Everything written: live subscribers, queries.
    Written,
    /// What is acknowledged, under group durability what survives a loss of power: durable
    /// consumers.
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
            hidden: RwLock::new(Arc::new([])),
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

    /// Hides these records, and no others, from every reader that begins a chunk from here on.
    pub fn hide(&self, ranges: &Arc<Ranges>) {
        *self.hidden.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(ranges);
    }

    /// What is hidden.
    pub(super) fn hidden(&self) -> Arc<Ranges> {
        Arc::clone(&self.hidden.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From where on `count` records below `head` are shown, or 0 if there are fewer.
    #[must_use]
    pub fn last(&self, count: u64, head: Offset) -> Offset {
        let (mut start, mut left) = (head, count);
        for &(from, to) in self.hidden().iter().rev() {
            let to = to.min(start);
            if start - to >= left {
                break;
            }
            left -= start - to;
            start = from.min(to);
        }
        start.saturating_sub(left)
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
    pub(super) fn find(&self, offset: Offset) -> Option<Arc<SegmentView>> {
        let segments = self.segments();
        let holds = |it: &&Arc<SegmentView>| it.base <= offset && offset < it.end();
        let exact = segments.iter().rev().find(holds);
        let later = || segments.iter().find(|it| it.base > offset && it.base < it.end());
        exact.or_else(later).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_records_are_counted_among_those_that_are_shown() {
        let view = PartitionView::new(0, 10, 10);
        for ranges in [vec![], vec![(2, 4)], vec![(0, 1), (5, 8)], vec![(3, 10)], vec![(6, 20)]] {
            view.hide(&Arc::from(ranges.as_slice()));
            let is_shown = |at: &u64| !ranges.iter().any(|(from, to)| (from..to).contains(&at));
            for head in 0..=10 {
                for count in 0..=head {
                    let from = view.last(count, head);
                    let shown = (from..head).filter(is_shown).count() as u64;
                    let all = (0..head).filter(is_shown).count() as u64;
                    assert_eq!(shown, count.min(all), "{ranges:?} {head} {count}: {from}");
                }
            }
            assert_eq!(view.last(u64::MAX, 10), 0);
        }
    }
}

//! What is kept: a start that moves, and whole segments that are unlinked behind it.
//!
//! Invariant: the start is exact for readers at once, by count, by bytes and by age; a file goes
//! only when all of it lies below the start, oldest first, and the newest file stays, for it knows
//! the next offset. So the files hold up to one segment more than is kept. The start is not stored:
//! the owner applies its policy again after opening. Cost: by count nothing but when something
//! goes; by bytes and age a walk over the headers of what goes, whole segments at a step, and one
//! header that stays.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use super::super::disk::{Disk, Ticket};
use super::super::format::SEGMENT_HEADER_BYTES;
use super::super::stored::kind;
use super::{Op, Partition, Segment, Stage};
use crate::model::record::{Offset, TimeNs};

/// How much is kept; each bound may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Exactly the last so many records.
    pub records: Option<u64>,
    /// As many of the last records as take no more bytes than that in the log.
    pub bytes: Option<u64>,
    /// From the first record on that is not older than that, in nanoseconds.
    pub age_ns: Option<i64>,
}

/// Where the record at the start lies, so that the walk goes on there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    start: Offset,
    sequence: u64,
    at: usize,
}

impl Partition {
    /// Applies a policy at the time `now`; returns how far the start moved.
    pub fn retain(&mut self, disk: &mut dyn Disk, keep: &Retention, now: TimeNs) -> u64 {
        let before = self.start;
        let end = self.marks.written();
        let mut start = self.start;
        if let Some(records) = keep.records {
            start = start.max(end.saturating_sub(records));
        }
        let cutoff = keep.age_ns.map(|age| now.saturating_sub(age));
        if cutoff.is_some() || keep.bytes.is_some() {
            start = self.first_kept(start.min(end), keep.bytes, cutoff);
        }
        self.discard_below(disk, start);
        self.start - before
    }

    /// The first offset from `start` on whose record is not older than `cutoff`, and from which on
    /// no more than `bytes` are taken.
    fn first_kept(
        &mut self,
        mut start: Offset,
        bytes: Option<u64>,
        cutoff: Option<TimeNs>,
    ) -> Offset {
        let end = self.marks.written();
        let holds = |it: &Segment| it.base <= start && start < it.end;
        let found = self.segments.iter().rposition(holds);
        let later = || self.segments.iter().position(|it| it.base >= start);
        let Some(mut index) = found.or_else(later) else { return start };
        let mut kept: u64 = self.segments.range(index..).map(|it| it.data_end as u64).sum();
        let mut known = self.tail.take().filter(|tail| tail.start == start);
        while let Some(segment) = self.segments.get(index).filter(|_| start < end) {
            index += 1;
            if segment.end <= start {
                kept -= segment.data_end as u64;
                continue;
            }
            let known = known.take().filter(|tail| tail.sequence == segment.sequence);
            let behind = kept - segment.data_end as u64;
            let all_old = cutoff.is_some_and(|cutoff| segment.last_time < cutoff);
            if all_old || bytes.is_some_and(|bytes| behind >= bytes) {
                (start, kept) = (segment.end.min(end), behind);
                continue;
            }
            let data = segment.view.data();
            let mut at = known.map_or_else(|| segment.view.seek(start), |tail| tail.at);
            while let Some((place, header, next)) = segment.view.header_from(data, at) {
                at = next;
                if header.kind == kind::EPOCH || header.offset < start {
                    continue;
                }
                let rest = behind + (segment.data_end - place.min(segment.data_end)) as u64;
                let old = cutoff.is_some_and(|cutoff| header.time < cutoff);
                if header.offset >= end || !(old || bytes.is_some_and(|bytes| rest > bytes)) {
                    self.tail = Some(Tail { start, sequence: segment.sequence, at: place });
                    return start;
                }
                start = header.offset + 1;
            }
            kept = behind;
        }
        start
    }

    /// Moves the start up to `offset` (not beyond what is written) and unlinks what lies below.
    pub fn discard_below(&mut self, disk: &mut dyn Disk, offset: Offset) {
        self.start = self.start.max(offset.min(self.marks.written()));
        self.view.set_start(self.start);
        let mut gone = VecDeque::new();
        while self.segments.len() > 1 {
            let Some(front) = self.segments.front() else { break };
            if front.stage != Stage::Closed || front.end > self.start {
                break;
            }
            gone.extend(self.segments.pop_front());
        }
        if gone.is_empty() {
            return;
        }
        self.publish_segments();
        self.removals.extend(gone.into_iter().map(|segment| segment.path));
        self.remove_next(disk);
    }

    pub(super) fn is_removing(&self) -> bool {
        self.removing
    }

    /// One at a time: a crash must not leave an older segment without a later one.
    fn remove_next(&mut self, disk: &mut dyn Disk) {
        if let Some(path) = self.removals.front().filter(|_| !self.removing) {
            let ticket = disk.remove(self.tag, path);
            self.ops.insert(ticket, Op::RemoveSegment);
            self.removing = true;
        }
    }

    pub(super) fn on_removed(&mut self, disk: &mut dyn Disk, outcome: Result<(), ErrorKind>) {
        self.removing = false;
        match outcome {
            Ok(()) | Err(ErrorKind::NotFound) => {
                self.removals.pop_front();
                self.remove_next(disk);
            }
            // Tried again with the next one that goes, or after the next opening.
            Err(_) => {}
        }
    }

    /// Whether [`Self::trim_oldest_segment`] would give up one.
    #[must_use]
    pub fn may_trim(&self) -> bool {
        let closed = self.segments.front().is_some_and(|front| front.stage == Stage::Closed);
        closed && self.segments.len() > 1
    }

    /// Gives up the oldest segment to make room; returns the bytes of its file, 0 if none may go.
    pub fn trim_oldest_segment(&mut self, disk: &mut dyn Disk) -> u64 {
        let Some(front) = self.segments.front().filter(|_| self.may_trim()) else { return 0 };
        let (end, bytes) = (front.end.max(self.start), front.file_bytes);
        self.discard_below(disk, end);
        bytes
    }

    /// From now on the oldest segments go when there is no space for the next one, as many as it
    /// takes; appends are refused only when none is left.
    pub fn trim_when_full(&mut self) {
        self.trims = true;
    }

    /// The next append begins a new segment.
    pub fn roll(&mut self) {
        if let Some(active) = self.active()
            && active.position > 0
        {
            active.stage = Stage::Retired;
        }
    }

    /// Deletes the partition with all it holds: renamed at once, unlinked in the background.
    ///
    /// # Errors
    /// The rename failed; nothing is deleted, and the partition must be opened again.
    pub fn delete(mut self, disk: &mut dyn Disk) -> io::Result<Ticket> {
        self.set_closed(disk);
        let mut name = self.dir.clone().into_os_string();
        name.push(".removed");
        disk.rename(&self.dir, name.as_ref())?;
        Ok(disk.remove(self.tag, name.as_ref()))
    }

    /// Closes all files; what is under way completes, but nobody hears of it.
    pub fn close(mut self, disk: &mut dyn Disk) {
        self.set_closed(disk);
    }

    fn set_closed(&mut self, disk: &mut dyn Disk) {
        self.discard_spare_file(disk);
        for segment in &mut self.segments {
            if let Some(file) = segment.file.take() {
                disk.close(file);
            }
        }
    }

    /// Bytes of all files, with what is not used of them.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.segments.iter().map(|it| it.file_bytes.max(SEGMENT_HEADER_BYTES as u64)).sum()
    }
}

//! What is kept: a start that moves, and whole segments that are unlinked behind it.
//!
//! Invariant: the start is exact for readers at once; a file goes only when all of it lies below
//! the start, oldest first, and the newest file stays, for it knows the next offset. By count the
//! start moves within a segment; by bytes and age it moves over whole segments. The start is not
//! stored: the owner applies its policy again after opening. Cost: nothing but when something goes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use super::super::disk::{Disk, Ticket};
use super::super::format::SEGMENT_HEADER_BYTES;
use super::{Op, Partition, Stage};
use crate::model::record::{Offset, TimeNs};

/// How much is kept; each bound may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Exactly the last so many records.
    pub records: Option<u64>,
    /// About so many bytes of segments, never less than the newest one.
    pub bytes: Option<u64>,
    /// Segments with a record younger than that, in nanoseconds.
    pub age_ns: Option<i64>,
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
        if let Some(age) = keep.age_ns {
            let cutoff = now.saturating_sub(age);
            for segment in self.segments.iter().take_while(|it| it.last_time < cutoff) {
                start = start.max(segment.end.min(end));
            }
        }
        if let Some(bytes) = keep.bytes {
            let mut left = self.bytes();
            for segment in self.segments.iter().take(self.segments.len().saturating_sub(1)) {
                if left <= bytes || segment.stage != Stage::Closed {
                    break;
                }
                left -= segment.data_end as u64;
                start = start.max(segment.end.min(end));
            }
        }
        self.discard_below(disk, start);
        self.start - before
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

    /// Gives up the oldest segment to make room; returns the bytes of its file, 0 if none may go.
    pub fn trim_oldest_segment(&mut self, disk: &mut dyn Disk) -> u64 {
        let Some(front) = self.segments.front() else { return 0 };
        if self.segments.len() < 2 || front.stage != Stage::Closed {
            return 0;
        }
        let (end, bytes) = (front.end.max(self.start), front.file_bytes);
        self.discard_below(disk, end);
        bytes
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

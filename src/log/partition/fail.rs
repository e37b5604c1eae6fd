//! What a failure of the disk does.
//!
//! A failed or short write, or a failed sync: the segment is written no more, and all that is not
//! acknowledged is placed again, with the same offsets, into the next one, whose header says where
//! the old one ends. A failure before that has been acknowledged makes the partition read-only. A
//! full disk: what did not fit is reported as failed, its offsets stay empty, nothing is poisoned.

use std::io::ErrorKind;
use std::path::Path;

use super::super::disk::Disk;
use super::{Event, Gate, Health, Op, Partition, Piece, Placed, Refusal, Stage};
use crate::model::record::Offset;

impl Partition {
    pub(super) fn fault_active(
        &mut self,
        disk: &mut dyn Disk,
        kind: ErrorKind,
        events: &mut Vec<Event>,
    ) {
        let path = match self.active() {
            Some(active) => {
                active.unsound = true;
                active.path.clone()
            }
            None => self.dir.clone(),
        };
        self.fault(disk, &path, kind, events);
    }

    /// A file failed: abandon what is being written, and place the unacknowledged again.
    pub(super) fn fault(
        &mut self,
        _disk: &mut dyn Disk,
        path: &Path,
        kind: ErrorKind,
        events: &mut Vec<Event>,
    ) {
        if !self.strike(path, kind, events) {
            return;
        }
        self.abandon();
        self.ops.retain(|_, op| !matches!(op, Op::Write { .. } | Op::CommitSync { .. }));
        self.header_writes = 0;
        self.commit = None;
        self.published = 0;
        let acknowledged = self.kept_end();
        for segment in &mut self.segments {
            // Published and not acknowledged: the successor's header says that it is void here.
            segment.unsound |= segment.end > acknowledged;
        }
        while let Some(placed) = self.placed.pop_back() {
            self.waiting.push_front(placed.piece);
        }
    }

    /// Counts a failure; `false` if it was the second one.
    pub(super) fn strike(
        &mut self,
        path: &Path,
        error: ErrorKind,
        events: &mut Vec<Event>,
    ) -> bool {
        events.push(Event::Poisoned { file: path.into(), error });
        match self.health {
            Health::Good => {
                self.health = Health::Again(self.marks.appended());
                true
            }
            Health::Again(_) | Health::ReadOnly => {
                self.end_writing(events);
                false
            }
        }
    }

    /// The active segment takes no more records; where it ends for the next one is remembered.
    pub(super) fn abandon(&mut self) {
        let acknowledged = self.kept_end();
        let mut end = acknowledged.min(self.valid_end.unwrap_or(Offset::MAX));
        if let Some(active) = self.active() {
            active.stage = Stage::Retired;
            let own = acknowledged > active.base;
            end = if own { acknowledged } else { active.valid_end.min(acknowledged) };
        }
        self.valid_end = Some(end);
        if self.gate == Gate::Opening {
            self.gate = Gate::Closed;
        }
        self.ops.retain(|_, op| !matches!(op, Op::GateWrite { .. } | Op::GateSync));
    }

    /// Gives up the placed pieces from `index` on and all that wait.
    pub(super) fn fail_placed(&mut self, index: usize, why: Refusal, events: &mut Vec<Event>) {
        let number = self.front + index as u64;
        let last = self.active().map(|it| (it.base, it.valid_end));
        self.abandon();
        self.ops.retain(|_, op| !matches!(op, Op::Write { piece, .. } if *piece >= number));
        self.header_writes = 0;
        while self.placed.len() > index.max(self.published) {
            if let Some(placed) = self.placed.pop_back() {
                self.waiting.push_front(placed.piece);
            }
        }
        let from = self.waiting.front().map_or(self.marks.appended(), Piece::first);
        // A segment that begins with what failed may not have its header: say again what it said.
        self.valid_end = match last {
            Some((base, valid_end)) if base >= from => Some(valid_end.min(from)),
            _ => Some(from),
        };
        self.fail_waiting(why, events);
    }

    /// Gives up all that waits for a place; its offsets stay empty.
    pub(super) fn fail_waiting(&mut self, why: Refusal, events: &mut Vec<Event>) {
        self.full |= why == Refusal::Full;
        let (Some(front), Some(back)) = (self.waiting.front(), self.waiting.back()) else {
            return;
        };
        let (from, below) = (front.first(), back.end);
        self.valid_end = Some(self.valid_end.unwrap_or(from).min(from));
        let bytes: usize = self.waiting.iter().map(|piece| piece.bytes().len()).sum();
        self.unacknowledged -= bytes;
        self.waiting.clear();
        self.header_writes = 0;
        let piece = Piece { batch: None, records: 0..0, end: below };
        self.placed.push_back(Placed { piece, segment: 0, at: 0, writes_left: 0 });
        events.push(Event::Failed { from, below, why });
        if why == Refusal::Full {
            events.push(Event::Full);
        }
    }

    /// The second failure: nothing is written any more, what is acknowledged can be read.
    fn end_writing(&mut self, events: &mut Vec<Event>) {
        self.health = Health::ReadOnly;
        self.ops.retain(|_, op| matches!(op, Op::Remove | Op::RemoveSegment));
        self.waiting.clear();
        self.placed.clear();
        self.builder.clear();
        (self.commit, self.published, self.unacknowledged) = (None, 0, 0);
        let (from, below) = (self.kept_end(), self.marks.appended());
        if from < below {
            events.push(Event::Failed { from, below, why: Refusal::ReadOnly });
        }
        events.push(Event::ReadOnly);
    }
}

//! What completions mean: pieces are published when written, acknowledged by durability, and
//! segments are sealed when they are full and nothing of them is under way.
//!
//! Method: one sync of a partition is under way at a time; what is written meanwhile is the next
//! group. Without more, two halves of a sender's window would take turns for ever, each waiting for
//! the sync of the other; so a commit that ends may hold the next one for a moment, in which the
//! senders that it answered send again ([`Partition::gather`]). Invariant: a group is acknowledged
//! only if each of its writes returned its whole length and a sync that was submitted after them
//! succeeded on every file it touched.
//!
//! Cost for one sender with 64 inserts under way: 64 records for each sync instead of 33, the
//! median down from 2.0 to 1.5 times a bare sync. Where senders are far away a group waits an
//! eighth of a sync longer, `spin_us` at most; half a sync at most where others keep sending.

use std::io::ErrorKind;

use super::super::batch::reclaim;
use super::super::disk::Disk;
use super::super::format::{FOOTER_BYTES, Footer, SEGMENT_HEADER_BYTES};
use super::place::is_full;
use super::{Commit, Durability, Event, Gate, Health, Op, Partition, Refusal, Segment, Stage};

impl Partition {
    pub(super) fn on_op(
        &mut self,
        disk: &mut dyn Disk,
        op: Op,
        outcome: Result<(), ErrorKind>,
        events: &mut Vec<Event>,
    ) {
        match op {
            Op::Write { piece, .. } => self.on_write(disk, piece, outcome, events),
            Op::GateWrite { .. } => self.on_gate_write(disk, outcome, events),
            Op::GateSync => match outcome {
                Ok(()) => self.gate = Gate::Open,
                Err(kind) => self.fault_active(disk, kind, events),
            },
            Op::CommitSync { segment } => self.on_commit_sync(disk, segment, outcome, events),
            Op::RecoverySync { segment } => match outcome {
                Ok(()) => self.on_recovered(events),
                Err(kind) => {
                    self.recovery_failed = true;
                    self.on_sync_failed(disk, segment, kind, events);
                }
            },
            Op::SealSync { segment } => match outcome {
                Ok(()) => self.write_footer(disk, segment),
                Err(kind) => self.on_sync_failed(disk, segment, kind, events),
            },
            // A footer that did not arrive costs a scan at the next opening, nothing else.
            Op::SealFooter { segment } => self.on_sealed(disk, segment),
            Op::Prepare => self.on_prepared(disk, outcome, events),
            // What could not be unlinked is found and unlinked after the next opening.
            Op::Remove => {}
            Op::RemoveSegment => self.on_removed(disk, outcome),
        }
    }

    fn on_write(
        &mut self,
        disk: &mut dyn Disk,
        piece: u64,
        outcome: Result<(), ErrorKind>,
        events: &mut Vec<Event>,
    ) {
        let index = usize::try_from(piece - self.front).unwrap_or(usize::MAX);
        match (outcome, self.placed.get_mut(index)) {
            (Ok(()), Some(placed)) => placed.writes_left -= 1,
            (Ok(()), None) => {}
            (Err(kind), _) if is_full(kind) => self.fail_placed(index, Refusal::Full, events),
            (Err(kind), Some(placed)) => {
                let segment = placed.segment;
                let path = self.segment_path(segment);
                self.fault(disk, &path, kind, events);
            }
            (Err(kind), None) => self.fault_active(disk, kind, events),
        }
    }

    fn on_gate_write(
        &mut self,
        disk: &mut dyn Disk,
        outcome: Result<(), ErrorKind>,
        events: &mut Vec<Event>,
    ) {
        match outcome {
            Ok(()) => {
                let tag = self.tag;
                if let Some(file) = self.active().and_then(|it| it.file) {
                    let ticket = disk.sync(tag, file);
                    self.ops.insert(ticket, Op::GateSync);
                }
            }
            Err(kind) if is_full(kind) => {
                self.abandon();
                self.fail_waiting(Refusal::Full, events);
            }
            Err(kind) => self.fault_active(disk, kind, events),
        }
    }

    fn on_commit_sync(
        &mut self,
        disk: &mut dyn Disk,
        segment: u64,
        outcome: Result<(), ErrorKind>,
        events: &mut Vec<Event>,
    ) {
        if let Err(kind) = outcome {
            return self.on_sync_failed(disk, segment, kind, events);
        }
        let Some(commit) = &mut self.commit else { return };
        commit.syncs_left -= 1;
        if commit.syncs_left == 0 {
            let (pieces, before) = (commit.pieces, self.unacknowledged);
            self.commit = None;
            self.acknowledge(pieces, events);
            self.hold_for = if self.gathers { before } else { 0 };
        }
    }

    /// A segment whose sync failed never gets a footer, for a later sync may succeed without it.
    fn on_sync_failed(
        &mut self,
        disk: &mut dyn Disk,
        segment: u64,
        kind: ErrorKind,
        events: &mut Vec<Event>,
    ) {
        let path = self.segment_path(segment);
        if let Some(segment) = self.segment_mut(segment) {
            segment.unsound = true;
            if segment.stage == Stage::Sealing {
                segment.stage = Stage::Retired;
            }
        }
        let active = self.active().is_some_and(|it| it.sequence == segment);
        if active || self.placed.iter().any(|it| it.segment == segment) {
            self.fault(disk, &path, kind, events);
        } else {
            events.push(Event::Poisoned { file: path, error: kind });
        }
    }

    /// When all that was found unsealed is synced, it counts as durable.
    fn on_recovered(&mut self, events: &mut Vec<Event>) {
        let waits = self.ops.values().any(|op| matches!(op, Op::RecoverySync { .. }));
        if waits || self.recovery_failed {
            return;
        }
        let below = self.recovered_end;
        if self.marks.synced() < below {
            self.marks.sync(below);
            self.publish_ends();
            events.push(Event::Acknowledged { below });
        }
    }

    /// Publishes what is written, then acknowledges it or begins to.
    pub(super) fn advance(&mut self, disk: &mut dyn Disk, events: &mut Vec<Event>) {
        let before = self.published;
        while self.placed.get(self.published).is_some_and(|it| it.writes_left == 0) {
            self.publish(self.published);
            self.published += 1;
        }
        match self.settings.durability {
            Durability::Os => {
                if self.published > before {
                    self.acknowledge(self.published, events);
                }
            }
            Durability::Group => {
                if self.published > before {
                    self.publish_ends();
                }
                self.commit(disk, events);
            }
        }
    }

    fn publish(&mut self, index: usize) {
        let Some(placed) = self.placed.get(index) else { return };
        let (piece, at, sequence) = (placed.piece.clone(), placed.at, placed.segment);
        self.marks.write(piece.end);
        let Some(batch) = &piece.batch else { return };
        let every = self.settings.index_every_bytes;
        let Some(segment) = self.segment_mut(sequence) else { return };
        let from = batch.start(piece.records.start);
        let mut entries = Vec::new();
        for record in piece.records.clone() {
            let position = at + batch.start(record) - from;
            if segment.last_index.is_none_or(|last| position - last >= every) {
                segment.last_index = Some(position);
                let offset = batch.first() + record as u64;
                entries.push((offset, u32::try_from(position).unwrap_or(u32::MAX)));
            }
        }
        let last = batch.header(piece.records.end - 1).map_or(0, |it| it.time);
        segment.last_time = segment.last_time.max(last);
        segment.records += piece.records.len() as u64;
        segment.end = piece.end;
        segment.data_end = at + piece.bytes().len();
        segment.view.publish(segment.end, segment.data_end, &entries);
    }

    /// Begins a sync of all that is published, if none is under way.
    fn commit(&mut self, disk: &mut dyn Disk, events: &mut Vec<Event>) {
        if self.commit.is_some() || self.published == 0 {
            return;
        }
        let waits = || self.placed.iter().take(self.published).map(|it| it.piece.bytes().len());
        if self.hold_for > 0 && waits().sum::<usize>() < self.hold_for {
            return;
        }
        self.hold_for = 0;
        let pieces = self.published;
        let mut touched: Vec<u64> = Vec::new();
        for placed in self.placed.iter().take(pieces).filter(|it| it.piece.batch.is_some()) {
            if touched.last() != Some(&placed.segment) {
                touched.push(placed.segment);
            }
        }
        let mut syncs_left = 0;
        for segment in touched {
            let tag = self.tag;
            let file = self.segment_mut(segment).and_then(|it| it.file);
            let file = file.expect("a segment with pieces is open");
            let ticket = disk.sync(tag, file);
            self.ops.insert(ticket, Op::CommitSync { segment });
            syncs_left += 1;
        }
        if syncs_left == 0 {
            self.acknowledge(pieces, events);
        } else {
            self.commit = Some(Commit { pieces, syncs_left });
        }
    }

    fn acknowledge(&mut self, pieces: usize, events: &mut Vec<Event>) {
        let mut below = None;
        for placed in self.placed.drain(..pieces) {
            below = Some(placed.piece.end);
            self.unacknowledged -= placed.piece.bytes().len();
            if let Some(buffer) = placed.piece.batch.and_then(reclaim)
                && buffer.capacity() > self.pool.capacity()
            {
                self.pool = buffer;
            }
        }
        self.front += pieces as u64;
        self.published -= pieces;
        let Some(below) = below else { return };
        if self.settings.durability == Durability::Group {
            self.marks.sync(below);
        }
        self.publish_ends();
        events.push(Event::Acknowledged { below });
        if matches!(self.health, Health::Again(until) if below >= until) {
            self.health = Health::Good;
        }
    }

    /// Starts to seal each retired segment of which nothing is under way.
    pub(super) fn seal_retired(&mut self, disk: &mut dyn Disk) {
        let tag = self.tag;
        let busy_from = self.placed.iter().find(|it| it.piece.batch.is_some());
        let busy_from = busy_from.map_or(u64::MAX, |it| it.segment);
        for segment in &mut self.segments {
            if segment.stage != Stage::Retired || segment.sequence >= busy_from {
                continue;
            }
            match segment.file {
                Some(file) if !segment.unsound && segment.records > 0 => {
                    let op = Op::SealSync { segment: segment.sequence };
                    segment.stage = Stage::Sealing;
                    self.ops.insert(disk.sync(tag, file), op);
                }
                _ => segment.shut(disk),
            }
        }
    }

    fn write_footer(&mut self, disk: &mut dyn Disk, sequence: u64) {
        let (tag, os) = (self.tag, self.settings.durability == Durability::Os);
        let Some(segment) = self.segment_mut(sequence) else { return };
        let Some(file) = segment.file else { return };
        let footer = Footer {
            sequence,
            end: segment.end,
            records: segment.records,
            first_time: segment.first_time,
            last_time: segment.last_time,
            data_end: (SEGMENT_HEADER_BYTES + segment.data_end) as u64,
            epoch: segment.epoch,
        };
        let (at, end) = (segment.file_bytes - FOOTER_BYTES as u64, segment.end);
        let ticket = disk.write(tag, file, at, footer.encode().into());
        self.ops.insert(ticket, Op::SealFooter { segment: sequence });
        if os {
            self.marks.sync(end);
        }
    }

    fn on_sealed(&mut self, disk: &mut dyn Disk, sequence: u64) {
        if let Some(segment) = self.segment_mut(sequence) {
            segment.shut(disk);
        }
    }
}

impl Segment {
    fn shut(&mut self, disk: &mut dyn Disk) {
        self.stage = Stage::Closed;
        if let Some(file) = self.file.take() {
            disk.close(file);
        }
    }
}

//! Gives waiting pieces their place in a segment, and keeps a prepared file ahead.
//!
//! Invariant: an append lies whole in one segment; nothing is placed before the epoch is durable.
//! Cost: one write for each `write_bytes_max` of a piece.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::super::batch::encode;
use super::super::disk::{Disk, Fill};
use super::super::format::{FOOTER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, data_range};
use super::super::stored::Stored;
use super::super::view::{SegmentParts, SegmentView};
use super::{
    Durability, Event, Gate, Health, Op, Partition, Piece, Placed, Refusal, Segment, SpaceState,
    Spare, Stage,
};

/// Bytes of a segment's records at most: positions are 32 bits.
const DATA_BYTES_MAX: u64 = u32::MAX as u64 / 2;

/// What stands between a piece and its place.
enum Room {
    Ready,
    Wait,
}

impl Partition {
    /// Does all that can be done now.
    pub(super) fn pump(&mut self, disk: &mut dyn Disk, events: &mut Vec<Event>) {
        while self.health != Health::ReadOnly {
            let Some(piece) = self.waiting.front() else { break };
            let Some(batch) = &piece.batch else {
                let piece = self.waiting.pop_front();
                self.placed.extend(piece.map(|piece| Placed {
                    piece,
                    segment: 0,
                    at: 0,
                    writes_left: 0,
                }));
                continue;
            };
            let needed = batch.group_bytes(piece.records.start);
            match self.make_room(disk, needed) {
                Room::Ready => self.place(disk),
                Room::Wait => break,
            }
        }
        self.advance(disk, events);
        self.seal_retired(disk);
        self.prepare_ahead(disk);
    }

    /// Makes the active segment one that has room for `needed` bytes.
    fn make_room(&mut self, disk: &mut dyn Disk, needed: usize) -> Room {
        if self.gate == Gate::Opening {
            return Room::Wait;
        }
        if let Some(active) = self.active() {
            // The mark of the epoch may come in between.
            if active.room() >= needed + 64 {
                if self.gate == Gate::Closed {
                    self.write_epoch(disk);
                    return Room::Wait;
                }
                return Room::Ready;
            }
            active.stage = Stage::Retired;
        }
        match &self.spare {
            Spare::Preparing { .. } => Room::Wait,
            Spare::None => {
                self.prepare(disk, needed);
                Room::Wait
            }
            Spare::Ready { bytes, .. } => {
                let range = data_range(*bytes);
                if ((range.end - range.start) as usize) < needed + 64 {
                    self.discard_spare(disk);
                    self.prepare(disk, needed);
                    return Room::Wait;
                }
                self.activate(disk);
                self.make_room(disk, needed)
            }
        }
    }

    fn write_epoch(&mut self, disk: &mut dyn Disk) {
        let (tag, stamp, offset) = (self.tag, self.stamp, self.marks.written());
        let mut bytes = Vec::new();
        let time = self.segments.back().map_or(0, |it| it.last_time);
        encode(&mut bytes, stamp, offset, 0, time, &Stored::Epoch);
        let length = bytes.len();
        let Some(active) = self.active() else { return };
        let (Some(file), at) = (active.file, active.position) else { return };
        active.position += length;
        let ticket = disk.write(tag, file, (SEGMENT_HEADER_BYTES + at) as u64, bytes.into());
        self.ops.insert(ticket, Op::GateWrite { bytes: length });
        self.gate = Gate::Opening;
    }

    /// Places as much of the first waiting piece as fits; [`Self::make_room`] said that something
    /// does.
    fn place(&mut self, disk: &mut dyn Disk) {
        let Some(mut piece) = self.waiting.pop_front() else { return };
        let Some(batch) = piece.batch.clone() else { return };
        let (tag, number) = (self.tag, self.front + self.placed.len() as u64);
        let write_bytes_max = self.settings.write_bytes_max.max(1);
        let Some(active) = self.active() else { return };
        let Some(file) = active.file else { return };
        let split = batch.split(piece.records.clone(), active.room());
        assert!(split > piece.records.start, "placed without room");
        let (at, sequence) = (active.position, active.sequence);
        let rest = Piece { records: split..piece.records.end, ..piece.clone() };
        piece.records.end = split;
        piece.end = batch.first() + split as u64;
        let bytes = piece.bytes();
        active.position += bytes.len();
        let mut writes = 0;
        let mut from = bytes.start;
        while from < bytes.end {
            let to = bytes.end.min(from + write_bytes_max);
            let position = (SEGMENT_HEADER_BYTES + at + from - bytes.start) as u64;
            let ticket = disk.write(tag, file, position, batch.extent(from..to));
            self.ops.insert(ticket, Op::Write { piece: number, bytes: to - from });
            writes += 1;
            from = to;
        }
        // A header written with this piece counts as one of its writes.
        let pending = std::mem::take(&mut self.header_writes);
        self.placed.push_back(Placed {
            piece,
            segment: sequence,
            at,
            writes_left: writes + pending,
        });
        if !rest.records.is_empty() {
            self.waiting.push_front(rest);
        }
    }

    /// Makes the prepared file the active segment and writes its header.
    fn activate(&mut self, disk: &mut dyn Disk) {
        let Spare::Ready { file, map, sequence, bytes } =
            std::mem::replace(&mut self.spare, Spare::None)
        else {
            return;
        };
        let Some((base, created)) = self.waiting.front().map(|piece| {
            let header = piece.batch.as_ref().and_then(|it| it.header(piece.records.start));
            (piece.first(), header.map_or(0, |it| it.time))
        }) else {
            return;
        };
        let valid_end = self.valid_end.take().unwrap_or(base).min(base);
        let epoch = self.stamp.epoch;
        let identity = self.identity;
        let header = SegmentHeader { epoch, identity, sequence, base, valid_end, created };
        let ticket = disk.write(self.tag, file, 0, header.encode().into());
        let bytes_written = SEGMENT_HEADER_BYTES;
        if self.gate == Gate::Closed {
            self.ops.insert(ticket, Op::GateWrite { bytes: bytes_written });
            self.gate = Gate::Opening;
        } else {
            let piece = self.front + self.placed.len() as u64;
            self.ops.insert(ticket, Op::Write { piece, bytes: bytes_written });
            self.header_writes += 1;
        }
        let path = self.segment_path(sequence);
        let view = SegmentView::new(SegmentParts {
            path: path.clone(),
            map,
            seed: self.stamp.seed,
            base,
            end: base,
            data_end: 0,
            index: Vec::new(),
            index_every: self.settings.index_every_bytes,
            holes: Vec::new(),
        });
        self.segments.push_back(Segment {
            sequence,
            path,
            file: Some(file),
            file_bytes: bytes,
            stage: Stage::Active,
            base,
            valid_end,
            end: base,
            records: 0,
            first_time: created,
            last_time: created,
            data_end: 0,
            position: 0,
            epoch,
            unsound: false,
            last_index: None,
            view,
        });
        self.next_bytes = (bytes * 4).min(self.settings.segment_bytes_max);
        self.publish_segments();
    }

    pub(super) fn segment_path(&self, sequence: u64) -> PathBuf {
        self.dir.join(format!("{sequence:020}.seg"))
    }

    /// Starts to prepare the next file, large enough for `needed` bytes of records.
    fn prepare(&mut self, disk: &mut dyn Disk, needed: usize) {
        let least = (needed + SEGMENT_HEADER_BYTES + FOOTER_BYTES + 128) as u64;
        if self.space != SpaceState::Ok {
            self.next_bytes = self.settings.segment_bytes_min;
        }
        let bytes = self.next_bytes.max(least.next_multiple_of(512)).min(DATA_BYTES_MAX);
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let fill = match self.settings.durability {
            Durability::Os => Fill::Reserved,
            Durability::Group => Fill::Written,
        };
        let ticket = disk.prepare(self.tag, &self.segment_path(sequence), bytes, fill);
        self.ops.insert(ticket, Op::Prepare);
        self.spare = Spare::Preparing { sequence, bytes };
    }

    fn discard_spare(&mut self, disk: &mut dyn Disk) {
        if let Spare::Ready { file, sequence, .. } = std::mem::replace(&mut self.spare, Spare::None)
        {
            disk.close(file);
            let ticket = disk.remove(self.tag, &self.segment_path(sequence));
            self.ops.insert(ticket, Op::Remove);
        }
    }

    pub(super) fn discard_spare_file(&mut self, disk: &mut dyn Disk) {
        if let Spare::Ready { file, .. } = std::mem::replace(&mut self.spare, Spare::None) {
            disk.close(file);
        }
    }

    /// When an eighth of the active segment is used the next one is prepared: it is written in
    /// small steps, and whoever fills segments fast must not wait for it.
    fn prepare_ahead(&mut self, disk: &mut dyn Disk) {
        let able = self.health == Health::Good && !self.full && self.space == SpaceState::Ok;
        if !able || !matches!(self.spare, Spare::None) {
            return;
        }
        if self.active().is_some_and(|it| it.room() / 7 < it.position) && !self.spare_failed {
            self.prepare(disk, 0);
        }
    }

    /// Whether space will be free that was not: a segment is going, or goes now.
    fn makes_room(&mut self, disk: &mut dyn Disk) -> bool {
        self.trims && (self.trim_oldest_segment(disk) > 0 || self.is_removing())
    }

    /// The file is prepared, or is not.
    pub(super) fn on_prepared(
        &mut self,
        disk: &mut dyn Disk,
        outcome: Result<(), ErrorKind>,
        events: &mut Vec<Event>,
    ) {
        let Spare::Preparing { sequence, bytes } = std::mem::replace(&mut self.spare, Spare::None)
        else {
            return;
        };
        let path = self.segment_path(sequence);
        let opened = outcome.and_then(|()| {
            let file = disk.open(&path).map_err(|error| error.kind())?;
            match disk.map(file) {
                Ok(map) => Ok((file, map)),
                Err(error) => {
                    disk.close(file);
                    Err(error.kind())
                }
            }
        });
        self.spare_failed = opened.is_err();
        match opened {
            Ok((file, map)) => self.spare = Spare::Ready { file, map, sequence, bytes },
            // Nobody waits for it: it is tried again when somebody does.
            Err(_) if self.waiting.is_empty() => {}
            // What goes is unlinked before the file is prepared once more.
            Err(kind) if is_full(kind) && self.makes_room(disk) => {
                let first = self
                    .waiting
                    .front()
                    .and_then(|it| Some(it.batch.as_ref()?.group_bytes(it.records.start)));
                self.next_bytes = self.settings.segment_bytes_min;
                self.prepare(disk, first.unwrap_or(0));
            }
            Err(kind) if is_full(kind) => self.fail_waiting(Refusal::Full, events),
            Err(kind) => {
                self.strike(&path, kind, events);
            }
        }
    }
}

/// Whether the system said that there is no space.
pub(super) fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl Segment {
    /// Bytes of records that still fit.
    fn room(&self) -> usize {
        let range = data_range(self.file_bytes);
        usize::try_from(range.end - range.start).unwrap_or(0).saturating_sub(self.position)
    }
}

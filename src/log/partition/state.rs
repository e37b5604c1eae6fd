//! The parts of a partition's state: what waits, what has its place, its files, what is under way.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::batch::Batch;
use super::super::disk::{FileId, Map};
use super::super::view::SegmentView;
use crate::model::record::{Offset, TimeNs};

/// Part of a batch, or (without one) offsets that were given out and then failed.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) batch: Option<Arc<Batch>>,
    pub(super) records: Range<usize>,
    /// One more than its last offset.
    pub(super) end: Offset,
}

impl Piece {
    pub(super) fn bytes(&self) -> Range<usize> {
        let batch = self.batch.as_ref();
        batch.map_or(0..0, |it| it.start(self.records.start)..it.start(self.records.end))
    }

    pub(super) fn first(&self) -> Offset {
        let first = |it: &Arc<Batch>| it.first() + self.records.start as u64;
        self.batch.as_ref().map_or(self.end, first)
    }
}

/// A piece that has its place in a segment.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) piece: Piece,
    /// Sequence of the segment.
    pub(super) segment: u64,
    /// Position behind the segment header.
    pub(super) at: usize,
    pub(super) writes_left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Takes records.
    Active,
    /// Takes no more; its pieces are still under way.
    Retired,
    /// Being sealed.
    Sealing,
    /// Written no more.
    Closed,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) sequence: u64,
    pub(super) path: PathBuf,
    /// Open while it is written.
    pub(super) file: Option<FileId>,
    pub(super) file_bytes: u64,
    pub(super) stage: Stage,
    pub(super) base: Offset,
    pub(super) valid_end: Offset,
    pub(super) end: Offset,
    pub(super) records: u64,
    pub(super) first_time: TimeNs,
    pub(super) last_time: TimeNs,
    /// Behind the last published record, counted from behind the segment header.
    pub(super) data_end: usize,
    /// Behind the last placed record.
    pub(super) position: usize,
    pub(super) epoch: u32,
    /// A sync of it failed, or recovery found damage: it never gets a footer.
    pub(super) unsound: bool,
    pub(super) last_index: Option<usize>,
    pub(super) view: Arc<SegmentView>,
}

/// The next segment's file.
#[derive(Debug)]
pub(super) enum Spare {
    None,
    Preparing { sequence: u64, bytes: u64 },
    Ready { file: FileId, map: Map, sequence: u64, bytes: u64 },
}

/// The epoch is durable before the first append of an opened partition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Closed,
    Opening,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Good,
    /// After a failure, until everything below this offset is acknowledged.
    Again(Offset),
    ReadOnly,
}

#[derive(Debug)]
pub(super) struct Commit {
    /// How many pieces from the front.
    pub(super) pieces: usize,
    pub(super) syncs_left: usize,
}

/// What a ticket of ours was for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Write {
        piece: u64,
        bytes: usize,
    },
    CommitSync {
        segment: u64,
    },
    GateWrite {
        bytes: usize,
    },
    GateSync,
    RecoverySync {
        segment: u64,
    },
    SealSync {
        segment: u64,
    },
    SealFooter {
        segment: u64,
    },
    Prepare,
    /// Of a segment: one at a time, oldest first.
    RemoveSegment,
    /// Of a file that holds no record.
    Remove,
}

//! A partition as its owner thread writes it.
//!
//! Method: appends of a turn are encoded into one buffer; the turn's end freezes it and places it
//! into the active segment ([`place`]); completions move the watermarks ([`commit`]); a failure
//! abandons the segment and places again what is not acknowledged ([`fail`]); full segments are
//! sealed and old ones unlinked ([`retain`]).
//!
//! Invariants: pieces are placed, published and acknowledged in order of offset; what is not
//! acknowledged stays in memory; a byte of a segment is written at most once. Cost: an append
//! copies its content once; a turn makes one write, and under group durability one sync for each
//! group.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahash::AHashMap;

use super::batch::{self, Batch, Builder, Stamp};
use super::disk::{Disk, Done, Tag, Ticket};
use super::format::seed_of;
use super::stored::Stored;
use super::view::PartitionView;
use super::watermark::Watermarks;
use super::{Durability, Event, Refusal, Settings, SpaceState};
use crate::limits::RECORD_BYTES_MAX;
use crate::model::record::{Offset, Record, TimeNs};

mod commit;
mod fail;
mod open;
mod pipe;
mod place;
mod retain;
mod state;

pub use pipe::Pipe;
pub use retain::Retention;

use retain::Tail;
use state::{Commit, Gate, Health, Op, Piece, Placed, Segment, Spare, Stage};

/// Offsets that an append got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Of its first record.
    pub first: Offset,
    /// Of its last record.
    pub last: Offset,
}

/// One partition, on its owner's thread.
#[derive(Debug)]
pub struct Partition {
    dir: PathBuf,
    identity: u64,
    tag: Tag,
    settings: Settings,
    stamp: Stamp,
    builder: Builder,
    pool: Vec<u8>,
    waiting: VecDeque<Piece>,
    placed: VecDeque<Placed>,
    /// Number of the front of `placed`, counted since opening.
    front: u64,
    /// How many of `placed`, from the front, are published.
    published: usize,
    unacknowledged: usize,
    segments: VecDeque<Segment>,
    spare: Spare,
    next_sequence: u64,
    next_bytes: u64,
    /// The last preparation failed: the next one waits until it is needed.
    spare_failed: bool,
    /// Writes of a new segment's header that the next piece has to wait for.
    header_writes: u32,
    gate: Gate,
    commit: Option<Commit>,
    /// Whether a commit that ends holds the next one for [`Self::release`].
    gathers: bool,
    /// No commit begins before so many bytes wait; 0: none is held.
    hold_for: usize,
    ops: AHashMap<Ticket, Op>,
    health: Health,
    full: bool,
    space: SpaceState,
    marks: Watermarks,
    /// Set by a failure: where earlier segments end as far as the next one is concerned.
    valid_end: Option<Offset>,
    /// Segments that are to be unlinked, the oldest first.
    removals: VecDeque<PathBuf>,
    removing: bool,
    /// The oldest segments make room for the next.
    trims: bool,
    start: Offset,
    tail: Option<Tail>,
    /// What was found when opening ends here; it is void in no case.
    recovered_end: Offset,
    /// A sync of it failed: it is not served as durable.
    recovery_failed: bool,
    view: Arc<PartitionView>,
}

impl Partition {
    /// Appends records as one: after a crash all of them are there, or none.
    ///
    /// They get the next offsets; nothing is written before [`Self::seal_turn`].
    ///
    /// # Errors
    /// A refusal; nothing was appended.
    pub fn append(&mut self, records: &[Record<'_>]) -> Result<Appended, Refusal> {
        let items = records.iter().map(|record| (record.time, Stored::Record(*record)));
        self.append_stored(items)
    }

    pub(super) fn append_stored<'a>(
        &mut self,
        items: impl ExactSizeIterator<Item = (TimeNs, Stored<'a>)> + Clone,
    ) -> Result<Appended, Refusal> {
        if self.health == Health::ReadOnly {
            return Err(Refusal::ReadOnly);
        }
        if self.full || self.space == SpaceState::Critical {
            return Err(Refusal::Full);
        }
        let (count, mut bytes) = (items.len() as u64, 0);
        for (_, stored) in items.clone() {
            let content = stored.content_bytes();
            if content > RECORD_BYTES_MAX {
                return Err(Refusal::Size);
            }
            bytes += super::format::record_bytes(content + batch::ARCHIVE_EXTRA_BYTES);
        }
        // A single append may be as large as all that may wait, when nothing else does.
        let limit = self.settings.unacknowledged_bytes_max;
        let room = limit.saturating_sub(self.unacknowledged + self.builder.bytes_len());
        let alone = self.unacknowledged == 0 && self.builder.is_empty();
        let slack = if alone { limit / 2 } else { 0 };
        if count == 0 || bytes > limit + limit / 2 {
            return Err(Refusal::Size);
        }
        if bytes > room + slack {
            return Err(Refusal::Busy);
        }
        let first = self.marks.appended();
        if !self.builder.push(self.stamp, first, items) {
            return Err(Refusal::Size);
        }
        self.marks.append(count);
        Ok(Appended { first, last: first + count - 1 })
    }

    /// Ends the turn: freezes what was appended, gives it to the disk, and returns it for live
    /// delivery; `None` if there was nothing.
    pub fn seal_turn(
        &mut self,
        disk: &mut dyn Disk,
        events: &mut Vec<Event>,
    ) -> Option<Arc<Batch>> {
        if self.builder.is_empty() {
            return None;
        }
        let batch = self.builder.freeze(std::mem::take(&mut self.pool));
        self.unacknowledged += batch.bytes_len();
        let end = batch.first() + batch.len() as u64;
        let piece = Piece { batch: Some(Arc::clone(&batch)), records: 0..batch.len(), end };
        self.waiting.push_back(piece);
        self.pump(disk, events);
        Some(batch)
    }

    /// Takes a completion; `false` if it is not one of this partition's.
    pub fn on_done(&mut self, disk: &mut dyn Disk, done: &Done, events: &mut Vec<Event>) -> bool {
        let Some(op) = self.ops.remove(&done.ticket) else { return done.tag == self.tag };
        let outcome = match (op, &done.result) {
            (_, Err(error)) => Err(error.kind()),
            (Op::Write { bytes, .. } | Op::GateWrite { bytes }, Ok(written))
                if *written < bytes =>
            {
                Err(io::ErrorKind::WriteZero)
            }
            _ => Ok(()),
        };
        self.on_op(disk, op, outcome, events);
        self.pump(disk, events);
        true
    }

    /// From now on a commit that ends holds the next one until as much is added to what waits as it
    /// acknowledged, or until [`Self::release`]: who was answered may be about to send as much
    /// again.
    pub fn gather(&mut self) {
        self.gathers = true;
    }

    /// Whether a commit is held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.hold_for > 0
    }

    /// Commits what waits, however little it is.
    pub fn release(&mut self, disk: &mut dyn Disk, events: &mut Vec<Event>) {
        self.hold_for = 0;
        self.pump(disk, events);
    }

    /// Tells how much space the disk has; `Ok` and `Low` end the refusals of a full disk.
    pub fn set_space(&mut self, space: SpaceState) {
        self.space = space;
        self.full &= space == SpaceState::Critical;
    }

    /// Whether operations of this partition are under way or must still be made.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let held = self.is_held() && !self.placed.is_empty();
        self.ops.is_empty() && self.builder.is_empty() && self.waiting.is_empty() && !held
    }

    /// Bytes that may be appended before an acknowledgement is needed, about.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.health == Health::ReadOnly || self.full || self.space == SpaceState::Critical {
            return 0;
        }
        let used = self.unacknowledged + self.builder.bytes_len();
        self.settings.unacknowledged_bytes_max.saturating_sub(used)
    }

    /// The three ends.
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        self.marks
    }

    /// One more than the last acknowledged offset.
    #[must_use]
    pub fn acknowledged(&self) -> Offset {
        match self.settings.durability {
            Durability::Os => self.marks.written(),
            Durability::Group => self.marks.synced(),
        }
    }

    /// Offset of the first record that is retained.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Bytes of records in all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|it| it.data_end as u64).sum()
    }

    /// Whether a second failure ended writing.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.health == Health::ReadOnly
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What readers share.
    #[must_use]
    pub fn view(&self) -> &Arc<PartitionView> {
        &self.view
    }

    /// Where the records end that must not be written again.
    fn kept_end(&self) -> Offset {
        self.acknowledged().max(self.recovered_end)
    }

    fn segment_mut(&mut self, sequence: u64) -> Option<&mut Segment> {
        self.segments.iter_mut().rev().find(|it| it.sequence == sequence)
    }

    fn active(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut().filter(|it| it.stage == Stage::Active)
    }

    fn publish_ends(&self) {
        self.view.set_ends(self.marks.written(), self.acknowledged());
    }

    fn publish_segments(&self) {
        self.view.set_segments(self.segments.iter().map(|it| Arc::clone(&it.view)).collect());
    }
}

/// A partition that holds nothing yet.
fn empty(dir: &Path, identity: u64, tag: Tag, settings: Settings) -> Partition {
    Partition {
        dir: dir.into(),
        identity,
        tag,
        settings,
        stamp: Stamp { seed: seed_of(identity), epoch: 1 },
        builder: Builder::default(),
        pool: Vec::new(),
        waiting: VecDeque::new(),
        placed: VecDeque::new(),
        front: 0,
        published: 0,
        unacknowledged: 0,
        segments: VecDeque::new(),
        spare: Spare::None,
        next_sequence: 0,
        next_bytes: settings.segment_bytes_min,
        spare_failed: false,
        header_writes: 0,
        gate: Gate::Closed,
        commit: None,
        gathers: false,
        hold_for: 0,
        ops: AHashMap::new(),
        health: Health::Good,
        full: false,
        space: SpaceState::Ok,
        marks: Watermarks::default(),
        valid_end: None,
        removals: VecDeque::new(),
        removing: false,
        start: 0,
        tail: None,
        trims: false,
        recovered_end: 0,
        recovery_failed: false,
        view: PartitionView::new(0, 0, 0),
    }
}

//! The durable log: what was acknowledged is there after a crash, whole, in order, and as it was.
//!
//! Method: a state machine over [`disk::Disk`], without clock, threads or waiting. Records are
//! encoded once ([`batch`]), written into prepared files ([`partition`]), read through shared maps
//! ([`view`], [`cursor`]). Each record identifies itself ([`format`]), so that recovery
//! ([`recovery`]) can tell sound, torn and damaged apart and never takes one for another.
//! Invariant: nothing damaged is deleted or overwritten, and no offset is given to two contents.
//!
//! The data directory:
//!
//! ```text
//! DIR/LOCK                           held by the process that writes here
//! DIR/catalog/SEQUENCE.seg           the catalog, itself a partition
//! DIR/topics/TOPIC/pN/SEQUENCE.seg   segments of partition N, SEQUENCE in 20 digits
//! DIR/positions/NAME.pos             durable cursors
//! *.new      a preparation that a crash cut short, removed when seen
//! *.damaged  a file without a sound record, set aside
//! *.removed  a partition that is being deleted
//! ```
//!
//! A segment is named by its sequence, not by its base offset, because it is prepared before it is
//! known which record comes first in it; the base offset stands in its header.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::limits::{
    LOG_UNACKNOWLEDGED_BYTES_MAX, LOG_WRITE_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
use crate::model::record::Offset;

pub mod batch;
pub mod catalog;
pub mod cursor;
pub mod disk;
pub mod format;
pub mod inspect;
pub mod partition;

pub mod position;
pub mod recovery;
mod scan;
mod stored;
#[cfg(test)]
mod tests;
pub mod view;
pub mod watermark;

pub use batch::{Batch, RecordRef};
pub use cursor::{Chunk, Cursor};
pub use partition::Partition;
pub use partition::Pipe;
pub use recovery::Report;
pub use view::{PartitionView, UpTo};

/// When an append is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the operating system has it: survives the process.
    Os,
    /// When it is synced, together with what else arrived meanwhile: survives a loss of power.
    Group,
}

/// Free space of the disk, as the caller found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceState {
    /// Enough.
    Ok,
    /// Little: appends go on, nothing is prepared ahead.
    Low,
    /// Too little: appends are refused.
    Critical,
}

/// Why an append is not taken, or was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No space on the disk; works again after [`Partition::set_space`] said so.
    Full,
    /// The disk failed twice: nothing is written until the partition is opened again.
    ReadOnly,
    /// Too many bytes wait to be acknowledged; try again after an acknowledgement.
    Busy,
    /// The records are larger than a record may be, or there is none.
    Size,
}

/// Sizes and durability of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When an append is acknowledged.
    pub durability: Durability,
    /// Bytes of the first segment file.
    pub segment_bytes_min: u64,
    /// Bytes that a segment file grows to, by factors of four.
    pub segment_bytes_max: u64,
    /// Bytes that may wait for their acknowledgement.
    pub unacknowledged_bytes_max: usize,
    /// Bytes of one write at most.
    pub write_bytes_max: usize,
    /// Bytes between two entries of the index.
    pub index_every_bytes: usize,
}

impl Settings {
    /// The limits of the program.
    #[must_use]
    pub fn new(durability: Durability) -> Self {
        Self {
            durability,
            segment_bytes_min: SEGMENT_BYTES_MIN,
            segment_bytes_max: SEGMENT_BYTES_MAX,
            unacknowledged_bytes_max: LOG_UNACKNOWLEDGED_BYTES_MAX,
            write_bytes_max: LOG_WRITE_BYTES_MAX,
            index_every_bytes: 32 << 10,
        }
    }
}

/// What a partition tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Every append below this offset is acknowledged, but those reported as failed before.
    Acknowledged {
        /// One more than the last acknowledged offset.
        below: Offset,
    },
    /// These appends were not kept; their offsets stay empty.
    Failed {
        /// The first.
        from: Offset,
        /// One more than the last.
        below: Offset,
        /// Why.
        why: Refusal,
    },
    /// A segment failed and is written no more; what was not acknowledged is written again.
    Poisoned {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: std::io::ErrorKind,
    },
    /// The second failure: the partition only reads from now on.
    ReadOnly,
    /// The disk is full.
    Full,
}

/// Damage on the medium: where, and what was there instead of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// The file.
    pub file: PathBuf,
    /// Position in it.
    pub offset: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Corruption {
    fn new(file: &Path, offset: usize, expected: &str, found: impl fmt::Debug) -> Self {
        let expected = expected.to_owned();
        Self { file: file.into(), offset: offset as u64, expected, found: format!("{found:?}") }
    }

    fn record(file: &Path, offset: usize, fault: format::Fault) -> Self {
        Self::new(file, offset, "the next record", fault)
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, expected, found } = self;
        write!(f, "{}: at byte {offset}: expected {expected}, found {found}", file.display())
    }
}

impl std::error::Error for Corruption {}

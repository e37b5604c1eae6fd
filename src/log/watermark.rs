//! How far a partition has come: appended >= written >= synced, each the next offset.
//!
//! Invariant: the order holds after every change, and no mark goes back; a change that would break
//! it is a programmer error and asserts. Cost: three integers.

use crate::model::record::Offset;

/// The three ends of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    appended: Offset,
    written: Offset,
    synced: Offset,
}

impl Watermarks {
    /// All at the same place.
    #[must_use]
    pub fn at(end: Offset) -> Self {
        Self { appended: end, written: end, synced: end }
    }

    /// As found when opening: `end` is written, `synced` of it is known to be durable.
    #[must_use]
    pub fn recovered(end: Offset, synced: Offset) -> Self {
        assert!(synced <= end, "synced beyond the end");
        Self { appended: end, written: end, synced }
    }

    /// Offset that the next record gets.
    #[must_use]
    pub fn appended(&self) -> Offset {
        self.appended
    }

    /// Everything below is in the file and may be read.
    #[must_use]
    pub fn written(&self) -> Offset {
        self.written
    }

    /// Everything below survives a loss of power.
    #[must_use]
    pub fn synced(&self) -> Offset {
        self.synced
    }

    pub(super) fn append(&mut self, records: u64) -> Offset {
        let first = self.appended;
        self.appended += records;
        first
    }

    pub(super) fn write(&mut self, end: Offset) {
        assert!(end <= self.appended, "written beyond appended");
        self.written = self.written.max(end);
    }

    pub(super) fn sync(&mut self, end: Offset) {
        assert!(end <= self.written, "synced beyond written");
        self.synced = self.synced.max(end);
    }
}

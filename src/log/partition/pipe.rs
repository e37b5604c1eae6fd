//! A topic that keeps nothing (`retain: 0`), or its newest records in memory (`_log`).
//!
//! It gives out offsets and batches as a partition does, so that live delivery is the same.

use super::super::Refusal;
use super::super::batch::{Batch, Builder, Stamp};
use super::super::stored::Stored;
use super::Appended;
use crate::limits::RECORD_BYTES_MAX;
use crate::model::record::{Offset, Record};
use std::collections::VecDeque;
use std::sync::Arc;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Pipe {
    builder: Builder,
    next: Offset,
    kept: VecDeque<Arc<Batch>>,
    kept_max: usize,
    kept_records: usize,
}

impl Pipe {
    /// A pipe that keeps about the newest `kept_max` records in memory; 0: none.
    #[must_use]
    pub fn new(kept_max: usize) -> Self {
        Self { kept_max, ..Self::default() }
    }

    /// Appends records as one.
    ///
    /// # Errors
    /// [`Refusal::Size`]: a record is too large, or there is none.
    pub fn append(&mut self, records: &[Record<'_>]) -> Result<Appended, Refusal> {
        let items = records.iter().map(|record| (record.time, Stored::Record(*record)));
        if records.is_empty() || items.clone().any(|(_, s)| s.content_bytes() > RECORD_BYTES_MAX) {
            return Err(Refusal::Size);
        }
        if !self.builder.push(Stamp { seed: 0, epoch: 0 }, self.next, items) {
            return Err(Refusal::Size);
        }
        let first = self.next;
        self.next += records.len() as u64;
        Ok(Appended { first, last: self.next - 1 })
    }

    /// Ends the turn; what was appended, if anything was.
    pub fn seal_turn(&mut self) -> Option<Arc<Batch>> {
        if self.builder.is_empty() {
            return None;
        }
        let batch = self.builder.freeze(Vec::new());
        if self.kept_max > 0 {
            self.kept_records += batch.len();
            self.kept.push_back(Arc::clone(&batch));
            while let Some(first) = self.kept.front()
                && self.kept_records - first.len() >= self.kept_max
            {
                self.kept_records -= first.len();
                self.kept.pop_front();
            }
        }
        Some(batch)
    }

    /// The offset that comes next.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// What is kept, oldest first; the first batch may reach beyond the bound.
    #[must_use]
    pub fn kept(&self) -> Vec<Arc<Batch>> {
        self.kept.iter().cloned().collect()
    }
}

//! One flow at work.

use super::files::Files;
use super::output::{Outputs, Troubles};
use crate::log::Cursor;
use crate::model::flow::Flow;
use crate::model::record::{Offset, Record};
use crate::model::topic::Topic;
use crate::model::value::of_record;
use crate::query::program::World;
use crate::query::push::Runner;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A flow at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) flow: Arc<Flow>,
    pub(super) runner: Runner,
    /// Offset of the source that is read next.
    pub(super) position: Offset,
    /// It reads the log, up to where the live records begin.
    pub(super) cursor: Option<Cursor>,
    /// Outputs of records before this one may be there already.
    pub(super) repeat_until: Offset,
    /// Where the last output came from, and the ordinal of the next one of the same record.
    pub(super) derived: (Offset, u32),
    /// It is kept over a restart.
    pub(super) durable: bool,
    /// Each record of its source is rows of a typed table.
    pub(super) typed: bool,
    /// Appends that were sent to, and acknowledged by, each target.
    pub(super) issued: Vec<u64>,
    pub(super) settled: Vec<u64>,
    /// The topics that it has written to.
    pub(super) targets: Vec<Arc<Topic>>,
    pub(super) troubles: Troubles,
    pub(super) files: Files,
}

impl Running {
    pub(super) fn share(&self) {
        let (counters, shared) = (self.runner.counters(), &self.flow.shared);
        shared.records_out.store(counters.records_out, Ordering::Relaxed);
        let errors = counters.errors + self.troubles.refused();
        shared.errors.store(errors, Ordering::Relaxed);
        shared.late.store(counters.late, Ordering::Relaxed);
    }

    /// Notes how many records came in, of which it was given those that find it; `position`: where
    /// it stands.
    pub(super) fn count_in(&mut self, position: Offset) {
        if !self.typed {
            let skew = self.flow.shared.skew.load(Ordering::Relaxed);
            self.runner.count_in(position.saturating_add_signed(skew));
        }
    }

    pub(super) fn under_way(&self) -> u64 {
        self.issued.iter().zip(&self.settled).map(|(issued, settled)| issued - settled).sum()
    }

    /// Lets the flow do something; what came out is added to `outputs`.
    pub(super) fn run(&mut self, world: &World<'_>, work: Work<'_>, outputs: &mut Outputs) {
        outputs.begin(self.derived, self.position);
        match work {
            Work::Records(list) => {
                let from = self.position;
                let at = outputs.at();
                let records = list.iter().filter(|(offset, _)| *offset >= from);
                if self.typed {
                    for (offset, record) in records {
                        at.set(*offset);
                        record.each(&mut |record| {
                            let one = (record.time / 1_000_000, of_record(record));
                            self.runner.push(std::iter::once(one), world, outputs);
                        });
                    }
                } else {
                    let records = records.map(|(offset, record)| {
                        at.set(*offset);
                        (record.time / 1_000_000, of_record(record))
                    });
                    self.runner.push(records, world, outputs);
                }
                if let Some((last, _)) = list.last() {
                    self.position = self.position.max(last + 1);
                }
            }
            Work::Matched(list) => {
                let at = outputs.at();
                let records = list.iter().map(|(offset, record)| {
                    at.set(*offset);
                    (record.time / 1_000_000, of_record(record))
                });
                self.runner.push_matched(records, world, outputs);
            }
            Work::Tick => self.runner.tick(world.now_ms, world, outputs),
            Work::Flush => {
                let approximate = self.runner.is_approximate();
                self.flow.shared.approximate.store(approximate, Ordering::Relaxed);
                outputs.underived();
                self.runner.flush(world, outputs);
            }
        }
        self.derived = outputs.derived();
        self.share();
    }
}

/// What a flow is to do.
pub(super) enum Work<'a> {
    Records(&'a [(Offset, Record<'a>)]),
    /// Records that its first condition holds for, none before where it stands.
    Matched(&'a [(Offset, Record<'a>)]),
    Tick,
    Flush,
}

//! Positions of consumer groups, on shard 0: entries of the catalog that nobody waits for but who
//! asked, and that do not hold definitions up.
//!
//! Cost: an entry of about 100 bytes and its share of the catalog's next sync.

use super::changes::{Topics, refuse};
use super::owner::refusal;
use crate::broker::catalog::Change;
use crate::log::Refusal;
use crate::model::event::Reply;
use crate::model::record::Offset;
use crate::model::table::Entry;
use crate::shard::core::Core;
use crate::shard::mail::Origin;
use std::ops::Range;
use std::sync::Arc;

/// Positions that wait to be durable.
#[derive(Debug)]
pub struct Commit {
    durable_at: Offset,
    entries: Arc<[Entry]>,
    origin: Origin,
}

impl Topics {
    /// Writes positions; those of one request are written in one turn.
    pub(super) fn commit(&mut self, core: &mut Core, origin: Origin, entries: Vec<Entry>) {
        let mut durable_at = None;
        for Entry { family, key, value, .. } in &entries {
            let written = match value {
                Some(value) => self.put(core, *family, key, value).map(Some),
                None => self.remove(core, *family, key),
            };
            match written {
                Ok(at) => durable_at = at.or(durable_at),
                Err(why) => return refuse(core, origin, why),
            }
        }
        match durable_at {
            Some(durable_at) => {
                self.commits.push_back(Commit { durable_at, entries: entries.into(), origin });
            }
            None => core.reply(origin, Reply::Done),
        }
    }

    pub(super) fn commits_durable(&mut self, core: &mut Core, below: Offset) {
        while let Some(commit) = self.commits.pop_front_if(|commit| commit.durable_at < below) {
            let change = Change::Defined(commit.entries);
            core.process.directory().apply(&change, core.catalog.lookups());
            core.reply(commit.origin, Reply::Done);
        }
    }

    pub(super) fn commits_failed(&mut self, core: &mut Core, lost: Range<Offset>, why: Refusal) {
        let (failed, kept): (Vec<_>, Vec<_>) =
            self.commits.drain(..).partition(|commit| lost.contains(&commit.durable_at));
        self.commits = kept.into();
        failed.iter().for_each(|commit| refuse(core, commit.origin, refusal(why)));
    }
}

//! The log of definitions, on shard 0: what subscribers are told of them (taos, 8.5).
//!
//! Invariant: a definition has its number before anybody can write into what it defines, and its
//! reply waits for the log. While the log refuses, as on a full disk, definitions wait here in
//! their order and are told when it takes them again; rows are refused as long. A stop before that
//! loses them, which the journal says: what they defined stands in the catalog, and a reader that
//! misses one still finds its rows.

use super::owner::Owner;
use crate::broker::Peer;
use crate::model::record::{Body, Record};
use crate::model::refusal::Refusal;
use crate::model::table::defined::Defined;
use crate::model::topic::DEFINITIONS_TOPIC;
use crate::shard::core::Core;
use crate::shard::mail::Origin;

/// Slot of the log's answer for definitions.
pub const TOLD_SLOT: u32 = u32::MAX - 3;
/// Definitions that wait for the log.
const UNTOLD_MAX: usize = 4096;

impl Owner {
    /// Appends definitions, each numbered by its database; gives those that the log does not take
    /// now, and why.
    fn append_definitions<'d>(
        &mut self,
        origin: Origin,
        list: &'d [Vec<u8>],
    ) -> Result<(), (&'d [Vec<u8>], Refusal)> {
        let Some(owned) = self.topics.get_mut(&DEFINITIONS_TOPIC) else {
            return Err((list, Refusal::UnknownTopic));
        };
        let time = crate::sys::clock::realtime_ns();
        let mut refused = Ok(());
        for (at, bytes) in list.iter().enumerate() {
            let database = Defined::decode(bytes).map_or("", |defined| defined.database);
            owned.numbers = Some(self.numberings.of(database));
            let origin =
                if at + 1 < list.len() { Origin { token: None, ..origin } } else { origin };
            let record = [Record { time, producer: 0, body: Body::Rows(bytes) }];
            if let Err(why) = owned.append(origin, &record) {
                refused = Err((list.get(at..).unwrap_or_default(), why));
                break;
            }
        }
        if !owned.dirty {
            owned.dirty = true;
            self.dirty.push(DEFINITIONS_TOPIC);
        }
        refused
    }

    /// Tries again what the log did not take.
    pub(super) fn tell_late(&mut self) {
        let nobody = Origin::nobody(0);
        while let Some(bytes) = self.untold.pop_front() {
            if let Err((rest, _)) = self.append_definitions(nobody, &[bytes]) {
                rest.iter().rev().for_each(|bytes| self.untold.push_front(bytes.clone()));
                return;
            }
        }
    }
}

/// Appends what subscribers are told; whether the log will answer.
pub(super) fn tell(core: &mut Core, round: u64, told: &[Vec<u8>]) -> bool {
    if told.is_empty() {
        return false;
    }
    let peer = Peer { shard: core.id, slot: TOLD_SLOT, generation: 0 };
    let origin = Origin { peer, token: Some(round as u32) };
    // None before those that wait.
    let appended = match core.owner.untold.is_empty() {
        true => core.owner.append_definitions(origin, told),
        false => Err((told, Refusal::Busy)),
    };
    let Err((rest, why)) = appended else { return true };
    let room = UNTOLD_MAX.saturating_sub(core.owner.untold.len());
    core.owner.untold.extend(rest.iter().take(room).cloned());
    if rest.len() > room {
        tracing::error!(?why, "subscribers are not told of {} definitions", rest.len() - room);
    } else {
        tracing::warn!(?why, "subscribers are told of {} definitions later", rest.len());
    }
    false
}

//! The log of definitions, on shard 0: what subscribers are told of them (taos, 8.5).
//!
//! Invariant: a definition has its number before anybody can write into what it defines, and its
//! reply waits for the log.

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

impl Owner {
    /// Appends definitions, each numbered by its database.
    ///
    /// # Errors
    /// A refusal; what was appended before it stays.
    pub fn append_definitions(&mut self, origin: Origin, list: &[Vec<u8>]) -> Result<(), Refusal> {
        let owned = self.topics.get_mut(&DEFINITIONS_TOPIC).ok_or(Refusal::UnknownTopic)?;
        let time = crate::sys::clock::realtime_ns();
        for (at, bytes) in list.iter().enumerate() {
            let database = Defined::decode(bytes).map_or("", |defined| defined.database);
            owned.numbers = Some(self.numberings.of(database));
            let origin =
                if at + 1 < list.len() { Origin { token: None, ..origin } } else { origin };
            owned.append(origin, &[Record { time, producer: 0, body: Body::Rows(bytes) }])?;
        }
        if !owned.dirty {
            owned.dirty = true;
            self.dirty.push(DEFINITIONS_TOPIC);
        }
        Ok(())
    }
}

/// Appends what subscribers are told; whether the log will answer.
pub(super) fn tell(core: &mut Core, round: u64, told: &[Vec<u8>]) -> bool {
    if told.is_empty() {
        return false;
    }
    let peer = Peer { shard: core.id, slot: TOLD_SLOT, generation: 0 };
    let origin = Origin { peer, token: Some(round as u32) };
    let appended = core.owner.append_definitions(origin, told);
    if let Err(why) = appended {
        tracing::error!(?why, "subscribers are not told of a definition");
    }
    appended.is_ok()
}

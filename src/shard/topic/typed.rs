//! Typed tables on shard 0: their definitions and their topics are made and removed together.

use super::changes::{NEXT_TOPIC_KEY, Pending, TOPIC_FAMILY, Topics, refuse};
use super::entry::encode;
use crate::broker::catalog::Change;
use crate::limits::TOPICS_MAX;
use crate::model::command::Definitions;
use crate::model::event::Reply;
use crate::model::name::TopicName;
use crate::model::refusal::Refusal;
use crate::model::table::entry::SUBTABLE_FAMILY;
use crate::model::table::{Entry, Require, own_name};
use crate::model::topic::{Retention, Storage, Topic};
use crate::query::tables::tmq::meta;
use crate::shard::core::Core;
use crate::shard::mail::Origin;
use std::sync::Arc;

impl Topics {
    /// Makes and removes definitions, all or none.
    pub(super) fn define(&mut self, core: &mut Core, origin: Origin, wanted: Definitions) {
        if let Err(why) = check(core, &wanted) {
            return refuse(core, origin, why);
        }
        match self.write(core, &wanted) {
            Ok(pending) => {
                let reply = Reply::Done;
                self.wait_for(Pending { origin, reply, ..pending });
            }
            Err(why) => refuse(core, origin, why),
        }
    }

    /// Writes what was checked.
    fn write(&mut self, core: &mut Core, wanted: &Definitions) -> Result<Pending, Refusal> {
        let told = meta::told(core.process.directory().tables(), wanted);
        let mut changes = Vec::new();
        let mut durable_at = 0;
        for name in &wanted.delete {
            let Some(topic) = core.catalog.find(name).cloned() else { continue };
            let next = u64::from(self.next_id).to_le_bytes();
            self.put_counter(core, NEXT_TOPIC_KEY, &next)?;
            if let Some(at) = self.remove(core, TOPIC_FAMILY, name.full().as_bytes())? {
                durable_at = at;
            }
            changes.extend(self.end_flows_of(core, topic.id));
            changes.push(Change::Deleted(topic.id));
        }
        for Entry { family, key, value, .. } in &wanted.entries {
            let at = match value {
                Some(value) => Some(self.put(core, *family, key, value)?),
                None => self.remove(core, *family, key)?,
            };
            durable_at = at.unwrap_or(durable_at);
        }
        for name in &wanted.create {
            let topic = Topic {
                id: self.next_id,
                name: name.clone(),
                retention: Retention::default(),
                storage: Storage::Log,
                queue: false,
                typed: true,
                created: core.now,
                shared: Default::default(),
            };
            let (key, value) = (name.full().as_bytes(), encode(&topic));
            durable_at = self.put(core, TOPIC_FAMILY, key, &value)?;
            self.next_id += 1;
            changes.push(Change::Created(Arc::new(topic)));
        }
        // The definition is known before its topic is.
        changes.insert(0, Change::Defined(wanted.entries.clone().into()));
        let (origin, reply) = (Origin::nobody(core.id), Reply::Done);
        Ok(Pending { durable_at, name: None, changes, origin, reply, told })
    }
}

/// Why no topic may be made of a name that no topic has: it is that of the log of this appliance,
/// or of a subtable, whose rows lie in the topic of its supertable (interchange, 1).
pub(in crate::shard) fn reserved(core: &Core, name: &TopicName) -> Option<Refusal> {
    if *name == core.log_topic.name {
        return Some(Refusal::Protected);
    }
    let directory = core.process.directory();
    let sub = directory.tables().subtable(name.database(), own_name(name));
    sub.map(|_| Refusal::TypedTable)
}

/// Whether a table may be called so.
fn check_name(core: &Core, name: &TopicName) -> Result<(), Refusal> {
    if core.catalog.find(name).is_some() {
        return Err(Refusal::TopicExists);
    }
    match reserved(core, name) {
        Some(Refusal::TypedTable) => Err(Refusal::TopicExists),
        Some(why) => Err(why),
        None => Ok(()),
    }
}

fn check(core: &Core, wanted: &Definitions) -> Result<(), Refusal> {
    if core.process.stopping.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(Refusal::Stopping);
    }
    let tables = Arc::clone(core.process.directory().tables());
    for entry in &wanted.entries {
        let there = tables.has(entry.family, &entry.key);
        match &entry.require {
            Require::Absent if there => return Err(Refusal::TopicExists),
            Require::Present if !there => return Err(Refusal::UnknownTopic),
            Require::Was(old) if !tables.table_is(&entry.key, old) => {
                return Err(Refusal::TopicExists);
            }
            _ => {}
        }
        let makes = !there && entry.value.is_some() && entry.family == SUBTABLE_FAMILY;
        if let Some(name) = std::str::from_utf8(&entry.key).ok().and_then(TopicName::parse)
            && makes
        {
            check_name(core, &name)?;
        }
    }
    wanted.create.iter().try_for_each(|name| check_name(core, name))?;
    if core.catalog.len() + wanted.create.len() > TOPICS_MAX {
        return Err(Refusal::TooManyTopics);
    }
    Ok(())
}

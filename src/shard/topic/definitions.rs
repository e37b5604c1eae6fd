//! Flows and named constants on shard 0: written to the catalog, durable, then told to every shard.
//! A continuous query is told at once and written nowhere: it does not outlive the process.

use super::changes::{Pending, Topics, refuse};
use super::hidden::HIDDEN_FAMILY;
use crate::broker::catalog::Change;
use crate::broker::flows::{Bad, FLOWS_MAX};
use crate::model::command::IfExists;
use crate::model::event::Reply;
use crate::model::flow::{Flow, FlowId, FlowRef, FlowShared, FlowSpec};
use crate::model::name::TopicName;
use crate::model::record::{Offset, TimeNs};
use crate::model::refusal::Refusal;
use crate::model::table::entry::{DATABASE_FAMILY, Entry, POSITION_FAMILY, Require, USER_FAMILY};
use crate::model::topic::{LOG_TOPIC, Storage, Topic, TopicId};
use crate::model::value::{Bytes, Value, encode_bytes, read_json};
use crate::shard::core::Core;
use crate::shard::mail::Origin;
use std::sync::Arc;

/// Entries of flows.
pub const FLOW_FAMILY: u8 = 3;
/// Entries of named constants.
pub const LOOKUP_FAMILY: u8 = 4;
/// The next number of a flow.
pub const NEXT_FLOW_KEY: &[u8] = b"next_flow";
/// Named constants at once.
const LOOKUPS_MAX: usize = 100_000;

impl Topics {
    /// Makes a flow, if the topics are there and it closes no ring.
    pub(super) fn create_flow(
        &mut self,
        core: &mut Core,
        origin: Origin,
        spec: FlowSpec,
        if_exists: IfExists,
    ) {
        let existing = match &spec.name {
            Some(name) => core.catalog.flows.find(&FlowRef::Name(Arc::clone(name))).cloned(),
            None => None,
        };
        if let Some(existing) = &existing {
            match if_exists {
                IfExists::Refuse => return refuse(core, origin, Refusal::FlowExists),
                IfExists::Keep => {
                    let reply = Reply::FlowCreated { id: existing.id, existed: true };
                    return core.reply(origin, reply);
                }
                IfExists::Replace => {}
            }
        }
        let log = (spec.source == core.log_topic.name).then_some(&core.log_topic);
        let Some(source) = core.catalog.find(&spec.source).or(log).cloned() else {
            return refuse(core, origin, Refusal::UnknownTopic);
        };
        if core.catalog.flows.len() >= FLOWS_MAX {
            return refuse(core, origin, Refusal::TooManyDefinitions);
        }
        let without = existing.as_ref().map(|flow| flow.id);
        match core.catalog.flows.check(&spec.source, &spec.targets, without) {
            Ok(()) => {}
            Err(Bad::Cycle(_)) => return refuse(core, origin, Refusal::FlowCycle),
            Err(Bad::TooDeep) => return refuse(core, origin, Refusal::FlowTooDeep),
        }
        let id = self.next_flow;
        let begin = if source.storage == Storage::Log { source.shared.records() } else { 0 };
        let created = core.now;
        let shared = FlowShared::default();
        let flow = Arc::new(Flow { id, spec, source: source.id, created, begin, shared });
        let mut changes: Vec<Change> = without.map(Change::FlowEnded).into_iter().collect();
        changes.push(Change::FlowCreated(Arc::clone(&flow)));
        let reply = Reply::FlowCreated { id, existed: existing.is_some() };
        let next = (id + 1).to_le_bytes();
        let noted = self.put_counter(core, NEXT_FLOW_KEY, &next);
        let put = match &flow.spec.name {
            Some(name) => {
                noted.and_then(|_| self.put(core, FLOW_FAMILY, name.as_bytes(), &encode(&flow)))
            }
            None => noted,
        };
        if put.is_ok() {
            self.next_flow = id + 1;
        }
        self.when_durable(core, origin, put, changes, reply);
    }

    /// Ends a flow.
    pub(super) fn delete_flow(&mut self, core: &mut Core, origin: Origin, which: &FlowRef) {
        let Some(flow) = core.catalog.flows.find(which).cloned() else {
            return refuse(core, origin, Refusal::UnknownFlow);
        };
        if let Err(why) = self.end_flow(core, origin, &flow) {
            refuse(core, origin, why);
        }
    }

    /// Ends a flow, and answers when every shard has heard of it.
    fn end_flow(&mut self, core: &mut Core, origin: Origin, flow: &Flow) -> Result<(), Refusal> {
        let durable_at = self.forget_flow(core, flow)?;
        let changes = vec![Change::FlowEnded(flow.id)];
        let reply = Reply::Done;
        match durable_at {
            Some(durable_at) => self.when_durable(core, origin, Ok(durable_at), changes, reply),
            None => {
                self.count_definition();
                let pending =
                    Pending { durable_at: 0, name: None, changes, origin, reply, told: Vec::new() };
                self.announce(core, pending);
            }
        }
        Ok(())
    }

    /// Takes a flow out of the catalog; gives when that is durable.
    fn forget_flow(&mut self, core: &mut Core, flow: &Flow) -> Result<Option<Offset>, Refusal> {
        match &flow.spec.name {
            Some(name) => self.remove(core, FLOW_FAMILY, name.as_bytes()),
            None => Ok(None),
        }
    }

    /// The changes that end the flows which read a topic.
    pub(super) fn end_flows_of(&mut self, core: &mut Core, topic: TopicId) -> Vec<Change> {
        let flows: Vec<_> = core.catalog.flows.reading(topic).cloned().collect();
        for flow in &flows {
            if let Err(why) = self.forget_flow(core, flow) {
                tracing::error!(?why, "a flow that has ended stays in the catalog");
            }
        }
        flows.iter().map(|flow| Change::FlowEnded(flow.id)).collect()
    }

    /// Ends the flows whose time is over. One that the catalog refuses to end is asked for again.
    pub fn expire_flows(&mut self, core: &mut Core) {
        self.ending.retain(|id| core.catalog.flows.get(*id).is_some());
        let over = core.catalog.flows.over(core.now);
        let list: Vec<_> = over.filter(|flow| !self.ending.contains(&flow.id)).cloned().collect();
        for flow in list {
            match self.end_flow(core, Origin::nobody(core.id), &flow) {
                Ok(()) => drop(self.ending.insert(flow.id)),
                Err(why) => tracing::debug!(?why, flow = flow.id, "its end waits"),
            }
        }
    }

    /// Names a constant.
    pub(super) fn set_lookup(
        &mut self,
        core: &mut Core,
        origin: Origin,
        (name, value): (&str, &[u8]),
        if_exists: IfExists,
    ) {
        let lower = name.to_lowercase();
        let existed = core.catalog.lookups().contains_key(&lower);
        match (existed, if_exists) {
            (true, IfExists::Refuse) => return refuse(core, origin, Refusal::LookupExists),
            (true, IfExists::Keep) => {
                return core.reply(origin, Reply::Created { existed: true });
            }
            _ => {}
        }
        if !existed && core.catalog.lookups().len() >= LOOKUPS_MAX {
            return refuse(core, origin, Refusal::TooManyDefinitions);
        }
        let mut entry = vec![1];
        encode_bytes(name.as_bytes(), &mut entry);
        encode_bytes(value, &mut entry);
        let value = std::str::from_utf8(value).ok().and_then(read_json);
        let Some(value) = value.map(|value| value.own()) else {
            return refuse(core, origin, Refusal::BadName);
        };
        let put = self.put(core, LOOKUP_FAMILY, lower.as_bytes(), &entry);
        let changes = vec![Change::Lookup(name.into(), Some(value))];
        self.when_durable(core, origin, put, changes, Reply::Created { existed });
    }

    /// Forgets a constant.
    pub(super) fn delete_lookup(&mut self, core: &mut Core, origin: Origin, name: &str) {
        let lower = name.to_lowercase();
        if !core.catalog.lookups().contains_key(&lower) {
            return refuse(core, origin, Refusal::UnknownLookup);
        }
        let removed = self.remove(core, LOOKUP_FAMILY, lower.as_bytes());
        let removed = removed.and_then(|at| at.ok_or(Refusal::UnknownLookup));
        let changes = vec![Change::Lookup(name.into(), None)];
        self.when_durable(core, origin, removed, changes, Reply::Done);
    }
}

/// Version, id, created, ttl, begin, source, text, targets, sinks; the key is the name.
fn encode(flow: &Flow) -> Vec<u8> {
    let mut out = vec![1];
    let spec = &flow.spec;
    let ttl = spec.ttl_ms.map_or(0, |ms| ms.saturating_add(1));
    for number in [flow.id, flow.created as u64, ttl, flow.begin, u64::from(flow.source)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    encode_bytes(spec.source.full().as_bytes(), &mut out);
    encode_bytes(spec.text.as_bytes(), &mut out);
    out.extend_from_slice(&(spec.targets.len() as u64).to_le_bytes());
    spec.targets.iter().for_each(|target| encode_bytes(target.full().as_bytes(), &mut out));
    out.extend_from_slice(&(spec.sinks.len() as u64).to_le_bytes());
    for (kind, name) in &spec.sinks {
        encode_bytes(kind.as_bytes(), &mut out);
        encode_bytes(name.as_bytes(), &mut out);
    }
    out
}

fn decode(key: &[u8], value: &[u8]) -> Option<Flow> {
    let mut from = Bytes(value);
    if from.u8()? != 1 {
        return None;
    }
    let (id, created): (FlowId, TimeNs) = (from.u64()?, from.u64()? as i64);
    let (ttl, begin, source) = (from.u64()?, from.u64()?, from.u64()? as TopicId);
    let (name, text) = (TopicName::parse(from.text()?)?, from.text()?.into());
    let count = from.count(8)?;
    let targets = (0..count).map(|_| TopicName::parse(from.text()?)).collect::<Option<_>>()?;
    let count = from.count(16)?;
    let kinds = ["stream", "file"];
    let sink = |from: &mut Bytes<'_>| {
        let kind = from.text()?;
        Some((*kinds.iter().find(|known| **known == kind)?, from.text()?.into()))
    };
    let sinks = (0..count).map(|_| sink(&mut from)).collect::<Option<_>>()?;
    let own = Some(std::str::from_utf8(key).ok()?.into());
    let ttl_ms = ttl.checked_sub(1);
    let spec = FlowSpec { name: own, text, source: name, targets, ttl_ms, sinks };
    Some(Flow { id, spec, source, created, begin, shared: FlowShared::default() })
}

/// The change that an entry of the catalog stands for, if it is a definition. `topics`: those that
/// exist.
pub fn restore(family: u8, key: &[u8], value: &[u8], topics: &[Arc<Topic>]) -> Option<Change> {
    match family {
        FLOW_FAMILY => {
            let flow = decode(key, value)?;
            let exists = flow.source == LOG_TOPIC || topics.iter().any(|t| t.id == flow.source);
            exists.then(|| Change::FlowCreated(Arc::new(flow)))
        }
        DATABASE_FAMILY..=POSITION_FAMILY | USER_FAMILY => {
            let (key, value) = (key.to_vec(), Some(value.to_vec()));
            let entry = Entry { family, key, value, require: Require::Any };
            Some(Change::Defined([entry].into()))
        }
        LOOKUP_FAMILY => {
            let mut from = Bytes(value);
            if from.u8()? != 1 {
                return None;
            }
            let (name, json) = (from.text()?, from.text()?);
            let value: Value<'static> = read_json(json)?.own();
            Some(Change::Lookup(name.into(), Some(value)))
        }
        HIDDEN_FAMILY => super::hidden::restore(key, value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_survives_the_catalog() {
        let spec = FlowSpec {
            name: Some("f".into()),
            text: "s | insert_into(t)".into(),
            source: TopicName::parse("s").unwrap(),
            targets: vec![TopicName::parse("plant.t").unwrap()],
            ttl_ms: Some(0),
            sinks: vec![("stream", "plant.t".into())],
        };
        let shared = FlowShared::default();
        let flow = Flow { id: 7, spec, source: 3, created: -5, begin: 9, shared };
        let bytes = encode(&flow);
        let back = decode(b"f", &bytes).unwrap();
        assert_eq!((back.id, back.source, back.created, back.begin), (7, 3, -5, 9));
        assert_eq!(back.spec, flow.spec);
        for cut in 0..bytes.len() {
            assert!(decode(b"f", &bytes[..cut]).is_none());
        }
    }
}

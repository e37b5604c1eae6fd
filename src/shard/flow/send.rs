//! What flows put out goes to its targets, and what comes back.

use super::output::{self, Outputs};
use super::{FLOW_SLOT, Flows, Running};
use crate::broker::Peer;
use crate::model::event::Reply;
use crate::model::flow::{Derivation, Flow};
use crate::model::record::{Body, Record};
use crate::proto::contract::Bound;
use crate::shard::Shard;
use crate::shard::mail::{Mail, Origin, OwnedRecords};
use std::sync::Arc;

impl Shard {
    /// Sends what a flow made to its targets, in one append for each run of the same target.
    pub(super) fn send_outputs(&mut self, running: &mut Running, outputs: Outputs) {
        let now = self.core.now;
        if outputs.is_empty() {
            return;
        }
        let Outputs { parts, bytes, files, troubles, .. } = outputs;
        running.troubles.take(troubles, now / 1_000_000);
        running.files.write(files);
        let flow = running.flow.id;
        for run in parts.chunk_by(|a, b| a.target == b.target) {
            let Some(first) = run.first() else { continue };
            let target = first.target;
            let Some(name) = running.flow.spec.targets.get(target) else { continue };
            let Some(topic) = self.core.catalog.find(name).cloned() else {
                let text = format!("Target stream '{}' does not exist", name.short());
                running.troubles.refuse("STREAM_NOT_FOUND", &text, now / 1_000_000);
                continue;
            };
            if !running.targets.iter().any(|known| known.id == topic.id) {
                running.targets.push(Arc::clone(&topic));
            }
            let record = |part: &output::Part| {
                let json = bytes.get(part.bytes.clone()).unwrap_or_default();
                let body = match part.from {
                    Some(from) => Body::Derived { json, flow, from },
                    None => Body::Json(json),
                };
                Record { time: now, producer: 0, body }
            };
            let repeats = |part: &output::Part| {
                let before = |from: Derivation| from.offset < running.repeat_until;
                part.from.is_some_and(before)
            };
            let bound = if run.iter().any(repeats) { Bound::Repeat } else { Bound::Free };
            let origin = self.flows.expect(&running.flow, target, self.core.id);
            if let Some(issued) = running.issued.get_mut(target) {
                *issued += 1;
            }
            let owner = self.core.owner_of(topic.id);
            if owner == self.core.id {
                let records: Vec<Record<'_>> = run.iter().map(record).collect();
                let result = self.core.owner.append(origin, topic.id, &records, bound, false);
                if let Err(why) = result {
                    self.core.reply(origin, Reply::Refused(why));
                }
            } else {
                let bodies: Vec<_> = run.iter().map(|part| record(part).body).collect();
                let records = OwnedRecords::new(now, 0, &bodies);
                self.core.send(owner, Mail::Append { origin, topic: topic.id, records, bound });
            }
        }
        self.log_troubles(running);
    }

    pub(super) fn log_troubles(&mut self, running: &mut Running) {
        let name = running.flow.spec.name.as_deref();
        for record in running.troubles.records(name, running.flow.id, self.core.now) {
            self.core.send(0, Mail::Log(record));
        }
    }

    /// An append of a flow has ended.
    pub(in crate::shard) fn on_flow_reply(&mut self, token: u32, reply: &Reply) {
        let Some((topic, flow, target)) = self.flows.appends.remove(&token) else { return };
        let now_ms = self.now_ms();
        let Some(running) = self.flows.find(topic, flow) else { return };
        if let Some(settled) = running.settled.get_mut(target) {
            *settled += 1;
        }
        if let Reply::Refused(why) = reply {
            let name = running.flow.spec.targets.get(target).map_or("", |name| name.short());
            let why = why.storage_text().unwrap_or("refused");
            let text = format!("Insert into '{name}' failed: {why}");
            running.troubles.refuse("INSERT_FAILED", &text, now_ms);
            running.share();
        }
    }
}

impl Flows {
    fn expect(&mut self, flow: &Flow, target: usize, shard: u16) -> Origin {
        self.next_token = self.next_token.wrapping_add(1);
        self.appends.insert(self.next_token, (flow.source, flow.id, target));
        let peer = Peer { shard, slot: FLOW_SLOT, generation: 0 };
        Origin { peer, token: Some(self.next_token) }
    }
}

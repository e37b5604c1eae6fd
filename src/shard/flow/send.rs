//! What flows put out goes to its targets, and what comes back.

use super::output::{Outputs, Part};
use super::{Append, FLOW_SLOT, Flows, Running};
use crate::broker::Peer;
use crate::model::event::Reply;
use crate::model::flow::FlowId;
use crate::model::record::{Body, Offset, Record, TimeNs};
use crate::model::topic::{Topic, TopicId};
use crate::proto::contract::Bound;
use crate::shard::Shard;
use crate::shard::mail::{Mail, Origin, OwnedRecords};
use ahash::AHashMap;
use std::sync::Arc;

/// Bytes of an append of several flows after which the next one begins.
const TOGETHER_BYTES: usize = 256 << 10;

/// What several flows put out, one after the other.
#[derive(Debug, Default)]
pub struct Together {
    /// All of it.
    pub outputs: Outputs,
    ends: Vec<End>,
    /// What stands before the flow under way: parts, lines, troubles.
    before: (usize, usize, usize),
}

/// How much of it a flow made.
#[derive(Debug)]
struct End {
    flow: usize,
    parts: usize,
    files: usize,
    troubles: usize,
}

/// An append that is being put together.
struct Sheet<'b> {
    topic: TopicId,
    /// The topic that the flows read.
    source: TopicId,
    records: Vec<Record<'b>>,
    bytes: usize,
    flows: Vec<(FlowId, usize)>,
    /// Some of it may be there already.
    repeats: bool,
}

impl Together {
    /// That was of the flow of this number.
    pub fn end_of(&mut self, flow: usize) {
        let Outputs { parts, files, troubles, .. } = &self.outputs;
        let now = (parts.len(), files.len(), troubles.len());
        if now != self.before {
            let (parts, files, troubles) = self.before;
            self.ends.push(End {
                flow,
                parts: now.0 - parts,
                files: now.1 - files,
                troubles: now.2 - troubles,
            });
            self.before = now;
        }
    }
}

impl Sheet<'_> {
    fn new(topic: TopicId, source: TopicId) -> Self {
        let (records, flows) = (Vec::new(), Vec::new());
        Self { topic, source, records, bytes: 0, flows, repeats: false }
    }
}

impl Shard {
    /// Sends what a flow made to its targets, in one append for each run of the same target.
    pub(super) fn send_outputs(&mut self, running: &mut Running, outputs: Outputs) {
        if outputs.is_empty() {
            return;
        }
        let Outputs { parts, bytes, files, troubles, .. } = outputs;
        running.troubles.take(troubles, self.now_ms());
        running.files.write(files);
        for run in parts.chunk_by(|a, b| a.target == b.target) {
            let Some(first) = run.first() else { continue };
            let target = first.target;
            let Some(topic) = self.target_of(running, target) else { continue };
            let whose = Append::One(running.flow.source, running.flow.id, target);
            let origin = self.flows.expect(whose, self.core.id);
            if let Some(issued) = running.issued.get_mut(target) {
                *issued += 1;
            }
            let id = running.flow.id;
            let records = run.iter().map(|part| part.record(&bytes, id, self.core.now)).collect();
            let repeats = run.iter().any(|part| part.is_before(running.repeat_until));
            self.append_outputs(origin, topic.id, records, repeats);
        }
        self.log_troubles(running);
    }

    /// Sends what several flows made, in few appends for each target.
    pub(super) fn send_together(&mut self, flows: &mut [Running], together: Together) {
        let Together { outputs, ends, .. } = together;
        let now_ms = self.now_ms();
        let mut sheets: Vec<Sheet<'_>> = Vec::new();
        let mut known: AHashMap<TopicId, usize> = AHashMap::new();
        let mut parts = outputs.parts.as_slice();
        let (mut files, mut troubles) = (outputs.files.into_iter(), outputs.troubles.into_iter());
        for end in ends {
            let Some(running) = flows.get_mut(end.flow) else { continue };
            let (own, rest) = parts.split_at(end.parts.min(parts.len()));
            parts = rest;
            running.files.write(files.by_ref().take(end.files).collect());
            running.troubles.take(troubles.by_ref().take(end.troubles).collect(), now_ms);
            for run in own.chunk_by(|a, b| a.target == b.target) {
                let Some(first) = run.first() else { continue };
                let Some(topic) = self.target_of(running, first.target) else { continue };
                let number = *known.entry(topic.id).or_insert(sheets.len());
                if number == sheets.len() {
                    sheets.push(Sheet::new(topic.id, running.flow.source));
                }
                let Some(sheet) = sheets.get_mut(number) else { continue };
                sheet.flows.push((running.flow.id, first.target));
                for part in run {
                    sheet.records.push(part.record(&outputs.bytes, running.flow.id, self.core.now));
                    sheet.bytes += part.bytes.len();
                    sheet.repeats |= part.is_before(running.repeat_until);
                }
                if sheet.bytes > TOGETHER_BYTES {
                    let full = std::mem::replace(sheet, Sheet::new(topic.id, running.flow.source));
                    self.send_sheet(full);
                }
            }
            self.log_troubles(running);
        }
        for sheet in sheets {
            self.send_sheet(sheet);
        }
    }

    fn send_sheet(&mut self, sheet: Sheet<'_>) {
        let Sheet { topic, source, records, flows, repeats, .. } = sheet;
        if records.is_empty() {
            return;
        }
        let number = self.flows.together;
        self.flows.together += 1;
        let origin = self.flows.expect(Append::Together(number, source, flows), self.core.id);
        self.append_outputs(origin, topic, records, repeats);
    }

    /// The topic of a flow's target, which it writes from now on.
    fn target_of(&mut self, running: &mut Running, target: usize) -> Option<Arc<Topic>> {
        let name = running.flow.spec.targets.get(target)?;
        let Some(topic) = self.core.catalog.find(name).cloned() else {
            let text = format!("Target stream '{}' does not exist", name.short());
            running.troubles.refuse("STREAM_NOT_FOUND", &text, self.now_ms());
            return None;
        };
        if !running.targets.iter().any(|known| known.id == topic.id) {
            running.targets.push(Arc::clone(&topic));
        }
        Some(topic)
    }

    fn append_outputs(
        &mut self,
        origin: Origin,
        topic: TopicId,
        records: Vec<Record<'_>>,
        repeats: bool,
    ) {
        let bound = if repeats { Bound::Repeat } else { Bound::Free };
        let owner = self.core.owner_of(topic);
        if owner == self.core.id {
            let result = self.core.owner.append(origin, topic, &records, bound, false);
            if let Err(why) = result {
                self.core.reply(origin, Reply::Refused(why));
            }
        } else {
            let bodies: Vec<_> = records.iter().map(|record| record.body).collect();
            let records = OwnedRecords::new(self.core.now, 0, &bodies);
            self.core.send(owner, Mail::Append { origin, topic, records, bound });
        }
    }

    pub(super) fn log_troubles(&mut self, running: &mut Running) {
        let name = running.flow.spec.name.as_deref();
        for record in running.troubles.records(name, running.flow.id, self.core.now) {
            self.core.send(0, Mail::Log(record));
        }
    }

    /// An append of a flow, or of several, has ended.
    pub(in crate::shard) fn on_flow_reply(&mut self, token: u32, reply: &Reply) {
        let now_ms = self.now_ms();
        match self.flows.appends.remove(&token) {
            Some(Append::One(topic, flow, target)) => {
                let Some(running) = self.flows.find(topic, flow) else { return };
                if let Some(settled) = running.settled.get_mut(target) {
                    *settled += 1;
                }
                running.hear(target, reply, now_ms);
            }
            Some(Append::Together(_, topic, flows)) if matches!(reply, Reply::Refused(_)) => {
                for (flow, target) in flows {
                    if let Some(running) = self.flows.find(topic, flow) {
                        running.hear(target, reply, now_ms);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Running {
    /// What became of an append to a target.
    fn hear(&mut self, target: usize, reply: &Reply, now_ms: i64) {
        if let Reply::Refused(why) = reply {
            let name = self.flow.spec.targets.get(target).map_or("", |name| name.short());
            let why = why.storage_text().unwrap_or("refused");
            let text = format!("Insert into '{name}' failed: {why}");
            self.troubles.refuse("INSERT_FAILED", &text, now_ms);
            self.share();
        }
    }
}

impl Flows {
    fn expect(&mut self, whose: Append, shard: u16) -> Origin {
        self.next_token = self.next_token.wrapping_add(1);
        self.appends.insert(self.next_token, whose);
        let peer = Peer { shard, slot: FLOW_SLOT, generation: 0 };
        Origin { peer, token: Some(self.next_token) }
    }
}

impl Part {
    fn record<'b>(&self, bytes: &'b [u8], flow: FlowId, now: TimeNs) -> Record<'b> {
        let json = bytes.get(self.bytes.clone()).unwrap_or_default();
        let body = match self.from {
            Some(from) => Body::Derived { json, flow, from },
            None => Body::Json(json),
        };
        Record { time: now, producer: 0, body }
    }

    /// Whether it was made of a record before that one.
    fn is_before(&self, offset: Offset) -> bool {
        self.from.is_some_and(|from| from.offset < offset)
    }
}

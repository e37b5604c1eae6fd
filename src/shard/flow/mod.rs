//! Flows at work: each runs on the shard that owns the topic it reads, so that it sees every record
//! once and in order.
//!
//! A flow on a log keeps its position and its state in checkpoints ([`checkpoint`]) and reads the
//! log from there after a restart. What it inserts carries where it came from, and until it has
//! come to where the log ended at the restart, the owner of a target drops what it already has: so
//! each record counts once and each output stands once. Cost: of many flows, [`select`] finds those
//! that a record matches; one that only counts costs about 10 ns a match, any other scans the
//! record once; an output is copied once, and a batch makes one append for each target.

pub mod checkpoint;
mod files;
mod output;
mod running;
mod select;
mod send;

use crate::log::{Batch, Cursor, UpTo};
use crate::model::event::Reply;
use crate::model::flow::{Flow, FlowId};
use crate::model::record::{Body, Offset, Record};
use crate::model::topic::{Storage, Topic, TopicId};
use crate::query::dialect::jet;
use crate::query::program::World;
use crate::query::push::Runner;
use crate::query::push::lane::Lanes;
use crate::shard::Shard;
use crate::shard::mail::{Mail, Origin};
use crate::shard::topic::owner::Store;
use ahash::AHashMap;
use checkpoint::Checkpoints;
use files::{Expected, Files};
use output::{Outputs, Troubles};
use running::{Running, Work};
use select::Selector;
use send::Together;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Slot of replies that are for a flow.
pub const FLOW_SLOT: u32 = u32::MAX - 1;
/// Bytes of a log read at once for a flow that is behind.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks read in one turn.
const CHUNKS_A_TURN: usize = 8;
/// Appends of a flow that may be under way before it reads on.
const UNDER_WAY_MAX: u64 = 256;

/// All flows of a shard.
#[derive(Debug, Default)]
pub struct Flows {
    by_topic: AHashMap<TopicId, Readers>,
    /// Appends under way.
    appends: AHashMap<u32, Append>,
    next_token: u32,
    /// Number of the next append of several flows.
    together: u64,
    /// When a flow has something to do by the clock, ms since 1970.
    pub next_ms: Option<i64>,
    /// Flows that read their logs.
    behind: usize,
    /// What is stored of them.
    pub checkpoints: Checkpoints,
}

/// Whose outputs an append under way holds: the topic that is read, the flow, the target's number.
#[derive(Debug)]
enum Append {
    One(TopicId, FlowId, usize),
    /// Of several flows, and its number.
    Together(u64, TopicId, Vec<(FlowId, usize)>),
}

/// The flows that read one topic.
#[derive(Debug, Default)]
struct Readers {
    list: Vec<Running>,
    selector: Selector,
    /// Live flows have seen every record before this one.
    head: Offset,
    /// Flows that the clock may make emit.
    timed: usize,
    /// Where the flow that was made last began, or one that has caught up.
    youngest: Offset,
}

impl Flows {
    /// Whether no flow reads its log.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.behind == 0
    }

    /// Whether a flow reads this topic here.
    #[must_use]
    pub fn has(&self, topic: TopicId) -> bool {
        self.by_topic.contains_key(&topic)
    }

    fn find(&mut self, topic: TopicId, flow: FlowId) -> Option<&mut Running> {
        let readers = self.by_topic.get_mut(&topic)?;
        let index = readers.place(flow)?;
        readers.list.get_mut(index)
    }
}

impl Readers {
    /// Where a flow stands in the list, which ascends by their numbers.
    fn place(&self, flow: FlowId) -> Option<usize> {
        self.list.binary_search_by_key(&flow, |running| running.flow.id).ok()
    }
}

impl Shard {
    /// A flow was made, or is known again after a restart.
    pub(in crate::shard) fn start_flow(&mut self, flow: &Arc<Flow>) {
        if self.core.owner_of(flow.source) != self.core.id {
            return;
        }
        let pipeline = match jet::parse(&flow.spec.text) {
            Ok(jet::Statement::Pipeline(pipeline)) => pipeline,
            other => {
                let name = flow.spec.name.as_deref().unwrap_or_default();
                return tracing::error!(name, ?other, "a flow cannot be read and does not run");
            }
        };
        let Some(owned) = self.core.owner.get(flow.source) else { return };
        Lanes::prepare(&pipeline);
        let head = owned.head();
        let mut running = Running {
            flow: Arc::clone(flow),
            runner: Runner::new(Arc::clone(&pipeline)),
            position: head,
            cursor: None,
            repeat_until: 0,
            derived: (0, 0),
            typed: owned.topic.typed,
            durable: owned.topic.storage == Storage::Log && flow.spec.name.is_some(),
            issued: vec![0; flow.spec.targets.len()],
            settled: vec![0; flow.spec.targets.len()],
            targets: self.targets_of(flow),
            troubles: Troubles::default(),
            files: Files::default(),
        };
        if let Store::Log(partition) = &owned.store {
            running.position = flow.begin.min(head);
            if running.durable
                && let Some(saved) = self.flows.checkpoints.find(flow.id)
            {
                match saved.restore(Arc::clone(&pipeline)) {
                    Some(runner) => {
                        running.runner = runner;
                        running.position = saved.position.min(head);
                        running.derived = saved.derived;
                    }
                    None => tracing::error!(flow = flow.id, "a stored state does not fit: empty"),
                }
            }
            running.repeat_until = if self.recovered { 0 } else { head + 1 };
            if running.position < head {
                let view = Arc::clone(partition.view());
                running.cursor = Some(Cursor::new(view, running.position));
                self.flows.behind += 1;
            }
        }
        let files_dir = self.core.process.config.files_dir.clone();
        let lookups = Arc::clone(self.core.catalog.lookups());
        running.files = Files::open(&pipeline, &lookups, files_dir.as_deref());
        self.flows.checkpoints.touch();
        let readers = self.flows.by_topic.entry(flow.source).or_default();
        let counted = running.runner.counters().records_in as i64;
        flow.shared.skew.store(counted - running.position as i64, Ordering::Relaxed);
        readers.timed += usize::from(pipeline.has_timers());
        readers.head = readers.head.max(if running.cursor.is_none() { head } else { 0 });
        readers.youngest = readers.youngest.max(running.position);
        readers.list.push(running);
        readers.selector.rebuild_later();
    }

    fn targets_of(&self, flow: &Flow) -> Vec<Arc<Topic>> {
        let find = |name| self.core.catalog.find(name).cloned();
        flow.spec.targets.iter().filter_map(find).collect()
    }

    /// Notes what flows had put into the topics of this shard before the restart: the owners leave
    /// it out when it comes again. Reads the targets from where they ended at the checkpoint.
    pub(in crate::shard) fn note_repeats(&mut self) {
        let flows: Vec<Arc<Flow>> = self.core.catalog.flows.iter().cloned().collect();
        for flow in flows {
            let saved = self.flows.checkpoints.find(flow.id).cloned();
            for topic in self.targets_of(&flow) {
                let known = saved.as_ref().and_then(|s| s.targets.iter().find(|t| t.0 == topic.id));
                let from = known.map_or(0, |(_, offset)| *offset);
                let Some(owned) = self.core.owner.get_mut(topic.id) else { continue };
                let Store::Log(partition) = &owned.store else { continue };
                let mut cursor = Cursor::new(Arc::clone(partition.view()), from);
                let mut last = None;
                while let Some(chunk) = cursor.next_batch(CHUNK_BYTES, UpTo::Written) {
                    for (_, record) in chunk.iter() {
                        if let Body::Derived { flow: id, from, .. } = record.body
                            && id == flow.id
                        {
                            last = last.max(Some(from));
                        }
                    }
                }
                if let Some(last) = last {
                    owned.repeats.insert(flow.id, last);
                }
            }
        }
    }

    /// A flow has ended: it emits once more.
    pub(in crate::shard) fn end_flow(&mut self, flow: &Flow) {
        let Some(readers) = self.flows.by_topic.get_mut(&flow.source) else { return };
        let Some(index) = readers.place(flow.id) else { return };
        readers.selector.leave_lanes(&mut readers.list);
        let mut running = readers.list.remove(index);
        readers.selector.rebuild_later();
        readers.timed -= usize::from(running.runner.pipeline().has_timers());
        running.position = running.position.max(readers.head);
        if readers.list.is_empty() {
            self.flows.by_topic.remove(&flow.source);
        }
        if running.cursor.take().is_some() {
            self.flows.behind -= 1;
        }
        let lookups = Arc::clone(self.core.catalog.lookups());
        let world = World { now_ms: self.now_ms(), lookups: &lookups };
        self.run_flow(&mut running, &world, Work::Flush);
        let expected = running.files.finish(&running.flow, &mut running.troubles, self.now_ms());
        self.log_troubles(&mut running);
        self.compare(expected.into_iter().collect(), Origin::nobody(self.core.id));
        self.flows.checkpoints.touch();
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.core.now / 1_000_000
    }

    /// Lets a flow do something and sends what came out.
    fn run_flow(&mut self, running: &mut Running, world: &World<'_>, work: Work<'_>) {
        let mut outputs = Outputs::default();
        running.run(world, work, &mut outputs);
        self.send_outputs(running, outputs);
    }

    /// Gives the flows of a topic its new records.
    pub(in crate::shard) fn run_flows(&mut self, topic: TopicId, batch: &Arc<Batch>) {
        let Some(mut readers) = self.flows.by_topic.remove(&topic) else { return };
        let lookups = Arc::clone(self.core.catalog.lookups());
        let world = World { now_ms: self.now_ms(), lookups: &lookups };
        let list: Vec<(Offset, Record<'_>)> = batch.iter().collect();
        let behind = self.flows.behind > 0;
        let Readers { list: flows, selector, head, timed, youngest } = &mut readers;
        let seen = *head;
        *head = batch.first() + batch.len() as u64;
        let typed = flows.first().is_some_and(|running| running.typed);
        // A flow that began within the batch looks at each record itself.
        let live = !behind && !typed && *youngest <= batch.first();
        if live && selector.is_worth_it(flows) {
            self.run_selected(flows, selector, &list, &world);
        } else {
            selector.leave_lanes(flows);
            for running in flows.iter_mut().filter(|running| running.cursor.is_none()) {
                running.position = running.position.max(seen);
                self.run_flow(running, &world, Work::Records(&list));
            }
        }
        let deadline = match timed {
            0 => None,
            _ => flows.iter().filter_map(|running| running.runner.deadline()).min(),
        };
        self.flows.by_topic.insert(topic, readers);
        self.flows.checkpoints.touch();
        self.note_deadline(deadline);
    }

    /// Gives new records to the flows that find them. Flow after flow: the states of thousands do
    /// not fit into a cache, so each is fetched once for a batch; what they put out is appended
    /// together.
    fn run_selected<'r>(
        &mut self,
        flows: &mut [Running],
        selector: &mut Selector,
        list: &'r [(Offset, Record<'r>)],
        world: &World<'r>,
    ) {
        let mut hits = Vec::new();
        selector.select(list, world, &mut hits);
        hits.sort_unstable();
        let mut own: Vec<(Offset, Record<'_>)> = Vec::new();
        let mut together = Together::default();
        for run in hits.chunk_by(|a, b| a.0 == b.0) {
            let Some((flow, _)) = run.first() else { continue };
            let Some(running) = flows.get_mut(*flow as usize) else { continue };
            own.clear();
            own.extend(run.iter().filter_map(|(_, number)| list.get(*number as usize)));
            let exact = selector.is_exact(*flow);
            let work = if exact { Work::Matched(&own) } else { Work::Records(&own) };
            running.run(world, work, &mut together.outputs);
            together.end_of(*flow as usize);
        }
        self.send_together(flows, together);
    }

    fn note_deadline(&mut self, deadline: Option<i64>) {
        if let Some(at) = deadline {
            self.flows.next_ms = Some(self.flows.next_ms.map_or(at, |next| next.min(at)));
        }
    }

    /// Lets flows that read their logs go on; `true` if any has more to do at once.
    pub(in crate::shard) fn run_behind(&mut self) -> bool {
        if self.flows.behind == 0 {
            return false;
        }
        let mut busy = false;
        let topics: Vec<TopicId> = self.flows.by_topic.keys().copied().collect();
        for topic in topics {
            let Some(mut readers) = self.flows.by_topic.remove(&topic) else { continue };
            for running in readers.list.iter_mut().filter(|running| running.cursor.is_some()) {
                busy |= self.read_on(topic, running);
                readers.youngest = readers.youngest.max(running.position);
            }
            let deadline = readers.list.iter().filter_map(|r| r.runner.deadline()).min();
            self.flows.by_topic.insert(topic, readers);
            self.note_deadline(deadline);
        }
        busy
    }

    fn read_on(&mut self, topic: TopicId, running: &mut Running) -> bool {
        let lookups = Arc::clone(self.core.catalog.lookups());
        let head = self.core.owner.get(topic).map_or(0, |owned| owned.head());
        for _ in 0..CHUNKS_A_TURN {
            let Some(mut cursor) = running.cursor.take() else { return false };
            if running.position >= head {
                self.flows.behind -= 1;
                return true;
            }
            if running.under_way() > UNDER_WAY_MAX {
                running.cursor = Some(cursor);
                return true;
            }
            let chunk = cursor.next_batch(CHUNK_BYTES, UpTo::Written);
            let next = cursor.next_offset();
            running.cursor = Some(cursor);
            let Some(chunk) = chunk else { return true };
            if let Some(damage) = chunk.damage() {
                tracing::error!(%damage, "damaged records were passed over");
            }
            let list: Vec<(Offset, Record<'_>)> = chunk.iter().collect();
            let world = World { now_ms: self.now_ms(), lookups: &lookups };
            let mut outputs = Outputs::default();
            running.run(&world, Work::Records(&list), &mut outputs);
            running.position = running.position.max(next);
            self.send_outputs(running, outputs);
        }
        true
    }

    /// Does what the clock asks of flows.
    pub(in crate::shard) fn tick_flows(&mut self) {
        let now_ms = self.now_ms();
        if self.flows.next_ms.is_none_or(|at| at > now_ms) {
            return;
        }
        self.flows.next_ms = None;
        let lookups = Arc::clone(self.core.catalog.lookups());
        let topics: Vec<TopicId> = self.flows.by_topic.keys().copied().collect();
        for topic in topics {
            let Some(mut readers) = self.flows.by_topic.remove(&topic) else { continue };
            for running in readers.list.iter_mut().filter(|running| running.cursor.is_none()) {
                if running.runner.deadline().is_some_and(|at| at <= now_ms) {
                    running.position = running.position.max(readers.head);
                    let world = World { now_ms, lookups: &lookups };
                    self.run_flow(running, &world, Work::Tick);
                }
            }
            let deadline = readers.list.iter().filter_map(|r| r.runner.deadline()).min();
            self.flows.by_topic.insert(topic, readers);
            self.note_deadline(deadline);
        }
    }

    /// Lets the flows of a topic emit what they hold.
    pub(in crate::shard) fn flush_flows(&mut self, origin: Origin, topic: TopicId) {
        let lookups = Arc::clone(self.core.catalog.lookups());
        let now_ms = self.now_ms();
        let mut expected = Vec::new();
        if let Some(mut readers) = self.flows.by_topic.remove(&topic) {
            readers.selector.settle(&mut readers.list);
            for running in &mut readers.list {
                if running.cursor.is_none() {
                    running.position = running.position.max(readers.head);
                }
                let world = World { now_ms, lookups: &lookups };
                self.run_flow(running, &world, Work::Flush);
                expected.extend(running.files.finish(&running.flow, &mut running.troubles, now_ms));
                self.log_troubles(running);
            }
            self.flows.by_topic.insert(topic, readers);
        }
        self.compare(expected, origin);
    }

    /// Has what is expected compared with files, then tells whoever flushed.
    fn compare(&mut self, expected: Vec<Expected>, origin: Origin) {
        if expected.is_empty() {
            return self.core.reply(origin, Reply::Done);
        }
        let process = Arc::clone(&self.core.process);
        let then = move |records: Vec<Vec<u8>>| {
            records.into_iter().for_each(|record| process.mail(0, Mail::Log(record)));
            if origin.token.is_some() {
                process.mail(origin.peer.shard, Mail::Reply { to: origin, reply: Reply::Done });
            }
        };
        if let Err(records) = files::compare(expected, Box::new(then)) {
            records.into_iter().for_each(|record| self.core.send(0, Mail::Log(record)));
            self.core.reply(origin, Reply::Done);
        }
    }
}

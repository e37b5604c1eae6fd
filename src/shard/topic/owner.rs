//! The topics that this shard owns: their logs, who wants their records, who waits for an
//! acknowledgement, and their queues.
//!
//! Cost of an append: encoding into the turn's batch, 32 bytes of a waiting entry. Of a turn: one
//! write for each topic that got records.

use super::queues::{Queued, position_tag};
use crate::broker::Peer;
use crate::broker::queue::Assignment;
use crate::config::Config;
use crate::config::effective::{Durability, OnFull, QueueFull};
use crate::log::disk::threads::ThreadDisk;
use crate::log::disk::{Disk as _, Done, Tag};
use crate::log::{self, Batch, Event, Partition, Pipe, Settings, SpaceState};
use crate::model::flow::{Derivation, FlowId};
use crate::model::record::{Body, Offset, Record};
use crate::model::refusal::Refusal;
use crate::model::table::numbering::{Numbering, Numberings};
use crate::model::topic::{DEFINITIONS_TOPIC, Storage, Topic, TopicId};
use crate::proto::contract::Bound;
use crate::shard::mail::{Origin, OwnedRecords};
use ahash::AHashMap;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Records that `_log` keeps in memory.
const LOG_RECORDS_KEPT: usize = 1000;

/// When a commit began to be held, before that is known: it ended in this turn, in the last one.
const THIS_TURN: u64 = u64::MAX;
const NEXT_TURN: u64 = u64::MAX - 1;

/// Where a topic's records go.
#[derive(Debug)]
pub enum Store {
    /// A log.
    Log(Box<Partition>),
    /// Nowhere, or memory.
    Pipe(Pipe),
}

/// An append that waits for its acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    last: Offset,
    origin: Origin,
}

/// One topic.
#[derive(Debug)]
pub struct Owned {
    /// Which.
    pub topic: Arc<Topic>,
    /// Its records.
    pub store: Store,
    /// Subscriptions, by shard.
    pub interest: Vec<u32>,
    waiting: VecDeque<Waiting>,
    /// What counts its records, if subscriptions do.
    pub(super) numbers: Option<Arc<Numbering>>,
    /// Numbered appends without an answer: the last offset and the first number.
    numbered: VecDeque<(Offset, u64, Arc<Numbering>)>,
    /// Its queue, if it was ever consumed.
    pub queued: Option<Box<Queued>>,
    /// Where the last record of each flow came from, at the restart.
    pub repeats: AHashMap<FlowId, Derivation>,
    /// Appends that wait for room in the queue.
    pub(super) parked: VecDeque<(Origin, OwnedRecords)>,
    pub(super) dirty: bool,
}

/// What a turn has for others.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Batches to deliver.
    pub batches: Vec<(TopicId, Arc<Batch>)>,
    /// Appends that are done.
    pub done: Vec<(Origin, Result<(), Refusal>)>,
    /// Queue messages to hand out.
    pub assigned: Vec<(TopicId, Vec<Assignment>)>,
    /// Alarms for the journal.
    pub alarms: Vec<String>,
    /// Segments poisoned and partitions that have become read-only.
    pub poisoned: u64,
    /// See `poisoned`.
    pub read_only: u64,
    /// Queue messages that retention dropped unconsumed.
    pub skipped: u64,
    /// Records and bytes appended.
    pub records: u64,
    /// See `records`.
    pub bytes: u64,
}

/// See the module's page.
#[derive(Debug)]
pub struct Owner {
    /// The files.
    pub disk: ThreadDisk,
    pub(super) topics: AHashMap<TopicId, Owned>,
    pub(super) dirty: Vec<TopicId>,
    /// Queues that may have something to hand out.
    pub(super) active_queues: Vec<TopicId>,
    /// Topics whose next commit waits for more, and since when (monotonic ns).
    held: Vec<(TopicId, u64)>,
    settings: Settings,
    pub(super) data_dir: PathBuf,
    shards: usize,
    pub(super) topic_size: u64,
    full: QueueFull,
    retention: crate::config::effective::RetentionDefaults,
    space: SpaceState,
    events: Vec<Event>,
    /// Appends of flows that were all there already.
    repeated: Vec<Origin>,
    pub(super) numberings: Arc<Numberings>,
    /// Definitions that subscribers are to be told of when the log takes them; on shard 0.
    pub(super) untold: VecDeque<Vec<u8>>,
}

/// Tag of a topic's log.
fn log_tag(topic: TopicId) -> Tag {
    Tag(topic * 2)
}

pub(in crate::shard) fn refusal(why: log::Refusal) -> Refusal {
    match why {
        log::Refusal::Full => Refusal::StorageFull,
        log::Refusal::ReadOnly => Refusal::StorageReadOnly,
        log::Refusal::Busy | log::Refusal::Size => Refusal::Busy,
    }
}

impl Owner {
    /// An empty one.
    #[must_use]
    pub fn new(
        config: &Config,
        shards: usize,
        disk: ThreadDisk,
        numberings: Arc<Numberings>,
    ) -> Self {
        let durability = match config.durability {
            Durability::Os => log::Durability::Os,
            Durability::Group => log::Durability::Group,
        };
        Self {
            disk,
            topics: AHashMap::new(),
            dirty: Vec::new(),
            active_queues: Vec::new(),
            held: Vec::new(),
            settings: Settings::new(durability),
            data_dir: config.data_dir.clone(),
            shards,
            topic_size: config.mesh.topic_size,
            full: config.mesh.full,
            retention: config.retention,
            space: SpaceState::Ok,
            events: Vec::new(),
            repeated: Vec::new(),
            numberings,
            untold: VecDeque::new(),
        }
    }

    /// Settings of logs.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Takes a topic over: opens and recovers its log.
    ///
    /// # Errors
    /// The directory or a file cannot be opened; damage is no error.
    pub fn open(&mut self, topic: &Arc<Topic>) -> std::io::Result<log::Report> {
        let mut report = log::Report::default();
        let store = match topic.storage {
            Storage::Memory => Store::Pipe(Pipe::new(LOG_RECORDS_KEPT)),
            Storage::Pipe => Store::Pipe(Pipe::new(0)),
            Storage::Log => {
                let dir = self.data_dir.join("topics").join(topic.id.to_string()).join("p0");
                let (identity, tag) = (u64::from(topic.id), log_tag(topic.id));
                let opened = Partition::open(&mut self.disk, &dir, identity, tag, self.settings)?;
                let (mut partition, found) = opened;
                partition.set_space(self.space);
                partition.gather();
                if self.retention.on_full == OnFull::Trim {
                    partition.trim_when_full();
                }
                let (time, number) = last_of(&partition);
                topic.shared.advance(partition.watermarks().appended(), time);
                let counts = topic.typed && topic.id != DEFINITIONS_TOPIC;
                if counts && partition.watermarks().appended() > 0 {
                    self.numberings.of(topic.name.database()).raise(number + 1);
                }
                report = found;
                Store::Log(Box::new(partition))
            }
        };
        let mut owned = Owned {
            topic: Arc::clone(topic),
            store,
            interest: vec![0; self.shards],
            waiting: VecDeque::new(),
            numbers: topic.typed.then(|| self.numberings.of(topic.name.database())),
            numbered: VecDeque::new(),
            queued: None,
            repeats: AHashMap::new(),
            parked: VecDeque::new(),
            dirty: false,
        };
        if topic.storage == Storage::Log && self.position_path(topic.id).exists() {
            self.restore_queue(&mut owned)?;
        }
        self.topics.insert(topic.id, owned);
        Ok(report)
    }

    /// Gives a topic up and deletes what it holds. Gives those that wait, and its consumers.
    pub fn delete(&mut self, topic: TopicId) -> (Vec<Origin>, Vec<Peer>) {
        let Some(mut owned) = self.topics.remove(&topic) else { return (Vec::new(), Vec::new()) };
        owned.settle_numbers(|_| true);
        let waiting = owned.waiting.iter().map(|w| w.origin);
        let origins = waiting.chain(owned.parked.iter().map(|(origin, _)| *origin)).collect();
        let consumers = owned.queued.iter().flat_map(|q| q.queue.consumers()).collect();
        if let Store::Log(partition) = owned.store {
            let dir = partition.dir().parent().map(std::path::Path::to_owned);
            if let Err(error) = partition.delete(&mut self.disk) {
                tracing::error!(topic, %error, "cannot delete a topic's log; its files stay");
            }
            if let Some(dir) = dir {
                self.disk.remove(log_tag(topic), &dir);
            }
        }
        if let Some(queued) = owned.queued {
            let path = self.position_path(topic);
            queued.file.close(&mut self.disk);
            self.disk.remove(position_tag(topic), &path);
        }
        (origins, consumers)
    }

    /// The topic, if it is owned here.
    #[must_use]
    pub fn get(&self, topic: TopicId) -> Option<&Owned> {
        self.topics.get(&topic)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, topic: TopicId) -> Option<&mut Owned> {
        self.topics.get_mut(&topic)
    }

    /// Topics owned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Appends records as one; its end comes in an [`Outcome`]. Gives the bytes now under way.
    ///
    /// # Errors
    /// A refusal; nothing was appended.
    pub fn append(
        &mut self,
        origin: Origin,
        topic: TopicId,
        records: &[Record<'_>],
        bound: Bound,
        stopping: bool,
    ) -> Result<usize, Refusal> {
        if stopping {
            return Err(Refusal::Stopping);
        }
        let (topic_size, full) = (self.topic_size, self.full);
        let owned = self.topics.get_mut(&topic).ok_or(Refusal::UnknownTopic)?;
        if owned.topic.storage == Storage::Memory {
            return Err(Refusal::Protected);
        }
        if owned.topic.typed && records.iter().any(|r| !matches!(r.body, Body::Rows(_))) {
            return Err(Refusal::TypedTable);
        }
        if bound == Bound::Repeat && !owned.repeats.is_empty() {
            let kept: Vec<Record<'_>> =
                records.iter().filter(|record| !owned.has(record)).copied().collect();
            if kept.is_empty() {
                self.repeated.push(origin);
                return Ok(0);
            }
            return self.append(origin, topic, &kept, Bound::Free, stopping);
        }
        if bound == Bound::Queue && owned.is_full(topic_size) {
            if full == QueueFull::Error {
                return Err(Refusal::QueueFull);
            }
            let (time, producer) = records.first().map_or((0, 0), |r| (r.time, r.producer));
            let bodies: Vec<_> = records.iter().map(|r| r.body).collect();
            let parked = OwnedRecords::new(time, producer, &bodies);
            let bytes = parked.bytes_len();
            owned.parked.push_back((origin, parked));
            return Ok(bytes);
        }
        let bytes = owned.append(origin, records)?;
        if !owned.dirty {
            owned.dirty = true;
            self.dirty.push(topic);
        }
        Ok(bytes)
    }

    /// Adds a record to `_log`.
    pub fn append_log(&mut self, record: &Record<'_>) {
        let topic = crate::model::topic::LOG_TOPIC;
        let Some(owned) = self.topics.get_mut(&topic) else { return };
        if let Store::Pipe(pipe) = &mut owned.store
            && pipe.append(std::slice::from_ref(record)).is_ok()
            && !owned.dirty
        {
            owned.dirty = true;
            self.dirty.push(topic);
        }
    }

    /// Freezes what the turn appended and gives it to the disk.
    pub fn seal(&mut self, outcome: &mut Outcome) {
        outcome.done.extend(self.repeated.drain(..).map(|origin| (origin, Ok(()))));
        for topic in std::mem::take(&mut self.dirty) {
            let Some(owned) = self.topics.get_mut(&topic) else { continue };
            owned.dirty = false;
            let batch = match &mut owned.store {
                Store::Log(partition) => partition.seal_turn(&mut self.disk, &mut self.events),
                Store::Pipe(pipe) => pipe.seal_turn(),
            };
            if let Some(batch) = batch {
                let next = batch.first() + batch.len() as u64;
                let time = batch.get(batch.len() - 1).map_or(0, |(_, record)| record.time);
                owned.topic.shared.advance(next, time);
                outcome.records += batch.len() as u64;
                outcome.bytes += batch.bytes_len() as u64;
                if matches!(owned.store, Store::Pipe(_)) {
                    outcome.done.extend(owned.waiting.drain(..).map(|w| (w.origin, Ok(()))));
                }
                outcome.batches.push((topic, batch));
            }
            owned.conclude(&mut self.events, outcome);
        }
    }

    /// Takes completions of the disk.
    pub fn reap(&mut self, done: &mut Vec<Done>, now: i64, outcome: &mut Outcome) {
        for done in done.drain(..) {
            let topic = done.tag.0 / 2;
            let Some(owned) = self.topics.get_mut(&topic) else { continue };
            if done.tag == position_tag(topic) {
                owned.position_saved(topic, &mut self.disk, &done, outcome);
                self.active_queues.push(topic);
                continue;
            }
            if let Store::Log(partition) = &mut owned.store {
                partition.on_done(&mut self.disk, &done, &mut self.events);
                if partition.is_held() && self.held.iter().all(|(held, _)| *held != topic) {
                    self.held.push((topic, THIS_TURN));
                }
                let keep = keeps(&owned.topic, self.retention);
                partition.retain(&mut self.disk, &keep, now);
            }
            owned.conclude(&mut self.events, outcome);
            if owned.queued.is_some() {
                self.active_queues.push(topic);
            }
        }
    }

    /// Lets commits begin that waited long enough for more: until nothing came for an eighth of
    /// what a sync takes, `limit_ns` at most, and in no case for longer than half a sync. `quiet`:
    /// nothing came in this turn. Counted from the turn after the answers of the last one were
    /// sent.
    pub fn release_held(&mut self, now_ns: u64, limit_ns: u64, quiet: bool, out: &mut Outcome) {
        let sync_ns = self.disk.last_sync_ns();
        for (topic, since) in std::mem::take(&mut self.held) {
            let Some(owned) = self.topics.get_mut(&topic) else { continue };
            let Store::Log(partition) = &mut owned.store else { continue };
            // In the turn in which it ended, the answers are not sent yet.
            let since = if since == NEXT_TURN { now_ns } else { since.min(NEXT_TURN) };
            let waited = now_ns.saturating_sub(since);
            let long = if quiet { limit_ns.min(sync_ns / 8) } else { sync_ns / 2 };
            if partition.is_held() && waited <= long {
                self.held.push((topic, since));
            } else if partition.is_held() {
                partition.release(&mut self.disk, &mut self.events);
                owned.conclude(&mut self.events, out);
            }
        }
    }

    /// Whether records wait to be sealed.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether appends or queues still have something to do before the turn ends.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.dirty.is_empty() || !self.active_queues.is_empty() || !self.held.is_empty()
    }

    /// Every second: retention, space, unacknowledged messages.
    pub fn tick(&mut self, now: i64, now_ms: u64) {
        self.tell_late();
        let (ids, defaults): (Vec<TopicId>, _) =
            (self.topics.keys().copied().collect(), self.retention);
        for id in ids {
            let Some(owned) = self.topics.get_mut(&id) else { continue };
            if let Store::Log(partition) = &mut owned.store {
                partition.retain(&mut self.disk, &keeps(&owned.topic, defaults), now);
            }
            if let Some(queued) = &mut owned.queued
                && queued.queue.expire(now_ms)
            {
                self.active_queues.push(id);
            }
        }
    }

    /// Applies a topic's retention as of now, before somebody begins to read it.
    pub fn retain(&mut self, topic: TopicId, now: i64) {
        if let Some(owned) = self.topics.get_mut(&topic)
            && let Store::Log(partition) = &mut owned.store
        {
            partition.retain(&mut self.disk, &keeps(&owned.topic, self.retention), now);
        }
    }

    /// Lets go of the records of a topic below an offset.
    pub fn discard(&mut self, topic: TopicId, below: Offset) {
        if let Some(owned) = self.topics.get_mut(&topic)
            && let Store::Log(partition) = &mut owned.store
        {
            partition.discard_below(&mut self.disk, below);
        }
    }

    /// Tells all logs how much space there is, and how many bytes are missing until it is enough.
    /// Where the oldest segments make room, so many of them go at once, and writes are refused only
    /// if none is left that may. Gives whether they are refused.
    pub fn set_space(&mut self, space: SpaceState, missing: u64) -> bool {
        let trims = self.retention.on_full == OnFull::Trim;
        let critical = space == SpaceState::Critical;
        let space = if critical && trims && self.trim(missing) { SpaceState::Low } else { space };
        if space != self.space || space != SpaceState::Critical {
            self.space = space;
            for owned in self.topics.values_mut() {
                if let Store::Log(partition) = &mut owned.store {
                    partition.set_space(space);
                }
            }
        }
        space == SpaceState::Critical
    }

    /// Gives up the oldest segments of the largest logs; whether any is gone or on its way out.
    fn trim(&mut self, missing: u64) -> bool {
        let mut gone = 0;
        while gone < missing {
            let logs = self.topics.values_mut().filter_map(|owned| match &mut owned.store {
                Store::Log(partition) if partition.may_trim() => Some(partition),
                _ => None,
            });
            let Some(largest) = logs.max_by_key(|log| log.file_bytes()) else { break };
            gone += largest.trim_oldest_segment(&mut self.disk);
        }
        gone > 0
    }

    /// Bytes of log files.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let bytes = |owned: &Owned| match &owned.store {
            Store::Log(partition) => partition.file_bytes(),
            Store::Pipe(_) => 0,
        };
        self.topics.values().map(bytes).sum()
    }

    /// Whether all appends are acknowledged and all positions stored.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.dirty.is_empty()
            && self.topics.values().all(|owned| {
                let log = match &owned.store {
                    Store::Log(partition) => partition.is_idle() || owned.waiting.is_empty(),
                    Store::Pipe(_) => true,
                };
                log && owned.queued.as_ref().is_none_or(|queued| queued.file.is_idle())
            })
    }
}

/// What a topic keeps: its own bounds, else the configured ones; 0 is none.
fn keeps(
    topic: &Topic,
    defaults: crate::config::effective::RetentionDefaults,
) -> log::partition::Retention {
    let own = topic.retention;
    let pick = |own: Option<u64>, default: u64| own.or(Some(default)).filter(|n| *n > 0);
    log::partition::Retention {
        records: pick(own.records, defaults.records),
        bytes: pick(own.bytes, defaults.bytes),
        age_ns: pick(own.age_ms, defaults.age_s * 1000).map(|ms| ms as i64 * 1_000_000),
    }
}

/// Time and producer of the last record.
fn last_of(partition: &Partition) -> (i64, u64) {
    let view = Arc::clone(partition.view());
    let end = partition.watermarks().appended();
    if end == 0 {
        return (0, 0);
    }
    let mut cursor = log::Cursor::new(view, end - 1);
    let chunk = cursor.next_batch(1, log::UpTo::Written);
    let last = chunk.as_ref().and_then(|chunk| chunk.iter().last());
    last.map_or((0, 0), |(_, record)| (record.time, record.producer))
}

impl Owned {
    /// Whether a flow's record was there at the restart.
    fn has(&self, record: &Record<'_>) -> bool {
        let Body::Derived { flow, from, .. } = record.body else { return false };
        self.repeats.get(&flow).is_some_and(|last| from <= *last)
    }

    pub(super) fn append(
        &mut self,
        origin: Origin,
        records: &[Record<'_>],
    ) -> Result<usize, Refusal> {
        let numbers = self.numbers.clone().map(|numbers| (numbers.take(records.len()), numbers));
        let numbered: Vec<Record<'_>>;
        let list = match &numbers {
            Some((first, _)) => {
                let list = records.iter().zip(*first..);
                numbered = list.map(|(record, producer)| Record { producer, ..*record }).collect();
                &numbered
            }
            None => records,
        };
        let appended = match &mut self.store {
            Store::Log(partition) => partition.append(list),
            Store::Pipe(pipe) => pipe.append(list),
        };
        let last = match appended {
            Ok(appended) => appended.last,
            Err(why) => {
                if let Some((first, numbers)) = numbers {
                    numbers.give_back(first, records.len());
                }
                return Err(refusal(why));
            }
        };
        self.numbered.extend(numbers.map(|(first, numbers)| (last, first, numbers)));
        self.waiting.push_back(Waiting { last, origin });
        Ok(records.len() * 64)
    }

    /// The log has answered for the appends with these last offsets.
    fn settle_numbers(&mut self, answered: impl Fn(Offset) -> bool) {
        self.numbered.retain(|(last, first, numbers)| {
            let settled = answered(*last);
            if settled {
                numbers.settle(*first);
            }
            !settled
        });
    }

    pub(super) fn is_full(&self, topic_size: u64) -> bool {
        let end = match &self.store {
            Store::Log(partition) => partition.watermarks().appended(),
            Store::Pipe(_) => return false,
        };
        let waiting = match &self.queued {
            Some(queued) => queued.queue.waiting(end),
            None => end,
        };
        topic_size > 0 && waiting >= topic_size
    }

    /// The offset that comes next.
    #[must_use]
    pub fn head(&self) -> Offset {
        match &self.store {
            Store::Log(partition) => partition.watermarks().appended(),
            Store::Pipe(pipe) => pipe.next(),
        }
    }

    fn conclude(&mut self, events: &mut Vec<Event>, outcome: &mut Outcome) {
        for event in events.drain(..) {
            match event {
                Event::Acknowledged { below } => {
                    while let Some((_, first, numbers)) =
                        self.numbered.pop_front_if(|(last, ..)| *last < below)
                    {
                        numbers.settle(first);
                    }
                    self.topic.shared.grown();
                    while self.waiting.front().is_some_and(|w| w.last < below) {
                        if let Some(waiting) = self.waiting.pop_front() {
                            outcome.done.push((waiting.origin, Ok(())));
                        }
                    }
                }
                Event::Failed { from, below, why } => {
                    self.settle_numbers(|last| (from..below).contains(&last));
                    let failed = |w: &Waiting| (from..below).contains(&w.last);
                    let lost = self.waiting.iter().filter(|w| failed(w));
                    outcome.done.extend(lost.map(|w| (w.origin, Err(refusal(why)))));
                    self.waiting.retain(|w| !failed(w));
                }
                Event::Poisoned { file, error } => {
                    outcome.poisoned += 1;
                    let file = file.display();
                    outcome.alarms.push(format!("a write to {file} failed ({error}): poisoned"));
                }
                Event::ReadOnly => {
                    outcome.read_only += 1;
                    let name = &self.topic.name;
                    outcome
                        .alarms
                        .push(format!("topic {name} is read-only after a second failure"));
                }
                Event::Full => outcome.alarms.push("the disk is full: writes are refused".into()),
            }
        }
    }
}

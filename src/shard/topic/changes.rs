//! Shard 0 makes and deletes topics: written to the catalog, durable, then told to every shard; the
//! reply goes out when all have heard, so that whoever asks next finds it so.

use super::entry::{decode, encode};
use crate::broker::catalog::Change;
use crate::limits::TOPICS_MAX;
use crate::log::catalog::Catalog as CatalogLog;
use crate::log::disk::{Done, Tag};
use crate::log::{Event, Settings};
use crate::model::command::IfExists;
use crate::model::event::Reply;
use crate::model::flow::FlowId;
use crate::model::name::TopicName;
use crate::model::record::Offset;
use crate::model::refusal::Refusal;
use crate::model::topic::{Storage, Topic, TopicId};
use crate::shard::core::Core;
use crate::shard::mail::{Mail, Origin};
use crate::shard::topic::definitions::{NEXT_FLOW_KEY, restore};
use crate::shard::topic::told::tell;
use crate::shard::topic::typed::reserved;
use ahash::{AHashMap, AHashSet};
use std::collections::VecDeque;
use std::sync::Arc;

/// The catalog's completions.
pub const CATALOG_TAG: Tag = Tag(1);
/// Entries of topics, and the entry of counters.
pub(super) const TOPIC_FAMILY: u8 = 1;
const COUNTER_FAMILY: u8 = 2;
const CLIENTS_KEY: &[u8] = b"clients";
pub(super) const NEXT_TOPIC_KEY: &[u8] = b"next_topic";

/// A change that waits to be durable, then to be heard.
#[derive(Debug)]
pub(super) struct Pending {
    pub durable_at: Offset,
    /// Of the topic that it makes or deletes.
    pub name: Option<TopicName>,
    pub changes: Vec<Change>,
    pub origin: Origin,
    pub reply: Reply,
    /// What subscribers are told of it.
    pub told: Vec<Vec<u8>>,
}

/// A change that not every shard has heard of.
#[derive(Debug)]
struct Spreading {
    left: usize,
    name: Option<TopicName>,
    origin: Origin,
    reply: Reply,
}

/// See the module's page.
#[derive(Debug)]
pub struct Topics {
    pub(super) log: CatalogLog,
    pub(super) next_id: TopicId,
    pub(super) next_flow: FlowId,
    /// Flows that are being ended because their time is over.
    pub(super) ending: AHashSet<FlowId>,
    pending: VecDeque<Pending>,
    spreading: AHashMap<u64, Spreading>,
    next_round: u64,
    /// Names that pending changes make or delete: requests for them wait.
    busy: Vec<TopicName>,
    /// Entries were appended that no turn has given to the disk.
    unsealed: bool,
    /// Definitions on their way.
    defining: usize,
    waiting: VecDeque<Mail>,
    events: Vec<Event>,
    pub(super) commits: VecDeque<super::commits::Commit>,
}

impl Topics {
    /// Reads the catalog; gives the topics in the order they were made, then the definitions, and
    /// the last client id that may have been given out.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open(
        core: &mut Core,
        settings: Settings,
    ) -> std::io::Result<(Self, Vec<Change>, u64, crate::log::Report)> {
        let dir = core.process.config.data_dir.join("catalog");
        let settings =
            Settings { segment_bytes_min: 64 << 10, segment_bytes_max: 4 << 20, ..settings };
        let (log, report) = CatalogLog::open(&mut core.owner.disk, &dir, CATALOG_TAG, settings)?;
        let mut list: Vec<Arc<Topic>> = Vec::new();
        for (family, key, value) in log.iter() {
            if family == TOPIC_FAMILY
                && let Some(topic) = decode(key, value)
            {
                list.push(Arc::new(topic));
            }
        }
        list.sort_by_key(|topic| topic.id);
        let definitions: Vec<Change> = log
            .iter()
            .filter_map(|(family, key, value)| restore(family, key, value, &list))
            .collect();
        let counter = |key: &[u8]| {
            let bytes = log.get(COUNTER_FAMILY, key)?.try_into().ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let last_client = counter(CLIENTS_KEY).unwrap_or(0);
        let above = list.last().map_or(1, |topic| topic.id + 1);
        let next_id = above.max(counter(NEXT_TOPIC_KEY).unwrap_or(1) as TopicId);
        let next_flow = counter(NEXT_FLOW_KEY).unwrap_or(1);
        let topics = Self {
            log,
            next_id,
            next_flow,
            ending: AHashSet::new(),
            pending: VecDeque::new(),
            spreading: AHashMap::new(),
            next_round: 0,
            busy: Vec::new(),
            unsealed: false,
            defining: 0,
            waiting: VecDeque::new(),
            events: Vec::new(),
            commits: VecDeque::new(),
        };
        let mut changes: Vec<Change> = list.into_iter().map(Change::Created).collect();
        changes.extend(definitions);
        Ok((topics, changes, last_client, report))
    }

    /// Notes that client ids up to this one may be given out.
    pub fn reserve_clients(&mut self, core: &Core, up_to: u64) {
        self.unsealed = true;
        let put = self.log.put(core.now, COUNTER_FAMILY, CLIENTS_KEY, &up_to.to_le_bytes());
        if put.is_ok() {
            core.process.clients_reserved.store(up_to, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Takes a request to make or delete something.
    pub fn request(&mut self, core: &mut Core, mail: Mail) {
        if let Mail::Commit { origin, entries } = mail {
            return self.commit(core, origin, entries);
        }
        let name = match &mail {
            Mail::Create { name, .. } | Mail::Delete { name, .. } => Some(name),
            _ => None,
        };
        // Definitions wait for each other, since one decides whether another may be made.
        let busy = match name {
            Some(name) => self.busy.contains(name),
            None => self.defining > 0 || !self.busy.is_empty(),
        };
        if busy {
            return self.waiting.push_back(mail);
        }
        match mail {
            Mail::Create { origin, name, retention, pipe, queue, if_exists } => {
                let storage = if pipe { Storage::Pipe } else { Storage::Log };
                let wanted = Topic {
                    id: 0,
                    name,
                    retention,
                    storage,
                    queue,
                    typed: false,
                    created: core.now,
                    shared: Default::default(),
                };
                self.create(core, origin, wanted, if_exists);
            }
            Mail::Define { origin, wanted } => self.define(core, origin, *wanted),
            Mail::Delete { origin, name } => self.delete(core, origin, &name),
            Mail::Hide { origin, topic, ranges } => self.hide(core, origin, topic, &ranges),
            Mail::CreateFlow { origin, spec, if_exists } => {
                self.create_flow(core, origin, *spec, if_exists);
            }
            Mail::DeleteFlow { origin, flow } => self.delete_flow(core, origin, &flow),
            Mail::SetLookup { origin, name, value, if_exists } => {
                self.set_lookup(core, origin, (&name, &value), if_exists);
            }
            Mail::DeleteLookup { origin, name } => self.delete_lookup(core, origin, &name),
            _ => {}
        }
    }

    fn create(&mut self, core: &mut Core, origin: Origin, mut wanted: Topic, if_exists: IfExists) {
        let existing = core.catalog.find(&wanted.name).cloned();
        if existing.is_some() && if_exists == IfExists::Refuse {
            return refuse(core, origin, Refusal::TopicExists);
        }
        if existing.as_ref().is_some_and(|topic| topic.typed) && if_exists == IfExists::Replace {
            return refuse(core, origin, Refusal::TypedTable);
        }
        if existing.is_some() && if_exists == IfExists::Keep {
            return core.reply(origin, Reply::Created { existed: true });
        }
        if let Some(why) = reserved(core, &wanted.name).filter(|_| existing.is_none()) {
            let new = why == Refusal::TypedTable && if_exists == IfExists::Refuse;
            return refuse(core, origin, if new { Refusal::TopicExists } else { why });
        }
        if core.process.stopping.load(std::sync::atomic::Ordering::Relaxed) {
            return refuse(core, origin, Refusal::Stopping);
        }
        let queues_full =
            wanted.queue && core.catalog.queues() >= core.process.config.mesh.max_topics;
        if existing.is_none() && (queues_full || core.catalog.len() >= TOPICS_MAX) {
            return refuse(core, origin, Refusal::TooManyTopics);
        }
        wanted.id = self.next_id;
        let mut changes = Vec::new();
        if let Some(old) = &existing {
            changes = self.end_flows_of(core, old.id);
            changes.push(Change::Deleted(old.id));
            self.forget_hidden(core, old.id);
        }
        let value = encode(&wanted);
        let key = wanted.name.full().as_bytes().to_vec();
        self.unsealed = true;
        match self.log.put(core.now, TOPIC_FAMILY, &key, &value) {
            Ok(durable_at) => {
                self.next_id += 1;
                let name = wanted.name.clone();
                changes.push(Change::Created(Arc::new(wanted)));
                let reply = Reply::Created { existed: existing.is_some() };
                self.busy.push(name.clone());
                let name = Some(name);
                let told = Vec::new();
                let pending = Pending { durable_at, name, changes, origin, reply, told };
                self.pending.push_back(pending);
            }
            Err(why) => refuse(core, origin, crate::shard::topic::owner::refusal(why)),
        }
    }

    fn delete(&mut self, core: &mut Core, origin: Origin, name: &TopicName) {
        let Some(topic) = core.catalog.find(name).cloned() else {
            return core.reply(origin, Reply::Refused(Refusal::UnknownTopic));
        };
        if topic.typed {
            return refuse(core, origin, Refusal::TypedTable);
        }
        // The number is not given out again, even if this topic was the newest.
        let next = u64::from(self.next_id).to_le_bytes();
        self.unsealed = true;
        let noted = self.log.put(core.now, COUNTER_FAMILY, NEXT_TOPIC_KEY, &next);
        let deleted = self.log.delete(core.now, TOPIC_FAMILY, name.full().as_bytes());
        match noted.and(deleted) {
            Ok(Some(durable_at)) => {
                let mut changes = self.end_flows_of(core, topic.id);
                changes.push(Change::Deleted(topic.id));
                self.forget_hidden(core, topic.id);
                let reply = Reply::Done;
                self.busy.push(name.clone());
                let name = Some(name.clone());
                let told = Vec::new();
                let pending = Pending { durable_at, name, changes, origin, reply, told };
                self.pending.push_back(pending);
            }
            Ok(None) => core.reply(origin, Reply::Refused(Refusal::UnknownTopic)),
            Err(why) => {
                core.reply(origin, Reply::Refused(crate::shard::topic::owner::refusal(why)))
            }
        }
    }

    /// Ends the turn: what was changed goes to the disk.
    pub fn seal(&mut self, core: &mut Core) {
        self.unsealed = false;
        self.log.seal_turn(&mut core.owner.disk, core.now, &mut self.events);
        self.on_events(core);
    }

    /// Takes a completion if it is the catalog's.
    pub fn on_done(&mut self, core: &mut Core, done: &Done) {
        self.log.on_done(&mut core.owner.disk, done, &mut self.events);
        self.on_events(core);
    }

    fn on_events(&mut self, core: &mut Core) {
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Acknowledged { below } => {
                    self.commits_durable(core, below);
                    while let Some(pending) = self.pending.pop_front_if(|p| p.durable_at < below) {
                        self.announce(core, pending);
                    }
                }
                Event::Failed { from, below, why } => {
                    self.commits_failed(core, from..below, why);
                    let lost = |p: &Pending| (from..below).contains(&p.durable_at);
                    let (failed, kept) = self.pending.drain(..).partition(lost);
                    self.pending = kept;
                    let failed: VecDeque<Pending> = failed;
                    for pending in failed {
                        for change in &pending.changes {
                            if let Change::FlowEnded(id) = change {
                                self.ending.remove(id);
                            }
                        }
                        core.reply(
                            pending.origin,
                            Reply::Refused(crate::shard::topic::owner::refusal(why)),
                        );
                        self.release(core, pending.name.as_ref());
                    }
                }
                Event::Poisoned { .. } | Event::ReadOnly | Event::Full => {
                    tracing::error!(?event, "trouble with the catalog");
                }
            }
        }
    }

    /// Requests for a name may go on: every shard has heard of the change before them, or it
    /// failed.
    fn release(&mut self, core: &mut Core, name: Option<&TopicName>) {
        match name {
            Some(name) => self.busy.retain(|busy| busy != name),
            None => self.defining = self.defining.saturating_sub(1),
        }
        for mail in std::mem::take(&mut self.waiting) {
            self.request(core, mail);
        }
    }

    /// The value of an entry.
    pub(super) fn entry(&self, family: u8, key: &[u8]) -> Option<&[u8]> {
        self.log.get(family, key)
    }

    /// Writes an entry; gives when it is durable.
    pub(super) fn put(
        &mut self,
        core: &Core,
        family: u8,
        key: &[u8],
        value: &[u8],
    ) -> Result<Offset, Refusal> {
        self.unsealed = true;
        self.log.put(core.now, family, key, value).map_err(crate::shard::topic::owner::refusal)
    }

    /// Writes a counter.
    pub(super) fn put_counter(
        &mut self,
        core: &Core,
        key: &[u8],
        value: &[u8],
    ) -> Result<Offset, Refusal> {
        self.put(core, COUNTER_FAMILY, key, value)
    }

    /// Removes an entry; gives when that is durable.
    pub(super) fn remove(
        &mut self,
        core: &Core,
        family: u8,
        key: &[u8],
    ) -> Result<Option<Offset>, Refusal> {
        self.unsealed = true;
        self.log.delete(core.now, family, key).map_err(crate::shard::topic::owner::refusal)
    }

    /// Announces a definition when it is durable.
    pub(super) fn wait_for(&mut self, pending: Pending) {
        self.count_definition();
        self.pending.push_back(pending);
    }

    /// Announces what an entry of the catalog stands for, once that is durable; refuses what could
    /// not be written.
    pub(super) fn when_durable(
        &mut self,
        core: &mut Core,
        origin: Origin,
        written: Result<Offset, Refusal>,
        changes: Vec<Change>,
        reply: Reply,
    ) {
        match written {
            Ok(durable_at) => {
                let (name, told) = (None, Vec::new());
                self.wait_for(Pending { durable_at, name, changes, origin, reply, told });
            }
            Err(why) => refuse(core, origin, why),
        }
    }

    /// Others wait until this one is known.
    pub(super) fn count_definition(&mut self) {
        self.defining += 1;
    }

    /// Tells every shard of changes.
    pub(super) fn announce(&mut self, core: &mut Core, pending: Pending) {
        self.next_round += 1;
        let round = self.next_round;
        let mut left = usize::from(core.shards());
        let Pending { name, changes, origin, reply, told, .. } = pending;
        // Numbered before anybody can write into what is defined.
        left += usize::from(tell(core, round, &told));
        self.spreading.insert(round, Spreading { left, name, origin, reply });
        let last = changes.len().saturating_sub(1);
        for (index, change) in changes.into_iter().enumerate() {
            let round = (index == last).then_some(round);
            core.broadcast(|| Mail::Changed { change: change.clone(), round });
            let id = core.id;
            core.send(id, Mail::Changed { change, round });
        }
    }

    /// A shard has heard of a change.
    pub fn on_heard(&mut self, core: &mut Core, round: u64) {
        let Some(spreading) = self.spreading.get_mut(&round) else { return };
        spreading.left -= 1;
        if spreading.left == 0
            && let Some(Spreading { name, origin, reply, .. }) = self.spreading.remove(&round)
        {
            core.reply(origin, reply);
            self.release(core, name.as_ref());
        }
    }

    /// Whether a turn has something to give to the disk.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.unsealed
    }

    /// Whether everything asked for is durable.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.commits.is_empty()
    }
}

/// Answers a request that changes nothing.
pub(super) fn refuse(core: &mut Core, origin: Origin, why: Refusal) {
    core.reply(origin, Reply::Refused(why));
}

//! Carrying out: commands of this shard's sessions, and the mails of others.

use crate::broker::Peer;
use crate::broker::catalog::Change;
use crate::broker::queue::Assignment;
use crate::log::{Batch, Cursor, RecordRef, UpTo};
use crate::model::command::{Command, IfExists};
use crate::model::event::{Event, Reply};
use crate::model::name::TopicName;
use crate::model::record::{Body, Offset, Record};
use crate::model::refusal::Refusal;
use crate::model::table::entry::DATABASE_FAMILY;
use crate::model::table::rows::Rows;
use crate::model::topic::{Retention, TopicId};
use crate::proto::Session;
use crate::shard::Shard;
use crate::shard::flow::FLOW_SLOT;
use crate::shard::gather::Gather;
use crate::shard::link::conn::{Consuming, Unwritten};
use crate::shard::mail::{Mail, Origin, Part, Ticket};
use crate::shard::query::{Then, WORK_SLOT};
use crate::shard::topic::owner::{Outcome, Store};
use crate::shard::topic::told::TOLD_SLOT;
use crate::shard::topic::typed::reserved;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A message of a queue and where it lies.
type Message = (Offset, RecordRef);

/// Slot of a reply that is for the shard itself.
const NOBODY: u32 = u32::MAX;

impl Shard {
    /// Carries out all that is queued on this shard: commands, mails to itself, replies.
    pub(in crate::shard) fn settle(&mut self) {
        loop {
            if let Some((peer, token, command)) = self.core.commands.pop_front() {
                self.carry_out(Origin { peer, token: Some(token) }, command);
            } else if let Some(task) = self.core.tasks.pop_front() {
                self.queries.push((task.origin.peer, Arc::clone(&task.control)));
                self.fence(Then::Query(task));
            } else if let Some((to, reply)) = self.core.replies.pop_front() {
                self.complete(to, reply);
            } else if let Some(mail) = self.core.post.own.pop_front() {
                self.on_mail(mail);
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, origin: Origin, command: Command) {
        match command {
            Command::CreateTopic { name, retention, pipe, queue, if_exists } => {
                let mail = Mail::Create { origin, name, retention, pipe, queue, if_exists };
                self.core.send(0, mail);
            }
            Command::Define(wanted) => {
                self.core.send(0, Mail::Define { origin, wanted: Box::new(wanted) });
            }
            Command::DeleteTopic { name } => self.core.send(0, Mail::Delete { origin, name }),
            Command::Hide { topic, ranges } => {
                self.core.send(0, Mail::Hide { origin, topic, ranges });
            }
            Command::Subscribe { topics, interest } => {
                self.subscribe(origin, topics, interest);
            }
            Command::Unsubscribe { subscriptions } => {
                for (topic, id) in subscriptions {
                    self.end_subscription(topic, id);
                }
                self.core.reply(origin, Reply::Done);
            }
            Command::Pop { topics, acknowledge } => self.pop(origin, &topics, acknowledge),
            Command::Unpop => self.unpop(origin),
            Command::Acknowledge { topic, offsets } => {
                let owner = self.core.owner_of(topic);
                self.core.send(owner, Mail::Acknowledge { origin, topic, offsets });
            }
            Command::Client { client, call } => self.route_client(origin, client, call),
            Command::Publish { channel, frame } => self.publish_now(origin, &channel, &frame),
            Command::Presence { channel } => self.ask_presence(origin, &channel),
            Command::CreateFlow { spec, if_exists } => {
                let spec = Box::new(spec);
                self.core.send(0, Mail::CreateFlow { origin, spec, if_exists });
            }
            Command::DeleteFlow { flow } => self.core.send(0, Mail::DeleteFlow { origin, flow }),
            Command::SetLookup { name, value, if_exists } => {
                self.core.send(0, Mail::SetLookup { origin, name, value, if_exists });
            }
            Command::DeleteLookup { name } => {
                self.core.send(0, Mail::DeleteLookup { origin, name });
            }
            Command::Flush { topic } => self.fence(Then::Flush(origin, topic)),
        }
    }

    /// Hands replies to a connection in the order of its commands.
    fn complete(&mut self, to: Origin, reply: Reply) {
        let (slot, Some(token)) = (to.peer.slot, to.token) else { return };
        if slot == NOBODY {
            return self.retry_pop(token, &reply);
        }
        if slot == FLOW_SLOT {
            return self.on_flow_reply(token, &reply);
        }
        if slot == TOLD_SLOT {
            return self.on_mail(Mail::ChangeHeard { round: u64::from(token) });
        }
        if slot == WORK_SLOT {
            return self.on_work_done(token, reply);
        }
        if !self.is_here(to.peer) {
            return;
        }
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if !conn.control.resolve(token, reply) {
            return;
        }
        while let Some(conn) = self.conns.get_mut(slot as usize)
            && let Some(reply) = conn.control.next_reply()
        {
            self.call(slot, |session, _, intake, out| {
                session.on_event(Event::Reply(reply), intake, out);
            });
        }
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if conn.control.pending() == 0 {
            conn.control.hold = false;
        }
        if conn.out.close.is_some() || conn.out.overflowed {
            self.touched.push(slot);
        }
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if !conn.control.is_blocked()
            && (conn.is_waiting() || conn.interest != crate::sys::net::Interest::Read)
        {
            self.resume.push(slot);
        }
    }

    /// Whether a connection of this shard is still the one that is meant.
    #[must_use]
    pub(in crate::shard) fn is_here(&self, peer: Peer) -> bool {
        let conn = self.conns.get(peer.slot as usize);
        conn.is_some_and(|conn| conn.control.peer == peer && !conn.retired())
    }

    fn pop(&mut self, origin: Origin, names: &[TopicName], acknowledge: bool) {
        let missing = names.iter().find(|name| self.core.catalog.find(name).is_none());
        if let Some(name) = missing {
            let absent = names.iter().filter(|name| self.core.catalog.find(name).is_none());
            if let Some(why) = absent.filter_map(|name| reserved(&self.core, name)).next() {
                return self.core.reply(origin, Reply::Refused(why));
            }
            // Made one after the other; the reply brings this command back here.
            let absent =
                names.iter().filter(|n| self.core.catalog.find(n).is_none()).count() as u64;
            if self.core.catalog.queues() + absent > self.core.process.config.mesh.max_topics {
                return self.core.reply(origin, Reply::Refused(Refusal::TooManyTopics));
            }
            let ticket = self.core.ticket();
            let again = Command::Pop { topics: names.to_vec(), acknowledge };
            self.retries.insert(ticket as u32, (origin, again));
            let peer = Peer { slot: NOBODY, ..origin.peer };
            let origin = Origin { peer, token: Some(ticket as u32) };
            let (name, retention) = (name.clone(), Retention::default());
            let if_exists = IfExists::Keep;
            let create =
                Mail::Create { origin, name, retention, pipe: false, queue: true, if_exists };
            return self.core.send(0, create);
        }
        let found: Vec<_> =
            names.iter().filter_map(|n| self.core.catalog.find(n).cloned()).collect();
        let Some(conn) = self.conns.get_mut(origin.peer.slot as usize) else { return };
        if conn.control.peer != origin.peer {
            return;
        }
        let consuming: &mut Consuming = conn.consuming.get_or_insert_default();
        consuming.topics.extend(found.iter().cloned());
        consuming.joining = true;
        let ticket = self.core.ticket();
        let topics: Vec<TopicId> = found.iter().map(|topic| topic.id).collect();
        for topic in &topics {
            let (owner, topic, consumer) = (self.core.owner_of(*topic), *topic, origin.peer);
            self.core.send(owner, Mail::Pop { ticket, topic, consumer, acknowledge });
        }
        self.gathers
            .insert(ticket, Gather::Pop { origin, left: topics.len(), topics, refused: None });
    }

    /// A topic that a `Pop` needs was made, or not.
    fn retry_pop(&mut self, token: u32, reply: &Reply) {
        let Some((origin, command)) = self.retries.remove(&token) else { return };
        match reply {
            Reply::Refused(why) => self.core.reply(origin, Reply::Refused(*why)),
            _ => self.carry_out(origin, command),
        }
    }

    fn unpop(&mut self, origin: Origin) {
        let Some(conn) = self.conns.get_mut(origin.peer.slot as usize) else { return };
        let consuming = conn.consuming.take().unwrap_or_default();
        if consuming.topics.is_empty() {
            return self.core.reply(origin, Reply::Refused(Refusal::NotConsumed));
        }
        let ticket = self.core.ticket();
        let left = consuming.topics.len();
        for topic in &consuming.topics {
            let (owner, topic, consumer) = (self.core.owner_of(topic.id), topic.id, origin.peer);
            self.core.send(owner, Mail::Unpop { ticket: Some(ticket), topic, consumer });
        }
        self.gathers.insert(ticket, Gather::Heard { origin, left });
    }

    /// A mail of another shard, or of this one to itself.
    pub(in crate::shard) fn on_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Append { origin, topic, records, bound } => {
                let stopping = self.core.process.stopping.load(Ordering::Relaxed);
                let list = records.records();
                let result = self.core.owner.append(origin, topic, &list, bound, stopping);
                if let Err(refusal) = result {
                    self.core.metrics().refused.add(1);
                    self.core.reply(origin, Reply::Refused(refusal));
                }
            }
            Mail::Create { .. }
            | Mail::Delete { .. }
            | Mail::Hide { .. }
            | Mail::Define { .. }
            | Mail::Commit { .. }
            | Mail::CreateFlow { .. }
            | Mail::DeleteFlow { .. }
            | Mail::SetLookup { .. }
            | Mail::DeleteLookup { .. } => {
                if let Some(mut topics) = self.topics.take() {
                    topics.request(&mut self.core, mail);
                    self.topics = Some(topics);
                }
            }
            Mail::Changed { change, round } => {
                self.on_change(&change);
                if let Some(round) = round {
                    self.core.send(0, Mail::ChangeHeard { round });
                }
            }
            Mail::ChangeHeard { round } => {
                if let Some(mut topics) = self.topics.take() {
                    topics.on_heard(&mut self.core, round);
                    self.topics = Some(topics);
                }
            }
            Mail::Wake { peer } => {
                if self.is_here(peer) {
                    self.call(peer.slot, |session, _, intake, out| {
                        session.on_event(Event::Woken, intake, out);
                    });
                }
            }
            Mail::Work { work, to } => self.do_work(work, to),
            Mail::Query { to, output, last, control } => {
                self.on_query_output(to, output, last, &control);
            }
            Mail::Reply { to, reply } => self.core.replies.push_back((to, reply)),
            Mail::Part { ticket, part } => self.on_part(ticket, part),
            Mail::Deliver { topic, batch } => self.deliver(topic, &batch),
            Mail::Client { origin, client, call } => self.call_client(origin, client, call),
            Mail::Publish { from, list } => {
                list.iter().for_each(|publish| self.on_publish(from, publish));
            }
            Mail::Counted(list) => list.into_iter().for_each(|count| self.on_counted(count)),
            Mail::Presence { ticket, from, channel } => {
                let (count, clients) = self.present(&channel);
                let part = Part::Present { count, clients };
                self.core.send(from, Mail::Part { ticket, part });
            }
            Mail::ChannelInterest { ticket, from, channel, present } => {
                self.core.channels.set_remote(&channel, from, present);
                if let Some(ticket) = ticket {
                    self.core.send(from, Mail::Part { ticket, part: Part::Heard });
                }
            }
            Mail::Log(json) => {
                let body = Body::Json(&json);
                let record = Record { time: self.core.now, producer: 0, body };
                self.core.owner.append_log(&record);
            }
            Mail::Stop => self.stop(),
            other => self.on_owner_mail(other),
        }
    }

    /// A mail to the owner of a topic, or about its queue.
    fn on_owner_mail(&mut self, mail: Mail) {
        match mail {
            // What was appended in this turn is sealed first.
            Mail::Flush { origin, topic } => self.flushes.push((origin, topic)),
            Mail::Snapshot { topic, to } => self.snapshots.push((topic, to)),
            Mail::Discard { topic, below } => self.core.owner.discard(topic, below),
            Mail::Fence { ticket, from } => self.fences_heard.push((ticket, from)),
            Mail::Subscribe { from, ticket, topic } => self.on_subscribe(from, ticket, topic),
            Mail::Unsubscribe { from, topic } => {
                if let Some(owned) = self.core.owner.get_mut(topic)
                    && let Some(count) = owned.interest.get_mut(from as usize)
                {
                    *count = count.saturating_sub(1);
                }
            }
            Mail::Pop { ticket, topic, consumer, acknowledge } => {
                let part = match self.core.owner.join(topic, consumer, acknowledge) {
                    Ok(()) => Part::Popped,
                    Err(why) => Part::Refused(why),
                };
                self.core.send(consumer.shard, Mail::Part { ticket, part });
            }
            Mail::Unpop { ticket, topic, consumer } => {
                self.core.owner.leave(topic, consumer);
                if let Some(ticket) = ticket {
                    self.core.send(consumer.shard, Mail::Part { ticket, part: Part::Heard });
                }
            }
            Mail::Acknowledge { origin, topic, offsets } => {
                let queued = self.core.owner.get_mut(topic).and_then(|o| o.queued.as_mut());
                let total = offsets.len() as u64;
                let (good, bad) = match queued {
                    Some(queued) => queued.queue.acknowledge(origin.peer, &offsets),
                    None => (0, total),
                };
                self.core.owner.touch_queue(topic);
                self.core.reply(origin, Reply::Acknowledged(good, bad));
            }
            Mail::Messages { topic, consumer, acknowledge, list } => {
                self.hand_out(topic, consumer, acknowledge, &list);
            }
            Mail::Written { topic, consumer, offsets } => {
                let wait = self.core.process.config.mesh.ack_timeout_s * 1000;
                let deadline = self.core.now_ms + wait;
                let owned = self.core.owner.get_mut(topic);
                if let Some(queued) = owned.and_then(|owned| owned.queued.as_mut()) {
                    for offset in offsets {
                        queued.queue.written(consumer, offset, deadline);
                    }
                    self.core.owner.touch_queue(topic);
                }
            }
            _ => {}
        }
    }

    fn on_subscribe(&mut self, from: u16, ticket: Ticket, topic: TopicId) {
        self.core.owner.retain(topic, self.core.now);
        let part = match self.core.owner.get_mut(topic) {
            None => Part::Refused(Refusal::UnknownTopic),
            Some(owned) => {
                if let Some(count) = owned.interest.get_mut(from as usize) {
                    *count += 1;
                }
                let (view, kept) = match &owned.store {
                    Store::Log(partition) => (Some(Arc::clone(partition.view())), Vec::new()),
                    Store::Pipe(pipe) => (None, pipe.kept()),
                };
                Part::Subscribed { topic, head: owned.head(), view, kept }
            }
        };
        if ticket != 0 {
            self.core.send(from, Mail::Part { ticket, part });
        }
    }

    /// The catalog has changed.
    pub(in crate::shard) fn on_change(&mut self, change: &Change) {
        if let Change::FlowEnded(id) = change
            && let Some(flow) = self.core.catalog.flows.get(*id).cloned()
        {
            self.end_flow(&flow);
        }
        let applied = self.core.catalog.apply(change);
        if self.core.id == 0 {
            let lookups = self.core.catalog.lookups();
            self.core.process.apply(change, lookups);
            self.forget_databases(change);
        }
        if let Change::FlowCreated(flow) = change {
            self.start_flow(flow);
        }
        let Some(topic) = applied else { return };
        self.announce_topic(change);
        let owned = self.core.owner_of(topic.id) == self.core.id;
        match change {
            Change::Created(topic) if owned => {
                if let Err(error) = self.core.owner.open(topic) {
                    let name = &topic.name;
                    tracing::error!(%name, %error, "cannot open a topic's log");
                }
            }
            Change::Hidden(..) => self.hide(change),
            Change::Deleted(id) => {
                if owned {
                    let (waiting, consumers) = self.core.owner.delete(*id);
                    for origin in waiting {
                        self.core.reply(origin, Reply::Refused(Refusal::UnknownTopic));
                    }
                    drop(consumers);
                }
                self.end_topic(&topic);
                self.end_consuming(*id);
            }
            _ => {}
        }
    }

    /// Databases that are gone count no more.
    fn forget_databases(&self, change: &Change) {
        let Change::Defined(entries) = change else { return };
        for entry in entries.iter().filter(|entry| entry.family == DATABASE_FAMILY) {
            if let (None, Ok(name)) = (&entry.value, std::str::from_utf8(&entry.key)) {
                self.core.process.numberings.forget(name);
            }
        }
    }

    /// Hides records of a topic that this shard owns.
    pub(in crate::shard) fn hide(&self, change: &Change) {
        if let Change::Hidden(id, ranges) = change
            && let Some(Store::Log(partition)) = self.core.owner.get(*id).map(|o| &o.store)
        {
            partition.view().hide(ranges);
        }
    }

    /// Tells those who wait for a topic of that name.
    fn announce_topic(&mut self, change: &Change) {
        let Change::Created(topic) = change else { return };
        for peer in self.core.awaiting.remove(&topic.name).unwrap_or_default() {
            if self.is_here(peer) {
                self.call(peer.slot, |session, _, intake, out| {
                    session.on_event(Event::TopicMade(topic), intake, out);
                });
            }
        }
    }

    /// Consumers of this shard lose a queue that is gone.
    fn end_consuming(&mut self, topic: TopicId) {
        let consumes = |conn: &crate::shard::link::conn::Conn| {
            conn.consuming.as_ref().is_some_and(|c| c.topics.iter().any(|t| t.id == topic))
        };
        let slots =
            self.conns.iter().filter(|(_, conn)| consumes(conn)).map(|(slot, _)| slot as u32);
        for slot in slots.collect::<Vec<_>>() {
            if let Some(consuming) =
                self.conns.get_mut(slot as usize).and_then(|c| c.consuming.as_mut())
            {
                consuming.topics.retain(|t| t.id != topic);
                consuming.unwritten.retain(|u| u.topic != topic);
            }
            self.call(slot, |session, _, intake, out| {
                session.on_event(Event::QueueGone(topic), intake, out);
            });
        }
    }

    /// Passes on what the owner half of a turn brought.
    pub(in crate::shard) fn on_outcome(&mut self, outcome: &mut Outcome) {
        for alarm in outcome.alarms.drain(..) {
            tracing::error!("{alarm}");
        }
        for (topic, batch) in std::mem::take(&mut outcome.batches) {
            if self.flows.has(topic) {
                self.run_flows(topic, &batch);
            }
            self.spread(topic, batch);
        }
        for (origin, result) in outcome.done.drain(..) {
            let reply = result.map_or_else(Reply::Refused, |()| Reply::Done);
            self.core.reply(origin, reply);
        }
        for (topic, assigned) in std::mem::take(&mut outcome.assigned) {
            self.assign(topic, &assigned);
        }
        let metrics = self.core.metrics();
        metrics.records.add(std::mem::take(&mut outcome.records));
        metrics.log_bytes.add(std::mem::take(&mut outcome.bytes));
        metrics.poisoned.add(std::mem::take(&mut outcome.poisoned));
        metrics.read_only.add(std::mem::take(&mut outcome.read_only));
        metrics.queue_skipped.add(std::mem::take(&mut outcome.skipped));
        self.settle();
    }

    /// Gives a batch to the shards that want it.
    fn spread(&mut self, topic: TopicId, batch: Arc<Batch>) {
        let Some(owned) = self.core.owner.get(topic) else { return };
        let wanted: Vec<u16> = owned
            .interest
            .iter()
            .enumerate()
            .filter(|(_, n)| **n > 0)
            .map(|(s, _)| s as u16)
            .collect();
        for shard in wanted {
            if shard == self.core.id {
                self.deliver(topic, &batch);
            } else {
                self.core.send(shard, Mail::Deliver { topic, batch: Arc::clone(&batch) });
            }
        }
    }

    /// Reads the messages that were assigned and sends them to their consumers.
    fn assign(&mut self, topic: TopicId, assigned: &[Assignment]) {
        let Some(owned) = self.core.owner.get_mut(topic) else { return };
        let Store::Log(partition) = &owned.store else { return };
        let view = Arc::clone(partition.view());
        let Some(queued) = &mut owned.queued else { return };
        let mut offsets: Vec<Offset> = assigned.iter().map(|a| a.offset).collect();
        offsets.sort_unstable();
        let found = read_offsets(&view, &offsets);
        let mut by_consumer: Vec<(Peer, bool, Vec<Message>)> = Vec::new();
        for assignment in assigned {
            let Ok(index) = found.binary_search_by_key(&assignment.offset, |(o, _)| *o) else {
                // No longer retained, or no message.
                queued.queue.skip(assignment.offset);
                continue;
            };
            let message = found[index].clone();
            let (peer, acknowledge) = (assignment.consumer, assignment.acknowledge);
            match by_consumer.iter_mut().find(|(p, ..)| *p == peer) {
                Some((_, _, list)) => list.push(message),
                None => by_consumer.push((peer, acknowledge, vec![message])),
            }
        }
        for (consumer, acknowledge, list) in by_consumer {
            self.core.send(consumer.shard, Mail::Messages { topic, consumer, acknowledge, list });
        }
    }

    fn hand_out(
        &mut self,
        topic: TopicId,
        consumer: Peer,
        acknowledge: bool,
        list: &[(Offset, RecordRef)],
    ) {
        let slot = consumer.slot;
        let found = self.core.catalog.get(topic).cloned();
        let consumes = |conn: &crate::shard::link::conn::Conn| {
            conn.control.peer == consumer
                && conn.consuming.as_ref().is_some_and(|c| c.topics.iter().any(|t| t.id == topic))
        };
        if let Some(conn) = self.conns.get_mut(slot as usize)
            && conn.control.peer == consumer
            && let Some(consuming) = &mut conn.consuming
            && consuming.joining
        {
            // The reply to `queue.pop` precedes its first event.
            return consuming.early.push((topic, acknowledge, list.to_vec()));
        }
        // A consumer that has left: the owner hears of it by another mail and frees them.
        let (Some(found), true) =
            (found, self.conns.get(slot as usize).is_some_and(|conn| consumes(conn)))
        else {
            return;
        };
        for (offset, reference) in list {
            let Some((_, record)) = reference.get() else { continue };
            let (topic, offset) = (&found, *offset);
            self.call(slot, |session, _, intake, out| {
                let event = Event::Message { topic, offset, record, acknowledge };
                session.on_event(event, intake, out);
            });
            if let Some(consuming) =
                self.conns.get_mut(slot as usize).and_then(|c| c.consuming.as_mut())
            {
                let unwritten = Unwritten { topic: topic.id, offset, at: u64::MAX };
                consuming.unwritten.push_back(unwritten);
            }
        }
        self.check_limit(slot);
    }

    /// What must end when a connection does.
    pub(in crate::shard) fn end_consumption(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let consumer = conn.control.peer;
        let Some(consuming) = conn.consuming.take() else { return };
        for topic in &consuming.topics {
            let (owner, topic) = (self.core.owner_of(topic.id), topic.id);
            self.core.send(owner, Mail::Unpop { ticket: None, topic, consumer });
        }
    }
}

/// Whether a record only hides rows of a typed table: nothing that a consumer could be told.
fn hides(reference: &RecordRef) -> bool {
    let rows = |(_, record): (Offset, Record<'_>)| match record.body {
        Body::Rows(bytes) => Rows::hides(bytes),
        _ => false,
    };
    reference.get().is_some_and(rows)
}

/// References to the records of these ascending offsets, as far as they are there and
/// hold something.
fn read_offsets(
    view: &Arc<crate::log::PartitionView>,
    offsets: &[Offset],
) -> Vec<(Offset, RecordRef)> {
    let mut found = Vec::with_capacity(offsets.len());
    let mut wanted = offsets.iter().copied().peekable();
    while let Some(&first) = wanted.peek() {
        let mut cursor = Cursor::new(Arc::clone(view), first);
        let Some(chunk) = cursor.next_batch(64 << 10, UpTo::Acknowledged) else { break };
        let mut end = cursor.next_offset();
        if end <= first {
            end = first + 1;
        }
        for (offset, reference) in chunk.refs() {
            while wanted.next_if(|w| *w < offset).is_some() {}
            if wanted.next_if_eq(&offset).is_some() && !hides(&reference) {
                found.push((offset, reference));
            }
        }
        while wanted.next_if(|w| *w < end).is_some() {}
    }
    found
}

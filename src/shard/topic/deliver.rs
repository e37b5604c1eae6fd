//! From a batch to the sessions that want it: live, or after what is kept was read.
//!
//! A subscription that begins in the past reads the log by a cursor while new batches are held for
//! it; when the cursor has come to where they begin, they follow and it is live. The hold is
//! bounded: what is dropped from it is read from the log instead, so nothing is lost and nothing
//! grows.

use crate::log::{Batch, Cursor, PartitionView, UpTo};
use crate::model::command::Begin;
use crate::model::event::{Event, Records, Reply};
use crate::model::interest::Interest;
use crate::model::record::{Offset, Record};
use crate::model::refusal::Refusal;
use crate::model::topic::{SubscriptionId, Topic, TopicId};
use crate::proto::Session;
use crate::shard::Shard;
use crate::shard::gather::Gather;
use crate::shard::mail::{Mail, Origin, Ticket};
use crate::subs::Sub;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of a log read at once for one subscription.
const CHUNK_BYTES: usize = 128 << 10;
/// Bytes read in one turn for one subscription.
const TURN_BYTES: usize = 1 << 20;
/// Records given to subscriptions of one connection in one call.
const CHOSEN_AT_ONCE: usize = 256;
/// Bytes of new batches held for a subscription that reads the log.
const HELD_BYTES_MAX: usize = 4 << 20;

/// Where a subscription begins, as the owner said.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The offset that comes next.
    pub head: Offset,
    /// How to read what is before.
    pub view: Option<Arc<PartitionView>>,
    /// What a ring in memory holds.
    pub kept: Vec<Arc<Batch>>,
}

/// A subscription on its way to live.
#[derive(Debug)]
pub struct CatchUp {
    id: SubscriptionId,
    slot: u32,
    topic: Arc<Topic>,
    /// The subscribe it belongs to is not answered.
    waits_for: Option<Ticket>,
    cursor: Option<Cursor>,
    from: Offset,
    /// The cursor reads up to here; what is held follows.
    target: Offset,
    held: VecDeque<Arc<Batch>>,
    held_bytes: usize,
}

impl Shard {
    /// Carries out a `Subscribe`: tells the owners.
    pub(in crate::shard) fn subscribe(
        &mut self,
        origin: Origin,
        topics: Vec<(TopicId, Begin)>,
        interest: Option<Interest>,
    ) {
        let known =
            |id: &TopicId| *id == self.core.log_topic.id || self.core.catalog.get(*id).is_some();
        if !topics.iter().all(|(id, _)| known(id)) {
            return self.core.reply(origin, Reply::Refused(Refusal::UnknownTopic));
        }
        let ticket = self.core.ticket();
        let number = |(topic, begin)| (topic, self.core.process.next_subscription(), begin);
        let list: Vec<_> = topics.into_iter().map(number).collect();
        let mut unique: Vec<TopicId> = list.iter().map(|(topic, ..)| *topic).collect();
        unique.sort_unstable();
        unique.dedup();
        let left = unique.len();
        for topic in unique {
            let (owner, from) = (self.core.owner_of(topic), self.core.id);
            self.core.send(owner, Mail::Subscribe { from, ticket, topic });
            // The owner counts shards' subscriptions; the first one of each topic is asked for
            // above.
            let more = list.iter().filter(|(t, ..)| *t == topic).count() - 1;
            for _ in 0..more {
                self.core.send(owner, Mail::Subscribe { from, ticket: 0, topic });
            }
        }
        let gather = Gather::Subscribe { origin, left, list, interest, refused: false };
        self.gathers.insert(ticket, gather);
    }

    /// The owner knows of a subscription: from here on its batches come.
    pub(in crate::shard) fn begin_catch_up(
        &mut self,
        ticket: Ticket,
        topic: TopicId,
        id: SubscriptionId,
        begin: Begin,
        begun: Begun,
    ) {
        let Some(Gather::Subscribe { origin, interest, .. }) = self.gathers.get(&ticket) else {
            return;
        };
        let (slot, interest) = (origin.peer.slot, interest.clone());
        let found = if topic == self.core.log_topic.id {
            Some(&self.core.log_topic)
        } else {
            self.core.catalog.get(topic)
        };
        let Some(found) = found.cloned() else { return };
        let start = begun.view.as_ref().map_or(0, |view| view.start());
        let from = match begin {
            Begin::Live => begun.head,
            Begin::Last(count) => {
                let shown = |view: &Arc<PartitionView>| view.last(count, begun.head);
                let from = begun.view.as_ref().map_or(begun.head.saturating_sub(count), shown);
                from.max(start)
            }
            Begin::From(offset) => offset.max(start).min(begun.head),
        };
        let cursor = begun.view.filter(|_| from < begun.head).map(|view| Cursor::new(view, from));
        let held = begun.kept.into_iter().filter(|b| b.first() + b.len() as u64 > from);
        self.catch_ups.push(CatchUp {
            id,
            slot,
            topic: found,
            waits_for: Some(ticket),
            target: if cursor.is_some() { begun.head } else { from },
            cursor,
            from,
            held: held.collect(),
            held_bytes: 0,
        });
        self.subs.add(topic, Sub { id, slot, live: false }, interest);
    }

    /// All owners have answered a `Subscribe`.
    pub(in crate::shard) fn conclude_subscribe(
        &mut self,
        ticket: Ticket,
        origin: Origin,
        list: &[(TopicId, SubscriptionId, Begin)],
        refused: bool,
    ) {
        if refused || !self.is_here(origin.peer) {
            for (topic, id, _) in list {
                if !self.end_subscription(*topic, *id) {
                    self.forget_interest(*topic);
                }
            }
            return self.core.reply(origin, Reply::Refused(Refusal::UnknownTopic));
        }
        for (topic, id, _) in list {
            if let Some(topic) = self.core.catalog.get(*topic) {
                topic.shared.subscribed(*id);
            } else if *topic == self.core.log_topic.id {
                self.core.log_topic.shared.subscribed(*id);
            }
        }
        let ids = list.iter().map(|(_, id, _)| *id).collect();
        self.core.reply(origin, Reply::Subscribed(ids));
        self.released.push(ticket);
    }

    /// Ends a subscription; `false` if it is not known here.
    pub(in crate::shard) fn end_subscription(
        &mut self,
        topic: TopicId,
        id: SubscriptionId,
    ) -> bool {
        if !self.subs.remove(topic, id) {
            return false;
        }
        self.catch_ups.retain(|c| c.id != id);
        let found = self.core.catalog.get(topic).cloned();
        let found = found.or_else(|| {
            (topic == self.core.log_topic.id).then(|| Arc::clone(&self.core.log_topic))
        });
        if let Some(found) = found {
            found.shared.unsubscribed(id);
        }
        self.forget_interest(topic);
        true
    }

    fn forget_interest(&mut self, topic: TopicId) {
        let (owner, from) = (self.core.owner_of(topic), self.core.id);
        self.core.send(owner, Mail::Unsubscribe { from, topic });
    }

    /// New records of a topic, for the subscriptions of this shard.
    pub(in crate::shard) fn deliver(&mut self, topic: TopicId, batch: &Arc<Batch>) {
        for catch_up in self.catch_ups.iter_mut().filter(|c| c.topic.id == topic) {
            catch_up.hold(batch);
        }
        let found = self.core.catalog.get(topic).cloned();
        let found = found.or_else(|| {
            (topic == self.core.log_topic.id).then(|| Arc::clone(&self.core.log_topic))
        });
        let Some(found) = found else { return };
        let subs: Vec<Sub> = self.subs.of(topic).iter().filter(|s| s.live).copied().collect();
        let has_choosers = self.subs.choosers(topic).is_some();
        if subs.is_empty() && !has_choosers {
            return;
        }
        let list: Vec<(Offset, Record<'_>)> = batch.iter().collect();
        for sub in subs {
            self.give(sub.slot, sub.id, &found, &list, true);
        }
        if has_choosers {
            self.give_chosen(&found, &list);
        }
    }

    /// Gives each subscription that wants some of these records those that it may want. What one
    /// record finds is ascending, so nothing is sorted where all find the same.
    fn give_chosen(&mut self, topic: &Arc<Topic>, list: &[(Offset, Record<'_>)]) {
        let Some(choosers) = self.subs.choosers(topic.id) else { return };
        let mut hits: Vec<(u32, SubscriptionId, usize)> = Vec::new();
        // Whether each record has found what the first one has: many with one query.
        let (mut first, mut alike) = (0, true);
        for (number, (offset, record)) in list.iter().enumerate() {
            let begin = hits.len();
            choosers.choose(topic.id, (*offset, record), &mut self.palette.memo, |slot, id| {
                hits.push((slot, id, number));
            });
            if number == 0 {
                first = hits.len();
            }
            let pairs = hits.iter().skip(begin).zip(&hits);
            alike = alike
                && hits.len() - begin == first
                && pairs.into_iter().all(|(a, b)| (a.0, a.1) == (b.0, b.1));
        }
        if alike {
            hits.truncate(first);
        } else {
            hits.sort_unstable();
        }
        let mut own = Vec::new();
        for of_slot in hits.chunk_by(|a, b| a.0 == b.0) {
            let Some((slot, ..)) = of_slot.first() else { continue };
            // Some at a time, so that the output of one call is bounded.
            let at_once = if alike { CHOSEN_AT_ONCE / list.len().max(1) } else { CHOSEN_AT_ONCE };
            for part in of_slot.chunks(at_once.max(1)) {
                self.call(*slot, |session, _, intake, out| {
                    for run in part.chunk_by(|a, b| a.1 == b.1) {
                        let Some((_, id, _)) = run.first() else { continue };
                        let chosen = if alike {
                            list
                        } else {
                            let one = |(.., number): &(_, _, usize)| list.get(*number).copied();
                            own.clear();
                            own.extend(run.iter().filter_map(one));
                            &own
                        };
                        let records = Records { topic, list: chosen, live: true };
                        session.on_event(Event::Records(*id, records), intake, out);
                    }
                });
                self.check_limit(*slot);
                if self.palette.is_full() {
                    self.flush_all();
                }
            }
        }
    }

    fn give(
        &mut self,
        slot: u32,
        id: SubscriptionId,
        topic: &Arc<Topic>,
        list: &[(Offset, Record<'_>)],
        live: bool,
    ) {
        if list.is_empty() {
            return;
        }
        self.call(slot, |session, _, intake, out| {
            session.on_event(Event::Records(id, Records { topic, list, live }), intake, out);
        });
        self.check_limit(slot);
        if self.palette.is_full() {
            self.flush_all();
        }
    }

    /// Lets subscriptions that read the log go on; `true` if any has more to do at once.
    pub(in crate::shard) fn run_catch_ups(&mut self) -> bool {
        if self.catch_ups.is_empty() {
            return false;
        }
        let released = std::mem::take(&mut self.released);
        let mut busy = false;
        let mut index = 0;
        while index < self.catch_ups.len() {
            let catch_up = &mut self.catch_ups[index];
            if catch_up.waits_for.is_some_and(|ticket| released.contains(&ticket)) {
                catch_up.waits_for = None;
            }
            if catch_up.waits_for.is_some() {
                index += 1;
                continue;
            }
            let mut catch_up = self.catch_ups.swap_remove(index);
            let (done, more) = self.run_catch_up(&mut catch_up);
            busy |= more;
            if done {
                self.subs.set_live(catch_up.topic.id, catch_up.id);
            } else {
                self.catch_ups.push(catch_up);
                let last = self.catch_ups.len() - 1;
                self.catch_ups.swap(index, last);
                index += 1;
            }
        }
        busy
    }

    /// Whether it has become live, and whether it could go on at once.
    fn run_catch_up(&mut self, catch_up: &mut CatchUp) -> (bool, bool) {
        let mut read = 0;
        while let Some(cursor) = &mut catch_up.cursor {
            if cursor.next_offset() >= catch_up.target {
                catch_up.cursor = None;
                break;
            }
            let room = self.conns.get(catch_up.slot as usize).is_some_and(|conn| {
                conn.out.queued < self.outbox_limit / 4 && conn.out.queued < 2 << 20
            });
            if !room {
                return (false, false);
            }
            if read >= TURN_BYTES {
                return (false, true);
            }
            let Some(chunk) = cursor.next_batch(CHUNK_BYTES, UpTo::Offset(catch_up.target)) else {
                // Delivered live, and not written yet.
                return (false, false);
            };
            if chunk.skipped() > 0 {
                self.core.metrics().catch_up_skipped.add(chunk.skipped());
            }
            if let Some(damage) = chunk.damage() {
                tracing::error!(%damage, "damaged records were passed over");
            }
            read += CHUNK_BYTES;
            let list: Vec<(Offset, Record<'_>)> = chunk.iter().collect();
            self.give(catch_up.slot, catch_up.id, &catch_up.topic, &list, false);
        }
        for batch in std::mem::take(&mut catch_up.held) {
            let from = catch_up.from.max(catch_up.target);
            let list: Vec<(Offset, Record<'_>)> =
                batch.iter().filter(|(o, _)| *o >= from).collect();
            self.give(catch_up.slot, catch_up.id, &catch_up.topic, &list, false);
        }
        (true, false)
    }

    /// Ends all subscriptions of a topic that is gone, and tells them.
    pub(in crate::shard) fn end_topic(&mut self, topic: &Arc<Topic>) {
        self.catch_ups.retain(|c| c.topic.id != topic.id);
        for sub in self.subs.take_topic(topic.id) {
            topic.shared.unsubscribed(sub.id);
            self.call(sub.slot, |session, _, intake, out| {
                session.on_event(Event::SubscriptionEnded(sub.id, topic), intake, out);
            });
        }
    }
}

impl CatchUp {
    fn hold(&mut self, batch: &Arc<Batch>) {
        self.held_bytes += batch.bytes_len();
        self.held.push_back(Arc::clone(batch));
        if self.held_bytes > HELD_BYTES_MAX && self.cursor.is_some() {
            // The log has them too: the cursor reads on instead.
            self.target = batch.first() + batch.len() as u64;
            self.held.clear();
            self.held_bytes = 0;
        }
    }
}

//! A queue: one durable cursor over a topic, shared by competing consumers (mesh, section 6).
//!
//! A message is *staged* when a consumer is chosen for it, *sent* when the cursor that says so is
//! stored, *settled* when its bytes are on the socket (plain consumers) or when it is acknowledged.
//! What was staged or sent and not settled when its consumer leaves is free again and goes first.
//!
//! Cost: a few map operations for each message; nothing is copied here.

use super::Peer;
use crate::model::record::Offset;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Messages handed to a consumer and not settled.
pub const IN_FLIGHT_MAX: usize = 64;

/// A message for a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// To whom.
    pub consumer: Peer,
    /// Which.
    pub offset: Offset,
    /// It stays outstanding until acknowledged.
    pub acknowledge: bool,
}

#[derive(Debug)]
struct Consumer {
    peer: Peer,
    acknowledge: bool,
    /// Staged or sent, not settled; for acknowledging ones the time until which they have.
    in_flight: BTreeMap<Offset, u64>,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Queue {
    next: Offset,
    free: BTreeSet<Offset>,
    consumers: VecDeque<Consumer>,
    changed: bool,
}

impl Queue {
    /// A queue as it was stored: the first offset never dispatched, and those below it outstanding.
    #[must_use]
    pub fn restore(next: Offset, outstanding: impl IntoIterator<Item = Offset>) -> Self {
        let free = outstanding.into_iter().filter(|offset| *offset < next).collect();
        Self { next, free, ..Self::default() }
    }

    /// Whether anybody consumes.
    #[must_use]
    pub fn has_consumers(&self) -> bool {
        !self.consumers.is_empty()
    }

    /// Whether this consumer is known.
    #[must_use]
    pub fn consumes(&self, peer: Peer) -> bool {
        self.consumers.iter().any(|c| c.peer == peer)
    }

    /// Adds a consumer.
    pub fn join(&mut self, peer: Peer, acknowledge: bool) {
        self.consumers.push_back(Consumer { peer, acknowledge, in_flight: BTreeMap::new() });
    }

    /// Removes a consumer; what it had not settled is free again. `false`: it was none.
    pub fn leave(&mut self, peer: Peer) -> bool {
        let Some(index) = self.consumers.iter().position(|c| c.peer == peer) else { return false };
        if let Some(consumer) = self.consumers.remove(index) {
            self.changed |= !consumer.in_flight.is_empty();
            self.free.extend(consumer.in_flight.into_keys());
        }
        true
    }

    /// First offset never dispatched.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Messages that wait for a consumer, the log ending before `end`.
    #[must_use]
    pub fn waiting(&self, end: Offset) -> u64 {
        end.saturating_sub(self.next) + self.free.len() as u64
    }

    /// Forgets what retention dropped; gives how many were never consumed.
    pub fn skip_to(&mut self, start: Offset) -> u64 {
        let mut skipped = start.saturating_sub(self.next);
        if skipped > 0 {
            self.next = start;
            self.changed = true;
        }
        while let Some(first) = self.free.first().copied().filter(|first| *first < start) {
            self.free.remove(&first);
            self.changed = true;
            skipped += 1;
        }
        skipped
    }

    /// Passes over an offset that holds no message.
    pub fn skip(&mut self, offset: Offset) {
        for consumer in &mut self.consumers {
            consumer.in_flight.remove(&offset);
        }
        self.changed = true;
    }

    /// Chooses consumers for what waits below `end`: outstanding ones first, one to each consumer
    /// with room in turn.
    pub fn stage(&mut self, end: Offset) -> Vec<Assignment> {
        let mut staged = Vec::new();
        let mut without_room = 0;
        while without_room < self.consumers.len() {
            // After a restart outstanding ones, too, may lie beyond what is synced as yet.
            let offset = self.free.first().copied().unwrap_or(self.next);
            if offset >= end {
                break;
            }
            let Some(mut consumer) = self.consumers.pop_front() else { break };
            if consumer.in_flight.len() >= IN_FLIGHT_MAX {
                without_room += 1;
                self.consumers.push_back(consumer);
                continue;
            }
            without_room = 0;
            if !self.free.remove(&offset) {
                self.next += 1;
            }
            consumer.in_flight.insert(offset, u64::MAX);
            let acknowledge = consumer.acknowledge;
            staged.push(Assignment { consumer: consumer.peer, offset, acknowledge });
            self.consumers.push_back(consumer);
        }
        self.changed |= !staged.is_empty();
        staged
    }

    /// Says that a message's bytes are on the socket. An acknowledging consumer has until
    /// `deadline`.
    pub fn written(&mut self, peer: Peer, offset: Offset, deadline: u64) {
        let Some(consumer) = self.consumers.iter_mut().find(|c| c.peer == peer) else { return };
        if consumer.acknowledge {
            if let Some(until) = consumer.in_flight.get_mut(&offset) {
                *until = deadline;
            }
        } else {
            consumer.in_flight.remove(&offset);
        }
    }

    /// Settles messages of an acknowledging consumer; gives how many were and were not outstanding.
    pub fn acknowledge(&mut self, peer: Peer, offsets: &[Offset]) -> (u64, u64) {
        let consumer = self.consumers.iter_mut().find(|c| c.peer == peer && c.acknowledge);
        let Some(consumer) = consumer else { return (0, offsets.len() as u64) };
        let settled = offsets.iter().filter(|o| consumer.in_flight.remove(o).is_some()).count();
        self.changed |= settled > 0;
        (settled as u64, (offsets.len() - settled) as u64)
    }

    /// Frees what was not acknowledged by `now`; whether anything was.
    pub fn expire(&mut self, now: u64) -> bool {
        let before = self.free.len();
        for consumer in &mut self.consumers {
            consumer.in_flight.retain(|offset, until| {
                let late = *until <= now;
                if late {
                    self.free.insert(*offset);
                }
                !late
            });
        }
        let expired = self.free.len() > before;
        self.changed |= expired;
        expired
    }

    /// Whether what must be stored has changed since it was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What must be stored: the first offset never dispatched, and what is outstanding below it.
    /// What plain consumers have in flight counts as consumed: it never comes twice.
    #[must_use]
    pub fn position(&self) -> (Offset, Vec<Offset>) {
        let kept = self.consumers.iter().filter(|c| c.acknowledge);
        let mut outstanding = self.free.clone();
        outstanding.extend(kept.flat_map(|c| c.in_flight.keys().copied()));
        (self.next, outstanding.into_iter().collect())
    }

    /// All consumers.
    pub fn consumers(&self) -> impl Iterator<Item = Peer> {
        self.consumers.iter().map(|c| c.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(slot: u32) -> Peer {
        Peer { shard: 0, slot, generation: 0 }
    }

    fn staged(queue: &mut Queue, end: Offset) -> Vec<(u32, Offset)> {
        queue.stage(end).iter().map(|a| (a.consumer.slot, a.offset)).collect()
    }

    #[test]
    fn what_is_outstanding_waits_until_it_may_be_read() {
        let mut queue = Queue::restore(3, [0, 2]);
        queue.join(peer(1), true);
        assert_eq!(staged(&mut queue, 0), []);
        assert_eq!(staged(&mut queue, 2), [(1, 0)]);
        assert_eq!(staged(&mut queue, 4), [(1, 2), (1, 3)]);
    }

    #[test]
    fn consumers_take_turns_and_order_is_kept() {
        let mut queue = Queue::default();
        queue.join(peer(1), false);
        queue.join(peer(2), false);
        assert_eq!(staged(&mut queue, 4), [(1, 0), (2, 1), (1, 2), (2, 3)]);
        assert!(staged(&mut queue, 4).is_empty());
        assert_eq!(queue.position(), (4, vec![]));
    }

    #[test]
    fn what_was_not_written_goes_to_the_next_first() {
        let mut queue = Queue::default();
        queue.join(peer(1), false);
        assert_eq!(staged(&mut queue, 3).len(), 3);
        queue.written(peer(1), 0, 0);
        assert!(queue.leave(peer(1)) && !queue.leave(peer(1)));
        assert_eq!(queue.position(), (3, vec![1, 2]));
        queue.join(peer(2), false);
        assert_eq!(staged(&mut queue, 5), [(2, 1), (2, 2), (2, 3), (2, 4)]);
        assert_eq!(queue.waiting(9), 4);
    }

    #[test]
    fn a_consumer_holds_at_most_64() {
        let mut queue = Queue::default();
        queue.join(peer(1), true);
        assert_eq!(queue.stage(100).len(), 64);
        queue.written(peer(1), 0, 50);
        assert!(queue.stage(100).is_empty());
        assert_eq!(queue.acknowledge(peer(1), &[0, 0, 99]), (1, 2));
        assert_eq!(queue.acknowledge(peer(2), &[1]), (0, 1));
        assert_eq!(staged(&mut queue, 100), [(1, 64)]);
        assert_eq!(queue.position().1.len(), 64);
    }

    #[test]
    fn unacknowledged_ones_come_again_after_their_time() {
        let mut queue = Queue::default();
        queue.join(peer(1), true);
        queue.stage(2);
        queue.written(peer(1), 0, 10);
        queue.written(peer(1), 1, 20);
        assert!(!queue.expire(9) && queue.expire(10));
        assert_eq!(staged(&mut queue, 2), [(1, 0)]);
        let restored = Queue::restore(2, queue.position().1);
        assert_eq!(restored.position(), (2, vec![0, 1]));
    }

    #[test]
    fn retention_is_skipped_and_counted() {
        let mut queue = Queue::restore(2, [0, 1]);
        assert_eq!(queue.skip_to(5), 5);
        assert_eq!(queue.position(), (5, vec![]));
        assert!(queue.take_changed() && !queue.take_changed());
    }
}

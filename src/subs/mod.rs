//! Which connections of this shard want the records of which topic.
//!
//! Cost: 16 bytes for each subscription; a delivery walks the list of its topic once.

use crate::model::topic::{SubscriptionId, TopicId};
use ahash::AHashMap;

/// One subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sub {
    /// Its number.
    pub id: SubscriptionId,
    /// Slot of its connection.
    pub slot: u32,
    /// It gets what comes; otherwise it still catches up.
    pub live: bool,
}

/// All subscriptions of one shard.
#[derive(Debug, Default)]
pub struct Subscriptions {
    by_topic: AHashMap<TopicId, Vec<Sub>>,
    count: u64,
}

impl Subscriptions {
    /// Adds one.
    pub fn add(&mut self, topic: TopicId, sub: Sub) {
        self.by_topic.entry(topic).or_default().push(sub);
        self.count += 1;
    }

    /// Removes one; `false` if it is not there.
    pub fn remove(&mut self, topic: TopicId, id: SubscriptionId) -> bool {
        let Some(list) = self.by_topic.get_mut(&topic) else { return false };
        let Some(index) = list.iter().position(|sub| sub.id == id) else { return false };
        list.remove(index);
        if list.is_empty() {
            self.by_topic.remove(&topic);
        }
        self.count -= 1;
        true
    }

    /// Says that one has caught up.
    pub fn set_live(&mut self, topic: TopicId, id: SubscriptionId) {
        let list = self.by_topic.get_mut(&topic).into_iter().flatten();
        list.filter(|sub| sub.id == id).for_each(|sub| sub.live = true);
    }

    /// Those of a topic, in the order they were made.
    #[must_use]
    pub fn of(&self, topic: TopicId) -> &[Sub] {
        self.by_topic.get(&topic).map_or(&[], Vec::as_slice)
    }

    /// Removes all of a topic and gives them.
    pub fn take_topic(&mut self, topic: TopicId) -> Vec<Sub> {
        let list = self.by_topic.remove(&topic).unwrap_or_default();
        self.count -= list.len() as u64;
        list
    }

    /// All: topic, number, slot.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, SubscriptionId, u32)> {
        let of = |(topic, list): (&TopicId, &'_ Vec<Sub>)| {
            let topic = *topic;
            list.iter().map(move |sub| (topic, sub.id, sub.slot)).collect::<Vec<_>>()
        };
        self.by_topic.iter().flat_map(of)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_come_and_go() {
        let mut subs = Subscriptions::default();
        for id in 1..=3 {
            subs.add(7, Sub { id, slot: 1, live: id != 2 });
        }
        subs.set_live(7, 2);
        assert!(subs.of(7).iter().all(|sub| sub.live) && subs.of(8).is_empty());
        assert!(subs.remove(7, 2) && !subs.remove(7, 2) && !subs.remove(8, 1));
        assert_eq!(subs.take_topic(7).len(), 2);
        assert_eq!(subs.count(), 0);
    }
}

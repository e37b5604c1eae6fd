//! Which connections of this shard want the records of which topic.
//!
//! Method: those that want all stand in a list; those that want some ([`Interest`]) in an index, so
//! that a record costs what finds it and not how many there are; those of one connection stand
//! together in a set, so that its end costs what it had. Cost: about 40 bytes for each subscription
//! that wants all; a delivery walks their list once. About 300 bytes for each that wants some; see
//! [`crate::query::index`].

use crate::model::interest::{Interest, Lens, Memo, Wanted};
use crate::model::record::{Offset, Record};
use crate::model::topic::{SubscriptionId, TopicId};
use crate::query::index::Index;
use ahash::AHashMap;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// The subscriptions to one topic that want some of its records.
#[derive(Debug)]
pub struct Choosers {
    lens: Arc<dyn Lens>,
    all: BTreeMap<SubscriptionId, (Sub, Wanted)>,
    /// The live ones.
    index: Index<(u32, SubscriptionId)>,
    scratch: RefCell<Scratch>,
}

/// Kept from one record to the next.
#[derive(Debug, Default)]
struct Scratch {
    key: Vec<u8>,
    found: Vec<(u32, SubscriptionId)>,
    chosen: Vec<(u32, SubscriptionId)>,
}

/// The subscriptions to one topic.
#[derive(Debug, Default)]
struct Of {
    list: Vec<Sub>,
    choosers: Option<Box<Choosers>>,
}

/// All subscriptions of one shard.
#[derive(Debug, Default)]
pub struct Subscriptions {
    by_topic: AHashMap<TopicId, Of>,
    /// Slot, number, topic of each.
    by_slot: BTreeSet<(u32, SubscriptionId, TopicId)>,
}

impl Choosers {
    fn new(lens: Arc<dyn Lens>) -> Self {
        let (all, index) = (BTreeMap::new(), Index::default());
        Self { lens, all, index, scratch: RefCell::default() }
    }

    fn remove(&mut self, id: SubscriptionId) -> Option<Sub> {
        let (sub, wanted) = self.all.remove(&id)?;
        if sub.live {
            self.index.remove((sub.slot, id), &wanted);
        }
        if self.index.is_worn() {
            self.index = Index::default();
            for (sub, wanted) in self.all.values().filter(|(sub, _)| sub.live) {
                self.index.insert((sub.slot, sub.id), wanted);
            }
        }
        Some(sub)
    }

    /// Tells which of them may want a record: slot and number, ascending.
    pub fn choose(
        &self,
        topic: TopicId,
        record: (Offset, &Record<'_>),
        memo: &mut Memo,
        mut take: impl FnMut(u32, SubscriptionId),
    ) {
        let Scratch { key, found, chosen } = &mut *self.scratch.borrow_mut();
        chosen.clear();
        let mut looks = 0;
        self.lens.look(topic, record, self.index.names(), memo, &mut |values| {
            self.index.select(values, |v| v.as_double().unwrap_or(f64::NAN), key, found);
            chosen.extend_from_slice(found);
            looks += 1;
        });
        if looks > 1 {
            chosen.sort_unstable();
            chosen.dedup();
        }
        chosen.iter().for_each(|(slot, id)| take(*slot, *id));
    }
}

impl Subscriptions {
    /// Adds one.
    pub fn add(&mut self, topic: TopicId, sub: Sub, interest: Option<Interest>) {
        self.by_slot.insert((sub.slot, sub.id, topic));
        let of = self.by_topic.entry(topic).or_default();
        match interest {
            None => {
                let at = of.list.binary_search_by_key(&sub.id, |sub| sub.id);
                of.list.insert(at.unwrap_or_else(|at| at), sub);
            }
            Some(Interest { wanted, lens }) => {
                let choosers =
                    of.choosers.get_or_insert_with(|| Box::new(Choosers::new(Arc::clone(&lens))));
                choosers.lens = lens;
                if sub.live {
                    choosers.index.insert((sub.slot, sub.id), &wanted);
                }
                choosers.all.insert(sub.id, (sub, wanted));
            }
        }
    }

    /// Removes one; `false` if it is not there.
    pub fn remove(&mut self, topic: TopicId, id: SubscriptionId) -> bool {
        let Some(of) = self.by_topic.get_mut(&topic) else { return false };
        let removed = match of.list.binary_search_by_key(&id, |sub| sub.id) {
            Ok(index) => Some(of.list.remove(index)),
            Err(_) => of.choosers.as_mut().and_then(|choosers| choosers.remove(id)),
        };
        let Some(sub) = removed else { return false };
        self.by_slot.remove(&(sub.slot, id, topic));
        if of.choosers.as_ref().is_some_and(|choosers| choosers.all.is_empty()) {
            of.choosers = None;
        }
        if of.list.is_empty() && of.choosers.is_none() {
            self.by_topic.remove(&topic);
        }
        true
    }

    /// Says that one has caught up.
    pub fn set_live(&mut self, topic: TopicId, id: SubscriptionId) {
        let Some(of) = self.by_topic.get_mut(&topic) else { return };
        if let Ok(at) = of.list.binary_search_by_key(&id, |sub| sub.id) {
            of.list[at].live = true;
        } else if let Some(choosers) = &mut of.choosers
            && let Some((sub, wanted)) = choosers.all.get_mut(&id)
            && !std::mem::replace(&mut sub.live, true)
        {
            choosers.index.insert((sub.slot, id), wanted);
        }
    }

    /// Those of a topic that want all, in the order they were made.
    #[must_use]
    pub fn of(&self, topic: TopicId) -> &[Sub] {
        self.by_topic.get(&topic).map_or(&[], |of| of.list.as_slice())
    }

    /// Those of a topic that want some.
    #[must_use]
    pub fn choosers(&self, topic: TopicId) -> Option<&Choosers> {
        self.by_topic.get(&topic)?.choosers.as_deref()
    }

    /// Removes all of a topic and gives them.
    pub fn take_topic(&mut self, topic: TopicId) -> Vec<Sub> {
        let Some(of) = self.by_topic.remove(&topic) else { return Vec::new() };
        let mut list: Vec<Sub> = of.iter().collect();
        list.sort_unstable_by_key(|sub| sub.id);
        for sub in &list {
            self.by_slot.remove(&(sub.slot, sub.id, topic));
        }
        list
    }

    /// Those of a connection, in the order they were made: topic and number.
    pub fn of_slot(&self, slot: u32) -> impl Iterator<Item = (TopicId, SubscriptionId)> {
        let own = (slot, SubscriptionId::MIN, TopicId::MIN)..=(slot, u64::MAX, TopicId::MAX);
        self.by_slot.range(own).map(|(_, id, topic)| (*topic, *id))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_slot.len() as u64
    }
}

impl Of {
    fn iter(&self) -> impl Iterator<Item = Sub> {
        let choosers = self.choosers.iter().flat_map(|choosers| choosers.all.values());
        self.list.iter().copied().chain(choosers.map(|(sub, _)| *sub))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Body;
    use crate::model::value::{Value, read_json};

    /// Reads the members of JSON objects.
    #[derive(Debug)]
    struct Members;

    impl Lens for Members {
        fn look(
            &self,
            _: TopicId,
            (_, record): (Offset, &Record<'_>),
            names: &[String],
            _: &mut Memo,
            see: &mut dyn FnMut(&[Value<'_>]),
        ) {
            let Body::Json(json) = record.body else { return };
            let value = read_json(std::str::from_utf8(json).unwrap()).unwrap();
            see(&names.iter().map(|name| value.member(name)).collect::<Vec<_>>());
        }
    }

    fn interest(equal: Option<i64>, range: Option<(f64, f64)>) -> Option<Interest> {
        let wanted = Wanted {
            equal: equal.map(|n| ("id".into(), vec![Value::Int(n)])),
            range: range.map(|(low, high)| ("x".into(), low, high)),
            exact: false,
        };
        Some(Interest { wanted, lens: Arc::new(Members) })
    }

    fn chosen(subs: &Subscriptions, json: &str) -> Vec<SubscriptionId> {
        let record = Record { time: 0, producer: 0, body: Body::Json(json.as_bytes()) };
        let mut list = Vec::new();
        if let Some(choosers) = subs.choosers(7) {
            choosers.choose(7, (0, &record), &mut Memo::default(), |_, id| list.push(id));
        }
        list
    }

    #[test]
    fn subscriptions_come_and_go() {
        let mut subs = Subscriptions::default();
        for id in 1..=3 {
            subs.add(7, Sub { id, slot: 1, live: id != 2 }, None);
        }
        subs.set_live(7, 2);
        assert!(subs.of(7).iter().all(|sub| sub.live) && subs.of(8).is_empty());
        assert!(subs.remove(7, 2) && !subs.remove(7, 2) && !subs.remove(8, 1));
        assert_eq!(subs.take_topic(7).len(), 2);
        assert_eq!(subs.count(), 0);
    }

    #[test]
    fn those_that_want_some_are_found_by_what_they_want() {
        let mut subs = Subscriptions::default();
        let open = f64::INFINITY;
        let interests = [
            interest(Some(1), None),
            interest(Some(1), Some((5.0, open))),
            interest(Some(2), Some((-open, 5.0))),
            interest(None, Some((4.0, 6.0))),
            interest(None, None),
        ];
        for (id, interest) in (1..).zip(interests) {
            subs.add(7, Sub { id, slot: 1, live: false }, interest);
            subs.set_live(7, id);
        }
        assert_eq!(chosen(&subs, r#"{"id":1,"x":5}"#), [1, 2, 4, 5]);
        assert_eq!(chosen(&subs, r#"{"id":1.0,"x":3.5}"#), [1, 5]);
        assert_eq!(chosen(&subs, r#"{"id":2,"x":5.0}"#), [3, 4, 5]);
        assert_eq!(chosen(&subs, r#"{"id":2,"x":"5"}"#), [5]);
        assert_eq!(chosen(&subs, r#"{"x":6}"#), [4, 5]);
        for id in [4, 1, 5] {
            assert!(subs.remove(7, id) && !subs.remove(7, id));
        }
        assert_eq!(chosen(&subs, r#"{"id":1,"x":5}"#), [2]);
        assert_eq!(subs.of_slot(1).collect::<Vec<_>>(), [(7, 2), (7, 3)]);
        assert_eq!(subs.of_slot(2).count(), 0);
        assert_eq!(subs.take_topic(7).len(), 2);
        assert!(subs.choosers(7).is_none() && subs.count() == 0);
    }
}

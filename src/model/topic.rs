//! A topic as every shard knows it: its definition, and the few numbers that all shards may read.

use super::name::TopicName;
use super::record::{Offset, TimeNs};
use super::table::numbering::{Waiting, Wake};
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Number of a topic, never reused while its data directory lives.
pub type TopicId = u32;

/// Number of a subscription, one counter for the whole process, from 1.
pub type SubscriptionId = u64;

/// The topic of `_log`, which no catalog holds.
pub const LOG_TOPIC: TopicId = 0;

/// The topic of the definitions of tables (`table::defined`), which no catalog holds.
pub const DEFINITIONS_TOPIC: TopicId = (1 << 31) - 1;

/// What a topic keeps; `None` leaves the bound to the configuration, `Some(0)` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Newest records.
    pub records: Option<u64>,
    /// Bytes of the newest records.
    pub bytes: Option<u64>,
    /// Milliseconds since a record's time.
    pub age_ms: Option<u64>,
}

/// Where the records of a topic go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Into a durable log.
    Log,
    /// Nowhere: a record is delivered and forgotten.
    Pipe,
    /// Into a ring in memory (`_log`).
    Memory,
}

/// A topic.
#[derive(Debug)]
pub struct Topic {
    /// Its number.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// What it keeps.
    pub retention: Retention,
    /// Where its records go.
    pub storage: Storage,
    /// Made by the queue of the mesh: counts against `mesh.max_topics`.
    pub queue: bool,
    /// It holds typed rows, defined by a table of its name.
    pub typed: bool,
    /// When it was made.
    pub created: TimeNs,
    /// Numbers that any shard may read.
    pub shared: Shared,
}

/// Written by the shard that owns the topic, read by all.
#[derive(Debug, Default)]
pub struct Shared {
    records: AtomicU64,
    last_activity: AtomicI64,
    subscriptions: Mutex<BTreeSet<SubscriptionId>>,
    notes: OnceLock<Arc<dyn Any + Send + Sync>>,
    watched: AtomicBool,
    watching: Mutex<Waiting>,
}

impl Shared {
    /// Says that the log now ends before `next`, the last record having come at `time`.
    pub fn advance(&self, next: Offset, time: TimeNs) {
        self.records.store(next, Ordering::Release);
        if time > 0 {
            self.last_activity.store(time, Ordering::Release);
        }
    }

    /// Records accepted since the topic was made.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    /// When the last record came, if any did while this process ran or before.
    #[must_use]
    pub fn last_activity(&self) -> Option<TimeNs> {
        Some(self.last_activity.load(Ordering::Acquire)).filter(|&time| time > 0)
    }

    /// What a front-end keeps of the topic for all shards, made when it is first asked for. One
    /// kind of notes for each topic: `None` if there are others.
    #[must_use]
    pub fn notes<T: Any + Send + Sync + Default>(&self) -> Option<Arc<T>> {
        let notes = self.notes.get_or_init(|| Arc::new(T::default()));
        Arc::clone(notes).downcast().ok()
    }

    /// Calls `wake` once when more of the topic is acknowledged than was when this was called; who
    /// calls looks again afterwards.
    pub fn watch(&self, who: u64, wake: Wake) {
        let crowd = self.watching.lock().unwrap_or_else(PoisonError::into_inner).add(who, wake);
        self.watched.store(true, Ordering::SeqCst);
        crowd.wake();
    }

    /// More of the topic is acknowledged.
    pub fn grown(&self) {
        if self.watched.load(Ordering::SeqCst) && self.watched.swap(false, Ordering::SeqCst) {
            let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
            let woken = std::mem::take(&mut *watching);
            drop(watching);
            woken.wake();
        }
    }

    /// Notes a subscription.
    pub fn subscribed(&self, id: SubscriptionId) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Forgets a subscription.
    pub fn unsubscribed(&self, id: SubscriptionId) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The subscriptions of connections, ascending.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionId> {
        let set = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        set.iter().copied().collect()
    }
}

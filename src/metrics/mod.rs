//! Numbers of the process: plain counters, each written by one shard and read by the page.
//!
//! Cost: a counter is one load and one store without a lock prefix; a histogram three.

pub mod page;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one thread writes and any may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// Takes away.
    pub fn subtract(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(amount), Relaxed);
    }

    /// Replaces.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Reads.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Buckets of a histogram: bucket n counts values below 2^n microseconds.
pub const BUCKETS: usize = 26;

/// Durations by powers of two of a microsecond.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BUCKETS],
    sum_us: Counter,
    count: Counter,
}

impl Histogram {
    /// Adds one duration.
    pub fn record_ns(&self, ns: u64) {
        let us = ns / 1000;
        let bucket = (64 - us.leading_zeros() as usize).min(BUCKETS - 1);
        self.buckets[bucket].add(1);
        self.sum_us.add(us);
        self.count.add(1);
    }
}

/// The admin port among [`FRONT_LABELS`].
pub const ADMIN: usize = FRONTS - 1;
/// Front-ends that are counted apart; the order of [`FRONT_LABELS`].
pub const FRONTS: usize = 7;
/// Their labels.
pub const FRONT_LABELS: [&str; FRONTS] =
    ["jsonjet", "mesh", "users", "nsdb", "taos", "raw", "admin"];

/// What one front-end did on one shard.
#[derive(Debug, Default)]
pub struct Front {
    /// Accepted since the start.
    pub accepted: Counter,
    /// Open connections.
    pub open: Counter,
    /// Of these, WebSockets.
    pub websockets: Counter,
    /// Messages and HTTP requests in.
    pub messages_in: Counter,
    /// Bytes in.
    pub bytes_in: Counter,
    /// Frames and HTTP answers out.
    pub messages_out: Counter,
    /// Bytes out.
    pub bytes_out: Counter,
    /// Ended because the peer broke its protocol.
    pub violations: Counter,
    /// Ended because they read too slowly.
    pub slow_closed: Counter,
}

/// What one shard did.
#[derive(Debug, Default)]
pub struct Shard {
    /// By front-end.
    pub fronts: [Front; FRONTS],
    /// Turns.
    pub turns: Counter,
    /// Length of turns that did something.
    pub turn: Histogram,
    /// Mails that waited at the start of the last turn.
    pub mailbox_depth: Counter,
    /// Mails that found a mailbox full and waited.
    pub mail_delayed: Counter,
    /// Deliveries dropped, oldest first.
    pub dropped_oldest: Counter,
    /// Deliveries dropped, newest first.
    pub dropped_newest: Counter,
    /// Records appended.
    pub records: Counter,
    /// Bytes appended to logs.
    pub log_bytes: Counter,
    /// Bytes of logs on disk.
    pub log_disk_bytes: Counter,
    /// Topics owned.
    pub topics: Counter,
    /// Writes completed.
    pub writes: Counter,
    /// Syncs completed.
    pub syncs: Counter,
    /// Time of syncs.
    pub sync: Histogram,
    /// Segments poisoned.
    pub poisoned: Counter,
    /// Partitions that take no more.
    pub read_only: Counter,
    /// Appends refused.
    pub refused: Counter,
    /// Accepts put off because the process had no descriptor left.
    pub accept_exhausted: Counter,
    /// Records found at recovery.
    pub recovered_records: Counter,
    /// Bytes cut off torn tails at recovery.
    pub recovered_cut_bytes: Counter,
    /// Damaged ranges found at recovery.
    pub recovered_gaps: Counter,
    /// Nanoseconds that recovery took.
    pub recovery_ns: Counter,
    /// Queue messages that retention dropped before they were consumed.
    pub queue_skipped: Counter,
    /// Messages of end users that were not stored.
    pub mesh_refused: Counter,
    /// Pairs of socket and standing query.
    pub nsdb_subscriptions: Counter,
    /// Bits that a subscriber did not get.
    pub nsdb_dropped: Counter,
    /// Records of metrics that are no bits.
    pub nsdb_skipped: Counter,
    /// Push messages.
    pub nsdb_pushes: Counter,
    /// Subscriptions of connections.
    pub subscriptions: Counter,
    /// Records that subscriptions which catch up passed over, no longer retained.
    pub catch_up_skipped: Counter,
}

/// Resident bytes of this process, read from the system when the page is made.
static RESIDENT: std::sync::OnceLock<fn() -> u64> = std::sync::OnceLock::new();

/// Says how to ask for the resident bytes; `metrics` itself calls nothing of the system.
pub fn set_resident_source(source: fn() -> u64) {
    let _ = RESIDENT.set(source);
}

fn resident() -> u64 {
    RESIDENT.get().map_or(0, |source| source())
}

//! Flows: standing queries that read one topic and write others. The text is the definition; who
//! runs it compiles it.

use super::name::TopicName;
use super::record::{Offset, TimeNs};
use super::topic::TopicId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Number of a flow or a continuous query, never given twice while its data directory lives.
pub type FlowId = u64;

/// What a flow is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowSpec {
    /// Its name; a continuous query has none, and is not kept over a restart.
    pub name: Option<Arc<str>>,
    /// Its pipeline.
    pub text: Arc<str>,
    /// The topic it reads.
    pub source: TopicName,
    /// The topics it writes.
    pub targets: Vec<TopicName>,
    /// It ends so long after it was made, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// What answers show of its outputs: kind and name.
    pub sinks: Vec<(&'static str, Arc<str>)>,
}

/// A flow.
#[derive(Debug)]
pub struct Flow {
    /// Its number.
    pub id: FlowId,
    /// What it is to do.
    pub spec: FlowSpec,
    /// The topic it reads.
    pub source: TopicId,
    /// When it was made.
    pub created: TimeNs,
    /// The first record that it reads.
    pub begin: Offset,
    /// Numbers that any shard may read.
    pub shared: FlowShared,
}

/// Written by the shard that runs the flow, read by all.
#[derive(Debug, Default)]
pub struct FlowShared {
    /// What to add to the records of its topic for those that came in.
    pub skew: AtomicI64,
    /// Rows that came out.
    pub records_out: AtomicU64,
    /// Records dropped because they failed, and outputs that were refused.
    pub errors: AtomicU64,
    /// Records that came after their window had closed.
    pub late: AtomicU64,
    /// An aggregate keeps a sample of its values.
    pub approximate: AtomicBool,
}

impl Flow {
    /// When it ends by itself.
    #[must_use]
    pub fn ends_at(&self) -> Option<TimeNs> {
        let ttl = i64::try_from(self.spec.ttl_ms?).unwrap_or(i64::MAX);
        Some(self.created.saturating_add(ttl.saturating_mul(1_000_000)))
    }

    /// Milliseconds until it ends by itself.
    #[must_use]
    pub fn remaining_ms(&self, now: TimeNs) -> Option<i64> {
        Some(self.ends_at()?.saturating_sub(now) / 1_000_000)
    }
}

impl FlowShared {
    /// Records that came in, of a topic that has accepted so many.
    #[must_use]
    pub fn records_in(&self, accepted: u64) -> u64 {
        let skew = self.skew.load(Ordering::Relaxed);
        (accepted as i64).saturating_add(skew).max(0) as u64
    }

    /// A number for a page.
    #[must_use]
    pub fn read(number: &AtomicU64) -> u64 {
        number.load(Ordering::Relaxed)
    }
}

/// Which flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowRef {
    /// A flow by its name.
    Name(Arc<str>),
    /// A continuous query by its number.
    Id(FlowId),
}

/// Where a record came from that a flow made: by this a repeat is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Derivation {
    /// Of the record that made it: the offset that came next in the source.
    pub offset: Offset,
    /// Its place among the outputs of that record.
    pub ordinal: u32,
}

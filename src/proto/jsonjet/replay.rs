//! Where the replays of a `subscribe` begin that names typed tables: found by a query worker
//! (jsonjet, 2.3; interchange, 4).

use crate::model::command::Begin;
use crate::model::topic::{Topic, TopicId};
use crate::query::kept::replay::{Hidden, replay};
use crate::query::program::Fault;
use crate::query::pull::{Bench, Job, Output, Stopped};
use ahash::AHashMap;
use std::sync::{Arc, OnceLock};

/// Seconds that it may take.
const SECONDS_MAX: u64 = 30;

/// Where the subscription to a typed table begins, and what it passes over.
pub type Start = (Begin, Option<Arc<Hidden>>);

/// What the job leaves for its session.
pub type Starts = Arc<OnceLock<AHashMap<TopicId, Start>>>;

/// See the module's page.
#[derive(Debug)]
pub struct Replay {
    topics: Vec<Arc<Topic>>,
    begin: Begin,
    starts: Starts,
}

impl Replay {
    /// Of the typed ones among these topics; and where the outcome will be. `None`: none is typed.
    pub fn new(topics: &[Arc<Topic>], begin: Begin) -> Option<(Box<Self>, Starts)> {
        let mut topics: Vec<_> = topics.iter().filter(|topic| topic.typed).cloned().collect();
        if topics.is_empty() || begin == Begin::Live {
            return None;
        }
        topics.sort_unstable_by_key(|topic| topic.id);
        topics.dedup_by_key(|topic| topic.id);
        let starts = Starts::default();
        Some((Box::new(Self { topics, begin, starts: Arc::clone(&starts) }), starts))
    }

    fn find(&self, bench: &mut dyn Bench) -> Result<AHashMap<TopicId, Start>, Fault> {
        let mut starts = AHashMap::new();
        for topic in &self.topics {
            let start = match replay(bench, topic, self.begin) {
                Ok((from, hidden)) => (Begin::From(from), Some(Arc::new(hidden))),
                // It is gone: the subscription will say so.
                Err(_) if bench.topic(&topic.name).is_none() => (Begin::Live, None),
                Err(fault) => return Err(fault),
            };
            starts.insert(topic.id, start);
        }
        Ok(starts)
    }
}

impl Job for Replay {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        bench.limit_time(SECONDS_MAX);
        let output = match self.find(bench) {
            Ok(starts) => {
                let _ = self.starts.set(starts);
                Output::Finished(Vec::new())
            }
            Err(fault) => match bench.check() {
                Err(Stopped::Cancelled) => return,
                Err(Stopped::TimedOut) => {
                    Output::Failed(format!("time limit of {SECONDS_MAX} s passed"))
                }
                Ok(()) => Output::Failed(fault.0.into_owned()),
            },
        };
        let _ = bench.emit(output);
    }
}

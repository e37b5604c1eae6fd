//! One shard's copy of the catalog. Shard 0 makes the changes and tells all others, in order.

use crate::broker::flows::Flows;
use crate::model::flow::{Flow, FlowId};
use crate::model::name::TopicName;
use crate::model::record::Ranges;
use crate::model::table::Entry;
use crate::model::topic::{Topic, TopicId};
use crate::model::value::Value;
use crate::query::program::Lookups;
use ahash::AHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A change of the catalog; by it every shard's copy stays the same.
#[derive(Clone, Debug)]
pub enum Change {
    /// A topic was made.
    Created(Arc<Topic>),
    /// A topic is gone.
    Deleted(TopicId),
    /// These records of a topic, and no others, are hidden from every kept view.
    Hidden(TopicId, Arc<Ranges>),
    /// A flow was made.
    FlowCreated(Arc<Flow>),
    /// A flow has ended.
    FlowEnded(FlowId),
    /// Entries of typed tables were written or removed.
    Defined(Arc<[Entry]>),
    /// A constant has this value, or is gone.
    Lookup(Arc<str>, Option<Value<'static>>),
}

/// Topics by name and number. Numbers grow, so their order is the order of creation.
#[derive(Debug, Default)]
pub struct Catalog {
    by_name: AHashMap<TopicName, Arc<Topic>>,
    by_id: BTreeMap<TopicId, Arc<Topic>>,
    queues: u64,
    /// Flows.
    pub flows: Flows,
    lookups: Arc<Lookups>,
    /// Names of constants as they were written, by their names in lower case.
    written: BTreeMap<String, Arc<str>>,
}

impl Catalog {
    /// Named constants.
    #[must_use]
    pub fn lookups(&self) -> &Arc<Lookups> {
        &self.lookups
    }

    /// The name of a constant as it was written.
    #[must_use]
    pub fn lookup_name(&self, lower: &str) -> Option<&Arc<str>> {
        self.written.get(lower)
    }

    /// Flows that a record passes at most.
    #[must_use]
    pub fn flow_depth(&self) -> usize {
        self.flows.depth()
    }

    /// The topic of this name.
    #[must_use]
    pub fn find(&self, name: &TopicName) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic of this number.
    #[must_use]
    pub fn get(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// All, in the order they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_id.values()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Topics made by the queue.
    #[must_use]
    pub fn queues(&self) -> u64 {
        self.queues
    }

    /// Carries out a change; gives the topic it was about.
    pub fn apply(&mut self, change: &Change) -> Option<Arc<Topic>> {
        match change {
            Change::Created(topic) => {
                self.by_name.insert(topic.name.clone(), Arc::clone(topic));
                self.by_id.insert(topic.id, Arc::clone(topic));
                self.queues += u64::from(topic.queue);
                Some(Arc::clone(topic))
            }
            Change::Deleted(id) => {
                let topic = self.by_id.remove(id)?;
                if self.by_name.get(&topic.name).is_some_and(|other| other.id == *id) {
                    self.by_name.remove(&topic.name);
                }
                self.queues -= u64::from(topic.queue);
                Some(topic)
            }
            Change::Hidden(id, _) => self.by_id.get(id).cloned(),
            // Kept in the directory of the process alone.
            Change::Defined(_) => None,
            Change::FlowCreated(flow) => {
                self.flows.insert(Arc::clone(flow));
                None
            }
            Change::FlowEnded(id) => {
                self.flows.remove(*id);
                None
            }
            Change::Lookup(name, value) => {
                let lower = name.to_lowercase();
                let lookups = Arc::make_mut(&mut self.lookups);
                match value {
                    Some(value) => {
                        lookups.insert(lower.clone(), value.clone());
                        self.written.insert(lower, Arc::clone(name));
                    }
                    None => {
                        lookups.remove(&lower);
                        self.written.remove(&lower);
                    }
                }
                None
            }
        }
    }
}

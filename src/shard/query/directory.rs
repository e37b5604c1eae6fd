//! The topics and named constants, for threads that are no shards. Shard 0 keeps it; a change is in
//! it before anybody is told that it was made.

use crate::broker::catalog::Change;
use crate::model::flow::{Flow, FlowId};
use crate::model::name::TopicName;
use crate::model::table::Tables;
use crate::model::table::entry::POSITION_FAMILY;
use crate::model::topic::{Topic, TopicId};
use crate::query::program::Lookups;
use ahash::AHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Directory {
    topics: AHashMap<TopicName, Arc<Topic>>,
    names: AHashMap<TopicId, TopicName>,
    /// Topics of each database.
    databases: BTreeMap<String, usize>,
    lookups: Arc<Lookups>,
    flows: BTreeMap<FlowId, Arc<Flow>>,
    tables: Arc<Tables>,
    /// Positions of consumer groups by their keys.
    positions: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Directory {
    /// The topic of that name.
    #[must_use]
    pub fn topic(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.topics.get(name).cloned()
    }

    /// Whether a topic lies in the database.
    #[must_use]
    pub fn has_database(&self, database: &str) -> bool {
        self.databases.contains_key(database)
    }

    /// Flows and continuous queries, the oldest first.
    pub fn flows(&self) -> impl Iterator<Item = &Arc<Flow>> {
        self.flows.values()
    }

    /// Named constants.
    #[must_use]
    pub fn lookups(&self) -> &Arc<Lookups> {
        &self.lookups
    }

    /// Everything that is defined about typed tables.
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Positions of consumer groups, by key.
    #[must_use]
    pub fn positions(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.positions
    }

    /// All topics.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// Takes a change.
    pub fn apply(&mut self, change: &Change, lookups: &Arc<Lookups>) {
        match change {
            Change::Created(topic) => {
                *self.databases.entry(topic.name.database().to_owned()).or_default() += 1;
                self.names.insert(topic.id, topic.name.clone());
                self.topics.insert(topic.name.clone(), Arc::clone(topic));
            }
            Change::Deleted(id) => {
                let Some(name) = self.names.remove(id) else { return };
                if let Some(count) = self.databases.get_mut(name.database()) {
                    *count -= 1;
                    if *count == 0 {
                        self.databases.remove(name.database());
                    }
                }
                if self.topics.get(&name).is_some_and(|topic| topic.id == *id) {
                    self.topics.remove(&name);
                }
            }
            Change::Defined(entries) => {
                // Positions change often, and no statement looks at them.
                for entry in entries.iter().filter(|entry| entry.family == POSITION_FAMILY) {
                    match &entry.value {
                        Some(value) => {
                            self.positions.insert(entry.key.clone(), value.clone());
                        }
                        None => drop(self.positions.remove(&entry.key)),
                    }
                }
                let others = || entries.iter().filter(|entry| entry.family != POSITION_FAMILY);
                if others().next().is_none() {
                    return;
                }
                let tables = Arc::make_mut(&mut self.tables);
                for entry in others() {
                    tables.apply(entry.family, &entry.key, entry.value.as_deref());
                }
            }
            Change::Lookup(..) => self.lookups = Arc::clone(lookups),
            Change::FlowCreated(flow) => {
                self.flows.insert(flow.id, Arc::clone(flow));
            }
            Change::FlowEnded(id) => {
                self.flows.remove(id);
            }
            Change::Hidden(..) => {}
        }
    }
}

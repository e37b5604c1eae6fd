//! Flows as every shard knows them: by number and name, and how they hang together.

use crate::model::flow::{Flow, FlowId, FlowRef};
use crate::model::name::TopicName;
use crate::model::record::TimeNs;
use crate::model::topic::TopicId;
use ahash::AHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Flows that a record may pass one after the other.
pub const CHAIN_MAX: usize = 32;
/// Flows and continuous queries at once.
pub const FLOWS_MAX: usize = 100_000;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Flows {
    by_id: BTreeMap<FlowId, Arc<Flow>>,
    by_name: BTreeMap<Arc<str>, FlowId>,
    /// Those that end by themselves, by when.
    ends: BTreeSet<(TimeNs, FlowId)>,
    /// Flows that read, and that write, a topic.
    readers: AHashMap<TopicName, Vec<FlowId>>,
    writers: AHashMap<TopicName, Vec<FlowId>>,
    /// Flows that read a topic, by its number.
    sources: AHashMap<TopicId, BTreeSet<FlowId>>,
    /// An upper bound of the longest chain.
    depth: usize,
}

#[derive(Clone, Copy)]
enum Direction {
    Ahead,
    Back,
}

/// Why a flow cannot be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It would read what it writes: the topics in their order, the first again at the end.
    Cycle(Vec<TopicName>),
    /// More than [`CHAIN_MAX`] flows in a chain.
    TooDeep,
}

impl Flows {
    /// All, in the order they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Flow>> {
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

    /// A flow.
    #[must_use]
    pub fn find(&self, which: &FlowRef) -> Option<&Arc<Flow>> {
        match which {
            FlowRef::Name(name) => self.by_id.get(self.by_name.get(name)?),
            FlowRef::Id(id) => self.by_id.get(id).filter(|flow| flow.spec.name.is_none()),
        }
    }

    /// The flow or continuous query of that number.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<&Arc<Flow>> {
        self.by_id.get(&id)
    }

    /// Flows whose time is over.
    pub fn over(&self, now: TimeNs) -> impl Iterator<Item = &Arc<Flow>> {
        self.ends.range(..=(now, FlowId::MAX)).filter_map(|(_, id)| self.by_id.get(id))
    }

    /// Flows that read a topic, in the order they were made.
    pub fn reading(&self, topic: TopicId) -> impl Iterator<Item = &Arc<Flow>> {
        self.sources.get(&topic).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// Flows that a record passes at most, or a greater number.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Adds one.
    pub fn insert(&mut self, flow: Arc<Flow>) {
        if let Some(name) = &flow.spec.name {
            self.by_name.insert(Arc::clone(name), flow.id);
        }
        let length = self.length(&flow.spec.source, &flow.spec.targets, None);
        self.depth = self.depth.max(length);
        self.readers.entry(flow.spec.source.clone()).or_default().push(flow.id);
        for target in &flow.spec.targets {
            self.writers.entry(target.clone()).or_default().push(flow.id);
        }
        self.sources.entry(flow.source).or_default().insert(flow.id);
        self.ends.extend(flow.ends_at().map(|at| (at, flow.id)));
        self.by_id.insert(flow.id, flow);
    }

    /// Removes one.
    pub fn remove(&mut self, id: FlowId) -> Option<Arc<Flow>> {
        let flow = self.by_id.remove(&id)?;
        if let Some(name) = &flow.spec.name
            && self.by_name.get(name) == Some(&id)
        {
            self.by_name.remove(name);
        }
        if let Some(at) = flow.ends_at() {
            self.ends.remove(&(at, id));
        }
        if let Some(list) = self.sources.get_mut(&flow.source) {
            list.remove(&id);
            if list.is_empty() {
                self.sources.remove(&flow.source);
            }
        }
        forget(&mut self.readers, &flow.spec.source, id);
        for target in &flow.spec.targets {
            forget(&mut self.writers, target, id);
        }
        if self.by_id.is_empty() {
            self.depth = 0;
        }
        Some(flow)
    }

    /// The longest chain from `topics`, along flows that read (`ahead`) or that write them.
    fn chain(&self, topics: &[TopicName], ahead: Direction, without: Option<FlowId>) -> usize {
        let mut reached: Vec<&TopicName> = topics.iter().collect();
        let mut length = 0;
        while length <= CHAIN_MAX {
            let map = match ahead {
                Direction::Ahead => &self.readers,
                Direction::Back => &self.writers,
            };
            let ids = reached.iter().filter_map(|name| map.get(*name)).flatten();
            let ids = ids.filter(|id| Some(**id) != without);
            let flows: Vec<&Arc<Flow>> = ids.filter_map(|id| self.by_id.get(id)).collect();
            if flows.is_empty() {
                break;
            }
            length += 1;
            reached = match ahead {
                Direction::Ahead => flows.iter().flat_map(|flow| &flow.spec.targets).collect(),
                Direction::Back => flows.iter().map(|flow| &flow.spec.source).collect(),
            };
            reached.sort_unstable();
            reached.dedup();
        }
        length
    }

    /// Whether a flow from `source` to `targets` may be added once `without` is gone.
    ///
    /// # Errors
    /// A ring, or too long a chain.
    pub fn check(
        &self,
        source: &TopicName,
        targets: &[TopicName],
        without: Option<FlowId>,
    ) -> Result<(), Bad> {
        for target in targets {
            if let Some(path) = self.path(target, source, without) {
                let mut ring = vec![source.clone()];
                ring.extend(path);
                return Err(Bad::Cycle(ring));
            }
        }
        if self.length(source, targets, without) > CHAIN_MAX { Err(Bad::TooDeep) } else { Ok(()) }
    }

    /// Flows of the longest chain that a flow would be part of.
    fn length(&self, source: &TopicName, targets: &[TopicName], without: Option<FlowId>) -> usize {
        let before = self.chain(std::slice::from_ref(source), Direction::Back, without);
        before + 1 + self.chain(targets, Direction::Ahead, without)
    }

    /// The topics from one to another along flows.
    fn path(
        &self,
        from: &TopicName,
        to: &TopicName,
        without: Option<FlowId>,
    ) -> Option<Vec<TopicName>> {
        let mut seen = vec![from.clone()];
        let mut paths = vec![vec![from.clone()]];
        while let Some(path) = paths.pop() {
            let last = path.last()?;
            if last == to {
                return Some(path);
            }
            for id in self.readers.get(last).into_iter().flatten() {
                let Some(flow) = self.by_id.get(id).filter(|f| Some(f.id) != without) else {
                    continue;
                };
                for target in &flow.spec.targets {
                    if target == to || !seen.contains(target) {
                        seen.push(target.clone());
                        let mut longer = path.clone();
                        longer.push(target.clone());
                        paths.push(longer);
                    }
                }
            }
        }
        None
    }
}

fn forget(map: &mut AHashMap<TopicName, Vec<FlowId>>, name: &TopicName, id: FlowId) {
    if let Some(list) = map.get_mut(name) {
        list.retain(|other| *other != id);
        if list.is_empty() {
            map.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::flow::{FlowShared, FlowSpec};

    fn flow(id: FlowId, source: &str, targets: &[&str]) -> Arc<Flow> {
        let name = |text: &str| TopicName::parse(text).unwrap();
        let spec = FlowSpec {
            name: Some(format!("f{id}").into()),
            text: "".into(),
            source: name(source),
            targets: targets.iter().map(|t| name(t)).collect(),
            ttl_ms: None,
            sinks: Vec::new(),
        };
        Arc::new(Flow { id, spec, source: 0, created: 0, begin: 0, shared: FlowShared::default() })
    }

    #[test]
    fn rings_and_long_chains_are_found() {
        let name = |text: &str| TopicName::parse(text).unwrap();
        let mut flows = Flows::default();
        assert_eq!(flows.depth(), 0);
        flows.insert(flow(1, "a", &["b"]));
        flows.insert(flow(2, "b", &["c", "x"]));
        assert_eq!(flows.depth(), 2);
        let ring = flows.check(&name("c"), &[name("a")], None);
        let want = ["c", "a", "b", "c"].map(name).to_vec();
        assert_eq!(ring, Err(Bad::Cycle(want)));
        assert_eq!(
            flows.check(&name("a"), &[name("a")], None),
            Err(Bad::Cycle(vec![name("a"), name("a")]))
        );
        assert_eq!(flows.check(&name("c"), &[name("a")], Some(2)), Ok(()));
        for n in 0..29 {
            let (from, to) = (format!("t{n}"), format!("t{}", n + 1));
            let from = if n == 0 { "c".to_owned() } else { from };
            assert_eq!(flows.check(&name(&from), &[name(&to)], None), Ok(()));
            flows.insert(flow(10 + n, &from, &[&to]));
        }
        assert_eq!(flows.depth(), 31);
        assert_eq!(flows.check(&name("t29"), &[name("t30")], None), Ok(()));
        flows.insert(flow(90, "t29", &["t30"]));
        assert_eq!(flows.check(&name("t30"), &[name("z")], None), Err(Bad::TooDeep));
        assert_eq!(flows.check(&name("z"), &[name("a")], None), Err(Bad::TooDeep));
        assert!(flows.remove(2).is_some());
        assert_eq!(flows.check(&name("z"), &[name("a")], None), Ok(()));
    }
}

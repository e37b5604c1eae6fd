//! Groups of a `summarize`, in the order first seen.

use crate::model::value::Value;
use crate::query::aggregate::Accumulator;
use crate::query::pipeline::{GROUPS_MAX, Summarize};
use ahash::AHashMap;

/// What is kept of the records of one key.
#[derive(Debug)]
pub(super) struct Group {
    pub key: Box<[u8]>,
    pub accumulators: Vec<Accumulator>,
    /// Columns of the last record that the row reads; the others are missing.
    pub last: Vec<Value<'static>>,
    /// The last record, if the row reads it whole.
    pub record: Value<'static>,
    /// Bytes of it that count against the bound of the pipeline.
    pub kept_bytes: usize,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub list: Vec<Group>,
    index: AHashMap<Box<[u8]>, u32>,
}

impl Group {
    pub fn new(key: &[u8], operator: &Summarize) -> Self {
        Self {
            key: key.into(),
            accumulators: operator.measures.iter().map(|m| m.aggregate.start()).collect(),
            last: Vec::new(),
            record: Value::Missing,
            kept_bytes: 0,
        }
    }

    /// Notes what the row reads of the last record.
    pub fn keep(&mut self, operator: &Summarize, record: &Value<'_>, columns: &[Value<'_>]) {
        if !operator.kept.is_empty() {
            self.last.resize(columns.len(), Value::Missing);
            for index in &operator.kept {
                let index = *index as usize;
                if let (Some(slot), Some(value)) = (self.last.get_mut(index), columns.get(index)) {
                    // What names a group is mostly the same text again.
                    let again = matches!((&*slot, value), (Value::String(a), Value::String(b))
                        if **a == **b);
                    if !again {
                        *slot = value.own();
                    }
                }
            }
        }
        if operator.row.reads_record() {
            self.record = record.own();
        }
    }

    /// The slots of its row: the aggregates and the window.
    pub fn slots(&self, operator: &Summarize, window: Value<'static>) -> Vec<Value<'static>> {
        let mut slots: Vec<_> = operator
            .measures
            .iter()
            .zip(&self.accumulators)
            .map(|(measure, state)| measure.aggregate.finish(state))
            .collect();
        slots.push(window);
        slots
    }
}

impl Groups {
    /// The group of that key, made if there is room; `limit` is for all of the operator.
    pub fn get(&mut self, key: &[u8], operator: &Summarize, others: usize) -> Option<&mut Group> {
        let index = match self.index.get(key) {
            Some(index) => *index as usize,
            None if self.list.len() + others >= GROUPS_MAX => return None,
            None => {
                self.index.insert(key.into(), self.list.len() as u32);
                self.list.push(Group::new(key, operator));
                self.list.len() - 1
            }
        };
        self.list.get_mut(index)
    }

    /// Adds a group that was stored.
    pub fn restore(&mut self, group: Group) {
        self.index.insert(group.key.clone(), self.list.len() as u32);
        self.list.push(group);
    }
}

//! Values as keys of hash tables: equal as for `DISTINCT`.

use crate::query::strict::compare::{hash, same};
use crate::query::strict::value::{Budget, Charge, Halt, Value};
use ahash::AHashSet;
use std::hash::{Hash, Hasher};

/// Some values as one key.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Box<[Value]>);

impl Key {
    pub(super) fn one(value: Value) -> Self {
        Self(Box::new([value]))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| same(a, b))
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|value| hash(value, state));
    }
}

/// The values seen so far.
#[derive(Debug)]
pub(super) struct Seen {
    set: AHashSet<Key>,
    charge: Charge,
}

impl Seen {
    pub(super) fn new(budget: &Budget) -> Self {
        Self { set: AHashSet::new(), charge: budget.charge() }
    }

    /// Whether the value is a new one.
    pub(super) fn is_new(&mut self, value: &Value) -> Result<bool, Halt> {
        let key = Key::one(value.clone().compact());
        let weight = value.weight() + 48;
        let new = self.set.insert(key);
        if new {
            self.charge.add(weight)?;
        }
        Ok(new)
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }
}

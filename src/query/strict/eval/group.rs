//! Groups: rows are taken into the state of their group, then each group is a row.

use super::aggregate::Accumulator;
use super::collection::Each;
use super::keys::Key;
use super::select::Row;
use super::{Machine, Value};
use crate::query::strict::operators::truth;
use crate::query::strict::plan::{Group, Select};
use crate::query::strict::value::{Budget, Charge, Halt, ListBuilder};
use ahash::AHashMap;

struct State {
    key: Key,
    accumulators: Vec<Accumulator>,
    members: Option<ListBuilder>,
}

struct Groups {
    numbers: AHashMap<Key, usize>,
    list: Vec<State>,
    charge: Charge,
}

impl State {
    fn new(key: Key, group: &Group, budget: &Budget) -> Self {
        let accumulators =
            group.aggregates.iter().map(|(kind, ..)| Accumulator::new(*kind, budget)).collect();
        let members = group.partition.as_ref().map(|_| ListBuilder::new(budget));
        Self { key, accumulators, members }
    }
}

impl<'m> Machine<'m> {
    /// Calls `row` for each group that `HAVING` lets pass, in order of first appearance.
    pub(super) fn groups(
        &mut self,
        select: &'m Select,
        group: &'m Group,
        row: Row<'_, 'm>,
    ) -> Result<Each, Halt> {
        let charge = self.budget.charge();
        let mut groups = Groups { numbers: AHashMap::new(), list: Vec::new(), charge };
        if group.whole {
            groups.list.push(State::new(Key(Box::default()), group, &self.budget));
        }
        let each =
            self.rows(select, &mut |machine| machine.take(group, &mut groups).map(|()| true))?;
        if each == Each::Null {
            return Ok(Each::Null);
        }
        for state in groups.list {
            self.tick()?;
            for ((_, slot), value) in group.keys.iter().zip(state.key.0) {
                self.set(*slot, value);
            }
            for ((_, _, slot), state) in group.aggregates.iter().zip(state.accumulators) {
                self.set(*slot, state.result()?);
            }
            if let (Some((slot, _)), Some(members)) = (&group.partition, state.members) {
                self.set(*slot, members.finish());
            }
            if let Some(having) = &group.having {
                let value = self.evaluate(having)?;
                if truth(&value)? != Some(true) {
                    continue;
                }
            }
            if !row(self)? {
                return Ok(Each::Enough);
            }
        }
        Ok(Each::Ended)
    }

    /// The one value of a `SELECT` of aggregates.
    pub(super) fn single(&mut self, select: &'m Select) -> Result<Value, Halt> {
        let Some(group) = &select.group else { return Ok(Value::Null) };
        let mut result = Value::Null;
        self.groups(select, group, &mut |machine| {
            result = machine.output(select)?;
            Ok(true)
        })?;
        Ok(result)
    }

    /// Takes the current row into its group.
    fn take(&mut self, group: &'m Group, groups: &mut Groups) -> Result<(), Halt> {
        let number = if group.whole { 0 } else { self.group_of(group, groups)? };
        let Some(state) = groups.list.get_mut(number) else { return Ok(()) };
        for ((_, node, _), accumulator) in group.aggregates.iter().zip(&mut state.accumulators) {
            let value = match node {
                Some(node) => Some(self.evaluate(node)?),
                None => None,
            };
            accumulator.add(value)?;
        }
        if let (Some((_, node)), Some(members)) = (&group.partition, &mut state.members) {
            members.push(self.evaluate(node)?)?;
        }
        Ok(())
    }

    fn group_of(&mut self, group: &'m Group, groups: &mut Groups) -> Result<usize, Halt> {
        let mut values = Vec::with_capacity(group.keys.len());
        for (node, slot) in &group.keys {
            let value = self.evaluate(node)?.compact();
            self.set(*slot, value.clone());
            values.push(value);
        }
        let key = Key(values.into());
        if let Some(number) = groups.numbers.get(&key) {
            return Ok(*number);
        }
        let weight = key.0.iter().map(Value::weight).sum::<usize>();
        groups.charge.add(weight + 128 + 96 * group.aggregates.len())?;
        let number = groups.list.len();
        groups.numbers.insert(key.clone(), number);
        groups.list.push(State::new(key, group, &self.budget));
        Ok(number)
    }
}

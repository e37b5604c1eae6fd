//! The value of an expression.

use super::aggregate::Accumulator;
use super::collection::Each;
use super::{Machine, Value};
use crate::query::strict::cast::{cast, type_of};
use crate::query::strict::json::{member, members};
use crate::query::strict::operators::{arithmetic, compare, like, mismatch, negative, truth};
use crate::query::strict::plan::{Aggregate, Comparison, Node, Part};
use crate::query::strict::types::Name;
use crate::query::strict::value::{Halt, ListBuilder};
use ahash::AHashSet;
use std::rc::Rc;

impl<'m> Machine<'m> {
    /// The value of a node.
    ///
    /// # Errors
    /// It failed, passed a limit or was stopped.
    pub fn evaluate(&mut self, node: &'m Node) -> Result<Value, Halt> {
        match node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Slot(slot) => Ok(self.slot(*slot)),
            Node::Path(base, names) => {
                let value = self.evaluate(base)?;
                Ok(navigate(value, names))
            }
            Node::Arithmetic(first, rest) => self.chain(first, rest),
            Node::Compare(operator, pair) => {
                let [left, right] = &**pair;
                let left = self.evaluate(left)?;
                let right = self.evaluate(right)?;
                Ok(flag(compare(*operator, &left, &right)))
            }
            Node::All(list) => self.logic(list, false),
            Node::Any(list) => self.logic(list, true),
            Node::Not(inner) => {
                let value = self.evaluate(inner)?;
                Ok(flag(truth(&value)?.map(|flag| !flag)))
            }
            Node::Truth(inner) => {
                let value = self.evaluate(inner)?;
                Ok(flag(truth(&value)?))
            }
            Node::IsNull(not, inner) => {
                let value = self.evaluate(inner)?;
                Ok(Value::Bool(value.is_null() != *not))
            }
            _ => self.evaluate_rarer(node),
        }
    }

    fn evaluate_rarer(&mut self, node: &'m Node) -> Result<Value, Halt> {
        match node {
            Node::Variable(number) => self.variable(*number),
            Node::Negative(inner) => {
                let value = self.evaluate(inner)?;
                negative(&value)
            }
            Node::Positive(inner) => {
                let value = self.evaluate(inner)?;
                if value.is_null() || value.as_double().is_some() {
                    return Ok(value);
                }
                mismatch("number", &value)
            }
            Node::Like(not, pair) => self.like(*not, pair),
            Node::In(not, pair) => self.inside(*not, pair),
            Node::Between(not, three) => self.between(*not, three),
            Node::If(three) => {
                let [condition, yes, no] = &**three;
                let condition = self.evaluate(condition)?;
                let chosen = if truth(&condition)? == Some(true) { yes } else { no };
                self.evaluate(chosen)
            }
            Node::Case(subject, branches, otherwise) => {
                match self.branch(subject.as_deref(), branches)?.or(otherwise.as_deref()) {
                    Some(node) => self.evaluate(node),
                    None => Ok(Value::Null),
                }
            }
            Node::Record(names, nodes) => {
                let mut values = Vec::with_capacity(nodes.len());
                for node in nodes {
                    values.push(self.evaluate(node)?);
                }
                Ok(Value::record(names.clone(), values))
            }
            Node::Combine(parts) => self.combine(parts),
            Node::List(nodes) => self.list(nodes),
            Node::Cast(lenient, inner, kind) => {
                let value = self.evaluate(inner)?;
                match cast(&value, kind, &self.budget) {
                    Err(Halt::Failed(_)) if *lenient => Ok(Value::Null),
                    result => result,
                }
            }
            Node::TypeOf(inner) => {
                let value = self.evaluate(inner)?;
                Ok(Value::text(&type_of(&value).to_string()))
            }
            Node::Try(inner) => match self.evaluate(inner) {
                Err(Halt::Failed(_)) => Ok(Value::Null),
                result => result,
            },
            Node::Call(number, arguments) => {
                self.calling(*number, arguments, |machine, body| machine.evaluate(body))
            }
            Node::Function(function, arguments) => self.function(*function, arguments),
            Node::Range(pair) => self.range(pair),
            Node::Collect(aggregate, inner) => self.aggregate(*aggregate, inner),
            Node::Describe(file) => self.describe(file),
            Node::Select(select) if select.group.as_ref().is_some_and(|g| g.whole) => {
                self.single(select)
            }
            Node::File(file) if file.kind.element().is_none() && !file.kind.is_any() => {
                let mut found = Value::Null;
                self.each(node, &mut |_, value| {
                    found = value;
                    Ok(true)
                })?;
                Ok(found)
            }
            _ => self.collect(node),
        }
    }

    fn chain(
        &mut self,
        first: &'m Node,
        rest: &'m [(crate::query::strict::plan::Arithmetic, Node)],
    ) -> Result<Value, Halt> {
        let mut value = self.evaluate(first)?;
        for (operator, node) in rest {
            let right = self.evaluate(node)?;
            value = arithmetic(*operator, &value, &right, self.budget.limit())?;
            if rest.len() > 64 {
                self.tick()?;
            }
        }
        Ok(value)
    }

    /// `AND` or `OR`: ends with the first operand that decides.
    fn logic(&mut self, list: &'m [Node], decides: bool) -> Result<Value, Halt> {
        let mut null = false;
        for node in list {
            let value = self.evaluate(node)?;
            match truth(&value)? {
                Some(flag) if flag == decides => return Ok(Value::Bool(decides)),
                Some(_) => {}
                None => null = true,
            }
        }
        Ok(if null { Value::Null } else { Value::Bool(!decides) })
    }

    fn variable(&mut self, number: u32) -> Result<Value, Halt> {
        let Some((node, slot)) = self.plan.variables.get(number as usize) else {
            return Ok(Value::Null);
        };
        let known = self.slot(*slot);
        if !matches!(known, Value::Unset) {
            return Ok(known);
        }
        let value = self.evaluate(node)?;
        self.set(*slot, value.clone());
        Ok(value)
    }

    /// Runs `run` over the body of a declared function with these arguments.
    pub(super) fn calling<T>(
        &mut self,
        number: u32,
        arguments: &'m [Node],
        run: impl FnOnce(&mut Self, &'m Node) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        self.tick()?;
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.evaluate(argument)?);
        }
        let Some(declared) = self.plan.functions.get(number as usize) else {
            return Halt::failed("unknown function");
        };
        let range = declared.slots.start as usize..declared.slots.end as usize;
        let own = self.slots.get_mut(range.clone()).unwrap_or_default();
        let saved: Vec<Value> = own.iter_mut().map(std::mem::take).collect();
        for (slot, value) in own.iter_mut().zip(values) {
            *slot = value;
        }
        let result = run(self, &declared.body);
        let own = self.slots.get_mut(range).unwrap_or_default();
        for (slot, value) in own.iter_mut().zip(saved) {
            *slot = value;
        }
        result
    }

    fn like(&mut self, not: bool, pair: &'m [Node; 2]) -> Result<Value, Halt> {
        let [left, right] = pair;
        let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
        let (Value::Text(text), Value::Text(pattern)) = (left, right) else {
            return Ok(Value::Null);
        };
        let found = like(&text, &pattern, &mut || self.pause())?;
        Ok(Value::Bool(found != not))
    }

    fn inside(&mut self, not: bool, pair: &'m [Node; 2]) -> Result<Value, Halt> {
        let [left, right] = pair;
        let wanted = self.evaluate(left)?;
        let (mut found, mut null) = (false, wanted.is_null());
        let each = self.each(right, &mut |_, item| {
            match compare(Comparison::Equal, &wanted, &item) {
                Some(equal) => found = equal,
                None => null = true,
            }
            Ok(!found && !wanted.is_null())
        })?;
        Ok(match (found, null || each == Each::Null) {
            (true, _) => Value::Bool(!not),
            (false, true) => Value::Null,
            (false, false) => Value::Bool(not),
        })
    }

    fn between(&mut self, not: bool, three: &'m [Node; 3]) -> Result<Value, Halt> {
        let [value, low, high] = three;
        let value = self.evaluate(value)?;
        let (low, high) = (self.evaluate(low)?, self.evaluate(high)?);
        let above = compare(Comparison::GreaterEqual, &value, &low);
        let below = compare(Comparison::LessEqual, &value, &high);
        let inside = match (above, below) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        Ok(flag(inside.map(|inside| inside != not)))
    }

    /// The value of the first branch that applies.
    pub(super) fn branch(
        &mut self,
        subject: Option<&'m Node>,
        branches: &'m [(Node, Node)],
    ) -> Result<Option<&'m Node>, Halt> {
        let subject = match subject {
            Some(node) => Some(self.evaluate(node)?),
            None => None,
        };
        for (condition, value) in branches {
            let condition = self.evaluate(condition)?;
            let applies = match &subject {
                Some(subject) => compare(Comparison::Equal, subject, &condition),
                None => truth(&condition)?,
            };
            if applies == Some(true) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn list(&mut self, nodes: &'m [Node]) -> Result<Value, Halt> {
        let mut list = ListBuilder::new(&self.budget);
        for node in nodes {
            list.push(self.evaluate(node)?)?;
        }
        Ok(list.finish())
    }

    /// A record of parts; names that come again get a number.
    pub(super) fn combine(&mut self, parts: &'m [Part]) -> Result<Value, Halt> {
        let (mut names, mut values): (Vec<Name>, Vec<Value>) = (Vec::new(), Vec::new());
        let mut seen = AHashSet::new();
        let mut add = |name: Name, value: Value| {
            let mut unique = name.clone();
            let mut number = 0;
            while !seen.insert(unique.clone()) {
                number += 1;
                unique = Rc::from(format!("{name}_{number}"));
            }
            names.push(unique);
            values.push(value);
        };
        for part in parts {
            match part {
                Part::Field(name, node) => add(name.clone(), self.evaluate(node)?),
                Part::Spread(name, node) => match self.evaluate(node)? {
                    Value::Json(object) if object.is_object() => {
                        let _ = members(&object, |name, value| {
                            add(Rc::from(name), value);
                            Ok::<(), ()>(())
                        });
                    }
                    Value::Record(record) => {
                        for (name, value) in record.names.iter().zip(&record.values) {
                            add(name.clone(), value.clone());
                        }
                    }
                    other => add(name.clone(), other),
                },
            }
        }
        Ok(Value::record(names.into(), values))
    }

    fn aggregate(&mut self, aggregate: Aggregate, inner: &'m Node) -> Result<Value, Halt> {
        if let (Aggregate::Elements, Node::Range(pair)) = (aggregate, inner) {
            return Ok(match self.range(pair)? {
                Value::Range(from, to) => Value::Int(to.saturating_sub(from).max(0)),
                other => other,
            });
        }
        let mut accumulator = Accumulator::new(aggregate, &self.budget);
        let each = self.each(inner, &mut |_, value| {
            accumulator.add(Some(value))?;
            Ok(true)
        })?;
        if each == Each::Null { Ok(Value::Null) } else { accumulator.result() }
    }
}

fn flag(value: Option<bool>) -> Value {
    value.map_or(Value::Null, Value::Bool)
}

/// A field of a field of a value; null where there is none.
fn navigate(mut value: Value, names: &[Name]) -> Value {
    for name in names {
        value = match value {
            Value::Json(object) => member(&object, name),
            Value::Record(record) => record.get(name).cloned().unwrap_or(Value::Null),
            _ => return Value::Null,
        };
    }
    value
}

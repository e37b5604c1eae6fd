//! Collections: their elements are pushed into a sink, one after the other.

use super::keys::Seen;
use super::{Machine, Value};
use crate::model::table;
use crate::model::topic::Topic;
use crate::query::strict::cast::{cast, each_item};
use crate::query::strict::files;
use crate::query::strict::json::{of_record, scalar_text};
use crate::query::strict::operators::{mismatch, truth};
use crate::query::strict::plan::{FileSource, Node};
use crate::query::strict::typed::{field_names, value_of};
use crate::query::strict::types::{Kind, Name};
use crate::query::strict::value::{Halt, ListBuilder};
use crate::query::tables::store::StandingRows;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

/// Takes an element; `false`: no more is wanted.
pub(super) type Sink<'s, 'm> = &'s mut dyn FnMut(&mut Machine<'m>, Value) -> Result<bool, Halt>;

/// How a collection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    /// After its last element.
    Ended,
    /// The sink wanted no more.
    Enough,
    /// It is null.
    Null,
}

impl Each {
    fn of(more: bool) -> Each {
        if more { Each::Ended } else { Each::Enough }
    }
}

/// Whether the elements of a node can be had without holding them.
pub(super) fn streams(node: &Node) -> bool {
    match node {
        Node::Topic(_)
        | Node::File(_)
        | Node::Range(_)
        | Node::List(_)
        | Node::Union(_)
        | Node::Distinct(_)
        | Node::Enumerate(_) => true,
        Node::Select(select) => select.group.as_ref().is_none_or(|group| !group.whole),
        _ => false,
    }
}

impl<'m> Machine<'m> {
    /// Pushes the elements of a collection.
    pub(super) fn each(&mut self, node: &'m Node, sink: Sink<'_, 'm>) -> Result<Each, Halt> {
        match node {
            Node::Select(select) if streams(node) => self.select(select, sink),
            Node::Topic(number) => self.topic(*number, sink),
            Node::File(file) => self.file(file, sink),
            Node::Range(pair) => {
                let range = self.range(pair)?;
                self.each_value(range, sink)
            }
            Node::List(nodes) => {
                for node in nodes {
                    self.tick()?;
                    let value = self.evaluate(node)?;
                    if !sink(self, value)? {
                        return Ok(Each::Enough);
                    }
                }
                Ok(Each::Ended)
            }
            Node::Union(parts) => self.union(parts, sink),
            Node::Distinct(inner) => {
                let mut seen = Seen::new(&self.budget);
                self.each(inner, &mut |machine, value| {
                    if seen.is_new(&value)? { sink(machine, value) } else { Ok(true) }
                })
            }
            Node::Enumerate(inner) => {
                let names: Rc<[Name]> = ["index", "value"].map(Name::from).into();
                let mut index = 0;
                self.each(inner, &mut |machine, value| {
                    let values = vec![Value::Int(index), value];
                    index += 1;
                    sink(machine, Value::record(names.clone(), values))
                })
            }
            Node::If(three) => {
                let [condition, yes, no] = &**three;
                let condition = self.evaluate(condition)?;
                let chosen = if truth(&condition)? == Some(true) { yes } else { no };
                self.each(chosen, sink)
            }
            Node::Case(subject, branches, otherwise) => {
                match self.branch(subject.as_deref(), branches)?.or(otherwise.as_deref()) {
                    Some(node) => self.each(node, sink),
                    None => Ok(Each::Null),
                }
            }
            Node::Call(number, arguments) => {
                self.calling(*number, arguments, |machine, body| machine.each(body, sink))
            }
            Node::Cast(false, inner, kind) if streams(inner) => match &kind.kind {
                Kind::Collection(element) => self.each(inner, &mut |machine, value| {
                    let value = cast(&value, &element.kind, &machine.budget)?;
                    sink(machine, value)
                }),
                _ => self.each(inner, sink),
            },
            _ => {
                let value = self.evaluate(node)?;
                self.each_value(value, sink)
            }
        }
    }

    /// Pushes the elements of a collection that is at hand.
    pub(super) fn each_value(&mut self, value: Value, sink: Sink<'_, 'm>) -> Result<Each, Halt> {
        match &value {
            Value::Null | Value::Unset => return Ok(Each::Null),
            other if other.kind_name() != "collection" => return mismatch("collection", other),
            _ => {}
        }
        let more = each_item(&value, &mut |item| {
            self.tick()?;
            sink(self, item)
        })?;
        Ok(Each::of(more))
    }

    /// The elements of a collection as a list.
    pub(super) fn collect(&mut self, node: &'m Node) -> Result<Value, Halt> {
        let mut list = ListBuilder::new(&self.budget);
        let each = self.each(node, &mut |_, value| list.push(value).map(|()| true))?;
        Ok(if each == Each::Null { Value::Null } else { list.finish() })
    }

    pub(super) fn range(&mut self, pair: &'m [Node; 2]) -> Result<Value, Halt> {
        let [from, to] = pair;
        match (self.evaluate(from)?, self.evaluate(to)?) {
            (Value::Int(from), Value::Int(to)) => Ok(Value::Range(from, to)),
            (from, to) if from.is_null() || to.is_null() => Ok(Value::Null),
            (Value::Int(_), other) | (other, _) => mismatch("int", &other),
        }
    }

    fn union(&mut self, parts: &'m [(bool, Node)], sink: Sink<'_, 'm>) -> Result<Each, Halt> {
        // What may be null is looked at before the first element leaves.
        let mut held: Vec<Option<Value>> = Vec::with_capacity(parts.len());
        for (_, node) in parts {
            let value = if streams(node) { None } else { Some(self.evaluate(node)?) };
            if value.as_ref().is_some_and(Value::is_null) {
                return Ok(Each::Null);
            }
            held.push(value);
        }
        let last = parts.iter().rposition(|(all, _)| !all);
        let mut seen = Seen::new(&self.budget);
        for (index, ((_, node), value)) in parts.iter().zip(held).enumerate() {
            let distinct = last.is_some_and(|last| index <= last);
            let part = &mut |machine: &mut Machine<'m>, item: Value| {
                if distinct && !seen.is_new(&item)? { Ok(true) } else { sink(machine, item) }
            };
            let each = match value {
                Some(value) => self.each_value(value, part)?,
                None => self.each(node, part)?,
            };
            if each == Each::Enough {
                return Ok(Each::Enough);
            }
        }
        Ok(Each::Ended)
    }

    fn topic(&mut self, number: u32, sink: Sink<'_, 'm>) -> Result<Each, Halt> {
        let (Some(topic), Some(end)) =
            (self.plan.topics.get(number as usize), self.ends.get(number as usize).copied())
        else {
            return Ok(Each::Ended);
        };
        if topic.typed {
            return self.standing(topic, sink);
        }
        let mut records = self.bench.open(topic).map_err(|fault| Halt::Failed(fault.0))?;
        let mut outcome = Ok(Each::Ended);
        loop {
            let mut over = false;
            let more = records.next_chunk(&mut |offset, record| {
                if offset >= end {
                    over = true;
                    return ControlFlow::Break(());
                }
                let value = of_record(&record.body);
                let time = record.time.div_euclid(1_000_000);
                self.record = (i64::try_from(offset).unwrap_or(i64::MAX), time);
                match self.tick().and_then(|()| sink(self, value)) {
                    Ok(true) => return ControlFlow::Continue(()),
                    Ok(false) => outcome = Ok(Each::Enough),
                    Err(halt) => outcome = Err(halt),
                }
                over = true;
                ControlFlow::Break(())
            });
            if over || !more.map_err(|fault| Halt::Failed(fault.0))? {
                return outcome;
            }
        }
    }

    /// A typed table is a collection of the rows that stand.
    fn standing(&mut self, topic: &Arc<Topic>, sink: Sink<'_, 'm>) -> Result<Each, Halt> {
        let rows = StandingRows::of(self.bench, topic, self.plan.offsets);
        let Some(mut rows) = rows.map_err(|fault| Halt::Failed(fault.0))? else {
            return Ok(Each::Ended);
        };
        let table = Arc::clone(rows.table());
        let names = field_names(&table);
        let columns = table.columns.iter().chain(&table.tags).map(|column| column.kind);
        // The name of a subtable, where there is one.
        let kinds: Vec<_> = columns.chain([table::Kind::Varchar(0)]).collect();
        let mut cells = Vec::new();
        while let Some(fact) = rows.next_into(&mut cells) {
            self.record = fact;
            self.tick()?;
            let pairs = kinds.iter().zip(&cells);
            let values = pairs.map(|(kind, cell)| value_of(*kind, cell)).collect();
            if !sink(self, Value::record(names.clone(), values))? {
                return Ok(Each::Enough);
            }
        }
        Ok(Each::Ended)
    }

    fn file(&mut self, file: &'m FileSource, sink: Sink<'_, 'm>) -> Result<Each, Halt> {
        let location = match self.evaluate(&file.location)? {
            Value::Text(text) => text,
            Value::Null | Value::Unset => return Ok(Each::Null),
            other => return mismatch("string", &other),
        };
        let folder = self.bench.files_dir().map(std::path::Path::to_owned);
        let budget = self.budget.clone();
        let more = files::scan(folder.as_deref(), &location, file, &budget, &mut |value| {
            self.tick()?;
            sink(self, value)
        })?;
        Ok(Each::of(more))
    }

    /// `DESCRIBE`
    pub(super) fn describe(&mut self, file: &'m FileSource) -> Result<Value, Halt> {
        let location = self.evaluate(&file.location)?;
        let Some(text) = scalar_text(&location) else { return Ok(Value::Null) };
        files::describe(self.bench.files_dir(), &text, file, &self.budget)
    }
}

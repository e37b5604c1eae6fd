//! `SELECT`: generators as nested loops, then filter, output, distinct, order, limit.

use super::collection::{Each, Sink, streams};
use super::keys::{Key, Seen};
use super::sort::Keyed;
use super::{Machine, Value};
use crate::query::strict::operators::{mismatch, truth};
use crate::query::strict::plan::{Generator, Node, Select};
use crate::query::strict::value::{Charge, Halt};
use ahash::AHashMap;
use std::rc::Rc;

/// Takes a row, whose elements are in their slots.
pub(super) type Row<'s, 'm> = &'s mut dyn FnMut(&mut Machine<'m>) -> Result<bool, Halt>;

/// An element with offset and time of its record.
type Item = (Value, (i64, i64));

/// An independent generator after the first: held, because it is walked again and again.
pub(super) enum Held {
    /// It depends on others, or is the first: not held.
    No,
    /// Not yet asked for.
    Later,
    /// A collection that is at hand.
    Value(Value),
    /// Elements.
    Items(Rc<Items>),
}

/// Elements that are held, with the join's table if there is a join.
pub(super) struct Items {
    list: Vec<Item>,
    table: Option<AHashMap<Key, Vec<u32>>>,
    /// Elements without key, which the table does not answer for.
    keyless: Vec<u32>,
    _charge: Charge,
}

/// What happens to the rows that are made.
struct Delivery {
    seen: Option<Seen>,
    rows: Vec<Keyed>,
    charge: Charge,
    skip: u64,
    left: u64,
}

impl<'m> Machine<'m> {
    /// Pushes the rows of a `SELECT` that is a collection.
    pub(super) fn select(&mut self, select: &'m Select, sink: Sink<'_, 'm>) -> Result<Each, Halt> {
        let mut delivery = Delivery {
            seen: select.distinct.then(|| Seen::new(&self.budget)),
            rows: Vec::new(),
            charge: self.budget.charge(),
            skip: self.bound(select.offset.as_ref())?.unwrap_or(0),
            left: self.bound(select.limit.as_ref())?.unwrap_or(u64::MAX),
        };
        let each = match &select.group {
            Some(group) => self
                .groups(select, group, &mut |machine| machine.offer(select, &mut delivery, sink))?,
            None => self.rows(select, &mut |machine| machine.offer(select, &mut delivery, sink))?,
        };
        if each == Each::Null || select.order.is_empty() {
            return Ok(each);
        }
        let descending: Vec<bool> =
            select.order.iter().map(|(_, descending)| *descending).collect();
        let order = self.sorted(&delivery.rows, &descending)?;
        let mut rows = std::mem::take(&mut delivery.rows);
        for index in order {
            let row = rows.get_mut(index as usize).map(|(_, row)| std::mem::take(row));
            if let Some(row) = row
                && !self.pass(row, &mut delivery, sink)?
            {
                return Ok(Each::Enough);
            }
        }
        Ok(Each::Ended)
    }

    /// `LIMIT` or `OFFSET`.
    fn bound(&mut self, node: Option<&'m Node>) -> Result<Option<u64>, Halt> {
        let Some(node) = node else { return Ok(None) };
        match self.evaluate(node)? {
            Value::Int(number) => match u64::try_from(number) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Halt::failed("negative limit"),
            },
            value if value.is_null() => Ok(None),
            other => mismatch("int", &other),
        }
    }

    /// The output of the current row or group.
    pub(super) fn output(&mut self, select: &'m Select) -> Result<Value, Halt> {
        if let (true, [part]) = (select.bare, select.parts.as_slice()) {
            let value = self.evaluate(part.node())?;
            if let Some(slot) = select.outputs {
                self.set(slot, value.clone());
            }
            return Ok(value);
        }
        let Some(names) = &select.names else {
            let value = self.combine(&select.parts)?;
            if let (Some(slot), Value::Record(record)) = (select.outputs, &value) {
                // The declared parts are the last ones of that name.
                for (part, slot) in select.parts.iter().zip(slot..) {
                    let found = match part {
                        crate::query::strict::plan::Part::Field(name, _) => record.get(name),
                        crate::query::strict::plan::Part::Spread(..) => None,
                    };
                    self.set(slot, found.cloned().unwrap_or(Value::Null));
                }
            }
            return Ok(value);
        };
        let mut values = Vec::with_capacity(names.len());
        for part in &select.parts {
            values.push(self.evaluate(part.node())?);
        }
        if let Some(first) = select.outputs {
            for (value, slot) in values.iter().zip(first..) {
                self.set(slot, value.clone());
            }
        }
        Ok(Value::record(names.clone(), values))
    }

    fn offer(
        &mut self,
        select: &'m Select,
        delivery: &mut Delivery,
        sink: Sink<'_, 'm>,
    ) -> Result<bool, Halt> {
        if delivery.left == 0 {
            return Ok(false);
        }
        let row = self.output(select)?;
        if let Some(seen) = &mut delivery.seen
            && !seen.is_new(&row)?
        {
            return Ok(true);
        }
        if select.order.is_empty() {
            return self.pass(row, delivery, sink);
        }
        let mut keys = Vec::with_capacity(select.order.len());
        for (node, _) in &select.order {
            keys.push(self.evaluate(node)?.compact());
        }
        let row = row.compact();
        let weight = keys.iter().map(Value::weight).sum::<usize>() + row.weight() + 24;
        delivery.charge.add(weight)?;
        delivery.rows.push((keys.into(), row));
        Ok(true)
    }

    fn pass(
        &mut self,
        row: Value,
        delivery: &mut Delivery,
        sink: Sink<'_, 'm>,
    ) -> Result<bool, Halt> {
        if delivery.skip > 0 {
            delivery.skip -= 1;
            return Ok(true);
        }
        if delivery.left == 0 {
            return Ok(false);
        }
        delivery.left -= 1;
        Ok(sink(self, row)? && delivery.left > 0)
    }

    /// Calls `row` for each row of `FROM` that `WHERE` lets pass.
    pub(super) fn rows(&mut self, select: &'m Select, row: Row<'_, 'm>) -> Result<Each, Halt> {
        let mut held = Vec::with_capacity(select.generators.len());
        for (index, generator) in select.generators.iter().enumerate() {
            held.push(if index == 0 || generator.dependent {
                Held::No
            } else if streams(&generator.source) {
                Held::Later
            } else {
                // It may be null, which makes all of it null.
                match self.evaluate(&generator.source)? {
                    value if value.is_null() => return Ok(Each::Null),
                    value if value.kind_name() == "collection" => Held::Value(value),
                    other => return mismatch("collection", &other),
                }
            });
        }
        self.walk(select, &select.generators, &mut held, row)
    }

    /// The loops of the remaining generators.
    fn walk(
        &mut self,
        select: &'m Select,
        generators: &'m [Generator],
        held: &mut [Held],
        row: Row<'_, 'm>,
    ) -> Result<Each, Halt> {
        let (Some((generator, inner)), Some((own, rest))) =
            (generators.split_first(), held.split_first_mut())
        else {
            if let Some(filter) = &select.filter {
                let value = self.evaluate(filter)?;
                if truth(&value)? != Some(true) {
                    return Ok(Each::Ended);
                }
            }
            return Ok(if row(self)? { Each::Ended } else { Each::Enough });
        };
        let next = &mut |machine: &mut Machine<'m>, value: Value| {
            machine.bind(generator, value, machine.record);
            Ok(machine.walk(select, inner, rest, row)? != Each::Enough)
        };
        if matches!(own, Held::No) {
            if !generator.dependent || streams(&generator.source) {
                let each = self.each(&generator.source, next)?;
                let empty = generator.dependent && each == Each::Null;
                return Ok(if empty { Each::Ended } else { each });
            }
            return match self.evaluate(&generator.source)? {
                value if value.kind_name() == "collection" => self.each_value(value, next),
                _ => Ok(Each::Ended),
            };
        }
        match self.hold(generator, own)? {
            Held::Value(value) => {
                let value = value.clone();
                self.each_value(value, next)
            }
            Held::Items(items) => {
                let items = Rc::clone(items);
                self.walk_items(generator, &items, next)
            }
            Held::No | Held::Later => Ok(Each::Null),
        }
    }

    fn bind(&mut self, generator: &Generator, value: Value, (offset, time): (i64, i64)) {
        self.set(generator.slot, value);
        if let Some([at, when]) = generator.record {
            self.set(at, Value::Int(offset));
            self.set(when, Value::Timestamp(time));
        }
    }

    /// Makes sure that an independent generator is held as it will be walked.
    fn hold<'h>(&mut self, generator: &'m Generator, held: &'h mut Held) -> Result<&'h Held, Halt> {
        let items = generator.record.is_some() || generator.join.is_some();
        let made = match held {
            Held::Later if items => self.items(generator, None)?,
            Held::Later => match self.evaluate(&generator.source)? {
                value if value.is_null() => None,
                value => Some(Held::Value(value)),
            },
            Held::Value(value) if items => {
                let value = value.clone();
                self.items(generator, Some(value))?
            }
            _ => return Ok(held),
        };
        *held = made.unwrap_or(Held::Later);
        Ok(held)
    }

    /// Elements in a list; `None`: null.
    fn items(
        &mut self,
        generator: &'m Generator,
        value: Option<Value>,
    ) -> Result<Option<Held>, Halt> {
        let mut list: Vec<Item> = Vec::new();
        let mut charge = self.budget.charge();
        let sink = &mut |machine: &mut Machine<'m>, value: Value| {
            let value = value.compact();
            charge.add(value.weight() + 16)?;
            list.push((value, machine.record));
            Ok(true)
        };
        let each = match value {
            Some(value) => self.each_value(value, sink)?,
            None => self.each(&generator.source, sink)?,
        };
        if each == Each::Null {
            return Ok(None);
        }
        let (table, keyless) = match &generator.join {
            Some((_, own)) => self.table(generator, own, &list, &mut charge)?,
            None => (None, Vec::new()),
        };
        Ok(Some(Held::Items(Rc::new(Items { list, table, keyless, _charge: charge }))))
    }

    /// The elements by their key; no table if a key cannot be had, so that whoever walks finds out.
    #[expect(clippy::type_complexity, reason = "a pair that is taken apart at once")]
    fn table(
        &mut self,
        generator: &'m Generator,
        key: &'m Node,
        list: &[Item],
        charge: &mut Charge,
    ) -> Result<(Option<AHashMap<Key, Vec<u32>>>, Vec<u32>), Halt> {
        let mut table: AHashMap<Key, Vec<u32>> = AHashMap::new();
        let mut keyless = Vec::new();
        for (index, (value, record)) in list.iter().enumerate() {
            self.tick()?;
            self.bind(generator, value.clone(), *record);
            match self.evaluate(key) {
                Ok(key) if key.is_null() => keyless.push(index as u32),
                Ok(key) => {
                    charge.add(key.weight() + 64)?;
                    table.entry(Key::one(key)).or_default().push(index as u32);
                }
                Err(Halt::Failed(_)) => return Ok((None, Vec::new())),
                Err(halt) => return Err(halt),
            }
        }
        Ok((Some(table), keyless))
    }

    fn walk_items(
        &mut self,
        generator: &'m Generator,
        items: &Items,
        next: Sink<'_, 'm>,
    ) -> Result<Each, Halt> {
        let key = match (&items.table, &generator.join) {
            (Some(table), Some((outer, _))) => match self.evaluate(outer) {
                Ok(key) if key.is_null() => None,
                Ok(key) => Some((table, key)),
                Err(Halt::Failed(_)) => None,
                Err(halt) => return Err(halt),
            },
            _ => None,
        };
        let mut push = |machine: &mut Machine<'m>, item: &Item| {
            machine.tick()?;
            machine.record = item.1;
            next(machine, item.0.clone())
        };
        let Some((table, key)) = key else {
            for item in &items.list {
                if !push(self, item)? {
                    return Ok(Each::Enough);
                }
            }
            return Ok(Each::Ended);
        };
        let none = Vec::new();
        let found = table.get(&Key::one(key)).unwrap_or(&none);
        // Both lists ascend; so do the elements that are walked.
        let (mut a, mut b) = (found.iter().peekable(), items.keyless.iter().peekable());
        loop {
            let index = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x < y => a.next(),
                (_, Some(_)) => b.next(),
                (_, None) => a.next(),
            };
            let Some(index) = index else { return Ok(Each::Ended) };
            if let Some(item) = items.list.get(*index as usize)
                && !push(self, item)?
            {
                return Ok(Each::Enough);
            }
        }
    }
}

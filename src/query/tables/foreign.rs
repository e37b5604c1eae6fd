//! A topic of another front-end as a table (interchange, 2.2).
//!
//! Method: the newest records say which columns there are and what they hold; then every record is
//! a row. Cost: two walks over the log.

use super::World;
use super::relation::{Relation, RelationColumn};
use crate::model::record::{Body, Record};
use crate::model::table::rows::{Cell, write_hex};
use crate::model::table::{Kind, Precision};
use crate::model::topic::Topic;
use crate::model::value::{Style, Value, of_record, write_value};
use crate::query::dialect::taos::Wrong;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Records that say what the columns are.
const LOOKED_AT: usize = 1000;

/// What a member was met as.
#[derive(Clone, Debug, Default)]
pub(super) struct Met {
    name: String,
    integers: bool,
    fractions: bool,
    booleans: bool,
    texts: bool,
    others: bool,
    longest: usize,
}

impl Met {
    fn see(&mut self, value: &Value<'_>) {
        match value {
            Value::Null | Value::Missing => return,
            Value::Int(_) => self.integers = true,
            Value::Decimal(_) | Value::Double(_) => self.fractions = true,
            Value::Bool(_) => self.booleans = true,
            Value::String(_) => self.texts = true,
            _ => self.others = true,
        }
        self.longest = self.longest.max(text_of(value).len());
    }

    fn kind(&self) -> Kind {
        let numbers = self.integers || self.fractions;
        match (numbers, self.booleans, self.texts, self.others) {
            (true, false, false, false) if !self.fractions => Kind::BigInt,
            (true, false, false, false) => Kind::Double,
            (false, true, false, false) => Kind::Bool,
            _ => Kind::Varchar(self.longest.max(1) as u32),
        }
    }
}

/// A text as it is, anything else as compact JSON.
fn text_of(value: &Value<'_>) -> String {
    if let Value::String(text) = value {
        return text.to_string();
    }
    let mut out = Vec::new();
    // Owned, so that blanks of the text as it arrived are left out.
    write_value(&value.own(), Style::Script, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// A record as an object with members, or what its `_value` is.
enum Seen<'a> {
    Object(Value<'a>),
    Other(String),
}

fn seen<'a>(record: &Record<'a>) -> Seen<'a> {
    match record.body {
        Body::Frame { binary: true, bytes, .. } => {
            let mut out = Vec::new();
            write_hex(bytes, &mut out);
            return Seen::Other(String::from_utf8(out).unwrap_or_default());
        }
        Body::Frame { bytes, .. } => {
            let value = of_record(record);
            if !value.is_object() {
                return Seen::Other(String::from_utf8_lossy(bytes).into_owned());
            }
            return Seen::Object(value);
        }
        _ => {}
    }
    let value = of_record(record);
    if value.is_object() { Seen::Object(value) } else { Seen::Other(text_of(&value)) }
}

fn cell(value: &Value<'_>, kind: Kind) -> Cell {
    match (kind, value) {
        (_, Value::Null | Value::Missing) => Cell::Null,
        (Kind::BigInt, Value::Int(n)) => Cell::Int(*n),
        (Kind::Double, Value::Int(n)) => Cell::Double(*n as f64),
        (Kind::Double, Value::Decimal(text)) => text.parse().map_or(Cell::Null, Cell::Double),
        (Kind::Double, Value::Double(n)) => Cell::Double(*n),
        (Kind::Bool, Value::Bool(b)) => Cell::Bool(*b),
        (Kind::Varchar(_), other) => Cell::Text(text_of(other).into()),
        _ => Cell::Null,
    }
}

/// Walks the records of a topic.
fn walk(
    world: &mut World<'_>,
    topic: &Arc<Topic>,
    see: &mut dyn FnMut(&Record<'_>),
) -> Result<(), Wrong> {
    let mut records = world.bench.open(topic)?;
    loop {
        let more = records.next_chunk(&mut |_, record| {
            record.each(see);
            ControlFlow::Continue(())
        })?;
        if !more {
            return Ok(());
        }
        world.check()?;
    }
}

/// The newest records, as far as they were met.
#[derive(Debug, Default)]
pub(super) struct Newest(VecDeque<Vec<Met>>);

impl Newest {
    /// A record more.
    pub(super) fn see(&mut self, record: &Record<'_>) {
        if self.0.len() == LOOKED_AT {
            self.0.pop_front();
        }
        let one = |name: &str, value: &Value<'_>| {
            let mut met = Met { name: name.to_owned(), ..Met::default() };
            met.see(value);
            met
        };
        self.0.push_back(match seen(record) {
            Seen::Object(value) => {
                let fields = value.fields().unwrap_or_default();
                fields.iter().map(|(name, value)| one(name, value)).collect()
            }
            Seen::Other(text) => vec![one("", &Value::text(text))],
        });
    }

    /// The columns that they have, and the one of those that are no objects.
    pub(super) fn shape(&self) -> Shape {
        let mut columns: Vec<Met> = Vec::new();
        let mut value = None;
        for met in self.0.iter().flatten() {
            let known = match met.name.is_empty() {
                true => value.get_or_insert_default(),
                false => match columns.iter_mut().position(|known| known.name == met.name) {
                    Some(at) => &mut columns[at],
                    None => {
                        columns.push(Met { name: met.name.clone(), ..Met::default() });
                        columns.last_mut().unwrap_or_else(|| unreachable!("just pushed"))
                    }
                },
            };
            known.integers |= met.integers;
            known.fractions |= met.fractions;
            known.booleans |= met.booleans;
            known.texts |= met.texts;
            known.others |= met.others;
            known.longest = known.longest.max(met.longest);
        }
        Shape { columns, value }
    }
}

/// The columns of a topic.
#[derive(Debug)]
pub(super) struct Shape {
    columns: Vec<Met>,
    value: Option<Met>,
}

impl Shape {
    /// A relation without rows.
    pub(super) fn relation(&self, precision: Precision) -> Relation {
        let column = |name: &str, kind| RelationColumn {
            table: None,
            name: name.into(),
            kind,
            shown: true,
            tag: false,
        };
        let mut relation = Relation { precision, time: Some(0), ..Relation::default() };
        relation.columns.push(column("_ts", Kind::Timestamp));
        relation.columns.extend(self.columns.iter().map(|met| column(&met.name, met.kind())));
        if let Some(met) = &self.value {
            relation.columns.push(column("_value", Kind::Varchar(met.longest.max(1) as u32)));
        }
        relation
    }

    /// The row of a record.
    pub(super) fn row(&self, record: &Record<'_>, precision: Precision) -> Vec<Cell> {
        let mut row = vec![Cell::Int(precision.of_ns(record.time))];
        match seen(record) {
            Seen::Object(object) => {
                let own = |met: &Met| cell(&object.member(&met.name), met.kind());
                row.extend(self.columns.iter().map(own));
                row.extend(self.value.iter().map(|_| Cell::Null));
            }
            Seen::Other(text) => {
                row.extend(self.columns.iter().map(|_| Cell::Null));
                row.extend(self.value.iter().map(|_| Cell::text(&text)));
            }
        }
        row
    }
}

/// The topic as a relation.
///
/// # Errors
/// Its log cannot be read.
pub fn load(world: &mut World<'_>, topic: &Arc<Topic>) -> Result<Relation, Wrong> {
    let mut newest = Newest::default();
    walk(world, topic, &mut |record| newest.see(record))?;
    let shape = newest.shape();
    let database = world.tables.database(topic.name.database());
    let precision = database.map_or_else(Default::default, |database| database.precision);
    let mut relation = shape.relation(precision);
    let mut rows = Vec::new();
    walk(world, topic, &mut |record| rows.push(shape.row(record, precision)))?;
    relation.rows = rows;
    Ok(relation)
}

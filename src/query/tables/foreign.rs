//! A topic of another front-end as a table (interchange, 2.2).
//!
//! Method: the newest records say which columns there are and what they hold; then every record is
//! a row. Cost: two walks over the log.

use super::World;
use super::relation::{Relation, RelationColumn};
use crate::model::record::{Body, Record};
use crate::model::table::Kind;
use crate::model::table::rows::{Cell, write_hex};
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
struct Met {
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

/// The members of the newest records, and what those hold that are no objects.
fn look(world: &mut World<'_>, topic: &Arc<Topic>) -> Result<(Vec<Met>, Option<Met>), Wrong> {
    let mut newest: VecDeque<Vec<Met>> = VecDeque::new();
    walk(world, topic, &mut |record| {
        if newest.len() == LOOKED_AT {
            newest.pop_front();
        }
        let one = |name: &str, value: &Value<'_>| {
            let mut met = Met { name: name.to_owned(), ..Met::default() };
            met.see(value);
            met
        };
        newest.push_back(match seen(record) {
            Seen::Object(value) => {
                let fields = value.fields().unwrap_or_default();
                fields.iter().map(|(name, value)| one(name, value)).collect()
            }
            Seen::Other(text) => vec![one("", &Value::text(text))],
        });
    })?;
    let mut columns: Vec<Met> = Vec::new();
    let mut value = None;
    for met in newest.iter().flatten() {
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
    Ok((columns, value))
}

/// The topic as a relation.
///
/// # Errors
/// Its log cannot be read.
pub fn load(world: &mut World<'_>, topic: &Arc<Topic>) -> Result<Relation, Wrong> {
    let (columns, value) = look(world, topic)?;
    let database = world.tables.database(topic.name.database());
    let precision = database.map_or_else(Default::default, |database| database.precision);
    let column = |name: &str, kind| RelationColumn {
        table: None,
        name: name.into(),
        kind,
        shown: true,
        tag: false,
    };
    let mut relation = Relation { precision, time: Some(0), ..Relation::default() };
    relation.columns.push(column("_ts", Kind::Timestamp));
    relation.columns.extend(columns.iter().map(|met| column(&met.name, met.kind())));
    if let Some(met) = &value {
        relation.columns.push(column("_value", Kind::Varchar(met.longest.max(1) as u32)));
    }
    let kinds: Vec<Kind> = columns.iter().map(Met::kind).collect();
    let mut rows = Vec::new();
    walk(world, topic, &mut |record| {
        let mut row = vec![Cell::Int(precision.of_ns(record.time))];
        match seen(record) {
            Seen::Object(object) => {
                let members = columns.iter().zip(&kinds);
                row.extend(members.map(|(met, kind)| cell(&object.member(&met.name), *kind)));
                row.extend(value.iter().map(|_| Cell::Null));
            }
            Seen::Other(text) => {
                row.extend(columns.iter().map(|_| Cell::Null));
                row.extend(value.iter().map(|_| Cell::text(&text)));
            }
        }
        rows.push(row);
    })?;
    relation.rows = rows;
    Ok(relation)
}

//! The result of a SELECT over retained bits (nsdb, 6.6).
//!
//! Method: bits are pushed in log order; rows are encoded when they come and ordered at the end.
//! With ORDER BY and LIMIT only the best rows are kept, with GROUP BY only the groups, so that what
//! is held is bounded by the result or by [`KEPT_MAX`].

use super::aggregate::{Key, Overflow, State};
use super::bit::{Bit, Cell};
use super::parse::{Aggregate, Group, Select};
use super::schema::{Kind, Place, Schema};
use crate::model::json::write_string;
use std::collections::BTreeMap;

/// Groups and distinct values held at once.
const KEPT_MAX: usize = 2_000_000;
/// Buckets of a result.
const BUCKETS_MAX: i128 = 1_000_000;
/// Rows beyond the limit after which the worst are thrown away.
const SLACK_ROWS: usize = 1024;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// More bytes than these.
    TooLarge(usize),
    /// Empty buckets count too.
    TooManyBuckets,
    /// A sum is no BIGINT.
    SumTooLarge,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::TooLarge(bytes) => write!(f, "result larger than {bytes} bytes, use LIMIT"),
            Trouble::TooManyBuckets => {
                f.write_str("too many buckets, use LIMIT or a longer interval")
            }
            Trouble::SumTooLarge => f.write_str("the sum is larger than a BIGINT"),
        }
    }
}

impl From<Overflow> for Trouble {
    fn from(_: Overflow) -> Self {
        Trouble::SumTooLarge
    }
}

/// A row whose object and whose `tags` are open.
struct Row {
    key: Option<Key>,
    json: Box<[u8]>,
    has_tags: bool,
}

/// See the module's page.
pub struct Run<'q> {
    select: &'q Select,
    /// The value is DECIMAL.
    float: bool,
    /// Of the one DISTINCT field.
    place: Place,
    unique: bool,
    bytes_max: usize,
    limit: usize,
    rows: Vec<Row>,
    bytes: usize,
    kept: usize,
    globals: Vec<(Aggregate, &'q str, State)>,
    groups: BTreeMap<Key, State>,
    distinct: BTreeMap<Key, usize>,
    buckets: BTreeMap<i128, State>,
    oldest: i128,
}

impl<'q> Run<'q> {
    /// An empty one. `unique`: records carry `uniqueValues`.
    #[must_use]
    pub fn new(select: &'q Select, schema: &Schema, unique: bool, bytes_max: usize) -> Self {
        let place = |field| schema.field(field).map_or(Place::Tag, |(_, place)| place);
        let aggregates = select.aggregates();
        let limit = select.limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        Self {
            select,
            float: schema.field("value").is_some_and(|(kind, _)| kind == Kind::Decimal),
            place: select.fields().next().map_or(Place::Tag, place),
            unique,
            bytes_max,
            limit,
            rows: Vec::new(),
            bytes: 0,
            kept: 0,
            globals: aggregates.map(|(a, field)| (a, field, State::default())).collect(),
            groups: BTreeMap::new(),
            distinct: BTreeMap::new(),
            buckets: BTreeMap::new(),
            oldest: i128::MAX,
        }
    }

    /// Adds a bit that satisfies the condition; `false`: no more are needed.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn push(&mut self, bit: &Bit<'_>) -> Result<bool, Trouble> {
        if self.limit == 0 {
            return Ok(false);
        }
        match &self.select.group {
            Some(Group::Interval(..)) => self.push_bucket(bit),
            Some(Group::Field(tag)) => self.push_group(tag, bit),
            None if !self.globals.is_empty() => {
                for (aggregate, field, state) in &mut self.globals {
                    self.kept += usize::from(state.add(*aggregate, field, bit));
                }
                let plain = self.select.fields().next().is_some();
                if plain && (self.select.order.is_some() || self.rows.len() < self.limit) {
                    self.push_row(bit)?;
                }
            }
            None if self.select.distinct => self.push_distinct(bit),
            None => self.push_row(bit)?,
        }
        if self.kept > KEPT_MAX {
            return Err(Trouble::TooLarge(self.bytes_max));
        }
        let full = self.rows.len() >= self.limit && self.select.order.is_none();
        Ok(!(full && self.select.is_plain()))
    }

    fn push_row(&mut self, bit: &Bit<'_>) -> Result<(), Trouble> {
        let mut json = Vec::new();
        let all = self.select.items.is_empty();
        let keep = |name: &str| all || self.select.fields().any(|field| field == name);
        let has_tags = bit.write_open(keep, true, &mut json);
        let key = self.select.order.as_ref().and_then(|(field, _)| bit.cell(field));
        let key = key.map(|cell| Key(cell.own()));
        self.bytes += json.len() + 20;
        self.rows.push(Row { key, json: json.into(), has_tags });
        if self.limit != usize::MAX && self.rows.len() >= self.limit.saturating_add(SLACK_ROWS) {
            self.sort_rows();
        }
        if self.bytes > self.bytes_max {
            self.sort_rows();
        }
        if self.bytes > self.bytes_max {
            return Err(Trouble::TooLarge(self.bytes_max));
        }
        Ok(())
    }

    /// Orders the rows, equal ones as they came, and drops those beyond the limit.
    fn sort_rows(&mut self) {
        if let Some((_, descending)) = &self.select.order {
            let order = |a: &Row, b: &Row| match (&a.key, &b.key) {
                (Some(a), Some(b)) if *descending => b.cmp(a),
                (Some(a), Some(b)) => a.cmp(b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            self.rows.sort_by(order);
        }
        self.rows.truncate(self.limit);
        self.bytes = self.rows.iter().map(|row| row.json.len() + 20).sum();
    }

    fn push_group(&mut self, tag: &str, bit: &Bit<'_>) {
        let (Some(cell), Some((aggregate, field))) =
            (bit.cell(tag), self.select.aggregates().next())
        else {
            return;
        };
        let before = self.groups.len();
        let state = self.groups.entry(Key(cell.own())).or_default();
        let kept = state.add(aggregate, field, bit);
        self.kept += self.groups.len() - before + usize::from(kept);
    }

    fn push_distinct(&mut self, bit: &Bit<'_>) {
        let Some(cell) = self.select.fields().next().and_then(|field| bit.cell(field)) else {
            return;
        };
        let next = self.distinct.len();
        self.distinct.entry(Key(cell.own())).or_insert(next);
        self.kept += self.distinct.len() - next;
    }

    fn push_bucket(&mut self, bit: &Bit<'_>) {
        let (Some(interval), Some((aggregate, field))) =
            (self.select.interval_ms(), self.select.aggregates().next())
        else {
            return;
        };
        // An edge belongs to the bucket that ends there.
        let number = (i128::from(bit.timestamp) - 1).div_euclid(i128::from(interval));
        self.oldest = self.oldest.min(number);
        let newest = self.buckets.last_key_value().map_or(number, |(last, _)| *last);
        if self.limit != usize::MAX {
            let first_kept = newest.max(number) - self.limit as i128 + 1;
            if number < first_kept {
                return;
            }
            while self.buckets.first_key_value().is_some_and(|(first, _)| *first < first_kept) {
                self.buckets.pop_first();
            }
        }
        let before = self.buckets.len();
        let kept = self.buckets.entry(number).or_default().add(aggregate, field, bit);
        self.kept += self.buckets.len().saturating_sub(before) + usize::from(kept);
    }

    /// The records as a JSON array.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn finish(mut self) -> Result<Vec<u8>, Trouble> {
        let mut list = List { json: vec![b'['], first: true, unique: self.unique };
        if self.limit > 0 {
            match &self.select.group {
                Some(Group::Interval(..)) => self.finish_buckets(&mut list)?,
                Some(Group::Field(tag)) => self.finish_groups(tag, &mut list)?,
                None if !self.globals.is_empty() => self.finish_globals(&mut list)?,
                None if self.select.distinct => self.finish_distinct(&mut list),
                None => {
                    self.sort_rows();
                    self.rows.iter().for_each(|row| list.row(row, &[]));
                }
            }
        }
        list.json.push(b']');
        if list.json.len() > self.bytes_max {
            return Err(Trouble::TooLarge(self.bytes_max));
        }
        Ok(list.json)
    }

    fn finish_globals(&mut self, list: &mut List) -> Result<(), Trouble> {
        let mut tags = Vec::new();
        for (aggregate, _, state) in &self.globals {
            let mut result = state.result(*aggregate, self.float)?;
            if let (Aggregate::Count, Some(Cell::Int(count))) = (aggregate, &mut result) {
                *count = (*count).min(i64::try_from(self.limit).unwrap_or(i64::MAX));
            }
            let known = |(label, _): &(&str, Cell<'_>)| *label == aggregate.label();
            if let Some(result) = result
                && !tags.iter().any(known)
            {
                tags.push((aggregate.label(), result));
            }
        }
        if self.select.fields().next().is_some() {
            self.sort_rows();
            self.rows.iter().for_each(|row| list.row(row, &tags));
        } else {
            list.record(0, &Cell::Int(0), &[], &tags);
        }
        Ok(())
    }

    fn finish_groups(&self, tag: &str, list: &mut List) -> Result<(), Trouble> {
        let Some((aggregate, _)) = self.select.aggregates().next() else { return Ok(()) };
        let mut rows = Vec::with_capacity(self.groups.len());
        for (key, state) in &self.groups {
            if let Some(value) = state.result(aggregate, self.float)? {
                rows.push((key, Key(value), state.timestamp()));
            }
        }
        if let Some((field, descending)) = &self.select.order {
            let by_value = **field == *"value" && **field != *tag;
            rows.sort_by(|a, b| {
                let order = if by_value { a.1.cmp(&b.1) } else { a.0.cmp(b.0) };
                if *descending { order.reverse() } else { order }
            });
        }
        for (key, value, timestamp) in rows.into_iter().take(self.limit) {
            list.record(timestamp, &value.0, &[], &[(tag, key.0.clone())]);
        }
        Ok(())
    }

    fn finish_distinct(&self, list: &mut List) {
        let Some(field) = self.select.fields().next() else { return };
        let mut rows: Vec<_> = self.distinct.iter().collect();
        match &self.select.order {
            Some((order, descending)) if **order == *field => {
                if *descending {
                    rows.reverse();
                }
            }
            _ => rows.sort_by_key(|(_, came)| **came),
        }
        for (key, _) in rows.into_iter().take(self.limit) {
            let cell = [(field, key.0.clone())];
            let zero = Cell::Int(0);
            match self.place {
                Place::Dimension => list.record(0, &zero, &cell, &[]),
                Place::Tag => list.record(0, &zero, &[], &cell),
                Place::Value => list.record(0, &key.0, &[], &[]),
                Place::Timestamp => {
                    let at = if let Cell::Int(at) = key.0 { at } else { 0 };
                    list.record(at, &zero, &[], &[]);
                }
            }
        }
    }

    fn finish_buckets(&self, list: &mut List) -> Result<(), Trouble> {
        let (Some(interval), Some((aggregate, _)), Some((newest, _))) = (
            self.select.interval_ms(),
            self.select.aggregates().next(),
            self.buckets.last_key_value(),
        ) else {
            return Ok(());
        };
        let limit = i128::try_from(self.limit).unwrap_or(i128::MAX);
        let count = (newest - self.oldest + 1).min(limit);
        if count > BUCKETS_MAX {
            return Err(Trouble::TooManyBuckets);
        }
        let empty =
            if self.float || aggregate == Aggregate::Avg { Cell::Float(0.0) } else { Cell::Int(0) };
        let mut rows = Vec::with_capacity(count as usize);
        for number in newest - count + 1..=*newest {
            let found = match self.buckets.get(&number) {
                Some(state) => state.result(aggregate, self.float)?,
                None => None,
            };
            let counts = matches!(aggregate, Aggregate::Count | Aggregate::CountDistinct);
            let none = if counts { Cell::Int(0) } else { empty.clone() };
            rows.push((number, Key(found.unwrap_or(none))));
        }
        if let Some((field, descending)) = &self.select.order {
            if **field == *"value" {
                rows.sort_by(|a, b| if *descending { b.1.cmp(&a.1) } else { a.1.cmp(&b.1) });
            } else if *descending {
                rows.reverse();
            }
        }
        let clamp = |at: i128| at.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        for (number, value) in rows {
            let lower = clamp(number * i128::from(interval));
            let upper = clamp((number + 1) * i128::from(interval));
            let bounds = [("lowerBound", Cell::Int(lower)), ("upperBound", Cell::Int(upper))];
            list.record(upper, &value.0, &bounds, &[]);
        }
        Ok(())
    }
}

/// Named cells.
type Named<'a> = (&'a str, Cell<'static>);

/// Records under way.
struct List {
    json: Vec<u8>,
    first: bool,
    unique: bool,
}

impl List {
    fn row(&mut self, row: &Row, tags: &[Named<'_>]) {
        self.comma();
        self.json.extend_from_slice(&row.json);
        write_named(tags, row.has_tags, &mut self.json);
        self.json.push(b'}');
        self.close();
    }

    fn record(&mut self, at: i64, value: &Cell<'_>, dimensions: &[Named<'_>], tags: &[Named<'_>]) {
        self.comma();
        write_record(at, value, dimensions, tags, &mut self.json);
        self.close();
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.json.push(b',');
        }
    }

    fn close(&mut self) {
        self.json.extend_from_slice(if self.unique { b",\"uniqueValues\":[]}" } else { b"}" });
    }
}

/// Appends a record, its last brace left open.
pub fn write_record(
    timestamp: i64,
    value: &Cell<'_>,
    dimensions: &[Named<'_>],
    tags: &[Named<'_>],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"timestamp\":");
    out.extend_from_slice(itoa::Buffer::new().format(timestamp).as_bytes());
    out.extend_from_slice(b",\"value\":");
    value.write(out);
    out.extend_from_slice(b",\"dimensions\":{");
    write_named(dimensions, false, out);
    out.extend_from_slice(b"},\"tags\":{");
    write_named(tags, false, out);
    out.push(b'}');
}

fn write_named(cells: &[Named<'_>], mut any: bool, out: &mut Vec<u8>) {
    for (name, cell) in cells {
        if std::mem::replace(&mut any, true) {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        cell.write(out);
    }
}

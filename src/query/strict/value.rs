//! Values of typed queries.
//!
//! Generators keep their element in a slot while inner loops run, so a value owns what it needs:
//! the text of a record is copied once and counted, objects and arrays of it stay text until
//! somebody looks inside. Lists are counted against the budget of the query while they live, with
//! shared parts counted each time they occur: no list can be larger to write than to hold.
//! Cost: 32 bytes; cloning counts a reference at most.

use super::types::Name;
use crate::model::value::Interval;
use crate::model::value::decimal::Decimal;
use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

pub use crate::query::pull::Stopped;

/// Why an evaluation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The data do not allow it; `TRY` catches this.
    Failed(Cow<'static, str>),
    /// A limit is passed.
    Limit(Cow<'static, str>),
    /// Nobody waits for it, or its time is over.
    Stopped(Stopped),
}

impl Halt {
    /// The data do not allow it.
    pub fn failed<T>(text: impl Into<Cow<'static, str>>) -> Result<T, Halt> {
        Err(Halt::Failed(text.into()))
    }

    /// More is held than the query may.
    #[must_use]
    pub fn memory() -> Halt {
        Halt::Limit("memory limit passed".into())
    }
}

impl From<Stopped> for Halt {
    fn from(stopped: Stopped) -> Self {
        Halt::Stopped(stopped)
    }
}

/// What a query may hold, and holds.
#[derive(Clone, Debug)]
pub struct Budget {
    used: Rc<Cell<usize>>,
    limit: usize,
}

impl Budget {
    /// So many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { used: Rc::default(), limit }
    }

    /// The most that may be held.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Nothing, to be made more.
    #[must_use]
    pub fn charge(&self) -> Charge {
        Charge { budget: self.clone(), bytes: 0 }
    }
}

/// Bytes held, given back when dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    bytes: usize,
}

impl Charge {
    /// Holds more.
    ///
    /// # Errors
    /// The budget does not allow it.
    pub fn add(&mut self, bytes: usize) -> Result<(), Halt> {
        let used = self.budget.used.get().saturating_add(bytes);
        if used > self.budget.limit {
            return Err(Halt::memory());
        }
        self.budget.used.set(used);
        self.bytes += bytes;
        Ok(())
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.set(self.budget.used.get().saturating_sub(self.bytes));
    }
}

/// A list that is held.
#[derive(Debug)]
pub struct List {
    /// Its elements.
    pub items: Vec<Value>,
    charge: Charge,
}

/// Makes a list within the budget.
#[derive(Debug)]
pub struct ListBuilder {
    items: Vec<Value>,
    charge: Charge,
}

impl ListBuilder {
    /// An empty list.
    #[must_use]
    pub fn new(budget: &Budget) -> Self {
        Self { items: Vec::new(), charge: budget.charge() }
    }

    /// Adds an element.
    ///
    /// # Errors
    /// The budget does not allow it.
    pub fn push(&mut self, value: Value) -> Result<(), Halt> {
        let value = value.compact();
        self.charge.add(value.weight())?;
        self.items.push(value);
        Ok(())
    }

    /// The list.
    #[must_use]
    pub fn finish(self) -> Value {
        Value::List(Rc::new(List { items: self.items, charge: self.charge }))
    }
}

/// A record that is held.
#[derive(Debug)]
pub struct Record {
    /// Names of its fields; they differ.
    pub names: Rc<[Name]>,
    /// Their values.
    pub values: Vec<Value>,
}

impl Record {
    /// The field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let index = self.names.iter().position(|field| **field == *name)?;
        self.values.get(index)
    }
}

/// An object or array inside the text of a record; the text was checked.
#[derive(Clone, Debug)]
pub struct Json {
    base: Rc<str>,
    start: u32,
    end: u32,
}

impl Json {
    /// The part `start..end` of `base`.
    #[must_use]
    pub fn new(base: Rc<str>, start: usize, end: usize) -> Self {
        Self { base, start: start as u32, end: end as u32 }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.base.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The text it is a part of.
    #[must_use]
    pub fn base(&self) -> &Rc<str> {
        &self.base
    }

    /// Where it begins there.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start as usize
    }

    /// Whether it is an object, not an array.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.text().starts_with('{')
    }
}

/// A value; see the module's page.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value yet: a slot that nobody filled.
    #[default]
    Unset,
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any integer type.
    Int(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// `decimal`
    Decimal(Rc<Decimal>),
    /// `string`
    Text(Rc<str>),
    /// `binary`
    Binary(Rc<[u8]>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds since midnight.
    Time(i32),
    /// Milliseconds since 1970, UTC.
    Timestamp(i64),
    /// Span of time.
    Interval(Interval),
    /// Elements.
    List(Rc<List>),
    /// The integers from the first up to but not the second.
    Range(i64, i64),
    /// Fields.
    Record(Rc<Record>),
    /// An object or array of a record.
    Json(Json),
}

impl Value {
    /// A string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Value::Text(Rc::from(text))
    }

    /// A record.
    #[must_use]
    pub fn record(names: Rc<[Name]>, values: Vec<Value>) -> Self {
        Value::Record(Rc::new(Record { names, values }))
    }

    /// Null, or nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null | Value::Unset)
    }

    /// The number as a double.
    #[must_use]
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Float(n) => Some(f64::from(*n)),
            Value::Double(n) => Some(*n),
            Value::Decimal(n) => Some(n.to_double()),
            _ => None,
        }
    }

    /// About how many bytes it keeps, shared parts counted each time.
    #[must_use]
    pub fn weight(&self) -> usize {
        32 + match self {
            Value::Text(text) => text.len() + 16,
            Value::Binary(bytes) => bytes.len() + 16,
            Value::Decimal(_) => 48,
            Value::Json(json) => json.text().len() + 16,
            Value::List(list) => list.charge.bytes() + 48,
            Value::Record(record) => {
                record.values.iter().map(Value::weight).fold(48, usize::saturating_add)
            }
            _ => 0,
        }
    }

    /// The same value without a record's text around it that is much larger.
    #[must_use]
    pub fn compact(self) -> Value {
        match self {
            Value::Json(json) if json.text().len() * 2 < json.base.len() => {
                let text: Rc<str> = Rc::from(json.text());
                let end = text.len();
                Value::Json(Json::new(text, 0, end))
            }
            other => other,
        }
    }

    /// What messages call its kind.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Unset | Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(n) if i32::try_from(*n).is_ok() => "int",
            Value::Int(_) => "long",
            Value::Float(_) => "float",
            Value::Double(_) => "double",
            Value::Decimal(_) => "decimal",
            Value::Text(_) => "string",
            Value::Binary(_) => "binary",
            Value::Date(_) => "date",
            Value::Time(_) => "time",
            Value::Timestamp(_) => "timestamp",
            Value::Interval(_) => "interval",
            Value::List(_) | Value::Range(..) => "collection",
            Value::Json(json) if !json.is_object() => "collection",
            Value::Record(_) | Value::Json(_) => "record",
        }
    }
}

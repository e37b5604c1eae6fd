//! Dynamic values, as queries see them.
//!
//! Method: a value borrows from the record it was read from wherever it can; objects and arrays of
//! a record stay JSON text ([`Value::Json`]) until somebody looks inside, and a number that nobody
//! computes with keeps its text, so that what is only passed on costs no allocation and loses no
//! digit. What a query keeps is made its own by [`Value::own`]. Invariant: `Json` holds one checked
//! object or array without surrounding blanks; `Decimal` holds a JSON number.
//! Cost: 24 bytes; cloning counts a reference at most.

mod bytes;
mod compare;
pub mod decimal;
mod number;
mod read;
mod skim;
mod write;

pub use bytes::{Bytes, decode_value, encode_bytes, encode_value};
pub use compare::{canonical, key_bytes, same};
pub use number::{as_integer, js_number, numeric_text, write_js, write_point};
pub use read::{members, of_record, read_json, unescape_text};
pub use skim::{Guide, skim_guided, skim_members};
pub use write::{Style, write_value};

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

/// Text that is borrowed or counted.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Part of a record or of a query.
    Borrowed(&'a str),
    /// Made by a query.
    Shared(Arc<str>),
}

impl Text<'_> {
    /// The same text, held by itself.
    #[must_use]
    pub fn own(&self) -> Text<'static> {
        match self {
            Text::Borrowed(text) => Text::Shared(Arc::from(*text)),
            Text::Shared(text) => Text::Shared(Arc::clone(text)),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Shared(text) => text,
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text::Shared(text.into())
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text::Borrowed(text)
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Text::Borrowed(text),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// A span of calendar and clock time; the three parts are independent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// Months, years being twelve.
    pub months: i32,
    /// Days, weeks being seven.
    pub days: i32,
    /// Milliseconds.
    pub ms: i64,
}

/// The fields of a record in their order. A name stands once.
pub type Fields<'a> = Vec<(Text<'a>, Value<'a>)>;

/// A value; see the module's page.
#[derive(Clone, Debug, Default)]
pub enum Value<'a> {
    /// Nothing stands there; not the same as null.
    #[default]
    Missing,
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A computed number.
    Double(f64),
    /// A number as it was written, which is no integer of 64 bits.
    Decimal(Text<'a>),
    /// Text.
    String(Text<'a>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds since midnight.
    Time(i32),
    /// Milliseconds since 1970, UTC.
    Timestamp(i64),
    /// A span of time.
    Interval(Interval),
    /// An object or an array as JSON text.
    Json(&'a str),
    /// Elements.
    List(Arc<Vec<Value<'a>>>),
    /// Fields.
    Record(Arc<Fields<'a>>),
}

impl<'a> Value<'a> {
    /// A text.
    pub fn text(text: impl Into<Text<'a>>) -> Self {
        Value::String(text.into())
    }

    /// A list.
    #[must_use]
    pub fn list(list: Vec<Value<'a>>) -> Self {
        Value::List(Arc::new(list))
    }

    /// A record; names must differ.
    #[must_use]
    pub fn record(fields: Fields<'a>) -> Self {
        Value::Record(Arc::new(fields))
    }

    /// Neither missing nor null.
    #[must_use]
    pub fn is_some(&self) -> bool {
        !matches!(self, Value::Missing | Value::Null)
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        matches!(self, Value::Record(_))
            || matches!(self, Value::Json(text) if text.starts_with('{'))
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(&self) -> bool {
        matches!(self, Value::List(_)) || matches!(self, Value::Json(text) if text.starts_with('['))
    }

    /// The same value borrowing from this one.
    #[must_use]
    pub fn by_ref(&'a self) -> Value<'a> {
        match self {
            Value::String(text) => Value::String(Text::Borrowed(text)),
            Value::Decimal(text) => Value::Decimal(Text::Borrowed(text)),
            other => other.clone(),
        }
    }

    /// The same value holding all it needs. JSON text is parsed, one level after the other.
    #[must_use]
    pub fn own(&self) -> Value<'static> {
        match self {
            Value::Missing => Value::Missing,
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(*b),
            Value::Int(n) => Value::Int(*n),
            Value::Double(n) => Value::Double(*n),
            Value::Decimal(text) => Value::Decimal(text.own()),
            Value::String(text) => Value::String(text.own()),
            Value::Bytes(bytes) => Value::Bytes(Arc::clone(bytes)),
            Value::Date(days) => Value::Date(*days),
            Value::Time(ms) => Value::Time(*ms),
            Value::Timestamp(ms) => Value::Timestamp(*ms),
            Value::Interval(interval) => Value::Interval(*interval),
            Value::List(list) => Value::list(list.iter().map(Value::own).collect()),
            Value::Record(fields) => {
                Value::record(fields.iter().map(|(n, v)| (n.own(), v.own())).collect())
            }
            Value::Json(_) if self.is_array() => {
                Value::list(self.elements().unwrap_or_default().iter().map(Value::own).collect())
            }
            Value::Json(_) => {
                let fields = self.fields().unwrap_or_default();
                Value::record(fields.iter().map(|(n, v)| (n.own(), v.own())).collect())
            }
        }
    }

    /// The member of that name: missing if there is none, or this is no object.
    #[must_use]
    pub fn member(&self, name: &str) -> Value<'a> {
        match self {
            Value::Record(fields) => fields
                .iter()
                .find(|(field, _)| **field == *name)
                .map_or(Value::Missing, |(_, value)| value.clone()),
            Value::Json(text) => read::member(text, name),
            _ => Value::Missing,
        }
    }

    /// The element of that number from 0: missing if there is none, or this is no array.
    #[must_use]
    pub fn element(&self, index: usize) -> Value<'a> {
        match self {
            Value::List(list) => list.get(index).cloned().unwrap_or_default(),
            Value::Json(text) => read::element(text, index),
            _ => Value::Missing,
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn elements(&self) -> Option<Cow<'_, [Value<'a>]>> {
        match self {
            Value::List(list) => Some(Cow::Borrowed(list)),
            Value::Json(text) => read::elements(text).map(Cow::Owned),
            _ => None,
        }
    }

    /// The fields of an object.
    #[must_use]
    pub fn fields(&self) -> Option<Cow<'_, [(Text<'a>, Value<'a>)]>> {
        match self {
            Value::Record(fields) => Some(Cow::Borrowed(fields)),
            Value::Json(text) => read::fields(text).map(Cow::Owned),
            _ => None,
        }
    }

    /// About how many bytes it keeps beyond itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::String(text) | Value::Decimal(text) => text.len() + 16,
            Value::Bytes(bytes) => bytes.len() + 16,
            Value::Json(text) => text.len(),
            Value::List(list) => 40 + list.iter().map(|v| 24 + v.heap_bytes()).sum::<usize>(),
            Value::Record(fields) => {
                let field =
                    |(name, value): &(Text<'_>, Value<'_>)| 40 + name.len() + value.heap_bytes();
                40 + fields.iter().map(field).sum::<usize>()
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;

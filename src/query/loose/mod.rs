//! Operators as JavaScript has them: nothing fails for a wrong kind, missing is not null, and a
//! condition is whatever is truthy (jsonjet, 3.4).

mod functions;
mod operators;
mod time;

pub(crate) use functions::fixed_pattern;
pub use functions::{FUNCTIONS, bad_pattern, function};
pub use operators::{Binary, Unary};
pub use time::{format_date, parse_date};

use crate::model::value::{Style, Value, js_number, write_value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// All but missing, null, false, 0, NaN and "".
#[must_use]
pub fn truthy(value: &Value<'_>) -> bool {
    match value {
        Value::Missing | Value::Null | Value::Bool(false) => false,
        Value::Int(n) => *n != 0,
        Value::Double(n) => *n != 0.0 && !n.is_nan(),
        Value::Decimal(text) => text.parse::<f64>().is_ok_and(|n| n != 0.0),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// The numeric view: null 0, booleans 1 and 0, a numeric string its value, a blank one 0, all else
/// NaN.
#[must_use]
pub fn to_number(value: &Value<'_>) -> f64 {
    match value {
        Value::Int(n) => *n as f64,
        Value::Double(n) => *n,
        Value::Decimal(text) => text.parse().unwrap_or(f64::NAN),
        Value::Null => 0.0,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::String(text) => js_number(text).unwrap_or(f64::NAN),
        Value::Timestamp(ms) => *ms as f64,
        _ => f64::NAN,
    }
}

/// What an aggregate counts in: numbers, numeric strings and booleans; `None` for the rest.
#[must_use]
pub fn to_addend(value: &Value<'_>) -> Option<f64> {
    let number = match value {
        Value::Int(n) => *n as f64,
        Value::Double(n) => *n,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Decimal(text) => text.parse().ok()?,
        Value::String(text) if !text.trim().is_empty() => js_number(text)?,
        _ => return None,
    };
    (!number.is_nan()).then_some(number)
}

/// The text that `+` joins: null is `null`, missing `undefined`, objects as JSON.
#[must_use]
pub fn to_text<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::String(text) | Value::Decimal(text) => Cow::Borrowed(text),
        Value::Missing => Cow::Borrowed("undefined"),
        Value::Json(text) => Cow::Borrowed(text),
        Value::Double(n) if n.is_nan() => Cow::Borrowed("NaN"),
        Value::Double(n) if n.is_infinite() => {
            Cow::Borrowed(if *n > 0.0 { "Infinity" } else { "-Infinity" })
        }
        other => {
            let mut text = Vec::new();
            write_value(other, Style::Script, &mut text);
            Cow::Owned(String::from_utf8(text).unwrap_or_default())
        }
    }
}

/// `value.name`: a field, or `length` of an array or a string.
#[must_use]
pub fn member<'a>(value: &Value<'a>, name: &str) -> Value<'a> {
    if name == "length" {
        match value {
            Value::String(text) => return Value::Int(text.chars().count() as i64),
            _ if value.is_array() => {
                return Value::Int(value.elements().map_or(0, |e| e.len()) as i64);
            }
            _ => {}
        }
    }
    value.member(name)
}

/// `value[index]`: an element by its number, a field by its name.
#[must_use]
pub fn index<'a>(value: &Value<'a>, index: &Value<'_>) -> Value<'a> {
    match index {
        Value::String(name) if value.is_object() => value.member(name),
        Value::Int(n) => usize::try_from(*n).map_or(Value::Missing, |n| value.element(n)),
        Value::Double(n) if n.fract() == 0.0 && *n >= 0.0 => value.element(*n as usize),
        _ => Value::Missing,
    }
}

/// `<` and its kin: two strings by code point, else numbers; `None` with NaN.
#[must_use]
pub fn compare(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    if let (Value::String(a), Value::String(b)) = (left, right) {
        return Some(a.as_bytes().cmp(b.as_bytes()));
    }
    if let Some(order) = left.compare_numbers(right) {
        return Some(order);
    }
    to_number(left).partial_cmp(&to_number(right))
}

/// The order of `sort by`: missing and null, false, true, numbers, strings, others.
#[must_use]
pub fn sort_order(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    let rank = |value: &Value<'_>| match value {
        Value::Missing | Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Int(_) | Value::Double(_) | Value::Decimal(_) => 3,
        Value::String(_) => 4,
        _ => 5,
    };
    match (rank(left), rank(right)) {
        (3 | 4, 3 | 4) if rank(left) == rank(right) => {
            compare(left, right).unwrap_or(Ordering::Equal)
        }
        (a, b) => a.cmp(&b),
    }
}

/// A computed number: an integer that a double holds exactly is one.
#[must_use]
pub fn from_double(number: f64) -> Value<'static> {
    Value::Double(number)
}

/// The name of the kind, as `typeof` gives it.
#[must_use]
pub fn type_name(value: &Value<'_>) -> &'static str {
    match value {
        Value::Missing => "undefined",
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::Double(_) | Value::Decimal(_) => "number",
        _ if value.is_array() => "array",
        Value::Json(_) | Value::Record(_) => "object",
        _ => "string",
    }
}

//! Equality by content, and values as bytes that are equal where the values are.

use super::{Value, write_js};
use crate::model::json;
use std::cmp::Ordering;

/// Whether two values are the same: type and value, numbers by value whatever their form, objects
/// whatever the order of their keys. Missing is not null.
#[must_use]
pub fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Missing, Value::Missing) | (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Date(a), Value::Date(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Interval(a), Value::Interval(b)) => a == b,
        _ => match (number(a), number(b)) {
            (Some(x), Some(y)) => compare_numbers(a, x, b, y) == Some(Ordering::Equal),
            (None, None) => same_containers(a, b),
            _ => false,
        },
    }
}

fn same_containers(a: &Value<'_>, b: &Value<'_>) -> bool {
    if let (Some(a), Some(b)) = (a.elements(), b.elements()) {
        return a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b));
    }
    let (Some(a), Some(b)) = (a.fields(), b.fields()) else { return false };
    let present = |v: &&(super::Text<'_>, Value<'_>)| !matches!(v.1, Value::Missing);
    a.iter().filter(present).count() == b.iter().filter(present).count()
        && a.iter().filter(present).all(|(name, value)| {
            b.iter().find(|(other, _)| other == name).is_some_and(|(_, other)| same(value, other))
        })
}

/// The number as a double, if it is a number.
fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(n) => Some(*n as f64),
        Value::Double(n) => Some(*n),
        Value::Decimal(text) => text.parse().ok(),
        _ => None,
    }
}

/// Compares numbers, integers exactly. `x`, `y`: what they are as doubles.
fn compare_numbers(a: &Value<'_>, x: f64, b: &Value<'_>, y: f64) -> Option<Ordering> {
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        return Some(a.cmp(b));
    }
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return Some(a.cmp(&b));
    }
    x.partial_cmp(&y)
}

/// An integer of up to 38 digits, however it is held.
fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(n) => Some(i128::from(*n)),
        Value::Decimal(text) => text.parse().ok(),
        Value::Double(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(*n as i128),
        _ => None,
    }
}

impl Value<'_> {
    /// The order of two numbers, integers exactly; `None` if one is no number or NaN.
    #[must_use]
    pub fn compare_numbers(&self, other: &Value<'_>) -> Option<Ordering> {
        compare_numbers(self, number(self)?, other, number(other)?)
    }

    /// The number as a double, if it is a number.
    #[must_use]
    pub fn as_double(&self) -> Option<f64> {
        number(self)
    }
}

/// Appends canonical JSON: keys sorted by their bytes, numbers by value. Values that are the same
/// ([`same`]) give the same bytes.
pub fn canonical(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Missing => out.push(0),
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
        Value::Double(n) => write_js(*n, out),
        Value::Decimal(text) => match whole(value) {
            Some(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
            None => write_js(text.parse().unwrap_or(f64::NAN), out),
        },
        Value::String(text) => json::write_string(out, text),
        Value::List(_) => list(value, out),
        Value::Json(_) if value.is_array() => list(value, out),
        Value::Record(_) | Value::Json(_) => record(value, out),
        // Kinds that JSON does not have say which they are.
        Value::Bytes(_) => typed(b'b', value, out),
        Value::Date(_) => typed(b'd', value, out),
        Value::Time(_) => typed(b't', value, out),
        Value::Timestamp(_) => typed(b's', value, out),
        Value::Interval(_) => typed(b'i', value, out),
    }
}

fn typed(mark: u8, value: &Value<'_>, out: &mut Vec<u8>) {
    out.push(mark);
    super::write_value(value, super::Style::Typed, out);
}

fn list(value: &Value<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, element) in value.elements().unwrap_or_default().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        canonical(element, out);
    }
    out.push(b']');
}

fn record(value: &Value<'_>, out: &mut Vec<u8>) {
    let fields = value.fields().unwrap_or_default();
    let mut sorted: Vec<_> =
        fields.iter().filter(|(_, value)| !matches!(value, Value::Missing)).collect();
    sorted.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    out.push(b'{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(out, name);
        out.push(b':');
        canonical(value, out);
    }
    out.push(b'}');
}

/// Canonical bytes of several values, for the keys of maps.
pub fn key_bytes<'v>(values: impl IntoIterator<Item = &'v Value<'v>>, out: &mut Vec<u8>) {
    out.clear();
    for value in values {
        canonical(value, out);
        out.push(1);
    }
}

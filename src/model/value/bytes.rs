//! Values as bytes that read back the same, for stored states.

use super::{Interval, Style, Value, read_json, write_value};
use std::sync::Arc;

/// A reader of what was written with `encode_*`; `None` where it ends or is not that.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*first))
    }

    /// A double.
    pub fn f64(&mut self) -> Option<f64> {
        self.u64().map(f64::from_bits)
    }

    /// A count of things that take at least `each` bytes: never more than there can be.
    pub fn count(&mut self, each: usize) -> Option<usize> {
        let count = usize::try_from(self.u64()?).ok()?;
        (count <= self.0.len() / each.max(1)).then_some(count)
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count(1)?;
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }

    /// Text with its length before it.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// Appends bytes with their length before them.
pub fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a value.
pub fn encode_value(value: &Value<'_>, out: &mut Vec<u8>) {
    let number = |tag: u8, bits: u64, out: &mut Vec<u8>| {
        out.push(tag);
        out.extend_from_slice(&bits.to_le_bytes());
    };
    match value {
        Value::Missing => out.push(0),
        Value::Null => out.push(1),
        Value::Bool(b) => out.push(2 + u8::from(*b)),
        Value::Int(n) => number(4, *n as u64, out),
        Value::Double(n) => number(5, n.to_bits(), out),
        Value::Date(n) => number(6, i64::from(*n) as u64, out),
        Value::Time(n) => number(7, i64::from(*n) as u64, out),
        Value::Timestamp(n) => number(8, *n as u64, out),
        Value::Interval(i) => {
            number(9, i.ms as u64, out);
            out.extend_from_slice(&i.months.to_le_bytes());
            out.extend_from_slice(&i.days.to_le_bytes());
        }
        Value::Bytes(bytes) => {
            out.push(10);
            encode_bytes(bytes, out);
        }
        Value::String(text) => {
            out.push(11);
            encode_bytes(text.as_bytes(), out);
        }
        Value::Decimal(text) => {
            out.push(12);
            encode_bytes(text.as_bytes(), out);
        }
        Value::Json(_) | Value::List(_) | Value::Record(_) => {
            let mut text = Vec::new();
            write_value(value, Style::Script, &mut text);
            out.push(13);
            encode_bytes(&text, out);
        }
    }
}

/// Reads a value.
pub fn decode_value(from: &mut Bytes<'_>) -> Option<Value<'static>> {
    Some(match from.u8()? {
        0 => Value::Missing,
        1 => Value::Null,
        tag @ (2 | 3) => Value::Bool(tag == 3),
        4 => Value::Int(from.u64()? as i64),
        5 => Value::Double(from.f64()?),
        6 => Value::Date(from.u64()? as i32),
        7 => Value::Time(from.u64()? as i32),
        8 => Value::Timestamp(from.u64()? as i64),
        9 => {
            let ms = from.u64()? as i64;
            let both = from.u64()?;
            Value::Interval(Interval { months: both as i32, days: (both >> 32) as i32, ms })
        }
        10 => Value::Bytes(Arc::from(from.bytes()?)),
        11 => Value::text(from.text()?).own(),
        12 => Value::Decimal(from.text()?.into()).own(),
        13 => read_json(from.text()?)?.own(),
        _ => return None,
    })
}

//! Values as JSON text.

use super::number::{write_js, write_point};
use super::{Interval, Value};
use crate::model::json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How numbers and bytes look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As JavaScript prints: `450`; bytes are `{"binary":".."}`; missing members are left out.
    Script,
    /// Doubles always have a point or an exponent: `450.0`; bytes are base64; missing is null.
    Typed,
}

/// Appends `value` as compact JSON; a missing value on its own is `null`.
pub fn write_value(value: &Value<'_>, style: Style, out: &mut Vec<u8>) {
    match value {
        Value::Missing | Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
        Value::Double(n) if style == Style::Script => write_js(*n, out),
        Value::Double(n) => write_point(*n, out),
        Value::Decimal(text) => out.extend_from_slice(text.as_bytes()),
        Value::Json(text) => out.extend_from_slice(text.as_bytes()),
        Value::String(text) => json::write_string(out, text),
        Value::Bytes(bytes) => {
            let text = STANDARD.encode(bytes);
            let (open, close): (&[u8], &[u8]) = match style {
                Style::Script => (b"{\"binary\":\"", b"\"}"),
                Style::Typed => (b"\"", b"\""),
            };
            out.extend_from_slice(open);
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(close);
        }
        Value::Date(days) => quoted(&date(*days), out),
        Value::Time(ms) => quoted(&time(i64::from(*ms)), out),
        Value::Timestamp(ms) => quoted(&timestamp(*ms), out),
        Value::Interval(interval) => quoted(&span(*interval), out),
        Value::List(list) => {
            out.push(b'[');
            let mut first = true;
            for element in list.iter() {
                if style == Style::Script && matches!(element, Value::Missing) {
                    continue;
                }
                comma(&mut first, out);
                write_value(element, style, out);
            }
            out.push(b']');
        }
        Value::Record(fields) => {
            out.push(b'{');
            let mut first = true;
            for (name, value) in fields.iter() {
                if style == Style::Script && matches!(value, Value::Missing) {
                    continue;
                }
                comma(&mut first, out);
                json::write_string(out, name);
                out.push(b':');
                write_value(value, style, out);
            }
            out.push(b'}');
        }
    }
}

fn comma(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// `2023-12-25`
fn date(days: i32) -> String {
    let (year, month, day) = crate::model::time::civil(i64::from(days));
    format!("{year:04}-{month:02}-{day:02}")
}

/// `01:02:03`, with `.mmm` if not zero.
fn time(ms: i64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if ms == 0 { text } else { format!("{text}.{ms:03}") }
}

/// `2023-12-25T01:02:03`, with `.mmm` if not zero.
fn timestamp(ms: i64) -> String {
    let days = ms.div_euclid(86_400_000);
    let day = i32::try_from(days).unwrap_or(i32::MAX);
    format!("{}T{}", date(day), time(ms.rem_euclid(86_400_000)))
}

/// ISO 8601, parts that are zero left out: `P1Y2DT6H`, `PT0S`.
fn span(interval: Interval) -> String {
    let Interval { months, days, ms } = interval;
    let mut text = String::from("P");
    for (amount, unit) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
        if amount != 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    let (hours, minutes, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    if ms != 0 || text.len() == 1 {
        text.push('T');
    }
    for (amount, unit) in [(hours, 'H'), (minutes, 'M')] {
        if amount != 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    if rest != 0 || text.ends_with('T') {
        let sign = if rest < 0 { "-" } else { "" };
        let (whole, part) = (rest.abs() / 1000, rest.abs() % 1000);
        let fraction = format!("{whole}.{part:03}");
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        text.push_str(&format!("{sign}{fraction}S"));
    }
    text
}

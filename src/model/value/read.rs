//! Reading JSON text: one level at a time, from text that was checked when it arrived.

use super::{Fields, Text, Value, numeric_text};
use crate::model::json::{self, Kind, Scanner};
use crate::model::record::{Body, Record};
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// The value of a JSON text; `None` if it is not JSON.
#[must_use]
pub fn read_json(text: &str) -> Option<Value<'_>> {
    let mut scanner = Scanner::new(text.as_bytes());
    let value = scanner.value().ok()?;
    scanner.finish().ok()?;
    let end = scanner.position();
    let _ = end;
    of_span(text, value)
}

/// A key or string between its quotes, escapes resolved.
#[must_use]
pub fn unescape_text(inner: &str) -> Text<'_> {
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Text::Borrowed(inner);
    }
    json::unescape(inner.as_bytes()).into()
}

/// Calls `member` for each member of an object: key between its quotes, value.
pub fn members<'a>(text: &'a str, mut member: impl FnMut(&'a str, Value<'a>)) {
    let mut scanner = Scanner::new(text.as_bytes());
    if scanner.enter_object().is_err() {
        return;
    }
    let mut first = true;
    while let Ok(Some(key)) = scanner.next_key(first) {
        first = false;
        let Ok(value) = scanner.value() else { return };
        let (Some(key), Some(value)) = (slice(text, key), of_span(text, value)) else { return };
        member(key, value);
    }
}

/// The member of that name; the first one if the name stands more than once.
pub(super) fn member<'a>(text: &'a str, name: &str) -> Value<'a> {
    let mut scanner = Scanner::new(text.as_bytes());
    if scanner.enter_object().is_err() {
        return Value::Missing;
    }
    let mut first = true;
    while let Ok(Some(key)) = scanner.next_key(first) {
        first = false;
        let Ok(value) = scanner.value() else { break };
        if json::key_is(key, name) {
            return of_span(text, value).unwrap_or_default();
        }
    }
    Value::Missing
}

pub(super) fn element(text: &str, index: usize) -> Value<'_> {
    let mut scanner = Scanner::new(text.as_bytes());
    if scanner.enter_array().is_err() {
        return Value::Missing;
    }
    let mut at = 0;
    while let Ok(true) = scanner.next_element(at == 0) {
        let Ok(value) = scanner.value() else { break };
        if at == index {
            return of_span(text, value).unwrap_or_default();
        }
        at += 1;
    }
    Value::Missing
}

pub(super) fn elements(text: &str) -> Option<Vec<Value<'_>>> {
    let mut scanner = Scanner::new(text.as_bytes());
    scanner.enter_array().ok()?;
    let mut list = Vec::new();
    while scanner.next_element(list.is_empty()).ok()? {
        list.push(of_span(text, scanner.value().ok()?)?);
    }
    Some(list)
}

pub(super) fn fields(text: &str) -> Option<Fields<'_>> {
    if !text.starts_with('{') {
        return None;
    }
    let mut list: Fields<'_> = Vec::new();
    members(text, |key, value| {
        let key = unescape_text(key);
        // Of a repeated key the first counts, here as in every language.
        if !list.iter().any(|(name, _)| *name == key) {
            list.push((key, value));
        }
    });
    Some(list)
}

/// The part of `text` that the scanner pointed at.
fn slice<'a>(text: &'a str, part: &'a [u8]) -> Option<&'a str> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    text.get(start..start + part.len())
}

fn of_span<'a>(text: &'a str, value: json::Value<'a>) -> Option<Value<'a>> {
    let text = slice(text, value.text)?;
    Some(match value.kind {
        Kind::Null => Value::Null,
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Number => numeric_text(text),
        Kind::String => {
            let inner = text.get(1..text.len().checked_sub(1)?)?;
            Value::String(unescape_text(inner))
        }
        Kind::Object | Kind::Array => Value::Json(text),
    })
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Value::String(text.into())
    }
}

/// The value of a record, as JSON streams and queries see it (interchange, section 2): binary
/// frames are `{"binary":".."}`.
#[must_use]
pub fn of_record<'a>(record: &Record<'a>) -> Value<'a> {
    match record.body {
        Body::Json(json) | Body::Derived { json, .. } | Body::Lifecycle { json, .. } => {
            of_text(json).unwrap_or_default()
        }
        // Readers go through `Record::each`.
        Body::Rows(_) => Value::Missing,
        Body::Frame { binary: true, bytes, .. } => Value::record(vec![(
            Text::Borrowed("binary"),
            Value::text(base64::Engine::encode(&STANDARD, bytes)),
        )]),
        Body::Frame { bytes, .. } => match of_text(bytes).filter(|_| json::check(bytes).is_ok()) {
            Some(value) => value,
            None => Value::text(String::from_utf8_lossy(bytes)),
        },
    }
}

/// The value of a text that was checked when it arrived.
fn of_text(json: &[u8]) -> Option<Value<'_>> {
    let text = simdutf8::basic::from_utf8(json).ok()?;
    match json.first() {
        Some(b'{' | b'[') if matches!(json.last(), Some(b'}' | b']')) => Some(Value::Json(text)),
        _ => read_json(text),
    }
}

//! JSON in and out: the text of records to values, one level at a time, and values to text.

use super::time;
use super::value::{Halt, Json, Value};
use crate::model::json::{self, Kind, Scanner, key_is, unescape};
use crate::model::record::Body;
use crate::model::value::decimal::Decimal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::rc::Rc;

/// The value that a record of a topic is.
#[must_use]
pub fn of_record(body: &Body<'_>) -> Value {
    match body {
        Body::Json(text)
        | Body::Derived { json: text, .. }
        | Body::Lifecycle { json: text, .. } => of_checked(text),
        // Typed tables are read as they stand.
        Body::Rows(_) => Value::Null,
        Body::Frame { binary: true, bytes, .. } => Value::Binary(Rc::from(*bytes)),
        Body::Frame { bytes, .. } => match json::check(bytes) {
            Ok(value) => of_checked(value.text),
            Err(_) => Value::text(&String::from_utf8_lossy(bytes)),
        },
    }
}

/// The value of a JSON text that was checked.
#[must_use]
pub fn of_checked(text: &[u8]) -> Value {
    let text = text.trim_ascii();
    match text.first() {
        Some(b'{' | b'[') => {
            let base: Rc<str> = match simdutf8::basic::from_utf8(text) {
                Ok(text) => Rc::from(text),
                Err(_) => Rc::from(&*String::from_utf8_lossy(text)),
            };
            let end = base.len();
            Value::Json(Json::new(base, 0, end))
        }
        Some(_) => Scanner::new(text).value().map_or(Value::Null, |value| scalar(&value)),
        None => Value::Null,
    }
}

fn scalar(value: &json::Value<'_>) -> Value {
    match value.kind {
        Kind::Null | Kind::Object | Kind::Array => Value::Null,
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Number => number(std::str::from_utf8(value.text).unwrap_or_default()),
        Kind::String => value.as_text().map_or(Value::Null, |text| Value::text(&text)),
    }
}

/// The value of a JSON number: integer or double as it is written.
#[must_use]
pub fn number(text: &str) -> Value {
    if let Ok(number) = text.parse() {
        return Value::Int(number);
    }
    if !text.contains(['.', 'e', 'E'])
        && let Some(number) = Decimal::parse(text)
    {
        return Value::Decimal(Rc::new(number));
    }
    Value::Double(text.parse().unwrap_or(f64::NAN))
}

fn part(whole: &Json, value: &json::Value<'_>, end: usize) -> Value {
    match value.kind {
        Kind::Object | Kind::Array => {
            let end = whole.start() + end;
            Value::Json(Json::new(Rc::clone(whole.base()), end - value.text.len(), end))
        }
        _ => scalar(value),
    }
}

/// The first member of that name; null if there is none.
#[must_use]
pub fn member(object: &Json, name: &str) -> Value {
    let mut scanner = Scanner::new(object.text().as_bytes());
    if scanner.enter_object().is_err() {
        return Value::Null;
    }
    let mut first = true;
    while let Ok(Some(key)) = scanner.next_key(first) {
        first = false;
        let Ok(value) = scanner.value() else { break };
        if key_is(key, name) {
            return part(object, &value, scanner.position());
        }
    }
    Value::Null
}

/// Calls `member` for each member of an object, in its order.
///
/// # Errors
/// Those of `member`.
pub fn members<E>(
    object: &Json,
    mut member: impl FnMut(&str, Value) -> Result<(), E>,
) -> Result<(), E> {
    let mut scanner = Scanner::new(object.text().as_bytes());
    let mut first = true;
    if scanner.enter_object().is_err() {
        return Ok(());
    }
    while let Ok(Some(key)) = scanner.next_key(first) {
        first = false;
        let Ok(value) = scanner.value() else { break };
        let value = part(object, &value, scanner.position());
        member(&unescape(key), value)?;
    }
    Ok(())
}

/// Calls `element` for each element of an array.
///
/// # Errors
/// Those of `element`.
pub fn elements<E>(
    array: &Json,
    mut element: impl FnMut(Value) -> Result<bool, E>,
) -> Result<bool, E> {
    let mut scanner = Scanner::new(array.text().as_bytes());
    let mut first = true;
    if scanner.enter_array().is_err() {
        return Ok(true);
    }
    while let Ok(true) = scanner.next_element(first) {
        first = false;
        let Ok(value) = scanner.value() else { break };
        if !element(part(array, &value, scanner.position()))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is done with output that has grown; it may be emptied.
pub type Full<'a> = &'a mut dyn FnMut(&mut Vec<u8>) -> Result<(), Halt>;

/// Appends a value as compact JSON (raw, 1.5), asking `full` after each element of a list.
///
/// # Errors
/// Those of `full`.
pub fn write(value: &Value, out: &mut Vec<u8>, full: Full<'_>) -> Result<(), Halt> {
    match value {
        Value::Text(text) => json::write_string(out, text),
        Value::Binary(bytes) => {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
        Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::Interval(_) => {
            out.push(b'"');
            out.extend_from_slice(scalar_text(value).unwrap_or_default().as_bytes());
            out.push(b'"');
        }
        Value::Json(json) => return write_compact(json.text(), out, full),
        Value::List(list) => {
            out.push(b'[');
            for (index, item) in list.items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out, full)?;
                full(out)?;
            }
            out.push(b']');
        }
        Value::Range(from, to) => {
            out.push(b'[');
            for number in *from..*to {
                if number > *from {
                    out.push(b',');
                }
                out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                full(out)?;
            }
            out.push(b']');
        }
        Value::Record(record) => {
            out.push(b'{');
            for (index, (name, value)) in record.names.iter().zip(&record.values).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::write_string(out, name);
                out.push(b':');
                write(value, out, full)?;
            }
            out.push(b'}');
        }
        plain => write_plain(plain, out),
    }
    Ok(())
}

fn write_plain(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Int(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        Value::Double(number) if !number.is_finite() => out.extend_from_slice(b"null"),
        Value::Float(number) if !number.is_finite() => out.extend_from_slice(b"null"),
        other => match scalar_text(other) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => out.extend_from_slice(b"null"),
        },
    }
}

/// A scalar as text; `None` for null and what has parts.
#[must_use]
pub fn scalar_text(value: &Value) -> Option<String> {
    let mut out = String::new();
    match value {
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => out.push_str(itoa::Buffer::new().format(*number)),
        Value::Float(number) => out = format!("{number:?}"),
        Value::Double(number) => out = format!("{number:?}"),
        Value::Decimal(number) => out = number.to_string(),
        Value::Text(text) => out.push_str(text),
        Value::Binary(bytes) => out = STANDARD.encode(bytes),
        Value::Date(days) => time::write_date(*days, &mut out),
        Value::Time(ms) => time::write_time(i64::from(*ms), &mut out),
        Value::Timestamp(ms) => time::write_timestamp(*ms, &mut out),
        Value::Interval(interval) => time::write_interval(*interval, &mut out),
        _ => return None,
    }
    Some(out)
}

/// Appends checked JSON text without blanks, numbers and strings in the one form they have here.
fn write_compact(text: &str, out: &mut Vec<u8>, full: Full<'_>) -> Result<(), Halt> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'"' => string_end(bytes, at),
            b'-' | b'0'..=b'9' => number_end(bytes, at),
            _ => at + 1,
        };
        let token = text.get(at..end).unwrap_or_default();
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' if token.contains('\\') => {
                let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
                json::write_string(out, &unescape(inner.as_bytes()));
            }
            b'-' | b'0'..=b'9' if token.contains(['.', 'e', 'E']) => {
                write_plain(&Value::Double(token.parse().unwrap_or(f64::NAN)), out);
            }
            b',' => {
                full(out)?;
                out.push(b',');
            }
            _ => out.extend_from_slice(token.as_bytes()),
        }
        at = end.max(at + 1);
    }
    Ok(())
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let length =
        rest.iter().position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    start + length.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &Value) -> String {
        let mut out = Vec::new();
        write(value, &mut out, &mut |_| Ok(())).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn records_are_written_compactly_in_one_form() {
        for (text, want) in [
            (" { \"a\" : [ 1 , 2.50 , 1e3 ] } ", "{\"a\":[1,2.5,1000.0]}"),
            (r#"{"\u00e9\/":"\u0001\n"}"#, r#"{"é/":"\u0001\n"}"#),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("[123456789012345678901234567890, -0]", "[123456789012345678901234567890,-0]"),
            ("1e999", "null"),
            ("\"x\"", "\"x\""),
        ] {
            assert_eq!(shown(&of_checked(text.as_bytes())), want, "{text}");
        }
    }

    #[test]
    fn members_are_found_by_their_name() {
        let Value::Json(object) = of_checked(br#"{"a":{"b":[1,{"c":"x"}]},"\u0061b":2,"a":3}"#)
        else {
            panic!("an object")
        };
        assert_eq!(shown(&member(&object, "ab")), "2");
        let Value::Json(inner) = member(&object, "a") else { panic!("an object") };
        assert_eq!(shown(&member(&inner, "b")), r#"[1,{"c":"x"}]"#);
        assert!(member(&object, "nope").is_null());
    }
}

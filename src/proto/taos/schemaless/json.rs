//! JSON points: an object or an array of `{metric, timestamp, value, tags}`.

use super::{Parsed, Tag, Time, shown, text_tag};
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::model::value::{Value, read_json};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::bind::grow::{Member, bad_data};

/// Reads a text.
///
/// # Errors
/// It is no JSON, or a point in it is none.
pub fn read(text: &str) -> Result<Vec<Parsed>, Wrong> {
    let value = read_json(text).ok_or_else(|| bad_data("no JSON"))?;
    if value.is_object() {
        return point(&value).map(|point| vec![point]).ok_or_else(|| bad_data(&shown(text)));
    }
    let list = value.elements().ok_or_else(|| bad_data(&shown(text)))?;
    list.iter().map(|one| point(one).ok_or_else(|| bad_data(&shown(text)))).collect()
}

fn point(value: &Value<'_>) -> Option<Parsed> {
    let Value::String(metric) = value.member("metric") else { return None };
    let fields = vec![field(&value.member("value"))?];
    let time = time(&value.member("timestamp"))?;
    let mut tags = Vec::new();
    let given = value.member("tags");
    match &given {
        Value::Missing | Value::Null => {}
        given => {
            for (name, value) in given.fields().filter(|_| given.is_object())?.iter() {
                tags.push(tag(name, value)?);
            }
        }
    }
    Some(Parsed { measurement: metric.to_string(), tags, fields, time: Some(time) })
}

/// A number as it was written.
fn number(value: &Value<'_>) -> Option<(f64, String)> {
    let text = match value {
        Value::Int(number) => number.to_string(),
        Value::Decimal(text) => text.to_string(),
        _ => return None,
    };
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some((number, text))
}

/// `{"value": .., "type": ..}` in its parts.
fn typed<'a>(value: &Value<'a>) -> Option<(Value<'a>, String)> {
    let Value::String(kind) = value.member("type") else { return None };
    value.is_object().then(|| (value.member("value"), kind.to_ascii_lowercase()))
}

/// A time; its type, if it has one, is its unit.
fn time(value: &Value<'_>) -> Option<Time> {
    let (value, unit) = match typed(value) {
        None => (value.clone(), None),
        Some((value, kind)) => (value, super::unit(&kind).ok()?),
    };
    number(&value).map(|(_, text)| Time { text, unit })
}

fn field(value: &Value<'_>) -> Option<Member> {
    let (kind, cell, _) = member(value)?;
    Some(Member { name: "_value".into(), kind, cell })
}

fn tag(name: &str, value: &Value<'_>) -> Option<Tag> {
    let (kind, cell, text) = member(value)?;
    if matches!(kind, Kind::Nchar(_)) {
        return Some(text_tag(name.to_owned(), text));
    }
    Some(Tag { member: Member { name: name.to_owned(), kind, cell }, text })
}

/// Kind, value, and the value as text.
fn member(value: &Value<'_>) -> Option<(Kind, Cell, String)> {
    if let Some((value, kind)) = typed(value) {
        return named(&value, &kind);
    }
    match value {
        Value::Bool(it) => Some((Kind::Bool, Cell::Bool(*it), it.to_string())),
        Value::String(_) => named(value, "nchar"),
        other => number(other).map(|(number, text)| (Kind::Double, Cell::Double(number), text)),
    }
}

/// A value of a kind that is named.
fn named(value: &Value<'_>, kind: &str) -> Option<(Kind, Cell, String)> {
    let kind = match kind {
        "bool" => Kind::Bool,
        "tinyint" => Kind::TinyInt,
        "smallint" => Kind::SmallInt,
        "int" => Kind::Int,
        "bigint" => Kind::BigInt,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "binary" | "varchar" => Kind::Varchar(0),
        "nchar" => Kind::Nchar(0),
        _ => return None,
    };
    match (kind, value) {
        (Kind::Bool, Value::Bool(it)) => Some((kind, Cell::Bool(*it), it.to_string())),
        (Kind::Varchar(_), Value::String(text)) => {
            Some((Kind::Varchar(text.len() as u32), Cell::text(text), text.to_string()))
        }
        (Kind::Nchar(_), Value::String(text)) => {
            let length = text.chars().count() as u32;
            Some((Kind::Nchar(length), Cell::text(text), text.to_string()))
        }
        (kind, value) if kind.is_float() || kind.is_integer() => {
            let (number, text) = number(value)?;
            let cell = match kind.integer_range() {
                Some((low, high)) => {
                    let whole: i128 = text.parse().ok().filter(|n| (low..=high).contains(n))?;
                    Cell::Int(whole as i64)
                }
                None if kind == Kind::Float => {
                    let narrow = f64::from(number as f32);
                    Cell::Double(Some(narrow).filter(|n| n.is_finite())?)
                }
                None => Cell::Double(number),
            };
            Some((kind, cell, text))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_what_is_none() {
        let text = r#"[{"metric":"meters.current","timestamp":{"value":1648432611,"type":"s"},
            "value":{"value":7,"type":"int"},"tags":{"location":"sf","n":2.50,"b":true}}]"#;
        let list = read(text).unwrap();
        assert_eq!(list[0].measurement, "meters.current");
        let unit = Some(1_000_000_000);
        assert_eq!(list[0].time, Some(Time { text: "1648432611".into(), unit }));
        assert_eq!((list[0].fields[0].kind, &list[0].fields[0].cell), (Kind::Int, &Cell::Int(7)));
        let tags: Vec<_> = list[0].tags.iter().map(|t| (t.member.kind, t.text.as_str())).collect();
        assert_eq!(tags, [(Kind::Nchar(2), "sf"), (Kind::Double, "2.50"), (Kind::Bool, "true")]);
        for bad in [
            "",
            "5",
            "{}",
            r#"{"metric":"m","timestamp":1}"#,
            r#"{"metric":"m","timestamp":"x","value":1}"#,
            r#"{"metric":"m","timestamp":1,"value":{"value":300,"type":"tinyint"}}"#,
            r#"{"metric":"m","timestamp":1,"value":1,"tags":5}"#,
            r#"[{"metric":"m","timestamp":1,"value":1},5]"#,
        ] {
            assert_eq!(read(bad).unwrap_err().code, 0x3002, "{bad}");
        }
    }
}

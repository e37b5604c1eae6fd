//! `CAST` (raw, 2.7) and `TYPEOF` of values known only when the query runs.

use super::json;
use super::time;
use super::types::{Kind, Name, Type};
use super::value::{Budget, Halt, ListBuilder, Value};
use crate::model::value::decimal::Decimal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::rc::Rc;

/// Bytes of a value that a message shows.
const SHOWN_MAX: usize = 1000;

/// Whether values of the one type can ever be cast to the other.
#[must_use]
pub fn castable(from: &Type, to: &Type) -> bool {
    if from.is_free() || to.is_free() {
        return true;
    }
    if let (Some(from), Some(to)) = (from.element(), to.element()) {
        return castable(from, to);
    }
    if let (Some(from), Some(to)) = (from.fields(), to.fields()) {
        let found = |name: &Name| from.iter().find(|(field, _)| field == name);
        return from.len() == to.len()
            && to.iter().all(|(name, to)| found(name).is_some_and(|(_, from)| castable(from, to)));
    }
    let nested = |kind: &Type| kind.element().is_some() || kind.fields().is_some();
    if nested(from) || nested(to) {
        return false;
    }
    let text = |kind: &Type| matches!(kind.kind, Kind::String);
    let day = |kind: &Type| matches!(kind.kind, Kind::Date | Kind::Timestamp);
    let same = std::mem::discriminant(&from.kind) == std::mem::discriminant(&to.kind);
    let numbers = from.rank().is_some() && to.rank().is_some();
    same || numbers || text(from) || text(to) || (day(from) && day(to))
}

/// The value as one of type `to`; null stays null.
///
/// # Errors
/// It cannot be one, or the budget is used up.
pub fn cast(value: &Value, to: &Type, budget: &Budget) -> Result<Value, Halt> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match &to.kind {
        Kind::Any(_) | Kind::Undefined | Kind::Error => return Ok(value.clone()),
        Kind::Collection(element) => {
            if value.kind_name() != "collection" {
                return failed(value, to);
            }
            return cast_list(value, &element.kind, budget);
        }
        Kind::Record(fields) => {
            if value.kind_name() != "record" {
                return failed(value, to);
            }
            let names: Rc<[Name]> = fields.list.iter().map(|(name, _)| name.clone()).collect();
            let mut values = Vec::with_capacity(names.len());
            for (name, kind) in &fields.list {
                let field = match value {
                    Value::Record(record) => record.get(name).cloned().unwrap_or_default(),
                    Value::Json(object) => json::member(object, name),
                    _ => Value::Null,
                };
                values.push(cast(&field, kind, budget)?);
            }
            return Ok(Value::record(names, values));
        }
        _ => {}
    }
    match cast_scalar(value, &to.kind) {
        Some(value) => Ok(value),
        None => failed(value, to),
    }
}

fn cast_list(value: &Value, to: &Type, budget: &Budget) -> Result<Value, Halt> {
    let mut list = ListBuilder::new(budget);
    each_item(value, &mut |item| {
        list.push(cast(&item, to, budget)?)?;
        Ok(true)
    })?;
    Ok(list.finish())
}

/// Calls `visit` for each element of a collection that is held, until it says `false`.
///
/// # Errors
/// Those of `visit`.
pub fn each_item(
    value: &Value,
    visit: &mut dyn FnMut(Value) -> Result<bool, Halt>,
) -> Result<bool, Halt> {
    match value {
        Value::List(list) => {
            for item in &list.items {
                if !visit(item.clone())? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Value::Range(from, to) => {
            for number in *from..*to {
                if !visit(Value::Int(number))? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Value::Json(array) => json::elements(array, visit),
        _ => Ok(true),
    }
}

fn failed<T>(value: &Value, to: &Type) -> Result<T, Halt> {
    let mut shown = match json::scalar_text(value) {
        Some(text) => text,
        None => value.kind_name().to_owned(),
    };
    if shown.len() > SHOWN_MAX {
        let cut = (0..=SHOWN_MAX).rev().find(|at| shown.is_char_boundary(*at)).unwrap_or(0);
        shown.truncate(cut);
        shown.push_str("...");
    }
    let to = Type { kind: to.kind.clone(), nullable: false };
    Halt::failed(format!("cannot cast '{shown}' to {to}"))
}

fn cast_scalar(value: &Value, to: &Kind) -> Option<Value> {
    if let Value::Text(text) = value {
        return from_text(text, to);
    }
    Some(match to {
        Kind::String => Value::text(&json::scalar_text(value)?),
        Kind::Byte | Kind::Short | Kind::Int | Kind::Long => {
            let number = match value {
                Value::Int(number) => *number,
                Value::Decimal(number) => number.truncated()?,
                other => {
                    let whole = other.as_double()?.trunc();
                    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
                        .contains(&whole);
                    if !fits {
                        return None;
                    }
                    whole as i64
                }
            };
            Value::Int(within(number, to)?)
        }
        Kind::Float => Value::Float(value.as_double()? as f32),
        Kind::Double => Value::Double(value.as_double()?),
        Kind::Decimal => Value::Decimal(Rc::new(match value {
            Value::Int(number) => Decimal::whole(*number),
            Value::Decimal(number) => **number,
            Value::Float(number) => Decimal::parse(&number.to_string())?,
            other => Decimal::parse(&other.as_double()?.to_string())?,
        })),
        Kind::Date => match value {
            Value::Timestamp(ms) => Value::Date(ms.div_euclid(time::DAY_MS) as i32),
            Value::Date(days) => Value::Date(*days),
            _ => return None,
        },
        Kind::Timestamp => match value {
            Value::Date(days) => Value::Timestamp(i64::from(*days) * time::DAY_MS),
            Value::Timestamp(ms) => Value::Timestamp(*ms),
            _ => return None,
        },
        Kind::Bool if matches!(value, Value::Bool(_)) => value.clone(),
        Kind::Time if matches!(value, Value::Time(_)) => value.clone(),
        Kind::Interval if matches!(value, Value::Interval(_)) => value.clone(),
        Kind::Binary if matches!(value, Value::Binary(_)) => value.clone(),
        _ => return None,
    })
}

fn within(number: i64, kind: &Kind) -> Option<i64> {
    let fits = match kind {
        Kind::Byte => i8::try_from(number).is_ok(),
        Kind::Short => i16::try_from(number).is_ok(),
        Kind::Int => i32::try_from(number).is_ok(),
        _ => true,
    };
    fits.then_some(number)
}

/// The scalar that a text says.
#[must_use]
pub fn from_text(text: &str, to: &Kind) -> Option<Value> {
    let trimmed = text.trim();
    Some(match to {
        Kind::String => Value::text(text),
        Kind::Byte | Kind::Short | Kind::Int | Kind::Long => {
            Value::Int(within(trimmed.parse().ok()?, to)?)
        }
        Kind::Float => Value::Float(double(trimmed)? as f32),
        Kind::Double => Value::Double(double(trimmed)?),
        Kind::Decimal => Value::Decimal(Rc::new(Decimal::parse(trimmed)?)),
        Kind::Bool if trimmed.eq_ignore_ascii_case("true") => Value::Bool(true),
        Kind::Bool if trimmed.eq_ignore_ascii_case("false") => Value::Bool(false),
        Kind::Date => Value::Date(time::parse_date(trimmed)?),
        Kind::Time => Value::Time(time::parse_time(trimmed)?),
        Kind::Timestamp => Value::Timestamp(time::parse_timestamp(trimmed)?),
        Kind::Interval => Value::Interval(time::parse_interval(trimmed)?),
        Kind::Binary => Value::Binary(Rc::from(STANDARD.decode(trimmed).ok()?)),
        Kind::Any(_) => Value::text(text),
        _ => return None,
    })
}

/// A number as it is usually written: no `inf`, no `nan`.
#[must_use]
pub fn double(text: &str) -> Option<f64> {
    let digit = text.bytes().any(|b| b.is_ascii_digit());
    let plain = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if digit && plain { text.parse().ok() } else { None }
}

/// The type of a value.
#[must_use]
pub fn type_of(value: &Value) -> Type {
    let kind = match value {
        Value::Unset | Value::Null => Kind::Undefined,
        Value::Bool(_) => Kind::Bool,
        Value::Int(number) if i32::try_from(*number).is_ok() => Kind::Int,
        Value::Int(_) => Kind::Long,
        Value::Float(_) => Kind::Float,
        Value::Double(_) => Kind::Double,
        Value::Decimal(_) => Kind::Decimal,
        Value::Text(_) => Kind::String,
        Value::Binary(_) => Kind::Binary,
        Value::Date(_) => Kind::Date,
        Value::Time(_) => Kind::Time,
        Value::Timestamp(_) => Kind::Timestamp,
        Value::Interval(_) => Kind::Interval,
        Value::Range(..) => return Type::collection(Kind::Long.into()).unwrap_or(Type::ANY),
        Value::Record(record) => {
            let fields = record.names.iter().zip(&record.values);
            let fields = fields.map(|(name, value)| (name.clone(), type_of(value))).collect();
            return Type::record(fields).unwrap_or(Type::ANY);
        }
        Value::Json(object) if object.is_object() => {
            let mut fields: Vec<(Name, Type)> = Vec::new();
            let _ = json::members(object, |name, value| {
                if !fields.iter().any(|(field, _)| **field == *name) {
                    fields.push((Rc::from(name), type_of(&value)));
                }
                Ok::<(), ()>(())
            });
            return Type::record(fields).unwrap_or(Type::ANY);
        }
        Value::List(_) | Value::Json(_) => {
            let mut element: Option<Type> = None;
            let _ = each_item(value, &mut |item| {
                let kind = type_of(&item);
                element = Some(match element.take() {
                    None => kind,
                    Some(before) => before.join(&kind).unwrap_or(Type::ANY),
                });
                Ok(true)
            });
            let element = element.unwrap_or(Kind::Undefined.into());
            return Type::collection(element).unwrap_or(Type::ANY);
        }
    };
    kind.into()
}

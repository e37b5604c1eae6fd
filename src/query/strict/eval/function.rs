//! Built-in functions of values (raw, 2.8): null in, null out, unless said.

use super::format;
use super::{Machine, Value};
use crate::model::time::civil;
use crate::model::value::decimal::Decimal;
use crate::query::strict::cast::each_item;
use crate::query::strict::json::scalar_text;
use crate::query::strict::operators::{mismatch, negative};
use crate::query::strict::plan::{Function, Node};
use crate::query::strict::time::{DAY_MS, interval_ms};
use crate::query::strict::value::{Halt, ListBuilder};
use std::rc::Rc;

/// 2^63: doubles from here on have no 64-bit integer.
const INTEGER_END: f64 = 9_223_372_036_854_775_808.0;

impl<'m> Machine<'m> {
    pub(super) fn function(
        &mut self,
        function: Function,
        arguments: &'m [Node],
    ) -> Result<Value, Halt> {
        match function {
            Function::Coalesce => {
                for argument in arguments {
                    let value = self.evaluate(argument)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                return Ok(Value::Null);
            }
            Function::CurrentDate => {
                return Ok(Value::Date(self.now_ms.div_euclid(DAY_MS) as i32));
            }
            Function::CurrentTimestamp => return Ok(Value::Timestamp(self.now_ms)),
            _ => {}
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = self.evaluate(argument)?;
            if value.is_null() && function != Function::Concat {
                return Ok(Value::Null);
            }
            values.push(value);
        }
        match (function, values.as_slice()) {
            (Function::Concat, parts) => self.concat(parts),
            (Function::MakeString, [list, separator]) => self.make_string(list, separator),
            (Function::Split, [value, separator]) => self.split(value, separator),
            (Function::Replace, [value, from, to]) => self.replace(value, from, to),
            (Function::Round, [number]) => round(number, 0),
            (Function::Round, [number, digits]) => round(number, integer(digits)?),
            (Function::Power, [base, exponent]) => {
                Ok(Value::Double(double(base)?.powf(double(exponent)?)))
            }
            (Function::Substring, [value, start]) => substring(value, start, None),
            (Function::Substring, [value, start, length]) => {
                substring(value, start, Some(integer(length)?))
            }
            (Function::DateTrunc, [unit, value]) => format::truncate(text(unit)?, value),
            (Function::ToDate, [value, pattern]) => {
                format::parse(text(value)?, text(pattern)?, "date")
                    .map(|ms| Value::Date(ms.div_euclid(DAY_MS) as i32))
            }
            (Function::ToTime, [value, pattern]) => {
                format::parse(text(value)?, text(pattern)?, "time")
                    .map(|ms| Value::Time(ms.rem_euclid(DAY_MS) as i32))
            }
            (Function::ToTimestamp, [value, pattern]) => {
                format::parse(text(value)?, text(pattern)?, "timestamp").map(Value::Timestamp)
            }
            (function, [value]) => self.single_argument(function, value),
            _ => Ok(Value::Null),
        }
    }

    fn single_argument(&self, function: Function, value: &Value) -> Result<Value, Halt> {
        Ok(match function {
            Function::Lower => Value::text(&text(value)?.to_lowercase()),
            Function::Upper => Value::text(&text(value)?.to_uppercase()),
            Function::Trim => Value::text(text(value)?.trim()),
            Function::Length => {
                Value::Int(i64::try_from(text(value)?.chars().count()).unwrap_or(i64::MAX))
            }
            Function::UrlEncode => Value::text(&url_encoded(text(value)?)),
            Function::Year | Function::Month | Function::Day => {
                let days = match value {
                    Value::Date(days) => i64::from(*days),
                    Value::Timestamp(ms) => ms.div_euclid(DAY_MS),
                    other => return mismatch("timestamp", other),
                };
                let (year, month, day) = civil(days);
                Value::Int(match function {
                    Function::Year => year,
                    Function::Month => month,
                    _ => day,
                })
            }
            Function::Hour | Function::Minute | Function::Second => {
                let ms = match value {
                    Value::Time(ms) => i64::from(*ms),
                    Value::Timestamp(ms) => ms.rem_euclid(DAY_MS),
                    other => return mismatch("timestamp", other),
                };
                Value::Int(match function {
                    Function::Hour => ms / 3_600_000,
                    Function::Minute => ms / 60_000 % 60,
                    _ => ms / 1000 % 60,
                })
            }
            Function::UnixTimestamp => match value {
                Value::Timestamp(ms) => Value::Int(ms.div_euclid(1000)),
                Value::Date(days) => Value::Int(i64::from(*days) * (DAY_MS / 1000)),
                other => return mismatch("timestamp", other),
            },
            Function::FromUnixTime => {
                let ms = (double(value)? * 1000.0).round();
                format::in_years(ms)?
            }
            Function::IntervalToMillis => match value {
                Value::Interval(interval) => Value::Int(interval_ms(*interval)),
                other => return mismatch("interval", other),
            },
            Function::Abs => match value {
                Value::Int(number) if *number < 0 => negative(value)?,
                Value::Float(number) => Value::Float(number.abs()),
                Value::Double(number) => Value::Double(number.abs()),
                Value::Decimal(number) if number.compare(Decimal::whole(0)).is_lt() => {
                    negative(value)?
                }
                Value::Int(_) | Value::Decimal(_) => value.clone(),
                other => return mismatch("number", other),
            },
            Function::Floor => whole(value, f64::floor)?,
            Function::Ceil => whole(value, f64::ceil)?,
            Function::Sqrt => Value::Double(double(value)?.sqrt()),
            _ => Value::Null,
        })
    }

    fn limited(&self, text: String) -> Result<Value, Halt> {
        if text.len() > self.budget.limit() {
            return Err(Halt::memory());
        }
        Ok(Value::Text(Rc::from(text)))
    }

    fn concat(&mut self, parts: &[Value]) -> Result<Value, Halt> {
        let mut joined = String::new();
        for part in parts.iter().filter(|part| !part.is_null()) {
            let part = text(part)?;
            if joined.len() + part.len() > self.budget.limit() {
                return Err(Halt::memory());
            }
            joined.push_str(part);
        }
        self.limited(joined)
    }

    fn make_string(&mut self, list: &Value, separator: &Value) -> Result<Value, Halt> {
        let separator = text(separator)?;
        if list.kind_name() != "collection" {
            return mismatch("collection", list);
        }
        let limit = self.budget.limit();
        let mut joined = String::new();
        let mut first = true;
        each_item(list, &mut |item| {
            self.tick()?;
            if item.is_null() {
                return Ok(true);
            }
            let part = match &item {
                Value::Text(text) => text.to_string(),
                number if number.as_double().is_some() => scalar_text(number).unwrap_or_default(),
                other => return mismatch("string", other),
            };
            if !first {
                joined.push_str(separator);
            }
            first = false;
            joined.push_str(&part);
            if joined.len() > limit { Err(Halt::memory()) } else { Ok(true) }
        })?;
        self.limited(joined)
    }

    fn split(&mut self, value: &Value, separator: &Value) -> Result<Value, Halt> {
        let (value, separator) = (text(value)?, text(separator)?);
        let mut list = ListBuilder::new(&self.budget);
        if separator.is_empty() {
            list.push(Value::text(value))?;
            return Ok(list.finish());
        }
        for part in value.split(separator) {
            list.push(Value::text(part))?;
        }
        Ok(list.finish())
    }

    fn replace(&mut self, value: &Value, from: &Value, to: &Value) -> Result<Value, Halt> {
        let (value, from, to) = (text(value)?, text(from)?, text(to)?);
        if from.is_empty() {
            return Ok(Value::text(value));
        }
        let count = value.matches(from).count();
        let size = value.len().saturating_add(count.saturating_mul(to.len()));
        if size > self.budget.limit() {
            return Err(Halt::memory());
        }
        self.limited(value.replace(from, to))
    }
}

fn text(value: &Value) -> Result<&str, Halt> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Null | Value::Unset => Ok(""),
        other => mismatch("string", other),
    }
}

fn integer(value: &Value) -> Result<i64, Halt> {
    match value {
        Value::Int(number) => Ok(*number),
        other => mismatch("int", other),
    }
}

fn double(value: &Value) -> Result<f64, Halt> {
    match value.as_double() {
        Some(number) => Ok(number),
        None => mismatch("number", value),
    }
}

/// Code points from `start`, which counts from 1, cut to what is there.
fn substring(value: &Value, start: &Value, length: Option<i64>) -> Result<Value, Halt> {
    let value = text(value)?;
    let from = integer(start)?.saturating_sub(1);
    let to = length.map_or(i64::MAX, |length| from.saturating_add(length.max(0)));
    let from = usize::try_from(from.max(0)).unwrap_or(usize::MAX);
    let count = usize::try_from(to.max(0)).unwrap_or(usize::MAX).saturating_sub(from);
    let part: String = value.chars().skip(from).take(count).collect();
    Ok(Value::text(&part))
}

fn url_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn whole(value: &Value, to: fn(f64) -> f64) -> Result<Value, Halt> {
    Ok(match value {
        Value::Int(_) => value.clone(),
        Value::Float(number) => Value::Float(to(f64::from(*number)) as f32),
        Value::Double(number) => Value::Double(to(*number)),
        Value::Decimal(number) => {
            let double = to(number.to_double());
            if double.abs() >= INTEGER_END {
                return Ok(Value::Double(double));
            }
            Value::Decimal(Rc::new(Decimal::whole(double as i64)))
        }
        other => return mismatch("number", other),
    })
}

/// Half away from zero; negative digits are before the point.
fn round(value: &Value, digits: i64) -> Result<Value, Halt> {
    let rounded = |number: f64| {
        if !number.is_finite() || digits > 17 {
            return number;
        }
        if digits >= 0 {
            // The decimal form decides, so that 1.005 is what it looks like.
            let exact = Decimal::parse(&number.to_string());
            if let Some(exact) = exact.and_then(|d| d.rounded(digits as u32)) {
                return exact.to_double();
            }
        }
        let factor = 10_f64.powi(digits.clamp(-400, 400) as i32);
        let scaled = number * factor;
        if scaled.is_finite() { scaled.round() / factor } else { number }
    };
    Ok(match value {
        Value::Int(_) if digits >= 0 => value.clone(),
        Value::Int(number) => {
            let Some(factor) = u32::try_from(-digits).ok().and_then(|d| 10_i64.checked_pow(d))
            else {
                return Ok(Value::Int(0));
            };
            let half = factor / 2;
            let away = if *number < 0 { -half } else { half };
            match number.checked_add(away) {
                Some(sum) => Value::Int(sum / factor * factor),
                None => return Halt::failed("integer overflow"),
            }
        }
        Value::Float(number) => Value::Float(rounded(f64::from(*number)) as f32),
        Value::Double(number) => Value::Double(rounded(*number)),
        Value::Decimal(number) => {
            let digits = u32::try_from(digits).unwrap_or(0);
            match number.rounded(digits) {
                Some(number) => Value::Decimal(Rc::new(number)),
                None => value.clone(),
            }
        }
        other => return mismatch("number", other),
    })
}

//! Operators on values (raw, 2.7). A null operand gives null; a wrong kind is an error of the run.

use super::compare;
use super::plan::{Arithmetic, Comparison};
use super::time::{DAY_MS, add_interval, add_intervals, negate};
use super::value::{Halt, Value};
use crate::model::value::decimal::Decimal;
use std::cmp::Ordering;
use std::rc::Rc;

/// `expected T but got U`
pub fn mismatch<T>(wanted: &str, got: &Value) -> Result<T, Halt> {
    Halt::failed(format!("expected {wanted} but got {}", got.kind_name()))
}

fn overflow() -> Halt {
    Halt::Failed("integer overflow".into())
}

/// Whether a number.
fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_) | Value::Double(_) | Value::Decimal(_))
}

/// A truth value; `None`: null.
///
/// # Errors
/// Another kind.
pub fn truth(value: &Value) -> Result<Option<bool>, Halt> {
    match value {
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::Null | Value::Unset => Ok(None),
        other => mismatch("bool", other),
    }
}

/// `+ - * / %`; a joined string has at most `text_max` bytes.
///
/// # Errors
/// Overflow, division by zero, a wrong kind.
pub fn arithmetic(
    operator: Arithmetic,
    left: &Value,
    right: &Value,
    text_max: usize,
) -> Result<Value, Halt> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => integers(operator, *a, *b),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(doubles(operator, *a, *b))),
        _ if left.is_null() || right.is_null() => Ok(Value::Null),
        _ if is_number(left) => {
            if !is_number(right) {
                return mismatch("number", right);
            }
            mixed(operator, left, right)
        }
        _ if matches!(operator, Arithmetic::Add | Arithmetic::Subtract) => {
            sum(operator == Arithmetic::Subtract, left, right, text_max)
        }
        _ => mismatch("number", left),
    }
}

fn integers(operator: Arithmetic, a: i64, b: i64) -> Result<Value, Halt> {
    let result = match operator {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide | Arithmetic::Remainder if b == 0 => {
            return Halt::failed("division by zero");
        }
        Arithmetic::Divide => a.checked_div(b),
        // The smallest integer leaves nothing over when divided by -1.
        Arithmetic::Remainder => Some(a.wrapping_rem(b)),
    };
    result.map(Value::Int).ok_or_else(overflow)
}

fn doubles(operator: Arithmetic, a: f64, b: f64) -> f64 {
    match operator {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => a % b,
    }
}

fn mixed(operator: Arithmetic, left: &Value, right: &Value) -> Result<Value, Halt> {
    let exact = |value: &Value| match value {
        Value::Int(number) => Some(Decimal::whole(*number)),
        Value::Decimal(number) => Some(**number),
        _ => None,
    };
    if let (Some(a), Some(b)) = (exact(left), exact(right)) {
        return decimals(operator, a, b);
    }
    let (a, b) = (left.as_double().unwrap_or(f64::NAN), right.as_double().unwrap_or(f64::NAN));
    let result = doubles(operator, a, b);
    if matches!(left, Value::Double(_)) || matches!(right, Value::Double(_)) {
        return Ok(Value::Double(result));
    }
    Ok(Value::Float(result as f32))
}

fn decimals(operator: Arithmetic, a: Decimal, b: Decimal) -> Result<Value, Halt> {
    let result = match operator {
        Arithmetic::Add => a.plus(b),
        Arithmetic::Subtract => b.negate().and_then(|b| a.plus(b)),
        Arithmetic::Multiply => a.multiply(b),
        Arithmetic::Divide | Arithmetic::Remainder if b.is_zero() => {
            return Halt::failed("division by zero");
        }
        Arithmetic::Divide => a.divide(b),
        Arithmetic::Remainder => a.remainder(b),
    };
    let result = result.ok_or_else(|| Halt::Failed("decimal overflow".into()))?;
    Ok(Value::Decimal(Rc::new(result)))
}

/// `+` and `-` of what is no number.
fn sum(minus: bool, left: &Value, right: &Value, text_max: usize) -> Result<Value, Halt> {
    let late = || Halt::Failed("timestamp overflow".into());
    match (left, right) {
        (Value::Text(a), Value::Text(b)) if !minus => {
            if a.len() + b.len() > text_max {
                return Err(Halt::memory());
            }
            let mut text = String::with_capacity(a.len() + b.len());
            text.push_str(a);
            text.push_str(b);
            Ok(Value::Text(Rc::from(text)))
        }
        (Value::Text(_), other) if !minus => mismatch("string", other),
        (Value::Date(a), Value::Date(b)) if minus => Ok(interval(i64::from(*a) - i64::from(*b), 0)),
        (Value::Timestamp(a), Value::Timestamp(b)) if minus => {
            let ms = a.checked_sub(*b).ok_or_else(overflow)?;
            Ok(interval(ms / DAY_MS, ms % DAY_MS))
        }
        (
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::Interval(_),
            Value::Interval(span),
        ) => {
            let span = if minus { negate(*span).ok_or_else(overflow)? } else { *span };
            match left {
                Value::Date(days) => {
                    let ms = add_interval(i64::from(*days) * DAY_MS, span).ok_or_else(late)?;
                    Ok(Value::Date(ms.div_euclid(DAY_MS) as i32))
                }
                Value::Timestamp(ms) => {
                    Ok(Value::Timestamp(add_interval(*ms, span).ok_or_else(late)?))
                }
                Value::Time(ms) => {
                    let sum = (i64::from(*ms) + span.ms % DAY_MS).rem_euclid(DAY_MS);
                    Ok(Value::Time(sum as i32))
                }
                Value::Interval(first) => {
                    Ok(Value::Interval(add_intervals(*first, span).ok_or_else(overflow)?))
                }
                other => mismatch("number", other),
            }
        }
        (Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::Interval(_), other) => {
            mismatch("interval", other)
        }
        (other, _) => mismatch("number", other),
    }
}

fn interval(days: i64, ms: i64) -> Value {
    let days = i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX });
    Value::Interval(crate::model::value::Interval { months: 0, days, ms })
}

/// The number with the other sign.
///
/// # Errors
/// Overflow, no number.
pub fn negative(value: &Value) -> Result<Value, Halt> {
    match value {
        Value::Null | Value::Unset => Ok(Value::Null),
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Float(number) => Ok(Value::Float(-number)),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Decimal(number) => {
            let negated = number.negate().ok_or_else(overflow)?;
            Ok(Value::Decimal(Rc::new(negated)))
        }
        other => mismatch("number", other),
    }
}

/// A comparison; `None`: null. Values of different kinds are unequal and have no order.
#[must_use]
pub fn compare(operator: Comparison, left: &Value, right: &Value) -> Option<bool> {
    if left.is_null() || right.is_null() {
        return None;
    }
    let comparable = compare::same_kind(left, right);
    match operator {
        Comparison::Equal | Comparison::NotEqual => {
            let equal = comparable && !compare::is_nan(left) && compare::same(left, right);
            Some(equal == (operator == Comparison::Equal))
        }
        _ if !comparable => None,
        _ if compare::is_nan(left) || compare::is_nan(right) => Some(false),
        _ => {
            let ordering = compare::order(left, right);
            Some(match operator {
                Comparison::Less => ordering == Ordering::Less,
                Comparison::LessEqual => ordering != Ordering::Greater,
                Comparison::Greater => ordering == Ordering::Greater,
                _ => ordering != Ordering::Less,
            })
        }
    }
}

/// `LIKE`: `%` any run, `_` one code point, `\` escapes. `tick` is asked every so often.
///
/// # Errors
/// Those of `tick`.
pub fn like(
    text: &str,
    pattern: &str,
    tick: &mut dyn FnMut() -> Result<(), Halt>,
) -> Result<bool, Halt> {
    // On a mismatch the last `%` takes one more code point.
    let (mut text_rest, mut pattern_rest) = (text.chars(), pattern.chars());
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    let mut steps = 0_u32;
    loop {
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(65_536) {
            tick()?;
        }
        let mut after = pattern_rest.clone();
        let matched = match after.next() {
            None if text_rest.as_str().is_empty() => return Ok(true),
            None => false,
            Some('%') => {
                if after.as_str().is_empty() {
                    return Ok(true);
                }
                retry = Some((text_rest.clone(), after.clone()));
                pattern_rest = after;
                continue;
            }
            Some('_') => text_rest.next().is_some(),
            Some('\\') => {
                let wanted = after.next().unwrap_or('\\');
                text_rest.next() == Some(wanted)
            }
            Some(wanted) => text_rest.next() == Some(wanted),
        };
        if matched {
            pattern_rest = after;
            continue;
        }
        let Some((start, resume)) = &mut retry else { return Ok(false) };
        if start.next().is_none() {
            return Ok(false);
        }
        text_rest = start.clone();
        pattern_rest = resume.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let mut tick = || Ok(());
        for (text, pattern, yes) in [
            ("", "", true),
            ("", "%", true),
            ("a", "", false),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("aéc", "a_c", true),
            ("abc", "%b%", true),
            ("abc", "a__", true),
            ("abc", "a_", false),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("aXbXc", "a%X%c", true),
            ("mississippi", "%iss%ip%i", true),
            ("a\\", "a\\", true),
        ] {
            assert_eq!(like(text, pattern, &mut tick), Ok(yes), "{text} {pattern}");
        }
    }
}

//! Operators of one and two operands.

use super::{compare, to_number, to_text, truthy};
use crate::model::value::{Value, same};
use crate::query::program::Fault;
use std::cmp::Ordering;

/// An operator of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `!`
    Not,
    /// `-`
    Negate,
    /// `+`
    Number,
    /// `is null`
    IsNull,
    /// `is defined`
    IsDefined,
    /// Whether it is truthy.
    Truth,
}

impl Unary {
    /// Applies it.
    #[must_use]
    pub fn apply<'a>(self, value: &Value<'a>) -> Value<'a> {
        match self {
            Unary::Not => Value::Bool(!truthy(value)),
            Unary::Negate => match value {
                Value::Int(n) => n.checked_neg().map_or(Value::Double(-(*n as f64)), Value::Int),
                other => Value::Double(-to_number(other)),
            },
            Unary::Number => match value {
                Value::Int(_) | Value::Double(_) | Value::Decimal(_) => value.clone(),
                other => Value::Double(to_number(other)),
            },
            Unary::IsNull => Value::Bool(matches!(value, Value::Null)),
            Unary::IsDefined => Value::Bool(!matches!(value, Value::Missing)),
            Unary::Truth => Value::Bool(truthy(value)),
        }
    }
}

/// An operator of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `+`: joins if either side is a string, else adds.
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in` an array value; any other value is one candidate.
    In,
    /// `contains`
    Contains,
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
    /// `like`
    Like,
    /// `matches` with a pattern that is not known before.
    Matches,
}

impl Binary {
    /// Applies it.
    ///
    /// # Errors
    /// A pattern of `matches` that is none.
    pub fn apply<'a>(self, left: &Value<'a>, right: &Value<'a>) -> Result<Value<'a>, Fault> {
        let number = |f: fn(f64, f64) -> f64| Value::Double(f(to_number(left), to_number(right)));
        let order = |f: fn(Ordering) -> bool| Value::Bool(compare(left, right).is_some_and(f));
        let strings = |f: fn(&str, &str) -> bool| match (left, right) {
            (Value::String(a), Value::String(b)) => Value::Bool(f(a, b)),
            _ => Value::Bool(false),
        };
        Ok(match self {
            Binary::Add => {
                if matches!(left, Value::String(_)) || matches!(right, Value::String(_)) {
                    let mut text = to_text(left).into_owned();
                    text.push_str(&to_text(right));
                    Value::text(text)
                } else {
                    number(|a, b| a + b)
                }
            }
            Binary::Subtract => number(|a, b| a - b),
            Binary::Multiply => number(|a, b| a * b),
            Binary::Divide => number(|a, b| a / b),
            Binary::Remainder => number(|a, b| a % b),
            Binary::Equal => Value::Bool(same(left, right)),
            Binary::NotEqual => Value::Bool(!same(left, right)),
            Binary::Less => order(Ordering::is_lt),
            Binary::LessOrEqual => order(Ordering::is_le),
            Binary::Greater => order(Ordering::is_gt),
            Binary::GreaterOrEqual => order(Ordering::is_ge),
            Binary::In => Value::Bool(match right.elements() {
                Some(list) => list.iter().any(|v| same(left, v)),
                None => same(left, right),
            }),
            Binary::Contains => strings(|a, b| a.contains(b)),
            Binary::StartsWith => strings(|a, b| a.starts_with(b)),
            Binary::EndsWith => strings(|a, b| a.ends_with(b)),
            Binary::Like => strings(like),
            Binary::Matches => match (left, right) {
                (Value::String(text), Value::String(pattern)) => {
                    Value::Bool(super::functions::pattern(pattern)?.is_match(text))
                }
                _ => Value::Bool(false),
            },
        })
    }
}

/// `%` is any run, `_` one character; everything else stands for itself. Linear in the text for
/// each `%`, never exponential.
fn like(text: &str, pattern: &str) -> bool {
    let (mut t, mut p) = (text.chars(), pattern.chars());
    // Where to go on if what follows the last `%` does not fit.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before = t.clone();
        match (p.next(), t.next()) {
            (None, None) => return true,
            (Some('%'), _) => {
                retry = Some((before.clone(), p.clone()));
                t = before;
                continue;
            }
            (Some('_'), Some(_)) => continue,
            (Some(a), Some(b)) if a == b => continue,
            _ => {}
        }
        let Some((mut from, after)) = retry.take() else { return false };
        if from.next().is_none() {
            return false;
        }
        (t, p) = (from.clone(), after.clone());
        retry = Some((from, after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_has_two_wildcards() {
        for (text, pattern, want) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("", "%", true),
            ("", "_", false),
            ("aab", "%ab", true),
            ("ab", "ab%%", true),
            ("größe", "gr__e", true),
            ("größe", "gr___e", false),
            ("größe", "gr%e", true),
        ] {
            assert_eq!(like(text, pattern), want, "{text} like {pattern}");
        }
        assert!(!like(&"a".repeat(10_000), &format!("{}b", "%a".repeat(30))));
    }
}

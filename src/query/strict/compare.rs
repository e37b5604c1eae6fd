//! Equality, order and hashes of values (raw, 2.6 and 2.7).
//!
//! [`order`] is total and [`same`] agrees with it; [`hash`] agrees with both. Numbers of different
//! types are compared by their exact values.

use super::json;
use super::time::interval_ms;
use super::value::Value;
use crate::model::value::decimal::Decimal;
use std::cmp::Ordering;
use std::hash::Hasher;
use std::rc::Rc;

/// Place of a kind in the order of values.
fn class(value: &Value) -> u8 {
    match value {
        Value::Unset | Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Float(_) | Value::Double(_) | Value::Decimal(_) => 2,
        Value::Text(_) => 3,
        Value::Date(_) => 4,
        Value::Time(_) => 5,
        Value::Timestamp(_) => 6,
        Value::Interval(_) => 7,
        Value::Binary(_) => 8,
        Value::Record(_) => 9,
        Value::Json(json) if json.is_object() => 9,
        Value::List(_) | Value::Range(..) | Value::Json(_) => 10,
    }
}

/// Whether both are of one kind, numbers being one.
#[must_use]
pub fn same_kind(left: &Value, right: &Value) -> bool {
    class(left) == class(right)
}

/// Whether the value is not a number.
#[must_use]
pub fn is_nan(value: &Value) -> bool {
    value.as_double().is_some_and(f64::is_nan)
}

/// The order of values: null, booleans, numbers, strings, dates, times, timestamps, intervals,
/// binaries, records, collections.
#[must_use]
pub fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) | (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Interval(a), Value::Interval(b)) => interval_ms(*a).cmp(&interval_ms(*b)),
        (Value::Binary(a), Value::Binary(b)) => a.cmp(b),
        _ => match (class(left), class(right)) {
            (2, 2) => numbers(left, right),
            (9, 9) => records(left, right),
            (10, 10) => lists(left, right),
            (a, b) => a.cmp(&b),
        },
    }
}

/// Whether they are the same value: same kind, 1 and 1.0 equal, null equal to null.
#[must_use]
pub fn same(left: &Value, right: &Value) -> bool {
    order(left, right) == Ordering::Equal
}

fn numbers(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Decimal(a), Value::Decimal(b)) => a.compare(**b),
        (Value::Decimal(a), Value::Int(b)) => a.compare(Decimal::whole(*b)),
        (Value::Int(a), Value::Decimal(b)) => Decimal::whole(*a).compare(**b),
        (Value::Int(a), b) => integer_double(*a, b.as_double().unwrap_or(f64::NAN)),
        (a, Value::Int(b)) => integer_double(*b, a.as_double().unwrap_or(f64::NAN)).reverse(),
        (a, b) => {
            let (a, b) = (a.as_double().unwrap_or(f64::NAN), b.as_double().unwrap_or(f64::NAN));
            a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
    }
}

/// Exact; what is not a number is greater than all numbers.
fn integer_double(integer: i64, double: f64) -> Ordering {
    if double.is_nan() || double >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if double < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let whole = double.trunc();
    let rest = || 0.0.partial_cmp(&(double - whole)).unwrap_or(Ordering::Equal);
    integer.cmp(&(whole as i64)).then_with(rest)
}

/// The fields of a record, by name.
fn sorted_fields(value: &Value) -> Vec<(Rc<str>, Value)> {
    let mut list = Vec::new();
    match value {
        Value::Record(record) => {
            list.extend(record.names.iter().cloned().zip(record.values.iter().cloned()));
        }
        Value::Json(object) => {
            let _ = json::members(object, |name, value| {
                list.push((Rc::from(name), value));
                Ok::<(), ()>(())
            });
        }
        _ => {}
    }
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list.dedup_by(|later, first| later.0 == first.0);
    list
}

fn records(left: &Value, right: &Value) -> Ordering {
    let (left, right) = (sorted_fields(left), sorted_fields(right));
    for ((left_name, left), (right_name, right)) in left.iter().zip(&right) {
        let ordering = left_name.cmp(right_name).then_with(|| order(left, right));
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    left.len().cmp(&right.len())
}

fn items(value: &Value) -> Vec<Value> {
    let mut list = Vec::new();
    if let Value::Json(array) = value {
        let _ = json::elements(array, |item| {
            list.push(item);
            Ok::<bool, ()>(true)
        });
    }
    list
}

fn lists(left: &Value, right: &Value) -> Ordering {
    let held: [Vec<Value>; 2] = [items(left), items(right)];
    let at = |value: &Value, held: &[Value], index: usize| match value {
        Value::List(list) => list.items.get(index).cloned(),
        Value::Range(from, to) => i64::try_from(index)
            .ok()
            .and_then(|i| from.checked_add(i))
            .filter(|n| n < to)
            .map(Value::Int),
        _ => held.get(index).cloned(),
    };
    if let (Value::Range(a, b), Value::Range(c, d)) = (left, right) {
        // Without walking them: equal, or different where they begin or end.
        let (empty, other) = (a >= b, c >= d);
        return match (empty, other) {
            (false, false) => a.cmp(c).then(b.cmp(d)),
            _ => other.cmp(&empty),
        };
    }
    let [left_held, right_held] = &held;
    for index in 0.. {
        match (at(left, left_held, index), at(right, right_held, index)) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match order(&a, &b) {
                Ordering::Equal => {}
                ordering => return ordering,
            },
        }
    }
    Ordering::Equal
}

/// Adds a value to a hash: same values, same hashes.
pub fn hash(value: &Value, state: &mut impl Hasher) {
    state.write_u8(class(value));
    match value {
        Value::Unset | Value::Null => {}
        Value::Bool(flag) => state.write_u8(u8::from(*flag)),
        Value::Int(_) | Value::Float(_) | Value::Double(_) | Value::Decimal(_) => {
            hash_number(value, state);
        }
        Value::Text(text) => state.write(text.as_bytes()),
        Value::Date(number) | Value::Time(number) => state.write_i32(*number),
        Value::Timestamp(ms) => state.write_i64(*ms),
        Value::Interval(interval) => state.write_i64(interval_ms(*interval)),
        Value::Binary(bytes) => state.write(bytes),
        Value::Record(_) => hash_fields(value, state),
        Value::Json(json) if json.is_object() => hash_fields(value, state),
        Value::Json(_) => items(value).iter().for_each(|item| hash(item, state)),
        Value::List(list) => list.items.iter().for_each(|item| hash(item, state)),
        // A range that nobody could hold as a list is like no list, whatever its hash.
        Value::Range(from, to) => {
            (*from..*to).take(1 << 20).for_each(|number| hash(&Value::Int(number), state));
        }
    }
}

fn hash_fields(value: &Value, state: &mut impl Hasher) {
    for (name, value) in sorted_fields(value) {
        state.write(name.as_bytes());
        hash(&value, state);
    }
}

fn hash_number(value: &Value, state: &mut impl Hasher) {
    let whole = match value {
        Value::Int(number) => Some(*number),
        Value::Decimal(number) => number.as_integer(),
        other => other
            .as_double()
            .filter(|n| n.trunc() == *n && n.abs() < 9_223_372_036_854_775_808.0)
            .map(|n| n as i64),
    };
    match whole {
        Some(number) => state.write_i64(number),
        None => {
            let double = value.as_double().unwrap_or(f64::NAN);
            state.write_u64(if double.is_nan() { u64::MAX } else { double.to_bits() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::strict::json::of_checked;

    #[test]
    fn numbers_of_all_types_are_compared_exactly() {
        let big = i64::MAX;
        assert_eq!(order(&Value::Int(big), &Value::Double(big as f64)), Ordering::Less);
        assert_eq!(order(&Value::Int(1), &Value::Double(1.5)), Ordering::Less);
        assert_eq!(order(&Value::Int(-1), &Value::Double(-1.5)), Ordering::Greater);
        assert!(same(&Value::Int(1), &Value::Double(1.0)));
        assert!(same(&Value::Double(0.0), &Value::Double(-0.0)));
        assert_eq!(order(&Value::Double(f64::NAN), &Value::Int(big)), Ordering::Greater);
    }

    #[test]
    fn kinds_have_their_order_and_hashes_agree() {
        let texts = ["null", "false", "1", "2.5", "\"a\"", "{\"a\":1}", "[1]", "[1,2]"];
        let values: Vec<Value> = texts.iter().map(|t| of_checked(t.as_bytes())).collect();
        for (index, left) in values.iter().enumerate() {
            for (other, right) in values.iter().enumerate() {
                assert_eq!(order(left, right), index.cmp(&other), "{left:?} {right:?}");
            }
        }
        let hashed = |value: &Value| {
            let mut state = std::hash::DefaultHasher::new();
            hash(value, &mut state);
            state.finish()
        };
        for (left, right) in [
            (of_checked(b"{\"a\":1,\"b\":[1,2]}"), of_checked(b"{ \"b\":[1.0,2], \"a\":1.0}")),
            (Value::Range(1, 3), of_checked(b"[1,2]")),
        ] {
            assert!(same(&left, &right));
            assert_eq!(hashed(&left), hashed(&right));
        }
    }
}

//! The scalar functions of JET: a table of names, numbers of arguments and what they do.
//! `if`, `iff` and `case` are branches and not in it.

use super::{format_date, parse_date, sort_order, to_number, to_text, truthy, type_name};
use crate::model::value::{Style, Value, canonical, read_json, same, write_value};
use crate::query::program::{Fault, Function, World};
use std::cell::RefCell;
use std::cmp::Ordering;

type Out<'a> = Result<Value<'a>, Fault>;

/// No bound on the number of arguments.
const ANY: usize = usize::MAX;
/// Bytes that a function makes at most.
const TEXT_BYTES_MAX: usize = 1 << 20;

macro_rules! table {
    ($($name:literal $least:expr, $most:expr => $run:expr;)*) => {
        /// Every function, by name in lower case.
        pub static FUNCTIONS: &[Function] =
            &[$(Function { name: $name, least: $least, most: $most, run: $run },)*];
    };
}

table! {
    "abs" 1, 1 => |a, _| math(a, f64::abs);
    "add" 1, ANY => |a, _| fold(a, |x, y| x + y);
    "ago" 1, 1 => |a, w| Ok(Value::Double(w.now_ms as f64 - first(a)));
    "and" 1, ANY => |a, _| Ok(Value::Bool(a.iter().all(truthy)));
    "array_contains" 2, 2 => |a, _| Ok(Value::Bool(array_contains(a)));
    "array_length" 1, 1 => |a, _| Ok(array_length(a));
    "bin" 2, 2 => |a, _| two(a, |e, size| (e / size).floor() * size);
    "ceil" 1, 1 => |a, _| math(a, f64::ceil);
    "coalesce" 1, ANY => |a, _| Ok(a.iter().find(|v| v.is_some()).cloned().unwrap_or_default());
    "concat" 0, ANY => |a, _| concat(a);
    "div" 2, 2 => |a, _| two(a, |x, y| x / y);
    "eq" 2, 2 => |a, _| compare_with(a, |l, r| same(l, r));
    "exists" 1, 1 => |a, _| Ok(Value::Bool(!matches!(a.first(), Some(Value::Missing) | None)));
    "exp" 1, 1 => |a, _| exp(a);
    "floor" 1, 1 => |a, _| math(a, f64::floor);
    "format_date" 1, 2 => |a, _| formatted(a);
    "ge" 2, 2 => |a, _| ordered(a, Ordering::is_ge);
    "generate_id" 0, 0 => |_, w| Ok(generate_id(w));
    "gt" 2, 2 => |a, _| ordered(a, Ordering::is_gt);
    "hash" 1, 1 => |a, _| Ok(hash(a));
    "isnull" 1, 1 => |a, _| Ok(Value::Bool(!a.first().is_some_and(Value::is_some)));
    "keys" 1, 1 => |a, _| Ok(keys(a));
    "le" 2, 2 => |a, _| ordered(a, Ordering::is_le);
    "length" 1, 1 => |a, _| Ok(a.first().map(|v| super::member(v, "length")).unwrap_or_default());
    "log" 1, 1 => |a, _| math(a, f64::ln);
    "log10" 1, 1 => |a, _| math(a, f64::log10);
    "lt" 2, 2 => |a, _| ordered(a, Ordering::is_lt);
    "max" 1, ANY => |a, _| Ok(extreme(a, Ordering::Greater));
    "min" 1, ANY => |a, _| Ok(extreme(a, Ordering::Less));
    "mod" 2, 2 => |a, _| two(a, |x, y| x % y);
    "mul" 1, ANY => |a, _| fold(a, |x, y| x * y);
    "ne" 2, 2 => |a, _| compare_with(a, |l, r| !same(l, r));
    "neg" 1, 1 => |a, _| math(a, |x| -x);
    "not" 1, 1 => |a, _| Ok(Value::Bool(!a.first().is_some_and(truthy)));
    "now" 0, 0 => |_, w| Ok(Value::Int(w.now_ms));
    "or" 1, ANY => |a, _| Ok(Value::Bool(a.iter().any(truthy)));
    "parse_date" 1, 1 => |a, _| Ok(text(a).and_then(parse_date).map_or(Value::Null, Value::Int));
    "parse_json" 1, 1 => |a, _| Ok(text(a).and_then(read_json).map_or(Value::Null, |v| v.own()));
    "pi" 0, 0 => |_, _| Ok(Value::Double(std::f64::consts::PI));
    "pow" 2, 2 => |a, _| two(a, f64::powf);
    "replace" 3, 3 => |a, _| replace(a);
    "round" 1, 2 => |a, _| Ok(round(a));
    "sign" 1, 1 => |a, _| math(a, |x| if x == 0.0 || x.is_nan() { x } else { x.signum() });
    "split" 2, 2 => |a, _| Ok(split(a));
    "sqrt" 1, 1 => |a, _| math(a, f64::sqrt);
    "sub" 2, 2 => |a, _| two(a, |x, y| x - y);
    "substring" 2, 3 => |a, _| Ok(substring(a));
    "to_json" 1, 1 => |a, _| Ok(to_json(a));
    "to_lower" 1, 1 => |a, _| map_text(a, |t| t.to_lowercase());
    "to_upper" 1, 1 => |a, _| map_text(a, |t| t.to_uppercase());
    "tobool" 1, 1 => |a, _| Ok(Value::Bool(a.first().is_some_and(truthy)));
    "tonumber" 1, 1 => |a, _| Ok(to_numeric(a));
    "tostring" 1, 1 => |a, _| Ok(Value::text(to_text(arg(a, 0)).into_owned()));
    "trim" 1, 1 => |a, _| map_text(a, |t| t.trim().to_owned());
    "typeof" 1, 1 => |a, _| Ok(Value::text(type_name(arg(a, 0))));
}

/// The function of that name in lower case.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

const MISSING: &Value<'static> = &Value::Missing;

fn arg<'v, 'a>(list: &'v [Value<'a>], index: usize) -> &'v Value<'a> {
    list.get(index).unwrap_or(MISSING)
}

fn first(list: &[Value<'_>]) -> f64 {
    to_number(arg(list, 0))
}

fn text<'v>(list: &'v [Value<'_>]) -> Option<&'v str> {
    match list.first() {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn math<'a>(list: &[Value<'a>], f: fn(f64) -> f64) -> Out<'a> {
    Ok(Value::Double(f(first(list))))
}

fn two<'a>(list: &[Value<'a>], f: fn(f64, f64) -> f64) -> Out<'a> {
    Ok(Value::Double(f(first(list), to_number(arg(list, 1)))))
}

fn fold<'a>(list: &[Value<'a>], f: fn(f64, f64) -> f64) -> Out<'a> {
    Ok(Value::Double(list.iter().map(to_number).reduce(f).unwrap_or(f64::NAN)))
}

fn compare_with<'a>(list: &[Value<'a>], f: fn(&Value<'a>, &Value<'a>) -> bool) -> Out<'a> {
    Ok(Value::Bool(f(arg(list, 0), arg(list, 1))))
}

fn ordered<'a>(list: &[Value<'a>], f: fn(Ordering) -> bool) -> Out<'a> {
    Ok(Value::Bool(super::compare(arg(list, 0), arg(list, 1)).is_some_and(f)))
}

fn exp<'a>(list: &[Value<'a>]) -> Out<'a> {
    Ok(match arg(list, 0) {
        Value::Int(_) | Value::Double(_) | Value::Decimal(_) => Value::Double(first(list).exp()),
        _ => Value::Null,
    })
}

fn extreme<'a>(list: &[Value<'a>], wanted: Ordering) -> Value<'a> {
    if list.iter().all(|v| matches!(v, Value::String(_))) {
        let better = |a: Value<'a>, b: &Value<'a>| {
            if sort_order(b, &a) == wanted { b.clone() } else { a }
        };
        let mut rest = list.iter();
        return rest.next().map(|first| rest.fold(first.clone(), better)).unwrap_or_default();
    }
    let mut best: Option<(&Value<'a>, f64)> = None;
    for value in list {
        let number = to_number(value);
        if number.is_nan() {
            return Value::Double(f64::NAN);
        }
        if best.is_none_or(|(_, b)| number.partial_cmp(&b) == Some(wanted)) {
            best = Some((value, number));
        }
    }
    match best {
        Some((value @ (Value::Int(_) | Value::Double(_) | Value::Decimal(_)), _)) => value.clone(),
        Some((_, number)) => Value::Double(number),
        None => Value::Missing,
    }
}

fn concat<'a>(list: &[Value<'a>]) -> Out<'a> {
    let mut out = String::new();
    for value in list {
        out.push_str(&to_text(value));
        if out.len() > TEXT_BYTES_MAX {
            return Err(Fault::new("concat: the text is longer than 1 MiB"));
        }
    }
    Ok(Value::text(out))
}

fn map_text<'a>(list: &[Value<'a>], f: fn(&str) -> String) -> Out<'a> {
    Ok(match arg(list, 0) {
        value if !value.is_some() => value.clone(),
        value => Value::text(f(&to_text(value))),
    })
}

fn substring<'a>(list: &[Value<'a>]) -> Value<'a> {
    if !arg(list, 0).is_some() {
        return arg(list, 0).clone();
    }
    let whole = to_text(arg(list, 0));
    let count = |value: &Value<'_>| to_number(value).max(0.0) as usize;
    let start = count(arg(list, 1));
    let length = list.get(2).map_or(usize::MAX, count);
    Value::text(whole.chars().skip(start).take(length).collect::<String>())
}

fn replace<'a>(list: &[Value<'a>]) -> Out<'a> {
    if !arg(list, 0).is_some() {
        return Ok(arg(list, 0).clone());
    }
    let (whole, from, to) = (to_text(arg(list, 0)), to_text(arg(list, 1)), to_text(arg(list, 2)));
    if from.is_empty() {
        return Ok(Value::text(whole.into_owned()));
    }
    let grown = whole.len() / from.len() * to.len();
    if grown > TEXT_BYTES_MAX {
        return Err(Fault::new("replace: the text is longer than 1 MiB"));
    }
    Ok(Value::text(whole.replace(&*from, &to)))
}

fn split<'a>(list: &[Value<'a>]) -> Value<'a> {
    if !arg(list, 0).is_some() {
        return Value::Missing;
    }
    let (whole, by) = (to_text(arg(list, 0)), to_text(arg(list, 1)));
    let parts: Vec<Value<'a>> = if by.is_empty() {
        whole.chars().map(|c| Value::text(c.to_string())).collect()
    } else {
        whole.split(&*by).map(|part| Value::text(part.to_owned())).collect()
    };
    Value::list(parts)
}

fn round<'a>(list: &[Value<'a>]) -> Value<'a> {
    let number = first(list);
    let digits = list.get(1).map_or(0.0, to_number).clamp(-300.0, 300.0);
    if digits == 0.0 || digits.is_nan() {
        return Value::Double(number.round());
    }
    let scale = 10_f64.powi(digits as i32);
    let scaled = number * scale;
    // 1.005 * 100 is 100.49999999999999: what prints as a half is a half.
    let nudged = scaled + scaled.signum() * scaled.abs() * f64::EPSILON;
    let rounded = nudged.round() / scale;
    Value::Double(if rounded.is_finite() { rounded } else { number })
}

fn to_numeric<'a>(list: &[Value<'a>]) -> Value<'a> {
    match arg(list, 0) {
        value @ (Value::Int(_) | Value::Double(_) | Value::Decimal(_)) => value.clone(),
        value => Value::Double(to_number(value)),
    }
}

fn array_length<'a>(list: &[Value<'a>]) -> Value<'a> {
    arg(list, 0).elements().map_or(Value::Null, |elements| Value::Int(elements.len() as i64))
}

fn array_contains(list: &[Value<'_>]) -> bool {
    arg(list, 0).elements().is_some_and(|all| all.iter().any(|v| same(v, arg(list, 1))))
}

fn keys<'a>(list: &[Value<'a>]) -> Value<'a> {
    let Some(fields) = list.first().and_then(Value::fields) else { return Value::Null };
    Value::list(fields.iter().map(|(name, _)| Value::String(name.clone())).collect())
}

fn to_json<'a>(list: &[Value<'a>]) -> Value<'a> {
    let mut out = Vec::new();
    write_value(arg(list, 0), Style::Script, &mut out);
    Value::text(String::from_utf8(out).unwrap_or_default())
}

fn formatted<'a>(list: &[Value<'a>]) -> Out<'a> {
    let ms = first(list);
    if !arg(list, 0).is_some() || !ms.is_finite() {
        return Ok(Value::Null);
    }
    let format = match list.get(1) {
        Some(Value::String(format)) => Some(&**format),
        _ => None,
    };
    format_date(ms as i64, format).map(Value::text)
}

/// FNV-1a of the canonical text, 64 bits in hex: the same on every box and in every version.
fn hash<'a>(list: &[Value<'a>]) -> Value<'a> {
    let mut bytes = Vec::new();
    canonical(arg(list, 0), &mut bytes);
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    Value::text(format!("{hash:016x}"))
}

/// Differs from every other of this process, and in practice from those of others.
fn generate_id<'a>(world: &World<'a>) -> Value<'a> {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Value::text(format!("{:x}-{number:x}", world.now_ms))
}

thread_local! {
    /// The last patterns, so that one that comes with each record is compiled once.
    static PATTERNS: RefCell<Vec<(String, regex::Regex)>> = const { RefCell::new(Vec::new()) };
}
const PATTERNS_MAX: usize = 16;

/// The pattern of a text that comes with a record.
///
/// # Errors
/// As [`fixed_pattern`].
pub(super) fn pattern(text: &str) -> Result<regex::Regex, Fault> {
    PATTERNS.with_borrow_mut(|known| {
        if let Some((_, pattern)) = known.iter().find(|(key, _)| key == text) {
            return Ok(pattern.clone());
        }
        let pattern = fixed_pattern(text)?;
        if known.len() >= PATTERNS_MAX {
            known.remove(0);
        }
        known.push((text.to_owned(), pattern.clone()));
        Ok(pattern)
    })
}

/// The pattern of a text that a program holds.
///
/// # Errors
/// It is none, or its automaton would be larger than 1 MiB.
pub(crate) fn fixed_pattern(text: &str) -> Result<regex::Regex, Fault> {
    let built = regex::RegexBuilder::new(text).size_limit(1 << 20).dfa_size_limit(1 << 20).build();
    built.map_err(|error| Fault::new(bad_pattern(&error)))
}

/// One line that says what is wrong with a pattern.
#[must_use]
pub fn bad_pattern(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    format!("bad regular expression: {}", last.trim_start_matches("error: "))
}

//! Times by pattern and by unit.

use super::Value;
use crate::model::time::civil;
use crate::query::strict::operators::mismatch;
use crate::query::strict::time::{DAY_MS, days_of};
use crate::query::strict::value::Halt;

/// Letters of a pattern and how many digits each has.
const PARTS: &[(&str, usize)] =
    &[("yyyy", 4), ("SSS", 3), ("MM", 2), ("dd", 2), ("HH", 2), ("mm", 2), ("ss", 2)];

/// Reads `text` as `pattern` says, in milliseconds since 1970; what the pattern leaves out is its
/// first value.
///
/// # Errors
/// The text is otherwise.
pub(super) fn parse(text: &str, pattern: &str, kind: &str) -> Result<i64, Halt> {
    let failed = || Halt::Failed(format!("cannot cast '{text}' to {kind}").into());
    let mut fields = [1970_i64, 0, 1, 1, 0, 0, 0];
    let (mut rest, mut pattern) = (text, pattern);
    while !pattern.is_empty() {
        let part = PARTS.iter().position(|(letters, _)| pattern.starts_with(letters));
        if let Some((index, (letters, digits))) = part.and_then(|i| Some((i, PARTS.get(i)?))) {
            let number = rest.get(..*digits).ok_or_else(failed)?;
            if !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(failed());
            }
            if let Some(field) = fields.get_mut(index) {
                *field = number.parse().map_err(|_| failed())?;
            }
            rest = rest.get(*digits..).unwrap_or_default();
            pattern = pattern.get(letters.len()..).unwrap_or_default();
            continue;
        }
        let Some(literal) = pattern.chars().next() else { break };
        rest = rest.strip_prefix(literal).ok_or_else(failed)?;
        pattern = pattern.get(literal.len_utf8()..).unwrap_or_default();
    }
    let [year, ms, month, day, hour, minute, second] = fields;
    if !rest.is_empty() || hour > 23 || minute > 59 || second > 59 {
        return Err(failed());
    }
    let days = days_of(year, month, day).ok_or_else(failed)?;
    Ok(i64::from(days) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms)
}

/// A timestamp of the years 0 to 9999.
pub(super) fn in_years(ms: f64) -> Result<Value, Halt> {
    if (-62_167_219_200_000.0..253_402_300_800_000.0).contains(&ms) {
        return Ok(Value::Timestamp(ms as i64));
    }
    Halt::failed("timestamp overflow")
}

/// The beginning of the unit that a time lies in. Weeks begin with Monday.
pub(super) fn truncate(unit: &str, value: &Value) -> Result<Value, Halt> {
    let unit = unit.to_ascii_lowercase();
    let ms = match value {
        Value::Date(days) => i64::from(*days) * DAY_MS,
        Value::Timestamp(ms) => *ms,
        Value::Time(ms) => i64::from(*ms),
        other => return mismatch("timestamp", other),
    };
    let days = ms.div_euclid(DAY_MS);
    let (year, month, _) = civil(days);
    let first = |month: i64| days_of(year, month, 1).map_or(days, i64::from) * DAY_MS;
    let truncated = match unit.as_str() {
        "year" => first(1),
        "month" => first(month),
        // 1970-01-01 was a Thursday.
        "week" => (days - (days + 3).rem_euclid(7)) * DAY_MS,
        "day" => days * DAY_MS,
        "hour" => ms - ms.rem_euclid(3_600_000),
        "minute" => ms - ms.rem_euclid(60_000),
        "second" => ms - ms.rem_euclid(1000),
        _ => return Halt::failed(format!("unknown unit '{unit}'")),
    };
    Ok(match value {
        Value::Date(_) => Value::Date(truncated.div_euclid(DAY_MS) as i32),
        Value::Time(_) => Value::Time(truncated.rem_euclid(DAY_MS) as i32),
        _ => Value::Timestamp(truncated),
    })
}

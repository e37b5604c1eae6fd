//! Times as they are written, and spans of the calendar.
//!
//! All arithmetic is in the unit of a database; calendar units go through the zone of the session.

pub mod form;

use crate::model::table::Precision;
use crate::query::dialect::taos::ast::Duration;
use chrono::{
    DateTime, Datelike, Days, FixedOffset, LocalResult, Months, NaiveDate, NaiveDateTime, TimeZone,
    Utc,
};
use chrono_tz::Tz;

/// A text as a time of this precision; texts without offset are in `zone`.
#[must_use]
pub fn parse(text: &str, precision: Precision, zone: Tz) -> Option<i64> {
    let text = text.trim();
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Some(precision.of_ns(time.timestamp_nanos_opt()?)),
        Err(_) => in_zone(plain(text)?, precision, zone),
    }
}

/// A time of a zone's clock.
fn in_zone(plain: NaiveDateTime, precision: Precision, zone: Tz) -> Option<i64> {
    let local = match zone.from_local_datetime(&plain) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time,
        LocalResult::None => return None,
    };
    Some(precision.of_ns(local.timestamp_nanos_opt()?))
}

/// `YYYY-MM-DD[ HH:MM:SS[.f]]`
fn plain(text: &str) -> Option<NaiveDateTime> {
    if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f") {
        return Some(time);
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f") {
        return Some(time);
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)
}

/// `2023-11-14T22:13:20.000Z` with as many digits as the precision has.
#[must_use]
pub fn iso(time: i64, precision: Precision, zone: Tz) -> String {
    let Some(utc) = instant(time, precision) else { return time.to_string() };
    if zone == Tz::UTC {
        return iso_text(&utc, precision, "Z");
    }
    iso_text(&utc.with_timezone(&zone), precision, "%:z")
}

/// As [`iso`] in a zone that is `Z`, an offset such as `+08:00`, `+0800` or `+08`, which is
/// appended as it is written, or a name. `None`: it is none of these.
#[must_use]
pub fn iso_at(time: i64, precision: Precision, zone: &str) -> Option<String> {
    if let Ok(zone) = zone.parse() {
        return Some(iso(time, precision, zone));
    }
    let utc = instant(time, precision)?;
    if zone.eq_ignore_ascii_case("z") {
        return Some(iso_text(&utc, precision, zone));
    }
    Some(iso_text(&utc.with_timezone(&offset(zone)?), precision, zone))
}

/// `+08:00`, `+0800` or `+08`
fn offset(text: &str) -> Option<FixedOffset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "0"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let part = |text: &str| text.parse::<u16>().ok().map(i32::from);
    let (hours, minutes) = (part(hours)?, part(minutes).filter(|m| *m < 60)?);
    FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60))
}

fn iso_text<Z: TimeZone>(time: &DateTime<Z>, precision: Precision, end: &str) -> String
where
    Z::Offset: std::fmt::Display,
{
    let digits = precision.digits();
    time.format(&format!("%Y-%m-%dT%H:%M:%S%.{digits}f{end}")).to_string()
}

/// A time in a zone.
#[must_use]
pub fn local(time: i64, precision: Precision, zone: Tz) -> Option<DateTime<Tz>> {
    Some(instant(time, precision)?.with_timezone(&zone))
}

fn instant(time: i64, precision: Precision) -> Option<DateTime<Utc>> {
    let per_second = 1_000_000_000 / precision.unit_ns();
    let (seconds, rest) = (time.div_euclid(per_second), time.rem_euclid(per_second));
    DateTime::from_timestamp(seconds, (rest * precision.unit_ns()) as u32)
}

fn back(time: DateTime<Utc>, precision: Precision) -> Option<i64> {
    let per_second = 1_000_000_000 / precision.unit_ns();
    let whole = time.timestamp().checked_mul(per_second)?;
    whole.checked_add(i64::from(time.timestamp_subsec_nanos()) / precision.unit_ns())
}

/// Months that a duration has, if it is of the calendar.
fn months(duration: Duration) -> Option<i64> {
    match duration.unit {
        b'n' => Some(duration.count),
        b'y' => duration.count.checked_mul(12),
        _ => None,
    }
}

/// A duration in units; months count 30 days, years 365, where only a length is asked for.
#[must_use]
pub fn units(duration: Duration, precision: Precision) -> Option<i64> {
    let second: i128 = 1_000_000_000;
    let ns = match duration.unit {
        b'b' => 1,
        b'u' => 1_000,
        b'a' => 1_000_000,
        b's' => second,
        b'm' => 60 * second,
        b'h' => 3_600 * second,
        b'd' => 86_400 * second,
        b'w' => 7 * 86_400 * second,
        b'n' => 30 * 86_400 * second,
        b'y' => 365 * 86_400 * second,
        _ => return None,
    };
    i64::try_from(i128::from(duration.count) * ns / i128::from(precision.unit_ns())).ok()
}

/// `time` and so much more; `sign` is 1 or -1.
#[must_use]
pub fn add(
    time: i64,
    duration: Duration,
    sign: i64,
    precision: Precision,
    zone: Tz,
) -> Option<i64> {
    match months(duration) {
        None => time.checked_add(units(duration, precision)?.checked_mul(sign)?),
        Some(count) => {
            let local = instant(time, precision)?.with_timezone(&zone);
            let count = count.checked_mul(sign)?;
            let step = Months::new(u32::try_from(count.unsigned_abs()).ok()?);
            let moved = if count < 0 {
                local.naive_local().checked_sub_months(step)?
            } else {
                local.naive_local().checked_add_months(step)?
            };
            back(zone.from_local_datetime(&moved).earliest()?.to_utc(), precision)
        }
    }
}

/// Midnight of the day of `time` in the zone.
#[must_use]
pub fn midnight(time: i64, precision: Precision, zone: Tz) -> Option<i64> {
    let local = instant(time, precision)?.with_timezone(&zone);
    let start = local.date_naive().and_hms_opt(0, 0, 0)?;
    back(zone.from_local_datetime(&start).earliest()?.to_utc(), precision)
}

/// The start of the last step that begins at or before `time`.
#[must_use]
pub fn step_start(
    time: i64,
    step: Duration,
    offset: i64,
    precision: Precision,
    zone: Tz,
) -> Option<i64> {
    let time = time.checked_sub(offset)?;
    let start = match (months(step), step.unit) {
        (Some(count), _) if count > 0 => {
            let date = instant(time, precision)?.with_timezone(&zone).date_naive();
            let index = i64::from(date.year()) * 12 + i64::from(date.month0());
            let index = index.div_euclid(count) * count;
            let (year, month) = (index.div_euclid(12), index.rem_euclid(12));
            let first = NaiveDate::from_ymd_opt(year as i32, month as u32 + 1, 1)?;
            let first = first.and_hms_opt(0, 0, 0)?;
            back(zone.from_local_datetime(&first).earliest()?.to_utc(), precision)?
        }
        (None, b'd' | b'w') => {
            let days = step.count.checked_mul(if step.unit == b'w' { 7 } else { 1 })?;
            let date = instant(time, precision)?.with_timezone(&zone).date_naive();
            let since = date.signed_duration_since(NaiveDate::default()).num_days();
            let day = since.div_euclid(days.max(1)) * days;
            let epoch = NaiveDate::default();
            let first = if day < 0 {
                epoch.checked_sub_days(Days::new(day.unsigned_abs()))?
            } else {
                epoch.checked_add_days(Days::new(day.unsigned_abs()))?
            };
            let first = first.and_hms_opt(0, 0, 0)?;
            back(zone.from_local_datetime(&first).earliest()?.to_utc(), precision)?
        }
        _ => {
            let length = units(step, precision)?.max(1);
            time.div_euclid(length).checked_mul(length)?
        }
    };
    start.checked_add(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        for (text, zone, want) in [
            ("2023-11-14 22:13:20", Tz::UTC, Some(1_700_000_000_000)),
            ("2023-11-14T22:13:20.5Z", berlin, Some(1_700_000_000_500)),
            ("2023-11-14 23:13:20.000999", berlin, Some(1_700_000_000_000)),
            ("2023-11-15T06:13:20+08:00", berlin, Some(1_700_000_000_000)),
            ("1970-01-01", Tz::UTC, Some(0)),
            ("nonsense", Tz::UTC, None),
        ] {
            assert_eq!(parse(text, Precision::Ms, zone), want, "{text}");
        }
        let at = |zone| iso_at(1_700_000_000_000, Precision::Ms, zone);
        assert_eq!(at("+08:00").unwrap(), "2023-11-15T06:13:20.000+08:00");
        assert_eq!(at("-0130").unwrap(), "2023-11-14T20:43:20.000-0130");
        assert_eq!(at("Asia/Tokyo").unwrap(), "2023-11-15T07:13:20.000+09:00");
        assert!(at("+8").is_none() && at("").is_none() && at("+99:99").is_none());
        assert_eq!(iso(1, Precision::Us, Tz::UTC), "1970-01-01T00:00:00.000001Z");
        assert_eq!(iso(-1, Precision::Ms, berlin), "1970-01-01T00:59:59.999+01:00");
    }

    #[test]
    fn steps_begin_where_the_calendar_says() {
        let day = |text: &str| parse(text, Precision::Ms, Tz::UTC).unwrap();
        let start = |time, count, unit| {
            step_start(day(time), Duration { count, unit }, 0, Precision::Ms, Tz::UTC).unwrap()
        };
        assert_eq!(start("2023-11-14 22:13:27", 10, b's'), day("2023-11-14 22:13:20"));
        assert_eq!(start("2023-11-14 22:13:27", 1, b'n'), day("2023-11-01"));
        assert_eq!(start("2023-11-14 22:13:27", 1, b'y'), day("2023-01-01"));
        assert_eq!(start("2023-11-14 22:13:27", 1, b'w'), day("2023-11-09"));
        let month = Duration { count: 1, unit: b'n' };
        let end = add(day("2023-01-31"), month, 1, Precision::Ms, Tz::UTC).unwrap();
        assert_eq!(end, day("2023-02-28"));
    }
}

//! Dates, times and intervals: reading, writing and counting, in UTC.

use crate::model::time::civil;
use crate::model::value::Interval;
use std::fmt::Write;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// Days since 1970-01-01 of a date of the years 0 to 9999; `None` if there is no such day.
#[must_use]
pub fn days_of(year: i64, month: i64, day: i64) -> Option<i32> {
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    if day > days_in_month(year, month) {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let good = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if good { text.parse().ok() } else { None }
}

/// `2001-08-22` as days since 1970-01-01.
#[must_use]
pub fn parse_date(text: &str) -> Option<i32> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    days_of(number(year, 4..=4)?, number(month, 1..=2)?, number(day, 1..=2)?)
}

/// `01:02:03.456`, `01:02:03` or `01:02` as milliseconds since midnight.
#[must_use]
pub fn parse_time(text: &str) -> Option<i32> {
    let mut parts = text.split(':');
    let (hour, minute) = (number(parts.next()?, 1..=2)?, number(parts.next()?, 1..=2)?);
    let ms = parts.next().map_or(Some(0), parse_seconds)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || ms >= 60_000 {
        return None;
    }
    i32::try_from((hour * 60 + minute) * 60_000 + ms).ok()
}

/// `03.456` in milliseconds; digits beyond them are cut.
fn parse_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    number(fraction, 1..=9)?;
    let ms = number(fraction.get(..3).unwrap_or(fraction), 1..=3)?;
    let ms = ms * 10_i64.pow(3_u32.saturating_sub(fraction.len() as u32));
    Some(number(whole, 1..=2)? * 1000 + ms)
}

/// `2001-08-22 03:04:05.321`, with `T` instead of the blank, with or without `Z`, as milliseconds
/// since 1970.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' '])?;
    let time = time.strip_suffix('Z').unwrap_or(time);
    Some(i64::from(parse_date(date)?) * DAY_MS + i64::from(parse_time(time)?))
}

/// `1 year 2 days 6 hours`, `2 weeks 00:10:45.600` or `P1Y2DT6H`.
#[must_use]
pub fn parse_interval(text: &str) -> Option<Interval> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('P') {
        return parse_iso(rest);
    }
    let mut total = Interval::default();
    let mut words = text.split_whitespace();
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        if word.contains(':') {
            let (sign, clock) = word.strip_prefix('-').map_or((1, word), |clock| (-1, clock));
            let (hours, rest) = clock.split_once(':')?;
            let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
            let minutes = number(minutes, 1..=2).filter(|m| *m < 60)?;
            let seconds = parse_seconds(seconds).filter(|ms| *ms < 60_000)?;
            let ms = (number(hours, 1..=6)? * 60 + minutes) * 60_000 + seconds;
            total.ms = total.ms.checked_add(sign * ms)?;
        } else {
            add_part(&mut total, word, words.next()?)?;
        }
    }
    any.then_some(total)
}

fn add_part(total: &mut Interval, count: &str, unit: &str) -> Option<()> {
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('s').unwrap_or(&unit);
    let scaled = |factor: i64| -> Option<i64> {
        match count.split_once('.') {
            None => count.parse::<i64>().ok()?.checked_mul(factor),
            Some(_) if factor >= 1000 => {
                let exact = count.parse::<f64>().ok()? * factor as f64;
                (exact.abs() < 1e15).then_some(exact.round() as i64)
            }
            Some(_) => None,
        }
    };
    let whole = |factor: i64| -> Option<i32> {
        count.parse::<i64>().ok()?.checked_mul(factor)?.try_into().ok()
    };
    match unit {
        "year" => total.months = total.months.checked_add(whole(12)?)?,
        "month" => total.months = total.months.checked_add(whole(1)?)?,
        "week" => total.days = total.days.checked_add(whole(7)?)?,
        "day" => total.days = total.days.checked_add(whole(1)?)?,
        "hour" => total.ms = total.ms.checked_add(scaled(3_600_000)?)?,
        "minute" => total.ms = total.ms.checked_add(scaled(60_000)?)?,
        "second" => total.ms = total.ms.checked_add(scaled(1000)?)?,
        "millisecond" | "milli" => total.ms = total.ms.checked_add(scaled(1)?)?,
        _ => return None,
    }
    Some(())
}

fn parse_iso(text: &str) -> Option<Interval> {
    let mut total = Interval::default();
    let (mut clock, mut any) = (false, false);
    let mut from = 0;
    for (at, letter) in text.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()) {
        let count = text.get(from..at)?;
        from = at + 1;
        let unit = match (letter, clock) {
            ('T', false) if count.is_empty() => {
                clock = true;
                continue;
            }
            ('Y', false) => "year",
            ('M', false) => "month",
            ('W', false) => "week",
            ('D', false) => "day",
            ('H', true) => "hour",
            ('M', true) => "minute",
            ('S', true) => "second",
            _ => return None,
        };
        add_part(&mut total, count, unit)?;
        any = true;
    }
    (any && from == text.len()).then_some(total)
}

/// Appends `2001-08-22`.
pub fn write_date(days: i32, out: &mut String) {
    let (year, month, day) = civil(i64::from(days));
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

/// Appends `01:02:03`, with milliseconds if they are not zero.
pub fn write_time(ms: i64, out: &mut String) {
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
    if ms % 1000 != 0 {
        let _ = write!(out, ".{:03}", ms % 1000);
    }
}

/// Appends `2001-08-22T03:04:05`, with milliseconds if they are not zero.
pub fn write_timestamp(ms: i64, out: &mut String) {
    write_date(ms.div_euclid(DAY_MS) as i32, out);
    out.push('T');
    write_time(ms.rem_euclid(DAY_MS), out);
}

/// Appends an ISO 8601 duration.
pub fn write_interval(interval: Interval, out: &mut String) {
    let Interval { months, days, ms } = interval;
    let start = out.len();
    out.push('P');
    for (count, letter) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
        if count != 0 {
            let _ = write!(out, "{count}{letter}");
        }
    }
    if ms != 0 {
        out.push('T');
        for (count, letter) in [(ms / 3_600_000, 'H'), (ms / 60_000 % 60, 'M')] {
            if count != 0 {
                let _ = write!(out, "{count}{letter}");
            }
        }
        let rest = ms % 60_000;
        if rest != 0 {
            let sign = if rest < 0 { "-" } else { "" };
            let _ = write!(out, "{sign}{}", rest.abs() / 1000);
            let fraction = format!("{:03}", rest.abs() % 1000);
            let fraction = fraction.trim_end_matches('0');
            if !fraction.is_empty() {
                let _ = write!(out, ".{fraction}");
            }
            out.push('S');
        }
    }
    if out.len() == start + 1 {
        out.push_str("T0S");
    }
}

/// The interval in milliseconds, a year having 365 days and other months 30.
#[must_use]
pub fn interval_ms(interval: Interval) -> i64 {
    let months = i64::from(interval.months);
    let days = months / 12 * 365 + months % 12 * 30 + i64::from(interval.days);
    days.saturating_mul(DAY_MS).saturating_add(interval.ms)
}

/// `ms` later by months (to the same day, or the last of the month), days and milliseconds; `None`
/// outside the years 0 to 9999.
#[must_use]
pub fn add_interval(ms: i64, interval: Interval) -> Option<i64> {
    let (mut days, clock) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    if interval.months != 0 {
        let (year, month, day) = civil(days);
        let months = year * 12 + month - 1 + i64::from(interval.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        days = i64::from(days_of(year, month, day.min(days_in_month(year, month)))?);
    }
    let days = days.checked_add(i64::from(interval.days))?;
    let sum = days.checked_mul(DAY_MS)?.checked_add(clock)?.checked_add(interval.ms)?;
    let lowest = i64::from(days_of(0, 1, 1)?) * DAY_MS;
    let highest = i64::from(days_of(9999, 12, 31)?) * DAY_MS + DAY_MS;
    (lowest..highest).contains(&sum).then_some(sum)
}

/// The interval with every part negated.
#[must_use]
pub fn negate(interval: Interval) -> Option<Interval> {
    Some(Interval {
        months: interval.months.checked_neg()?,
        days: interval.days.checked_neg()?,
        ms: interval.ms.checked_neg()?,
    })
}

/// The parts added.
#[must_use]
pub fn add_intervals(left: Interval, right: Interval) -> Option<Interval> {
    Some(Interval {
        months: left.months.checked_add(right.months)?,
        days: left.days.checked_add(right.days)?,
        ms: left.ms.checked_add(right.ms)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_and_written() {
        let mut out = String::new();
        write_timestamp(parse_timestamp("2023-12-25 01:02:03.450").unwrap(), &mut out);
        out.push(' ');
        write_timestamp(parse_timestamp("0001-01-01T00:00:00Z").unwrap(), &mut out);
        out.push(' ');
        write_time(i64::from(parse_time("23:59:59").unwrap()), &mut out);
        assert_eq!(out, "2023-12-25T01:02:03.450 0001-01-01T00:00:00 23:59:59");
        assert_eq!(parse_date("1970-01-02"), Some(1));
        for bad in ["2023-02-29", "2023-13-01", "23-01-01", "2023-01", "", "2023-01-01-1", "x"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
        for bad in ["24:00:00", "1", "00:60:00", "00:00:60", "1:2:3:4", "00:00:00.", "é:0"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn intervals_have_three_parts() {
        for (text, shown) in [
            ("1 year 2 days 6 hours", "P1Y2DT6H"),
            ("2 weeks 00:10:45.600", "P14DT10M45.6S"),
            ("0 days", "PT0S"),
            ("14 months", "P1Y2M"),
            ("-90 seconds", "PT-1M-30S"),
            ("P1Y2DT6H", "P1Y2DT6H"),
            ("1.5 seconds", "PT1.5S"),
        ] {
            let mut out = String::new();
            write_interval(parse_interval(text).unwrap(), &mut out);
            assert_eq!(out, shown, "{text}");
        }
        for bad in ["", "1", "year", "1 age", "x days", "P", "P1", "PT", "1:99"] {
            assert_eq!(parse_interval(bad), None, "{bad}");
        }
    }

    #[test]
    fn months_end_with_their_last_day() {
        let start = parse_timestamp("2024-01-31 12:00:00").unwrap();
        let mut out = String::new();
        let month = parse_interval("1 month").unwrap();
        write_timestamp(add_interval(start, month).unwrap(), &mut out);
        assert_eq!(out, "2024-02-29T12:00:00");
        assert_eq!(add_interval(start, parse_interval("9000 years").unwrap()), None);
    }
}

//! Functions of times.

use super::scalar::{Gives, Row, Want, made, row};
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::ast::Duration;
use crate::query::tables::convert::Clock;
use crate::query::tables::time;
use chrono::{Datelike, NaiveDate};

pub(super) const ROWS: &[Row] = &[
    row!("to_iso8601", 1..=2, [Time, Text], Gives::TextOf(64), |cells, clock| {
        let Some(at) = moment(cells.first(), clock) else { return Cell::Null };
        match cells.get(1) {
            None => made(time::iso(at, clock.precision, clock.zone)),
            Some(Cell::Text(zone)) => {
                time::iso_at(at, clock.precision, zone).map_or(Cell::Null, made)
            }
            _ => Cell::Null,
        }
    }),
    row!("to_unixtimestamp", 1..=2, [Text, Whole], Gives::BigInt, |cells, clock| {
        match cells.first() {
            Some(Cell::Text(text)) => {
                time::parse(text, clock.precision, clock.zone).map_or(Cell::Null, Cell::Int)
            }
            _ => Cell::Null,
        }
    }),
    row!("timetruncate", 2..=3, [Time, Whole, Whole], Gives::Time, |cells, clock| {
        match (moment(cells.first(), clock), cells.get(1), cells.get(2)) {
            (Some(at), Some(Cell::Int(step)), zone) if *step > 0 => {
                let clock = match zone {
                    Some(Cell::Int(0)) => Clock { zone: chrono_tz::Tz::UTC, ..*clock },
                    _ => *clock,
                };
                truncated(at, *step, &clock)
            }
            _ => Cell::Null,
        }
    }),
    row!("timediff", 2..=3, [Time, Time, Whole], Gives::BigInt, |cells, clock| {
        let (a, b) = (moment(cells.first(), clock), moment(cells.get(1), clock));
        let (Some(a), Some(b)) = (a, b) else { return Cell::Null };
        match cells.get(2) {
            None => Cell::Int(a.saturating_sub(b)),
            Some(Cell::Int(unit)) if *unit > 0 => Cell::Int(a.saturating_sub(b) / unit),
            _ => Cell::Null,
        }
    }),
    row!("date", 1..=1, [Time], Gives::TextOf(10), |cells, clock| {
        day(cells, clock).map_or(Cell::Null, |day| made(day.format("%Y-%m-%d").to_string()))
    }),
    row!("dayofweek", 1..=1, [Time], Gives::BigInt, |cells, clock| {
        day(cells, clock)
            .map_or(Cell::Null, |day| Cell::Int(i64::from(day.weekday().number_from_sunday())))
    }),
    row!("weekday", 1..=1, [Time], Gives::BigInt, |cells, clock| {
        day(cells, clock)
            .map_or(Cell::Null, |day| Cell::Int(i64::from(day.weekday().num_days_from_monday())))
    }),
    row!("week", 1..=2, [Time, Whole], Gives::BigInt, |cells, clock| {
        let mode = match cells.get(1) {
            None => 0,
            Some(Cell::Int(mode)) if (0..=7).contains(mode) => *mode,
            _ => return Cell::Null,
        };
        day(cells, clock).map_or(Cell::Null, |day| Cell::Int(week(day, mode)))
    }),
    row!("weekofyear", 1..=1, [Time], Gives::BigInt, |cells, clock| {
        day(cells, clock).map_or(Cell::Null, |day| Cell::Int(week(day, 3)))
    }),
    row!("to_char", 2..=2, [Time, Text], Gives::TextOf(256), |cells, clock| {
        match (moment(cells.first(), clock), cells.get(1)) {
            (Some(at), Some(Cell::Text(form))) => {
                time::form::write(at, form, clock.precision, clock.zone).map_or(Cell::Null, made)
            }
            _ => Cell::Null,
        }
    }),
    row!("to_timestamp", 2..=2, [Text], Gives::Time, |cells, clock| match cells {
        [Cell::Text(text), Cell::Text(form)] => {
            time::form::read(text, form, clock.precision, clock.zone).map_or(Cell::Null, Cell::Int)
        }
        _ => Cell::Null,
    }),
    row!("to_json", 1..=1, [Text], Gives::Json, |cells, _| match cells {
        [Cell::Text(text)] if crate::model::json::check(text.as_bytes()).is_ok() => {
            Cell::Text(text.clone())
        }
        _ => Cell::Null,
    }),
];

/// The time that an argument says.
fn moment(cell: Option<&Cell>, clock: &Clock) -> Option<i64> {
    match cell? {
        Cell::Int(at) => Some(*at),
        Cell::Uint(at) => i64::try_from(*at).ok(),
        Cell::Text(text) => time::parse(text, clock.precision, clock.zone),
        _ => None,
    }
}

/// The day of the first argument in the zone of the session.
fn day(cells: &[Cell], clock: &Clock) -> Option<NaiveDate> {
    time::local(moment(cells.first(), clock)?, clock.precision, clock.zone).map(|l| l.date_naive())
}

fn truncated(at: i64, step: i64, clock: &Clock) -> Cell {
    let day = time::units(Duration { count: 1, unit: b'd' }, clock.precision).unwrap_or(1);
    if step % day != 0 {
        return at.div_euclid(step).checked_mul(step).map_or(Cell::Null, Cell::Int);
    }
    let step = Duration { count: step / day, unit: b'd' };
    let start = time::step_start(at, step, 0, clock.precision, clock.zone);
    start.map_or(Cell::Null, Cell::Int)
}

/// The number of the week, by mode: whether weeks begin on Monday (1), whether the first days of a
/// year may belong to the last week of the one before (2), and whether the first week is the one
/// that has the first such day, rather than four days of the year (4; with Monday the reverse).
fn week(day: NaiveDate, mode: i64) -> i64 {
    let monday = mode & 1 != 0;
    let never_zero = mode & 2 != 0;
    let by_first_day = (mode & 4 != 0) == monday;
    let weekday = |day: NaiveDate| match monday {
        true => i64::from(day.weekday().num_days_from_monday()),
        false => i64::from(day.weekday().num_days_from_sunday()),
    };
    // Days from the begin of week 1 to the first of January; below zero: it is later.
    let lead = |year: i32| {
        let first = weekday(NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default());
        let whole = if by_first_day { first == 0 } else { first <= 3 };
        if whole { first } else { first - 7 }
    };
    let since = i64::from(day.ordinal0()) + lead(day.year());
    if since < 0 {
        if !never_zero {
            return 0;
        }
        let last = day.with_ordinal(1).and_then(|first| first.pred_opt());
        return last.map_or(0, |last| week(last, mode));
    }
    let number = since / 7 + 1;
    // The next year's first week may have begun.
    let days = if day.leap_year() { 366 } else { 365 };
    if never_zero && lead(day.year() + 1) >= days - i64::from(day.ordinal0()) {
        return 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_counted_in_eight_ways() {
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        for (date, want) in [
            (day(2000, 1, 1), [0, 0, 52, 52, 0, 0, 52, 52]),
            (day(2008, 2, 20), [7, 8, 7, 8, 8, 7, 8, 7]),
            (day(2023, 11, 14), [46, 46, 46, 46, 46, 46, 46, 46]),
            (day(2008, 12, 31), [52, 53, 52, 1, 53, 52, 53, 52]),
            (day(2005, 1, 1), [0, 0, 52, 53, 0, 0, 52, 52]),
            (day(2024, 12, 30), [52, 53, 52, 1, 53, 53, 1, 53]),
        ] {
            let got: Vec<i64> = (0..8).map(|mode| week(date, mode)).collect();
            assert_eq!(got, want, "{date}");
        }
    }
}

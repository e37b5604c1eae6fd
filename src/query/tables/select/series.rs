//! Functions that look at several rows in order of time.

use super::aggregate::{Aggregate, Function};
use super::histogram;
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::tables::convert::{compare, key, number};
use ahash::AHashSet;
use std::cmp::Ordering;

/// Rows and values.
type Values = Vec<(usize, Cell)>;
/// The time of a row.
type TimeOf<'a> = &'a dyn Fn(usize) -> i64;

/// Runs a function that gives several rows, over values that are not null.
pub(super) fn run(aggregate: &Aggregate, mut values: Values, at: TimeOf<'_>) -> Values {
    let k = aggregate.constant(0, 1.0) as usize;
    match aggregate.function {
        Function::Top | Function::Bottom => {
            let wanted = aggregate.function == Function::Top;
            values.sort_by(|(_, a), (_, b)| {
                let order = compare(a, b).unwrap_or(Ordering::Equal);
                if wanted { order.reverse() } else { order }
            });
            values.truncate(k);
            values.sort_by_key(|(at, _)| *at);
            values
        }
        Function::Tail => {
            let end = values.len().saturating_sub(aggregate.constant(1, 0.0) as usize);
            values.truncate(end);
            values.split_off(end.saturating_sub(k))
        }
        Function::Unique => {
            let mut seen = AHashSet::new();
            values.retain(|(_, cell)| {
                let mut bytes = Vec::new();
                key(cell, &mut bytes);
                seen.insert(bytes)
            });
            values
        }
        Function::Sample => sample(values, k),
        Function::RunningSum => {
            let mut so_far: Values = Vec::with_capacity(values.len());
            for (at, cell) in values {
                let before = so_far.last().cloned();
                let pair: Vec<_> = before.into_iter().chain([(at, cell)]).collect();
                so_far.push((at, aggregate.sum(&pair)));
            }
            so_far
        }
        Function::MovingAverage => {
            let k = k.clamp(1, 1000);
            let mean = |window: &[(usize, Cell)]| {
                let sum: f64 = window.iter().filter_map(|(_, cell)| number(cell)).sum();
                (window.last().map_or(0, |(at, _)| *at), Cell::Double(sum / k as f64))
            };
            values.windows(k).map(mean).collect()
        }
        Function::Diff => differences(aggregate, values),
        Function::Derivative => derivative(aggregate, &values, at),
        Function::Histogram => {
            let first = values.first().map_or(0, |(at, _)| *at);
            let numbers = values.iter().filter_map(|(_, cell)| number(cell));
            let list = histogram::run(&aggregate.constants, numbers);
            list.into_iter().map(|text| (first, Cell::Text(text.into()))).collect()
        }
        _ => values,
    }
}

/// So many of the rows, each with the same chance, in their order.
fn sample(mut values: Values, count: usize) -> Values {
    let random = ahash::RandomState::new();
    let total = values.len();
    for at in count..total {
        let place = (random.hash_one(at) % (at as u64 + 1)) as usize;
        if place < count {
            values.swap(place, at);
        }
    }
    values.truncate(count);
    values.sort_by_key(|(at, _)| *at);
    values
}

/// Each value less the one before; null beside null.
pub(super) fn differences(aggregate: &Aggregate, values: Values) -> Values {
    let ignore = aggregate.constant(0, 0.0) as i64 % 2 == 1;
    let difference = |pair: &[(usize, Cell)]| {
        let [(_, before), (at, after)] = pair else { return None };
        let cell = match (aggregate.kind, before, after) {
            (Kind::BigInt, Cell::Int(a), Cell::Int(b)) => Cell::Int(b.wrapping_sub(*a)),
            (Kind::BigInt, Cell::Uint(a), Cell::Uint(b)) => Cell::Int(b.wrapping_sub(*a) as i64),
            (Kind::BigInt, Cell::Bool(a), Cell::Bool(b)) => {
                Cell::Int(i64::from(*b) - i64::from(*a))
            }
            (Kind::Decimal(..), Cell::Decimal(a), Cell::Decimal(b)) => {
                a.negate().and_then(|a| b.plus(a)).map_or(Cell::Null, Cell::Decimal)
            }
            (_, Cell::Double(a), Cell::Double(b)) => Cell::Double(b - a),
            _ => Cell::Null,
        };
        let negative = number(&cell).is_some_and(|n| n < 0.0);
        Some((*at, if ignore && negative { Cell::Null } else { cell }))
    };
    values.windows(2).filter_map(difference).collect()
}

/// How fast values change, in so many units of time.
fn derivative(aggregate: &Aggregate, values: &Values, at: TimeOf<'_>) -> Values {
    let (span, ignore) = (aggregate.constant(0, 1.0), aggregate.constant(1, 0.0) != 0.0);
    let slope = |pair: &[(usize, Cell)]| {
        let [(from, before), (to, after)] = pair else { return None };
        let step = (at(*to) - at(*from)) as f64;
        let slope = (number(after)? - number(before)?) / step * span;
        let left_out = (ignore && slope < 0.0) || !slope.is_finite();
        (!left_out).then_some((*to, Cell::Double(slope)))
    };
    values.windows(2).filter_map(slope).collect()
}

/// Whether an order is what is asked for.
type Holds = fn(Ordering) -> bool;

/// The comparison that STATECOUNT and STATEDURATION are asked for.
pub(super) fn state(constants: &[Cell]) -> Option<(Holds, f64)> {
    let (Cell::Text(name), value) = (constants.first()?, constants.get(1)?) else { return None };
    let holds: Holds = match name.to_ascii_uppercase().as_str() {
        "LT" => Ordering::is_lt,
        "GT" => Ordering::is_gt,
        "LE" => Ordering::is_le,
        "GE" => Ordering::is_ge,
        "NE" => Ordering::is_ne,
        "EQ" => Ordering::is_eq,
        _ => return None,
    };
    Some((holds, number(value).filter(|n| !n.is_nan())?))
}

/// For each row how many rows, or how much time, the comparison has held; -1 where it does not.
pub(super) fn states(aggregate: &Aggregate, values: &Values, at: TimeOf<'_>) -> Values {
    let Some((holds, value)) = state(&aggregate.constants) else { return Vec::new() };
    let unit = aggregate.constant(2, 1.0).max(1.0) as i64;
    let mut run: Option<(i64, i64)> = None;
    let mut list = Vec::with_capacity(values.len());
    for (row, cell) in values {
        let Some(number) = number(cell).filter(|_| !cell.is_null()) else {
            list.push((*row, Cell::Null));
            continue;
        };
        run = match number.partial_cmp(&value).is_some_and(holds) {
            false => None,
            true => Some(run.map_or((1, at(*row)), |(count, since)| (count + 1, since))),
        };
        let outcome = match (run, aggregate.function) {
            (None, _) => -1,
            (Some((count, _)), Function::StateCount) => count,
            (Some((_, since)), _) => (at(*row) - since) / unit,
        };
        list.push((*row, Cell::Int(outcome)));
    }
    list
}

/// Functions that weigh values with their times.
pub(super) fn over_time(aggregate: &Aggregate, values: &Values, at: TimeOf<'_>) -> Cell {
    let points: Vec<(i64, f64)> =
        values.iter().filter_map(|(row, cell)| Some((at(*row), number(cell)?))).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Cell::Null };
    match aggregate.function {
        Function::TimeWeighted => {
            let area = |pair: &[(i64, f64)]| {
                let [(t, a), (u, b)] = pair else { return 0.0 };
                (a + b) / 2.0 * (u - t) as f64
            };
            let span = (last.0 - first.0) as f64;
            let area: f64 = points.windows(2).map(area).sum();
            Cell::Double(if span > 0.0 { area / span } else { first.1 })
        }
        Function::Rate => {
            let Some([before, after]) = points.last_chunk::<2>() else {
                return Cell::Double(0.0);
            };
            let seconds = (after.0 - before.0) as f64 / aggregate.units_per_second() as f64;
            // A counter that fell began anew.
            let grown = if after.1 < before.1 { after.1 } else { after.1 - before.1 };
            Cell::Double(if seconds > 0.0 { grown / seconds } else { 0.0 })
        }
        _ => least_squares(&points, aggregate.constant(0, 0.0), aggregate.constant(1, 1.0)),
    }
}

/// The line through values that stand at `start`, `start + step` and so on.
fn least_squares(points: &[(i64, f64)], start: f64, step: f64) -> Cell {
    let count = points.len() as f64;
    let x = |at: usize| start + step * at as f64;
    let mean_x = (0..points.len()).map(x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let both = points.iter().enumerate().map(|(at, (_, y))| (x(at) - mean_x) * (y - mean_y));
    let square: f64 = (0..points.len()).map(|at| (x(at) - mean_x).powi(2)).sum();
    if square == 0.0 {
        return Cell::Null;
    }
    let slope = both.sum::<f64>() / square;
    let intercept = mean_y - slope * mean_x;
    Cell::Text(format!("{{slop:{slope:.6}, intercept:{intercept:.6}}}").into())
}

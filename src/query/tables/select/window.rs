//! Windows over the rows of a slice, and what stands in those that have none.

use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Duration, Window};
use crate::query::tables::codes;
use crate::query::tables::convert::{Clock, compare, number, store};
use crate::query::tables::expr::{Env, Node, eval, holds};
use crate::query::tables::time;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Windows that FILL may make.
const WINDOWS_MAX: usize = 5_000_000;

/// A window and its rows.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// Its first time.
    pub start: i64,
    /// Its end as `_wend` says it.
    pub end: i64,
    /// Rows, in order.
    pub rows: Vec<usize>,
}

/// How a slice is cut.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the language")]
pub enum Cut {
    Interval { length: Duration, offset: i64, sliding: Duration },
    Session(i64),
    State(Node),
    Event(Node, Node),
    Count(usize, usize),
}

/// Checks an INTERVAL.
///
/// # Errors
/// It slides further than it is long, or is empty.
pub fn interval(window: &Window, clock: &Clock) -> Result<Option<Cut>, Wrong> {
    let Window::Interval { length, offset, sliding, .. } = window else { return Ok(None) };
    let sliding = sliding.unwrap_or(*length);
    let units = |duration| time::units(duration, clock.precision).unwrap_or(0);
    if units(*length) <= 0 || units(sliding) <= 0 || units(sliding) > units(*length) {
        return Err(codes::unsupported("interval"));
    }
    let offset = offset.map_or(0, units);
    Ok(Some(Cut::Interval { length: *length, offset, sliding }))
}

fn time_at(rows: &[Vec<Cell>], at: usize, column: usize) -> i64 {
    match rows.get(at).and_then(|row| row.get(column)) {
        Some(Cell::Int(time)) => *time,
        _ => 0,
    }
}

/// Cuts the rows of a slice, which are in order of time.
#[must_use]
pub fn cut(
    cut: &Cut,
    rows: &[Vec<Cell>],
    list: &[usize],
    column: usize,
    clock: &Clock,
) -> Vec<Span> {
    let at = |index: usize| time_at(rows, index, column);
    match cut {
        Cut::Interval { length, offset, sliding } => {
            intervals(list, &at, (*length, *offset, *sliding), clock)
        }
        Cut::Session(gap) => {
            let near = |span: &Span, index| at(index).saturating_sub(span.end) <= *gap;
            runs(list, &at, near)
        }
        Cut::State(state) => {
            let value = |index: usize| {
                rows.get(index).map_or(Cell::Null, |row| eval(state, &Env::row(row, clock)))
            };
            let some: Vec<usize> =
                list.iter().copied().filter(|index| !value(*index).is_null()).collect();
            runs(&some, &at, |span, index| {
                let before = span.rows.last().map_or(Cell::Null, |last| value(*last));
                compare(&before, &value(index)) == Some(Ordering::Equal)
            })
        }
        Cut::Event(start, end) => {
            let is = |node: &Node, index: usize| {
                rows.get(index).is_some_and(|row| holds(node, &Env::row(row, clock)))
            };
            let (mut spans, mut open): (Vec<Span>, Option<Span>) = (Vec::new(), None);
            for index in list {
                if open.is_none() && is(start, *index) {
                    open = Some(Span { start: at(*index), ..Span::default() });
                }
                if let Some(span) = &mut open {
                    span.rows.push(*index);
                    span.end = at(*index);
                }
                if open.is_some() && is(end, *index) {
                    spans.extend(open.take());
                }
            }
            spans
        }
        Cut::Count(count, sliding) => {
            let step = (*sliding).max(1);
            let starts = (0..list.len()).step_by(step);
            let span = |from: usize| {
                let part = &list[from..list.len().min(from + count)];
                let (first, last) = (part.first(), part.last());
                let (start, end) = (first.map_or(0, |i| at(*i)), last.map_or(0, |i| at(*i)));
                Span { start, end, rows: part.to_vec() }
            };
            starts.map(span).collect()
        }
    }
}

/// Rows that follow one another while `joins` says so.
fn runs(
    list: &[usize],
    at: &dyn Fn(usize) -> i64,
    joins: impl Fn(&Span, usize) -> bool,
) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for index in list {
        match spans.last_mut() {
            Some(span) if joins(span, *index) => {
                span.rows.push(*index);
                span.end = at(*index);
            }
            _ => spans.push(Span { start: at(*index), end: at(*index), rows: vec![*index] }),
        }
    }
    spans
}

fn intervals(
    list: &[usize],
    at: &dyn Fn(usize) -> i64,
    (length, offset, sliding): (Duration, i64, Duration),
    clock: &Clock,
) -> Vec<Span> {
    let Clock { precision, zone, .. } = *clock;
    let mut spans: BTreeMap<i64, Span> = BTreeMap::new();
    for index in list {
        let when = at(*index);
        let mut start = time::step_start(when, sliding, offset, precision, zone);
        while let Some(begin) = start {
            let Some(end) = time::add(begin, length, 1, precision, zone) else { break };
            if end <= when {
                break;
            }
            let span = spans.entry(begin).or_insert(Span { start: begin, end, rows: Vec::new() });
            span.rows.push(*index);
            start = time::add(begin, sliding, -1, precision, zone);
        }
    }
    spans.into_values().collect()
}

/// The windows from one time to another, both included, without rows.
///
/// # Errors
/// There are too many.
pub fn all_between(cut: &Cut, from: i64, to: i64, clock: &Clock) -> Result<Vec<Span>, Wrong> {
    let Cut::Interval { length, offset, sliding } = cut else { return Ok(Vec::new()) };
    let Clock { precision, zone, .. } = *clock;
    let mut spans = Vec::new();
    let mut start = time::step_start(from, *sliding, *offset, precision, zone);
    while let Some(begin) = start.filter(|begin| *begin <= to) {
        let end = time::add(begin, *length, 1, precision, zone).unwrap_or(i64::MAX);
        spans.push(Span { start: begin, end, rows: Vec::new() });
        if spans.len() > WINDOWS_MAX {
            return Err(codes::no_range());
        }
        start = time::add(begin, *sliding, 1, precision, zone);
    }
    Ok(spans)
}

/// How values of windows without rows are made.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as in the language")]
pub enum Filling {
    Null,
    Values(Vec<Cell>),
    Previous,
    Next,
    Linear,
    Near,
}

/// Fills one aggregate over all windows; `None` where a window has no rows.
#[must_use]
pub fn fill(
    filling: &Filling,
    place: usize,
    kind: Kind,
    starts: &[i64],
    values: &[Option<Cell>],
    clock: &Clock,
) -> Vec<Cell> {
    let there = |cell: &Option<Cell>| cell.as_ref().is_some_and(|cell| !cell.is_null());
    let mut before: Vec<Option<usize>> = Vec::with_capacity(values.len());
    let mut last = None;
    for (at, value) in values.iter().enumerate() {
        before.push(last);
        last = if there(value) { Some(at) } else { last };
    }
    let mut after = vec![None; values.len()];
    let mut next = None;
    for (at, value) in values.iter().enumerate().rev() {
        after[at] = next;
        next = if there(value) { Some(at) } else { next };
    }
    let cell = |at: Option<usize>| at.and_then(|at| values.get(at).cloned().flatten());
    let start = |at: usize| starts.get(at).copied().unwrap_or(0);
    let one = |(at, value): (usize, &Option<Cell>)| {
        if let Some(value) = value {
            return value.clone();
        }
        let (left, right) = (before[at], after[at]);
        let found = match filling {
            Filling::Null => None,
            Filling::Values(list) => list.get(place).cloned(),
            Filling::Previous => cell(left),
            Filling::Next => cell(right),
            Filling::Near => match (left, right) {
                (Some(l), Some(r)) if start(r) - start(at) < start(at) - start(l) => cell(Some(r)),
                (Some(l), _) => cell(Some(l)),
                (None, r) => cell(r),
            },
            Filling::Linear => left.zip(right).and_then(|(l, r)| {
                let (low, high) = (number(&cell(Some(l))?)?, number(&cell(Some(r))?)?);
                if !kind.is_numeric() {
                    return None;
                }
                let part = (start(at) - start(l)) as f64 / (start(r) - start(l)) as f64;
                store(Cell::Double(low + (high - low) * part), kind, clock).ok()
            }),
        };
        found.unwrap_or_default()
    };
    values.iter().enumerate().map(one).collect()
}

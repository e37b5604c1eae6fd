//! Aggregates over sheets, column by column, without making rows.
//!
//! Method: a part (subtable) is cut into runs of rows that lie in one window. Where the condition
//! is nothing but bounds of time and comparisons with numbers ([`super::predicate`]), and the keys
//! are tags, each aggregate takes the run of its column at once, otherwise row by row. What comes
//! out is what [`super::groups`] gives for the same rows
//! (sums of doubles may differ in their last digit, since parts are added one after the other).
//! Cost: about a nanosecond for each value of a run; the last row of a part costs no scan.

mod run;

use super::aggregate::{Aggregate, Function};
use super::groups::{columns_of, emit};
use super::predicate::{Predicate, predicates, select};
use super::scan::{Part, Scan};
use super::window::Cut;
use super::{Out, Plan, is_bounds};
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::World;
use crate::query::tables::convert::key;
use crate::query::tables::expr::{Env, Node, eval, holds};
use crate::query::tables::time;
use ahash::AHashMap;
use run::{Column, Fold};
use std::ops::Range;

/// Rows between two looks whether to go on.
const ROWS_A_CHECK: usize = 1 << 16;

/// Time, part and row: the order of rows.
type Place = (i64, usize, usize);

/// A window of a slice.
#[derive(Debug)]
struct Group {
    end: i64,
    first: Place,
    folds: Vec<Fold>,
}

/// All groups: by slice and start of the window.
#[derive(Debug, Default)]
struct Groups {
    slices: AHashMap<Vec<u8>, usize>,
    /// The first row of each slice.
    firsts: Vec<Place>,
    list: AHashMap<(usize, i64), Group>,
}

/// Whether aggregates can be had without rows.
pub(super) fn can(plan: &Plan) -> bool {
    let folds = |aggregate: &Aggregate| {
        // The sum of decimals is one.
        let exact = matches!(aggregate.kind, Kind::Decimal(..));
        (!exact || aggregate.function != Function::Sum)
            && matches!(
                aggregate.function,
                Function::Count
                    | Function::Sum
                    | Function::Avg
                    | Function::Spread
                    | Function::Min
                    | Function::Max
                    | Function::First
                    | Function::Last
                    | Function::LastRow
            )
    };
    let cut = match &plan.cut {
        None => true,
        Some(Cut::Interval { length, sliding, .. }) => length == sliding,
        Some(_) => false,
    };
    cut && plan.fill.is_none() && plan.aggregates.iter().all(folds)
}

/// The rows of a query with groups, as [`super::groups::run`] gives them; `filter`: what rows must
/// satisfy beyond the bounds of time.
pub(super) fn run(
    plan: &Plan,
    scan: &Scan,
    filter: Option<&Node>,
    time: usize,
    world: &mut World<'_>,
) -> Result<Vec<Out>, Wrong> {
    let in_range = |node: &Node| is_bounds(node, time, &plan.clock);
    let tests = filter.and_then(|filter| predicates(filter, scan, &in_range));
    let mut groups = Groups::default();
    let mut named = Vec::new();
    plan.keys.iter().for_each(|node| columns_of(node, &mut named));
    let by_part = named.iter().all(|index| *index > scan.ids.len());
    for (number, part) in scan.parts.iter().enumerate() {
        let rows = part.within(plan.range);
        if rows.is_empty() {
            continue;
        }
        let first = place(part, number, rows.start);
        let slice = (by_part && filter.is_none())
            .then(|| groups.slice(plan, &scan.row(number, rows.start), first));
        world.check()?;
        let (mut begin, mut checked) = (rows.start, rows.start / ROWS_A_CHECK);
        while begin < rows.end {
            // A part is looked at in pieces, so that the query can be ended.
            if begin / ROWS_A_CHECK != checked {
                world.check()?;
                checked = begin / ROWS_A_CHECK;
            }
            let piece = rows.end.min((begin / ROWS_A_CHECK + 1) * ROWS_A_CHECK);
            let (window, end) = next_run(plan, part, begin..piece);
            if let Some(window) = window {
                let run = (number, part, begin..end);
                match (slice, &tests) {
                    (Some(slice), _) => groups.take_columns(plan, scan, run, slice, window),
                    (None, Some(tests)) if by_part => {
                        groups.take_some(plan, scan, run, tests, window);
                    }
                    _ => groups.take_rows(plan, scan, run, filter, window),
                }
            }
            begin = end;
        }
    }
    Ok(groups.finish(plan, scan))
}

fn place(part: &Part, number: usize, row: usize) -> Place {
    (part.sheet.times.get(row).copied().unwrap_or(0), number, row)
}

/// The window of the first of these rows, if it lies in one, and where the next one begins.
fn next_run(plan: &Plan, part: &Part, rows: Range<usize>) -> (Option<(i64, i64)>, usize) {
    let Some(Cut::Interval { length, offset, .. }) = &plan.cut else {
        return (Some((0, 0)), rows.end);
    };
    let (precision, zone) = (plan.clock.precision, plan.clock.zone);
    let times = part.sheet.times.get(rows.clone()).unwrap_or_default();
    let first = times.first().copied().unwrap_or(0);
    let start = time::step_start(first, *length, *offset, precision, zone);
    let end = start.and_then(|start| time::add(start, *length, 1, precision, zone));
    match start.zip(end).filter(|(_, end)| first < *end) {
        Some((start, end)) => {
            let inside = times.iter().take_while(|time| **time < end).count();
            (Some((start, end)), rows.start + inside)
        }
        None => (None, rows.start + 1),
    }
}

impl Groups {
    fn slice(&mut self, plan: &Plan, row: &[Cell], first: Place) -> usize {
        let mut bytes = Vec::new();
        let env = Env::row(row, &plan.clock);
        plan.keys.iter().for_each(|node| key(&eval(node, &env), &mut bytes));
        let slice = *self.slices.entry(bytes).or_insert(self.firsts.len());
        match self.firsts.get_mut(slice) {
            Some(known) => *known = first.min(*known),
            None => self.firsts.push(first),
        }
        slice
    }

    fn group(&mut self, plan: &Plan, slice: usize, window: (i64, i64), first: Place) -> &mut Group {
        let (start, end) = window;
        let group = self.list.entry((slice, start)).or_insert_with(|| {
            let folds = vec![Fold::new(); plan.aggregates.len()];
            Group { end, first, folds }
        });
        group.first = group.first.min(first);
        group
    }

    fn take_columns(
        &mut self,
        plan: &Plan,
        scan: &Scan,
        (number, part, rows): (usize, &Part, Range<usize>),
        slice: usize,
        window: (i64, i64),
    ) {
        let group = self.group(plan, slice, window, place(part, number, rows.start));
        for (fold, aggregate) in group.folds.iter_mut().zip(&plan.aggregates) {
            let at = |row| place(part, number, row);
            if aggregate.star {
                fold.count += rows.len() as i64;
            } else if let Some(column) = Column::of(aggregate, scan, part) {
                fold.take(aggregate.function, column, rows.clone(), at);
            } else {
                scan.each_of(part, rows.clone(), |row, cells| {
                    fold.add(aggregate.function, aggregate.value(cells, &plan.clock), at(row));
                });
            }
        }
    }

    /// Takes the rows of a run for which the tests hold.
    fn take_some(
        &mut self,
        plan: &Plan,
        scan: &Scan,
        (number, part, rows): (usize, &Part, Range<usize>),
        tests: &[Predicate],
        window: (i64, i64),
    ) {
        let rows = select(tests, part, rows);
        let Some(first) = rows.first() else { return };
        let at = |row| place(part, number, row);
        let slice = self.slice(plan, &scan.row(number, *first), at(*first));
        let group = self.group(plan, slice, window, at(*first));
        for (fold, aggregate) in group.folds.iter_mut().zip(&plan.aggregates) {
            if aggregate.star {
                fold.count += rows.len() as i64;
            } else if let Some(column) = Column::of(aggregate, scan, part) {
                fold.take_list(aggregate.function, column, &rows, at);
            } else {
                for row in &rows {
                    let value = aggregate.value(&scan.row(number, *row), &plan.clock);
                    fold.add(aggregate.function, value, at(*row));
                }
            }
        }
    }

    fn take_rows(
        &mut self,
        plan: &Plan,
        scan: &Scan,
        (number, part, rows): (usize, &Part, Range<usize>),
        filter: Option<&Node>,
        window: (i64, i64),
    ) {
        scan.each_of(part, rows, |row, cells| {
            if filter.is_some_and(|filter| !holds(filter, &Env::row(cells, &plan.clock))) {
                return;
            }
            let place = place(part, number, row);
            let slice = self.slice(plan, cells, place);
            let group = self.group(plan, slice, window, place);
            for (fold, aggregate) in group.folds.iter_mut().zip(&plan.aggregates) {
                if aggregate.star {
                    fold.count += 1;
                } else {
                    fold.add(aggregate.function, aggregate.value(cells, &plan.clock), place);
                }
            }
        });
    }

    /// Slices by their first rows, windows by their starts.
    fn finish(self, plan: &Plan, scan: &Scan) -> Vec<Out> {
        let mut order: Vec<usize> = (0..self.firsts.len()).collect();
        order.sort_unstable_by_key(|slice| self.firsts.get(*slice));
        let mut ranks = vec![0; order.len()];
        order.iter().enumerate().for_each(|(rank, slice)| ranks[*slice] = rank);
        let mut list: Vec<_> = self.list.into_iter().collect();
        // A slice of which no row passed has no group, and no rank of its own.
        list.sort_unstable_by_key(|((slice, start), _)| (ranks[*slice], *start));
        let mut out = Vec::with_capacity(list.len());
        let (mut number, mut before) = (0, None);
        for ((slice, start), group) in list {
            number += usize::from(before.is_some_and(|before| before != slice));
            before = Some(slice);
            let mut from = group.first;
            let mut cells = Vec::with_capacity(group.folds.len());
            for (fold, aggregate) in group.folds.iter().zip(&plan.aggregates) {
                if let Some((_, place)) = &fold.chosen {
                    from = *place;
                }
                cells.push(fold.outcome(aggregate));
            }
            let row = scan.row(from.1, from.2);
            emit(plan, number, &row, &cells, (start, group.end), &mut out);
        }
        out
    }
}

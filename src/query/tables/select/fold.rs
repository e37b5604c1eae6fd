//! Aggregates over sheets, column by column, without making rows.
//!
//! Method: a part (subtable) is cut into runs of rows that lie in one window; where the condition
//! is nothing but bounds of time and comparisons with numbers ([`super::predicate`]) and the keys are tags, each
//! aggregate takes the run of its column at once, otherwise row by row. What comes out is what [`super::groups`] gives for the same rows
//! (sums of doubles may differ in their last digit, since parts are added one after the other).
//! Cost: about a nanosecond for each value of a run; the last row of a part costs no scan.

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
use crate::query::tables::convert::{compare, key, number};
use crate::query::tables::expr::{Env, Node, eval, holds};
use crate::query::tables::store::Values;
use crate::query::tables::time;
use ahash::AHashMap;
use std::cmp::{Ordering, Reverse};
use std::ops::Range;

/// Rows between two looks whether to go on.
const ROWS_A_CHECK: usize = 1 << 16;

/// Time, part and row: the order of rows.
type Place = (i64, usize, usize);

/// What has been seen of one aggregate.
#[derive(Clone, Debug)]
struct Fold {
    count: i64,
    whole: i128,
    sum: f64,
    low: f64,
    high: f64,
    chosen: Option<(Cell, Place)>,
}

/// What one column of a part holds.
#[derive(Clone, Copy, Debug)]
enum Column<'p> {
    Times(&'p [i64]),
    Values(&'p Values),
    /// In every row.
    Same(&'p Cell),
}

impl<'p> Column<'p> {
    /// What an aggregate is a function of, if that is a column.
    fn of(aggregate: &Aggregate, scan: &Scan, part: &'p Part) -> Option<Self> {
        let Some(Node::Column(index)) = aggregate.argument() else { return None };
        Some(match index.checked_sub(1) {
            None => Column::Times(&part.sheet.times),
            Some(at) if at < scan.ids.len() => {
                let values = scan.ids.get(at).and_then(|id| part.sheet.column(*id));
                values.map_or(Column::Same(&Cell::Null), Column::Values)
            }
            Some(at) => Column::Same(part.tail.get(at - scan.ids.len()).unwrap_or(&Cell::Null)),
        })
    }

    fn get(self, row: usize) -> Cell {
        match self {
            Column::Times(times) => times.get(row).map_or(Cell::Null, |time| Cell::Int(*time)),
            Column::Values(values) => values.get(row),
            Column::Same(cell) => cell.clone(),
        }
    }

    fn is_null(self, row: usize) -> bool {
        match self {
            Column::Times(_) => false,
            Column::Values(Values::Ints(_, marks) | Values::Doubles(_, marks)) => {
                marks.is_null(row)
            }
            Column::Values(Values::Cells(list)) => list.get(row).is_none_or(Cell::is_null),
            Column::Same(cell) => cell.is_null(),
        }
    }
}

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
        matches!(
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

impl Fold {
    fn new() -> Self {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { count: 0, whole: 0, sum: 0.0, low, high, chosen: None }
    }

    /// Whether a value at this place goes before the chosen one.
    fn chooses(&self, function: Function, cell: &Cell, place: Place) -> bool {
        let Some((best, known)) = &self.chosen else { return true };
        let extreme = |wanted| match compare(cell, best) {
            Some(Ordering::Equal) => place < *known,
            order => order == Some(wanted),
        };
        match function {
            Function::Min => extreme(Ordering::Less),
            Function::Max => extreme(Ordering::Greater),
            Function::First => place < *known,
            _ => place > *known,
        }
    }

    fn choose(&mut self, function: Function, cell: Cell, place: Place) {
        if self.chooses(function, &cell, place) {
            self.chosen = Some((cell, place));
        }
    }

    fn measure(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        self.low = self.low.min(number);
        self.high = self.high.max(number);
    }

    /// Takes one value.
    fn add(&mut self, function: Function, cell: Cell, place: Place) {
        if cell.is_null() && function != Function::LastRow {
            return;
        }
        match function {
            Function::Count => self.count += 1,
            Function::Sum | Function::Avg | Function::Spread => {
                if let Some(number) = number(&cell) {
                    self.measure(number);
                }
                self.whole += match cell {
                    Cell::Int(n) => i128::from(n),
                    Cell::Uint(n) => i128::from(n),
                    Cell::Bool(b) => i128::from(b),
                    _ => 0,
                };
            }
            _ => self.choose(function, cell, place),
        }
    }

    /// Takes a run of a column.
    fn take(
        &mut self,
        function: Function,
        column: Column<'_>,
        rows: Range<usize>,
        at: impl Fn(usize) -> Place,
    ) {
        let found = match function {
            Function::LastRow => rows.last(),
            Function::First => rows.clone().find(|row| !column.is_null(*row)),
            Function::Last => rows.clone().rev().find(|row| !column.is_null(*row)),
            _ => return self.take_all(function, column, rows, &at),
        };
        if let Some(row) = found {
            self.choose(function, column.get(row), at(row));
        }
    }

    fn take_all(
        &mut self,
        function: Function,
        column: Column<'_>,
        rows: Range<usize>,
        at: &dyn Fn(usize) -> Place,
    ) {
        let sums = matches!(function, Function::Sum | Function::Avg | Function::Spread);
        match column {
            Column::Same(cell) if cell.is_null() => {}
            Column::Same(_) if function == Function::Count => self.count += rows.len() as i64,
            Column::Times(list) => self.take_ints(function, list, rows, at),
            Column::Values(Values::Ints(list, marks)) if marks.has_no_nulls() => {
                self.take_ints(function, list, rows, at);
            }
            Column::Values(Values::Doubles(_, marks))
                if marks.has_no_nulls() && function == Function::Count =>
            {
                self.count += rows.len() as i64;
            }
            Column::Values(Values::Doubles(list, marks)) if marks.has_no_nulls() && sums => {
                list.get(rows).unwrap_or_default().iter().for_each(|n| self.measure(*n));
            }
            _ => {
                for row in rows {
                    self.add(function, column.get(row), at(row));
                }
            }
        }
    }

    /// Takes some rows of a column.
    fn take_list(
        &mut self,
        function: Function,
        column: Column<'_>,
        rows: &[usize],
        at: impl Fn(usize) -> Place,
    ) {
        let sums = matches!(function, Function::Sum | Function::Avg | Function::Spread);
        match column {
            Column::Values(Values::Ints(list, marks)) if marks.has_no_nulls() && sums => {
                for n in rows.iter().filter_map(|row| list.get(*row)) {
                    self.whole += i128::from(*n);
                    self.measure(*n as f64);
                }
            }
            Column::Values(Values::Doubles(list, marks)) if marks.has_no_nulls() && sums => {
                rows.iter().filter_map(|row| list.get(*row)).for_each(|n| self.measure(*n));
            }
            _ => rows.iter().for_each(|row| self.add(function, column.get(*row), at(*row))),
        }
    }

    /// Takes a run of integers without nulls.
    fn take_ints(
        &mut self,
        function: Function,
        list: &[i64],
        rows: Range<usize>,
        at: &dyn Fn(usize) -> Place,
    ) {
        let run = list.get(rows.clone()).unwrap_or_default();
        match function {
            Function::Count => self.count += run.len() as i64,
            Function::Min | Function::Max => {
                // The first of equal ones.
                let run = rows.zip(run);
                let best = match function {
                    Function::Min => run.min_by_key(|(row, n)| (**n, *row)),
                    _ => run.min_by_key(|(row, n)| (Reverse(**n), *row)),
                };
                if let Some((row, n)) = best {
                    self.choose(function, Cell::Int(*n), at(row));
                }
            }
            _ => {
                for n in run {
                    self.whole += i128::from(*n);
                    self.measure(*n as f64);
                }
            }
        }
    }

    fn outcome(&self, aggregate: &Aggregate) -> Cell {
        match aggregate.function {
            Function::Count => Cell::Int(self.count),
            Function::Sum | Function::Avg | Function::Spread if self.count == 0 => Cell::Null,
            Function::Sum => match aggregate.kind {
                Kind::Double => Cell::Double(self.sum),
                Kind::UBigInt => u64::try_from(self.whole).map_or(Cell::Null, Cell::Uint),
                _ => i64::try_from(self.whole).map_or(Cell::Null, Cell::Int),
            },
            Function::Avg => Cell::Double(self.sum / self.count as f64),
            Function::Spread => Cell::Double(self.high - self.low),
            _ => self.chosen.as_ref().map(|(cell, _)| cell.clone()).unwrap_or_default(),
        }
    }
}

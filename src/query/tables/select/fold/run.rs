//! One aggregate over runs of a column.
//!
//! Cost: integers and doubles without nulls are met in place; other columns value by value.

use super::Place;
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::tables::convert::{compare, number};
use crate::query::tables::expr::Node;
use crate::query::tables::select::aggregate::{Aggregate, Function};
use crate::query::tables::select::scan::{Part, Scan};
use crate::query::tables::store::Values;
use std::cmp::{Ordering, Reverse};
use std::ops::Range;

/// What has been seen of one aggregate.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) count: i64,
    whole: i128,
    sum: f64,
    low: f64,
    high: f64,
    pub(super) chosen: Option<(Cell, Place)>,
}

/// What one column of a part holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column<'p> {
    Times(&'p [i64]),
    Values(&'p Values),
    /// In every row.
    Same(&'p Cell),
}

impl<'p> Column<'p> {
    /// What an aggregate is a function of, if that is a column.
    pub(super) fn of(aggregate: &Aggregate, scan: &Scan, part: &'p Part) -> Option<Self> {
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

impl Fold {
    pub(super) fn new() -> Self {
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
    pub(super) fn add(&mut self, function: Function, cell: Cell, place: Place) {
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
    pub(super) fn take(
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
    pub(super) fn take_list(
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

    pub(super) fn outcome(&self, aggregate: &Aggregate) -> Cell {
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

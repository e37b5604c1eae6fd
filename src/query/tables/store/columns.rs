//! Some rows of a result, column by column.
//!
//! Cost: a column of numbers takes a run of another by one copy, and looks at the nulls only where
//! there are some.

use super::Values;
use crate::model::table::rows::Cell;
use std::ops::Range;

/// See the module's page. Invariant: each column has as many values as there are rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// How many rows.
    pub rows: usize,
    /// A column for each field. What is known of their bounds says nothing here.
    pub list: Vec<Values>,
}

impl Columns {
    /// Of rows; what a row lacks is null.
    #[must_use]
    pub fn of_rows(width: usize, rows: &[Vec<Cell>]) -> Self {
        let column = |at: usize| {
            let mut values = Values::default();
            rows.iter().for_each(|row| values.push(row.get(at).cloned().unwrap_or_default()));
            values
        };
        Self { rows: rows.len(), list: (0..width).map(column).collect() }
    }

    /// One row.
    #[must_use]
    pub fn row(&self, at: usize) -> Vec<Cell> {
        self.list.iter().map(|values| values.get(at)).collect()
    }
}

impl Default for Values {
    fn default() -> Self {
        Values::Cells(Vec::new())
    }
}

impl Values {
    /// Adds a run of another column; null where it has no values.
    pub fn append(&mut self, from: Option<&Values>, rows: Range<usize>) {
        let Some(from) = from else { return self.append_cell(&Cell::Null, rows.len()) };
        if self.len() == 0 {
            *self = match from {
                Values::Ints(..) => Values::Ints(Vec::new(), <_>::default()),
                Values::Doubles(..) => Values::Doubles(Vec::new(), <_>::default()),
                Values::Cells(_) => Values::default(),
            };
        }
        let known = self.len();
        let (own, marks) = match (&mut *self, from) {
            (Values::Ints(list, own), Values::Ints(more, marks)) => {
                list.extend_from_slice(more.get(rows.clone()).unwrap_or_default());
                (own, marks)
            }
            (Values::Doubles(list, own), Values::Doubles(more, marks)) => {
                list.extend_from_slice(more.get(rows.clone()).unwrap_or_default());
                (own, marks)
            }
            (Values::Cells(list), Values::Cells(more)) => {
                return list.extend_from_slice(more.get(rows).unwrap_or_default());
            }
            _ => return rows.for_each(|row| self.push(from.get(row))),
        };
        if !marks.has_no_nulls() {
            for (at, _) in rows.enumerate().filter(|(_, row)| marks.is_null(*row)) {
                own.set(known + at, true);
            }
        }
    }

    /// Adds a value so many times.
    pub fn append_cell(&mut self, cell: &Cell, count: usize) {
        (0..count).for_each(|_| self.push(cell.clone()));
    }

    /// Adds whole numbers.
    pub fn append_ints(&mut self, more: &[i64]) {
        if self.len() == 0 {
            *self = Values::Ints(Vec::new(), <_>::default());
        }
        match self {
            Values::Ints(list, _) => list.extend_from_slice(more),
            _ => more.iter().for_each(|n| self.push(Cell::Int(*n))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_takes_runs_of_any_other() {
        let rows = |list: &[Cell]| {
            let rows: Vec<Vec<Cell>> = list.iter().map(|cell| vec![cell.clone()]).collect();
            Columns::of_rows(1, &rows).list.remove(0)
        };
        let numbers = rows(&[Cell::Int(1), Cell::Null, Cell::Int(3)]);
        assert!(matches!(numbers, Values::Ints(..)));
        let doubles = rows(&[Cell::Null, Cell::Double(0.5)]);
        let texts = rows(&[Cell::text("a"), Cell::Null]);
        let mut own = Values::default();
        own.append(Some(&numbers), 1..3);
        own.append(Some(&numbers), 0..2);
        own.append(None, 0..1);
        own.append_ints(&[7]);
        assert!(matches!(own, Values::Ints(..)));
        own.append(Some(&doubles), 0..2);
        own.append(Some(&texts), 0..1);
        own.append_cell(&Cell::Int(9), 2);
        let all = Columns { rows: 11, list: vec![own] };
        let got: Vec<Cell> = (0..all.rows).flat_map(|at| all.row(at)).collect();
        let null = Cell::Null;
        assert_eq!(
            got[..6],
            [null.clone(), Cell::Int(3), Cell::Int(1), null.clone(), null.clone(), Cell::Int(7)]
        );
        assert_eq!(
            got[6..],
            [null, Cell::Double(0.5), Cell::text("a"), Cell::Int(9), Cell::Int(9)]
        );
    }
}

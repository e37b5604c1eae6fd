//! The rows of one table or subtable, column by column.
//!
//! Method: a column is a list of integers or of doubles with a bit for each null while it can be,
//! and a list of cells otherwise. Invariant: times ascend and differ, all columns are as long as
//! the times. Cost: 8 bytes for each number, 24 for each other value; appending in order of time
//! is a push, anything else a merge.

use crate::model::record::Offset;
use crate::model::table::ColumnId;
use crate::model::table::rows::{Cell, Rows};

/// The column of the offsets of the records that wrote the rows, where they are kept; no column of
/// a table has this number.
const OFFSETS: ColumnId = ColumnId::MAX;

/// What is known of a list of numbers: which are null, and between which bounds the others lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Marks {
    /// A bit for each row that is null; rows behind the last word are not.
    nulls: Vec<u64>,
    low: f64,
    high: f64,
}

impl Default for Marks {
    fn default() -> Self {
        Self { nulls: Vec::new(), low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Marks {
    /// Whether none is null.
    #[must_use]
    pub fn has_no_nulls(&self) -> bool {
        self.nulls.is_empty()
    }

    /// Numbers between which all values lie; values that stood once may count too.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    fn see(&mut self, number: f64) {
        self.low = self.low.min(number);
        self.high = self.high.max(number);
    }

    /// Whether the value of this row is null.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Which of eight rows are null, the first as the lowest bit; `index`: from the eighth part of
    /// the number of the first.
    #[must_use]
    pub fn null_bits(&self, index: usize) -> u8 {
        self.nulls.get(index / 8).map_or(0, |word| (word >> (index % 8 * 8)) as u8)
    }

    pub(super) fn set(&mut self, row: usize, null: bool) {
        if null && self.nulls.len() <= row / 64 {
            self.nulls.resize(row / 64 + 1, 0);
        }
        if let Some(word) = self.nulls.get_mut(row / 64) {
            *word = *word & !(1 << (row % 64)) | u64::from(null) << (row % 64);
        }
    }
}

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Integers and times; 0 where it is null.
    Ints(Vec<i64>, Marks),
    /// Doubles; 0 where it is null.
    Doubles(Vec<f64>, Marks),
    /// Anything.
    Cells(Vec<Cell>),
}

impl Values {
    /// So many nulls, for values like this one.
    fn nulls(like: &Cell, rows: usize) -> Self {
        let mut marks = Marks { nulls: vec![u64::MAX; rows / 64], ..Marks::default() };
        if !rows.is_multiple_of(64) {
            marks.nulls.push((1 << (rows % 64)) - 1);
        }
        match like {
            Cell::Int(_) => Values::Ints(vec![0; rows], marks),
            Cell::Double(_) => Values::Doubles(vec![0.0; rows], marks),
            _ => Values::Cells(vec![Cell::Null; rows]),
        }
    }

    /// How many values there are.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Values::Ints(list, _) => list.len(),
            Values::Doubles(list, _) => list.len(),
            Values::Cells(list) => list.len(),
        }
    }

    /// The value of a row; null behind the last.
    #[must_use]
    pub fn get(&self, row: usize) -> Cell {
        match self {
            Values::Ints(list, marks) => match list.get(row) {
                Some(n) if !marks.is_null(row) => Cell::Int(*n),
                _ => Cell::Null,
            },
            Values::Doubles(list, marks) => match list.get(row) {
                Some(n) if !marks.is_null(row) => Cell::Double(*n),
                _ => Cell::Null,
            },
            Values::Cells(list) => list.get(row).cloned().unwrap_or_default(),
        }
    }

    /// Makes room for values like this one: a list of marks takes its kind, a list of another kind
    /// becomes one of cells.
    fn fit(&mut self, cell: &Cell) {
        let fits = match (&*self, cell) {
            (_, Cell::Null) | (Values::Ints(..), Cell::Int(_)) => true,
            (Values::Doubles(..), Cell::Double(_)) => true,
            (Values::Cells(list), Cell::Int(_) | Cell::Double(_)) => {
                if list.iter().all(Cell::is_null) {
                    *self = Self::nulls(cell, list.len());
                }
                true
            }
            (Values::Cells(_), _) => true,
            _ => false,
        };
        if !fits {
            *self = Values::Cells((0..self.len()).map(|row| self.get(row)).collect());
        }
    }

    pub(super) fn push(&mut self, cell: Cell) {
        self.fit(&cell);
        match (self, cell) {
            (Values::Cells(list), cell) => list.push(cell),
            (Values::Ints(list, marks), Cell::Int(n)) => {
                marks.see(n as f64);
                list.push(n);
            }
            (Values::Doubles(list, marks), Cell::Double(n)) => {
                marks.see(n);
                list.push(n);
            }
            (Values::Ints(list, marks), _) => {
                marks.set(list.len(), true);
                list.push(0);
            }
            (Values::Doubles(list, marks), _) => {
                marks.set(list.len(), true);
                list.push(0.0);
            }
        }
    }

    fn set(&mut self, row: usize, cell: Cell) {
        self.fit(&cell);
        match (self, cell) {
            (Values::Cells(list), cell) => list[row] = cell,
            (Values::Ints(list, marks), cell) => {
                marks.set(row, cell.is_null());
                list[row] = 0;
                if let Cell::Int(n) = cell {
                    marks.see(n as f64);
                    list[row] = n;
                }
            }
            (Values::Doubles(list, marks), cell) => {
                marks.set(row, cell.is_null());
                list[row] = 0.0;
                if let Cell::Double(n) = cell {
                    marks.see(n);
                    list[row] = n;
                }
            }
        }
    }

    fn resize(&mut self, rows: usize) {
        while self.len() < rows {
            self.push(Cell::Null);
        }
    }

    /// The rows of these numbers, in this order; null where there is none of that number.
    fn take(&self, rows: &[usize]) -> Self {
        fn some<T: Copy + Default>(list: &[T], marks: &Marks, rows: &[usize]) -> (Vec<T>, Marks) {
            let (mut taken, mut missing) =
                (Vec::with_capacity(rows.len()), Marks { nulls: Vec::new(), ..*marks });
            for (at, row) in rows.iter().enumerate() {
                let value = list.get(*row).copied();
                if value.is_none() || marks.is_null(*row) {
                    missing.set(at, true);
                }
                taken.push(value.unwrap_or_default());
            }
            (taken, missing)
        }
        match self {
            Values::Ints(list, marks) => {
                let (list, marks) = some(list, marks, rows);
                Values::Ints(list, marks)
            }
            Values::Doubles(list, marks) => {
                let (list, marks) = some(list, marks, rows);
                Values::Doubles(list, marks)
            }
            Values::Cells(_) => Values::Cells(rows.iter().map(|row| self.get(*row)).collect()),
        }
    }
}

/// See the module's page.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// Times, ascending.
    pub times: Vec<i64>,
    columns: Vec<(ColumnId, Values)>,
}

impl Sheet {
    /// The values of a column, if one was ever written.
    #[must_use]
    pub fn column(&self, id: ColumnId) -> Option<&Values> {
        self.columns.iter().find(|(own, _)| *own == id).map(|(_, values)| values)
    }

    /// The offset of the record that wrote a row last, if that was kept.
    #[must_use]
    pub fn offset(&self, row: usize) -> Option<i64> {
        match self.column(OFFSETS)?.get(row) {
            Cell::Int(offset) => Some(offset),
            _ => None,
        }
    }

    /// Values that it holds, nulls among them.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.times.len() * (1 + self.columns.len())
    }

    fn place(&mut self, id: ColumnId) -> usize {
        if let Some(at) = self.columns.iter().position(|(own, _)| *own == id) {
            return at;
        }
        self.columns.push((id, Values::nulls(&Cell::Null, self.times.len())));
        self.columns.len() - 1
    }

    /// Puts rows over what stands: a column that they do not name keeps its value. `offset`: that
    /// of their record, if it is to be kept.
    pub fn write(&mut self, rows: &Rows<'_>, offset: Option<Offset>) {
        let mut ids: Vec<ColumnId> = rows.columns().map(|column| column.id).collect();
        let mut cells: Vec<Vec<Cell>> = (0..ids.len()).map(|index| rows.cells(index)).collect();
        if let Some(offset) = offset.and_then(|offset| i64::try_from(offset).ok()) {
            ids.push(OFFSETS);
            cells.push(vec![Cell::Int(offset); rows.rows]);
        }
        let Some(times) = cells.first() else { return };
        let times: Vec<i64> = times.iter().filter_map(time_of).collect();
        if times.len() != rows.rows {
            return;
        }
        let places: Vec<usize> = ids.iter().skip(1).map(|id| self.place(*id)).collect();
        let ascends = times.windows(2).all(|pair| pair[0] < pair[1])
            && self.times.last().zip(times.first()).is_none_or(|(last, first)| last < first);
        let known = self.times.len();
        if !ascends {
            self.add_times(&times);
        } else {
            self.times.extend_from_slice(&times);
        }
        for (place, list) in places.iter().zip(cells.iter_mut().skip(1)) {
            let values = &mut self.columns[*place].1;
            if ascends {
                values.resize(known);
                list.drain(..).for_each(|cell| values.push(cell));
                continue;
            }
            for (time, cell) in times.iter().zip(list.drain(..)) {
                if let Ok(at) = self.times.binary_search(time) {
                    values.set(at, cell);
                }
            }
        }
        for (_, values) in &mut self.columns {
            values.resize(self.times.len());
        }
    }

    /// Makes rows of nulls for times that are not there, wherever they belong.
    fn add_times(&mut self, times: &[i64]) {
        let is_new = |time: &i64| self.times.binary_search(time).is_err();
        let mut new: Vec<i64> = times.iter().copied().filter(is_new).collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return;
        }
        // Where each row of the new list comes from; those behind the old end are null.
        let (mut joined, mut from) = (Vec::new(), Vec::new());
        let (mut old, mut added) = (0, 0);
        while old < self.times.len() || added < new.len() {
            let next = (self.times.get(old), new.get(added));
            if matches!(next, (Some(a), Some(b)) if a < b) || next.1.is_none() {
                joined.push(self.times[old]);
                from.push(old);
                old += 1;
            } else {
                joined.push(new[added]);
                from.push(usize::MAX);
                added += 1;
            }
        }
        self.columns.iter_mut().for_each(|(_, values)| *values = values.take(&from));
        self.times = joined;
    }

    /// Removes the rows from one time to another, both included.
    pub fn delete(&mut self, from: i64, to: i64) {
        let start = self.times.partition_point(|time| *time < from);
        let end = self.times.partition_point(|time| *time <= to);
        if start < end {
            let kept: Vec<usize> = (0..start).chain(end..self.times.len()).collect();
            self.times.drain(start..end);
            self.columns.iter_mut().for_each(|(_, values)| *values = values.take(&kept));
        }
    }
}

fn time_of(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Int(time) => Some(*time),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::rows::{Deed, Written, encode};
    use crate::model::table::{Column, Kind, Precision};

    fn write(sheet: &mut Sheet, columns: &[(ColumnId, &[Option<i64>])]) {
        let written: Vec<_> = columns
            .iter()
            .map(|(id, cells)| {
                let kind = if *id == 0 { Kind::Timestamp } else { Kind::Int };
                let column = Column { id: *id, name: "c".into(), kind };
                let cells = cells.iter().map(|n| n.map_or(Cell::Null, Cell::Int)).collect();
                Written { column, cells }
            })
            .collect();
        let bytes = encode(Deed::Write, Precision::Ms, "", &[], &written);
        sheet.write(&Rows::parse(&bytes).unwrap(), None);
    }

    fn column(sheet: &Sheet, id: ColumnId) -> Vec<Cell> {
        (0..sheet.times.len()).map(|row| sheet.column(id).unwrap().get(row)).collect()
    }

    #[test]
    fn later_writes_stand_over_earlier_ones() {
        let mut sheet = Sheet::default();
        write(&mut sheet, &[(0, &[Some(5)]), (1, &[Some(1)]), (2, &[Some(10)])]);
        write(&mut sheet, &[(0, &[Some(7), Some(9)]), (1, &[Some(2), None])]);
        write(&mut sheet, &[(0, &[Some(6), Some(5)]), (1, &[Some(3), Some(4)])]);
        write(&mut sheet, &[(0, &[Some(7)]), (2, &[None])]);
        assert_eq!(sheet.times, [5, 6, 7, 9]);
        let int = Cell::Int;
        assert_eq!(column(&sheet, 1), [int(4), int(3), int(2), Cell::Null]);
        assert_eq!(column(&sheet, 2), [int(10), Cell::Null, Cell::Null, Cell::Null]);
        sheet.delete(6, 7);
        assert_eq!(sheet.times, [5, 9]);
        assert_eq!(column(&sheet, 1), [int(4), Cell::Null]);
        write(&mut sheet, &[(0, &[Some(9), Some(1), Some(9)]), (1, &[Some(7), Some(8), Some(6)])]);
        assert_eq!(
            (sheet.times.as_slice(), column(&sheet, 1)),
            (&[1, 5, 9][..], vec![int(8), int(4), int(6)])
        );
    }

    #[test]
    fn a_column_takes_any_value() {
        let mut values = Values::nulls(&Cell::Null, 70);
        values.push(Cell::Int(5));
        assert!(matches!(values, Values::Ints(..)));
        values.push(Cell::Null);
        values.set(3, Cell::Int(4));
        values.set(70, Cell::Null);
        values.push(Cell::text("x"));
        assert!(matches!(values, Values::Cells(_)));
        let some: Vec<_> =
            (0..74).map(|row| (row, values.get(row))).filter(|(_, c)| !c.is_null()).collect();
        assert_eq!(some, [(3, Cell::Int(4)), (72, Cell::text("x"))]);
    }
}

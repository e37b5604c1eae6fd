//! The sheets that a query reads, and rows of them only where rows are needed.
//!
//! Invariant: a row is its time, the columns of `ids`, then the tail of its part. Cost: rows of one
//! part are met in place; those of several are merged by a heap.

use crate::model::table::ColumnId;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::store::Sheet;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;
use std::sync::Arc;

/// The first and the last time that a condition lets through.
pub type Times = (Option<i64>, Option<i64>);

/// A subtable, or the whole of a normal table.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its rows.
    pub sheet: Arc<Sheet>,
    /// Tags and name, which each row ends with.
    pub tail: Vec<Cell>,
    /// Earlier rows are not kept any more.
    pub oldest: i64,
}

/// See the module's page.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The columns behind the time.
    pub ids: Vec<ColumnId>,
    /// In order of creation.
    pub parts: Vec<Part>,
}

/// How far a walk over the rows of a [`Scan`] is.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Time, part and row of what comes next of each part.
    next: BinaryHeap<Reverse<(i64, usize, usize)>>,
    /// Where the rows of each part end.
    ends: Vec<usize>,
}

impl Part {
    /// The rows within these times.
    #[must_use]
    pub fn within(&self, (from, to): Times) -> Range<usize> {
        let times = &self.sheet.times;
        let from = from.unwrap_or(self.oldest).max(self.oldest);
        let begin = match times.first() {
            Some(first) if *first < from => times.partition_point(|time| *time < from),
            _ => 0,
        };
        let end = to.map_or(times.len(), |to| times.partition_point(|time| *time <= to));
        begin..end.max(begin)
    }
}

impl Scan {
    /// A row of a part in which all but the tail is still null.
    #[must_use]
    pub fn blank(&self, part: &Part) -> Vec<Cell> {
        let mut row = vec![Cell::Null; 1 + self.ids.len()];
        row.extend_from_slice(&part.tail);
        row
    }

    /// Puts the values of a row into what [`Scan::blank`] made for its part.
    pub fn load(&self, part: &Part, at: usize, row: &mut [Cell]) {
        let time = part.sheet.times.get(at).map_or(Cell::Null, |time| Cell::Int(*time));
        let values = self.ids.iter().map(|id| part.sheet.column(*id).map(|v| v.get(at)));
        let cells = std::iter::once(time).chain(values.map(Option::unwrap_or_default));
        row.iter_mut().zip(cells).for_each(|(slot, cell)| *slot = cell);
    }

    /// One row.
    #[must_use]
    pub fn row(&self, part: usize, at: usize) -> Vec<Cell> {
        let Some(part) = self.parts.get(part) else { return Vec::new() };
        let mut row = self.blank(part);
        self.load(part, at, &mut row);
        row
    }

    /// Shows some rows of one part.
    pub fn each_of(&self, part: &Part, rows: Range<usize>, mut see: impl FnMut(usize, &[Cell])) {
        let mut row = self.blank(part);
        for at in rows {
            self.load(part, at, &mut row);
            see(at, &row);
        }
    }

    /// Begins a walk over all rows within these times, in order of time, then of the parts.
    #[must_use]
    pub fn walk(&self, times: Times) -> Walk {
        let mut walk = Walk::default();
        for (number, part) in self.parts.iter().enumerate() {
            let range = part.within(times);
            let first = part.sheet.times.get(range.start).filter(|_| !range.is_empty());
            walk.next.extend(first.map(|time| Reverse((*time, number, range.start))));
            walk.ends.push(range.end);
        }
        walk
    }

    /// The next rows of a walk that follow each other in one part, at most so many: the part's
    /// number and theirs. `None`: there are none.
    pub fn next_run(&self, walk: &mut Walk, most: usize) -> Option<(usize, Range<usize>)> {
        // What comes next after the first stands in one of the two places behind it.
        let rival = walk.next.as_slice().get(1..).and_then(|rest| rest.iter().take(2).max());
        let rival = rival.map(|Reverse((time, number, _))| (*time, *number));
        let mut top = walk.next.peek_mut()?;
        let Reverse((_, number, begin)) = *top;
        let times = &self.parts.get(number)?.sheet.times;
        let end = walk.ends.get(number).copied().unwrap_or(0).min(times.len());
        let last = end.min(begin.saturating_add(most.max(1)));
        let mut at = begin + 1;
        match rival {
            None => at = last,
            // Most often the same part goes on where each has times of its own.
            Some(rival) => {
                while at < last && (times[at], number) < rival {
                    at += 1;
                }
            }
        }
        if at < end {
            *top = Reverse((times[at], number, at));
        } else {
            PeekMut::pop(top);
        }
        Some((number, begin..at))
    }

    /// Shows all rows within these times, in order of time, then of the parts, until `see` wants no
    /// more.
    ///
    /// # Errors
    /// Those of `see`.
    pub fn each(
        &self,
        times: Times,
        see: &mut dyn FnMut(&[Cell]) -> Result<bool, Wrong>,
    ) -> Result<(), Wrong> {
        let mut rows: Vec<Vec<Cell>> = self.parts.iter().map(|part| self.blank(part)).collect();
        let mut walk = self.walk(times);
        while let Some((number, run)) = self.next_run(&mut walk, usize::MAX) {
            let (part, row) = (&self.parts[number], &mut rows[number]);
            for at in run {
                self.load(part, at, row);
                if !see(row)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

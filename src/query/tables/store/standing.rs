//! A typed table as it stands, row by row, for dialects that see records.
//!
//! Method: the sheets of the subtables are merged by time with a heap. Cost: one comparison of the
//! heap's depth for each row, and a copy of its cells; nothing is held but the sheets.

use super::{Sheet, Sheets, oldest_of, stand, stand_with_offsets};
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Table};
use crate::model::topic::Topic;
use crate::query::program::Fault;
use crate::query::pull::Bench;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// One subtable, or the whole of a normal table.
#[derive(Debug)]
struct Part {
    sheet: Arc<Sheet>,
    /// Tags and name, which each row ends with.
    tail: Vec<Cell>,
}

/// Rows in order of time, then of the creation of subtables.
#[derive(Debug)]
pub struct StandingRows {
    table: Arc<Table>,
    parts: Vec<Part>,
    /// Time, part, row of what comes next of each part.
    next: BinaryHeap<Reverse<(i64, usize, usize)>>,
}

impl StandingRows {
    /// The rows of the table that a topic holds, as they stand now; none if it holds none.
    /// `offsets`: with those of the records that wrote them, which takes another walk of the log.
    ///
    /// # Errors
    /// The log cannot be read, or the query must end.
    pub fn of(
        bench: &mut dyn Bench,
        topic: &Arc<Topic>,
        offsets: bool,
    ) -> Result<Option<Self>, Fault> {
        let tables = bench.tables();
        let Some(table) = tables.table(&topic.name).cloned() else { return Ok(None) };
        let stand = if offsets { stand_with_offsets } else { stand };
        let sheets: Arc<Sheets> = stand(bench, topic)?;
        let mut parts = Vec::new();
        if table.is_super {
            for sub in tables.subtables_of(&table.name) {
                let Some(sheet) = sheets.get(&sub.name).cloned() else { continue };
                let mut tail: Vec<Cell> = table.tags.iter().map(|tag| sub.tag(tag.id)).collect();
                tail.push(Cell::Text(Arc::clone(&sub.name)));
                parts.push(Part { sheet, tail });
            }
        } else {
            parts.extend(sheets.get("").cloned().map(|sheet| Part { sheet, tail: Vec::new() }));
        }
        let oldest = oldest_of(bench, topic);
        let first = |(index, part): (usize, &Part)| {
            let row = part.sheet.times.partition_point(|time| *time < oldest);
            Some(Reverse((*part.sheet.times.get(row)?, index, row)))
        };
        let next = parts.iter().enumerate().filter_map(first).collect();
        Ok(Some(Self { table, parts, next }))
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The next row: cells of columns, then of tags, then the name of the subtable of a supertable.
    /// Gives its offset, 0 if they were not asked for, and its time in milliseconds since 1970.
    pub fn next_into(&mut self, out: &mut Vec<Cell>) -> Option<(i64, i64)> {
        let Reverse((time, index, row)) = self.next.pop()?;
        let part = self.parts.get(index)?;
        if let Some(later) = part.sheet.times.get(row + 1) {
            self.next.push(Reverse((*later, index, row + 1)));
        }
        out.clear();
        let cell = |at: usize, column: &Column| match at {
            0 => Cell::Int(time),
            _ => part.sheet.column(column.id).map(|values| values.get(row)).unwrap_or_default(),
        };
        out.extend(self.table.columns.iter().enumerate().map(|(at, column)| cell(at, column)));
        out.extend_from_slice(&part.tail);
        let unit = self.table.precision.unit_ns();
        let offset = part.sheet.offset(row).unwrap_or_default();
        Some((offset, time.saturating_mul(unit).div_euclid(1_000_000)))
    }
}

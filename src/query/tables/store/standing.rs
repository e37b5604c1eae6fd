//! A typed table as it stands, row by row as JSON objects, for dialects that see records.
//!
//! Method: the sheets of the subtables are merged by time with a heap. Cost: one comparison of the
//! heap's depth and the JSON text for each row; nothing is held but the sheets.

use super::{Sheet, Sheets, stand};
use crate::model::table::rows::{Cell, write_member, write_table_name};
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
    tail: Vec<u8>,
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
    ///
    /// # Errors
    /// The log cannot be read, or the query must end.
    pub fn of(bench: &mut dyn Bench, topic: &Arc<Topic>) -> Result<Option<Self>, Fault> {
        let tables = bench.tables();
        let Some(table) = tables.table(&topic.name).cloned() else { return Ok(None) };
        let sheets: Arc<Sheets> = stand(bench, topic)?;
        let mut parts = Vec::new();
        if table.is_super {
            for sub in tables.subtables_of(&table.name) {
                let Some(sheet) = sheets.get(&sub.name).cloned() else { continue };
                let mut tail = Vec::new();
                for tag in &table.tags {
                    write_member(tag, &sub.tag(tag.id), &mut tail);
                }
                write_table_name(&sub.name, &mut tail);
                parts.push(Part { sheet, tail });
            }
        } else {
            parts.extend(sheets.get("").cloned().map(|sheet| Part { sheet, tail: Vec::new() }));
        }
        let first =
            |(index, part): (usize, &Part)| Some(Reverse((*part.sheet.times.first()?, index, 0)));
        let next = parts.iter().enumerate().filter_map(first).collect();
        Ok(Some(Self { table, parts, next }))
    }

    /// Writes the next row; gives its time in milliseconds since 1970.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<i64> {
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
        for (at, column) in self.table.columns.iter().enumerate() {
            write_member(column, &cell(at, column), out);
        }
        out.extend_from_slice(&part.tail);
        out.push(b'}');
        if let Some(comma) = out.first_mut() {
            *comma = b'{';
        }
        Some(time.saturating_mul(self.table.precision.unit_ns()).div_euclid(1_000_000))
    }
}

//! Typed tables as they stand: one row for each table and time, later writes over earlier ones.
//!
//! Method: a table is read from its log once and kept, column by column; what came since is added
//! before each query. A query holds what it reads; a write of the same subtable meanwhile goes to
//! a copy. Invariant: times ascend and differ, all columns are as long as the times.
//! Cost: 24 bytes for each value; appending in order of time is a push, anything else a merge.

use crate::model::record::{Body, Offset};
use crate::model::table::ColumnId;
use crate::model::table::rows::{Cell, Deed, Rows};
use crate::model::topic::{Topic, TopicId};
use crate::query::program::Fault;
use crate::query::pull::{Bench, Stopped};
use ahash::AHashMap;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// Values that are kept of all tables; beyond, tables that are not asked for are forgotten.
const CELLS_MAX: usize = 40_000_000;

/// The rows of one table or subtable.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// Times, ascending.
    pub times: Vec<i64>,
    columns: Vec<(ColumnId, Vec<Cell>)>,
}

impl Sheet {
    /// The values of a column, if one was ever written.
    #[must_use]
    pub fn column(&self, id: ColumnId) -> Option<&[Cell]> {
        self.columns.iter().find(|(own, _)| *own == id).map(|(_, cells)| cells.as_slice())
    }

    fn place(&mut self, id: ColumnId) -> usize {
        if let Some(at) = self.columns.iter().position(|(own, _)| *own == id) {
            return at;
        }
        self.columns.push((id, vec![Cell::Null; self.times.len()]));
        self.columns.len() - 1
    }

    fn write(&mut self, rows: &Rows<'_>) {
        let ids: Vec<ColumnId> = rows.columns().map(|column| column.id).collect();
        let mut cells: Vec<Vec<Cell>> = (0..ids.len()).map(|index| rows.cells(index)).collect();
        let Some(times) = cells.first() else { return };
        let times: Vec<i64> = times.iter().filter_map(time_of).collect();
        if times.len() != rows.rows {
            return;
        }
        let places: Vec<usize> = ids.iter().skip(1).map(|id| self.place(*id)).collect();
        let ascends = times.windows(2).all(|pair| pair[0] < pair[1])
            && self.times.last().zip(times.first()).is_none_or(|(last, first)| last < first);
        if ascends {
            self.times.extend_from_slice(&times);
            for (place, list) in places.iter().zip(cells.iter_mut().skip(1)) {
                self.columns[*place].1.append(list);
            }
            for (_, list) in &mut self.columns {
                list.resize(self.times.len(), Cell::Null);
            }
            return;
        }
        for (row, time) in times.iter().enumerate() {
            let at = match self.times.binary_search(time) {
                Ok(at) => at,
                Err(at) => {
                    self.times.insert(at, *time);
                    self.columns.iter_mut().for_each(|(_, list)| list.insert(at, Cell::Null));
                    at
                }
            };
            for (place, list) in places.iter().zip(cells.iter_mut().skip(1)) {
                self.columns[*place].1[at] = std::mem::take(&mut list[row]);
            }
        }
    }

    fn delete(&mut self, from: i64, to: i64) {
        let start = self.times.partition_point(|time| *time < from);
        let end = self.times.partition_point(|time| *time <= to);
        if start < end {
            self.times.drain(start..end);
            self.columns.iter_mut().for_each(|(_, list)| drop(list.drain(start..end)));
        }
    }
}

fn time_of(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Int(time) => Some(*time),
        _ => None,
    }
}

/// The sheets of a table by subtable; a normal table has one, of the empty name.
pub type Sheets = BTreeMap<Arc<str>, Arc<Sheet>>;

#[derive(Debug, Default)]
struct Held {
    next: Offset,
    sheets: Arc<Sheets>,
    cells: usize,
}

impl Held {
    fn take(&mut self, rows: &Rows<'_>) {
        let sheets = Arc::make_mut(&mut self.sheets);
        match rows.deed {
            Deed::Write => {
                self.cells += rows.rows * rows.columns().count();
                let sheet = match sheets.get_mut(rows.table) {
                    Some(sheet) => sheet,
                    None => sheets.entry(rows.table.into()).or_default(),
                };
                Arc::make_mut(sheet).write(rows);
            }
            Deed::Delete(from, to) => {
                if let Some(sheet) = sheets.get_mut(rows.table) {
                    Arc::make_mut(sheet).delete(from, to);
                }
            }
            Deed::Drop => drop(sheets.remove(rows.table)),
        }
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Standing {
    tables: Mutex<AHashMap<TopicId, Arc<Mutex<Held>>>>,
    growing: Arc<Mutex<()>>,
}

impl Standing {
    /// The topic is gone.
    pub fn forget(&self, topic: TopicId) {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).remove(&topic);
    }

    /// Held by who widens tables for points, so that many who do wait instead of trying again.
    #[must_use]
    pub fn growing(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.growing)
    }

    fn held(&self, topic: TopicId) -> Arc<Mutex<Held>> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = |held: &Arc<Mutex<Held>>| held.try_lock().map_or(0, |held| held.cells);
        if tables.values().map(cells).sum::<usize>() > CELLS_MAX {
            tables.retain(|id, _| *id == topic);
        }
        Arc::clone(tables.entry(topic).or_default())
    }
}

/// The table of a topic as it stands.
///
/// # Errors
/// The log cannot be read, or the query must end.
pub fn stand(bench: &mut dyn Bench, topic: &Arc<Topic>) -> Result<Arc<Sheets>, Fault> {
    let held = match bench.standing() {
        Some(standing) => standing.held(topic.id),
        None => Arc::default(),
    };
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    let mut records = bench.open_at(topic, held.next)?;
    loop {
        let more = records.next_chunk(&mut |offset, record| {
            if offset >= held.next {
                held.next = offset + 1;
                if let Body::Rows(bytes) = record.body
                    && let Some(rows) = Rows::parse(bytes)
                {
                    held.take(&rows);
                }
            }
            ControlFlow::Continue(())
        })?;
        if !more {
            return Ok(Arc::clone(&held.sheets));
        }
        bench.check().map_err(|why| match why {
            Stopped::Cancelled => Fault::new("the query was stopped"),
            Stopped::TimedOut => Fault::new("the query took too long"),
        })?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::rows::{Written, encode};
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
        sheet.write(&Rows::parse(&bytes).unwrap());
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
        assert_eq!(sheet.column(1).unwrap(), [int(4), int(3), int(2), Cell::Null]);
        assert_eq!(sheet.column(2).unwrap(), [int(10), Cell::Null, Cell::Null, Cell::Null]);
        sheet.delete(6, 7);
        assert_eq!(sheet.times, [5, 9]);
        assert_eq!(sheet.column(1).unwrap(), [int(4), Cell::Null]);
    }
}

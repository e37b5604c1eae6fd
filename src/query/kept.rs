//! The rows of a typed table as they were written, without those that were deleted since
//! (interchange, 4).
//!
//! Method: what deletes stands in the log behind what it deletes, so that the log is walked for it
//! first; a record that lost some of its rows is packed anew from the others. Cost: one more walk,
//! which looks at two bytes of most records.

pub mod replay;

use super::program::Fault;
use super::pull::{Bench, Records};
use crate::model::record::{Body, Offset, Record};
use crate::model::table::rows::{Cell, Deed, Rows, Written, encode};
use crate::model::topic::Topic;
use ahash::AHashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What was deleted of a subtable: by the record at an offset, from a time to a time.
type Gone = AHashMap<Box<str>, Vec<(Offset, i64, i64)>>;

/// A snapshot of a topic; of a typed one without the rows that DELETE or DROP hid.
///
/// # Errors
/// As [`Bench::open`], or the query must end.
pub fn open_kept(bench: &mut dyn Bench, topic: &Arc<Topic>) -> Result<Box<dyn Records>, Fault> {
    let records = bench.open(topic)?;
    if !topic.typed {
        return Ok(records);
    }
    let gone = gone(bench, topic, 0)?;
    Ok(if gone.is_empty() { records } else { Box::new(Kept { records, gone }) })
}

/// What the records from an offset on deleted. Read after a snapshot is opened, so that it knows
/// all that the snapshot holds.
fn gone(bench: &mut dyn Bench, topic: &Arc<Topic>, from: Offset) -> Result<Gone, Fault> {
    let mut whole = bench.open_at(topic, from)?;
    let mut gone = Gone::default();
    while whole.next_chunk(&mut |offset, record| {
        if let Body::Rows(bytes) = record.body
            && Rows::hides(bytes)
            && let Some(rows) = Rows::parse(bytes)
        {
            let (from, to) = match rows.deed {
                Deed::Delete(from, to) => (from, to),
                _ => (i64::MIN, i64::MAX),
            };
            let list = gone.entry(rows.table.into()).or_default();
            // What this one deletes too need not be remembered.
            while list.pop_if(|(_, first, last)| from <= *first && *last <= to).is_some() {}
            list.push((offset, from, to));
        }
        ControlFlow::Continue(())
    })? {
        bench.check().map_err(|_| Fault::new("the query was stopped"))?;
    }
    Ok(gone)
}

/// What deleted rows of a subtable after an offset.
fn later<'g>(gone: &'g Gone, offset: Offset, table: &str) -> &'g [(Offset, i64, i64)] {
    let list = gone.get(table).map_or(&[][..], Vec::as_slice);
    list.get(list.partition_point(|(by, ..)| *by <= offset)..).unwrap_or_default()
}

/// Which rows of a record stay.
fn staying(later: &[(Offset, i64, i64)], rows: &Rows<'_>) -> Vec<bool> {
    let stays = |cell: &Cell| match cell {
        Cell::Int(time) => !later.iter().any(|(_, from, to)| from <= time && time <= to),
        _ => true,
    };
    rows.cells(0).iter().map(stays).collect()
}

struct Kept {
    records: Box<dyn Records>,
    gone: Gone,
}

/// What is left of a record.
enum Left {
    All,
    Nothing,
    Some(Vec<u8>),
}

fn left(gone: &Gone, offset: Offset, record: &Record<'_>) -> Left {
    let Body::Rows(bytes) = record.body else { return Left::All };
    let Some(rows) = Rows::parse(bytes).filter(|rows| rows.deed == Deed::Write) else {
        return Left::All;
    };
    let later = later(gone, offset, rows.table);
    if later.is_empty() {
        return Left::All;
    }
    let stay = staying(later, &rows);
    match stay.iter().filter(|stays| **stays).count() {
        0 => Left::Nothing,
        count if count == stay.len() => Left::All,
        _ => {
            let keep = |index: usize| {
                let cells = rows.cells(index).into_iter().zip(&stay);
                cells.filter(|(_, stays)| **stays).map(|(cell, _)| cell).collect()
            };
            let columns: Vec<Written> = rows
                .columns()
                .enumerate()
                .map(|(index, column)| Written { column: column.clone(), cells: keep(index) })
                .collect();
            Left::Some(encode(Deed::Write, rows.precision, rows.table, &rows.tags, &columns))
        }
    }
}

impl Records for Kept {
    fn head(&self) -> Offset {
        self.records.head()
    }

    fn next_chunk(
        &mut self,
        visit: &mut dyn FnMut(Offset, &Record<'_>) -> ControlFlow<()>,
    ) -> Result<bool, Fault> {
        let gone = &self.gone;
        self.records.next_chunk(&mut |offset, record| match left(gone, offset, record) {
            Left::All => visit(offset, record),
            Left::Nothing => ControlFlow::Continue(()),
            Left::Some(bytes) => visit(
                offset,
                &Record { body: Body::Rows(&bytes), time: record.time, producer: record.producer },
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::{Column, Kind, Precision};

    fn write(table: &str, times: &[i64]) -> Vec<u8> {
        let column = Column { id: 0, name: "ts".into(), kind: Kind::Timestamp };
        let cells = times.iter().map(|time| Cell::Int(*time)).collect();
        encode(Deed::Write, Precision::Ms, table, &[], &[Written { column, cells }])
    }

    #[test]
    fn later_deletes_take_rows_of_their_table_and_time() {
        let mut gone = Gone::default();
        gone.insert("a".into(), vec![(5, 2, 3), (7, i64::MIN, i64::MAX)]);
        let times = |table: &str, offset, times: &[i64]| {
            let bytes = write(table, times);
            let record = Record { time: 0, producer: 0, body: Body::Rows(&bytes) };
            match left(&gone, offset, &record) {
                Left::All => times.to_vec(),
                Left::Nothing => Vec::new(),
                Left::Some(bytes) => {
                    let int = |cell| if let Cell::Int(n) = cell { n } else { panic!() };
                    Rows::parse(&bytes).unwrap().cells(0).into_iter().map(int).collect()
                }
            }
        };
        assert_eq!(times("b", 0, &[1, 2]), [1, 2]);
        assert!(times("a", 0, &[1, 2]).is_empty());
        assert_eq!(times("a", 8, &[1, 2]), [1, 2]);
        gone.get_mut("a").unwrap().pop();
        let times = |offset| {
            let bytes = write("a", &[1, 2, 3, 4]);
            let record = Record { time: 0, producer: 0, body: Body::Rows(&bytes) };
            match left(&gone, offset, &record) {
                Left::Some(bytes) => Rows::parse(&bytes).unwrap().rows,
                Left::All => 4,
                Left::Nothing => 0,
            }
        };
        assert_eq!((times(0), times(6)), (2, 4));
    }
}

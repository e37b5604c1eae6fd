//! Where a replay of a typed table begins, counted in rows, and which rows it passes over
//! (interchange, 4).
//!
//! Method: a query worker looks at the end of the log, at as many records as rows are wanted and at
//! more of them until they hold enough; what was deleted, or stands before the first wanted row, is
//! written down as ranges, so that whoever sends the records only has to count. Cost: each row is
//! looked at twice, but not at all if all are wanted and none was deleted; 16 bytes for each range.

use super::{Gone, gone, later, staying};
use crate::model::command::Begin;
use crate::model::record::{Body, Offset, Record};
use crate::model::table::rows::{Deed, Rows};
use crate::model::topic::Topic;
use crate::query::program::Fault;
use crate::query::pull::Bench;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Ranges of rows that are passed over.
const RANGES_MAX: usize = 1 << 20;
/// How many times as many records are looked at when there were too few rows.
const MORE: u64 = 8;

/// Rows of a topic that are passed over, all of them before an offset.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    head: Offset,
    /// Records of which nothing is shown, ascending.
    whole: Vec<Range<Offset>>,
    /// Rows of one record, ascending.
    parts: Vec<(Offset, Range<u32>)>,
    /// Nothing was shown since the last of `whole`.
    open: bool,
}

impl Hidden {
    /// Nothing at or behind this offset is hidden.
    #[must_use]
    pub fn head(&self) -> Offset {
        self.head
    }

    /// Shows a record as [`Record::each`] does, without the rows that are hidden.
    pub fn each(&self, offset: Offset, record: &Record<'_>, see: &mut dyn FnMut(&Record<'_>)) {
        let next = self.whole.partition_point(|range| range.end <= offset);
        if self.whole.get(next).is_some_and(|range| range.contains(&offset)) {
            return;
        }
        let first = self.parts.partition_point(|(at, _)| *at < offset);
        let own = |(at, _): &&(Offset, Range<u32>)| *at == offset;
        let mut parts = self.parts.iter().skip(first).take_while(own).map(|(_, rows)| rows);
        let mut part = parts.next();
        let mut row = 0;
        record.each(&mut |record| {
            if part.is_some_and(|rows| rows.end <= row) {
                part = parts.next();
            }
            if part.is_none_or(|rows| !rows.contains(&row)) {
                see(record);
            }
            row += 1;
        });
    }

    /// Writes down what is shown of a record; records come ascending.
    fn note(&mut self, offset: Offset, shown: &[bool]) {
        if !shown.contains(&true) {
            match self.whole.last_mut().filter(|_| self.open) {
                Some(last) => last.end = offset + 1,
                None => self.whole.push(offset..offset + 1),
            }
            self.open = true;
            return;
        }
        self.open = false;
        let mut row: u32 = 0;
        for run in shown.chunk_by(|a, b| a == b) {
            let end = row.saturating_add(run.len() as u32);
            if run.first() == Some(&false) {
                self.parts.push((offset, row..end));
            }
            row = end;
        }
    }

    fn is_full(&self) -> bool {
        self.whole.len() + self.parts.len() > RANGES_MAX
    }
}

/// Where to begin, and what to leave out from there.
///
/// # Errors
/// As [`Bench::open`]; the query must end; more was deleted here and there than is remembered.
pub fn replay(
    bench: &mut dyn Bench,
    topic: &Arc<Topic>,
    begin: Begin,
) -> Result<(Offset, Hidden), Fault> {
    let head = bench.open(topic)?.head();
    let (mut from, wanted) = match begin {
        Begin::Live => (head, 0),
        Begin::Last(count) => (head.saturating_sub(count), count),
        Begin::From(offset) => (offset.min(head), u64::MAX),
    };
    let (gone, mut surplus) = loop {
        let gone = gone(bench, topic, from)?;
        if wanted == u64::MAX {
            break (gone, 0);
        }
        let mut rows = 0;
        each_record(bench, topic, from..head, &gone, &mut |_, shown| {
            rows += shown.iter().filter(|shown| **shown).count() as u64;
            Ok(())
        })?;
        if from == 0 || rows >= wanted {
            break (gone, rows.saturating_sub(wanted));
        }
        from = head.saturating_sub((head - from).saturating_mul(MORE));
    };
    let mut hidden = Hidden { head, ..Hidden::default() };
    if surplus == 0 && gone.is_empty() {
        return Ok((from, hidden));
    }
    each_record(bench, topic, from..head, &gone, &mut |offset, shown| {
        for shown in shown.iter_mut().filter(|shown| **shown) {
            if surplus == 0 {
                break;
            }
            surplus -= 1;
            *shown = false;
        }
        hidden.note(offset, shown);
        if hidden.is_full() { Err(Fault::new("too many deleted rows to replay")) } else { Ok(()) }
    })?;
    if let Some(first) = hidden.whole.first().filter(|range| range.start <= from) {
        from = first.end;
    }
    Ok((from, hidden))
}

/// Takes what is shown of the record at an offset.
type Visit<'v> = &'v mut dyn FnMut(Offset, &mut [bool]) -> Result<(), Fault>;

/// Visits records that write rows: which of them were not deleted.
fn each_record(
    bench: &mut dyn Bench,
    topic: &Arc<Topic>,
    range: Range<Offset>,
    gone: &Gone,
    visit: Visit<'_>,
) -> Result<(), Fault> {
    let mut records = bench.open_at(topic, range.start)?;
    let mut outcome = Ok(());
    let mut ended = false;
    while records.next_chunk(&mut |offset, record| {
        ended = offset >= range.end;
        if !ended
            && let Body::Rows(bytes) = record.body
            && let Some(rows) = Rows::parse(bytes).filter(|rows| rows.deed == Deed::Write)
        {
            outcome = visit(offset, &mut staying(later(gone, offset, rows.table), &rows));
        }
        ended |= outcome.is_err();
        if ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })? && !ended
    {
        bench.check().map_err(|_| Fault::new("the query was stopped"))?;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::rows::{Cell, Written, encode};
    use crate::model::table::{Column, Kind, Precision};

    #[test]
    fn what_is_noted_is_not_shown() {
        let mut hidden = Hidden::default();
        let notes: [(Offset, &[bool]); 6] = [
            (2, &[false, false]),
            (4, &[false]),
            (5, &[true, false, false, true, false]),
            (6, &[false]),
            (7, &[true]),
            (9, &[false, true]),
        ];
        for (offset, shown) in notes {
            hidden.note(offset, shown);
        }
        assert_eq!(hidden.whole, [2..5, 6..7]);
        let column = Column { id: 0, name: "ts".into(), kind: Kind::Timestamp };
        let cells = (0..5).map(Cell::Int).collect();
        let written = [Written { column, cells }];
        let bytes = encode(Deed::Write, Precision::Ns, "", &[], &written);
        let record = Record { time: 0, producer: 0, body: Body::Rows(&bytes) };
        let seen = |offset| {
            let mut seen = Vec::new();
            hidden.each(offset, &record, &mut |record| seen.push(record.time));
            seen
        };
        assert!([2, 3, 4, 6].into_iter().all(|offset| seen(offset).is_empty()));
        assert_eq!((seen(5), seen(9)), (vec![0, 3], vec![1, 2, 3, 4]));
        assert_eq!((seen(7), seen(8)), (vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3, 4]));
    }
}

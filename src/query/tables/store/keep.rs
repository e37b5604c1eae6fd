//! KEEP: the log lets go of records all of whose rows are older than their database keeps.
//!
//! Method: from time to time a query worker walks over each typed table from its first retained
//! record on, up to the first that has a row which is kept; the log's start moves there, and
//! segments that lie before it are unlinked. Records go in the order of the log only, so that what
//! hides rows never goes before what it hides. Cost: one record of each table, and those that go,
//! are read, on no shard.
//!
//! Invariant: nothing is let go of that a query would show, since both look at rows by the same
//! bound ([`super::oldest_of`]). The start is not stored: after a restart what is left of the
//! oldest segment is there again until the next walk.

use super::oldest_of;
use crate::model::event::QueryOutput;
use crate::model::record::Body;
use crate::model::table::rows::{Cell, Deed, Rows};
use crate::model::topic::Topic;
use crate::query::program::Fault;
use crate::query::pull::{Bench, Job};
use std::ops::ControlFlow;
use std::sync::Arc;

/// One walk over all typed tables.
#[derive(Debug)]
pub struct Walk;

impl Job for Walk {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        walk(bench, None);
        // Nobody waits for it.
        let _ = bench.emit(QueryOutput::Finished(Vec::new()));
    }
}

/// Walks over the typed tables of a database, or of all.
pub fn walk(bench: &mut dyn Bench, database: Option<&str>) {
    for topic in bench.topics(database).iter().filter(|topic| topic.typed) {
        if bench.check().is_err() {
            return;
        }
        if let Err(why) = let_go(bench, topic) {
            // It is tried again with the next walk.
            tracing::debug!(topic = %topic.name, ?why, "what is too old was not looked at");
        }
    }
}

/// Lets go of the first records of a table, as far as all their rows are too old.
fn let_go(bench: &mut dyn Bench, topic: &Arc<Topic>) -> Result<(), Fault> {
    let oldest = oldest_of(bench, topic);
    let mut records = bench.open(topic)?;
    let (mut below, mut met) = (0, false);
    loop {
        let more = records.next_chunk(&mut |offset, record| {
            if let Body::Rows(bytes) = record.body
                && is_kept(bytes, oldest)
            {
                met = true;
                return ControlFlow::Break(());
            }
            below = offset + 1;
            ControlFlow::Continue(())
        })?;
        if met || !more || bench.check().is_err() {
            break;
        }
    }
    if below > 0 {
        bench.discard(topic.id, below);
    }
    Ok(())
}

/// Whether a record has a row that is kept. What only hides rows has none: when its turn has come,
/// what it hides is gone.
fn is_kept(bytes: &[u8], oldest: i64) -> bool {
    let Some(rows) = Rows::parse(bytes) else { return true };
    let is_kept = |cell: &Cell| !matches!(cell, Cell::Int(time) if *time < oldest);
    rows.deed == Deed::Write && rows.cells(0).iter().any(is_kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::rows::{Written, encode};
    use crate::model::table::{Column, Kind, Precision};

    #[test]
    fn a_record_goes_when_its_last_row_is_too_old() {
        let column = Column { id: 0, name: "ts".into(), kind: Kind::Timestamp };
        let record = |deed, times: &[i64]| {
            let cells = times.iter().map(|time| Cell::Int(*time)).collect();
            let times = Written { column: column.clone(), cells };
            encode(deed, Precision::Ms, "", &[], &[times])
        };
        for (bytes, kept) in [
            (record(Deed::Write, &[1, 2, 3]), false),
            (record(Deed::Write, &[1, 4, 3]), true),
            (record(Deed::Delete(0, 9), &[]), false),
            (record(Deed::Drop, &[]), false),
            (b"?".to_vec(), true),
        ] {
            assert_eq!(is_kept(&bytes, 4), kept);
        }
    }
}

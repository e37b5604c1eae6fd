//! Typed tables as they stand: one row for each table and time, later writes over earlier ones.
//!
//! Method: a table is read from its log once and kept, column by column; what came since is added
//! before each query. A query holds what it reads; a write of the same subtable meanwhile goes to
//! a copy. Rows older than their database keeps are shown to nobody ([`oldest_of`]), and are let go
//! of now and then: here within an hour, in the log by [`keep`].

mod columns;
pub mod keep;
mod sheet;
mod standing;

pub use columns::Columns;
pub use sheet::{Marks, Sheet, Values};
pub use standing::StandingRows;

use crate::model::record::{Body, Offset};
use crate::model::table::rows::{Deed, Rows};
use crate::model::topic::{Topic, TopicId};
use crate::query::program::Fault;
use crate::query::pull::{Bench, Stopped};
use ahash::AHashMap;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Values that are kept of all tables; beyond, tables that are not asked for are forgotten.
const CELLS_MAX: usize = 40_000_000;

/// Values that results may hold of sheets that were changed since; beyond, they are made whole, and
/// bounded as such.
const LEFT_CELLS_MAX: usize = 40_000_000;

/// The sheets of a table by subtable; a normal table has one, of the empty name.
pub type Sheets = BTreeMap<Arc<str>, Arc<Sheet>>;

#[derive(Debug)]
struct Held {
    next: Offset,
    sheets: Arc<Sheets>,
    cells: usize,
    /// Rows before this time were let go of.
    oldest: i64,
    /// With the offset of each row.
    with_offsets: bool,
    /// Sheets that were copied since, because results hold them as they stood.
    left: Left,
}

/// Sheets as they stood, with the number of their values.
type Left = Vec<(Weak<Sheet>, usize)>;

/// The sheet to be changed: a copy if a result holds it.
fn own<'s>(sheet: &'s mut Arc<Sheet>, left: &mut Left) -> &'s mut Sheet {
    if Arc::strong_count(sheet) > 1 {
        left.push((Arc::downgrade(sheet), sheet.cells()));
    }
    Arc::make_mut(sheet)
}

impl Default for Held {
    fn default() -> Self {
        let (next, sheets, cells, left) = Default::default();
        Self { next, sheets, cells, oldest: i64::MIN, with_offsets: false, left }
    }
}

impl Held {
    fn take(&mut self, offset: Offset, rows: &Rows<'_>) {
        let sheets = Arc::make_mut(&mut self.sheets);
        match rows.deed {
            Deed::Write => {
                let sheet = match sheets.get_mut(rows.table) {
                    Some(sheet) => sheet,
                    None => sheets.entry(rows.table.into()).or_default(),
                };
                let before = sheet.cells();
                own(sheet, &mut self.left).write(rows, self.with_offsets.then_some(offset));
                self.cells = self.cells.saturating_add(sheet.cells()).saturating_sub(before);
            }
            Deed::Delete(from, to) => {
                if let Some(sheet) = sheets.get_mut(rows.table) {
                    let before = sheet.cells();
                    own(sheet, &mut self.left).delete(from, to);
                    self.cells = self.cells.saturating_add(sheet.cells()).saturating_sub(before);
                }
            }
            Deed::Drop => {
                let gone = sheets.remove(rows.table).map_or(0, |sheet| sheet.cells());
                self.cells = self.cells.saturating_sub(gone);
            }
        }
    }

    /// Lets go of what is older than it is kept; often enough, since it moves what stays.
    fn let_go(&mut self, oldest: i64, often: i64) {
        if oldest < self.oldest.saturating_add(often) {
            return;
        }
        self.oldest = oldest;
        let is_old = |sheet: &Sheet| sheet.times.first().is_some_and(|first| *first < oldest);
        if !self.sheets.values().any(|sheet| is_old(sheet)) {
            return;
        }
        for sheet in Arc::make_mut(&mut self.sheets).values_mut().filter(|sheet| is_old(sheet)) {
            let before = sheet.cells();
            own(sheet, &mut self.left).delete(i64::MIN, oldest.saturating_sub(1));
            self.cells = self.cells.saturating_add(sheet.cells()).saturating_sub(before);
        }
    }
}

/// A table, and the values that it was seen to hold.
type Counted = (Arc<Mutex<Held>>, usize);

/// All tables, and the sum of their values.
#[derive(Debug, Default)]
struct Known {
    tables: AHashMap<TopicId, Counted>,
    cells: usize,
}

impl Known {
    fn forget(&mut self, gone: impl Fn(TopicId) -> bool) {
        let cells = &mut self.cells;
        self.tables.retain(|id, (_, counted)| {
            let gone = gone(*id);
            *cells -= if gone { *counted } else { 0 };
            !gone
        });
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Standing {
    known: Mutex<Known>,
    growing: Arc<Mutex<()>>,
    left: Mutex<Left>,
}

impl Standing {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topic is gone.
    pub fn forget(&self, topic: TopicId) {
        let mut known = self.known();
        if let Some((_, counted)) = known.tables.remove(&topic) {
            known.cells -= counted;
        }
    }

    /// Held by who widens tables for points, so that many who do wait instead of trying again.
    #[must_use]
    pub fn growing(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.growing)
    }

    /// Whether results that are made as they are read hold little enough that stands no more.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|(sheet, _)| sheet.strong_count() > 0);
        left.iter().map(|(_, cells)| cells).sum::<usize>() <= LEFT_CELLS_MAX
    }

    fn held(&self, topic: TopicId) -> Arc<Mutex<Held>> {
        let mut known = self.known();
        if known.cells > CELLS_MAX {
            known.forget(|id| id != topic);
        }
        Arc::clone(&known.tables.entry(topic).or_default().0)
    }

    /// A table was read and holds so many values; one that was forgotten meanwhile counts no more.
    fn count(&self, topic: TopicId, held: &Arc<Mutex<Held>>, cells: usize, new: Left) {
        if !new.is_empty() {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.retain(|(sheet, _)| sheet.strong_count() > 0);
            left.extend(new);
        }
        let mut known = self.known();
        let Known { tables, cells: sum } = &mut *known;
        if let Some((own, counted)) = tables.get_mut(&topic)
            && Arc::ptr_eq(own, held)
        {
            *sum = *sum - *counted + cells;
            *counted = cells;
        }
    }
}

/// The first time of a table that is not older than its database keeps, in its units.
pub fn oldest_of(bench: &mut dyn Bench, topic: &Topic) -> i64 {
    let now = bench.now();
    let tables = bench.tables();
    tables.database(topic.name.database()).map_or(i64::MIN, |database| database.oldest(now))
}

/// The table of a topic as it stands.
///
/// # Errors
/// The log cannot be read, or the query must end.
pub fn stand(bench: &mut dyn Bench, topic: &Arc<Topic>) -> Result<Arc<Sheets>, Fault> {
    let shared = match bench.standing() {
        Some(standing) => standing.held(topic.id),
        None => Arc::default(),
    };
    let mut held = shared.lock().unwrap_or_else(PoisonError::into_inner);
    read(bench, topic, &mut held)?;
    let tables = bench.tables();
    if let Some(database) = tables.database(topic.name.database()) {
        let hour = 3_600_000_000_000 / database.precision.unit_ns();
        held.let_go(database.oldest(bench.now()), hour);
    }
    let left = std::mem::take(&mut held.left);
    if let Some(standing) = bench.standing() {
        standing.count(topic.id, &shared, held.cells, left);
    }
    Ok(Arc::clone(&held.sheets))
}

/// The same, with the offset of each row: read anew, since hardly anybody asks for them.
fn stand_with_offsets(bench: &mut dyn Bench, topic: &Arc<Topic>) -> Result<Arc<Sheets>, Fault> {
    let mut held = Held { with_offsets: true, ..Held::default() };
    read(bench, topic, &mut held)?;
    Ok(held.sheets)
}

/// Takes what came since.
fn read(bench: &mut dyn Bench, topic: &Arc<Topic>, held: &mut Held) -> Result<(), Fault> {
    let mut records = bench.open_at(topic, held.next)?;
    loop {
        let more = records.next_chunk(&mut |offset, record| {
            if offset >= held.next {
                held.next = offset + 1;
                if let Body::Rows(bytes) = record.body
                    && let Some(rows) = Rows::parse(bytes)
                {
                    held.take(offset, &rows);
                }
            }
            ControlFlow::Continue(())
        })?;
        if !more {
            return Ok(());
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
    use crate::model::table::rows::{Cell, Written, encode};
    use crate::model::table::{Column, Kind, Precision};

    fn take(held: &mut Held, deed: Deed, times: &[i64]) {
        let column = Column { id: 0, name: "ts".into(), kind: Kind::Timestamp };
        let cells = times.iter().map(|time| Cell::Int(*time)).collect();
        let bytes = encode(deed, Precision::Ms, "a", &[], &[Written { column, cells }]);
        held.take(0, &Rows::parse(&bytes).unwrap());
    }

    #[test]
    fn values_are_counted_as_they_come_and_go() {
        let mut held = Held::default();
        take(&mut held, Deed::Write, &[1, 2, 3, 4]);
        take(&mut held, Deed::Write, &[4, 5]);
        take(&mut held, Deed::Delete(2, 3), &[]);
        assert_eq!((held.cells, held.left.len()), (3, 0));
        let result = held.sheets.get("a").cloned();
        held.let_go(2, 0);
        let [(_, 3)] = held.left.as_slice() else { panic!("{:?}", held.left) };
        assert_eq!((held.cells, result.unwrap().times.len()), (2, 3));
        let standing = Standing::default();
        let shared = standing.held(7);
        standing.count(7, &shared, LEFT_CELLS_MAX, held.left.split_off(0));
        assert!(standing.may_hold());
        let result = held.sheets.get("a").cloned();
        take(&mut held, Deed::Drop, &[]);
        assert_eq!(held.cells, 0);
        let sheet = result.map(|sheet| (Arc::downgrade(&sheet), sheet)).unwrap();
        standing.count(7, &shared, 1, vec![(sheet.0, LEFT_CELLS_MAX + 1)]);
        assert!(!standing.may_hold() && standing.known().cells == 1);
        drop(sheet.1);
        assert!(standing.may_hold());
        standing.forget(7);
        standing.count(7, &shared, 5, Vec::new());
        assert_eq!(standing.known().cells, 0);
    }
}

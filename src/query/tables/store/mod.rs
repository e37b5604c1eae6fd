//! Typed tables as they stand: one row for each table and time, later writes over earlier ones.
//!
//! Method: a table is read from its log once and kept, column by column; what came since is added
//! before each query. A query holds what it reads; a write of the same subtable meanwhile goes to
//! a copy.

mod columns;
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
use std::sync::{Arc, Mutex, PoisonError};

/// Values that are kept of all tables; beyond, tables that are not asked for are forgotten.
const CELLS_MAX: usize = 40_000_000;

/// The sheets of a table by subtable; a normal table has one, of the empty name.
pub type Sheets = BTreeMap<Arc<str>, Arc<Sheet>>;

#[derive(Debug, Default)]
struct Held {
    next: Offset,
    sheets: Arc<Sheets>,
    cells: usize,
    /// With the offset of each row.
    with_offsets: bool,
}

impl Held {
    fn take(&mut self, offset: Offset, rows: &Rows<'_>) {
        let sheets = Arc::make_mut(&mut self.sheets);
        match rows.deed {
            Deed::Write => {
                self.cells += rows.rows * rows.columns().count();
                let sheet = match sheets.get_mut(rows.table) {
                    Some(sheet) => sheet,
                    None => sheets.entry(rows.table.into()).or_default(),
                };
                Arc::make_mut(sheet).write(rows, self.with_offsets.then_some(offset));
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
    read(bench, topic, &mut held)
}

/// The same, with the offset of each row: read anew, since hardly anybody asks for them.
fn stand_with_offsets(bench: &mut dyn Bench, topic: &Arc<Topic>) -> Result<Arc<Sheets>, Fault> {
    read(bench, topic, &mut Held { with_offsets: true, ..Held::default() })
}

fn read(bench: &mut dyn Bench, topic: &Arc<Topic>, held: &mut Held) -> Result<Arc<Sheets>, Fault> {
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
            return Ok(Arc::clone(&held.sheets));
        }
        bench.check().map_err(|why| match why {
            Stopped::Cancelled => Fault::new("the query was stopped"),
            Stopped::TimedOut => Fault::new("the query took too long"),
        })?;
    }
}

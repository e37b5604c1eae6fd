//! What a statement holds between its actions.

use super::misused;
use super::work::Request;
use crate::model::table::rows::Cell;
use crate::proto::taos::codec::fault;
use crate::proto::taos::job::Table;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Name;
use crate::query::tables::bind::{Batches, HeldBytes, Prepared};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A statement, held by its connection and lent to a worker.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<State>>);

impl Shared {
    /// A new statement, whose rows are counted among those of others.
    pub fn new(held: &HeldBytes) -> Self {
        let state = State { batches: Batches::new(held), ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Nobody else holds it meanwhile: the connection waits for its worker.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct State {
    /// The text, read.
    pub prepared: Option<Arc<Prepared>>,
    /// The table that values are for.
    pub name: Option<Name>,
    /// Its tags.
    pub tags: Option<Vec<Cell>>,
    /// Rows that wait for `exec`.
    pub batches: Batches,
    /// Rows came that no `add_batch` followed.
    pub is_open: bool,
    /// Values of the `?` of a query.
    pub values: Option<Vec<Cell>>,
    /// What a query gave.
    pub result: Option<Table>,
}

impl State {
    /// Begins anew with another text.
    pub fn begin(&mut self, prepared: Prepared) {
        let batches = Batches::new(&self.batches.held());
        *self = Self { prepared: Some(Arc::new(prepared)), batches, ..Self::default() };
    }

    /// The text, read.
    pub fn prepared(&self) -> Result<Arc<Prepared>, Wrong> {
        self.prepared.clone().map_or_else(misused, Ok)
    }

    /// Whether the request may come now.
    pub fn check_prepared(&self, request: &Request) -> Result<(), Wrong> {
        let may = self.prepared.is_some() || request.is_prepare();
        if may { Ok(()) } else { misused() }
    }

    /// Rows that came are to be written.
    pub fn add_batch(&mut self) -> Result<(), Wrong> {
        if matches!(self.prepared()?.as_ref(), Prepared::Query(..)) {
            return Ok(());
        }
        if std::mem::take(&mut self.is_open) { Ok(()) } else { misused() }
    }

    /// The result of the query that was carried out.
    pub fn take_result(&mut self, two: bool) -> Result<Table, Wrong> {
        let is_insert = matches!(self.prepared()?.as_ref(), Prepared::Insert(_));
        match (is_insert, two) {
            (true, true) => Err(fault("stmt is insert, no result set")),
            (true, false) => misused(),
            _ => self.result.take().ok_or_else(|| fault("result is nil")),
        }
    }
}

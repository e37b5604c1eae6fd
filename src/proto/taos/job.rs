//! What a session hands to a query worker, and how the outcome comes back.
//!
//! Method: the job leaves its outcome, already in the form that goes out, in a place that both
//! hold, and ends; the end comes to the session as the reply to its command, after which it takes
//! the outcome. So no shard is busy with encoding.

use super::{block, rest};
use crate::model::event::QueryOutput;
use crate::model::table::Precision;
use crate::query::dialect::taos::Wrong;
use crate::query::pull::{Bench, Job};
use crate::query::tables::{Done, Field, Rows, Who, World, execute};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A result as it goes out over a WebSocket.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its columns.
    pub fields: Vec<Field>,
    /// What its times count.
    pub precision: Precision,
    /// Rows and bytes of each block.
    pub blocks: VecDeque<(usize, Vec<u8>)>,
}

impl Table {
    /// Rows as they go out.
    #[must_use]
    pub fn of(rows: Rows) -> Self {
        let encode = |part: &[Vec<_>]| (part.len(), block::encode(&rows.fields, part));
        let blocks = rows.rows.chunks(block::ROWS_MAX).map(encode).collect();
        Self { fields: rows.fields, precision: rows.precision, blocks }
    }
}

/// What came of a statement.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A result.
    Table(Table),
    /// So many rows were written.
    Affected(u64),
    /// The session's database is this now.
    Use(String),
    /// The body of an HTTP answer.
    Body(Vec<u8>),
}

/// See [`Answer`].
pub type Outcome = Result<Answer, Wrong>;

/// Where an outcome is left.
#[derive(Debug)]
pub struct Slot<T = Answer>(Arc<Mutex<Option<Result<T, Wrong>>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Slot<T> {
    /// Leaves an outcome.
    pub fn put(&self, outcome: Result<T, Wrong>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    /// Takes what was left.
    ///
    /// # Errors
    /// What the statement failed with.
    pub fn take(&self) -> Result<T, Wrong> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| Err(Wrong::new(0xFFFF, "too many queries")))
    }
}

/// A statement on its way.
#[derive(Debug)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// Who asks.
    pub who: Who,
    /// How an HTTP answer is written; `None`: blocks.
    pub form: Option<rest::Form>,
    /// Where its outcome goes.
    pub slot: Slot,
}

impl Statement {
    fn answer(&self, bench: &mut dyn Bench) -> Outcome {
        let done = execute(&mut World::new(bench, &self.who), &self.text)?;
        if let Some(form) = &self.form {
            return Ok(Answer::Body(rest::body(&done, form)));
        }
        Ok(match done {
            Done::Affected(count) => Answer::Affected(count),
            Done::Use(database) => Answer::Use(database),
            Done::Rows(rows) => Answer::Table(Table::of(rows)),
        })
    }
}

impl Job for Statement {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        let outcome = self.answer(bench);
        self.slot.put(outcome);
        // Nobody is left to be told if this fails.
        let _ = bench.emit(QueryOutput::Finished(Vec::new()));
    }
}

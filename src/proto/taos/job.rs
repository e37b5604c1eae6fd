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
use crate::query::tables::select::{Cursor, Step};
use crate::query::tables::{Done, Field, Rows, Who, World, execute};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Blocks that are made before anybody has fetched.
pub const AHEAD_FIRST: usize = 2;
/// How long a worker makes blocks of one result before others have their turn.
const TURN: Duration = Duration::from_millis(20);
/// Bytes that a block may have, about.
const BLOCK_BYTES: usize = 4 << 20;

/// Rows and bytes of a block.
pub type Block = (usize, Vec<u8>);

/// A result as it goes out over a WebSocket.
#[derive(Debug, Default)]
pub struct Table {
    /// Its columns.
    pub fields: Vec<Field>,
    /// What its times count.
    pub precision: Precision,
    /// The blocks that are made.
    pub blocks: VecDeque<Block>,
    /// What makes the others.
    pub source: Option<Source>,
}

impl Table {
    /// Rows as they go out.
    #[must_use]
    pub fn of(rows: Rows) -> Self {
        let encode = |part: &[Vec<_>]| (part.len(), block::encode(&rows.fields, part));
        let blocks = rows.rows.chunks(block::ROWS_MAX).map(encode).collect();
        Self { fields: rows.fields, precision: rows.precision, blocks, source: None }
    }

    /// The same of rows that are made as they are read: the first of them.
    #[must_use]
    pub fn begin(cursor: Box<Cursor>, bench: &mut dyn Bench) -> Self {
        let (fields, precision) = (cursor.fields.clone(), cursor.precision);
        let width = fields.iter().map(|field| block::schema_bytes(field.kind) as usize).sum();
        let source = Source(Arc::new(Mutex::new(Making { cursor: Some(cursor), width })));
        let made = source.make(AHEAD_FIRST, bench);
        let source = (!made.ended).then_some(source);
        Self { fields, precision, blocks: made.blocks, source }
    }
}

/// The rows of a result that are still to be made, held by its connection and lent to a worker.
#[derive(Clone, Debug)]
pub struct Source(Arc<Mutex<Making>>);

#[derive(Debug)]
struct Making {
    /// `None`: there are no more.
    cursor: Option<Box<Cursor>>,
    /// Bytes of a row, as far as it is known.
    width: usize,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// None if the worker's turn was over before the first was full.
    pub blocks: VecDeque<Block>,
    /// There are no more.
    pub ended: bool,
}

impl Source {
    /// Makes blocks, so many at most, for a turn.
    fn make(&self, most: usize, bench: &mut dyn Bench) -> Made {
        let mut making = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Making { cursor: slot, width } = &mut *making;
        let mut blocks = VecDeque::new();
        let end = bench.elapsed() + TURN;
        let mut is_over = || bench.elapsed() >= end || bench.check().is_err();
        while let Some(cursor) = slot
            && blocks.len() < most
            && (blocks.is_empty() || !is_over())
        {
            let rows = (BLOCK_BYTES / (*width).max(1)).clamp(1, block::ROWS_MAX);
            match cursor.next(rows, &mut is_over) {
                Step::Some(columns) => {
                    let bytes = block::encode_columns(&cursor.fields, &columns);
                    *width = bytes.len() / columns.rows.max(1);
                    blocks.push_back((columns.rows, bytes));
                }
                Step::Pause => break,
                Step::End => *slot = None,
            }
        }
        Made { blocks, ended: slot.is_none() }
    }
}

/// Makes further blocks of a result; without a slot it only lets go of it, which may take long.
#[derive(Debug)]
pub struct Refill {
    /// What makes them.
    pub source: Source,
    /// How many.
    pub most: usize,
    /// Where they go.
    pub slot: Option<Slot<Made>>,
}

impl Job for Refill {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        let Self { source, most, slot } = *self;
        if let Some(slot) = slot {
            slot.put(Ok(source.make(most, bench)));
        }
        drop(source);
        // Nobody is left to be told if this fails.
        let _ = bench.emit(QueryOutput::Finished(Vec::new()));
    }
}

/// What came of a statement.
#[derive(Debug)]
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
            return rest::body(done, form, bench).map(Answer::Body);
        }
        Ok(match done {
            Done::Affected(count) => Answer::Affected(count),
            Done::Use(database) => Answer::Use(database),
            Done::Rows(rows) => Answer::Table(Table::of(rows)),
            Done::Cursor(cursor) => Answer::Table(Table::begin(cursor, bench)),
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

//! The machine that runs a plan on a query worker.
//!
//! Method: [`Machine::evaluate`] gives the value of a node, [`Machine::each`] pushes the elements
//! of a collection into a sink without holding them. Every element passed, wherever, is a tick;
//! every few hundred ticks the machine asks whether to go on and sends output that has waited.
//! Cost of a row of a simple filter over integers: about 60 ns.

mod aggregate;
mod collection;
mod expression;
mod format;
mod function;
mod group;
mod keys;
mod select;
mod sort;

use super::json::Full;
use super::plan::Plan;
use super::value::{Budget, Halt, Value};
use crate::model::record::Offset;
use crate::query::pull::{Bench, Output};
use collection::Each;
use std::time::Duration;

/// Elements between two questions whether to go on.
const TICKS: u32 = 256;
/// Bytes of output that are sent at once.
const CHUNK_BYTES: usize = 64 << 10;
/// The longest that output waits for more.
const CHUNK_WAIT: Duration = Duration::from_millis(50);

/// Makes bytes of a result. What belongs between elements is written with the one that follows.
pub trait Writer {
    /// Appends an element of a collection.
    ///
    /// # Errors
    /// The format cannot say it; nothing of it was appended.
    fn element(&mut self, value: &Value, out: &mut Vec<u8>, full: Full<'_>) -> Result<(), Halt>;
    /// Appends what ends a collection.
    fn end(&mut self, out: &mut Vec<u8>);
    /// Appends a result that is no collection.
    ///
    /// # Errors
    /// As [`Writer::element`].
    fn value(&mut self, value: &Value, out: &mut Vec<u8>, full: Full<'_>) -> Result<(), Halt>;
}

/// What a query may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows of the result.
    pub rows: u64,
    /// Bytes held for sorting, grouping and values.
    pub bytes: usize,
}

/// See the module's page.
pub struct Machine<'m> {
    plan: &'m Plan,
    bench: &'m mut dyn Bench,
    slots: Vec<Value>,
    budget: Budget,
    limits: Limits,
    ticks: u32,
    /// Where each topic ended when the query began.
    ends: Vec<Offset>,
    /// Offset and time in milliseconds of the record just read.
    record: (i64, i64),
    now_ms: i64,
    out: Vec<u8>,
    /// When the oldest byte of `out` was written.
    out_since: Duration,
}

impl<'m> Machine<'m> {
    /// A machine for one run of `plan`; topics are seen as they are now.
    pub fn new(plan: &'m Plan, bench: &'m mut dyn Bench, limits: Limits) -> Self {
        let ends = plan.topics.iter().map(|topic| topic.shared.records()).collect();
        let now_ms = bench.now().div_euclid(1_000_000);
        Self {
            plan,
            bench,
            slots: vec![Value::Unset; plan.slots as usize],
            budget: Budget::new(limits.bytes),
            limits,
            ticks: 0,
            ends,
            record: (0, 0),
            now_ms,
            out: Vec::new(),
            out_since: Duration::ZERO,
        }
    }

    /// Runs the plan and sends its result; what was made before a failure is sent too.
    ///
    /// # Errors
    /// It failed, passed a limit or was stopped.
    pub fn run(&mut self, writer: &mut dyn Writer) -> Result<(), Halt> {
        let result = self.deliver(writer);
        if !matches!(result, Err(Halt::Stopped(_))) {
            self.send()?;
        }
        result
    }

    fn deliver(&mut self, writer: &mut dyn Writer) -> Result<(), Halt> {
        let plan = self.plan;
        let mut rows = 0;
        let collection = plan.kind.element().is_some();
        let mut value = Value::Null;
        if !collection {
            value = self.evaluate(&plan.main)?;
            if value.kind_name() != "collection" {
                return self.write(|out, full| writer.value(&value, out, full));
            }
        }
        let sink = &mut |machine: &mut Machine<'m>, value: Value| {
            rows += 1;
            if rows > machine.limits.rows {
                let text = format!("limit of {} rows passed", machine.limits.rows);
                return Err(Halt::Limit(text.into()));
            }
            machine.write(|out, full| writer.element(&value, out, full))?;
            Ok(true)
        };
        let each =
            if collection { self.each(&plan.main, sink)? } else { self.each_value(value, sink)? };
        if matches!(each, Each::Null) {
            return self.write(|out, full| writer.value(&Value::Null, out, full));
        }
        writer.end(&mut self.out);
        Ok(())
    }

    /// Lets `write` append output, and sends what is enough.
    fn write(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>, Full<'_>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        if self.out.is_empty() {
            self.out_since = self.bench.elapsed();
        }
        let mut out = std::mem::take(&mut self.out);
        let (length, mut sent) = (out.len(), false);
        let result = write(&mut out, &mut |out| {
            if out.len() >= CHUNK_BYTES {
                sent = true;
                emit_whole(self.bench, out)?;
            }
            Ok(())
        });
        if result.is_err() && !sent {
            out.truncate(length);
        }
        self.out = out;
        result?;
        if self.out.len() >= CHUNK_BYTES {
            emit_whole(self.bench, &mut self.out)?;
            self.out_since = self.bench.elapsed();
        }
        Ok(())
    }

    /// Sends what has been written.
    fn send(&mut self) -> Result<(), Halt> {
        if !self.out.is_empty() {
            self.bench.emit(Output::Bytes(std::mem::take(&mut self.out)))?;
        }
        Ok(())
    }

    /// One element has passed.
    #[inline]
    fn tick(&mut self) -> Result<(), Halt> {
        self.ticks += 1;
        if self.ticks >= TICKS { self.pause() } else { Ok(()) }
    }

    fn pause(&mut self) -> Result<(), Halt> {
        self.ticks = 0;
        self.bench.check()?;
        if !self.out.is_empty() && self.bench.elapsed() >= self.out_since + CHUNK_WAIT {
            self.send()?;
        }
        Ok(())
    }

    fn slot(&self, slot: u32) -> Value {
        self.slots.get(slot as usize).cloned().unwrap_or_default()
    }

    fn set(&mut self, slot: u32, value: Value) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = value;
        }
    }
}

/// Sends whole chunks; what is left is less than one.
fn emit_whole(bench: &mut dyn Bench, out: &mut Vec<u8>) -> Result<(), Halt> {
    let mut chunks = out.chunks_exact(CHUNK_BYTES);
    for chunk in &mut chunks {
        bench.emit(Output::Bytes(chunk.to_vec()))?;
    }
    let rest = chunks.remainder().len();
    out.drain(..out.len() - rest);
    Ok(())
}

impl std::fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

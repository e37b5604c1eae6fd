//! A pipeline that runs once over the retained records of a stream, on a query worker (jsonjet,
//! 3.6).

use crate::model::topic::Topic;
use crate::model::value::{Style, Value, of_record, write_value};
use crate::query::kept::open_kept;
use crate::query::pipeline::{MEMORY_LIMIT, Operator, Pipeline, Stage};
use crate::query::program::{Fault, World};
use crate::query::pull::{Bench, Job, Output, Stopped};
use crate::query::push::{Runner, Sink};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

/// Rows that come back.
const ROWS_MAX: u64 = 10_000;
/// Bytes of them; beyond, the answer is cut as beyond [`ROWS_MAX`].
const BYTES_MAX: usize = 8 << 20;
/// Seconds that a query may take.
const SECONDS_MAX: u64 = 30;

/// See the module's page.
#[derive(Debug)]
pub struct OneShot {
    pipeline: Arc<Pipeline>,
    topic: Arc<Topic>,
}

/// What a query came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Result<'a> {
    /// Rows.
    pub count: u64,
    /// `{"rows":[..],"scanned":N,"truncated":B}`
    pub json: &'a [u8],
}

impl<'a> Result<'a> {
    /// Reads what the job emitted last.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (count, json) = bytes.split_first_chunk()?;
        Some(Self { count: u64::from_le_bytes(*count), json })
    }
}

/// The rows of the answer.
#[derive(Debug, Default)]
struct Rows {
    json: Vec<u8>,
    count: u64,
    truncated: bool,
    trouble: Option<String>,
    /// Nothing more is wanted.
    full: Rc<Cell<bool>>,
}

impl Rows {
    fn full(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.full)
    }
}

impl Sink for Rows {
    fn row(&mut self, value: &Value<'_>) {
        if self.count >= ROWS_MAX || self.json.len() > BYTES_MAX {
            self.truncated = true;
            return self.full.set(true);
        }
        if self.count > 0 {
            self.json.push(b',');
        }
        self.count += 1;
        write_value(value, Style::Script, &mut self.json);
    }

    fn insert(&mut self, _target: usize, _value: &Value<'_>) {}

    fn file(&mut self, _stage: usize, _value: &Value<'_>) {}

    fn trouble(&mut self, code: &'static str, why: &str) {
        // A record that cannot be computed is left out; a limit ends the query.
        if code != "RUNTIME_ERROR" || why == MEMORY_LIMIT {
            self.trouble.get_or_insert_with(|| why.to_owned());
            self.full.set(true);
        }
    }
}

impl OneShot {
    /// Of this pipeline over this topic.
    pub fn new(pipeline: Arc<Pipeline>, topic: Arc<Topic>) -> Self {
        Self { pipeline, topic }
    }

    fn evaluate(&self, bench: &mut dyn Bench) -> std::result::Result<Vec<u8>, Ended> {
        bench.limit_time(SECONDS_MAX);
        let lookups = bench.lookups();
        let world = World { now_ms: bench.now() / 1_000_000, lookups: &lookups };
        let mut runner = Runner::new(Arc::clone(&self.pipeline));
        let mut rows = Rows { json: b"{\"rows\":[".to_vec(), ..Rows::default() };
        let mut scanned: u64 = 0;
        let mut records = open_kept(bench, &self.topic)?;
        // A pipeline that may end early is asked after each record. A record of a typed table is
        // many.
        let takes = |stage: &Stage| matches!(stage.operator, Operator::Take(_));
        let singly = self.topic.typed || self.pipeline.stages.iter().any(takes);
        loop {
            let more = if singly {
                records.next_chunk(&mut |_, record| {
                    record.each(&mut |record| {
                        scanned += 1;
                        let one = (record.time / 1_000_000, of_record(record));
                        runner.push(std::iter::once(one), &world, &mut rows);
                    });
                    let ended = rows.truncated || rows.trouble.is_some() || runner.is_done();
                    if ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?
            } else {
                records.next_run(&mut |list| {
                    let full = rows.full();
                    let list = list.take_while(|_| !full.get());
                    let values = list.map(|(_, record)| {
                        scanned += 1;
                        (record.time / 1_000_000, of_record(&record))
                    });
                    runner.push(values, &world, &mut rows);
                })?
            };
            if !more || rows.truncated || rows.trouble.is_some() || runner.is_done() {
                break;
            }
            bench.check()?;
        }
        runner.flush(&world, &mut rows);
        if let Some(why) = rows.trouble {
            return Err(Ended::Failed(why));
        }
        let mut out = rows.count.to_le_bytes().to_vec();
        out.extend_from_slice(&rows.json);
        let truncated = rows.truncated;
        let tail = format!("],\"scanned\":{scanned},\"truncated\":{truncated}}}");
        out.extend_from_slice(tail.as_bytes());
        Ok(out)
    }
}

/// Why there is no result.
enum Ended {
    Cancelled,
    Failed(String),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Ended::Failed(fault.0.into_owned())
    }
}

impl From<Stopped> for Ended {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Cancelled => Ended::Cancelled,
            Stopped::TimedOut => Ended::Failed(format!("time limit of {SECONDS_MAX} s passed")),
        }
    }
}

impl Job for OneShot {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        let output = match self.evaluate(bench) {
            Ok(bytes) => Output::Finished(bytes),
            Err(Ended::Failed(why)) => Output::Failed(why),
            Err(Ended::Cancelled) => return,
        };
        let _ = bench.emit(output);
    }
}

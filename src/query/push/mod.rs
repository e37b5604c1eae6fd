//! Runs a pipeline over records as they come.
//!
//! Method: a record goes through the stages in one loop; an operator that holds records back
//! (`summarize`, `scan`, `sort`) keeps them in its state and feeds what it emits to the stages
//! behind it. Invariant: a record that fails is dropped, counted and told to the [`Sink`]; the
//! state stays whole. Recursion is bounded by the number of stages. Cost: one scan of the record's
//! text for each segment, then the programs; a stateless record allocates nothing.

mod automaton;
mod groups;
pub mod lane;
mod open;
mod save;
mod summarize;
mod window;

use super::pipeline::{
    KEPT_BYTES_MAX, MEMORY_LIMIT, Operator, Pipeline, Stage, load_columns, load_guided,
};
use super::program::{Env, Fault, Scratch, World, evaluate};
use crate::model::value::{Guide, Text, Value, key_bytes};
use crate::query::loose::{sort_order, truthy};
use ahash::AHashSet;
use std::collections::VecDeque;
use std::sync::Arc;

/// Records of one go from which on it is worth to learn where their keys stand.
const GUIDED_FROM: usize = 16;

/// Where a pipeline's output goes.
pub trait Sink {
    /// A record came through all stages.
    fn row(&mut self, value: &Value<'_>);
    /// A record for a target, by its number in the pipeline.
    fn insert(&mut self, target: usize, value: &Value<'_>);
    /// A record for the file of a stage.
    fn file(&mut self, stage: usize, value: &Value<'_>);
    /// A record was dropped: a code and why.
    fn trouble(&mut self, code: &'static str, why: &str);
}

/// What a runner counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records that came in.
    pub records_in: u64,
    /// Rows that came out.
    pub records_out: u64,
    /// Records dropped because they failed.
    pub errors: u64,
    /// Records that came after their window had closed.
    pub late: u64,
}

/// The state of one stage.
#[derive(Debug)]
enum State {
    None,
    Take(u64),
    Distinct(AHashSet<Box<[u8]>>, VecDeque<Box<[u8]>>),
    Sort(Vec<(Vec<Value<'static>>, Value<'static>)>),
    Summarize(Box<summarize::Summary>),
    Automaton(automaton::Automata),
}

/// A pipeline at work.
#[derive(Debug)]
pub struct Runner {
    pipeline: Arc<Pipeline>,
    states: Vec<State>,
    counters: Counters,
    kept_bytes: usize,
    /// It has windows or beats of time.
    timers: bool,
}

/// What is handed down the stages.
struct Pass<'c, 'a> {
    world: &'c World<'a>,
    sink: &'c mut dyn Sink,
    counters: &'c mut Counters,
    /// Bytes kept of values; see [`KEPT_BYTES_MAX`].
    kept_bytes: &'c mut usize,
    stack: Scratch<'a>,
    columns: Vec<Value<'a>>,
    /// Records so far, and for which list of names there is a guide.
    seen: usize,
    guided: usize,
    guide: Guide,
    /// Number of the first stage of the slice under way.
    base: usize,
    /// When the record came, ms.
    time_ms: i64,
}

impl<'c, 'a> Pass<'c, 'a> {
    fn new(
        world: &'c World<'a>,
        sink: &'c mut dyn Sink,
        counters: &'c mut Counters,
        kept_bytes: &'c mut usize,
        time_ms: i64,
    ) -> Self {
        let (stack, columns, guide) = (Vec::new(), Vec::new(), Guide::default());
        Self {
            world,
            sink,
            counters,
            kept_bytes,
            stack,
            columns,
            seen: 0,
            guided: 0,
            guide,
            base: 0,
            time_ms,
        }
    }

    /// Reads the columns of a record; by a guide once it is worth it.
    fn load(&mut self, record: &Value<'a>, names: &'a Arc<Vec<String>>) {
        if self.seen < GUIDED_FROM {
            return load_columns(record, names, &mut self.columns);
        }
        let identity = Arc::as_ptr(names) as usize;
        if self.guided != identity {
            (self.guided, self.guide) = (identity, Guide::default());
        }
        load_guided(record, names, &mut self.columns, &mut self.guide);
    }

    fn fail(&mut self, fault: &Fault) {
        self.counters.errors += 1;
        self.sink.trouble("RUNTIME_ERROR", &fault.0);
    }
}

impl Runner {
    /// An empty one.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        let states = pipeline.stages.iter().map(|stage| State::new(&stage.operator)).collect();
        let timers = pipeline.has_timers();
        Self { pipeline, states, counters: Counters::default(), kept_bytes: 0, timers }
    }

    /// Its pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// What it counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether any aggregate is approximate.
    #[must_use]
    pub fn is_approximate(&self) -> bool {
        self.states.iter().any(|s| matches!(s, State::Summarize(s) if s.is_approximate()))
    }

    /// Whether no further record can come out.
    #[must_use]
    pub fn is_done(&self) -> bool {
        for (stage, state) in self.pipeline.stages.iter().zip(&self.states) {
            match (&stage.operator, state) {
                (Operator::Take(n), State::Take(seen)) if seen >= n => return true,
                (Operator::Filter(_) | Operator::Shape(_) | Operator::Unnest(_), _) => {}
                (Operator::Distinct(_) | Operator::Take(_), _) => {}
                _ => return false,
            }
        }
        false
    }

    /// Takes records: when each came (ms) and what it is. Time windows whose end has come by a
    /// record's time close before it.
    pub fn push<'r>(
        &mut self,
        records: impl Iterator<Item = (i64, Value<'r>)>,
        world: &World<'r>,
        sink: &mut dyn Sink,
    ) {
        self.push_at(0, records, world, sink);
    }

    /// As [`Runner::push`], of records for which the first operator, a `where`, is known to hold.
    pub fn push_matched<'r>(
        &mut self,
        records: impl Iterator<Item = (i64, Value<'r>)>,
        world: &World<'r>,
        sink: &mut dyn Sink,
    ) {
        self.push_at(1, records, world, sink);
    }

    fn push_at<'r>(
        &mut self,
        first: usize,
        records: impl Iterator<Item = (i64, Value<'r>)>,
        world: &World<'r>,
        sink: &mut dyn Sink,
    ) {
        let Self { pipeline, states, counters, kept_bytes, timers } = self;
        let (pipeline, timers): (&Pipeline, bool) = (pipeline, *timers);
        let mut pass = Pass::new(world, sink, counters, kept_bytes, 0);
        for (time_ms, record) in records {
            pass.time_ms = time_ms;
            pass.counters.records_in += 1;
            pass.seen += 1;
            if timers {
                pass.base = 0;
                advance(&pipeline.stages, states, time_ms, &mut pass);
            }
            pass.base = first;
            let stages = pipeline.stages.get(first..).unwrap_or_default();
            let states = states.get_mut(first..).unwrap_or_default();
            if let Err(fault) = feed(stages, states, record, &mut pass) {
                pass.fail(&fault);
            }
        }
    }

    /// Records that were looked at for it and did not come here count too: so many in all.
    pub fn count_in(&mut self, records: u64) {
        self.counters.records_in = records;
    }

    /// Emits what is held, operator by operator from the front, each once; the state stays.
    pub fn flush(&mut self, world: &World<'_>, sink: &mut dyn Sink) {
        let pipeline = Arc::clone(&self.pipeline);
        let Self { states, counters, kept_bytes, .. } = self;
        let mut pass = Pass::new(world, sink, counters, kept_bytes, world.now_ms);
        for index in 0..pipeline.stages.len() {
            pass.base = index;
            emit_held(&pipeline.stages[index..], &mut states[index..], &mut pass);
        }
    }

    /// Closes what the clock closes.
    pub fn tick(&mut self, time_ms: i64, world: &World<'_>, sink: &mut dyn Sink) {
        let pipeline = Arc::clone(&self.pipeline);
        let Self { states, counters, kept_bytes, .. } = self;
        let mut pass = Pass::new(world, sink, counters, kept_bytes, time_ms);
        advance(&pipeline.stages, states, time_ms, &mut pass);
    }

    /// When [`Runner::tick`] has something to do, ms.
    #[must_use]
    pub fn deadline(&self) -> Option<i64> {
        let of = |(stage, state): (&Stage, &State)| match (&stage.operator, state) {
            (Operator::Summarize(s), State::Summarize(summary)) => summary.deadline(s),
            _ => None,
        };
        self.pipeline.stages.iter().zip(&self.states).filter_map(of).min()
    }
}

impl State {
    fn new(operator: &Operator) -> Self {
        match operator {
            Operator::Take(_) => State::Take(0),
            Operator::Distinct(_) => State::Distinct(AHashSet::new(), VecDeque::new()),
            Operator::Sort(_) => State::Sort(Vec::new()),
            Operator::Summarize(_) => State::Summarize(Box::default()),
            Operator::Automaton(_) => State::Automaton(automaton::Automata::default()),
            _ => State::None,
        }
    }
}

/// Sends one record through `stages`.
fn feed<'a>(
    stages: &'a [Stage],
    states: &mut [State],
    mut record: Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    for (index, stage) in stages.iter().enumerate() {
        // The first stage of a slice begins a record, whatever its segment.
        if (stage.fresh || index == 0) && stages[index..].iter().any(Stage::reads) {
            pass.load(&record, &stage.columns);
        }
        let env = Env { record: &record, columns: &pass.columns, slots: &[], world: pass.world };
        match (&stage.operator, &mut states[index]) {
            (Operator::Filter(program), _) => {
                if !truthy(&evaluate(program, &env, &mut pass.stack)?) {
                    return Ok(());
                }
            }
            (Operator::Shape(program), _) => record = evaluate(program, &env, &mut pass.stack)?,
            (Operator::Insert(target), _) => pass.sink.insert(*target, &record),
            (Operator::WriteFile { .. } | Operator::Expect(_), _) => {
                pass.sink.file(pass.base + index, &record);
            }
            (Operator::Take(n), State::Take(seen)) => {
                if *seen >= *n {
                    return Ok(());
                }
                *seen += 1;
            }
            (Operator::Distinct(keys), State::Distinct(known, order)) => {
                let mut values = Vec::with_capacity(keys.len().max(1));
                for key in keys {
                    values.push(evaluate(key, &env, &mut pass.stack)?);
                }
                if keys.is_empty() {
                    values.push(record.clone());
                }
                if !first_seen(&values, known, order) {
                    return Ok(());
                }
            }
            (Operator::Unnest(path), _) => {
                let Some(list) = at_path(&record, path).elements().map(|l| l.into_owned()) else {
                    continue;
                };
                let (stages, states) = (&stages[index + 1..], &mut states[index + 1..]);
                let base = pass.base;
                for element in list {
                    let one = with_path(&record, path, element);
                    pass.base = base + index + 1;
                    let result = feed(stages, states, one, pass);
                    pass.base = base;
                    result?;
                }
                return Ok(());
            }
            (Operator::Sort(keys), State::Sort(rows)) => {
                let mut values = Vec::with_capacity(keys.len());
                for (key, _) in keys {
                    values.push(evaluate(key, &env, &mut pass.stack)?.own());
                }
                let row = record.own();
                *pass.kept_bytes += 96 + row.heap_bytes();
                if *pass.kept_bytes > KEPT_BYTES_MAX {
                    return Err(Fault::new(MEMORY_LIMIT));
                }
                rows.push((values, row));
                return Ok(());
            }
            (Operator::Summarize(_), _) => {
                let base = pass.base;
                pass.base = base + index;
                let result = summarize::add(&stages[index..], &mut states[index..], &record, pass);
                pass.base = base;
                return result;
            }
            (Operator::Automaton(_), _) => {
                let base = pass.base;
                pass.base = base + index;
                let result = automaton::step(&stages[index..], &mut states[index..], record, pass);
                pass.base = base;
                return result;
            }
            _ => return Ok(()),
        }
    }
    pass.counters.records_out += 1;
    pass.sink.row(&record);
    Ok(())
}

/// Feeds a row that the first of `stages` made to those behind it; a failing row is dropped.
fn pass_on<'b>(stages: &'b [Stage], states: &mut [State], row: Value<'b>, pass: &mut Pass<'_, 'b>) {
    let base = pass.base;
    pass.base = base + 1;
    // The record under way is not done.
    let columns = std::mem::take(&mut pass.columns);
    let result = feed(&stages[1..], &mut states[1..], row, pass);
    pass.columns = columns;
    pass.base = base;
    if let Err(fault) = result {
        pass.fail(&fault);
    }
}

/// Emits what the first of `stages` holds.
fn emit_held<'a>(stages: &'a [Stage], states: &mut [State], pass: &mut Pass<'_, 'a>) {
    match (&stages[0].operator, &mut states[0]) {
        (Operator::Summarize(_), _) => summarize::flush(stages, states, pass),
        (Operator::Sort(keys), State::Sort(rows)) => {
            let mut rows = std::mem::take(rows);
            rows.sort_by(|(a, _), (b, _)| {
                let each = keys.iter().zip(a.iter().zip(b)).map(|((_, down), (a, b))| {
                    let order = sort_order(a, b);
                    if *down { order.reverse() } else { order }
                });
                each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            });
            for (_, row) in rows {
                pass_on(stages, states, row, pass);
            }
        }
        _ => {}
    }
}

/// Closes what the clock closes, from the front.
fn advance<'a>(stages: &'a [Stage], states: &mut [State], time_ms: i64, pass: &mut Pass<'_, 'a>) {
    for index in 0..stages.len() {
        if matches!(stages[index].operator, Operator::Summarize(_)) {
            let base = pass.base;
            pass.base = base + index;
            summarize::advance(&stages[index..], &mut states[index..], time_ms, pass);
            pass.base = base;
        }
    }
}

fn first_seen(
    values: &[Value<'_>],
    known: &mut AHashSet<Box<[u8]>>,
    order: &mut VecDeque<Box<[u8]>>,
) -> bool {
    let mut key = Vec::new();
    key_bytes(values, &mut key);
    if known.contains(key.as_slice()) {
        return false;
    }
    if order.len() >= super::pipeline::DISTINCT_MAX
        && let Some(oldest) = order.pop_front()
    {
        known.remove(&oldest);
    }
    order.push_back(key.clone().into());
    known.insert(key.into());
    true
}

fn at_path<'a>(record: &Value<'a>, path: &[String]) -> Value<'a> {
    path.iter().fold(record.clone(), |value, name| value.member(name))
}

/// The record with `value` at `path`; objects on the way are made where there are none.
fn with_path<'a>(record: &Value<'a>, path: &'a [String], value: Value<'a>) -> Value<'a> {
    let Some((name, rest)) = path.split_first() else { return value };
    let mut fields = record.fields().map(|f| f.into_owned()).unwrap_or_default();
    let at = fields.iter().position(|(field, _)| **field == **name);
    let old = at.and_then(|at| fields.get(at)).map(|(_, v)| v.clone()).unwrap_or_default();
    let new = with_path(&old, rest, value);
    match at.and_then(|at| fields.get_mut(at)) {
        Some((_, slot)) => *slot = new,
        None => fields.push((Text::Borrowed(name), new)),
    }
    Value::record(fields)
}

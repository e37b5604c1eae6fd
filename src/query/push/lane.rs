//! Flows that differ in their first condition only and keep a few numbers each: what the others do
//! with a record is worked out once, and a match adds to one place in a row of states.
//!
//! Method: a [`Lane`] stands for all flows with the same operator behind the first `where`, if that
//! is a `summarize` without groups, window and emit clause whose aggregates keep numbers or one
//! value. Who knows that the first condition of a flow holds for a record says so ([`Lanes::hit`]);
//! the hits of a batch are then carried out lane by lane ([`Lanes::run`]). Invariant: between
//! [`Lanes::settle`] and the next hit the runner of each flow has the same state as if it had been
//! given the records itself; a runner with a place in a lane is given no record. Cost: about 10 ns
//! a match, one cache line for each aggregate; settling touches what changed since the last time.

use super::{Runner, State};
use crate::model::value::Value;
use crate::query::aggregate::{Accumulator, Aggregate};
use crate::query::loose::truthy;
use crate::query::pipeline::{Emit, Operator, Pipeline, Summarize, load_columns};
use crate::query::program::{Env, Program, Scratch, World, evaluate};
use ahash::AHashMap;
use std::sync::Arc;

/// No place.
const NONE: u32 = u32::MAX;
/// The stage of the `summarize`.
const STAGE: usize = 1;

/// See the module's page.
#[derive(Debug)]
struct Lane {
    /// Of one of its flows.
    pipeline: Arc<Pipeline>,
    /// Aggregates of each flow.
    width: usize,
    /// Which flow has a place.
    flows: Vec<u32>,
    /// The aggregates of all, flow after flow.
    states: Vec<Accumulator>,
    /// Places whose states changed since they were settled, a bit each.
    changed: Vec<u64>,
    /// Records and the places that they count in, in the order of the records.
    hits: Vec<(u32, u32)>,
}

/// The lanes of the flows of one topic; flows are named by their numbers in a list.
#[derive(Debug, Default)]
pub struct Lanes {
    list: Vec<Lane>,
    /// Lane and place of each flow.
    places: Vec<(u32, u32)>,
    /// Lanes that have hits.
    active: Vec<u32>,
}

/// The `summarize` of a pipeline that fits into a lane.
fn summarize(pipeline: &Pipeline) -> Option<&Summarize> {
    let [first, second, ..] = pipeline.stages.as_slice() else { return None };
    let (Operator::Filter(_), Operator::Summarize(operator)) = (&first.operator, &second.operator)
    else {
        return None;
    };
    let numbers = |aggregate: Aggregate| {
        !matches!(
            aggregate,
            Aggregate::CountDistinct
                | Aggregate::Percentile(_)
                | Aggregate::Collect(_)
                | Aggregate::CollectSet(_)
        )
    };
    let sure = |program: &Option<Program>| program.as_ref().is_none_or(|p| !p.can_fail());
    let fits = operator.keys.is_empty()
        && operator.window.is_none()
        && matches!(operator.emit, Emit::Never)
        && operator.kept.is_empty()
        && !operator.row.reads_record()
        && !pipeline.has_timers()
        && !operator.measures.is_empty()
        && operator
            .measures
            .iter()
            .all(|m| numbers(m.aggregate) && sure(&m.argument) && sure(&m.condition));
    fits.then_some(&**operator)
}

impl Lanes {
    /// Works out what [`Lanes::build`] asks of a pipeline, so that it need not for thousands at
    /// once.
    pub fn prepare(pipeline: &Pipeline) {
        if summarize(pipeline).is_some() {
            pipeline.exactly(STAGE);
        }
    }

    /// Lanes for those of `runners`, in the order of their list, that are `true`: their first
    /// condition is known to hold when they are hit.
    pub fn build<'f>(runners: impl Iterator<Item = (&'f Runner, bool)>) -> Self {
        let mut lanes = Self::default();
        let mut known: AHashMap<&str, u32> = AHashMap::new();
        for (flow, (runner, exact)) in (0_u32..).zip(runners) {
            let pipeline = runner.pipeline();
            let Some(operator) = summarize(pipeline).filter(|_| exact) else {
                lanes.places.push((NONE, NONE));
                continue;
            };
            let count = lanes.list.len() as u32;
            let number = *known.entry(pipeline.exactly(STAGE)).or_insert(count);
            if number == count {
                lanes.list.push(Lane::new(pipeline, operator.measures.len()));
            }
            let Some(lane) = lanes.list.get_mut(number as usize) else { continue };
            let place = lane.flows.len() as u32;
            lane.flows.push(flow);
            lane.changed.resize(place as usize / 64 + 1, 0);
            match runner.only_group() {
                Some(states) => lane.states.extend_from_slice(states),
                None => lane.states.extend(operator.measures.iter().map(|m| m.aggregate.start())),
            }
            lanes.places.push((number, place));
        }
        lanes
    }

    /// The first condition of a flow holds for a record, by its number in the batch; records come
    /// in their order. `false`: the flow has no place here.
    pub fn hit(&mut self, flow: u32, record: u32) -> bool {
        let Some((number, place)) = self.places.get(flow as usize) else { return false };
        let Some(lane) = self.list.get_mut(*number as usize) else { return false };
        if lane.hits.is_empty() {
            self.active.push(*number);
        }
        lane.hits.push((record, *place));
        true
    }

    /// Carries out the hits.
    pub fn run<'r>(&mut self, record: impl Fn(u32) -> Value<'r>, world: &World<'_>) {
        for number in std::mem::take(&mut self.active) {
            if let Some(lane) = self.list.get_mut(number as usize) {
                lane.run(&record, world);
            }
        }
    }

    /// Gives what changed since the last time to the runners: `give` is told a flow and what
    /// [`Runner::set_only_group`] takes.
    pub fn settle(&mut self, mut give: impl FnMut(u32, &[Accumulator])) {
        for lane in &mut self.list {
            for (word, bits) in lane.changed.iter_mut().enumerate() {
                let mut left = std::mem::take(bits);
                while left != 0 {
                    let place = word * 64 + left.trailing_zeros() as usize;
                    left &= left - 1;
                    let states = lane.states.get(place * lane.width..(place + 1) * lane.width);
                    if let (Some(flow), Some(states)) = (lane.flows.get(place), states) {
                        give(*flow, states);
                    }
                }
            }
        }
    }

    /// Whether no flow has a place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Lane {
    fn new(pipeline: &Arc<Pipeline>, width: usize) -> Self {
        Self {
            pipeline: Arc::clone(pipeline),
            width,
            flows: Vec::new(),
            states: Vec::new(),
            changed: Vec::new(),
            hits: Vec::new(),
        }
    }

    fn run<'r>(&mut self, record: &impl Fn(u32) -> Value<'r>, world: &World<'_>) {
        let pipeline = Arc::clone(&self.pipeline);
        let Some(stage) = pipeline.stages.get(STAGE) else { return };
        let Operator::Summarize(operator) = &stage.operator else { return };
        let world = World { ..*world };
        let (mut columns, mut stack) = (Vec::new(), Scratch::new());
        // What each aggregate takes of the record, if its condition holds.
        let mut taken: Vec<Option<Value<'_>>> = Vec::with_capacity(self.width);
        let reads = operator.measures.iter().any(|m| m.argument.is_some() || m.condition.is_some());
        for hits in self.hits.chunk_by(|a, b| a.0 == b.0) {
            let Some((number, _)) = hits.first() else { continue };
            let record = record(*number);
            if reads {
                load_columns(&record, &stage.columns, &mut columns);
            }
            let env = Env { record: &record, columns: &columns, slots: &[], world: &world };
            taken.clear();
            for measure in &operator.measures {
                // None of these programs can fail.
                let holds = match &measure.condition {
                    Some(condition) => evaluate(condition, &env, &mut stack).unwrap_or_default(),
                    None => Value::Bool(true),
                };
                let value = match &measure.argument {
                    Some(argument) => evaluate(argument, &env, &mut stack).unwrap_or_default(),
                    None => Value::Null,
                };
                taken.push(truthy(&holds).then_some(value));
            }
            for (_, place) in hits {
                let place = *place as usize;
                if let Some(bits) = self.changed.get_mut(place / 64) {
                    *bits |= 1 << (place % 64);
                }
                let states = self.states.get_mut(place * self.width..).unwrap_or_default();
                for ((measure, value), state) in operator.measures.iter().zip(&taken).zip(states) {
                    if let Some(value) = value {
                        measure.aggregate.add(state, value);
                    }
                }
            }
        }
        self.hits.clear();
    }
}

impl Runner {
    /// The aggregates of the group of all records.
    fn only_group(&self) -> Option<&[Accumulator]> {
        let Some(State::Summarize(summary)) = self.states.get(STAGE) else { return None };
        summary.groups.list.first().map(|group| group.accumulators.as_slice())
    }

    /// The state of a flow that has a place in a lane, as [`Lanes::settle`] gives it.
    pub fn set_only_group(&mut self, states: &[Accumulator]) {
        let pipeline = Arc::clone(&self.pipeline);
        let operator = pipeline.stages.get(STAGE).map(|stage| &stage.operator);
        let (Some(Operator::Summarize(operator)), Some(State::Summarize(summary))) =
            (operator, self.states.get_mut(STAGE))
        else {
            return;
        };
        summary.fresh = true;
        if let Some(group) = summary.groups.get(&[], operator, 0) {
            group.accumulators.clone_from_slice(states);
        }
    }
}

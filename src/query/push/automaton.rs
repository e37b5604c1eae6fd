//! `scan`: state machines over records, one for each key.

use super::{Pass, State, pass_on, with_path};
use crate::model::value::{Value, key_bytes};
use crate::query::loose::truthy;
use crate::query::pipeline::{Action, Automaton, GROUPS_MAX, Operator, Stage, Step, load_columns};
use crate::query::program::{Env, Fault, evaluate};
use ahash::AHashMap;

/// The states of one automaton by step; a state is its variables.
pub(super) type States = Vec<Option<Vec<Value<'static>>>>;

/// All automata of a `scan`.
#[derive(Debug, Default)]
pub(super) struct Automata {
    pub list: AHashMap<Box<[u8]>, States>,
}

/// Takes a record: steps from last to first.
pub(super) fn step<'a>(
    stages: &'a [Stage],
    states: &mut [State],
    mut record: Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    let (Operator::Automaton(operator), State::Automaton(automata)) =
        (&stages[0].operator, &mut states[0])
    else {
        return Ok(());
    };
    let mut values = Vec::with_capacity(operator.keys.len());
    for key in &operator.keys {
        let env = Env { record: &record, columns: &pass.columns, slots: &[], world: pass.world };
        values.push(evaluate(key, &env, &mut pass.stack)?);
    }
    let mut key = Vec::new();
    key_bytes(&values, &mut key);
    let known = automata.list.contains_key(key.as_slice());
    if !known && automata.list.len() >= GROUPS_MAX {
        pass.counters.errors += 1;
        pass.sink.trouble("TOO_MANY_GROUPS", "more than 10000 keys: the record was dropped");
        return Ok(());
    }
    // A failing record leaves the states as they were.
    let mut own = automata.list.get(key.as_slice()).cloned().unwrap_or_default();
    own.resize(operator.steps.len(), None);
    let mut rows = Vec::new();
    for index in (0..operator.steps.len()).rev() {
        take_step(&stages[0], operator, index, &mut own, &mut record, &mut rows, pass)?;
    }
    automata.list.insert(key.into(), own);
    for row in rows {
        pass_on(stages, states, row, pass);
    }
    Ok(())
}

fn take_step<'a>(
    stage: &'a Stage,
    operator: &'a Automaton,
    index: usize,
    states: &mut States,
    record: &mut Value<'a>,
    rows: &mut Vec<Value<'a>>,
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    let Some(step) = operator.steps.get(index) else { return Ok(()) };
    let before = index.checked_sub(1).and_then(|before| states.get_mut(before));
    if let Some(before) = before
        && let Some(state) = before.take()
    {
        if holds(step, &state, record, pass)? {
            let state = act(stage, step, state, record, rows, pass)?;
            if let Some(slot) = states.get_mut(index) {
                *slot = Some(state);
            }
            return Ok(());
        }
        *before = Some(state);
    }
    let Some(slot) = states.get_mut(index) else { return Ok(()) };
    let existed = slot.is_some();
    let state = match slot.take() {
        Some(state) => state,
        None if index == 0 => vec![Value::Missing; operator.variables],
        None => return Ok(()),
    };
    if holds(step, &state, record, pass)? {
        *slot = Some(act(stage, step, state, record, rows, pass)?);
    } else if existed {
        *slot = Some(state);
    }
    Ok(())
}

fn holds<'a>(
    step: &'a Step,
    state: &[Value<'static>],
    record: &Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<bool, Fault> {
    let slots: Vec<Value<'a>> = state.to_vec();
    let env = Env { record, columns: &pass.columns, slots: &slots, world: pass.world };
    Ok(truthy(&evaluate(&step.condition, &env, &mut pass.stack)?))
}

/// Runs the statements of a step; gives the state they leave. Emitted rows come last.
fn act<'a>(
    stage: &'a Stage,
    step: &'a Step,
    mut state: Vec<Value<'static>>,
    record: &mut Value<'a>,
    rows: &mut Vec<Value<'a>>,
    pass: &mut Pass<'_, 'a>,
) -> Result<Vec<Value<'static>>, Fault> {
    let (emits, others): (Vec<_>, Vec<_>) =
        step.actions.iter().partition(|action| matches!(action, Action::Emit(_)));
    for action in others.into_iter().chain(emits) {
        let slots: Vec<Value<'a>> = state.clone();
        let env = Env { record, columns: &pass.columns, slots: &slots, world: pass.world };
        match action {
            Action::Variable(index, program) => {
                let value = evaluate(program, &env, &mut pass.stack)?.own();
                if let Some(slot) = state.get_mut(*index as usize) {
                    *slot = value;
                }
            }
            Action::Field(path, program) => {
                let value = evaluate(program, &env, &mut pass.stack)?;
                *record = with_path(record, path, value);
                load_columns(record, &stage.columns, &mut pass.columns);
            }
            Action::Emit(program) => rows.push(evaluate(program, &env, &mut pass.stack)?),
        }
    }
    Ok(state)
}

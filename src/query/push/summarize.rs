//! `summarize`: which group a record counts in, and when rows come out.

use super::groups::{Group, Groups};
use super::open::Windows;
use super::{Pass, State, pass_on};
use crate::model::value::{Value, canonical, same};
use crate::query::loose::{to_number, truthy};
use crate::query::pipeline::{Emit, KEPT_BYTES_MAX, MEMORY_LIMIT, Operator, Stage, Summarize};
use crate::query::program::{Env, Fault, World, evaluate, peek};

/// What a `summarize` keeps.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub groups: Groups,
    pub windows: Windows,
    pub seen: u64,
    /// What the emit clause compares with.
    pub mark: Option<Value<'static>>,
    /// When rows came out last by the clock, or the timer was set, ms.
    pub emitted_ms: Option<i64>,
    /// A record came since.
    pub fresh: bool,
    /// The key of the record under way.
    pub key: Vec<u8>,
}

impl Summary {
    pub fn is_approximate(&self) -> bool {
        let group = |group: &Group| group.accumulators.iter().any(|a| a.is_approximate());
        self.groups.list.iter().any(group)
    }

    pub fn deadline(&self, operator: &Summarize) -> Option<i64> {
        match (&operator.window, &operator.emit) {
            (Some(window), _) => self.windows.deadline(window),
            (None, Emit::Timer(ms)) if self.fresh => {
                self.emitted_ms.map(|at| at.saturating_add_unsigned(*ms))
            }
            _ => None,
        }
    }
}

/// Adds one value of each measure to a group.
pub(super) fn measure<'a>(
    operator: &'a Summarize,
    group: &mut Group,
    record: &Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    let Pass { columns, stack, world, kept_bytes, .. } = pass;
    if **kept_bytes > KEPT_BYTES_MAX {
        return Err(Fault::new(MEMORY_LIMIT));
    }
    let env = Env { record, columns, slots: &[], world };
    for (measure, state) in operator.measures.iter().zip(&mut group.accumulators) {
        if let Some(condition) = &measure.condition
            && !truthy(&evaluate(condition, &env, stack)?)
        {
            continue;
        }
        match &measure.argument {
            Some(argument) => {
                let made;
                let value = match peek(argument, &env) {
                    Some(value) => value,
                    None => {
                        made = evaluate(argument, &env, stack)?;
                        &made
                    }
                };
                let before = state.kept_bytes();
                measure.aggregate.add(state, value);
                let more = state.kept_bytes().saturating_sub(before);
                if more > 0 {
                    let more = more + value.heap_bytes();
                    **kept_bytes += more;
                    group.kept_bytes += more;
                }
            }
            None => measure.aggregate.add(state, &Value::Null),
        }
    }
    group.keep(operator, record, columns);
    Ok(())
}

/// Evaluates everything that may fail before the state is changed.
fn probe<'a>(
    operator: &'a Summarize,
    record: &Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    let measures = operator.measures.iter();
    let programs = measures.flat_map(|m| m.argument.iter().chain(&m.condition));
    let env = Env { record, columns: &pass.columns, slots: &[], world: pass.world };
    for program in programs.filter(|p| p.can_fail()) {
        evaluate(program, &env, &mut pass.stack)?;
    }
    Ok(())
}

/// Takes a record.
pub(super) fn add<'a>(
    stages: &'a [Stage],
    states: &mut [State],
    record: &Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    let (Operator::Summarize(operator), State::Summarize(summary)) =
        (&stages[0].operator, &mut states[0])
    else {
        return Ok(());
    };
    if !operator.keys.is_empty() {
        summary.key.clear();
        for key in &operator.keys {
            let env = Env { record, columns: &pass.columns, slots: &[], world: pass.world };
            match peek(key, &env) {
                Some(value) => canonical(value, &mut summary.key),
                None => canonical(&evaluate(key, &env, &mut pass.stack)?, &mut summary.key),
            }
            summary.key.push(1);
        }
    }
    probe(operator, record, pass)?;
    if let Some(window) = &operator.window {
        return super::window::add(window, stages, states, record, pass);
    }
    let key = std::mem::take(&mut summary.key);
    let Some(group) = summary.groups.get(&key, operator, 0) else {
        summary.key = key;
        pass.counters.errors += 1;
        pass.sink.trouble("TOO_MANY_GROUPS", "more than 10000 groups: the record was dropped");
        return Ok(());
    };
    measure(operator, group, record, pass)?;
    summary.key = key;
    summary.seen += 1;
    if let Emit::Timer(ms) = operator.emit
        && !summary.fresh
    {
        // The next beat after this record, of those that began with the first one.
        let beat = i64::try_from(ms).unwrap_or(i64::MAX).max(1);
        let first = summary.emitted_ms.unwrap_or(pass.time_ms);
        let passed = pass.time_ms.saturating_sub(first).max(0) / beat * beat;
        summary.emitted_ms = Some(first.saturating_add(passed));
    }
    summary.fresh = true;
    if wants_to_emit(operator, summary, record, pass)? {
        emit_all(stages, states, pass);
    }
    Ok(())
}

/// The emit clause, for the record that was just counted.
fn wants_to_emit<'a>(
    operator: &'a Summarize,
    summary: &mut Summary,
    record: &Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<bool, Fault> {
    let changed = |summary: &mut Summary, value: Value<'static>| {
        let changed = summary.mark.as_ref().is_none_or(|before| !same(before, &value));
        summary.mark = Some(value);
        changed
    };
    Ok(match &operator.emit {
        Emit::Never | Emit::Timer(_) => false,
        Emit::Update => true,
        Emit::Records(n) => (summary.seen - 1).is_multiple_of(*n),
        Emit::Clock(ms) => {
            let due = |at: i64| pass.time_ms >= at.saturating_add_unsigned(*ms);
            let now = summary.emitted_ms.is_none_or(due);
            if now {
                summary.emitted_ms = Some(pass.time_ms);
            }
            now
        }
        Emit::Growth(least, program) => {
            let env = Env { record, columns: &pass.columns, slots: &[], world: pass.world };
            let value = to_number(&evaluate(program, &env, &mut pass.stack)?);
            let before = summary.mark.as_ref().map(to_number);
            let grown = before.is_none_or(|before| value - before >= *least);
            if grown {
                summary.mark = Some(Value::Double(value));
            }
            grown
        }
        Emit::When(program) => {
            let Some(group) = summary.groups.get(&summary.key, operator, 0) else {
                return Ok(false);
            };
            let slots = group.slots(operator, Value::Missing);
            let env = Env { record, columns: &pass.columns, slots: &slots, world: pass.world };
            truthy(&evaluate(program, &env, &mut pass.stack)?)
        }
        Emit::Change(program) => {
            let env = Env { record, columns: &pass.columns, slots: &[], world: pass.world };
            let value = evaluate(program, &env, &mut pass.stack)?.own();
            changed(summary, value)
        }
        Emit::GroupChange => {
            let key = String::from_utf8_lossy(&summary.key).into_owned();
            changed(summary, Value::text(key))
        }
    })
}

/// Puts the row of every group out.
fn emit_all<'a>(stages: &'a [Stage], states: &mut [State], pass: &mut Pass<'_, 'a>) {
    let (Operator::Summarize(operator), Some((State::Summarize(summary), _))) =
        (&stages[0].operator, states.split_first_mut())
    else {
        return;
    };
    let rows: Vec<_> = summary
        .groups
        .list
        .iter()
        .map(|group| row(operator, group, Value::Missing, pass))
        .collect();
    for row in rows {
        match row {
            Ok(row) => pass_on(stages, states, row, pass),
            Err(fault) => pass.fail(&fault),
        }
    }
}

/// The row of a group.
pub(super) fn row(
    operator: &Summarize,
    group: &Group,
    window: Value<'static>,
    pass: &Pass<'_, '_>,
) -> Result<Value<'static>, Fault> {
    let slots = group.slots(operator, window);
    let world = World { ..*pass.world };
    let env = Env { record: &group.record, columns: &group.last, slots: &slots, world: &world };
    Ok(evaluate(&operator.row, &env, &mut Vec::new())?.own())
}

/// Emits what is held; the state stays.
pub(super) fn flush<'a>(stages: &'a [Stage], states: &mut [State], pass: &mut Pass<'_, 'a>) {
    let Operator::Summarize(operator) = &stages[0].operator else { return };
    match &operator.window {
        Some(window) => super::window::flush(window, stages, states, pass),
        None => emit_all(stages, states, pass),
    }
}

/// Does what the clock asks for.
pub(super) fn advance<'a>(
    stages: &'a [Stage],
    states: &mut [State],
    time_ms: i64,
    pass: &mut Pass<'_, 'a>,
) {
    let (Operator::Summarize(operator), State::Summarize(summary)) =
        (&stages[0].operator, &mut states[0])
    else {
        return;
    };
    if let Some(window) = &operator.window {
        return super::window::advance(window, stages, states, time_ms, pass);
    }
    if summary.deadline(operator).is_some_and(|at| at <= time_ms) {
        summary.emitted_ms = Some(time_ms);
        summary.fresh = false;
        emit_all(stages, states, pass);
    }
}

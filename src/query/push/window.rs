//! Windows of a `summarize`.
//!
//! Method: a record has a coordinate (its number, a value of its own, or its arrival), a window is
//! an interval of coordinates, and the greatest coordinate seen, or the clock, closes what ends
//! before it. Sliding and session windows belong to a group and keep their own lists. Invariant: a
//! closed window does not open again; what comes too late is counted.

use super::groups::{Group, Groups};
use super::open::{Number, Session, Slide};
use super::summarize::{measure, row};
use super::{Pass, State, pass_on};
use crate::model::value::{Text, Value};
use crate::query::loose::to_number;
use crate::query::pipeline::{
    GROUPS_MAX, KEPT_BYTES_MAX, MEMORY_LIMIT, Measured, Operator, Shape, Stage, Summarize, Window,
};
use crate::query::program::{Env, Fault, evaluate, peek};

/// Takes a record.
pub(super) fn add<'a>(
    window: &'a Window,
    stages: &'a [Stage],
    states: &mut [State],
    record: &Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    let State::Summarize(summary) = &mut states[0] else { return Ok(()) };
    let at = match &window.measured {
        Measured::Count => summary.windows.seen as f64,
        Measured::Time => pass.time_ms as f64,
        Measured::Value(program) => {
            let env = Env { record, columns: &pass.columns, slots: &[], world: pass.world };
            let number = |value: &Value<'_>| {
                let number = if value.is_some() { to_number(value) } else { f64::NAN };
                let fault = Fault::new("the value of the window is no number");
                if number.is_finite() { Ok(number) } else { Err(fault) }
            };
            match peek(program, &env) {
                Some(value) => number(value)?,
                None => number(&evaluate(program, &env, &mut pass.stack)?)?,
            }
        }
    };
    summary.windows.seen += 1;
    match window.shape {
        Shape::Sliding => slide(window, stages, states, (at, record), pass),
        Shape::Session => session(window, stages, states, (at, record), pass),
        _ => tumble(window, stages, states, (at, record), pass),
    }
}

fn tumble<'a>(
    window: &'a Window,
    stages: &'a [Stage],
    states: &mut [State],
    (at, record): (f64, &Value<'a>),
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    close(window, stages, states, at, pass);
    let (Operator::Summarize(operator), State::Summarize(summary)) =
        (&stages[0].operator, &mut states[0])
    else {
        return Ok(());
    };
    let watermark = summary.windows.greatest.unwrap_or(at);
    let Some((first, last)) = summary.windows.numbers(window, at) else {
        return Err(Fault::new("the value of the window is too large"));
    };
    let key = std::mem::take(&mut summary.key);
    let mut late = true;
    let mut number = first;
    let mut result = Ok(());
    while number <= last && result.is_ok() {
        let end = number as f64 * window.hop + window.size;
        if end > watermark {
            late = false;
            let windows = &mut summary.windows;
            windows.quiet_until = windows.quiet_until.map(|before| before.min(end));
            let groups = windows.open.entry(number).or_default();
            let before = groups.list.len();
            match groups.get(&key, operator, windows.groups - before) {
                Some(group) => result = measure(operator, group, record, pass),
                None => too_many(pass),
            }
            windows.groups += groups.list.len() - before;
        }
        number += 1;
    }
    if let State::Summarize(summary) = &mut states[0] {
        summary.key = key;
    }
    if late {
        pass.counters.late += 1;
    }
    result
}

fn too_many(pass: &mut Pass<'_, '_>) {
    pass.counters.errors += 1;
    pass.sink.trouble("TOO_MANY_GROUPS", "more than 10000 groups: the record was dropped");
}

/// Puts out the windows that end at or before `at`, which is the new watermark if it is greater.
fn close<'a>(
    window: &'a Window,
    stages: &'a [Stage],
    states: &mut [State],
    at: f64,
    pass: &mut Pass<'_, 'a>,
) {
    loop {
        let State::Summarize(summary) = &mut states[0] else { return };
        let windows = &mut summary.windows;
        let watermark = windows.greatest.map_or(at, |greatest| greatest.max(at));
        windows.greatest = Some(watermark);
        if windows.quiet_until.is_some_and(|until| watermark < until) {
            return;
        }
        let ended = |number: Number| number as f64 * window.hop + window.size <= watermark;
        match windows.open.first_key_value() {
            Some((number, _)) if ended(*number) => {}
            first => {
                let end = |number: Number| number as f64 * window.hop + window.size;
                windows.quiet_until = Some(first.map_or(f64::INFINITY, |(n, _)| end(*n)));
                return;
            }
        }
        if let Some((number, groups)) = windows.open.pop_first() {
            windows.groups -= groups.list.len();
            let kept: usize = groups.list.iter().map(|group| group.kept_bytes).sum();
            *pass.kept_bytes = pass.kept_bytes.saturating_sub(kept);
            put_out(window, stages, states, number, &groups, pass);
        }
    }
}

fn put_out<'a>(
    window: &'a Window,
    stages: &'a [Stage],
    states: &mut [State],
    number: Number,
    groups: &Groups,
    pass: &mut Pass<'_, 'a>,
) {
    let Operator::Summarize(operator) = &stages[0].operator else { return };
    let start = number as f64 * window.hop;
    let counted = matches!(window.measured, Measured::Count);
    let id = if counted { number as f64 } else { start };
    let object = describe(window, id, start, start + window.size);
    for group in &groups.list {
        let row = row(operator, group, object.clone(), pass);
        send(stages, states, row, pass);
    }
}

fn send<'a>(
    stages: &'a [Stage],
    states: &mut [State],
    row: Result<Value<'static>, Fault>,
    pass: &mut Pass<'_, 'a>,
) {
    match row {
        Ok(row) => pass_on(stages, states, row, pass),
        Err(fault) => pass.fail(&fault),
    }
}

/// The window object.
fn describe(window: &Window, id: f64, start: f64, end: f64) -> Value<'static> {
    let mode = match window.measured {
        Measured::Count => "count",
        Measured::Value(_) => "value",
        Measured::Time => "time",
    };
    let mut fields = vec![
        (Text::Borrowed("_id"), Value::Double(id)),
        (Text::Borrowed("windowId"), Value::Double(id)),
        (Text::Borrowed("start"), Value::Double(start)),
        (Text::Borrowed("end"), Value::Double(end)),
        (Text::Borrowed("type"), Value::text(window.shape.name())),
        (Text::Borrowed("mode"), Value::text(mode)),
    ];
    let size = match window.shape {
        Shape::Count => "count",
        Shape::Session => "timeout",
        _ => "size",
    };
    fields.push((Text::Borrowed(size), Value::Double(window.size)));
    if window.shape == Shape::Hopping {
        fields.push((Text::Borrowed("hop"), Value::Double(window.hop)));
    }
    Value::record(fields)
}

fn session<'a>(
    window: &'a Window,
    stages: &'a [Stage],
    states: &mut [State],
    (at, record): (f64, &Value<'a>),
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    let (Operator::Summarize(operator), State::Summarize(summary)) =
        (&stages[0].operator, &mut states[0])
    else {
        return Ok(());
    };
    let windows = &mut summary.windows;
    let index = match windows.index.get(summary.key.as_slice()) {
        Some(index) => *index as usize,
        None if windows.sessions.len() >= GROUPS_MAX => {
            too_many(pass);
            return Ok(());
        }
        None => {
            let group = Group::new(&summary.key, operator);
            windows.index.insert(group.key.clone(), windows.sessions.len() as u32);
            windows.sessions.push(Session { id: 0, open: false, start: at, last: at, group });
            windows.sessions.len() - 1
        }
    };
    let Some(found) = windows.sessions.get_mut(index) else { return Ok(()) };
    let mut ended = None;
    if found.open && at - found.last > window.size {
        ended = Some(row(operator, &found.group, of_session(window, found), pass));
        found.open = false;
    }
    if !found.open {
        let key = std::mem::take(&mut found.group.key);
        *pass.kept_bytes = pass.kept_bytes.saturating_sub(found.group.kept_bytes);
        found.group = Group::new(&key, operator);
        (found.id, found.open, found.start) = (found.id + 1, true, at);
    }
    found.last = at;
    let result = measure(operator, &mut found.group, record, pass);
    if let Some(row) = ended {
        send(stages, states, row, pass);
    }
    result
}

fn of_session(window: &Window, session: &Session) -> Value<'static> {
    describe(window, session.id as f64, session.start, session.last + window.size)
}

fn slide<'a>(
    window: &'a Window,
    stages: &'a [Stage],
    states: &mut [State],
    (at, record): (f64, &Value<'a>),
    pass: &mut Pass<'_, 'a>,
) -> Result<(), Fault> {
    let (Operator::Summarize(operator), State::Summarize(summary)) =
        (&stages[0].operator, &mut states[0])
    else {
        return Ok(());
    };
    if *pass.kept_bytes > KEPT_BYTES_MAX {
        return Err(Fault::new(MEMORY_LIMIT));
    }
    let taken = take(operator, record, pass)?;
    *pass.kept_bytes += bytes_of(&taken);
    let windows = &mut summary.windows;
    let index = match windows.index.get(summary.key.as_slice()) {
        Some(index) => *index as usize,
        None if windows.slides.len() >= GROUPS_MAX => {
            too_many(pass);
            return Ok(());
        }
        None => {
            let key: Box<[u8]> = summary.key.as_slice().into();
            windows.index.insert(key.clone(), windows.slides.len() as u32);
            windows.slides.push(Slide { key, ..Slide::default() });
            windows.slides.len() - 1
        }
    };
    let Some(slide) = windows.slides.get_mut(index) else { return Ok(()) };
    slide.count += 1;
    slide.records.push_back((at, taken));
    if matches!(window.measured, Measured::Count) {
        while slide.records.len() as f64 > window.size {
            forget_oldest(slide, pass.kept_bytes);
        }
    } else {
        let greatest = slide.records.iter().map(|(at, _)| *at).fold(at, f64::max);
        let kept = &mut *pass.kept_bytes;
        slide.records.retain(|(at, taken)| {
            let stays = *at > greatest - window.size;
            if !stays {
                *kept = kept.saturating_sub(bytes_of(taken));
            }
            stays
        });
        while slide.records.len() as f64 > crate::query::pipeline::OVERLAP_MAX {
            forget_oldest(slide, kept);
        }
    }
    let mut group = Group::new(&[], operator);
    group.keep(operator, record, &pass.columns);
    (slide.last, slide.record) = (group.last, group.record);
    let row = slide_row(window, operator, slide, at, pass);
    send(stages, states, row, pass);
    Ok(())
}

/// What the measures took of a record, in bytes.
fn bytes_of(taken: &[Option<Value<'static>>]) -> usize {
    let each = |value: &Option<Value<'_>>| 24 + value.as_ref().map_or(0, Value::heap_bytes);
    32 + taken.iter().map(each).sum::<usize>()
}

fn forget_oldest(slide: &mut Slide, kept_bytes: &mut usize) {
    if let Some((_, taken)) = slide.records.pop_front() {
        *kept_bytes = kept_bytes.saturating_sub(bytes_of(&taken));
    }
}

/// What the measures take of a record.
fn take<'a>(
    operator: &'a Summarize,
    record: &Value<'a>,
    pass: &mut Pass<'_, 'a>,
) -> Result<Vec<Option<Value<'static>>>, Fault> {
    let mut taken = Vec::with_capacity(operator.measures.len());
    let env = Env { record, columns: &pass.columns, slots: &[], world: pass.world };
    for measure in &operator.measures {
        let holds = match &measure.condition {
            Some(condition) => {
                crate::query::loose::truthy(&evaluate(condition, &env, &mut pass.stack)?)
            }
            None => true,
        };
        let value = match &measure.argument {
            Some(argument) => evaluate(argument, &env, &mut pass.stack)?.own(),
            None => Value::Null,
        };
        taken.push(holds.then_some(value));
    }
    Ok(taken)
}

fn slide_row(
    window: &Window,
    operator: &Summarize,
    slide: &Slide,
    at: f64,
    pass: &Pass<'_, '_>,
) -> Result<Value<'static>, Fault> {
    let counted = matches!(window.measured, Measured::Count);
    let mut group = Group::new(&[], operator);
    for (value, taken) in &slide.records {
        if !counted && (*value > at || *value <= at - window.size) {
            continue;
        }
        for ((measure, state), value) in
            operator.measures.iter().zip(&mut group.accumulators).zip(taken)
        {
            if let Some(value) = value {
                measure.aggregate.add(state, value);
            }
        }
    }
    group.last.clone_from(&slide.last);
    group.record = slide.record.clone();
    let object = if counted {
        let index = slide.count as f64 - 1.0;
        describe(window, index, (index - window.size + 1.0).max(0.0), index + 1.0)
    } else {
        describe(window, at, at - window.size + 1.0, at + 1.0)
    };
    row(operator, &group, object, pass)
}

/// Emits open windows and keeps them.
pub(super) fn flush<'a>(
    window: &'a Window,
    stages: &'a [Stage],
    states: &mut [State],
    pass: &mut Pass<'_, 'a>,
) {
    let (Operator::Summarize(operator), State::Summarize(summary)) =
        (&stages[0].operator, &mut states[0])
    else {
        return;
    };
    // They are put back when their rows are out.
    let windows = std::mem::take(&mut summary.windows);
    for (number, groups) in &windows.open {
        put_out(window, stages, states, *number, groups, pass);
    }
    for session in windows.sessions.iter().filter(|session| session.open) {
        let row = row(operator, &session.group, of_session(window, session), pass);
        send(stages, states, row, pass);
    }
    for slide in &windows.slides {
        let at = slide.records.back().map_or(0.0, |(at, _)| *at);
        let row = slide_row(window, operator, slide, at, pass);
        send(stages, states, row, pass);
    }
    if let State::Summarize(summary) = &mut states[0] {
        summary.windows = windows;
    }
}

/// Closes what the clock closes.
pub(super) fn advance<'a>(
    window: &'a Window,
    stages: &'a [Stage],
    states: &mut [State],
    time_ms: i64,
    pass: &mut Pass<'_, 'a>,
) {
    if !matches!(window.measured, Measured::Time) {
        return;
    }
    if window.shape != Shape::Session {
        return close(window, stages, states, time_ms as f64, pass);
    }
    let (Operator::Summarize(operator), State::Summarize(summary)) =
        (&stages[0].operator, &mut states[0])
    else {
        return;
    };
    let mut rows = Vec::new();
    for session in &mut summary.windows.sessions {
        if session.open && time_ms as f64 - session.last > window.size {
            session.open = false;
            rows.push(row(operator, &session.group, of_session(window, session), pass));
        }
    }
    for row in rows {
        send(stages, states, row, pass);
    }
}

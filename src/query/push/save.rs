//! The state of a runner as bytes, so that a restart goes on where it was.
//!
//! Method: stage after stage, each with a tag; what is read back must fit the same pipeline (its
//! canonical text is stored before it), else nothing is taken. Cost: the size of the state.

use super::automaton::Automata;
use super::groups::{Group, Groups};
use super::open::{Session, Slide, Windows};
use super::summarize::Summary;
use super::{Counters, Runner, State};
use crate::model::value::{Bytes, Value, decode_value, encode_bytes, encode_value};
use crate::query::pipeline::{Operator, Summarize};
use std::sync::Arc;

/// Version of the layout.
const VERSION: u8 = 1;

impl Runner {
    /// Appends the state.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        encode_bytes(self.pipeline.canonical().as_bytes(), out);
        let Counters { records_in, records_out, errors, late } = self.counters;
        [records_in, records_out, errors, late].iter().for_each(|n| number(*n, out));
        for state in &self.states {
            match state {
                State::None | State::Sort(_) => {}
                State::Take(n) => number(*n, out),
                State::Distinct(_, order) => {
                    number(order.len() as u64, out);
                    order.iter().for_each(|key| encode_bytes(key, out));
                }
                State::Summarize(summary) => summary.save(out),
                State::Automaton(automata) => automata.save(out),
            }
        }
    }

    /// Reads a state that a runner of the same pipeline saved; `None` leaves the runner unusable.
    #[must_use]
    pub fn load(mut self, from: &mut Bytes<'_>) -> Option<Self> {
        if from.u8()? != VERSION || from.text()? != self.pipeline.canonical() {
            return None;
        }
        self.counters = Counters {
            records_in: from.u64()?,
            records_out: from.u64()?,
            errors: from.u64()?,
            late: from.u64()?,
        };
        let pipeline = Arc::clone(&self.pipeline);
        for (stage, state) in pipeline.stages.iter().zip(&mut self.states) {
            match (&stage.operator, state) {
                (_, State::None | State::Sort(_)) => {}
                (_, State::Take(n)) => *n = from.u64()?,
                (_, State::Distinct(known, order)) => {
                    for _ in 0..from.count(8)? {
                        let key: Box<[u8]> = from.bytes()?.into();
                        known.insert(key.clone());
                        order.push_back(key);
                    }
                }
                (Operator::Summarize(operator), State::Summarize(summary)) => {
                    **summary = Summary::load(operator, from)?;
                }
                (_, State::Automaton(automata)) => *automata = Automata::load(from)?,
                _ => return None,
            }
        }
        self.kept_bytes = self.states.iter().map(State::kept_bytes).sum();
        Some(self)
    }
}

impl State {
    fn kept_bytes(&self) -> usize {
        let State::Summarize(summary) = self else { return 0 };
        let windows = summary.windows.open.values().flat_map(|groups| &groups.list);
        let sessions = summary.windows.sessions.iter().map(|session| &session.group);
        let groups = summary.groups.list.iter().chain(windows).chain(sessions);
        groups.map(|group| group.kept_bytes).sum()
    }
}

fn number(n: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&n.to_le_bytes());
}

fn maybe(n: Option<f64>, out: &mut Vec<u8>) {
    encode_value(&n.map_or(Value::Missing, Value::Double), out);
}

fn values(list: &[Value<'static>], out: &mut Vec<u8>) {
    number(list.len() as u64, out);
    list.iter().for_each(|value| encode_value(value, out));
}

fn read_values(from: &mut Bytes<'_>) -> Option<Vec<Value<'static>>> {
    (0..from.count(1)?).map(|_| decode_value(from)).collect()
}

impl Summary {
    fn save(&self, out: &mut Vec<u8>) {
        number(self.seen, out);
        encode_value(self.mark.as_ref().unwrap_or(&Value::Missing), out);
        out.push(u8::from(self.mark.is_some()));
        encode_value(&self.emitted_ms.map_or(Value::Missing, Value::Int), out);
        out.push(u8::from(self.fresh));
        self.groups.save(out);
        let windows = &self.windows;
        number(windows.seen, out);
        maybe(windows.greatest, out);
        number(windows.open.len() as u64, out);
        for (id, groups) in &windows.open {
            number(*id as u64, out);
            groups.save(out);
        }
        number(windows.sessions.len() as u64, out);
        for session in &windows.sessions {
            number(session.id, out);
            out.push(u8::from(session.open));
            number(session.start.to_bits(), out);
            number(session.last.to_bits(), out);
            session.group.save(out);
        }
        number(windows.slides.len() as u64, out);
        windows.slides.iter().for_each(|slide| slide.save(out));
    }

    fn load(operator: &Summarize, from: &mut Bytes<'_>) -> Option<Self> {
        let mut summary = Self { seen: from.u64()?, ..Self::default() };
        let mark = decode_value(from)?;
        summary.mark = (from.u8()? == 1).then_some(mark);
        summary.emitted_ms = match decode_value(from)? {
            Value::Int(ms) => Some(ms),
            _ => None,
        };
        summary.fresh = from.u8()? == 1;
        summary.groups = Groups::load(operator, from)?;
        summary.windows = Windows::load(operator, from)?;
        Some(summary)
    }
}

impl Windows {
    fn load(operator: &Summarize, from: &mut Bytes<'_>) -> Option<Self> {
        let mut windows = Self { seen: from.u64()?, ..Self::default() };
        windows.greatest = decode_value(from)?.as_double();
        for _ in 0..from.count(8)? {
            let id = from.u64()? as i64;
            let groups = Groups::load(operator, from)?;
            windows.groups += groups.list.len();
            windows.open.insert(id, groups);
        }
        for index in 0..from.count(8)? {
            let session = Session {
                id: from.u64()?,
                open: from.u8()? == 1,
                start: from.f64()?,
                last: from.f64()?,
                group: Group::load(operator, from)?,
            };
            windows.index.insert(session.group.key.clone(), index as u32);
            windows.sessions.push(session);
        }
        for index in 0..from.count(8)? {
            let slide = Slide::load(from)?;
            windows.index.insert(slide.key.clone(), index as u32);
            windows.slides.push(slide);
        }
        Some(windows)
    }
}

impl Groups {
    fn save(&self, out: &mut Vec<u8>) {
        number(self.list.len() as u64, out);
        self.list.iter().for_each(|group| group.save(out));
    }

    fn load(operator: &Summarize, from: &mut Bytes<'_>) -> Option<Self> {
        let mut groups = Self::default();
        for _ in 0..from.count(8)? {
            groups.restore(Group::load(operator, from)?);
        }
        Some(groups)
    }
}

impl Group {
    fn save(&self, out: &mut Vec<u8>) {
        encode_bytes(&self.key, out);
        self.accumulators.iter().for_each(|state| state.save(out));
        values(&self.last, out);
        encode_value(&self.record, out);
    }

    fn load(operator: &Summarize, from: &mut Bytes<'_>) -> Option<Self> {
        let mut group = Self::new(from.bytes()?, operator);
        for state in &mut group.accumulators {
            state.load(from)?;
        }
        group.last = read_values(from)?;
        group.record = decode_value(from)?;
        group.kept_bytes = group.accumulators.iter().map(|state| state.kept_bytes()).sum();
        Some(group)
    }
}

impl Slide {
    fn save(&self, out: &mut Vec<u8>) {
        encode_bytes(&self.key, out);
        number(self.count, out);
        number(self.records.len() as u64, out);
        for (at, taken) in &self.records {
            number(at.to_bits(), out);
            number(taken.len() as u64, out);
            for value in taken {
                out.push(u8::from(value.is_some()));
                encode_value(value.as_ref().unwrap_or(&Value::Missing), out);
            }
        }
        values(&self.last, out);
        encode_value(&self.record, out);
    }

    fn load(from: &mut Bytes<'_>) -> Option<Self> {
        let mut slide = Self { key: from.bytes()?.into(), count: from.u64()?, ..Self::default() };
        for _ in 0..from.count(16)? {
            let at = from.f64()?;
            let mut taken = Vec::new();
            for _ in 0..from.count(2)? {
                let present = from.u8()? == 1;
                let value = decode_value(from)?;
                taken.push(present.then_some(value));
            }
            slide.records.push_back((at, taken));
        }
        slide.last = read_values(from)?;
        slide.record = decode_value(from)?;
        Some(slide)
    }
}

impl Automata {
    fn save(&self, out: &mut Vec<u8>) {
        number(self.list.len() as u64, out);
        for (key, states) in &self.list {
            encode_bytes(key, out);
            number(states.len() as u64, out);
            for state in states {
                out.push(u8::from(state.is_some()));
                values(state.as_deref().unwrap_or_default(), out);
            }
        }
    }

    fn load(from: &mut Bytes<'_>) -> Option<Self> {
        let mut automata = Self::default();
        for _ in 0..from.count(16)? {
            let key: Box<[u8]> = from.bytes()?.into();
            let mut states = Vec::new();
            for _ in 0..from.count(9)? {
                let present = from.u8()? == 1;
                let variables = read_values(from)?;
                states.push(present.then_some(variables));
            }
            automata.list.insert(key, states);
        }
        Some(automata)
    }
}

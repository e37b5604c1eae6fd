//! What windows keep while they are open, and which of them a coordinate falls into.

use super::groups::{Group, Groups};
use crate::model::value::Value;
use crate::query::pipeline::{Measured, Shape, Window};
use ahash::AHashMap;
use std::collections::{BTreeMap, VecDeque};

/// Number of a window: its start in multiples of the hop.
pub(super) type Number = i64;

/// An open session, or the last one of its group.
#[derive(Debug)]
pub(super) struct Session {
    pub id: u64,
    pub open: bool,
    pub start: f64,
    pub last: f64,
    pub group: Group,
}

/// The records of a group that a sliding window may still hold.
#[derive(Debug, Default)]
pub(super) struct Slide {
    pub key: Box<[u8]>,
    pub count: u64,
    /// Coordinate and what the measures take: argument, or missing with a failed condition.
    pub records: VecDeque<(f64, Vec<Option<Value<'static>>>)>,
    pub last: Vec<Value<'static>>,
    pub record: Value<'static>,
}

/// Everything open.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pub open: BTreeMap<Number, Groups>,
    /// Groups of all open windows.
    pub groups: usize,
    pub seen: u64,
    pub greatest: Option<f64>,
    pub sessions: Vec<Session>,
    pub slides: Vec<Slide>,
    pub index: AHashMap<Box<[u8]>, u32>,
    /// No open window ends before, if it is known.
    pub quiet_until: Option<f64>,
    /// The window of the last record where it was easily told: from, to, number.
    pub last: Option<(f64, f64, Number)>,
}

/// Integers below it are exact, and so are their quotients, rounded down.
const EXACT_MAX: f64 = 4_503_599_627_370_496.0;

fn is_whole(number: f64) -> bool {
    number.abs() < EXACT_MAX && number as i64 as f64 == number
}

impl Windows {
    /// The numbers of the windows that a coordinate falls into: first and last; `None` if it is too
    /// large. Most records fall into the same window as the one before.
    pub fn numbers(&mut self, window: &Window, at: f64) -> Option<(Number, Number)> {
        let whole = is_whole(at);
        if let Some((from, to, number)) = self.last
            && whole
            && from <= at
            && at < to
        {
            return Some((number, number));
        }
        let last = (at / window.hop).floor();
        let first = ((at - window.size) / window.hop).floor() + 1.0;
        if last.abs() > 9e15 {
            return None;
        }
        let first = if matches!(window.measured, Measured::Count) { first.max(0.0) } else { first };
        let from = last * window.hop;
        if first == last && window.size == window.hop && is_whole(window.hop) && is_whole(from) {
            self.last = Some((from, from + window.size, last as Number));
        }
        Some((first as Number, last as Number))
    }

    pub fn deadline(&self, window: &Window) -> Option<i64> {
        if !matches!(window.measured, Measured::Time) {
            return None;
        }
        if window.shape == Shape::Session {
            let open = self.sessions.iter().filter(|session| session.open);
            return open.map(|s| (s.last + window.size) as i64 + 1).min();
        }
        let first = self.open.first_key_value()?;
        Some((*first.0 as f64 * window.hop + window.size).ceil() as i64)
    }
}

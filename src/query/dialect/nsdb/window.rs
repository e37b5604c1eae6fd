//! Temporal windows over arriving bits (nsdb, 4.3).
//!
//! Method: one open window from the last tick on, and with SINCE the windows before it, found by
//! their start on the grid of ticks. A clone is all that a second socket needs to go on from the
//! same place.

use super::aggregate::State;
use super::bit::{Bit, Cell};
use super::parse::{Aggregate, Select};
use super::run::write_record;
use std::collections::BTreeMap;

/// Windows kept for late bits.
const KEPT_MAX: usize = 10_000;

/// Bits of one window.
#[derive(Clone, Debug, Default)]
struct Window {
    state: State,
    least: i64,
    greatest: i64,
    any: bool,
    /// Changed since it was pushed.
    due: bool,
}

/// See the module's page.
#[derive(Clone, Debug)]
pub struct Temporal {
    aggregate: Aggregate,
    field: Box<str>,
    float: bool,
    interval: i64,
    grace: Option<i64>,
    reference: i64,
    open: Window,
    kept: BTreeMap<i64, Window>,
}

impl Temporal {
    /// Registered at that time; `float`: the value is DECIMAL. `None`: the query has no windows.
    #[must_use]
    pub fn new(select: &Select, float: bool, now_ms: i64) -> Option<Self> {
        let interval = select.interval_ms()?;
        let (aggregate, field) = select.aggregates().next()?;
        Some(Self {
            aggregate,
            field: field.into(),
            float,
            interval,
            grace: select.since,
            reference: now_ms,
            open: Window::default(),
            kept: BTreeMap::new(),
        })
    }

    /// When the next tick is.
    #[must_use]
    pub fn next_tick(&self) -> i64 {
        self.reference.saturating_add(self.interval)
    }

    /// Adds a matching bit.
    pub fn add(&mut self, bit: &Bit<'_>) {
        if bit.timestamp >= self.reference {
            return self.open.add(self.aggregate, &self.field, bit);
        }
        let Some(grace) = self.grace else { return };
        if bit.timestamp < self.reference.saturating_sub(grace) {
            return;
        }
        let behind = self.reference.saturating_sub(bit.timestamp).saturating_sub(1);
        let back = behind / self.interval + 1;
        let start = self.reference.saturating_sub(back.saturating_mul(self.interval));
        if self.kept.len() >= KEPT_MAX && !self.kept.contains_key(&start) {
            return;
        }
        self.kept.entry(start).or_default().add(self.aggregate, &self.field, bit);
    }

    /// A tick has come: the records of windows that are due, without their last brace.
    pub fn tick(&mut self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for window in self.kept.values_mut() {
            records.extend(window.record(self.aggregate, self.float));
        }
        records.extend(self.open.record(self.aggregate, self.float));
        let closed = std::mem::take(&mut self.open);
        let start = self.reference;
        self.reference = self.next_tick();
        if let Some(grace) = self.grace {
            if closed.any {
                self.kept.insert(start, closed);
            }
            let oldest = self.reference.saturating_sub(grace);
            let interval = self.interval;
            self.kept.retain(|start, _| start.saturating_add(interval) > oldest);
            while self.kept.len() > KEPT_MAX {
                self.kept.pop_first();
            }
        }
        records
    }
}

impl Window {
    fn add(&mut self, aggregate: Aggregate, field: &str, bit: &Bit<'_>) {
        self.state.add(aggregate, field, bit);
        let at = bit.timestamp;
        (self.least, self.greatest) =
            if self.any { (self.least.min(at), self.greatest.max(at)) } else { (at, at) };
        (self.any, self.due) = (true, true);
    }

    fn record(&mut self, aggregate: Aggregate, float: bool) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        let none = if float { Cell::Float(0.0) } else { Cell::Int(0) };
        let value = self.state.result(aggregate, float).ok()?.unwrap_or(none);
        let bounds =
            [("lowerBound", Cell::Int(self.least)), ("upperBound", Cell::Int(self.greatest))];
        let mut json = Vec::new();
        let tags = [(aggregate.label(), value.clone())];
        write_record(self.greatest, &value, &bounds, &tags, &mut json);
        Some(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::dialect::nsdb::{Statement, parse};

    fn windows(text: &str) -> Temporal {
        let Some(Statement::Select(select)) = parse(text) else { panic!("{text}") };
        Temporal::new(&select, false, 10_000).unwrap()
    }

    fn bit(timestamp: i64) -> Bit<'static> {
        Bit { timestamp, value: Cell::Int(1), dimensions: Vec::new(), tags: Vec::new() }
    }

    fn tick(windows: &mut Temporal) -> Vec<String> {
        windows.tick().into_iter().map(|json| String::from_utf8(json).unwrap()).collect()
    }

    fn record(least: i64, greatest: i64, count: i64) -> String {
        format!(
            "{{\"timestamp\":{greatest},\"value\":{count},\"dimensions\":{{\"lowerBound\":{least},\
             \"upperBound\":{greatest}}},\"tags\":{{\"count(*)\":{count}}}"
        )
    }

    #[test]
    fn late_bits_join_their_window_within_the_grace() {
        let mut plain = windows("select count(*) from m group by interval 1 s");
        plain.add(&bit(9_999));
        assert!(tick(&mut plain).is_empty());
        plain.add(&bit(99_000));
        plain.add(&bit(11_000));
        plain.add(&bit(10_999));
        assert_eq!(tick(&mut plain), [record(11_000, 99_000, 2)]);

        let mut graced = windows("select count(*) from m group by interval 1 s since 2 s");
        graced.add(&bit(10_500));
        assert_eq!(tick(&mut graced), [record(10_500, 10_500, 1)]);
        for at in [10_100, 11_100, 9_500, 8_999] {
            graced.add(&bit(at));
        }
        let made = [record(9_500, 9_500, 1), record(10_100, 10_500, 2), record(11_100, 11_100, 1)];
        assert_eq!(tick(&mut graced), made);
        // At 12 s the window from 9 s on has ended before the grace.
        graced.add(&bit(9_600));
        graced.add(&bit(10_000));
        assert_eq!(tick(&mut graced), [record(10_000, 10_500, 3)]);
        assert!(tick(&mut graced).is_empty());
    }
}

//! What a flow puts out in one go, and what went wrong in it.

use crate::model::flow::{Derivation, FlowId};
use crate::model::json;
use crate::model::record::{Offset, TimeNs};
use crate::model::time::iso_ms;
use crate::model::value::{Style, Value, write_value};
use crate::query::push::Sink;
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

/// Milliseconds between two records of `_log` for the same trouble of the same flow.
const TROUBLE_MS: i64 = 1000;

/// A record for a target.
#[derive(Debug)]
pub struct Part {
    /// Its number in the flow.
    pub target: usize,
    /// Its text.
    pub bytes: Range<usize>,
    /// What it was made of; none if a flush made it, which is never repeated.
    pub from: Option<Derivation>,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Records, in their order.
    pub parts: Vec<Part>,
    /// Their texts.
    pub bytes: Vec<u8>,
    /// Lines for files, by stage.
    pub files: Vec<(usize, Vec<u8>)>,
    /// Codes and reasons of dropped records.
    pub troubles: Vec<(&'static str, String)>,
    at: Rc<Cell<Offset>>,
    derived: (Offset, u32),
    is_derived: bool,
    /// Troubles of the flows before.
    before: usize,
}

impl Outputs {
    /// A flow begins; `derived`: the state of its numbering, `position`: where it stands.
    pub fn begin(&mut self, derived: (Offset, u32), position: Offset) {
        (self.derived, self.is_derived) = (derived, true);
        self.before = self.troubles.len();
        self.at.set(position);
    }

    /// Where to say which record is under way.
    pub fn at(&self) -> Rc<Cell<Offset>> {
        Rc::clone(&self.at)
    }

    /// The numbering, to go on with.
    pub fn derived(&self) -> (Offset, u32) {
        self.derived
    }

    /// Outputs from here on are not made of a record.
    pub fn underived(&mut self) {
        self.is_derived = false;
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.files.is_empty() && self.troubles.is_empty()
    }
}

impl Sink for Outputs {
    fn row(&mut self, _value: &Value<'_>) {}

    fn insert(&mut self, target: usize, value: &Value<'_>) {
        let start = self.bytes.len();
        write_value(value, Style::Script, &mut self.bytes);
        let text = self.bytes.get(start..).unwrap_or_default();
        // What is nested too deep could not be read again.
        let deep = text.iter().filter(|b| matches!(b, b'{' | b'[')).count()
            > crate::limits::JSON_DEPTH_MAX;
        if deep && json::check(text).is_err() {
            self.bytes.truncate(start);
            return self.trouble("NESTED_TOO_DEEP", "a record for insert_into is nested too deep");
        }
        let from = self.is_derived.then(|| {
            let offset = self.at.get();
            if self.derived.0 != offset {
                self.derived = (offset, 0);
            }
            let ordinal = self.derived.1;
            self.derived.1 += 1;
            Derivation { offset, ordinal }
        });
        self.parts.push(Part { target, bytes: start..self.bytes.len(), from });
    }

    fn file(&mut self, stage: usize, value: &Value<'_>) {
        let mut line = Vec::new();
        write_value(value, Style::Script, &mut line);
        self.files.push((stage, line));
    }

    fn trouble(&mut self, code: &'static str, why: &str) {
        // The first of each kind is told, the others are counted.
        let own = self.troubles.get(self.before..).unwrap_or_default();
        let known = own.iter().any(|(known, _)| *known == code);
        let text = if known { String::new() } else { why.to_owned() };
        self.troubles.push((code, text));
    }
}

/// One kind of trouble of a flow.
#[derive(Debug)]
struct Trouble {
    code: &'static str,
    why: String,
    /// How often since it was told.
    count: u64,
    /// When it was told, ms.
    told_ms: i64,
}

/// What went wrong in a flow, told at most once a second for each kind.
#[derive(Debug, Default)]
pub struct Troubles {
    list: Vec<Trouble>,
    refused: u64,
}

impl Troubles {
    /// Outputs that were not taken.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes those of a run.
    pub fn take(&mut self, list: Vec<(&'static str, String)>, now_ms: i64) {
        for (code, why) in list {
            self.add(code, &why, now_ms);
        }
    }

    /// An output was not taken.
    pub fn refuse(&mut self, code: &'static str, why: &str, now_ms: i64) {
        self.refused += 1;
        self.add(code, why, now_ms);
    }

    /// Something was not as it should.
    pub fn add(&mut self, code: &'static str, why: &str, _now_ms: i64) {
        match self.list.iter_mut().find(|trouble| trouble.code == code) {
            Some(trouble) => {
                trouble.count += 1;
                if !why.is_empty() {
                    why.clone_into(&mut trouble.why);
                }
            }
            None => {
                let why = why.to_owned();
                self.list.push(Trouble { code, why, count: 1, told_ms: i64::MIN });
            }
        }
    }

    /// The records of `_log` that are due.
    pub fn records(&mut self, name: Option<&str>, id: FlowId, now: TimeNs) -> Vec<Vec<u8>> {
        let now_ms = now / 1_000_000;
        let mut records = Vec::new();
        for trouble in &mut self.list {
            let due = now_ms.saturating_sub(trouble.told_ms) >= TROUBLE_MS;
            if trouble.count == 0 || !due {
                continue;
            }
            let component = match name {
                Some(name) => format!("flow {name}"),
                None => format!("query {id}"),
            };
            let mut record = format!("{{\"_id\":\"{now:x}-{id:x}\",\"timestamp\":").into_bytes();
            let mut text = |key: &str, value: &str| {
                record.extend_from_slice(key.as_bytes());
                json::write_string(&mut record, value);
            };
            text("", &iso_ms(now));
            text(",\"level\":\"error\",\"code\":", trouble.code);
            text(",\"message\":", &trouble.why);
            text(",\"query\":null,\"component\":", &component);
            let count = trouble.count;
            record.extend_from_slice(format!(",\"metadata\":{{\"count\":{count}}}}}").as_bytes());
            records.push(record);
            (trouble.count, trouble.told_ms) = (0, now_ms);
        }
        records
    }
}

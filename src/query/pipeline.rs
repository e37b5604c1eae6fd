//! A query as a chain of operators over records.
//!
//! Method: each stage holds the programs of its operator, compiled against the columns of its
//! segment; a segment is a run of stages that see the same record, so that its text is scanned once
//! for all of them. A pipeline is immutable and shared; what changes is the state of a
//! [`super::push::Runner`].

use super::aggregate::Aggregate;
use super::program::Program;
use crate::model::value::{Guide, Value, skim_guided, skim_members};
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

/// Operators of one pipeline at most.
pub const STAGES_MAX: usize = 256;
/// Groups of a `summarize`, and automata of a `scan`, at most.
pub const GROUPS_MAX: usize = 10_000;
/// Values that `distinct` remembers.
pub const DISTINCT_MAX: usize = 10_000;
/// Bytes that one pipeline keeps of the values it has taken: rows to sort, collected lists, order
/// statistics, sliding windows.
pub const KEPT_BYTES_MAX: usize = 256 << 20;
/// What a record is told that would exceed it.
pub const MEMORY_LIMIT: &str = "memory limit passed";
/// Windows that a record may fall into, and records of a sliding window.
pub const OVERLAP_MAX: f64 = 10_000.0;

/// A chain of operators.
#[derive(Debug, Default)]
pub struct Pipeline {
    /// Its text.
    pub text: String,
    /// The stream it reads, as written.
    pub source: String,
    /// Its operators in order.
    pub stages: Vec<Stage>,
    /// Streams it inserts into, each once, as written.
    pub targets: Vec<String>,
    /// See [`Pipeline::canonical`].
    pub(super) canonical: OnceLock<String>,
    /// See [`Pipeline::exactly`].
    pub(super) exact: OnceLock<String>,
}

/// An operator and the columns that its programs name.
#[derive(Debug)]
pub struct Stage {
    /// What it does.
    pub operator: Operator,
    /// The fields that the programs of its segment read.
    pub columns: Arc<Vec<String>>,
    /// It is the first of its segment.
    pub fresh: bool,
}

impl Stage {
    /// Whether it looks at fields of the record.
    #[must_use]
    pub fn reads(&self) -> bool {
        let passes = matches!(
            self.operator,
            Operator::Insert(_)
                | Operator::Take(_)
                | Operator::WriteFile { .. }
                | Operator::Expect(_)
        );
        !passes
    }
}

/// An operator.
#[derive(Debug)]
pub enum Operator {
    /// Keeps what is truthy.
    Filter(Program),
    /// Replaces the record.
    Shape(Program),
    /// Inserts into a target and passes on.
    Insert(usize),
    /// One record for each element of the array at a path.
    Unnest(Vec<String>),
    /// First record for each value of these, or of the whole record.
    Distinct(Vec<Program>),
    /// The first so many.
    Take(u64),
    /// Orders all; `true`: descending.
    Sort(Vec<(Program, bool)>),
    /// Groups and aggregates.
    Summarize(Box<Summarize>),
    /// A state machine.
    Automaton(Box<Automaton>),
    /// Appends to a file and passes on.
    WriteFile {
        /// Where, evaluated once.
        path: Program,
        /// Begin with an empty file.
        overwrite: bool,
        /// Sync so often, in milliseconds; 0: never.
        fsync_ms: u64,
    },
    /// Compares with a file, or makes it, on flush; passes on.
    Expect(Program),
}

/// One aggregate of a `summarize`.
#[derive(Debug)]
pub struct Measure {
    /// What.
    pub aggregate: Aggregate,
    /// Of this; of the record itself if none.
    pub argument: Option<Program>,
    /// Only where this is truthy.
    pub condition: Option<Program>,
}

/// `summarize`.
#[derive(Debug)]
pub struct Summarize {
    /// The aggregates, one slot each.
    pub measures: Vec<Measure>,
    /// What groups.
    pub keys: Vec<Program>,
    /// The row: over the columns of the group's last record, the aggregates in their slots, the
    /// window in the slot behind them.
    pub row: Program,
    /// Columns of the last record that the row reads.
    pub kept: Vec<u32>,
    /// The window.
    pub window: Option<Window>,
    /// When rows come out.
    pub emit: Emit,
}

/// The shape of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One after the other.
    Tumbling,
    /// As tumbling, under another name.
    Count,
    /// Overlapping.
    Hopping,
    /// One for each record.
    Sliding,
    /// As long as there is no gap.
    Session,
}

impl Shape {
    /// As the window object says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Shape::Tumbling => "tumbling",
            Shape::Count => "count",
            Shape::Hopping => "hopping",
            Shape::Sliding => "sliding",
            Shape::Session => "session",
        }
    }
}

/// What places a record in windows.
#[derive(Debug)]
pub enum Measured {
    /// Its number.
    Count,
    /// A value of its own.
    Value(Program),
    /// Its arrival, in milliseconds.
    Time,
}

/// `over`.
#[derive(Debug)]
pub struct Window {
    /// The shape.
    pub shape: Shape,
    /// What places a record.
    pub measured: Measured,
    /// Size, or gap of a session.
    pub size: f64,
    /// Distance of two starts.
    pub hop: f64,
}

/// When a `summarize` without window emits.
#[derive(Debug)]
pub enum Emit {
    /// On flush only.
    Never,
    /// On records 1, 1+N, 1+2N, ..
    Records(u64),
    /// On a record, so many milliseconds after the last emission.
    Clock(u64),
    /// By timer, if anything came.
    Timer(u64),
    /// When a value has grown by so much.
    Growth(f64, Program),
    /// When it is truthy for the record.
    When(Program),
    /// When it differs from the record before.
    Change(Program),
    /// When the group differs from that of the record before.
    GroupChange,
    /// Always.
    Update,
}

/// `scan`.
#[derive(Debug)]
pub struct Automaton {
    /// One automaton for each value of these.
    pub keys: Vec<Program>,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Variables of a state.
    pub variables: usize,
}

/// A step of a `scan`.
#[derive(Debug)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// When it is taken; variables in their slots.
    pub condition: Program,
    /// What is done.
    pub actions: Vec<Action>,
}

/// A statement of a step.
#[derive(Debug)]
pub enum Action {
    /// Sets a variable.
    Variable(u32, Program),
    /// Sets a field of the record, at a path.
    Field(Vec<String>, Program),
    /// Puts a row out.
    Emit(Program),
}

/// Equal if they print the same.
impl PartialEq for Pipeline {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Pipeline {}

impl Pipeline {
    /// Whether it has an operator that orders all records, which a live query never ends.
    #[must_use]
    pub fn sorts(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage.operator, Operator::Sort(_)))
    }

    /// Whether it writes files.
    #[must_use]
    pub fn has_files(&self) -> bool {
        let file = |stage: &Stage| {
            matches!(stage.operator, Operator::WriteFile { .. } | Operator::Expect(_))
        };
        self.stages.iter().any(file)
    }

    /// Whether something comes out by the clock.
    #[must_use]
    pub fn has_timers(&self) -> bool {
        self.stages.iter().any(|stage| match &stage.operator {
            Operator::Summarize(s) => {
                matches!(s.emit, Emit::Timer(_))
                    || s.window.as_ref().is_some_and(|w| matches!(w.measured, Measured::Time))
            }
            _ => false,
        })
    }

    /// The canonical text, a line for each operator; made once.
    #[must_use]
    pub fn canonical(&self) -> &str {
        self.canonical.get_or_init(|| self.print())
    }

    /// All there is to know of the operator of that number, as text: operators of one text do the
    /// same. Made once, for one number.
    pub(super) fn exactly(&self, stage: usize) -> &str {
        let print = |stage: &Stage| format!("{:?} {:?}", stage.columns, stage.operator);
        self.exact.get_or_init(|| self.stages.get(stage).map(print).unwrap_or_default())
    }

    fn print(&self) -> String {
        let mut out = format!("scan {}", self.source);
        for stage in &self.stages {
            let columns = &stage.columns;
            let list = |programs: &[Program]| {
                programs.iter().map(|p| p.print(columns)).collect::<Vec<_>>().join(", ")
            };
            out.push('\n');
            let _ = match &stage.operator {
                Operator::Filter(p) => write!(out, "filter {}", p.print(columns)),
                Operator::Shape(p) => write!(out, "shape {}", p.print(columns)),
                Operator::Insert(n) => {
                    write!(out, "insert {}", self.targets.get(*n).map_or("", String::as_str))
                }
                Operator::Unnest(path) => write!(out, "unnest {}", path.join(".")),
                Operator::Distinct(keys) => write!(out, "distinct {}", list(keys)),
                Operator::Take(n) => write!(out, "take {n}"),
                Operator::Sort(keys) => {
                    let each = |(p, down): &(Program, bool)| {
                        format!("{}{}", p.print(columns), if *down { " desc" } else { "" })
                    };
                    write!(out, "sort {}", keys.iter().map(each).collect::<Vec<_>>().join(", "))
                }
                Operator::Summarize(s) => summarize(s, columns, &mut out),
                Operator::Automaton(a) => automaton(a, columns, &mut out),
                Operator::WriteFile { path, .. } => write!(out, "write {}", path.print(columns)),
                Operator::Expect(path) => write!(out, "expect {}", path.print(columns)),
            };
        }
        out
    }
}

fn summarize(s: &Summarize, columns: &[String], out: &mut String) -> std::fmt::Result {
    write!(out, "summarize row {}", s.row.print(columns))?;
    for (slot, measure) in s.measures.iter().enumerate() {
        write!(out, "\n  slot:{slot} {:?}", measure.aggregate)?;
        if let Some(argument) = &measure.argument {
            write!(out, " of {}", argument.print(columns))?;
        }
        if let Some(condition) = &measure.condition {
            write!(out, " if {}", condition.print(columns))?;
        }
    }
    for key in &s.keys {
        write!(out, "\n  by {}", key.print(columns))?;
    }
    if let Some(w) = &s.window {
        let measured = match &w.measured {
            Measured::Count => "records".to_owned(),
            Measured::Time => "ms".to_owned(),
            Measured::Value(p) => format!("of {}", p.print(columns)),
        };
        write!(out, "\n  over {} {} hop {} {measured}", w.shape.name(), w.size, w.hop)?;
    }
    match &s.emit {
        Emit::Never => Ok(()),
        Emit::Growth(n, p) => write!(out, "\n  emit every {n} of {}", p.print(columns)),
        Emit::When(p) => write!(out, "\n  emit when {}", p.print(columns)),
        Emit::Change(p) => write!(out, "\n  emit on change {}", p.print(columns)),
        other => write!(out, "\n  emit {other:?}"),
    }
}

fn automaton(a: &Automaton, columns: &[String], out: &mut String) -> std::fmt::Result {
    write!(out, "automaton of {} variables", a.variables)?;
    for key in &a.keys {
        write!(out, "\n  by {}", key.print(columns))?;
    }
    for step in &a.steps {
        write!(out, "\n  step {} if {}", step.name, step.condition.print(columns))?;
        for action in &step.actions {
            match action {
                Action::Variable(n, p) => write!(out, "\n    slot:{n} = {}", p.print(columns))?,
                Action::Field(path, p) => {
                    write!(out, "\n    {} = {}", path.join("."), p.print(columns))?;
                }
                Action::Emit(p) => write!(out, "\n    emit {}", p.print(columns))?,
            }
        }
    }
    Ok(())
}

/// Reads the columns of a record, in their order; the first member of a name counts.
pub fn load_columns<'a>(record: &Value<'a>, names: &[String], out: &mut Vec<Value<'a>>) {
    load(record, names, out, skim_members);
}

/// As [`load_columns`], with a guide that was used for the same names only.
pub fn load_guided<'a>(
    record: &Value<'a>,
    names: &[String],
    out: &mut Vec<Value<'a>>,
    guide: &mut Guide,
) {
    load(record, names, out, |text, names, out| skim_guided(text, names, out, guide));
}

#[inline]
fn load<'a>(
    record: &Value<'a>,
    names: &[String],
    out: &mut Vec<Value<'a>>,
    skim: impl FnOnce(&'a str, &[String], &mut [Value<'a>]),
) {
    if out.len() == names.len() {
        out.iter_mut().for_each(|slot| *slot = Value::Missing);
    } else {
        out.clear();
        out.resize(names.len(), Value::Missing);
    }
    match record {
        Value::Json(text) if text.starts_with('{') && !names.is_empty() => {
            skim(text, names, out);
        }
        Value::Record(fields) => {
            for (slot, name) in out.iter_mut().zip(names) {
                if let Some((_, value)) = fields.iter().find(|(field, _)| **field == **name) {
                    *slot = value.clone();
                }
            }
        }
        _ => {}
    }
}

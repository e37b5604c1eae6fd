//! Functions of values, one row in row columns: a table of names, arguments and what they do.

use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::model::value::{Value, read_json};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Duration;
use crate::query::tables::codes;
use crate::query::tables::convert::{Clock, compare, number, show, store};
use crate::query::tables::time;
use std::cmp::Ordering;

/// Bytes of a text that a function may make.
const TEXT_BYTES_MAX: usize = 65_517;

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its kind.
    pub kind: Kind,
}

/// What arguments must be, and so what comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Numbers, to a double.
    Numbers,
    /// Numbers, to the kind of the first.
    Same,
    /// A text first, to text.
    Text,
    /// A text first, to a number.
    Measure,
    /// A time first, to text.
    TimeToText,
    /// A time or text first, to a time or number of this code.
    Whole,
    /// A time first, to a time.
    Time,
    /// Anything, to the kind of the first.
    Any,
}

type Run = fn(&[Cell], &Clock) -> Cell;

struct Row {
    name: &'static str,
    least: usize,
    most: usize,
    takes: Takes,
    run: Run,
}

/// A function: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar(usize);

macro_rules! row {
    ($name:literal, $least:literal ..= $most:literal, $takes:ident, $run:expr) => {
        Row { name: $name, least: $least, most: $most, takes: Takes::$takes, run: $run }
    };
}

macro_rules! math {
    ($name:literal, $call:expr) => {
        row!($name, 1..=1, Numbers, |cells, _| double(cells, 0, $call))
    };
}

macro_rules! text {
    ($name:literal, $call:expr) => {
        row!($name, 1..=1, Text, |cells, _| {
            texts(cells).and_then(|list| list.first().map($call)).map_or(Cell::Null, made)
        })
    };
}

const ROWS: &[Row] = &[
    row!("abs", 1..=1, Same, |cells, _| match cells {
        [Cell::Int(n)] => n.checked_abs().map_or(Cell::Null, Cell::Int),
        [Cell::Uint(n)] => Cell::Uint(*n),
        _ => double(cells, 0, f64::abs),
    }),
    row!("ceil", 1..=1, Same, |cells, _| same(cells, f64::ceil)),
    row!("floor", 1..=1, Same, |cells, _| same(cells, f64::floor)),
    row!("round", 1..=2, Same, |cells, _| rounded(cells, f64::round)),
    row!("truncate", 2..=2, Same, |cells, _| rounded(cells, f64::trunc)),
    row!("sign", 1..=1, Same, |cells, _| same(cells, |n| if n == 0.0 { 0.0 } else { n.signum() })),
    math!("acos", f64::acos),
    math!("asin", f64::asin),
    math!("atan", f64::atan),
    math!("cos", f64::cos),
    math!("sin", f64::sin),
    math!("tan", f64::tan),
    math!("sqrt", f64::sqrt),
    math!("exp", f64::exp),
    math!("ln", f64::ln),
    math!("degrees", f64::to_degrees),
    math!("radians", f64::to_radians),
    row!("pi", 0..=0, Numbers, |_, _| Cell::Double(std::f64::consts::PI)),
    row!("log", 1..=2, Numbers, |cells, _| match numbers(cells).as_deref() {
        Some([x]) => finite(x.ln()),
        Some([x, base]) => finite(x.log(*base)),
        _ => Cell::Null,
    }),
    row!("pow", 2..=2, Numbers, |cells, _| two(cells, f64::powf)),
    row!("mod", 2..=2, Numbers, |cells, _| two(cells, |a, b| a % b)),
    row!("greatest", 1..=64, Any, |cells, _| extreme(cells, Ordering::Greater)),
    row!("least", 1..=64, Any, |cells, _| extreme(cells, Ordering::Less)),
    text!("lower", |text| text.to_lowercase()),
    text!("upper", |text| text.to_uppercase()),
    text!("ltrim", |text| text.trim_start_matches(' ').to_owned()),
    text!("rtrim", |text| text.trim_end_matches(' ').to_owned()),
    text!("trim", |text| text.trim_matches(' ').to_owned()),
    row!("length", 1..=1, Measure, |cells, _| match cells {
        [Cell::Text(text)] => Cell::Int(text.len() as i64),
        [Cell::Bytes(bytes)] => Cell::Int(bytes.len() as i64),
        _ => Cell::Null,
    }),
    row!("char_length", 1..=1, Measure, |cells, _| match cells {
        [Cell::Text(text)] => Cell::Int(text.chars().count() as i64),
        _ => Cell::Null,
    }),
    row!("ascii", 1..=1, Measure, |cells, _| match cells {
        [Cell::Text(text)] => Cell::Int(i64::from(text.bytes().next().unwrap_or(0))),
        _ => Cell::Null,
    }),
    row!("concat", 2..=8, Text, |cells, _| {
        texts(cells).map_or(Cell::Null, |list| made(list.concat()))
    }),
    row!("concat_ws", 3..=9, Text, |cells, _| match texts(cells).as_deref() {
        Some([between, rest @ ..]) => made(rest.join(between)),
        _ => Cell::Null,
    }),
    row!("replace", 3..=3, Text, |cells, _| match texts(cells).as_deref() {
        Some([text, from, to]) if !from.is_empty() => made(text.replace(from.as_str(), to)),
        Some([text, ..]) => made(text.clone()),
        _ => Cell::Null,
    }),
    row!("repeat", 2..=2, Text, |cells, _| match cells {
        [Cell::Text(text), Cell::Int(times)] => {
            let times = (*times).clamp(0, (TEXT_BYTES_MAX / text.len().max(1)) as i64);
            made(text.repeat(times as usize))
        }
        _ => Cell::Null,
    }),
    row!("substring", 2..=3, Text, |cells, _| substring(cells)),
    row!("substr", 2..=3, Text, |cells, _| substring(cells)),
    row!("to_iso8601", 1..=2, TimeToText, |cells, clock| match cells {
        [Cell::Int(at)] => made(time::iso(*at, clock.precision, clock.zone)),
        [Cell::Int(at), Cell::Text(zone)] => match zone.parse() {
            Ok(zone) => made(time::iso(*at, clock.precision, zone)),
            Err(_) => Cell::Null,
        },
        _ => Cell::Null,
    }),
    row!("to_unixtimestamp", 1..=2, Whole, |cells, clock| match cells.first() {
        Some(Cell::Text(text)) => {
            time::parse(text, clock.precision, clock.zone).map_or(Cell::Null, Cell::Int)
        }
        _ => Cell::Null,
    }),
    row!("timetruncate", 2..=3, Time, |cells, clock| match cells {
        [Cell::Int(at), Cell::Int(step), ..] if *step > 0 => truncated(*at, *step, clock),
        _ => Cell::Null,
    }),
    row!("timediff", 2..=3, Whole, |cells, _| match cells {
        [Cell::Int(a), Cell::Int(b)] => Cell::Int(a.saturating_sub(*b)),
        [Cell::Int(a), Cell::Int(b), Cell::Int(unit)] if *unit > 0 => {
            Cell::Int(a.saturating_sub(*b) / unit)
        }
        _ => Cell::Null,
    }),
];

impl Scalar {
    /// The function of a name in lower case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        ROWS.iter().position(|row| row.name == name).map(Self)
    }

    /// Checks arguments.
    ///
    /// # Errors
    /// Too few, too many, or of a wrong kind.
    pub fn check(self, kinds: &[Kind]) -> Result<Answer, Wrong> {
        let row = &ROWS[self.0];
        if !(row.least..=row.most).contains(&kinds.len()) {
            return Err(codes::argument_count());
        }
        let first = kinds.first().copied().unwrap_or_default();
        let is_text = first.is_text() || first == Kind::Null;
        let (fits, kind) = match row.takes {
            Takes::Numbers => (kinds.iter().all(|kind| kind.is_numeric()), Kind::Double),
            Takes::Same => (kinds.iter().all(|kind| kind.is_numeric()), first),
            Takes::Text => {
                let length: u32 = kinds.iter().map(|kind| kind.length()).sum();
                let long = length.clamp(1, TEXT_BYTES_MAX as u32);
                (
                    is_text,
                    if row.name == "repeat" { Kind::Varchar(4096) } else { Kind::Varchar(long) },
                )
            }
            Takes::Measure => (is_text || first.is_bytes(), Kind::BigInt),
            Takes::TimeToText => {
                (matches!(first, Kind::Timestamp | Kind::BigInt), Kind::Varchar(64))
            }
            Takes::Whole => (true, Kind::BigInt),
            Takes::Time => (matches!(first, Kind::Timestamp | Kind::BigInt), Kind::Timestamp),
            Takes::Any => (true, first),
        };
        if fits { Ok(Answer { kind }) } else { Err(codes::argument_kind()) }
    }

    /// Runs it.
    #[must_use]
    pub fn run(self, cells: &[Cell], clock: &Clock) -> Cell {
        (ROWS[self.0].run)(cells, clock)
    }
}

fn numbers(cells: &[Cell]) -> Option<Vec<f64>> {
    cells.iter().map(|cell| number(cell).filter(|_| !cell.is_null())).collect()
}

fn texts(cells: &[Cell]) -> Option<Vec<String>> {
    cells.iter().map(|cell| (!cell.is_null()).then(|| show(cell))).collect()
}

fn made(text: String) -> Cell {
    Cell::Text(text.into())
}

fn finite(number: f64) -> Cell {
    if number.is_finite() { Cell::Double(number) } else { Cell::Null }
}

fn double(cells: &[Cell], at: usize, call: impl Fn(f64) -> f64) -> Cell {
    let cell = cells.get(at).unwrap_or(&Cell::Null);
    number(cell).map_or(Cell::Null, |n| finite(call(n)))
}

fn same(cells: &[Cell], call: impl Fn(f64) -> f64) -> Cell {
    match cells.first() {
        Some(Cell::Int(n)) => Cell::Int(call(*n as f64) as i64),
        Some(Cell::Uint(n)) => Cell::Uint(*n),
        _ => double(cells, 0, call),
    }
}

fn rounded(cells: &[Cell], call: impl Fn(f64) -> f64) -> Cell {
    let digits = cells.get(1).and_then(number).unwrap_or(0.0).clamp(-300.0, 300.0);
    let scale = 10_f64.powi(digits as i32);
    same(cells, |n| {
        let scaled = call(n * scale) / scale;
        if scaled.is_finite() { scaled } else { n }
    })
}

fn two(cells: &[Cell], call: impl Fn(f64, f64) -> f64) -> Cell {
    match numbers(cells).as_deref() {
        Some([a, b]) => finite(call(*a, *b)),
        _ => Cell::Null,
    }
}

fn extreme(cells: &[Cell], wanted: Ordering) -> Cell {
    let mut best = Cell::Null;
    for cell in cells {
        if cell.is_null() {
            return Cell::Null;
        }
        if best.is_null() || compare(cell, &best) == Some(wanted) {
            best = cell.clone();
        }
    }
    best
}

fn substring(cells: &[Cell]) -> Cell {
    let (Some(Cell::Text(text)), Some(Cell::Int(from))) = (cells.first(), cells.get(1)) else {
        return Cell::Null;
    };
    let count = text.chars().count() as i64;
    let start = match *from {
        0 => return made(String::new()),
        from if from > 0 => from - 1,
        from => count.saturating_add(from),
    };
    if start < 0 || start >= count {
        return made(String::new());
    }
    let length = match cells.get(2) {
        None => count,
        Some(Cell::Int(length)) => (*length).max(0),
        _ => return Cell::Null,
    };
    made(text.chars().skip(start as usize).take(length as usize).collect())
}

fn truncated(at: i64, step: i64, clock: &Clock) -> Cell {
    let day = time::units(Duration { count: 1, unit: b'd' }, clock.precision).unwrap_or(1);
    let step = if step % day == 0 {
        Duration { count: step / day, unit: b'd' }
    } else {
        return Cell::Int(at.div_euclid(step) * step);
    };
    let start = time::step_start(at, step, 0, clock.precision, clock.zone);
    start.map_or(Cell::Null, Cell::Int)
}

/// A value as another kind: text is cut, numbers wrap to the nearest they can.
#[must_use]
pub fn cast(cell: Cell, kind: Kind, clock: &Clock) -> Cell {
    if let Some((low, high)) = kind.integer_range() {
        let n = match (&cell, number(&cell)) {
            (Cell::Int(n), _) => i128::from(*n),
            (Cell::Uint(n), _) => i128::from(*n),
            (Cell::Null, _) => return Cell::Null,
            (_, Some(n)) => n.trunc() as i128,
            _ => 0,
        };
        let n = n.clamp(low, high);
        return if kind.is_unsigned() { Cell::Uint(n as u64) } else { Cell::Int(n as i64) };
    }
    match (kind, &cell) {
        (_, Cell::Null) => Cell::Null,
        (Kind::Timestamp, Cell::Int(_)) => cell,
        (Kind::Timestamp, Cell::Double(n)) => Cell::Int(*n as i64),
        (Kind::Varchar(length), _) => {
            let text = show(&cell);
            let end = (0..=text.len().min(length as usize)).rev();
            let end = end.into_iter().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            made(text.get(..end).unwrap_or_default().to_owned())
        }
        (Kind::Nchar(length), _) => made(show(&cell).chars().take(length as usize).collect()),
        (Kind::Double | Kind::Float, Cell::Text(text)) => {
            Cell::Double(text.trim().parse().unwrap_or(0.0))
        }
        _ => store(cell, kind, clock).unwrap_or_default(),
    }
}

/// `tag->'key'`
#[must_use]
pub fn member(json: &Cell, key: &Cell) -> Cell {
    let (Cell::Text(json), Cell::Text(key)) = (json, key) else { return Cell::Null };
    let value = read_json(json).map(|value| value.member(key));
    match value {
        Some(Value::String(text)) => Cell::text(&text),
        Some(Value::Int(n)) => Cell::Double(n as f64),
        Some(Value::Decimal(text)) => text.parse().map_or(Cell::Null, Cell::Double),
        Some(Value::Bool(b)) => Cell::Bool(b),
        _ => Cell::Null,
    }
}

/// `tag CONTAINS 'key'`
#[must_use]
pub fn has_member(json: &Cell, key: &Cell) -> bool {
    let (Cell::Text(json), Cell::Text(key)) = (json, key) else { return false };
    read_json(json).is_some_and(|value| !matches!(value.member(key), Value::Missing))
}

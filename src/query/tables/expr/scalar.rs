//! Functions of values, one row in row columns: a table of names, arguments and what they do.

use super::bind::wider;
use super::{date, text};
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::model::value::{Value, read_json};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::codes;
use crate::query::tables::convert::{Clock, compare, number, show, store};
use std::cmp::Ordering;

/// Bytes of a text that a function may make.
pub(super) const TEXT_BYTES_MAX: usize = 65_517;

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its kind.
    pub kind: Kind,
}

/// What an argument must be; null is anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Number,
    Whole,
    Text,
    /// Text or bytes.
    Long,
    /// A time, a whole number of units, or a text that says one.
    Time,
    Any,
}

impl Want {
    fn fits(self, kind: Kind) -> bool {
        kind == Kind::Null
            || match self {
                Self::Number => kind.is_numeric(),
                Self::Whole => kind.is_integer() || kind == Kind::Bool,
                Self::Text => kind.is_text(),
                Self::Long => kind.is_text() || kind.is_bytes(),
                Self::Time => kind == Kind::Timestamp || kind.is_integer() || kind.is_text(),
                Self::Any => true,
            }
    }
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Double,
    /// The kind of the first argument, or a double.
    Same,
    /// Text as long as all arguments together.
    Text,
    /// Text of this length.
    TextOf(u32),
    BigInt,
    Time,
    Json,
    /// The kind that holds all arguments.
    Wider,
}

type Run = fn(&[Cell], &Clock) -> Cell;

/// A function.
pub(super) struct Row {
    pub name: &'static str,
    pub least: usize,
    pub most: usize,
    /// Of each argument; the last stands for all behind it.
    pub wants: &'static [Want],
    pub gives: Gives,
    pub run: Run,
}

/// A function: a row of a table.
#[derive(Clone, Copy)]
pub struct Scalar(&'static Row);

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

macro_rules! row {
    (
        $name:literal, $least:literal ..= $most:literal,
        [$($want:ident),*], $gives:expr, $run:expr
    ) => {
        Row {
            name: $name,
            least: $least,
            most: $most,
            wants: &[$(Want::$want),*],
            gives: $gives,
            run: $run,
        }
    };
}
pub(super) use row;

macro_rules! math {
    ($name:literal, $call:expr) => {
        row!($name, 1..=1, [Number], Gives::Double, |cells, _| double(cells, 0, $call))
    };
}

/// Functions of numbers, and of anything.
const NUMBERS: &[Row] = &[
    row!("abs", 1..=1, [Number], Gives::Same, |cells, _| match cells {
        [Cell::Int(n)] => n.checked_abs().map_or(Cell::Null, Cell::Int),
        [Cell::Uint(n)] => Cell::Uint(*n),
        _ => double(cells, 0, f64::abs),
    }),
    row!("ceil", 1..=1, [Number], Gives::Same, |cells, _| same(cells, f64::ceil)),
    row!("floor", 1..=1, [Number], Gives::Same, |cells, _| same(cells, f64::floor)),
    row!("round", 1..=2, [Number], Gives::Same, |cells, _| rounded(cells, f64::round)),
    row!("truncate", 2..=2, [Number], Gives::Same, |cells, _| rounded(cells, f64::trunc)),
    row!("sign", 1..=1, [Number], Gives::Same, |cells, _| {
        same(cells, |n| if n == 0.0 { 0.0 } else { n.signum() })
    }),
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
    row!("pi", 0..=0, [Any], Gives::Double, |_, _| Cell::Double(std::f64::consts::PI)),
    row!("log", 1..=2, [Number], Gives::Double, |cells, _| match numbers(cells).as_deref() {
        Some([x]) => finite(x.ln()),
        Some([x, base]) => finite(x.log(*base)),
        _ => Cell::Null,
    }),
    row!("pow", 2..=2, [Number], Gives::Double, |cells, _| two(cells, f64::powf)),
    row!("power", 2..=2, [Number], Gives::Double, |cells, _| two(cells, f64::powf)),
    row!("mod", 2..=2, [Number], Gives::Double, |cells, _| two(cells, |a, b| a % b)),
    row!("greatest", 2..=64, [Any], Gives::Wider, |cells, _| extreme(cells, Ordering::Greater)),
    row!("least", 2..=64, [Any], Gives::Wider, |cells, _| extreme(cells, Ordering::Less)),
    row!("ifnull", 2..=2, [Any], Gives::Wider, |cells, _| first_there(cells)),
    row!("nvl", 2..=2, [Any], Gives::Wider, |cells, _| first_there(cells)),
    row!("coalesce", 1..=64, [Any], Gives::Wider, |cells, _| first_there(cells)),
];

impl Scalar {
    /// The function of a name in lower case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let mut all = NUMBERS.iter().chain(text::ROWS).chain(date::ROWS);
        all.find(|row| row.name == name).map(Self)
    }

    /// Whether what comes out must be made the kind of the answer.
    #[must_use]
    pub fn mixes(self) -> bool {
        self.0.gives == Gives::Wider
    }

    /// Checks arguments.
    ///
    /// # Errors
    /// Too few, too many, or of a wrong kind.
    pub fn check(self, kinds: &[Kind]) -> Result<Answer, Wrong> {
        let row = self.0;
        if !(row.least..=row.most).contains(&kinds.len()) {
            return Err(codes::argument_count());
        }
        let want = |at: usize| row.wants.get(at).or(row.wants.last()).copied();
        let fits = |(at, kind): (usize, &Kind)| want(at).is_none_or(|want| want.fits(*kind));
        if !kinds.iter().enumerate().all(fits) {
            return Err(codes::argument_kind());
        }
        let first = kinds.first().copied().unwrap_or_default();
        let kind = match row.gives {
            Gives::Double => Kind::Double,
            Gives::Same if first.is_integer() || first.is_float() => first,
            Gives::Same => Kind::Double,
            Gives::Text => {
                let texts = kinds.iter().filter(|kind| kind.is_text());
                let long: u32 = texts.clone().map(|kind| kind.length()).sum();
                let long = long.clamp(1, TEXT_BYTES_MAX as u32);
                let wide = texts.clone().any(|kind| matches!(kind, Kind::Nchar(_)));
                if wide { Kind::Nchar(long) } else { Kind::Varchar(long) }
            }
            Gives::TextOf(length) => Kind::Varchar(length),
            Gives::BigInt => Kind::BigInt,
            Gives::Time => Kind::Timestamp,
            Gives::Json => Kind::Json,
            Gives::Wider => kinds.iter().copied().fold(Kind::Null, wider),
        };
        Ok(Answer { kind })
    }

    /// Runs it.
    #[must_use]
    pub fn run(self, cells: &[Cell], clock: &Clock) -> Cell {
        (self.0.run)(cells, clock)
    }
}

fn first_there(cells: &[Cell]) -> Cell {
    cells.iter().find(|cell| !cell.is_null()).cloned().unwrap_or_default()
}

fn numbers(cells: &[Cell]) -> Option<Vec<f64>> {
    cells.iter().map(|cell| number(cell).filter(|_| !cell.is_null())).collect()
}

pub(super) fn texts(cells: &[Cell]) -> Option<Vec<String>> {
    cells.iter().map(|cell| (!cell.is_null()).then(|| show(cell))).collect()
}

pub(super) fn made(text: String) -> Cell {
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
        // A member of a document, shown.
        (Kind::Json, Cell::Text(text)) => {
            let mut quoted = Vec::new();
            crate::model::json::write_string(&mut quoted, text);
            Cell::text(&String::from_utf8_lossy(&quoted))
        }
        (Kind::Json, other) => Cell::Text(show(other).into()),
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

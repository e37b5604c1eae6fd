//! Functions over rows: aggregates, those that choose a row, and those that give several.

use super::{histogram, series};
use crate::model::table::kind::DECIMAL_DIGITS_MAX;
use crate::model::table::rows::Cell;
use crate::model::table::{Kind, Precision};
use crate::model::value::decimal::Decimal;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::codes;
use crate::query::tables::convert::{Clock, compare, decimal, key, number};
use crate::query::tables::expr::{Env, Node, Typed, eval};
use ahash::{AHashMap, AHashSet};
use std::cmp::Ordering;

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the language")]
pub enum Function {
    Count,
    Sum,
    Avg,
    Spread,
    Stddev,
    Variance,
    Min,
    Max,
    First,
    Last,
    LastRow,
    Mode,
    Distinct,
    Percentile,
    Elapsed,
    TimeWeighted,
    Rate,
    LeastSquares,
    Top,
    Bottom,
    Diff,
    RunningSum,
    MovingAverage,
    Unique,
    Tail,
    Sample,
    Derivative,
    StateCount,
    StateDuration,
    Histogram,
}

/// Names and functions.
const NAMES: &[(&str, Function)] = &[
    ("count", Function::Count),
    ("sum", Function::Sum),
    ("avg", Function::Avg),
    ("spread", Function::Spread),
    ("stddev", Function::Stddev),
    ("stddev_pop", Function::Stddev),
    ("var_pop", Function::Variance),
    ("min", Function::Min),
    ("max", Function::Max),
    ("first", Function::First),
    ("last", Function::Last),
    ("last_row", Function::LastRow),
    ("mode", Function::Mode),
    ("hyperloglog", Function::Distinct),
    ("percentile", Function::Percentile),
    ("apercentile", Function::Percentile),
    ("elapsed", Function::Elapsed),
    ("top", Function::Top),
    ("bottom", Function::Bottom),
    ("diff", Function::Diff),
    ("csum", Function::RunningSum),
    ("mavg", Function::MovingAverage),
    ("unique", Function::Unique),
    ("tail", Function::Tail),
    ("twa", Function::TimeWeighted),
    ("irate", Function::Rate),
    ("leastsquares", Function::LeastSquares),
    ("sample", Function::Sample),
    ("derivative", Function::Derivative),
    ("statecount", Function::StateCount),
    ("stateduration", Function::StateDuration),
    ("histogram", Function::Histogram),
];

impl Function {
    /// The one of a name in lower case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        NAMES.iter().find(|(own, _)| *own == name).map(|(_, function)| *function)
    }

    /// It takes its value out of one row, or several.
    #[must_use]
    pub fn chooses(self) -> bool {
        matches!(
            self,
            Self::Min | Self::Max | Self::First | Self::Last | Self::LastRow | Self::Mode
        ) || self.is_series()
    }

    /// It gives several rows.
    #[must_use]
    pub fn is_series(self) -> bool {
        matches!(
            self,
            Self::Top
                | Self::Bottom
                | Self::Diff
                | Self::RunningSum
                | Self::MovingAverage
                | Self::Unique
                | Self::Tail
                | Self::Sample
                | Self::Derivative
                | Self::StateCount
                | Self::StateDuration
                | Self::Histogram
        )
    }

    /// It gives a value for each row, or for each but the first, so that several go together.
    #[must_use]
    pub fn is_row_by_row(self) -> bool {
        matches!(
            self,
            Self::Diff
                | Self::RunningSum
                | Self::MovingAverage
                | Self::Derivative
                | Self::StateCount
                | Self::StateDuration
        )
    }

    /// Arguments, least and most.
    fn arity(self) -> (usize, usize) {
        match self {
            Self::Percentile => (2, 11),
            Self::Elapsed | Self::Diff => (1, 2),
            Self::Top | Self::Bottom | Self::MovingAverage | Self::Sample => (2, 2),
            Self::Tail => (2, 3),
            Self::LeastSquares | Self::Derivative | Self::StateCount => (3, 3),
            Self::StateDuration => (3, 4),
            Self::Histogram => (4, 4),
            _ => (1, 1),
        }
    }

    fn needs_numbers(self) -> bool {
        matches!(
            self,
            Self::Sum
                | Self::Avg
                | Self::Spread
                | Self::Stddev
                | Self::Variance
                | Self::Percentile
                | Self::Top
                | Self::Bottom
                | Self::RunningSum
                | Self::MovingAverage
                | Self::TimeWeighted
                | Self::Rate
                | Self::LeastSquares
                | Self::Derivative
                | Self::StateCount
                | Self::StateDuration
                | Self::Histogram
        )
    }

    /// What comes out, of a first argument of this kind.
    fn gives(self, first: Kind, count: usize) -> Kind {
        match self {
            Self::Count | Self::Distinct | Self::StateCount | Self::StateDuration => Kind::BigInt,
            Self::Sum | Self::RunningSum => match first {
                Kind::Decimal(_, scale) => Kind::Decimal(DECIMAL_DIGITS_MAX, scale),
                kind if kind.is_unsigned() => Kind::UBigInt,
                kind if kind.is_integer() || kind == Kind::Bool => Kind::BigInt,
                _ => Kind::Double,
            },
            Self::Diff if first.is_float() => Kind::Double,
            Self::Diff => match first {
                Kind::Decimal(_, scale) => Kind::Decimal(DECIMAL_DIGITS_MAX, scale),
                _ => Kind::BigInt,
            },
            Self::Min
            | Self::Max
            | Self::First
            | Self::Last
            | Self::LastRow
            | Self::Mode
            | Self::Top
            | Self::Bottom
            | Self::Unique
            | Self::Sample
            | Self::Tail => first,
            Self::LeastSquares | Self::Histogram => Kind::Varchar(512),
            // Of several parts, a list.
            Self::Percentile if count > 2 => Kind::Varchar(1024),
            _ => Kind::Double,
        }
    }
}

/// A function with its arguments.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Which.
    pub function: Function,
    /// What comes out.
    pub kind: Kind,
    /// Over all columns.
    pub star: bool,
    argument: Option<Node>,
    /// The column of times, and what they count.
    time: Option<usize>,
    precision: Precision,
    pub(super) constants: Vec<Cell>,
}

/// What a function came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A value, and the row that it came from.
    One(Cell, Option<usize>),
    /// Rows and values.
    Many(Vec<(usize, Cell)>),
}

impl Aggregate {
    /// Checks arguments.
    ///
    /// # Errors
    /// Too few, too many, of a wrong kind.
    pub fn new(
        function: Function,
        arguments: Vec<Typed>,
        star: bool,
        count: usize,
        (clock, time): (&Clock, Option<usize>),
    ) -> Result<Self, Wrong> {
        let (least, most) = function.arity();
        if !(least..=most).contains(&count) {
            return Err(codes::argument_count());
        }
        if star && function != Function::Count {
            return Err(codes::argument_kind());
        }
        let first = arguments.first().map_or(Kind::Null, |typed| typed.kind);
        let no_time = function == Function::Elapsed && first != Kind::Timestamp;
        let counts = first.is_numeric()
            || (first == Kind::Timestamp && matches!(function, Function::Spread));
        if no_time || (function.needs_numbers() && !counts) {
            return Err(codes::argument_kind());
        }
        let env = Env::row(&[], clock);
        let constants: Vec<Cell> =
            arguments.iter().skip(1).map(|typed| eval(&typed.node, &env)).collect();
        let texts = constants.iter().filter(|cell| matches!(cell, Cell::Text(_))).count();
        let kind = function.gives(first, count - texts);
        let argument = arguments.into_iter().next().map(|typed| typed.node);
        let precision = clock.precision;
        let it = Self { function, kind, star, argument, time, precision, constants };
        if it.is_possible() { Ok(it) } else { Err(codes::argument_kind()) }
    }

    /// Whether the constants are such as the function takes.
    fn is_possible(&self) -> bool {
        let number = |at: usize| self.constants.get(at).and_then(number);
        match self.function {
            Function::Top | Function::Bottom | Function::Tail => {
                let skip = number(1).unwrap_or(0.0);
                number(0).is_some_and(|k| (1.0..=100.0).contains(&k))
                    && (0.0..=100.0).contains(&skip)
            }
            Function::Sample | Function::MovingAverage => {
                number(0).is_some_and(|k| (1.0..=1000.0).contains(&k))
            }
            Function::StateCount | Function::StateDuration => {
                series::state(&self.constants).is_some()
            }
            Function::Derivative => number(0).is_some_and(|span| span > 0.0),
            Function::Histogram => histogram::bins(&self.constants).is_some(),
            Function::Percentile => number(0).is_some_and(|p| (0.0..=100.0).contains(&p)),
            Function::LeastSquares => number(0).is_some() && number(1).is_some(),
            Function::Elapsed | Function::Diff => self.constants.is_empty() || number(0).is_some(),
            _ => true,
        }
    }

    /// Units of time in a second.
    pub(super) fn units_per_second(&self) -> i64 {
        1_000_000_000 / self.precision.unit_ns()
    }

    /// A number among the constants.
    pub(super) fn constant(&self, at: usize, usual: f64) -> f64 {
        self.constants.get(at).and_then(number).unwrap_or(usual)
    }

    /// What it is a function of; none: every row.
    #[must_use]
    pub fn argument(&self) -> Option<&Node> {
        self.argument.as_ref()
    }

    /// Its argument for a row.
    #[must_use]
    pub fn value(&self, row: &[Cell], clock: &Clock) -> Cell {
        match &self.argument {
            Some(Node::Column(index)) => row.get(*index).cloned().unwrap_or_default(),
            Some(node) => eval(node, &Env::row(row, clock)),
            None => Cell::Bool(true),
        }
    }

    /// Computes it over these rows, which are in order.
    #[must_use]
    pub fn run(&self, rows: &[Vec<Cell>], list: &[usize], clock: &Clock) -> Outcome {
        if self.star {
            return Outcome::One(Cell::Int(list.len() as i64), None);
        }
        let all = list.iter().filter_map(|at| Some((*at, self.value(rows.get(*at)?, clock))));
        if self.function == Function::LastRow {
            let mut all = all;
            return match all.next_back() {
                Some((at, cell)) => Outcome::One(cell, Some(at)),
                None => Outcome::One(Cell::Null, None),
            };
        }
        let at = |at: usize| match self.time.and_then(|time| rows.get(at)?.get(time)) {
            Some(Cell::Int(time)) => *time,
            _ => 0,
        };
        let values: Vec<(usize, Cell)> = match self.function {
            Function::Diff if self.constant(0, 0.0) < 2.0 => {
                return Outcome::Many(series::differences(self, all.collect()));
            }
            Function::Tail => all.collect(),
            Function::StateCount | Function::StateDuration => {
                return Outcome::Many(series::states(self, &all.collect::<Vec<_>>(), &at));
            }
            _ => all.filter(|(_, cell)| !cell.is_null()).collect(),
        };
        if self.function.is_series() {
            return Outcome::Many(series::run(self, values, &at));
        }
        match self.function {
            Function::TimeWeighted | Function::Rate | Function::LeastSquares => {
                Outcome::One(series::over_time(self, &values, &at), None)
            }
            _ => self.single(&values),
        }
    }

    fn single(&self, values: &[(usize, Cell)]) -> Outcome {
        let chosen = |found: Option<&(usize, Cell)>| match found {
            Some((at, cell)) => Outcome::One(cell.clone(), Some(*at)),
            None => Outcome::One(Cell::Null, None),
        };
        let plain = |cell| Outcome::One(cell, None);
        match self.function {
            Function::Count => plain(Cell::Int(values.len() as i64)),
            Function::Distinct => {
                let mut seen = AHashSet::new();
                for (_, cell) in values {
                    let mut bytes = Vec::new();
                    key(cell, &mut bytes);
                    seen.insert(bytes);
                }
                plain(Cell::Int(seen.len() as i64))
            }
            Function::First => chosen(values.first()),
            Function::Last => chosen(values.last()),
            Function::Min => chosen(extreme(values, Ordering::Less)),
            Function::Max => chosen(extreme(values, Ordering::Greater)),
            Function::Mode => chosen(most_frequent(values)),
            _ if values.is_empty() => plain(Cell::Null),
            Function::Sum => plain(self.sum(values)),
            _ => plain(self.measure(values)),
        }
    }

    pub(super) fn sum(&self, values: &[(usize, Cell)]) -> Cell {
        if let Kind::Decimal(digits, scale) = self.kind {
            let zero = Some(Decimal::whole(0));
            let add = |sum: Option<Decimal>, (_, cell): &(usize, Cell)| sum?.plus(decimal(cell)?);
            let sum = values.iter().fold(zero, add);
            let units = sum.and_then(|sum| sum.fitted(u32::from(digits), u32::from(scale)));
            let sum = units.and_then(|units| Decimal::of_units(units, u32::from(scale)));
            return sum.map_or(Cell::Null, Cell::Decimal);
        }
        if self.kind == Kind::Double {
            return Cell::Double(values.iter().filter_map(|(_, cell)| number(cell)).sum());
        }
        let whole = |cell: &Cell| match cell {
            Cell::Int(n) => i128::from(*n),
            Cell::Uint(n) => i128::from(*n),
            Cell::Bool(b) => i128::from(*b),
            _ => 0,
        };
        let sum: i128 = values.iter().map(|(_, cell)| whole(cell)).sum();
        if self.kind == Kind::UBigInt {
            return u64::try_from(sum).map_or(Cell::Null, Cell::Uint);
        }
        i64::try_from(sum).map_or(Cell::Null, Cell::Int)
    }

    fn measure(&self, values: &[(usize, Cell)]) -> Cell {
        let mut numbers: Vec<f64> = values.iter().filter_map(|(_, cell)| number(cell)).collect();
        let count = numbers.len() as f64;
        if numbers.is_empty() {
            return Cell::Null;
        }
        let mean = numbers.iter().sum::<f64>() / count;
        let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let variance = || numbers.iter().map(|n| (n - mean) * (n - mean)).sum::<f64>() / count;
        Cell::Double(match self.function {
            Function::Avg => mean,
            Function::Spread => high - low,
            Function::Variance => variance(),
            Function::Stddev => variance().sqrt(),
            Function::Elapsed => (high - low) / self.constant(0, 1.0).max(1.0),
            Function::Percentile => {
                numbers.sort_by(f64::total_cmp);
                // An algorithm may stand behind the part.
                let texts = |cell: &&Cell| !matches!(cell, Cell::Text(_));
                let parts: Vec<f64> =
                    self.constants.iter().filter(texts).filter_map(number).collect();
                if !matches!(self.kind, Kind::Double) {
                    let one = |part: &f64| format!("{:.6}", percentile(&numbers, *part));
                    let list: Vec<String> = parts.iter().map(one).collect();
                    return Cell::Text(format!("[{}]", list.join(", ")).into());
                }
                percentile(&numbers, parts.first().copied().unwrap_or(50.0))
            }
            _ => return Cell::Null,
        })
    }
}

/// The value that this part of the others, of 100, lies below, between two if it has to be.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let place = part.clamp(0.0, 100.0) / 100.0 * (sorted.len() as f64 - 1.0);
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
    at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract()
}

fn extreme(values: &[(usize, Cell)], wanted: Ordering) -> Option<&(usize, Cell)> {
    let mut best: Option<&(usize, Cell)> = None;
    for one in values {
        if best.is_none_or(|best| compare(&one.1, &best.1) == Some(wanted)) {
            best = Some(one);
        }
    }
    best
}

fn most_frequent(values: &[(usize, Cell)]) -> Option<&(usize, Cell)> {
    let mut counts: AHashMap<Vec<u8>, (usize, usize)> = AHashMap::new();
    for (place, (_, cell)) in values.iter().enumerate() {
        let mut bytes = Vec::new();
        key(cell, &mut bytes);
        let entry = counts.entry(bytes).or_insert((0, place));
        entry.0 += 1;
        entry.1 = place;
    }
    let best = counts.values().max_by_key(|(count, place)| (*count, *place))?;
    values.get(best.1)
}

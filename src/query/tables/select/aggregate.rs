//! Functions over rows: aggregates, those that choose a row, and those that give several.

use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::codes;
use crate::query::tables::convert::{Clock, compare, key, number};
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
    Top,
    Bottom,
    Diff,
    RunningSum,
    MovingAverage,
    Unique,
    Tail,
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
        )
    }

    /// Arguments, least and most.
    fn arity(self) -> (usize, usize) {
        match self {
            Self::Percentile => (2, 11),
            Self::Elapsed | Self::Diff => (1, 2),
            Self::Top | Self::Bottom | Self::MovingAverage => (2, 2),
            Self::Tail => (2, 3),
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
        )
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
    constants: Vec<f64>,
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
        clock: &Clock,
    ) -> Result<Self, Wrong> {
        let (least, most) = function.arity();
        if !(least..=most).contains(&count) {
            return Err(codes::argument_count());
        }
        if star && function != Function::Count {
            return Err(codes::argument_kind());
        }
        let first = arguments.first().map_or(Kind::Null, |typed| typed.kind);
        if function.needs_numbers() && !first.is_numeric() {
            return Err(codes::argument_kind());
        }
        let env = Env::row(&[], clock);
        let constants = arguments.iter().skip(1).map(|typed| number(&eval(&typed.node, &env)));
        let constants: Option<Vec<f64>> = constants.collect();
        let constants = constants.ok_or_else(codes::argument_kind)?;
        if matches!(function, Function::Top | Function::Bottom | Function::Tail)
            && !constants.first().is_some_and(|k| (1.0..=100.0).contains(k))
        {
            return Err(codes::argument_kind());
        }
        let kind = match function {
            Function::Count | Function::Distinct => Kind::BigInt,
            Function::Sum | Function::RunningSum if first.is_unsigned() => Kind::UBigInt,
            Function::Sum | Function::RunningSum if first.is_integer() || first == Kind::Bool => {
                Kind::BigInt
            }
            Function::Diff if first.is_float() => Kind::Double,
            Function::Diff => Kind::BigInt,
            Function::Min
            | Function::Max
            | Function::First
            | Function::Last
            | Function::LastRow
            | Function::Mode
            | Function::Top
            | Function::Bottom
            | Function::Unique
            | Function::Tail => first,
            _ => Kind::Double,
        };
        let argument = arguments.into_iter().next().map(|typed| typed.node);
        Ok(Self { function, kind, star, argument, constants })
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
        let values: Vec<(usize, Cell)> = match self.function {
            Function::Diff => return Outcome::Many(self.differences(all.collect())),
            Function::Tail => all.collect(),
            _ => all.filter(|(_, cell)| !cell.is_null()).collect(),
        };
        if self.function.is_series() {
            return Outcome::Many(self.series(values));
        }
        self.single(&values)
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

    fn sum(&self, values: &[(usize, Cell)]) -> Cell {
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
            Function::Elapsed => {
                (high - low) / self.constants.first().copied().unwrap_or(1.0).max(1.0)
            }
            Function::Percentile => {
                numbers.sort_by(f64::total_cmp);
                let part = self.constants.first().copied().unwrap_or(50.0).clamp(0.0, 100.0);
                let place = part / 100.0 * (count - 1.0);
                let (below, above) = (place.floor() as usize, place.ceil() as usize);
                let at = |index: usize| numbers.get(index).copied().unwrap_or(mean);
                at(below) + (at(above) - at(below)) * place.fract()
            }
            _ => return Cell::Null,
        })
    }

    fn series(&self, mut values: Vec<(usize, Cell)>) -> Vec<(usize, Cell)> {
        let k = self.constants.first().copied().unwrap_or(1.0) as usize;
        match self.function {
            Function::Top | Function::Bottom => {
                let wanted = self.function == Function::Top;
                values.sort_by(|(_, a), (_, b)| {
                    let order = compare(a, b).unwrap_or(Ordering::Equal);
                    if wanted { order.reverse() } else { order }
                });
                values.truncate(k);
                values.sort_by_key(|(at, _)| *at);
                values
            }
            Function::Tail => {
                let skip = self.constants.get(1).copied().unwrap_or(0.0) as usize;
                let end = values.len().saturating_sub(skip);
                values.truncate(end);
                values.split_off(end.saturating_sub(k))
            }
            Function::Unique => {
                let mut seen = AHashSet::new();
                values.retain(|(_, cell)| {
                    let mut bytes = Vec::new();
                    key(cell, &mut bytes);
                    seen.insert(bytes)
                });
                values
            }
            Function::RunningSum => {
                let mut so_far: Vec<(usize, Cell)> = Vec::with_capacity(values.len());
                for (at, cell) in values {
                    let before = so_far.last().cloned();
                    let pair: Vec<_> = before.into_iter().chain([(at, cell)]).collect();
                    so_far.push((at, self.sum(&pair)));
                }
                so_far
            }
            Function::MovingAverage => {
                let k = k.clamp(1, 1000);
                let mean = |window: &[(usize, Cell)]| {
                    let sum: f64 = window.iter().filter_map(|(_, cell)| number(cell)).sum();
                    (window.last().map_or(0, |(at, _)| *at), Cell::Double(sum / k as f64))
                };
                values.windows(k).map(mean).collect()
            }
            _ => values,
        }
    }

    /// Each value less the one before; null beside null.
    fn differences(&self, values: Vec<(usize, Cell)>) -> Vec<(usize, Cell)> {
        let ignore = self.constants.first().is_some_and(|flag| *flag != 0.0);
        let difference = |pair: &[(usize, Cell)]| {
            let [(_, before), (at, after)] = pair else { return None };
            let cell = match (self.kind, before, after) {
                (Kind::BigInt, Cell::Int(a), Cell::Int(b)) => Cell::Int(b.wrapping_sub(*a)),
                (Kind::BigInt, Cell::Uint(a), Cell::Uint(b)) => {
                    Cell::Int(b.wrapping_sub(*a) as i64)
                }
                (Kind::BigInt, Cell::Bool(a), Cell::Bool(b)) => {
                    Cell::Int(i64::from(*b) - i64::from(*a))
                }
                (_, Cell::Double(a), Cell::Double(b)) => Cell::Double(b - a),
                _ => Cell::Null,
            };
            let negative = number(&cell).is_some_and(|n| n < 0.0);
            Some((*at, if ignore && negative { Cell::Null } else { cell }))
        };
        values.windows(2).filter_map(difference).collect()
    }
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

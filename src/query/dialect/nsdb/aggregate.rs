//! Aggregates over bits (nsdb, 6.6). Cost: a few words each; `count distinct` keeps what it saw.

use super::bit::{Bit, Cell};
use super::parse::Aggregate;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A cell that can be ordered: numbers before texts, VARCHAR by its bytes.
#[derive(Clone, Debug)]
pub struct Key(pub Cell<'static>);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (Cell::Float(a), Cell::Float(b)) => a.total_cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Cell::Int(a), Cell::Float(b)) => (*a as f64).total_cmp(b),
            (Cell::Float(a), Cell::Int(b)) => a.total_cmp(&(*b as f64)),
            (Cell::Text(_), _) => Ordering::Greater,
            (_, Cell::Text(_)) => Ordering::Less,
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// A sum that is no BIGINT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// All that any aggregate needs to know of a set of bits.
#[derive(Clone, Debug, Default)]
pub struct State {
    count: u64,
    whole: i128,
    sum: f64,
    float: bool,
    min: Option<Key>,
    max: Option<Key>,
    first: Option<(i64, Key)>,
    last: Option<(i64, Key)>,
    distinct: BTreeSet<Key>,
}

impl State {
    /// Adds a bit, as the aggregate of that field sees it; whether it kept something for good.
    pub fn add(&mut self, aggregate: Aggregate, field: &str, bit: &Bit<'_>) -> bool {
        let field = if field == "*" { "value" } else { field };
        let Some(cell) = bit.cell(field) else { return false };
        self.count += 1;
        match aggregate {
            Aggregate::Count => {}
            Aggregate::CountDistinct => return self.distinct.insert(Key(cell.own())),
            Aggregate::Sum | Aggregate::Avg => match &*cell {
                Cell::Int(n) => self.whole += i128::from(*n),
                Cell::Float(n) => {
                    self.float = true;
                    self.sum += n;
                }
                Cell::Text(_) => {}
            },
            Aggregate::Min => {
                let key = Key(cell.own());
                self.min = Some(self.min.take().map_or(key.clone(), |old| old.min(key)));
            }
            Aggregate::Max => {
                let key = Key(cell.own());
                self.max = Some(self.max.take().map_or(key.clone(), |old| old.max(key)));
            }
            Aggregate::First => {
                if self.first.as_ref().is_none_or(|(at, _)| bit.timestamp < *at) {
                    self.first = Some((bit.timestamp, Key(cell.own())));
                }
            }
            Aggregate::Last => {
                if self.last.as_ref().is_none_or(|(at, _)| bit.timestamp >= *at) {
                    self.last = Some((bit.timestamp, Key(cell.own())));
                }
            }
        }
        false
    }

    /// The result over the bits added; `None`: there is none. `float`: the value is DECIMAL.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn result(
        &self,
        aggregate: Aggregate,
        float: bool,
    ) -> Result<Option<Cell<'static>>, Overflow> {
        let key = |key: &Option<Key>| key.as_ref().map(|key| key.0.clone());
        Ok(match aggregate {
            Aggregate::Count => Some(Cell::Int(self.count as i64)),
            Aggregate::CountDistinct => Some(Cell::Int(self.distinct.len() as i64)),
            Aggregate::Sum if float || self.float => {
                Some(Cell::Float(self.sum + self.whole as f64))
            }
            Aggregate::Sum => Some(Cell::Int(i64::try_from(self.whole).map_err(|_| Overflow)?)),
            Aggregate::Avg if self.count == 0 => Some(Cell::Float(0.0)),
            Aggregate::Avg => {
                let total = self.sum + self.whole as f64;
                Some(Cell::Float(round(total / self.count as f64)))
            }
            Aggregate::Min => key(&self.min),
            Aggregate::Max => key(&self.max),
            Aggregate::First => self.first.as_ref().map(|(_, key)| key.0.clone()),
            Aggregate::Last => self.last.as_ref().map(|(_, key)| key.0.clone()),
        })
    }

    /// The timestamp of the bit that FIRST or LAST chose, else 0.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.first.as_ref().or(self.last.as_ref()).map_or(0, |(at, _)| *at)
    }
}

/// Ten significant digits, a half going up.
#[must_use]
pub fn round(number: f64) -> f64 {
    if !number.is_finite() || number == 0.0 {
        return number;
    }
    let text = format!("{:.40e}", number.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let kept = digits.iter().take(10).fold(0_u64, |n, digit| n * 10 + u64::from(digit - b'0'));
    let up = digits.get(10).is_some_and(|digit| *digit >= b'5');
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let rounded = format!("{}e{}", kept + u64::from(up), exponent - 9);
    rounded.parse::<f64>().map_or(number, |n| n.copysign(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_have_ten_digits() {
        for (number, want) in [
            (1.0 / 3.0, 0.333_333_333_3),
            (2.0 / 3.0, 0.666_666_666_7),
            (1_234_567_890.5, 1_234_567_891.0),
            (-1_234_567_890.5, -1_234_567_891.0),
            (2.0, 2.0),
            (99_999_999_999.0, 100_000_000_000.0),
            (0.0, 0.0),
        ] {
            assert_eq!(round(number).to_bits(), f64::to_bits(want), "{number}");
        }
    }
}

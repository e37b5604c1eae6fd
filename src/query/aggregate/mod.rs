//! Aggregates: what is kept for each group, and what it comes to.
//!
//! Method: an accumulator takes one value at a time and can be asked at any moment without being
//! changed. Sums are compensated (Neumaier); variance is Welford's. Order statistics and distinct
//! counts keep their values up to [`KEPT_MAX`], then a sample of them or a sketch, and say so.
//! Cost: 8 to 40 bytes and a few ns each, but for those that keep values.

mod keep;

use crate::model::value::{Bytes, Value, decode_value, encode_bytes, encode_value, same};
use crate::query::loose::{sort_order, to_addend};
use keep::{Distinct, Sample};
use std::cmp::Ordering;

/// Values that an order statistic or a distinct count keeps exactly.
pub const KEPT_MAX: usize = 100_000;
/// Elements of a collected list.
pub const COLLECTED_MAX: usize = 100_000;

/// What is computed of the values of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    /// How many records.
    Count,
    /// How many are truthy.
    CountIf,
    /// Sum of the numeric ones.
    Sum,
    /// Their mean.
    Average,
    /// Least; strings are ordered if all are strings.
    Min,
    /// Greatest.
    Max,
    /// How many different ones; missing is skipped.
    CountDistinct,
    /// Standard deviation of the sample.
    Deviation,
    /// Variance of the sample.
    Variance,
    /// Linear between ranks, `p` in 0..=100.
    Percentile(f64),
    /// First one that is not missing.
    First,
    /// Last one that is not missing.
    Last,
    /// All, up to so many.
    Collect(usize),
    /// All different ones, up to so many.
    CollectSet(usize),
}

/// The running state of one aggregate.
#[derive(Clone, Debug)]
pub enum Accumulator {
    /// `count`, `count_if`
    Count(u64),
    /// `sum`, `avg`: sum, compensation, count.
    Sum(f64, f64, u64),
    /// `min`, `max`
    Extreme(Option<Value<'static>>, Option<f64>, bool),
    /// `count_distinct`
    Distinct(Distinct),
    /// `variance`, `stddev`: count, mean, squared distances.
    Moments(u64, f64, f64),
    /// `percentile`
    Sample(Sample),
    /// `first`, `last`
    One(Value<'static>),
    /// `collect`, `collect_set`
    List(Vec<Value<'static>>),
}

impl Aggregate {
    /// Before the first value.
    #[must_use]
    pub fn start(self) -> Accumulator {
        match self {
            Aggregate::Count | Aggregate::CountIf => Accumulator::Count(0),
            Aggregate::Sum | Aggregate::Average => Accumulator::Sum(0.0, 0.0, 0),
            Aggregate::Min | Aggregate::Max => Accumulator::Extreme(None, None, true),
            Aggregate::CountDistinct => Accumulator::Distinct(Distinct::default()),
            Aggregate::Deviation | Aggregate::Variance => Accumulator::Moments(0, 0.0, 0.0),
            Aggregate::Percentile(_) => Accumulator::Sample(Sample::default()),
            Aggregate::First | Aggregate::Last => Accumulator::One(Value::Missing),
            Aggregate::Collect(_) | Aggregate::CollectSet(_) => Accumulator::List(Vec::new()),
        }
    }

    /// Takes a value.
    #[inline]
    pub fn add(self, state: &mut Accumulator, value: &Value<'_>) {
        match (self, state) {
            (Aggregate::Count, Accumulator::Count(n)) => *n += 1,
            (Aggregate::CountIf, Accumulator::Count(n)) => {
                *n += u64::from(crate::query::loose::truthy(value));
            }
            (_, Accumulator::Sum(sum, rest, count)) => {
                if let Some(number) = to_addend(value) {
                    compensated(sum, rest, number);
                    *count += 1;
                }
            }
            (_, Accumulator::Extreme(text, number, all_text)) => {
                let wanted =
                    if self == Aggregate::Min { Ordering::Less } else { Ordering::Greater };
                extreme(text, number, all_text, value, wanted);
            }
            (_, Accumulator::Distinct(distinct)) => distinct.add(value),
            (_, Accumulator::Moments(count, mean, squares)) => {
                if let Some(number) = to_addend(value) {
                    *count += 1;
                    let before = number - *mean;
                    *mean += before / *count as f64;
                    *squares += before * (number - *mean);
                }
            }
            (_, Accumulator::Sample(sample)) => {
                if let Some(number) = to_addend(value) {
                    sample.add(number);
                }
            }
            (_, Accumulator::One(one)) => {
                let free = self == Aggregate::Last || matches!(one, Value::Missing);
                if free && !matches!(value, Value::Missing) {
                    *one = value.own();
                }
            }
            (Aggregate::CollectSet(max), Accumulator::List(list)) => {
                let full = list.len() >= max || matches!(value, Value::Missing);
                if !full && !list.iter().any(|known| same(known, value)) {
                    list.push(value.own());
                }
            }
            (Aggregate::Collect(max), Accumulator::List(list))
                if list.len() < max && !matches!(value, Value::Missing) =>
            {
                list.push(value.own());
            }
            _ => {}
        }
    }

    /// What it comes to now.
    #[must_use]
    pub fn finish(self, state: &Accumulator) -> Value<'static> {
        match (self, state) {
            (_, Accumulator::Count(n)) => Value::Int(*n as i64),
            (Aggregate::Sum, Accumulator::Sum(sum, rest, _)) => Value::Double(sum + rest),
            (_, Accumulator::Sum(_, _, 0)) => Value::Null,
            (_, Accumulator::Sum(sum, rest, n)) => Value::Double((sum + rest) / *n as f64),
            (_, Accumulator::Extreme(text, number, all_text)) => match (text, number) {
                (Some(text), _) if *all_text => text.clone(),
                (_, Some(number)) => Value::Double(*number),
                _ => Value::Null,
            },
            (_, Accumulator::Distinct(distinct)) => Value::Int(distinct.count() as i64),
            (_, Accumulator::Moments(n, _, squares)) if *n > 1 => {
                let variance = squares / (*n - 1) as f64;
                Value::Double(if self == Aggregate::Variance { variance } else { variance.sqrt() })
            }
            (Aggregate::Percentile(p), Accumulator::Sample(sample)) => {
                sample.percentile(p).map_or(Value::Null, Value::Double)
            }
            (_, Accumulator::One(Value::Missing)) => Value::Null,
            (_, Accumulator::One(one)) => one.clone(),
            (_, Accumulator::List(list)) => Value::list(list.clone()),
            _ => Value::Null,
        }
    }
}

impl Accumulator {
    /// About how many bytes it keeps of the values it took.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        match self {
            Accumulator::Distinct(distinct) => distinct.kept_bytes(),
            Accumulator::Sample(sample) => sample.kept_bytes(),
            Accumulator::List(list) => list.len() * size_of::<Value<'_>>(),
            _ => 0,
        }
    }

    /// Whether what it gives is approximate.
    #[must_use]
    pub fn is_approximate(&self) -> bool {
        match self {
            Accumulator::Distinct(distinct) => distinct.is_approximate(),
            Accumulator::Sample(sample) => sample.is_approximate(),
            _ => false,
        }
    }

    /// Appends the state.
    pub fn save(&self, out: &mut Vec<u8>) {
        let number = |n: u64, out: &mut Vec<u8>| out.extend_from_slice(&n.to_le_bytes());
        match self {
            Accumulator::Count(n) => number(*n, out),
            Accumulator::Sum(sum, rest, n) | Accumulator::Moments(n, sum, rest) => {
                number(sum.to_bits(), out);
                number(rest.to_bits(), out);
                number(*n, out);
            }
            Accumulator::Extreme(text, best, all_text) => {
                encode_value(text.as_ref().unwrap_or(&Value::Missing), out);
                encode_value(&best.map_or(Value::Missing, Value::Double), out);
                out.push(u8::from(*all_text));
            }
            Accumulator::Distinct(distinct) => distinct.save(out),
            Accumulator::Sample(sample) => sample.save(out),
            Accumulator::One(one) => encode_value(one, out),
            Accumulator::List(list) => {
                number(list.len() as u64, out);
                list.iter().for_each(|value| encode_value(value, out));
            }
        }
    }

    /// Reads a state that an accumulator of the same aggregate saved.
    pub fn load(&mut self, from: &mut Bytes<'_>) -> Option<()> {
        match self {
            Accumulator::Count(n) => *n = from.u64()?,
            Accumulator::Sum(sum, rest, n) | Accumulator::Moments(n, sum, rest) => {
                (*sum, *rest, *n) = (from.f64()?, from.f64()?, from.u64()?);
            }
            Accumulator::Extreme(text, best, all_text) => {
                *text = Some(decode_value(from)?).filter(|v| !matches!(v, Value::Missing));
                *best = decode_value(from)?.as_double();
                *all_text = from.u8()? == 1;
            }
            Accumulator::Distinct(distinct) => *distinct = Distinct::load(from)?,
            Accumulator::Sample(sample) => *sample = Sample::load(from)?,
            Accumulator::One(one) => *one = decode_value(from)?,
            Accumulator::List(list) => {
                let count = from.count(1)?;
                *list = (0..count).map(|_| decode_value(from)).collect::<Option<_>>()?;
            }
        }
        Some(())
    }
}

/// Neumaier's sum: `rest` gathers what `sum` loses. Infinities stay what they are.
fn compensated(sum: &mut f64, rest: &mut f64, number: f64) {
    let total = *sum + number;
    if total.is_finite() {
        *rest += if sum.abs() >= number.abs() {
            (*sum - total) + number
        } else {
            (number - total) + *sum
        };
    }
    *sum = total;
}

fn extreme(
    text: &mut Option<Value<'static>>,
    number: &mut Option<f64>,
    all_text: &mut bool,
    value: &Value<'_>,
    wanted: Ordering,
) {
    if let Value::String(_) = value
        && *all_text
        && text.as_ref().is_none_or(|best| sort_order(value, best) == wanted)
    {
        *text = Some(value.own());
    } else if value.is_some() && !matches!(value, Value::String(_)) {
        *all_text = false;
    }
    if let Some(new) = to_addend(value)
        && number.is_none_or(|best| new.partial_cmp(&best) == Some(wanted))
    {
        *number = Some(new);
    }
}

fn save_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_bytes(bytes, out);
}

#[cfg(test)]
mod tests;

//! What makes one value of many, value by value.

use super::keys::Seen;
use crate::query::strict::compare::order;
use crate::query::strict::operators::{arithmetic, mismatch};
use crate::query::strict::plan::{Aggregate, Arithmetic};
use crate::query::strict::value::{Budget, Halt, Value};
use std::cmp::Ordering;

/// The state of one aggregate.
#[derive(Debug)]
pub(super) struct Accumulator {
    aggregate: Aggregate,
    count: i64,
    /// Sum, extreme, first or last; unset before the first value.
    value: Value,
    mean: f64,
    seen: Option<Seen>,
}

impl Accumulator {
    pub(super) fn new(aggregate: Aggregate, budget: &Budget) -> Self {
        let seen = (aggregate == Aggregate::CountDistinct).then(|| Seen::new(budget));
        Self { aggregate, count: 0, value: Value::Unset, mean: 0.0, seen }
    }

    /// Takes a value; `None`: a row.
    pub(super) fn add(&mut self, value: Option<Value>) -> Result<(), Halt> {
        let Some(value) = value else {
            self.count += 1;
            return Ok(());
        };
        if value.is_null() && !matches!(self.aggregate, Aggregate::Elements | Aggregate::Least) {
            return Ok(());
        }
        self.count += 1;
        match self.aggregate {
            Aggregate::Elements | Aggregate::Count => {}
            Aggregate::CountDistinct => {
                if let Some(seen) = &mut self.seen {
                    seen.is_new(&value)?;
                }
            }
            Aggregate::Sum => {
                let number = value.as_double().is_some();
                if !number {
                    return mismatch("number", &value);
                }
                let sum = std::mem::take(&mut self.value);
                self.value = match sum {
                    Value::Unset => value,
                    sum => arithmetic(Arithmetic::Add, &sum, &value, 0)?,
                };
            }
            Aggregate::Average => match value.as_double() {
                Some(number) => self.mean += number,
                None => return mismatch("number", &value),
            },
            Aggregate::Minimum | Aggregate::Least => self.keep_if(value, Ordering::Less),
            Aggregate::Maximum => self.keep_if(value, Ordering::Greater),
            Aggregate::First => {
                if matches!(self.value, Value::Unset) {
                    self.value = value.compact();
                }
            }
            Aggregate::Last => self.value = value,
        }
        Ok(())
    }

    fn keep_if(&mut self, value: Value, wanted: Ordering) {
        if matches!(self.value, Value::Unset) || order(&value, &self.value) == wanted {
            self.value = value.compact();
        }
    }

    /// What they make.
    pub(super) fn result(self) -> Result<Value, Halt> {
        Ok(match self.aggregate {
            Aggregate::Elements | Aggregate::Count => Value::Int(self.count),
            Aggregate::CountDistinct => {
                let count = self.seen.map_or(0, |seen| seen.len());
                Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
            }
            Aggregate::Average if self.count == 0 => Value::Null,
            Aggregate::Average => Value::Double(self.mean / self.count as f64),
            _ if matches!(self.value, Value::Unset) => Value::Null,
            _ => self.value,
        })
    }
}

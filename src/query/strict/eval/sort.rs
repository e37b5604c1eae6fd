//! A stable sort that asks now and then whether to go on. It makes no demands on the order that
//! the values could break.

use super::{Machine, Value};
use crate::query::strict::compare::order;
use crate::query::strict::value::Halt;
use std::cmp::Ordering;

/// A row and its keys.
pub(super) type Keyed = (Box<[Value]>, Value);

impl Machine<'_> {
    /// The numbers of the rows in their order; `descending` for each key.
    pub(super) fn sorted(&mut self, rows: &[Keyed], descending: &[bool]) -> Result<Vec<u32>, Halt> {
        let less_or_equal = |a: u32, b: u32| {
            let (Some((a, _)), Some((b, _))) = (rows.get(a as usize), rows.get(b as usize)) else {
                return true;
            };
            for ((left, right), descending) in a.iter().zip(b).zip(descending) {
                let ordering = order(left, right);
                let ordering = if *descending { ordering.reverse() } else { ordering };
                if ordering != Ordering::Equal {
                    return ordering == Ordering::Less;
                }
            }
            true
        };
        let mut from: Vec<u32> = (0..rows.len() as u32).collect();
        let mut to: Vec<u32> = Vec::with_capacity(from.len());
        let mut width = 1;
        while width < from.len() {
            for pair in from.chunks(width * 2) {
                let (left, right) = pair.split_at(width.min(pair.len()));
                let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
                loop {
                    self.tick()?;
                    let next = match (left.peek(), right.peek()) {
                        (Some(a), Some(b)) if less_or_equal(**a, **b) => left.next(),
                        (_, Some(_)) => right.next(),
                        (_, None) => left.next(),
                    };
                    match next {
                        Some(index) => to.push(*index),
                        None => break,
                    }
                }
            }
            std::mem::swap(&mut from, &mut to);
            to.clear();
            width *= 2;
        }
        Ok(from)
    }
}

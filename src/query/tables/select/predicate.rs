//! Conditions that compare a column of numbers with a constant, tested column by column.
//!
//! Invariant: they hold for just the rows for which their expression is true. Cost: a comparison
//! for each row of the first test, then for each row that is left.

use super::scan::{Part, Scan};
use crate::model::table::ColumnId;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::ast::Binary;
use crate::query::tables::convert::compare;
use crate::query::tables::expr::Node;
use crate::query::tables::store::Values;
use std::cmp::Ordering;
use std::ops::Range;

/// One comparison.
#[derive(Clone, Debug)]
pub(super) struct Predicate {
    column: ColumnId,
    operator: Binary,
    constant: Cell,
}

/// The tests that a condition consists of, joined by AND; `known`: parts that hold anyway. `None`:
/// it consists of more.
pub(super) fn predicates(
    node: &Node,
    scan: &Scan,
    known: &dyn Fn(&Node) -> bool,
) -> Option<Vec<Predicate>> {
    if known(node) {
        return Some(Vec::new());
    }
    let Node::Binary(operator, left, right) = node else { return None };
    if *operator == Binary::And {
        let mut list = predicates(left, scan, known)?;
        list.extend(predicates(right, scan, known)?);
        return Some(list);
    }
    let (index, constant, operator) = match (&**left, &**right) {
        (Node::Column(index), Node::Const(constant)) => (index, constant, *operator),
        (Node::Const(constant), Node::Column(index)) => (index, constant, turned(*operator)),
        _ => return None,
    };
    let compares = matches!(
        operator,
        Binary::Equal
            | Binary::Less
            | Binary::LessOrEqual
            | Binary::Greater
            | Binary::GreaterOrEqual
    );
    let column = *scan.ids.get(index.checked_sub(1)?)?;
    let fits = compares && matches!(constant, Cell::Int(_) | Cell::Double(_));
    fits.then(|| vec![Predicate { column, operator, constant: constant.clone() }])
}

fn turned(operator: Binary) -> Binary {
    match operator {
        Binary::Less => Binary::Greater,
        Binary::LessOrEqual => Binary::GreaterOrEqual,
        Binary::Greater => Binary::Less,
        Binary::GreaterOrEqual => Binary::LessOrEqual,
        other => other,
    }
}

impl Predicate {
    fn accepts(&self, order: Option<Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self.operator {
            Binary::Less => order.is_lt(),
            Binary::LessOrEqual => order.is_le(),
            Binary::Greater => order.is_gt(),
            Binary::GreaterOrEqual => order.is_ge(),
            _ => order.is_eq(),
        }
    }

    /// Leaves the rows for which it holds.
    fn narrow(&self, part: &Part, rows: &mut Vec<usize>) {
        match (part.sheet.column(self.column), &self.constant) {
            (None, _) => rows.clear(),
            (Some(Values::Ints(list, marks)), Cell::Int(n)) if marks.has_no_nulls() => {
                rows.retain(|row| list.get(*row).is_some_and(|v| self.accepts(Some(v.cmp(n)))));
            }
            (Some(Values::Doubles(list, marks)), Cell::Int(_) | Cell::Double(_))
                if marks.has_no_nulls() =>
            {
                let n = match self.constant {
                    Cell::Int(n) => n as f64,
                    Cell::Double(n) => n,
                    _ => f64::NAN,
                };
                rows.retain(|row| list.get(*row).is_some_and(|v| self.accepts(v.partial_cmp(&n))));
            }
            (Some(values), constant) => {
                rows.retain(|row| self.accepts(compare(&values.get(*row), constant)));
            }
        }
    }
}

/// The rows of a run for which all tests hold.
pub(super) fn select(tests: &[Predicate], part: &Part, run: Range<usize>) -> Vec<usize> {
    let mut rows: Vec<usize> = run.collect();
    tests.iter().for_each(|test| test.narrow(part, &mut rows));
    rows
}

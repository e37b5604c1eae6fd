//! Expressions over rows: bound to columns and typed ([`bind`]), then evaluated.
//!
//! Method: a tree of [`Node`]s, walked for each row. Truth has three values; null goes through
//! operators and functions. Invariant: column numbers lie inside the rows they were bound to.

pub mod bind;
mod date;
pub mod geometry;
pub mod scalar;
mod text;

use super::convert::{Clock, compare, decimal, number, show};
use super::time;
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::model::value::decimal::Decimal;
use crate::query::dialect::taos::ast::{Binary, Duration};
use scalar::Scalar;
use std::cmp::Ordering;
use std::sync::Arc;

/// What stands for a window or for the whole query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pseudo {
    /// `_wstart`
    WindowStart,
    /// `_wend`
    WindowEnd,
    /// `_wduration`
    WindowDuration,
    /// `_qstart`
    QueryStart,
    /// `_qend`
    QueryEnd,
}

/// A bound expression.
#[derive(Clone, Debug)]
pub enum Node {
    /// The same for all rows.
    Const(Cell),
    /// A column of the row.
    Column(usize),
    /// Of the window or query.
    Pseudo(Pseudo),
    /// The outcome of an aggregate.
    Aggregate(usize),
    /// `-x`
    Negate(Box<Node>),
    /// `NOT x`
    Not(Box<Node>),
    /// `IS NULL`, or `IS NOT NULL`.
    IsNull(Box<Node>, bool),
    /// Two operands.
    Binary(Binary, Box<Node>, Box<Node>),
    /// A time and a span, forward or back.
    Move(Box<Node>, Duration, i64),
    /// Text against a compiled pattern, and whether it must not match.
    Matches(Box<Node>, Arc<regex::Regex>, bool),
    /// One of a list.
    In(Box<Node>, Vec<Node>, bool),
    /// A function of values.
    Call(Scalar, Vec<Node>),
    /// Another kind.
    Cast(Box<Node>, Kind),
    /// Condition and value, and what else.
    Case(Vec<(Node, Node)>, Box<Node>),
}

/// An expression and what it gives.
#[derive(Clone, Debug)]
pub struct Typed {
    /// What to do.
    pub node: Node,
    /// What comes out.
    pub kind: Kind,
}

/// What expressions are evaluated over.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    /// The row.
    pub row: &'a [Cell],
    /// Outcomes of aggregates.
    pub aggregates: &'a [Cell],
    /// Start and end of the window.
    pub window: (i64, i64),
    /// Bounds of the time that the query asks for.
    pub range: (Option<i64>, Option<i64>),
    /// Now, and what times count.
    pub clock: &'a Clock,
}

impl<'a> Env<'a> {
    /// Over a row alone.
    #[must_use]
    pub fn row(row: &'a [Cell], clock: &'a Clock) -> Self {
        Self { row, aggregates: &[], window: (0, 0), range: (None, None), clock }
    }
}

/// Whether a condition holds.
#[must_use]
pub fn holds(node: &Node, env: &Env<'_>) -> bool {
    truth(&eval(node, env)) == Some(true)
}

/// What a value is as a condition.
#[must_use]
pub fn truth(cell: &Cell) -> Option<bool> {
    match cell {
        Cell::Null => None,
        Cell::Bool(b) => Some(*b),
        other => number(other).map(|n| n != 0.0),
    }
}

/// The value of an expression.
#[must_use]
pub fn eval(node: &Node, env: &Env<'_>) -> Cell {
    match node {
        Node::Const(cell) => cell.clone(),
        Node::Column(index) => env.row.get(*index).cloned().unwrap_or_default(),
        Node::Aggregate(index) => env.aggregates.get(*index).cloned().unwrap_or_default(),
        Node::Pseudo(pseudo) => pseudo_value(*pseudo, env),
        Node::Negate(inner) => match eval(inner, env) {
            Cell::Int(n) => n.checked_neg().map_or(Cell::Null, Cell::Int),
            Cell::Null => Cell::Null,
            Cell::Decimal(decimal) => decimal.negate().map_or(Cell::Null, Cell::Decimal),
            other => number(&other).map_or(Cell::Null, |n| Cell::Double(-n)),
        },
        Node::Not(inner) => logic(truth(&eval(inner, env)).map(|b| !b)),
        Node::IsNull(inner, not) => Cell::Bool(eval(inner, env).is_null() != *not),
        Node::Binary(operator, left, right) => binary(*operator, left, right, env),
        Node::Move(inner, duration, sign) => match eval(inner, env) {
            Cell::Int(at) => {
                let moved = time::add(at, *duration, *sign, env.clock.precision, env.clock.zone);
                moved.map_or(Cell::Null, Cell::Int)
            }
            _ => Cell::Null,
        },
        Node::Matches(inner, pattern, not) => match eval(inner, env) {
            Cell::Null => Cell::Null,
            other => Cell::Bool(pattern.is_match(&show(&other)) != *not),
        },
        Node::In(inner, list, not) => {
            let value = eval(inner, env);
            if value.is_null() {
                return Cell::Null;
            }
            let same = |node: &Node| compare(&value, &eval(node, env)) == Some(Ordering::Equal);
            Cell::Bool(list.iter().any(same) != *not)
        }
        Node::Call(function, arguments) => {
            let cells: Vec<Cell> = arguments.iter().map(|node| eval(node, env)).collect();
            function.run(&cells, env.clock)
        }
        Node::Cast(inner, kind) => scalar::cast(eval(inner, env), *kind, env.clock),
        Node::Case(arms, otherwise) => {
            let found = arms.iter().find(|(when, _)| holds(when, env));
            eval(found.map_or(otherwise, |(_, then)| then), env)
        }
    }
}

fn pseudo_value(pseudo: Pseudo, env: &Env<'_>) -> Cell {
    let (start, end) = env.window;
    match pseudo {
        Pseudo::WindowStart => Cell::Int(start),
        Pseudo::WindowEnd => Cell::Int(end),
        Pseudo::WindowDuration => Cell::Int(end.saturating_sub(start)),
        Pseudo::QueryStart => env.range.0.map_or(Cell::Null, Cell::Int),
        Pseudo::QueryEnd => env.range.1.map_or(Cell::Null, Cell::Int),
    }
}

fn logic(outcome: Option<bool>) -> Cell {
    outcome.map_or(Cell::Null, Cell::Bool)
}

fn binary(operator: Binary, left: &Node, right: &Node, env: &Env<'_>) -> Cell {
    let a = eval(left, env);
    match operator {
        Binary::And | Binary::Or => {
            let decided = operator == Binary::Or;
            let first = truth(&a);
            if first == Some(decided) {
                return Cell::Bool(decided);
            }
            let second = truth(&eval(right, env));
            return match (first, second) {
                (_, Some(b)) if b == decided => Cell::Bool(decided),
                (Some(_), Some(b)) => Cell::Bool(b),
                _ => Cell::Null,
            };
        }
        _ => {}
    }
    let b = eval(right, env);
    let order = || compare(&a, &b);
    match operator {
        Binary::Equal => logic(order().map(|o| o == Ordering::Equal)),
        Binary::Differs => logic(order().map(|o| o != Ordering::Equal)),
        Binary::Less => logic(order().map(|o| o == Ordering::Less)),
        Binary::LessOrEqual => logic(order().map(|o| o != Ordering::Greater)),
        Binary::Greater => logic(order().map(|o| o == Ordering::Greater)),
        Binary::GreaterOrEqual => logic(order().map(|o| o != Ordering::Less)),
        Binary::Arrow => scalar::member(&a, &b),
        Binary::Contains => match (&a, &b) {
            (Cell::Text(_), Cell::Text(_)) => Cell::Bool(scalar::has_member(&a, &b)),
            _ => Cell::Null,
        },
        _ => arithmetic(operator, &a, &b),
    }
}

/// Arithmetic of decimals; beyond 38 digits there is none.
fn exact(operator: Binary, a: &Cell, b: &Cell) -> Option<Decimal> {
    let (a, b) = (decimal(a)?, decimal(b)?);
    match operator {
        Binary::Add => a.plus(b),
        Binary::Subtract => a.plus(b.negate()?),
        Binary::Multiply => a.multiply(b),
        Binary::Divide => a.divide(b),
        Binary::Remainder => a.remainder(b),
        _ => None,
    }
}

fn arithmetic(operator: Binary, a: &Cell, b: &Cell) -> Cell {
    if let (Cell::Decimal(_), Cell::Int(_) | Cell::Uint(_) | Cell::Decimal(_))
    | (Cell::Int(_) | Cell::Uint(_), Cell::Decimal(_)) = (a, b)
    {
        return exact(operator, a, b).map_or(Cell::Null, Cell::Decimal);
    }
    let (Some(a), Some(b)) = (number(a), number(b)) else { return Cell::Null };
    let outcome = match operator {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide if b != 0.0 => a / b,
        Binary::Remainder if b != 0.0 => a % b,
        _ => return Cell::Null,
    };
    Cell::Double(outcome)
}

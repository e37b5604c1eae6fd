//! JOIN: rows side by side whose times, and other values, are equal.
//!
//! Method: the equalities of the condition between a column of one side and one of the other make
//! a key; the right side is put in a table by it. What else the condition says is asked of each
//! pair. Cost: both sides are held, and a pair for each match.

use super::inner;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Binary, Expr, Join, Source};
use crate::query::tables::convert::{Clock, key};
use crate::query::tables::expr::{Env, Node, holds};
use crate::query::tables::relation::{Needed, Relation, RelationColumn, load as load_table};
use crate::query::tables::select::rows;
use crate::query::tables::{Scope, World, codes};
use ahash::AHashMap;

/// Pairs of rows that a join may make.
const PAIRS_MAX: usize = 10_000_000;
/// Pairs after which it is asked whether to go on.
const CHECK_ROWS: usize = 10_000;

/// Shows the conditions of joins, whose names are needed.
pub(super) fn conditions(from: &Source, walk: &mut impl FnMut(&Expr)) {
    let mut next = from;
    while let Source::Join(join) = next {
        join.on.iter().for_each(&mut *walk);
        // Joins nest to the left only.
        next = &join.left;
    }
}

fn side(
    world: &mut World<'_>,
    source: &Source,
    filter: Option<&Expr>,
    needed: &Needed,
) -> Result<Relation, Wrong> {
    match source {
        Source::Table(name, alias) => {
            let mut relation = load_table(world, name, alias.as_deref(), needed)?;
            rows::hold(&mut relation, world)?;
            Ok(relation)
        }
        Source::Query(query, alias) => inner(world, query, alias.as_deref()),
        Source::Join(join) => load(world, join, filter, needed),
    }
}

/// The relation of a join; where it has no condition of its own, that of WHERE says what is equal.
pub(super) fn load(
    world: &mut World<'_>,
    join: &Join,
    filter: Option<&Expr>,
    needed: &Needed,
) -> Result<Relation, Wrong> {
    let left = side(world, &join.left, filter, needed)?;
    let right = side(world, &join.right, filter, needed)?;
    let split = left.columns.len();
    let columns: Vec<RelationColumn> = left.columns.iter().chain(&right.columns).cloned().collect();
    let scope = Scope::of(world, left.precision);
    let clock = scope.clock;
    let mut binder = scope.binder(&columns);
    let condition = match (&join.on, filter) {
        (Some(on), _) => Some(on),
        (None, filter) => filter,
    };
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let mut rest: Vec<Node> = Vec::new();
    let mut parts = Vec::new();
    condition.into_iter().for_each(|condition| conjuncts(condition, &mut parts));
    for part in parts {
        // A condition of WHERE may speak of tables that are joined later.
        let bound = match binder.bind(part) {
            Err(_) if join.on.is_none() => continue,
            other => other?.node,
        };
        match equality(&bound, split) {
            Some(pair) => pairs.push(pair),
            None if join.on.is_some() => rest.push(bound),
            None => {}
        }
    }
    if pairs.is_empty() {
        return Err(codes::unsupported("join"));
    }
    let rows = combine(world, &left, &right, &pairs, (&rest, join.outer, &clock))?;
    Ok(Relation { columns, rows, scan: None, precision: left.precision, time: left.time })
}

fn conjuncts<'a>(expr: &'a Expr, list: &mut Vec<&'a Expr>) {
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match expr {
            Expr::Binary(Binary::And, left, right) => open.extend([&**right, &**left]),
            other => list.push(other),
        }
    }
}

/// The columns that a condition says are equal, of the left side and of the right.
fn equality(node: &Node, split: usize) -> Option<(usize, usize)> {
    let Node::Binary(Binary::Equal, a, b) = node else { return None };
    let (Node::Column(a), Node::Column(b)) = (&**a, &**b) else { return None };
    match (*a < split, *b < split) {
        (true, false) => Some((*a, *b - split)),
        (false, true) => Some((*b, *a - split)),
        _ => None,
    }
}

/// The key of a row; `None`: it has a null, which equals nothing.
fn key_of(row: &[Cell], columns: impl Iterator<Item = usize>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for column in columns {
        match row.get(column)? {
            Cell::Null => return None,
            // Equal numbers of several kinds are one key.
            Cell::Uint(n) if i64::try_from(*n).is_ok() => key(&Cell::Int(*n as i64), &mut bytes),
            Cell::Double(n) if n.fract() == 0.0 && n.abs() < 9e15 => {
                key(&Cell::Int(*n as i64), &mut bytes);
            }
            cell => key(cell, &mut bytes),
        }
    }
    Some(bytes)
}

fn combine(
    world: &mut World<'_>,
    left: &Relation,
    right: &Relation,
    pairs: &[(usize, usize)],
    (rest, outer, clock): (&[Node], bool, &Clock),
) -> Result<Vec<Vec<Cell>>, Wrong> {
    let mut places: AHashMap<Vec<u8>, Vec<usize>> = AHashMap::new();
    for (at, row) in right.rows.iter().enumerate() {
        if let Some(key) = key_of(row, pairs.iter().map(|(_, right)| *right)) {
            places.entry(key).or_default().push(at);
        }
    }
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut seen: usize = 0;
    for row in &left.rows {
        let key = key_of(row, pairs.iter().map(|(left, _)| *left));
        let matches = key.and_then(|key| places.get(&key));
        let before = rows.len();
        for at in matches.into_iter().flatten() {
            seen += 1;
            if seen.is_multiple_of(CHECK_ROWS) {
                world.check()?;
            }
            let other = right.rows.get(*at).into_iter().flatten();
            let both: Vec<Cell> = row.iter().chain(other).cloned().collect();
            if rest.iter().all(|node| holds(node, &Env::row(&both, clock))) {
                rows.push(both);
            }
        }
        if outer && rows.len() == before {
            let nothing = std::iter::repeat_n(Cell::Null, right.columns.len());
            rows.push(row.iter().cloned().chain(nothing).collect());
        }
        if rows.len() > PAIRS_MAX {
            return Err(Wrong::new(0xFFFF, "too many rows: the limit of a join"));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_one_key() {
        let key = |cell: Cell| key_of(&[cell], std::iter::once(0));
        assert_eq!(key(Cell::Int(7)), key(Cell::Uint(7)));
        assert_eq!(key(Cell::Int(7)), key(Cell::Double(7.0)));
        assert_ne!(key(Cell::Int(7)), key(Cell::text("7")));
        assert_eq!(key(Cell::Null), None);
    }
}

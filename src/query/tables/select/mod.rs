//! SELECT: FROM, WHERE, PARTITION BY, windows or GROUP BY, HAVING, the list, DISTINCT, ORDER BY,
//! LIMIT, in this order.
//!
//! Method: rows are cut into slices by their keys and slices into windows; each such group gives a
//! row of aggregates, or several where a function gives several. Cost: most aggregates are folded
//! over the sheets of the table without rows ([`fold`]); otherwise the rows that the condition lets
//! through are held, with the columns that the query names ([`rows`]).

pub mod aggregate;
mod cursor;
mod fold;
mod groups;
mod from;
mod histogram;
mod plan;
mod predicate;
mod rows;
pub mod scan;
mod series;
pub mod window;

use super::convert::{key, order};
use super::expr::scalar::cast;
use super::expr::{Env, Node, holds};
use super::relation::Relation;
use super::store::Standing;
use super::{Field, Rows, World, codes};
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Expr, Limit, Order, Query, Select, Source};
use ahash::AHashSet;
pub use cursor::{Cursor, Step};
use from::{interp, source};
use plan::{Bound, Plan, bound, bound_to, expand, is_bounds};
use rows::Top;
use std::cmp::Ordering;

/// An output row: its slice, what it shows, what it is sorted by.
#[derive(Clone, Debug)]
struct Out {
    slice: usize,
    cells: Vec<Cell>,
    order: Vec<Cell>,
}

/// What a query gives.
#[derive(Debug)]
pub enum Found {
    /// All its rows.
    Rows(Rows),
    /// Rows that are made as they are read.
    Cursor(Box<Cursor>),
}

/// Runs a query.
///
/// # Errors
/// What is wrong with it, or that it could not be run.
pub fn run(world: &mut World<'_>, query: &Query) -> Result<Rows, Wrong> {
    match open(world, query)? {
        Found::Rows(rows) => Ok(rows),
        Found::Cursor(cursor) => cursor.collect(world),
    }
}

/// Begins a query: one that gives rows of a table one by one, in their order, goes no further.
///
/// # Errors
/// As [`run`].
pub fn open(world: &mut World<'_>, query: &Query) -> Result<Found, Wrong> {
    let may_hold = world.bench.standing().is_none_or(Standing::may_hold);
    if !may_hold || !is_plain(query) {
        return whole(world, query, None).map(Found::Rows);
    }
    let relation = source(world, &query.first, &query.order)?;
    let bound = bound_to(world, &query.first, &relation, &query.order)?;
    match stepwise(query, relation, bound) {
        Ok(cursor) => Ok(Found::Cursor(Box::new(cursor))),
        Err(begun) => whole(world, query, Some(*begun)).map(Found::Rows),
    }
}

/// The cursor of a query whose rows are those of sheets, each by itself, in their order; otherwise
/// what was given.
fn stepwise(
    query: &Query,
    mut relation: Relation,
    bound: Bound,
) -> Result<Cursor, Box<(Relation, Bound)>> {
    let by_time = match (bound.plan.order.as_slice(), query.order.as_slice()) {
        ([], _) => true,
        // They have it anyway.
        ([Node::Column(index)], [order]) => relation.time == Some(*index) && !order.descending,
        _ => false,
    };
    match relation.scan.take_if(|_| by_time && !bound.plan.grouped) {
        Some(scan) => {
            let Bound { fields, plan, filter } = bound;
            Ok(Cursor::new(fields, plan, scan, filter.as_ref(), query.limit))
        }
        None => Err(Box::new((relation, bound))),
    }
}

/// Whether the rows may be those of a table, each by itself.
fn is_plain(query: &Query) -> bool {
    let select = &query.first;
    query.unions.is_empty()
        && query.slices.is_none()
        && matches!(select.from, Some(Source::Table(..)))
        && !select.tags_only
        && !select.distinct
        && select.grid.is_none()
        && select.window.is_none()
        && select.partition.is_empty()
        && select.group.is_empty()
        && select.having.is_none()
}

/// A query to its end; `begun`: as far as it is already.
fn whole(
    world: &mut World<'_>,
    query: &Query,
    begun: Option<(Relation, Bound)>,
) -> Result<Rows, Wrong> {
    let sliced = !query.first.partition.is_empty() || !query.first.group.is_empty();
    if query.slices.is_some() && !sliced {
        return Err(codes::no_slices());
    }
    let union = !query.unions.is_empty();
    let order: &[Order] = if union { &[] } else { &query.order };
    let shown = query.limit.count.and_then(|count| count.checked_add(query.limit.offset));
    let shown = shown.and_then(|count| usize::try_from(count).ok());
    let whole = !union && query.slices.is_none();
    let top = shown.filter(|_| whole).map(|count| Top { count, order });
    let (mut rows, mut out) = match begun {
        Some((relation, bound)) => over(world, &query.first, relation, bound, top)?,
        None => select(world, &query.first, order, top)?,
    };
    for (all, more) in &query.unions {
        let (other, added) = select(world, more, &[], None)?;
        if other.fields.len() != rows.fields.len() {
            return Err(codes::unsupported("union"));
        }
        out.extend(alike(added, &other.fields, &mut rows.fields, world));
        if !all {
            distinct(&mut out);
        }
    }
    if union && !query.order.is_empty() {
        for row in &mut out {
            for by in &query.order {
                let at = output(&by.expr, &rows.fields).ok_or_else(|| codes::unsupported("by"))?;
                row.order.push(row.cells.get(at).cloned().unwrap_or_default());
            }
        }
    }
    if !query.order.is_empty() {
        sort(&mut out, &query.order);
    }
    if let Some(slices) = query.slices {
        let end = slices.count.map_or(u64::MAX, |count| count.saturating_add(slices.offset));
        out.retain(|row| (slices.offset..end).contains(&(row.slice as u64)));
    }
    limit(&mut out, query.limit, sliced && query.order.is_empty());
    rows.rows = out.into_iter().map(|row| row.cells).collect();
    Ok(rows)
}

/// Rows of a further select of a UNION with the kinds of the first; of a null there, its own.
fn alike(
    mut added: Vec<Out>,
    other: &[Field],
    fields: &mut [Field],
    world: &World<'_>,
) -> Vec<Out> {
    for (at, (own, other)) in fields.iter_mut().zip(other).enumerate() {
        match own.kind {
            Kind::Null => own.kind = other.kind,
            kind if kind == other.kind => {}
            kind => added.iter_mut().filter_map(|row| row.cells.get_mut(at)).for_each(|cell| {
                *cell = cast(std::mem::take(cell), kind, &world.clock());
            }),
        }
    }
    added
}

fn limit(out: &mut Vec<Out>, limit: Limit, each: bool) {
    if limit == Limit::default() {
        return;
    }
    let end = limit.count.map_or(u64::MAX, |count| count.saturating_add(limit.offset));
    let (mut slice, mut at) = (usize::MAX, 0);
    out.retain(|row| {
        if each && row.slice != slice {
            (slice, at) = (row.slice, 0);
        }
        at += 1;
        (limit.offset..end).contains(&(at - 1))
    });
}

fn sort(out: &mut [Out], by: &[Order]) {
    out.sort_by(|a, b| compare(&a.order, &b.order, by));
}

/// Which of two rows comes first, by what they are sorted by.
fn compare(a: &[Cell], b: &[Cell], by: &[Order]) -> Ordering {
    for (order_by, (x, y)) in by.iter().zip(a.iter().zip(b)) {
        let nulls = match (x.is_null(), y.is_null(), order_by.nulls_first) {
            (true, false, Some(first)) => Some(first),
            (false, true, Some(first)) => Some(!first),
            _ => None,
        };
        let ordering = match nulls {
            Some(true) => Ordering::Less,
            Some(false) => Ordering::Greater,
            None if order_by.descending => order(y, x),
            None => order(x, y),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

fn distinct(out: &mut Vec<Out>) {
    let mut seen = AHashSet::new();
    out.retain(|row| {
        let mut bytes = Vec::new();
        row.cells.iter().for_each(|cell| key(cell, &mut bytes));
        seen.insert(bytes)
    });
}

/// The output column that an expression of ORDER BY names.
fn output(expr: &Expr, fields: &[Field]) -> Option<usize> {
    match expr {
        Expr::Int(n) => usize::try_from(*n).ok()?.checked_sub(1).filter(|at| *at < fields.len()),
        Expr::Column(None, name) => fields.iter().position(|field| *field.name == **name),
        _ => None,
    }
}

fn select(
    world: &mut World<'_>,
    select: &Select,
    order: &[Order],
    top: Option<Top<'_>>,
) -> Result<(Rows, Vec<Out>), Wrong> {
    if let Some(grid) = &select.grid {
        return interp::run(world, select, grid, order);
    }
    let relation = source(world, select, order)?;
    let bound = bound_to(world, select, &relation, order)?;
    over(world, select, relation, bound, top)
}

/// A select that gives each row by itself, over rows that are at hand.
///
/// # Errors
/// It is none, or what is wrong with it.
pub(super) fn each(
    world: &mut World<'_>,
    select: &Select,
    relation: Relation,
) -> Result<Rows, Wrong> {
    let bound = bound_to(world, select, &relation, &[])?;
    if bound.plan.grouped || select.distinct || !select.partition.is_empty() {
        return Err(codes::bad_topic_query());
    }
    let (mut rows, out) = over(world, select, relation, bound, None)?;
    rows.rows = out.into_iter().map(|row| row.cells).collect();
    Ok(rows)
}

fn over(
    world: &mut World<'_>,
    select: &Select,
    mut relation: Relation,
    bound: Bound,
    top: Option<Top<'_>>,
) -> Result<(Rows, Vec<Out>), Wrong> {
    let Bound { fields, plan, filter } = bound;
    let filter = filter.as_ref();
    let mut out = if let Some(scan) = relation.scan.take() {
        let top = top.filter(|_| !select.distinct && plan.keys.is_empty());
        rows::of_scan(&plan, scan, filter, &mut relation, world, top)?
    } else {
        if let Some(filter) = filter {
            relation.rows.retain(|row| holds(filter, &Env::row(row, &plan.clock)));
        }
        rows::of_rows(&plan, &relation, world)?
    };
    if select.distinct {
        distinct(&mut out);
    }
    Ok((Rows { fields, rows: Vec::new(), precision: plan.clock.precision }, out))
}

#[cfg(test)]
mod tests;

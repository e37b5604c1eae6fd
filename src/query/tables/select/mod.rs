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
mod predicate;
mod rows;
pub mod scan;
mod series;
pub mod window;

use super::convert::{Clock, key, order};
use super::expr::bind::Binder;
use super::expr::scalar::cast;
use super::expr::{Env, Node, Typed, eval, holds};
use super::relation::{Relation, RelationColumn};
use super::store::Standing;
use super::{Field, Rows, Scope, World, codes};
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{
    Binary, Expr, Fill, Item, Limit, Order, Query, Select, Source, Window,
};
use aggregate::Aggregate;
use ahash::AHashSet;
pub use cursor::{Cursor, Step};
use from::{interp, source};
use rows::Top;
use scan::Times;
use std::cmp::Ordering;
use window::Cut;

/// An output row: its slice, what it shows, what it is sorted by.
#[derive(Clone, Debug)]
struct Out {
    slice: usize,
    cells: Vec<Cell>,
    order: Vec<Cell>,
}

/// A select, bound to its relation.
#[derive(Debug)]
struct Plan {
    items: Vec<Typed>,
    order: Vec<Node>,
    having: Option<Node>,
    keys: Vec<Node>,
    aggregates: Vec<Aggregate>,
    cut: Option<Cut>,
    fill: Option<Fill>,
    range: Times,
    grouped: bool,
    clock: Clock,
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

/// A select and what it says of each of the columns it reads.
#[derive(Debug)]
struct Bound {
    fields: Vec<Field>,
    plan: Plan,
    filter: Option<Node>,
}

fn bound_to(
    world: &mut World<'_>,
    select: &Select,
    relation: &Relation,
    order: &[Order],
) -> Result<Bound, Wrong> {
    let scope = Scope::of(world, relation.precision);
    let items = expand(&select.items, &relation.columns)?;
    let mut binder = scope.binder(&relation.columns);
    binder.windows = select.window.is_some();
    let filter = select.filter.as_ref().map(|filter| binder.bind(filter)).transpose()?;
    let (fields, plan) = bind(&mut binder, select, &items, order, filter.as_ref(), relation.time)?;
    world.check()?;
    Ok(Bound { fields, plan, filter: filter.map(|filter| filter.node) })
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

/// Stars as the columns that they show.
fn expand(items: &[Item], columns: &[RelationColumn]) -> Result<Vec<Item>, Wrong> {
    let mut list = Vec::new();
    for item in items {
        match &item.expr {
            Expr::Star(table) => {
                let own = columns.iter().filter(|c| {
                    c.shown && table.as_ref().is_none_or(|t| c.table.as_deref() == Some(t))
                });
                let before = list.len();
                list.extend(own.map(|c| Item {
                    expr: Expr::Column(c.table.as_deref().map(Into::into), c.name.to_string()),
                    name: c.name.to_string(),
                    aliased: false,
                }));
                if list.len() == before {
                    return Err(codes::unsupported("*"));
                }
            }
            Expr::Call(name, arguments)
                if matches!(name.as_str(), "first" | "last" | "last_row")
                    && matches!(arguments.as_slice(), [Expr::Star(_)]) =>
            {
                list.extend(columns.iter().filter(|c| c.shown && !c.tag).map(|c| Item {
                    expr: Expr::Call(name.clone(), vec![Expr::Column(None, c.name.to_string())]),
                    name: format!("{name}({})", c.name),
                    aliased: false,
                }));
            }
            _ => list.push(item.clone()),
        }
    }
    Ok(list)
}

fn bind(
    binder: &mut Binder<'_>,
    select: &Select,
    items: &[Item],
    order: &[Order],
    filter: Option<&Typed>,
    time: Option<usize>,
) -> Result<(Vec<Field>, Plan), Wrong> {
    let clock = *binder.clock;
    let mut keys = Vec::new();
    for expr in select.partition.iter().map(|item| &item.expr).chain(&select.group) {
        keys.push(binder.bind(expr)?.node);
    }
    let cut = match &select.window {
        None => None,
        Some(window) => Some(cut_of(binder, window)?),
    };
    binder.aggregates = Some(Vec::new());
    let mut bound = Vec::with_capacity(items.len());
    let mut fields = Vec::with_capacity(items.len());
    for item in items {
        let typed = binder.shown(&item.expr)?;
        fields.push(Field { name: item.name.clone(), kind: typed.kind });
        bound.push(typed);
    }
    let having = match &select.having {
        Some(having) => Some(binder.bind(having)?.node),
        None => None,
    };
    let by = bind_order(binder, items, order, &fields, &bound)?;
    let aggregates = binder.aggregates.take().unwrap_or_default();
    let grouped = !aggregates.is_empty() || cut.is_some() || !select.group.is_empty();
    let range = time.zip(filter).map_or((None, None), |(time, filter)| {
        let mut range = (None, None);
        bounds(&filter.node, time, &clock, &mut range);
        range
    });
    let fill = match &select.window {
        Some(Window::Interval { fill, .. }) if *fill != Fill::None => Some(fill.clone()),
        _ => None,
    };
    if fill.is_some() && (range.0.is_none() || range.1.is_none()) {
        return Err(codes::no_range());
    }
    let plan = Plan {
        items: bound,
        order: by,
        having,
        keys,
        aggregates,
        cut,
        fill,
        range,
        grouped,
        clock,
    };
    if grouped {
        groups::check(&plan, binder.columns)?;
    }
    Ok((fields, plan))
}

/// What rows are sorted by: an output column, or an expression of its own.
fn bind_order(
    binder: &mut Binder<'_>,
    items: &[Item],
    order: &[Order],
    fields: &[Field],
    bound: &[Typed],
) -> Result<Vec<Node>, Wrong> {
    let aliased = |expr: &Expr| match expr {
        Expr::Column(None, name) => items.iter().position(|i| i.aliased && i.name == *name),
        _ => None,
    };
    let mut by = Vec::new();
    for one in order {
        let place = match &one.expr {
            Expr::Int(_) => output(&one.expr, fields),
            expr => aliased(expr).or_else(|| items.iter().position(|item| item.expr == *expr)),
        };
        by.push(match place.and_then(|at| bound.get(at)) {
            Some(typed) => typed.node.clone(),
            None => binder.bind(&one.expr)?.node,
        });
    }
    Ok(by)
}

fn cut_of(binder: &mut Binder<'_>, window: &Window) -> Result<Cut, Wrong> {
    let clock = *binder.clock;
    Ok(match window {
        Window::Interval { .. } => {
            window::interval(window, &clock)?.ok_or_else(|| codes::unsupported("interval"))?
        }
        Window::Session { time, gap } => {
            if binder.bind(time)?.kind != Kind::Timestamp {
                return Err(codes::unsupported("session"));
            }
            let gap = super::time::units(*gap, clock.precision).filter(|gap| *gap > 0);
            Cut::Session(gap.ok_or_else(|| codes::unsupported("session"))?)
        }
        Window::State(state) => Cut::State(binder.bind(state)?.node),
        Window::Event { start, end } => {
            Cut::Event(binder.bind(start)?.node, binder.bind(end)?.node)
        }
        Window::Count { rows, sliding } => {
            let count = usize::try_from(*rows).ok().filter(|n| *n > 0);
            let count = count.ok_or_else(|| codes::unsupported("count_window"))?;
            let step = sliding.map_or(count, |n| n.max(1) as usize);
            Cut::Count(count, step)
        }
    })
}

/// The times that a condition lets through at most.
fn bounds(node: &Node, time: usize, clock: &Clock, range: &mut Times) {
    if let Node::Binary(Binary::And, left, right) = node {
        bounds(left, time, clock, range);
        return bounds(right, time, clock, range);
    }
    let Some((low, high)) = bound(node, time, clock) else { return };
    range.0 = low.map(|low| range.0.map_or(low, |old| old.max(low))).or(range.0);
    range.1 = high.map(|high| range.1.map_or(high, |old| old.min(high))).or(range.1);
}

/// Whether a condition is nothing but bounds of the time.
fn is_bounds(node: &Node, time: usize, clock: &Clock) -> bool {
    match node {
        Node::Binary(Binary::And, left, right) => {
            is_bounds(left, time, clock) && is_bounds(right, time, clock)
        }
        _ => bound(node, time, clock).is_some(),
    }
}

/// The first and the last time that a comparison lets through.
fn bound(node: &Node, time: usize, clock: &Clock) -> Option<Times> {
    let Node::Binary(operator, left, right) = node else { return None };
    let is_time = |node: &Node| matches!(node, Node::Column(index) if *index == time);
    let constant = |node: &Node| match node {
        Node::Const(_) | Node::Move(..) | Node::Cast(..) => {
            match eval(node, &Env::row(&[], clock)) {
                Cell::Int(at) => Some(at),
                _ => None,
            }
        }
        _ => None,
    };
    let (flipped, at) = match (is_time(left), is_time(right)) {
        (true, false) => (false, constant(right)?),
        (false, true) => (true, constant(left)?),
        _ => return None,
    };
    Some(match (operator, flipped) {
        (Binary::Equal, _) => (Some(at), Some(at)),
        (Binary::GreaterOrEqual, false) | (Binary::LessOrEqual, true) => (Some(at), None),
        (Binary::Greater, false) | (Binary::Less, true) => (Some(at.checked_add(1)?), None),
        (Binary::LessOrEqual, false) | (Binary::GreaterOrEqual, true) => (None, Some(at)),
        (Binary::Less, false) | (Binary::Greater, true) => (None, Some(at.checked_sub(1)?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

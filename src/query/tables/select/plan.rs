//! A select, bound to the columns of its relation.
//!
//! Method: stars become columns, keys, windows, the list and the order are bound one after the
//! other; what the condition says of the time becomes bounds.

use super::aggregate::Aggregate;
use super::scan::Times;
use super::window::{self, Cut};
use super::{groups, output};
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Binary, Expr, Fill, Item, Order, Select, Window};
use crate::query::tables::convert::Clock;
use crate::query::tables::expr::bind::Binder;
use crate::query::tables::expr::{Env, Node, Typed, eval};
use crate::query::tables::relation::{Relation, RelationColumn};
use crate::query::tables::{Field, Scope, World, codes, time as calendar};
/// A select, bound to its relation.
#[derive(Debug)]
pub(super) struct Plan {
    pub items: Vec<Typed>,
    pub order: Vec<Node>,
    pub having: Option<Node>,
    pub keys: Vec<Node>,
    pub aggregates: Vec<Aggregate>,
    pub cut: Option<Cut>,
    pub fill: Option<Fill>,
    pub range: Times,
    pub grouped: bool,
    pub clock: Clock,
}

/// A select and what it says of each of the columns it reads.
#[derive(Debug)]
pub(super) struct Bound {
    pub fields: Vec<Field>,
    pub plan: Plan,
    pub filter: Option<Node>,
}

pub(super) fn bound_to(
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

/// Stars as the columns that they show.
pub(super) fn expand(items: &[Item], columns: &[RelationColumn]) -> Result<Vec<Item>, Wrong> {
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
            let gap = calendar::units(*gap, clock.precision).filter(|gap| *gap > 0);
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
pub(super) fn is_bounds(node: &Node, time: usize, clock: &Clock) -> bool {
    match node {
        Node::Binary(Binary::And, left, right) => {
            is_bounds(left, time, clock) && is_bounds(right, time, clock)
        }
        _ => bound(node, time, clock).is_some(),
    }
}

/// The first and the last time that a comparison lets through.
pub(super) fn bound(node: &Node, time: usize, clock: &Clock) -> Option<Times> {
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

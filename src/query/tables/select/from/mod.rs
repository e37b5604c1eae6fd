//! What a select reads: tables, queries, joins, subtables with their tags, values at steps of time.

pub(super) mod interp;
mod join;
mod tags;

use super::run;
use crate::model::table::Kind;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Expr, Order, Query, Select, Source, Window};
use crate::query::tables::relation::{Needed, Relation, RelationColumn, load};
use crate::query::tables::{Field, World};
use ahash::AHashSet;

/// What stands in FROM.
pub(in crate::query::tables::select) fn source(
    world: &mut World<'_>,
    select: &Select,
    order: &[Order],
) -> Result<Relation, Wrong> {
    match &select.from {
        None => Ok(Relation { rows: vec![Vec::new()], ..Relation::default() }),
        Some(Source::Table(name, alias)) => match select.tags_only {
            true => tags::load(world, name, alias.as_deref()),
            false => load(world, name, alias.as_deref(), &needed(select, order)),
        },
        Some(Source::Join(join)) => {
            join::load(world, join, select.filter.as_ref(), &needed(select, order))
        }
        Some(Source::Query(query, alias)) => inner(world, query, alias.as_deref()),
    }
}

/// The rows of a query in FROM.
fn inner(world: &mut World<'_>, query: &Query, alias: Option<&str>) -> Result<Relation, Wrong> {
    let inner = run(world, query)?;
    let time = inner.fields.iter().position(|field| field.kind == Kind::Timestamp);
    let column = |field: &Field| RelationColumn {
        table: alias.map(Into::into),
        name: field.name.as_str().into(),
        kind: field.kind,
        shown: true,
        tag: false,
    };
    let columns = inner.fields.iter().map(column).collect();
    Ok(Relation { columns, rows: inner.rows, scan: None, precision: inner.precision, time })
}

/// Every name that a select uses; `None` where `*` stands for all.
fn needed(select: &Select, order: &[Order]) -> Needed {
    let mut names = AHashSet::new();
    let mut all = false;
    {
        let mut walk = |expr: &Expr| names_of(expr, &mut names, &mut all);
        select.items.iter().chain(&select.partition).for_each(|item| walk(&item.expr));
        select.filter.iter().chain(&select.group).chain(&select.having).for_each(&mut walk);
        order.iter().for_each(|by| walk(&by.expr));
        if let Some(from) = &select.from {
            join::conditions(from, &mut walk);
        }
        match &select.window {
            Some(Window::State(expr)) => walk(expr),
            Some(Window::Event { start, end }) => [start, end].into_iter().for_each(walk),
            _ => {}
        }
    }
    (!all).then_some(names)
}

fn names_of(expr: &Expr, names: &mut AHashSet<String>, all: &mut bool) {
    let mut walk = |expr: &Expr| names_of(expr, names, all);
    match expr {
        Expr::Star(_) => *all = true,
        Expr::Column(_, name) => drop(names.insert(name.clone())),
        Expr::Negate(a) | Expr::Not(a) | Expr::IsNull(a, _) | Expr::Cast(a, _) => walk(a),
        Expr::Binary(_, a, b) => [a, b].into_iter().for_each(|expr| walk(expr)),
        Expr::Between(a, b, c, _) => [a, b, c].into_iter().for_each(|expr| walk(expr)),
        Expr::In(a, list, _) => {
            walk(a);
            list.iter().for_each(walk);
        }
        // `count(*)` needs no column.
        Expr::Call(name, list) if name == "count" && list == &[Expr::Star(None)] => {}
        Expr::Call(_, list) => list.iter().for_each(walk),
        Expr::Case(subject, arms, otherwise) => {
            subject.iter().chain(otherwise).for_each(|expr| walk(expr));
            for (when, then) in arms {
                walk(when);
                walk(then);
            }
        }
        _ => {}
    }
}

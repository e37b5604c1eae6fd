//! INTERP: values at even steps of time, between those that were written.
//!
//! Method: each step becomes a row of its own, with the values there in columns of their own; the
//! select list is bound to these rows as to any others.

use super::source;
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Expr, Fill, Grid, Item, Order, Select};
use crate::query::tables::convert::{Clock, key, literal, number, store};
use crate::query::tables::expr::bind::Binder;
use crate::query::tables::expr::{Env, Typed, eval, holds};
use crate::query::tables::relation::RelationColumn;
use crate::query::tables::select::{Out, expand, output, rows};
use crate::query::tables::{Field, Rows, Scope, World, codes, time};
use ahash::AHashMap;

/// Steps of a range.
const STEPS_MAX: usize = 5_000_000;
/// The time of a step, and whether its value was made.
const TIME: &str = "_irowts";
const FILLED: &str = "_isfilled";

/// What INTERP is asked for, and whether nulls are passed over.
type Wanted = (Typed, bool);

/// Runs a select with RANGE.
pub(in crate::query::tables::select) fn run(
    world: &mut World<'_>,
    select: &Select,
    grid: &Grid,
    order: &[Order],
) -> Result<(Rows, Vec<Out>), Wrong> {
    let mut relation = source(world, select, order)?;
    rows::hold(&mut relation, world)?;
    let time = relation.time.ok_or_else(|| codes::unsupported("range"))?;
    let scope = Scope::of(world, relation.precision);
    let clock = scope.clock;
    let mut items = expand(&select.items, &relation.columns)?;
    let mut order = order.to_vec();
    let mut wanted: Vec<Vec<Expr>> = Vec::new();
    let exprs = items.iter_mut().map(|item| &mut item.expr);
    exprs.chain(order.iter_mut().map(|by| &mut by.expr)).for_each(|e| replace(e, &mut wanted));
    let columns = std::mem::take(&mut relation.columns);
    let mut binder = scope.binder(&columns);
    let mut values = Vec::with_capacity(wanted.len());
    for arguments in &wanted {
        let [value, ..] = arguments.as_slice() else { return Err(codes::argument_count()) };
        if arguments.len() > 2 {
            return Err(codes::argument_count());
        }
        values.push((binder.bind(value)?, arguments.get(1) == Some(&Expr::Int(1))));
    }
    let filter = select.filter.as_ref().map(|filter| binder.bind(filter)).transpose()?;
    let keys: Vec<Typed> =
        select.partition.iter().map(|item| binder.bind(&item.expr)).collect::<Result<_, _>>()?;
    if let Some(filter) = filter {
        relation.rows.retain(|row| holds(&filter.node, &Env::row(row, &clock)));
    }
    let steps = steps(&mut binder, grid)?;
    let wide = widened(&columns, &values);
    let mut slices: Vec<Vec<Vec<Cell>>> = Vec::new();
    let mut places: AHashMap<Vec<u8>, usize> = AHashMap::new();
    for row in std::mem::take(&mut relation.rows) {
        let mut bytes = Vec::new();
        keys.iter().for_each(|k| key(&eval(&k.node, &Env::row(&row, &clock)), &mut bytes));
        let place = *places.entry(bytes).or_insert(slices.len());
        match slices.get_mut(place) {
            Some(slice) => slice.push(row),
            None => slices.push(vec![row]),
        }
    }
    let mut rows: Vec<(usize, Vec<Cell>)> = Vec::new();
    for (at, slice) in slices.iter().enumerate() {
        world.check()?;
        let made = fill(slice, (time, &values), &steps, &grid.fill, &clock)?;
        rows.extend(made.into_iter().map(|row| (at, row)));
    }
    finish(world, (&items, &order), &wide, rows, &clock)
}

/// Puts columns in the place of calls of INTERP.
fn replace(expr: &mut Expr, wanted: &mut Vec<Vec<Expr>>) {
    match expr {
        Expr::Call(name, arguments) if name == "interp" => {
            let at = wanted.iter().position(|known| known == arguments).unwrap_or(wanted.len());
            if at == wanted.len() {
                wanted.push(std::mem::take(arguments));
            }
            *expr = Expr::Column(None, format!("#{at}"));
        }
        Expr::Negate(a) | Expr::Not(a) | Expr::IsNull(a, _) | Expr::Cast(a, _) => {
            replace(a, wanted);
        }
        Expr::Binary(_, a, b) => [a, b].into_iter().for_each(|expr| replace(expr, wanted)),
        Expr::Call(_, list) => list.iter_mut().for_each(|expr| replace(expr, wanted)),
        _ => {}
    }
}

/// Columns of the steps: time, whether filled, the values, then those of the table.
fn widened(columns: &[RelationColumn], values: &[Wanted]) -> Vec<RelationColumn> {
    let column = |name: &str, kind| RelationColumn {
        table: None,
        name: name.into(),
        kind,
        shown: false,
        tag: false,
    };
    let mut list = vec![column(TIME, Kind::Timestamp), column(FILLED, Kind::Bool)];
    list.extend(values.iter().enumerate().map(|(at, (v, _))| column(&format!("#{at}"), v.kind)));
    list.extend_from_slice(columns);
    list
}

/// The times of the steps.
fn steps(binder: &mut Binder<'_>, grid: &Grid) -> Result<Vec<i64>, Wrong> {
    let clock = *binder.clock;
    let mut time_of = |expr: &Expr| {
        let node = binder.bind(expr)?.node;
        let cell = eval(&node, &Env::row(&[], &clock));
        match store(cell, Kind::Timestamp, &clock)? {
            Cell::Int(at) => Ok(at),
            _ => Err(codes::bad_value()),
        }
    };
    let from = time_of(&grid.from)?;
    let to = grid.to.as_ref().map_or(Ok(from), &mut time_of)?;
    let Some(every) = grid.every else {
        // One moment needs no step.
        return if from == to { Ok(vec![from]) } else { Err(codes::unsupported("every")) };
    };
    let length = time::units(every, clock.precision).filter(|length| *length > 0);
    let length = length.ok_or_else(|| codes::unsupported("every"))?;
    if to.saturating_sub(from) / length > STEPS_MAX as i64 {
        return Err(codes::no_range());
    }
    let mut list = Vec::new();
    let mut next = Some(from);
    while let Some(at) = next.filter(|at| *at <= to) {
        list.push(at);
        next = at.checked_add(length);
    }
    Ok(list)
}

/// The rows of a slice at all steps.
fn fill(
    slice: &[Vec<Cell>],
    (time, values): (usize, &[Wanted]),
    steps: &[i64],
    fill: &Fill,
    clock: &Clock,
) -> Result<Vec<Vec<Cell>>, Wrong> {
    let at = |row: &Vec<Cell>| match row.get(time) {
        Some(Cell::Int(at)) => *at,
        _ => 0,
    };
    // Of each value the rows that count.
    let known: Vec<Vec<(i64, Cell)>> = values
        .iter()
        .map(|(value, no_nulls)| {
            let all = slice.iter().map(|row| (at(row), eval(&value.node, &Env::row(row, clock))));
            all.filter(|(_, cell)| !no_nulls || !cell.is_null()).collect()
        })
        .collect();
    let Some(first) = slice.first() else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for step in steps {
        let mut cells = vec![Cell::Int(*step), Cell::Bool(true)];
        let mut exact = false;
        let mut is_there = true;
        for (index, (list, (value, _))) in known.iter().zip(values).enumerate() {
            let after = list.partition_point(|(at, _)| at < step);
            let next = list.get(after);
            if let Some((_, cell)) = next.filter(|(at, _)| at == step) {
                exact = true;
                cells.push(cell.clone());
                continue;
            }
            let before = after.checked_sub(1).and_then(|at| list.get(at));
            let made = between(fill, (before, next), *step, (index, value.kind), clock)?;
            is_there &= made.is_some();
            cells.push(made.unwrap_or_default());
        }
        if let Some(filled) = cells.get_mut(1) {
            *filled = Cell::Bool(!exact);
        }
        if is_there {
            cells.extend_from_slice(first);
            rows.push(cells);
        }
    }
    Ok(rows)
}

/// A time with the value there, if there is one.
type Known<'a> = Option<&'a (i64, Cell)>;

/// The value at a step without one; `None`: the step is left out.
fn between(
    fill: &Fill,
    (before, after): (Known<'_>, Known<'_>),
    step: i64,
    (index, kind): (usize, Kind),
    clock: &Clock,
) -> Result<Option<Cell>, Wrong> {
    let cell = |known: Known<'_>| known.map(|(_, cell)| cell.clone());
    Ok(match fill {
        Fill::None => None,
        Fill::Null | Fill::NullForced => Some(Cell::Null),
        Fill::Value(list, _) => {
            let expr = list.get(index).or(list.last());
            Some(literal(expr.ok_or_else(|| codes::unsupported("fill"))?, kind, clock)?)
        }
        Fill::Previous => cell(before),
        Fill::Next => cell(after),
        Fill::Near => match (before, after) {
            (Some((a, _)), Some((b, _))) if b - step < step - a => cell(after),
            (Some(_), _) => cell(before),
            _ => cell(after),
        },
        Fill::Linear => before.zip(after).map(|((a, low), (b, high))| {
            let (Some(low), Some(high), true) = (number(low), number(high), kind.is_numeric())
            else {
                return Cell::Null;
            };
            let value = low + (high - low) * (step - a) as f64 / (b - a) as f64;
            store(Cell::Double(value), kind, clock).unwrap_or_default()
        }),
    })
}

/// The select list over the steps.
fn finish(
    world: &World<'_>,
    (items, order): (&[Item], &[Order]),
    columns: &[RelationColumn],
    rows: Vec<(usize, Vec<Cell>)>,
    clock: &Clock,
) -> Result<(Rows, Vec<Out>), Wrong> {
    let mut binder = Binder {
        columns,
        clock,
        about: &world.about,
        parameters: &world.parameters,
        aggregates: None,
        windows: false,
    };
    let mut fields = Vec::with_capacity(items.len());
    let mut bound = Vec::with_capacity(items.len());
    for item in items {
        let typed = binder.shown(&item.expr)?;
        fields.push(Field { name: item.name.clone(), kind: typed.kind });
        bound.push(typed.node);
    }
    let mut by = Vec::with_capacity(order.len());
    for one in order {
        let place = output(&one.expr, &fields);
        by.push(match place.and_then(|at| bound.get(at)) {
            Some(node) => node.clone(),
            None => binder.bind(&one.expr)?.node,
        });
    }
    let out = |(slice, row): (usize, Vec<Cell>)| {
        let env = Env::row(&row, clock);
        let cells = bound.iter().map(|node| eval(node, &env)).collect();
        Out { slice, cells, order: by.iter().map(|node| eval(node, &env)).collect() }
    };
    let out = rows.into_iter().map(out).collect();
    Ok((Rows { fields, rows: Vec::new(), precision: clock.precision }, out))
}

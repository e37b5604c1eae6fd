//! Rows of output that stand for one row of the table each, and how sheets become rows.
//!
//! Cost: with a LIMIT, and ORDER BY if there is one, only as many rows are kept as can be shown
//! (twice as many while they are collected); without, all, up to [`BYTES_MAX`].

use super::scan::Scan;
use super::{Out, Plan, fold, groups, sort};
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Order;
use crate::query::tables::World;
use crate::query::tables::codes;
use crate::query::tables::expr::{Env, Node, eval, holds};
use crate::query::tables::relation::Relation;

/// Bytes that the rows of one query may take, about.
const BYTES_MAX: usize = 1 << 30;
/// Rows between two looks whether to go on.
const ROWS_A_CHECK: usize = 4096;
/// Rows collected beyond those that can be shown before they are sorted.
const SPARE: usize = 1024;

/// How many rows can be shown at most, and in which order; empty: as they come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Top<'q> {
    pub count: usize,
    pub order: &'q [Order],
}

/// Counts what a query holds, and asks from time to time whether to go on.
struct Meter<'w, 'a> {
    world: &'w mut World<'a>,
    bytes: usize,
    seen: usize,
}

impl Meter<'_, '_> {
    fn look(&mut self) -> Result<(), Wrong> {
        self.seen += 1;
        if self.seen.is_multiple_of(ROWS_A_CHECK) {
            self.world.check()?;
        }
        Ok(())
    }

    fn hold(&mut self, cells: usize) -> Result<(), Wrong> {
        self.bytes += (cells + 2) * size_of::<Cell>();
        if self.bytes > BYTES_MAX { Err(codes::too_much_memory()) } else { Ok(()) }
    }
}

fn out(plan: &Plan, slice: usize, row: &[Cell]) -> Out {
    let env = Env { range: plan.range, ..Env::row(row, &plan.clock) };
    let cells = plan.items.iter().map(|item| eval(&item.node, &env)).collect();
    let order = plan.order.iter().map(|node| eval(node, &env)).collect();
    Out { slice, cells, order }
}

/// The output of rows that are at hand.
pub(super) fn of_rows(
    plan: &Plan,
    relation: &Relation,
    world: &mut World<'_>,
) -> Result<Vec<Out>, Wrong> {
    if plan.grouped {
        return groups::run(plan, relation, world);
    }
    let mut list = Vec::new();
    for (slice, rows) in groups::slices(plan, relation).into_iter().enumerate() {
        let rows = rows.into_iter().filter_map(|at| relation.rows.get(at));
        list.extend(rows.map(|row| out(plan, slice, row)));
    }
    Ok(list)
}

/// The output of sheets. `filter`: what rows must satisfy beyond the bounds of time.
pub(super) fn of_scan(
    plan: &Plan,
    scan: &Scan,
    filter: Option<&Node>,
    relation: &mut Relation,
    world: &mut World<'_>,
    top: Option<Top<'_>>,
) -> Result<Vec<Out>, Wrong> {
    if plan.grouped && fold::can(plan) {
        let list = fold::run(plan, scan, filter, world)?;
        // What stands for nothing at all is decided where there are no rows.
        return if list.is_empty() { of_rows(plan, relation, world) } else { Ok(list) };
    }
    let mut meter = Meter { world, bytes: 0, seen: 0 };
    let passes =
        |row: &[Cell]| filter.is_none_or(|filter| holds(filter, &Env::row(row, &plan.clock)));
    if plan.grouped || !plan.keys.is_empty() {
        scan.each(plan.range, &mut |row| {
            meter.look()?;
            if passes(row) {
                meter.hold(row.len())?;
                relation.rows.push(row.to_vec());
            }
            Ok(true)
        })?;
        return of_rows(plan, relation, world);
    }
    let mut list: Vec<Out> = Vec::new();
    scan.each(plan.range, &mut |row| {
        meter.look()?;
        if !passes(row) {
            return Ok(true);
        }
        if top.is_none() {
            meter.hold(plan.items.len() + plan.order.len())?;
        }
        list.push(out(plan, 0, row));
        let Some(top) = top else { return Ok(true) };
        if top.order.is_empty() {
            return Ok(list.len() < top.count);
        }
        if list.len() >= top.count * 2 + SPARE {
            sort(&mut list, top.order);
            list.truncate(top.count);
        }
        Ok(true)
    })?;
    Ok(list)
}

//! Rows of output that stand for one row of the table each, and how sheets become rows.
//!
//! Cost: with a LIMIT, and ORDER BY if there is one, only as many rows are kept as can be shown
//! (twice as many while they are collected); without, all, up to [`BYTES_MAX`].

use super::scan::{Part, Scan};
use super::{Out, Plan, bound, compare, fold, groups};
use crate::model::table::ColumnId;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Binary, Order};
use crate::query::tables::World;
use crate::query::tables::codes;
use crate::query::tables::convert::number;
use crate::query::tables::expr::{Env, Node, eval, holds};
use crate::query::tables::relation::Relation;
use crate::query::tables::store::Values;
use std::cmp::Ordering;

/// Bytes that the rows of one query may take, about.
const BYTES_MAX: usize = 1 << 30;
/// Integers below are told apart as doubles.
const WHOLE: f64 = 9_007_199_254_740_992.0;
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
pub(super) struct Meter<'w, 'a> {
    world: &'w mut World<'a>,
    bytes: usize,
    seen: usize,
}

impl<'w, 'a> Meter<'w, 'a> {
    pub fn new(world: &'w mut World<'a>) -> Self {
        Self { world, bytes: 0, seen: 0 }
    }

    pub fn check(&mut self) -> Result<(), Wrong> {
        self.world.check()
    }

    fn look(&mut self) -> Result<(), Wrong> {
        self.seen += 1;
        if self.seen.is_multiple_of(ROWS_A_CHECK) {
            self.world.check()?;
        }
        Ok(())
    }

    pub fn hold(&mut self, cells: usize) -> Result<(), Wrong> {
        self.bytes += (cells + 2) * size_of::<Cell>();
        if self.bytes > BYTES_MAX { Err(codes::too_much_memory()) } else { Ok(()) }
    }
}

/// Makes rows of what is still in sheets.
pub(super) fn hold(relation: &mut Relation, world: &mut World<'_>) -> Result<(), Wrong> {
    let Some(scan) = relation.scan.take() else { return Ok(()) };
    let mut meter = Meter::new(world);
    scan.each((None, None), &mut |row| {
        meter.look()?;
        meter.hold(row.len())?;
        relation.rows.push(row.to_vec());
        Ok(true)
    })
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

/// The output of sheets. `filter`: what rows must satisfy.
pub(super) fn of_scan(
    plan: &Plan,
    mut scan: Scan,
    filter: Option<&Node>,
    relation: &mut Relation,
    world: &mut World<'_>,
    top: Option<Top<'_>>,
) -> Result<Vec<Out>, Wrong> {
    let filter = prune(&mut scan, filter, plan);
    let (scan, filter) = (&scan, filter.as_ref());
    if plan.grouped && fold::can(plan) {
        let list = fold::run(plan, scan, filter, relation.time.unwrap_or(0), world)?;
        // What stands for nothing at all is decided where there are no rows.
        return if list.is_empty() { of_rows(plan, relation, world) } else { Ok(list) };
    }
    let mut meter = Meter::new(world);
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
    if let Some(top) = top.filter(|top| !top.order.is_empty()) {
        return best(plan, scan, &passes, &mut meter, top);
    }
    let mut list: Vec<Out> = Vec::new();
    scan.each(plan.range, &mut |row| {
        meter.look()?;
        if !passes(row) {
            return Ok(true);
        }
        meter.hold(plan.items.len() + plan.order.len())?;
        list.push(out(plan, 0, row));
        Ok(top.is_none_or(|top| list.len() < top.count))
    })?;
    Ok(list)
}

/// A row's place: time, part, row.
type Place = (i64, usize, usize);

/// Whether a row may be among the first, by one look at the column that it is sorted by.
fn may_lead(
    part: &Part,
    column: Option<ColumnId>,
    (last, behind): (&Cell, Place),
    place: Place,
    descending: bool,
) -> bool {
    let (time, _, at) = place;
    let order = match column {
        None => Cell::Int(time),
        Some(id) => part.sheet.column(id).map(|values| values.get(at)).unwrap_or_default(),
    };
    let found = match (&order, last) {
        (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
        (Cell::Double(a), Cell::Double(b)) => a.total_cmp(b),
        _ => return true,
    };
    let found = if descending { found.reverse() } else { found };
    found.then_with(|| place.cmp(&behind)).is_lt()
}

/// How the value of a part that comes first by this column compares with the last that is shown, as
/// far as the bounds of the column tell.
fn nearest(part: &Part, id: ColumnId, last: &Cell, descending: bool) -> Option<Ordering> {
    let (Values::Ints(_, marks) | Values::Doubles(_, marks)) = part.sheet.column(id)? else {
        return None;
    };
    let last = number(last)?;
    let (low, high) = marks.bounds();
    if !marks.has_no_nulls()
        || matches!(part.sheet.column(id), Some(Values::Ints(..))) && last.abs() >= WHOLE
    {
        return None;
    }
    if descending { last.partial_cmp(&high) } else { low.partial_cmp(&last) }
}

/// The first rows in an order of values: each part by itself, since rows that are equal in it are
/// told apart by their places. Sorted by time alone, a part ends with its first row that is too
/// late.
fn best(
    plan: &Plan,
    scan: &Scan,
    passes: &dyn Fn(&[Cell]) -> bool,
    meter: &mut Meter<'_, '_>,
    top: Top<'_>,
) -> Result<Vec<Out>, Wrong> {
    let mut list: Vec<(Out, Place)> = Vec::new();
    let by = |(a, at): &(Out, Place), (b, other): &(Out, Place)| {
        compare(&a.order, &b.order, top.order).then_with(|| at.cmp(other))
    };
    let (key, descending) = match (plan.order.as_slice(), top.order) {
        ([Node::Column(index)], [order]) if *index <= scan.ids.len() => {
            (Some(index.checked_sub(1).and_then(|at| scan.ids.get(at)).copied()), order.descending)
        }
        _ => (None, false),
    };
    let by_time = key == Some(None);
    // What a row must come before, once there are enough.
    let mut last: Option<(Cell, Place)> = None;
    for (number, part) in scan.parts.iter().enumerate() {
        let mut row = scan.blank(part);
        let mut times = plan.range;
        if let (Some(Some(id)), Some((cell, behind))) = (key, &last) {
            match nearest(part, id, cell, descending) {
                Some(Ordering::Greater) => continue,
                // Only what is equal and earlier goes before.
                Some(Ordering::Equal) => {
                    times.1 = Some(times.1.map_or(behind.0, |to| to.min(behind.0)));
                }
                _ => {}
            }
        }
        let rows = part.within(times);
        let count = rows.len();
        for step in 0..count {
            let at = if by_time && descending { rows.end - 1 - step } else { rows.start + step };
            meter.look()?;
            let place = (part.sheet.times.get(at).copied().unwrap_or(0), number, at);
            if let (Some(column), Some((cell, behind))) = (key, &last)
                && !may_lead(part, column, (cell, *behind), place, descending)
            {
                if by_time {
                    break;
                }
                continue;
            }
            scan.load(part, at, &mut row);
            if !passes(&row) {
                continue;
            }
            list.push((out(plan, 0, &row), place));
            if list.len() >= top.count * 2 + SPARE {
                list.sort_unstable_by(by);
                list.truncate(top.count);
                let first =
                    |(out, place): &(Out, Place)| Some((out.order.first()?.clone(), *place));
                last = list.last().and_then(first);
            }
        }
        if top.count == 0 {
            break;
        }
    }
    list.sort_unstable_by(by);
    list.truncate(top.count);
    Ok(list.into_iter().map(|(out, _)| out).collect())
}

/// Leaves out the parts whose tags do not satisfy the condition; gives what is left of it, without
/// the bounds of the time, which the plan has.
pub(super) fn prune(scan: &mut Scan, filter: Option<&Node>, plan: &Plan) -> Option<Node> {
    let (mut all, mut of_rows, mut of_tags) = (Vec::from_iter(filter), Vec::new(), Vec::new());
    while let Some(node) = all.pop() {
        if let Node::Binary(Binary::And, left, right) = node {
            all.extend([&**right, &**left]);
            continue;
        }
        if bound(node, 0, &plan.clock).is_some() {
            continue;
        }
        let mut columns = Vec::new();
        groups::columns_of(node, &mut columns);
        let tags = columns.iter().all(|index| *index > scan.ids.len());
        if tags { of_tags.push(node) } else { of_rows.push(node) }
    }
    if !of_tags.is_empty() {
        let parts = std::mem::take(&mut scan.parts);
        let holds = |part: &Part| {
            let row = scan.blank(part);
            of_tags.iter().all(|node| holds(node, &Env::row(&row, &plan.clock)))
        };
        scan.parts = parts.into_iter().filter(holds).collect();
    }
    let and = |left: Node, right: &Node| {
        Node::Binary(Binary::And, Box::new(left), Box::new(right.clone()))
    };
    let (first, rest) = of_rows.split_first()?;
    Some(rest.iter().fold((*first).clone(), |left, right| and(left, right)))
}

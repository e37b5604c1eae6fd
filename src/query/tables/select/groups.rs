//! Slices, windows and their aggregates.

use super::aggregate::{Function, Outcome};
use super::window::{self, Cut, Filling, Span};
use super::{Out, Plan};
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Expr, Fill};
use crate::query::tables::convert::{key, literal};
use crate::query::tables::expr::{Env, Node, eval, holds};
use crate::query::tables::relation::{Relation, RelationColumn};
use crate::query::tables::{World, codes};
use ahash::AHashMap;
use std::collections::BTreeMap;

/// The rows of each slice, slices by their first row.
pub(super) fn slices(plan: &Plan, relation: &Relation) -> Vec<Vec<usize>> {
    if plan.keys.is_empty() {
        return vec![(0..relation.rows.len()).collect()];
    }
    let mut places: AHashMap<Vec<u8>, usize> = AHashMap::new();
    let mut list: Vec<Vec<usize>> = Vec::new();
    for (at, row) in relation.rows.iter().enumerate() {
        let mut bytes = Vec::new();
        let env = Env::row(row, &plan.clock);
        plan.keys.iter().for_each(|node| key(&eval(node, &env), &mut bytes));
        let place = *places.entry(bytes).or_insert(list.len());
        match list.get_mut(place) {
            Some(slice) => slice.push(at),
            None => list.push(vec![at]),
        }
    }
    list
}

/// The columns that an expression names.
pub(super) fn columns_of(node: &Node, list: &mut Vec<usize>) {
    loose_columns(node, &Keys::default(), list);
}

/// What rows of a group have in common.
#[derive(Debug, Default)]
struct Keys {
    columns: Vec<usize>,
    /// Expressions, as they are shown for debugging.
    whole: Vec<String>,
}

/// What is left of a text that is expected.
struct Rest<'a>(&'a str);

impl std::fmt::Write for Rest<'_> {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        self.0 = self.0.strip_prefix(part).ok_or(std::fmt::Error)?;
        Ok(())
    }
}

/// Whether an expression is shown as this; costs no more than what both have in common.
fn is_shown(text: &str, node: &Node) -> bool {
    let mut rest = Rest(text);
    std::fmt::write(&mut rest, format_args!("{node:?}")).is_ok() && rest.0.is_empty()
}

/// Columns that stand outside of aggregates and of what is a key as a whole.
fn loose_columns(node: &Node, keys: &Keys, list: &mut Vec<usize>) {
    if keys.whole.iter().any(|key| is_shown(key, node)) {
        return;
    }
    let mut walk = |node: &Node| loose_columns(node, keys, list);
    match node {
        Node::Column(index) if !keys.columns.contains(index) => list.push(*index),
        Node::Negate(a) | Node::Not(a) | Node::IsNull(a, _) | Node::Move(a, ..) => walk(a),
        Node::Matches(a, ..) | Node::Cast(a, _) => walk(a),
        Node::Binary(_, a, b) => {
            walk(a);
            walk(b);
        }
        Node::In(a, list, _) => {
            walk(a);
            list.iter().for_each(walk);
        }
        Node::Call(_, list) => list.iter().for_each(walk),
        Node::Case(arms, otherwise) => {
            for (when, then) in arms {
                walk(when);
                walk(then);
            }
            walk(otherwise);
        }
        _ => {}
    }
}

/// Columns beside aggregates must be keys, or come from the row that the one function chose.
pub(super) fn check(plan: &Plan, columns: &[RelationColumn]) -> Result<(), Wrong> {
    let mut keys = Keys::default();
    let state = match &plan.cut {
        Some(Cut::State(state)) => Some(state),
        _ => None,
    };
    for node in plan.keys.iter().chain(state) {
        if let Node::Column(index) = node {
            keys.columns.push(*index);
            // A subtable has one value for each tag.
            if columns.get(*index).is_some_and(|column| &*column.name == "tbname") {
                let tags = columns.iter().enumerate().filter(|(_, column)| column.tag);
                keys.columns.extend(tags.map(|(index, _)| index));
            }
        } else {
            keys.whole.push(format!("{node:?}"));
        }
    }
    let mut loose = Vec::new();
    for item in &plan.items {
        loose_columns(&item.node, &keys, &mut loose);
    }
    let choosing = plan.aggregates.iter().filter(|a| a.function.chooses()).count();
    let row_by_row = plan.aggregates.iter().all(|a| a.function.is_row_by_row());
    if loose.is_empty() || (choosing == 1 && plan.aggregates.len() == 1) || row_by_row {
        return Ok(());
    }
    let name = loose.first().and_then(|index| columns.get(*index));
    Err(codes::unsupported(name.map_or("", |column| &column.name)))
}

/// The rows of a query with groups.
pub(super) fn run(
    plan: &Plan,
    relation: &Relation,
    world: &mut World<'_>,
) -> Result<Vec<Out>, Wrong> {
    let mut out = Vec::new();
    let time = relation.time.unwrap_or(0);
    let mut slices = slices(plan, relation);
    slices.retain(|list| !list.is_empty());
    if slices.is_empty() {
        let counts = |f: Function| matches!(f, Function::Count | Function::Distinct);
        let one = plan.aggregates.iter().any(|a| counts(a.function));
        let forced = matches!(plan.fill, Some(Fill::NullForced | Fill::Value(_, true)));
        if plan.keys.is_empty() && ((plan.cut.is_none() && one) || forced) {
            slices.push(Vec::new());
        }
    }
    for (slice, list) in slices.iter().enumerate() {
        world.check()?;
        let first = list.first().and_then(|at| relation.rows.get(*at));
        let first = first.map_or(&[] as &[Cell], Vec::as_slice);
        let Some(cut) = &plan.cut else {
            let span = Span { start: 0, end: 0, rows: list.clone() };
            group(plan, relation, slice, first, &span, &mut out);
            continue;
        };
        let spans = window::cut(cut, &relation.rows, list, time, &plan.clock);
        match &plan.fill {
            Some(fill) => filled(plan, relation, (slice, first), (cut, fill), spans, &mut out)?,
            None => spans.iter().for_each(|span| {
                group(plan, relation, slice, first, span, &mut out);
            }),
        }
    }
    Ok(out)
}

/// The output of one group.
fn group(
    plan: &Plan,
    relation: &Relation,
    slice: usize,
    first: &[Cell],
    span: &Span,
    out: &mut Vec<Out>,
) {
    let outcomes: Vec<Outcome> = plan
        .aggregates
        .iter()
        .map(|aggregate| aggregate.run(&relation.rows, &span.rows, &plan.clock))
        .collect();
    let count = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Many(list) => Some(list.len()),
        Outcome::One(..) => None,
    });
    let first =
        span.rows.first().and_then(|at| relation.rows.get(*at)).map_or(first, Vec::as_slice);
    for index in 0..count.unwrap_or(1) {
        let mut row = first;
        let mut cells = Vec::with_capacity(outcomes.len());
        for outcome in &outcomes {
            let (cell, from) = match outcome {
                Outcome::One(cell, from) => (cell.clone(), *from),
                Outcome::Many(list) => match list.get(index) {
                    Some((at, cell)) => (cell.clone(), Some(*at)),
                    None => (Cell::Null, None),
                },
            };
            if let Some(chosen) = from.and_then(|at| relation.rows.get(at)) {
                row = chosen;
            }
            cells.push(cell);
        }
        emit(plan, slice, row, &cells, (span.start, span.end), out);
    }
}

/// One row of output, unless HAVING leaves it out.
pub(super) fn emit(
    plan: &Plan,
    slice: usize,
    row: &[Cell],
    aggregates: &[Cell],
    window: (i64, i64),
    out: &mut Vec<Out>,
) {
    let env = Env { row, aggregates, window, range: plan.range, clock: &plan.clock };
    if plan.having.as_ref().is_some_and(|having| !holds(having, &env)) {
        return;
    }
    let cells = plan.items.iter().map(|item| eval(&item.node, &env)).collect();
    let order = plan.order.iter().map(|node| eval(node, &env)).collect();
    out.push(Out { slice, cells, order });
}

/// All windows of the range, those without rows filled.
fn filled(
    plan: &Plan,
    relation: &Relation,
    (slice, first): (usize, &[Cell]),
    (cut, fill): (&Cut, &Fill),
    spans: Vec<Span>,
    out: &mut Vec<Out>,
) -> Result<(), Wrong> {
    let (Some(from), Some(to)) = plan.range else { return Err(codes::no_range()) };
    let mut all: BTreeMap<i64, Span> = BTreeMap::new();
    for span in window::all_between(cut, from, to, &plan.clock)?.into_iter().chain(spans) {
        all.insert(span.start, span);
    }
    let spans: Vec<Span> = all.into_values().collect();
    let starts: Vec<i64> = spans.iter().map(|span| span.start).collect();
    let filling = match fill {
        Fill::Value(list, _) => Filling::Values(values(plan, list)?),
        Fill::Previous => Filling::Previous,
        Fill::Next => Filling::Next,
        Fill::Linear => Filling::Linear,
        Fill::Near => Filling::Near,
        Fill::None | Fill::Null | Fill::NullForced => Filling::Null,
    };
    let mut columns = Vec::with_capacity(plan.aggregates.len());
    for (place, aggregate) in plan.aggregates.iter().enumerate() {
        let value = |span: &Span| {
            if span.rows.is_empty() {
                return None;
            }
            match aggregate.run(&relation.rows, &span.rows, &plan.clock) {
                Outcome::One(cell, _) => Some(cell),
                Outcome::Many(list) => list.into_iter().next().map(|(_, cell)| cell),
            }
        };
        let list: Vec<Option<Cell>> = spans.iter().map(value).collect();
        columns.push(window::fill(&filling, place, aggregate.kind, &starts, &list, &plan.clock));
    }
    for (index, span) in spans.iter().enumerate() {
        let cell = |column: &Vec<Cell>| column.get(index).cloned().unwrap_or_default();
        let cells: Vec<Cell> = columns.iter().map(cell).collect();
        emit(plan, slice, first, &cells, (span.start, span.end), out);
    }
    Ok(())
}

/// The constants of FILL(VALUE, ..), in the order of the aggregates.
fn values(plan: &Plan, list: &[Expr]) -> Result<Vec<Cell>, Wrong> {
    if list.len() < plan.aggregates.len() {
        return Err(codes::unsupported("fill"));
    }
    let pairs = plan.aggregates.iter().zip(list);
    pairs.map(|(aggregate, expr)| literal(expr, aggregate.kind, &plan.clock)).collect()
}

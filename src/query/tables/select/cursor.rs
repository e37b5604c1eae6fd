//! A result that is made as it is read: a plain scan of one table, with its position.
//!
//! Method: the sheets as of the query are held, and how far the walk over them is; each step gives
//! some rows, column by column, and may be taken on any thread. Columns that are shown as they
//! stand are copied run by run; rows are made only for a condition or an expression, of the columns
//! that it names. Cost of rows that are shown as they stand: about 10 ns for each where parts have
//! times of their own, 60 more where every row comes from another part.
//!
//! Invariant: the rows are those that the same query gives when it is run to its end at once.

use super::predicate::{self, Predicate, predicates};
use super::scan::{Part, Scan, Walk};
use super::{Plan, groups, rows};
use crate::model::table::Precision;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Limit;
use crate::query::tables::expr::{Env, Node, eval, holds};
use crate::query::tables::store::{Columns, Values};
use crate::query::tables::{Field, Rows, World};
use std::ops::Range;

/// Rows that are looked at between two questions whether to go on.
const ROWS_A_LOOK: usize = 4096;
/// Rows of a run from which it is tested column by column.
const RUN_MIN: usize = 16;

/// See the module's page.
#[derive(Debug)]
pub struct Cursor {
    /// Its columns.
    pub fields: Vec<Field>,
    /// What its times count.
    pub precision: Precision,
    plan: Plan,
    scan: Scan,
    walk: Walk,
    filter: Option<Filter>,
    /// Columns of a row that expressions of the list name.
    named: Vec<usize>,
    /// A row, as far as it was needed.
    row: Vec<Cell>,
    /// Rows that were found before a pause.
    found: Vec<Run>,
    /// Rows that are still to be passed over.
    skip: u64,
    /// Rows that are still to be shown at most.
    left: u64,
}

/// What rows must satisfy.
#[derive(Debug)]
struct Filter {
    node: Node,
    /// The columns that it names.
    named: Vec<usize>,
    /// The same as tests of columns, if it is no more than that.
    tests: Option<Vec<Predicate>>,
}

/// What a step came to.
#[derive(Debug)]
pub enum Step {
    /// Rows; there may be more.
    Some(Columns),
    /// Not as many as are wanted so far: it was asked to pause.
    Pause,
    /// There are no more.
    End,
}

/// Rows of one part.
type Run = (usize, Range<usize>);

impl Cursor {
    /// Begins; `filter`: what rows must satisfy.
    pub(super) fn new(
        fields: Vec<Field>,
        plan: Plan,
        mut scan: Scan,
        filter: Option<&Node>,
        limit: Limit,
    ) -> Self {
        let filter = rows::prune(&mut scan, filter, &plan).map(|node| {
            let mut named = Vec::new();
            groups::columns_of(&node, &mut named);
            let tests = predicates(&node, &scan, &|_| false);
            Filter { node, named, tests }
        });
        let mut named = Vec::new();
        let made = plan.items.iter().filter(|item| !matches!(item.node, Node::Column(_)));
        made.for_each(|item| groups::columns_of(&item.node, &mut named));
        let walk = scan.walk(plan.range);
        let (skip, left) = (limit.offset, limit.count.unwrap_or(u64::MAX));
        let precision = plan.clock.precision;
        let row = scan.parts.first().map(|part| scan.blank(part)).unwrap_or_default();
        let found = Vec::new();
        Self { fields, precision, plan, scan, walk, filter, named, row, found, skip, left }
    }

    /// The next rows: so many, fewer only at the end. `pause`: asked now and then whether to go on
    /// another time.
    pub fn next(&mut self, most: usize, pause: &mut dyn FnMut() -> bool) -> Step {
        let most = most.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut runs = std::mem::take(&mut self.found);
        let mut count: usize = runs.iter().map(|(_, run)| run.len()).sum();
        let mut seen = 0;
        while count < most {
            let Some((number, run)) = self.scan.next_run(&mut self.walk, most - count) else {
                break;
            };
            seen += run.len();
            let before = runs.len();
            self.accept(number, run, &mut runs);
            if self.skip > 0 {
                self.pass_over(before, &mut runs);
            }
            count += runs.iter().skip(before).map(|(_, run)| run.len()).sum::<usize>();
            if seen >= ROWS_A_LOOK {
                seen = 0;
                if count < most && pause() {
                    self.found = runs;
                    return Step::Pause;
                }
            }
        }
        if count == 0 {
            return Step::End;
        }
        self.left = self.left.saturating_sub(count as u64);
        Step::Some(self.show(&runs, count))
    }

    /// Adds what the condition lets through.
    fn accept(&mut self, number: usize, run: Range<usize>, runs: &mut Vec<Run>) {
        let (Some(filter), Some(part)) = (&self.filter, self.scan.parts.get(number)) else {
            return runs.push((number, run));
        };
        let before = runs.len();
        let mut add = |at: usize| match runs.get_mut(before..).and_then(<[Run]>::last_mut) {
            Some((_, last)) if last.end == at => last.end = at + 1,
            _ => runs.push((number, at..at + 1)),
        };
        match &filter.tests {
            Some(tests) if run.len() >= RUN_MIN => {
                predicate::select(tests, part, run).into_iter().for_each(add);
            }
            _ => {
                let row = &mut self.row;
                for at in run {
                    load(&self.scan, part, at, &filter.named, row);
                    if holds(&filter.node, &env(&self.plan, row)) {
                        add(at);
                    }
                }
            }
        }
    }

    /// Takes off what is to be passed over.
    fn pass_over(&mut self, from: usize, runs: &mut Vec<Run>) {
        while self.skip > 0
            && let Some((_, run)) = runs.get_mut(from)
        {
            let passed = run.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= passed as u64;
            run.start += passed;
            if run.start >= run.end {
                runs.remove(from);
            }
        }
    }

    fn show(&mut self, runs: &[Run], count: usize) -> Columns {
        let mut list: Vec<Values> = self.plan.items.iter().map(|_| Values::default()).collect();
        let width = self.scan.ids.len();
        for (item, values) in self.plan.items.iter().zip(&mut list) {
            let Node::Column(index) = item.node else { continue };
            for (number, run) in runs {
                let Some(part) = self.scan.parts.get(*number) else { continue };
                match index.checked_sub(1) {
                    None => values.append_ints(part.sheet.times.get(run.clone()).unwrap_or(&[])),
                    Some(at) => match self.scan.ids.get(at) {
                        Some(id) => values.append(part.sheet.column(*id), run.clone()),
                        None => {
                            let cell = part.tail.get(at - width).cloned().unwrap_or_default();
                            values.append_cell(&cell, run.len());
                        }
                    },
                }
            }
        }
        if self.plan.items.iter().any(|item| !matches!(item.node, Node::Column(_))) {
            self.make(runs, &mut list);
        }
        Columns { rows: count, list }
    }

    /// The columns that are more than columns of the table.
    fn make(&mut self, runs: &[Run], list: &mut [Values]) {
        let row = &mut self.row;
        for (number, run) in runs {
            let Some(part) = self.scan.parts.get(*number) else { continue };
            for at in run.clone() {
                load(&self.scan, part, at, &self.named, row);
                let env = env(&self.plan, row);
                for (item, values) in self.plan.items.iter().zip(list.iter_mut()) {
                    if !matches!(item.node, Node::Column(_)) {
                        values.append_cell(&eval(&item.node, &env), 1);
                    }
                }
            }
        }
    }

    /// All rows at once, for who needs them so.
    ///
    /// # Errors
    /// They are too many to be held, or the query must end.
    pub(super) fn collect(mut self, world: &mut World<'_>) -> Result<Rows, Wrong> {
        let mut meter = rows::Meter::new(world);
        let mut list = Vec::new();
        while let Step::Some(columns) = self.next(ROWS_A_LOOK, &mut || false) {
            meter.check()?;
            for at in 0..columns.rows {
                meter.hold(columns.list.len())?;
                list.push(columns.row(at));
            }
        }
        Ok(Rows { fields: self.fields, rows: list, precision: self.precision })
    }
}

fn env<'r>(plan: &'r Plan, row: &'r [Cell]) -> Env<'r> {
    Env { range: plan.range, ..Env::row(row, &plan.clock) }
}

/// Puts some columns of a row where they belong.
fn load(scan: &Scan, part: &Part, at: usize, named: &[usize], row: &mut [Cell]) {
    for index in named {
        let Some(slot) = row.get_mut(*index) else { continue };
        *slot = match index.checked_sub(1) {
            None => part.sheet.times.get(at).map_or(Cell::Null, |time| Cell::Int(*time)),
            Some(place) => match scan.ids.get(place) {
                Some(id) => part.sheet.column(*id).map(|v| v.get(at)).unwrap_or_default(),
                None => part.tail.get(place - scan.ids.len()).cloned().unwrap_or_default(),
            },
        };
    }
}

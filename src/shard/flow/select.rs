//! Which of many flows must look at a record: found by the equalities of their first conditions.
//!
//! Method: a flow whose first operator is `where` with a conjunct `field == constant` is filed
//! under that field and constant; one without is always looked at. Of those filed, a further
//! conjunct that compares a field with a number narrows by a sorted list. A record asks each field
//! once. Cost: one hash look-up for each filed field, then what matches. Below [`FLOWS_MIN`] flows
//! the plain way is cheaper; both give the same, because a selected flow runs its whole pipeline.

use super::Running;
use crate::model::value::{Value, canonical};
use crate::query::loose::{Binary, to_number};
use crate::query::pipeline::{Operator, Pipeline, Stage, load_columns};
use crate::query::program::{Lookups, Op, Program, Test};
use ahash::AHashMap;

/// Flows on a topic from which on it is worth it.
const FLOWS_MIN: usize = 16;

/// A range condition of a filed flow: the field, and what it must lie between.
#[derive(Debug)]
struct Filed {
    index: usize,
    /// Field of the range and its bounds, both included; none: no range.
    range: Option<(u32, f64, f64)>,
}

/// The flows filed under one constant of one field, by the lower bound of their range.
#[derive(Debug, Default)]
struct Bucket {
    list: Vec<Filed>,
}

/// Buckets by the canonical bytes of their constants.
type Buckets = AHashMap<Box<[u8]>, Bucket>;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Selector {
    stale: bool,
    usable: bool,
    /// Fields of equalities.
    fields: Vec<(String, Buckets)>,
    /// Fields of ranges.
    ranges: Vec<String>,
    /// Fields of equalities, then those of ranges.
    names: Vec<String>,
    /// Flows that look at every record.
    always: Vec<usize>,
    key: Vec<u8>,
}

/// A condition on one field.
#[derive(Debug)]
enum Conjunct {
    Equal(String, Value<'static>),
    Range(String, f64, f64),
}

impl Selector {
    /// The flows have changed.
    pub fn rebuild_later(&mut self) {
        self.stale = true;
    }

    /// Whether to ask it; brings it up to date.
    pub fn is_worth_it(&mut self, flows: &[Running]) -> bool {
        if flows.len() < FLOWS_MIN {
            return false;
        }
        if std::mem::take(&mut self.stale) {
            self.build(flows.iter().map(|running| &**running.runner.pipeline()));
        }
        self.usable
    }

    fn build<'p>(&mut self, pipelines: impl Iterator<Item = &'p Pipeline>) {
        (self.fields, self.ranges, self.always) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        for (index, pipeline) in pipelines.enumerate() {
            count += 1;
            let conjuncts = pipeline.stages.first().map(conjuncts).unwrap_or_default();
            let mut equal = None;
            let mut range = None;
            for conjunct in conjuncts {
                match conjunct {
                    Conjunct::Equal(field, value) if equal.is_none() => {
                        equal = Some((field, value));
                    }
                    Conjunct::Range(field, low, high) if range.is_none() => {
                        let number = self.ranges.iter().position(|f| *f == field);
                        let number = number.unwrap_or_else(|| {
                            self.ranges.push(field);
                            self.ranges.len() - 1
                        });
                        range = Some((number as u32, low, high));
                    }
                    _ => {}
                }
            }
            let Some((field, value)) = equal else {
                self.always.push(index);
                continue;
            };
            let mut key = Vec::new();
            canonical(&value, &mut key);
            let place = self.fields.iter().position(|(name, _)| *name == field);
            let place = place.unwrap_or_else(|| {
                self.fields.push((field, AHashMap::new()));
                self.fields.len() - 1
            });
            let bucket = self.fields[place].1.entry(key.into()).or_default();
            bucket.list.push(Filed { index, range });
        }
        let low = |filed: &Filed| filed.range.map_or(f64::NEG_INFINITY, |(_, low, _)| low);
        for (_, buckets) in &mut self.fields {
            for bucket in buckets.values_mut() {
                bucket.list.sort_by(|a, b| {
                    let field = |f: &Filed| f.range.map_or(u32::MAX, |(field, ..)| field);
                    field(a).cmp(&field(b)).then(low(a).total_cmp(&low(b)))
                });
            }
        }
        self.names = self.fields.iter().map(|(name, _)| name.clone()).collect();
        self.names.extend(self.ranges.iter().cloned());
        self.usable = self.always.len() * 2 < count;
    }

    /// The flows that may match, ascending.
    pub fn select(&mut self, record: &Value<'_>, lookups: &Lookups) -> Vec<usize> {
        let mut found = self.always.clone();
        let mut columns = Vec::new();
        load_columns(record, &self.names, &mut columns);
        // A named constant stands for a field that the record lacks.
        for (value, name) in columns.iter_mut().zip(&self.names) {
            if let Value::Missing = value
                && !lookups.is_empty()
                && let Some(constant) = lookups.get(&name.to_lowercase())
            {
                *value = constant.by_ref();
            }
        }
        let (values, numbers) = columns.split_at(self.fields.len());
        for ((_, buckets), value) in self.fields.iter().zip(values) {
            self.key.clear();
            canonical(value, &mut self.key);
            let Some(bucket) = buckets.get(self.key.as_slice()) else { continue };
            bucket.select(numbers, &mut found);
        }
        found.sort_unstable();
        found
    }
}

impl Bucket {
    fn select(&self, numbers: &[Value<'_>], found: &mut Vec<usize>) {
        let field = |filed: &Filed| filed.range.map_or(u32::MAX, |(field, ..)| field);
        for run in self.list.chunk_by(|a, b| field(a) == field(b)) {
            let Some(first) = run.first() else { continue };
            let Some((number, ..)) = first.range else {
                found.extend(run.iter().map(|filed| filed.index));
                continue;
            };
            let value = numbers.get(number as usize).map_or(f64::NAN, to_number);
            // Those whose lower bound is above the value stand behind it.
            let end =
                run.partition_point(|filed| filed.range.is_some_and(|(_, low, _)| low <= value));
            let holds = |filed: &&Filed| filed.range.is_some_and(|(_, _, high)| value <= high);
            found.extend(run.iter().take(end).filter(holds).map(|filed| filed.index));
        }
    }
}

/// The conditions that a first operator needs to hold, as far as they are simple.
fn conjuncts(stage: &Stage) -> Vec<Conjunct> {
    let Operator::Filter(program) = &stage.operator else { return Vec::new() };
    let mut list = Vec::new();
    let ops = program.ops();
    let mut at = 0;
    // `a && b && c` is: a, keep if falsy to the end, b, keep if falsy to the end, c.
    while at < ops.len() {
        let end = ops[at..]
            .iter()
            .position(|op| matches!(op, Op::KeepIf(Test::Falsy, to) if *to as usize == ops.len()))
            .map_or(ops.len(), |offset| at + offset);
        let Some(part) = ops.get(at..end) else { break };
        if part.iter().any(|op| matches!(op, Op::KeepIf(..) | Op::If(..) | Op::Jump(_))) {
            // Branches inside: what follows may not be needed.
            if end == ops.len() {
                break;
            }
        } else if let Some(conjunct) = simple(part, program, &stage.columns) {
            list.push(conjunct);
        }
        at = end + 1;
    }
    list
}

fn simple(part: &[Op], program: &Program, columns: &[String]) -> Option<Conjunct> {
    if let [
        Op::Name(column, _) | Op::Column(column),
        Op::Constant(low),
        Op::Constant(high),
        Op::Between,
    ] = part
    {
        let field = columns.get(*column as usize)?.clone();
        let bound = |n: u32| program.constant(n).as_double();
        return Some(Conjunct::Range(field, bound(*low)?, bound(*high)?));
    }
    let (column, constant, operator) = match part {
        [
            Op::Name(column, _) | Op::Column(column),
            Op::Constant(constant),
            Op::Binary(operator),
        ] => (*column, *constant, *operator),
        [
            Op::Constant(constant),
            Op::Name(column, _) | Op::Column(column),
            Op::Binary(operator),
        ] => {
            let turned = match operator {
                Binary::Equal => Binary::Equal,
                Binary::Less => Binary::Greater,
                Binary::LessOrEqual => Binary::GreaterOrEqual,
                Binary::Greater => Binary::Less,
                Binary::GreaterOrEqual => Binary::LessOrEqual,
                _ => return None,
            };
            (*column, *constant, turned)
        }
        _ => return None,
    };
    let field = columns.get(column as usize)?.clone();
    let value = program.constant(constant);
    match operator {
        Binary::Equal => Some(Conjunct::Equal(field, value.clone())),
        Binary::Less | Binary::LessOrEqual => {
            Some(Conjunct::Range(field, f64::NEG_INFINITY, value.as_double()?))
        }
        Binary::Greater | Binary::GreaterOrEqual => {
            Some(Conjunct::Range(field, value.as_double()?, f64::INFINITY))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::read_json;
    use crate::query::dialect::jet::{Statement, parse};
    use crate::query::program::World;
    use crate::query::push::{Runner, Sink};
    use std::sync::Arc;

    struct Count(usize);

    impl Sink for Count {
        fn row(&mut self, _: &Value<'_>) {
            self.0 += 1;
        }
        fn insert(&mut self, _: usize, _: &Value<'_>) {}
        fn file(&mut self, _: usize, _: &Value<'_>) {}
        fn trouble(&mut self, _: &'static str, _: &str) {}
    }

    /// What the selector leaves out would not have matched; of what it finds, little does not.
    #[test]
    fn what_is_selected_is_all_that_matches() {
        let conditions = [
            "id == K && x > N",
            "id == K && x >= N && x < M",
            "N <= x and K = id",
            "id == 'K' && x between (N .. M)",
            "x > N && (id == K || y)",
            "id == K",
            "kind == K && id == N",
            "x > N",
            "limit == K && id > N",
            "id == K && !y && x > N",
        ];
        let mut pipelines: Vec<Arc<Pipeline>> = Vec::new();
        for n in 0..400 {
            let text = conditions[if n % 9 == 0 { n / 9 % conditions.len() } else { n % 4 }];
            let text = text
                .replace('K', &(n % 7).to_string())
                .replace('N', &(n % 50).to_string())
                .replace('M', &(n % 50 + 10).to_string());
            let Ok(Statement::Pipeline(pipeline)) = parse(&format!("s | where {text}")) else {
                panic!("{text}")
            };
            pipelines.push(pipeline);
        }
        let mut selector = Selector::default();
        selector.build(pipelines.iter().map(|p| &**p));
        assert!(selector.usable);
        let mut lookups = Lookups::new();
        lookups.insert("limit".into(), Value::Int(3));
        let world = World { now_ms: 0, lookups: &lookups };
        let (mut selected, mut matched) = (0, 0);
        for n in 0..600 {
            let record = match n % 6 {
                0 => format!("{{\"id\":{},\"x\":{}}}", n % 9, n % 61),
                1 => format!("{{\"id\":\"{}\",\"x\":\"{}\",\"y\":1}}", n % 9, n % 61),
                2 => format!("{{\"kind\":{}.0,\"id\":{},\"x\":null}}", n % 9, n % 61),
                3 => format!("{{\"x\":{}.5,\"id\":{}e0}}", n % 61, n % 9),
                4 => "{}".to_owned(),
                _ => "[1]".to_owned(),
            };
            let record = read_json(&record).unwrap();
            let found = selector.select(&record, &lookups);
            for (index, pipeline) in pipelines.iter().enumerate() {
                let mut count = Count(0);
                let mut runner = Runner::new(Arc::clone(pipeline));
                runner.push(std::iter::once((0, record.clone())), &world, &mut count);
                let text = &pipeline.text;
                assert!(count.0 == 0 || found.contains(&index), "{text} of {record:?}");
                matched += count.0;
            }
            selected += found.len();
        }
        assert!(
            matched > 1000 && selected < 400 * 600 / 10,
            "{selected} selected, {matched} matched"
        );
    }
}

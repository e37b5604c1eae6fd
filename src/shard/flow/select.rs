//! Which of many flows must look at a record: the equality and the range of their first conditions,
//! filed in an [`Index`].
//!
//! Only a first operator `where` counts, with conjuncts that compare a field with a constant. Below
//! [`FLOWS_MIN`] flows the plain way is cheaper; both give the same, because a selected flow runs
//! its whole pipeline.

use super::Running;
use crate::model::interest::Wanted;
use crate::model::value::Value;
use crate::query::index::Index;
use crate::query::loose::{Binary, to_number};
use crate::query::pipeline::{Operator, Pipeline, Stage, load_columns};
use crate::query::program::{Lookups, Op, Program, Test};

/// Flows on a topic from which on it is worth it.
const FLOWS_MIN: usize = 16;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Selector {
    stale: bool,
    usable: bool,
    index: Index<u32>,
    /// The index's names in lower case, as named constants are known.
    constants: Vec<String>,
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
        self.index = Index::default();
        for (number, pipeline) in (0_u32..).zip(pipelines) {
            let mut wanted = Wanted::default();
            for conjunct in pipeline.stages.first().map(conjuncts).unwrap_or_default() {
                match conjunct {
                    Conjunct::Equal(field, value) if wanted.equal.is_none() => {
                        wanted.equal = Some((field.into(), vec![value]));
                    }
                    Conjunct::Range(field, low, high) if wanted.range.is_none() => {
                        wanted.range = Some((field.into(), low, high));
                    }
                    _ => {}
                }
            }
            self.index.insert(number, &wanted);
        }
        self.constants = self.index.names().iter().map(|name| name.to_lowercase()).collect();
        self.usable = self.index.always() * 2 < self.index.len();
    }

    /// Finds the flows that may match, ascending.
    pub fn select(&mut self, record: &Value<'_>, lookups: &Lookups, found: &mut Vec<u32>) {
        let mut columns = Vec::new();
        load_columns(record, self.index.names(), &mut columns);
        // A named constant stands for a field that the record lacks.
        if !lookups.is_empty() {
            for (value, name) in columns.iter_mut().zip(&self.constants) {
                if let Value::Missing = value
                    && let Some(constant) = lookups.get(name)
                {
                    *value = constant.by_ref();
                }
            }
        }
        self.index.select(&columns, to_number, &mut self.key, found);
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
        let mut found = Vec::new();
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
            selector.select(&record, &lookups, &mut found);
            for (index, pipeline) in pipelines.iter().enumerate() {
                let mut count = Count(0);
                let mut runner = Runner::new(Arc::clone(pipeline));
                runner.push(std::iter::once((0, record.clone())), &world, &mut count);
                let text = &pipeline.text;
                assert!(count.0 == 0 || found.contains(&(index as u32)), "{text} of {record:?}");
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

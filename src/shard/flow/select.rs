//! Which of many flows must look at a record: the equality and the range of their first conditions,
//! filed in an [`Index`].
//!
//! Only a first operator `where` counts, with conjuncts that compare a field with a constant. Where
//! they are all that it says, and the index decides as they do, it is not
//! evaluated again: the flow goes on behind it, or has a place in a lane ([`Lanes`]). Below
//! [`FLOWS_MIN`] flows the plain way is cheaper; both give the same. Cost of a record: two fields
//! found in its text, one look-up, then what is found.

use super::Running;
use crate::model::interest::Wanted;
use crate::model::record::{Offset, Record};
use crate::model::value::{Value, of_record};
use crate::query::index::Index;
use crate::query::loose::{Binary, to_number};
use crate::query::pipeline::{Operator, Stage, load_columns};
use crate::query::program::{Lookups, Op, Program, Test, World};
use crate::query::push::Runner;
use crate::query::push::lane::Lanes;

/// Flows on a topic from which on it is worth it.
const FLOWS_MIN: usize = 16;
/// Doubles below it hold integers exactly, and so do those that an integer is rounded to.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Selector {
    stale: bool,
    usable: bool,
    index: Index<u32>,
    /// The index's names in lower case, as named constants are known.
    constants: Vec<String>,
    key: Vec<u8>,
    found: Vec<u32>,
    /// Which flows need not evaluate their first condition when they are found.
    exact: Vec<bool>,
    lanes: Lanes,
}

/// A condition on one field.
#[derive(Debug)]
enum Conjunct {
    Equal(String, Value<'static>),
    Range(String, f64, f64),
}

/// The conditions that a first operator needs to hold, as far as they are simple.
#[derive(Debug, Default)]
struct Conditions {
    /// Each, and whether the index decides it exactly.
    list: Vec<(Conjunct, bool)>,
    /// How many there are, simple or not.
    all: usize,
}

impl Selector {
    /// The flows have changed.
    pub fn rebuild_later(&mut self) {
        self.stale = true;
    }

    /// Whether to ask it; brings it up to date.
    pub fn is_worth_it(&mut self, flows: &mut [Running]) -> bool {
        if flows.len() < FLOWS_MIN {
            return false;
        }
        if self.stale {
            self.settle(flows);
            self.stale = false;
            self.build(flows.iter().map(|running| &running.runner));
        }
        self.usable
    }

    /// Gives the flows what lanes hold of theirs.
    pub fn settle(&mut self, flows: &mut [Running]) {
        // Flows in their order, so each is at or behind the last one found.
        self.lanes.settle(|flow, states| {
            if let Some(running) = flows.get_mut(flow as usize) {
                running.runner.set_only_group(states);
            }
        });
    }

    /// Lanes are no longer right: flows are given records or leave the list.
    pub fn leave_lanes(&mut self, flows: &mut [Running]) {
        if !self.lanes.is_empty() {
            self.settle(flows);
            self.lanes = Lanes::default();
            self.stale = true;
        }
    }

    fn build<'p>(&mut self, runners: impl Iterator<Item = &'p Runner> + Clone) {
        self.index = Index::default();
        self.exact.clear();
        for (number, runner) in (0_u32..).zip(runners.clone()) {
            let wanted = runner.pipeline().stages.first().map(wanted).unwrap_or_default();
            self.index.insert(number, &wanted);
            self.exact.push(wanted.exact);
        }
        self.lanes = Lanes::build(runners.zip(self.exact.iter().copied()));
        self.constants = self.index.names().iter().map(|name| name.to_lowercase()).collect();
        self.usable = self.index.always() * 2 < self.index.len();
    }

    /// Whether the first condition of a flow holds for each record that finds it.
    pub fn is_exact(&self, flow: u32) -> bool {
        self.exact.get(flow as usize) == Some(&true)
    }

    /// Finds the flows that may match the records of a batch and lets those in lanes count them;
    /// adds each of the others and its record, by its number, to `hits`, in no order.
    pub fn select<'r>(
        &mut self,
        records: &[(Offset, Record<'r>)],
        world: &World<'r>,
        hits: &mut Vec<(u32, u32)>,
    ) {
        let mut columns = Vec::new();
        for (number, (_, record)) in (0_u32..).zip(records) {
            self.find(&of_record(record), world.lookups, &mut columns);
            for flow in &self.found {
                if !self.lanes.hit(*flow, number) {
                    hits.push((*flow, number));
                }
            }
        }
        let record = |number: u32| records.get(number as usize).map(|(_, r)| of_record(r));
        self.lanes.run(|number| record(number).unwrap_or_default(), world);
    }

    /// Finds the flows that may match, ascending. `columns` is for working in.
    fn find<'r>(&mut self, record: &Value<'r>, lookups: &'r Lookups, columns: &mut Vec<Value<'r>>) {
        load_columns(record, self.index.names(), columns);
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
        self.index.select(columns, to_number, &mut self.key, &mut self.found);
    }
}

/// What the index is told of a first operator; exact if it is all that a record must meet.
fn wanted(stage: &Stage) -> Wanted {
    let conditions = Conditions::of(stage);
    let mut wanted = Wanted::default();
    let mut exact = 0;
    for (conjunct, decided) in conditions.list {
        match (conjunct, &mut wanted.range) {
            (Conjunct::Equal(field, value), _) if wanted.equal.is_none() => {
                wanted.equal = Some((field.into(), vec![value]));
            }
            (Conjunct::Range(field, low, high), range @ None) => {
                *range = Some((field.into(), low, high));
            }
            (Conjunct::Range(field, a, b), Some((known, low, high))) if *field == **known => {
                (*low, *high) = (low.max(a), high.min(b));
            }
            _ => continue,
        }
        exact += usize::from(decided);
    }
    wanted.exact = conditions.all > 0 && exact == conditions.all;
    wanted
}

impl Conditions {
    fn of(stage: &Stage) -> Self {
        let mut conditions = Self::default();
        let Operator::Filter(program) = &stage.operator else { return conditions };
        let ops = program.ops();
        let falsy =
            |op: &Op| matches!(op, Op::KeepIf(Test::Falsy, to) if *to as usize == ops.len());
        let mut at = 0;
        // `a && b && c` is: a, keep if falsy to the end, b, keep if falsy to the end, c.
        while at < ops.len() {
            let end = ops[at..].iter().position(falsy).map_or(ops.len(), |offset| at + offset);
            let Some(part) = ops.get(at..end) else { break };
            conditions.all += 1;
            if part.iter().any(|op| matches!(op, Op::KeepIf(..) | Op::If(..) | Op::Jump(_))) {
                // Branches inside: what follows may not be needed.
                if end == ops.len() {
                    break;
                }
            } else if let Some(conjunct) = simple(part, program, &stage.columns) {
                conditions.list.push(conjunct);
            }
            at = end + 1;
        }
        conditions
    }
}

/// The field of an operand. Only a name is exact: it reads a constant where the record has no such
/// field, as the index does.
fn field(op: &Op, columns: &[String]) -> Option<(String, bool)> {
    let (Op::Name(column, _) | Op::Column(column)) = op else { return None };
    Some((columns.get(*column as usize)?.clone(), matches!(op, Op::Name(..))))
}

/// A condition, and whether the index decides it exactly: it compares doubles, which decide about
/// integers of any size as long as they represent the bound.
fn simple(part: &[Op], program: &Program, columns: &[String]) -> Option<(Conjunct, bool)> {
    let small = |bound: f64| bound.abs() < EXACT_MAX;
    if let [operand, Op::Constant(low), Op::Constant(high), Op::Between] = part {
        let (field, named) = field(operand, columns)?;
        let bound = |n: u32| program.constant(n).as_double();
        let (low, high) = (bound(*low)?, bound(*high)?);
        return Some((Conjunct::Range(field, low, high), named && small(low) && small(high)));
    }
    let (operand, constant, operator) = match part {
        [operand, Op::Constant(constant), Op::Binary(operator)] => (operand, constant, *operator),
        [Op::Constant(constant), operand, Op::Binary(operator)] => {
            let turned = match operator {
                Binary::Equal => Binary::Equal,
                Binary::Less => Binary::Greater,
                Binary::LessOrEqual => Binary::GreaterOrEqual,
                Binary::Greater => Binary::Less,
                Binary::GreaterOrEqual => Binary::LessOrEqual,
                _ => return None,
            };
            (operand, constant, turned)
        }
        _ => return None,
    };
    let (field, named) = field(operand, columns)?;
    let value = program.constant(*constant);
    if operator == Binary::Equal {
        let plain = match value {
            Value::Int(n) => small(*n as f64),
            Value::String(_) | Value::Bool(_) => true,
            _ => false,
        };
        return Some((Conjunct::Equal(field, value.clone()), named && plain));
    }
    let bound = value.as_double()?;
    // A bound that is itself left out: the next double is the first one that counts.
    let beside = |next: fn(f64) -> f64| if small(bound) { next(bound) } else { bound };
    let (low, high) = match operator {
        Binary::Less => (f64::NEG_INFINITY, beside(f64::next_down)),
        Binary::LessOrEqual => (f64::NEG_INFINITY, bound),
        Binary::Greater => (beside(f64::next_up), f64::INFINITY),
        Binary::GreaterOrEqual => (bound, f64::INFINITY),
        _ => return None,
    };
    Some((Conjunct::Range(field, low, high), named && small(bound)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Body;
    use crate::model::value::{Style, read_json, write_value};
    use crate::query::dialect::jet::{Statement, parse};
    use crate::query::program::World;
    use crate::query::push::{Runner, Sink};

    struct Count(usize);

    impl Sink for Count {
        fn row(&mut self, _: &Value<'_>) {
            self.0 += 1;
        }
        fn insert(&mut self, _: usize, _: &Value<'_>) {}
        fn file(&mut self, _: usize, _: &Value<'_>) {}
        fn trouble(&mut self, _: &'static str, _: &str) {}
    }

    /// Records whose numbers are hard to compare.
    const HARD: &[&str] = &[
        r#"{"id":1,"x":9007199254740993}"#,
        r#"{"id":2,"x":9007199254740992}"#,
        r#"{"id":3,"x":1e400}"#,
        r#"{"id":0,"x":-1e400}"#,
        r#"{"id":0.0,"x":49.99999999999999999}"#,
        r#"{"id":1.0,"x":1e1}"#,
        r#"{"id":true,"x":true}"#,
        r#"{"id":"2","x":"20"}"#,
        r#"{"id":[2],"x":[20]}"#,
        r#"{"id":-0,"x":-0}"#,
        r#"{"id":9007199254740993,"x":null}"#,
        r#"{"id":2,"x":20,"id":3,"x":2}"#,
    ];

    /// What the selector leaves out would not have matched; of what it finds, little does not, and
    /// nothing of what it finds exactly.
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
            "x > 9007199254740993",
            "x < 9007199254740993 && id == K",
            "x > N && x <= M",
            "x > N && x <= M && x < M",
            "x between (N .. 1e400) && id == K",
            "x < 1e400 && id == K",
            "id == N && x > M && id == K",
        ];
        let mut runners: Vec<Runner> = Vec::new();
        for n in 0..400 {
            let text = conditions[if n % 9 == 0 { n / 9 % conditions.len() } else { n % 4 }];
            let text = text
                .replace('K', &(n % 7).to_string())
                .replace('N', &(n % 50).to_string())
                .replace('M', &(n % 50 + 10).to_string());
            let Ok(Statement::Pipeline(pipeline)) = parse(&format!("s | where {text}")) else {
                panic!("{text}")
            };
            runners.push(Runner::new(pipeline));
        }
        let mut selector = Selector::default();
        selector.build(runners.iter());
        assert!(selector.usable);
        let mut lookups = Lookups::new();
        lookups.insert("limit".into(), Value::Int(3));
        let world = World { now_ms: 0, lookups: &lookups };
        let (mut selected, mut matched, mut exact) = (0, 0, 0);
        for n in 0..600 {
            let record = match n % 7 {
                6 => HARD[n / 7 % HARD.len()].to_owned(),
                0 => format!("{{\"id\":{},\"x\":{}}}", n % 9, n % 61),
                1 => format!("{{\"id\":\"{}\",\"x\":\"{}\",\"y\":1}}", n % 9, n % 61),
                2 => format!("{{\"kind\":{}.0,\"id\":{},\"x\":null}}", n % 9, n % 61),
                3 => format!("{{\"x\":{}.5,\"id\":{}e0}}", n % 61, n % 9),
                4 => "{}".to_owned(),
                _ => "[1]".to_owned(),
            };
            let record = read_json(&record).unwrap();
            selector.find(&record, &lookups, &mut Vec::new());
            for (index, runner) in (0..).zip(&mut runners) {
                let mut count = Count(0);
                runner.push(std::iter::once((0, record.clone())), &world, &mut count);
                let text = &runner.pipeline().text;
                let found = selector.found.contains(&index);
                assert!(count.0 == 0 || found, "{text} of {record:?}");
                assert!(count.0 > 0 || !found || !selector.is_exact(index), "{text} of {record:?}");
                matched += count.0;
                exact += usize::from(found && selector.is_exact(index));
            }
            selected += selector.found.len();
        }
        assert!(
            matched > 1000 && selected < 400 * 600 / 10 && exact > 1000,
            "{selected} selected, {exact} exactly, {matched} matched"
        );
    }

    /// All that came out, as text.
    #[derive(Default)]
    struct Texts(Vec<String>);

    impl Texts {
        fn add(&mut self, what: &str, value: &Value<'_>) {
            let mut text = Vec::new();
            write_value(value, Style::Script, &mut text);
            self.0.push(format!("{what} {}", String::from_utf8(text).unwrap()));
        }
    }

    impl Sink for Texts {
        fn row(&mut self, value: &Value<'_>) {
            self.add("row", value);
        }
        fn insert(&mut self, target: usize, value: &Value<'_>) {
            self.add(&target.to_string(), value);
        }
        fn file(&mut self, _: usize, _: &Value<'_>) {}
        fn trouble(&mut self, code: &'static str, why: &str) {
            self.0.push(format!("{code} {why}"));
        }
    }

    /// Flows that are given what they find, in lanes and not, end as those that saw each record.
    #[test]
    fn the_selected_way_is_the_plain_way() {
        let tails = [
            "summarize { n: count() }",
            "summarize { n: count(), s: sum(x), a: avg(y) } | insert_into(o)",
            "summarize { n: count_if(y), least: min(x), most: max(y), v: variance(x) }",
            "summarize { first: first(y), last: last(x) } | where first | take 2",
            "summarize { id, n: count() } by id | insert_into(o)",
            "summarize { n: count(), d: count_distinct(x) }",
            "summarize { n: count() } emit every 2",
            "insert_into(o)",
            "select { x, z: y matches y } | insert_into(o)",
        ];
        let make = |n: usize| {
            let (id, low) = (n % 5, n % 11);
            let tail = tails[n % tails.len()];
            let text = format!("s | where id == {id} && x >= {low} | {tail}");
            let Ok(Statement::Pipeline(pipeline)) = parse(&text) else { panic!("{text}") };
            Runner::new(pipeline)
        };
        let mut selected: Vec<Runner> = (0..90).map(make).collect();
        let mut plain: Vec<Runner> = (0..90).map(make).collect();
        let lookups = Lookups::new();
        let world = World { now_ms: 0, lookups: &lookups };
        let mut selector = Selector::default();
        let mut seed = 7_u64;
        let mut dice = |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % sides
        };
        for round in 0..200 {
            if round % 50 == 0 {
                selector.build(selected.iter());
                assert!(!selector.lanes.is_empty());
            }
            let mut texts: Vec<String> = Vec::new();
            for _ in 0..dice(16) {
                let (id, x, y) = (dice(6), dice(20), dice(3));
                texts.push(match dice(8) {
                    0 => HARD[dice(HARD.len() as u64) as usize].to_owned(),
                    1 => format!("{{\"id\":{id},\"x\":{x},\"y\":\"[1\"}}"),
                    2 | 3 => format!("{{\"id\":{id},\"y\":{y},\"x\":{y}.{x}}}"),
                    _ => format!("{{\"id\":{id},\"x\":{x}}}"),
                });
            }
            let body = |text: &'static str| Body::Json(text.as_bytes());
            let texts = texts.into_iter().map(|text| body(text.leak()));
            let record = |body| Record { time: 0, producer: 0, body };
            let records: Vec<(Offset, Record<'_>)> = (0..).zip(texts.map(record)).collect();
            let mut hits = Vec::new();
            selector.select(&records, &world, &mut hits);
            hits.sort_unstable();
            let mut ours: Vec<Texts> = (0..90).map(|_| Texts::default()).collect();
            for (flow, number) in hits {
                let one = std::iter::once((0, of_record(&records[number as usize].1)));
                let (runner, out) = (&mut selected[flow as usize], &mut ours[flow as usize]);
                match selector.is_exact(flow) {
                    true => runner.push_matched(one, &world, out),
                    false => runner.push(one, &world, out),
                }
            }
            if dice(3) == 0 || round % 50 == 49 {
                selector.lanes.settle(|flow, states| {
                    selected[flow as usize].set_only_group(states);
                });
                for (flow, (a, b)) in selected.iter_mut().zip(&mut plain).enumerate() {
                    let (mut got, mut want) = (std::mem::take(&mut ours[flow]), Texts::default());
                    let all = records.iter().map(|(_, record)| (0, of_record(record)));
                    b.push(all, &world, &mut want);
                    a.flush(&world, &mut got);
                    b.flush(&world, &mut want);
                    assert_eq!(got.0, want.0, "{} in round {round}", b.pipeline().text);
                    let (a, b) = (a.counters(), b.counters());
                    assert_eq!((a.records_out, a.errors), (b.records_out, b.errors));
                }
            } else {
                for (runner, got) in plain.iter_mut().zip(&ours) {
                    let mut want = Texts::default();
                    let all = records.iter().map(|(_, record)| (0, of_record(record)));
                    runner.push(all, &world, &mut want);
                    assert_eq!(got.0, want.0, "{} in round {round}", runner.pipeline().text);
                }
            }
        }
    }
}

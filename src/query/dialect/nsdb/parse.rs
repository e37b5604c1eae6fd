//! Statements (nsdb, 6.2).
//!
//! No word is reserved, so where a keyword may also be a name the reader goes back and takes it for
//! one. Nesting of brackets is bounded; what is joined without brackets is a loop.

use super::bit::{Bit, Cell, Cells};
use super::condition::{Condition, Constant, Node, Operator, Test};
use super::lex::{Bad, Read, Reader};
use std::borrow::Cow;

/// Brackets open at once.
const DEPTH_MAX: usize = 256;

/// An aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// `sum`
    Sum,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `count(distinct ..)`
    CountDistinct,
    /// `first`
    First,
    /// `last`
    Last,
    /// `avg`
    Avg,
}

const AGGREGATES: &[(&str, Aggregate)] = &[
    ("sum", Aggregate::Sum),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("count", Aggregate::Count),
    ("first", Aggregate::First),
    ("last", Aggregate::Last),
    ("avg", Aggregate::Avg),
];

impl Aggregate {
    /// Its name in a statement.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Aggregate::CountDistinct => "count distinct",
            other => AGGREGATES.iter().find(|(_, a)| *a == other).map_or("", |(name, _)| name),
        }
    }

    /// Its name among the tags of a result.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Aggregate::Sum => "sum(*)",
            Aggregate::Min => "min(*)",
            Aggregate::Max => "max(*)",
            Aggregate::Count => "count(*)",
            Aggregate::CountDistinct => "count(distinct *)",
            Aggregate::First => "first(*)",
            Aggregate::Last => "last(*)",
            Aggregate::Avg => "avg(*)",
        }
    }
}

/// A projected item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A field.
    Field(Box<str>),
    /// An aggregate of a field or of `*`.
    Aggregate(Aggregate, Box<str>),
}

/// GROUP BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// A field.
    Field(Box<str>),
    /// Number and unit in milliseconds.
    Interval(i64, i64),
}

/// A SELECT.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    /// DISTINCT.
    pub distinct: bool,
    /// Empty: `*`.
    pub items: Vec<Item>,
    /// FROM.
    pub metric: String,
    /// WHERE.
    pub condition: Condition,
    /// GROUP BY.
    pub group: Option<Group>,
    /// ORDER BY, and whether descending.
    pub order: Option<(Box<str>, bool)>,
    /// SINCE, milliseconds.
    pub since: Option<i64>,
    /// LIMIT.
    pub limit: Option<u64>,
}

impl Select {
    /// Its aggregates.
    pub fn aggregates(&self) -> impl Iterator<Item = (Aggregate, &str)> {
        self.items.iter().filter_map(|item| match item {
            Item::Aggregate(aggregate, field) => Some((*aggregate, &**field)),
            Item::Field(_) => None,
        })
    }

    /// Its plain fields.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match item {
            Item::Field(field) => Some(&**field),
            Item::Aggregate(..) => None,
        })
    }

    /// Milliseconds of GROUP BY INTERVAL.
    #[must_use]
    pub fn interval_ms(&self) -> Option<i64> {
        match self.group {
            Some(Group::Interval(number, unit)) => Some(number.saturating_mul(unit)),
            _ => None,
        }
    }

    /// Whether what arrives is pushed bit by bit.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.group.is_none() && self.aggregates().next().is_none()
    }
}

/// An INSERT.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// INTO.
    pub metric: String,
    /// TS.
    pub timestamp: Option<i64>,
    /// Everything else; its timestamp is 0.
    pub bit: Bit<'static>,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// SELECT.
    Select(Box<Select>),
    /// INSERT.
    Insert(Box<Insert>),
    /// DELETE: metric and condition.
    Delete(String, Box<Condition>),
    /// DROP METRIC.
    Drop(String),
}

impl Statement {
    /// The metric that it names.
    #[must_use]
    pub fn metric(&self) -> &str {
        match self {
            Statement::Select(select) => &select.metric,
            Statement::Insert(insert) => &insert.metric,
            Statement::Delete(metric, _) | Statement::Drop(metric) => metric,
        }
    }
}

/// Reads a statement; `None`: it is not of the language.
#[must_use]
pub fn parse(text: &str) -> Option<Statement> {
    let mut reader = Reader::new(text);
    let statement = statement(&mut reader).ok()?;
    reader.end().ok()?;
    Some(statement)
}

fn statement(reader: &mut Reader<'_>) -> Read<Statement> {
    if reader.word("select") {
        return select(reader).map(|select| Statement::Select(Box::new(select)));
    }
    if reader.words("insert", "into") {
        return insert(reader).map(|insert| Statement::Insert(Box::new(insert)));
    }
    if reader.words("delete", "from") {
        let metric = reader.name(true)?.to_owned();
        if !reader.word("where") {
            return Err(Bad);
        }
        let condition = condition(reader)?;
        return Ok(Statement::Delete(metric, Box::new(condition)));
    }
    if reader.words("drop", "metric") {
        return Ok(Statement::Drop(reader.name(true)?.to_owned()));
    }
    Err(Bad)
}

fn select(reader: &mut Reader<'_>) -> Read<Select> {
    let mut select = Select::default();
    let start = *reader;
    let distinct = reader.word("distinct");
    let mut items = projection(reader);
    if items.is_err() && distinct {
        // A field of that name.
        *reader = start;
        items = projection(reader);
    } else {
        select.distinct = distinct;
    }
    select.items = items?;
    select.metric = reader.name(true)?.to_owned();
    if reader.word("where") {
        select.condition = condition(reader)?;
    }
    if reader.words("group", "by") {
        select.group = Some(group(reader)?);
    }
    if reader.words("order", "by") {
        let field = reader.name(false)?;
        select.order = Some((field.into(), reader.word("desc")));
    }
    if reader.word("since") {
        let (number, unit) = reader.span(true)?;
        select.since = Some(number.checked_mul(unit).filter(|ms| *ms >= 0).ok_or(Bad)?);
    }
    if reader.word("limit") {
        select.limit = Some(u64::try_from(reader.integer()?).map_err(|_| Bad)?);
    }
    Ok(select)
}

/// What stands before FROM, and FROM.
fn projection(reader: &mut Reader<'_>) -> Read<Vec<Item>> {
    let mut items = Vec::new();
    let all = reader.sign("*");
    if !all {
        items.push(item(reader)?);
    }
    while reader.sign(",") {
        items.push(item(reader)?);
    }
    if !reader.word("from") {
        return Err(Bad);
    }
    if all {
        items.clear();
    }
    Ok(items)
}

fn item(reader: &mut Reader<'_>) -> Read<Item> {
    let name = reader.name(false)?;
    let found = AGGREGATES.iter().find(|(word, _)| word.eq_ignore_ascii_case(name));
    let mut ahead = *reader;
    let (Some((_, aggregate)), true) = (found, ahead.sign("(")) else {
        return Ok(Item::Field(name.into()));
    };
    *reader = ahead;
    let mut aggregate = *aggregate;
    let before = *reader;
    let distinct = reader.word("distinct");
    let mut field = argument(reader);
    if field.is_err() {
        // A field of that name.
        *reader = before;
        field = argument(reader);
    } else if distinct {
        if aggregate != Aggregate::Count {
            return Err(Bad);
        }
        aggregate = Aggregate::CountDistinct;
    }
    let field = field?;
    Ok(Item::Aggregate(aggregate, field))
}

fn argument(reader: &mut Reader<'_>) -> Read<Box<str>> {
    let field = if reader.sign("*") { "*" } else { reader.name(false)? };
    reader.expect(")")?;
    Ok(field.into())
}

fn group(reader: &mut Reader<'_>) -> Read<Group> {
    let start = *reader;
    if reader.word("interval")
        && let Ok((number, unit)) = reader.span(false)
    {
        let positive = number > 0 && number.checked_mul(unit).is_some();
        return if positive { Ok(Group::Interval(number, unit)) } else { Err(Bad) };
    }
    *reader = start;
    Ok(Group::Field(reader.name(false)?.into()))
}

fn insert(reader: &mut Reader<'_>) -> Read<Insert> {
    let metric = reader.name(true)?.to_owned();
    let mut timestamp = None;
    if reader.word("ts") {
        reader.expect("=")?;
        timestamp = Some(reader.integer()?);
    }
    let dimensions = if reader.word("dim") { assigns(reader)? } else { Vec::new() };
    let tags = if reader.word("tags") { assigns(reader)? } else { Vec::new() };
    if !reader.word("val") {
        return Err(Bad);
    }
    reader.expect("=")?;
    let value = super::bit::number(reader.number()?).ok_or(Bad)?;
    let bit = Bit { timestamp: 0, value, dimensions, tags };
    Ok(Insert { metric, timestamp, bit })
}

fn assigns(reader: &mut Reader<'_>) -> Read<Cells<'static>> {
    reader.expect("(")?;
    let mut cells: Cells<'static> = Vec::new();
    loop {
        let name = reader.name(false)?;
        reader.expect("=")?;
        let mut ahead = *reader;
        let cell = match ahead.number() {
            Ok(number) => {
                *reader = ahead;
                super::bit::number(number).ok_or(Bad)?
            }
            Err(_) => Cell::Text(Cow::Owned(reader.any_text()?.to_owned())),
        };
        cells.retain(|(known, _)| known != name);
        cells.push((Cow::Owned(name.to_owned()), cell));
        if !reader.sign(",") {
            break;
        }
    }
    reader.expect(")")?;
    Ok(cells)
}

fn condition(reader: &mut Reader<'_>) -> Read<Condition> {
    let mut condition = Condition::default();
    let root = expression(reader, &mut condition, 0)?;
    condition.set_root(root);
    Ok(condition)
}

/// What waits for its right side.
enum Waiting {
    Not,
    And(u32),
    Or(u32),
}

/// Everything up to a closing bracket: AND and OR bind equally and to the right, NOT takes all that
/// follows.
fn expression(reader: &mut Reader<'_>, into: &mut Condition, depth: usize) -> Read<u32> {
    let mut waiting = Vec::new();
    let mut right = loop {
        let start = *reader;
        if reader.word("not") {
            if may_be_negated(*reader) {
                waiting.push(Waiting::Not);
                continue;
            }
            *reader = start;
        }
        let left = primary(reader, into, depth)?;
        if reader.word("and") {
            waiting.push(Waiting::And(left));
        } else if reader.word("or") {
            waiting.push(Waiting::Or(left));
        } else {
            break left;
        }
    };
    while let Some(before) = waiting.pop() {
        right = into.add(match before {
            Waiting::Not => Node::Not(right),
            Waiting::And(left) => Node::And(left, right),
            Waiting::Or(left) => Node::Or(left, right),
        });
    }
    Ok(right)
}

/// Whether NOT may stand before what comes; otherwise it is a field of that name.
fn may_be_negated(mut reader: Reader<'_>) -> bool {
    let mut ahead = reader;
    // NOT NOT .., or a field called not.
    ahead.sign("(") || ahead.word("not") || test(&mut reader).is_ok()
}

fn primary(reader: &mut Reader<'_>, into: &mut Condition, depth: usize) -> Read<u32> {
    if reader.sign("(") {
        if depth >= DEPTH_MAX {
            return Err(Bad);
        }
        let inner = expression(reader, into, depth + 1)?;
        reader.expect(")")?;
        return Ok(inner);
    }
    let (field, test, negated) = test(reader)?;
    let node = into.add(Node::Test(field.into(), test));
    Ok(if negated { into.add(Node::Not(node)) } else { node })
}

/// A field, what is asked of it, and whether the opposite is.
fn test<'a>(reader: &mut Reader<'a>) -> Read<(&'a str, Test, bool)> {
    let field = reader.name(false)?;
    if reader.word("is") {
        let negated = reader.word("not");
        return if reader.word("null") { Ok((field, Test::Null, negated)) } else { Err(Bad) };
    }
    if reader.word("in") {
        reader.expect("(")?;
        let low = reader.term()?;
        reader.expect(",")?;
        let high = reader.term()?;
        reader.expect(")")?;
        return Ok((field, Test::Range(low, high), false));
    }
    if reader.word("like") {
        return Ok((field, Test::Like(reader.pattern()?.into()), false));
    }
    let signs = [
        (">=", Operator::AtLeast),
        (">", Operator::Above),
        ("<=", Operator::AtMost),
        ("<", Operator::Below),
    ];
    if let Some((_, operator)) = signs.into_iter().find(|(sign, _)| reader.sign(sign)) {
        return Ok((field, Test::Compare(operator, reader.term()?), false));
    }
    reader.expect("=")?;
    let constant: Constant = reader.constant()?;
    Ok((field, Test::Compare(Operator::Equal, constant), false))
}

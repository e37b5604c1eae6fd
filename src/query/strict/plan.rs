//! What a checked query is: a tree whose variables are numbered slots.
//!
//! Slots are given out once for the whole query. A function cannot call itself, so its slots are
//! those of its one body; a call saves them and puts them back, because a row of one call may lead
//! to another.

use super::types::{Name, Type};
use super::value::Value;
use crate::model::topic::Topic;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

pub use super::files::FileSource;

/// Number of a slot.
pub type Slot = u32;

/// Operators on numbers, strings and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

/// Operators that compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// What makes one value of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// How many, nulls too.
    Elements,
    /// How many are not null.
    Count,
    /// How many different ones are not null.
    CountDistinct,
    /// Sum.
    Sum,
    /// Mean, a double.
    Average,
    /// Smallest that is not null.
    Minimum,
    /// Smallest, null being smaller than all.
    Least,
    /// Greatest.
    Maximum,
    /// First that is not null.
    First,
    /// Last that is not null.
    Last,
}

/// Functions of values that are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the function of its name")]
pub enum Function {
    Lower,
    Upper,
    Trim,
    Length,
    Substring,
    Replace,
    Split,
    MakeString,
    Concat,
    UrlEncode,
    Coalesce,
    ToDate,
    ToTime,
    ToTimestamp,
    DateTrunc,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    CurrentDate,
    CurrentTimestamp,
    UnixTimestamp,
    FromUnixTime,
    IntervalToMillis,
    Power,
    Round,
    Abs,
    Floor,
    Ceil,
    Sqrt,
}

/// A part of a record that is put together.
#[derive(Clone, Debug)]
pub enum Part {
    /// One field.
    Field(Name, Node),
    /// The fields of a record, or a field of this name if it is none.
    Spread(Name, Node),
}

/// An expression.
#[derive(Clone, Debug)]
pub enum Node {
    /// A value.
    Constant(Value),
    /// What is in a slot.
    Slot(Slot),
    /// A declared variable, evaluated when first asked for.
    Variable(u32),
    /// Fields of fields.
    Path(Box<Node>, Box<[Name]>),
    /// Number with the other sign.
    Negative(Box<Node>),
    /// A number as it is.
    Positive(Box<Node>),
    /// Truth value negated.
    Not(Box<Node>),
    /// A truth value as it is.
    Truth(Box<Node>),
    /// Operators of one rank, from the left.
    Arithmetic(Box<Node>, Vec<(Arithmetic, Node)>),
    /// `AND`
    All(Vec<Node>),
    /// `OR`
    Any(Vec<Node>),
    /// Comparison.
    Compare(Comparison, Box<[Node; 2]>),
    /// `LIKE`; `true`: negated.
    Like(bool, Box<[Node; 2]>),
    /// `IN`; `true`: negated.
    In(bool, Box<[Node; 2]>),
    /// `BETWEEN`; `true`: negated.
    Between(bool, Box<[Node; 3]>),
    /// `IS NULL`; `true`: negated.
    IsNull(bool, Box<Node>),
    /// Condition, value, other value.
    If(Box<[Node; 3]>),
    /// Subject, branches, otherwise.
    Case(Option<Box<Node>>, Vec<(Node, Node)>, Option<Box<Node>>),
    /// A record.
    Record(Rc<[Name]>, Vec<Node>),
    /// A record of parts that may be records; names that come again get a number.
    Combine(Vec<Part>),
    /// A list.
    List(Vec<Node>),
    /// Collections one after the other; `false`: what is before it and it without repetitions.
    Union(Vec<(bool, Node)>),
    /// First occurrences.
    Distinct(Box<Node>),
    /// `true`: null if it fails.
    Cast(bool, Box<Node>, Rc<Type>),
    /// Printed type of what is known only when run.
    TypeOf(Box<Node>),
    /// Null if it fails.
    Try(Box<Node>),
    /// A declared function.
    Call(u32, Vec<Node>),
    /// A built-in function.
    Function(Function, Vec<Node>),
    /// Integers.
    Range(Box<[Node; 2]>),
    /// Elements with their numbers.
    Enumerate(Box<Node>),
    /// An aggregate of a collection.
    Collect(Aggregate, Box<Node>),
    /// Records of a topic.
    Topic(u32),
    /// Elements of a file.
    File(Box<FileSource>),
    /// `DESCRIBE`
    Describe(Box<FileSource>),
    /// `SELECT`
    Select(Box<Select>),
}

impl Node {
    /// Null.
    pub const NULL: Node = Node::Constant(Value::Null);
}

/// A generator of `FROM`.
#[derive(Clone, Debug)]
pub struct Generator {
    /// The collection.
    pub source: Node,
    /// Where its element is.
    pub slot: Slot,
    /// Where offset and time of a topic's record are.
    pub record: Option<[Slot; 2]>,
    /// It uses elements of generators before it.
    pub dependent: bool,
    /// Key over the generators before it and key over its own element, which `WHERE` wants equal.
    pub join: Option<(Node, Node)>,
}

/// `GROUP BY`, or aggregates over all rows.
#[derive(Clone, Debug)]
pub struct Group {
    /// Keys and where their values are.
    pub keys: Vec<(Node, Slot)>,
    /// Aggregates, their arguments and where their results are.
    pub aggregates: Vec<(Aggregate, Option<Node>, Slot)>,
    /// Where the group as a collection is, and its element.
    pub partition: Option<(Slot, Node)>,
    /// `HAVING`
    pub having: Option<Node>,
    /// All rows are one group, also if there are none.
    pub whole: bool,
}

/// `SELECT`.
#[derive(Clone, Debug)]
pub struct Select {
    /// `FROM`
    pub generators: Vec<Generator>,
    /// `WHERE`
    pub filter: Option<Node>,
    /// Groups.
    pub group: Option<Group>,
    /// Projections.
    pub parts: Vec<Part>,
    /// The one projection is the element itself.
    pub bare: bool,
    /// Names of the fields, if they are known.
    pub names: Option<Rc<[Name]>>,
    /// Where projections are kept for `ORDER BY`.
    pub outputs: Option<Slot>,
    /// `DISTINCT`
    pub distinct: bool,
    /// `ORDER BY`; `true`: `DESC`
    pub order: Vec<(Node, bool)>,
    /// `LIMIT`
    pub limit: Option<Node>,
    /// `OFFSET`
    pub offset: Option<Node>,
}

/// A declared function.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its slots; the first ones are its parameters.
    pub slots: Range<Slot>,
    /// Its body.
    pub body: Node,
}

/// A query that is ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The result.
    pub main: Node,
    /// Its type.
    pub kind: Type,
    /// How many slots there are.
    pub slots: Slot,
    /// Variables and their slots.
    pub variables: Vec<(Node, Slot)>,
    /// Functions.
    pub functions: Vec<Declared>,
    /// Topics.
    pub topics: Vec<Arc<Topic>>,
    /// Offsets of records are asked for.
    pub offsets: bool,
}

impl Node {
    /// Calls `visit` for this node and all inside it.
    pub fn visit(&self, visit: &mut dyn FnMut(&Node)) {
        visit(self);
        match self {
            Node::Constant(_) | Node::Slot(_) | Node::Variable(_) | Node::Topic(_) => {}
            Node::Path(inner, _)
            | Node::Negative(inner)
            | Node::Positive(inner)
            | Node::Not(inner)
            | Node::Truth(inner)
            | Node::IsNull(_, inner)
            | Node::Distinct(inner)
            | Node::Cast(_, inner, _)
            | Node::TypeOf(inner)
            | Node::Try(inner)
            | Node::Enumerate(inner)
            | Node::Collect(_, inner) => inner.visit(visit),
            Node::Arithmetic(first, rest) => {
                first.visit(visit);
                rest.iter().for_each(|(_, node)| node.visit(visit));
            }
            Node::All(list)
            | Node::Any(list)
            | Node::List(list)
            | Node::Record(_, list)
            | Node::Call(_, list)
            | Node::Function(_, list) => list.iter().for_each(|node| node.visit(visit)),
            Node::Compare(_, pair)
            | Node::Like(_, pair)
            | Node::In(_, pair)
            | Node::Range(pair) => pair.iter().for_each(|node| node.visit(visit)),
            Node::Between(_, three) | Node::If(three) => {
                three.iter().for_each(|node| node.visit(visit));
            }
            Node::Case(subject, branches, otherwise) => {
                subject.iter().chain(otherwise).for_each(|node| node.visit(visit));
                for (condition, value) in branches {
                    condition.visit(visit);
                    value.visit(visit);
                }
            }
            Node::Combine(parts) => parts.iter().for_each(|part| part.node().visit(visit)),
            Node::Union(parts) => parts.iter().for_each(|(_, node)| node.visit(visit)),
            Node::File(file) | Node::Describe(file) => file.location.visit(visit),
            Node::Select(select) => select.visit(visit),
        }
    }

    /// Whether its evaluation may fail on some data.
    #[must_use]
    pub fn may_fail(&self) -> bool {
        let mut fails = false;
        self.visit(&mut |node| {
            fails |= !matches!(
                node,
                Node::Constant(_)
                    | Node::Slot(_)
                    | Node::Path(..)
                    | Node::Compare(..)
                    | Node::IsNull(..)
                    | Node::Like(..)
                    | Node::Record(..)
                    | Node::Between(..)
            );
        });
        fails
    }
}

impl Part {
    /// What it is made of.
    #[must_use]
    pub fn node(&self) -> &Node {
        match self {
            Part::Field(_, node) | Part::Spread(_, node) => node,
        }
    }
}

impl Part {
    /// What it is made of, alone.
    #[must_use]
    pub fn into_node(self) -> Node {
        match self {
            Part::Field(_, node) | Part::Spread(_, node) => node,
        }
    }
}

impl Select {
    fn visit(&self, visit: &mut dyn FnMut(&Node)) {
        self.generators.iter().for_each(|generator| generator.source.visit(visit));
        let clauses = [&self.filter, &self.limit, &self.offset];
        clauses.into_iter().flatten().for_each(|node| node.visit(visit));
        if let Some(group) = &self.group {
            group.keys.iter().for_each(|(node, _)| node.visit(visit));
            let arguments = group.aggregates.iter().filter_map(|(_, node, _)| node.as_ref());
            arguments.chain(&group.having).for_each(|node| node.visit(visit));
            group.partition.iter().for_each(|(_, node)| node.visit(visit));
        }
        self.parts.iter().for_each(|part| part.node().visit(visit));
        self.order.iter().for_each(|(node, _)| node.visit(visit));
    }
}

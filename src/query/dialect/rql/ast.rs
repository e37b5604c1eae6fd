//! The tree of a query, in one arena: nodes name each other by number, so neither dropping nor
//! copying it recurses. Chains of operators of one rank are one node with a list, so that only
//! nesting, which is bounded, makes the tree deep.

use super::source::Span;
use std::rc::Rc;

/// Number of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u32);

/// Number of a type expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeId(pub u32);

/// A name as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Without back-quotes.
    pub text: Rc<str>,
    /// It had back-quotes.
    pub quoted: bool,
    /// Where.
    pub span: Span,
}

/// Words for literals of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporal {
    /// `DATE`
    Date,
    /// `TIME`
    Time,
    /// `TIMESTAMP`
    Timestamp,
    /// `INTERVAL`
    Interval,
}

/// Operators on numbers and times.
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

/// An argument of a call.
#[derive(Clone, Debug)]
pub struct Argument {
    /// `NAME :=` before it.
    pub name: Option<Word>,
    /// `DISTINCT` before it.
    pub distinct: bool,
    /// The value.
    pub value: Id,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Digits.
    Integer(i64),
    /// With fraction or exponent.
    Number(f64),
    /// A string.
    Text(Rc<str>),
    /// `DATE "..."` and the like; the span is the string's.
    Temporal(Temporal, Rc<str>, Span),
    /// A name.
    Name(Word),
    /// `*` as operand.
    Star,
    /// `PARTITION`
    Partition,
    /// Names after dots.
    Path(Id, Vec<Word>),
    /// `f(..)`, `f[type](..)`
    Call(Id, Option<TypeId>, Vec<Argument>),
    /// `(a: 1, 2)`
    Record(Vec<(Option<Word>, Id)>),
    /// `[..]`
    List(Vec<Id>),
    /// `DISTINCT(..)`
    Distinct(Id),
    /// `CAST`; `true`: `TRY_CAST`
    Cast(bool, Id, TypeId),
    /// `IF`
    If(Id, Id, Id),
    /// `CASE`: subject, branches, `ELSE`
    Case(Option<Id>, Vec<(Id, Id)>, Option<Id>),
    /// `SELECT`
    Select(Box<Select>),
    /// Signs before an operand; `true`: an odd number of minus.
    Signed(bool, Id),
    /// `NOT`s before an operand; `true`: an odd number.
    Not(bool, Id),
    /// Operators of one rank, from the left.
    Arithmetic(Id, Vec<(Arithmetic, Id)>),
    /// `AND`
    All(Vec<Id>),
    /// `OR`
    Any(Vec<Id>),
    /// `UNION`; `true`: `ALL`
    Union(Id, Vec<(bool, Id)>),
    /// Comparison.
    Compare(Comparison, Id, Id),
    /// `[NOT] LIKE`; `true`: `NOT`
    Like(bool, Id, Id),
    /// `[NOT] IN`
    In(bool, Id, Id),
    /// `[NOT] BETWEEN`
    Between(bool, Id, Id, Id),
    /// `IS [NOT] NULL`
    IsNull(bool, Id),
}

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// What.
    pub kind: Kind,
    /// Where.
    pub span: Span,
}

/// A projection.
#[derive(Clone, Debug)]
pub struct Projection {
    /// What.
    pub value: Id,
    /// Its alias.
    pub alias: Option<Word>,
}

/// A generator of `FROM`.
#[derive(Clone, Debug)]
pub struct Generator {
    /// The collection.
    pub value: Id,
    /// Its alias.
    pub alias: Option<Word>,
}

/// `SELECT`.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// `DISTINCT`
    pub distinct: bool,
    /// What.
    pub projections: Vec<Projection>,
    /// `FROM`
    pub generators: Vec<Generator>,
    /// `WHERE`
    pub filter: Option<Id>,
    /// `GROUP BY`
    pub keys: Vec<Projection>,
    /// `HAVING` and where the word stands.
    pub having: Option<(Id, Span)>,
    /// `ORDER BY`; `true`: `DESC`
    pub order: Vec<(Id, bool)>,
    /// `LIMIT`
    pub limit: Option<Id>,
    /// `OFFSET`
    pub offset: Option<Id>,
}

/// What a type expression is.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// A name.
    Name(Word),
    /// `COLLECTION(..)`
    Collection(TypeId),
    /// `RECORD(..)`
    Record(Vec<(Word, TypeId)>),
}

/// A type expression.
#[derive(Clone, Debug)]
pub struct TypeNode {
    /// What.
    pub kind: TypeKind,
    /// `NULLABLE`
    pub nullable: bool,
    /// Where.
    pub span: Span,
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Word,
    /// Its type.
    pub kind: TypeId,
    /// Its default.
    pub default: Option<Id>,
}

/// A declaration.
#[derive(Clone, Debug)]
pub enum Declaration {
    /// `x := ..`
    Variable(Word, Id),
    /// `f(..) := ..`
    Function(Word, Vec<Parameter>, Option<TypeId>, Block),
    /// `TYPEALIAS t := ..`
    Alias(Word, TypeId),
}

/// Declarations and the expression they are for.
#[derive(Clone, Debug)]
pub struct Block {
    /// In order.
    pub declarations: Vec<Declaration>,
    /// The value.
    pub value: Id,
}

/// A query.
#[derive(Clone, Debug)]
pub struct Program {
    /// The outermost block.
    pub block: Block,
    nodes: Vec<Node>,
    types: Vec<TypeNode>,
}

impl Program {
    /// Joins the parts.
    #[must_use]
    pub fn new(block: Block, nodes: Vec<Node>, types: Vec<TypeNode>) -> Self {
        Self { block, nodes, types }
    }

    /// An expression.
    ///
    /// # Panics
    /// If `id` is of another program.
    #[must_use]
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// A type expression.
    ///
    /// # Panics
    /// If `id` is of another program.
    #[must_use]
    pub fn type_node(&self, id: TypeId) -> &TypeNode {
        &self.types[id.0 as usize]
    }
}

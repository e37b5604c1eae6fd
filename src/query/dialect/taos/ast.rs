//! The tree of a statement.

#![expect(missing_docs, reason = "the parts are named after the words of the language")]

use crate::model::table::Kind;

/// A name with or without its database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    pub database: Option<String>,
    pub name: String,
}

/// A duration as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    pub count: i64,
    /// One of `buasmhdwny`.
    pub unit: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Or,
    And,
    Equal,
    Differs,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
    Match,
    NotMatch,
    Contains,
    Arrow,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    /// Whole, and beyond 64 bits with a sign.
    Big(u64),
    Double(f64),
    Text(String),
    Duration(Duration),
    Parameter(usize),
    /// Table or alias, and column.
    Column(Option<String>, String),
    /// `*`, `t.*`
    Star(Option<String>),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    IsNull(Box<Expr>, bool),
    In(Box<Expr>, Vec<Expr>, bool),
    Between(Box<Expr>, Box<Expr>, Box<Expr>, bool),
    Call(String, Vec<Expr>),
    Cast(Box<Expr>, Kind),
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
}

/// An expression with the text that it was written as, or its alias.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub expr: Expr,
    pub name: String,
    pub aliased: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Table(Name, Option<String>),
    Query(Box<Query>, Option<String>),
    Join(Box<Join>),
}

/// Two sources side by side, by their times and other equal values.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub left: Source,
    pub right: Source,
    /// Rows of the left one stay without a partner too.
    pub outer: bool,
    /// `None`: WHERE says it.
    pub on: Option<Expr>,
}

/// `RANGE(a, b) EVERY(d) FILL(..)`, for which INTERP asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    pub from: Expr,
    pub to: Option<Expr>,
    pub every: Option<Duration>,
    pub fill: Fill,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fill {
    #[default]
    None,
    Null,
    NullForced,
    Value(Vec<Expr>, bool),
    Previous,
    Next,
    Linear,
    Near,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    Interval { length: Duration, offset: Option<Duration>, sliding: Option<Duration>, fill: Fill },
    Session { time: Expr, gap: Duration },
    State(Expr),
    Event { start: Expr, end: Expr },
    Count { rows: i64, sliding: Option<i64> },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    pub count: Option<u64>,
    pub offset: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    pub distinct: bool,
    /// `SELECT TAGS`: one row for each subtable.
    pub tags_only: bool,
    pub items: Vec<Item>,
    pub from: Option<Source>,
    pub filter: Option<Expr>,
    pub partition: Vec<Item>,
    pub grid: Option<Grid>,
    pub window: Option<Window>,
    pub group: Vec<Expr>,
    pub having: Option<Expr>,
}

/// Selects, joined by UNION, and what is done with all of their rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub first: Select,
    /// Whether all rows stay, and what is added.
    pub unions: Vec<(bool, Select)>,
    pub order: Vec<Order>,
    pub slices: Option<Limit>,
    pub limit: Limit,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDef {
    pub name: String,
    pub kind: Kind,
    /// What is only shown: `encode`, `compress`, `level`, `key`.
    pub options: Options,
}

/// Names and values of what is kept and shown.
pub type Options = Vec<(String, String)>;

/// One of CREATE TABLE .. USING ..
#[derive(Clone, Debug, PartialEq)]
pub struct NewSubtable {
    pub name: Name,
    pub if_not_exists: bool,
    pub using: Using,
    pub options: Options,
}

/// What becomes of a user.
#[derive(Clone, Debug, PartialEq)]
pub enum UserChange {
    /// With a password, and options that are shown.
    Create(String, Options),
    Password(String),
    Options(Options),
    Drop(bool),
    /// Privileges, in lower case, on a pattern of tables.
    Grant(Vec<String>, String),
    Revoke(Vec<String>, String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Using {
    pub stable: Name,
    pub tags: Option<Vec<String>>,
    pub values: Vec<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct InsertPart {
    /// `None`: `?`
    pub table: Option<Name>,
    pub using: Option<Using>,
    pub columns: Option<Vec<String>>,
    pub rows: Vec<Vec<Expr>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Insert {
    Parts(Vec<InsertPart>),
    Select(Name, Option<Vec<String>>, Box<Query>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    AddColumn(ColumnDef),
    DropColumn(String),
    ModifyColumn(ColumnDef),
    RenameColumn(String, String),
    AddTag(ColumnDef),
    DropTag(String),
    ModifyTag(ColumnDef),
    RenameTag(String, String),
    SetTags(Vec<(String, Expr)>),
    /// Kept and shown only: of the table.
    Options(Options),
    /// Of a column.
    ColumnOptions(String, Options),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Over {
    Database(String),
    /// With a condition on tags, and its text.
    Stable(Name, Option<(Expr, String)>),
    Query(Box<Query>, String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Show {
    Databases,
    Tables {
        database: Option<String>,
        like: Option<String>,
        normal: bool,
        child: bool,
    },
    Stables {
        database: Option<String>,
        like: Option<String>,
    },
    Topics,
    Consumers,
    Subscriptions,
    Vgroups(Option<String>),
    Dnodes,
    CreateDatabase(String),
    /// And whether it was asked for as a supertable.
    CreateTable(Name, bool),
    /// The values of tags of all subtables.
    TableTags(Name, Vec<Item>),
    /// The tags of one table.
    Tags(Name),
    /// One of the lists that are the same for everybody.
    List(String),
    /// One of which there is nothing to tell.
    Empty(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Query(Box<Query>),
    Insert(Insert),
    Delete {
        table: Name,
        filter: Option<Expr>,
    },
    CreateDatabase {
        name: String,
        if_not_exists: bool,
        options: Vec<(String, String)>,
    },
    AlterDatabase {
        name: String,
        options: Vec<(String, String)>,
    },
    DropDatabase {
        name: String,
        if_exists: bool,
    },
    Use(String),
    CreateTable {
        name: Name,
        if_not_exists: bool,
        columns: Vec<ColumnDef>,
        tags: Option<Vec<ColumnDef>>,
        options: Options,
    },
    CreateSubtables(Vec<NewSubtable>),
    DropTables {
        tables: Vec<(Name, bool)>,
        stable: bool,
    },
    Alter {
        table: Name,
        /// It was called a supertable.
        stable: bool,
        change: Change,
    },
    CreateTopic {
        name: String,
        if_not_exists: bool,
        meta: bool,
        over: Over,
    },
    DropTopic {
        name: String,
        if_exists: bool,
        force: bool,
    },
    User {
        name: String,
        change: UserChange,
    },
    DropGroup {
        group: String,
        topic: String,
        if_exists: bool,
    },
    Show(Show),
    Describe(Name),
    /// A database; does nothing here.
    Flush(String),
}

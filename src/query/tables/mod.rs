//! Statements over typed tables, carried out on a query worker.
//!
//! Method: a statement is read by [`crate::query::dialect::taos`], then runs against the
//! definitions as they are and the logs as they stand; what it changes goes to the shards as
//! definitions and records. A statement is checked whole before anything of it is written.

pub mod bind;
pub mod codes;
pub mod convert;
mod define;
pub mod expr;
mod foreign;
pub mod insert;
pub mod relation;
pub mod schema;
pub mod select;
mod show;
pub mod store;
mod subscription;
pub mod time;
pub mod tmq;

use super::dialect::taos::ast::Statement;
use super::dialect::taos::{Wrong, parse};
use super::pull::Bench;
use crate::model::table::rows::Cell;
use crate::model::table::{Kind, Precision, Tables};
use convert::Clock;
use expr::bind::{About, Binder};
use relation::RelationColumn;
use select::{Cursor, Found};
use std::sync::Arc;

/// What the user may do.
pub struct Rights {
    /// Reads.
    pub read: bool,
    /// Writes rows.
    pub write: bool,
    /// Defines.
    pub admin: bool,
    /// Which topics, by their short names.
    pub may_touch: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Which of them may be written.
    pub may_write: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { read, write, admin, .. } = self;
        write!(f, "Rights({read}, {write}, {admin})")
    }
}

/// Who runs a statement, and how.
#[derive(Clone, Debug)]
pub struct Who {
    /// What questions about the session are answered with.
    pub about: About,
    /// What the user may do.
    pub rights: Arc<Rights>,
    /// Zone of the session.
    pub zone: chrono_tz::Tz,
    /// Subscription definitions that there may be.
    pub topics_max: u64,
}

/// What a statement runs in.
pub struct World<'a> {
    /// The appliance.
    pub bench: &'a mut dyn Bench,
    /// Definitions as they were when it began.
    pub tables: Arc<Tables>,
    /// The session.
    pub about: About,
    /// The user.
    pub rights: Arc<Rights>,
    /// Values of `?`.
    pub parameters: Vec<Cell>,
    zone: chrono_tz::Tz,
    topics_max: u64,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("about", &self.about).finish_non_exhaustive()
    }
}

impl<'a> World<'a> {
    /// Begins a statement.
    pub fn new(bench: &'a mut dyn Bench, who: &Who) -> Self {
        Self {
            tables: bench.tables(),
            bench,
            about: who.about.clone(),
            rights: Arc::clone(&who.rights),
            parameters: Vec::new(),
            zone: who.zone,
            topics_max: who.topics_max,
        }
    }

    /// Now, in milliseconds until a table says otherwise.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock { now_ns: self.bench.now(), zone: self.zone, precision: Precision::Ms }
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// It must end.
    pub fn check(&mut self) -> Result<(), Wrong> {
        self.bench.check().map_err(|_| Wrong::new(0xFFFF, "the query was stopped"))
    }

    /// Reads the definitions anew, after a change.
    pub fn refresh(&mut self) {
        self.tables = self.bench.tables();
    }
}

/// What expressions of a statement are bound in, whatever its columns.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Now, and what times count.
    pub clock: Clock,
    about: About,
    parameters: Vec<Cell>,
}

impl Scope {
    /// Of a statement, over a relation of this precision.
    #[must_use]
    pub fn of(world: &World<'_>, precision: Precision) -> Self {
        let clock = Clock { precision, ..world.clock() };
        Self { clock, about: world.about.clone(), parameters: world.parameters.clone() }
    }

    /// For these columns, outside of aggregates and windows.
    #[must_use]
    pub fn binder<'s>(&'s self, columns: &'s [RelationColumn]) -> Binder<'s> {
        Binder {
            columns,
            clock: &self.clock,
            about: &self.about,
            parameters: &self.parameters,
            aggregates: None,
            windows: false,
        }
    }
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// A result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Its columns.
    pub fields: Vec<Field>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
    /// What its times count.
    pub precision: Precision,
}

/// What a statement came to.
#[derive(Debug)]
pub enum Done {
    /// Rows.
    Rows(Rows),
    /// Rows that are made as they are read.
    Cursor(Box<Cursor>),
    /// So many rows were written.
    Affected(u64),
    /// The session's database is this now.
    Use(String),
}

/// Carries out a text.
///
/// # Errors
/// What is wrong with it, or that it could not be carried out.
pub fn execute(world: &mut World<'_>, text: &str) -> Result<Done, Wrong> {
    let (statement, parameters) = parse(text)?;
    if parameters > world.parameters.len() {
        return Err(codes::unsupported("?"));
    }
    carry_out(world, &statement)
}

/// Carries out a statement.
///
/// # Errors
/// As [`execute`].
pub fn carry_out(world: &mut World<'_>, statement: &Statement) -> Result<Done, Wrong> {
    let rights = Arc::clone(&world.rights);
    let may = |allowed: bool| if allowed { Ok(()) } else { Err(codes::no_privilege()) };
    match statement {
        Statement::Query(query) => {
            may(rights.read)?;
            select::open(world, query).map(|found| match found {
                Found::Rows(rows) => Done::Rows(rows),
                Found::Cursor(cursor) => Done::Cursor(cursor),
            })
        }
        Statement::Show(what) => {
            may(rights.read)?;
            show::run(world, what).map(Done::Rows)
        }
        Statement::Describe(name) => {
            may(rights.read)?;
            show::describe(world, name).map(Done::Rows)
        }
        Statement::Use(name) => {
            let there = world.tables.database(name).is_some()
                || world.bench.has_database(name)
                || [relation::SCHEMA, relation::PERFORMANCE].contains(&name.as_str());
            if there { Ok(Done::Use(name.clone())) } else { Err(codes::no_database()) }
        }
        Statement::Insert(statement) => {
            may(rights.write)?;
            insert::run(world, statement).map(Done::Affected)
        }
        Statement::Delete { table, filter } => {
            may(rights.write)?;
            insert::delete(world, table, filter.as_ref()).map(Done::Affected)
        }
        Statement::Flush(name) => {
            let there = world.tables.database(name).is_some() || world.bench.has_database(name);
            if there { Ok(Done::Affected(0)) } else { Err(codes::no_database()) }
        }
        other => {
            may(rights.admin)?;
            define::run(world, other).map(|()| Done::Affected(0))
        }
    }
}

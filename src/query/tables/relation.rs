//! What stands in FROM: typed tables, topics of other front-ends as tables, and lists that describe
//! the appliance; all as columns and rows.
//!
//! Invariant: rows of a table are in order of time, then of the creation of subtables; each row is
//! as wide as the columns. A typed table gives its sheets, of which only the columns that the query
//! names are read.

use super::select::scan::{Part, Scan};
use super::store::{Sheet, Sheets, oldest_of, stand};
use super::{World, codes, foreign, show};
use crate::model::name::TopicName;
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Kind, Precision, Subtable, Table};
use crate::model::topic::Topic;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Name;
use ahash::AHashSet;
use std::sync::Arc;

/// The database that describes all others.
pub const SCHEMA: &str = "information_schema";
/// The one that describes what goes on.
pub const PERFORMANCE: &str = "performance_schema";
/// Length of `tbname`.
const NAME_LENGTH: u32 = 192;

/// A column of a relation.
#[derive(Clone, Debug)]
pub struct RelationColumn {
    /// What it may be qualified with.
    pub table: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: Kind,
    /// `*` shows it.
    pub shown: bool,
    /// It is a tag, or the name of the subtable.
    pub tag: bool,
}

/// Columns and rows.
#[derive(Clone, Debug, Default)]
pub struct Relation {
    /// The columns.
    pub columns: Vec<RelationColumn>,
    /// The rows, unless they are still in `scan`.
    pub rows: Vec<Vec<Cell>>,
    /// The sheets of a typed table.
    pub scan: Option<Scan>,
    /// What times count.
    pub precision: Precision,
    /// The column that rows are ordered by.
    pub time: Option<usize>,
}

/// The names that a query uses; `None`: all.
pub type Needed = Option<AHashSet<String>>;

/// What a name means.
#[derive(Clone, Debug)]
pub enum Target {
    /// A normal table or a supertable.
    Table(Arc<Table>, Arc<Topic>),
    /// A subtable.
    Sub(Arc<Subtable>, Arc<Table>, Arc<Topic>),
    /// A topic of another front-end.
    Foreign(Arc<Topic>),
}

/// The database that a name lies in.
///
/// # Errors
/// None was named, or it does not exist.
pub fn database_of(world: &mut World<'_>, name: &Name) -> Result<String, Wrong> {
    let database = name.database.clone().or_else(|| world.about.database.clone());
    let database = database.ok_or_else(codes::no_database_named)?;
    let there = world.tables.database(&database).is_some()
        || world.bench.has_database(&database)
        || database == SCHEMA
        || database == PERFORMANCE;
    if there { Ok(database) } else { Err(codes::no_database()) }
}

/// `database.name` as a topic's name.
///
/// # Errors
/// It is too long.
pub fn topic_name(database: &str, name: &str) -> Result<TopicName, Wrong> {
    TopicName::parse(&format!("{database}.{name}")).ok_or_else(|| codes::unsupported(name))
}

/// What a name means.
///
/// # Errors
/// Nothing, or the user may not see it.
pub fn find(world: &mut World<'_>, name: &Name) -> Result<Target, Wrong> {
    let database = database_of(world, name)?;
    let missing = || codes::no_table(&name.name);
    let full = topic_name(&database, &name.name)?;
    let target = if let Some(table) = world.tables.table(&full).cloned() {
        world.bench.topic(&full).map(|topic| Target::Table(table, topic))
    } else if let Some(sub) = world.tables.subtable(&database, &name.name).cloned() {
        let table = world.tables.table(&sub.stable).cloned();
        let topic = world.bench.topic(&sub.stable);
        table.zip(topic).map(|(table, topic)| Target::Sub(sub, table, topic))
    } else {
        world.bench.topic(&full).filter(|topic| !topic.typed).map(Target::Foreign)
    };
    let target = target.ok_or_else(missing)?;
    let (Target::Table(_, topic) | Target::Sub(_, _, topic) | Target::Foreign(topic)) = &target;
    if (world.rights.may_touch)(topic.name.short()) { Ok(target) } else { Err(missing()) }
}

/// The relation of a name in FROM.
///
/// # Errors
/// As [`find`], or the log cannot be read.
pub fn load(
    world: &mut World<'_>,
    name: &Name,
    alias: Option<&str>,
    needed: &Needed,
) -> Result<Relation, Wrong> {
    let database = database_of(world, name)?;
    let mut relation = if database == SCHEMA || database == PERFORMANCE {
        show::describing(world, &name.name)?
    } else {
        match find(world, name)? {
            Target::Table(table, topic) if table.is_super => {
                let (sheets, subs) = (
                    stand(world.bench, &topic)?,
                    world.tables.subtables_of(&table.name).into_iter().cloned().collect(),
                );
                fill((&table, oldest_of(world.bench, &topic)), Shape::Super, &sheets, subs, needed)
            }
            Target::Table(table, topic) => {
                let sheets = stand(world.bench, &topic)?;
                fill(
                    (&table, oldest_of(world.bench, &topic)),
                    Shape::Normal,
                    &sheets,
                    Vec::new(),
                    needed,
                )
            }
            Target::Sub(sub, table, topic) => {
                let sheets = stand(world.bench, &topic)?;
                fill(
                    (&table, oldest_of(world.bench, &topic)),
                    Shape::Sub,
                    &sheets,
                    vec![sub],
                    needed,
                )
            }
            Target::Foreign(topic) => foreign::load(world, &topic)?,
        }
    };
    let qualifier: Arc<str> = alias.unwrap_or(&name.name).into();
    for column in &mut relation.columns {
        column.table = Some(Arc::clone(&qualifier));
    }
    Ok(relation)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Normal,
    Super,
    Sub,
}

fn fill(
    (table, oldest): (&Table, i64),
    shape: Shape,
    sheets: &Sheets,
    subs: Vec<Arc<Subtable>>,
    needed: &Needed,
) -> Relation {
    let wanted = |name: &str| needed.as_ref().is_none_or(|names| names.contains(name));
    let keep = |(index, column): &(usize, &Column)| *index == 0 || wanted(&column.name);
    let columns: Vec<&Column> =
        table.columns.iter().enumerate().filter(keep).map(|(_, column)| column).collect();
    let tags: Vec<&Column> = match shape {
        Shape::Normal => Vec::new(),
        _ => table.tags.iter().filter(|tag| wanted(&tag.name)).collect(),
    };
    let mut relation =
        Relation { precision: table.precision, time: Some(0), ..Relation::default() };
    let column = |name: &Arc<str>, kind, shown, tag| RelationColumn {
        table: None,
        name: Arc::clone(name),
        kind,
        shown,
        tag,
    };
    relation.columns.extend(columns.iter().map(|c| column(&c.name, c.kind, true, false)));
    let shown = shape == Shape::Super;
    relation.columns.extend(tags.iter().map(|c| column(&c.name, c.kind, shown, true)));
    relation.columns.push(column(&"tbname".into(), Kind::Varchar(NAME_LENGTH), false, true));
    let ids = columns.iter().skip(1).map(|column| column.id).collect();
    let part = |sheet: &Arc<Sheet>, tail| Part { sheet: Arc::clone(sheet), tail, oldest };
    let parts = if shape == Shape::Normal {
        sheets
            .get("")
            .map(|sheet| part(sheet, vec![Cell::text(table.own_name())]))
            .into_iter()
            .collect()
    } else {
        let of = |sub: &Arc<Subtable>| {
            let mut tail: Vec<Cell> = tags.iter().map(|tag| sub.tag(tag.id)).collect();
            tail.push(Cell::Text(Arc::clone(&sub.name)));
            Some(part(sheets.get(&sub.name)?, tail))
        };
        subs.iter().filter_map(of).collect()
    };
    relation.scan = Some(Scan { ids, parts });
    relation
}

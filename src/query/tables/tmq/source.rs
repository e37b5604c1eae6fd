//! What a definition reads: its tables as they stand, and how their records become rows.

use crate::model::name::TopicName;
use crate::model::table::rows::{Cell, Rows};
use crate::model::table::{Kind, Precision, Table, entry};
use crate::model::topic::Topic;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Name, Select, Source, Statement};
use crate::query::dialect::taos::parse;
use crate::query::tables::World;
use crate::query::tables::relation::{Relation, RelationColumn, Target, find};
use crate::query::tables::subscription::Subscription;
use std::sync::Arc;

/// What is read.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    /// The logs of tables.
    Tables(Vec<Arc<Topic>>),
    /// A topic of another front-end.
    Foreign(Arc<Topic>),
}

/// A definition, read.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// Its name.
    pub name: String,
    /// As it is stored.
    pub subscription: Subscription,
    /// What is selected of a table.
    pub select: Option<Select>,
    /// Which subtables of a supertable.
    pub chosen: Option<Select>,
}

impl Definition {
    /// The definition of this name.
    pub fn find(world: &World<'_>, name: &str) -> Option<Self> {
        let stored = world.tables.other(entry::SUBSCRIPTION_FAMILY, name.as_bytes())?;
        let subscription = Subscription::decode(stored)?;
        let select = match parse(&subscription.text) {
            Ok((Statement::Query(query), _)) => Some(query.first),
            _ => None,
        };
        let (select, chosen) =
            if subscription.stable.is_empty() { (select, None) } else { (None, select) };
        Some(Self { name: name.to_owned(), subscription, select, chosen })
    }

    /// The table that is selected from.
    fn selected(&self) -> Option<(Name, Option<String>)> {
        let Some(Source::Table(name, alias)) = &self.select.as_ref()?.from else { return None };
        let database = name.database.clone().or(Some(self.subscription.database.clone()));
        Some((Name { database, name: name.name.clone() }, alias.clone()))
    }

    /// What is there to be read now, and of which subtable only.
    pub fn scope(&self, world: &mut World<'_>) -> (Scope, Option<Arc<str>>) {
        let none = || (Scope::Tables(Vec::new()), None);
        if self.select.is_some() {
            let Some((name, _)) = self.selected() else { return none() };
            return match find(world, &name) {
                Ok(Target::Table(_, topic)) => (Scope::Tables(vec![topic]), None),
                Ok(Target::Sub(sub, _, topic)) => {
                    (Scope::Tables(vec![topic]), Some(Arc::clone(&sub.name)))
                }
                Ok(Target::Foreign(topic)) => (Scope::Foreign(topic), None),
                Err(_) => none(),
            };
        }
        let tables = Arc::clone(&world.tables);
        let Subscription { database, stable, .. } = &self.subscription;
        let own = tables.tables_of(database).into_iter().filter(|(_, table)| {
            (stable.is_empty() || table.own_name() == stable)
                && (world.rights.may_touch)(table.name.short())
        });
        let names: Vec<TopicName> = own.map(|(_, table)| table.name.clone()).collect();
        (Scope::Tables(names.iter().filter_map(|name| world.bench.topic(name)).collect()), None)
    }

    /// The columns that a SELECT or a condition sees; `of_sub`: of one subtable, whose tags `*`
    /// does not show.
    pub fn relation(&self, table: &Table, of_sub: bool) -> Relation {
        let alias = self.selected().map(|(name, alias)| alias.unwrap_or(name.name));
        let qualifier: Option<Arc<str>> = alias.map(Into::into);
        let column = |name: &Arc<str>, kind, shown, tag| RelationColumn {
            table: qualifier.clone(),
            name: Arc::clone(name),
            kind,
            shown,
            tag,
        };
        let columns = table.columns.iter().map(|c| column(&c.name, c.kind, true, false));
        let tags = table.tags.iter().map(|c| column(&c.name, c.kind, !of_sub, true));
        let name = column(&"tbname".into(), Kind::Varchar(192), false, true);
        let columns = columns.chain(tags).chain([name]).collect();
        Relation { columns, precision: table.precision, time: Some(0), ..Relation::default() }
    }

    /// What a foreign topic's columns are qualified with.
    pub fn qualify(&self, relation: &mut Relation) {
        let alias = self.selected().map(|(name, alias)| alias.unwrap_or(name.name));
        let qualifier: Option<Arc<str>> = alias.map(Into::into);
        relation.columns.iter_mut().for_each(|column| column.table = qualifier.clone());
    }
}

/// Appends the rows of a record, as wide as the table; what it does not name is null.
pub(super) fn rows_of(table: &Table, record: &Rows<'_>, out: &mut Vec<Vec<Cell>>) {
    let given: Vec<_> = record.columns().map(|column| column.id).collect();
    let mut columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| given.iter().position(|id| *id == column.id))
        .map(|at| at.map(|at| record.cells(at).into_iter()))
        .collect();
    for _ in 0..record.rows {
        let next = |cells: &mut Option<std::vec::IntoIter<Cell>>| {
            cells.as_mut().and_then(Iterator::next).unwrap_or_default()
        };
        out.push(columns.iter_mut().map(next).collect());
    }
}

/// Tags and name of the record's subtable, as [`Definition::relation`] has them behind the columns.
pub(super) fn tail_of(table: &Table, record: &Rows<'_>) -> Vec<Cell> {
    let tag = |id| {
        let found = record.tags.iter().find(|(column, _)| column.id == id);
        found.map_or(Cell::Null, |(_, cell)| cell.clone())
    };
    let mut tail: Vec<Cell> = table.tags.iter().map(|column| tag(column.id)).collect();
    tail.push(Cell::text(if record.table.is_empty() { table.own_name() } else { record.table }));
    tail
}

/// What the times of a foreign topic count.
pub(super) fn foreign_precision(world: &World<'_>, topic: &Topic) -> Precision {
    let database = world.tables.database(topic.name.database());
    database.map_or_else(Default::default, |database| database.precision)
}

/// The SELECT over rows that are at hand.
pub(super) fn selected(
    world: &mut World<'_>,
    select: &Select,
    relation: Relation,
) -> Result<crate::query::tables::Rows, Wrong> {
    crate::query::tables::select::each(world, select, relation)
}

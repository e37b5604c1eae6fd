//! Definitions of subscriptions: CREATE TOPIC and DROP TOPIC.

use super::define::{Outcome, define, entries};
use super::insert::columns_in;
use super::relation::{Target, database_of, find, load};
use super::{World, codes, parse, tmq};
use crate::model::table::{Entry, Require, Table, entry};
use crate::model::value::encode_bytes;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Expr, Over, Source, Statement};

/// A subscription definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// Of the tables.
    pub database: String,
    /// Definitions of tables are told too.
    pub meta: bool,
    /// A supertable, of which `text` selects subtables; empty: the whole database, or what `text`
    /// selects.
    pub stable: String,
    /// A SELECT, or empty.
    pub text: String,
}

impl Subscription {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![1, u8::from(self.meta)];
        for text in [&self.database, &self.stable, &self.text] {
            encode_bytes(text.as_bytes(), &mut out);
        }
        out
    }

    /// Reads an entry.
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut from = crate::model::value::Bytes(value);
        if from.u8()? != 1 {
            return None;
        }
        let meta = from.u8()? == 1;
        let mut text = || Some(from.text()?.to_owned());
        Some(Self { meta, database: text()?, stable: text()?, text: text()? })
    }
}

/// Carries out a CREATE TOPIC.
pub(super) fn create_topic(
    world: &mut World<'_>,
    name: &str,
    if_not_exists: bool,
    meta: bool,
    over: &Over,
) -> Outcome {
    if world.tables.other(entry::SUBSCRIPTION_FAMILY, name.as_bytes()).is_some() {
        return if if_not_exists { Ok(()) } else { Err(codes::topic_exists()) };
    }
    if world.tables.others(entry::SUBSCRIPTION_FAMILY).count() as u64 >= world.topics_max {
        return Err(codes::too_many_topics());
    }
    let (database, stable, text) = match over {
        Over::Database(database) => {
            let there =
                world.tables.database(database).is_some() || world.bench.has_database(database);
            if !there {
                return Err(codes::no_database());
            }
            (database.clone(), String::new(), String::new())
        }
        Over::Stable(table, filter) => match find(world, table)? {
            Target::Table(table, _) if table.is_super => {
                let text = tag_condition(&table, filter.as_ref())?;
                (table.name.database().to_owned(), table.own_name().to_owned(), text)
            }
            _ => return Err(codes::no_table(&table.name)),
        },
        Over::Query(query, text) => {
            let plain = query.first.window.is_none()
                && query.first.group.is_empty()
                && query.first.partition.is_empty()
                && !query.first.distinct
                && query.unions.is_empty()
                && query.order.is_empty()
                && query.limit == Default::default();
            let source = match &query.first.from {
                Some(Source::Table(table, _)) if plain => table,
                _ => return Err(codes::bad_topic_query()),
            };
            let database = database_of(world, source)?;
            // What it selects must be there now.
            let alias = match &query.first.from {
                Some(Source::Table(_, alias)) => alias.clone(),
                _ => None,
            };
            let relation = load(world, source, alias.as_deref(), &None)?;
            let rows = super::select::each(world, &query.first, relation)?;
            if meta || rows.fields.is_empty() {
                return Err(codes::bad_topic_query());
            }
            (database, String::new(), text.clone())
        }
    };
    let value = Subscription { database, meta, stable, text }.encode();
    let put = Entry::put(entry::SUBSCRIPTION_FAMILY, name, value, Require::Absent);
    define(world, entries(vec![put]), codes::topic_exists)
}

/// A condition on the tags of a supertable as a SELECT, or nothing.
fn tag_condition(table: &Table, filter: Option<&(Expr, String)>) -> Result<String, Wrong> {
    let Some((filter, text)) = filter else { return Ok(String::new()) };
    let mut names = Vec::new();
    columns_in(filter, &mut names);
    let is_tag = |name: &String| name == "tbname" || table.tags.iter().any(|t| *t.name == **name);
    if !names.iter().all(is_tag) {
        return Err(codes::bad_topic_query());
    }
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let (database, own) = (quoted(table.name.database()), quoted(table.own_name()));
    let text = format!("select tbname from {database}.{own} where {text}");
    parse(&text).map(|_| text)
}

/// Carries out a DROP TOPIC.
pub(super) fn drop_topic(
    world: &mut World<'_>,
    name: &str,
    if_exists: bool,
    force: bool,
) -> Outcome {
    if world.tables.other(entry::SUBSCRIPTION_FAMILY, name.as_bytes()).is_none() {
        return if if_exists { Ok(()) } else { Err(codes::no_topic()) };
    }
    if !force && world.bench.groups().reads(name) {
        return Err(codes::topic_in_use());
    }
    let mut list = vec![Entry::remove(entry::SUBSCRIPTION_FAMILY, name)];
    list.extend(positions(world, name, None));
    define(world, entries(list), codes::topic_exists)
}

/// Removals of the stored positions of a definition, of one group or all.
fn positions(world: &World<'_>, topic: &str, group: Option<&str>) -> Vec<Entry> {
    let stored = world.bench.positions(&tmq::position_prefix(topic, group));
    let gone = |(key, _)| {
        let (family, require) = (entry::POSITION_FAMILY, Require::Any);
        Entry { family, key, value: None, require }
    };
    stored.into_iter().map(gone).collect()
}

/// Carries out a DROP CONSUMER GROUP.
pub(super) fn drop_group(
    world: &mut World<'_>,
    group: &str,
    topic: &str,
    if_exists: bool,
) -> Outcome {
    if world.tables.other(entry::SUBSCRIPTION_FAMILY, topic.as_bytes()).is_none() {
        return if if_exists { Ok(()) } else { Err(codes::no_topic()) };
    }
    if world.bench.groups().has(topic, group) {
        return Err(codes::group_in_use());
    }
    let gone = positions(world, topic, Some(group));
    if gone.is_empty() {
        return if if_exists { Ok(()) } else { Err(codes::no_group()) };
    }
    define(world, entries(gone), codes::topic_exists)
}

/// Refuses a change of a table that takes away a column which a definition names.
pub(super) fn check_used(world: &World<'_>, table: &Table, column: &str) -> Outcome {
    let all = world.tables.others(entry::SUBSCRIPTION_FAMILY);
    for own in all.filter_map(|(_, value)| Subscription::decode(value)) {
        let Ok((Statement::Query(query), _)) = parse(&own.text) else { continue };
        let Some(Source::Table(source, _)) = &query.first.from else { continue };
        let database = source.database.as_ref().unwrap_or(&own.database);
        let sub = world.tables.subtable(database, &source.name);
        let reads = match sub {
            Some(sub) => sub.stable == table.name,
            None => database == table.name.database() && source.name == table.own_name(),
        };
        let named = || {
            let mut names = Vec::new();
            query.first.items.iter().for_each(|item| columns_in(&item.expr, &mut names));
            query.first.filter.iter().for_each(|filter| columns_in(filter, &mut names));
            names.iter().any(|name| name == column)
        };
        if reads && named() {
            return Err(codes::field_used());
        }
    }
    Ok(())
}

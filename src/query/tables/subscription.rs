//! Definitions of subscriptions: CREATE TOPIC and DROP TOPIC.

use super::define::{Outcome, define, entries};
use super::relation::{Target, database_of, find};
use super::{World, codes};
use crate::model::table::{Entry, Require, entry};
use crate::model::value::encode_bytes;
use crate::query::dialect::taos::ast::{Over, Source};

/// A subscription definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// Of the tables.
    pub database: String,
    /// Definitions of tables are told too.
    meta: bool,
    /// A supertable; empty: the whole database, or what `text` selects.
    stable: String,
    /// A SELECT, or empty.
    text: String,
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
        Over::Stable(_, Some(_)) => return Err(codes::bad_topic_query()),
        Over::Stable(table, None) => match find(world, table)? {
            Target::Table(table, _) if table.is_super => {
                let name = table.own_name().to_owned();
                (table.name.database().to_owned(), name, String::new())
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
            super::select::run(world, query)?;
            (database, String::new(), text.clone())
        }
    };
    let value = Subscription { database, meta, stable, text }.encode();
    let put = Entry::put(entry::SUBSCRIPTION_FAMILY, name, value, Require::Absent);
    define(world, entries(vec![put]), codes::topic_exists)
}

/// Carries out a DROP TOPIC.
pub(super) fn drop_topic(world: &mut World<'_>, name: &str, if_exists: bool) -> Outcome {
    if world.tables.other(entry::SUBSCRIPTION_FAMILY, name.as_bytes()).is_none() {
        return if if_exists { Ok(()) } else { Err(codes::no_topic()) };
    }
    let gone = Entry::remove(entry::SUBSCRIPTION_FAMILY, name);
    define(world, entries(vec![gone]), codes::topic_exists)
}

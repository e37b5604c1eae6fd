//! Typed tables: databases, tables, supertables and their subtables, as everybody knows them.
//!
//! Method: a definition is an entry of the catalog; all of them together are [`Tables`], which is
//! changed by entries only, so a replay gives what was there. Rows are in [`rows`].

pub mod defined;
pub mod entry;
pub mod kind;
pub mod numbering;
pub mod packed;
pub mod rows;

pub use entry::{Entry, Require};
pub use kind::{Kind, Precision};
pub use packed::Packed;

use crate::model::name::{MAIN, TopicName};
use crate::model::record::TimeNs;
use rows::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of a column in its table, never given twice there.
pub type ColumnId = u16;

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// What its timestamps count.
    pub precision: Precision,
    /// Partitions of its tables.
    pub vgroups: u16,
    /// Number of its first vgroup; the others follow.
    pub first_vgroup: u32,
    /// Days that a row may be old.
    pub keep_days: u32,
    /// When it was made.
    pub created: TimeNs,
    /// Options as they were given, which are only shown.
    pub options: Vec<(String, String)>,
}

impl Database {
    /// One of this name as it is when nobody said how. Vgroup 1 is that of databases that nobody
    /// made; those of others follow.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            precision: Precision::Ms,
            vgroups: 1,
            first_vgroup: 1,
            keep_days: 3650,
            created: 0,
            options: Vec::new(),
        }
    }

    /// The first time, in units of the precision, that is not older than the database keeps.
    #[must_use]
    pub fn oldest(&self, now: TimeNs) -> i64 {
        let kept = i128::from(self.keep_days) * 86_400_000_000_000;
        let unit = i128::from(self.precision.unit_ns());
        let units = (i128::from(now) - kept + unit - 1).div_euclid(unit);
        units.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

impl Database {
    /// The vgroup of a table, by its name with the database: FNV-1a, which stays the same for ever.
    #[must_use]
    pub fn vgroup_of(&self, full: &str) -> u32 {
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = full.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        self.first_vgroup + (hash % u64::from(self.vgroups.max(1))) as u32
    }
}

/// A column or a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its number.
    pub id: ColumnId,
    /// Its name.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: Kind,
}

/// A normal table or a supertable; a topic of the same name holds its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// `database.name`.
    pub name: TopicName,
    /// Columns, the timestamp first.
    pub columns: Vec<Column>,
    /// Tags.
    pub tags: Vec<Column>,
    /// It has subtables.
    pub is_super: bool,
    /// The number of the next column.
    pub next_column: ColumnId,
    /// What its timestamps count.
    pub precision: Precision,
    /// When it was made.
    pub created: TimeNs,
    /// What is only shown; of a column, its number stands behind the name.
    pub details: Vec<(String, String)>,
}

impl Table {
    /// A detail of a column.
    #[must_use]
    pub fn detail_of(&self, column: ColumnId, name: &str) -> Option<&str> {
        detail(&self.details, &format!("{name} {column}"))
    }

    /// The part of the name behind the database.
    #[must_use]
    pub fn own_name(&self) -> &str {
        own_name(&self.name)
    }
}

/// The value of a detail.
#[must_use]
pub fn detail<'a>(details: &'a [(String, String)], name: &str) -> Option<&'a str> {
    details.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

/// Puts details in the place of those of the same names.
pub fn set_details(details: &mut Vec<(String, String)>, more: &[(String, String)]) {
    details.retain(|(own, _)| more.iter().all(|(name, _)| name != own));
    details.extend_from_slice(more);
}

/// The part of a topic's name behind its database.
#[must_use]
pub fn own_name(name: &TopicName) -> &str {
    name.full().split_once('.').map_or("", |(_, own)| own)
}

/// A table of a supertable.
#[derive(Clone, Debug, PartialEq)]
pub struct Subtable {
    /// Its name, without the database.
    pub name: Arc<str>,
    /// Its supertable.
    pub stable: TopicName,
    /// Tags by the numbers of their columns.
    pub tags: Vec<(ColumnId, Cell)>,
    /// When it was made.
    pub created: TimeNs,
    /// Grows in the order of creation.
    pub order: u64,
    /// What is only shown.
    pub details: Vec<(String, String)>,
}

impl Subtable {
    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, id: ColumnId) -> Cell {
        self.tags.iter().find(|(tag, _)| *tag == id).map_or(Cell::Null, |(_, cell)| cell.clone())
    }
}

/// Everything that is defined.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    databases: BTreeMap<String, Arc<Database>>,
    tables: BTreeMap<TopicName, (u64, Arc<Table>)>,
    subtables: BTreeMap<String, BTreeMap<Arc<str>, Arc<Subtable>>>,
    others: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    next_order: u64,
}

impl Tables {
    /// The database of this name; `main` always is.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<Arc<Database>> {
        let found = self.databases.get(name).cloned();
        found.or_else(|| (name == MAIN).then(|| Arc::new(Database::plain(MAIN))))
    }

    /// Databases that somebody made, by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.databases.values()
    }

    /// The table or supertable of this name.
    #[must_use]
    pub fn table(&self, name: &TopicName) -> Option<&Arc<Table>> {
        self.tables.get(name).map(|(_, table)| table)
    }

    /// Tables and supertables of a database, in the order they were made.
    #[must_use]
    pub fn tables_of(&self, database: &str) -> Vec<(u64, &Arc<Table>)> {
        let own = self.tables.values().filter(|(_, table)| table.name.database() == database);
        let mut list: Vec<_> = own.map(|(order, table)| (*order, table)).collect();
        list.sort_by_key(|(order, _)| *order);
        list
    }

    /// The subtable of this name in a database.
    #[must_use]
    pub fn subtable(&self, database: &str, name: &str) -> Option<&Arc<Subtable>> {
        self.subtables.get(database)?.get(name)
    }

    /// All subtables of a database.
    pub fn subtables_in(&self, database: &str) -> impl Iterator<Item = &Arc<Subtable>> {
        self.subtables.get(database).into_iter().flat_map(BTreeMap::values)
    }

    /// Subtables of a supertable, in the order they were made.
    #[must_use]
    pub fn subtables_of(&self, stable: &TopicName) -> Vec<&Arc<Subtable>> {
        let all = self.subtables_in(stable.database());
        let mut list: Vec<_> = all.filter(|sub| sub.stable == *stable).collect();
        list.sort_by_key(|sub| sub.order);
        list
    }

    /// The entries of a family that only its users read.
    pub fn others(&self, family: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
        let own = self.others.iter().filter(move |((of, _), _)| *of == family);
        own.map(|((_, key), value)| (key.as_slice(), value.as_slice()))
    }

    /// One entry of such a family.
    #[must_use]
    pub fn other(&self, family: u8, key: &[u8]) -> Option<&[u8]> {
        self.others.get(&(family, key.to_vec())).map(Vec::as_slice)
    }

    /// Whether an entry of this key is there.
    #[must_use]
    pub fn has(&self, family: u8, key: &[u8]) -> bool {
        let name = std::str::from_utf8(key).ok();
        let topic = name.and_then(TopicName::parse);
        match family {
            entry::DATABASE_FAMILY => name.is_some_and(|name| self.databases.contains_key(name)),
            entry::TABLE_FAMILY => topic.is_some_and(|name| self.tables.contains_key(&name)),
            entry::SUBTABLE_FAMILY => {
                topic.is_some_and(|name| self.subtable(name.database(), own_name(&name)).is_some())
            }
            _ => self.others.contains_key(&(family, key.to_vec())),
        }
    }

    /// Whether the table of this key is defined by exactly this value.
    #[must_use]
    pub fn table_is(&self, key: &[u8], value: &[u8]) -> bool {
        let name = std::str::from_utf8(key).ok().and_then(TopicName::parse);
        let table = name.and_then(|name| self.table(&name).cloned());
        table.is_some_and(|table| entry::encode_table(&table) == value)
    }

    /// Takes an entry; what cannot be read is passed over.
    pub fn apply(&mut self, family: u8, key: &[u8], value: Option<&[u8]>) {
        if self.try_apply(family, key, value).is_none() {
            self.next_order += 1;
        }
    }

    fn try_apply(&mut self, family: u8, key: &[u8], value: Option<&[u8]>) -> Option<()> {
        self.next_order += 1;
        let order = self.next_order;
        match family {
            entry::DATABASE_FAMILY => {
                let name = std::str::from_utf8(key).ok()?;
                match value {
                    Some(value) => {
                        let database = entry::decode_database(name, value)?;
                        self.databases.insert(name.to_owned(), Arc::new(database));
                    }
                    None => drop(self.databases.remove(name)),
                }
            }
            entry::TABLE_FAMILY => {
                let name = TopicName::parse(std::str::from_utf8(key).ok()?)?;
                match value {
                    Some(value) => {
                        let table = Arc::new(entry::decode_table(&name, value)?);
                        let order = self.tables.get(&name).map_or(order, |(order, _)| *order);
                        self.tables.insert(name, (order, table));
                    }
                    None => drop(self.tables.remove(&name)),
                }
            }
            entry::SUBTABLE_FAMILY => {
                let name = TopicName::parse(std::str::from_utf8(key).ok()?)?;
                let all = self.subtables.entry(name.database().to_owned()).or_default();
                let own = own_name(&name);
                match value {
                    Some(value) => {
                        let order = all.get(own).map_or(order, |sub| sub.order);
                        let sub = entry::decode_subtable(own, order, value)?;
                        all.insert(own.into(), Arc::new(sub));
                    }
                    None => drop(all.remove(own)),
                }
            }
            _ => {
                let key = (family, key.to_vec());
                match value {
                    Some(value) => drop(self.others.insert(key, value.to_vec())),
                    None => drop(self.others.remove(&key)),
                }
            }
        }
        Some(())
    }
}

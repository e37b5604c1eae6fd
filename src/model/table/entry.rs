//! Definitions as entries of the catalog.
//!
//! Invariant: what cannot be read gives `None` and changes nothing.

use super::rows::{decode_cell, encode_cell};
use super::{Column, ColumnId, Database, Kind, Precision, Subtable, Table};
use crate::model::name::TopicName;
use crate::model::value::{Bytes, encode_bytes};

/// Entries of databases; the key is the name.
pub const DATABASE_FAMILY: u8 = 5;
/// Entries of tables and supertables; the key is `database.name`.
pub const TABLE_FAMILY: u8 = 6;
/// Entries of subtables; the key is `database.name`.
pub const SUBTABLE_FAMILY: u8 = 7;
/// Entries of subscription definitions; the key is the name.
pub const SUBSCRIPTION_FAMILY: u8 = 8;
/// Entries of positions of consumer groups.
pub const POSITION_FAMILY: u8 = 9;
/// Entries of users that statements made; the key is the name.
pub const USER_FAMILY: u8 = 16;

/// What must be so for an entry to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Require {
    /// No entry of its key is there.
    Absent,
    /// One is.
    Present,
    /// A table of this value is: nobody has changed it meanwhile.
    Was(Vec<u8>),
    /// Anything.
    Any,
}

/// An entry to be written, or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its family.
    pub family: u8,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; `None` removes it.
    pub value: Option<Vec<u8>>,
    /// What must be so.
    pub require: Require,
}

impl Entry {
    /// One that is written.
    #[must_use]
    pub fn put(family: u8, key: &str, value: Vec<u8>, require: Require) -> Self {
        Self { family, key: key.as_bytes().to_vec(), value: Some(value), require }
    }

    /// One that is removed.
    #[must_use]
    pub fn remove(family: u8, key: &str) -> Self {
        Self { family, key: key.as_bytes().to_vec(), value: None, require: Require::Present }
    }
}

fn number(n: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&n.to_le_bytes());
}

/// A database without its name.
#[must_use]
pub fn encode_database(database: &Database) -> Vec<u8> {
    let mut out = vec![1, database.precision.code()];
    number(u64::from(database.vgroups), &mut out);
    number(u64::from(database.first_vgroup), &mut out);
    number(u64::from(database.keep_days), &mut out);
    number(database.created as u64, &mut out);
    encode_pairs(&database.options, &mut out);
    out
}

/// Pairs of names and values.
pub fn encode_pairs(list: &[(String, String)], out: &mut Vec<u8>) {
    number(list.len() as u64, out);
    for (name, value) in list {
        encode_bytes(name.as_bytes(), out);
        encode_bytes(value.as_bytes(), out);
    }
}

/// Reads [`encode_pairs`].
#[must_use]
pub fn decode_pairs(from: &mut Bytes<'_>) -> Option<Vec<(String, String)>> {
    let count = from.count(16)?;
    let pair = |from: &mut Bytes<'_>| Some((from.text()?.to_owned(), from.text()?.to_owned()));
    (0..count).map(|_| pair(from)).collect()
}

/// Version 2 has details behind what version 1 has.
fn version(details: &[(String, String)]) -> u8 {
    if details.is_empty() { 1 } else { 2 }
}

fn details_of(from: &mut Bytes<'_>, version: u8) -> Option<Vec<(String, String)>> {
    if version == 1 { Some(Vec::new()) } else { decode_pairs(from) }
}

/// Reads [`encode_database`].
#[must_use]
pub fn decode_database(name: &str, value: &[u8]) -> Option<Database> {
    let mut from = Bytes(value);
    if from.u8()? != 1 {
        return None;
    }
    let precision = Precision::from_code(from.u8()?)?;
    let vgroups = u16::try_from(from.u64()?).ok()?;
    let first_vgroup = u32::try_from(from.u64()?).ok()?;
    let keep_days = u32::try_from(from.u64()?).ok()?;
    let created = from.u64()? as i64;
    let options = decode_pairs(&mut from)?;
    let name = name.to_owned();
    Some(Database { name, precision, vgroups, first_vgroup, keep_days, created, options })
}

fn encode_columns(columns: &[Column], out: &mut Vec<u8>) {
    number(columns.len() as u64, out);
    for column in columns {
        number(u64::from(column.id), out);
        encode_bytes(column.name.as_bytes(), out);
        out.push(column.kind.code());
        number(u64::from(column.kind.detail()), out);
    }
}

fn decode_columns(from: &mut Bytes<'_>) -> Option<Vec<Column>> {
    let count = from.count(25)?;
    let column = |from: &mut Bytes<'_>| {
        let id = ColumnId::try_from(from.u64()?).ok()?;
        let name = from.text()?.into();
        let code = from.u8()?;
        let kind = Kind::from_code(code, u32::try_from(from.u64()?).ok()?)?;
        Some(Column { id, name, kind })
    };
    (0..count).map(|_| column(from)).collect()
}

/// A table without its name.
#[must_use]
pub fn encode_table(table: &Table) -> Vec<u8> {
    let version = version(&table.details);
    let mut out = vec![version, u8::from(table.is_super), table.precision.code()];
    number(u64::from(table.next_column), &mut out);
    number(table.created as u64, &mut out);
    encode_columns(&table.columns, &mut out);
    encode_columns(&table.tags, &mut out);
    if version > 1 {
        encode_pairs(&table.details, &mut out);
    }
    out
}

/// Reads [`encode_table`].
#[must_use]
pub fn decode_table(name: &TopicName, value: &[u8]) -> Option<Table> {
    let mut from = Bytes(value);
    let version = from.u8().filter(|version| (1..=2).contains(version))?;
    let is_super = from.u8()? == 1;
    let precision = Precision::from_code(from.u8()?)?;
    let next_column = ColumnId::try_from(from.u64()?).ok()?;
    let created = from.u64()? as i64;
    let (columns, tags) = (decode_columns(&mut from)?, decode_columns(&mut from)?);
    let name = name.clone();
    let details = details_of(&mut from, version)?;
    Some(Table { name, columns, tags, is_super, next_column, precision, created, details })
}

/// A subtable without its name and database.
#[must_use]
pub fn encode_subtable(sub: &Subtable) -> Vec<u8> {
    let version = version(&sub.details);
    let mut out = vec![version];
    encode_bytes(sub.stable.full().as_bytes(), &mut out);
    number(sub.created as u64, &mut out);
    number(sub.tags.len() as u64, &mut out);
    for (id, cell) in &sub.tags {
        number(u64::from(*id), &mut out);
        encode_cell(cell, &mut out);
    }
    if version > 1 {
        encode_pairs(&sub.details, &mut out);
    }
    out
}

/// Reads [`encode_subtable`].
#[must_use]
pub fn decode_subtable(name: &str, order: u64, value: &[u8]) -> Option<Subtable> {
    let mut from = Bytes(value);
    let version = from.u8().filter(|version| (1..=2).contains(version))?;
    let stable = TopicName::parse(from.text()?)?;
    let created = from.u64()? as i64;
    let count = from.count(9)?;
    let tag =
        |from: &mut Bytes<'_>| Some((ColumnId::try_from(from.u64()?).ok()?, decode_cell(from)?));
    let tags = (0..count).map(|_| tag(&mut from)).collect::<Option<_>>()?;
    let details = details_of(&mut from, version)?;
    Some(Subtable { name: name.into(), stable, tags, created, order, details })
}

#[cfg(test)]
mod tests {
    use super::super::Tables;
    use super::super::rows::Cell;
    use super::*;

    fn table() -> Table {
        let column = |id, name: &str, kind| Column { id, name: name.into(), kind };
        Table {
            name: TopicName::parse("d.st").unwrap(),
            columns: vec![column(0, "ts", Kind::Timestamp), column(1, "s", Kind::Nchar(10))],
            tags: vec![column(2, "g", Kind::Int)],
            is_super: true,
            next_column: 3,
            precision: Precision::Us,
            created: 7,
            details: vec![("comment".into(), "c".into())],
        }
    }

    #[test]
    fn definitions_survive_the_catalog_and_no_cut_is_read() {
        let database = Database {
            options: vec![("buffer".into(), "256".into())],
            precision: Precision::Ns,
            ..Database::plain("d")
        };
        let bytes = encode_database(&database);
        assert_eq!(decode_database("d", &bytes).unwrap(), database);
        assert!((0..bytes.len()).all(|cut| decode_database("d", &bytes[..cut]).is_none()));
        let table = table();
        let bytes = encode_table(&table);
        assert_eq!(decode_table(&table.name, &bytes).unwrap(), table);
        assert!((0..bytes.len()).all(|cut| decode_table(&table.name, &bytes[..cut]).is_none()));
        let sub = Subtable {
            name: "a".into(),
            stable: table.name.clone(),
            tags: vec![(2, Cell::Int(-5)), (3, Cell::Text("x".into())), (4, Cell::Null)],
            created: 9,
            order: 4,
            details: vec![("ttl".into(), "5".into())],
        };
        let bytes = encode_subtable(&sub);
        assert_eq!(decode_subtable("a", 4, &bytes).unwrap(), sub);
        assert!((0..bytes.len()).all(|cut| decode_subtable("a", 4, &bytes[..cut]).is_none()));
    }

    #[test]
    fn entries_make_and_remove() {
        let mut tables = Tables::default();
        let table = table();
        tables.apply(TABLE_FAMILY, b"d.st", Some(&encode_table(&table)));
        assert_eq!(**tables.table(&table.name).unwrap(), table);
        assert!(tables.has(TABLE_FAMILY, b"d.st") && !tables.has(TABLE_FAMILY, b"d.x"));
        tables.apply(TABLE_FAMILY, b"d.st", Some(b"?"));
        assert!(tables.table(&table.name).is_some());
        tables.apply(TABLE_FAMILY, b"d.st", None);
        assert!(tables.table(&table.name).is_none());
    }
}

//! SHOW CREATE: the statements that would make what is there.

use crate::model::table::rows::Cell;
use crate::model::table::{Column, Kind, Subtable, Table, detail};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Name;
use crate::query::tables::convert::show;
use crate::query::tables::relation::{Target, find};
use crate::query::tables::show::field;
use crate::query::tables::{Rows, World, codes};
use std::fmt::Write;

/// Options of a database in the order they are shown, and what they are when nobody said so.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    ("buffer", "256"),
    ("cachesize", "1"),
    ("cachemodel", "none"),
    ("comp", "2"),
    ("duration", "10d"),
    ("wal_fsync_period", "3000"),
    ("maxrows", "4096"),
    ("minrows", "100"),
    ("stt_trigger", "2"),
    ("keep", ""),
    ("pages", "256"),
    ("pagesize", "4"),
    ("precision", ""),
    ("replica", "1"),
    ("wal_level", "1"),
    ("vgroups", ""),
    ("single_stable", "0"),
    ("strict", "on"),
    ("table_prefix", "0"),
    ("table_suffix", "0"),
    ("tsdb_pagesize", "4"),
    ("wal_retention_period", "3600"),
    ("wal_retention_size", "0"),
    ("schemaless", "0"),
];
/// Those that are texts.
const TEXTS: &[&str] = &["cachemodel", "precision", "strict"];

fn statement(what: &str, title: &str, name: &str, text: String) -> Rows {
    let fields = vec![field(what, Kind::Varchar(192)), field(title, Kind::Varchar(65_517))];
    Rows { fields, rows: vec![vec![Cell::text(name), Cell::Text(text.into())]], ..Rows::default() }
}

/// SHOW CREATE DATABASE.
pub fn database(world: &mut World<'_>, name: &str) -> Result<Rows, Wrong> {
    let database = match world.tables.database(name) {
        Some(database) => database,
        None if world.bench.has_database(name) => {
            std::sync::Arc::new(crate::model::table::Database::plain(name))
        }
        None => return Err(codes::no_database()),
    };
    let mut text = format!("CREATE DATABASE {}", quoted(name));
    for (option, usual) in OPTIONS.iter().filter(|(option, _)| *option != "schemaless") {
        let value = super::option(&database, option, usual);
        let value = if TEXTS.contains(option) { format!("'{value}'") } else { value };
        let _ = write!(text, " {} {value}", option.to_ascii_uppercase());
    }
    Ok(statement("Database", "Create Database", name, text))
}

/// SHOW CREATE TABLE, or STABLE.
pub fn table(world: &mut World<'_>, name: &Name, stable: bool) -> Result<Rows, Wrong> {
    let (text, is_super) = match find(world, name) {
        Ok(Target::Table(table, _)) => (definition(&table), table.is_super),
        Ok(Target::Sub(sub, table, _)) => (child(&sub, &table), false),
        Ok(Target::Foreign(_)) => return Err(codes::foreign()),
        Err(wrong) if stable && wrong.code == 0x2603 => return Err(codes::no_stable()),
        Err(wrong) => return Err(wrong),
    };
    if stable && !is_super {
        return Err(codes::no_stable());
    }
    Ok(statement("Table", "Create Table", &name.name, text))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a statement writes it.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

fn definition(table: &Table) -> String {
    let kind = if table.is_super { "STABLE" } else { "TABLE" };
    let column = |column: &Column| {
        let mut text = format!("{} {}", quoted(&column.name), column.kind.definition());
        for (name, value) in options(table, column) {
            let _ = write!(text, " {} '{value}'", name.to_ascii_uppercase());
        }
        let key = table.detail_of(column.id, "key").is_some();
        if key { text + " COMPOSITE KEY" } else { text }
    };
    let tag = |tag: &Column| format!("{} {}", quoted(&tag.name), tag.kind.definition());
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let mut text = format!("CREATE {kind} {} ({})", quoted(table.own_name()), columns.join(", "));
    if table.is_super {
        let tags: Vec<String> = table.tags.iter().map(tag).collect();
        let _ = write!(text, " TAGS ({})", tags.join(", "));
    }
    append_details(&table.details, &mut text);
    text
}

/// What is kept of a table: its comment, its time to live and the like.
fn append_details(details: &[(String, String)], text: &mut String) {
    for (name, value) in details.iter().filter(|(name, _)| !name.contains(' ')) {
        let value = match name.as_str() {
            "comment" => literal(value),
            "sma" => format!("({value})"),
            _ => value.clone(),
        };
        let _ = write!(text, " {} {value}", name.to_ascii_uppercase());
    }
}

fn child(sub: &Subtable, table: &Table) -> String {
    let names: Vec<String> = table.tags.iter().map(|tag| quoted(&tag.name)).collect();
    let value = |tag: &Column| match sub.tag(tag.id) {
        Cell::Null => "NULL".to_owned(),
        Cell::Text(text) => literal(&text),
        Cell::Bytes(bytes) => {
            let mut hex = Vec::new();
            crate::model::table::rows::write_hex(&bytes, &mut hex);
            format!("\"\\x{}\"", String::from_utf8_lossy(&hex))
        }
        other => show(&other),
    };
    let values: Vec<String> = table.tags.iter().map(value).collect();
    let (own, stable) = (quoted(&sub.name), quoted(table.own_name()));
    let (names, values) = (names.join(", "), values.join(", "));
    let mut text = format!("CREATE TABLE {own} USING {stable} ({names}) TAGS ({values})");
    append_details(&sub.details, &mut text);
    text
}

/// How columns of a kind are usually packed: encoding, compression, level.
pub fn usual(kind: Kind) -> [&'static str; 3] {
    let encode = match kind {
        Kind::Timestamp => "delta-i",
        Kind::Bool => "bit-packing",
        Kind::Float | Kind::Double => "delta-d",
        kind if kind.is_integer() => "simple8b",
        _ => "disabled",
    };
    [encode, "lz4", "medium"]
}

/// Encoding, compression and level of a column.
pub fn options(table: &Table, column: &Column) -> [(&'static str, String); 3] {
    let [encode, compress, level] = usual(column.kind);
    [("encode", encode), ("compress", compress), ("level", level)]
        .map(|(name, usual)| (name, table.detail_of(column.id, name).unwrap_or(usual).to_owned()))
}

/// The comment of a table, if it has one.
pub(super) fn comment(details: &[(String, String)]) -> Cell {
    detail(details, "comment").map_or(Cell::Null, Cell::text)
}

/// Days that a table is said to live; 0: for ever.
pub(super) fn ttl(details: &[(String, String)]) -> Cell {
    Cell::Int(detail(details, "ttl").and_then(|days| days.parse().ok()).unwrap_or(0))
}

//! What the appliance says of itself: `information_schema`, lists of SHOW, and users.

pub mod create;
pub mod lists;
pub mod people;
pub mod tags;

use super::show::{databases, tables};
use super::tmq::show::List;
use super::{World, codes};
use crate::model::name::TopicName;
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Database, Kind, detail};
use crate::query::dialect::taos::Wrong;
use std::sync::Arc;

/// Length of names of tables.
const NAME: Kind = Kind::Varchar(192);
const SHORT_NAME: Kind = Kind::Varchar(64);

/// A table of `information_schema` or `performance_schema`.
pub(super) fn table(world: &mut World<'_>, name: &str) -> Result<List, Wrong> {
    Ok(match name {
        "ins_databases" => ins_databases(world),
        "ins_tables" => ins_tables(world),
        "ins_stables" => ins_stables(world),
        "ins_columns" => ins_columns(world),
        "ins_tags" => tags::all(world),
        "ins_dnodes" => lists::dnodes(world),
        "ins_cluster" => lists::list(world, "cluster"),
        "ins_users" => lists::list(world, "users"),
        "ins_grants" => lists::list(world, "grants"),
        "ins_functions" => lists::list(world, "functions"),
        "ins_configs" => lists::list(world, "variables"),
        "ins_user_privileges" => people::privileges(world),
        "perf_connections" => lists::list(world, "connections"),
        "perf_queries" => lists::list(world, "queries"),
        "perf_apps" => lists::list(world, "apps"),
        _ => return Err(codes::no_table(name)),
    })
}

/// The database of a name, or what one of other front-ends counts as.
fn database_of(world: &World<'_>, name: &str) -> Arc<Database> {
    world.tables.database(name).unwrap_or_else(|| Arc::new(Database::plain(name)))
}

/// An option of a database as it is shown.
fn option(database: &Database, name: &str, usual: &str) -> String {
    match name {
        "precision" => database.precision.name().to_owned(),
        "vgroups" => database.vgroups.to_string(),
        "keep" => keep(database),
        _ => detail(&database.options, name).unwrap_or(usual).to_owned(),
    }
}

/// Three spans, as they were given.
fn keep(database: &Database) -> String {
    let days = format!("{}d", database.keep_days);
    let given = detail(&database.options, "keep").unwrap_or(&days);
    let with_unit = |one: &str| match one.ends_with(|c: char| c.is_ascii_digit()) {
        true => format!("{one}d"),
        false => one.to_owned(),
    };
    let list: Vec<String> = given.split(',').map(with_unit).collect();
    match list.as_slice() {
        [one] => [one.as_str(); 3].join(","),
        all => all.join(","),
    }
}

/// Columns of `ins_databases` behind the number of vgroups, in their order.
const DATABASE_COLUMNS: &[(&str, Kind)] = &[
    ("replica", Kind::TinyInt),
    ("strict", Kind::Varchar(4)),
    ("duration", Kind::Varchar(10)),
    ("keep", Kind::Varchar(64)),
    ("buffer", Kind::Int),
    ("pagesize", Kind::Int),
    ("pages", Kind::Int),
    ("minrows", Kind::Int),
    ("maxrows", Kind::Int),
    ("comp", Kind::TinyInt),
    ("precision", Kind::Varchar(2)),
    ("status", Kind::Varchar(10)),
    ("retentions", Kind::Varchar(60)),
    ("single_stable", Kind::Bool),
    ("cachemodel", Kind::Varchar(60)),
    ("cachesize", Kind::Int),
    ("wal_level", Kind::TinyInt),
    ("wal_fsync_period", Kind::Int),
    ("wal_retention_period", Kind::Int),
    ("wal_retention_size", Kind::BigInt),
    ("stt_trigger", Kind::SmallInt),
    ("table_prefix", Kind::SmallInt),
    ("table_suffix", Kind::SmallInt),
    ("tsdb_pagesize", Kind::Int),
];

fn ins_databases(world: &mut World<'_>) -> List {
    let mut columns = vec![
        ("name", SHORT_NAME),
        ("create_time", Kind::Timestamp),
        ("ntables", Kind::BigInt),
        ("vgroups", Kind::SmallInt),
    ];
    columns.extend_from_slice(DATABASE_COLUMNS);
    let mut rows = Vec::new();
    for name in databases(world) {
        let count = tables(world, &name).len() as i64;
        let database = database_of(world, &name);
        let mut row = vec![
            Cell::text(&name),
            Cell::Int(database.created / 1_000_000),
            Cell::Int(count),
            Cell::Int(i64::from(database.vgroups)),
        ];
        row.extend(DATABASE_COLUMNS.iter().map(|(name, kind)| {
            let usual = create::OPTIONS.iter().find(|(own, _)| own == name);
            let value = option(&database, name, usual.map_or("", |(_, value)| value));
            match (*name, kind) {
                ("status", _) => Cell::text("ready"),
                ("retentions", _) => Cell::Null,
                (_, Kind::Bool) => Cell::Bool(value != "0"),
                (_, Kind::Varchar(_)) => Cell::Text(value.into()),
                _ => value.parse().map_or(Cell::Null, Cell::Int),
            }
        }));
        rows.push(row);
    }
    (columns, rows)
}

fn ins_tables(world: &mut World<'_>) -> List {
    let columns = vec![
        ("table_name", NAME),
        ("db_name", SHORT_NAME),
        ("create_time", Kind::Timestamp),
        ("columns", Kind::Int),
        ("stable_name", NAME),
        ("uid", Kind::BigInt),
        ("vgroup_id", Kind::Int),
        ("ttl", Kind::Int),
        ("table_comment", Kind::Varchar(1024)),
        ("type", Kind::Varchar(21)),
    ];
    let mut rows = Vec::new();
    for database in databases(world) {
        let own = database_of(world, &database);
        for (name, stable) in tables(world, &database) {
            let full =
                TopicName::parse(&format!("{database}.{}", stable.as_ref().unwrap_or(&name)));
            let table = full.as_ref().and_then(|full| world.tables.table(full)).cloned();
            let sub = stable.is_some().then(|| world.tables.subtable(&database, &name).cloned());
            let sub = sub.flatten();
            let created = match (&sub, &table) {
                (Some(sub), _) => sub.created,
                (None, Some(table)) => table.created,
                _ => 0,
            };
            let none = Vec::new();
            let details = match (&sub, &table) {
                (Some(sub), _) => &sub.details,
                (None, Some(table)) => &table.details,
                _ => &none,
            };
            let kind = if stable.is_some() { "CHILD_TABLE" } else { "NORMAL_TABLE" };
            let full = format!("{database}.{name}");
            rows.push(vec![
                Cell::text(&name),
                Cell::text(&database),
                Cell::Int(created / 1_000_000),
                table.as_ref().map_or(Cell::Null, |table| Cell::Int(table.columns.len() as i64)),
                stable.map_or(Cell::Null, |name| Cell::Text(name.into())),
                Cell::Int(i64::from(crc32fast::hash(full.as_bytes()))),
                Cell::Int(i64::from(own.vgroup_of(&full))),
                create::ttl(details),
                create::comment(details),
                Cell::text(kind),
            ]);
        }
    }
    (columns, rows)
}

fn ins_stables(world: &mut World<'_>) -> List {
    let columns = vec![
        ("stable_name", NAME),
        ("db_name", SHORT_NAME),
        ("create_time", Kind::Timestamp),
        ("columns", Kind::Int),
        ("tags", Kind::Int),
        ("last_update", Kind::Timestamp),
        ("table_comment", Kind::Varchar(1024)),
        ("watermark", Kind::Varchar(64)),
        ("max_delay", Kind::Varchar(64)),
        ("rollup", Kind::Varchar(128)),
    ];
    let mut rows = Vec::new();
    for database in databases(world) {
        for (_, table) in world.tables.tables_of(&database) {
            if !table.is_super || !(world.rights.may_touch)(table.name.short()) {
                continue;
            }
            let option = |name| detail(&table.details, name).map_or(Cell::Null, Cell::text);
            rows.push(vec![
                Cell::text(table.own_name()),
                Cell::text(&database),
                Cell::Int(table.created / 1_000_000),
                Cell::Int(table.columns.len() as i64),
                Cell::Int(table.tags.len() as i64),
                Cell::Int(table.created / 1_000_000),
                create::comment(&table.details),
                option("watermark"),
                option("max_delay"),
                option("rollup"),
            ]);
        }
    }
    (columns, rows)
}

fn ins_columns(world: &mut World<'_>) -> List {
    let columns = vec![
        ("table_name", NAME),
        ("db_name", SHORT_NAME),
        ("table_type", Kind::Varchar(21)),
        ("col_name", SHORT_NAME),
        ("col_type", Kind::Varchar(32)),
        ("col_length", Kind::Int),
        ("col_precision", Kind::Int),
        ("col_scale", Kind::Int),
        ("col_nullable", Kind::Int),
    ];
    let mut rows = Vec::new();
    for database in databases(world) {
        for (_, table) in world.tables.tables_of(&database) {
            if !(world.rights.may_touch)(table.name.short()) {
                continue;
            }
            let kind = if table.is_super { "SUPER_TABLE" } else { "NORMAL_TABLE" };
            let mut add = |table: &str, kind: &str, column: &Column| {
                let (digits, scale) = match column.kind {
                    Kind::Decimal(digits, scale) => {
                        (Cell::Int(digits.into()), Cell::Int(scale.into()))
                    }
                    _ => (Cell::Null, Cell::Null),
                };
                rows.push(vec![
                    Cell::text(table),
                    Cell::text(&database),
                    Cell::text(kind),
                    Cell::text(&column.name),
                    Cell::text(&column.kind.definition()),
                    Cell::Int(i64::from(column.kind.length())),
                    digits,
                    scale,
                    Cell::Null,
                ]);
            };
            table.columns.iter().for_each(|column| add(table.own_name(), kind, column));
            for sub in world.tables.subtables_of(&table.name) {
                table.columns.iter().for_each(|column| add(&sub.name, "CHILD_TABLE", column));
            }
        }
    }
    (columns, rows)
}

//! SHOW, DESCRIBE and the tables that describe the appliance.

use super::expr::bind::like;
use super::relation::{PERFORMANCE, Relation, RelationColumn, SCHEMA, Target, find};
use super::tmq::show::List;
use super::{Field, Rows, World, codes, tmq};
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Kind, entry, own_name};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Name, Show};
use std::collections::BTreeSet;

fn field(name: &str, kind: Kind) -> Field {
    Field { name: name.to_owned(), kind }
}

fn names(title: &str, length: u32, list: impl IntoIterator<Item = String>) -> Rows {
    let rows = list.into_iter().map(|name| vec![Cell::Text(name.into())]).collect();
    let fields = vec![field(title, Kind::Varchar(length))];
    Rows { fields, rows, ..Rows::default() }
}

/// All databases, those of other front-ends too.
fn databases(world: &mut World<'_>) -> BTreeSet<String> {
    let own = world.tables.databases().map(|database| database.name.clone());
    let mut all: BTreeSet<String> = own.collect();
    all.insert(crate::model::name::MAIN.to_owned());
    let topics = world.bench.topics(None);
    all.extend(topics.iter().map(|topic| topic.name.database().to_owned()));
    all
}

/// What SHOW TABLES lists: name, supertable.
fn tables(world: &mut World<'_>, database: &str) -> Vec<(String, Option<String>)> {
    let mut list = Vec::new();
    let rights = std::sync::Arc::clone(&world.rights);
    let definitions = std::sync::Arc::clone(&world.tables);
    for (_, table) in definitions.tables_of(database) {
        if !(rights.may_touch)(table.name.short()) {
            continue;
        }
        if table.is_super {
            let subs = definitions.subtables_of(&table.name);
            let name = table.own_name();
            list.extend(subs.iter().map(|sub| (sub.name.to_string(), Some(name.to_owned()))));
        } else {
            list.push((table.own_name().to_owned(), None));
        }
    }
    for topic in world.bench.topics(Some(database)) {
        if !topic.typed && (rights.may_touch)(topic.name.short()) {
            list.push((own_name(&topic.name).to_owned(), None));
        }
    }
    list
}

fn matcher(pattern: Option<&String>) -> Result<impl Fn(&str) -> bool, Wrong> {
    let built = pattern.map(|pattern| regex::Regex::new(&like(pattern))).transpose();
    let built = built.map_err(|_| codes::unsupported("like"))?;
    Ok(move |name: &str| built.as_ref().is_none_or(|regex| regex.is_match(name)))
}

fn current(world: &World<'_>, database: &Option<String>) -> Result<String, Wrong> {
    let database = database.clone().or_else(|| world.about.database.clone());
    database.ok_or_else(codes::no_database_named)
}

/// Carries out a SHOW.
pub(super) fn run(world: &mut World<'_>, what: &Show) -> Result<Rows, Wrong> {
    Ok(match what {
        Show::Databases => {
            let first = [SCHEMA.to_owned(), PERFORMANCE.to_owned()];
            names("name", 64, first.into_iter().chain(databases(world)))
        }
        Show::Tables { database, like, normal, child } => {
            let database = current(world, database)?;
            let fits = matcher(like.as_ref())?;
            let list = tables(world, &database).into_iter().filter(|(name, stable)| {
                fits(name) && !(*normal && stable.is_some()) && !(*child && stable.is_none())
            });
            names("table_name", 192, list.map(|(name, _)| name))
        }
        Show::Stables { database, like } => {
            let database = current(world, database)?;
            let fits = matcher(like.as_ref())?;
            let list = world.tables.tables_of(&database).into_iter();
            let own = list.filter(|(_, table)| table.is_super && fits(table.own_name()));
            names("stable_name", 192, own.map(|(_, table)| table.own_name().to_owned()))
        }
        Show::Topics => {
            let all = world.tables.others(entry::SUBSCRIPTION_FAMILY);
            let list = all.map(|(name, _)| String::from_utf8_lossy(name).into_owned());
            names("topic_name", 192, list)
        }
        Show::Consumers => listed(tmq::show::consumers(world)),
        Show::Subscriptions => listed(tmq::show::subscriptions(world)),
        Show::Vgroups(database) => {
            let own = database.clone().or_else(|| world.about.database.clone());
            listed(tmq::show::vgroup_list(world, own.as_deref()))
        }
        Show::Dnodes => dnodes(world),
        Show::Empty(title) => names(title, 64, []),
    })
}

fn listed((columns, rows): List) -> Rows {
    let fields = columns.into_iter().map(|(name, kind)| field(name, kind)).collect();
    Rows { fields, rows, ..Rows::default() }
}

fn dnodes(world: &World<'_>) -> Rows {
    let fields = vec![
        field("id", Kind::Int),
        field("endpoint", Kind::Varchar(134)),
        field("vnodes", Kind::SmallInt),
        field("support_vnodes", Kind::SmallInt),
        field("status", Kind::Varchar(10)),
        field("create_time", Kind::Timestamp),
        field("reboot_time", Kind::Timestamp),
        field("note", Kind::Varchar(256)),
    ];
    let now = Cell::Int(world.bench.now() / 1_000_000);
    let vnodes: i64 = world.tables.databases().map(|d| i64::from(d.vgroups)).sum();
    let row = vec![
        Cell::Int(1),
        Cell::text("localhost:6041"),
        Cell::Int(vnodes),
        Cell::Int(1024),
        Cell::text("ready"),
        now.clone(),
        now,
        Cell::text(""),
    ];
    Rows { fields, rows: vec![row], ..Rows::default() }
}

/// Carries out a DESCRIBE.
pub(super) fn describe(world: &mut World<'_>, name: &Name) -> Result<Rows, Wrong> {
    let mut list: Vec<(String, Kind, bool)> = Vec::new();
    match find(world, name)? {
        Target::Table(table, _) | Target::Sub(_, table, _) => {
            let one = |tag| move |c: &Column| (c.name.to_string(), c.kind, tag);
            list.extend(table.columns.iter().map(one(false)));
            list.extend(table.tags.iter().map(one(true)));
        }
        Target::Foreign(topic) => {
            let relation = super::foreign::load(world, &topic)?;
            list.extend(relation.columns.iter().map(|c| (c.name.to_string(), c.kind, false)));
        }
    }
    let fields = vec![
        field("field", Kind::Varchar(64)),
        field("type", Kind::Varchar(20)),
        field("length", Kind::Int),
        field("note", Kind::Varchar(16)),
        field("encode", Kind::Varchar(12)),
        field("compress", Kind::Varchar(12)),
        field("level", Kind::Varchar(12)),
    ];
    let row = |(name, kind, tag): (String, Kind, bool)| {
        let (encode, compress, level) = match (tag, kind) {
            (true, _) => ("disabled", "disabled", "disabled"),
            (_, Kind::Timestamp) => ("delta-i", "lz4", "medium"),
            _ => ("simple8b", "lz4", "medium"),
        };
        let note = if tag { "TAG" } else { "" };
        vec![
            Cell::Text(name.into()),
            Cell::text(kind.name()),
            Cell::Int(i64::from(kind.length())),
            Cell::text(note),
            Cell::text(encode),
            Cell::text(compress),
            Cell::text(level),
        ]
    };
    Ok(Rows { fields, rows: list.into_iter().map(row).collect(), ..Rows::default() })
}

/// A table of `information_schema`.
pub(super) fn describing(world: &mut World<'_>, name: &str) -> Result<Relation, Wrong> {
    let (columns, rows) = match name {
        "ins_databases" => ins_databases(world),
        "ins_tables" => ins_tables(world),
        "ins_stables" => ins_stables(world),
        "ins_columns" => ins_columns(world),
        "ins_topics" => tmq::show::topics(world),
        "ins_subscriptions" => tmq::show::subscriptions(world),
        "ins_vgroups" => tmq::show::vgroup_list(world, None),
        "perf_consumers" => tmq::show::consumers(world),
        _ => return Err(codes::no_table(name)),
    };
    let column = |(name, kind): (&str, Kind)| RelationColumn {
        table: None,
        name: name.into(),
        kind,
        shown: true,
        tag: false,
    };
    let columns = columns.into_iter().map(column).collect();
    Ok(Relation { columns, rows, ..Relation::default() })
}

const NAME: Kind = Kind::Varchar(192);

fn ins_databases(world: &mut World<'_>) -> List {
    let columns = vec![
        ("name", Kind::Varchar(64)),
        ("create_time", Kind::Timestamp),
        ("ntables", Kind::BigInt),
        ("vgroups", Kind::SmallInt),
        ("replica", Kind::TinyInt),
        ("keep", Kind::Varchar(32)),
        ("precision", Kind::Varchar(2)),
        ("status", Kind::Varchar(10)),
    ];
    let mut rows = Vec::new();
    for name in databases(world) {
        let count = tables(world, &name).len() as i64;
        let own = world.tables.database(&name);
        let plain = || std::sync::Arc::new(crate::model::table::Database::plain(&name));
        let database = own.unwrap_or_else(plain);
        let days = format!("{}d", database.keep_days);
        rows.push(vec![
            Cell::text(&name),
            Cell::Int(database.created / 1_000_000),
            Cell::Int(count),
            Cell::Int(i64::from(database.vgroups)),
            Cell::Int(1),
            Cell::Text(format!("{days},{days},{days}").into()),
            Cell::text(database.precision.name()),
            Cell::text("ready"),
        ]);
    }
    (columns, rows)
}

fn ins_tables(world: &mut World<'_>) -> List {
    let columns = vec![
        ("table_name", NAME),
        ("db_name", Kind::Varchar(64)),
        ("stable_name", NAME),
        ("type", Kind::Varchar(21)),
    ];
    let mut rows = Vec::new();
    for database in databases(world) {
        for (name, stable) in tables(world, &database) {
            let kind = if stable.is_some() { "CHILD_TABLE" } else { "NORMAL_TABLE" };
            rows.push(vec![
                Cell::Text(name.into()),
                Cell::text(&database),
                stable.map_or(Cell::Null, |name| Cell::Text(name.into())),
                Cell::text(kind),
            ]);
        }
    }
    (columns, rows)
}

fn ins_stables(world: &mut World<'_>) -> List {
    let columns = vec![
        ("stable_name", NAME),
        ("db_name", Kind::Varchar(64)),
        ("create_time", Kind::Timestamp),
        ("columns", Kind::Int),
        ("tags", Kind::Int),
    ];
    let mut rows = Vec::new();
    for database in databases(world) {
        for (_, table) in world.tables.tables_of(&database) {
            if table.is_super && (world.rights.may_touch)(table.name.short()) {
                rows.push(vec![
                    Cell::text(table.own_name()),
                    Cell::text(&database),
                    Cell::Int(table.created / 1_000_000),
                    Cell::Int(table.columns.len() as i64),
                    Cell::Int(table.tags.len() as i64),
                ]);
            }
        }
    }
    (columns, rows)
}

fn ins_columns(world: &mut World<'_>) -> List {
    let columns = vec![
        ("table_name", NAME),
        ("db_name", Kind::Varchar(64)),
        ("table_type", Kind::Varchar(21)),
        ("col_name", Kind::Varchar(64)),
        ("col_type", Kind::Varchar(32)),
        ("col_length", Kind::Int),
    ];
    let mut rows = Vec::new();
    for database in databases(world) {
        for (_, table) in world.tables.tables_of(&database) {
            if !(world.rights.may_touch)(table.name.short()) {
                continue;
            }
            let kind = if table.is_super { "SUPER_TABLE" } else { "NORMAL_TABLE" };
            for column in &table.columns {
                rows.push(vec![
                    Cell::text(table.own_name()),
                    Cell::text(&database),
                    Cell::text(kind),
                    Cell::text(&column.name),
                    Cell::text(column.kind.name()),
                    Cell::Int(i64::from(column.kind.length())),
                ]);
            }
        }
    }
    (columns, rows)
}

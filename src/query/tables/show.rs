//! SHOW, DESCRIBE and the tables that describe the appliance.

use super::expr::bind::like;
use super::relation::{PERFORMANCE, Relation, RelationColumn, SCHEMA, Target, find};
use super::schema::{self, create, lists, tags};
use super::tmq::show::List;
use super::{Field, Rows, World, codes, tmq};
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Kind, entry, own_name};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Name, Show};
use std::collections::BTreeSet;

pub(super) fn field(name: &str, kind: Kind) -> Field {
    Field { name: name.to_owned(), kind }
}

fn names(title: &str, length: u32, list: impl IntoIterator<Item = String>) -> Rows {
    let rows = list.into_iter().map(|name| vec![Cell::Text(name.into())]).collect();
    let fields = vec![field(title, Kind::Varchar(length))];
    Rows { fields, rows, ..Rows::default() }
}

/// All databases, those of other front-ends too.
pub(super) fn databases(world: &mut World<'_>) -> BTreeSet<String> {
    let own = world.tables.databases().map(|database| database.name.clone());
    let mut all: BTreeSet<String> = own.collect();
    all.insert(crate::model::name::MAIN.to_owned());
    let topics = world.bench.topics(None);
    all.extend(topics.iter().map(|topic| topic.name.database().to_owned()));
    all
}

/// What SHOW TABLES lists: name, supertable.
pub(super) fn tables(world: &mut World<'_>, database: &str) -> Vec<(String, Option<String>)> {
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
        Show::Dnodes => listed(lists::dnodes(world)),
        Show::CreateDatabase(name) => create::database(world, name)?,
        Show::CreateTable(name, stable) => create::table(world, name, *stable)?,
        Show::TableTags(name, items) => tags::of_table(world, name, items)?,
        Show::Tags(name) => tags::of_subtable(world, name)?,
        Show::List(list) => listed(lists::list(world, list)),
        Show::Consumers => listed(tmq::show::consumers(world)),
        Show::Subscriptions => listed(tmq::show::subscriptions(world)),
        Show::Vgroups(database) => {
            let own = database.clone().or_else(|| world.about.database.clone());
            listed(tmq::show::vgroup_list(world, own.as_deref()))
        }
        Show::Empty(title) => names(title, 64, []),
    })
}

/// A list as a result.
pub(super) fn listed((columns, rows): List) -> Rows {
    let fields = columns.into_iter().map(|(name, kind)| field(name, kind)).collect();
    Rows { fields, rows, ..Rows::default() }
}

/// Carries out a DESCRIBE.
pub(super) fn describe(world: &mut World<'_>, name: &Name) -> Result<Rows, Wrong> {
    let mut list: Vec<(String, Kind, &str, [String; 3])> = Vec::new();
    match find(world, name)? {
        Target::Table(table, _) | Target::Sub(_, table, _) => {
            for column in &table.columns {
                let own = create::options(&table, column).map(|(_, value)| value);
                let key = table.detail_of(column.id, "key").is_some();
                let note = if key { "COMPOSITE KEY" } else { "" };
                list.push((column.name.to_string(), column.kind, note, own));
            }
            let off = || ["disabled"; 3].map(str::to_owned);
            let one = |c: &Column| (c.name.to_string(), c.kind, "TAG", off());
            list.extend(table.tags.iter().map(one));
        }
        Target::Foreign(topic) => {
            let relation = super::foreign::load(world, &topic)?;
            let one = |c: &RelationColumn| {
                let own = create::usual(c.kind).map(str::to_owned);
                (c.name.to_string(), c.kind, "", own)
            };
            list.extend(relation.columns.iter().map(one));
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
    let row = |(name, kind, note, own): (String, Kind, &str, [String; 3])| {
        let head = vec![
            Cell::Text(name.into()),
            Cell::text(&kind.full_name()),
            Cell::Int(i64::from(kind.length())),
            Cell::text(note),
        ];
        head.into_iter().chain(own.map(|text| Cell::Text(text.into()))).collect()
    };
    Ok(Rows { fields, rows: list.into_iter().map(row).collect(), ..Rows::default() })
}

/// A table of `information_schema`.
pub(super) fn describing(world: &mut World<'_>, name: &str) -> Result<Relation, Wrong> {
    let (columns, rows) = match name {
        "ins_topics" => tmq::show::topics(world),
        "ins_subscriptions" => tmq::show::subscriptions(world),
        "ins_vgroups" => tmq::show::vgroup_list(world, None),
        "perf_consumers" => tmq::show::consumers(world),
        _ => schema::table(world, name)?,
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

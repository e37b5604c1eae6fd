//! What the appliance tells of subscriptions: SHOW and the tables of `information_schema`
//! (taos, section 11).

use super::{decode_position, place_of, position_prefix, read_position_key, vgroups};
use crate::model::table::rows::Cell;
use crate::model::table::{Database, Kind, entry};
use crate::query::tables::World;
use crate::query::tables::subscription::Subscription;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Columns and rows.
pub(in crate::query::tables) type List = (Vec<(&'static str, Kind)>, Vec<Vec<Cell>>);

const NAME: Kind = Kind::Varchar(192);
const SHORT: Kind = Kind::Varchar(64);
const LONG: Kind = Kind::Varchar(1024);

/// The definitions that the user may see.
fn definitions(world: &World<'_>) -> Vec<(String, Subscription)> {
    let all = world.tables.others(entry::SUBSCRIPTION_FAMILY);
    let read = |(name, value): (&[u8], &[u8])| {
        Some((String::from_utf8_lossy(name).into_owned(), Subscription::decode(value)?))
    };
    all.filter_map(read).collect()
}

fn database(world: &World<'_>, name: &str) -> Arc<Database> {
    world.tables.database(name).unwrap_or_else(|| Arc::new(Database::plain(name)))
}

/// `ins_topics`.
pub(in crate::query::tables) fn topics(world: &World<'_>) -> List {
    let columns = vec![
        ("topic_name", NAME),
        ("db_name", SHORT),
        ("sql", LONG),
        ("meta", Kind::Varchar(4)),
        ("type", Kind::Varchar(8)),
    ];
    let row = |(name, own): (String, Subscription)| {
        let with = if own.meta { "with meta " } else { "" };
        let (kind, what) = match (own.stable.as_str(), own.text.as_str()) {
            ("", "") => ("db", format!("database `{}`", own.database)),
            ("", text) => ("column", text.to_owned()),
            (stable, text) => {
                let condition = text.split_once(" where ").map(|(_, condition)| condition);
                let condition = condition.map(|text| format!(" where {text}")).unwrap_or_default();
                ("stable", format!("stable `{}`.`{stable}`{condition}", own.database))
            }
        };
        let sql = format!("create topic `{name}` {with}as {what}");
        vec![
            Cell::text(&name),
            Cell::text(&own.database),
            Cell::Text(sql.into()),
            Cell::text(if own.meta { "yes" } else { "no" }),
            Cell::text(kind),
        ]
    };
    (columns, definitions(world).into_iter().map(row).collect())
}

/// SHOW CONSUMERS.
pub(in crate::query::tables) fn consumers(world: &World<'_>) -> List {
    let columns = vec![
        ("consumer_id", Kind::Varchar(32)),
        ("consumer_group", NAME),
        ("client_id", NAME),
        ("user", Kind::Varchar(24)),
        ("status", Kind::Varchar(20)),
        ("topics", LONG),
        ("up_time", Kind::Timestamp),
        ("subscribe_time", Kind::Timestamp),
        ("rebalance_time", Kind::Timestamp),
        ("parameters", LONG),
    ];
    let all = world.bench.groups().consumers().into_iter();
    let row = |(id, about): (u64, super::groups::About)| {
        let since = Cell::Int(about.since_ms);
        vec![
            Cell::Text(format!("0x{id:x}").into()),
            Cell::text(&about.group),
            Cell::text(&about.client),
            Cell::text(&about.user),
            Cell::text("ready"),
            Cell::Text(about.topics.join(",").into()),
            since.clone(),
            since.clone(),
            since,
            Cell::text(&about.parameters),
        ]
    };
    (columns, all.map(row).collect())
}

/// SHOW SUBSCRIPTIONS and `ins_subscriptions`: a row for each vgroup of each group.
pub(in crate::query::tables) fn subscriptions(world: &World<'_>) -> List {
    let columns = vec![
        ("topic_name", NAME),
        ("consumer_group", NAME),
        ("vgroup_id", Kind::Int),
        ("consumer_id", Kind::Varchar(32)),
        ("user", Kind::Varchar(24)),
        ("fqdn", Kind::Varchar(128)),
        ("offset", Kind::Varchar(64)),
        ("rows", Kind::BigInt),
    ];
    let groups = world.bench.groups();
    let consumers = groups.consumers();
    let mut rows = Vec::new();
    for (topic, own) in definitions(world) {
        let stored: Vec<_> = world
            .bench
            .positions(&position_prefix(&topic, None))
            .into_iter()
            .filter_map(|(key, value)| {
                let (_, group, vgroup) = read_position_key(&key)?;
                Some((group, vgroup, decode_position(&value)?))
            })
            .collect();
        let mut names: BTreeSet<String> = stored.iter().map(|(g, ..)| g.clone()).collect();
        names.extend(groups.of(&topic));
        for group in names {
            for (place, vgroup) in vgroups(&database(world, &own.database)).iter().enumerate() {
                let holder = groups.holder(&topic, &group, place);
                let about = consumers.iter().find(|(id, _)| Some(*id) == holder);
                let mut of = stored.iter().filter(|(g, v, _)| *g == group && v == vgroup);
                let offset = of.next().map(|(.., offset)| format!("wal:{offset}"));
                let text = |text: Option<String>| text.map_or(Cell::Null, |t| Cell::Text(t.into()));
                rows.push(vec![
                    Cell::text(&topic),
                    Cell::text(&group),
                    Cell::Int(i64::from(*vgroup)),
                    text(holder.map(|id| format!("0x{id:x}"))),
                    text(about.map(|(_, about)| about.user.clone())),
                    text(about.map(|_| "localhost".to_owned())),
                    text(offset),
                    Cell::Int(0),
                ]);
            }
        }
    }
    (columns, rows)
}

/// SHOW VGROUPS and `ins_vgroups`, of one database or of all.
pub(in crate::query::tables) fn vgroup_list(world: &World<'_>, only: Option<&str>) -> List {
    let columns = vec![
        ("vgroup_id", Kind::Int),
        ("db_name", SHORT),
        ("tables", Kind::Int),
        ("v1_dnode", Kind::SmallInt),
        ("v1_status", Kind::Varchar(9)),
        ("status", Kind::Varchar(12)),
    ];
    let mut rows = Vec::new();
    for own in world.tables.databases() {
        if only.is_some_and(|name| name != own.name) {
            continue;
        }
        let tables = world.tables.tables_of(&own.name);
        let normal = tables.iter().filter(|(_, table)| !table.is_super);
        let subs = world.tables.subtables_in(&own.name).map(|sub| sub.name.to_string());
        let names = normal.map(|(_, table)| table.own_name().to_owned()).chain(subs);
        let mut counts = vec![0_i64; usize::from(own.vgroups.max(1))];
        for name in names {
            let place = place_of(&own.name, &name, counts.len());
            counts.iter_mut().skip(place).take(1).for_each(|count| *count += 1);
        }
        for (vgroup, count) in vgroups(own).into_iter().zip(counts) {
            rows.push(vec![
                Cell::Int(i64::from(vgroup)),
                Cell::text(&own.name),
                Cell::Int(count),
                Cell::Int(1),
                Cell::text("leader"),
                Cell::text("ready"),
            ]);
        }
    }
    (columns, rows)
}

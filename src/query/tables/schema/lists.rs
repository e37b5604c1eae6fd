//! Lists of SHOW that tell of the appliance.

use super::people::Person;
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::tables::World;
use crate::query::tables::tmq::show::List;

/// Where clients of this front-end come to.
const ENDPOINT: &str = "localhost:6041";
const UNLIMITED: &str = "unlimited";

/// A list by the word behind SHOW; of what does not exist here, an empty one.
pub fn list(world: &mut World<'_>, name: &str) -> List {
    match name {
        "users" | "accounts" => users(world),
        "grants" | "licences" => grants(),
        "cluster" => cluster(world),
        "variables" => variables(world),
        "connections" => connections(world),
        "queries" => queries(),
        "mnodes" => mnodes(world),
        "alive" => (vec![("status", Kind::Int)], vec![vec![Cell::Int(1)]]),
        _ => (vec![("name", Kind::Varchar(192))], Vec::new()),
    }
}

fn now(world: &World<'_>) -> Cell {
    Cell::Int(world.bench.now() / 1_000_000)
}

/// The one node.
pub fn dnodes(world: &mut World<'_>) -> List {
    let columns = vec![
        ("id", Kind::Int),
        ("endpoint", Kind::Varchar(134)),
        ("vnodes", Kind::SmallInt),
        ("support_vnodes", Kind::SmallInt),
        ("status", Kind::Varchar(10)),
        ("create_time", Kind::Timestamp),
        ("reboot_time", Kind::Timestamp),
        ("note", Kind::Varchar(256)),
    ];
    let vnodes: i64 = world.tables.databases().map(|d| i64::from(d.vgroups)).sum();
    let row = vec![
        Cell::Int(1),
        Cell::text(ENDPOINT),
        Cell::Int(vnodes),
        Cell::Int(1024),
        Cell::text("ready"),
        now(world),
        now(world),
        Cell::text(""),
    ];
    (columns, vec![row])
}

fn users(world: &World<'_>) -> List {
    let columns = vec![
        ("name", Kind::Varchar(24)),
        ("super", Kind::TinyInt),
        ("enable", Kind::TinyInt),
        ("sysinfo", Kind::TinyInt),
        ("createdb", Kind::TinyInt),
        ("create_time", Kind::Timestamp),
        ("allowed_host", Kind::Varchar(64)),
    ];
    let row = |name: &str, is_super: bool, person: Option<&Person>| {
        let option = |name, usual| person.map_or(usual, |person| person.option(name, usual));
        let created = person.map_or(0, |person| person.created / 1_000_000);
        vec![
            Cell::text(name),
            Cell::Int(i64::from(is_super)),
            Cell::Int(option("enable", 1)),
            Cell::Int(option("sysinfo", 1)),
            Cell::Int(option("createdb", i64::from(is_super))),
            Cell::Int(created),
            Cell::text(""),
        ]
    };
    let own = &world.about.user;
    if !world.about.keeps_users {
        return (columns, vec![row(own, world.rights.admin, None)]);
    }
    let people = Person::all(&world.tables);
    let root = people.iter().find(|person| person.name == super::people::ROOT);
    let mut rows = vec![row(super::people::ROOT, true, root)];
    let others = people.iter().filter(|person| person.name != super::people::ROOT);
    rows.extend(others.map(|person| row(&person.name, false, Some(person))));
    (columns, rows)
}

fn grants() -> List {
    let names = [
        ("version", "community"),
        ("expire_time", UNLIMITED),
        ("service_time", UNLIMITED),
        ("expired", "false"),
        ("state", "ungranted"),
        ("timeseries", UNLIMITED),
        ("dnodes", UNLIMITED),
        ("cpu_cores", UNLIMITED),
    ];
    let columns = names.iter().map(|(name, _)| (*name, Kind::Varchar(32))).collect();
    (columns, vec![names.iter().map(|(_, value)| Cell::text(value)).collect()])
}

fn cluster(world: &World<'_>) -> List {
    let columns = vec![
        ("id", Kind::BigInt),
        ("name", Kind::Varchar(134)),
        ("uptime", Kind::Int),
        ("create_time", Kind::Timestamp),
        ("version", Kind::Varchar(10)),
        ("expire_time", Kind::Timestamp),
    ];
    let first = world.tables.databases().map(|database| database.created).min();
    let row = vec![
        Cell::Int(1),
        Cell::text("weir"),
        Cell::Int(0),
        Cell::Int(first.unwrap_or_else(|| world.bench.now()) / 1_000_000),
        Cell::text("community"),
        Cell::Null,
    ];
    (columns, vec![row])
}

fn variables(world: &World<'_>) -> List {
    let columns = vec![
        ("name", Kind::Varchar(32)),
        ("value", Kind::Varchar(64)),
        ("scope", Kind::Varchar(8)),
    ];
    let (clock, about) = (world.clock(), &world.about);
    let list = [
        ("timezone", clock.zone.name()),
        ("locale", "en_US.UTF-8"),
        ("charset", "UTF-8"),
        ("version", &about.version),
    ];
    let row = |(name, value): &(&str, &str)| {
        vec![Cell::text(name), Cell::text(value), Cell::text("server")]
    };
    (columns, list.iter().map(row).collect())
}

/// The connection that asks.
fn connections(world: &World<'_>) -> List {
    let columns = vec![
        ("conn_id", Kind::UInt),
        ("user", Kind::Varchar(24)),
        ("app", Kind::Varchar(128)),
        ("pid", Kind::UInt),
        ("end_point", Kind::Varchar(134)),
        ("login_time", Kind::Timestamp),
        ("last_access", Kind::Timestamp),
        ("user_app", Kind::Varchar(128)),
        ("user_ip", Kind::Varchar(64)),
        ("connector_info", Kind::Varchar(256)),
        ("version", Kind::Varchar(64)),
    ];
    let about = &world.about;
    let row = vec![
        Cell::Uint(1),
        Cell::text(&about.user),
        Cell::text(&about.app),
        Cell::Uint(0),
        Cell::text(&about.address),
        now(world),
        now(world),
        Cell::text(&about.app),
        Cell::text(&about.address),
        Cell::text(&about.connector),
        Cell::text(&about.version),
    ];
    (columns, vec![row])
}

fn queries() -> List {
    let columns = vec![
        ("kill_id", Kind::Varchar(26)),
        ("query_id", Kind::UBigInt),
        ("conn_id", Kind::UInt),
        ("app", Kind::Varchar(128)),
        ("pid", Kind::UInt),
        ("user", Kind::Varchar(24)),
        ("end_point", Kind::Varchar(134)),
        ("create_time", Kind::Timestamp),
        ("exec_usec", Kind::BigInt),
        ("sql", Kind::Varchar(1024)),
    ];
    (columns, Vec::new())
}

fn mnodes(world: &World<'_>) -> List {
    let columns = vec![
        ("id", Kind::Int),
        ("endpoint", Kind::Varchar(134)),
        ("role", Kind::Varchar(12)),
        ("status", Kind::Varchar(9)),
        ("create_time", Kind::Timestamp),
    ];
    let row = vec![
        Cell::Int(1),
        Cell::text(ENDPOINT),
        Cell::text("leader"),
        Cell::text("ready"),
        now(world),
    ];
    (columns, vec![row])
}

//! CREATE, DROP and ALTER: definitions checked here, written by the shard that keeps the catalog.

use super::insert::{hide, subtable};
use super::relation::{PERFORMANCE, SCHEMA, Target, database_of, find, topic_name};
use super::schema::people;
use super::store::keep;
use super::subscription::{Subscription, check_used, create_topic, drop_group, drop_topic};
use super::{World, codes};
use crate::model::command::Definitions;
use crate::model::name::{MAIN, TopicName};
use crate::model::refusal::Refusal;
use crate::model::table::{
    Column, Database, Entry, Kind, Precision, Require, Subtable, Table, entry, own_name,
    set_details,
};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Change, ColumnDef, Name, NewSubtable, Options, Statement};
use std::sync::Arc;

/// Columns and tags together, and tags.
const COLUMNS_MAX: usize = 4096;
const TAGS_MAX: usize = 128;

/// Bytes of a row.
const ROW_BYTES_MAX: u64 = 64 << 10;

/// Bytes that a value of a column has at most, as far as they count.
fn row_bytes(kind: Kind) -> u64 {
    match kind {
        // Stands on its own.
        Kind::Blob => 0,
        Kind::Nchar(length) => 4 * u64::from(length) + 2,
        Kind::Varchar(length) | Kind::Varbinary(length) | Kind::Geometry(length) => {
            u64::from(length) + 2
        }
        other => u64::from(other.length()),
    }
}

pub(super) type Outcome = Result<(), Wrong>;

/// Carries out a definition.
pub(super) fn run(world: &mut World<'_>, statement: &Statement) -> Outcome {
    match statement {
        Statement::CreateDatabase { name, if_not_exists, options } => {
            create_database(world, name, *if_not_exists, options)
        }
        Statement::AlterDatabase { name, options } => alter_database(world, name, options),
        Statement::DropDatabase { name, if_exists } => drop_database(world, name, *if_exists),
        Statement::CreateTable { name, if_not_exists, columns, tags, options } => {
            create_table(world, name, *if_not_exists, (columns, tags.as_deref(), options))
        }
        Statement::CreateSubtables(list) => create_subtables(world, list),
        Statement::DropTables { tables, stable } => {
            tables.iter().try_for_each(|(name, may)| drop_table(world, name, *may, *stable))
        }
        Statement::Alter { table, stable, change } => match alter(world, table, change) {
            Err(wrong) if *stable && wrong.code == 0x2603 => Err(codes::no_stable()),
            other => other,
        },
        Statement::User { name, change } => people::run(world, name, change),
        Statement::CreateTopic { name, if_not_exists, meta, over } => {
            create_topic(world, name, *if_not_exists, *meta, over)
        }
        Statement::DropTopic { name, if_exists, force } => {
            drop_topic(world, name, *if_exists, *force)
        }
        Statement::DropGroup { group, topic, if_exists } => {
            drop_group(world, group, topic, *if_exists)
        }
        _ => Err(codes::unsupported("")),
    }
}

pub(super) fn define(world: &mut World<'_>, wanted: Definitions, exists: fn() -> Wrong) -> Outcome {
    let outcome = world.bench.define(wanted);
    world.refresh();
    outcome.map_err(|why| match why {
        Refusal::TopicExists => exists(),
        other => codes::refused(other),
    })
}

pub(super) fn entries(list: Vec<Entry>) -> Definitions {
    Definitions { entries: list, ..Definitions::default() }
}

fn apply_options(database: &mut Database, options: &[(String, String)]) -> Outcome {
    for (name, value) in options {
        match name.as_str() {
            "precision" => {
                let all = [Precision::Ms, Precision::Us, Precision::Ns];
                let found = all.into_iter().find(|p| p.name() == value.to_ascii_lowercase());
                database.precision = found.ok_or_else(codes::bad_option)?;
            }
            "vgroups" => {
                let count = value.parse().ok().filter(|n| (1..=1024).contains(n));
                database.vgroups = count.ok_or_else(codes::bad_option)?;
            }
            "keep" => {
                let last = value.rsplit(',').next().unwrap_or_default();
                let (digits, unit) = match last.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
                    Some(digits) => (digits, last.as_bytes().last().copied().unwrap_or(b'd')),
                    None => (last, b'd'),
                };
                let count: u32 = digits.parse().map_err(|_| codes::bad_option())?;
                let days = match unit {
                    b'd' => count,
                    b'h' => count / 24,
                    b'm' => count / 1440,
                    _ => return Err(codes::bad_option()),
                };
                let days = Some(days).filter(|days| (1..=365_000).contains(days));
                database.keep_days = days.ok_or_else(codes::bad_option)?;
            }
            _ => {}
        }
        database.options.retain(|(own, _)| own != name);
        database.options.push((name.clone(), value.clone()));
    }
    Ok(())
}

fn create_database(
    world: &mut World<'_>,
    name: &str,
    if_not_exists: bool,
    options: &[(String, String)],
) -> Outcome {
    let exists = world.tables.database(name).is_some()
        || world.bench.has_database(name)
        || name == SCHEMA
        || name == PERFORMANCE;
    if exists {
        return if if_not_exists { Ok(()) } else { Err(codes::database_exists()) };
    }
    if name.contains('.') {
        return Err(codes::unsupported(name));
    }
    let after = |database: &Arc<Database>| database.first_vgroup + u32::from(database.vgroups);
    let first_vgroup = world.tables.databases().map(after).max().unwrap_or(2);
    let created = world.bench.now();
    let mut database = Database { first_vgroup, created, ..Database::plain(name) };
    apply_options(&mut database, options)?;
    let value = entry::encode_database(&database);
    let put = Entry::put(entry::DATABASE_FAMILY, name, value, Require::Absent);
    let outcome = define(world, entries(vec![put]), codes::database_exists);
    match outcome {
        Err(wrong) if if_not_exists && wrong.code == codes::database_exists().code => Ok(()),
        other => other,
    }
}

fn alter_database(world: &mut World<'_>, name: &str, options: &[(String, String)]) -> Outcome {
    let database = world.tables.database(name).ok_or_else(codes::no_database)?;
    let fixed = ["precision", "vgroups"];
    if options.iter().any(|(name, _)| fixed.contains(&name.as_str())) {
        return Err(codes::bad_option());
    }
    let mut database = Database::clone(&database);
    apply_options(&mut database, options)?;
    let value = entry::encode_database(&database);
    let put = Entry::put(entry::DATABASE_FAMILY, name, value, Require::Any);
    define(world, entries(vec![put]), codes::database_exists)?;
    if options.iter().any(|(name, _)| name == "keep") {
        keep::walk(world.bench, Some(name));
    }
    Ok(())
}

fn drop_database(world: &mut World<'_>, name: &str, if_exists: bool) -> Outcome {
    if name == MAIN || name == SCHEMA || name == PERFORMANCE {
        return Err(codes::no_privilege());
    }
    let topics = world.bench.topics(Some(name));
    if topics.iter().any(|topic| !topic.typed) {
        return Err(codes::foreign());
    }
    if world.tables.database(name).is_none() {
        return if if_exists { Ok(()) } else { Err(codes::no_database()) };
    }
    let subscribed = world.tables.others(entry::SUBSCRIPTION_FAMILY);
    if subscribed.filter_map(|(_, value)| Subscription::decode(value)).any(|s| s.database == name) {
        return Err(codes::topic_first());
    }
    let mut list = vec![Entry::remove(entry::DATABASE_FAMILY, name)];
    let mut delete = Vec::new();
    for (_, table) in world.tables.tables_of(name) {
        list.push(Entry::remove(entry::TABLE_FAMILY, table.name.full()));
        delete.push(table.name.clone());
    }
    for sub in world.tables.subtables_in(name) {
        list.push(Entry::remove(entry::SUBTABLE_FAMILY, &format!("{name}.{}", sub.name)));
    }
    let wanted = Definitions { entries: list, delete, ..Definitions::default() };
    define(world, wanted, codes::database_exists)
}

fn columns(defs: &[ColumnDef], next: &mut u16) -> Vec<Column> {
    let column = |def: &ColumnDef| {
        *next += 1;
        Column { id: *next - 1, name: def.name.as_str().into(), kind: def.kind }
    };
    defs.iter().map(column).collect()
}

fn create_table(
    world: &mut World<'_>,
    name: &Name,
    if_not_exists: bool,
    (defs, tags, options): (&[ColumnDef], Option<&[ColumnDef]>, &Options),
) -> Outcome {
    let database = database_of(world, name)?;
    if database == SCHEMA || database == PERFORMANCE {
        return Err(codes::no_privilege());
    }
    let full = topic_name(&database, &name.name)?;
    let is_super = tags.is_some();
    if let Some(taken) = taken(world, &full) {
        return if if_not_exists { Ok(()) } else { Err(taken) };
    }
    let all: Vec<&ColumnDef> = defs.iter().chain(tags.unwrap_or_default()).collect();
    if defs.first().is_none_or(|def| def.kind != Kind::Timestamp) {
        return Err(codes::first_no_timestamp());
    }
    let twice = |(at, def): (usize, &&ColumnDef)| {
        let name = def.name.to_ascii_lowercase();
        all.iter().take(at).any(|other| other.name.to_ascii_lowercase() == name)
    };
    if all.iter().enumerate().any(twice) {
        return Err(codes::duplicate_column());
    }
    let json = |def: &ColumnDef| def.kind == Kind::Json;
    let tag_list = tags.unwrap_or_default();
    if defs.iter().any(json) || (tag_list.iter().any(json) && tag_list.len() > 1) {
        return Err(codes::json_tag());
    }
    let bytes: u64 = defs.iter().map(|def| row_bytes(def.kind)).sum();
    if bytes > ROW_BYTES_MAX {
        return Err(codes::unsupported("("));
    }
    let reserved = all.iter().any(|def| def.name.eq_ignore_ascii_case("tbname"));
    if all.len() > COLUMNS_MAX || tag_list.len() > TAGS_MAX || reserved {
        return Err(codes::unsupported("("));
    }
    let precision = world.tables.database(&database).map_or_else(Default::default, |d| d.precision);
    let mut next_column = 0;
    let table = Table {
        name: full.clone(),
        columns: columns(defs, &mut next_column),
        tags: columns(tag_list, &mut next_column),
        is_super,
        next_column,
        precision,
        created: world.bench.now(),
        details: details(defs, options),
    };
    let value = entry::encode_table(&table);
    let put = Entry::put(entry::TABLE_FAMILY, full.full(), value, Require::Any);
    let create = vec![full.clone()];
    let wanted = Definitions { entries: vec![put], create, ..Definitions::default() };
    match define(world, wanted, codes::table_exists) {
        Err(wrong) if wrong.code == codes::table_exists().code => {
            if if_not_exists {
                Ok(())
            } else {
                Err(taken(world, &full).unwrap_or(wrong))
            }
        }
        other => other,
    }
}

/// What is said of a name that something has, whatever was to be made of it: it goes by what is
/// there (interchange, 5).
fn taken(world: &mut World<'_>, full: &TopicName) -> Option<Wrong> {
    if world.tables.table(full).is_some_and(|table| table.is_super) {
        return Some(codes::stable_exists());
    }
    let sub = world.tables.subtable(full.database(), own_name(full)).is_some();
    (sub || world.bench.topic(full).is_some()).then(codes::table_exists)
}

/// What is only shown, of a new table and its columns.
fn details(defs: &[ColumnDef], options: &Options) -> Options {
    let numbered = |(at, def): (usize, &ColumnDef)| {
        let own = def.options.iter();
        own.map(|(name, value)| (format!("{name} {at}"), value.clone())).collect::<Vec<_>>()
    };
    options.iter().cloned().chain(defs.iter().enumerate().flat_map(numbered)).collect()
}

fn create_subtables(world: &mut World<'_>, list: &[NewSubtable]) -> Outcome {
    let mut puts: Vec<Entry> = Vec::new();
    for NewSubtable { name, if_not_exists: may_exist, using, options } in list {
        let Target::Table(stable, _) = find(world, &using.stable)? else {
            return Err(codes::no_table(&using.stable.name));
        };
        let database = database_of(world, name)?;
        if !stable.is_super || stable.name.database() != database {
            return Err(codes::no_table(&using.stable.name));
        }
        let full = topic_name(&database, &name.name)?;
        let mut sub = subtable(world, &name.name, using, &stable)?;
        sub.details.clone_from(options);
        let twice = || puts.iter().any(|put| put.key == full.full().as_bytes());
        let taken = taken(world, &full).or_else(|| twice().then(codes::table_exists));
        if let Some(taken) = &taken
            && !may_exist
        {
            return Err(taken.clone());
        }
        if taken.is_none() {
            let require = if *may_exist { Require::Any } else { Require::Absent };
            let value = entry::encode_subtable(&sub);
            puts.push(Entry::put(entry::SUBTABLE_FAMILY, full.full(), value, require));
        }
    }
    if puts.is_empty() { Ok(()) } else { define(world, entries(puts), codes::table_exists) }
}

fn drop_table(world: &mut World<'_>, name: &Name, if_exists: bool, stable: bool) -> Outcome {
    let missing = || if stable { codes::no_stable() } else { codes::no_table(&name.name) };
    let target = match find(world, name) {
        Ok(target) => target,
        Err(wrong) if wrong.code == 0x2603 && if_exists => return Ok(()),
        Err(wrong) if wrong.code == 0x2603 => return Err(missing()),
        Err(wrong) => return Err(wrong),
    };
    match target {
        Target::Foreign(_) => Err(codes::foreign()),
        Target::Sub(..) if stable => Err(missing()),
        Target::Sub(sub, table, _) => {
            hide(world, &sub, &table)?;
            let key = format!("{}.{}", table.name.database(), sub.name);
            let gone = Entry::remove(entry::SUBTABLE_FAMILY, &key);
            define(world, entries(vec![gone]), codes::table_exists)
        }
        Target::Table(table, _) => {
            if stable && !table.is_super {
                return Err(missing());
            }
            let mut list = vec![Entry::remove(entry::TABLE_FAMILY, table.name.full())];
            for sub in world.tables.subtables_of(&table.name) {
                let key = format!("{}.{}", table.name.database(), sub.name);
                list.push(Entry::remove(entry::SUBTABLE_FAMILY, &key));
            }
            let delete = vec![table.name.clone()];
            let wanted = Definitions { entries: list, delete, ..Definitions::default() };
            define(world, wanted, codes::table_exists)
        }
    }
}

fn alter(world: &mut World<'_>, name: &Name, change: &Change) -> Outcome {
    let table = match find(world, name)? {
        Target::Foreign(_) => return Err(codes::foreign()),
        Target::Sub(sub, table, _) => return alter_subtable(world, &sub, &table, change),
        Target::Table(table, _) => table,
    };
    let was = entry::encode_table(&table);
    let mut table = Table::clone(&table);
    let is_super = table.is_super;
    let no_tags = || if is_super { Ok(()) } else { Err(codes::no_tag()) };
    match change {
        Change::Options(list) => set_details(&mut table.details, list),
        Change::ColumnOptions(name, list) => {
            let at = position(&table.columns, name).ok_or_else(codes::no_such_column)?;
            let id = table.columns[at].id;
            let own = |(name, value): &(String, String)| (format!("{name} {id}"), value.clone());
            set_details(&mut table.details, &list.iter().map(own).collect::<Vec<_>>());
        }
        Change::SetTags(_) => return Err(codes::no_tag()),
        Change::AddColumn(def) => add(&mut table, def, false)?,
        Change::AddTag(def) => no_tags().and_then(|()| add(&mut table, def, true))?,
        Change::DropColumn(name) => {
            let at = position(&table.columns, name).ok_or_else(codes::no_such_column)?;
            check_used(world, &table, name)?;
            if at == 0 || table.columns.len() <= 2 {
                return Err(codes::unsupported(name));
            }
            table.columns.remove(at);
        }
        Change::DropTag(name) => {
            let at = position(&table.tags, name).ok_or_else(codes::no_tag)?;
            if table.tags.len() <= 1 {
                return Err(codes::unsupported(name));
            }
            check_used(world, &table, name)?;
            table.tags.remove(at);
        }
        Change::ModifyColumn(def) => longer(&mut table.columns, def, codes::no_such_column)?,
        Change::ModifyTag(def) => longer(&mut table.tags, def, codes::no_tag)?,
        Change::RenameColumn(old, new) => {
            let at = position(&table.columns, old).ok_or_else(codes::no_such_column)?;
            if is_super {
                return Err(codes::unsupported(old));
            }
            free(&table, new)?;
            check_used(world, &table, old)?;
            table.columns[at].name = new.as_str().into();
        }
        Change::RenameTag(old, new) => {
            let at = position(&table.tags, old).ok_or_else(codes::no_tag)?;
            free(&table, new)?;
            check_used(world, &table, old)?;
            table.tags[at].name = new.as_str().into();
        }
    }
    let value = entry::encode_table(&table);
    let put = Entry::put(entry::TABLE_FAMILY, table.name.full(), value, Require::Was(was));
    define(world, entries(vec![put]), codes::changed)
}

fn position(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| *column.name == *name)
}

fn free(table: &Table, name: &str) -> Outcome {
    if position(&table.columns, name).is_some() {
        return Err(codes::column_exists());
    }
    if position(&table.tags, name).is_some() { Err(codes::tag_exists()) } else { Ok(()) }
}

fn add(table: &mut Table, def: &ColumnDef, tag: bool) -> Outcome {
    free(table, &def.name)?;
    if def.kind == Kind::Json {
        return Err(codes::json_tag());
    }
    let column = Column { id: table.next_column, name: def.name.as_str().into(), kind: def.kind };
    table.next_column = table.next_column.checked_add(1).ok_or_else(codes::too_long)?;
    if tag {
        table.tags.push(column)
    } else {
        table.columns.push(column)
    }
    Ok(())
}

/// A text or bytes may become longer, nothing else.
fn longer(columns: &mut [Column], def: &ColumnDef, missing: fn() -> Wrong) -> Outcome {
    let at = position(columns, &def.name).ok_or_else(missing)?;
    let old = columns[at].kind;
    let grows = old.code() == def.kind.code()
        && matches!(
            old,
            Kind::Varchar(_) | Kind::Nchar(_) | Kind::Varbinary(_) | Kind::Geometry(_)
        )
        && def.kind.length() >= old.length();
    if !grows {
        return Err(codes::bad_value());
    }
    columns[at].kind = def.kind;
    Ok(())
}

fn alter_subtable(
    world: &mut World<'_>,
    sub: &Subtable,
    table: &Table,
    change: &Change,
) -> Outcome {
    let mut sub = sub.clone();
    let clock = super::Clock { precision: table.precision, ..world.clock() };
    let list = match change {
        Change::SetTags(list) => list.as_slice(),
        Change::Options(list) => {
            set_details(&mut sub.details, list);
            &[]
        }
        _ => return Err(codes::no_stable()),
    };
    for (name, expr) in list {
        let at = position(&table.tags, name).ok_or_else(codes::no_tag)?;
        let tag = &table.tags[at];
        let cell = super::convert::literal(expr, tag.kind, &clock)?;
        sub.tags.retain(|(id, _)| *id != tag.id);
        sub.tags.push((tag.id, cell));
    }
    let key = format!("{}.{}", table.name.database(), sub.name);
    let value = entry::encode_subtable(&sub);
    let put = Entry::put(entry::SUBTABLE_FAMILY, &key, value, Require::Present);
    define(world, entries(vec![put]), codes::table_exists)
}

//! INSERT and DELETE: checked whole, then subtables made, then rows appended.
//!
//! Invariant: an error anywhere writes nothing. Rows of one table become one record.

use super::convert::{Clock, literal, store};
use super::relation::{Target, database_of, find, topic_name};
use super::{World, codes, select};
use crate::model::command::Definitions;
use crate::model::refusal::Refusal;
use crate::model::table::packed::encode_columns;
use crate::model::table::rows::{Cell, Deed, encode};
use crate::model::table::{Column, Database, Entry, Kind, Packed, Require, Subtable, Table, entry};
use crate::model::topic::Topic;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Expr, Insert, InsertPart, Name, Using};
use ahash::AHashMap;
use std::sync::Arc;

/// Seconds since 1970 beyond which no time is taken: the year 2262.
const LAST_SECOND: i128 = 9_214_646_400;
/// How often others may make the same subtables meanwhile.
const TRIES: usize = 8;

/// Where rows go.
#[derive(Clone, Debug)]
pub struct Place {
    /// The table or supertable.
    pub table: Arc<Table>,
    /// Its topic.
    pub topic: Arc<Topic>,
    /// The subtable.
    pub sub: Option<Arc<Subtable>>,
    /// The subtable has to be made.
    pub is_new: bool,
}

impl Place {
    /// What a conversion for this table needs.
    #[must_use]
    pub fn clock(&self, world: &World<'_>) -> Clock {
        Clock { precision: self.table.precision, ..world.clock() }
    }
}

/// Rows on their way to one table.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Where.
    pub place: Place,
    /// What, the times first.
    pub columns: Vec<Packed>,
}

/// The table that rows are to go to; made if it has to be.
///
/// # Errors
/// It does not exist, is a supertable or belongs to another front-end.
pub fn place(
    world: &mut World<'_>,
    table: &Name,
    using: Option<&Using>,
    fresh: &mut AHashMap<String, Arc<Subtable>>,
) -> Result<Place, Wrong> {
    match find(world, table) {
        Ok(Target::Table(table, topic)) if !table.is_super => {
            return Ok(Place { table, topic, sub: None, is_new: false });
        }
        Ok(Target::Sub(sub, table, topic)) => {
            return Ok(Place { table, topic, sub: Some(sub), is_new: false });
        }
        Ok(Target::Table(..)) => return Err(codes::bad_value()),
        Ok(Target::Foreign(_)) => return Err(codes::foreign()),
        Err(wrong) if using.is_none() || wrong.code != 0x2603 => return Err(wrong),
        Err(_) => {}
    }
    let using = using.ok_or_else(|| codes::no_table(&table.name))?;
    let Target::Table(stable, topic) = find(world, &using.stable)? else {
        return Err(codes::no_table(&using.stable.name));
    };
    let database = database_of(world, table)?;
    if !stable.is_super || stable.name.database() != database {
        return Err(codes::no_table(&using.stable.name));
    }
    let sub = match fresh.get(&table.name) {
        Some(sub) => Arc::clone(sub),
        None => Arc::new(subtable(world, &table.name, using, &stable)?),
    };
    fresh.insert(table.name.clone(), Arc::clone(&sub));
    Ok(Place { table: stable, topic, sub: Some(sub), is_new: true })
}

/// A subtable as USING describes it.
///
/// # Errors
/// A tag is wrong.
pub fn subtable(
    world: &World<'_>,
    name: &str,
    using: &Using,
    stable: &Table,
) -> Result<Subtable, Wrong> {
    let clock = Clock { precision: stable.precision, ..world.clock() };
    let chosen: Vec<&Column> = match &using.tags {
        None => stable.tags.iter().collect(),
        Some(names) => {
            let find = |name: &String| stable.tags.iter().find(|tag| *tag.name == **name);
            let find = |name| find(name).ok_or_else(|| codes::no_column(name));
            names.iter().map(find).collect::<Result<_, _>>()?
        }
    };
    if chosen.len() != using.values.len() {
        return Err(codes::tag_count());
    }
    let mut tags = Vec::with_capacity(chosen.len());
    for (tag, value) in chosen.iter().zip(&using.values) {
        tags.push((tag.id, value_of(world, value, tag.kind, &clock)?));
    }
    let created = world.bench.now();
    let (stable, details) = (stable.name.clone(), Vec::new());
    Ok(Subtable { name: name.into(), stable, tags, created, order: 0, details })
}

/// The value of an expression in VALUES or TAGS.
fn value_of(world: &World<'_>, expr: &Expr, kind: Kind, clock: &Clock) -> Result<Cell, Wrong> {
    match expr {
        Expr::Parameter(at) => {
            let cell = world.parameters.get(*at).cloned();
            store(cell.ok_or_else(|| codes::unsupported("?"))?, kind, clock)
        }
        other => literal(other, kind, clock),
    }
}

/// The columns that a list names, or all; the times first.
///
/// # Errors
/// A name that is not there, or twice, or no time.
pub fn columns_of(table: &Table, names: Option<&[String]>) -> Result<Vec<Column>, Wrong> {
    let Some(names) = names else { return Ok(table.columns.clone()) };
    let mut list: Vec<Column> = Vec::with_capacity(names.len());
    for name in names {
        let found = table.columns.iter().find(|column| *column.name == **name);
        let found = found.ok_or_else(|| codes::no_column(name))?;
        if list.iter().any(|column| column.id == found.id) {
            return Err(codes::duplicate_column());
        }
        list.push(found.clone());
    }
    let time = table.columns.first().map(|column| column.id);
    if list.iter().any(|column| Some(column.id) == time) {
        Ok(list)
    } else {
        Err(codes::bad_value())
    }
}

/// Puts the times first, as a record has them, and checks them.
///
/// # Errors
/// A time is null, too old or too new.
pub fn plan(
    world: &World<'_>,
    place: Place,
    columns: Vec<Column>,
    cells: Vec<Vec<Cell>>,
) -> Result<Planned, Wrong> {
    let packed = columns.into_iter().zip(&cells).map(|(c, cells)| Packed::of_cells(c, cells));
    plan_packed(world, place, packed.collect())
}

/// As [`plan`], with columns that are packed already.
///
/// # Errors
/// As [`plan`].
pub fn plan_packed(
    world: &World<'_>,
    place: Place,
    mut columns: Vec<Packed>,
) -> Result<Planned, Wrong> {
    if !(world.rights.may_write)(place.topic.name.short()) {
        return Err(codes::no_privilege());
    }
    let time = place.table.columns.first().map(|column| column.id);
    // In the order of the table, whatever the list said.
    let at = |id| place.table.columns.iter().position(|column| column.id == id);
    columns.sort_by_key(|packed| at(packed.column.id));
    let first = columns.first().filter(|packed| Some(packed.column.id) == time);
    let first = first.filter(|times| !times.has_nulls()).ok_or_else(codes::bad_value)?;
    let database = world.tables.database(place.table.name.database());
    let precision = place.table.precision;
    let plain = || Database { precision, ..Database::plain("") }.into();
    let oldest = database.unwrap_or_else(plain).oldest(world.bench.now());
    let latest = LAST_SECOND * i128::from(1_000_000_000 / precision.unit_ns());
    let allowed = oldest..i64::try_from(latest).unwrap_or(i64::MAX);
    if first.longs().all(|time| allowed.contains(&time)) {
        Ok(Planned { place, columns })
    } else {
        Err(codes::time_range())
    }
}

/// Makes subtables that are missing, then appends.
///
/// # Errors
/// The log refuses.
pub fn write(world: &mut World<'_>, planned: Vec<Planned>) -> Result<u64, Wrong> {
    make_subtables(world, &planned)?;
    let mut affected = 0;
    let mut topics: Vec<(Arc<Topic>, Vec<Vec<u8>>)> = Vec::new();
    for Planned { place, columns } in &planned {
        let count = columns.first().map_or(0, Packed::rows);
        if count == 0 {
            continue;
        }
        affected += count as u64;
        let (name, tags) = identity(place);
        let record = encode_columns(place.table.precision, &name, &tags, columns);
        match topics.iter_mut().find(|(topic, _)| topic.id == place.topic.id) {
            Some((_, list)) => list.push(record),
            None => topics.push((Arc::clone(&place.topic), vec![record])),
        }
    }
    if !topics.is_empty() {
        world.bench.append_rows(&topics).map_err(codes::refused)?;
    }
    Ok(affected)
}

/// Name and tags of the subtable, if it is one.
fn identity(place: &Place) -> (Arc<str>, Vec<(Column, Cell)>) {
    let Some(sub) = &place.sub else { return ("".into(), Vec::new()) };
    let tags = place.table.tags.iter().map(|tag| (tag.clone(), sub.tag(tag.id))).collect();
    (Arc::clone(&sub.name), tags)
}

fn make_subtables(world: &mut World<'_>, planned: &[Planned]) -> Result<(), Wrong> {
    for _ in 0..TRIES {
        let mut entries: Vec<Entry> = Vec::new();
        for Planned { place, .. } in planned.iter().filter(|planned| planned.place.is_new) {
            let Some(sub) = &place.sub else { continue };
            let database = place.table.name.database();
            let key = format!("{database}.{}", sub.name);
            let there = world.tables.subtable(database, &sub.name).is_some();
            if !there && entries.iter().all(|entry| entry.key != key.as_bytes()) {
                let value = entry::encode_subtable(sub);
                entries.push(Entry::put(entry::SUBTABLE_FAMILY, &key, value, Require::Absent));
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        let wanted = Definitions { entries, ..Definitions::default() };
        match world.bench.define(wanted) {
            Ok(()) => return Ok(()),
            // Somebody else made one of them.
            Err(Refusal::TopicExists) => world.refresh(),
            Err(why) => return Err(codes::refused(why)),
        }
    }
    Err(codes::table_exists())
}

/// Carries out an INSERT.
pub(super) fn run(world: &mut World<'_>, statement: &Insert) -> Result<u64, Wrong> {
    let mut fresh = AHashMap::new();
    let mut planned = Vec::new();
    match statement {
        Insert::Parts(parts) => {
            for part in parts {
                let Some(table) = &part.table else { return Err(codes::unsupported("?")) };
                if part.using.is_none()
                    && part.columns.as_ref().is_some_and(|list| list.iter().any(|n| n == "tbname"))
                {
                    by_name(world, table, part, &mut fresh, &mut planned)?;
                    continue;
                }
                let place = place(world, table, part.using.as_ref(), &mut fresh)?;
                let columns = columns_of(&place.table, part.columns.as_deref())?;
                let clock = place.clock(world);
                let cells = transpose(world, &columns, &part.rows, &clock)?;
                planned.push(plan(world, place, columns, cells)?);
            }
        }
        Insert::Select(table, names, query) => {
            let place = place(world, table, None, &mut fresh)?;
            let columns = columns_of(&place.table, names.as_deref())?;
            let rows = select::run(world, query)?;
            if rows.fields.len() != columns.len() {
                return Err(codes::unsupported("select"));
            }
            let clock = place.clock(world);
            let mut cells = vec![Vec::with_capacity(rows.rows.len()); columns.len()];
            for row in rows.rows {
                for ((cell, column), list) in row.into_iter().zip(&columns).zip(&mut cells) {
                    list.push(store(cell, column.kind, &clock)?);
                }
            }
            planned.push(plan(world, place, columns, cells)?);
        }
    }
    write(world, planned)
}

/// Rows of expressions as columns of values.
fn transpose(
    world: &World<'_>,
    columns: &[Column],
    rows: &[Vec<Expr>],
    clock: &Clock,
) -> Result<Vec<Vec<Cell>>, Wrong> {
    let mut cells = vec![Vec::with_capacity(rows.len()); columns.len()];
    for row in rows {
        if row.len() != columns.len() {
            return Err(codes::unsupported("values"));
        }
        for ((expr, column), list) in row.iter().zip(columns).zip(&mut cells) {
            list.push(value_of(world, expr, column.kind, clock)?);
        }
    }
    Ok(cells)
}

/// `INSERT INTO stb (tbname, tag, .., ts, ..) VALUES ..`: each row names its subtable.
fn by_name(
    world: &mut World<'_>,
    stable: &Name,
    part: &InsertPart,
    fresh: &mut AHashMap<String, Arc<Subtable>>,
    planned: &mut Vec<Planned>,
) -> Result<(), Wrong> {
    let Target::Table(table, _) = find(world, stable)? else { return Err(codes::bad_value()) };
    if !table.is_super {
        return Err(codes::no_column("tbname"));
    }
    let names = part.columns.as_deref().unwrap_or_default();
    for row in &part.rows {
        if row.len() != names.len() {
            return Err(codes::unsupported("values"));
        }
        let (mut own, mut tags, mut values) = (None, Vec::new(), Vec::new());
        let (mut columns, mut given) = (Vec::new(), Vec::new());
        for (name, expr) in names.iter().zip(row) {
            if name == "tbname" {
                own = match value_of(world, expr, Kind::Varchar(192), &world.clock())? {
                    Cell::Text(text) if !text.is_empty() => Some(text.to_string()),
                    _ => return Err(codes::bad_value()),
                };
            } else if table.tags.iter().any(|tag| *tag.name == **name) {
                tags.push(name.clone());
                values.push(expr.clone());
            } else {
                columns.push(name.clone());
                given.push(expr.clone());
            }
        }
        let name = own.ok_or_else(codes::bad_value)?;
        let target = Name { database: Some(table.name.database().to_owned()), name };
        let using = Using { stable: stable.clone(), tags: Some(tags), values };
        let place = place(world, &target, Some(&using), fresh)?;
        let columns = columns_of(&place.table, Some(&columns))?;
        let clock = place.clock(world);
        let cells = transpose(world, &columns, &[given], &clock)?;
        planned.push(plan(world, place, columns, cells)?);
    }
    Ok(())
}

/// Carries out a DELETE: the rows that a query over times and tags finds are hidden.
pub(super) fn delete(
    world: &mut World<'_>,
    name: &Name,
    filter: Option<&Expr>,
) -> Result<u64, Wrong> {
    let (table, topic) = match find(world, name)? {
        Target::Table(table, topic) | Target::Sub(_, table, topic) => (table, topic),
        Target::Foreign(_) => return Err(codes::foreign()),
    };
    if !(world.rights.may_write)(topic.name.short()) {
        return Err(codes::no_privilege());
    }
    let time = table.columns.first().map_or("", |column| &column.name);
    let allowed = |name: &str| {
        name == time || name == "tbname" || table.tags.iter().any(|tag| *tag.name == *name)
    };
    let mut used = Vec::new();
    if let Some(filter) = filter {
        columns_in(filter, &mut used);
    }
    if !used.iter().all(|name| allowed(name)) {
        return Err(codes::bad_delete());
    }
    let mut relation = crate::query::dialect::taos::ast::Select::default();
    let item = |name: &str| crate::query::dialect::taos::ast::Item {
        expr: Expr::Column(None, name.to_owned()),
        name: name.to_owned(),
        aliased: false,
    };
    relation.items = vec![item(time), item("tbname")];
    relation.from = Some(crate::query::dialect::taos::ast::Source::Table(name.clone(), None));
    relation.filter = filter.cloned();
    let query = crate::query::dialect::taos::ast::Query { first: relation, ..Default::default() };
    let rows = select::run(world, &query)?.rows;
    let mut records = Vec::new();
    let mut by_table: AHashMap<Arc<str>, Vec<i64>> = AHashMap::new();
    for row in &rows {
        if let [Cell::Int(at), Cell::Text(own)] = row.as_slice() {
            by_table.entry(Arc::clone(own)).or_default().push(*at);
        }
    }
    for (own, times) in by_table {
        let own: Arc<str> = if table.is_super { own } else { "".into() };
        // Times ascend; what lies between two of them and is no row matters to nobody now.
        let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
        let gapless = filter.is_none_or(is_range);
        let spans =
            if gapless { vec![(*first, *last)] } else { times.iter().map(|t| (*t, *t)).collect() };
        for (from, to) in spans {
            records.push(encode(Deed::Delete(from, to), table.precision, &own, &[], &[]));
        }
    }
    if !records.is_empty() {
        world.bench.append_rows(&[(topic, records)]).map_err(codes::refused)?;
    }
    Ok(rows.len() as u64)
}

/// Whether a condition lets through all times between two that it lets through.
fn is_range(filter: &Expr) -> bool {
    use crate::query::dialect::taos::ast::Binary;
    match filter {
        Expr::Binary(Binary::And, left, right) => is_range(left) && is_range(right),
        Expr::Binary(operator, ..) => !matches!(operator, Binary::Or | Binary::Differs),
        Expr::Between(_, _, _, not) => !not,
        _ => false,
    }
}

/// Names of columns that an expression uses.
pub(super) fn columns_in(expr: &Expr, list: &mut Vec<String>) {
    match expr {
        Expr::Column(_, name) => list.push(name.clone()),
        Expr::Negate(a) | Expr::Not(a) | Expr::IsNull(a, _) | Expr::Cast(a, _) => {
            columns_in(a, list)
        }
        Expr::Binary(_, a, b) => [a, b].into_iter().for_each(|expr| columns_in(expr, list)),
        Expr::Between(a, b, c, _) => [a, b, c].into_iter().for_each(|e| columns_in(e, list)),
        Expr::In(a, more, _) => {
            columns_in(a, list);
            more.iter().for_each(|expr| columns_in(expr, list));
        }
        Expr::Call(_, more) => more.iter().for_each(|expr| columns_in(expr, list)),
        _ => {}
    }
}

/// Hides all rows of a subtable.
pub(super) fn hide(world: &mut World<'_>, sub: &Subtable, table: &Table) -> Result<(), Wrong> {
    let full = topic_name(table.name.database(), table.own_name())?;
    let Some(topic) = world.bench.topic(&full) else { return Ok(()) };
    let record = encode(Deed::Drop, table.precision, &sub.name, &[], &[]);
    world.bench.append_rows(&[(topic, vec![record])]).map_err(codes::refused)
}

//! Points without a schema (taos, section 6): supertables are made and widened as they come.
//!
//! Method: all points are read before anything is changed; what they need is compared with what is
//! defined; the definitions are changed at once, by one connection after the other, on condition
//! that they still are as they were read (an ALTER may come between), else it begins anew. Then
//! rows are written like those of any INSERT. Points of one subtable that follow each other with
//! the same fields become one record.

use super::super::insert::{Place, Planned, plan_packed, write};
use super::super::relation::{PERFORMANCE, SCHEMA, Target, database_of, find, topic_name};
use super::super::store::Standing;
use super::super::{World, codes};
use crate::model::command::Definitions;
use crate::model::name::TopicName;
use crate::model::refusal::Refusal;
use crate::model::table::entry::{self, Entry, Require};
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Kind, Packed, Subtable, Table};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Name;
use ahash::AHashMap;
use std::sync::{Arc, PoisonError};

/// Name of the times of supertables that are made.
const TIME: &str = "_ts";
/// Tag of supertables whose points have none: a supertable has at least one.
const NO_TAG: &str = "_tag_null";
/// Bounds of names, and of what a table has.
const NAME_MAX: usize = 64;
const TABLE_NAME_MAX: usize = 192;
const TAGS_MAX: usize = 128;
const COLUMNS_MAX: usize = 4096;
/// Bytes of a value at most, and of one of a new column at least.
const TEXT_MAX: u32 = 65_517;
const TEXT_MIN: u32 = 16;
/// How often others may change the same definitions meanwhile.
const TRIES: usize = 16;

/// A tag or a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it holds; texts and bytes are as long as they are.
    pub kind: Kind,
    /// Its value.
    pub cell: Cell,
}

/// Values of one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The supertable.
    pub measurement: String,
    /// The subtable.
    pub table: String,
    /// Tags, each name once.
    pub tags: Vec<Member>,
    /// Fields, each name once.
    pub fields: Vec<Member>,
    /// Nanoseconds since 1970.
    pub time: i64,
}

/// A line that is none, or does not fit what is defined.
#[must_use]
pub fn bad_data(why: &str) -> Wrong {
    Wrong::new(0x3002, format!("Invalid data format: {why}"))
}

/// A column that points need.
#[derive(Clone, Debug)]
struct Need {
    name: String,
    kind: Kind,
    is_tag: bool,
}

/// What the points of one supertable need.
type Needs = Vec<(String, Vec<Need>)>;

/// Writes points; gives how many.
///
/// # Errors
/// There is no database, a name or type does not fit, or the log refuses. Nothing was written.
pub fn insert(world: &mut World<'_>, points: &[Point]) -> Result<u64, Wrong> {
    if !world.rights.write {
        return Err(codes::no_privilege());
    }
    let database = database_of(world, &Name::default())?;
    if database == SCHEMA || database == PERFORMANCE {
        return Err(codes::no_privilege());
    }
    let needs = needs_of(points)?;
    define(world, &database, &needs)?;
    let planned = plan(world, &database, points)?;
    write(world, planned)
}

/// The longer of two kinds that are otherwise the same.
fn widest(one: Kind, other: Kind) -> Option<Kind> {
    let longer = one.length().max(other.length());
    (one.code() == other.code()).then(|| Kind::from_code(one.code(), longer)).flatten()
}

/// A kind with room for longer values.
fn roomy(kind: Kind) -> Option<Kind> {
    if !matches!(kind, Kind::Varchar(_) | Kind::Nchar(_) | Kind::Varbinary(_)) {
        return Some(kind);
    }
    let most = if matches!(kind, Kind::Nchar(_)) { (TEXT_MAX - 1) / 4 } else { TEXT_MAX };
    let length = kind.length().max(TEXT_MIN).next_power_of_two().min(most);
    (kind.length() <= most).then(|| Kind::from_code(kind.code(), length)).flatten()
}

fn needs_of(points: &[Point]) -> Result<Needs, Wrong> {
    let mut list: Needs = Vec::new();
    let mut by_name: AHashMap<&str, usize> = AHashMap::new();
    let mut places: AHashMap<(usize, &str), usize> = AHashMap::new();
    for point in points {
        if !(1..=TABLE_NAME_MAX).contains(&point.measurement.len())
            || !(1..=TABLE_NAME_MAX).contains(&point.table.len())
        {
            return Err(bad_data("name of a table"));
        }
        let at = *by_name.entry(&point.measurement).or_insert_with(|| {
            list.push((point.measurement.clone(), Vec::new()));
            list.len() - 1
        });
        let Some((_, needs)) = list.get_mut(at) else { continue };
        let tags = point.tags.iter().map(|tag| (tag, true));
        for (Member { name, kind, .. }, is_tag) in
            tags.chain(point.fields.iter().map(|field| (field, false)))
        {
            let place = *places.entry((at, name)).or_insert_with(|| {
                needs.push(Need { name: name.clone(), kind: *kind, is_tag });
                needs.len() - 1
            });
            let Some(need) = needs.get_mut(place) else { continue };
            let wide = widest(need.kind, *kind).filter(|_| need.is_tag == is_tag);
            need.kind = wide.ok_or_else(|| bad_data(name))?;
            let long = name.is_empty() || name.len() > NAME_MAX;
            if long || name.eq_ignore_ascii_case("tbname") || *name == TIME {
                return Err(bad_data(name));
            }
        }
    }
    Ok(list)
}

/// Makes and widens supertables until they have all that is needed.
fn define(world: &mut World<'_>, database: &str, needs: &Needs) -> Result<(), Wrong> {
    if missing(world, database, needs)?.entries.is_empty() {
        return Ok(());
    }
    let growing = world.bench.standing().map(Standing::growing).unwrap_or_default();
    let _alone = growing.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..TRIES {
        world.refresh();
        let wanted = missing(world, database, needs)?;
        if wanted.entries.is_empty() {
            return Ok(());
        }
        match world.bench.define(wanted) {
            // Somebody else changed one of them; or all is well: one more look.
            Ok(()) | Err(Refusal::TopicExists | Refusal::UnknownTopic) => {}
            Err(why) => return Err(codes::refused(why)),
        }
    }
    Err(codes::changed())
}

/// What has to be defined.
fn missing(world: &mut World<'_>, database: &str, needs: &Needs) -> Result<Definitions, Wrong> {
    let mut wanted = Definitions::default();
    for (measurement, needs) in needs {
        let full = topic_name(database, measurement).map_err(|_| bad_data(measurement))?;
        let name = name_of(database, measurement);
        let mut put = |value, require| {
            let family = entry::TABLE_FAMILY;
            wanted.entries.push(Entry::put(family, full.full(), value, require));
        };
        match find(world, &name) {
            Ok(Target::Table(table, _)) if table.is_super => {
                let old = entry::encode_table(&table);
                let new = entry::encode_table(&grown(Table::clone(&table), needs)?);
                if new != old {
                    put(new, Require::Was(old));
                }
            }
            Ok(_) => return Err(bad_data(measurement)),
            Err(wrong) if wrong.code == 0x2603 && (world.rights.may_touch)(full.short()) => {
                put(entry::encode_table(&made(world, &full, needs)?), Require::Absent);
                wanted.create.push(full);
            }
            Err(wrong) => return Err(wrong),
        }
    }
    Ok(wanted)
}

fn name_of(database: &str, name: &str) -> Name {
    Name { database: Some(database.to_owned()), name: name.to_owned() }
}

/// A new supertable.
fn made(world: &World<'_>, full: &TopicName, needs: &[Need]) -> Result<Table, Wrong> {
    let database = world.tables.database(full.database());
    let precision = database.map_or_else(Default::default, |database| database.precision);
    let column = |id, name: &str, kind| Column { id, name: name.into(), kind };
    let has_tags = needs.iter().any(|need| need.is_tag);
    let table = Table {
        name: full.clone(),
        columns: vec![column(0, TIME, Kind::Timestamp)],
        tags: if has_tags { Vec::new() } else { vec![column(1, NO_TAG, Kind::Nchar(TEXT_MIN))] },
        is_super: true,
        next_column: if has_tags { 1 } else { 2 },
        precision,
        created: world.bench.now(),
        details: Vec::new(),
    };
    grown(table, needs)
}

/// A table with all that is needed.
fn grown(mut table: Table, needs: &[Need]) -> Result<Table, Wrong> {
    for need in needs {
        let wrong = || bad_data(&need.name);
        let (own, others) = match need.is_tag {
            true => (&mut table.tags, &table.columns),
            false => (&mut table.columns, &table.tags),
        };
        if others.iter().any(|column| *column.name == *need.name) {
            return Err(wrong());
        }
        match own.iter_mut().find(|column| *column.name == *need.name) {
            Some(column) => {
                let both = widest(column.kind, need.kind).ok_or_else(wrong)?;
                if both != column.kind {
                    column.kind = roomy(both).ok_or_else(wrong)?;
                }
            }
            None => {
                let kind = roomy(need.kind).ok_or_else(wrong)?;
                let name = need.name.as_str().into();
                own.push(Column { id: table.next_column, name, kind });
                table.next_column = table.next_column.checked_add(1).ok_or_else(wrong)?;
            }
        }
    }
    let fits =
        table.tags.len() <= TAGS_MAX && table.tags.len() + table.columns.len() <= COLUMNS_MAX;
    if fits { Ok(table) } else { Err(bad_data("too many columns")) }
}

/// Rows of one subtable with the same fields.
struct Run {
    place: Place,
    columns: Vec<Packed>,
}

fn plan(world: &mut World<'_>, database: &str, points: &[Point]) -> Result<Vec<Planned>, Wrong> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last: AHashMap<(&str, &str), usize> = AHashMap::new();
    for point in points {
        let key = (point.measurement.as_str(), point.table.as_str());
        let open = last.get(&key).and_then(|at| runs.get_mut(*at));
        let run = match open {
            Some(run) if same_fields(&run.columns, &point.fields) => run,
            open => {
                let place = match open {
                    Some(run) => run.place.clone(),
                    None => place(world, database, point)?,
                };
                let columns = columns_of(&place.table, &point.fields)?;
                last.insert(key, runs.len());
                runs.push(Run { place, columns });
                let Some(run) = runs.last_mut() else { continue };
                run
            }
        };
        let time = Cell::Int(run.place.table.precision.of_ns(point.time));
        let cells = std::iter::once(&time).chain(point.fields.iter().map(|field| &field.cell));
        for (column, cell) in run.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
    }
    runs.into_iter().map(|run| plan_packed(world, run.place, run.columns)).collect()
}

fn same_fields(columns: &[Packed], fields: &[Member]) -> bool {
    let names = columns.iter().skip(1).map(|packed| &*packed.column.name);
    names.eq(fields.iter().map(|field| field.name.as_str()))
}

fn columns_of(table: &Table, fields: &[Member]) -> Result<Vec<Packed>, Wrong> {
    let mut list: Vec<Packed> = table.columns.iter().take(1).cloned().map(Packed::new).collect();
    for field in fields {
        let same = |column: &&Column| {
            *column.name == *field.name && column.kind.code() == field.kind.code()
        };
        let column = table.columns.iter().find(same).ok_or_else(|| bad_data(&field.name))?;
        list.push(Packed::new(column.clone()));
    }
    Ok(list)
}

fn place(world: &mut World<'_>, database: &str, point: &Point) -> Result<Place, Wrong> {
    let Target::Table(table, topic) = find(world, &name_of(database, &point.measurement))? else {
        return Err(bad_data(&point.measurement));
    };
    match find(world, &name_of(database, &point.table)) {
        Ok(Target::Sub(sub, own, topic)) if own.name == table.name => {
            return Ok(Place { table, topic, sub: Some(sub), is_new: false });
        }
        Ok(_) => return Err(bad_data(&point.table)),
        Err(wrong) if wrong.code == 0x2603 => {}
        Err(wrong) => return Err(bad_data(&wrong.text)),
    }
    let mut tags = Vec::with_capacity(point.tags.len());
    for tag in &point.tags {
        let same =
            |column: &&Column| *column.name == *tag.name && column.kind.code() == tag.kind.code();
        let column = table.tags.iter().find(same).ok_or_else(|| bad_data(&tag.name))?;
        tags.push((column.id, tag.cell.clone()));
    }
    let (name, stable) = (point.table.as_str().into(), table.name.clone());
    let created = world.bench.now();
    let sub =
        Some(Arc::new(Subtable { name, stable, tags, created, order: 0, details: Vec::new() }));
    Ok(Place { table, topic, sub, is_new: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_grow_by_powers_of_two() {
        for (kind, want) in [
            (Kind::Varchar(3), Some(Kind::Varchar(16))),
            (Kind::Nchar(17), Some(Kind::Nchar(32))),
            (Kind::Varchar(40_000), Some(Kind::Varchar(65_517))),
            (Kind::Nchar(20_000), None),
            (Kind::Double, Some(Kind::Double)),
        ] {
            assert_eq!(roomy(kind), want, "{kind:?}");
        }
    }

    #[test]
    fn points_need_columns_and_may_contradict_each_other() {
        let member = |name: &str, kind| Member { name: name.into(), kind, cell: Cell::Null };
        let point = |tags: Vec<Member>, fields| Point {
            measurement: "m".into(),
            table: "t".into(),
            tags,
            fields,
            time: 0,
        };
        let one = point(vec![member("g", Kind::Nchar(1))], vec![member("v", Kind::Varchar(2))]);
        let two = point(vec![member("g", Kind::Nchar(9))], vec![member("v", Kind::Varchar(1))]);
        let needs = needs_of(&[one.clone(), two]).unwrap();
        let kinds: Vec<_> = needs[0].1.iter().map(|need| need.kind).collect();
        assert_eq!(kinds, [Kind::Nchar(9), Kind::Varchar(2)]);
        for bad in [
            point(vec![], vec![member("v", Kind::Double)]),
            point(vec![], vec![member("g", Kind::Nchar(1))]),
            point(vec![], vec![member("_ts", Kind::Double)]),
            point(vec![], vec![member("", Kind::Double)]),
        ] {
            assert_eq!(needs_of(&[one.clone(), bad]).unwrap_err().code, 0x3002);
        }
    }
}

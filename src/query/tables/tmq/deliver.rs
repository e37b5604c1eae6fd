//! Messages out of records: rows of one table and subtable joined, definitions, and what passes the
//! condition of a definition.
//!
//! Method: records of a share are taken one by one in order of their numbers; those of one subtable
//! that follow one another become one block. What a message cannot take is put back.

use super::follow::{Followed, Share};
use super::merge::Taken;
use super::source::{foreign_precision, rows_of, selected, tail_of};
use super::{meta, no_committed, place_of};
use crate::model::table::defined::Defined;
use crate::model::table::rows::{Cell, Deed, Rows as Record};
use crate::model::table::{ColumnId, Precision, Table};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::foreign::Newest;
use crate::query::tables::{Field, World};
use std::sync::Arc;

/// Rows of a message at most.
const ROWS_MAX: usize = 4096;
/// Definitions that are told together at most.
const METAS_MAX: usize = 1000;
/// Bytes of a foreign topic that are read at once.
const FOREIGN_BYTES: usize = 256 << 10;
/// Records of a foreign topic that say what its columns are.
const LOOKED_AT: u64 = 1000;
/// Records passed over before it is asked whether to go on.
const PATIENCE: u64 = 4096;

/// What a message holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Rows of one table.
    Rows {
        /// The table or subtable.
        table: String,
        /// Its columns, or what was selected.
        fields: Vec<Field>,
        /// Numbers of the columns, from 1.
        columns: Vec<ColumnId>,
        /// At least one row.
        rows: Vec<Vec<Cell>>,
        /// What times count.
        precision: Precision,
    },
    /// Definitions, each a JSON object.
    Meta(Vec<String>),
}

/// A message on its way to a consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The definition.
    pub topic: String,
    /// Its database.
    pub database: String,
    /// The vgroup.
    pub vgroup: u32,
    /// Number of its first record.
    pub offset: u64,
    /// The position once it is delivered.
    pub next: u64,
    /// What it holds.
    pub content: Content,
}

/// The next messages of a share: one, or several of one large record.
///
/// # Errors
/// The logs cannot be read, or nothing says where to begin.
pub(super) fn read_share(
    world: &mut World<'_>,
    followed: &mut Followed,
    at: usize,
    batch_meta: bool,
) -> Result<Vec<Delivery>, Wrong> {
    let mut share = followed.shares.swap_remove(at);
    let before = share.read;
    let found = if share.lost {
        Err(no_committed())
    } else if followed.foreign.is_some() {
        read_foreign(world, followed, &mut share)
    } else {
        read_tables(world, followed, &mut share, batch_meta)
    };
    match &found {
        Ok(list) => {
            share.queued += list.len();
            if share.queued == 0 {
                // What was passed over is nobody's.
                share.position = share.read;
            }
        }
        // What was taken and not told is read again.
        Err(_) => share.rewind(before),
    }
    followed.shares.push(share);
    followed.shares.sort_by_key(|share| share.place);
    found
}

/// Rows of one table that go into one message.
struct Run {
    first: Taken,
    table: Arc<Table>,
    name: String,
    rows: Vec<Vec<Cell>>,
    begin: u64,
    next: u64,
}

/// What a record is to a share.
enum Seen {
    /// Not its.
    Nothing,
    /// Rows; whether the run that is under way has room for them.
    Rows(bool),
    Meta(String),
}

fn read_tables(
    world: &mut World<'_>,
    followed: &Followed,
    share: &mut Share,
    batch_meta: bool,
) -> Result<Vec<Delivery>, Wrong> {
    let below = followed.below;
    let identity = (followed.database.name.as_str(), followed.database.created);
    let (_, of_sub) = followed.definition.scope(world);
    let mut run: Option<Run> = None;
    let mut metas: Option<(u64, Vec<String>)> = None;
    let mut passed = 0_u64;
    loop {
        let Some(taken) = share.merge.take(identity, share.read, below) else {
            // Other numbers were those of others.
            share.read = share.read.max(below);
            break;
        };
        let number = taken.item.number;
        let of = (share.place, of_sub.as_deref());
        let seen = look(world, followed, of, &taken, run.as_ref())?;
        let fits = match (&seen, &run, &metas) {
            (Seen::Nothing, ..) | (Seen::Rows(_), None, None) => true,
            (Seen::Rows(fits), Some(_), _) => *fits,
            (Seen::Meta(_), None, None) => true,
            (Seen::Meta(_), None, Some((_, list))) => batch_meta && list.len() < METAS_MAX,
            (Seen::Rows(_), None, Some(_)) | (Seen::Meta(_), Some(_), _) => false,
        };
        if !fits {
            share.merge.put_back(taken);
            if let Some(full) = run.take() {
                let list = finish(world, followed, share, full, of_sub.is_some())?;
                if !list.is_empty() {
                    return Ok(list);
                }
                continue;
            }
            break;
        }
        share.read = number + 1;
        match seen {
            Seen::Nothing => {
                passed += 1;
                if passed.is_multiple_of(PATIENCE) {
                    world.check()?;
                }
            }
            Seen::Rows(_) => extend(world, &mut run, taken),
            Seen::Meta(json) => metas.get_or_insert((number, Vec::new())).1.push(json),
        }
    }
    if let Some(run) = run {
        return finish(world, followed, share, run, of_sub.is_some());
    }
    let told = |(offset, list)| deliver(followed, share, offset, share.read, Content::Meta(list));
    Ok(metas.map(told).into_iter().collect())
}

fn deliver(
    followed: &Followed,
    share: &Share,
    offset: u64,
    next: u64,
    content: Content,
) -> Delivery {
    Delivery {
        topic: followed.definition.name.clone(),
        database: followed.database.name.clone(),
        vgroup: share.vgroup,
        offset,
        next,
        content,
    }
}

fn look(
    world: &mut World<'_>,
    followed: &Followed,
    (place, of_sub): (usize, Option<&str>),
    taken: &Taken,
    run: Option<&Run>,
) -> Result<Seen, Wrong> {
    let subscription = &followed.definition.subscription;
    let count = usize::from(followed.database.vgroups);
    let own = |table: &str| place_of(&followed.database.name, table, count) == place;
    if taken.table.is_none() {
        let Some(defined) = Defined::decode(&taken.item.bytes) else { return Ok(Seen::Nothing) };
        let stable = &subscription.stable;
        let topic = defined.topic.split_once('.').map_or("", |(_, name)| name);
        let wanted = (stable.is_empty() || topic == stable) && own(defined.table);
        return Ok(if wanted { Seen::Meta(defined.json.to_owned()) } else { Seen::Nothing });
    }
    let tables = Arc::clone(&world.tables);
    let (Some(table), Some(record)) = (taken.definition(&tables), Record::parse(&taken.item.bytes))
    else {
        return Ok(Seen::Nothing);
    };
    let name = if record.table.is_empty() { table.own_name() } else { record.table };
    if !own(name) || of_sub.is_some_and(|sub| sub != record.table) {
        return Ok(Seen::Nothing);
    }
    match record.deed {
        Deed::Write if record.rows > 0 => {
            let chosen = chosen(world, followed, table, &record)?;
            let fits = run.is_some_and(|run| {
                let room = run.rows.len() + record.rows <= ROWS_MAX;
                room && taken.is_beside(&run.first) && run.name == name
            });
            Ok(if chosen { Seen::Rows(fits) } else { Seen::Nothing })
        }
        Deed::Delete(from, to) if subscription.meta => {
            let time = table.columns.first().map_or("ts", |column| &column.name);
            let sql = format!("delete from `{name}` where `{time}` >= {from} and `{time}` <= {to}");
            Ok(Seen::Meta(meta::deleted(&sql)))
        }
        _ => Ok(Seen::Nothing),
    }
}

/// Whether the subtable is one that the definition chooses by its tags.
fn chosen(
    world: &mut World<'_>,
    followed: &Followed,
    table: &Table,
    record: &Record<'_>,
) -> Result<bool, Wrong> {
    let Some(condition) = &followed.definition.chosen else { return Ok(true) };
    let mut relation = followed.definition.relation(table, false);
    let mut row = vec![Cell::Null; table.columns.len()];
    row.extend(tail_of(table, record));
    relation.rows.push(row);
    Ok(!selected(world, condition, relation)?.rows.is_empty())
}

fn extend(world: &World<'_>, run: &mut Option<Run>, taken: Taken) {
    let next = taken.item.number + 1;
    if let Some(run) = run {
        if let Some(record) = Record::parse(&taken.item.bytes) {
            rows_of(&run.table, &record, &mut run.rows);
            run.next = next;
        }
        return;
    }
    let Some(table) = taken.definition(&world.tables).cloned() else { return };
    let Some(record) = Record::parse(&taken.item.bytes) else { return };
    let name = if record.table.is_empty() { table.own_name() } else { record.table }.to_owned();
    let mut rows = Vec::with_capacity(record.rows);
    rows_of(&table, &record, &mut rows);
    let begin = taken.item.number;
    drop(record);
    *run = Some(Run { first: taken, table, name, rows, begin, next });
}

/// Makes messages of a run; none if no row passes.
fn finish(
    world: &mut World<'_>,
    followed: &Followed,
    share: &Share,
    run: Run,
    of_sub: bool,
) -> Result<Vec<Delivery>, Wrong> {
    let Run { first, table, name, mut rows, begin, next } = run;
    let fields: Vec<Field>;
    let columns: Vec<ColumnId>;
    if let Some(select) = &followed.definition.select {
        let mut relation = followed.definition.relation(&table, of_sub);
        if let Some(record) = Record::parse(&first.item.bytes) {
            let tail = tail_of(&table, &record);
            rows.iter_mut().for_each(|row| row.extend_from_slice(&tail));
        }
        relation.rows = rows;
        let done = selected(world, select, relation)?;
        (fields, rows) = (done.fields, done.rows);
        columns = (1..=fields.len() as ColumnId).collect();
    } else {
        let field = |column: &crate::model::table::Column| Field {
            name: column.name.to_string(),
            kind: column.kind,
        };
        fields = table.columns.iter().map(field).collect();
        columns = table.columns.iter().map(|column| column.id.saturating_add(1)).collect();
    }
    let precision = table.precision;
    let parts = rows.chunks(ROWS_MAX).count();
    let part = |(at, rows): (usize, &[Vec<Cell>])| {
        let (table, fields, columns) = (name.clone(), fields.clone(), columns.clone());
        let content = Content::Rows { table, fields, columns, rows: rows.to_vec(), precision };
        // A record is delivered when its last part is.
        let next = if at + 1 == parts { next } else { begin };
        deliver(followed, share, begin, next, content)
    };
    Ok(rows.chunks(ROWS_MAX).enumerate().map(part).collect())
}

/// Rows of a topic of another front-end; its own offsets are the numbers.
fn read_foreign(
    world: &mut World<'_>,
    followed: &Followed,
    share: &mut Share,
) -> Result<Vec<Delivery>, Wrong> {
    let (Some(topic), Some(select)) = (&followed.foreign, &followed.definition.select) else {
        return Ok(Vec::new());
    };
    let Some(tail) = &mut share.tail else { return Ok(Vec::new()) };
    if tail.next() >= tail.end() {
        return Ok(Vec::new());
    }
    let precision = foreign_precision(world, topic);
    let mut newest = Newest::default();
    let mut look = world.bench.tail(topic.id, tail.end().saturating_sub(LOOKED_AT))?;
    while look.read(FOREIGN_BYTES, &mut |list| list.iter().for_each(|(_, r)| newest.see(r))) {}
    let shape = newest.shape();
    loop {
        world.check()?;
        let (mut rows, mut begin, mut next) = (Vec::new(), None, share.read);
        let more = tail.read(FOREIGN_BYTES, &mut |list| {
            for (offset, record) in list.iter().take(ROWS_MAX) {
                begin.get_or_insert(*offset);
                next = offset + 1;
                rows.push(shape.row(record, precision));
            }
        });
        if !more {
            return Ok(Vec::new());
        }
        tail.seek(next);
        share.read = next;
        let mut relation = shape.relation(precision);
        followed.definition.qualify(&mut relation);
        relation.rows = rows;
        let done = selected(world, select, relation)?;
        if done.rows.is_empty() {
            continue;
        }
        let table = topic.name.full().split_once('.').map_or("", |(_, own)| own).to_owned();
        let columns = (1..=done.fields.len() as ColumnId).collect();
        let (fields, rows) = (done.fields, done.rows);
        let content = Content::Rows { table, fields, columns, rows, precision };
        let begin = begin.unwrap_or(next);
        return Ok(vec![deliver(followed, share, begin, next, content)]);
    }
}

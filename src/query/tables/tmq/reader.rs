//! A consumer: its shares of the definitions that it reads, and where it is in each.
//!
//! A share has two places: up to where was read, and up to where was delivered; the second is the
//! position that a commit stores. Invariant: a share whose vgroup another member has now is given
//! up before anything more is read or committed of it.

use super::groups::{About, Membership};
use super::merge::{Merge, Taken};
use super::source::{Definition, Scope, foreign_precision, rows_of, selected, tail_of};
use super::{
    decode_position, encode_position, meta, no_committed, not_assigned, not_subscribed,
    out_of_range, place_of, position_key, vgroups,
};
use crate::model::table::defined::Defined;
use crate::model::table::numbering::Numbering;
use crate::model::table::rows::{Cell, Deed, Rows as Record};
use crate::model::table::{ColumnId, Database, Entry, Precision, Require, Table, Tables, entry};
use crate::model::topic::Topic;
use crate::query::dialect::taos::Wrong;
use crate::query::pull::Tail;
use crate::query::tables::foreign::Newest;
use crate::query::tables::{Field, World, codes};
use std::sync::Arc;

/// Rows of a message at most.
const ROWS_MAX: usize = 4096;
/// Messages and rows that one reading gives at most.
const MESSAGES_AT_ONCE: usize = 16;
const ROWS_AT_ONCE: usize = 32_768;
/// Definitions that are told together at most.
const METAS_MAX: usize = 1000;
/// Bytes of a foreign topic that are read at once.
const FOREIGN_BYTES: usize = 256 << 10;
/// Records of a foreign topic that say what its columns are.
const LOOKED_AT: u64 = 1000;
/// Records passed over before it is asked whether to go on.
const PATIENCE: u64 = 4096;

/// Where a consumer begins that has no stored position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// With the oldest retained record.
    Earliest,
    /// Behind the last.
    Latest,
    /// Not at all.
    None,
}

/// How a consumer was set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What SHOW tells of it.
    pub about: About,
    /// See [`Reset`].
    pub reset: Reset,
    /// Definitions are told several at a time.
    pub batch_meta: bool,
}

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

/// A vgroup of a definition as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Its number.
    pub vgroup: u32,
    /// What is delivered next.
    pub offset: u64,
    /// The oldest retained record.
    pub begin: u64,
    /// What the next record will get.
    pub end: u64,
}

struct Share {
    place: usize,
    vgroup: u32,
    /// Delivered below this.
    position: u64,
    /// Read below this.
    read: u64,
    /// Messages that were read and not delivered.
    queued: usize,
    /// Nothing says where to begin.
    lost: bool,
    merge: Merge,
    tail: Option<Box<dyn Tail>>,
}

struct Followed {
    definition: Definition,
    database: Arc<Database>,
    numbering: Arc<Numbering>,
    foreign: Option<Arc<Topic>>,
    /// The end when the consumer came.
    latest: u64,
    /// Up to where records have their answers. Taken before tables are looked at: a table that is
    /// not seen then has none below it.
    below: u64,
    shares: Vec<Share>,
}

/// See the module's page.
pub struct Reader {
    membership: Membership,
    settings: Settings,
    followed: Vec<Followed>,
    /// Count of the groups' changes when shares were last looked at.
    seen: Option<u64>,
    /// Definitions when tables were last looked at.
    tables: Option<Arc<Tables>>,
    turn: usize,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Followed {
    fn open(world: &mut World<'_>, name: &str) -> Result<Self, Wrong> {
        let definition = Definition::find(world, name).ok_or_else(codes::no_topic)?;
        let own = &definition.subscription.database;
        let plain = || Arc::new(Database::plain(own));
        let database = world.tables.database(own).unwrap_or_else(plain);
        let numbering = world.bench.numbering(own);
        let foreign = match definition.scope(world).0 {
            Scope::Foreign(topic) => Some(topic),
            Scope::Tables(_) => None,
        };
        let mut it = Self {
            definition,
            database,
            numbering,
            foreign,
            latest: 0,
            below: 0,
            shares: Vec::new(),
        };
        it.latest = it.end();
        Ok(it)
    }

    /// What the next record will get.
    fn end(&self) -> u64 {
        match &self.foreign {
            Some(topic) => topic.shared.records(),
            None => self.numbering.next(),
        }
    }

    fn vgroups(&self) -> Vec<u32> {
        let all = vgroups(&self.database);
        if self.foreign.is_some() { all.into_iter().take(1).collect() } else { all }
    }

    fn stored(&self, world: &World<'_>, group: &str, vgroup: u32) -> Option<u64> {
        let key = position_key(&self.definition.name, group, vgroup);
        world.bench.position(&key).as_deref().and_then(decode_position)
    }

    fn begin(&self, world: &mut World<'_>) -> Result<u64, Wrong> {
        let (scope, _) = self.definition.scope(world);
        match scope {
            Scope::Foreign(topic) => Ok(world.bench.tail(topic.id, 0)?.start()),
            Scope::Tables(topics) => {
                let mut merge = Merge::default();
                merge.follow(world.bench, &topics, false, 0)?;
                Ok(merge.begin())
            }
        }
    }
}

impl Reader {
    /// Joins a group.
    ///
    /// # Errors
    /// A definition is missing, or there are too many consumers.
    pub fn join(world: &mut World<'_>, settings: Settings) -> Result<Self, Wrong> {
        let mut followed = Vec::with_capacity(settings.about.topics.len());
        for name in &settings.about.topics {
            followed.push(Followed::open(world, name)?);
        }
        let wake = world.bench.waker();
        let joined = world.bench.groups().join(settings.about.clone(), wake);
        let membership = joined.ok_or_else(|| Wrong::new(0xFFFF, "too many consumers"))?;
        let mut it = Self { membership, settings, followed, seen: None, tables: None, turn: 0 };
        it.refresh(world)?;
        Ok(it)
    }

    /// The definitions that it reads.
    #[must_use]
    pub fn topics(&self) -> &[String] {
        &self.settings.about.topics
    }

    /// Looks which vgroups are this consumer's now, and which tables there are.
    ///
    /// # Errors
    /// A log cannot be read.
    pub fn refresh(&mut self, world: &mut World<'_>) -> Result<(), Wrong> {
        let changes = self.membership.groups().changes();
        let moved = self.seen != Some(changes);
        let defined = self.tables.as_ref().is_none_or(|own| !Arc::ptr_eq(own, &world.tables));
        for followed in &mut self.followed {
            let name = &followed.definition.name;
            if world.tables.other(entry::SUBSCRIPTION_FAMILY, name.as_bytes()).is_none() {
                followed.shares.clear();
                continue;
            }
            if moved {
                let group = &self.settings.about.group;
                let all = followed.vgroups();
                let id = self.membership.id();
                let own = self.membership.groups().share(id, name, group, all.len());
                followed.shares.retain(|share| own.contains(&share.place));
                for place in own {
                    if followed.shares.iter().any(|share| share.place == place) {
                        continue;
                    }
                    let Some(vgroup) = all.get(place).copied() else { continue };
                    let share = share(world, followed, &self.settings, (place, vgroup));
                    followed.shares.push(share);
                }
                followed.shares.sort_by_key(|share| share.place);
            }
            if moved || defined {
                follow(world, followed)?;
            }
        }
        (self.seen, self.tables) = (Some(changes), Some(Arc::clone(&world.tables)));
        Ok(())
    }

    /// Whether a vgroup is this consumer's.
    #[must_use]
    pub fn has(&self, topic: &str, vgroup: u32) -> bool {
        let own = self.followed.iter().filter(|own| own.definition.name == topic);
        own.flat_map(|own| &own.shares).any(|share| share.vgroup == vgroup)
    }

    /// Whether nobody joined or left since the shares were last looked at.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.seen == Some(self.membership.groups().changes())
    }

    /// Notes that a message was delivered.
    pub fn delivered(&mut self, topic: &str, vgroup: u32, next: u64) {
        let own = self.followed.iter_mut().filter(|own| own.definition.name == topic);
        let mut shares = own.flat_map(|own| &mut own.shares);
        if let Some(share) = shares.find(|share| share.vgroup == vgroup) {
            share.position = next;
            share.queued = share.queued.saturating_sub(1);
        }
    }

    /// Reads on, each share in turn; nothing if there is nothing now.
    ///
    /// # Errors
    /// The logs cannot be read, or nothing says where to begin.
    pub fn read(&mut self, world: &mut World<'_>) -> Result<Vec<Delivery>, Wrong> {
        for followed in &mut self.followed {
            followed.below = followed.numbering.stable();
        }
        world.refresh();
        self.refresh(world)?;
        let shares: usize = self.followed.iter().map(|followed| followed.shares.len()).sum();
        let (mut list, mut rows, mut empty) = (Vec::new(), 0, 0);
        while empty < shares && list.len() < MESSAGES_AT_ONCE && rows < ROWS_AT_ONCE {
            self.turn = (self.turn + 1) % shares.max(1);
            let mut at = self.turn;
            let mut found = Vec::new();
            for followed in &mut self.followed {
                if at < followed.shares.len() {
                    found = read_share(world, followed, at, self.settings.batch_meta)?;
                    break;
                }
                at -= followed.shares.len();
            }
            empty = if found.is_empty() { empty + 1 } else { 0 };
            for delivery in &found {
                if let Content::Rows { rows: more, .. } = &delivery.content {
                    rows += more.len();
                }
            }
            list.extend(found);
        }
        Ok(list)
    }

    /// Asks to be called when there is more than was read; `false`: there is already.
    #[must_use]
    pub fn wait(&self, world: &World<'_>) -> bool {
        if !self.is_current() {
            return false;
        }
        let id = self.membership.id();
        self.followed.iter().all(|followed| {
            let Some(read) = followed.shares.iter().map(|share| share.read).min() else {
                return true;
            };
            match &followed.foreign {
                None => followed.numbering.wait(id, read, world.bench.waker()),
                Some(topic) => {
                    topic.shared.watch(id, world.bench.waker());
                    let mut tails = followed.shares.iter().filter_map(|share| share.tail.as_ref());
                    tails.all(|tail| tail.end() <= read)
                }
            }
        })
    }

    /// Stores the positions of all shares that moved since.
    ///
    /// # Errors
    /// The catalog refuses.
    pub fn commit(&mut self, world: &mut World<'_>) -> Result<(), Wrong> {
        let group = self.settings.about.group.clone();
        let mut puts = Vec::new();
        for followed in &self.followed {
            let name = &followed.definition.name;
            if world.tables.other(entry::SUBSCRIPTION_FAMILY, name.as_bytes()).is_none() {
                continue;
            }
            for share in followed.shares.iter().filter(|share| !share.lost) {
                let holder = self.membership.groups().holder(name, &group, share.place);
                let stored = followed.stored(world, &group, share.vgroup);
                if holder == Some(self.membership.id()) && stored != Some(share.position) {
                    puts.push(put(name, &group, share.vgroup, share.position));
                }
            }
        }
        if puts.is_empty() {
            return Ok(());
        }
        world.bench.commit(puts).map_err(codes::refused)
    }

    fn followed(&self, topic: &str) -> Result<usize, Wrong> {
        let found = self.followed.iter().position(|own| own.definition.name == topic);
        found.ok_or_else(not_subscribed)
    }

    /// The place of a share, once an offset was found to lie in its bounds.
    fn checked(
        &mut self,
        world: &mut World<'_>,
        topic: &str,
        vgroup: u32,
        offset: u64,
    ) -> Result<(usize, usize), Wrong> {
        self.refresh(world)?;
        let at = self.followed(topic)?;
        let followed = &self.followed[at];
        let share = followed.shares.iter().position(|share| share.vgroup == vgroup);
        let share = share.ok_or_else(not_assigned)?;
        let (begin, end) = (followed.begin(world)?, followed.end());
        if (begin..=end).contains(&offset) { Ok((at, share)) } else { Err(out_of_range()) }
    }

    /// Goes on at an offset; what was read and not delivered is to be forgotten.
    ///
    /// # Errors
    /// Not subscribed, not this consumer's, not within the log.
    pub fn seek(
        &mut self,
        world: &mut World<'_>,
        topic: &str,
        vgroup: u32,
        offset: u64,
    ) -> Result<(), Wrong> {
        let (at, place) = self.checked(world, topic, vgroup, offset)?;
        let followed = &mut self.followed[at];
        let share = &mut followed.shares[place];
        (share.position, share.read, share.queued, share.lost) = (offset, offset, 0, false);
        (share.merge, share.tail) = (Merge::default(), None);
        follow(world, followed)
    }

    /// Stores a position; where this consumer reads on stays.
    ///
    /// # Errors
    /// As [`Reader::seek`], or the catalog refuses.
    pub fn commit_offset(
        &mut self,
        world: &mut World<'_>,
        topic: &str,
        vgroup: u32,
        offset: u64,
    ) -> Result<(), Wrong> {
        self.checked(world, topic, vgroup, offset)?;
        let entry = put(topic, &self.settings.about.group, vgroup, offset);
        world.bench.commit(vec![entry]).map_err(codes::refused)
    }

    /// The stored position of a vgroup, if there is one.
    ///
    /// # Errors
    /// Not subscribed, no such vgroup.
    pub fn committed(
        &self,
        world: &World<'_>,
        topic: &str,
        vgroup: u32,
    ) -> Result<Option<u64>, Wrong> {
        let followed = &self.followed[self.followed(topic)?];
        if !followed.vgroups().contains(&vgroup) {
            return Err(not_assigned());
        }
        Ok(followed.stored(world, &self.settings.about.group, vgroup))
    }

    /// What is delivered next of a vgroup.
    ///
    /// # Errors
    /// Not subscribed, not this consumer's.
    pub fn position(
        &mut self,
        world: &mut World<'_>,
        topic: &str,
        vgroup: u32,
    ) -> Result<Option<u64>, Wrong> {
        self.refresh(world)?;
        let followed = &self.followed[self.followed(topic)?];
        let share = followed.shares.iter().find(|share| share.vgroup == vgroup);
        let share = share.ok_or_else(not_assigned)?;
        Ok((!share.lost).then_some(share.position))
    }

    /// All vgroups of a definition.
    ///
    /// # Errors
    /// Not subscribed, or the logs cannot be read.
    pub fn assignment(
        &mut self,
        world: &mut World<'_>,
        topic: &str,
    ) -> Result<Vec<Assigned>, Wrong> {
        self.refresh(world)?;
        let followed = &self.followed[self.followed(topic)?];
        let (begin, end) = (followed.begin(world)?, followed.end());
        let group = &self.settings.about.group;
        let one = |vgroup: u32| {
            let own = followed.shares.iter().find(|share| share.vgroup == vgroup);
            let stored = || followed.stored(world, group, vgroup);
            let offset = match own {
                Some(share) => share.position,
                None => stored().unwrap_or(match self.settings.reset {
                    Reset::Latest => followed.latest,
                    _ => begin,
                }),
            };
            Assigned { vgroup, offset: offset.max(begin), begin, end }
        };
        Ok(followed.vgroups().into_iter().map(one).collect())
    }
}

fn put(topic: &str, group: &str, vgroup: u32, position: u64) -> Entry {
    Entry {
        family: entry::POSITION_FAMILY,
        key: position_key(topic, group, vgroup),
        value: Some(encode_position(position)),
        require: Require::Any,
    }
}

/// A share that begins where the group is, or where the settings say.
fn share(
    world: &World<'_>,
    followed: &Followed,
    settings: &Settings,
    (place, vgroup): (usize, u32),
) -> Share {
    let stored = followed.stored(world, &settings.about.group, vgroup);
    let lost = stored.is_none() && settings.reset == Reset::None;
    let position = stored.unwrap_or(match settings.reset {
        Reset::Latest => followed.latest,
        Reset::Earliest | Reset::None => 0,
    });
    let (read, queued) = (position, 0);
    Share { place, vgroup, position, read, queued, lost, merge: Merge::default(), tail: None }
}

/// Follows the logs that there are now.
fn follow(world: &mut World<'_>, followed: &mut Followed) -> Result<(), Wrong> {
    match followed.definition.scope(world).0 {
        Scope::Tables(topics) => {
            let meta = followed.definition.subscription.meta;
            for share in &mut followed.shares {
                share.merge.follow(world.bench, &topics, meta, share.read)?;
            }
        }
        Scope::Foreign(topic) => {
            for share in followed.shares.iter_mut().filter(|share| share.tail.is_none()) {
                share.tail = Some(world.bench.tail(topic.id, share.read)?);
            }
        }
    }
    Ok(())
}

/// The next messages of a share: one, or several of one large record.
fn read_share(
    world: &mut World<'_>,
    followed: &mut Followed,
    at: usize,
    batch_meta: bool,
) -> Result<Vec<Delivery>, Wrong> {
    let mut share = followed.shares.swap_remove(at);
    let found = if share.lost {
        Err(no_committed())
    } else if followed.foreign.is_some() {
        read_foreign(world, followed, &mut share)
    } else {
        read_tables(world, followed, &mut share, batch_meta)
    };
    if let Ok(list) = &found {
        share.queued += list.len();
        if share.queued == 0 {
            // What was passed over is nobody's.
            share.position = share.read;
        }
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
    Rows,
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
        let seen = look(world, followed, share.place, of_sub.as_deref(), &taken)?;
        let fits = match (&seen, &run, &metas) {
            (Seen::Nothing, ..) | (Seen::Rows, None, None) => true,
            (Seen::Rows, Some(run), _) => continues(run, &taken),
            (Seen::Meta(_), None, None) => true,
            (Seen::Meta(_), None, Some((_, list))) => batch_meta && list.len() < METAS_MAX,
            (Seen::Rows, None, Some(_)) | (Seen::Meta(_), Some(_), _) => false,
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
            Seen::Rows => extend(world, &mut run, taken),
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
    place: usize,
    of_sub: Option<&str>,
    taken: &Taken,
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
            Ok(if chosen { Seen::Rows } else { Seen::Nothing })
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

/// Whether a record's rows have room in a run.
fn continues(run: &Run, taken: &Taken) -> bool {
    taken.is_beside(&run.first)
        && Record::parse(&taken.item.bytes).is_some_and(|record| {
            let first = Record::parse(&run.first.item.bytes);
            run.rows.len() + record.rows <= ROWS_MAX
                && first.is_some_and(|first| first.table == record.table)
        })
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

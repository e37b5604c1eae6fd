//! One definition as a consumer follows it, and its share of the vgroups.
//!
//! Invariant: a share reads from where it is delivered or later.

use super::merge::Merge;
use super::reader::{Reset, Settings};
use super::source::{Definition, Scope};
use super::{decode_position, position_key, vgroups};
use crate::model::table::Database;
use crate::model::table::numbering::Numbering;
use crate::model::topic::Topic;
use crate::query::dialect::taos::Wrong;
use crate::query::pull::Tail;
use crate::query::tables::{World, codes};
use std::sync::Arc;

/// A vgroup that is this consumer's.
pub(super) struct Share {
    /// Its place among the definition's.
    pub place: usize,
    /// Its number.
    pub vgroup: u32,
    /// Delivered below this.
    pub position: u64,
    /// Read below this.
    pub read: u64,
    /// Messages that were read and not delivered.
    pub queued: usize,
    /// Nothing says where to begin.
    pub lost: bool,
    /// The logs have to be opened.
    pub stale: bool,
    /// The logs of tables.
    pub merge: Merge,
    /// The log of a foreign topic.
    pub tail: Option<Box<dyn Tail>>,
}

/// A definition that is read.
pub(super) struct Followed {
    /// As it is stored.
    pub definition: Definition,
    /// Its database.
    pub database: Arc<Database>,
    /// What counts records.
    pub numbering: Arc<Numbering>,
    /// The topic of another front-end.
    pub foreign: Option<Arc<Topic>>,
    /// The end when the consumer came.
    pub latest: u64,
    /// Up to where records have their answers. Taken before tables are looked at: a table that is
    /// not seen then has none below it.
    pub below: u64,
    /// What is this consumer's.
    pub shares: Vec<Share>,
}

impl Share {
    /// Reads on from there, whatever was read ahead.
    pub fn rewind(&mut self, read: u64) {
        (self.read, self.stale) = (read, true);
        (self.merge, self.tail) = (Merge::default(), None);
    }
}

impl Followed {
    /// Looks a definition up.
    ///
    /// # Errors
    /// There is none.
    pub fn open(world: &mut World<'_>, name: &str) -> Result<Self, Wrong> {
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
    pub fn end(&self) -> u64 {
        match &self.foreign {
            Some(topic) => topic.shared.records(),
            None => self.numbering.next(),
        }
    }

    /// Its vgroups.
    pub fn vgroups(&self) -> Vec<u32> {
        let all = vgroups(&self.database);
        if self.foreign.is_some() { all.into_iter().take(1).collect() } else { all }
    }

    /// The stored position of a group.
    pub fn stored(&self, world: &World<'_>, group: &str, vgroup: u32) -> Option<u64> {
        let key = position_key(&self.definition.name, group, vgroup);
        world.bench.position(&key).as_deref().and_then(decode_position)
    }

    /// The oldest record that is still there.
    ///
    /// # Errors
    /// A log cannot be opened.
    pub fn begin(&self, world: &mut World<'_>) -> Result<u64, Wrong> {
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

/// A share that begins where the group is, or where the settings say.
pub(super) fn share(
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
    Share {
        place,
        vgroup,
        position,
        read,
        queued,
        lost,
        stale: true,
        merge: Merge::default(),
        tail: None,
    }
}

/// Follows the logs that there are now.
///
/// # Errors
/// A log cannot be opened.
pub(super) fn follow(world: &mut World<'_>, followed: &mut Followed) -> Result<(), Wrong> {
    match followed.definition.scope(world).0 {
        Scope::Tables(topics) => {
            let meta = followed.definition.subscription.meta;
            for share in &mut followed.shares {
                share.merge.follow(world.bench, &topics, meta, share.read)?;
                share.stale = false;
            }
        }
        Scope::Foreign(topic) => {
            for share in followed.shares.iter_mut().filter(|share| share.tail.is_none()) {
                share.tail = Some(world.bench.tail(topic.id, share.read)?);
                share.stale = false;
            }
        }
    }
    Ok(())
}

//! A consumer: its shares of the definitions that it reads, and where it is in each.
//!
//! A share has two places: up to where was read, and up to where was delivered; the second is the
//! position that a commit stores. Invariant: a share whose vgroup another member has now is given
//! up before anything more is read or committed of it.

use super::deliver::{Content, Delivery, read_share};
use super::follow::{Followed, follow, share};
use super::groups::{About, Membership};
use super::{encode_position, not_assigned, not_subscribed, out_of_range, position_key};
use crate::model::table::{Entry, Require, Tables, entry};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::{World, codes};
use std::sync::Arc;

/// Messages and rows that one reading gives at most.
const MESSAGES_AT_ONCE: usize = 16;
const ROWS_AT_ONCE: usize = 32_768;

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
            let stale = followed.shares.iter().any(|share| share.stale);
            if moved || defined || stale {
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
        (share.position, share.queued, share.lost) = (offset, 0, false);
        share.rewind(offset);
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

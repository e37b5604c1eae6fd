//! The catalog: latest value of each key, in the order in which the keys were first created.
//!
//! Method: a partition whose records are entries (family, key, value or none); opening replays
//! them. When most of it is dead, all living entries are appended again into a new segment, and in
//! the end the older segments are unlinked, oldest first. When the copy is
//! acknowledged an entry says where it began: a replay begins at the last complete copy, so a crash
//! at any moment does no harm, and no second file format is needed.
//! Invariant: what the map holds is what a replay would give once the appends under way are done;
//! a failed append is taken back. Cost: all entries in memory; a change is one appended record.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ahash::AHashMap;

use super::disk::{Disk, Done, Tag};
use super::format::u64_at;
use super::stored::Stored;
use super::{Cursor, Event, Partition, Refusal, Report, Settings, UpTo};
use crate::model::record::{Offset, TimeNs};

/// Identity of the catalog's partition.
pub const CATALOG_IDENTITY: u64 = u64::from_le_bytes(*b"catalog\0");
/// Bytes of living entries that one append of a compaction carries.
const COPY_BYTES: usize = 256 << 10;

/// Family of the log's own entry: a copy of all living entries is complete, its value says from
/// which offset on.
const FAMILY_COPIED: u8 = 0;

type Key = (u8, Box<[u8]>);

#[derive(Debug)]
struct Slot {
    key: Key,
    value: Box<[u8]>,
}

/// What a change was before, until it is acknowledged.
#[derive(Debug)]
struct Undo {
    offset: Offset,
    key: Key,
    before: Option<(usize, Box<[u8]>)>,
}

/// A copy of all living entries under way.
#[derive(Clone, Copy, Debug)]
struct Copying {
    first: Offset,
    /// It goes on when everything below is acknowledged.
    end: Offset,
    /// The entry that says that it is complete was appended.
    stated: bool,
}

/// Named things of the appliance, durable.
#[derive(Debug)]
pub struct Catalog {
    log: Partition,
    slots: Vec<Option<Slot>>,
    places: AHashMap<Key, usize>,
    living_bytes: usize,
    undo: VecDeque<Undo>,
    copying: Option<Copying>,
    compact_bytes: u64,
}

impl Catalog {
    /// Opens the catalog in `dir`, or creates it there.
    ///
    /// # Errors
    /// Those of [`Partition::open`].
    pub fn open(
        disk: &mut dyn Disk,
        dir: &Path,
        tag: Tag,
        settings: Settings,
    ) -> io::Result<(Self, Report)> {
        let (log, report) = Partition::open(disk, dir, CATALOG_IDENTITY, tag, settings)?;
        let mut it = Self {
            log,
            slots: Vec::new(),
            places: AHashMap::new(),
            living_bytes: 0,
            undo: VecDeque::new(),
            copying: None,
            compact_bytes: settings.segment_bytes_min,
        };
        let from = it.replay(0, |_, _, _| ());
        it.replay(from, |own, key, value| drop(own.apply(key, value)));
        Ok((it, report))
    }

    /// Walks the log from `from`; returns where the last complete copy begins.
    fn replay(&mut self, from: Offset, visit: impl Fn(&mut Self, Key, Option<&[u8]>)) -> Offset {
        let mut cursor = Cursor::new(Arc::clone(self.log.view()), from);
        let mut copy = from;
        while let Some(chunk) = cursor.next_batch(1 << 20, UpTo::Written) {
            for (_, stored) in chunk.stored() {
                match stored {
                    Stored::Entry { family: FAMILY_COPIED, value, .. } => {
                        copy = value.and_then(|value| u64_at(value, 0)).unwrap_or(copy);
                    }
                    Stored::Entry { family, key, value } => {
                        visit(self, (family, key.into()), value);
                    }
                    Stored::Epoch | Stored::Record(_) => {}
                }
            }
        }
        copy
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, family: u8, key: &[u8]) -> Option<&[u8]> {
        let place = *self.places.get(&(family, key.into()))?;
        self.slots.get(place)?.as_ref().map(|slot| &*slot.value)
    }

    /// All living entries, in the order of their creation.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
        self.slots.iter().flatten().map(|slot| (slot.key.0, &*slot.key.1, &*slot.value))
    }

    /// How many entries live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Sets a value; it is durable when the returned offset is acknowledged. Family 0 is the log's.
    ///
    /// # Errors
    /// A refusal of the log; nothing changed.
    pub fn put(
        &mut self,
        now: TimeNs,
        family: u8,
        key: &[u8],
        value: &[u8],
    ) -> Result<Offset, Refusal> {
        self.change(now, family, key, Some(value))
    }

    /// Deletes a key; `None` if there is none.
    ///
    /// # Errors
    /// A refusal of the log; nothing changed.
    pub fn delete(
        &mut self,
        now: TimeNs,
        family: u8,
        key: &[u8],
    ) -> Result<Option<Offset>, Refusal> {
        if self.get(family, key).is_none() {
            return Ok(None);
        }
        self.change(now, family, key, None).map(Some)
    }

    /// Ends the turn: what was changed is written, and what is mostly dead is compacted.
    pub fn seal_turn(&mut self, disk: &mut dyn Disk, now: TimeNs, events: &mut Vec<Event>) {
        self.compact(now);
        let before = events.len();
        self.log.seal_turn(disk, events);
        self.on_events(disk, before, events);
    }

    /// Takes a completion; `false` if it is not one of the catalog's.
    pub fn on_done(&mut self, disk: &mut dyn Disk, done: &Done, events: &mut Vec<Event>) -> bool {
        let before = events.len();
        let own = self.log.on_done(disk, done, events);
        self.on_events(disk, before, events);
        if self.copying.is_some_and(|it| it.stated) {
            let before = events.len();
            self.log.seal_turn(disk, events);
            self.on_events(disk, before, events);
        }
        own
    }

    /// The partition below: marks, space state.
    pub fn log(&mut self) -> &mut Partition {
        &mut self.log
    }

    fn change(
        &mut self,
        now: TimeNs,
        family: u8,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Offset, Refusal> {
        assert!(family != FAMILY_COPIED, "the catalog's own family");
        let entry = Stored::Entry { family, key, value };
        let offset = self.log.append_stored(std::iter::once((now, entry)))?.first;
        let before = self.apply((family, key.into()), value);
        self.undo.push_back(Undo { offset, key: (family, key.into()), before });
        Ok(offset)
    }

    /// Changes the map; returns what was there before.
    fn apply(&mut self, key: Key, value: Option<&[u8]>) -> Option<(usize, Box<[u8]>)> {
        let place = self.places.get(&key).copied();
        let before = place.and_then(|place| {
            let old = self.slots.get_mut(place)?.take()?;
            self.living_bytes -= weight(&old);
            Some((place, old.value))
        });
        match value {
            Some(value) => {
                let place = place.unwrap_or(self.slots.len());
                self.set(place, Slot { key, value: value.into() });
            }
            None => {
                self.places.remove(&key);
            }
        }
        before
    }

    fn set(&mut self, place: usize, slot: Slot) {
        self.living_bytes += weight(&slot);
        self.places.insert(slot.key.clone(), place);
        if self.slots.len() <= place {
            self.slots.resize_with(place + 1, || None);
        }
        if let Some(own) = self.slots.get_mut(place) {
            *own = Some(slot);
        }
    }

    fn on_events(&mut self, disk: &mut dyn Disk, from: usize, events: &[Event]) {
        for event in events.get(from..).unwrap_or_default() {
            match event {
                Event::Acknowledged { below } => {
                    while self.undo.front().is_some_and(|it| it.offset < *below) {
                        self.undo.pop_front();
                    }
                    if self.copying.is_some_and(|it| it.end <= *below) {
                        self.on_copied(disk);
                    }
                }
                Event::Failed { from, .. } => {
                    self.copying = None;
                    self.take_back(*from);
                }
                Event::Poisoned { .. } | Event::ReadOnly | Event::Full => {}
            }
        }
    }

    /// The copy is acknowledged: say so, and when that is acknowledged let the old segments go.
    fn on_copied(&mut self, disk: &mut dyn Disk) {
        let Some(copying) = self.copying.take() else { return };
        if copying.stated {
            self.log.discard_below(disk, copying.first);
            return;
        }
        let first = copying.first.to_le_bytes();
        let value = Some(first.as_slice());
        let entry = Stored::Entry { family: FAMILY_COPIED, key: b"", value };
        if let Ok(appended) = self.log.append_stored(std::iter::once((0, entry))) {
            let end = appended.last + 1;
            self.copying = Some(Copying { end, stated: true, ..copying });
        }
    }

    /// Undoes all changes from `from` on, the latest first.
    fn take_back(&mut self, from: Offset) {
        while self.undo.back().is_some_and(|it| it.offset >= from) {
            let Some(undo) = self.undo.pop_back() else { break };
            self.apply(undo.key.clone(), None);
            if let Some((place, value)) = undo.before {
                self.set(place, Slot { key: undo.key, value });
            }
        }
    }

    /// Closes the gaps that deleted keys left, but for those that a change under way may have to
    /// fill again.
    fn forget_dead(&mut self) {
        let mut stays: Vec<bool> = self.slots.iter().map(Option::is_some).collect();
        for (place, _) in self.undo.iter().filter_map(|undo| undo.before.as_ref()) {
            if let Some(own) = stays.get_mut(*place) {
                *own = true;
            }
        }
        // Where each of those that stay goes.
        let mut next = 0;
        let places: Vec<usize> = stays
            .iter()
            .map(|stays| {
                let place = next;
                next += usize::from(*stays);
                place
            })
            .collect();
        let mut each = stays.iter();
        self.slots.retain(|_| each.next() == Some(&true));
        let moved = |place: &mut usize| *place = places.get(*place).copied().unwrap_or(next);
        self.places.values_mut().for_each(moved);
        self.undo.iter_mut().filter_map(|undo| undo.before.as_mut()).for_each(|(p, _)| moved(p));
        self.slots.shrink_to(next * 2);
    }

    /// Places of entries, those of deleted ones included.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.slots.len()
    }

    /// Appends all living entries again when more than three quarters are dead.
    fn compact(&mut self, now: TimeNs) {
        let used = self.log.bytes();
        if self.copying.is_some() || used < self.compact_bytes.max(self.living_bytes as u64 * 4) {
            return;
        }
        // A refusal in the middle would leave a useless half of a copy.
        if self.log.room() < self.living_bytes * 2 {
            return;
        }
        self.forget_dead();
        self.log.roll();
        let first = self.log.watermarks().appended();
        let mut items: Vec<(TimeNs, Stored<'_>)> = Vec::new();
        let mut bytes = 0;
        for slot in self.slots.iter().flatten() {
            let (family, key) = (slot.key.0, &*slot.key.1);
            items.push((now, Stored::Entry { family, key, value: Some(&slot.value) }));
            bytes += weight(slot);
            if bytes >= COPY_BYTES {
                if self.log.append_stored(std::mem::take(&mut items).into_iter()).is_err() {
                    return;
                }
                bytes = 0;
            }
        }
        if !items.is_empty() && self.log.append_stored(items.into_iter()).is_err() {
            return;
        }
        let end = self.log.watermarks().appended();
        self.copying = Some(Copying { first, end, stated: false });
    }
}

/// Bytes that an entry takes in the log, about.
fn weight(slot: &Slot) -> usize {
    slot.key.1.len() + slot.value.len() + 72
}

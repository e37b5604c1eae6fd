//! The catalog: replay, compaction, failing disks, loss of power.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::*;
use crate::log::catalog::Catalog;
use crate::log::disk::failing::{FailingDisk, Failure, Span};
use crate::log::disk::memory::{MemoryDisk, Seeded};

fn open(disk: &mut dyn Disk) -> std::io::Result<Catalog> {
    let dir = PathBuf::from("/data/catalog");
    Ok(Catalog::open(disk, &dir, Tag(3), small(Durability::Group))?.0)
}

type Values = BTreeMap<Vec<u8>, Vec<u8>>;

fn values(catalog: &Catalog) -> Values {
    catalog.iter().map(|(_, key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// A catalog with the states it has been in, by the offset that the next change gets.
struct Model<D> {
    disk: D,
    catalog: Catalog,
    acknowledged: Offset,
    states: Vec<(Offset, Values)>,
    failed: bool,
}

impl<D: Disk> Model<D> {
    fn new(mut disk: D) -> std::io::Result<Self> {
        let mut catalog = open(&mut disk)?;
        let states = vec![(catalog.log().watermarks().appended(), values(&catalog))];
        Ok(Self { disk, catalog, acknowledged: 0, states, failed: false })
    }

    fn change(&mut self, random: &mut Seeded) {
        let key = format!("key {}", random.below(12));
        let value = "v".repeat(random.below(200));
        let done = if random.below(4) == 0 {
            self.catalog.delete(1, 1, key.as_bytes()).map(|_| ())
        } else {
            self.catalog.put(1, 1, key.as_bytes(), value.as_bytes()).map(|_| ())
        };
        if done.is_ok() {
            let end = self.catalog.log().watermarks().appended();
            self.states.push((end, values(&self.catalog)));
        }
        let mut events = Vec::new();
        if random.below(3) > 0 {
            self.catalog.seal_turn(&mut self.disk, 1, &mut events);
        }
        self.poll(events);
    }

    fn poll(&mut self, mut events: Vec<Event>) {
        let mut done = Vec::new();
        self.disk.poll(&mut done);
        for it in &done {
            assert!(self.catalog.on_done(&mut self.disk, it, &mut events));
        }
        for event in events {
            match event {
                Event::Acknowledged { below } => self.acknowledged = below,
                Event::Failed { .. } => self.failed = true,
                _ => {}
            }
        }
    }

    fn settle(&mut self) {
        let mut events = Vec::new();
        self.catalog.seal_turn(&mut self.disk, 1, &mut events);
        self.poll(events);
        for _ in 0..2000 {
            if self.catalog.log().is_idle() {
                return;
            }
            self.poll(Vec::new());
        }
    }

    /// Each key has the value it had at the last acknowledgement, or one it got later.
    fn check(&self, found: &Values, context: &str) {
        let old = self.states.iter().rposition(|(end, _)| *end <= self.acknowledged).unwrap_or(0);
        for number in 0..12 {
            let key = format!("key {number}").into_bytes();
            let mut later = self.states.iter().skip(old);
            assert!(
                later.any(|(_, state)| state.get(&key) == found.get(&key)),
                "{context}: key {number} has neither its acknowledged nor a later value"
            );
        }
    }
}

#[test]
fn a_replay_gives_the_same_in_the_same_order() {
    for seed in 0..30 {
        let mut random = Seeded::new(seed);
        let mut it = Model::new(MemoryDisk::new(seed)).expect("open");
        for _ in 0..random.below(600) {
            it.change(&mut random);
        }
        it.settle();
        let mut disk = it.disk.killed(1);
        let again = open(&mut disk).expect("open");
        assert!(again.iter().eq(it.catalog.iter()), "seed {seed}");
    }
}

#[test]
fn what_is_mostly_dead_is_compacted() {
    let mut random = Seeded::new(1);
    let mut it = Model::new(MemoryDisk::new(1)).expect("open");
    for _ in 0..4000 {
        it.change(&mut random);
    }
    it.settle();
    it.settle();
    let bytes: usize = it.disk.contents().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 100 << 10, "{bytes} bytes for {} entries", it.catalog.len());
}

#[test]
fn a_loss_of_power_leaves_an_acknowledged_state() {
    for seed in 0..200 {
        let mut random = Seeded::new(seed);
        let mut it = Model::new(MemoryDisk::new(seed)).expect("open");
        for _ in 0..random.below(400) {
            it.change(&mut random);
        }
        let images = [it.disk.killed(seed), it.disk.crashed(seed)];
        for (image, mut disk) in images.into_iter().enumerate() {
            let found = values(&open(&mut disk).expect("open"));
            it.check(&found, &format!("seed {seed}, image {image}"));
        }
    }
}

#[test]
fn a_failed_change_is_taken_back() {
    for at in 0..120 {
        for span in [Span::Once, Span::Then(2), Span::Always] {
            for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
                let disk = FailingDisk::new(MemoryDisk::new(at), at, Failure::Error(kind), span);
                let mut random = Seeded::new(at);
                let Ok(mut it) = Model::new(disk) else { continue };
                for number in 0..60 {
                    it.change(&mut random);
                    if number % 10 == 0 {
                        it.catalog.log().set_space(crate::log::SpaceState::Ok);
                    }
                }
                it.settle();
                let mut disk = it.disk.inner().killed(1);
                let again = open(&mut disk).expect("open");
                let context = format!("{at} {span:?} {kind:?}");
                // A change that was reported as failed may be on the disk all the same.
                if !it.failed && !it.catalog.log().is_read_only() {
                    assert_eq!(values(&again), values(&it.catalog), "{context}");
                }
                if !it.failed {
                    it.check(&values(&again), &context);
                }
            }
        }
    }
}

/// Definitions come and go without a pause: what is gone leaves no place behind.
#[test]
fn places_of_deleted_entries_are_closed_under_load() {
    let mut random = Seeded::new(5);
    let mut model = Model::new(MemoryDisk::new(6)).unwrap();
    for n in 0..20_000_u32 {
        let (new, old) = (format!("key {n}"), format!("key {}", n.saturating_sub(3)));
        let _ = model.catalog.put(1, 1, new.as_bytes(), b"a value of some length");
        let _ = model.catalog.delete(1, 1, old.as_bytes());
        let mut events = Vec::new();
        model.catalog.seal_turn(&mut model.disk, 1, &mut events);
        if random.below(3) == 0 {
            model.poll(events);
        }
    }
    assert!(model.catalog.places() < 2000, "{} places", model.catalog.places());
    assert!(values(&model.catalog).len() < 10);
}

//! Durable cursors: saved, torn, damaged, on a failing disk.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::*;
use crate::log::disk::failing::{FailingDisk, Failure, Span};
use crate::log::disk::memory::MemoryDisk;
use crate::log::position::{Loaded, Position, PositionEvent, PositionFile};

const FILE: &str = "/data/positions/a.pos";

fn state(number: u64) -> Position {
    let outstanding = (0..number % 40).map(|it| it * 300 + number).collect();
    Position { next: number * 1000, outstanding }
}

fn open(disk: &mut dyn Disk) -> std::io::Result<(PositionFile, Loaded)> {
    PositionFile::open(disk, &PathBuf::from(FILE), 9, Tag(2), Durability::Group)
}

/// Lets everything complete; the numbers saved.
fn settle(disk: &mut dyn Disk, file: &mut PositionFile) -> Vec<u64> {
    let mut saved = Vec::new();
    for _ in 0..1000 {
        let mut done = Vec::new();
        disk.poll(&mut done);
        for it in &done {
            if let Some(PositionEvent::Saved(number)) = file.on_done(disk, it) {
                saved.push(number);
            }
        }
        if file.is_idle() {
            break;
        }
    }
    saved
}

#[test]
fn the_last_saved_state_is_loaded() {
    let mut disk = MemoryDisk::new(1);
    let (mut file, loaded) = open(&mut disk).expect("open");
    assert_eq!(loaded, Loaded::default());
    for number in 1..100 {
        assert_eq!(file.save(&mut disk, &state(number)), Ok(number));
        if number % 3 > 0 {
            assert_eq!(settle(&mut disk, &mut file).last(), Some(&number));
        }
        if number % 10 == 0 {
            settle(&mut disk, &mut file);
            disk = disk.killed(1);
            let again = open(&mut disk).expect("open");
            file = again.0;
            assert_eq!(again.1.position, Some(state(number)));
            assert_eq!(again.1.damage, []);
        }
    }
    let many = Position { next: 1, outstanding: (0..70_000).collect() };
    assert_eq!(file.save(&mut disk, &many), Err(Refusal::Size));
}

#[test]
fn a_loss_of_power_leaves_the_saved_state_or_a_later_one() {
    for seed in 0..300 {
        let mut disk = MemoryDisk::new(seed);
        let (mut file, _) = open(&mut disk).expect("open");
        let (mut saved, mut asked) = (0, 0);
        for number in 1..=seed % 9 + 1 {
            asked = file.save(&mut disk, &state(number)).expect("save");
            if (seed + number) % 3 > 0 {
                saved = settle(&mut disk, &mut file).last().copied().unwrap_or(saved);
            }
        }
        let mut disk = disk.crashed(seed);
        let (_, loaded) = open(&mut disk).expect("open");
        let found = loaded.position.map_or(0, |it| it.next / 1000);
        assert!(saved <= found && found <= asked, "seed {seed}: {saved} {found} {asked}");
    }
}

#[test]
fn each_flipped_bit_leaves_one_of_the_two_states() {
    let mut disk = MemoryDisk::new(1);
    let (mut file, _) = open(&mut disk).expect("open");
    for number in 7..9 {
        file.save(&mut disk, &state(number)).expect("save");
        settle(&mut disk, &mut file);
    }
    let bytes = disk.contents().remove(0).1;
    for slot in 0..2 {
        let start = slot * crate::log::position::SLOT_BYTES;
        for bit in start * 8..(start + 48) * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut disk = MemoryDisk::with_contents(1, vec![(FILE.into(), changed)]);
            let (_, loaded) = open(&mut disk).expect("open");
            assert_eq!(
                loaded.position,
                Some(state(8 - slot as u64)).filter(|_| slot == 1).or(Some(state(8))),
                "bit {bit}"
            );
            assert_eq!(loaded.damage.len(), 1, "bit {bit}");
        }
    }
}

#[test]
fn every_failing_operation_keeps_the_saved_state() {
    for at in 0..40 {
        for failure in [Failure::Short, Failure::Error(ErrorKind::StorageFull)] {
            let mut disk = FailingDisk::new(MemoryDisk::new(at), at, failure, Span::Then(1));
            let Ok((mut file, _)) = open(&mut disk) else { continue };
            let mut saved = 0;
            for number in 1..12 {
                let own = file.save(&mut disk, &state(number)).expect("save");
                assert_eq!(own, number);
                saved = settle(&mut disk, &mut file).last().copied().unwrap_or(saved);
            }
            assert!(saved == 11 || disk.count() <= at + 2 || at > 20, "never saved again: {at}");
            let mut image = disk.inner().crashed(at);
            let (_, loaded) = open(&mut image).expect("open");
            let found = loaded.position.map_or(0, |it| it.next / 1000);
            assert!(saved <= found && found <= 11, "at {at}: {saved} {found}");
        }
    }
}

//! The Nth operation of the disk fails, for every N: what was acknowledged is there, in order.

use std::io::ErrorKind;

use super::*;
use crate::log::SpaceState;
use crate::log::disk::failing::{FailingDisk, Failure, Span};
use crate::log::disk::memory::MemoryDisk;

const COUNT: u64 = 60;

/// What the log said about the records of one run.
struct Run {
    driver: Driver<FailingDisk>,
    /// Text by offset.
    texts: Vec<(Offset, String)>,
}

fn run(seed: u64, at: u64, failure: Failure, span: Span, durability: Durability) -> Option<Run> {
    let disk = FailingDisk::new(MemoryDisk::new(seed), at, failure, span);
    let (mut driver, _) = Driver::open(disk, small(durability)).ok()?;
    let mut texts = Vec::new();
    for number in 0..COUNT {
        let text = text(number);
        if number % 11 == 0 {
            driver.log.set_space(SpaceState::Ok);
        }
        if let Ok(offset) = driver.append(&text) {
            texts.push((offset, text));
        }
        if number % 3 == 0 {
            driver.turn();
        }
        if number % 20 == 0 {
            driver.settle();
        }
    }
    driver.settle();
    Some(Run { driver, texts })
}

/// Everything acknowledged is in `read`, and nothing in it is another text than was appended.
fn check(run: &Run, read: &[(Offset, String)], context: &str) {
    for (offset, text) in read {
        let own = run.texts.iter().find(|(it, _)| it == offset);
        assert_eq!(own.map(|(_, text)| text), Some(text), "{context}: offset {offset}");
    }
    assert!(read.is_sorted_by(|left, right| left.0 < right.0), "{context}: order");
    let driver = &run.driver;
    for (offset, _) in run.texts.iter().filter(|(it, _)| *it < driver.acknowledged) {
        let there = read.iter().any(|(it, _)| it == offset);
        assert!(there || driver.is_failed(*offset), "{context}: {offset} was acknowledged");
    }
}

fn every(failure: Failure, span: Span, durability: Durability) {
    for at in 0.. {
        let seed = at % 5;
        let Some(run) = run(seed, at, failure, span, durability) else { continue };
        let context = format!("{failure:?} {span:?} {durability:?} at {at}");
        check(&run, &run.driver.read(), &context);
        let images = [run.driver.disk.inner().killed(1), run.driver.disk.inner().crashed(at)];
        let count = if durability == Durability::Group { 2 } else { 1 };
        for disk in images.into_iter().take(count) {
            let (mut again, _) = Driver::open(disk, small(durability)).expect("open again");
            check(&run, &again.read(), &format!("{context}, opened again"));
            again.settle();
            let last = again.read().last().map_or(0, |(offset, _)| offset + 1);
            let next = again.append("\"after\"").expect("append again");
            assert!(next >= last, "{context}: offset given twice");
            again.settle();
            assert_eq!(again.read().last().map(|it| it.1.as_str()), Some("\"after\""));
        }
        if run.driver.disk.count() <= at {
            return;
        }
    }
}

#[test]
fn one_operation_fails() {
    for durability in [Durability::Os, Durability::Group] {
        every(Failure::Error(ErrorKind::Other), Span::Once, durability);
        every(Failure::Short, Span::Once, durability);
        every(Failure::Error(ErrorKind::StorageFull), Span::Once, durability);
    }
}

#[test]
fn some_operations_fail() {
    for durability in [Durability::Os, Durability::Group] {
        every(Failure::Error(ErrorKind::Other), Span::Then(1), durability);
        every(Failure::Error(ErrorKind::StorageFull), Span::Then(3), durability);
        every(Failure::Short, Span::Then(2), durability);
    }
}

#[test]
fn all_operations_fail_from_one_on() {
    for durability in [Durability::Os, Durability::Group] {
        every(Failure::Error(ErrorKind::Other), Span::Always, durability);
        every(Failure::Error(ErrorKind::StorageFull), Span::Always, durability);
    }
}

#[test]
fn one_failed_write_is_repaired_without_loss() {
    let mut repaired = 0;
    for at in 0..60 {
        let Some(run) = run(1, at, Failure::Short, Span::Once, Durability::Group) else {
            continue;
        };
        if run.driver.log.is_read_only() {
            panic!("one failure made it read-only");
        }
        repaired += u64::from(run.driver.acknowledged == COUNT && run.driver.failed.is_empty());
    }
    assert!(repaired > 50, "{repaired}");
}

#[test]
fn a_full_disk_is_refused_and_forgotten() {
    let mut disk = MemoryDisk::new(4);
    disk.set_capacity(20 << 10);
    let (mut it, _) = Driver::open(disk, small(Durability::Group)).expect("open");
    let mut taken = Vec::new();
    let refused = loop {
        match it.append(&text(taken.len() as u64)) {
            Ok(offset) => taken.push((offset, text(taken.len() as u64))),
            Err(refusal) => break refusal,
        }
        it.settle();
    };
    assert_eq!(refused, Refusal::Full);
    assert!(!it.log.is_read_only());
    it.disk.set_capacity(u64::MAX);
    assert_eq!(it.append("\"no\""), Err(Refusal::Full));
    it.log.set_space(SpaceState::Ok);
    let offset = it.append("\"again\"").expect("space is back");
    taken.push((offset, "\"again\"".into()));
    it.settle();
    assert!(it.acknowledged > offset && !it.is_failed(offset));
    taken.retain(|(offset, _)| !it.is_failed(*offset));
    assert_eq!(it.read(), taken);
    let (again, report) = Driver::open(it.disk.killed(1), small(Durability::Group)).expect("open");
    assert_eq!(again.read(), taken);
    assert_eq!((report.gaps.len(), report.damage.len()), (0, 0), "{report:?}");
}

//! What is appended is read again: live, through the maps, after opening again, within retention.

use std::sync::Arc;

use super::*;
use crate::log::disk::memory::MemoryDisk;
use crate::log::partition::Retention;
use crate::log::{RecordRef, SpaceState};

fn expected(range: std::ops::Range<u64>) -> Vec<(Offset, String)> {
    range.map(|number| (number, text(number))).collect()
}

fn filled(durability: Durability, count: u64, seed: u64) -> Driver<MemoryDisk> {
    let (mut it, _) = Driver::open(MemoryDisk::new(seed), small(durability)).expect("open");
    for number in 0..count {
        assert_eq!(it.append(&text(number)), Ok(number));
        if number % 3 == 0 {
            it.turn();
        }
    }
    it.settle();
    it
}

#[test]
fn appended_is_read_over_many_segments() {
    for durability in [Durability::Os, Durability::Group] {
        for seed in 0..20 {
            let it = filled(durability, 200, seed);
            assert_eq!(it.acknowledged, 200);
            assert_eq!(it.read(), expected(0..200));
            assert_eq!(read(it.log.view(), UpTo::Acknowledged), expected(0..200));
        }
    }
}

#[test]
fn a_commit_waits_for_as_much_as_the_last_one_acknowledged_or_to_be_released() {
    let (mut it, _) = Driver::open(MemoryDisk::new(1), small(Durability::Group)).expect("open");
    while !it.log.is_held() {
        it.append_many(&["a", "b", "c", "d"]).expect("append");
        it.settle();
    }
    let before = it.log.acknowledged();
    let quiet = |it: &mut Driver<MemoryDisk>, texts: &[&str]| {
        it.append_many(texts).expect("append");
        it.log.seal_turn(&mut it.disk, &mut it.events);
        for _ in 0..50 {
            let mut done = Vec::new();
            it.disk.poll(&mut done);
            for one in &done {
                it.log.on_done(&mut it.disk, one, &mut it.events);
            }
        }
        it.log.acknowledged() - before
    };
    assert_eq!(quiet(&mut it, &["e"]), 0);
    assert!(it.log.is_held() && !it.log.is_idle());
    assert_eq!(quiet(&mut it, &["f", "g", "h"]), 4);
    assert_eq!(quiet(&mut it, &["i"]), 4);
    it.log.release(&mut it.disk, &mut it.events);
    it.settle();
    assert_eq!(it.log.acknowledged(), before + 5);
}

#[test]
fn every_body_comes_back_as_it_was() {
    let frame = |binary, bytes, context, event| Body::Frame { binary, bytes, context, event };
    let bodies = [
        Body::Json(b"{}"),
        Body::Json(b""),
        frame(true, &[0, 255, 7], b"{\"a\":1}", b""),
        frame(false, b"text", b"", b"open"),
        Body::Lifecycle { json: b"{\"t\":1}", context: b"{}" },
    ];
    let records: Vec<Record<'_>> = (0..)
        .zip(bodies)
        .map(|(n, body)| Record { time: n - 2, producer: u64::MAX - n as u64, body })
        .collect();
    let (mut it, _) = Driver::open(MemoryDisk::new(1), small(Durability::Group)).expect("open");
    it.log.append(&records).expect("append");
    let batch = it.log.seal_turn(&mut it.disk, &mut it.events).expect("a batch");
    assert!(batch.iter().map(|(_, record)| record).eq(records.iter().copied()));
    let live = RecordRef::Batch(Arc::clone(&batch), 2);
    assert_eq!(live.get(), Some((2, records[2])));
    it.settle();
    let mut cursor = Cursor::new(Arc::clone(it.log.view()), 0);
    let chunk = cursor.next_batch(1 << 20, UpTo::Acknowledged).expect("a chunk");
    assert!(chunk.iter().map(|(_, record)| record).eq(records.iter().copied()));
    let kept: Vec<RecordRef> = chunk.refs().map(|(_, it)| it).collect();
    drop((it, cursor));
    assert_eq!(kept[4].get(), Some((4, records[4])));
}

#[test]
fn opening_again_goes_on_where_it_ended() {
    for durability in [Durability::Os, Durability::Group] {
        for count in [0, 1, 5, 30, 31, 32, 33, 120] {
            let it = filled(durability, count, count);
            let disk = it.disk.killed(1);
            let (mut it, report) = Driver::open(disk, small(durability)).expect("open");
            assert_eq!(report.records, count, "{report:?}");
            assert_eq!((report.damage.len(), report.gaps.len()), (0, 0), "{report:?}");
            assert_eq!(it.read(), expected(0..count));
            it.settle();
            for number in count..count + 40 {
                assert_eq!(it.append(&text(number)), Ok(number));
            }
            it.settle();
            assert_eq!(it.acknowledged, count + 40);
            assert_eq!(it.read(), expected(0..count + 40));
            let (it, _) = Driver::open(it.disk.killed(2), small(durability)).expect("open");
            assert_eq!(it.read(), expected(0..count + 40));
        }
    }
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let (mut it, _) = Driver::open(MemoryDisk::new(1), small(Durability::Group)).expect("open");
    let large = "y".repeat(40 << 10);
    for number in 0..6 {
        let text = if number % 2 == 0 { large.as_str() } else { "small" };
        assert_eq!(it.append(text), Ok(number));
        it.settle();
    }
    assert_eq!(it.read().len(), 6);
    assert_eq!(it.append(&"z".repeat(200 << 10)), Err(Refusal::Size));
    let (it, report) = Driver::open(it.disk.killed(2), small(Durability::Group)).expect("open");
    assert_eq!((it.read().len(), report.damage.len()), (6, 0));
}

#[test]
fn appends_that_wait_are_bounded() {
    let (mut it, _) = Driver::open(MemoryDisk::new(1), small(Durability::Os)).expect("open");
    let mut taken = 0;
    while it.append(&text(taken)).is_ok() {
        taken += 1;
        it.log.seal_turn(&mut it.disk, &mut it.events);
    }
    assert_eq!(it.append(&text(taken)), Err(Refusal::Busy));
    it.settle();
    assert_eq!(it.append(&text(taken)), Ok(taken));
    it.settle();
    assert_eq!(it.read(), expected(0..taken + 1));
}

#[test]
fn retention_by_count_is_exact() {
    let mut it = filled(Durability::Group, 150, 3);
    let keep = Retention { records: Some(37), ..Retention::default() };
    for number in 150..260 {
        it.append(&text(number)).expect("append");
        it.settle();
        it.log.retain(&mut it.disk, &keep, 0);
        assert_eq!(it.read(), expected(number - 36..number + 1));
    }
    it.settle();
    assert!(it.disk.contents().len() < 10, "old segments stay");
    let mut late = Cursor::new(Arc::clone(it.log.view()), 100);
    let chunk = late.next_batch(10, UpTo::Written).expect("a chunk");
    assert_eq!(chunk.skipped(), 123);
    let (it, _) = Driver::open(it.disk.killed(1), small(Durability::Group)).expect("open");
    assert!(it.read().ends_with(&expected(223..260)));
}

/// Appends records `from..to` at the time that is their number, and waits for them.
fn timed(it: &mut Driver<MemoryDisk>, from: u64, to: u64) {
    for number in from..to {
        let text = text(number);
        it.log.append(&[Record { time: number as i64, ..json(&text) }]).expect("append");
        it.settle();
    }
}

/// Bytes that each of these records takes in the log.
fn sizes(range: std::ops::Range<u64>) -> Vec<(u64, u64)> {
    let bytes = |number| {
        let (mut it, _) = Driver::open(MemoryDisk::new(1), small(Durability::Os)).expect("open");
        timed(&mut it, number, number + 1);
        (number, it.log.bytes())
    };
    range.map(bytes).collect()
}

#[test]
fn retention_by_age_is_exact_and_comes_back_after_opening() {
    let (mut it, _) = Driver::open(MemoryDisk::new(3), small(Durability::Group)).expect("open");
    let keep = Retention { age_ns: Some(25), ..Retention::default() };
    for number in 0..260 {
        timed(&mut it, number, number + 1);
        it.log.retain(&mut it.disk, &keep, number as i64);
        assert_eq!(it.read(), expected(number.saturating_sub(25)..number + 1));
    }
    assert!(it.disk.contents().len() < 10, "old segments stay");
    let (mut it, _) = Driver::open(it.disk.killed(1), small(Durability::Group)).expect("open");
    assert!(it.log.retain(&mut it.disk, &keep, 270) > 0);
    assert_eq!(it.read(), expected(245..260));
    let mut late = Cursor::new(Arc::clone(it.log.view()), 250);
    it.log.retain(&mut it.disk, &keep, 280);
    let chunk = late.next_batch(1 << 20, UpTo::Written).expect("a chunk");
    assert_eq!((chunk.skipped(), chunk.iter().next().map(|(at, _)| at)), (5, Some(255)));
    // All is old, then one is not; a clock that went back keeps what it stamped behind it.
    it.log.retain(&mut it.disk, &keep, 1000);
    assert_eq!(it.read(), []);
    timed(&mut it, 260, 261);
    assert_eq!(it.log.retain(&mut it.disk, &keep, 285), 0);
    assert_eq!(it.read(), expected(260..261));
}

#[test]
fn retention_by_bytes_is_exact_and_comes_back_after_opening() {
    let sizes = sizes(0..260);
    let fits = |end: u64, bytes: u64| {
        let mut left = bytes;
        let taken = sizes[..end as usize].iter().rev().take_while(|(_, size)| {
            let fits = *size <= left;
            left = left.saturating_sub(*size);
            fits
        });
        end - taken.count() as u64
    };
    for bytes in [1, 300, 5_000, 20_000] {
        let keep = Retention { bytes: Some(bytes), ..Retention::default() };
        let (mut it, _) = Driver::open(MemoryDisk::new(3), small(Durability::Os)).expect("open");
        for number in 0..260 {
            timed(&mut it, number, number + 1);
            it.log.retain(&mut it.disk, &keep, 0);
            assert_eq!(it.read(), expected(fits(number + 1, bytes)..number + 1), "{bytes}");
        }
        assert!(it.log.file_bytes() <= bytes + (40 << 10), "old segments stay");
        let (mut it, _) = Driver::open(it.disk.killed(1), small(Durability::Os)).expect("open");
        it.log.retain(&mut it.disk, &keep, 0);
        assert_eq!(it.read(), expected(fits(260, bytes)..260));
    }
}

#[test]
fn the_tightest_bound_holds() {
    let (mut it, _) = Driver::open(MemoryDisk::new(3), small(Durability::Os)).expect("open");
    timed(&mut it, 0, 100);
    let keep = |records, bytes, age_ns| Retention { records, bytes, age_ns };
    it.log.retain(&mut it.disk, &keep(Some(60), Some(1 << 20), Some(1000)), 99);
    assert_eq!(it.log.start(), 40);
    it.log.retain(&mut it.disk, &keep(Some(60), Some(1 << 20), Some(50)), 99);
    assert_eq!(it.log.start(), 49);
    it.log.retain(&mut it.disk, &keep(Some(60), Some(900), Some(50)), 99);
    assert!(it.log.start() > 90, "{}", it.log.start());
    assert_eq!(it.read(), expected(it.log.start()..100));
}

#[test]
fn a_full_disk_is_trimmed_before_anything_is_refused() {
    let (mut it, _) = Driver::open(MemoryDisk::new(3), small(Durability::Os)).expect("open");
    it.disk.set_capacity(64 << 10);
    it.log.trim_when_full();
    timed(&mut it, 0, 1500);
    assert!(it.failed.is_empty(), "{:?}", it.failed);
    assert!(it.log.start() > 0);
    assert_eq!(it.read(), expected(it.log.start()..1500));
    let (mut it, _) = Driver::open(MemoryDisk::new(3), small(Durability::Os)).expect("open");
    it.disk.set_capacity(64 << 10);
    for number in 0..1500 {
        let _ = it.append(&text(number));
        it.settle();
    }
    assert!(!it.failed.is_empty(), "it was full");
}

#[test]
fn space_states_refuse_and_allow() {
    let mut it = filled(Durability::Group, 3, 3);
    it.log.set_space(SpaceState::Critical);
    assert_eq!(it.append("a"), Err(Refusal::Full));
    it.log.set_space(SpaceState::Low);
    assert_eq!(it.append("a"), Ok(3));
}

#[test]
fn deleting_removes_all_files() {
    let mut it = filled(Durability::Group, 100, 3);
    it.log.delete(&mut it.disk).expect("delete");
    let mut done = Vec::new();
    while it.disk.pending() > 0 {
        it.disk.poll(&mut done);
    }
    assert_eq!(it.disk.contents(), []);
}

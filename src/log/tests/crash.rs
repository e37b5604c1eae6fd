//! Loss of power at any moment: what was acknowledged under group durability survives, and an
//! append of several records is there whole or not at all.

use super::*;
use crate::log::disk::memory::{MemoryDisk, Seeded};

/// Appends of one to four records; a text names its append and how many it has.
fn drive(it: &mut Driver<MemoryDisk>, random: &mut Seeded, appends: usize) {
    for _ in 0..appends {
        let count = 1 + random.below(4);
        let first = it.log.watermarks().appended();
        let texts: Vec<String> = (0..count)
            .map(|part| format!("{first} {count} {part} {}", "x".repeat(random.below(700))))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let _ = it.append_many(&texts);
        if random.below(3) > 0 {
            it.turn();
        }
    }
}

/// `missing`: offsets that were lost before they were acknowledged, with others behind them kept.
fn check(read: &[(Offset, String)], acknowledged: Offset, missing: &[Offset], context: &str) {
    let mut at = 0;
    while let Some((offset, text)) = read.get(at) {
        let mut words = text.split(' ');
        let mut number = || words.next().and_then(|it| it.parse::<u64>().ok()).expect("number");
        let (first, count, part) = (number(), number(), number());
        assert_eq!((*offset, part), (first, 0), "{context}: an append without its beginning");
        for part in 0..count {
            let (offset, text) = read.get(at).unwrap_or_else(|| panic!("{context}: cut append"));
            assert_eq!(*offset, first + part, "{context}");
            assert!(text.starts_with(&format!("{first} {count} {part} ")), "{context}");
            at += 1;
        }
    }
    for offset in (0..acknowledged).filter(|offset| !missing.contains(offset)) {
        assert!(read.iter().any(|(it, _)| *it == offset), "{context}: {offset} is lost");
    }
}

#[test]
fn acknowledged_records_survive_a_loss_of_power() {
    for seed in 0..400 {
        let mut random = Seeded::new(seed);
        let settings = small(Durability::Group);
        let (mut it, _) = Driver::open(MemoryDisk::new(seed), settings).expect("open");
        let mut acknowledged = 0;
        let mut missing = Vec::new();
        for round in 0..4 {
            let appends = 1 + random.below(25);
            drive(&mut it, &mut random, appends);
            acknowledged = it.acknowledged.max(acknowledged);
            let context = format!("seed {seed} round {round}");
            let killed = random.below(3) == 0;
            let disk =
                if killed { it.disk.killed(seed) } else { it.disk.crashed(seed * 4 + round) };
            let (again, _) = Driver::open(disk, settings).expect("open again");
            let read = again.read();
            check(&read, acknowledged, &missing, &context);
            let there = |offset: &Offset| read.iter().any(|(it, _)| it == offset);
            missing = (0..again.log.watermarks().appended()).filter(|it| !there(it)).collect();
            it = again;
            it.acknowledged = acknowledged.min(it.log.watermarks().appended());
            if random.below(2) == 0 {
                it.settle();
            }
        }
    }
}

#[test]
fn what_was_found_counts_as_durable_only_when_synced() {
    let settings = small(Durability::Group);
    let (mut it, _) = Driver::open(MemoryDisk::new(1), settings).expect("open");
    it.append("\"a\"").expect("append");
    it.settle();
    let (mut again, _) = Driver::open(it.disk.killed(1), settings).expect("open");
    assert_eq!(read(again.log.view(), UpTo::Written).len(), 1);
    assert_eq!(read(again.log.view(), UpTo::Acknowledged).len(), 0);
    again.settle();
    assert_eq!(read(again.log.view(), UpTo::Acknowledged).len(), 1);
}

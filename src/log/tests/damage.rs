//! Each bit flipped and each byte cut: no panic, never a wrong record, and the damage is reported.
//!
//! What may change unseen: nothing before the end of the records, and nothing in the blocks of
//! header and footer. In an unsealed segment any byte behind the records is expected to be zero, so
//! a change is seen there too; in a sealed one the bytes between records and footer are not read.

use std::path::PathBuf;

use super::*;
use crate::log::disk::memory::MemoryDisk;
use crate::log::format::{FOOTER_BYTES, SEGMENT_HEADER_BYTES};

const COUNT: u64 = 12;

/// One segment with `COUNT` records, its name and its bytes; the file is cut down to `size`.
fn segment(sealed: bool) -> (PathBuf, Vec<u8>) {
    let settings = Settings { segment_bytes_min: 6144, ..small(Durability::Group) };
    let (mut it, _) = Driver::open(MemoryDisk::new(1), settings).expect("open");
    for number in 0..COUNT {
        it.append(&format!("{{\"n\":{number}}}")).expect("append");
        it.settle();
    }
    if sealed {
        it.log.roll();
        it.append("\"next\"").expect("append");
        it.settle();
    }
    it.disk.contents().into_iter().next().expect("a segment")
}

fn open(path: &std::path::Path, bytes: Vec<u8>) -> (Vec<(Offset, String)>, Report) {
    let disk = MemoryDisk::with_contents(1, vec![(path.into(), bytes)]);
    let (it, report) = Driver::open(disk, small(Durability::Group)).expect("open");
    (it.read(), report)
}

fn assert_subset(read: &[(Offset, String)], context: &str) {
    for (offset, text) in read {
        assert_eq!(*text, format!("{{\"n\":{offset}}}"), "{context}");
    }
    assert!(read.is_sorted_by(|left, right| left.0 < right.0), "{context}");
}

#[test]
fn each_flipped_bit_of_an_unsealed_segment_is_seen() {
    let (path, bytes) = segment(false);
    assert_eq!(open(&path, bytes.clone()).0.len() as u64, COUNT);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let (read, report) = open(&path, changed);
        let context = format!("bit {bit}");
        assert_subset(&read, &context);
        assert!(!report.damage.is_empty(), "{context} is not reported");
        assert!(read.len() as u64 + 1 >= COUNT, "{context} loses more than one record");
    }
}

#[test]
fn each_flipped_bit_of_a_sealed_segment_is_seen_by_readers() {
    let (path, bytes) = segment(true);
    let end = bytes.len() - FOOTER_BYTES;
    let footer = crate::log::format::Footer::decode(&bytes[end..]).expect("sealed");
    let records = usize::try_from(footer.data_end).expect("small");
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let disk = MemoryDisk::with_contents(1, vec![(path.clone(), changed)]);
        let (it, report) = Driver::open(disk, small(Durability::Group)).expect("open");
        let mut cursor = Cursor::new(std::sync::Arc::clone(it.log.view()), 0);
        let (mut read, mut seen) = (Vec::new(), !report.damage.is_empty());
        while let Some(chunk) = cursor.next_batch(100, UpTo::Written) {
            seen |= chunk.damage().is_some();
            for (offset, record) in chunk.iter() {
                let Body::Json(text) = record.body else { panic!("bit {bit}") };
                read.push((offset, String::from_utf8(text.to_vec()).expect("text")));
            }
        }
        assert_subset(&read, &format!("bit {bit}"));
        assert!(read.len() as u64 + 1 >= COUNT, "bit {bit} loses more than one record");
        let unused = (records..end).contains(&(bit / 8));
        assert!(seen || unused, "bit {bit} is not reported");
        assert!(!unused || read.len() as u64 == COUNT);
    }
}

#[test]
fn each_cut_is_survived_and_reported() {
    for sealed in [false, true] {
        let (path, bytes) = segment(sealed);
        for length in 0..bytes.len() {
            let (read, report) = open(&path, bytes[..length].to_vec());
            let context = format!("cut to {length}");
            assert_subset(&read, &context);
            let all = read.len() as u64 == COUNT;
            assert!(all || !report.damage.is_empty(), "{context} is not reported");
        }
    }
}

#[test]
fn zeros_from_any_place_on_are_a_torn_tail_and_nothing_else() {
    let (path, bytes) = segment(false);
    for from in SEGMENT_HEADER_BYTES..bytes.len() {
        let mut changed = bytes.clone();
        changed[from..].fill(0);
        let (read, report) = open(&path, changed);
        assert_subset(&read, &format!("zeros from {from}"));
        assert!(report.gaps.is_empty() && report.quarantined_bytes == 0, "zeros from {from}");
        let (more, _) = open(&path, bytes.clone());
        assert_eq!(read, more[..read.len()]);
    }
}

#[test]
fn damage_inside_keeps_what_follows_and_is_written_no_more() {
    let (path, mut bytes) = segment(false);
    bytes[SEGMENT_HEADER_BYTES + 300] ^= 1;
    let disk = MemoryDisk::with_contents(1, vec![(path.clone(), bytes.clone())]);
    let (mut it, report) = Driver::open(disk, small(Durability::Group)).expect("open");
    assert_eq!(report.gaps.len(), 1, "{report:?}");
    assert!(report.quarantined_bytes > 0);
    let count = it.read().len();
    assert_eq!(it.append("\"next\""), Ok(COUNT));
    it.settle();
    assert_eq!(it.read().len(), count + 1);
    let kept = it.disk.contents().into_iter().find(|(name, _)| *name == path);
    assert_eq!(kept.map(|(_, content)| content), Some(bytes));
}

#[test]
fn files_without_a_record_are_set_aside() {
    let dir = PathBuf::from(DIR);
    let name = |number: u64| dir.join(format!("{number:020}.seg"));
    let (_, good) = segment(false);
    let mut garbage: Vec<u8> = (0..9000_u32).map(|it| (it * 7 % 251) as u8).collect();
    garbage[0] = 9;
    let mut foreign = good.clone();
    let header = crate::log::format::SegmentHeader {
        epoch: 1,
        identity: IDENTITY + 1,
        sequence: 3,
        base: 0,
        valid_end: 0,
        created: 0,
    };
    foreign[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.encode());
    let files = vec![
        (name(0), good),
        (name(1), Vec::new()),
        (name(2), garbage.clone()),
        (name(3), foreign),
        (dir.join("00000000000000000009.seg.new"), vec![0; 50]),
    ];
    let disk = MemoryDisk::with_contents(1, files);
    let (mut it, report) = Driver::open(disk, small(Durability::Group)).expect("open");
    assert_eq!(it.read().len() as u64, COUNT);
    assert_eq!((report.damage.len(), report.set_aside.len()), (3, 3), "{report:?}");
    it.append("\"next\"").expect("append");
    it.settle();
    let contents = it.disk.contents();
    let aside =
        contents.iter().find(|(path, _)| path.ends_with("00000000000000000002.seg.damaged"));
    assert_eq!(aside.map(|(_, bytes)| bytes), Some(&garbage));
    assert!(!contents.iter().any(|(path, _)| path.to_string_lossy().ends_with(".new")));
}

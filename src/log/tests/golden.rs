//! Directories that released versions wrote, and what is in them; also what `inspect` says of them.
//!
//! Set `WEIR_WRITE_GOLDEN` to write the directory of this version (only when the version is new).

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::log::catalog::Catalog;
use crate::log::disk::memory::MemoryDisk;
use crate::log::disk::plain::PlainDisk;
use crate::log::inspect::{Depth, inspect};
use crate::log::position::{Position, PositionFile};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/log/v1")
}

fn settings() -> Settings {
    Settings { segment_bytes_min: 6144, segment_bytes_max: 6144, ..small(Durability::Group) }
}

const BODIES: [Body<'_>; 3] = [
    Body::Json(b"{\"t\":21.5}"),
    Body::Frame { binary: true, bytes: &[1, 2, 255], context: b"{\"a\":1}", event: b"e" },
    Body::Lifecycle { json: b"{\"type\":\"open\"}", context: b"{}" },
];

fn record(number: u64) -> Record<'static> {
    let body = BODIES[number as usize % BODIES.len()];
    Record { time: 1_700_000_000_000_000_000 + number as i64, producer: number, body }
}

/// The directory as this version writes it, files without their zeros at the end.
fn written() -> Vec<(PathBuf, Vec<u8>)> {
    let (mut it, _) = Driver::open(MemoryDisk::new(1), settings()).expect("open");
    for number in 0..40 {
        it.log.append(&[record(number)]).expect("append");
        it.settle();
    }
    let mut disk = it.disk;
    let dir = Path::new("/data/catalog");
    let (mut catalog, _) = Catalog::open(&mut disk, dir, Tag(2), settings()).expect("open");
    catalog.put(5, 1, b"main.a", b"one").expect("put");
    catalog.put(5, 1, b"main.b", b"two").expect("put");
    catalog.delete(5, 1, b"main.a").expect("delete");
    catalog.seal_turn(&mut disk, 5, &mut Vec::new());
    let file = Path::new("/data/positions/g.pos");
    let (mut position, _) =
        PositionFile::open(&mut disk, file, 9, Tag(3), Durability::Group).expect("open");
    position.save(&mut disk, &Position { next: 9, outstanding: vec![3, 700] }).expect("save");
    while disk.pending() > 0 {
        let mut done = Vec::new();
        disk.poll(&mut done);
        for it in &done {
            catalog.on_done(&mut disk, it, &mut Vec::new());
            position.on_done(&mut disk, it);
        }
    }
    let mut files = disk.contents();
    for (path, bytes) in &mut files {
        if path.extension().is_some_and(|it| it == "pos") {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(end);
        }
    }
    files
}

#[test]
fn this_version_writes_the_same_bytes() {
    let written = written();
    if std::env::var_os("WEIR_WRITE_GOLDEN").is_some() {
        for (path, bytes) in &written {
            let path = root().join(path.strip_prefix("/data").expect("below"));
            fs::create_dir_all(path.parent().expect("a directory")).expect("create");
            fs::write(path, bytes).expect("write");
        }
    }
    for (path, bytes) in &written {
        let path = root().join(path.strip_prefix("/data").expect("below"));
        assert_eq!(fs::read(&path).expect("golden file"), *bytes, "{}", path.display());
    }
}

#[test]
fn version_1_opens() {
    let root = root();
    let mut disk = PlainDisk::read_only();
    let dir = root.join("topics/1/p0");
    let (log, report) =
        Partition::open(&mut disk, &dir, IDENTITY, Tag(1), settings()).expect("open");
    assert_eq!((report.records, report.damage.len()), (40, 0), "{report:?}");
    let mut cursor = Cursor::new(std::sync::Arc::clone(log.view()), 0);
    let mut number = 0;
    while let Some(chunk) = cursor.next_batch(1 << 20, UpTo::Written) {
        for (offset, found) in chunk.iter() {
            assert_eq!((offset, found), (number, record(number)));
            number += 1;
        }
    }
    assert_eq!(number, 40);
    let (catalog, _) =
        Catalog::open(&mut disk, &root.join("catalog"), Tag(2), settings()).expect("open");
    assert!(catalog.iter().eq([(1, b"main.b".as_slice(), b"two".as_slice())]));
    let file = root.join("positions/g.pos");
    let (_, loaded) =
        PositionFile::open(&mut disk, &file, 9, Tag(3), Durability::Group).expect("open");
    assert_eq!(loaded.position, Some(Position { next: 9, outstanding: vec![3, 700] }));
}

#[test]
fn inspect_says_what_is_there_and_finds_each_damaged_byte() {
    let mut disk = PlainDisk::read_only();
    let found = inspect(&mut disk, &root(), Depth::EveryRecord).expect("inspect");
    assert_eq!(found.damage().count(), 0, "{found:?}");
    assert_eq!((found.partitions.len(), found.positions.len()), (2, 1));
    let topic = &found.partitions[1];
    assert_eq!(topic.segments.iter().map(|it| it.records).sum::<u64>(), 40);
    assert!(topic.segments.iter().filter(|it| it.sealed).count() >= 2);

    let files = written();
    let index = files.iter().position(|(path, _)| path.starts_with(DIR)).expect("a segment");
    let end = files[index].1.len() - 512;
    for at in (4096..end).step_by(37) {
        let mut files = files.clone();
        if files[index].1[at..end].iter().all(|byte| *byte == 0) {
            break;
        }
        files[index].1[at] ^= 0x10;
        let before = files.clone();
        let mut disk = MemoryDisk::with_contents(1, files);
        let found = inspect(&mut disk, Path::new("/data"), Depth::EveryRecord).expect("inspect");
        assert!(found.damage().count() > 0, "byte {at}");
        assert_eq!(disk.contents(), before, "inspect changed something");
    }
}

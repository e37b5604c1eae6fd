//! Reads a data directory without changing it and says what is there and what is damaged.
//!
//! Method: the same reading as recovery, without setting anything aside; with
//! [`Depth::EveryRecord`] sealed segments are walked too, and compared with their footers. Cost:
//! two pages of each sealed segment, or all data.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, EntryKind};
use super::format::{Fault, SEGMENT_HEADER_BYTES, data_range, seed_of};
use super::position::{self, Position};
use super::recovery::{self, Aside, Found, Report};
use super::{Corruption, Durability, Settings, scan};
use crate::model::record::Offset;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Headers and footers of sealed segments, all of others.
    Ends,
    /// The CRCs and the content of every record.
    EveryRecord,
}

/// A data directory.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// The catalog and all partitions of topics.
    pub partitions: Vec<PartitionInspection>,
    /// All durable cursors.
    pub positions: Vec<PositionInspection>,
}

/// One partition.
#[derive(Clone, Debug)]
pub struct PartitionInspection {
    /// Its directory.
    pub dir: PathBuf,
    /// Its segments in order.
    pub segments: Vec<SegmentInspection>,
    /// What opening it would report; all damage found is in it.
    pub report: Report,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInspection {
    /// The file.
    pub file: PathBuf,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Offset of its first record.
    pub base: Offset,
    /// One more than its last offset.
    pub end: Offset,
    /// How many records.
    pub records: u64,
    /// Bytes of the records.
    pub bytes: u64,
    /// Whether it has a sound footer.
    pub sealed: bool,
    /// Time of the first record, and the greatest.
    pub times: (i64, i64),
}

/// One durable cursor.
#[derive(Clone, Debug)]
pub struct PositionInspection {
    /// The file.
    pub file: PathBuf,
    /// The newest state that can be read (its CRC needs the owner's identity and is not checked).
    pub position: Option<Position>,
    /// What is wrong with its slots.
    pub damage: Vec<Corruption>,
}

impl Inspection {
    /// All damage.
    pub fn damage(&self) -> impl Iterator<Item = &Corruption> {
        let partitions = self.partitions.iter().flat_map(|it| &it.report.damage);
        partitions.chain(self.positions.iter().flat_map(|it| &it.damage))
    }
}

/// Walks a data directory.
///
/// # Errors
/// A directory or file cannot be read.
pub fn inspect(disk: &mut dyn Disk, root: &Path, depth: Depth) -> io::Result<Inspection> {
    let mut out = Inspection::default();
    let mut dirs = vec![root.join("catalog")];
    for topic in directories(disk, &root.join("topics"))? {
        dirs.extend(directories(disk, &topic)?);
    }
    for dir in dirs {
        if let Some(partition) = inspect_partition(disk, &dir, depth)? {
            out.partitions.push(partition);
        }
    }
    let positions = root.join("positions");
    for entry in or_empty(disk.list(&positions))? {
        if entry.name.ends_with(".pos") {
            let file = positions.join(&entry.name);
            let id = disk.open(&file)?;
            let map = disk.map(id)?;
            let bytes = map.bytes(0..map.len()).unwrap_or_default();
            let (_, loaded) = position::load(&file, bytes, None);
            disk.close(id);
            let position::Loaded { position, damage } = loaded;
            out.positions.push(PositionInspection { file, position, damage });
        }
    }
    Ok(out)
}

fn or_empty<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        other => other,
    }
}

fn directories(disk: &mut dyn Disk, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = or_empty(disk.list(dir))?;
    let found = entries.iter().filter(|it| it.kind == EntryKind::Directory);
    Ok(found.map(|it| dir.join(&it.name)).collect())
}

/// Reads one partition; `None` if there is no such directory.
///
/// # Errors
/// The directory or a file in it cannot be read.
pub fn inspect_partition(
    disk: &mut dyn Disk,
    dir: &Path,
    depth: Depth,
) -> io::Result<Option<PartitionInspection>> {
    let settings = Settings::new(Durability::Os);
    let found = match recovery::read(disk, dir, None, &settings, Aside::Leave) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let mut report = found.report;
    let mut segments = Vec::new();
    for it in &found.segments {
        if depth == Depth::EveryRecord && it.sealed {
            verify(it, &mut report);
        }
        disk.close(it.file);
        segments.push(SegmentInspection {
            file: it.path.clone(),
            file_bytes: it.map.len(),
            base: it.base,
            end: it.tally.end,
            records: it.tally.records,
            bytes: it.tally.data_end as u64,
            sealed: it.sealed,
            times: (it.tally.first_time, it.tally.last_time),
        });
    }
    if let Some(spare) = found.spare {
        disk.close(spare.file);
    }
    Ok(Some(PartitionInspection { dir: dir.into(), segments, report }))
}

/// Walks a sealed segment up to the end that its footer tells.
fn verify(found: &Found, report: &mut Report) {
    let start = data_range(found.map.len()).start;
    let data = found.map.bytes(start..start + found.tally.data_end as u64).unwrap_or_default();
    let survey = scan::survey(data, seed_of(found.identity), Some(found.base), usize::MAX);
    let mut add = |at: usize, fault: Fault| {
        report.damage.push(Corruption::record(&found.path, SEGMENT_HEADER_BYTES + at, fault));
    };
    for hole in &survey.holes {
        add(hole.found_at, hole.fault);
        report.quarantined_bytes += hole.range.len() as u64;
        report.gaps.push(hole.offsets.clone());
    }
    if let Some((fault, at)) = survey.torn {
        add(at, fault);
    }
    let clipped = found.damaged;
    if survey.holes.is_empty()
        && survey.torn.is_none()
        && !clipped
        && survey.tally.records != found.tally.records
    {
        add(survey.tally.data_end, Fault::Short);
    }
}

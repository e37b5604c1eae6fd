//! What a partition's directory holds, found out without changing a file that holds a record.
//!
//! Method: a segment with a sound header and footer is trusted (two blocks are read); any other is
//! walked ([`super::scan`]). What a later segment's header declares void is left out. Files without
//! a sound record are set aside under another name. Cost: the CRC of the unsealed segments' data;
//! for each sealed segment two page faults.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::disk::{Disk, EntryKind, FileId, Map, Tag};
use super::format::{
    FOOTER_BYTES, Fault, Footer, SEGMENT_HEADER_BYTES, SegmentHeader, all_zeros, data_range,
    seed_of,
};
use super::scan::{self, Tally};
use super::{Corruption, Settings};
use crate::model::record::Offset;

/// What opening a partition found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Segment files in use.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of these records.
    pub bytes: u64,
    /// Bytes behind the end of a segment that are no whole record: a write that a crash cut short.
    /// They stay where they are; the next record goes into a new segment.
    pub cut_bytes: u64,
    /// Offsets that are missing between others.
    pub gaps: Vec<Range<Offset>>,
    /// Bytes between sound records that no reader is led into.
    pub quarantined_bytes: u64,
    /// All that was found damaged.
    pub damage: Vec<Corruption>,
    /// Files set aside.
    pub set_aside: Vec<PathBuf>,
}

/// What is known of a segment file.
pub(super) struct Found {
    pub sequence: u64,
    pub identity: u64,
    pub path: PathBuf,
    pub file: FileId,
    pub map: Map,
    pub base: Offset,
    pub valid_end: Offset,
    pub tally: Tally,
    pub index: Vec<(Offset, u32)>,
    pub holes: Vec<Range<usize>>,
    pub sealed: bool,
    /// Nothing but zeros follows the records, and nothing is damaged: more may be appended.
    pub clean: bool,
    /// Damaged inside, or partly void: it never gets a footer.
    pub damaged: bool,
}

pub(super) enum Kind {
    Segment(Found),
    /// Prepared and never used.
    Blank(FileId, Map, u64),
    /// Set aside, with the reason.
    Useless(Corruption),
}

/// Everything in a directory.
pub(super) struct Directory {
    pub segments: Vec<Found>,
    /// Sequence, file, map and bytes of a prepared file behind the last segment.
    pub spare: Option<(u64, FileId, Map, u64)>,
    /// Prepared files that are of no use.
    pub stale: Vec<PathBuf>,
    pub next_sequence: u64,
    pub report: Report,
}

/// The sequence in a segment's file name.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// Reads a directory. `set_aside`: rename what is useless, else only report it.
pub(super) fn read(
    disk: &mut dyn Disk,
    dir: &Path,
    identity: Option<u64>,
    settings: &Settings,
    aside: Aside,
) -> io::Result<Directory> {
    let mut out = Directory {
        segments: Vec::new(),
        spare: None,
        stale: Vec::new(),
        next_sequence: 0,
        report: Report::default(),
    };
    for entry in disk.list(dir)? {
        let path = dir.join(&entry.name);
        if entry.name.ends_with(".new") {
            out.stale.push(path);
            continue;
        }
        let stem = entry.name.strip_suffix(".damaged").unwrap_or(&entry.name);
        let Some(sequence) = sequence_of(stem) else { continue };
        out.next_sequence = out.next_sequence.max(sequence + 1);
        if stem.len() != entry.name.len() || entry.kind == EntryKind::Directory {
            continue;
        }
        match examine(disk, &path, sequence, identity, settings.index_every_bytes, &mut out.report)?
        {
            Kind::Segment(found) => {
                out.drop_spare(disk);
                out.segments.push(found);
            }
            Kind::Blank(file, map, bytes) => {
                out.drop_spare(disk);
                out.spare = Some((sequence, file, map, bytes));
            }
            Kind::Useless(corruption) => {
                out.report.damage.push(corruption);
                if aside == Aside::Rename {
                    let to = dir.join(format!("{}.damaged", entry.name));
                    disk.rename(&path, &to)?;
                    out.report.set_aside.push(to);
                }
            }
        }
    }
    out.clip();
    out.add_up();
    Ok(out)
}

/// What is done with useless files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    Rename,
    Leave,
}

/// Removes left-overs of preparations, in the background.
pub(super) fn remove_stale(
    disk: &mut dyn Disk,
    tag: Tag,
    stale: &[PathBuf],
) -> Vec<super::disk::Ticket> {
    stale.iter().map(|path| disk.remove(tag, path)).collect()
}

impl Directory {
    /// A prepared file with something behind it is of no use any more.
    fn drop_spare(&mut self, disk: &mut dyn Disk) {
        if let Some((_, file, ..)) = self.spare.take() {
            disk.close(file);
        }
    }

    /// Leaves out what later segments declare void.
    fn clip(&mut self) {
        let mut limit = Offset::MAX;
        for found in self.segments.iter_mut().rev() {
            if found.tally.end > limit {
                let end = limit.max(found.base);
                let lost = found.tally.end - end;
                found.tally.records = found.tally.records.saturating_sub(lost);
                found.tally.end = end;
                (found.clean, found.damaged) = (false, true);
            }
            limit = limit.min(found.valid_end);
        }
    }

    fn add_up(&mut self) {
        let report = &mut self.report;
        let mut last: Option<&Found> = None;
        for found in &self.segments {
            report.segments += 1;
            report.records += found.tally.records;
            report.bytes += found.tally.data_end as u64;
            if let Some(last) = last {
                // Between valid end and base lie offsets that were reported as failed.
                let known = found.valid_end <= last.tally.end;
                if last.tally.end < found.base && !known {
                    report.gaps.push(last.tally.end..found.base);
                }
            }
            last = Some(found);
        }
    }
}

fn examine(
    disk: &mut dyn Disk,
    path: &Path,
    sequence: u64,
    identity: Option<u64>,
    index_every: usize,
    report: &mut Report,
) -> io::Result<Kind> {
    let file = disk.open(path)?;
    let map = disk.map(file)?;
    let bytes = map.len();
    let header_bytes = SEGMENT_HEADER_BYTES as u64;
    let useless = |disk: &mut dyn Disk, expected: &str, fault: Fault| {
        disk.close(file);
        Ok(Kind::Useless(Corruption::new(path, 0, expected, fault)))
    };
    if bytes < header_bytes + FOOTER_BYTES as u64 {
        return useless(disk, "a segment file", Fault::Short);
    }
    let header = SegmentHeader::decode(map.bytes(0..header_bytes).unwrap_or_default());
    let footer_at = bytes - FOOTER_BYTES as u64;
    let footer = Footer::decode(map.bytes(footer_at..bytes).unwrap_or_default());
    let foreign = header.ok().filter(|it| identity.is_some_and(|own| own != it.identity));
    if let Some(header) = foreign {
        return useless(disk, "a segment of this partition", Fault::Identity(header.identity));
    }
    let data = map.bytes(data_range(bytes)).unwrap_or_default();
    let first_block = data.get(..data.len().min(4096)).unwrap_or_default();
    let zeros = Some(Fault::Zeros);
    if header.err() == zeros && footer.err() == zeros && all_zeros(first_block) {
        return Ok(Kind::Blank(file, map, bytes));
    }
    if let (Ok(header), Ok(footer)) = (&header, &footer) {
        if let Some(found) = trusted(path, sequence, file, &map, header, footer) {
            return Ok(Kind::Segment(found));
        }
    }
    if header.is_err() && all_zeros(data) {
        return useless(disk, "a segment header", header.err().unwrap_or(Fault::Magic));
    }
    let own = header.as_ref().map_or(identity, |it| Some(it.identity));
    let Some(own) = own else {
        return useless(disk, "a segment header", header.err().unwrap_or(Fault::Magic));
    };
    let base = header.as_ref().ok().map(|it| it.base);
    let survey = scan::survey(data, seed_of(own), base, index_every);
    if header.is_err() && survey.tally.records == 0 {
        return useless(disk, "a segment header", header.err().unwrap_or(Fault::Magic));
    }
    let mut damage = Vec::new();
    if let Err(fault) = &header {
        damage.push(Corruption::new(path, 0, "a segment header", fault));
    }
    if let Err(fault) = footer.as_ref().map(|_| ()).or_else(|fault| match fault {
        Fault::Zeros => Ok(()),
        other => Err(other),
    }) {
        damage.push(Corruption::new(path, footer_at as usize, "a footer or zeros", fault));
    }
    for hole in &survey.holes {
        let at = SEGMENT_HEADER_BYTES + hole.found_at;
        damage.push(Corruption::record(path, at, hole.fault));
        report.quarantined_bytes += hole.range.len() as u64;
        if !hole.offsets.is_empty() {
            report.gaps.push(hole.offsets.clone());
        }
    }
    let damaged = !damage.is_empty();
    let mut clean = !damaged;
    if let Some((fault, at)) = survey.torn {
        clean = false;
        let rest = data.get(survey.tally.data_end..).unwrap_or_default();
        let last = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        report.cut_bytes += last as u64;
        damage.push(Corruption::record(path, SEGMENT_HEADER_BYTES + at, fault));
    }
    report.damage.extend(damage);
    let mut tally = survey.tally;
    let first = base.or(tally.first).unwrap_or(tally.end);
    tally.epoch = tally.epoch.max(header.as_ref().map_or(0, |it| it.epoch));
    Ok(Kind::Segment(Found {
        sequence,
        identity: own,
        path: path.into(),
        file,
        map: map.clone(),
        base: first,
        valid_end: header.map_or(first, |it| it.valid_end),
        tally,
        index: survey.index,
        holes: survey.holes.into_iter().map(|hole| hole.range).collect(),
        sealed: false,
        clean,
        damaged,
    }))
}

/// A sealed segment, if header and footer agree with each other and with the file.
fn trusted(
    path: &Path,
    sequence: u64,
    file: FileId,
    map: &Map,
    header: &SegmentHeader,
    footer: &Footer,
) -> Option<Found> {
    let range = data_range(map.len());
    let agree = header.sequence == sequence
        && footer.sequence == sequence
        && range.start <= footer.data_end
        && footer.data_end <= range.end
        && header.base <= footer.end;
    let tally = Tally {
        records: footer.records,
        first: (footer.records > 0).then_some(header.base),
        end: footer.end,
        data_end: usize::try_from(footer.data_end.checked_sub(range.start)?).ok()?,
        first_time: footer.first_time,
        last_time: footer.last_time,
        epoch: footer.epoch.max(header.epoch),
    };
    agree.then(|| Found {
        sequence,
        identity: header.identity,
        path: path.into(),
        file,
        map: map.clone(),
        base: header.base,
        valid_end: header.valid_end,
        tally,
        index: Vec::new(),
        holes: Vec::new(),
        sealed: true,
        clean: true,
        damaged: false,
    })
}

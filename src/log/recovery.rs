//! What a partition's directory holds, found out without changing a file that holds a record.
//!
//! Method: a segment with a sound header and footer is trusted (two blocks are read); any other is
//! walked ([`super::scan`]). What a later segment's header declares void is left out. Files without
//! a sound record are set aside under another name. Cost: the CRC of the unsealed segments' data;
//! for each sealed segment two page faults.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::disk::{Disk, Entry, EntryKind, FileId, Map, Tag};
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
    Blank(FileId, Map),
    /// Set aside, with the reason.
    Useless(Corruption),
}

/// A prepared file that was never used.
pub(super) struct Blank {
    pub sequence: u64,
    pub path: PathBuf,
    pub file: FileId,
    pub map: Map,
}

/// Everything in a directory.
pub(super) struct Directory {
    pub segments: Vec<Found>,
    /// A prepared file behind the last segment.
    pub spare: Option<Blank>,
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
    let entries = disk.list(dir)?;
    let identity = match identity {
        None => any_identity(disk, dir, &entries)?,
        known => known,
    };
    for entry in entries {
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
        let opened = Opened::at(disk, &path, sequence)?;
        match opened.examine(disk, identity, settings.index_every_bytes, &mut out.report) {
            Kind::Segment(found) => {
                out.drop_spare(disk);
                out.segments.push(found);
            }
            Kind::Blank(file, map) => {
                out.drop_spare(disk);
                out.spare = Some(Blank { sequence, path, file, map });
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

/// The identity that a sound header of the directory tells.
fn any_identity(disk: &mut dyn Disk, dir: &Path, entries: &[Entry]) -> io::Result<Option<u64>> {
    for entry in entries {
        if let Some(sequence) = sequence_of(&entry.name) {
            let opened = Opened::at(disk, &dir.join(&entry.name), sequence)?;
            disk.close(opened.file);
            if let Ok(header) = opened.header {
                return Ok(Some(header.identity));
            }
        }
    }
    Ok(None)
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
        let Some(Blank { path, file, map, .. }) = self.spare.take() else { return };
        disk.close(file);
        if map.bytes(0..map.len()).is_some_and(all_zeros) {
            self.stale.push(path);
        } else {
            self.report.damage.push(Corruption::new(&path, 0, "a segment header", Fault::Zeros));
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

/// A file with its two end blocks read.
struct Opened {
    path: PathBuf,
    sequence: u64,
    file: FileId,
    map: Map,
    header: Result<SegmentHeader, Fault>,
    footer: Result<Footer, Fault>,
}

impl Opened {
    fn at(disk: &mut dyn Disk, path: &Path, sequence: u64) -> io::Result<Self> {
        let file = disk.open(path)?;
        let map = disk.map(file).inspect_err(|_| disk.close(file))?;
        let bytes = map.len();
        let block = |from: u64, length: usize| {
            map.bytes(from..from.saturating_add(length as u64)).unwrap_or_default()
        };
        let header = SegmentHeader::decode(block(0, SEGMENT_HEADER_BYTES));
        let footer_at = bytes.saturating_sub(FOOTER_BYTES as u64);
        let footer = Footer::decode(block(footer_at, FOOTER_BYTES));
        Ok(Self { path: path.into(), sequence, file, header, footer, map })
    }

    fn data(&self) -> &[u8] {
        self.map.bytes(data_range(self.map.len())).unwrap_or_default()
    }

    fn useless(self, disk: &mut dyn Disk, expected: &str, fault: Fault) -> Kind {
        disk.close(self.file);
        Kind::Useless(Corruption::new(&self.path, 0, expected, fault))
    }

    fn examine(
        self,
        disk: &mut dyn Disk,
        identity: Option<u64>,
        index_every: usize,
        report: &mut Report,
    ) -> Kind {
        if self.map.len() < (SEGMENT_HEADER_BYTES + FOOTER_BYTES) as u64 {
            return self.useless(disk, "a segment file", Fault::Short);
        }
        let own = match self.header {
            Ok(header) if identity.is_some_and(|own| own != header.identity) => {
                let fault = Fault::Identity(header.identity);
                return self.useless(disk, "a segment of this partition", fault);
            }
            Ok(header) => Some(header.identity),
            Err(_) => identity,
        };
        let data = self.data();
        let first_block = data.get(..data.len().min(4096)).unwrap_or_default();
        let zeros = Some(Fault::Zeros);
        if self.header.err() == zeros && self.footer.err() == zeros && all_zeros(first_block) {
            return Kind::Blank(self.file, self.map);
        }
        if let Some(found) = self.trusted() {
            return Kind::Segment(found);
        }
        let fault = self.header.err();
        let survey = own.map(|own| {
            let base = self.header.ok().map(|it| it.base);
            (own, scan::survey(data, seed_of(own), base, index_every))
        });
        match (survey, fault) {
            (Some((own, survey)), fault) if fault.is_none() || survey.tally.records > 0 => {
                Kind::Segment(self.walked(own, survey, report))
            }
            (_, fault) => self.useless(disk, "a segment header", fault.unwrap_or(Fault::Magic)),
        }
    }

    /// A sealed segment, if header and footer agree with each other and with the file.
    fn trusted(&self) -> Option<Found> {
        let (header, footer) = (self.header.ok()?, self.footer.ok()?);
        let range = data_range(self.map.len());
        let agree = header.sequence == self.sequence
            && footer.sequence == self.sequence
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
            sequence: self.sequence,
            identity: header.identity,
            path: self.path.clone(),
            file: self.file,
            map: self.map.clone(),
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

    /// What is wrong with the end blocks of a segment that is not trusted.
    fn block_damage(&self) -> Vec<Corruption> {
        let footer_at = usize::try_from(self.map.len()).unwrap_or(0).saturating_sub(FOOTER_BYTES);
        let mut damage = Vec::new();
        match self.header {
            Err(fault) => damage.push(Corruption::new(&self.path, 0, "a segment header", fault)),
            Ok(header) if header.sequence != self.sequence => {
                damage.push(Corruption::new(&self.path, 24, "the file's number", header.sequence));
            }
            Ok(_) => {}
        }
        match self.footer {
            Err(Fault::Zeros) => {}
            Err(fault) => {
                damage.push(Corruption::new(&self.path, footer_at, "a footer or zeros", fault));
            }
            Ok(footer) if self.header.is_ok() => {
                damage.push(Corruption::new(&self.path, footer_at, "its own footer", footer));
            }
            Ok(_) => {}
        }
        damage
    }

    fn walked(&self, identity: u64, survey: scan::Survey, report: &mut Report) -> Found {
        let mut damage = self.block_damage();
        for hole in &survey.holes {
            let at = SEGMENT_HEADER_BYTES + hole.found_at;
            damage.push(Corruption::record(&self.path, at, hole.fault));
            report.quarantined_bytes += hole.range.len() as u64;
            if !hole.offsets.is_empty() {
                report.gaps.push(hole.offsets.clone());
            }
        }
        let damaged = !damage.is_empty();
        if let Some((fault, at)) = survey.torn {
            let rest = self.data().get(survey.tally.data_end..).unwrap_or_default();
            let last = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            report.cut_bytes += last as u64;
            damage.push(Corruption::record(&self.path, SEGMENT_HEADER_BYTES + at, fault));
        }
        let clean = damage.is_empty();
        report.damage.extend(damage);
        let mut tally = survey.tally;
        let header = self.header.ok();
        let base = header.map(|it| it.base).or(tally.first).unwrap_or(tally.end);
        tally.epoch = tally.epoch.max(header.map_or(0, |it| it.epoch));
        Found {
            sequence: self.sequence,
            identity,
            path: self.path.clone(),
            file: self.file,
            map: self.map.clone(),
            base,
            valid_end: header.map_or(base, |it| it.valid_end),
            tally,
            index: survey.index,
            holes: survey.holes.into_iter().map(|hole| hole.range).collect(),
            sealed: false,
            clean,
            damaged,
        }
    }
}

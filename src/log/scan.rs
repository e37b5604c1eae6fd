//! Walks the records of a segment and tells what is sound, what is torn and what is damaged.
//!
//! Method: record after record while each follows the one before (offset, epoch, group); at the
//! first that does not, the rest is searched for one that does. What lies between is a hole: it
//! stays on disk and no reader is led into it. What has nothing sound behind it is the tail.
//! Invariant: an append of several records is whole or not in the result. Cost: the CRC of all
//! data, and one comparison with zero for what was never written.

use std::ops::Range;

use memchr::memmem;

use super::format::{
    FLAG_CONTINUES, FLAG_JOINED, Fault, RECORD_ALIGN, RECORD_HEADER_BYTES, RECORD_MAGIC,
    RecordHeader, all_zeros, record_bytes,
};
use super::stored;
use crate::model::record::Offset;

/// A record whose CRCs match.
#[derive(Clone, Debug)]
pub struct Located {
    /// Its header.
    pub header: RecordHeader,
    /// Where its archive lies in the bytes walked.
    pub payload: Range<usize>,
    /// Where the next record would start.
    pub next: usize,
}

impl Located {
    /// Whether it takes an offset (an epoch mark does not).
    #[must_use]
    pub fn counts(&self) -> bool {
        self.header.kind != stored::kind::EPOCH
    }
}

/// The record at a position: bounds, CRC of the header, CRC of the archive.
///
/// # Errors
/// What is wrong with the bytes there.
pub fn record_at(data: &[u8], at: usize, seed: u32) -> Result<Located, Fault> {
    let rest = data.get(at..).ok_or(Fault::Short)?;
    let header = RecordHeader::decode(rest, seed)?;
    let payload_bytes = header.payload_bytes as usize;
    let bytes = record_bytes(payload_bytes);
    let padded = rest.get(RECORD_HEADER_BYTES..bytes).ok_or(Fault::Short)?;
    header.check(padded)?;
    let start = at + RECORD_HEADER_BYTES;
    Ok(Located { header, payload: start..start + payload_bytes, next: at + bytes })
}

/// The first sound record at `from` or behind it that satisfies `accept`.
pub fn resync(
    data: &[u8],
    from: usize,
    seed: u32,
    accept: impl Fn(&RecordHeader) -> bool,
) -> Option<usize> {
    let mut at = from.next_multiple_of(RECORD_ALIGN);
    let finder = memmem::Finder::new(&RECORD_MAGIC);
    loop {
        at += finder.find(data.get(at..)?)?;
        if at.is_multiple_of(RECORD_ALIGN)
            && record_at(data, at, seed).is_ok_and(|found| accept(&found.header))
        {
            return Some(at);
        }
        at += 1;
    }
}

/// A range without sound records, with sound ones behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Bytes, relative to what was walked.
    pub range: Range<usize>,
    /// Offsets that are missing.
    pub offsets: Range<Offset>,
    /// What was wrong at `found_at`.
    pub fault: Fault,
    /// Where the first wrong record lies.
    pub found_at: usize,
}

/// What the sound records of a segment add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that take an offset.
    pub records: u64,
    /// Offset of the first, if any.
    pub first: Option<Offset>,
    /// One more than the last offset.
    pub end: Offset,
    /// Where the sound records end.
    pub data_end: usize,
    /// Time of the first record.
    pub first_time: i64,
    /// Greatest time.
    pub last_time: i64,
    /// Greatest epoch.
    pub epoch: u32,
}

/// Result of walking a segment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The sum of what is sound.
    pub tally: Tally,
    /// Positions for seeking: the first record, then one about every `index_every` bytes.
    pub index: Vec<(Offset, u32)>,
    /// Damage inside.
    pub holes: Vec<Hole>,
    /// What ended the walk, if the rest is not all zeros, and where.
    pub torn: Option<(Fault, usize)>,
}

struct Walk<'a> {
    data: &'a [u8],
    seed: u32,
    index_every: usize,
    survey: Survey,
    /// Tally and index length before an append whose end was not seen yet.
    open: Option<(Tally, usize)>,
    /// `None` until the first record is known.
    expected: Option<Offset>,
}

/// Walks `data`, the part of a segment that holds records.
///
/// `base` is the offset of the first record, if the header is sound.
#[must_use]
pub fn survey(data: &[u8], seed: u32, base: Option<Offset>, index_every: usize) -> Survey {
    let mut survey = Survey::default();
    survey.tally.end = base.unwrap_or(0);
    let mut walk = Walk { data, seed, index_every, survey, open: None, expected: base };
    let mut at = 0;
    loop {
        match walk.follow(at) {
            Ok(next) => at = next,
            Err(fault) => match walk.skip(at, fault) {
                Some(next) => at = next,
                None => return walk.survey,
            },
        }
    }
}

impl Walk<'_> {
    /// Takes the record at `at` if it follows; returns where the next one is.
    fn follow(&mut self, at: usize) -> Result<usize, Fault> {
        let found = record_at(self.data, at, self.seed)?;
        let header = &found.header;
        if self.expected.is_some_and(|expected| expected != header.offset) {
            return Err(Fault::Offset(header.offset));
        }
        if header.epoch < self.survey.tally.epoch {
            return Err(Fault::Epoch(header.epoch));
        }
        if (header.flags & FLAG_JOINED != 0) != self.open.is_some() {
            return Err(Fault::Group);
        }
        let payload = self.data.get(found.payload.clone()).ok_or(Fault::Short)?;
        stored::decode(header.kind, header.time, payload)?;
        self.take(at, &found);
        Ok(found.next)
    }

    fn take(&mut self, at: usize, found: &Located) {
        let header = &found.header;
        if header.flags & FLAG_CONTINUES == 0 {
            self.open = None;
        } else if self.open.is_none() {
            self.open = Some((self.survey.tally, self.survey.index.len()));
        }
        let tally = &mut self.survey.tally;
        tally.data_end = found.next;
        tally.epoch = header.epoch;
        tally.end = header.offset;
        if found.counts() {
            tally.end += 1;
            let last = self.survey.index.last().map(|(_, position)| *position as usize);
            if last.is_none_or(|last| at - last >= self.index_every) {
                self.survey.index.push((header.offset, u32::try_from(at).unwrap_or(u32::MAX)));
            }
            if tally.first.is_none() {
                tally.first = Some(header.offset);
                (tally.first_time, tally.last_time) = (header.time, header.time);
            }
            tally.records += 1;
            tally.last_time = tally.last_time.max(header.time);
        }
        self.expected = Some(tally.end);
    }

    /// Something does not follow at `at`: where to go on, or `None` at the end of what is sound.
    fn skip(&mut self, at: usize, fault: Fault) -> Option<usize> {
        let grouped = self.open.take();
        if let Some((tally, index)) = grouped {
            self.survey.tally = tally;
            self.survey.index.truncate(index);
        }
        let Tally { data_end: whole, end, epoch, .. } = self.survey.tally;
        let expected = self.expected.map(|_| end);
        if all_zeros(self.data.get(whole..).unwrap_or_default()) {
            return None;
        }
        let accept = |header: &RecordHeader| {
            expected.is_none_or(|expected| header.offset >= expected)
                && header.epoch >= epoch
                && header.flags & FLAG_JOINED == 0
        };
        // What was refused for its content would be found again: go past it.
        let from = if fault == Fault::Content { at + RECORD_ALIGN } else { at };
        let Some(next) = resync(self.data, from, self.seed, accept) else {
            self.survey.torn = Some((fault, at));
            return None;
        };
        let first = record_at(self.data, next, self.seed).ok()?.header.offset;
        let offsets = expected.unwrap_or(first)..first;
        self.survey.holes.push(Hole { range: whole..next, offsets, fault, found_at: at });
        self.survey.tally.end = first;
        self.survey.tally.data_end = next;
        self.expected = Some(first);
        Some(next)
    }
}

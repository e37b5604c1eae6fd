//! Opening a partition: what recovery found becomes the state to go on from.
//!
//! Method: appends go on in the last segment only if it is sound and nothing but zeros follows its
//! records; else in a new one, so that nothing on disk is ever overwritten. What is not sealed is
//! synced, then sealed if it was left behind. Invariant: a record is served as durable only after a
//! sync of this process or under a footer.

use std::io;
use std::path::Path;

use super::super::disk::{Disk, Tag};
use super::super::recovery::{self, Aside, Blank, Directory, Found, Report};
use super::super::view::{PartitionView, SegmentParts, SegmentView};
use super::super::watermark::Watermarks;
use super::super::{Durability, Settings};
use super::{Op, Partition, Segment, Spare, Stage, empty};

impl Partition {
    /// Opens the partition in `dir`, or creates it there.
    ///
    /// `identity` must be another for each partition of a data directory and the same each time;
    /// `tag` comes back with every completion.
    ///
    /// # Errors
    /// The directory cannot be created or read, or a file in it not be opened. Damage is no error.
    pub fn open(
        disk: &mut dyn Disk,
        dir: &Path,
        identity: u64,
        tag: Tag,
        settings: Settings,
    ) -> io::Result<(Self, Report)> {
        let mut it = empty(dir, identity, tag, settings);
        let found = match recovery::read(disk, dir, Some(identity), &settings, Aside::Rename) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.create_dir(dir)?;
                return Ok((it, Report::default()));
            }
            found => found?,
        };
        let report = found.report.clone();
        it.adopt(disk, found);
        Ok((it, report))
    }

    fn adopt(&mut self, disk: &mut dyn Disk, found: Directory) {
        self.next_sequence = found.next_sequence;
        for ticket in recovery::remove_stale(disk, self.tag, &found.stale) {
            self.ops.insert(ticket, Op::Remove);
        }
        if let Some(Blank { sequence, file, map, .. }) = found.spare {
            let bytes = map.len();
            self.spare = Spare::Ready { file, map, sequence, bytes };
        }
        let Some(last) = found.segments.last() else { return };
        let last_sequence = last.sequence;
        let end = found.segments.iter().map(|it| it.tally.end).max().unwrap_or(0);
        let sealed = found.segments.iter().take_while(|it| it.sealed).map(|it| it.tally.end).max();
        let epoch = found.segments.iter().map(|it| it.tally.epoch).max().unwrap_or(0);
        self.start = found.segments.iter().map(|it| it.base).min().unwrap_or(0);
        self.stamp.epoch = epoch + 1;
        let all_sealed = found.segments.iter().all(|it| it.sealed);
        let synced = if all_sealed { end } else { sealed.unwrap_or(self.start) };
        self.marks = Watermarks::recovered(end, synced.min(end));
        self.recovered_end = end;
        self.view = PartitionView::new(self.start, end, self.acknowledged());
        if last.tally.end < end {
            // The last one is void as far as it goes; an older one knows the end.
            self.valid_end = Some(end);
        }
        let bytes = last.map.len();
        self.next_bytes = bytes.clamp(
            self.settings.segment_bytes_min,
            self.settings.segment_bytes_max.max(self.settings.segment_bytes_min),
        );
        for it in found.segments {
            let is_last = it.sequence == last_sequence;
            let segment = self.adopt_segment(disk, it, is_last, end);
            self.segments.push_back(segment);
        }
        self.publish_segments();
    }

    fn adopt_segment(
        &mut self,
        disk: &mut dyn Disk,
        found: Found,
        is_last: bool,
        end: u64,
    ) -> Segment {
        let stage = match (found.sealed, is_last && found.clean && found.tally.end == end) {
            (true, _) => Stage::Closed,
            (false, true) => Stage::Active,
            (false, false) => Stage::Retired,
        };
        let sequence = found.sequence;
        if found.sealed {
            disk.close(found.file);
        } else if self.settings.durability == Durability::Group {
            let ticket = disk.sync(self.tag, found.file);
            self.ops.insert(ticket, Op::RecoverySync { segment: sequence });
        }
        let tally = found.tally;
        let last_index = found.index.last().map(|(_, at)| *at as usize);
        let view = SegmentView::new(SegmentParts {
            path: found.path.clone(),
            map: found.map.clone(),
            seed: self.stamp.seed,
            base: found.base,
            end: tally.end,
            data_end: tally.data_end,
            index: found.index,
            index_every: self.settings.index_every_bytes,
            holes: found.holes.clone(),
        });
        Segment {
            sequence,
            path: found.path,
            file: (!found.sealed).then_some(found.file),
            file_bytes: found.map.len(),
            stage,
            base: found.base,
            valid_end: found.valid_end,
            end: tally.end,
            records: tally.records,
            first_time: tally.first_time,
            last_time: tally.last_time,
            data_end: tally.data_end,
            position: tally.data_end,
            epoch: tally.epoch,
            unsound: found.damaged,
            last_index,
            view,
        }
    }
}

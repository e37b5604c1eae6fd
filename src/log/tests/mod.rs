//! Tests of the log: a driver over the disks in memory, and one file for each subject.

use std::path::Path;

use super::disk::{Disk, Done, Tag};
use super::{Cursor, Durability, Event, Partition, PartitionView, Refusal, Report, Settings, UpTo};
use crate::model::record::{Body, Offset, Record};

mod catalog;
mod crash;
mod damage;
mod failing;
mod golden;
mod position;
mod round;

const DIR: &str = "/data/topics/1/p0";
const IDENTITY: u64 = 7;

/// Small segments, so that everything happens often.
fn small(durability: Durability) -> Settings {
    Settings {
        segment_bytes_min: 8 << 10,
        segment_bytes_max: 16 << 10,
        unacknowledged_bytes_max: 64 << 10,
        write_bytes_max: 1 << 10,
        index_every_bytes: 512,
        ..Settings::new(durability)
    }
}

/// A partition with its disk and what it told.
struct Driver<D> {
    disk: D,
    log: Partition,
    events: Vec<Event>,
    acknowledged: Offset,
    failed: Vec<std::ops::Range<Offset>>,
    polls: u64,
}

impl<D: Disk> Driver<D> {
    fn open(mut disk: D, settings: Settings) -> std::io::Result<(Self, Report)> {
        let opened = Partition::open(&mut disk, Path::new(DIR), IDENTITY, Tag(1), settings)?;
        let (mut log, report) = opened;
        log.gather();
        let (events, failed) = (Vec::new(), Vec::new());
        let driver = Self { disk, log, events, acknowledged: 0, failed, polls: 0 };
        Ok((driver, report))
    }

    /// Appends one record of that text.
    fn append(&mut self, text: &str) -> Result<Offset, Refusal> {
        self.append_many(&[text])
    }

    fn append_many(&mut self, texts: &[&str]) -> Result<Offset, Refusal> {
        let records: Vec<Record<'_>> = texts.iter().map(|text| json(text)).collect();
        self.log.append(&records).map(|it| it.first)
    }

    fn turn(&mut self) {
        self.log.seal_turn(&mut self.disk, &mut self.events);
        self.poll();
    }

    fn poll(&mut self) {
        let mut done: Vec<Done> = Vec::new();
        self.disk.poll(&mut done);
        for it in &done {
            assert!(self.log.on_done(&mut self.disk, it, &mut self.events));
        }
        self.polls += 1;
        if self.log.is_held() && self.polls.is_multiple_of(3) {
            self.log.release(&mut self.disk, &mut self.events);
        }
        for event in &self.events {
            match event {
                Event::Acknowledged { below } => {
                    assert!(*below >= self.acknowledged, "acknowledgements go back");
                    self.acknowledged = *below;
                }
                Event::Failed { from, below, .. } => self.failed.push(*from..*below),
                _ => {}
            }
        }
        self.events.clear();
    }

    /// Ends the turn and waits for all.
    fn settle(&mut self) {
        self.turn();
        for _ in 0..10_000 {
            if self.log.is_idle() {
                return;
            }
            self.poll();
        }
        panic!("does not come to rest: {:?}", self.log);
    }

    fn is_failed(&self, offset: Offset) -> bool {
        self.failed.iter().any(|range| range.contains(&offset))
    }

    fn read(&self) -> Vec<(Offset, String)> {
        read(self.log.view(), UpTo::Written)
    }
}

fn json(text: &str) -> Record<'_> {
    Record { time: 5, producer: 3, body: Body::Json(text.as_bytes()) }
}

/// The text of record `number`: long enough to cross sectors, each its own.
fn text(number: u64) -> String {
    let fill = "x".repeat((number % 7) as usize * 41);
    format!("{{\"n\":{number},\"fill\":\"{fill}\"}}")
}

fn read(view: &std::sync::Arc<PartitionView>, up_to: UpTo) -> Vec<(Offset, String)> {
    let mut cursor = Cursor::new(std::sync::Arc::clone(view), 0);
    let mut all = Vec::new();
    while let Some(chunk) = cursor.next_batch(1000, up_to) {
        for (offset, record) in chunk.iter() {
            let Body::Json(text) = record.body else { panic!("not what was written") };
            all.push((offset, String::from_utf8(text.to_vec()).expect("text")));
        }
    }
    all
}

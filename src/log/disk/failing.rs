//! A disk in memory whose Nth operation fails, and by choice all after it.
//!
//! Method: every call but `list`, `close` and `poll` counts. A failed operation has no effect, but
//! that a short write writes half, and that what a failed sync should have saved is lost for good.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::memory::MemoryDisk;
use super::{Disk, Done, Entry, Extent, FileId, Fill, Map, Tag, Ticket};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// With that error.
    Error(ErrorKind),
    /// A write writes half of its bytes; other operations fail with an I/O error.
    Short,
}

/// Which operations fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Only the Nth.
    Once,
    /// The Nth and so many after it.
    Then(u64),
    /// The Nth and all after it.
    Always,
}

/// See the module.
#[derive(Debug)]
pub struct FailingDisk {
    inner: MemoryDisk,
    at: u64,
    failure: Failure,
    span: Span,
    count: u64,
    done: Vec<Done>,
}

impl FailingDisk {
    /// Lets operation number `at`, counted from 0, fail.
    #[must_use]
    pub fn new(inner: MemoryDisk, at: u64, failure: Failure, span: Span) -> Self {
        Self { inner, at, failure, span, count: 0, done: Vec::new() }
    }

    /// How many operations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The disk below.
    #[must_use]
    pub fn inner(&self) -> &MemoryDisk {
        &self.inner
    }

    /// From here on nothing fails.
    pub fn heal(&mut self) {
        self.at = u64::MAX;
    }

    fn fails(&mut self) -> Option<Failure> {
        let number = self.count;
        self.count += 1;
        let end = match self.span {
            Span::Once => self.at.saturating_add(1),
            Span::Then(more) => self.at.saturating_add(1 + more),
            Span::Always => u64::MAX,
        };
        (self.at..end).contains(&number).then_some(self.failure)
    }

    fn now(&mut self) -> io::Result<()> {
        match self.fails() {
            Some(failure) => Err(failure.kind().into()),
            None => Ok(()),
        }
    }

    fn failed(&mut self, tag: Tag, failure: Failure) -> Ticket {
        let ticket = self.inner.ticket();
        self.done.push(Done { ticket, tag, result: Err(failure.kind().into()) });
        ticket
    }
}

impl Failure {
    fn kind(self) -> ErrorKind {
        match self {
            Self::Error(kind) => kind,
            Self::Short => ErrorKind::Other,
        }
    }
}

impl Disk for FailingDisk {
    fn list(&mut self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.now()?;
        self.inner.create_dir(dir)
    }

    fn open(&mut self, path: &Path) -> io::Result<FileId> {
        self.now()?;
        self.inner.open(path)
    }

    fn map(&mut self, file: FileId) -> io::Result<Map> {
        self.now()?;
        self.inner.map(file)
    }

    fn close(&mut self, file: FileId) {
        self.inner.close(file);
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.now()?;
        self.inner.rename(from, to)
    }

    fn prepare(&mut self, tag: Tag, path: &Path, bytes: u64, fill: Fill) -> Ticket {
        match self.fails() {
            Some(failure) => self.failed(tag, failure),
            None => self.inner.prepare(tag, path, bytes, fill),
        }
    }

    fn write(&mut self, tag: Tag, file: FileId, at: u64, bytes: Extent) -> Ticket {
        match self.fails() {
            Some(Failure::Short) => {
                let half = bytes.as_ref().get(..bytes.len() / 2).unwrap_or_default().to_vec();
                self.inner.write(tag, file, at, half.into())
            }
            Some(failure) => self.failed(tag, failure),
            None => self.inner.write(tag, file, at, bytes),
        }
    }

    fn sync(&mut self, tag: Tag, file: FileId) -> Ticket {
        match self.fails() {
            Some(failure) => {
                self.inner.lose(file);
                self.failed(tag, failure)
            }
            None => self.inner.sync(tag, file),
        }
    }

    fn remove(&mut self, tag: Tag, path: &Path) -> Ticket {
        match self.fails() {
            Some(failure) => self.failed(tag, failure),
            None => self.inner.remove(tag, path),
        }
    }

    fn poll(&mut self, done: &mut Vec<Done>) {
        done.append(&mut self.done);
        self.inner.poll(done);
    }
}

//! The disk of a shard: writes go into the page cache at once, syncs are made by helper threads,
//! and what is slow (preparing and removing files) by one more.
//!
//! Why writes are made at once: they are buffered, into space that is prepared, and so a copy of
//! memory (12-15 us for 64 KiB). Why syncs go to threads and not through a ring: see
//! [`crate::sys`]. A helper syncs by the same open file that was written to, so that what the
//! system reports of a failed write-back is reported to that sync. Several helpers, because a shard
//! syncs several files at once where several topics are written, and the disk merges the flushes of
//! concurrent syncs.
//!
//! A sync that is submitted has every completed write before it: writes return before they are
//! counted as written. Each operation leaves its outcome in a list; helpers ring a bell in the
//! shard's epoll set, and the shard takes the lists once a turn.

use super::{Disk, Done, Entry, EntryKind, Extent, FileId, Fill, Map, Tag, Ticket};
use crate::sys::files;
use crate::sys::helpers::Helpers;
use crate::sys::net::Bell;
use ahash::AHashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Bytes of zeros written at once when a file is prepared.
const ZEROS_BYTES: usize = 512 << 10;
/// Pause between two such writes.
const ZEROS_PAUSE: Duration = Duration::from_micros(500);
/// Syncs at once.
const SYNCS_MAX: usize = 4;
/// Longest pause while the end of what is under way is waited for.
const SETTLE_PAUSE: Duration = Duration::from_micros(200);

/// What the operations did since the last look, for the metrics.
#[derive(Debug, Default)]
struct Tally {
    writes: u64,
    /// Nanoseconds of each sync.
    syncs: Vec<u64>,
}

/// See the module's page.
#[derive(Debug)]
pub struct ThreadDisk {
    files: AHashMap<FileId, Arc<File>>,
    next: u64,
    done: Vec<Done>,
    under_way: AHashMap<u64, Tag>,
    syncs: Helpers,
    slow: Helpers,
    bell: Arc<Bell>,
    tally: Tally,
    last_sync_ns: u64,
}

impl ThreadDisk {
    /// No file open, no thread started.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        Ok(Self {
            files: AHashMap::new(),
            next: 0,
            done: Vec::new(),
            under_way: AHashMap::new(),
            syncs: Helpers::new("weir-sync", SYNCS_MAX, Arc::clone(&bell)),
            slow: Helpers::new("weir-files", 1, Arc::clone(&bell)),
            bell,
            tally: Tally::default(),
            last_sync_ns: 0,
        })
    }

    /// Operations that have not completed.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// What rings when something has completed.
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Whether completions wait to be taken.
    #[must_use]
    pub fn has_done(&self) -> bool {
        !self.done.is_empty() || self.syncs.has_ended() || self.slow.has_ended()
    }

    /// What was done since the last call: writes, and the durations of syncs.
    #[must_use]
    pub fn take_tally(&mut self) -> (u64, Vec<u64>) {
        let tally = std::mem::take(&mut self.tally);
        (tally.writes, tally.syncs)
    }

    /// How long the last sync took, in nanoseconds.
    #[must_use]
    pub fn last_sync_ns(&self) -> u64 {
        self.last_sync_ns
    }

    /// Waits until nothing is under way, at the end of the shard.
    pub fn settle(&mut self) {
        let mut done = Vec::new();
        while self.under_way() > 0 {
            self.poll(&mut done);
            thread::sleep(SETTLE_PAUSE);
        }
    }

    fn begin(&mut self, tag: Tag) -> u64 {
        self.next += 1;
        self.under_way.insert(self.next, tag);
        self.next
    }

    fn slowly(
        &mut self,
        tag: Tag,
        work: impl FnOnce() -> io::Result<usize> + Send + 'static,
    ) -> Ticket {
        let number = self.begin(tag);
        self.slow.give(number, work);
        Ticket(number)
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}

fn build(path: &Path, bytes: u64, fill: Fill) -> io::Result<usize> {
    if path.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let part = PathBuf::from(name);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part)?;
    let made = fill_file(&file, bytes, fill).and_then(|()| file.sync_all());
    if let Err(error) = made {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    fs::rename(&part, path)?;
    sync_parent(path)?;
    Ok(0)
}

fn fill_file(mut file: &File, bytes: u64, fill: Fill) -> io::Result<()> {
    files::allocate(file, bytes)?;
    if fill == Fill::Written {
        let zeros = vec![0; ZEROS_BYTES.min(bytes as usize)];
        let mut left = bytes;
        while left > 0 {
            let count = left.min(zeros.len() as u64);
            file.write_all(&zeros[..count as usize])?;
            left -= count;
            if left > 0 {
                // In small steps, so that the syncs of those who wait do not queue behind it all.
                file.sync_data()?;
                thread::sleep(ZEROS_PAUSE);
            }
        }
    }
    Ok(())
}

impl Disk for ThreadDisk {
    fn list(&mut self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut list = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let data = entry.metadata()?;
            let kind =
                if data.is_dir() { EntryKind::Directory } else { EntryKind::File(data.len()) };
            list.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), kind });
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        let mut at = Some(dir);
        while let Some(path) = at.filter(|path| !path.as_os_str().is_empty() && !path.exists()) {
            missing.push(path.to_owned());
            at = path.parent();
        }
        fs::create_dir_all(dir)?;
        missing.iter().rev().try_for_each(|path| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
            _ => Ok(()),
        })
    }

    fn open(&mut self, path: &Path) -> io::Result<FileId> {
        let plain = OpenOptions::new().read(true).write(true).open(path)?;
        self.next += 1;
        let id = FileId(self.next);
        self.files.insert(id, Arc::new(plain));
        Ok(id)
    }

    fn map(&mut self, file: FileId) -> io::Result<Map> {
        let open = self.files.get(&file).ok_or(io::ErrorKind::NotFound)?;
        Map::of(open)
    }

    fn close(&mut self, file: FileId) {
        // A helper that still syncs it holds it open.
        self.files.remove(&file);
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if to.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(from, to)?;
        sync_parent(to)
    }

    fn prepare(&mut self, tag: Tag, path: &Path, bytes: u64, fill: Fill) -> Ticket {
        let path = path.to_owned();
        self.slowly(tag, move || build(&path, bytes, fill))
    }

    fn write(&mut self, tag: Tag, file: FileId, at: u64, bytes: Extent) -> Ticket {
        self.next += 1;
        let ticket = Ticket(self.next);
        let result = match self.files.get(&file) {
            Some(open) => open.write_at(bytes.as_ref(), at),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        self.tally.writes += 1;
        self.done.push(Done { ticket, tag, result });
        ticket
    }

    fn sync(&mut self, tag: Tag, file: FileId) -> Ticket {
        let number = self.begin(tag);
        let found = self.files.get(&file).map(Arc::clone);
        self.syncs.give(number, move || match found {
            Some(open) => open.sync_data().map(|()| 0),
            None => Err(io::ErrorKind::NotFound.into()),
        });
        Ticket(number)
    }

    fn remove(&mut self, tag: Tag, path: &Path) -> Ticket {
        let path = path.to_owned();
        self.slowly(tag, move || {
            if path.is_dir() {
                fs::remove_dir_all(&path)?
            } else {
                fs::remove_file(&path)?
            }
            sync_parent(&path).map(|()| 0)
        })
    }

    fn poll(&mut self, done: &mut Vec<Done>) {
        done.append(&mut self.done);
        while let Some(ended) = self.syncs.next_ended() {
            self.last_sync_ns = ended.took_ns;
            self.tally.syncs.push(ended.took_ns);
            let tag = self.under_way.remove(&ended.number).expect("it was under way");
            done.push(Done { ticket: Ticket(ended.number), tag, result: ended.result });
        }
        while let Some(ended) = self.slow.next_ended() {
            let tag = self.under_way.remove(&ended.number).expect("it was under way");
            done.push(Done { ticket: Ticket(ended.number), tag, result: ended.result });
        }
    }
}

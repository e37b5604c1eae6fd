//! The disk of a shard: syncs go through its ring, writes into the page cache are made at once, and
//! what blocks goes to a helper thread.
//!
//! Why writes do not go through the ring: they are buffered, into space that is prepared, and so a
//! copy of memory (12-15 us for 64 KiB); glommio gives an operation to the kernel only when its
//! executor has nothing else to do, so a shard that spins would wait out its whole spin for each
//! write (measured: 17 us instead of 410 us for an acknowledged insert). A sync really waits; the
//! shard then blocks in the ring at once, which submits it.
//!
//! Each operation leaves its outcome in a list; the shard takes the list once a turn.

use super::{Disk, Done, Entry, EntryKind, Extent, FileId, Fill, Map, Tag, Ticket};
use crate::sys::clock::monotonic_ns;
use crate::sys::files;
use crate::sys::executor::{self, RingFile, Wake};
use ahash::AHashMap;
use std::cell::{Cell, RefCell};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

/// Bytes of zeros written at once when a file is prepared.
const ZEROS_BYTES: usize = 512 << 10;
/// Pause between two such writes.
const ZEROS_PAUSE: Duration = Duration::from_micros(500);

/// What the operations did, for the metrics.
#[derive(Debug, Default)]
pub struct Tally {
    /// Writes completed.
    pub writes: Cell<u64>,
    /// Durations of the syncs that completed, in nanoseconds, since the last look.
    pub syncs: RefCell<Vec<u64>>,
}

#[derive(Debug, Default)]
struct State {
    done: RefCell<Vec<Done>>,
    under_way: Cell<usize>,
    tally: Tally,
    wake: Wake,
}

impl State {
    fn complete(&self, ticket: Ticket, tag: Tag, result: io::Result<usize>) {
        self.under_way.set(self.under_way.get() - 1);
        self.done.borrow_mut().push(Done { ticket, tag, result });
        self.wake.wake();
    }
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    plain: File,
    ring: Rc<RefCell<Option<RingFile>>>,
}

/// See the module's page. Lives inside an executor.
#[derive(Debug, Default)]
pub struct ThreadDisk {
    state: Rc<State>,
    files: AHashMap<FileId, OpenFile>,
    next: u64,
}

impl ThreadDisk {
    /// Operations that have not completed.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.state.under_way.get()
    }

    /// What is woken by each completion.
    #[must_use]
    pub fn wake(&self) -> &Wake {
        &self.state.wake
    }

    /// Whether completions wait to be taken.
    #[must_use]
    pub fn has_done(&self) -> bool {
        !self.state.done.borrow().is_empty()
    }

    /// What was done since the last call: writes, and the durations of syncs.
    #[must_use]
    pub fn take_tally(&self) -> (u64, Vec<u64>) {
        let syncs = std::mem::take(&mut *self.state.tally.syncs.borrow_mut());
        (self.state.tally.writes.take(), syncs)
    }

    fn begin(&mut self) -> Ticket {
        self.next += 1;
        self.state.under_way.set(self.state.under_way.get() + 1);
        Ticket(self.next)
    }

    fn file(&self, file: FileId) -> Option<(PathBuf, Rc<RefCell<Option<RingFile>>>)> {
        self.files.get(&file).map(|open| (open.path.clone(), Rc::clone(&open.ring)))
    }

    fn in_background(
        &mut self,
        tag: Tag,
        work: impl FnOnce() -> io::Result<usize> + Send + 'static,
    ) -> Ticket {
        let ticket = self.begin();
        let state = Rc::clone(&self.state);
        executor::spawn(async move {
            let result = executor::blocking(work).await;
            state.complete(ticket, tag, result);
        });
        ticket
    }
}

/// The ring's handle of a file, opened when it is first written.
async fn handle(path: &Path, slot: &RefCell<Option<RingFile>>) -> io::Result<RingFile> {
    if let Some(file) = &*slot.borrow() {
        return Ok(file.clone());
    }
    let opened = RingFile::open(path).await?;
    Ok(slot.borrow_mut().get_or_insert(opened).clone())
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
        let open = OpenFile { path: path.to_owned(), plain, ring: Rc::default() };
        self.files.insert(id, open);
        Ok(id)
    }

    fn map(&mut self, file: FileId) -> io::Result<Map> {
        let open = self.files.get(&file).ok_or(io::ErrorKind::NotFound)?;
        Map::of(&open.plain)
    }

    fn close(&mut self, file: FileId) {
        let Some(open) = self.files.remove(&file) else { return };
        executor::spawn(async move {
            let ring = open.ring.borrow_mut().take();
            if let Some(ring) = ring {
                ring.close().await;
            }
        });
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
        self.in_background(tag, move || build(&path, bytes, fill))
    }

    fn write(&mut self, tag: Tag, file: FileId, at: u64, bytes: Extent) -> Ticket {
        let ticket = self.begin();
        let result = match self.files.get(&file) {
            Some(open) => open.plain.write_at(bytes.as_ref(), at),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        self.state.tally.writes.set(self.state.tally.writes.get() + 1);
        self.state.complete(ticket, tag, result);
        ticket
    }

    fn sync(&mut self, tag: Tag, file: FileId) -> Ticket {
        let ticket = self.begin();
        let (state, found) = (Rc::clone(&self.state), self.file(file));
        executor::spawn(async move {
            let begun = monotonic_ns();
            let result = match found {
                None => Err(io::ErrorKind::NotFound.into()),
                Some((path, slot)) => match handle(&path, &slot).await {
                    Ok(file) => file.sync().await.map(|()| 0),
                    Err(error) => Err(error),
                },
            };
            state.tally.syncs.borrow_mut().push(monotonic_ns() - begun);
            state.complete(ticket, tag, result);
        });
        ticket
    }

    fn remove(&mut self, tag: Tag, path: &Path) -> Ticket {
        let path = path.to_owned();
        self.in_background(tag, move || {
            if path.is_dir() {
                fs::remove_dir_all(&path)?
            } else {
                fs::remove_file(&path)?
            }
            sync_parent(&path).map(|()| 0)
        })
    }

    fn poll(&mut self, done: &mut Vec<Done>) {
        done.append(&mut self.state.done.borrow_mut());
    }
}

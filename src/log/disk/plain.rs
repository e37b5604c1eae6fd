//! A disk of ordinary files with blocking calls: for tools, tests, and kernels without a ring.
//!
//! Method: an operation is done when it is submitted; [`Disk::poll`] only hands out the results.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Disk, Done, Entry, EntryKind, Extent, FileId, Fill, Map, Tag, Ticket};

/// Files of the operating system, used directly.
#[derive(Debug, Default)]
pub struct PlainDisk {
    files: Vec<Option<File>>,
    tickets: u64,
    done: Vec<Done>,
    read_only: bool,
}

impl PlainDisk {
    /// Reads and writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses everything that would change something.
    #[must_use]
    pub fn read_only() -> Self {
        Self { read_only: true, ..Self::default() }
    }

    fn complete(&mut self, tag: Tag, run: impl FnOnce(&Self) -> io::Result<usize>) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let result = if self.read_only { Err(denied()) } else { run(self) };
        self.done.push(Done { ticket, tag, result });
        ticket
    }

    fn file(&self, file: FileId) -> io::Result<&File> {
        let index = usize::try_from(file.0).unwrap_or(usize::MAX);
        self.files.get(index).and_then(Option::as_ref).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn changes(&self) -> io::Result<()> {
        if self.read_only { Err(denied()) } else { Ok(()) }
    }
}

fn denied() -> io::Error {
    ErrorKind::PermissionDenied.into()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn prepare(path: &Path, bytes: u64) -> io::Result<usize> {
    if path.exists() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let name = PathBuf::from(name);
    let mut file = File::create(&name)?;
    let zeros = vec![0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(zeros.len() as u64);
        file.write_all(zeros.get(..usize::try_from(now).unwrap_or(0)).unwrap_or_default())?;
        left -= now;
    }
    file.sync_all()?;
    fs::rename(&name, path)?;
    sync_parent(path)?;
    Ok(0)
}

impl Disk for PlainDisk {
    fn list(&mut self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let data = entry.metadata()?;
            let kind =
                if data.is_dir() { EntryKind::Directory } else { EntryKind::File(data.len()) };
            entries.push(Entry { name, kind });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.changes()?;
        if dir.is_dir() {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.create_dir(parent)?;
        }
        fs::create_dir(dir)?;
        sync_parent(dir)
    }

    fn open(&mut self, path: &Path) -> io::Result<FileId> {
        let file = OpenOptions::new().read(true).write(!self.read_only).open(path)?;
        let slot = self.files.iter().position(Option::is_none).unwrap_or(self.files.len());
        if slot == self.files.len() {
            self.files.push(None);
        }
        if let Some(place) = self.files.get_mut(slot) {
            *place = Some(file);
        }
        Ok(FileId(slot as u64))
    }

    fn map(&mut self, file: FileId) -> io::Result<Map> {
        Map::of(self.file(file)?)
    }

    fn close(&mut self, file: FileId) {
        let index = usize::try_from(file.0).unwrap_or(usize::MAX);
        if let Some(place) = self.files.get_mut(index) {
            *place = None;
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.changes()?;
        if to.exists() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        fs::rename(from, to)?;
        sync_parent(to)
    }

    fn prepare(&mut self, tag: Tag, path: &Path, bytes: u64, _fill: Fill) -> Ticket {
        self.complete(tag, |_| prepare(path, bytes))
    }

    fn write(&mut self, tag: Tag, file: FileId, at: u64, bytes: Extent) -> Ticket {
        self.complete(tag, |disk| disk.file(file)?.write_at(bytes.as_ref(), at))
    }

    fn sync(&mut self, tag: Tag, file: FileId) -> Ticket {
        self.complete(tag, |disk| disk.file(file)?.sync_data().map(|()| 0))
    }

    fn remove(&mut self, tag: Tag, path: &Path) -> Ticket {
        self.complete(tag, |_| {
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
            sync_parent(path).map(|()| 0)
        })
    }

    fn poll(&mut self, done: &mut Vec<Done>) {
        done.append(&mut self.done);
    }
}

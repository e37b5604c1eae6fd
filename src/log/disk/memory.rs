//! A disk in memory: completions in a seeded order, and images of what a loss of power may leave.
//!
//! Method: an operation takes effect when it completes, which is when a poll picks it. For each
//! file the durable content is kept beside the live one, with the writes since the last sync; an
//! image takes any sectors of those, and of the writes under way. Renames, preparations and
//! removals are atomic and durable when complete. Cost: a descriptor for each file, 512-byte steps
//! in an image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Disk, Done, Entry, EntryKind, Extent, FileId, Fill, Map, Tag, Ticket};
use crate::sys::map::memory_file;

const SECTOR: usize = 512;

/// Random numbers for tests: the same seed, the same numbers.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// Numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    /// The next number (splitmix64).
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_number() % bound as u64).unwrap_or(0)
    }
}

#[derive(Debug)]
struct Unsynced {
    number: u64,
    at: u64,
    bytes: Vec<u8>,
    /// A sync failed after it: a later one does not save it.
    lost: bool,
}

#[derive(Debug)]
struct MemoryFile {
    live: File,
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

impl MemoryFile {
    fn new(bytes: &[u8]) -> io::Result<Self> {
        let live = memory_file("weir-log")?;
        live.write_all_at(bytes, 0)?;
        Ok(Self { live, durable: bytes.to_vec(), unsynced: Vec::new() })
    }

    /// What a failed sync lost cannot come back where something newer is written.
    fn overwrite_lost(&mut self, at: u64, bytes: u64) {
        let end = at + bytes;
        let mut kept = Vec::new();
        for mut it in self.unsynced.drain(..) {
            let its_end = it.at + it.bytes.len() as u64;
            if it.lost && it.at < end && at < its_end {
                if its_end > end {
                    let from = usize::try_from(end.max(it.at) - it.at).unwrap_or(0);
                    let rest = it.bytes.get(from..).unwrap_or_default().to_vec();
                    let number = it.number;
                    kept.push(Unsynced { number, at: end.max(it.at), bytes: rest, lost: true });
                }
                it.bytes.truncate(usize::try_from(at.saturating_sub(it.at)).unwrap_or(0));
            }
            kept.push(it);
        }
        self.unsynced = kept;
    }

    fn content(&self) -> Vec<u8> {
        let bytes = self.live.metadata().map_or(0, |data| data.len());
        let mut content = vec![0; usize::try_from(bytes).unwrap_or(0)];
        self.live.read_exact_at(&mut content, 0).expect("memory can be read");
        content
    }
}

#[derive(Debug)]
enum Action {
    Prepare(PathBuf, u64),
    Write(FileId, u64, Extent),
    /// Saves the writes of the file below that number.
    Sync(FileId, u64),
    Remove(PathBuf),
}

/// See the module.
#[derive(Debug)]
pub struct MemoryDisk {
    files: BTreeMap<u64, MemoryFile>,
    names: BTreeMap<PathBuf, u64>,
    dirs: Vec<PathBuf>,
    open: BTreeMap<u64, u64>,
    pending: Vec<(Ticket, Tag, Action)>,
    random: Seeded,
    numbers: u64,
    /// Bytes of prepared files at most.
    capacity: u64,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            dirs: Vec::new(),
            open: BTreeMap::new(),
            pending: Vec::new(),
            random: Seeded::new(seed),
            numbers: 0,
            capacity: u64::MAX,
        }
    }

    /// Limits the bytes of all files together; more cannot be prepared.
    pub fn set_capacity(&mut self, bytes: u64) {
        self.capacity = bytes;
    }

    /// Operations that have not completed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// All files with what a reader sees in them.
    #[must_use]
    pub fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let content = |id| self.files.get(id).map(MemoryFile::content).unwrap_or_default();
        self.names.iter().map(|(path, id)| (path.clone(), content(id))).collect()
    }

    /// A disk that holds these files.
    ///
    /// # Panics
    /// Without memory.
    #[must_use]
    pub fn with_contents(seed: u64, files: Vec<(PathBuf, Vec<u8>)>) -> Self {
        let mut disk = Self::new(seed);
        for (path, bytes) in files {
            disk.add_dirs(path.parent());
            disk.insert(path, MemoryFile::new(&bytes).expect("memory for a file"));
        }
        disk
    }

    /// The disk as the killed process leaves it: what was written is there, what is under way not.
    #[must_use]
    pub fn killed(&self, seed: u64) -> Self {
        Self::with_contents(seed, self.contents())
    }

    /// The disk after a loss of power now: synced writes are there, of the others and of those
    /// under way any sectors.
    #[must_use]
    pub fn crashed(&self, seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let whole = random.below(4) == 0;
        let mut files = Vec::new();
        for (path, id) in &self.names {
            let Some(file) = self.files.get(id) else { continue };
            let mut image = file.durable.clone();
            let written = file.unsynced.iter().map(|it| (it.at, it.bytes.as_slice()));
            let under_way = self.pending.iter().filter_map(|(_, _, action)| match action {
                Action::Write(file, at, bytes) if self.open.get(&file.0) == Some(id) => {
                    Some((*at, bytes.as_ref()))
                }
                _ => None,
            });
            for (at, bytes) in written.chain(under_way) {
                apply_some(&mut image, at, bytes, &mut random, whole);
            }
            files.push((path.clone(), image));
        }
        Self::with_contents(seed, files)
    }

    /// A failed sync: what it would have saved is not saved by a later one either.
    pub(super) fn lose(&mut self, file: FileId) {
        if let Some(file) = self.open.get(&file.0).and_then(|id| self.files.get_mut(id)) {
            file.unsynced.iter_mut().for_each(|it| it.lost = true);
        }
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.numbers += 1;
        Ticket(self.numbers)
    }

    fn insert(&mut self, path: PathBuf, file: MemoryFile) {
        self.numbers += 1;
        self.files.insert(self.numbers, file);
        self.names.insert(path, self.numbers);
    }

    fn add_dirs(&mut self, dir: Option<&Path>) {
        for dir in dir.into_iter().flat_map(Path::ancestors) {
            if !self.dirs.iter().any(|it| it == dir) {
                self.dirs.push(dir.into());
            }
        }
    }

    fn submit(&mut self, tag: Tag, action: Action) -> Ticket {
        let ticket = self.ticket();
        self.pending.push((ticket, tag, action));
        ticket
    }

    fn live(&mut self, file: FileId) -> io::Result<&mut MemoryFile> {
        let id = self.open.get(&file.0).ok_or(ErrorKind::NotFound)?;
        self.files.get_mut(id).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn run(&mut self, action: Action) -> io::Result<usize> {
        match action {
            Action::Prepare(path, bytes) => {
                if self.names.contains_key(&path) {
                    return Err(ErrorKind::AlreadyExists.into());
                }
                let used: u64 = self.files.values().map(|it| it.durable.len() as u64).sum();
                if used + bytes > self.capacity {
                    return Err(ErrorKind::StorageFull.into());
                }
                let zeros = vec![0; usize::try_from(bytes).unwrap_or(0)];
                self.insert(path, MemoryFile::new(&zeros)?);
                Ok(0)
            }
            Action::Write(file, at, bytes) => {
                self.numbers += 1;
                let number = self.numbers;
                let file = self.live(file)?;
                file.live.write_all_at(bytes.as_ref(), at)?;
                file.overwrite_lost(at, bytes.len() as u64);
                let kept = bytes.as_ref().to_vec();
                file.unsynced.push(Unsynced { number, at, bytes: kept, lost: false });
                Ok(bytes.len())
            }
            Action::Sync(file, below) => {
                let file = self.live(file)?;
                for it in file.unsynced.iter().filter(|it| it.number < below && !it.lost) {
                    apply(&mut file.durable, it.at, &it.bytes);
                }
                file.unsynced.retain(|it| it.number >= below || it.lost);
                Ok(0)
            }
            Action::Remove(path) => {
                let gone: Vec<PathBuf> =
                    self.names.keys().filter(|name| name.starts_with(&path)).cloned().collect();
                for name in &gone {
                    if let Some(id) = self.names.remove(name) {
                        self.files.remove(&id);
                    }
                }
                self.dirs.retain(|dir| !dir.starts_with(&path));
                if gone.is_empty() { Err(ErrorKind::NotFound.into()) } else { Ok(0) }
            }
        }
    }
}

fn apply(image: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap_or(0);
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    if let Some(place) = image.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Applies a random choice of the sectors that a write touches, or all of them.
fn apply_some(image: &mut Vec<u8>, at: u64, bytes: &[u8], random: &mut Seeded, whole: bool) {
    let start = usize::try_from(at).unwrap_or(0);
    let all = whole && random.below(2) == 0;
    let mut from = start;
    while from < start + bytes.len() {
        let to = ((from / SECTOR + 1) * SECTOR).min(start + bytes.len());
        if all || random.below(2) == 0 {
            let part = bytes.get(from - start..to - start).unwrap_or_default();
            apply(image, from as u64, part);
        }
        from = to;
    }
}

impl Disk for MemoryDisk {
    fn list(&mut self, dir: &Path) -> io::Result<Vec<Entry>> {
        if !self.dirs.iter().any(|it| it == dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let name = |path: &Path| path.file_name().and_then(|it| it.to_str()).map(str::to_owned);
        let mut entries = Vec::new();
        for (path, id) in self.names.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            let Some(name) = name(path) else { continue };
            let bytes = self.files.get(id).map_or(0, |it| it.durable.len() as u64);
            entries.push(Entry { name, kind: EntryKind::File(bytes) });
        }
        for path in self.dirs.iter().filter(|path| path.parent() == Some(dir)) {
            let Some(name) = name(path) else { continue };
            entries.push(Entry { name, kind: EntryKind::Directory });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.add_dirs(Some(dir));
        Ok(())
    }

    fn open(&mut self, path: &Path) -> io::Result<FileId> {
        let id = *self.names.get(path).ok_or(ErrorKind::NotFound)?;
        self.numbers += 1;
        self.open.insert(self.numbers, id);
        Ok(FileId(self.numbers))
    }

    fn map(&mut self, file: FileId) -> io::Result<Map> {
        Map::of(&self.live(file)?.live)
    }

    fn close(&mut self, file: FileId) {
        let busy = self.pending.iter().any(|(_, _, action)| {
            matches!(action, Action::Write(it, ..) | Action::Sync(it, _) if *it == file)
        });
        if !busy {
            self.open.remove(&file.0);
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let gone: Vec<PathBuf> =
            self.names.keys().filter(|name| name.starts_with(from)).cloned().collect();
        for old in gone {
            let Ok(rest) = old.strip_prefix(from) else { continue };
            let new = if rest.as_os_str().is_empty() { to.into() } else { to.join(rest) };
            if let Some(id) = self.names.remove(&old) {
                self.names.insert(new, id);
            }
        }
        if self.dirs.iter().any(|dir| dir == from) {
            self.dirs.retain(|dir| !dir.starts_with(from));
            self.add_dirs(Some(to));
        }
        Ok(())
    }

    fn prepare(&mut self, tag: Tag, path: &Path, bytes: u64, _fill: Fill) -> Ticket {
        self.submit(tag, Action::Prepare(path.into(), bytes))
    }

    fn write(&mut self, tag: Tag, file: FileId, at: u64, bytes: Extent) -> Ticket {
        self.submit(tag, Action::Write(file, at, bytes))
    }

    fn sync(&mut self, tag: Tag, file: FileId) -> Ticket {
        self.numbers += 1;
        let below = self.numbers;
        self.submit(tag, Action::Sync(file, below))
    }

    fn remove(&mut self, tag: Tag, path: &Path) -> Ticket {
        self.submit(tag, Action::Remove(path.into()))
    }

    fn poll(&mut self, done: &mut Vec<Done>) {
        if self.pending.is_empty() {
            return;
        }
        for _ in 0..=self.random.below(self.pending.len()) {
            let index = self.random.below(self.pending.len());
            let (ticket, tag, action) = self.pending.swap_remove(index);
            let result = self.run(action);
            done.push(Done { ticket, tag, result });
        }
    }
}

//! The seam below the log: file operations that complete later, known by a ticket.
//!
//! Method: an operation is submitted and returns at once; its end is found by [`Disk::poll`]. What
//! is rare and quick (listing, opening, mapping, renaming) answers directly. One disk serves one
//! thread. Completions of different operations come in any order.
//!
//! Implementations: [`threads`] (the real one), [`plain`] (blocking files), [`memory`] (contents in
//! memory, completions in a seeded order, images of what a power loss may leave), [`failing`] (the
//! Nth operation fails).

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use crate::sys::map::Map;

pub mod failing;
pub mod memory;
pub mod plain;
pub mod threads;

/// One operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Whose operation it is; chosen by the user of the disk and returned with the completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u32);

/// An open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u64);

/// A completed operation.
#[derive(Debug)]
pub struct Done {
    /// What was returned when it was submitted.
    pub ticket: Ticket,
    /// What was given when it was submitted.
    pub tag: Tag,
    /// Bytes written; 0 for everything that is not a write.
    pub result: io::Result<usize>,
}

/// Bytes to be written: a range of a shared buffer.
#[derive(Clone, Debug)]
pub struct Extent {
    owner: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Extent {
    /// The part `range` of `owner`, clamped to it.
    #[must_use]
    pub fn new(owner: Arc<Vec<u8>>, range: Range<usize>) -> Self {
        let end = range.end.min(owner.len());
        Self { range: range.start.min(end)..end, owner }
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl AsRef<[u8]> for Extent {
    fn as_ref(&self) -> &[u8] {
        self.owner.get(self.range.clone()).unwrap_or_default()
    }
}

impl From<Vec<u8>> for Extent {
    fn from(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), owner: Arc::new(bytes) }
    }
}

/// How the space of a prepared file is made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Space is reserved (`fallocate`), not written: cheap to prepare.
    Reserved,
    /// Zeros are written, so that a later synced write changes no metadata: cheap to commit.
    Written,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name without the directory.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file of that many bytes.
    File(u64),
    /// A directory.
    Directory,
}

/// File operations. See the module for what is immediate and what completes later.
pub trait Disk {
    /// Entries of a directory in order of name; files named `*.new` are left-overs, also listed.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory, and others of the system.
    fn list(&mut self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Creates a directory with its parents and syncs them; it may exist.
    ///
    /// # Errors
    /// Those of the system.
    fn create_dir(&mut self, dir: &Path) -> io::Result<()>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// Those of the system.
    fn open(&mut self, path: &Path) -> io::Result<FileId>;

    /// A shared read-only view of the whole file as it is long now.
    ///
    /// # Errors
    /// Those of the system.
    fn map(&mut self, file: FileId) -> io::Result<Map>;

    /// Closes a file; operations under way on it complete first, maps of it stay valid.
    fn close(&mut self, file: FileId);

    /// Renames a file or directory and syncs the directory; refuses when the new name exists.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Creates a file of `bytes` zeros that appears under its name only when it is complete and
    /// durable (built as `NAME.new`, then renamed). Fails if the name exists.
    fn prepare(&mut self, tag: Tag, path: &Path, bytes: u64, fill: Fill) -> Ticket;

    /// Writes at a position of a file; a result of fewer bytes than given is the caller's failure.
    fn write(&mut self, tag: Tag, file: FileId, at: u64, bytes: Extent) -> Ticket;

    /// Makes every write durable that completed before this call (`fdatasync`).
    fn sync(&mut self, tag: Tag, file: FileId) -> Ticket;

    /// Removes a file, or a directory with all in it, and syncs the directory it was in.
    fn remove(&mut self, tag: Tag, path: &Path) -> Ticket;

    /// Appends what has completed since the last call, in any order.
    fn poll(&mut self, done: &mut Vec<Done>);
}

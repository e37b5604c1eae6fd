//! Read-only shared mappings of files, and files that live only in memory.
//!
//! Method: the whole file is mapped once; a slice is made only for the range asked for, so that no
//! reference ever covers bytes that are still to be written. Cost: one `mmap`, then page faults.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{FromRawFd, OwnedFd};
use std::slice;
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};

/// A read-only view of a whole file, shared by its clones and by threads.
///
/// Sound under two rules that the log keeps: the file is never truncated (no access beyond its
/// end), and a byte is written at most once after preparation, and never after a reader was told
/// that it may look there (so a slice, made only for published ranges, never changes).
#[derive(Clone, Debug)]
pub struct Map {
    raw: Arc<MmapRaw>,
    bytes: u64,
}

impl Map {
    /// Maps all of `file` as it is long now.
    ///
    /// # Errors
    /// Those of `fstat` and `mmap`.
    pub fn of(file: &File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        let raw = Arc::new(MmapOptions::new().map_raw_read_only(file)?);
        Ok(Self { raw, bytes })
    }

    /// Length of the file when it was mapped.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether the file had no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The bytes of `range`, or `None` if it is not inside the file.
    ///
    /// The caller asks only for ranges whose bytes are no longer written.
    #[must_use]
    pub fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        if range.start > range.end || range.end > self.bytes {
            return None;
        }
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        // SAFETY: start <= end <= the mapped length, the mapping lives as long as `self`, and the
        // bytes of a published range are not written any more (rules of the type).
        Some(unsafe { slice::from_raw_parts(self.raw.as_ptr().add(start), end - start) })
    }
}

/// A file without a name whose bytes live in memory; it can be written, read and mapped.
///
/// # Errors
/// Those of `memfd_create`.
pub fn memory_file(name: &str) -> io::Result<File> {
    let name = CString::new(name)?;
    // SAFETY: the name is a valid C string, and a descriptor that is not negative is ours alone.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just created, owned by nobody else.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

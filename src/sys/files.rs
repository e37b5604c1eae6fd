//! File-system calls that std does not have: allocation, space, locks. All may block.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Reserves `bytes` on the disk for `file`, which becomes that long.
///
/// # Errors
/// No space (`StorageFull`), or a file system that cannot.
pub fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    // SAFETY: plain call on a live descriptor.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes as libc::off_t) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Space of the file system that holds `path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an ordinary user can still write.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// Asks the file system how much space it has.
///
/// # Errors
/// What the system says.
pub fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all zeros is a valid `statvfs`.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a terminated string and a valid out-pointer.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut stat) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Space {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// Takes the exclusive lock of `file` for the life of its descriptor; `false` if another process
/// has it.
///
/// # Errors
/// What the system says.
pub fn lock(file: &File) -> io::Result<bool> {
    // SAFETY: plain call on a live descriptor.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) };
    }
    Ok(true)
}

/// Whether `output` is a pipe or socket whose other end is closed.
#[must_use]
pub fn nobody_reads(output: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: output.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one valid entry; no wait.
    let found = unsafe { libc::poll(&raw mut poll, 1, 0) };
    found > 0 && poll.revents & (libc::POLLERR | libc::POLLHUP) != 0
}

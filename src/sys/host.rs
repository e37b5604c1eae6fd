//! What machine this is: processors, limits of the process, whether the ring works.

use std::io;

/// The processors this process may run on, ascending.
#[must_use]
pub fn processors() -> Vec<usize> {
    // SAFETY: all zeros is a valid `cpu_set_t`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a valid out-pointer of the size given.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } < 0 {
        return vec![0];
    }
    // SAFETY: every index is below CPU_SETSIZE.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// Makes this thread one of the background: it may run on any of `processors`, and only gets what
/// threads of ordinary priority leave, a tenth at most where they leave nothing.
pub fn background(processors: &[usize]) {
    // SAFETY: all zeros is a valid `cpu_set_t`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in processors.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the index is below CPU_SETSIZE.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: a valid pointer of the size given; 0 is this thread. A failure changes nothing.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    // SAFETY: no pointers; 0 is this thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, BACKGROUND_NICE) };
}

/// Niceness of background threads: a weight of 110 against 1024.
const BACKGROUND_NICE: i32 = 10;

/// A limit of the process: what holds now and how far it may be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In force.
    pub now: u64,
    /// Ceiling.
    pub most: u64,
}

fn limit(resource: libc::__rlimit_resource_t) -> Limit {
    let mut raw = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid out-pointer.
    unsafe { libc::getrlimit(resource, &raw mut raw) };
    Limit { now: raw.rlim_cur, most: raw.rlim_max }
}

/// Raises the limit of open files to its ceiling and gives it.
#[must_use]
pub fn raise_open_files() -> u64 {
    let found = limit(libc::RLIMIT_NOFILE);
    let raw = libc::rlimit { rlim_cur: found.most, rlim_max: found.most };
    // SAFETY: a valid pointer.
    if found.now < found.most
        && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raw) } == 0
    {
        return found.most;
    }
    found.now
}

/// Raises the limit of locked memory to its ceiling and gives it, in bytes.
#[must_use]
pub fn raise_locked_memory() -> u64 {
    let found = limit(libc::RLIMIT_MEMLOCK);
    let raw = libc::rlimit { rlim_cur: found.most, rlim_max: found.most };
    // SAFETY: a valid pointer.
    if found.now < found.most
        && unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const raw) } == 0
    {
        return found.most;
    }
    found.now
}

/// Keeps memory in pages of 4 KiB. The allocator asks for huge ones (2 MiB), of which ten thousand
/// idle connections leave most empty: 2,100 bytes of resident memory for each, 970 without, and 5
/// MiB less at the start. What it costs shows with many thousands of busy connections: about a
/// tenth more processor time for each delivery to 10,000 of them, nothing to measure with 1,000. A
/// kernel that cannot goes on as it is.
pub fn keep_pages_small() {
    // SAFETY: a plain call without pointers; the other arguments must be 0.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Whether this kernel gives the process an io_uring: glommio exits or panics where it does not.
///
/// # Errors
/// What `io_uring_setup` says: `ENOSYS` on an old kernel, `EPERM` where it is forbidden.
pub fn probe_ring() -> io::Result<()> {
    let mut params = [0_u8; 120];
    // SAFETY: `io_uring_params` has 120 bytes; zeros ask for the defaults.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, params.as_mut_ptr()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is used nowhere else.
    unsafe { libc::close(fd as i32) };
    Ok(())
}

/// Major and minor version of the running kernel.
#[must_use]
pub fn kernel() -> (u32, u32) {
    // SAFETY: all zeros is a valid `utsname`.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: a valid out-pointer; on failure the zeros stay. (/proc/sys may be hidden by the
    // unit.)
    unsafe { libc::uname(&raw mut names) };
    let text: String =
        names.release.iter().map(|&c| c as u8 as char).take_while(|&c| c != '\0').collect();
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).filter_map(|p| p.parse().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Resident bytes of this process.
#[must_use]
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * 4096
}

#[cfg(test)]
mod tests {
    #[test]
    fn pages_are_kept_small() {
        super::keep_pages_small();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(!status.contains("THP_enabled:\t1"), "{status}");
    }
}

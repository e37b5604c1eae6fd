//! glommio: the thread and executor of each shard. See [`crate::sys`] for why it does nothing more.

use glommio::{LocalExecutorBuilder, Placement};
use std::future::Future;
use std::io;
use std::thread;

/// Entries of each ring, which stays unused.
const RING_DEPTH: usize = 16;
/// Bytes that glommio reserves for direct I/O, which weir does not use; its minimum is 64 KiB.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// Pays the process-wide cost of glommio's first executor (7-17 ms for its memory barrier) early
/// and on another thread, so that nothing waits for it.
pub fn register_barrier() {
    // SAFETY: MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED (16) takes no pointers.
    thread::spawn(|| unsafe { libc::syscall(libc::SYS_membarrier, 16, 0, 0) });
}

/// Runs `body` to its end on a new thread with an executor of its own, pinned to `cpu` if given.
///
/// # Errors
/// A kernel without io_uring, too little locked memory, or no thread.
pub fn spawn_executor<F>(
    name: &str,
    cpu: Option<usize>,
    body: impl FnOnce() -> F + Send + 'static,
) -> io::Result<thread::JoinHandle<()>>
where
    F: Future<Output = ()> + 'static,
{
    let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
    let handle = LocalExecutorBuilder::new(placement)
        .name(name)
        .ring_depth(RING_DEPTH)
        .io_memory(IO_MEMORY_BYTES)
        .spawn(body)
        .map_err(io::Error::from)?;
    thread::Builder::new().stack_size(64 << 10).name(format!("{name}-join")).spawn(move || {
        if let Err(error) = handle.join() {
            eprintln!("weir: executor failed: {error}");
            std::process::abort();
        }
    })
}

//! glommio: one executor for each shard, waiting, and files through its ring.
//!
//! glommio has no call to wait for a descriptor of our own, but its `TcpStream` begins its life
//! with a poll of the descriptor it is made from. [`poll_readable`] uses exactly that on a
//! duplicate of the epoll set; nothing is ever read from the stream. It costs one small allocation
//! for each blocking wait with file operations under way, and nothing otherwise.

use futures_lite::AsyncReadExt;
use glommio::io::{BufferedFile, OpenOptions};
use glommio::{LocalExecutorBuilder, Placement};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::{FromRawFd, RawFd};
use std::path::Path;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// Entries of each ring; the operations of a shard under way at once are far fewer.
const RING_DEPTH: usize = 128;
/// Bytes that glommio reserves for direct I/O, which weir does not use; its minimum is 64 KiB.
const IO_MEMORY_BYTES: usize = 64 << 10;
/// Longest wait in the ring.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

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

/// Lets file operations that wait for the executor go on, and takes what is complete.
pub async fn run_pending() {
    glommio::executor().yield_task_queue_now().await;
}

/// Completes when `fd` is readable, after half a second, or when `wake` is woken. `fd` stays open
/// and unread.
pub async fn poll_readable(fd: RawFd, wake: &Wake) {
    // SAFETY: plain call on a live descriptor; checked below.
    let duplicate = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if duplicate < 0 {
        run_pending().await;
        return;
    }
    // SAFETY: the duplicate is fresh; the stream owns and closes it.
    let mut stream = unsafe { glommio::net::TcpStream::from_raw_fd(duplicate) };
    // Waits for the poll that the stream began with; the read after it fails, as it is no socket.
    let readable = async {
        let _ = stream.read(&mut [0]).await;
    };
    let woken = std::future::poll_fn(|context| {
        if wake.rung.take() {
            return Poll::Ready(());
        }
        wake.waker.replace(Some(context.waker().clone()));
        Poll::Pending
    });
    // A disk that hangs must not keep the caller's timers from running.
    let late = async {
        glommio::timer::sleep(LONGEST_WAIT).await;
    };
    futures_lite::future::or(readable, futures_lite::future::or(woken, late)).await;
}

/// Ends a wait from another task of the same executor.
#[derive(Debug, Default)]
pub struct Wake {
    rung: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Wake {
    /// Ends the wait under way, or the next one.
    pub fn wake(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Runs a local task to its end in the background.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(task).detach();
}

/// Runs blocking work on the executor's helper thread.
pub async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    glommio::executor().spawn_blocking(work).await
}

/// A file that is synced through the ring.
#[derive(Clone, Debug)]
pub struct RingFile(Rc<BufferedFile>);

impl RingFile {
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).buffered_open(path).await;
        Ok(Self(Rc::new(file.map_err(io::Error::from)?)))
    }

    /// Returns when all that was written before is on the disk (`fdatasync`).
    ///
    /// # Errors
    /// What the system says; some of what was written may then be lost.
    pub async fn sync(&self) -> io::Result<()> {
        self.0.fdatasync().await.map_err(io::Error::from)
    }

    /// Closes the file once no clone of it is in use.
    pub async fn close(self) {
        if let Ok(file) = Rc::try_unwrap(self.0) {
            let _ = file.close().await;
        }
    }
}

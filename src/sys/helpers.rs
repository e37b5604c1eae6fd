//! Threads that do for a shard what blocks: syncs of the log, files that are prepared or removed.
//!
//! Method: the shard leaves a job and goes on; a helper does it, leaves the outcome in a list and
//! rings the bell in the shard's epoll set. Helpers are started when all others are busy, up to a
//! number, and sleep without a time-out while there is nothing. They stay on the processors of the
//! thread that started them: a shard that waits for its sync hands its core over and gets it back,
//! which is cheaper than to wake another core. Cost of a job: a futex call, a write and a read of
//! the bell, about 10 us of processor time; nothing when idle.

use crate::sys::clock::monotonic_ns;
use crate::sys::net::Bell;
use crossbeam_queue::SegQueue;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

/// Stack of a helper: system calls and short loops.
const STACK_BYTES: usize = 128 << 10;

type Work = Box<dyn FnOnce() -> io::Result<usize> + Send>;

/// What became of a job.
#[derive(Debug)]
pub struct Ended {
    /// The number under which it was given.
    pub number: u64,
    /// What it returned.
    pub result: io::Result<usize>,
    /// How long it took from when it was given, in nanoseconds.
    pub took_ns: u64,
}

struct Job {
    number: u64,
    given_ns: u64,
    work: Work,
}

/// What the helpers and the shard share.
struct Shared {
    jobs: SegQueue<Job>,
    ended: SegQueue<Ended>,
    bell: Arc<Bell>,
    over: AtomicBool,
}

struct Helper {
    thread: Thread,
    idle: Arc<AtomicBool>,
}

/// See the module's page.
pub struct Helpers {
    name: &'static str,
    most: usize,
    list: Vec<Helper>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Helpers({} {} of {})", self.name, self.list.len(), self.most)
    }
}

impl Helpers {
    /// At most `most` helpers, none yet; `bell` is rung whenever a job has ended.
    #[must_use]
    pub fn new(name: &'static str, most: usize, bell: Arc<Bell>) -> Self {
        let (jobs, ended, over) = (SegQueue::new(), SegQueue::new(), AtomicBool::new(false));
        let shared = Arc::new(Shared { jobs, ended, bell, over });
        Self { name, most, list: Vec::new(), shared }
    }

    /// Has a job done; its outcome comes by [`Self::next_ended`]. Where no thread can be started
    /// it is done at once.
    pub fn give(&mut self, number: u64, work: impl FnOnce() -> io::Result<usize> + Send + 'static) {
        let job = Job { number, given_ns: monotonic_ns(), work: Box::new(work) };
        self.shared.jobs.push(job);
        // A helper says that it is idle before it looks for jobs once more, so none is left behind.
        if let Some(idle) = self.list.iter().find(|it| it.idle.swap(false, Ordering::SeqCst)) {
            return idle.thread.unpark();
        }
        if self.list.len() < self.most
            && let Err(error) = self.start()
            && self.list.is_empty()
        {
            tracing::error!(%error, "no thread for what blocks: the shard waits for it itself");
            self.shared.run_jobs();
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let idle = Arc::new(AtomicBool::new(false));
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&idle));
        let builder = thread::Builder::new().name(self.name.into()).stack_size(STACK_BYTES);
        let handle = builder.spawn(move || shared.serve(&own))?;
        self.list.push(Helper { thread: handle.thread().clone(), idle });
        Ok(())
    }

    /// Whether an outcome waits.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !self.shared.ended.is_empty()
    }

    /// The outcome of a job, in any order.
    pub fn next_ended(&self) -> Option<Ended> {
        self.shared.ended.pop()
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.list.iter().for_each(|it| it.thread.unpark());
    }
}

impl Shared {
    fn serve(&self, idle: &AtomicBool) {
        loop {
            idle.store(false, Ordering::SeqCst);
            self.run_jobs();
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            idle.store(true, Ordering::SeqCst);
            if self.jobs.is_empty() && !self.over.load(Ordering::SeqCst) {
                thread::park();
            }
        }
    }

    fn run_jobs(&self) {
        while let Some(Job { number, given_ns, work }) = self.jobs.pop() {
            let result = work();
            self.ended.push(Ended { number, result, took_ns: monotonic_ns() - given_ns });
            self.bell.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::net::{Epoll, Interest};
    use std::time::Duration;

    fn wait(epoll: &mut Epoll, bell: &Bell) {
        epoll.wait(Some(Duration::from_secs(5)), |_| {});
        bell.silence();
    }

    #[test]
    fn each_job_ends_once_and_rings() {
        let bell = Arc::new(Bell::new().unwrap());
        let mut epoll = Epoll::new(4).unwrap();
        epoll.add(bell.fd(), 1, Interest::Read).unwrap();
        let mut helpers = Helpers::new("test", 3, Arc::clone(&bell));
        let mut seen = Vec::new();
        for round in 0..200 {
            for number in 0..5 {
                helpers.give(round * 5 + number, move || Ok(number as usize));
            }
            while seen.len() < (round as usize + 1) * 5 {
                wait(&mut epoll, &bell);
                while let Some(ended) = helpers.next_ended() {
                    assert_eq!(ended.result.unwrap() as u64, ended.number % 5);
                    seen.push(ended.number);
                }
            }
        }
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..1000));
        assert!(helpers.list.len() <= 3);
    }

    #[test]
    fn a_slow_job_does_not_hold_up_others() {
        let bell = Arc::new(Bell::new().unwrap());
        let mut helpers = Helpers::new("test", 2, Arc::clone(&bell));
        let (release, held) = std::sync::mpsc::channel::<()>();
        helpers.give(1, move || held.recv().map(|()| 0).map_err(io::Error::other));
        helpers.give(2, || Err(io::ErrorKind::StorageFull.into()));
        let mut epoll = Epoll::new(4).unwrap();
        epoll.add(bell.fd(), 1, Interest::Read).unwrap();
        let next = |helpers: &Helpers, epoll: &mut Epoll| {
            while !helpers.has_ended() {
                wait(epoll, &bell);
            }
            helpers.next_ended().unwrap()
        };
        let second = next(&helpers, &mut epoll);
        assert_eq!((second.number, second.result.unwrap_err().kind()), {
            (2, io::ErrorKind::StorageFull)
        });
        release.send(()).unwrap();
        assert_eq!(next(&helpers, &mut epoll).number, 1);
    }
}

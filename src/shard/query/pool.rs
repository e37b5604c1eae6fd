//! The worker threads of queries: started when they are needed, kept when they are not.
//!
//! They run at a lower priority than the shards, so that a scan takes what the shards leave. A
//! query whose client does not read holds a thread but no processor.

use super::Task;
use super::bench::Worker;
use crate::model::event::QueryOutput;
use crate::query::pull::STACK_BYTES;
use crate::shard::process::Process;
use crate::sys::host;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Queries at once of the whole process, whatever the front-ends allow.
const THREADS_MAX: usize = 128;
/// Queries that wait for a thread: as many sockets as come back at once may ask at once.
const WAITING_MAX: usize = 65_536;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Workers {
    state: Mutex<State>,
    wake: Condvar,
    running: [AtomicU64; 16],
}

#[derive(Debug, Default)]
struct State {
    tasks: VecDeque<Task>,
    idle: usize,
    threads: usize,
}

impl Workers {
    /// Queries of a front-end that are running or wait for a thread.
    #[must_use]
    pub fn running(&self, front: u8) -> u64 {
        self.running.get(front as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Counts a query that a front-end is about to hand over.
    pub fn begin(&self, front: u8) {
        if let Some(count) = self.running.get(front as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn end(&self, front: u8) {
        if let Some(count) = self.running.get(front as usize) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Hands a task to a thread.
    pub fn submit(&self, process: &Arc<Process>, task: Task) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.tasks.len() >= WAITING_MAX {
            drop(state);
            return self.refuse(process, task);
        }
        if state.idle <= state.tasks.len() && state.threads < THREADS_MAX {
            let shared = Arc::clone(process);
            let builder = std::thread::Builder::new().name("weir-query".into());
            let started =
                builder.stack_size(STACK_BYTES).spawn(move || shared.workers.work(&shared));
            if let Err(error) = started {
                tracing::error!(%error, "cannot start a thread for a query");
                drop(state);
                return self.refuse(process, task);
            }
            state.threads += 1;
        }
        state.tasks.push_back(task);
        self.wake.notify_one();
    }

    fn refuse(&self, process: &Arc<Process>, task: Task) {
        let mut worker = Worker::new(process, &task);
        worker.leave();
        worker.post(QueryOutput::Failed("too many queries".into()), true);
    }

    fn work(&self, process: &Arc<Process>) {
        host::background(&process.processors);
        loop {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let task = loop {
                if let Some(task) = state.tasks.pop_front() {
                    break task;
                }
                state.idle += 1;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            };
            drop(state);
            let mut worker = Worker::new(process, &task);
            task.job.run(&mut worker);
            worker.leave();
        }
    }
}

//! What a connection keeps of its consumer.

use super::super::codec::fault;
use super::message::Message;
use super::settings::Wanted;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Who;
use crate::query::tables::tmq::Reader;
use std::collections::VecDeque;

/// A poll that is not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll {
    pub request: u64,
    /// The message that the client has, if it says so.
    pub has: Option<u64>,
    /// When it came, and when it is answered at the latest, ns.
    pub begun: i64,
    pub until: i64,
}

/// The message that a client reads.
#[derive(Debug)]
pub(super) struct Living {
    pub id: u64,
    pub message: Message,
    /// `fetch` was called.
    pub fetched: bool,
}

/// A consumer.
#[derive(Debug)]
pub(super) struct Consumer {
    /// Not here while a worker has it; gone for good once it was put out.
    pub reader: Option<Box<Reader>>,
    pub who: Who,
    pub wanted: Wanted,
    pub ready: VecDeque<Message>,
    pub living: Option<Living>,
    pub last_id: u64,
    pub waiting: Option<Poll>,
    pub queued: Option<Poll>,
    /// There may be more than a worker saw.
    pub woken: bool,
    /// Nothing can be done for the poll that waits before somebody calls.
    pub asleep: bool,
    pub expelled: bool,
    pub polled_at: i64,
    pub committed_at: i64,
    /// Something was delivered since.
    pub moved: bool,
}

impl Consumer {
    pub fn new(who: Who, wanted: Wanted, now: i64) -> Self {
        Self {
            reader: None,
            who,
            wanted,
            ready: VecDeque::new(),
            living: None,
            last_id: 0,
            waiting: None,
            queued: None,
            woken: false,
            asleep: false,
            expelled: false,
            polled_at: now,
            committed_at: now,
            moved: false,
        }
    }

    pub fn living(&mut self, id: u64) -> Result<&mut Living, Wrong> {
        let living = self.living.as_mut().ok_or_else(|| fault("message has been freed"))?;
        if living.id == id { Ok(living) } else { Err(fault("message ID are not equal")) }
    }

    pub fn next_poll(&mut self) {
        (self.waiting, self.asleep) = (self.queued.take(), false);
    }

    pub fn commit_is_due(&self, now: i64) -> bool {
        let every = self.wanted.commit_every_ms.saturating_mul(1_000_000);
        let since = now.saturating_sub(self.committed_at).max(0) as u64;
        self.wanted.auto_commit && self.moved && since >= every
    }
}

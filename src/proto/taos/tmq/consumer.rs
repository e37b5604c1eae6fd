//! What a connection keeps of its consumer.

use super::super::codec::fault;
use super::message::Message;
use super::settings::Wanted;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Who;
use crate::query::tables::tmq::Reader;
use std::collections::VecDeque;

/// Nanoseconds that a poll is answered early at most.
const EARLY_NS_MAX: i64 = 20_000_000;

/// A poll that is not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll {
    pub request: u64,
    /// The message that the client has, if it says so.
    pub has: Option<u64>,
    /// When it came, and when it is answered at the latest, ns.
    pub begun: i64,
    pub until: i64,
    /// When its client waits no longer, ns: what is delivered then is read by nobody.
    pub given_up: i64,
}

impl Poll {
    /// A poll that came at `begun` and waits so many milliseconds. A client's own clock began to
    /// run before: it is answered a little earlier than it asks for.
    pub fn new(request: u64, has: Option<u64>, begun: i64, wait_ms: u64) -> Self {
        let wait = i64::try_from(wait_ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        let given_up = if wait_ms == 0 { i64::MAX } else { begun.saturating_add(wait) };
        let until = begun.saturating_add(wait - (wait / 8).min(EARLY_NS_MAX));
        Self { request, has, begun, until, given_up }
    }
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

#[cfg(test)]
mod tests {
    use super::Poll;

    #[test]
    fn a_poll_is_answered_before_its_client_gives_up() {
        let of = |wait_ms| {
            let poll = Poll::new(1, None, 1000, wait_ms);
            (poll.until - 1000, poll.given_up)
        };
        assert_eq!(of(0), (0, i64::MAX));
        assert_eq!(of(8), (7_000_000, 8_001_000));
        assert_eq!(of(500), (480_000_000, 500_001_000));
        assert_eq!(of(u64::MAX).1, i64::MAX);
    }
}

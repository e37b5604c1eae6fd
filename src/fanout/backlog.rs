//! What a slow socket did not take: bytes, and where its droppable frames lie.

use crate::model::policy::FullPolicy;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
struct Part {
    length: usize,
    droppable: bool,
}

/// Bytes that wait for a socket. Invariant: `parts` sum to the bytes after `sent`; the first part
/// may be half sent and is then never dropped.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: Vec<u8>,
    sent: usize,
    parts: VecDeque<Part>,
    first_started: bool,
}

impl Backlog {
    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What to send next.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Appends a part that is dropped whole or not at all. `started`: its beginning is on the wire.
    pub fn push(&mut self, bytes: &[u8], droppable: bool, started: bool) {
        if bytes.is_empty() {
            return;
        }
        if self.parts.is_empty() {
            self.first_started = started;
        }
        self.bytes.extend_from_slice(bytes);
        self.parts.push_back(Part { length: bytes.len(), droppable });
    }

    /// Says that the socket took `count` bytes of [`Backlog::pending`].
    pub fn advance(&mut self, count: usize) {
        self.sent += count;
        let mut left = count;
        while let Some(part) = self.parts.front_mut() {
            if left < part.length {
                part.length -= left;
                self.first_started |= left > 0;
                break;
            }
            left -= part.length;
            self.parts.pop_front();
            self.first_started = false;
        }
        if self.is_empty() {
            *self = Self::default();
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Drops droppable parts, oldest or newest first as `policy` says, until at most `limit` bytes
    /// wait or none is left. Gives the number of frames dropped.
    pub fn trim(&mut self, limit: usize, policy: FullPolicy) -> u64 {
        let mut excess = self.len().saturating_sub(limit);
        let count = self.parts.len();
        let mut keep = vec![true; count];
        let mut dropped = 0;
        let mut consider = |index: usize, part: &Part| {
            if excess > 0 && part.droppable && !(index == 0 && self.first_started) {
                keep[index] = false;
                excess = excess.saturating_sub(part.length);
                dropped += 1;
            }
        };
        match policy {
            FullPolicy::Disconnect => return 0,
            FullPolicy::DropOldest => {
                self.parts.iter().enumerate().for_each(|(i, p)| consider(i, p))
            }
            FullPolicy::DropNewest => {
                self.parts.iter().enumerate().rev().for_each(|(i, p)| consider(i, p));
            }
        }
        if dropped == 0 {
            return 0;
        }
        let mut bytes = Vec::with_capacity(limit.min(self.len()));
        let mut at = self.sent;
        let mut kept = VecDeque::new();
        for (part, keep) in self.parts.iter().zip(&keep) {
            if *keep {
                bytes.extend_from_slice(&self.bytes[at..at + part.length]);
                kept.push_back(*part);
            }
            at += part.length;
        }
        self.first_started &= keep.first() == Some(&true);
        self.bytes = bytes;
        self.sent = 0;
        self.parts = kept;
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Backlog {
        let mut backlog = Backlog::default();
        backlog.push(b"aaaa", true, false);
        backlog.push(b"RR", false, false);
        backlog.push(b"bbbb", true, false);
        backlog.push(b"cccc", true, false);
        backlog
    }

    #[test]
    fn sending_in_any_steps_gives_the_same_bytes() {
        for step in 1..=14 {
            let mut backlog = filled();
            let mut seen = Vec::new();
            while !backlog.is_empty() {
                let count = step.min(backlog.len());
                seen.extend_from_slice(&backlog.pending()[..count]);
                backlog.advance(count);
            }
            assert_eq!(seen, b"aaaaRRbbbbcccc", "{step}");
        }
    }

    #[test]
    fn the_oldest_or_the_newest_deliveries_go_and_replies_stay() {
        let mut backlog = filled();
        assert_eq!(backlog.trim(10, FullPolicy::DropOldest), 1);
        assert_eq!(backlog.pending(), b"RRbbbbcccc");
        let mut backlog = filled();
        assert_eq!(backlog.trim(9, FullPolicy::DropNewest), 2);
        assert_eq!(backlog.pending(), b"aaaaRR");
        let mut backlog = filled();
        assert_eq!(backlog.trim(0, FullPolicy::DropOldest), 3);
        assert_eq!(backlog.pending(), b"RR");
        assert_eq!(filled().trim(0, FullPolicy::Disconnect), 0);
    }

    #[test]
    fn a_frame_half_sent_is_never_dropped() {
        let mut backlog = filled();
        backlog.advance(1);
        assert_eq!(backlog.trim(0, FullPolicy::DropOldest), 2);
        assert_eq!(backlog.pending(), b"aaaRR");
        let mut backlog = Backlog::default();
        backlog.push(b"rest", true, true);
        assert_eq!(backlog.trim(0, FullPolicy::DropNewest), 0);
    }
}

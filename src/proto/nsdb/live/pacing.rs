//! When the records of one query leave on one socket (nsdb, 4.2).
//!
//! Invariant: what is held is bounded by number and by bytes; what is displaced is counted.

use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes held for one query, as a part of what the outbox takes: a push must fit into it.
const HELD_PARTS: usize = 4;
/// Room for records that is kept between pushes.
const HELD_KEPT: usize = 16;
/// Milliseconds after which a full outbox is looked at again.
const RETRY_MS: u64 = 20;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Pacing {
    pushed_at: Option<u64>,
    held: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

/// Bounds of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Milliseconds between pushes.
    pub period_ms: u64,
    /// Records held.
    pub records: usize,
    /// Bytes that the outbox takes.
    pub outbox_bytes: usize,
}

impl Pacing {
    /// Whether a push may leave now.
    pub fn is_free(&self, now: u64, bounds: &Bounds) -> bool {
        self.pushed_at.is_none_or(|at| now >= at + bounds.period_ms)
    }

    /// Whether something waits.
    pub fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Holds a record; gives how many were displaced.
    pub fn hold(&mut self, record: Arc<[u8]>, bounds: &Bounds) -> u64 {
        self.bytes += record.len();
        self.held.push_back(record);
        let mut displaced = 0;
        while self.held.len() > bounds.records
            || self.held.len() > 1 && self.bytes > bounds.outbox_bytes / HELD_PARTS
        {
            let gone = self.held.pop_front();
            self.bytes -= gone.map_or(0, |record| record.len());
            displaced += 1;
        }
        displaced
    }

    /// Holds a whole result instead of what is held.
    pub fn replace(&mut self, result: &[u8]) {
        self.held.clear();
        self.bytes = result.len();
        self.held.push_back(result.into());
    }

    /// Bytes of what is held, with what joins it.
    pub fn bytes(&self) -> usize {
        self.bytes + self.held.len()
    }

    /// Appends what is held, joined: a push leaves now.
    pub fn take(&mut self, now: u64, out: &mut Vec<u8>) {
        self.pushed_at = Some(now);
        for (index, record) in self.held.drain(..).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&record);
        }
        self.held.shrink_to(HELD_KEPT);
        self.bytes = 0;
    }

    /// When to look again, while something is held.
    pub fn due(&self, now: u64, bounds: &Bounds) -> u64 {
        let end = self.pushed_at.map_or(0, |at| at + bounds.period_ms);
        if end > now { end } else { now + RETRY_MS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_held_until_the_period_ends() {
        let bounds = Bounds { period_ms: 1000, records: 2, outbox_bytes: 1000 };
        let mut pacing = Pacing::default();
        let take = |pacing: &mut Pacing, now| {
            let mut out = Vec::new();
            pacing.take(now, &mut out);
            out
        };
        assert!(pacing.is_free(0, &bounds));
        assert_eq!(pacing.hold((*b"0").into(), &bounds), 0);
        assert_eq!(take(&mut pacing, 0), b"0");
        assert!(!pacing.is_free(999, &bounds));
        let displaced: u64 = (1..=3).map(|n| pacing.hold([b'0' + n].into(), &bounds)).sum();
        assert_eq!((displaced, pacing.due(300, &bounds)), (1, 1000));
        assert!(pacing.is_free(1000, &bounds) && pacing.has_held());
        assert_eq!(take(&mut pacing, 1000), b"2,3");
        assert!(!pacing.has_held() && pacing.is_free(2500, &bounds));
        assert_eq!(
            pacing.hold([b'x'; 200].into(), &bounds) + pacing.hold([b'y'; 200].into(), &bounds),
            1
        );
        let none = Bounds { records: 0, ..bounds };
        assert_eq!((pacing.hold((*b"z").into(), &none), pacing.has_held()), (2, false));
        pacing.replace(b"");
        assert!(pacing.has_held() && take(&mut pacing, 5000).is_empty());
    }
}

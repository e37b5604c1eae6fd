//! Numbers of the records of a database, which subscriptions count by (taos, 1.2).
//!
//! Method: who appends takes numbers, stores them with the records and says when the log has
//! answered; readers go up to the first number that has no answer, so that none is passed over
//! whichever log it lies in. Invariant: below [`Numbering::stable`] every number is in a log for
//! good or was refused. Cost: a lock that nobody holds for each append.

use ahash::AHashMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Called once when there is more.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Readers that wait for one database at most; one more wakes them all.
const WAITING_MAX: usize = 4096;

/// Those who wait for something, each once.
#[derive(Default)]
pub struct Waiting(Vec<(u64, Wake)>);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({})", self.0.len())
    }
}

impl Waiting {
    /// Adds one; gives those that there is no room for.
    pub fn add(&mut self, who: u64, wake: Wake) -> Self {
        let full = self.0.len() >= WAITING_MAX;
        let crowd = if full { std::mem::take(self) } else { Self::default() };
        self.0.retain(|(other, _)| *other != who);
        self.0.push((who, wake));
        crowd
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls all.
    pub fn wake(self) {
        self.0.iter().for_each(|(_, wake)| wake());
    }
}

#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    /// First numbers of appends without an answer.
    open: BTreeSet<u64>,
    waiting: Waiting,
}

impl Numbers {
    fn stable(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.next)
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Numbering(Mutex<Numbers>);

impl Numbering {
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers below this one were given out before the process began.
    pub fn raise(&self, next: u64) {
        let mut numbers = self.lock();
        numbers.next = numbers.next.max(next);
    }

    /// Takes so many numbers, at least one, and gives the first.
    pub fn take(&self, count: usize) -> u64 {
        let mut numbers = self.lock();
        let first = numbers.next;
        numbers.open.insert(first);
        numbers.next = first.saturating_add(count.max(1) as u64);
        first
    }

    /// Nothing was appended: the numbers go back, if nobody took others since.
    pub fn give_back(&self, first: u64, count: usize) {
        {
            let mut numbers = self.lock();
            if numbers.next == first.saturating_add(count.max(1) as u64) {
                numbers.next = first;
            }
        }
        self.settle(first);
    }

    /// The log has answered for the append that begins with this number.
    pub fn settle(&self, first: u64) {
        let woken = {
            let mut numbers = self.lock();
            let before = numbers.stable();
            numbers.open.remove(&first);
            let moved = numbers.stable() != before && !numbers.waiting.is_empty();
            if moved { std::mem::take(&mut numbers.waiting) } else { Waiting::default() }
        };
        woken.wake();
    }

    /// One more than the last number that may be read.
    #[must_use]
    pub fn stable(&self) -> u64 {
        self.lock().stable()
    }

    /// The number that comes next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.lock().next
    }

    /// Calls `wake` once when there is more than `seen`; `false`: there is already.
    pub fn wait(&self, who: u64, seen: u64, wake: Wake) -> bool {
        let (waits, crowd) = {
            let mut numbers = self.lock();
            if numbers.stable() > seen {
                return false;
            }
            (true, numbers.waiting.add(who, wake))
        };
        crowd.wake();
        waits
    }
}

/// The numbering of each database.
#[derive(Debug, Default)]
pub struct Numberings(Mutex<AHashMap<String, Arc<Numbering>>>);

impl Numberings {
    /// That of a database.
    #[must_use]
    pub fn of(&self, database: &str) -> Arc<Numbering> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.get(database) {
            return Arc::clone(found);
        }
        Arc::clone(all.entry(database.to_owned()).or_default())
    }

    /// The database is gone: another one of its name begins at 0.
    pub fn forget(&self, database: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(database);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn what_has_no_answer_holds_readers_back() {
        let numbers = Numbering::default();
        numbers.raise(5);
        let (a, b, c) = (numbers.take(2), numbers.take(1), numbers.take(3));
        assert_eq!((a, b, c, numbers.next()), (5, 7, 8, 11));
        numbers.settle(b);
        assert_eq!(numbers.stable(), 5);
        numbers.settle(a);
        assert_eq!(numbers.stable(), 8);
        numbers.give_back(c, 3);
        assert_eq!((numbers.stable(), numbers.next()), (8, 8));
    }

    #[test]
    fn who_waits_is_called_once() {
        let numbers = Numbering::default();
        let count = Arc::new(AtomicU32::new(0));
        let wake = |count: &Arc<AtomicU32>| -> Wake {
            let count = Arc::clone(count);
            Arc::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            })
        };
        assert!(numbers.wait(1, 0, wake(&count)) && numbers.wait(1, 0, wake(&count)));
        let first = numbers.take(1);
        assert_eq!(count.load(Ordering::Relaxed), 0);
        numbers.settle(first);
        let more = numbers.take(1);
        numbers.settle(more);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert!(!numbers.wait(1, 0, wake(&count)));
    }
}

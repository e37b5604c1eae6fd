//! Consumer groups: who reads which vgroups of a subscription definition.
//!
//! Method: members of a group stand in the order in which they joined, and vgroup number i of a
//! definition is that of member i modulo their number, so that everybody finds the same shares
//! without a talk. Each joining and leaving raises a count, by which a member sees that it has to
//! look again; all members are called, so that one that waits does. Invariant: a consumer is here
//! as long as its [`Membership`] lives, and no longer.

use crate::model::table::numbering::Wake;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Consumers at once.
const CONSUMERS_MAX: usize = 65_536;

/// A consumer as SHOW tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// `client.id`, which need not be unique.
    pub client: String,
    /// `group.id`.
    pub group: String,
    /// Its user.
    pub user: String,
    /// The definitions that it reads.
    pub topics: Vec<String>,
    /// When it joined, milliseconds.
    pub since_ms: i64,
    /// How it was set up.
    pub parameters: String,
}

struct Consumer {
    about: About,
    wake: Wake,
}

#[derive(Default)]
struct State {
    last: u64,
    consumers: BTreeMap<u64, Consumer>,
    /// Members by definition and group; numbers grow, so they are in the order of joining.
    groups: BTreeMap<(String, String), Vec<u64>>,
}

/// See the module's page.
#[derive(Default)]
pub struct Groups {
    state: Mutex<State>,
    changes: AtomicU64,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Groups({})", self.lock().consumers.len())
    }
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grows whenever a share may have changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// A consumer joins its group; `None`: there are too many.
    #[must_use]
    pub fn join(self: &Arc<Self>, about: About, wake: Wake) -> Option<Membership> {
        let (id, woken) = {
            let mut state = self.lock();
            if state.consumers.len() >= CONSUMERS_MAX {
                return None;
            }
            state.last += 1;
            let id = state.last;
            let woken = state.members(&about);
            for topic in &about.topics {
                let key = (topic.clone(), about.group.clone());
                state.groups.entry(key).or_default().push(id);
            }
            state.consumers.insert(id, Consumer { about, wake });
            self.changes.fetch_add(1, Ordering::AcqRel);
            (id, woken)
        };
        woken.iter().for_each(|wake| wake());
        Some(Membership { groups: Arc::clone(self), id })
    }

    fn leave(&self, id: u64) {
        let woken = {
            let mut state = self.lock();
            let Some(gone) = state.consumers.remove(&id) else { return };
            for topic in &gone.about.topics {
                let key = (topic.clone(), gone.about.group.clone());
                if let Some(members) = state.groups.get_mut(&key) {
                    members.retain(|member| *member != id);
                    if members.is_empty() {
                        state.groups.remove(&key);
                    }
                }
            }
            self.changes.fetch_add(1, Ordering::AcqRel);
            state.members(&gone.about)
        };
        woken.iter().for_each(|wake| wake());
    }

    /// Which of so many vgroups are a member's, by their places.
    #[must_use]
    pub fn share(&self, id: u64, topic: &str, group: &str, vgroups: usize) -> Vec<usize> {
        let state = self.lock();
        let Some(members) = state.groups.get(&(topic.to_owned(), group.to_owned())) else {
            return Vec::new();
        };
        let Some(place) = members.iter().position(|member| *member == id) else {
            return Vec::new();
        };
        (place..vgroups).step_by(members.len()).collect()
    }

    /// The member that has a vgroup, by its place.
    #[must_use]
    pub fn holder(&self, topic: &str, group: &str, place: usize) -> Option<u64> {
        let state = self.lock();
        let members = state.groups.get(&(topic.to_owned(), group.to_owned()))?;
        members.get(place % members.len().max(1)).copied()
    }

    /// Whether anybody reads a definition.
    #[must_use]
    pub fn reads(&self, topic: &str) -> bool {
        self.lock().groups.keys().any(|(own, _)| own == topic)
    }

    /// Whether anybody of a group reads a definition.
    #[must_use]
    pub fn has(&self, topic: &str, group: &str) -> bool {
        self.lock().groups.contains_key(&(topic.to_owned(), group.to_owned()))
    }

    /// Groups that read a definition.
    #[must_use]
    pub fn of(&self, topic: &str) -> Vec<String> {
        let state = self.lock();
        state.groups.keys().filter(|(own, _)| own == topic).map(|(_, g)| g.clone()).collect()
    }

    /// All consumers by number.
    #[must_use]
    pub fn consumers(&self) -> Vec<(u64, About)> {
        self.lock().consumers.iter().map(|(id, it)| (*id, it.about.clone())).collect()
    }
}

impl State {
    /// The calls of those who read any of these in the same group.
    fn members(&self, about: &About) -> Vec<Wake> {
        let of = |topic: &String| self.groups.get(&(topic.clone(), about.group.clone()));
        let ids = about.topics.iter().filter_map(of).flatten();
        ids.filter_map(|id| Some(Arc::clone(&self.consumers.get(id)?.wake))).collect()
    }
}

/// A consumer's place in its group; it leaves when this is dropped.
#[derive(Debug)]
pub struct Membership {
    groups: Arc<Groups>,
    id: u64,
}

impl Membership {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.groups.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(groups: &Arc<Groups>, calls: &Arc<AtomicU64>) -> Membership {
        let about = About { group: "g".into(), topics: vec!["t".into()], ..About::default() };
        let calls = Arc::clone(calls);
        groups
            .join(
                about,
                Arc::new(move || {
                    calls.fetch_add(1, Ordering::Relaxed);
                }),
            )
            .unwrap()
    }

    #[test]
    fn shares_are_even_and_move_when_a_member_goes() {
        let (groups, calls) = (Arc::new(Groups::default()), Arc::new(AtomicU64::new(0)));
        let a = join(&groups, &calls);
        assert_eq!(groups.share(a.id(), "t", "g", 3), [0, 1, 2]);
        let before = groups.changes();
        let b = join(&groups, &calls);
        assert!(groups.changes() > before);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(groups.share(a.id(), "t", "g", 3), [0, 2]);
        assert_eq!(groups.share(b.id(), "t", "g", 3), [1]);
        assert_eq!(groups.holder("t", "g", 1), Some(b.id()));
        assert!(groups.share(b.id(), "t", "other", 3).is_empty());
        drop(a);
        assert_eq!(groups.share(b.id(), "t", "g", 3), [0, 1, 2]);
        assert!(groups.reads("t") && groups.has("t", "g"));
        drop(b);
        assert!(!groups.reads("t") && groups.consumers().is_empty());
    }
}

//! Channels: live sets of clients, gone with their last member; and which other shards have
//! members.
//!
//! Members are slots of this shard's connections; a frame for a channel is encoded once for all.

use ahash::AHashMap;
use std::sync::Arc;

/// One channel as this shard sees it.
#[derive(Debug, Default)]
pub struct Channel {
    /// Slots of its members here, in no order.
    pub members: Vec<u32>,
    /// Members that take nothing now: closing, or their outbox is full.
    pub full: u32,
    /// Bit for each other shard that has members.
    pub remote: u64,
}

/// All channels that this shard knows.
#[derive(Debug, Default)]
pub struct Channels {
    by_name: AHashMap<Arc<str>, Channel>,
}

/// What joining or leaving changed for other shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Nothing.
    None,
    /// The channel has its first member here.
    First,
    /// The channel lost its last member here.
    Last,
}

impl Channels {
    /// The channel of this name, if anybody is in it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Channel> {
        self.by_name.get(name)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Channel> {
        self.by_name.get_mut(name)
    }

    /// The name as it is kept, so that it need not be copied.
    #[must_use]
    pub fn name(&self, name: &str) -> Option<Arc<str>> {
        self.by_name.get_key_value(name).map(|(name, _)| Arc::clone(name))
    }

    /// Adds a member that is not yet one.
    pub fn join(&mut self, name: &Arc<str>, slot: u32) -> Edge {
        let channel = self.by_name.entry(Arc::clone(name)).or_default();
        channel.members.push(slot);
        if channel.members.len() == 1 { Edge::First } else { Edge::None }
    }

    /// Removes a member.
    pub fn leave(&mut self, name: &str, slot: u32) -> Edge {
        let Some(channel) = self.by_name.get_mut(name) else { return Edge::None };
        let Some(index) = channel.members.iter().position(|m| *m == slot) else {
            return Edge::None;
        };
        channel.members.swap_remove(index);
        if !channel.members.is_empty() {
            return Edge::None;
        }
        if channel.remote == 0 {
            self.by_name.remove(name);
        }
        Edge::Last
    }

    /// Notes whether another shard has members.
    pub fn set_remote(&mut self, name: &Arc<str>, shard: u16, present: bool) {
        let bit = 1_u64 << shard;
        if present {
            self.by_name.entry(Arc::clone(name)).or_default().remote |= bit;
        } else if let Some(channel) = self.by_name.get_mut(name) {
            channel.remote &= !bit;
            if channel.remote == 0 && channel.members.is_empty() {
                self.by_name.remove(name);
            }
        }
    }

    /// Channels known here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_lives_while_anybody_anywhere_is_in_it() {
        let mut channels = Channels::default();
        let name: Arc<str> = "news".into();
        assert_eq!(channels.join(&name, 1), Edge::First);
        assert_eq!(channels.join(&name, 2), Edge::None);
        channels.set_remote(&name, 3, true);
        assert_eq!(channels.leave("news", 1), Edge::None);
        assert_eq!(channels.leave("news", 1), Edge::None);
        assert_eq!(channels.leave("news", 2), Edge::Last);
        assert_eq!(channels.get("news").unwrap().remote, 8);
        channels.set_remote(&name, 3, false);
        assert!(channels.is_empty());
    }
}

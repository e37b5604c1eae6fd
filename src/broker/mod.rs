//! The state machine, without sockets, clocks or randomness: times and numbers come as arguments.
//!
//! What the shard that owns a topic keeps: [`queue`]. What the shard that owns a connection keeps:
//! [`clients`], [`channels`], and its copy of the [`catalog`].

pub mod catalog;
pub mod channels;
pub mod clients;
pub mod flows;
pub mod queue;

/// A connection of this process: the shard it lives on, its slot there, and how often the slot was
/// used before, so that what comes late reaches nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// Shard.
    pub shard: u16,
    /// Slot.
    pub slot: u32,
    /// Generation of the slot.
    pub generation: u32,
}

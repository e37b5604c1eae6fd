//! A shard's topics: what it owns, how topics are made and deleted, how records reach
//! subscriptions.

pub mod ballast;
pub mod changes;
mod commits;
pub mod definitions;
pub mod deliver;
pub mod entry;
mod hidden;
pub mod owner;
pub mod queues;
pub mod told;
pub mod typed;

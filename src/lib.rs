//! weir: a broker appliance for an edge gateway.
//!
//! One path, always forward: bytes enter a shard, become a frame, a protocol message, a command; the
//! command is applied on the shard that owns its topic; what was appended is matched, fanned out as
//! events, encoded into frames and put on sockets. A reply is an event and leaves by the same way.
//!
//! Modules in reading order; each imports only from those above it (`tests/tidy.rs` holds the table).

pub mod limits;
pub mod model;
pub mod metrics;
pub mod sys;
pub mod wire;
pub mod query;
pub mod config;
pub mod log;
pub mod subs;
pub mod broker;
pub mod fanout;
pub mod proto;
pub mod admin;
pub mod shard;
//cli
pub mod boot;

//! A shard's connections: what is kept of one, the way in, the way out, and what a session is
//! given.

pub mod conn;
mod flush;
pub mod ingest;
pub mod intake;
pub mod occupant;

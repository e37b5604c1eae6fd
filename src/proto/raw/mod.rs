//! One query for each connection (raw). `codec` reads and writes messages, `diagnose` says why a
//! text is no message, `session` holds a connection, `job` is the query on its worker, `format`
//! writes results, `http` the handshake, `codes` the texts.

mod codec;
mod codes;
mod diagnose;
pub mod format;
mod http;
mod job;
mod session;

pub use session::Raw;

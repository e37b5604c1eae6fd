//! One query for each connection (raw). `codec` reads and writes messages, `session` holds a
//! connection, `job` is the query on its worker, `format` writes results, `http` the handshake,
//! `codes` the texts.

pub mod format;

//! The domain's nouns. Nothing here does I/O, reads a clock or knows a protocol.

pub mod record;

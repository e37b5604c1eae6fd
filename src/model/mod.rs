//! The domain's nouns. Nothing here does I/O, reads a clock or knows a protocol.

pub mod command;
pub mod event;
pub mod flow;
pub mod interest;
pub mod json;
pub mod name;
pub mod policy;
pub mod record;
pub mod refusal;
pub mod table;
pub mod time;
pub mod topic;
pub mod value;

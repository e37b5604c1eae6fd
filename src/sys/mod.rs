//! Every system call and every `unsafe` line.

pub mod map;

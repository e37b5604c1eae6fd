//! Every system call and every `unsafe` line; the only module that sees glommio, memmap2 and libc.
//!
//! Sockets wait in an epoll set of their shard and are read and written directly: measured on
//! loopback, a ring brings nothing there, and an idle connection then holds no buffer and no
//! request in flight. Files are synced through the ring. A shard that has nothing to do
//! blocks in the epoll set while no file operation is under way, and otherwise in the ring, in
//! which the epoll set is polled.

#![expect(unsafe_code, reason = "this is where the system is called")]

pub mod clock;
pub mod executor;
pub mod files;
pub mod host;
pub mod map;
pub mod net;
pub mod notify;

//! Every system call and every `unsafe` line; the only module that sees glommio, memmap2 and libc.
//!
//! Sockets wait in an epoll set of their shard and are read and written directly: measured on
//! loopback, a ring brings nothing there, and an idle connection then holds no buffer and no
//! request in flight. What blocks in files (syncs above all) is done by [`helpers`], which ring a
//! bell in that set: so a shard waits in one place, the epoll set, whatever it waits for.
//!
//! glommio is the executor of each shard and nothing else: it starts the thread, pins it, and runs
//! one task that never waits. Its ring is not used. It hands an operation to the kernel, and looks
//! for completions, only when no task is ready or its timer fires, and to wake out of it costs a
//! task, a timer and a duplicated descriptor each time: a synced write took twice as long as the
//! disk needs. Measured beside it, alone on one core: `fdatasync` by the thread itself 277 us, by a
//! helper 277-295 us, by a ring of our own whose completion wakes the epoll set 318-335 us.

#![expect(unsafe_code, reason = "this is where the system is called")]

pub mod clock;
pub mod executor;
pub mod files;
pub mod helpers;
pub mod host;
pub mod map;
pub mod net;
pub mod notify;

//! A shard: one thread, one executor, one turn after the other; the only module that sees both the
//! broker and the front-ends.
//!
//! The turn: reap completions of the disk, ingest sockets, receive mail, freeze what was appended
//! and match it, timers, write every connection with output once, then wait. Each step is capped.
//! Nothing waits between a borrow of this state and its use; nothing is async.
//!
//! Waiting: while traffic is recent the shard spins (`spin_us`), because waking a blocked core
//! costs 25 us; then it blocks in the epoll set, in which sockets, other shards (a bell) and the
//! disk (another bell) wake it. While a sync is under way it blocks at once: the helper that makes
//! it may share the core.

mod apply;
pub mod core;
pub mod flow;
mod gather;
pub mod link;
pub mod mail;
mod people;
pub mod process;
pub mod query;
mod run;
mod timers;
pub mod topic;

use self::core::Core;
use self::gather::Gather;
use self::link::conn::Conn;
use self::mail::{Origin, Ticket};
use self::topic::changes::Topics;
use crate::broker::Peer;
use crate::fanout::{Palette, Piece};
use crate::log::disk::Done;
use crate::model::command::Command;
use crate::model::topic::TopicId;
use crate::subs::Subscriptions;
use crate::sys::net::{Epoll, Listener, Ready};
use crate::wire::ws::deflate::{DeflatePool, Inflater};
use ahash::{AHashMap, AHashSet};
use slab::Slab;
use std::sync::Arc;

pub use self::process::Process;
pub use self::run::spawn;

/// Output of one connection in this turn.
#[derive(Debug)]
struct Dirty {
    slot: u32,
    pieces: Vec<Piece>,
}

/// A port as one shard serves it.
#[derive(Debug)]
pub struct BoundPort {
    /// Its socket.
    pub listener: Listener,
    /// Row of `PROTOCOLS`; `None`: the admin port.
    pub protocol: Option<usize>,
    /// Index of its metrics.
    pub front: u8,
}

/// See the module's page.
#[derive(Debug)]
pub struct Shard {
    core: Core,
    conns: Slab<Box<Conn>>,
    wake_at: Vec<u64>,
    next_wake: u64,
    next_generation: u32,
    palette: Palette,
    dirty: Vec<Dirty>,
    spare_pieces: Vec<Vec<Piece>>,
    gather: Vec<u8>,
    /// How long the last turn that did something wrote.
    flush_ns: u64,
    answer: Vec<u8>,
    receive: Vec<u8>,
    inflater: Inflater,
    deflaters: DeflatePool,
    epoll: Epoll,
    listeners: Vec<BoundPort>,
    accept_after: u64,
    accept_warned: bool,
    subs: Subscriptions,
    gathers: AHashMap<Ticket, Gather>,
    catch_ups: Vec<topic::deliver::CatchUp>,
    released: Vec<Ticket>,
    retries: AHashMap<u32, (Origin, Command)>,
    full_slots: AHashSet<u32>,
    /// Connections that may be read on.
    resume: Vec<u32>,
    /// Connections whose closes and limits must be looked at.
    touched: Vec<u32>,
    /// Connections whose sockets are gone.
    broken: Vec<u32>,
    /// Connections whose sockets took something of a backlog.
    drained: Vec<u32>,
    topics: Option<Topics>,
    flows: flow::Flows,
    /// All topics are open, all flows known.
    recovered: bool,
    /// Flushes, snapshots and fences that wait for the turn's appends to be sealed.
    flushes: Vec<(Origin, TopicId)>,
    snapshots: Vec<(TopicId, query::SnapshotSender)>,
    fences_heard: Vec<(Ticket, u16)>,
    fences: AHashMap<Ticket, query::Fence>,
    queries: Vec<(Peer, Arc<query::QueryControl>)>,
    works: query::Works,
    done: Vec<Done>,
    outbox_limit: usize,
    next_tick: u64,
    /// When tables are looked through for what is too old, ms; on shard 0.
    next_walk: u64,
    stop_at: Option<u64>,
    ballast: topic::ballast::Ballast,
    ready: Vec<Ready>,
}

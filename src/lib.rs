//! weir: a broker appliance for an edge gateway. This page is the living architecture.
//!
//! # One path, always forward
//!
//! Bytes enter a shard, become a frame, a protocol message, a command; the command is applied on
//! the shard that owns its topic; applying it may append to the log; what was appended is matched,
//! fanned out as events, encoded into frames and put on sockets. A reply is an event and leaves by
//! the same way. No station calls the one before it. Data crosses cores at most once going in (home
//! shard to owner shard) and at most once coming out.
//!
//! ```text
//! home shard of the sender            owner shard of the topic       home shard of each receiver
//! socket  frame   session        ->   route    append   match   ->   match     encode    socket
//! sys     wire    proto               shard    log      shard        subs      fanout    sys
//! bytes -> Message -> Command         mail -> Batch                  Batch -> Event -> frames
//! ```
//!
//! # A shard and its turn
//!
//! One thread for each core, its own executor, sockets, topics and connections ([`shard`]). A turn:
//! reap what the disk completed, read sockets, read the mailbox, freeze what was appended and match
//! it, timers, write each connection with output once. While traffic is recent the shard spins,
//! else it blocks. Nothing is locked on the path and nothing waits between a borrow and its use.
//!
//! Sockets stand in an epoll set and are read and written directly: on loopback a ring is no
//! cheaper for them, and an idle connection then holds no buffer and no request in flight. Writes
//! of the log go into the page cache at once, syncs are made by helper threads. Both are where this
//! differs from the first plan; the reasons and figures stand in [`sys`] and
//! [`log::disk::threads`].
//!
//! # The words
//!
//! *Topic*: named append-only log of records, `database.name`; a JSON stream, a queue topic.
//! *Record*: offset, time, producer, body. *Segment*: prepared file of records with checksums,
//! mapped for reading. *Home* and *owner shard*: where a connection lives, where a topic lives.
//! *Command*, *event*: domain input and output; neither knows a protocol. *Refusal*: the domain
//! says no; *violation*: the peer broke its protocol; *corruption*: the disk is wrong. *Mailbox*:
//! bounded queue between shards; *palette*: what a turn has encoded; *outbox*: bounded output of a
//! connection.
//!
//! # Queries
//!
//! A language turns text into one form ([`query`]): expressions are flat programs, a JET query is a
//! pipeline of operators, an RQL query a plan over typed values. *Live*: a flow runs on the shard
//! that owns the topic it reads, in the turn in which records are matched; what it inserts is
//! matched in the same turn or mailed to the owner of its target ([`shard::flow`]). *Once*: a job
//! runs on a worker thread over snapshots of the mapped logs, and its rows come back as events, as
//! far as the client reads ([`shard::query`]). *Standing*: a subscription that wants some records
//! says what it needs of them, and an index finds it ([`query::index`], [`subs`]).
//!
//! # Typed tables
//!
//! A table or supertable is a topic whose records are writes of rows, column by column
//! ([`model::table`]). What a table holds now (one row for each subtable and time) is kept in
//! memory, column by column, brought up to the end of the log before each query that reads it
//! ([`query::tables::store`]); aggregates are folded over the columns, rows are made where rows
//! are shown. Definitions are entries of the catalog, and records of a log of their own for those
//! who subscribe: each typed record and each definition of a database has a number in one
//! sequence ([`model::table::numbering`]), by which query workers merge the logs for a consumer
//! ([`query::tables::tmq`]).
//!
//! # Order and visibility
//!
//! Replies of a connection come in the order of its requests: each command takes a place, and a
//! reply that comes early waits in it ([`shard::link`]). Mails from one shard to another keep their
//! order, so a subscription begins exactly where its owner heard of it. A change of the catalog is
//! durable, then heard by every shard, then answered: who asks after the answer finds it so
//! ([`shard::topic`]). Mails of a shard leave in one order for all destinations, and a query first
//! goes once around the shards for each flow that a record may pass: so it sees what was
//! acknowledged, and what flows made of it.
//!
//! # Where things go
//!
//! A sixth protocol is a folder under [`proto`], a row of `PROTOCOLS` and a variant of
//! `AnySession`. A language is a folder under [`query::dialect`]; a function of JET a row of
//! [`query::loose::FUNCTIONS`], an operator of pipelines a variant in [`query::pipeline`] and an
//! arm in [`query::push`]; a function of typed tables a row of [`query::tables::expr`] or
//! [`query::tables::select::aggregate`]. A setting is a row of
//! `config::keys`; a flag a row of `cli::table`; a metric a row of `metrics::page`. A bound goes
//! into [`limits`].
//!
//! The modules below stand in reading order; each imports only from those above it, the broker
//! knows no protocol, the wire no domain, and `unsafe` is in [`sys`] alone. `tests/tidy.rs` keeps
//! all this.

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
pub mod cli;
pub mod boot;

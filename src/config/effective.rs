//! The configuration as validated: every key has a value here, with its unit in its name.

use super::access::User;
use crate::model::policy::FullPolicy;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Written: survives the process.
    Os,
    /// Synced: survives the power.
    Group,
}

/// What a queue does when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueFull {
    /// Stops reading the sockets that write to it.
    Block,
    /// Closes the client that sent the message too many.
    Error,
}

/// What happens to writes on a critically full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// They are refused.
    Refuse,
    /// The oldest segments make room.
    Trim,
}

/// One address for each front-end; `None`: off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// JSON streams.
    pub jsonjet: Option<SocketAddr>,
    /// Backends of the mesh.
    pub mesh: Option<SocketAddr>,
    /// End users of the mesh.
    pub users: Option<SocketAddr>,
    /// Metrics subscriptions.
    pub nsdb: Option<SocketAddr>,
    /// TDengine clients.
    pub taos: Option<SocketAddr>,
    /// Queries over nested data.
    pub raw: Option<SocketAddr>,
    /// Console, metrics, health.
    pub admin: Option<SocketAddr>,
}

/// A path of the users port and the topic it writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// After percent-decoding, without query string.
    pub path: String,
    /// Topic name as an operator writes it.
    pub topic: String,
    /// Records the opening of a connection.
    pub handshake_events: bool,
    /// Records the end of a connection.
    pub close_events: bool,
    /// Nothing after the first message is read until the context has this key.
    pub wait_context: Option<String>,
    /// The text `ping` is answered and not recorded.
    pub answer_text_ping: bool,
}

/// `[mesh]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mesh {
    /// 0..1023.
    pub node: u16,
    /// Messages that wait for a consumer, for each topic; 0: no limit.
    pub topic_size: u64,
    /// Queue topics.
    pub max_topics: u64,
    /// At the bound.
    pub full: QueueFull,
    /// Without a frame from the client; 0: for ever.
    pub idle_timeout_s: u64,
    /// Until an unacknowledged message goes out again.
    pub ack_timeout_s: u64,
    /// One message of an end user.
    pub user_message_bytes: usize,
    /// One message or body of a backend.
    pub api_message_bytes: usize,
    /// Never empty.
    pub routes: Vec<Route>,
}

/// `[nsdb]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nsdb {
    /// Shortest time between two pushes of a subscription.
    pub refresh_period_ms: u64,
    /// Bits held for each query.
    pub retention_size: u64,
    /// Between two evaluations of an aggregate.
    pub aggregate_interval_ms: u64,
}

/// `[taos]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taos {
    /// Reported to clients, which choose their protocol by it.
    pub version: String,
    /// Topics of subscriptions.
    pub max_topics: u64,
}

/// `[raw]`: bounds of queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Without a frame from the client; 0: for ever.
    pub idle_timeout_s: u64,
    /// Of one query.
    pub run_limit_s: u64,
    /// Of one result.
    pub rows_limit: u64,
    /// Of the text of one query.
    pub query_bytes: usize,
    /// Memory of one query for sorting and grouping.
    pub sort_bytes: usize,
    /// At once.
    pub queries: usize,
}

/// `[retention]`; 0: no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionDefaults {
    /// Newest records kept.
    pub records: u64,
    /// Bytes kept.
    pub bytes: u64,
    /// Seconds kept.
    pub age_s: u64,
    /// On a critically full disk.
    pub on_full: OnFull,
}

/// `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One inbound message.
    pub message_bytes: usize,
    /// Queued for one slow connection.
    pub outbox_bytes: usize,
    /// Beyond it.
    pub outbox_full: FullPolicy,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Logs and catalog.
    pub data_dir: PathBuf,
    /// Root of files that queries may touch.
    pub files_dir: Option<PathBuf>,
    /// Shards; 0: one for each core this process may use.
    pub shards: usize,
    /// Whether shards are pinned to their cores.
    pub pin: bool,
    /// Microseconds that a shard spins after traffic before it blocks; 0: never.
    pub spin_us: u64,
    /// What acknowledged means.
    pub durability: Durability,
    /// Addresses other than loopback without users.
    pub allow_open: bool,
    /// Ports.
    pub listen: Listen,
    /// `[mesh]`.
    pub mesh: Mesh,
    /// `[nsdb]`.
    pub nsdb: Nsdb,
    /// `[taos]`.
    pub taos: Taos,
    /// `[raw]`.
    pub raw: Raw,
    /// `[retention]`.
    pub retention: RetentionDefaults,
    /// `[limits]`.
    pub limits: Limits,
    /// Compress what many connections get, for those that agreed.
    pub compress_fanout: bool,
    /// Percent of the file system free below which the disk is low.
    pub disk_low_percent: u64,
    /// Bytes free below which writes are refused.
    pub disk_critical_bytes: u64,
    /// A WebSocket echo on the admin port.
    pub debug_echo: bool,
    /// `/debug/stall` on the admin port stops a shard, to try the guard against stalls.
    pub debug_stall: bool,
    /// Who may do what; empty: everything is open.
    pub users: Vec<User>,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        Self {
            data_dir: PathBuf::from("./weir-data"),
            files_dir: None,
            shards: 0,
            pin: true,
            spin_us: 50,
            durability: Durability::Group,
            allow_open: false,
            listen: Listen {
                jsonjet: local(3333),
                mesh: local(6789),
                users: local(6790),
                nsdb: local(9000),
                taos: local(6041),
                raw: local(54321),
                admin: local(8400),
            },
            mesh: Mesh {
                node: 1,
                topic_size: 0,
                max_topics: 100,
                full: QueueFull::Block,
                idle_timeout_s: 60,
                ack_timeout_s: 30,
                user_message_bytes: 65_536,
                api_message_bytes: 1 << 20,
                routes: vec![Route::plain("/chat", "chat")],
            },
            nsdb: Nsdb { refresh_period_ms: 100, retention_size: 10, aggregate_interval_ms: 5_000 },
            taos: Taos { version: "3.3.6.0".to_owned(), max_topics: 20 },
            raw: Raw {
                idle_timeout_s: 60,
                run_limit_s: 30,
                rows_limit: 1_000_000,
                query_bytes: 1 << 20,
                sort_bytes: 256 << 20,
                queries: 64,
            },
            retention: RetentionDefaults {
                records: 0,
                bytes: 0,
                age_s: 0,
                on_full: OnFull::Refuse,
            },
            limits: Limits {
                message_bytes: 16 << 20,
                outbox_bytes: 16 << 20,
                outbox_full: FullPolicy::Disconnect,
            },
            compress_fanout: false,
            disk_low_percent: 5,
            disk_critical_bytes: 64 << 20,
            debug_echo: false,
            debug_stall: false,
            users: Vec::new(),
        }
    }
}

impl Route {
    /// A route without events and conditions.
    #[must_use]
    pub fn plain(path: &str, topic: &str) -> Self {
        Self {
            path: path.to_owned(),
            topic: topic.to_owned(),
            handshake_events: false,
            close_events: false,
            wait_context: None,
            answer_text_ping: false,
        }
    }
}

//! Every key of the configuration file, once: section, name, default, range, help, and the field.
//!
//! Checking a file, naming the nearest key, `weir check`, the commented default file and the tests all
//! read these tables. The default stands here as TOML text for the reader and in `Config::default` for
//! the program; a test keeps the two equal. A key's unit is the end of its name (`_ms`, `_s`, `_bytes`).

use super::access::{Role, User};
use super::effective::{Config, Route};
use super::slot::{Range, Slot, UNBOUNDED};
use crate::limits::{RECORD_BYTES_MAX, SHARDS_MAX, TOPICS_MAX};

/// A key of the table type `T`.
pub struct Key<T> {
    /// Name of its table; empty: before the first one.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Default as TOML text; empty: absent.
    pub default: &'static str,
    /// Numbers only.
    pub range: Range,
    /// What it does.
    pub help: &'static str,
    /// Whether the default file leaves it out.
    pub hidden: bool,
    /// Its field.
    pub slot: fn(&mut T) -> Slot<'_>,
}

impl<T> Key<T> {
    /// `section.name`.
    pub fn path(&self) -> String {
        if self.section.is_empty() {
            return self.name.to_owned();
        }
        format!("{}.{}", self.section, self.name)
    }
}

/// What each table is for, in the order of the file. The first has no header.
pub const SECTIONS: &[(&str, &str)] = &[
    ("", ""),
    ("listen", "One address for each front-end; \"off\" turns one off."),
    ("mesh", "Messages between end users and backends."),
    ("nsdb", "Metrics subscriptions."),
    ("taos", "TDengine clients."),
    ("raw", "Queries over nested data."),
    ("retention", "For topics that set none of their own; 0: no bound."),
    ("limits", "What one connection may ask for."),
    ("websocket", "Transport."),
    ("disk", "When the disk of data_dir counts as full."),
    ("debug", "For tests."),
];

/// The name of the array of routes.
pub const ROUTES: &str = "mesh.route";
/// The name of the array of users.
pub const USERS: &str = "user";

const ANY: Range = (0, UNBOUNDED);
const SOME: Range = (1, UNBOUNDED);
const MESSAGE: Range = (1, RECORD_BYTES_MAX as u64);
/// A week: longer is a mistake of the unit.
const SECONDS: Range = (1, 604_800);
const SECONDS_OR_NONE: Range = (0, 604_800);
const MILLISECONDS: Range = (1, 604_800_000);

const fn key<T>(
    section: &'static str,
    name: &'static str,
    default: &'static str,
    range: Range,
    help: &'static str,
    slot: fn(&mut T) -> Slot<'_>,
) -> Key<T> {
    Key { section, name, default, range, help, hidden: help.is_empty(), slot }
}

/// Rows of one table: `"name" = "default", range => Kind(field), "help";`.
macro_rules! keys {
    ($($section:literal $name:literal = $default:literal, $range:expr =>
        $kind:ident($($field:ident).+), $help:literal;)+) => {
        &[$(key($section, $name, $default, $range, $help, |c| {
            Slot::$kind(&mut c.$($field).+)
        })),+]
    };
}

/// All keys but those of the two arrays, in the order of the file.
pub const KEYS: &[Key<Config>] = keys! {
    "" "data_dir" = "\"./weir-data\"", ANY => Path(data_dir),
        "Logs and catalog; created if absent. A relative path begins at the working directory.";
    "" "files_dir" = "", ANY => OptionalPath(files_dir),
        "Root of the files that statements read and write; without it those are refused.";
    "" "shards" = "0", (0, SHARDS_MAX as u64) => Usize(shards),
        "Threads, each with its own connections and topics; 0: one for each usable core.";
    "" "pin" = "true", ANY => Bool(pin),
        "Keep each shard on its own core.";
    "" "spin_us" = "50", (0, 1_000) => U64(spin_us),
        "Microseconds for which a shard looks for more after traffic before it sleeps; 0: none.";
    "" "durability" = "\"group\"", ANY => Choice(durability),
        "\"group\": acknowledged is synced, many writers share one sync. \"os\": is written.";
    "" "allow_open" = "false", ANY => Bool(allow_open),
        "Without a [[user]], other than loopback addresses may be bound: anybody may do anything.";

    "listen" "jsonjet" = "\"127.0.0.1:3333\"", ANY => Address(listen.jsonjet),
        "JSON streams: HTTP under /api, WebSocket /ws.";
    "listen" "mesh" = "\"127.0.0.1:6789\"", ANY => Address(listen.mesh),
        "Backends of the mesh: HTTP under /v1, WebSocket /ws/v1.";
    "listen" "users" = "\"127.0.0.1:6790\"", ANY => Address(listen.users),
        "End users of the mesh; they need no credentials.";
    "listen" "nsdb" = "\"127.0.0.1:9000\"", ANY => Address(listen.nsdb),
        "Metrics subscriptions.";
    "listen" "taos" = "\"127.0.0.1:6041\"", ANY => Address(listen.taos),
        "TDengine clients.";
    "listen" "raw" = "\"127.0.0.1:54321\"", ANY => Address(listen.raw),
        "Queries over nested data.";
    "listen" "admin" = "\"127.0.0.1:8400\"", ANY => Address(listen.admin),
        "Console, /metrics, /health, /ready.";

    "mesh" "node" = "1", (0, 1_023) => U16(mesh.node),
        "The 10-bit node part of client ids; another on each appliance.";
    "mesh" "topic_size" = "0", ANY => U64(mesh.topic_size),
        "Messages that wait for a consumer, for each topic; 0: no limit but retention.";
    "mesh" "max_topics" = "100", (1, TOPICS_MAX as u64) => U64(mesh.max_topics),
        "Queue topics.";
    "mesh" "full" = "\"block\"", ANY => Choice(mesh.full),
        "At topic_size. \"block\": the senders are not read. \"error\": the sender is closed.";
    "mesh" "idle_timeout_s" = "60", SECONDS_OR_NONE => U64(mesh.idle_timeout_s),
        "Seconds without a frame from the client until it is closed; 0: never.";
    "mesh" "ack_timeout_s" = "30", SECONDS => U64(mesh.ack_timeout_s),
        "Seconds until a message popped with \"ack\" and not acknowledged goes out again.";
    "mesh" "user_message_bytes" = "65536", MESSAGE => Usize(mesh.user_message_bytes),
        "One message of an end user; more: close 1009.";
    "mesh" "api_message_bytes" = "1048576", MESSAGE => Usize(mesh.api_message_bytes),
        "One message or body of a backend; more: close 1009, HTTP 413.";

    "nsdb" "refresh_period_ms" = "100", MILLISECONDS => U64(nsdb.refresh_period_ms),
        "Shortest time between two pushes of a subscription.";
    "nsdb" "retention_size" = "10", ANY => U64(nsdb.retention_size),
        "Bits held for each query between two pushes.";
    "nsdb" "aggregate_interval_ms" = "5000", MILLISECONDS => U64(nsdb.aggregate_interval_ms),
        "Time between two evaluations of an aggregate.";

    "taos" "version" = "\"3.3.6.0\"", ANY => Text(taos.version),
        "Reported to clients, which choose their protocol by it.";
    "taos" "max_topics" = "20", (1, TOPICS_MAX as u64) => U64(taos.max_topics),
        "Topics for subscription.";

    "raw" "idle_timeout_s" = "60", SECONDS_OR_NONE => U64(raw.idle_timeout_s),
        "Seconds without a frame from the client until it is closed; 0: never.";
    "raw" "run_limit_s" = "30", SECONDS => U64(raw.run_limit_s),
        "Run time of one query.";
    "raw" "rows_limit" = "1000000", SOME => U64(raw.rows_limit),
        "Rows of one result.";
    "raw" "query_bytes" = "1048576", MESSAGE => Usize(raw.query_bytes),
        "Text of one query.";
    "raw" "sort_bytes" = "268435456", SOME => Usize(raw.sort_bytes),
        "Memory of one query for sorting and grouping.";
    "raw" "queries" = "64", (1, 65_536) => Usize(raw.queries),
        "Queries that run at once.";

    "retention" "records" = "0", ANY => U64(retention.records),
        "Newest records kept.";
    "retention" "bytes" = "0", ANY => U64(retention.bytes),
        "Newest bytes kept.";
    "retention" "age_s" = "0", ANY => U64(retention.age_s),
        "Seconds for which a record is kept.";
    "retention" "on_full" = "\"refuse\"", ANY => Choice(retention.on_full),
        "Disk critical. \"refuse\": writes get an error. \"trim\": oldest segments make room.";

    "limits" "message_bytes" = "16777216", MESSAGE => Usize(limits.message_bytes),
        "One inbound message; more: close 1009.";
    "limits" "outbox_bytes" = "16777216", SOME => Usize(limits.outbox_bytes),
        "Queued for one slow connection.";
    "limits" "outbox_full" = "\"disconnect\"", ANY => Choice(limits.outbox_full),
        "Beyond outbox_bytes: close 1013, or \"drop_oldest\", \"drop_newest\". A protocol's own rule holds.";

    "websocket" "compress_fanout" = "false", ANY => Bool(compress_fanout),
        "Compress what many connections get, for those that agreed to permessage-deflate.";

    "disk" "low_percent" = "5", (0, 100) => U64(disk_low_percent),
        "Percent free below which the disk is low: reported, writes go on.";
    "disk" "critical_bytes" = "67108864", ANY => U64(disk_critical_bytes),
        "Bytes free below which it is critical: retention.on_full decides about writes.";

    "debug" "echo" = "false", ANY => Bool(debug_echo),
        "A WebSocket echo at /debug/echo on the admin port, for conformance suites.";
    "debug" "stall" = "false", ANY => Bool(debug_stall), "";
};

/// Keys of a `[[mesh.route]]`.
pub const ROUTE_KEYS: &[Key<Route>] = &[
    key(ROUTES, "path", "\"/chat\"", ANY, "Path on the users port; unique.", |r| {
        Slot::UrlPath(&mut r.path)
    }),
    key(
        ROUTES,
        "topic",
        "\"chat\"",
        ANY,
        "A dot ends the database (\"plant.s1\"); else it is main.",
        |r| Slot::Topic(&mut r.topic),
    ),
    key(
        ROUTES,
        "events",
        "[]",
        ANY,
        "What is recorded beside messages: any of \"handshake\", \"close\".",
        |r| {
            Slot::Switches([("handshake", &mut r.handshake_events), ("close", &mut r.close_events)])
        },
    ),
    key(
        ROUTES,
        "wait_context",
        "",
        ANY,
        "After the first message nothing is read until the client's context has this key.",
        |r| Slot::OptionalText(&mut r.wait_context),
    ),
    key(
        ROUTES,
        "answer_text_ping",
        "false",
        ANY,
        "Answer the text \"ping\" and do not record it.",
        |r| Slot::Bool(&mut r.answer_text_ping),
    ),
];

/// Keys of a `[[user]]`.
pub const USER_KEYS: &[Key<User>] = keys! {
    "user" "name" = "", ANY => Text(name),
        "Unique; required, with one of the four keys that follow.";
    "user" "password" = "", ANY => Plain(password),
        "For Basic.";
    "user" "password_hash" = "", ANY => Hash(password),
        "Instead of password: argon2id PHC string, from `weir hash-password`.";
    "user" "token" = "", ANY => Plain(token),
        "For Bearer and ?token=.";
    "user" "token_hash" = "", ANY => Hash(token),
        "Instead of token: argon2id PHC string, from `weir hash-password`.";
    "user" "roles" = "[\"read\"]", ANY => Roles(roles),
        "Any of \"read\", \"write\", \"admin\"; none includes another.";
    "user" "topics" = "[\"*\"]", ANY => Texts(topics),
        "Globs on short topic names; * runs over dots.";
    "user" "hosts" = "[\"*\"]", ANY => Texts(hosts),
        "Globs on the peer address.";
};

/// A user of which nothing is set.
#[must_use]
pub fn blank_user() -> User {
    let every = || vec!["*".to_owned()];
    User {
        name: String::new(),
        password: None,
        token: None,
        roles: vec![Role::Read],
        topics: every(),
        hosts: every(),
    }
}

/// The paths of all keys.
#[must_use]
pub fn all_paths() -> Vec<String> {
    let mut all: Vec<String> = KEYS.iter().filter(|key| !key.hidden).map(Key::path).collect();
    all.extend(ROUTE_KEYS.iter().map(Key::path));
    all.extend(USER_KEYS.iter().map(Key::path));
    all
}

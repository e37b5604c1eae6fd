//! What all shards of the process share: counters that must not repeat, mailboxes, metrics, states.

use crate::broker::catalog::Change;
use crate::broker::clients::next_client_id;
use crate::config::{Access, Config};
use crate::metrics;
use crate::model::command::ClientId;
use crate::model::flow::{Flow, FlowShared};
use crate::model::table::numbering::Numberings;
use crate::model::topic::{DEFINITIONS_TOPIC, LOG_TOPIC, Topic, TopicId};
use crate::query::program::Lookups;
use crate::query::tables::store::Standing;
use crate::query::tables::tmq::groups::Groups;
use crate::shard::mail::{Mail, Mailbox};
use crate::shard::query::ObservedFields;
use crate::shard::query::directory::Directory;
use crate::shard::query::pool::Workers;
use crate::sys::host;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Flows that the metrics page counts one by one: the oldest.
const FLOW_LABELS_MAX: usize = 100;
/// Descriptors kept back for logs, at most.
const RESERVED_FILES_MAX: u64 = 1024;

/// What a shard is doing, for the guard against stalls. The order of [`STEP_NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Starting, recovering.
    Start,
    /// Taking completions of the disk.
    Reap,
    /// Reading sockets and running sessions.
    Ingest,
    /// Reading the mailbox.
    Receive,
    /// Freezing batches, matching, encoding.
    Match,
    /// Timers.
    Timers,
    /// Writing sockets.
    Flush,
    /// Waiting.
    Wait,
    /// Ended.
    Ended,
}

/// Names of [`Step`]s.
pub const STEP_NAMES: [&str; 9] =
    ["start", "reap", "ingest", "receive", "match", "timers", "flush", "wait", "ended"];

/// Signs of life of one shard.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Turns begun.
    pub turns: AtomicU64,
    /// A [`Step`].
    pub step: AtomicU8,
}

/// See the module's page.
#[derive(Debug)]
pub struct Process {
    /// The configuration.
    pub config: Config,
    /// The users.
    pub access: Access,
    /// When the process began, monotonic nanoseconds.
    pub started_ns: u64,
    /// Mailboxes, by shard.
    pub mailboxes: Vec<Mailbox>,
    /// Metrics, by shard.
    pub metrics: Vec<metrics::Shard>,
    /// Signs of life, by shard.
    pub pulses: Vec<Pulse>,
    /// Shards that have not recovered yet.
    pub recovering: AtomicU16,
    /// Shards whose flows have not come to the end of their logs.
    pub behind: AtomicU16,
    /// Space is too low for writes.
    pub disk_full: AtomicBool,
    /// Writes are refused, reads go on.
    pub stopping: AtomicBool,
    /// Connections at once; the rest of the descriptors is for the logs.
    pub connections_max: u64,
    /// The processors of the process, before any thread was pinned.
    pub processors: Vec<usize>,
    /// Threads of one-shot queries.
    pub workers: Workers,
    /// Fields that records of topics have.
    pub observed: Mutex<ObservedFields>,
    /// Typed tables as they stood when they were last read.
    pub standing: Standing,
    /// Numbers of records, by database.
    pub numberings: Arc<Numberings>,
    /// Consumer groups.
    pub groups: Arc<Groups>,
    directory: Mutex<Directory>,
    log_topic: OnceLock<Arc<Topic>>,
    subscriptions: AtomicU64,
    connections: AtomicU64,
    clients: AtomicU64,
    /// Client ids up to this one are reserved in the catalog.
    pub clients_reserved: AtomicU64,
}

impl Process {
    /// Joins the parts for so many shards.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new(
        config: Config,
        shards: usize,
        started_ns: u64,
        open_files: u64,
    ) -> io::Result<Arc<Self>> {
        let mailboxes = (0..shards).map(|_| Mailbox::new()).collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Self {
            access: Access::new(&config.users),
            config,
            started_ns,
            mailboxes,
            metrics: (0..shards).map(|_| metrics::Shard::default()).collect(),
            pulses: (0..shards).map(|_| Pulse::default()).collect(),
            recovering: AtomicU16::new(shards as u16),
            behind: AtomicU16::new(shards as u16),
            disk_full: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            connections_max: open_files - (open_files / 4).clamp(32, RESERVED_FILES_MAX),
            processors: host::processors(),
            workers: Workers::default(),
            observed: Mutex::default(),
            standing: Standing::default(),
            numberings: Arc::default(),
            groups: Arc::default(),
            directory: Mutex::default(),
            log_topic: OnceLock::new(),
            subscriptions: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            clients: AtomicU64::new(0),
            clients_reserved: AtomicU64::new(0),
        }))
    }

    /// Puts a mail into a shard's mailbox, from a thread that may wait until there is room.
    pub fn mail(&self, shard: u16, mut mail: Mail) {
        let Some(mailbox) = self.mailboxes.get(shard as usize) else { return };
        while let Err(back) = mailbox.post(mail) {
            mail = back;
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The topic of `_log`, one for all shards: the first that comes makes it.
    pub fn share_log_topic(&self, made: Arc<Topic>) -> Arc<Topic> {
        Arc::clone(self.log_topic.get_or_init(|| made))
    }

    /// The topics and constants as shard 0 knows them, for threads that are no shards.
    pub fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a change, on shard 0, before any other shard hears of it.
    pub fn apply(&self, change: &Change, lookups: &Arc<Lookups>) {
        self.directory().apply(change, lookups);
        if let Change::Deleted(topic) = change {
            self.observed.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
            self.standing.forget(*topic);
        }
    }

    /// The shard that owns a topic.
    #[must_use]
    pub fn owner_of(&self, topic: TopicId) -> u16 {
        match topic {
            LOG_TOPIC | DEFINITIONS_TOPIC => 0,
            topic => (topic % self.mailboxes.len() as u32) as u16,
        }
    }

    /// Open connections of all shards.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        self.metrics.iter().flat_map(|m| &m.fronts).map(|front| front.open.get()).sum()
    }

    /// Shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.mailboxes.len()
    }

    /// The next subscription number, from 1.
    pub fn next_subscription(&self) -> u64 {
        self.subscriptions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The next connection number, from 1.
    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The next client id of a shard.
    pub fn next_client(&self, now_ms: u64, shard: u16, stride: u64) -> ClientId {
        let node = self.config.mesh.node;
        let next = |last| Some(next_client_id(last, now_ms, node, shard, stride));
        let before = self.clients.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        next_client_id(before.unwrap_or(0), now_ms, node, shard, stride)
    }

    /// Client ids begin after this one.
    pub fn set_last_client(&self, last: ClientId) {
        self.clients.store(last, Ordering::Relaxed);
    }

    /// The last client id given out.
    pub fn last_client(&self) -> ClientId {
        self.clients.load(Ordering::Relaxed)
    }

    /// Whether writes are taken: recovered, not stopping, space, no partition lost.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.recovering.load(Ordering::Acquire) == 0
            && !self.stopping.load(Ordering::Relaxed)
            && !self.disk_full.load(Ordering::Relaxed)
            && self.metrics.iter().all(|m| m.read_only.get() == 0)
    }

    /// Why not, in words.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        if self.recovering.load(Ordering::Acquire) > 0 {
            Some("recovering")
        } else if self.stopping.load(Ordering::Relaxed) {
            Some("stopping")
        } else if self.disk_full.load(Ordering::Relaxed) {
            Some("disk full")
        } else if self.metrics.iter().any(|m| m.read_only.get() > 0) {
            Some("a log is read-only after failed writes")
        } else {
            None
        }
    }

    /// The metrics page.
    #[must_use]
    pub fn metrics_page(&self) -> String {
        let raw = metrics::FRONT_LABELS.iter().position(|label| *label == "raw").unwrap_or(0);
        let queries = self.workers.running(raw as u8);
        let page = metrics::page::render(self.metrics.iter(), self.is_ready(), queries);
        let directory = self.directory();
        let flows: Vec<_> = directory.flows().take(FLOW_LABELS_MAX).map(Arc::clone).collect();
        drop(directory);
        let label = |flow: &Flow| match &flow.spec.name {
            Some(name) => name.to_string(),
            None => format!("query {}", flow.id),
        };
        let row = |flow: &Arc<Flow>| {
            let shared = &flow.shared;
            let counts = [&shared.records_out, &shared.errors, &shared.late].map(FlowShared::read);
            (label(flow), counts)
        };
        metrics::page::with_flows(page, &flows.iter().map(row).collect::<Vec<_>>())
    }
}

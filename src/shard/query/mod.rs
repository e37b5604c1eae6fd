//! One-shot queries: the shard's side. A session's job goes to a worker thread; what it emits comes
//! back by mail, and its end as the reply to the session's command.
//!
//! Backpressure: a worker may be [`CREDITS`] pieces of output ahead of the client; the shard gives
//! a credit back when the connection's output has room. A connection that ends cancels its query.

mod bench;
mod fields;
mod tail;
pub mod directory;
pub mod pool;

pub use fields::ObservedFields;

use crate::broker::Peer;
use crate::log::{Batch, PartitionView};
use crate::model::event::{Event, QueryOutput, Reply};
use crate::model::record::{Offset, TimeNs};
use crate::model::topic::TopicId;
use crate::proto::Session;
use crate::proto::contract::Bound;
use crate::query::pull::Job;
use crate::shard::Shard;
use crate::shard::mail::{Mail, Origin, Part, Ticket, Work};
use crate::shard::topic::owner::Store;
use ahash::AHashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Slot of a reply that is for a query on its thread.
pub const WORK_SLOT: u32 = u32::MAX - 2;
/// Pieces of output that are on their way to a client at once.
const CREDITS: u32 = 4;
/// Bytes of output after which a connection gives no credit.
const ROOM_BYTES: usize = 512 << 10;

/// What a shard and a worker share about a query.
#[derive(Debug, Default)]
pub struct QueryControl {
    cancelled: AtomicBool,
    /// Pieces that the shard has taken and not given a credit for.
    owed: AtomicU32,
    under_way: Mutex<u32>,
    moved: Condvar,
}

impl QueryControl {
    /// Nobody waits for the query any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.moved.notify_all();
    }

    /// Whether nobody waits for it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Waits for a credit, at most so long; whether there was one.
    fn take_credit(&self, wait: Duration) -> bool {
        let count = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut count, _) = self
            .moved
            .wait_timeout_while(count, wait, |count| *count >= CREDITS && !self.is_cancelled())
            .unwrap_or_else(PoisonError::into_inner);
        if *count >= CREDITS {
            return false;
        }
        *count += 1;
        true
    }

    fn give_credits(&self) {
        let owed = self.owed.swap(0, Ordering::AcqRel);
        let mut count = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_sub(owed);
        self.moved.notify_all();
    }
}

/// A job on its way to a worker.
pub struct Task {
    /// Who asked.
    pub origin: Origin,
    /// Front-end, an index of the metrics.
    pub front: u8,
    /// When.
    pub now: TimeNs,
    /// What is shared about it.
    pub control: Arc<QueryControl>,
    /// What is to be done.
    pub job: Box<dyn Job>,
}

impl Task {
    /// One that nobody waits for, and that counts for no front-end.
    #[must_use]
    pub fn of_nobody(shard: u16, now: TimeNs, job: Box<dyn Job>) -> Self {
        let (origin, control) = (Origin::nobody(shard), Arc::default());
        Self { origin, front: u8::MAX, now, control, job }
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The records of a topic as of one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// How to read the log.
    pub view: Option<Arc<PartitionView>>,
    /// What a ring in memory holds.
    pub kept: Vec<Arc<Batch>>,
    /// The offset that comes next.
    pub head: Offset,
}

/// Queries that wait for what they asked their shard to do.
#[derive(Debug, Default)]
pub struct Works {
    next: u32,
    waiting: AHashMap<u32, SyncSender<Reply>>,
}

/// Who waits for a snapshot.
pub type SnapshotSender = SyncSender<Option<Snapshot>>;

/// What happens when a fence is complete.
#[derive(Debug)]
pub enum Then {
    /// A query starts.
    Query(Task),
    /// Flows emit.
    Flush(Origin, TopicId),
}

/// Every shard answers that it has done what was asked of it before, so many times over.
#[derive(Debug)]
pub struct Fence {
    rounds: usize,
    left: usize,
    then: Then,
}

impl Shard {
    /// Does what a query asks for; its thread waits for the reply.
    pub(in crate::shard) fn do_work(&mut self, work: Work, to: SyncSender<Reply>) {
        self.works.next = self.works.next.wrapping_add(1);
        let token = self.works.next;
        self.works.waiting.insert(token, to);
        let peer = Peer { shard: self.core.id, slot: WORK_SLOT, generation: 0 };
        let origin = Origin { peer, token: Some(token) };
        match work {
            Work::Define(wanted) => {
                self.core.send(0, Mail::Define { origin, wanted: Box::new(wanted) });
            }
            Work::Commit(entries) => self.core.send(0, Mail::Commit { origin, entries }),
            Work::Append(topic, records) => {
                let owner = self.core.owner_of(topic);
                let bound = Bound::Free;
                self.core.send(owner, Mail::Append { origin, topic, records, bound });
            }
        }
    }

    /// A reply to what a query asked for.
    pub(in crate::shard) fn on_work_done(&mut self, token: u32, reply: Reply) {
        if let Some(to) = self.works.waiting.remove(&token) {
            // The query may have ended meanwhile.
            let _ = to.try_send(reply);
        }
    }

    /// Begins what must see all that was acknowledged before, also what flows made of it on other
    /// shards: one round for each flow that a record may pass.
    pub(in crate::shard) fn fence(&mut self, then: Then) {
        let rounds = if self.core.shards() > 1 { self.core.catalog.flow_depth() } else { 0 };
        let ticket = self.core.ticket();
        self.fences.insert(ticket, Fence { rounds, left: 0, then });
        self.next_round(ticket);
    }

    fn next_round(&mut self, ticket: Ticket) {
        let Some(fence) = self.fences.get_mut(&ticket) else { return };
        if fence.rounds > 0 {
            fence.rounds -= 1;
            let from = self.core.id;
            let others = self.core.broadcast(|| Mail::Fence { ticket, from });
            if let Some(fence) = self.fences.get_mut(&ticket) {
                fence.left = others;
            }
            return;
        }
        match self.fences.remove(&ticket).map(|fence| fence.then) {
            Some(Then::Query(task)) => self.core.process.workers.submit(&self.core.process, task),
            Some(Then::Flush(origin, topic)) => {
                let owner = self.core.owner_of(topic);
                self.core.send(owner, Mail::Flush { origin, topic });
            }
            None => {}
        }
    }

    /// A shard has answered; `false`: this was no fence's ticket.
    pub(in crate::shard) fn on_fence_part(&mut self, ticket: Ticket, part: &Part) -> bool {
        let Some(fence) = self.fences.get_mut(&ticket) else { return false };
        if matches!(part, Part::Heard) {
            fence.left = fence.left.saturating_sub(1);
            if fence.left == 0 {
                self.next_round(ticket);
            }
        }
        true
    }

    /// Output of a query for a session of this shard.
    pub(in crate::shard) fn on_query_output(
        &mut self,
        to: Origin,
        output: QueryOutput,
        last: bool,
        control: &Arc<QueryControl>,
    ) {
        if !self.is_here(to.peer) {
            return control.cancel();
        }
        let slot = to.peer.slot;
        if last {
            self.queries.retain(|(peer, _)| *peer != to.peer);
            return self.core.replies.push_back((to, Reply::Query(output)));
        }
        self.call(slot, |session, _, intake, out| {
            session.on_event(Event::Query(output), intake, out);
        });
        self.check_limit(slot);
        control.owed.fetch_add(1, Ordering::AcqRel);
        if !self.queries.iter().any(|(peer, _)| *peer == to.peer) {
            self.queries.push((to.peer, Arc::clone(control)));
        }
    }

    /// Gives credits to the queries whose connections have room; cancels those of connections that
    /// have ended.
    pub(in crate::shard) fn run_queries(&mut self) {
        let mut index = 0;
        while let Some((peer, control)) = self.queries.get(index) {
            if !self.is_here(*peer) {
                control.cancel();
                self.queries.swap_remove(index);
                continue;
            }
            if control.owed.load(Ordering::Acquire) > 0
                && let Some(conn) = self.conns.get(peer.slot as usize)
                && conn.out.queued < ROOM_BYTES
            {
                control.give_credits();
            }
            index += 1;
        }
    }

    /// Answers a worker that wants to read a topic. Called when the turn has sealed its appends.
    pub(in crate::shard) fn take_snapshots(&mut self) {
        for (topic, to) in std::mem::take(&mut self.snapshots) {
            self.core.owner.retain(topic, self.core.now);
            let snapshot = self.core.owner.get(topic).map(|owned| match &owned.store {
                Store::Log(partition) => Snapshot {
                    view: Some(Arc::clone(partition.view())),
                    kept: Vec::new(),
                    head: owned.head(),
                },
                Store::Pipe(pipe) => Snapshot { view: None, kept: pipe.kept(), head: pipe.next() },
            });
            let _ = to.try_send(snapshot);
        }
    }
}

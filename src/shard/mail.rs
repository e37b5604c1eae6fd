//! What shards tell each other, and the bounded mailboxes in which it lies.
//!
//! A mailbox is never waited for: what does not fit stays with the sender, which then reads no
//! sockets until it fits, so it cannot grow without bound. Order from one shard to another is kept.

use crate::broker::Peer;
use crate::broker::catalog::Change;
use crate::log::{Batch, PartitionView, RecordRef};
use crate::model::command::{ClientCall, ClientFrame, ClientId, Definitions, IfExists};
use crate::model::event::{QueryOutput, Reply};
use crate::model::flow::{Derivation, FlowId, FlowRef, FlowSpec};
use crate::model::name::TopicName;
use crate::model::record::{Body, Offset, Record, TimeNs};
use crate::model::refusal::Refusal;
use crate::model::table::Entry;
use crate::model::topic::{Retention, TopicId};
use crate::proto::contract::Bound;
use crate::shard::query::{QueryControl, SnapshotSender};
use crate::sys::net::Bell;
use crossbeam_queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

/// Mails that a mailbox holds.
const MAILBOX_MAX: usize = 8192;

/// Names a request of several parts on the shard that asked.
pub type Ticket = u64;

/// Where the outcome of an append goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The connection.
    pub peer: Peer,
    /// Its command; `None`: nobody wants to know.
    pub token: Option<u32>,
}

impl Origin {
    /// Nobody wants to know.
    #[must_use]
    pub fn nobody(shard: u16) -> Self {
        Self { peer: Peer { shard, slot: u32::MAX, generation: 0 }, token: None }
    }
}

/// Records on their way to another shard.
#[derive(Clone, Debug)]
pub struct OwnedRecords {
    /// When they came.
    pub time: TimeNs,
    /// From whom.
    pub producer: u64,
    bytes: Vec<u8>,
    parts: Vec<OwnedBody>,
}

#[derive(Clone, Copy, Debug)]
enum OwnedBody {
    Json(usize),
    Derived { json: usize, flow: FlowId, from: Derivation },
    Frame { binary: bool, bytes: usize, context: usize, event: usize },
    Lifecycle { json: usize, context: usize },
    Rows(usize),
}

impl OwnedRecords {
    /// Copies bodies.
    #[must_use]
    pub fn new(time: TimeNs, producer: u64, bodies: &[Body<'_>]) -> Self {
        let mut bytes = Vec::new();
        let mut add = |part: &[u8]| {
            bytes.extend_from_slice(part);
            part.len()
        };
        let parts = bodies.iter().map(|body| match *body {
            Body::Json(json) => OwnedBody::Json(add(json)),
            Body::Derived { json, flow, from } => {
                OwnedBody::Derived { json: add(json), flow, from }
            }
            Body::Frame { binary, bytes, context, event } => OwnedBody::Frame {
                binary,
                bytes: add(bytes),
                context: add(context),
                event: add(event),
            },
            Body::Rows(rows) => OwnedBody::Rows(add(rows)),
            Body::Lifecycle { json, context } => {
                OwnedBody::Lifecycle { json: add(json), context: add(context) }
            }
        });
        let parts = parts.collect();
        Self { time, producer, bytes, parts }
    }

    /// Bytes of the bodies.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The records.
    #[must_use]
    pub fn records(&self) -> Vec<Record<'_>> {
        let mut at = 0;
        let mut take = |length: usize| {
            let part = &self.bytes[at..at + length];
            at += length;
            part
        };
        let bodies = self.parts.iter().map(|part| match *part {
            OwnedBody::Json(json) => Body::Json(take(json)),
            OwnedBody::Derived { json, flow, from } => {
                Body::Derived { json: take(json), flow, from }
            }
            OwnedBody::Frame { binary, bytes, context, event } => {
                let (bytes, context) = (take(bytes), take(context));
                Body::Frame { binary, bytes, context, event: take(event) }
            }
            OwnedBody::Rows(rows) => Body::Rows(take(rows)),
            OwnedBody::Lifecycle { json, context } => {
                let json = take(json);
                Body::Lifecycle { json, context: take(context) }
            }
        });
        bodies.map(|body| Record { time: self.time, producer: self.producer, body }).collect()
    }
}

/// A publish for the members on another shard.
#[derive(Debug)]
pub struct Publish {
    /// By which its count comes back.
    pub ticket: Ticket,
    /// Its channel.
    pub channel: Arc<str>,
    /// What they get.
    pub frame: Arc<ClientFrame>,
}

/// What a part of a request came to.
#[expect(missing_docs, reason = "the fields are named after their types")]
#[derive(Debug)]
pub enum Part {
    /// Subscribed: the offset that comes next, how to read what is kept, what a ring in memory
    /// holds.
    Subscribed {
        topic: TopicId,
        head: Offset,
        view: Option<Arc<PartitionView>>,
        kept: Vec<Arc<Batch>>,
    },
    /// Consuming.
    Popped,
    /// Present there.
    Present { count: u64, clients: Vec<ClientId> },
    /// Heard.
    Heard,
    /// Refused.
    Refused(Refusal),
}

/// What a query asks its shard to do.
#[derive(Debug)]
pub enum Work {
    /// Make and remove definitions.
    Define(Definitions),
    /// Append these to a topic.
    Append(TopicId, OwnedRecords),
    /// Write positions of consumer groups.
    Commit(Vec<Entry>),
}

/// A mail.
#[expect(missing_docs, reason = "the fields are named after their types")]
#[derive(Debug)]
pub enum Mail {
    /// To a topic's owner: append.
    Append { origin: Origin, topic: TopicId, records: OwnedRecords, bound: Bound },
    /// To shard 0: make a topic.
    Create {
        /// Who asks.
        origin: Origin,
        /// Its name.
        name: TopicName,
        /// What it keeps.
        retention: Retention,
        /// Nothing.
        pipe: bool,
        /// Made by the queue.
        queue: bool,
        /// If it exists.
        if_exists: IfExists,
    },
    /// To shard 0: hide records.
    Hide { origin: Origin, topic: TopicId, ranges: Vec<(Offset, Offset)> },
    /// To shard 0: make a flow.
    CreateFlow { origin: Origin, spec: Box<FlowSpec>, if_exists: IfExists },
    /// To shard 0: make and remove definitions.
    Define { origin: Origin, wanted: Box<Definitions> },
    /// To shard 0: write positions of consumer groups.
    Commit { origin: Origin, entries: Vec<Entry> },
    /// To a connection: what its session waits for may be there.
    Wake { peer: Peer },
    /// From a worker to the shard of its query: do this, and say how it went.
    Work { work: Work, to: SyncSender<Reply> },
    /// To shard 0: end a flow.
    DeleteFlow { origin: Origin, flow: FlowRef },
    /// To shard 0: name a constant.
    SetLookup { origin: Origin, name: String, value: Vec<u8>, if_exists: IfExists },
    /// To shard 0: forget a constant.
    DeleteLookup { origin: Origin, name: String },
    /// To an owner: the flows that read the topic emit.
    Flush { origin: Origin, topic: TopicId },
    /// To all: answer when you have come to this.
    Fence { ticket: Ticket, from: u16 },
    /// From a worker to an owner: what is kept of the topic.
    Snapshot { topic: TopicId, to: SnapshotSender },
    /// From a worker to an owner: what lies below an offset is not kept any more.
    Discard { topic: TopicId, below: Offset },
    /// From a worker to a connection: what its query says.
    Query { to: Origin, output: QueryOutput, last: bool, control: Arc<QueryControl> },
    /// To shard 0: delete a topic.
    Delete { origin: Origin, name: TopicName },
    /// From shard 0 to all: the catalog changed.
    Changed { change: Change, round: Option<u64> },
    /// To shard 0: heard of it.
    ChangeHeard { round: u64 },
    /// To a connection: the reply to its command.
    Reply { to: Origin, reply: Reply },
    /// To an owner: this shard wants the topic's records. Answered by a part.
    Subscribe { from: u16, ticket: Ticket, topic: TopicId },
    /// To an owner: one subscription less.
    Unsubscribe { from: u16, topic: TopicId },
    /// To the shard that asked.
    Part { ticket: Ticket, part: Part },
    /// From an owner: new records.
    Deliver { topic: TopicId, batch: Arc<Batch> },
    /// To an owner: this connection consumes the queue. Answered by a part.
    Pop { ticket: Ticket, topic: TopicId, consumer: Peer, acknowledge: bool },
    /// To an owner: it does no more. Answered by a part if a ticket is given.
    Unpop { ticket: Option<Ticket>, topic: TopicId, consumer: Peer },
    /// To an owner: settled messages.
    Acknowledge { origin: Origin, topic: TopicId, offsets: Vec<Offset> },
    /// From an owner: messages for a consumer.
    Messages { topic: TopicId, consumer: Peer, acknowledge: bool, list: Vec<(Offset, RecordRef)> },
    /// To an owner: these are on the socket.
    Written { topic: TopicId, consumer: Peer, offsets: Vec<Offset> },
    /// To a client's shard.
    Client { origin: Origin, client: ClientId, call: ClientCall },
    /// To shards with members: some publishes, in their order.
    Publish { from: u16, list: Vec<Publish> },
    /// Back: how many took each, and how many did not.
    Counted(Vec<(Ticket, u64, u64)>),
    /// To all shards: who is in a channel.
    Presence { ticket: Ticket, from: u16, channel: Arc<str> },
    /// To all shards: a channel has or lost its first or last member on that shard.
    ChannelInterest { ticket: Option<Ticket>, from: u16, channel: Arc<str>, present: bool },
    /// To shard 0: a record for `_log`.
    Log(Vec<u8>),
    /// From the main thread: stop.
    Stop,
}

/// The mailbox of one shard.
#[derive(Debug)]
pub struct Mailbox {
    queue: ArrayQueue<Mail>,
    bell: Bell,
    sleeping: AtomicBool,
}

impl Mailbox {
    /// An empty one.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> std::io::Result<Self> {
        let (queue, bell) = (ArrayQueue::new(MAILBOX_MAX), Bell::new()?);
        Ok(Self { queue, bell, sleeping: AtomicBool::new(false) })
    }

    /// Puts a mail in, and wakes the shard if it sleeps.
    ///
    /// # Errors
    /// It is full; the mail comes back.
    pub fn post(&self, mail: Mail) -> Result<(), Mail> {
        self.queue.push(mail)?;
        if self.sleeping.load(Ordering::SeqCst) {
            self.bell.ring();
        }
        Ok(())
    }

    /// Takes the oldest mail.
    pub fn take(&self) -> Option<Mail> {
        self.queue.pop()
    }

    /// Mails that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Says that the shard is about to sleep; `false`: it must not, something has come.
    pub fn fall_asleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        if self.queue.is_empty() {
            return true;
        }
        self.sleeping.store(false, Ordering::SeqCst);
        false
    }

    /// Says that the shard is awake.
    pub fn wake_up(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    /// What rings when mail comes.
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.bell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_travel_whole() {
        let bodies = [
            Body::Json(b"{\"a\":1}"),
            Body::Frame { binary: true, bytes: &[1, 2], context: b"{}", event: b"message" },
            Body::Lifecycle { json: b"{\"event\":\"close\"}", context: b"" },
            Body::Rows(&[1, 0, 2]),
            Body::Json(b""),
        ];
        let owned = OwnedRecords::new(5, 7, &bodies);
        let back: Vec<_> = owned.records().iter().map(|r| (r.time, r.producer, r.body)).collect();
        assert_eq!(back, bodies.map(|body| (5, 7, body)));
    }

    #[test]
    fn a_full_mailbox_gives_the_mail_back() {
        let mailbox = Mailbox::new().unwrap();
        for _ in 0..MAILBOX_MAX {
            mailbox.post(Mail::Stop).unwrap();
        }
        assert!(mailbox.post(Mail::Stop).is_err());
        assert!(!mailbox.fall_asleep());
        while mailbox.take().is_some() {}
        assert!(mailbox.fall_asleep());
    }
}

//! Events: what the broker tells a session. A reply is an event; each command gets exactly one, and
//! the replies of a connection come in the order of its commands.

use super::command::ClientId;
use super::flow::FlowId;
use super::record::{Offset, Record};
use super::refusal::Refusal;
use super::topic::{SubscriptionId, Topic, TopicId};
use std::sync::Arc;

/// What `conn.info` shows of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientView {
    /// Its id.
    pub client: ClientId,
    /// The path it came by.
    pub path: String,
    /// Its address.
    pub remote: String,
    /// When it came, ms since 1970.
    pub since_ms: u64,
    /// Its channels, sorted by bytes.
    pub channels: Vec<String>,
    /// Its context as a JSON object.
    pub context: Vec<u8>,
}

/// What a one-shot query says to its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryOutput {
    /// It compiled and starts.
    Started,
    /// Its text is wrong; what, is written in the form that job and session agree on.
    Invalid(Vec<u8>),
    /// Part of the result.
    Bytes(Vec<u8>),
    /// It failed while running, for this reason.
    Failed(String),
    /// It ended; what job and session agree on.
    Finished(Vec<u8>),
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Carried out.
    Done,
    /// Not carried out.
    Refused(Refusal),
    /// `CreateTopic`: whether one of the name existed before.
    Created {
        /// It did.
        existed: bool,
    },
    /// `Subscribe`: the numbers, in the order asked.
    Subscribed(Vec<SubscriptionId>),
    /// `Pop`: the topics as they are numbered now.
    Popped(Vec<TopicId>),
    /// `CreateFlow`: its number, and whether one of the name existed.
    FlowCreated {
        /// Its number.
        id: FlowId,
        /// It did.
        existed: bool,
    },
    /// How a one-shot query ended.
    Query(QueryOutput),
    /// `Acknowledge`: how many were acknowledged and how many were not outstanding here.
    Acknowledged(u64, u64),
    /// `Publish`: how many outboxes took the frame and how many did not.
    Published(u64, u64),
    /// `Presence`: the count, and the first ids, ascending.
    Present(u64, Vec<ClientId>),
    /// `Client(GetContext)` and `Client(Info)`.
    Client(Box<ClientView>),
    /// A reply that the session had made already and that had to wait for its turn.
    Deferred(Box<[u8]>),
}

/// Records of one topic, oldest first, offsets without gaps but for what retention dropped.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    /// The topic.
    pub topic: &'a Arc<Topic>,
    /// Offset and record.
    pub list: &'a [(Offset, Record<'a>)],
    /// Whether other connections get the same list in the same turn, so that encoding it may be
    /// shared.
    pub live: bool,
}

/// What a session is told.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The answer to the oldest command not yet answered.
    Reply(Reply),
    /// Records for a subscription.
    Records(SubscriptionId, Records<'a>),
    /// A one-shot query goes on; its end is a reply.
    Query(QueryOutput),
    /// A subscription ended because its topic is gone.
    SubscriptionEnded(SubscriptionId, &'a Arc<Topic>),
    /// What the session waits for may be there (`Bench::waker`).
    Woken,
    /// A topic that was awaited is there.
    TopicMade(&'a Arc<Topic>),
    /// A message of a queue for this consumer.
    Message {
        /// From this queue, named as it was popped by `Pop`.
        topic: &'a Arc<Topic>,
        /// Its offset.
        offset: Offset,
        /// The message.
        record: Record<'a>,
        /// It is outstanding until acknowledged.
        acknowledge: bool,
    },
    /// A queue that this connection consumes is gone.
    QueueGone(TopicId),
    /// The context of this client changed; it is the JSON object given, empty for `{}`.
    Context(&'a [u8]),
}

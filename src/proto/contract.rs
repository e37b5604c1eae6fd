//! What a session is given and what it must do.

use crate::config::{Access, Config};
use crate::fanout::{Outbox, Palette};
use crate::model::command::{ClientId, Command};
use crate::model::event::Event;
use crate::model::flow::{Flow, FlowSpec};
use crate::model::name::TopicName;
use crate::model::record::{Body, TimeNs};
use crate::model::table::Tables;
use crate::model::topic::Topic;
use crate::query::program::Lookups;
use crate::query::pull::Job;
use crate::wire::http::Head;
use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct PeerInfo {
    /// Its address.
    pub address: SocketAddr,
}

/// A whole HTTP request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Line and headers.
    pub head: &'a Head<'a>,
    /// Body, transfer coding removed. UTF-8 is not checked.
    pub body: &'a mut [u8],
}

/// A whole message, unmasked and within its size limit.
#[derive(Debug)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(&'a mut [u8]),
    /// Any bytes.
    Binary(&'a mut [u8]),
    /// An HTTP request; the session answers it by [`Intake::respond`].
    Request(Request<'a>),
}

/// The peer broke its protocol: the connection ends with this close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// RFC 6455, 7.4.
    pub code: u16,
    /// At most 123 bytes.
    pub reason: &'static str,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer sent a close frame, with this code if any.
    Peer(Option<u16>),
    /// We closed with this code.
    Us(u16),
    /// No close frame was seen.
    Lost,
}

/// The answer to an HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct HttpReply<'a> {
    /// Status.
    pub status: u16,
    /// `Content-Type`, none without body.
    pub content_type: Option<&'static str>,
    /// Further headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body.
    pub body: &'a [u8],
}

/// Where a session puts what it asks for. Bounded: while [`Intake::is_full`], the shard reads
/// nothing more from this connection.
pub trait Intake {
    /// The topic of this name, as far as this shard knows.
    fn topic(&self, name: &TopicName) -> Option<Arc<Topic>>;
    /// The topic of `_log`, which only JSON streams see.
    fn log_topic(&self) -> Arc<Topic>;
    /// All topics in the order they were made.
    fn topics(&self) -> Vec<Arc<Topic>>;
    /// Sends [`Event::TopicMade`] when a topic of this name, which is not there now, is made.
    fn await_topic(&mut self, name: &TopicName);
    /// The configuration.
    fn config(&self) -> &Config;
    /// The users.
    fn access(&self) -> &Access;
    /// Everything that is defined about typed tables.
    fn tables(&self) -> Arc<Tables>;
    /// Wall clock of this turn.
    fn now(&self) -> TimeNs;
    /// Appends records, all or none; answered by one [`crate::model::event::Reply`].
    /// `wait_for_room`: the bound of a queue holds the connection up instead of growing the queue.
    fn append(&mut self, topic: &Arc<Topic>, producer: u64, bodies: &[Body<'_>], bound: Bound);
    /// Carries out a command; answered by one reply. Nothing more of this connection is read before
    /// the reply of a command that other commands may depend on.
    fn command(&mut self, command: Command);
    /// Reads nothing more of this connection until no reply is under way.
    fn hold(&mut self);
    /// Puts a reply made already in its place behind those under way.
    fn defer(&mut self, reply: Box<[u8]>);
    /// Whether a reply is under way.
    fn has_pending(&self) -> bool;
    /// Runs a one-shot query on a worker; what it says comes as events, its end as a reply.
    fn run_query(&mut self, job: Box<dyn Job>);
    /// Queries of this front-end that run or wait for a thread.
    fn queries_running(&self) -> u64;
    /// Flows and continuous queries in the order they were made.
    fn flows(&self) -> Vec<Arc<Flow>>;
    /// How many they are.
    fn flow_count(&self) -> usize;
    /// The flow of that name.
    fn flow(&self, name: &str) -> Option<Arc<Flow>>;
    /// Whether a flow from one topic to others would close a ring: the topics along it.
    fn flow_ring(&self, spec: &FlowSpec) -> Option<Vec<TopicName>>;
    /// Named constants, by their names in lower case.
    fn lookups(&self) -> Arc<Lookups>;
    /// Named constants as they were written.
    fn lookup_names(&self) -> Vec<Arc<str>>;
    /// Adds a record to `_log`.
    fn log(&mut self, record: Vec<u8>);
    /// Answers the HTTP request under way.
    fn respond(&mut self, reply: &HttpReply<'_>);
    /// Accepts the WebSocket handshake under way; from here on messages are frames.
    fn upgrade(&mut self, subprotocol: Option<&str>);
    /// Makes this connection a client of the mesh and gives its id.
    fn register_client(&mut self, path: &str) -> ClientId;
    /// Stops or resumes reading this connection.
    fn pause_reading(&mut self, pause: Pause);
    /// Calls [`Session::on_deadline`] in so many milliseconds; `None`: never.
    fn set_deadline(&mut self, in_ms: Option<u64>);
    /// Milliseconds of silence of the peer after which the connection is closed with 1001; 0:
    /// never.
    fn set_idle_limit(&mut self, ms: u64);
    /// Milliseconds that output may stand still before the connection is dropped; 0: never.
    fn set_write_limit(&mut self, ms: u64);
    /// Largest message from now on, in bytes.
    fn set_message_limit(&mut self, bytes: usize);
    /// The next number of a counter of this name, from 1.
    fn next_number(&mut self, counter: Counter) -> u64;
    /// A number of the process that only the status page wants.
    fn gauge(&self, gauge: Gauge) -> u64;
    /// The metrics page.
    fn metrics_page(&self) -> String;
    /// Why the appliance is not ready, if it is not.
    fn trouble(&self) -> Option<&'static str>;
    /// Sends a frame to all clients of a channel. `Some`: how many outboxes took it and how many
    /// did not; `None`: other shards have members too, and a reply will say.
    fn publish(
        &mut self,
        channel: &str,
        binary: bool,
        bytes: &[u8],
        palette: &mut Palette,
    ) -> Option<(u64, u64)>;
    /// Pings the peer after so many milliseconds of silence, and drops it after three times that;
    /// 0: never.
    fn set_ping(&mut self, ms: u64);
    /// Stops this shard for good, to try the guard against stalls (`debug.stall`).
    fn stall(&mut self);
    /// Adds to a counter of the metrics page.
    fn count(&mut self, what: Count);
}

/// Whether a queue's bound holds for an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// It does not.
    Free,
    /// `mesh.topic_size` holds.
    Queue,
    /// Of a flow after a restart: what the topic has already is left out.
    Repeat,
}

/// Whether a connection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It is not.
    Stop,
    /// It is.
    Resume,
}

/// Counters of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// `clientId` of JSON streams.
    Connection,
}

/// Numbers of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Open WebSockets of this front-end.
    WebSockets,
    /// Milliseconds since the start.
    UptimeMs,
}

/// Things that sessions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// A message of an end user that was not stored.
    MeshMessageRefused,
    /// A pair of socket and query more.
    NsdbSubscribed,
    /// So many less.
    NsdbUnsubscribed(u64),
    /// Bits that a subscriber did not get.
    NsdbDropped(u64),
    /// Records that are no bits.
    NsdbSkipped(u64),
    /// A push message.
    NsdbPush,
}

/// What the transport does in a protocol's name.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Headers of the handshake's answer and of errors that the transport finds.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether permessage-deflate may be agreed on.
    pub deflate: bool,
    /// Payload of pings.
    pub ping: &'static [u8],
}

/// Those of most.
const MANNERS: Manners = Manners { headers: &[], deflate: true, ping: b"weir" };

/// A connection's protocol.
pub trait Session {
    /// What the transport does in its name.
    fn manners(&self) -> Manners {
        MANNERS
    }

    /// The handshake is done; frames follow.
    fn on_open(&mut self, peer: &PeerInfo, intake: &mut dyn Intake, out: &mut Outbox<'_>);
    /// A whole message.
    ///
    /// # Errors
    /// [`Violation`] ends the connection.
    fn on_message(
        &mut self,
        message: Message<'_>,
        peer: &PeerInfo,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Violation>;
    /// Something happened.
    fn on_event(&mut self, _event: Event<'_>, _intake: &mut dyn Intake, _out: &mut Outbox<'_>) {}
    /// The time set by [`Intake::set_deadline`] has come.
    fn on_deadline(&mut self, _intake: &mut dyn Intake, _out: &mut Outbox<'_>) {}
    /// The connection has ended; commands are still taken, frames go nowhere.
    fn on_close(&mut self, _why: CloseReason, _intake: &mut dyn Intake) {}
    /// The body of an HTTP error that the transport found, in the protocol's own form.
    fn http_error(&self, _status: u16, reason: &str) -> (&'static str, Vec<u8>) {
        ("text/plain; charset=utf-8", reason.as_bytes().to_vec())
    }
}

/// Sends `reply` at once, or behind those under way.
pub fn reply_text(reply: &[u8], intake: &mut dyn Intake, out: &mut Outbox<'_>) {
    if intake.has_pending() {
        intake.defer(reply.into());
    } else {
        out.text(reply);
    }
}

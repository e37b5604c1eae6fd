//! A connection: what the shard keeps of it beside its session.
//!
//! Memory: an idle one holds this struct, its session and its entry in a subscription list or
//! channel; no buffer. Asserted below, because ten thousand of them are the rule. In all 870 bytes
//! are resident for a subscriber of a JSON stream, 970 for a client of the mesh, of which this is
//! 448; pages must be small for that ([`crate::sys::host::keep_pages_small`]).

use crate::broker::Peer;
use crate::fanout::Backlog;
use crate::fanout::outbox::OutState;
use crate::log::RecordRef;
use crate::model::event::Reply;
use crate::model::record::Offset;
use crate::model::topic::{Topic, TopicId};
use crate::proto::{CloseReason, PeerInfo};
use crate::shard::link::occupant::Occupant;
use crate::sys::net::{Interest, Socket};
use crate::wire::http::BodyReader;
use crate::wire::ws::Decoder;
use crate::wire::ws::deflate::Agreed;
use std::collections::VecDeque;
use std::sync::Arc;

/// No deadline.
pub const NEVER: u64 = u64::MAX;
/// Replies under way after which a connection is not read.
const PENDING_MAX: usize = 4096;
/// Bytes of appends under way after which a connection is not read.
const PENDING_BYTES_MAX: usize = 8 << 20;

/// How far a connection is.
#[derive(Debug)]
pub enum Phase {
    /// HTTP; `Some`: a body is arriving.
    Http(Option<Box<Arriving>>),
    /// WebSocket.
    WebSocket,
    /// A close frame or the last answer is queued; what still comes is thrown away.
    Closing,
}

/// A request whose body is arriving.
#[derive(Debug)]
pub struct Arriving {
    /// Its head, as it came.
    pub head: Vec<u8>,
    /// Takes off the transfer coding.
    pub reader: BodyReader,
    /// What has come.
    pub body: Vec<u8>,
}

/// What was received and not handled.
#[derive(Debug)]
pub enum Unread {
    /// The beginning of an HTTP head.
    Head(Vec<u8>),
    /// What came behind a request that is not answered yet, or behind a pause.
    Waiting(Waiting),
}

/// Bytes that wait for the connection to be read on: what comes after them must not overtake them.
#[derive(Debug)]
pub struct Waiting {
    /// As they were received.
    pub bytes: Vec<u8>,
    /// How many of them were handled; the rest is not moved for each request in it.
    pub used: usize,
}

/// A command whose reply is due.
#[derive(Debug)]
struct Slot {
    reply: Option<Reply>,
}

/// What HTTP needs to know of the request under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exchange {
    /// A request was given to the session and is not answered.
    pub open: bool,
    /// Go on after the answer.
    pub keep_alive: bool,
    /// Leave the body out.
    pub head_only: bool,
    /// The session accepted the WebSocket handshake.
    pub upgrade: bool,
}

/// What a session may set.
#[derive(Debug)]
pub struct Control {
    /// This connection.
    pub peer: Peer,
    pending: VecDeque<Slot>,
    first_token: u32,
    /// Bytes of appends under way.
    pub pending_bytes: usize,
    /// Nothing more is read until no reply is under way.
    pub hold: bool,
    /// Nothing more is read until the session says so.
    pub paused: bool,
    /// HTTP.
    pub exchange: Exchange,
    /// When the session wants to be called, ms.
    pub deadline: u64,
    /// Silence after which it is closed, ms; 0: never.
    pub idle_ms: u32,
    /// Output at a standstill after which it is dropped, ms; 0: never.
    pub write_ms: u32,
    /// Silence after which it is pinged, ms; 0: never.
    pub ping_ms: u32,
    /// Bytes of one inbound message.
    pub message_bytes_max: u32,
    /// The client id, for those that are clients of the mesh.
    pub client: u64,
    /// The subprotocol that the session chose.
    pub subprotocol: Option<Box<Box<str>>>,
}

impl Control {
    /// For a new connection.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            pending: VecDeque::new(),
            first_token: 0,
            pending_bytes: 0,
            hold: false,
            paused: false,
            exchange: Exchange::default(),
            deadline: NEVER,
            idle_ms: 0,
            write_ms: 30_000,
            ping_ms: 0,
            message_bytes_max: 1 << 20,
            client: 0,
            subprotocol: None,
        }
    }

    /// Makes room for a reply; the token names it.
    pub fn expect_reply(&mut self) -> u32 {
        self.pending.push_back(Slot { reply: None });
        self.first_token.wrapping_add(self.pending.len() as u32 - 1)
    }

    /// Puts a reply in its place. `false`: nobody expects it.
    pub fn resolve(&mut self, token: u32, reply: Reply) -> bool {
        let index = token.wrapping_sub(self.first_token) as usize;
        let Some(slot) = self.pending.get_mut(index) else { return false };
        slot.reply.get_or_insert(reply);
        true
    }

    /// The next reply in order, if it has come.
    pub fn next_reply(&mut self) -> Option<Reply> {
        self.pending.front()?.reply.as_ref()?;
        let slot = self.pending.pop_front()?;
        self.first_token = self.first_token.wrapping_add(1);
        if self.pending.is_empty() {
            self.pending_bytes = 0;
            // An idle connection holds nothing for replies.
            self.pending = VecDeque::new();
        }
        slot.reply
    }

    /// Replies under way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether what has arrived must wait.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        (self.hold && !self.pending.is_empty())
            || self.paused
            || self.exchange.open
            || self.pending.len() >= PENDING_MAX
            || self.pending_bytes >= PENDING_BYTES_MAX
    }
}

/// A queue's message that is not on the socket yet.
#[derive(Clone, Copy, Debug)]
pub struct Unwritten {
    /// Of this queue.
    pub topic: TopicId,
    /// Which.
    pub offset: Offset,
    /// It is written when so many bytes are.
    pub at: u64,
}

/// Messages of a queue that wait: from which, acknowledged or not, which.
pub type Early = (TopicId, bool, Vec<(Offset, RecordRef)>);

/// What consumers of queues have beside.
#[derive(Debug, Default)]
pub struct Consuming {
    /// These queues.
    pub topics: Vec<Arc<Topic>>,
    /// Messages queued and not on the socket.
    pub unwritten: VecDeque<Unwritten>,
    /// A `queue.pop` is not answered yet.
    pub joining: bool,
    /// Messages that came before its answer.
    pub early: Vec<Early>,
}

/// See the module's page.
#[derive(Debug)]
pub struct Conn {
    /// Its socket.
    pub socket: Socket,
    /// Who it is.
    pub info: PeerInfo,
    /// Its session.
    pub occupant: Occupant,
    /// What the session may set.
    pub control: Control,
    /// How far it is.
    pub phase: Phase,
    /// Frames under way.
    pub decoder: Decoder,
    /// What was agreed about compression.
    pub deflate: Option<Box<Agreed>>,
    /// What was received and not handled.
    pub unread: Option<Box<Unread>>,
    /// What the socket did not take.
    pub backlog: Option<Box<Backlog>>,
    /// Its output.
    pub out: OutState,
    /// Bytes queued since it began, for [`Unwritten`].
    pub queued_total: u64,
    /// Bytes sent since it began.
    pub sent_total: u64,
    /// Place in the list of connections with output; `u32::MAX`: none.
    pub dirty: u32,
    /// Front-end, an index of the metrics.
    pub front: u8,
    /// Port, an index of the ports.
    pub port: u8,
    /// What is asked of the epoll set.
    pub interest: Interest,
    /// How it ended.
    pub ended: Option<CloseReason>,
    /// The peer has sent its end, or a close frame was.
    pub finished: bool,
    /// Last bytes in, ms.
    pub heard_ms: u64,
    /// Last time that output moved, ms; while there is a backlog.
    pub moved_ms: u64,
    /// Begin of the head or message under way, ms; 0: none.
    pub arriving_ms: u64,
    /// Bytes of it.
    pub arriving_bytes: u64,
    /// When it is dropped whatever happens, ms.
    pub drop_at: u64,
    /// For consumers of queues.
    pub consuming: Option<Box<Consuming>>,
    /// A ping was sent since it was last heard.
    pub pinged: bool,
}

const _: () = assert!(size_of::<Conn>() <= 384);

impl Conn {
    /// Whether bytes wait for it to be read on.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.unread.as_deref(), Some(Unread::Waiting(_)))
    }

    /// Takes what waits.
    pub fn take_waiting(&mut self) -> Option<Waiting> {
        match *self.unread.take_if(|unread| matches!(**unread, Unread::Waiting(_)))? {
            Unread::Waiting(waiting) => Some(waiting),
            Unread::Head(_) => None,
        }
    }

    /// Takes the beginning of a head, if there is one.
    pub fn take_head(&mut self) -> Vec<u8> {
        match self.unread.take_if(|unread| matches!(**unread, Unread::Head(_))).map(|it| *it) {
            Some(Unread::Head(bytes)) => bytes,
            _ => Vec::new(),
        }
    }

    /// Whether it has ended, but for output that is still on its way.
    #[must_use]
    pub fn retired(&self) -> bool {
        matches!(self.phase, Phase::Closing)
    }
}

//! From the socket to the session: accepting, reading, HTTP requests, WebSocket messages.
//!
//! All sockets of a shard are read into one buffer. What is left of it when a connection must wait
//! is copied into the connection's own; an idle connection holds none.

use crate::admin::Admin;
use crate::broker::Peer;
use crate::limits::HTTP_HEAD_TIMEOUT_MS;
use crate::proto::{CloseReason, Message, PROTOCOLS, PeerInfo, Request, Session};
use crate::shard::Shard;
use crate::shard::link::conn::{Arriving, Conn, Control, Exchange, NEVER, Phase, Unread, Waiting};
use crate::shard::link::occupant::Occupant;
use crate::sys::clock;
use crate::sys::net::{Accepted, Interest, Ready, Socket, Transfer};
use crate::wire::http::{BodyLength, BodyReader, Head, HttpError, parse_head, write_response};
use crate::wire::ws::deflate::Preference;
use crate::wire::ws::{Decoder, Incoming, Policy, handshake};
use std::net::SocketAddr;

/// Connections accepted in one turn from one port.
const ACCEPTS_MAX: usize = 64;
/// Reads of one socket in one turn, while each fills the buffer.
const READS_MAX: usize = 4;
/// As many at most where writing takes longer than reading.
const READS_GATHERED_MAX: usize = 32;
/// Bytes of one read.
pub const RECEIVE_BYTES: usize = 256 << 10;
/// Milliseconds that accepting pauses when the process has no descriptor left.
const ACCEPT_PAUSE_MS: u64 = 100;
/// Milliseconds that a peer has to answer a close.
pub const CLOSE_TIMEOUT_MS: u64 = 3_000;

/// What to do with the rest of the bytes.
enum Next {
    /// Go on.
    More,
    /// More must arrive.
    Need,
}

impl Shard {
    /// Takes waiting connections of one port.
    pub(in crate::shard) fn accept(&mut self, port: usize) {
        if self.core.now_ms < self.accept_after {
            return;
        }
        for _ in 0..ACCEPTS_MAX {
            if self.core.process.open_connections() >= self.core.process.connections_max {
                return self.pause_accepting("as many connections as open files allow");
            }
            match self.listeners[port].listener.accept() {
                Accepted::Socket(socket, address) => self.add(port, socket, address),
                Accepted::None => return,
                Accepted::Exhausted(error) => return self.pause_accepting(&error.to_string()),
            }
        }
    }

    /// Accepts nothing for a moment: descriptors are kept back for the log, which must not fail.
    fn pause_accepting(&mut self, why: &str) {
        self.core.metrics().accept_exhausted.add(1);
        if !self.accept_warned {
            self.accept_warned = true;
            tracing::warn!(why, "connections wait; raise LimitNOFILE");
        }
        self.accept_after = self.core.now_ms + ACCEPT_PAUSE_MS;
        self.watch_listeners(Interest::None);
    }

    fn add(&mut self, port: usize, socket: Socket, address: SocketAddr) {
        let Some(listener) = self.listeners.get(port) else { return };
        let (front, protocol) = (listener.front, listener.protocol);
        let occupant = match protocol {
            Some(index) => Occupant::Session((PROTOCOLS[index].session)()),
            None => Occupant::Admin(Admin::default()),
        };
        let generation = self.next_generation;
        self.next_generation = (self.next_generation + 1) & 0x7FFF_FFFF;
        let entry = self.conns.vacant_entry();
        let slot = entry.key() as u32;
        let peer = Peer { shard: self.core.id, slot, generation };
        if self.epoll.add(socket.fd(), key(peer), Interest::Read).is_err() {
            return;
        }
        entry.insert(Box::new(Conn {
            socket,
            info: PeerInfo { address },
            occupant,
            control: Control::new(peer),
            phase: Phase::Http(None),
            decoder: Decoder::new(),
            deflate: None,
            unread: None,
            backlog: None,
            out: Default::default(),
            queued_total: 0,
            sent_total: 0,
            dirty: u32::MAX,
            front,
            port: port as u8,
            interest: Interest::Read,
            ended: None,
            finished: false,
            heard_ms: self.core.now_ms,
            moved_ms: 0,
            arriving_ms: self.core.now_ms,
            arriving_bytes: 0,
            drop_at: NEVER,
            consuming: None,
            pinged: false,
        }));
        if self.wake_at.len() <= slot as usize {
            self.wake_at.resize(slot as usize + 1, NEVER);
        }
        self.set_wake(slot, self.core.now_ms + HTTP_HEAD_TIMEOUT_MS);
        let metrics = &self.core.metrics().fronts[front as usize];
        metrics.accepted.add(1);
        metrics.open.add(1);
    }

    /// Reads one socket once.
    pub(in crate::shard) fn read(&mut self, slot: u32, ready: Ready) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let closing = matches!(conn.phase, Phase::Closing);
        if !closing && conn.control.is_blocked() {
            // What may not be read now is not asked for.
            return if ready.broken { self.lose(slot) } else { self.watch(slot) };
        }
        if conn.is_waiting() {
            // What came before goes first; the set tells again of what is there now.
            return self.resume.push(slot);
        }
        let mut buffer = std::mem::take(&mut self.receive);
        // A busy sender is read on before anybody is written to: what gathers goes out together.
        let begun = clock::monotonic_ns();
        for reads in 0..READS_GATHERED_MAX {
            if reads >= READS_MAX && !self.gathers_on(begun) {
                break;
            }
            if !self.read_once(slot, closing, &mut buffer) {
                break;
            }
        }
        self.receive = buffer;
    }

    /// Whether a turn that reads since `begun` may go on: as long as the last one wrote. A send to
    /// each of ten thousand sockets takes a tenth of a second, however much it carries; so a turn
    /// gets at most half as long again, and each send carries more.
    fn gathers_on(&self, begun: u64) -> bool {
        !self.palette.is_full() && clock::monotonic_ns() - begun < self.flush_ns / 2
    }

    /// Reads into `buffer` and handles it; whether more may be there.
    fn read_once(&mut self, slot: u32, closing: bool, buffer: &mut [u8]) -> bool {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return false };
        if !closing && conn.control.is_blocked() {
            return false;
        }
        match conn.socket.receive(buffer) {
            Transfer::Bytes(0) => self.on_end(slot),
            Transfer::Bytes(count) => {
                conn.heard_ms = self.core.now_ms;
                conn.pinged = false;
                let front = conn.front as usize;
                self.core.metrics().fronts[front].bytes_in.add(count as u64);
                if !closing {
                    let used = self.take(slot, &mut buffer[..count]);
                    if used < count {
                        let bytes = buffer[used..count].to_vec();
                        self.keep_waiting(slot, Waiting { bytes, used: 0 });
                    }
                }
                return count == buffer.len();
            }
            Transfer::WouldBlock => {}
            Transfer::Failed(_) => self.lose(slot),
        }
        false
    }

    fn on_end(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        conn.finished = true;
        let answering = conn.control.pending() > 0 || conn.control.exchange.open;
        let http = matches!(conn.phase, Phase::Http(_));
        if http && answering {
            // A client that closes its sending side still wants its answer.
            conn.control.exchange.keep_alive = false;
            return self.watch(slot);
        }
        self.lose(slot);
    }

    /// Goes on with what waited.
    pub(in crate::shard) fn resume(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if !conn.control.is_blocked()
            && let Some(Waiting { mut bytes, used }) = conn.take_waiting()
        {
            let used = used + self.take(slot, &mut bytes[used..]);
            if used < bytes.len() {
                self.keep_waiting(slot, Waiting { bytes, used });
            }
        }
        self.watch(slot);
    }

    fn keep_waiting(&mut self, slot: u32, waiting: Waiting) {
        if let Some(conn) = self.conns.get_mut(slot as usize)
            && !matches!(conn.phase, Phase::Closing)
        {
            conn.unread = Some(Box::new(Unread::Waiting(waiting)));
        }
    }

    /// Handles bytes of a connection, until it must wait; how many.
    fn take(&mut self, slot: u32, bytes: &mut [u8]) -> usize {
        let mut used = 0;
        loop {
            let Some(conn) = self.conns.get_mut(slot as usize) else { return bytes.len() };
            if used >= bytes.len() || matches!(conn.phase, Phase::Closing) {
                break;
            }
            if conn.control.is_blocked() {
                break;
            }
            let next = match conn.phase {
                Phase::Http(_) => self.take_http(slot, bytes, &mut used),
                Phase::WebSocket => self.take_frame(slot, bytes, &mut used),
                Phase::Closing => Next::Need,
            };
            self.after_call(slot);
            if matches!(next, Next::Need) {
                break;
            }
        }
        self.note_arriving(slot);
        used
    }

    /// Notes since when something incomplete is arriving, for the guard against slow senders.
    fn note_arriving(&mut self, slot: u32) {
        let now = self.core.now_ms;
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let incomplete = match &conn.phase {
            Phase::Http(Some(_)) => true,
            Phase::Http(None) => conn.unread.is_some() && !conn.is_waiting(),
            Phase::WebSocket => !conn.decoder.idle(),
            Phase::Closing => false,
        };
        if !incomplete {
            conn.arriving_ms = 0;
        } else if conn.arriving_ms == 0 {
            (conn.arriving_ms, conn.arriving_bytes) = (now, 0);
            self.set_wake(slot, now + HTTP_HEAD_TIMEOUT_MS);
        }
    }

    fn take_http(&mut self, slot: u32, bytes: &mut [u8], used: &mut usize) -> Next {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return Next::Need };
        if matches!(conn.phase, Phase::Http(Some(_))) {
            return self.take_body(slot, bytes, used);
        }
        let mut whole;
        let waiting = conn.take_head();
        let (input, before) = if waiting.is_empty() {
            (&bytes[*used..], 0)
        } else {
            whole = waiting;
            let before = whole.len();
            whole.extend_from_slice(&bytes[*used..]);
            (&whole[..], before)
        };
        let (head, length) = match parse_head(input) {
            Ok(Some(found)) => found,
            Ok(None) => {
                conn.unread = Some(Box::new(Unread::Head(input.to_vec())));
                *used = bytes.len();
                return Next::Need;
            }
            Err(error) => {
                *used = bytes.len();
                self.refuse(slot, error);
                return Next::Need;
            }
        };
        let limit = self.body_limit(slot);
        if let BodyLength::None | BodyLength::Bytes(0) = head.body {
            *used += length - before.min(length);
            self.serve(slot, &head, &mut []);
            return Next::More;
        }
        match BodyReader::new(head.body, limit) {
            Ok(reader) => {
                *used += length - before.min(length);
                let expects = head.expect_continue;
                let head = input[..length].to_vec();
                let Some(conn) = self.conns.get_mut(slot as usize) else { return Next::Need };
                conn.phase =
                    Phase::Http(Some(Box::new(Arriving { head, reader, body: Vec::new() })));
                if expects {
                    self.put_raw(slot, b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                Next::More
            }
            Err(error) => {
                *used = bytes.len();
                self.refuse(slot, error);
                Next::Need
            }
        }
    }

    fn body_limit(&self, slot: u32) -> u64 {
        let config = &self.core.process.config;
        let port = self.conns.get(slot as usize).map_or(0, |conn| conn.port as usize);
        match self.listeners.get(port).and_then(|l| l.protocol) {
            Some(index) => (PROTOCOLS[index].body_bytes_max)(config) as u64,
            None => 64 << 10,
        }
    }

    fn take_body(&mut self, slot: u32, bytes: &mut [u8], used: &mut usize) -> Next {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return Next::Need };
        let Phase::Http(Some(arriving)) = &mut conn.phase else { return Next::Need };
        let input = &bytes[*used..];
        conn.arriving_bytes += input.len() as u64;
        match arriving.reader.feed(input, &mut arriving.body) {
            Ok((count, complete)) => {
                *used += count;
                if !complete {
                    return Next::Need;
                }
            }
            Err(error) => {
                *used = bytes.len();
                self.refuse(slot, error);
                return Next::Need;
            }
        }
        let Phase::Http(found) = std::mem::replace(&mut conn.phase, Phase::Http(None)) else {
            return Next::Need;
        };
        if let Some(mut arriving) = found
            && let Ok(Some((head, _))) = parse_head(&arriving.head)
        {
            self.serve(slot, &head, &mut arriving.body);
        }
        Next::More
    }

    /// Gives a whole request to the session; its answer, if made at once, is queued.
    fn serve(&mut self, slot: u32, head: &Head<'_>, body: &mut [u8]) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        conn.arriving_ms = 0;
        conn.control.exchange = Exchange {
            open: true,
            keep_alive: head.keep_alive && !conn.finished,
            head_only: head.method == "HEAD",
            upgrade: false,
        };
        let front = conn.front as usize;
        self.core.metrics().fronts[front].messages_in.add(1);
        let request = Request { head, body };
        self.call(slot, |session, info, intake, out| {
            // A request breaks no frame protocol.
            let _ = session.on_message(Message::Request(request), info, intake, out);
        });
        let upgrade = self.conns.get(slot as usize).is_some_and(|c| c.control.exchange.upgrade);
        if upgrade {
            self.upgrade(slot, head);
        }
    }

    fn upgrade(&mut self, slot: u32, head: &Head<'_>) {
        let offer = match handshake::upgrade(head) {
            Ok(offer) => offer,
            Err(error) => return self.refuse(slot, error),
        };
        let agreed = offer.deflate(&self.deflate_preference(slot));
        let mut answer = Vec::new();
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let manners = conn.occupant.manners();
        let agreed = agreed.filter(|_| manners.deflate);
        let subprotocol = conn.control.subprotocol.take();
        let (protocol, headers) = (subprotocol.as_deref().map(|name| &**name), manners.headers);
        handshake::write_accept(&mut answer, &offer, protocol, agreed.as_ref(), headers);
        conn.deflate = agreed.map(Box::new);
        conn.phase = Phase::WebSocket;
        conn.control.exchange.upgrade = false;
        let front = conn.front as usize;
        self.put_raw(slot, &answer);
        self.core.metrics().fronts[front].websockets.add(1);
        self.call(slot, |session, info, intake, out| session.on_open(info, intake, out));
        self.rearm(slot);
    }

    fn deflate_preference(&self, slot: u32) -> Preference {
        let echo =
            self.conns.get(slot as usize).is_some_and(|c| matches!(c.occupant, Occupant::Admin(_)));
        if echo {
            Preference {
                server_no_context_takeover: false,
                client_no_context_takeover: false,
                ..Preference::default()
            }
        } else {
            Preference::default()
        }
    }

    fn take_frame(&mut self, slot: u32, bytes: &mut [u8], used: &mut usize) -> Next {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return Next::Need };
        let policy = Policy {
            message_bytes_max: conn.control.message_bytes_max as usize,
            deflate: conn.deflate.as_deref().copied(),
        };
        let mut decoder = std::mem::take(&mut conn.decoder);
        let mut inflater = std::mem::take(&mut self.inflater);
        let before = *used;
        let next = match decoder.next(bytes, used, &policy, &mut inflater) {
            Ok(None) => Next::Need,
            Ok(Some(incoming)) => {
                self.on_incoming(slot, incoming);
                Next::More
            }
            Err(error) => {
                let front = self.conns.get(slot as usize).map_or(0, |c| c.front as usize);
                self.core.metrics().fronts[front].violations.add(1);
                self.close(slot, error.code, error.reason);
                *used = bytes.len();
                Next::Need
            }
        };
        self.inflater = inflater;
        if let Some(conn) = self.conns.get_mut(slot as usize) {
            conn.decoder = decoder;
            conn.arriving_bytes += (*used - before) as u64;
        }
        next
    }

    fn on_incoming(&mut self, slot: u32, incoming: Incoming<'_>) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let front = conn.front as usize;
        let message = match incoming {
            Incoming::Text(text) => Message::Text(text),
            Incoming::Binary(bytes) => Message::Binary(bytes),
            Incoming::Ping(payload) => return self.pong(slot, payload),
            Incoming::Pong(_) => return,
            Incoming::Close { code, reason } => {
                let reason = String::from_utf8_lossy(reason).into_owned();
                return self.on_close_frame(slot, code, &reason);
            }
        };
        self.core.metrics().fronts[front].messages_in.add(1);
        let mut violation = None;
        self.call(slot, |session, info, intake, out| {
            violation = session.on_message(message, info, intake, out).err();
        });
        if let Some(violation) = violation {
            self.core.metrics().fronts[front].violations.add(1);
            self.close(slot, violation.code, violation.reason);
        }
    }

    fn on_close_frame(&mut self, slot: u32, code: Option<u16>, _reason: &str) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        conn.ended.get_or_insert(CloseReason::Peer(code));
        conn.finished = true;
        let mut frame = Vec::new();
        crate::wire::ws::encode::close(&mut frame, code, "");
        self.put_raw(slot, &frame);
        self.begin_closing(slot);
    }

    /// An HTTP error that the transport found: answered, then closed.
    fn refuse(&mut self, slot: u32, error: HttpError) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let (content_type, body) = conn.occupant.http_error(error.status, error.reason);
        let front = conn.front as usize;
        let mut answer = Vec::new();
        let extra = [error.headers(), conn.occupant.manners().headers].concat();
        write_response(&mut answer, error.status, Some(content_type), &extra, &body, false, false);
        self.core.metrics().fronts[front].violations.add(1);
        self.put_raw(slot, &answer);
        self.begin_closing(slot);
    }
}

/// The key by which the epoll set knows a connection.
#[must_use]
pub fn key(peer: Peer) -> u64 {
    u64::from(peer.generation) << 32 | u64::from(peer.slot)
}

//! One connection of JSON streams: requests in, answers in the order of the requests, `data`
//! frames.

use super::codec::{self, Ask, Envelope, Fields, Object, quick};
use super::replay::{Replay, Start, Starts};
use super::statement::Program;
use super::{codes, http, map};
use crate::config::{Role, User};
use crate::fanout::Outbox;
use crate::model::command::{Begin, Command};
use crate::model::event::{Event, QueryOutput, Records, Reply};
use crate::model::json::Value;
use crate::model::record::Record;
use crate::model::topic::{SubscriptionId, Topic};
use crate::proto::contract::{Bound, Counter, reply_text};
use crate::proto::{Intake, Message, PeerInfo, Session, Violation};
use crate::query::kept::replay::Hidden;
use std::collections::VecDeque;
use std::sync::Arc;

/// Names the `data` encoding among those that a palette shares.
const DATA_ENCODING: u8 = 1;

/// Silence after which a peer is pinged, so that a dead one is found.
const PING_MS: u64 = 30_000;

/// A subscription of this connection.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: SubscriptionId,
    pub(super) topic: Arc<Topic>,
    tail: Box<[u8]>,
    /// What it passes over while it reads what is kept of a typed table.
    hidden: Option<Arc<Hidden>>,
}

/// What an answer needs beside the reply.
#[derive(Debug)]
pub(super) enum Pending {
    /// An `insert` message.
    Insert { topic: Arc<Topic>, count: usize, request: Box<[u8]> },
    /// `POST /api/insert`.
    HttpInsert { topic: Arc<Topic>, count: usize, single: bool },
    /// A `subscribe` message.
    Subscribe { topics: Vec<(Arc<Topic>, Option<Arc<Hidden>>)>, request: Box<[u8]> },
    /// One that has to know first where it begins.
    Replay { topics: Vec<Arc<Topic>>, begin: Begin, starts: Starts, request: Box<[u8]> },
    /// An answer that was ready and waits for its turn.
    Ready(Box<[u8]>),
    /// The statement under way.
    Statement,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct JsonJet {
    pub(super) user: Option<Arc<User>>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) program: Option<Box<Program>>,
}

impl JsonJet {
    /// Whether the user of this connection has `role`.
    pub(super) fn may(&self, role: Role) -> bool {
        self.user.as_ref().is_none_or(|user| user.may(role))
    }

    /// Whether the user may touch the stream of this shown name.
    pub(super) fn may_touch(&self, stream: &str) -> bool {
        self.user.as_ref().is_none_or(|user| user.may_touch(stream))
    }

    fn on_text(&mut self, text: &[u8], intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if let Some((target, record)) = quick::insert(text) {
            return self.insert(target, &[record], Box::default(), intake, out);
        }
        let mut fields = match Fields::scan(text) {
            Ok(Some(fields)) => fields,
            Ok(None) => return self.fail(Envelope::Error, codes::UNKNOWN_TYPE, b"", intake, out),
            Err(error) => {
                let text = format!("Invalid JSON: {error}");
                return self.fail(Envelope::Error, &text, b"", intake, out);
            }
        };
        let ask = fields.ask();
        let request = codec::request_suffix(fields.request_id);
        match ask {
            Ask::Insert(target) => self.insert(&target, &fields.items, request, intake, out),
            Ask::Subscribe(names, begin) => self.subscribe(&names, begin, request, intake, out),
            Ask::Unsubscribe(id) => self.unsubscribe(id, &request, intake, out),
            Ask::Execute(query) => {
                intake.hold();
                self.program = Some(Box::new(Program::new(&query, request, false)));
                if intake.has_pending() {
                    // A statement sees what was asked before it, and is answered after it.
                    intake.defer(Box::default());
                } else {
                    self.run_program(intake, out);
                }
            }
            Ask::Bad(text) => self.fail(fields.envelope, text, &request, intake, out),
        }
    }

    fn insert(
        &mut self,
        target: &str,
        items: &[Value<'_>],
        request: Box<[u8]>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        if !self.may(Role::Write) {
            return self.fail(Envelope::Insert, codes::NOT_ALLOWED, &request, intake, out);
        }
        let Some(topic) = map::find(target, intake) else {
            let text = codes::unknown_stream(target);
            return self.fail(Envelope::Insert, &text, &request, intake, out);
        };
        if !self.may_touch(map::shown(&topic)) {
            return self.fail(Envelope::Insert, codes::NOT_ALLOWED, &request, intake, out);
        }
        let count = items.len();
        self.pending.push_back(Pending::Insert { topic: Arc::clone(&topic), count, request });
        intake.append(&topic, 0, &codec::bodies(items), Bound::Free);
    }

    fn subscribe(
        &mut self,
        names: &[String],
        begin: Begin,
        request: Box<[u8]>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        if !self.may(Role::Read) {
            return self.fail(Envelope::Error, codes::NOT_ALLOWED, &request, intake, out);
        }
        let mut topics = Vec::with_capacity(names.len());
        for name in names {
            let Some(topic) = map::find(name, intake) else {
                let text = codes::unknown_stream(name);
                return self.fail(Envelope::Error, &text, &request, intake, out);
            };
            if !self.may_touch(map::shown(&topic)) {
                return self.fail(Envelope::Error, codes::NOT_ALLOWED, &request, intake, out);
            }
            topics.push(topic);
        }
        intake.hold();
        if let Some((job, starts)) = Replay::new(&topics, begin) {
            self.pending.push_back(Pending::Replay { topics, begin, starts, request });
            return intake.run_query(job);
        }
        let begin = |topic| (topic, (begin, None));
        self.subscribe_from(topics.into_iter().map(begin).collect(), request, intake);
    }

    fn subscribe_from(
        &mut self,
        topics: Vec<(Arc<Topic>, Start)>,
        request: Box<[u8]>,
        intake: &mut dyn Intake,
    ) {
        let wanted = topics.iter().map(|(topic, (begin, _))| (topic.id, *begin)).collect();
        let topics = topics.into_iter().map(|(topic, (_, hidden))| (topic, hidden)).collect();
        self.pending.push_back(Pending::Subscribe { topics, request });
        intake.command(Command::Subscribe { topics: wanted, interest: None });
    }

    fn unsubscribe(
        &mut self,
        id: Option<u64>,
        request: &[u8],
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let (ended, reply) = match id {
            None => {
                let ended = std::mem::take(&mut self.subscriptions);
                let list = codec::array(ended.iter().map(|s| {
                    Object::new()
                        .number("subscriptionId", s.id)
                        .text("streamName", map::shown(&s.topic))
                        .end(b"")
                }));
                let message = format!("Unsubscribed from {} subscription(s)", ended.len());
                let reply = Object::new().text("type", "unsubscribed").raw("unsubscribed", &list);
                (ended, reply.text("message", &message).end(request))
            }
            Some(id) => {
                let ended = self.take_subscription(id);
                let mut reply =
                    Object::new().text("type", "unsubscribed").number("subscriptionId", id);
                if let Some(s) = &ended {
                    reply = reply.text("streamName", map::shown(&s.topic));
                }
                let message = format!("Unsubscribed from subscription {id}");
                (Vec::from_iter(ended), reply.text("message", &message).end(request))
            }
        };
        if ended.is_empty() {
            return reply_text(&reply, intake, out);
        }
        self.pending.push_back(Pending::Ready(reply.into()));
        let subscriptions = ended.iter().map(|s| (s.topic.id, s.id)).collect();
        intake.command(Command::Unsubscribe { subscriptions });
    }

    /// Removes a subscription of this connection.
    pub(super) fn take_subscription(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let index = self.subscriptions.binary_search_by_key(&id, |s| s.id).ok()?;
        Some(self.subscriptions.remove(index))
    }

    /// Adds a subscription; numbers only grow, so the list stays sorted.
    pub(super) fn add_subscription(
        &mut self,
        id: SubscriptionId,
        (topic, hidden): (Arc<Topic>, Option<Arc<Hidden>>),
        request: &[u8],
    ) {
        let tail = codec::data_tail(id, request);
        if self.subscriptions.is_empty() {
            // Most connections have one.
            self.subscriptions.reserve_exact(1);
        }
        self.subscriptions.push(Subscription { id, topic, tail, hidden });
        self.subscriptions.sort_by_key(|s| s.id);
    }

    fn fail(
        &mut self,
        envelope: Envelope,
        text: &str,
        request: &[u8],
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        reply_text(&failed(envelope, text, request), intake, out);
    }

    fn on_reply(&mut self, reply: Reply, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if let Reply::Deferred(text) = reply {
            // An answer that was ready is not empty; a program's start is.
            if !text.is_empty() {
                return out.text(&text);
            }
            return self.run_program(intake, out);
        }
        let pending = self.pending.pop_front();
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
        match pending {
            None => {}
            Some(Pending::Ready(text)) => out.text(&text),
            Some(Pending::Statement) => self.on_statement_reply(reply, intake, out),
            Some(Pending::Insert { topic, count, request }) => {
                inserted(map::shown(&topic), count, &request, &reply, out);
            }
            Some(Pending::HttpInsert { topic, count, single }) => {
                http::inserted(map::shown(&topic), count, single, &reply, intake);
            }
            Some(Pending::Subscribe { topics, request }) => {
                self.subscribed(topics, &request, &reply, intake, out);
            }
            Some(Pending::Replay { topics, begin, starts, request }) => {
                let Some(starts) = starts.get() else {
                    let text = match &reply {
                        Reply::Query(QueryOutput::Failed(text)) => text,
                        _ => "the query was stopped",
                    };
                    return self.fail(Envelope::Error, text, &request, intake, out);
                };
                let start = |topic: Arc<Topic>| {
                    let start = starts.get(&topic.id).cloned().unwrap_or((begin, None));
                    (topic, start)
                };
                self.subscribe_from(topics.into_iter().map(start).collect(), request, intake);
            }
        }
    }

    fn subscribed(
        &mut self,
        topics: Vec<(Arc<Topic>, Option<Arc<Hidden>>)>,
        request: &[u8],
        reply: &Reply,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let Reply::Subscribed(ids) = reply else {
            let name = topics.first().map_or("", |(topic, _)| map::shown(topic));
            let text = codes::unknown_stream(name);
            return self.fail(Envelope::Error, &text, request, intake, out);
        };
        let list = codec::array(ids.iter().zip(&topics).map(|(id, (topic, _))| {
            Object::new()
                .text("streamName", map::shown(topic))
                .number("subscriptionId", *id)
                .end(b"")
        }));
        let message = format!("Subscribed to {} stream(s)", ids.len());
        let answer = Object::new().text("type", "subscribed").raw("subscriptions", &list);
        out.text(&answer.text("message", &message).end(request));
        for (id, topic) in ids.iter().zip(topics) {
            self.add_subscription(*id, topic, request);
        }
    }

    fn on_records(&mut self, id: SubscriptionId, records: Records<'_>, out: &mut Outbox<'_>) {
        let Ok(index) = self.subscriptions.binary_search_by_key(&id, |s| s.id) else { return };
        let (Some(subscription), Some((offset, _))) =
            (self.subscriptions.get_mut(index), records.list.first())
        else {
            return;
        };
        if subscription.hidden.as_ref().is_some_and(|hidden| hidden.head() <= *offset) {
            subscription.hidden = None;
        }
        let hidden = subscription.hidden.as_ref();
        let key = records.live.then_some((DATA_ENCODING, records.topic.id, *offset));
        let stream = map::shown(records.topic);
        let list = out.palette.list(key, |bodies| {
            for (offset, record) in records.list {
                let mut show = |record: &Record<'_>| {
                    bodies.body(|buffer| codec::write_data(stream, record, buffer));
                };
                match hidden {
                    Some(hidden) => hidden.each(*offset, record, &mut show),
                    None => record.each(&mut show),
                }
            }
        });
        out.tailed(list, &subscription.tail);
    }
}

/// The answer to an `insert` message.
fn inserted(stream: &str, count: usize, request: &[u8], reply: &Reply, out: &mut Outbox<'_>) {
    if let Reply::Refused(refusal) = reply {
        let (text, _) = codes::insert_refused(*refusal, stream);
        return out.text(&failed(Envelope::Insert, &text, request));
    }
    let mut text = std::mem::take(&mut out.palette.scratch);
    text.clear();
    let mut number = itoa::Buffer::new();
    let number = number.format(count).as_bytes();
    text.extend_from_slice(b"{\"type\":\"insert_response\",\"success\":true,\"count\":");
    text.extend_from_slice(number);
    text.extend_from_slice(b",\"target\":");
    let start = text.len();
    crate::model::json::write_string(&mut text, stream);
    let name = start + 1..text.len() - 1;
    text.extend_from_slice(b",\"message\":\"");
    text.extend_from_slice(number);
    text.extend_from_slice(b" record(s) inserted successfully into '");
    text.extend_from_within(name);
    text.extend_from_slice(b"'\"");
    text.extend_from_slice(request);
    text.push(b'}');
    out.text(&text);
    out.palette.scratch = text;
}

fn failed(envelope: Envelope, text: &str, request: &[u8]) -> Vec<u8> {
    let object = Object::new();
    match envelope {
        Envelope::Error => object.text("type", "error").text("message", text),
        Envelope::Insert => {
            object.text("type", "insert_response").flag("success", false).text("error", text)
        }
        Envelope::Execute => {
            object.text("type", "execute_response").flag("success", false).text("error", text)
        }
    }
    .end(request)
}

impl Session for JsonJet {
    fn on_open(&mut self, _peer: &PeerInfo, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        intake.set_message_limit(intake.config().limits.message_bytes);
        intake.set_ping(PING_MS);
        let id = intake.next_number(Counter::Connection);
        let hello = Object::new().text("type", "connected").number("clientId", id);
        out.text(&hello.text("message", "Connected to JSONJet WebSocket").end(b""));
    }

    fn on_message(
        &mut self,
        message: Message<'_>,
        peer: &PeerInfo,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Violation> {
        match message {
            Message::Text(text) => self.on_text(text, intake, out),
            Message::Binary(bytes) => match simdutf8::basic::from_utf8(bytes) {
                Ok(text) => self.on_text(text.as_bytes(), intake, out),
                Err(_) => {
                    let text = "Invalid JSON: not UTF-8 at byte 0";
                    self.fail(Envelope::Error, text, b"", intake, out);
                }
            },
            Message::Request(request) => http::serve(self, &request, peer, intake, out),
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<'_>, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        match event {
            Event::Reply(reply) => self.on_reply(reply, intake, out),
            Event::Records(id, records) => self.on_records(id, records, out),
            Event::SubscriptionEnded(id, topic) => {
                let Some(ended) = self.take_subscription(id) else { return };
                let stream = map::shown(topic);
                // The tail is `,"subscriptionId":n<request>}`; the request is what follows the
                // number.
                let number = format!(",\"subscriptionId\":{id}");
                let request = &ended.tail[number.len()..ended.tail.len() - 1];
                let text = Object::new()
                    .text("type", "unsubscribed")
                    .number("subscriptionId", id)
                    .text("streamName", stream)
                    .text("message", &format!("Stream '{stream}' was deleted"));
                out.text(&text.end(request));
            }
            _ => {}
        }
    }
}

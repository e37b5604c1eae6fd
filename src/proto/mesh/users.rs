//! An end user's connection: what it sends becomes records of its route's topic (mesh, section 6).
//!
//! The user gets no greeting and no answers. A message that cannot be stored ends the connection.

use crate::config::effective::{QueueFull, Route};
use crate::fanout::Outbox;
use crate::model::command::{ClientId, Command, IfExists};
use crate::model::event::{Event, Reply};
use crate::model::json;
use crate::model::name::TopicName;
use crate::model::record::Body;
use crate::model::refusal::Refusal;
use crate::model::topic::{Retention, Topic};
use crate::proto::contract::{Bound, Count, HttpReply, Pause};
use crate::proto::{CloseReason, Intake, Message, PeerInfo, Request, Session, Violation};
use crate::wire::http::percent_decode;
use std::sync::Arc;

/// Milliseconds that `wait_context` waits for its key.
const CONTEXT_WAIT_MS: u64 = 30_000;
/// Milliseconds between tries to make a topic while there are too many.
const TOPIC_RETRY_MS: u64 = 250;

#[derive(Debug)]
struct Stored {
    lifecycle: bool,
    binary: bool,
    bytes: Box<[u8]>,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct MeshUser {
    client: ClientId,
    route: usize,
    topic: Option<Arc<Topic>>,
    context: Box<[u8]>,
    waits_for_context: bool,
    /// What waits for its topic to be made; one message at most, and the handshake.
    stored: Vec<Stored>,
}

impl MeshUser {
    fn route<'a>(&self, intake: &'a dyn Intake) -> Option<&'a Route> {
        intake.config().mesh.routes.get(self.route)
    }

    fn handshake(&mut self, request: &Request<'_>, peer: &PeerInfo, intake: &mut dyn Intake) {
        let head = request.head;
        let path = percent_decode(head.path).unwrap_or_default();
        let routes = &intake.config().mesh.routes;
        let Some(index) = routes.iter().position(|route| route.path == path) else {
            return answer(intake, 404, b"no such path");
        };
        let events = routes[index].handshake_events;
        if !head.upgrade_websocket {
            return answer(intake, 400, b"a WebSocket handshake is wanted here");
        }
        self.route = index;
        if events {
            let bytes = handshake_record(request, peer).into();
            self.stored.push(Stored { lifecycle: true, binary: false, bytes });
        }
        intake.upgrade(None);
    }

    fn on_data(
        &mut self,
        binary: bool,
        bytes: &[u8],
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let Some(route) = self.route(intake) else { return };
        if route.answer_text_ping && !binary && bytes == b"ping" {
            return out.text(b"pong");
        }
        let key = route.wait_context.clone();
        self.store(Stored { lifecycle: false, binary, bytes: Box::default() }, bytes, intake);
        if let Some(key) = key
            && !has_key(&self.context, &key)
        {
            self.waits_for_context = true;
            intake.pause_reading(Pause::Stop);
            intake.set_deadline(Some(CONTEXT_WAIT_MS));
        }
    }

    /// Appends one record, or keeps it until its topic is made.
    fn store(&mut self, mut what: Stored, bytes: &[u8], intake: &mut dyn Intake) {
        let Some(name) = self.route(intake).and_then(|route| TopicName::parse(&route.topic)) else {
            return;
        };
        // A topic that was deleted and made again has another number.
        let known = self.topic.take().filter(|_| self.stored.is_empty());
        self.topic = match (known, intake.topic(&name)) {
            (Some(old), Some(new)) if old.id == new.id => Some(old),
            (_, found) => found,
        };
        match &self.topic {
            Some(topic) if self.stored.is_empty() => self.append(topic, &what, bytes, intake),
            _ => {
                what.bytes = bytes.into();
                self.stored.push(what);
                if self.stored.len() == 1 {
                    create(name, intake);
                }
            }
        }
    }

    fn append(&self, topic: &Arc<Topic>, what: &Stored, bytes: &[u8], intake: &mut dyn Intake) {
        let events = self.route(intake).is_some_and(|r| r.handshake_events || r.close_events);
        let context = &self.context;
        let body = if what.lifecycle {
            Body::Lifecycle { json: bytes, context }
        } else {
            let event: &[u8] = if events { b"message" } else { b"" };
            Body::Frame { binary: what.binary, bytes, context, event }
        };
        if intake.config().mesh.topic_size > 0 && !what.lifecycle {
            intake.hold();
        }
        let bound = if what.lifecycle { Bound::Free } else { Bound::Queue };
        intake.append(topic, self.client, &[body], bound);
    }

    fn on_created(&mut self, intake: &mut dyn Intake) {
        let name = self.route(intake).and_then(|route| TopicName::parse(&route.topic));
        let Some(topic) = name.and_then(|name| intake.topic(&name)) else { return };
        for stored in std::mem::take(&mut self.stored) {
            self.append(&topic, &stored, &stored.bytes, intake);
        }
        self.topic = Some(topic);
    }

    fn on_refused(&mut self, refusal: Refusal, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        match refusal {
            Refusal::TooManyTopics if intake.config().mesh.full == QueueFull::Block => {
                intake.pause_reading(Pause::Stop);
                return intake.set_deadline(Some(TOPIC_RETRY_MS));
            }
            Refusal::UnknownTopic => {
                // Deleted between the look-up and the append: the next message makes it anew.
                self.topic = None;
                out.close(1013, "topic was deleted");
            }
            Refusal::TypedTable => out.close(1008, "topic is a typed table"),
            Refusal::Protected => out.close(1008, "topic is read-only"),
            Refusal::QueueFull => out.close(1013, "queue is full"),
            Refusal::TooManyTopics => out.close(1013, "too many topics"),
            other => {
                let text = other.storage_text().unwrap_or("not stored").to_lowercase();
                out.close(1013, &text);
            }
        }
        intake.count(Count::MeshMessageRefused);
    }
}

fn create(name: TopicName, intake: &mut dyn Intake) {
    intake.hold();
    intake.command(Command::CreateTopic {
        name,
        retention: Retention::default(),
        pipe: false,
        queue: true,
        if_exists: IfExists::Keep,
    });
}

fn has_key(context: &[u8], key: &str) -> bool {
    let mut found = false;
    let _ = json::members(context, |raw, _| found |= json::key_is(raw, key));
    found
}

fn answer(intake: &mut dyn Intake, status: u16, body: &[u8]) {
    let content_type = Some("text/plain; charset=utf-8");
    intake.respond(&HttpReply { status, content_type, headers: &[], body });
}

fn handshake_record(request: &Request<'_>, peer: &PeerInfo) -> Vec<u8> {
    let mut joined: Vec<(String, String)> = Vec::new();
    for (name, value) in request.head.headers.iter() {
        let name = name.to_ascii_lowercase();
        match joined.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => {
                values.push_str(", ");
                values.push_str(value);
            }
            None => joined.push((name, value.to_owned())),
        }
    }
    let mut out = b"{\"event\":\"handshake\",\"headers\":{".to_vec();
    for (index, (name, value)) in joined.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, name);
        out.push(b':');
        json::write_string(&mut out, value);
    }
    out.extend_from_slice(b"},\"uri\":");
    json::write_string(&mut out, request.head.target);
    out.extend_from_slice(b",\"remote\":");
    json::write_string(&mut out, &peer.address.to_string());
    out.push(b'}');
    out
}

impl Session for MeshUser {
    fn on_open(&mut self, _peer: &PeerInfo, intake: &mut dyn Intake, _out: &mut Outbox<'_>) {
        let mesh = &intake.config().mesh;
        let (bytes, idle) = (mesh.user_message_bytes, mesh.idle_timeout_s * 1000);
        let path = self.route(intake).map(|route| route.path.clone()).unwrap_or_default();
        intake.set_message_limit(bytes);
        intake.set_idle_limit(idle);
        intake.set_write_limit(10_000);
        self.client = intake.register_client(&path);
        for stored in std::mem::take(&mut self.stored) {
            let bytes = stored.bytes.clone();
            self.store(stored, &bytes, intake);
        }
    }

    fn on_message(
        &mut self,
        message: Message<'_>,
        peer: &PeerInfo,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Violation> {
        match message {
            Message::Text(bytes) => self.on_data(false, bytes, intake, out),
            Message::Binary(bytes) => self.on_data(true, bytes, intake, out),
            Message::Request(request) => self.handshake(&request, peer, intake),
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<'_>, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        match event {
            Event::Reply(Reply::Created { .. }) => self.on_created(intake),
            Event::Reply(Reply::Refused(refusal)) => self.on_refused(refusal, intake, out),
            Event::Context(context) => {
                self.context = context.into();
                let key = self.route(intake).and_then(|route| route.wait_context.as_deref());
                if self.waits_for_context && key.is_some_and(|key| has_key(context, key)) {
                    self.waits_for_context = false;
                    intake.set_deadline(None);
                    intake.pause_reading(Pause::Resume);
                }
            }
            _ => {}
        }
    }

    fn on_deadline(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if self.waits_for_context {
            return out.close(1008, "no context");
        }
        if !self.stored.is_empty() {
            intake.pause_reading(Pause::Resume);
            if let Some(name) = self.route(intake).and_then(|route| TopicName::parse(&route.topic))
            {
                create(name, intake);
            }
        }
    }

    fn on_close(&mut self, why: CloseReason, intake: &mut dyn Intake) {
        if self.client == 0 || !self.route(intake).is_some_and(|route| route.close_events) {
            return;
        }
        let code = match why {
            CloseReason::Peer(Some(code)) | CloseReason::Us(code) => code,
            CloseReason::Peer(None) => 1005,
            CloseReason::Lost => 1006,
        };
        let json = format!("{{\"event\":\"close\",\"code\":{code}}}");
        let name = self.route(intake).and_then(|route| TopicName::parse(&route.topic));
        if let Some(topic) = name.and_then(|name| intake.topic(&name)) {
            let what = Stored { lifecycle: true, binary: false, bytes: Box::default() };
            self.append(&topic, &what, json.as_bytes(), intake);
        }
    }
}

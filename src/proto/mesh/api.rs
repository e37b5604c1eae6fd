//! A backend's connection: requests in order, events of the queues it consumes.

use super::ask::{Ask, ask};
use super::codec::{self, Sent};
use super::codes::{self, Fault, invalid};
use super::consume::Consumed;
use super::http;
use super::quick;
use crate::config::{Role, User};
use crate::fanout::Outbox;
use crate::model::command::{ClientCall, Command};
use crate::model::event::{ClientView, Event, Reply};
use crate::model::json;
use crate::model::name::TopicName;
use crate::proto::contract::reply_text;
use crate::proto::{Intake, Message, PeerInfo, Session, Violation};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

/// Where an outcome goes.
#[derive(Debug)]
pub(super) enum Origin<'a> {
    /// The WebSocket, with this id.
    Socket(Cow<'a, [u8]>),
    /// The HTTP request under way.
    Http,
    /// An item of the batch under way.
    Item(usize),
    /// Nobody asked.
    None,
}

impl Origin<'_> {
    fn into_owned(self) -> Origin<'static> {
        match self {
            Origin::Socket(id) => Origin::Socket(Cow::Owned(id.into_owned())),
            Origin::Http => Origin::Http,
            Origin::Item(index) => Origin::Item(index),
            Origin::None => Origin::None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Kind {
    Pop { topics: Vec<(String, TopicName)>, acknowledge: bool },
    Unpop,
    Acknowledge,
    Call,
    Info,
    Send,
    Publish,
    Presence,
}

#[derive(Debug)]
struct Pending {
    origin: Origin<'static>,
    kind: Kind,
}

#[derive(Debug)]
struct Batch {
    outcomes: Vec<Option<Result<Vec<u8>, Fault>>>,
    left: usize,
    origin: Origin<'static>,
}

impl Batch {
    fn outcome(&self) -> Result<Vec<u8>, Fault> {
        let mut result = b"{\"b\":[".to_vec();
        for (index, outcome) in self.outcomes.iter().flatten().enumerate() {
            result.extend_from_slice(if index > 0 { b",{" } else { b"{" });
            codec::write_outcome(outcome, &mut result);
            result.push(b'}');
        }
        result.extend_from_slice(b"]}");
        Ok(result)
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct MeshApi {
    pub(super) user: Option<Arc<User>>,
    pub(super) consumed: Vec<Consumed>,
    /// Consumed until their topics were deleted, and again when they are made anew.
    pub(super) lost: Vec<Consumed>,
    pending: VecDeque<Pending>,
    batches: VecDeque<Batch>,
    node_number: u16,
}

impl MeshApi {
    fn on_text(&mut self, text: &[u8], intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if text == b"ping" {
            return reply_text(b"pong", intake, out);
        }
        if let Some(asked) = quick::publish(text)
            && self.user.as_ref().is_none_or(|user| user.may(Role::Write))
        {
            let origin = Origin::Socket(Cow::Borrowed(asked.id));
            return self.publish(asked.channel, false, asked.bytes, origin, intake, out);
        }
        let mut params = Sent::Other(None);
        match codec::envelope(text, &mut params) {
            Ok(envelope) => {
                let origin = Origin::Socket(Cow::Borrowed(envelope.id));
                self.request(&envelope.method, &params, origin, intake, out);
            }
            Err((what, id)) => {
                let outcome = Err(invalid(what));
                reply_text(&codec::reply(&outcome, Some(id)), intake, out);
            }
        }
    }

    /// Carries out one request.
    pub(super) fn request(
        &mut self,
        method: &str,
        params: &Sent<'_>,
        origin: Origin<'_>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let asked = match ask(method, params) {
            Ok(asked) => asked,
            Err(fault) => return self.finish(origin, Err(fault), intake, out),
        };
        if let Err(fault) = self.permit(method, &asked) {
            return self.finish(origin, Err(fault), intake, out);
        }
        match asked {
            Ask::Pop { topics, acknowledge } => self.pop(topics, acknowledge, origin, intake, out),
            Ask::Unpop if self.consumed.is_empty() => {
                let outcome = self.unpop_lost();
                self.finish(origin, outcome, intake, out);
            }
            Ask::Unpop => {
                self.consumed.clear();
                self.lost.clear();
                intake.hold();
                self.send(origin, Kind::Unpop, Command::Unpop, intake);
            }
            Ask::Acknowledge { topic, offsets } => {
                match self.acknowledged_topic(topic.as_deref()) {
                    Ok(topic) => {
                        let command = Command::Acknowledge { topic, offsets };
                        self.send(origin, Kind::Acknowledge, command, intake);
                    }
                    Err(fault) => self.finish(origin, Err(fault), intake, out),
                }
            }
            Ask::Client { client, call } => {
                let kind = match call {
                    ClientCall::Info => Kind::Info,
                    _ => Kind::Call,
                };
                self.send(origin, kind, Command::Client { client, call }, intake);
            }
            Ask::Send { client, frame } => {
                let call = ClientCall::Send(frame);
                self.send(origin, Kind::Send, Command::Client { client, call }, intake);
            }
            Ask::Publish { channel, binary, bytes } => {
                self.publish(&channel, binary, &bytes, origin, intake, out);
            }
            Ask::Presence { channel } => {
                self.send(origin, Kind::Presence, Command::Presence { channel }, intake);
            }
            Ask::Ping => self.finish(origin, Ok(b"{\"m\":\"server.pong\"}".to_vec()), intake, out),
            Ask::Batch(items) => self.batch(&items, origin, intake, out),
        }
    }

    fn publish(
        &mut self,
        channel: &str,
        binary: bool,
        bytes: &[u8],
        origin: Origin<'_>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        match intake.publish(channel, binary, bytes, out.palette) {
            Some((sent, failed)) => self.published(sent, failed, origin, intake, out),
            None => {
                let origin = origin.into_owned();
                self.pending.push_back(Pending { origin, kind: Kind::Publish });
            }
        }
    }

    /// Answers a publish that is done; the common case is written without an allocation.
    fn published(
        &mut self,
        sent: u64,
        failed: u64,
        origin: Origin<'_>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        match origin {
            Origin::Socket(id) if !intake.has_pending() => {
                let mut text = std::mem::take(&mut out.palette.scratch);
                text.clear();
                codec::write_published(sent, failed, &id, &mut text);
                out.text(&text);
                out.palette.scratch = text;
            }
            origin => self.finish(origin, Ok(counts(sent, failed)), intake, out),
        }
    }

    fn permit(&self, method: &str, asked: &Ask<'_>) -> Result<(), Fault> {
        let Some(user) = &self.user else { return Ok(()) };
        let looking = matches!(
            asked,
            Ask::Ping
                | Ask::Presence { .. }
                | Ask::Client { call: ClientCall::Info | ClientCall::GetContext, .. }
        );
        if user.may(Role::Write) || (looking && user.may(Role::Read)) {
            return Ok(());
        }
        Err(codes::forbidden(method))
    }

    fn batch(
        &mut self,
        items: &[json::Value<'_>],
        origin: Origin<'_>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let outcomes = vec![None; items.len()];
        let origin = origin.into_owned();
        self.batches.push_back(Batch { outcomes, left: items.len(), origin });
        for (index, item) in items.iter().enumerate() {
            let origin = Origin::Item(index);
            let mut params = Sent::Other(None);
            match codec::envelope(item.text, &mut params) {
                Ok(inner) if matches!(&*inner.method, "mesh.send" | "mesh.publish") => {
                    self.request(&inner.method, &params, origin, intake, out);
                }
                _ => {
                    let fault = invalid("neither mesh.send nor mesh.publish");
                    self.finish(origin, Err(fault), intake, out);
                }
            }
        }
        if let Some(batch) = self.batches.pop_back_if(|batch| batch.left == 0) {
            let outcome = batch.outcome();
            self.finish(batch.origin, outcome, intake, out);
        }
    }

    pub(super) fn send(
        &mut self,
        origin: Origin<'_>,
        kind: Kind,
        command: Command,
        intake: &mut dyn Intake,
    ) {
        self.pending.push_back(Pending { origin: origin.into_owned(), kind });
        intake.command(command);
    }

    /// Sends an outcome to where it belongs; those made at once wait behind those under way.
    pub(super) fn finish(
        &mut self,
        origin: Origin<'_>,
        outcome: Result<Vec<u8>, Fault>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        match origin {
            Origin::Socket(id) => reply_text(&codec::reply(&outcome, Some(&id)), intake, out),
            Origin::Http => http::answer_outcome(&outcome, intake),
            Origin::Item(index) => Self::finish_item(self.batches.back_mut(), index, outcome),
            Origin::None => {}
        }
    }

    fn finish_item(batch: Option<&mut Batch>, index: usize, outcome: Result<Vec<u8>, Fault>) {
        let Some(batch) = batch else { return };
        if let Some(slot) = batch.outcomes.get_mut(index)
            && slot.is_none()
        {
            *slot = Some(outcome);
            batch.left -= 1;
        }
    }

    fn on_reply(&mut self, reply: Reply, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if let Reply::Deferred(text) = reply {
            return out.text(&text);
        }
        let Some(Pending { origin, kind }) = self.pending.pop_front() else { return };
        let outcome = self.outcome(kind, reply);
        match origin {
            Origin::Socket(id) => out.text(&codec::reply(&outcome, Some(&id))),
            Origin::Http => http::answer_outcome(&outcome, intake),
            Origin::Item(index) => {
                // Only batches with replies under way are kept, so this is the oldest one's.
                Self::finish_item(self.batches.front_mut(), index, outcome);
                if let Some(batch) = self.batches.pop_front_if(|batch| batch.left == 0) {
                    let outcome = batch.outcome();
                    match batch.origin {
                        Origin::Http => http::answer_outcome(&outcome, intake),
                        Origin::Socket(id) => out.text(&codec::reply(&outcome, Some(&id))),
                        Origin::Item(_) | Origin::None => {}
                    }
                }
            }
            Origin::None => {}
        }
    }

    fn outcome(&mut self, kind: Kind, reply: Reply) -> Result<Vec<u8>, Fault> {
        if let Reply::Refused(refusal) = reply {
            return Err(codes::refused(refusal, kind.failure_code()));
        }
        match (kind, reply) {
            (Kind::Pop { topics, acknowledge }, Reply::Popped(ids)) => {
                self.consumes(topics, acknowledge, &ids);
                Ok(success())
            }
            (_, Reply::Acknowledged(good, bad) | Reply::Published(good, bad)) => {
                Ok(counts(good, bad))
            }
            (_, Reply::Present(count, clients)) => {
                let ids: Vec<String> = clients.iter().map(|id| format!("\"{id}\"")).collect();
                let list = ids.join(",");
                Ok(format!("{{\"s\":true,\"count\":{count},\"clients\":[{list}]}}").into_bytes())
            }
            (Kind::Info, Reply::Client(view)) => Ok(describe(&view, self.node_number)),
            (_, Reply::Client(view)) => {
                let mut result = b"{\"s\":true,\"ctx\":".to_vec();
                result.extend_from_slice(context_or_empty(&view.context));
                result.push(b'}');
                Ok(result)
            }
            _ => Ok(success()),
        }
    }
}

fn counts(good: u64, bad: u64) -> Vec<u8> {
    format!("{{\"s\":{good},\"f\":{bad}}}").into_bytes()
}

pub(super) fn success() -> Vec<u8> {
    b"{\"s\":true}".to_vec()
}

fn context_or_empty(context: &[u8]) -> &[u8] {
    if context.is_empty() { b"{}" } else { context }
}

fn describe(view: &ClientView, node: u16) -> Vec<u8> {
    let mut out =
        format!("{{\"s\":true,\"c\":\"{}\",\"n\":{node},\"path\":", view.client).into_bytes();
    json::write_string(&mut out, &view.path);
    out.extend_from_slice(b",\"remote\":");
    json::write_string(&mut out, &view.remote);
    out.extend_from_slice(format!(",\"since\":{},\"channels\":[", view.since_ms).as_bytes());
    for (index, channel) in view.channels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, channel);
    }
    out.extend_from_slice(b"],\"ctx\":");
    out.extend_from_slice(context_or_empty(&view.context));
    out.push(b'}');
    out
}

impl Kind {
    fn failure_code(&self) -> u16 {
        match self {
            Kind::Pop { .. } | Kind::Acknowledge => codes::CONSUME_FAILED,
            Kind::Unpop => codes::NOT_CONSUMED,
            Kind::Call | Kind::Info => codes::CALL_FAILED,
            Kind::Send => codes::SEND_FAILED,
            Kind::Publish | Kind::Presence => codes::INVALID,
        }
    }
}

impl Session for MeshApi {
    fn on_open(&mut self, _peer: &PeerInfo, intake: &mut dyn Intake, _out: &mut Outbox<'_>) {
        let mesh = &intake.config().mesh;
        let (bytes, idle) = (mesh.api_message_bytes, mesh.idle_timeout_s * 1000);
        self.node_number = mesh.node;
        intake.set_message_limit(bytes);
        intake.set_idle_limit(idle);
        intake.set_write_limit(60_000);
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
            Message::Binary(_) => {
                let outcome = Err(invalid("binary frame"));
                reply_text(&codec::reply(&outcome, Some(b"null")), intake, out);
            }
            Message::Request(request) => http::serve(self, &request, peer, intake, out),
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<'_>, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        match event {
            Event::Reply(reply) => self.on_reply(reply, intake, out),
            Event::Message { topic, offset, record, acknowledge } => {
                let Some(consumed) = self.consumed.iter().find(|c| c.topic == topic.id) else {
                    return;
                };
                let node = self.node_number;
                let mut text = std::mem::take(&mut out.palette.scratch);
                text.clear();
                let offset = acknowledge.then_some(offset);
                record.each(&mut |record| {
                    text.clear();
                    codec::write_event(node, &consumed.name, record, offset, &mut text);
                    out.text(&text);
                });
                out.palette.scratch = text;
            }
            Event::QueueGone(topic) => self.consume_later(topic, intake),
            Event::TopicMade(topic) => self.consume_again(topic, intake),
            _ => {}
        }
    }

    fn http_error(&self, _status: u16, reason: &str) -> (&'static str, Vec<u8>) {
        (http::JSON, codec::reply(&Err(invalid(reason)), None))
    }
}

//! One connection: who it is, what it waits for, what it has registered.

use super::http::{self, Waiting};
use super::job::{Failure, Outcome, Slot};
use super::live::Bounds;
use super::live::Live;
use super::socket::Register;
use crate::config::access::Credential;
use crate::config::{Role, User};
use crate::fanout::Outbox;
use crate::model::event::{Event, QueryOutput, Reply};
use crate::model::topic::SubscriptionId;
use crate::proto::contract::{Count, Manners};
use crate::proto::{CloseReason, Intake, Message, PeerInfo, Session, Violation};
use ahash::AHashMap;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Silence after which a peer is pinged, so that a dead one is found.
const PING_MS: u64 = 30_000;

/// Headers of every answer.
pub const HEADERS: &[(&str, &str)] = &[
    ("NSDb-Version", "1.4.0"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Allow-Methods", "GET, POST, PUT, OPTIONS, DELETE"),
    (
        "Access-Control-Allow-Headers",
        "Access-Control-Allow-Origin, Access-Control-Allow-Credentials, X-Requested-With, \
         Content-Type, Authorization",
    ),
];

/// Who a peer is.
#[derive(Clone, Debug, Default)]
pub enum Who {
    /// It did not say.
    #[default]
    Missing,
    /// What it said is wrong.
    Invalid,
    /// A user; `None` while everything is open.
    Known(Option<Arc<User>>),
}

impl Who {
    /// Finds out.
    pub fn identify(
        credential: Option<Credential<'_>>,
        peer: &PeerInfo,
        intake: &dyn Intake,
    ) -> Self {
        if intake.access().is_open() {
            return Who::Known(None);
        }
        if credential.is_none() {
            return Who::Missing;
        }
        match intake.access().identify(credential, peer.address.ip()) {
            Ok(user) => Who::Known(user),
            Err(_) => Who::Invalid,
        }
    }

    /// The user, if it is known who.
    ///
    /// # Errors
    /// Why it is not.
    pub fn user(&self) -> Result<Option<&Arc<User>>, String> {
        match self {
            Who::Missing => Err("header not provided".into()),
            Who::Invalid => Err("invalid token".into()),
            Who::Known(user) => Ok(user.as_ref()),
        }
    }

    /// Whether it may read or write topics, shown as `metric`.
    ///
    /// # Errors
    /// Why not.
    pub fn may<'n>(
        &self,
        role: Role,
        topics: impl IntoIterator<Item = &'n str>,
        metric: &str,
    ) -> Result<(), String> {
        let Some(user) = self.user()? else { return Ok(()) };
        if user.may(role) && topics.into_iter().all(|topic| user.may_touch(topic)) {
            return Ok(());
        }
        let what = if role == Role::Write { "write access" } else { "access" };
        Err(format!("forbidden {what} to metric {metric}"))
    }
}

/// What the next reply is for.
#[derive(Debug)]
pub(super) enum Pending {
    /// A registration is evaluated.
    Register(Box<Register>, Slot),
    /// A query of that number is subscribed.
    Subscribe(u64),
    /// Subscriptions end.
    Unsubscribe,
    /// A query of that number is evaluated for a tick.
    Tick(u64, u64, Slot),
    /// A request.
    Http(Box<Waiting>),
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Nsdb {
    pub(super) who: Who,
    pub(super) bounds: Option<Bounds>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) queries: AHashMap<u64, Live>,
    pub(super) numbers: AHashMap<u128, u64>,
    pub(super) subscriptions: AHashMap<SubscriptionId, u64>,
    pub(super) due: BTreeSet<(u64, u64)>,
    pub(super) last_number: u64,
}

/// The outcome of a job whose reply has come.
pub(super) fn outcome(slot: &Slot, reply: &Reply) -> Result<Outcome, Failure> {
    match (slot.get(), reply) {
        (Some(outcome), _) => outcome.clone(),
        (None, Reply::Query(QueryOutput::Failed(why))) => Err(Failure::Other(why.clone())),
        _ => Err(Failure::Cancelled),
    }
}

impl Nsdb {
    fn on_reply(&mut self, reply: Reply, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if let Reply::Deferred(text) = reply {
            return out.text(&text);
        }
        match self.pending.pop_front() {
            None | Some(Pending::Unsubscribe) => {}
            Some(Pending::Register(register, slot)) => {
                let outcome = outcome(&slot, &reply);
                self.registered(&register, outcome, intake, out);
            }
            Some(Pending::Subscribe(number)) => self.subscribed(number, &reply, intake),
            Some(Pending::Tick(number, tick, slot)) => {
                let outcome = outcome(&slot, &reply);
                self.ticked(number, tick, outcome, intake, out);
            }
            Some(Pending::Http(waiting)) => http::go_on(self, *waiting, &reply, intake),
        }
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
    }
}

impl Session for Nsdb {
    fn manners(&self) -> Manners {
        Manners { headers: HEADERS, deflate: false, ping: b"" }
    }

    fn on_open(&mut self, _peer: &PeerInfo, intake: &mut dyn Intake, _out: &mut Outbox<'_>) {
        intake.set_message_limit(intake.config().limits.message_bytes);
        intake.set_ping(PING_MS);
        // A slow reader is not closed for it; a dead one is silent.
        intake.set_write_limit(0);
    }

    fn on_message(
        &mut self,
        message: Message<'_>,
        peer: &PeerInfo,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Violation> {
        match message {
            Message::Text(text) => self.register(text, intake, out),
            Message::Binary(_) => self.invalid(intake, out),
            Message::Request(request) => http::serve(self, &request, peer, intake),
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<'_>, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        match event {
            Event::Reply(reply) => self.on_reply(reply, intake, out),
            Event::Records(id, records) => self.on_records(id, &records, intake, out),
            Event::SubscriptionEnded(id, _) => self.lost(id, intake),
            Event::TopicMade(topic) => self.topic_made(topic, intake),
            _ => {}
        }
    }

    fn on_deadline(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        self.on_due(intake, out);
    }

    fn on_close(&mut self, _why: CloseReason, intake: &mut dyn Intake) {
        let count = self.queries.len() as u64;
        for live in self.queries.values() {
            live.leave();
        }
        self.queries.clear();
        intake.count(Count::NsdbUnsubscribed(count));
    }
}

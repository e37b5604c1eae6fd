//! The table of front-ends: one row for each port, and the closed set of their sessions.

use super::contract::{CloseReason, Intake, Manners, Message, PeerInfo, Session, Violation};
use super::jsonjet::JsonJet;
use super::mesh::{MeshApi, MeshUser};
use super::nsdb::Nsdb;
use super::raw::Raw;
use super::taos::Taos;
use crate::config::Config;
use crate::fanout::Outbox;
use crate::model::event::Event;
use std::net::SocketAddr;

/// A port that a front-end serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// JSON streams.
    JsonJet,
    /// Backends of the mesh.
    Mesh,
    /// End users of the mesh.
    Users,
    /// Metrics subscriptions.
    Nsdb,
    /// TDengine clients.
    Taos,
    /// Queries over nested data.
    Raw,
}

/// A row of [`PROTOCOLS`].
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Its port.
    pub port: Port,
    /// Its key under `[listen]` and its label in metrics.
    pub name: &'static str,
    /// Where it listens; `None`: off.
    pub address: fn(&Config) -> Option<SocketAddr>,
    /// Bytes of the largest HTTP body.
    pub body_bytes_max: fn(&Config) -> usize,
    /// A session for a new connection.
    pub session: fn() -> AnySession,
}

/// Every front-end.
pub const PROTOCOLS: &[Protocol] = &[
    Protocol {
        port: Port::JsonJet,
        name: "jsonjet",
        address: |config| config.listen.jsonjet,
        body_bytes_max: |config| config.limits.message_bytes,
        session: || AnySession::JsonJet(JsonJet::default()),
    },
    Protocol {
        port: Port::Mesh,
        name: "mesh",
        address: |config| config.listen.mesh,
        body_bytes_max: |config| config.mesh.api_message_bytes,
        session: || AnySession::MeshApi(Box::default()),
    },
    Protocol {
        port: Port::Users,
        name: "users",
        address: |config| config.listen.users,
        body_bytes_max: |_| 0,
        session: || AnySession::MeshUser(MeshUser::default()),
    },
    Protocol {
        port: Port::Nsdb,
        name: "nsdb",
        address: |config| config.listen.nsdb,
        body_bytes_max: |config| config.limits.message_bytes,
        session: || AnySession::Nsdb(Box::default()),
    },
    Protocol {
        port: Port::Taos,
        name: "taos",
        address: |config| config.listen.taos,
        body_bytes_max: |config| config.limits.message_bytes,
        session: || AnySession::Taos(Box::default()),
    },
    Protocol {
        port: Port::Raw,
        name: "raw",
        address: |config| config.listen.raw,
        body_bytes_max: |_| 0,
        session: || AnySession::Raw(Raw::default()),
    },
];

/// One session of any front-end, without a virtual table.
#[derive(Debug)]
pub enum AnySession {
    /// JSON streams.
    JsonJet(JsonJet),
    /// A backend.
    MeshApi(Box<MeshApi>),
    /// An end user.
    MeshUser(MeshUser),
    /// A query over nested data.
    Raw(Raw),
    /// A subscriber of metrics.
    Nsdb(Box<Nsdb>),
    /// A TDengine client.
    Taos(Box<Taos>),
}

macro_rules! each {
    ($any:expr, $session:ident => $call:expr) => {
        match $any {
            AnySession::JsonJet($session) => $call,
            AnySession::MeshApi($session) => $call,
            AnySession::MeshUser($session) => $call,
            AnySession::Raw($session) => $call,
            AnySession::Nsdb($session) => $call,
            AnySession::Taos($session) => $call,
        }
    };
}

impl Session for AnySession {
    fn manners(&self) -> Manners {
        each!(self, session => session.manners())
    }

    fn on_open(&mut self, peer: &PeerInfo, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        each!(self, session => session.on_open(peer, intake, out));
    }

    fn on_message(
        &mut self,
        message: Message<'_>,
        peer: &PeerInfo,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Violation> {
        each!(self, session => session.on_message(message, peer, intake, out))
    }

    fn on_event(&mut self, event: Event<'_>, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        each!(self, session => session.on_event(event, intake, out));
    }

    fn on_deadline(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        each!(self, session => session.on_deadline(intake, out));
    }

    fn on_close(&mut self, why: CloseReason, intake: &mut dyn Intake) {
        each!(self, session => session.on_close(why, intake));
    }

    fn http_error(&self, status: u16, reason: &str) -> (&'static str, Vec<u8>) {
        each!(self, session => session.http_error(status, reason))
    }
}

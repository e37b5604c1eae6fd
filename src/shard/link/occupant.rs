//! Who sits at a connection: a front-end's session, a page of the admin port, or the echo.

use crate::admin::Admin;
use crate::fanout::Outbox;
use crate::model::event::Event;
use crate::proto::{
    AnySession, CloseReason, Intake, Manners, Message, PeerInfo, Session, Violation,
};

/// See the module's page.
#[derive(Debug)]
pub enum Occupant {
    /// A front-end's session.
    Session(AnySession),
    /// The admin port.
    Admin(Admin),
}

macro_rules! each {
    ($any:expr, $session:ident => $call:expr) => {
        match $any {
            Occupant::Session($session) => $call,
            Occupant::Admin($session) => $call,
        }
    };
}

impl Session for Occupant {
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

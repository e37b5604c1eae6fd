//! A port whose front-end is not part of this version: it says so to every request, so that a
//! client gets an answer and an operator finds the reason.

use super::contract::{HttpReply, Intake, Message, PeerInfo, Session, Violation};
use crate::fanout::Outbox;

const TEXT: &str = "This front-end is not part of this version of weir.\n";

/// See the module's page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Absent;

impl Session for Absent {
    fn on_open(&mut self, _peer: &PeerInfo, _intake: &mut dyn Intake, _out: &mut Outbox<'_>) {}

    fn on_message(
        &mut self,
        message: Message<'_>,
        _peer: &PeerInfo,
        intake: &mut dyn Intake,
        _out: &mut Outbox<'_>,
    ) -> Result<(), Violation> {
        if let Message::Request(_) = message {
            let content_type = Some("text/plain; charset=utf-8");
            let body = TEXT.as_bytes();
            intake.respond(&HttpReply { status: 501, content_type, headers: &[], body });
        }
        Ok(())
    }
}

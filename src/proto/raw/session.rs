//! One connection: waits for a query, says how it goes, and ends with it.

use super::job::QueryJob;
use super::{codec, codes, http};
use crate::config::User;
use crate::fanout::Outbox;
use crate::model::event::{Event, QueryOutput, Reply};
use crate::proto::{Intake, Message, PeerInfo, Session, Violation};
use crate::query::strict::eval::Limits;
use std::sync::Arc;

/// Silence after which a peer is pinged, so that a dead one is found and its query ends.
const PING_MS: u64 = 30_000;

/// How far the conversation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// No query was accepted.
    #[default]
    Waiting,
    /// A query is compiled.
    Compiling,
    /// It runs.
    Running,
    /// It has ended.
    Ended,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Raw {
    pub(super) user: Option<Arc<User>>,
    stage: Stage,
}

impl Raw {
    fn on_text(&mut self, text: &[u8], intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let text = simdutf8::basic::from_utf8(text).unwrap_or_default();
        let request = match codec::request(text) {
            Ok(_) if self.stage != Stage::Waiting => Err(codes::BUSY.to_owned()),
            other => other,
        };
        let request = match request {
            Ok(request) => request,
            Err(detail) => return out.text(&codec::invalid_message(&detail)),
        };
        intake.set_deadline(None);
        self.stage = Stage::Compiling;
        debug(codes::COMPILING, out);
        let raw = &intake.config().raw;
        if intake.queries_running() >= raw.queries as u64 {
            return self.fail(codes::TOO_MANY, out);
        }
        let job = QueryJob {
            text: request.query,
            format: request.format,
            user: self.user.clone(),
            text_bytes_max: raw.query_bytes,
            run_limit_s: raw.run_limit_s,
            limits: Limits { rows: raw.rows_limit, bytes: raw.sort_bytes },
        };
        intake.run_query(Box::new(job));
    }

    /// The query compiled.
    fn started(&mut self, out: &mut Outbox<'_>) {
        if self.stage != Stage::Compiling {
            return;
        }
        self.stage = Stage::Running;
        debug(codes::COMPILED, out);
        debug(codes::RUNNING, out);
        out.text(codec::QUERY_SUCCESS);
        debug(codes::WRITING, out);
    }

    fn fail(&mut self, why: &str, out: &mut Outbox<'_>) {
        self.started(out);
        self.stage = Stage::Ended;
        out.text(&codec::user_message("error", why));
        out.text(codec::STREAMING_END);
        out.close(codes::FAILED.0, codes::FAILED.1);
    }

    fn on_output(&mut self, output: QueryOutput, out: &mut Outbox<'_>) {
        match output {
            QueryOutput::Started => self.started(out),
            QueryOutput::Bytes(bytes) => out.binary(&bytes),
            QueryOutput::Failed(why) => self.fail(&why, out),
            QueryOutput::Invalid(message) => {
                self.stage = Stage::Ended;
                out.text(&message);
                out.close(codes::DONE.0, codes::DONE.1);
            }
            QueryOutput::Finished(_) => {
                self.stage = Stage::Ended;
                debug(codes::RAN, out);
                debug(codes::WROTE, out);
                out.text(codec::STREAMING_END);
                out.close(codes::DONE.0, codes::DONE.1);
            }
        }
    }
}

fn debug(message: &str, out: &mut Outbox<'_>) {
    out.text(&codec::user_message("debug", message));
}

impl Session for Raw {
    fn on_open(&mut self, _peer: &PeerInfo, intake: &mut dyn Intake, _out: &mut Outbox<'_>) {
        intake.set_message_limit(intake.config().limits.message_bytes);
        intake.set_ping(PING_MS);
        let idle_s = intake.config().raw.idle_timeout_s;
        intake.set_deadline(Some(idle_s * 1000).filter(|ms| *ms > 0));
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
            Message::Binary(_) => out.text(&codec::invalid_message(codes::BINARY)),
            Message::Request(request) => http::serve(self, &request, peer, intake),
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<'_>, _intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if let Event::Query(output) | Event::Reply(Reply::Query(output)) = event {
            self.on_output(output, out);
        }
    }

    fn on_deadline(&mut self, _intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if self.stage == Stage::Waiting {
            out.close(codes::IDLE.0, codes::IDLE.1);
        }
    }
}

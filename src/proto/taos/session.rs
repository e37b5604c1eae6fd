//! One connection of a TDengine client: requests one after the other, answered in order.
//!
//! Method: what needs tables runs on a query worker, and the connection is not read meanwhile.
//! What a client fetches of results is theirs ([`super::results`]).

use super::bind::{self, Statements};
use super::codec::{Ask, Frame, Reply, fault, received};
use super::job::{Answer, Outcome, Slot, Statement};
use super::login::{Client, user_of, zone_of};
pub use super::login::{Login, parse_zone, who};
use super::rest;
use super::results::{self, Fetch, Form, Results};
use super::tmq::Tmq;
use crate::fanout::Outbox;
use crate::model::event::{Event, Reply as Told};
use crate::model::value::Value;
use crate::proto::{CloseReason, Intake, Message, PeerInfo, Session, Violation};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Who;
use std::net::IpAddr;

/// Silence after which a peer is pinged.
const PING_MS: u64 = 54_000;

/// A statement under way.
#[derive(Debug)]
pub(super) enum Pending {
    /// Over HTTP.
    Http { timing: bool, begun: i64 },
    /// `query`, `binary_query`.
    Query { action: &'static str, request: u64, begun: i64 },
    /// `conn` with a database.
    Conn { request: u64, begun: i64, login: Box<Login> },
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Taos {
    /// A token of the handshake.
    pub(super) token: Option<String>,
    /// The consumer, on its path.
    pub(super) tmq: Option<Box<Tmq>>,
    pub(super) login: Option<Login>,
    pending: Option<(Slot, Pending)>,
    pub(super) statements: Statements,
    pub(super) results: Results,
}

impl Taos {
    /// Starts a statement; nothing more is read before its end.
    pub(super) fn run(
        &mut self,
        text: String,
        who: Who,
        form: Option<rest::Form>,
        pending: Pending,
        intake: &mut dyn Intake,
    ) {
        let slot = Slot::default();
        self.pending = Some((slot.clone(), pending));
        intake.hold();
        intake.run_query(Box::new(Statement { text, who, form, slot }));
    }

    fn on_text(
        &mut self,
        text: &[u8],
        peer: IpAddr,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let (ask, request) = match received(text) {
            Ok(it) => it,
            Err(reply) => return out.text(&reply),
        };
        if let Err(wrong) = self.act(&ask, request, peer, intake, out) {
            let mut reply = Reply::new(&ask.action, request, Some(&wrong), 0);
            bind::mark(&mut reply, &ask);
            out.text(&reply.end());
        }
    }

    fn act(
        &mut self,
        ask: &Ask<'_>,
        request: u64,
        peer: IpAddr,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Wrong> {
        let mut reply = Reply::new(&ask.action, request, None, 0);
        match ask.action.as_str() {
            "version" => {
                reply.text("version", &intake.config().taos.version);
                out.text(&reply.end());
                return Ok(());
            }
            "conn" => return self.connect(ask, request, peer, intake, out),
            "check_server_status" => {
                reply.put("status", 2);
                reply.text("details", "");
                out.text(&reply.end());
                return Ok(());
            }
            _ => {}
        }
        let Some(login) = &mut self.login else { return Err(fault("server not connected")) };
        match ask.action.as_str() {
            "query" => {
                let sql = ask.text("sql")?;
                self.query("query", request, sql, intake);
                return Ok(());
            }
            "fetch" => {
                let fetch = Fetch { request, id: ask.number("id")?, form: Form::Text };
                self.results.fetch(fetch, intake, out);
                return Ok(());
            }
            "fetch_block" => {
                out.binary(&self.results.announced(ask.number("id")?)?);
                return Ok(());
            }
            "free_result" => {
                self.results.free(ask.number("id")?, intake);
                return Ok(());
            }
            "num_fields" => {
                let fields = self.results.fields(ask.number("result_id")?)?;
                reply.put("num_fields", fields.len() as u64);
            }
            "get_current_db" => reply.text("db", login.database.as_deref().unwrap_or("")),
            "get_server_info" => reply.text("info", &intake.config().taos.version),
            "options_connection" => login.set_options(ask)?,
            _ => return self.act_statement(ask, request, intake, out),
        }
        out.text(&reply.end());
        Ok(())
    }

    fn connect(
        &mut self,
        ask: &Ask<'_>,
        request: u64,
        peer: IpAddr,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Wrong> {
        if self.login.is_some() {
            return Err(fault("duplicate connections"));
        }
        let database = ask.text("db")?;
        if !matches!(ask.arg("mode"), Value::Missing | Value::Null | Value::Int(0)) {
            let mode = ask.number("mode")?;
            return Err(fault(format!("unexpected mode:{mode}")));
        }
        let zone = zone_of(ask)?;
        let user = user_of(ask, self.token.as_ref(), peer, intake)?;
        let begun = intake.now();
        let login = Login { user, database: None, zone, client: Client::of(ask, peer)? };
        if database.is_empty() {
            out.text(&login.greeting(request, 0, intake));
            login.watch(intake, out);
            self.login = Some(login);
            return Ok(());
        }
        let who = who(login.user.as_ref(), None, zone, intake);
        let text = format!("use `{}`", database.replace('`', "``"));
        let login = Box::new(login);
        self.run(text, who, None, Pending::Conn { request, begun, login }, intake);
        Ok(())
    }

    fn query(&mut self, action: &'static str, request: u64, sql: String, intake: &mut dyn Intake) {
        let Some(login) = &self.login else { return };
        let who = login.who(intake);
        let begun = intake.now();
        self.run(sql, who, None, Pending::Query { action, request, begun }, intake);
    }

    fn on_binary(&mut self, bytes: &[u8], intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Some(frame) = Frame::read(bytes) else {
            let wrong = fault("message length is too short");
            return out.text(&Reply::new("", 0, Some(&wrong), 0).end());
        };
        let action = match frame.action {
            6 => "binary_query",
            7 => "binary_fetch",
            other => bind::binary_action(other).unwrap_or(""),
        };
        if let Err(wrong) = self.act_binary(&frame, intake, out) {
            let mut reply = Reply::new(action, frame.request, Some(&wrong), 0);
            if bind::binary_action(frame.action).is_some() {
                reply.put("stmt_id", frame.object);
            }
            out.text(&reply.end());
        }
    }

    fn act_binary(
        &mut self,
        frame: &Frame<'_>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Wrong> {
        if self.login.is_none() {
            return Err(fault("server not connected"));
        }
        match frame.action {
            6 => {
                let sql = frame.sql()?.to_owned();
                self.query("binary_query", frame.request, sql, intake);
            }
            7 => {
                if frame.rest.len() < 2 {
                    return Err(fault("message length is too short"));
                }
                let (request, id) = (frame.request, frame.object);
                self.results.fetch(Fetch { request, id, form: Form::Binary }, intake, out);
            }
            _ => return self.act_statement_frame(frame, intake),
        }
        Ok(())
    }

    fn on_outcome(
        &mut self,
        outcome: Outcome,
        pending: Pending,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let spent = |begun: i64, intake: &dyn Intake| intake.now().saturating_sub(begun) as u64;
        match pending {
            Pending::Http { timing, begun } => rest::finish(outcome, timing, begun, intake),
            Pending::Conn { request, begun, mut login } => match outcome {
                Ok(Answer::Use(database)) => {
                    login.database = Some(database);
                    out.text(&login.greeting(request, spent(begun, intake), intake));
                    login.watch(intake, out);
                    self.login = Some(*login);
                }
                Ok(_) => {}
                Err(wrong) => out.text(&Reply::new("conn", request, Some(&wrong), 0).end()),
            },
            Pending::Query { action, request, begun } => {
                let timing = spent(begun, intake);
                let reply = match outcome {
                    Err(wrong) => Reply::new(action, request, Some(&wrong), timing),
                    Ok(answer) => self.answered(action, request, timing, answer, intake),
                };
                out.text(&reply.end());
            }
        }
    }

    fn answered(
        &mut self,
        action: &str,
        request: u64,
        timing: u64,
        answer: Answer,
        intake: &mut dyn Intake,
    ) -> Reply {
        let mut reply = Reply::new(action, request, None, timing);
        let table = match answer {
            Answer::Table(table) => table,
            other => {
                let affected = match other {
                    Answer::Affected(count) => count,
                    Answer::Use(database) => {
                        if let Some(login) = &mut self.login {
                            login.database = Some(database);
                        }
                        0
                    }
                    _ => 0,
                };
                results::no_result(affected, &mut reply);
                return reply;
            }
        };
        self.results.open(table, &mut reply, intake);
        reply
    }
}

impl Session for Taos {
    fn on_open(&mut self, _peer: &PeerInfo, intake: &mut dyn Intake, _out: &mut Outbox<'_>) {
        intake.set_message_limit(intake.config().limits.message_bytes);
        intake.set_ping(PING_MS);
    }

    fn on_message(
        &mut self,
        message: Message<'_>,
        peer: &PeerInfo,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Violation> {
        match message {
            Message::Text(text) if let Some(tmq) = &mut self.tmq => {
                tmq.on_text(text, peer.address.ip(), self.token.as_ref(), intake, out);
            }
            Message::Binary(bytes) if let Some(tmq) = &self.tmq => tmq.on_binary(bytes, out),
            Message::Text(text) => self.on_text(text, peer.address.ip(), intake, out),
            Message::Binary(bytes) => self.on_binary(bytes, intake, out),
            Message::Request(request) => rest::serve(self, &request, peer, intake),
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<'_>, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if let Some(tmq) = &mut self.tmq {
            return match event {
                Event::Reply(Told::Query(_)) => tmq.on_done(intake, out),
                Event::Woken => tmq.on_woken(intake, out),
                _ => {}
            };
        }
        if let Event::Reply(Told::Query(_)) = event {
            // What was asked for first is answered first, and nothing is asked for behind a
            // statement.
            if self.results.is_refilling() {
                return self.results.on_refill(intake, out);
            }
            match self.pending.take() {
                Some((slot, pending)) => self.on_outcome(slot.take(), pending, intake, out),
                None => self.on_statement(intake, out),
            }
        }
    }

    fn on_deadline(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if let Some(tmq) = &mut self.tmq {
            tmq.on_deadline(intake, out);
        } else if let Some(login) = &self.login {
            login.watch(intake, out);
        }
    }

    fn on_close(&mut self, _why: CloseReason, intake: &mut dyn Intake) {
        if let Some(tmq) = &mut self.tmq {
            tmq.on_close();
        }
        self.results.clear(intake);
        self.statements.clear();
    }

    fn http_error(&self, status: u16, reason: &str) -> (&'static str, Vec<u8>) {
        let wrong = Wrong::new(0xFFFF, reason);
        let _ = status;
        ("application/json; charset=utf-8", rest::error_body(&wrong))
    }
}

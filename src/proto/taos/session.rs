//! One connection of a TDengine client: requests one after the other, answered in order.
//!
//! Method: what needs tables runs on a query worker, and the connection is not read meanwhile.
//! Results stay here as blocks until they are fetched or freed.

use super::access;
use super::bind::{self, Statements};
use super::codec::{Ask, Frame, Reply, fault, fetched, numbers, texts};
use super::job::{Answer, Outcome, Slot, Statement, Table};
use super::login::Client;
pub use super::login::{Login, parse_zone, who};
use super::rest;
use super::tmq::Tmq;
use crate::fanout::Outbox;
use crate::model::event::{Event, Reply as Told};
use crate::model::table::Kind;
use crate::model::value::Value;
use crate::proto::{CloseReason, Intake, Message, PeerInfo, Session, Violation};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Who;
use chrono_tz::Tz;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Silence after which a peer is pinged.
const PING_MS: u64 = 54_000;
/// Results that are open at once; one more frees the oldest.
const RESULTS_MAX: usize = 256;

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

/// A result that a client fetches.
#[derive(Debug)]
struct Held {
    table: Table,
    /// The block that the last `fetch` announced.
    announced: Option<Vec<u8>>,
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
    results: BTreeMap<u64, Held>,
    pub(super) last_result: u64,
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
        let ask = match Ask::read(text) {
            Ok(ask) => ask,
            Err(wrong) => return out.text(&Reply::new("", 0, Some(&wrong), 0).end()),
        };
        let request = match ask.request() {
            Ok(request) => request,
            Err(wrong) => return out.text(&Reply::new(&ask.action, 0, Some(&wrong), 0).end()),
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
            "fetch" => return self.fetch(request, ask.number("id")?, out),
            "fetch_block" => return self.fetch_block(ask.number("id")?, out),
            "free_result" => {
                self.results.remove(&ask.number("id")?);
                return Ok(());
            }
            "num_fields" => {
                let held = self.results.get(&ask.number("result_id")?);
                let held = held.ok_or_else(|| fault("result is nil"))?;
                reply.put("num_fields", held.table.fields.len() as u64);
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
        let (user, password) = (ask.text("user")?, ask.text("password")?);
        let (database, token) = (ask.text("db")?, ask.text("bearer_token")?);
        if !matches!(ask.arg("mode"), Value::Missing | Value::Null | Value::Int(0)) {
            let mode = ask.number("mode")?;
            return Err(fault(format!("unexpected mode:{mode}")));
        }
        let zone = match ask.text("tz")?.as_str() {
            "" => Tz::UTC,
            text => parse_zone(text)
                .ok_or_else(|| Wrong::new(0x0118, format!("Invalid parameters: tz {text}")))?,
        };
        let token = if token.is_empty() { self.token.clone() } else { Some(token) };
        let user = match token.filter(|_| user.is_empty()) {
            Some(token) => access::identify_token(&token, peer, intake)?,
            None => access::identify(&user, &password, peer, intake)?,
        };
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

    fn fetch(&mut self, request: u64, id: u64, out: &mut Outbox<'_>) -> Result<(), Wrong> {
        let held = self.results.get_mut(&id).ok_or_else(|| fault("result is nil"))?;
        let mut reply = Reply::new("fetch", request, None, 0);
        reply.put("id", id);
        match held.table.blocks.pop_front() {
            Some((rows, block)) => {
                held.announced = Some(block);
                let bytes = |field: &crate::query::tables::Field| {
                    u64::from(super::block::schema_bytes(field.kind))
                };
                reply.raw("completed", "false");
                reply.raw("lengths", &numbers(held.table.fields.iter().map(bytes)));
                reply.put("rows", rows as u64);
            }
            None => {
                self.results.remove(&id);
                reply.raw("completed", "true");
                reply.raw("lengths", "null");
                reply.put("rows", 0);
            }
        }
        out.text(&reply.end());
        Ok(())
    }

    fn fetch_block(&mut self, id: u64, out: &mut Outbox<'_>) -> Result<(), Wrong> {
        let held = self.results.get(&id).ok_or_else(|| fault("result is nil"))?;
        let block = held.announced.as_ref().ok_or_else(|| fault("block is nil"))?;
        let mut frame = 0_u64.to_le_bytes().to_vec();
        frame.extend_from_slice(&id.to_le_bytes());
        frame.extend_from_slice(block);
        out.binary(&frame);
        Ok(())
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
                let reply = self.next_block(frame.request, frame.object);
                out.binary(&reply);
            }
            _ => return self.act_statement_frame(frame, intake),
        }
        Ok(())
    }

    fn next_block(&mut self, request: u64, id: u64) -> Vec<u8> {
        let Some(held) = self.results.get_mut(&id) else {
            let known = id > 0 && id <= self.last_result;
            let text = if known { "result has been freed" } else { "result is nil" };
            return fetched(request, id, 0, Err(&fault(text)));
        };
        match held.table.blocks.pop_front() {
            Some((_, block)) => fetched(request, id, 0, Ok(Some(&block))),
            None => {
                self.results.remove(&id);
                fetched(request, id, 0, Ok(None))
            }
        }
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
                    Ok(answer) => self.answered(action, request, timing, answer),
                };
                out.text(&reply.end());
            }
        }
    }

    fn answered(&mut self, action: &str, request: u64, timing: u64, answer: Answer) -> Reply {
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
                reply.put("id", 0);
                reply.raw("is_update", "true");
                reply.put("affected_rows", affected);
                reply.put("fields_count", 0);
                for name in LISTS {
                    reply.raw(name, "null");
                }
                reply.put("precision", 0);
                return reply;
            }
        };
        self.describe(table, &mut reply);
        reply
    }

    /// Opens a result, and says what it is.
    pub(super) fn describe(&mut self, table: Table, reply: &mut Reply) {
        self.last_result += 1;
        let id = self.last_result;
        reply.put("id", id);
        reply.raw("is_update", "false");
        reply.put("affected_rows", 0);
        let fields = &table.fields;
        reply.put("fields_count", fields.len() as u64);
        let each = |f: fn(&crate::query::tables::Field) -> u64| numbers(fields.iter().map(f));
        reply.raw("fields_names", &texts(fields.iter().map(|field| field.name.as_str())));
        reply.raw("fields_types", &each(|field| u64::from(field.kind.code())));
        reply.raw("fields_lengths", &each(|field| u64::from(field.kind.length())));
        reply.raw("fields_precisions", &each(|field| digits(field).0));
        reply.raw("fields_scales", &each(|field| digits(field).1));
        reply.put("precision", u64::from(table.precision.code()));
        if self.results.len() >= RESULTS_MAX {
            self.results.pop_first();
        }
        self.results.insert(id, Held { table, announced: None });
    }
}

/// Digits and scale of a decimal.
fn digits(field: &crate::query::tables::Field) -> (u64, u64) {
    match field.kind {
        Kind::Decimal(digits, scale) => (u64::from(digits), u64::from(scale)),
        _ => (0, 0),
    }
}

/// Members that are lists in the reply to a query.
const LISTS: [&str; 5] =
    ["fields_names", "fields_types", "fields_lengths", "fields_precisions", "fields_scales"];

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

    fn on_close(&mut self, _why: CloseReason, _intake: &mut dyn Intake) {
        if let Some(tmq) = &mut self.tmq {
            tmq.on_close();
        }
        self.results.clear();
        self.statements.clear();
    }

    fn http_error(&self, status: u16, reason: &str) -> (&'static str, Vec<u8>) {
        let wrong = Wrong::new(0xFFFF, reason);
        let _ = status;
        ("application/json; charset=utf-8", rest::error_body(&wrong))
    }
}

//! Prepared statements of a connection, versions 1 and 2 (taos, sections 4 and 5).
//!
//! Method: what needs tables runs on a query worker ([`work`]), the connection not being read
//! meanwhile; a statement is shared with the worker and touched by one of them at a time. What
//! needs none is answered at once. Frames are copied once on their way to the worker; there a
//! column of the table's own kind is copied as a whole, a second time into the record, a third
//! time into the log. Cost of a row (time, float, int, float), all told, in batches of 10,000:
//! 20 bytes in the log and about 50 ns of CPU (`bench/taos`); of a request that goes to a worker:
//! about 50 us, whatever it holds, twice that while nothing else is to do.
//! Invariant: every action but `close` is answered once, in order.

mod carry;
mod frame;
mod json;
mod state;
mod work;

pub(super) use work::{Request, Told, Work};

use super::codec::{Ask, Frame, Reply, fault};
use super::job::Slot;
use super::schemaless::{self, Lines};
use super::session::Taos;
use crate::fanout::Outbox;
use crate::proto::Intake;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::bind::HeldBytes;
use crate::query::tables::{Who, codes};
use state::Shared;
use std::collections::BTreeMap;

/// Statements of a connection at once, of both versions together.
const STATEMENTS_MAX: usize = 1024;

/// Which of the two protocols a statement belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Statements of one version.
#[derive(Debug, Default)]
struct Held {
    list: BTreeMap<u64, Shared>,
    last: u64,
}

/// What is under way over a WebSocket.
#[derive(Debug)]
pub(super) struct Pending {
    pub action: String,
    pub request: u64,
    /// The statement, if it is about one.
    pub statement: Option<u64>,
    pub begun: i64,
}

/// All statements of a connection.
#[derive(Debug, Default)]
pub struct Statements {
    one: Held,
    two: Held,
    /// Of rows that wait, of all statements together.
    bytes: HeldBytes,
    /// What a worker has; without more about it, its answer goes over HTTP.
    pending: Option<(Slot<Told>, Option<Pending>)>,
}

impl Statements {
    fn held(&mut self, version: Version) -> &mut Held {
        match version {
            Version::One => &mut self.one,
            Version::Two => &mut self.two,
        }
    }

    fn open(&mut self, version: Version) -> Result<u64, Wrong> {
        if self.one.list.len() + self.two.list.len() >= STATEMENTS_MAX {
            let text = format!("Invalid parameters: more than {STATEMENTS_MAX} statements");
            return Err(Wrong::new(0x0118, text));
        }
        let shared = Shared::new(&self.bytes);
        let held = self.held(version);
        held.last += 1;
        held.list.insert(held.last, shared);
        Ok(held.last)
    }

    fn find(&mut self, version: Version, id: u64) -> Result<Shared, Wrong> {
        let nil = match version {
            Version::One => "stmt is nil",
            Version::Two => "stmt2 is nil",
        };
        self.held(version).list.get(&id).cloned().ok_or_else(|| fault(nil))
    }

    /// Frees all of them.
    pub(super) fn clear(&mut self) {
        self.one.list.clear();
        self.two.list.clear();
    }
}

/// The version whose action this is, if it is one of a statement.
fn version_of(action: &str) -> Option<Version> {
    match action {
        "init" | "prepare" | "set_table_name" | "set_tags" | "bind" | "add_batch" | "exec"
        | "close" | "get_tag_fields" | "get_col_fields" | "use_result" | "stmt_num_params"
        | "stmt_get_param" => Some(Version::One),
        "stmt2_init" | "stmt2_prepare" | "stmt2_exec" | "stmt2_result" | "stmt2_close" => {
            Some(Version::Two)
        }
        _ => None,
    }
}

/// The name of a binary action of a statement.
pub(super) fn binary_action(action: u64) -> Option<&'static str> {
    match action {
        1 => Some("set_tags"),
        2 => Some("bind"),
        9 => Some("stmt2_bind"),
        11 => Some("stmt2_bind_exec"),
        _ => None,
    }
}

/// Adds what errors of statements carry.
pub(super) fn mark(reply: &mut Reply, ask: &Ask<'_>) {
    if version_of(&ask.action).is_some() {
        reply.put("stmt_id", ask.number("stmt_id").unwrap_or(0));
    }
    mark_prepare(reply, &ask.action);
}

/// A client in use ends its process on an error of a prepare without this.
fn mark_prepare(reply: &mut Reply, action: &str) {
    if matches!(action, "prepare" | "stmt2_prepare") {
        reply.raw("is_insert", "false");
    }
}

impl Taos {
    /// Carries out an action of a statement, or says that it is none.
    pub(super) fn act_statement(
        &mut self,
        ask: &Ask<'_>,
        request: u64,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Wrong> {
        let unknown = || fault(format!("unknown action {}", ask.action));
        if ask.action == "insert" {
            let work = schemaless::request(ask)?;
            return self.hand_over(&ask.action, request, None, Shared::default(), work, intake);
        }
        let version = version_of(&ask.action).ok_or_else(unknown)?;
        let id = ask.number("stmt_id")?;
        let mut reply = Reply::new(&ask.action, request, None, 0);
        if matches!(ask.action.as_str(), "init" | "stmt2_init") {
            reply.put("stmt_id", self.statements.open(version)?);
            out.text(&reply.end());
            return Ok(());
        }
        let shared = self.statements.find(version, id)?;
        reply.put("stmt_id", id);
        match ask.action.as_str() {
            "close" | "stmt2_close" => {
                self.statements.held(version).list.remove(&id);
                if version == Version::One {
                    return Ok(());
                }
            }
            "add_batch" => shared.lock().add_batch()?,
            "use_result" | "stmt2_result" => {
                let table = shared.lock().take_result(version == Version::Two)?;
                let id = self.results.open(table, &mut reply, intake);
                if version == Version::One {
                    reply.put("result_id", id);
                }
            }
            _ => {
                let work = Request::read(ask)?;
                shared.lock().check_prepared(&work)?;
                return self.hand_over(&ask.action, request, Some(id), shared, work, intake);
            }
        }
        out.text(&reply.end());
        Ok(())
    }

    /// Carries out a binary frame of a statement.
    pub(super) fn act_statement_frame(
        &mut self,
        frame: &Frame<'_>,
        intake: &mut dyn Intake,
    ) -> Result<(), Wrong> {
        let wrong = || fault(format!("unknown binary action {}", frame.action));
        let action = binary_action(frame.action).ok_or_else(wrong)?;
        let version = if frame.action < 9 { Version::One } else { Version::Two };
        let shared = self.statements.find(version, frame.object)?;
        let work = Request::of_frame(frame.action, frame.rest);
        shared.lock().check_prepared(&work)?;
        self.hand_over(action, frame.request, Some(frame.object), shared, work, intake)
    }

    /// Writes points that came over HTTP.
    pub(super) fn write_points(&mut self, who: Who, lines: Lines, intake: &mut dyn Intake) {
        self.give(who, Shared::default(), Request::Insert(lines), None, intake);
    }

    /// Gives a request to a worker; nothing more is read before its end.
    fn give(
        &mut self,
        who: Who,
        shared: Shared,
        work: Request,
        pending: Option<Pending>,
        intake: &mut dyn Intake,
    ) {
        let slot = Slot::default();
        self.statements.pending = Some((slot.clone(), pending));
        intake.hold();
        intake.run_query(Box::new(Work::new(who, shared, work, slot)));
    }

    fn hand_over(
        &mut self,
        action: &str,
        request: u64,
        statement: Option<u64>,
        shared: Shared,
        work: Request,
        intake: &mut dyn Intake,
    ) -> Result<(), Wrong> {
        let Some(login) = &self.login else { return Err(fault("server not connected")) };
        let who = login.who(intake);
        let (action, begun) = (action.to_owned(), intake.now());
        let pending = Pending { action, request, statement, begun };
        self.give(who, shared, work, Some(pending), intake);
        Ok(())
    }

    /// A worker has carried out what it was given.
    pub(super) fn on_statement(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Some((slot, pending)) = self.statements.pending.take() else { return };
        let told = slot.take();
        let Some(pending) = pending else { return schemaless::http::finish(&told, intake) };
        let timing = intake.now().saturating_sub(pending.begun).max(0) as u64;
        let error = told.as_ref().err();
        let mut reply = Reply::new(&pending.action, pending.request, error, timing);
        if let Some(id) = pending.statement {
            reply.put("stmt_id", id);
        }
        match told {
            Ok(told) => told.put(&mut reply),
            Err(_) => mark_prepare(&mut reply, &pending.action),
        }
        out.text(&reply.end());
    }
}

/// Actions in an order that makes no sense.
fn misused<T>() -> Result<T, Wrong> {
    Err(codes::statement_misused())
}

//! Opening a socket and registering queries on it (nsdb, 2 and 3).

use super::codec::{self, Ask, Needs};
use super::codes;
use super::job::{Failure, Outcome, Query, Task, Work};
use super::live::Bounds;
use super::live::Live;
use super::session::{Nsdb, Pending, Who};
use crate::config::Role;
use crate::config::access::Credential;
use crate::fanout::Outbox;
use crate::proto::contract::reply_text;
use crate::proto::{Intake, PeerInfo, Request};
use crate::query::dialect::nsdb::{Statement, parse};
use crate::wire::http::query_value;
use std::sync::Arc;

/// Queries of one socket.
const QUERIES_MAX: usize = 10_000;
/// Largest `retention_size`.
const RETENTION_MAX: i32 = 65_536;

/// A registration under way: what is echoed, and the query.
#[derive(Debug)]
pub(super) struct Register {
    database: String,
    namespace: String,
    metric: String,
    text: String,
    query: Option<Arc<Query>>,
}

impl Register {
    /// The members that every answer has, and another; the brace is open.
    fn echo(&self, key: &str, value: &str) -> Vec<u8> {
        codec::texts(&[
            ("db", &self.database),
            ("namespace", &self.namespace),
            ("metric", &self.metric),
            ("queryString", &self.text),
            (key, value),
        ])
    }
}

/// A parameter of the handshake.
fn parameter(request: &Request<'_>, name: &str) -> Result<Option<i32>, String> {
    let Some(value) = request.head.query.and_then(|query| query_value(query, name)) else {
        return Ok(None);
    };
    value.parse().map(Some).map_err(|_| {
        format!(
            "The query parameter '{name}' was malformed:\n'{value}' is not a valid 32-bit signed \
             integer value"
        )
    })
}

fn bounds(request: &Request<'_>, intake: &dyn Intake) -> Result<Bounds, String> {
    let least = intake.config().nsdb.refresh_period_ms;
    let period = parameter(request, "refresh_period")?;
    let retention = parameter(request, "retention_size")?;
    let period_ms = match period {
        None => least,
        Some(period) => u64::try_from(period).ok().filter(|ms| *ms >= least).ok_or(format!(
            "publish period of {period} milliseconds cannot be used, must be greater or equal to \
             {least}"
        ))?,
    };
    let wrong = |size: i32, bound: &str, limit: i32| {
        Err(format!("retention size of {size} cannot be used, must be {bound} or equal to {limit}"))
    };
    let records = match retention {
        None => usize::try_from(intake.config().nsdb.retention_size).unwrap_or(usize::MAX),
        Some(size) if size < 0 => return wrong(size, "greater", 0),
        Some(size) if size > RETENTION_MAX => return wrong(size, "lower", RETENTION_MAX),
        Some(size) => size as usize,
    };
    let outbox_bytes = intake.config().limits.outbox_bytes;
    Ok(Bounds { period_ms, records: records.min(RETENTION_MAX as usize), outbox_bytes })
}

impl Nsdb {
    /// `GET /ws-stream`.
    ///
    /// # Errors
    /// The text of a 400.
    pub(super) fn open(
        &mut self,
        request: &Request<'_>,
        peer: &PeerInfo,
        intake: &mut dyn Intake,
    ) -> Result<(), String> {
        let bounds = bounds(request, intake)?;
        if !request.head.upgrade_websocket {
            return Err(codes::NO_UPGRADE.into());
        }
        let headers = request.head.headers;
        let offered = headers.list("sec-websocket-protocol").next();
        let header = headers.get("authorization").map(Credential::Header);
        let credential = offered.map(Credential::Token).or(header);
        self.who = Who::identify(credential, peer, intake);
        self.bounds = Some(bounds);
        intake.upgrade(offered);
        Ok(())
    }

    pub(super) fn invalid(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        reply_text(codes::INVALID_MESSAGE, intake, out);
    }

    /// A text message.
    pub(super) fn register(&mut self, text: &[u8], intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Ok(mut ask) = Ask::read(text, Needs::Query) else { return self.invalid(intake, out) };
        let mut register = Register {
            database: std::mem::take(&mut ask.database),
            namespace: std::mem::take(&mut ask.namespace),
            metric: std::mem::take(&mut ask.metric),
            text: std::mem::take(&mut ask.query),
            query: None,
        };
        match self.prepare(&mut register, ask) {
            Ok(query) => {
                let bytes_max = intake.config().limits.outbox_bytes;
                register.query = Some(Arc::clone(&query));
                let (job, slot) = Work::new(Task::Select { query, unique: true, bytes_max });
                self.pending.push_back(Pending::Register(Box::new(register), slot));
                intake.hold();
                intake.run_query(job);
            }
            Err(reason) => {
                let mut answer = register.echo("reason", &reason);
                answer.push(b'}');
                reply_text(&answer, intake, out);
            }
        }
    }

    /// Everything that needs no look at the metric.
    fn prepare(&self, register: &mut Register, mut ask: Ask<'_>) -> Result<Arc<Query>, String> {
        let allowed = |metric: &str| {
            let topic = [&register.database, &register.namespace, metric].join(".");
            let may = self.who.may(Role::Read, [topic.as_str()], metric);
            may.map_err(|reason| format!("unauthorized {reason}"))
        };
        allowed(&register.metric)?;
        let mut select = match parse(&register.text) {
            Some(Statement::Select(select)) => *select,
            Some(_) => return Err(codes::NOT_SELECT.into()),
            None => return Err(format!("statement {} is invalid", register.text)),
        };
        allowed(&select.metric)?;
        select.condition = ask.condition(std::mem::take(&mut select.condition));
        let unknown = codes::unknown_metric(&select.metric);
        let (database, namespace) = (register.database.clone(), register.namespace.clone());
        let query = Query::new(database, namespace, select).ok_or(unknown)?;
        if self.queries.len() >= QUERIES_MAX && !self.numbers.contains_key(&query.id) {
            return Err(codes::TOO_MANY.into());
        }
        Ok(Arc::new(query))
    }

    /// A registration was evaluated.
    pub(super) fn registered(
        &mut self,
        register: &Register,
        outcome: Result<Outcome, Failure>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let Some(query) = &register.query else { return };
        let (json, head, topic, float) = match outcome {
            Ok(Outcome::Records { json, head, topic, float }) => (json, head, topic, float),
            Ok(_) | Err(Failure::Cancelled) => return,
            Err(failure) => {
                let (_, reason) = failure.describe(&query.select.metric);
                let mut answer = register.echo("reason", &reason);
                answer.push(b'}');
                return out.text(&answer);
            }
        };
        let mut answer = register.echo("quid", &query.quid());
        answer.extend_from_slice(b",\"records\":");
        answer.extend_from_slice(&json);
        answer.push(b'}');
        out.text(&answer);
        if !self.numbers.contains_key(&query.id) {
            self.add(Live::new(query, &topic, float), head, intake);
        }
    }
}

//! The routes of HTTP (nsdb, 5) and the steps of a request that must wait.

use super::codec::{Ask, Needs};
use super::commands::{self, Lists};
use super::job::{Failure, Outcome, Query, Slot, Task, Work};
use super::metric::Metric;
use super::session::{HEADERS, Nsdb, Pending, Who, outcome};
use super::{codes, map};
use crate::config::Role;
use crate::config::access::Credential;
use crate::model::command::{Command, IfExists};
use crate::model::event::Reply;
use crate::model::name::TopicName;
use crate::model::record::Body;
use crate::model::refusal::Refusal;
use crate::model::topic::Retention;
use crate::proto::contract::{Bound, Count, HttpReply};
use crate::proto::{Intake, PeerInfo, Request};
use crate::query::dialect::nsdb::bit::Bad;
use crate::query::dialect::nsdb::{Bit, Statement, parse, print};
use std::sync::Arc;

const JSON: Option<&str> = Some("application/json");
const TEXT: Option<&str> = Some("text/plain; charset=UTF-8");

/// A bit on its way.
#[derive(Debug)]
pub(super) struct Write {
    name: TopicName,
    bit: Bit<'static>,
    done: &'static str,
    read: bool,
}

/// What a request waits for.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The topic of a first bit.
    Create(Write),
    /// Somebody to look at what others wrote.
    Read(Write),
    /// A bit to be stored.
    Append(Arc<Metric>, &'static str),
    /// A SELECT; the tree that was asked for.
    Select(Slot, String, Option<Vec<u8>>),
    /// A check.
    Check(Slot, String),
    /// The bits that a DELETE hides.
    Find(Slot, String),
    /// So many drops or hidings.
    Changes(usize),
    /// Something under `/commands`.
    Lists(Lists, Slot),
}

/// Paths, and what works there.
fn methods(path: &[&str]) -> Option<&'static [&'static str]> {
    Some(match path {
        ["ws-stream"] | ["status"] | ["commands", "dbs" | "topology"] => &["GET"],
        ["data"] | ["query", "validate"] => &["POST"],
        ["query"] => &["GET", "POST"],
        ["commands", _, "namespaces"] => &["GET", "DELETE"],
        ["commands", _, _] => &["DELETE"],
        ["commands", _, _, _] => &["GET", "DELETE"],
        ["commands", "locations", _, _, _] => &["GET"],
        _ => return None,
    })
}

/// Answers one request, now or by the reply of what it becomes.
pub(super) fn serve(
    session: &mut Nsdb,
    request: &Request<'_>,
    peer: &PeerInfo,
    intake: &mut dyn Intake,
) {
    let head = request.head;
    if head.method == "OPTIONS" {
        return answer(intake, 200, None, b"");
    }
    let decoded = crate::wire::http::percent_decode(head.path);
    let path = decoded.as_deref().and_then(|path| path.strip_prefix('/'));
    let path: Vec<&str> = path.map(|path| path.split('/').collect()).unwrap_or_default();
    let Some(methods) = methods(&path) else { return text(intake, 404, codes::NOT_FOUND) };
    if !methods.contains(&head.method) {
        let methods = methods.join(", ");
        let message = format!("HTTP method not allowed, supported methods: {methods}");
        return text(intake, 405, &message);
    }
    let credential = head.headers.get("authorization").map(Credential::Header);
    match path.as_slice() {
        ["status"] => text(intake, 200, "RUNNING"),
        ["ws-stream"] => {
            if let Err(message) = session.open(request, peer, intake) {
                text(intake, 400, &message);
            }
        }
        ["commands", rest @ ..] => {
            session.who = Who::identify(credential, peer, intake);
            commands::serve(session, head.method, rest, intake);
        }
        rest => {
            session.who = Who::identify(credential, peer, intake);
            let content_type = head.headers.get("content-type");
            let got = content_type.unwrap_or("application/octet-stream");
            let essence = got.split(';').next().unwrap_or_default().trim();
            if !essence.eq_ignore_ascii_case("application/json") {
                let message = format!(
                    "The request's Content-Type [{got}] is not supported. Expected:\n\
                     application/json"
                );
                return text(intake, 415, &message);
            }
            match rest {
                ["data"] => data(session, request.body, intake),
                ["query"] => query(session, request.body, head.method == "GET", intake),
                _ => validate(session, request.body, intake),
            }
        }
    }
}

/// An answer with the headers that every answer carries.
pub(super) fn answer(
    intake: &mut dyn Intake,
    status: u16,
    content_type: Option<&'static str>,
    body: &[u8],
) {
    let mut headers = HEADERS.to_vec();
    if status == 507 {
        headers.push(("Retry-After", "5"));
    }
    intake.respond(&HttpReply { status, content_type, headers: &headers, body });
}

/// An answer in words.
pub(super) fn text(intake: &mut dyn Intake, status: u16, body: &str) {
    answer(intake, status, TEXT, body.as_bytes());
}

/// An answer in JSON.
pub(super) fn json(intake: &mut dyn Intake, body: &[u8]) {
    answer(intake, 200, JSON, body);
}

/// Reads a body.
fn read<'a>(body: &'a [u8], needs: Needs, intake: &mut dyn Intake) -> Option<Ask<'a>> {
    let ask = Ask::read(body, needs);
    let malformed = |detail: &String| format!("The request content was malformed:\n{detail}");
    ask.inspect_err(|detail| text(intake, 400, &malformed(detail))).ok()
}

/// Whether the user may touch these metrics; otherwise it is told.
fn may(session: &Nsdb, role: Role, ask: &Ask<'_>, also: &str, intake: &mut dyn Intake) -> bool {
    for metric in [ask.metric.as_str(), also] {
        let topic = [&*ask.database, &*ask.namespace, metric].join(".");
        if let Err(reason) = session.who.may(role, [topic.as_str()], metric) {
            text(intake, 403, &format!("not authorized {reason}"));
            return false;
        }
    }
    true
}

fn data(session: &mut Nsdb, body: &[u8], intake: &mut dyn Intake) {
    let Some(ask) = read(body, Needs::Bit, intake) else { return };
    let bit = match Bit::from_client(ask.bit) {
        Ok(bit) => bit,
        Err(Bad::Field(message)) => return text(intake, 400, &message),
        Err(Bad::Malformed(detail)) => {
            let message = format!("The request content was malformed:\n{detail}");
            return text(intake, 400, &message);
        }
    };
    if may(session, Role::Write, &ask, &ask.metric, intake) {
        insert(session, &ask, &ask.metric, bit, "OK", intake);
    }
}

fn insert(
    session: &mut Nsdb,
    ask: &Ask<'_>,
    metric: &str,
    mut bit: Bit<'_>,
    done: &'static str,
    intake: &mut dyn Intake,
) {
    if !map::is_metric(metric) {
        return text(intake, 400, codes::BAD_METRIC);
    }
    for (name, value) in [("db", &ask.database), ("namespace", &ask.namespace)] {
        if !map::is_part(value) {
            let message = format!("{name} must be without dots and blanks, and not empty");
            return text(intake, 400, &message);
        }
    }
    let Some(name) = map::topic_name(&ask.database, &ask.namespace, metric) else {
        return text(intake, 400, "the names are too long");
    };
    if let Some(topic) = intake.topic(&name)
        && let Some(known) = Metric::of(&topic)
        && known.unread(&topic).is_none()
    {
        return append(session, &known, &name, &mut bit, done, intake);
    }
    write(session, Write { name, bit: bit.own(), done, read: false }, intake);
}

/// Goes on with a bit whose topic or schema is not known yet.
fn write(session: &mut Nsdb, mut write: Write, intake: &mut dyn Intake) {
    let Some(topic) = intake.topic(&write.name) else {
        let (name, retention) = (write.name.clone(), Retention::default());
        wait(session, Waiting::Create(write));
        let if_exists = IfExists::Keep;
        let create = Command::CreateTopic { name, retention, pipe: false, queue: false, if_exists };
        return intake.command(create);
    };
    let Some(metric) = Metric::of(&topic) else { return text(intake, 500, "no metric") };
    if !write.read && metric.unread(&topic).is_some() {
        write.read = true;
        wait(session, Waiting::Read(write));
        let (job, _) = Work::new(Task::Read(topic));
        return intake.run_query(job);
    }
    append(session, &metric, &write.name, &mut write.bit, write.done, intake);
}

fn append(
    session: &mut Nsdb,
    metric: &Arc<Metric>,
    name: &TopicName,
    bit: &mut Bit<'_>,
    done: &'static str,
    intake: &mut dyn Intake,
) {
    let Some(topic) = intake.topic(name) else { return text(intake, 500, "the metric is gone") };
    if topic.typed {
        return text(intake, 400, &codes::typed_table(name));
    }
    if let Err(mismatch) = metric.admit(bit) {
        return text(intake, 400, &mismatch.to_string());
    }
    let mut body = Vec::with_capacity(128);
    bit.write(&mut body);
    wait(session, Waiting::Append(Arc::clone(metric), done));
    intake.append(&topic, 0, &[Body::Json(&body)], Bound::Free);
}

pub(super) fn wait(session: &mut Nsdb, waiting: Waiting) {
    session.pending.push_back(Pending::Http(Box::new(waiting)));
}

fn query(session: &mut Nsdb, body: &[u8], get: bool, intake: &mut dyn Intake) {
    let Some(mut ask) = read(body, Needs::Query, intake) else { return };
    let statement = parse(&ask.query);
    let role = match &statement {
        Some(Statement::Select(_)) | None => Role::Read,
        Some(_) => Role::Write,
    };
    let also = statement.as_ref().map_or(&*ask.metric, Statement::metric).to_owned();
    if !may(session, role, &ask, &also, intake) {
        return;
    }
    let sql = ask.query.clone();
    match statement {
        None => text(intake, 400, &format!("statement {sql} is invalid")),
        Some(Statement::Select(mut select)) => {
            select.condition = ask.condition(std::mem::take(&mut select.condition));
            let tree = print::tree(&ask.database, &ask.namespace, &select);
            let tree = ask.parsed.then_some(tree);
            let unknown = codes::unknown_metric(&select.metric);
            let Some(query) = Query::new(ask.database, ask.namespace, *select) else {
                return text(intake, 404, &unknown);
            };
            let bytes_max = intake.config().limits.outbox_bytes;
            let task = Task::Select { query: Arc::new(query), unique: false, bytes_max };
            let (job, slot) = Work::new(task);
            wait(session, Waiting::Select(slot, also, tree));
            intake.run_query(job);
        }
        Some(_) if get => {
            text(intake, 405, &format!("statement {sql} is not a select statement"));
        }
        Some(Statement::Insert(insert)) => {
            let mut bit = insert.bit;
            bit.timestamp = insert.timestamp.unwrap_or_else(|| intake.now().div_euclid(1_000_000));
            if let Err(Bad::Field(why) | Bad::Malformed(why)) = bit.check_names() {
                return text(intake, 400, &why);
            }
            self::insert(session, &ask, &insert.metric, bit, "Ok", intake);
        }
        Some(Statement::Delete(metric, condition)) => {
            let Some(name) = map::topic_name(&ask.database, &ask.namespace, &metric) else {
                return text(intake, 404, &codes::unknown_metric(&metric));
            };
            if intake.topic(&name).is_some_and(|topic| topic.typed) {
                return text(intake, 400, &codes::typed_table(&name));
            }
            let (job, slot) = Work::new(Task::Find { name, condition });
            wait(session, Waiting::Find(slot, metric));
            intake.run_query(job);
        }
        Some(Statement::Drop(metric)) => {
            let name = map::topic_name(&ask.database, &ask.namespace, &metric);
            commands::drop(session, name.into_iter().collect(), intake);
        }
    }
}

fn validate(session: &mut Nsdb, body: &[u8], intake: &mut dyn Intake) {
    let Some(mut ask) = read(body, Needs::Query, intake) else { return };
    let statement = parse(&ask.query);
    let also = statement.as_ref().map_or(&*ask.metric, Statement::metric).to_owned();
    if !may(session, Role::Read, &ask, &also, intake) {
        return;
    }
    let sql = ask.query.clone();
    match statement {
        None => text(intake, 400, &format!("statement {sql} is invalid")),
        Some(Statement::Select(mut select)) => {
            select.condition = ask.condition(std::mem::take(&mut select.condition));
            let Some(query) = Query::new(ask.database, ask.namespace, *select) else {
                return text(intake, 404, &format!("metric {also} does not exist"));
            };
            let (job, slot) = Work::new(Task::Check(Arc::new(query)));
            wait(session, Waiting::Check(slot, also));
            intake.run_query(job);
        }
        Some(_) => text(intake, 400, &format!("statement {sql} is not a select statement")),
    }
}

/// The reply that a request waits for has come.
pub(super) fn go_on(session: &mut Nsdb, waiting: Waiting, reply: &Reply, intake: &mut dyn Intake) {
    match waiting {
        Waiting::Create(bit) => match reply {
            Reply::Refused(Refusal::TypedTable) => {
                text(intake, 400, &codes::typed_table(&bit.name));
            }
            Reply::Refused(refusal) => {
                let (status, message) = codes::write_refused(*refusal);
                text(intake, status, message);
            }
            _ if intake.topic(&bit.name).is_none() => text(intake, 500, "the metric is gone"),
            _ => write(session, bit, intake),
        },
        Waiting::Read(bit) => write(session, bit, intake),
        Waiting::Append(metric, done) => match reply {
            Reply::Refused(refusal) => {
                metric.not_written();
                let (status, message) = codes::write_refused(*refusal);
                text(intake, status, message);
            }
            _ => text(intake, 200, done),
        },
        Waiting::Select(slot, metric, tree) => match outcome(&slot, reply) {
            Ok(Outcome::Records { json: records, topic, .. }) => {
                count_skipped(&topic, intake);
                let mut body = b"{\"records\":".to_vec();
                body.extend_from_slice(&records);
                if let Some(tree) = tree {
                    body.extend_from_slice(b",\"parsed\":");
                    body.extend_from_slice(&tree);
                }
                body.push(b'}');
                json(intake, &body);
            }
            Ok(_) => text(intake, 500, "no result"),
            Err(failure) => {
                let (status, message) = failure.describe(&metric);
                text(intake, status, &message);
            }
        },
        Waiting::Check(slot, metric) => match outcome(&slot, reply) {
            Ok(_) => answer(intake, 200, None, b""),
            Err(Failure::UnknownMetric) => {
                text(intake, 404, &format!("metric {metric} does not exist"));
            }
            Err(failure) => {
                let (status, message) = failure.describe(&metric);
                text(intake, status, &message);
            }
        },
        Waiting::Find(slot, metric) => match outcome(&slot, reply) {
            Ok(Outcome::Found { topic, ranges }) if !ranges.is_empty() => {
                wait(session, Waiting::Changes(1));
                intake.command(Command::Hide { topic, ranges });
            }
            Ok(_) => text(intake, 200, "Ok"),
            Err(failure) => {
                let (status, message) = failure.describe(&metric);
                text(intake, status, &message);
            }
        },
        Waiting::Changes(left) => commands::changed(session, left, reply, intake),
        Waiting::Lists(lists, slot) => commands::listed(&lists, outcome(&slot, reply), intake),
    }
}

/// Counts what a job found to be no bits.
fn count_skipped(topic: &crate::model::topic::Topic, intake: &mut dyn Intake) {
    let skipped = Metric::of(topic).map_or(0, |metric| metric.take_skipped());
    if skipped > 0 {
        intake.count(Count::NsdbSkipped(skipped));
    }
}

//! The routes under `/commands` (nsdb, 5.4).

use super::codec;
use super::http::{Waiting, answer, json, text, wait};
use super::job::{Failure, Outcome, Slot, Task, Work};
use super::map;
use super::session::Nsdb;
use crate::config::Role;
use crate::model::command::Command;
use crate::model::event::Reply;
use crate::model::name::TopicName;
use crate::model::refusal::Refusal;
use crate::proto::Intake;
use crate::query::dialect::nsdb::print;

/// What a list is of.
#[derive(Debug)]
pub(super) enum Lists {
    /// Databases.
    Databases,
    /// Namespaces of a database.
    Namespaces(String),
    /// Metrics of a namespace.
    Metrics(String, String),
    /// Fields of a metric.
    Fields,
    /// Where a metric lies.
    Locations(String, String, String),
}

/// Answers a request.
pub(super) fn serve(session: &mut Nsdb, method: &str, path: &[&str], intake: &mut dyn Intake) {
    match (method, path) {
        ("DELETE", [database, namespace]) => drop_namespace(session, database, namespace, intake),
        ("DELETE", [database, namespace, metric]) => {
            let topic = [*database, *namespace, *metric].join(".");
            if may(session, Role::Write, &topic, metric, intake) {
                let name = map::topic_name(database, namespace, metric);
                drop(session, name.into_iter().collect(), intake);
            }
        }
        (_, ["dbs"]) => list(session, Lists::Databases, intake),
        (_, ["topology"]) => {
            if may_look(session, intake) {
                let body = [b"{\"nodes\":[".as_slice(), &node(intake), b"]}"].concat();
                json(intake, &body);
            }
        }
        (_, [database, "namespaces"]) => {
            list(session, Lists::Namespaces((*database).to_owned()), intake);
        }
        (_, [database, namespace, "metrics"]) => {
            let lists = Lists::Metrics((*database).to_owned(), (*namespace).to_owned());
            list(session, lists, intake);
        }
        (_, ["locations", database, namespace, metric]) => {
            let own = |text: &str| text.to_owned();
            let lists = Lists::Locations(own(database), own(namespace), own(metric));
            describe(session, lists, [database, namespace, metric], intake);
        }
        (_, [database, namespace, metric]) => {
            describe(session, Lists::Fields, [database, namespace, metric], intake);
        }
        _ => text(intake, 404, super::codes::NOT_FOUND),
    }
}

fn refuse(reason: &str, intake: &mut dyn Intake) {
    text(intake, 403, &format!("not authorized {reason}"));
}

fn may(session: &Nsdb, role: Role, topic: &str, shown: &str, intake: &mut dyn Intake) -> bool {
    let may = session.who.may(role, [topic], shown);
    may.inspect_err(|reason| refuse(reason, intake)).is_ok()
}

fn may_look(session: &Nsdb, intake: &mut dyn Intake) -> bool {
    let may = session.who.may(Role::Read, [], "*");
    may.inspect_err(|reason| refuse(reason, intake)).is_ok()
}

fn list(session: &mut Nsdb, lists: Lists, intake: &mut dyn Intake) {
    if may_look(session, intake) {
        let user = session.who.user().ok().flatten().cloned();
        run(session, lists, Task::List(user), intake);
    }
}

fn run(session: &mut Nsdb, lists: Lists, task: Task, intake: &mut dyn Intake) {
    let (job, slot): (_, Slot) = Work::new(task);
    wait(session, Waiting::Lists(lists, slot));
    intake.run_query(job);
}

fn describe(session: &mut Nsdb, lists: Lists, names: [&str; 3], intake: &mut dyn Intake) {
    let [database, namespace, metric] = names;
    if !may(session, Role::Read, &names.join("."), metric, intake) {
        return;
    }
    match map::topic_name(database, namespace, metric) {
        Some(name) => run(session, lists, Task::Fields(name), intake),
        None => listed(&lists, Err(Failure::UnknownMetric), intake),
    }
}

/// A list's job is done.
pub(super) fn listed(lists: &Lists, outcome: Result<Outcome, Failure>, intake: &mut dyn Intake) {
    match (lists, outcome) {
        (Lists::Fields, Ok(Outcome::Fields(fields))) => json(intake, &fields),
        (Lists::Fields, Err(Failure::UnknownMetric)) => answer(intake, 404, None, b""),
        (Lists::Locations(..), Err(Failure::UnknownMetric)) => locations(lists, false, intake),
        (Lists::Locations(..), Ok(_)) => locations(lists, true, intake),
        (_, Ok(Outcome::Metrics(metrics))) => {
            let names =
                metrics.into_iter().filter_map(|(database, namespace, metric)| match lists {
                    Lists::Databases => Some(database),
                    Lists::Namespaces(wanted) => (*wanted == database).then_some(namespace),
                    Lists::Metrics(db, ns) => {
                        (*db == database && *ns == namespace).then_some(metric)
                    }
                    _ => None,
                });
            let mut names: Vec<String> = names.collect();
            names.dedup();
            let key = match lists {
                Lists::Databases => "dbs",
                Lists::Namespaces(_) => "namespaces",
                _ => "metrics",
            };
            json(intake, &codec::list(key, &names));
        }
        (_, Err(failure)) => {
            let (status, message) = failure.describe("");
            text(intake, status, &message);
        }
        _ => text(intake, 500, "no result"),
    }
}

/// This appliance as the one node there is.
fn node(intake: &dyn Intake) -> Vec<u8> {
    let config = intake.config();
    let address = config.listen.nsdb.map(|address| address.to_string()).unwrap_or_default();
    let id = print::uuid(print::stable_hash(&format!("{}{address}", config.mesh.node)));
    let mut out =
        codec::texts(&[("nodeAddress", &address), ("nodeFsId", &id), ("volatileNodeUuid", &id)]);
    out.push(b'}');
    out
}

fn locations(lists: &Lists, known: bool, intake: &mut dyn Intake) {
    let Lists::Locations(database, namespace, metric) = lists else { return };
    let mut body = codec::texts(&[("db", database), ("namespace", namespace), ("metric", metric)]);
    body.extend_from_slice(b",\"locations\":[");
    if known {
        body.extend_from_slice(&codec::texts(&[("metric", metric)]));
        body.extend_from_slice(b",\"node\":");
        body.extend_from_slice(&node(intake));
        body.extend_from_slice(b",\"from\":0,\"to\":9223372036854775807}");
    }
    body.extend_from_slice(b"]}");
    json(intake, &body);
}

fn drop_namespace(session: &mut Nsdb, database: &str, namespace: &str, intake: &mut dyn Intake) {
    let of_it = |name: &TopicName| {
        map::parts(name).is_some_and(|(db, ns, _)| db == database && ns == namespace)
    };
    let topics = intake.topics();
    // Typed tables are passed over.
    let own = topics.iter().filter(|topic| !topic.typed && of_it(&topic.name));
    let names: Vec<TopicName> = own.map(|topic| topic.name.clone()).collect();
    match session.who.may(Role::Write, names.iter().map(TopicName::short), "*") {
        Ok(()) => drop(session, names, intake),
        Err(reason) => refuse(&reason, intake),
    }
}

/// Drops metrics, if they are there.
pub(super) fn drop(session: &mut Nsdb, mut names: Vec<TopicName>, intake: &mut dyn Intake) {
    let is_typed = |name: &&TopicName| intake.topic(name).is_some_and(|topic| topic.typed);
    if let Some(name) = names.iter().find(is_typed) {
        let message = super::codes::typed_table(name);
        return text(intake, 400, &message);
    }
    names.retain(|name| intake.topic(name).is_some());
    if names.is_empty() {
        return text(intake, 200, "Ok");
    }
    for left in (1..=names.len()).rev() {
        wait(session, Waiting::Changes(left));
    }
    for name in names {
        intake.command(Command::DeleteTopic { name });
    }
}

/// One of several changes was made, or not.
pub(super) fn changed(session: &mut Nsdb, left: usize, reply: &Reply, intake: &mut dyn Intake) {
    if let Reply::Refused(refusal) = reply
        && *refusal != Refusal::UnknownTopic
    {
        // The first that fails is the answer; the replies of the others are for nobody.
        for pending in session.pending.iter_mut().take(left - 1) {
            *pending = super::session::Pending::Unsubscribe;
        }
        let (status, message) = super::codes::write_refused(*refusal);
        return text(intake, status, message);
    }
    if left == 1 {
        text(intake, 200, "Ok");
    }
}

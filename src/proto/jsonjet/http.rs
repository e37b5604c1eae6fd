//! The routes under `/api`, and `/ws` (jsonjet, section 2.1).

use super::codec::{self, Ask, Fields, Object};
use super::session::{JsonJet, Pending};
use super::statement::Program;
use super::{codes, map};
use crate::config::Role;
use crate::config::access::Credential;
use crate::fanout::Outbox;
use crate::model::event::Reply;
use crate::model::refusal::Refusal;
use crate::proto::contract::{Bound, Gauge, HttpReply};
use crate::proto::{Intake, PeerInfo, Request};
use crate::wire::http::query_value;
use std::sync::Arc;

const JSON: Option<&str> = Some("application/json");
const TEXT: Option<&str> = Some("text/plain; charset=utf-8");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Execute,
    Insert,
    Validate,
    Streams,
    Flows,
    Status,
    WebSocket,
}

/// Path, method, handler.
const ROUTES: &[(&str, &str, Route)] = &[
    ("/api/execute", "POST", Route::Execute),
    ("/api/insert", "POST", Route::Insert),
    ("/api/validate", "POST", Route::Validate),
    ("/api/streams", "GET", Route::Streams),
    ("/api/flows", "GET", Route::Flows),
    ("/api/status", "GET", Route::Status),
    ("/ws", "GET", Route::WebSocket),
];

/// Answers one request, now or by the reply of the command it becomes.
pub(super) fn serve(
    session: &mut JsonJet,
    request: &Request<'_>,
    peer: &PeerInfo,
    intake: &mut dyn Intake,
    out: &mut Outbox<'_>,
) {
    let head = request.head;
    if head.method == "OPTIONS" {
        return answer(intake, 200, None, b"");
    }
    let Some((_, method, route)) = ROUTES.iter().find(|(path, ..)| *path == head.path) else {
        return answer(intake, 404, TEXT, b"Not Found");
    };
    if *method != head.method {
        return answer(intake, 405, TEXT, b"Method not allowed");
    }
    let token = head.query.and_then(|query| query_value(query, "token"));
    let credential = match (head.headers.get("authorization"), &token) {
        (Some(header), _) => Some(Credential::Header(header)),
        (None, Some(token)) => Some(Credential::Token(token)),
        (None, None) => None,
    };
    match intake.access().identify(credential, peer.address.ip()) {
        Ok(user) => session.user = user,
        Err(_) => return refuse(intake, 401, "Unauthorized"),
    }
    match route {
        Route::WebSocket if head.upgrade_websocket => intake.upgrade(None),
        Route::WebSocket => answer(intake, 400, TEXT, b"WebSocket upgrade failed"),
        Route::Streams | Route::Flows | Route::Status => look(session, *route, intake),
        Route::Execute | Route::Insert | Route::Validate => {
            post(session, *route, request.body, intake, out);
        }
    }
}

fn look(session: &JsonJet, route: Route, intake: &mut dyn Intake) {
    if !session.may(Role::Read) {
        return refuse(intake, 403, codes::NOT_ALLOWED);
    }
    let body = match route {
        Route::Streams => {
            let all = map::all(intake);
            let names = all.iter().map(|topic| map::shown(topic)).filter(|n| session.may_touch(n));
            Object::new().raw("streams", &codec::array(names.map(codec::quoted))).end(b"")
        }
        Route::Flows => {
            let mut list = session.visible_flows(intake);
            list.retain(|flow| flow.spec.name.is_some());
            let list =
                codec::array(list.iter().map(|flow| super::flows::flow_entry(flow).end(b"")));
            Object::new().raw("flows", &list).end(b"")
        }
        _ => {
            let uptime = format!("{:.2}", intake.gauge(Gauge::UptimeMs) as f64 / 1000.0);
            Object::new()
                .text("status", "running")
                .text("version", env!("CARGO_PKG_VERSION"))
                .number("streams", map::all(intake).len() as u64)
                .number("activeQueries", intake.flow_count() as u64)
                .number("wsConnections", intake.gauge(Gauge::WebSockets))
                .raw("uptime", uptime.as_bytes())
                .end(b"")
        }
    };
    answer(intake, 200, JSON, &body);
}

fn post(
    session: &mut JsonJet,
    route: Route,
    body: &[u8],
    intake: &mut dyn Intake,
    out: &mut Outbox<'_>,
) {
    let scanned = match simdutf8::basic::from_utf8(body) {
        Ok(text) => Fields::scan(text.as_bytes()),
        Err(_) => return refuse(intake, 400, "Invalid JSON: not UTF-8"),
    };
    let fields = match scanned {
        Ok(Some(fields)) => fields,
        Ok(None) => return refuse(intake, 400, "Invalid JSON: expected an object"),
        Err(error) => return refuse(intake, 400, &format!("Invalid JSON: {error}")),
    };
    if route == Route::Insert {
        return insert(session, &fields, intake);
    }
    let Some(query) = fields.query() else {
        return refuse(intake, 400, codes::QUERY_REQUIRED_HTTP);
    };
    if route == Route::Validate {
        let body = super::statement::validate(&query);
        return answer(intake, 200, JSON, &body);
    }
    intake.hold();
    session.program = Some(Box::new(Program::new(&query, Box::default(), true)));
    session.run_program(intake, out);
}

fn insert(session: &mut JsonJet, fields: &Fields<'_>, intake: &mut dyn Intake) {
    let target = match fields.insert(false) {
        Ask::Insert(target) => target,
        Ask::Bad(text) => return refuse(intake, 400, text),
        _ => return,
    };
    if !session.may(Role::Write) {
        return refuse(intake, 403, codes::NOT_ALLOWED);
    }
    let Some(topic) = map::find(&target, intake) else {
        return refuse(intake, 500, &codes::unknown_stream(&target));
    };
    if !session.may_touch(map::shown(&topic)) {
        return refuse(intake, 403, codes::NOT_ALLOWED);
    }
    let count = fields.items.len();
    if count == 0 {
        let refused = topic.typed.then_some(Reply::Refused(Refusal::TypedTable));
        return inserted(map::shown(&topic), 0, false, &refused.unwrap_or(Reply::Done), intake);
    }
    let single = !fields.batch;
    session.pending.push_back(Pending::HttpInsert { topic: Arc::clone(&topic), count, single });
    intake.append(&topic, 0, &codec::bodies(&fields.items), Bound::Free);
}

/// Answers `POST /api/insert`.
pub(super) fn inserted(
    stream: &str,
    count: usize,
    single: bool,
    reply: &Reply,
    intake: &mut dyn Intake,
) {
    if let Reply::Refused(refusal) = reply {
        let (text, status) = codes::insert_refused(*refusal, stream);
        return refuse(intake, status, &text);
    }
    let message = if single {
        format!("Record inserted successfully into '{stream}'")
    } else {
        format!("{count} records inserted successfully into '{stream}'")
    };
    let body = Object::new().flag("success", true).number("count", count as u64);
    let body = body.text("target", stream).text("message", &message).end(b"");
    answer(intake, 200, JSON, &body);
}

/// An answer with `success:false`.
pub(super) fn refuse(intake: &mut dyn Intake, status: u16, text: &str) {
    let body = Object::new().flag("success", false).text("error", text).end(b"");
    answer(intake, status, JSON, &body);
}

/// An answer with the headers that every answer carries.
pub(super) fn answer(
    intake: &mut dyn Intake,
    status: u16,
    content_type: Option<&'static str>,
    body: &[u8],
) {
    let allowed =
        if intake.access().is_open() { "Content-Type" } else { "Content-Type, Authorization" };
    let mut headers = vec![
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
        ("Access-Control-Allow-Headers", allowed),
    ];
    if status == 507 {
        headers.push(("Retry-After", "5"));
    }
    intake.respond(&HttpReply { status, content_type, headers: &headers, body });
}

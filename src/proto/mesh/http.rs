//! The routes of the API port (mesh, section 5).

use super::api::{MeshApi, Origin};
use super::codec::{self, Sent};
use super::codes::{Fault, invalid};
use crate::config::Role;
use crate::config::access::Credential;
use crate::fanout::Outbox;
use crate::model::json;
use crate::proto::contract::HttpReply;
use crate::proto::{Intake, PeerInfo, Request};

/// Content type of every answer but the metrics page.
pub(super) const JSON: &str = "application/json; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Method(&'static str),
    Version,
    Nodes,
    Metrics,
    WebSocket,
}

const ROUTES: &[(&str, &str, Route)] = &[
    ("/v1/mesh/send", "POST", Route::Method("mesh.send")),
    ("/v1/mesh/publish", "POST", Route::Method("mesh.publish")),
    ("/v1/mesh/batch", "POST", Route::Method("mesh.batch")),
    ("/version", "GET", Route::Version),
    ("/v1/nodes", "GET", Route::Nodes),
    ("/metrics", "GET", Route::Metrics),
    ("/ws/v1", "GET", Route::WebSocket),
];

/// Answers one request, now or by the reply of the command it becomes.
pub(super) fn serve(
    session: &mut MeshApi,
    request: &Request<'_>,
    peer: &PeerInfo,
    intake: &mut dyn Intake,
    out: &mut Outbox<'_>,
) {
    let head = request.head;
    let Some((_, method, route)) = ROUTES.iter().find(|(path, ..)| *path == head.path) else {
        return refuse(intake, 404, "no such path", &[]);
    };
    if *method != head.method {
        return refuse(intake, 405, "wrong method", &[("Allow", method)]);
    }
    if *route == Route::Version {
        return answer(intake, 200, JSON, b"{\"apis\":[\"v1\"]}", &[]);
    }
    let credential = head.headers.get("authorization").map(Credential::Header);
    match intake.access().identify(credential, peer.address.ip()) {
        Ok(user) => session.user = user,
        Err(_) => {
            let ask = [("WWW-Authenticate", "Basic realm=\"weir\"")];
            return refuse(intake, 401, "credentials are missing or wrong", &ask);
        }
    }
    let may = |role| session.user.as_ref().is_none_or(|user| user.may(role));
    let allowed = match route {
        Route::Method(_) => may(Role::Write),
        _ => may(Role::Read) || may(Role::Write),
    };
    if !allowed {
        return refuse(intake, 403, "not allowed", &[]);
    }
    match route {
        Route::Version => {}
        Route::WebSocket if head.upgrade_websocket => intake.upgrade(None),
        Route::WebSocket => refuse(intake, 400, "a WebSocket handshake is wanted here", &[]),
        Route::Metrics => {
            let page = intake.metrics_page();
            answer(intake, 200, OPEN_METRICS, page.as_bytes(), &[]);
        }
        Route::Nodes => {
            let config = intake.config();
            let address = config.listen.mesh.map(|a| a.to_string()).unwrap_or_default();
            let node = config.mesh.node;
            let body =
                format!("{{\"nodes\":[{{\"id\":\"{node}\",\"api_server\":\"{address}\"}}]}}");
            answer(intake, 200, JSON, body.as_bytes(), &[]);
        }
        Route::Method(method) => {
            let text = simdutf8::basic::from_utf8(request.body).ok();
            let Some(value) = text.and_then(|text| json::check(text.as_bytes()).ok()) else {
                return refuse(intake, 400, "the body is not JSON", &[]);
            };
            intake.hold();
            let sent = Sent::Other(Some(value));
            session.request(method, &sent, Origin::Http, intake, out);
        }
    }
}

/// Answers with an outcome: errors of the API have status 200.
pub(super) fn answer_outcome(outcome: &Result<Vec<u8>, Fault>, intake: &mut dyn Intake) {
    answer(intake, 200, JSON, &codec::reply(outcome, None), &[]);
}

fn refuse(intake: &mut dyn Intake, status: u16, text: &str, headers: &[(&str, &str)]) {
    let body = codec::reply(&Err(invalid(text)), None);
    answer(intake, status, JSON, &body, headers);
}

fn answer(
    intake: &mut dyn Intake,
    status: u16,
    content_type: &'static str,
    body: &[u8],
    headers: &[(&str, &str)],
) {
    intake.respond(&HttpReply { status, content_type: Some(content_type), headers, body });
}

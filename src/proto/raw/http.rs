//! The handshake (raw, 1.1).

use super::session::Raw;
use crate::config::Role;
use crate::config::access::Credential;
use crate::model::json::write_string;
use crate::proto::contract::HttpReply;
use crate::proto::{Intake, PeerInfo, Request};

const PATH: &str = "/ws/query";

/// Answers one request.
pub(super) fn serve(
    session: &mut Raw,
    request: &Request<'_>,
    peer: &PeerInfo,
    intake: &mut dyn Intake,
) {
    let head = request.head;
    if head.path != PATH {
        return plain(intake, 404, "Not Found", &[]);
    }
    if head.method != "GET" {
        return plain(intake, 405, "Method Not Allowed", &[("Allow", "GET")]);
    }
    let credential = head.headers.get("authorization").map(Credential::Header);
    match intake.access().identify(credential, peer.address.ip()) {
        Ok(user) => session.user = user,
        Err(_) => {
            let ask = [("WWW-Authenticate", "Bearer")];
            let text = "credentials are missing or wrong";
            return refuse(intake, 401, "AuthenticationError", text, &ask);
        }
    }
    if session.user.as_ref().is_some_and(|user| !user.may(Role::Read)) {
        return refuse(intake, 403, "AuthorizationError", "the role read is needed", &[]);
    }
    if !head.upgrade_websocket {
        let text = "a WebSocket handshake is wanted here";
        return plain(intake, 426, text, &[("Upgrade", "websocket")]);
    }
    intake.upgrade(None);
}

fn plain(intake: &mut dyn Intake, status: u16, text: &str, headers: &[(&str, &str)]) {
    let content_type = Some("text/plain; charset=utf-8");
    intake.respond(&HttpReply { status, content_type, headers, body: text.as_bytes() });
}

fn refuse(intake: &mut dyn Intake, status: u16, code: &str, text: &str, headers: &[(&str, &str)]) {
    let mut body = format!("{{\"errorCode\":\"{code}\",\"message\":").into_bytes();
    write_string(&mut body, text);
    body.push(b'}');
    let content_type = Some("application/json");
    intake.respond(&HttpReply { status, content_type, headers, body: &body });
}

//! The admin port: health, readiness, metrics, a page to look at, and the hidden echo. Routes are
//! data.

use crate::config::access::Credential;
use crate::config::{Role, User};
use crate::fanout::Outbox;
use crate::proto::contract::HttpReply;
use crate::proto::{Intake, Message, PeerInfo, Request, Session, Violation};
use std::sync::Arc;

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PAGE: &str = include_str!("page.html");

/// Who may see a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Read,
    Admin,
}

#[derive(Clone, Copy)]
enum Route {
    Health,
    Ready,
    Metrics,
    Page,
    Echo,
    Stall,
}

const ROUTES: &[(&str, Needs, Route)] = &[
    ("/health", Needs::Nothing, Route::Health),
    ("/ready", Needs::Nothing, Route::Ready),
    ("/metrics", Needs::Read, Route::Metrics),
    ("/", Needs::Read, Route::Page),
    ("/debug/echo", Needs::Nothing, Route::Echo),
    ("/debug/stall", Needs::Admin, Route::Stall),
];

/// One connection of the admin port.
#[derive(Debug, Default)]
pub struct Admin {
    user: Option<Arc<User>>,
}

impl Admin {
    fn serve(&mut self, request: &Request<'_>, peer: &PeerInfo, intake: &mut dyn Intake) {
        let head = request.head;
        let known = ROUTES.iter().find(|(path, ..)| *path == head.path);
        let Some((_, needs, route)) = known else {
            return answer(intake, 404, TEXT, "Not Found\n");
        };
        if !matches!(head.method, "GET" | "HEAD") {
            return answer(intake, 405, TEXT, "Method Not Allowed\n");
        }
        if *needs != Needs::Nothing {
            let credential = head.headers.get("authorization").map(Credential::Header);
            match intake.access().identify(credential, peer.address.ip()) {
                Ok(user) => self.user = user,
                Err(_) => {
                    let ask = [("WWW-Authenticate", "Basic realm=\"weir\"")];
                    return respond(intake, 401, TEXT, b"Unauthorized\n", &ask);
                }
            }
            let role = if *needs == Needs::Admin { Role::Admin } else { Role::Read };
            if self.user.as_ref().is_some_and(|user| !user.may(role)) {
                return answer(intake, 403, TEXT, "Forbidden\n");
            }
        }
        match route {
            Route::Health => answer(intake, 200, TEXT, "ok\n"),
            Route::Ready => match intake.trouble() {
                None => answer(intake, 200, TEXT, "ready\n"),
                Some(why) => answer(intake, 503, TEXT, &format!("{why}\n")),
            },
            Route::Metrics => {
                let page = intake.metrics_page();
                answer(intake, 200, OPEN_METRICS, &page);
            }
            Route::Page => answer(intake, 200, "text/html; charset=utf-8", PAGE),
            Route::Echo if intake.config().debug_echo && head.upgrade_websocket => {
                intake.upgrade(None);
            }
            Route::Stall if intake.config().debug_stall => intake.stall(),
            Route::Echo | Route::Stall => answer(intake, 404, TEXT, "Not Found\n"),
        }
    }
}

fn answer(intake: &mut dyn Intake, status: u16, content_type: &'static str, body: &str) {
    respond(intake, status, content_type, body.as_bytes(), &[]);
}

fn respond(
    intake: &mut dyn Intake,
    status: u16,
    content_type: &'static str,
    body: &[u8],
    headers: &[(&str, &str)],
) {
    intake.respond(&HttpReply { status, content_type: Some(content_type), headers, body });
}

impl Session for Admin {
    fn on_open(&mut self, _peer: &PeerInfo, intake: &mut dyn Intake, _out: &mut Outbox<'_>) {
        let bytes = intake.config().limits.message_bytes;
        intake.set_message_limit(bytes);
    }

    fn on_message(
        &mut self,
        message: Message<'_>,
        peer: &PeerInfo,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Violation> {
        match message {
            Message::Text(text) => out.text(text),
            Message::Binary(bytes) => out.binary(bytes),
            Message::Request(request) => self.serve(&request, peer, intake),
        }
        Ok(())
    }
}

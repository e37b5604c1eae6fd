//! Points over HTTP (taos, section 9): 204, or an error with code and message.

use super::{Lines, Protocol, unit};
use crate::config::User;
use crate::model::json::write_string;
use crate::proto::contract::HttpReply;
use crate::proto::taos::bind::Told;
use crate::proto::taos::session::{Taos, who};
use crate::proto::taos::{access, rest};
use crate::proto::{Intake, PeerInfo, Request};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::codes;
use crate::wire::http::{percent_decode, query_value};
use chrono_tz::Tz;
use std::sync::Arc;

type Refused = (u16, Wrong);

/// Answers a request for one of these routes; `false`: it is for none.
pub fn serve(
    session: &mut Taos,
    request: &Request<'_>,
    peer: &PeerInfo,
    intake: &mut dyn Intake,
) -> bool {
    let path = request.head.path;
    let put = |rest: &str, protocol| percent_decode(rest).map(|database| (protocol, database));
    let route = if path == "/influxdb/v1/write" {
        let query = request.head.query.unwrap_or_default();
        Some((Protocol::Line, query_value(query, "db").unwrap_or_default()))
    } else if let Some(rest) = path.strip_prefix("/opentsdb/v1/put/json/") {
        put(rest, Protocol::Json)
    } else if let Some(rest) = path.strip_prefix("/opentsdb/v1/put/telnet/") {
        put(rest, Protocol::Telnet)
    } else {
        None
    };
    let Some((protocol, database)) = route else { return false };
    let outcome = match request.head.method {
        "POST" => begin(session, request, peer, (protocol, database), intake),
        _ => Err((405, Wrong::new(0xFFFF, "Method Not Allowed"))),
    };
    if let Err((status, wrong)) = outcome {
        refuse(intake, status, &wrong);
    }
    true
}

fn begin(
    session: &mut Taos,
    request: &Request<'_>,
    peer: &PeerInfo,
    (protocol, database): (Protocol, String),
    intake: &mut dyn Intake,
) -> Result<(), Refused> {
    let user = identify(request, peer, intake)?;
    let query = request.head.query.unwrap_or_default();
    let bad = |wrong| (400, wrong);
    if database.is_empty() {
        return Err(bad(codes::no_database_named()));
    }
    let precision = query_value(query, "precision").unwrap_or_default();
    let unit = unit(&precision).map_err(bad)?;
    let key = query_value(query, "table_name_key").filter(|key| !key.is_empty());
    let data = std::str::from_utf8(request.body);
    let data = data.map_err(|_| bad(Wrong::new(0x3002, "the body is not UTF-8")))?.to_owned();
    let who = who(user.as_ref(), Some(database), Tz::UTC, intake);
    session.write_points(who, Lines { protocol, unit, key, data }, intake);
    Ok(())
}

/// User and password of the query, or as everywhere else.
fn identify(
    request: &Request<'_>,
    peer: &PeerInfo,
    intake: &dyn Intake,
) -> Result<Option<Arc<User>>, Refused> {
    let query = request.head.query.unwrap_or_default();
    match (query_value(query, "u"), query_value(query, "p")) {
        (Some(user), Some(password)) => {
            let found = access::identify(&user, &password, peer.address.ip(), intake);
            found.map_err(|wrong| (401, wrong))
        }
        _ => rest::identify(request, peer, intake).map_err(|(_, wrong)| (401, wrong)),
    }
}

/// Points were written, or not.
pub fn finish(outcome: &Result<Told, Wrong>, intake: &mut dyn Intake) {
    match outcome {
        Ok(_) => {
            let reply = HttpReply { status: 204, content_type: None, headers: &[], body: b"" };
            intake.respond(&reply);
        }
        Err(wrong) => {
            let is_ours = wrong.code == 0x0509 || wrong.code == 0xFFFF;
            refuse(intake, if is_ours { 500 } else { 400 }, wrong);
        }
    }
}

fn refuse(intake: &mut dyn Intake, status: u16, wrong: &Wrong) {
    let mut body = format!("{{\"code\":{},\"message\":", wrong.code).into_bytes();
    write_string(&mut body, &wrong.text);
    body.push(b'}');
    let content_type = Some("application/json; charset=utf-8");
    intake.respond(&HttpReply { status, content_type, headers: &[], body: &body });
}

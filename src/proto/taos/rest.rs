//! HTTP: one statement, one answer, and the handshake of WebSockets (taos, sections 2 and 9).

use super::access;
use super::block::ROWS_MAX;
use super::codec::numbers;
use super::job::Answer;
use super::schemaless;
use super::session::{Pending, Taos, parse_zone};
use crate::config::User;
use crate::model::json::{elements, write_string};
use crate::model::table::rows::{Cell, write_json};
use crate::model::table::{Kind, Precision};
use crate::proto::contract::HttpReply;
use crate::proto::{Intake, PeerInfo, Request};
use crate::query::dialect::taos::Wrong;
use crate::query::pull::Bench;
use crate::query::tables::select::Step;
use crate::query::tables::{Done, Field, codes, time};
use crate::wire::http::{percent_decode, query_value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono_tz::Tz;
use std::sync::Arc;

const JSON: Option<&str> = Some("application/json; charset=utf-8");
/// Paths of WebSockets, all served alike.
const SOCKETS: &[&str] = &["/ws", "/rest/ws", "/rest/stmt", "/rest/schemaless"];
/// That of subscriptions.
const SUBSCRIPTIONS: &str = "/rest/tmq";
/// Bytes of an answer, about.
const BODY_BYTES_MAX: usize = 1 << 30;

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Zone of times.
    pub zone: Tz,
    /// Rows are objects.
    pub objects: bool,
}

/// Answers one request, now or when its statement has run.
pub(super) fn serve(
    session: &mut Taos,
    request: &Request<'_>,
    peer: &PeerInfo,
    intake: &mut dyn Intake,
) {
    let head = request.head;
    if SOCKETS.contains(&head.path) || head.path == SUBSCRIPTIONS {
        if !head.upgrade_websocket {
            return plain(intake, 400, "a WebSocket handshake is wanted here");
        }
        let query = head.query.unwrap_or_default();
        session.token = query_value(query, "bearer_token").or_else(|| query_value(query, "token"));
        session.tmq = (head.path == SUBSCRIPTIONS).then(Box::default);
        return intake.upgrade(None);
    }
    if head.path == "/-/ping" {
        return plain(intake, 200, "");
    }
    if let Some(rest) = head.path.strip_prefix("/rest/login/") {
        return login(rest, peer, intake);
    }
    if schemaless::http::serve(session, request, peer, intake) {
        return;
    }
    let database = match head.path.strip_prefix("/rest/sql") {
        Some("") => None,
        Some(rest) if rest.len() > 1 && rest.starts_with('/') => percent_decode(&rest[1..]),
        _ => return plain(intake, 404, "Not Found"),
    };
    if head.method != "POST" {
        return plain(intake, 405, "Method Not Allowed");
    }
    let user = match identify(request, peer, intake) {
        Ok(user) => user,
        Err((status, wrong)) => return refuse(intake, status, &wrong),
    };
    if let Some(name) = database.as_deref().and_then(|path| path.strip_suffix("/vgid")) {
        return match vgids(name, request.body, user.as_ref(), intake) {
            Ok(body) => answer(intake, &body),
            Err((status, wrong)) => refuse(intake, status, &wrong),
        };
    }
    if let Err((status, wrong)) = statement(session, request, database, user, intake) {
        refuse(intake, status, &wrong);
    }
}

/// A status and what is wrong.
pub(super) type Refused = (u16, Wrong);

pub(super) fn identify(
    request: &Request<'_>,
    peer: &PeerInfo,
    intake: &dyn Intake,
) -> Result<Option<Arc<User>>, Refused> {
    let denied = |code, text: &str| (401, Wrong::new(code, text));
    let address = peer.address.ip();
    let query = request.head.query.unwrap_or_default();
    let Some(header) = request.head.headers.get("authorization") else {
        let token = query_value(query, "token");
        let token = token.ok_or_else(|| denied(0x1105, "no auth info input"))?;
        return access::identify_token(&token, address, intake).map_err(|wrong| (200, wrong));
    };
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    let found = match scheme.to_ascii_lowercase().as_str() {
        "basic" => {
            let text = STANDARD.decode(rest.trim()).ok().and_then(|b| String::from_utf8(b).ok());
            let pair = text.as_deref().and_then(|text| text.split_once(':'));
            let (user, password) = pair.ok_or_else(|| denied(0x1124, "invalid basic auth"))?;
            access::identify(user, password, address, intake)
        }
        "taosd" => {
            let pair = access::read_token(rest);
            let (user, password) = pair.ok_or_else(|| denied(0x1125, "invalid taosd auth"))?;
            access::identify(&user, &password, address, intake)
        }
        "bearer" => access::identify_token(rest.trim(), address, intake),
        _ => return Err(denied(0x1122, "invalid auth type")),
    };
    found.map_err(|wrong| (200, wrong))
}

fn statement(
    session: &mut Taos,
    request: &Request<'_>,
    database: Option<String>,
    user: Option<Arc<User>>,
    intake: &mut dyn Intake,
) -> Result<(), Refused> {
    let query = request.head.query.unwrap_or_default();
    let bad = |code, text: String| (400, Wrong::new(code, text));
    let parameter = |name: &str| query_value(query, name);
    let number = parameter("req_id").map(|text| text.parse::<u64>());
    if number.is_some_and(|number| number.is_err()) {
        return Err(bad(0xFFFF, "illegal param, req_id must be numeric".into()));
    }
    let zone = |name: &str| match parameter(name).filter(|text| !text.is_empty()) {
        Some(text) => match parse_zone(&text) {
            Some(zone) => Ok(Some(zone)),
            None => Err(bad(0xFFFF, format!("invalid {name}: {text}"))),
        },
        None => Ok(None),
    };
    let (shown, own) = (zone("tz")?, zone("conn_tz")?);
    let flag = |name: &str| match parameter(name).as_deref() {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(bad(0xFFFF, format!("invalid {name}: {other}"))),
    };
    let (objects, timing) = (flag("row_with_meta")?, flag("timing")?);
    let Ok(text) = std::str::from_utf8(request.body) else {
        return Err(bad(0xFFFF, "sql is not UTF-8".into()));
    };
    if text.is_empty() {
        return Err(bad(0x1106, "http body is empty".into()));
    }
    if text.trim().is_empty() {
        return Err(bad(0x1107, "sql is empty".into()));
    }
    let form = Form { zone: shown.or(own).unwrap_or(Tz::UTC), objects };
    let who = super::session::who(
        user.as_ref(),
        database.filter(|name| !name.is_empty()),
        own.unwrap_or(Tz::UTC),
        intake,
    );
    let begun = intake.now();
    session.run(text.to_owned(), who, Some(form), Pending::Http { timing, begun }, intake);
    Ok(())
}

/// The vgroups of the tables that a body names: `{"code":0,"vgIDs":[..]}`.
fn vgids(
    name: &str,
    body: &[u8],
    user: Option<&Arc<User>>,
    intake: &dyn Intake,
) -> Result<Vec<u8>, Refused> {
    if !access::rights(user, intake).read {
        return Err((200, codes::no_privilege()));
    }
    let tables = intake.tables();
    let database = tables.database(name).ok_or_else(|| (200, codes::no_database()))?;
    let bad = || (400, Wrong::new(0xFFFF, "a list of names of tables is wanted"));
    let mut list = Vec::new();
    for table in elements(body).map_err(|_| bad())? {
        let table = table.as_string().ok_or_else(bad)?;
        list.push(u64::from(database.vgroup_of(&format!("{name}.{table}"))));
    }
    Ok(format!("{{\"code\":0,\"vgIDs\":{}}}", numbers(list)).into_bytes())
}

fn answer(intake: &mut dyn Intake, body: &[u8]) {
    intake.respond(&HttpReply { status: 200, content_type: JSON, headers: &[], body });
}

fn login(rest: &str, peer: &PeerInfo, intake: &mut dyn Intake) {
    let pair = rest.split_once('/');
    let pair = pair.and_then(|(u, p)| Some((percent_decode(u)?, percent_decode(p)?)));
    let Some((user, password)) = pair else { return plain(intake, 404, "Not Found") };
    match access::identify(&user, &password, peer.address.ip(), intake) {
        Err(wrong) => refuse(intake, 200, &wrong),
        Ok(_) => match access::token(&user, &password) {
            Some(token) => refuse(intake, 200, &Wrong::new(0, token)),
            None => refuse(intake, 200, &access::failure()),
        },
    }
}

/// A statement has run.
pub(super) fn finish(
    outcome: Result<Answer, Wrong>,
    timing: bool,
    begun: i64,
    intake: &mut dyn Intake,
) {
    match outcome {
        Ok(Answer::Body(mut body)) => {
            if timing && body.pop().is_some() {
                let spent = intake.now().saturating_sub(begun).max(0);
                body.extend_from_slice(format!(",\"timing\":{spent}}}").as_bytes());
            }
            intake.respond(&HttpReply {
                status: 200,
                content_type: JSON,
                headers: &[],
                body: &body,
            });
        }
        Ok(_) => plain(intake, 500, "no answer"),
        Err(wrong) => refuse(intake, 200, &wrong),
    }
}

fn plain(intake: &mut dyn Intake, status: u16, text: &str) {
    let content_type = Some("text/plain; charset=utf-8");
    intake.respond(&HttpReply { status, content_type, headers: &[], body: text.as_bytes() });
}

fn refuse(intake: &mut dyn Intake, status: u16, wrong: &Wrong) {
    let body = error_body(wrong);
    intake.respond(&HttpReply { status, content_type: JSON, headers: &[], body: &body });
}

/// `{"code":n,"desc":text}`
pub(super) fn error_body(wrong: &Wrong) -> Vec<u8> {
    let mut body = format!("{{\"code\":{},\"desc\":", wrong.code).into_bytes();
    write_string(&mut body, &wrong.text);
    body.push(b'}');
    body
}

/// The body of an answer.
///
/// # Errors
/// It would be too long, or the query must end.
pub fn body(done: Done, form: &Form, bench: &mut dyn Bench) -> Result<Vec<u8>, Wrong> {
    let (fields, precision) = match &done {
        Done::Rows(rows) => (rows.fields.clone(), rows.precision),
        Done::Cursor(cursor) => (cursor.fields.clone(), cursor.precision),
        Done::Affected(count) => return Ok(counted(*count, form)),
        Done::Use(_) => return Ok(counted(0, form)),
    };
    let mut out = b"{\"code\":0,\"column_meta\":[".to_vec();
    for (index, field) in fields.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",[" } else { b"[" });
        write_string(&mut out, &field.name);
        let kind = field.kind;
        let tail = format!(",\"{}\",{}]", kind.full_name(), kind.length());
        out.extend_from_slice(tail.as_bytes());
    }
    out.extend_from_slice(b"],\"data\":[");
    let mut count = 0;
    let mut put = |row: &[Cell], out: &mut Vec<u8>| {
        if count > 0 {
            out.push(b',');
        }
        count += 1;
        put_row(row, &fields, precision, form, out);
    };
    match done {
        Done::Cursor(mut cursor) => loop {
            match cursor.next(ROWS_MAX, &mut || bench.check().is_err()) {
                Step::Some(columns) => {
                    (0..columns.rows).for_each(|at| put(&columns.row(at), &mut out));
                }
                Step::Pause => return Err(Wrong::new(0xFFFF, "the query was stopped")),
                Step::End => break,
            }
            if out.len() > BODY_BYTES_MAX {
                return Err(codes::too_much_memory());
            }
        },
        Done::Rows(rows) => rows.rows.iter().for_each(|row| put(row, &mut out)),
        _ => {}
    }
    out.extend_from_slice(format!("],\"rows\":{count}}}").as_bytes());
    Ok(out)
}

/// So many rows were written.
fn counted(count: u64, form: &Form) -> Vec<u8> {
    let data = match form.objects {
        true => format!("{{\"affected_rows\":{count}}}"),
        false => format!("[{count}]"),
    };
    let meta = "[[\"affected_rows\",\"INT\",4]]";
    format!("{{\"code\":0,\"column_meta\":{meta},\"data\":[{data}],\"rows\":1}}").into_bytes()
}

fn put_row(row: &[Cell], fields: &[Field], precision: Precision, form: &Form, out: &mut Vec<u8>) {
    out.push(if form.objects { b'{' } else { b'[' });
    for (index, (cell, field)) in row.iter().zip(fields).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if form.objects {
            write_string(out, &field.name);
            out.push(b':');
        }
        match (field.kind, cell) {
            (Kind::Timestamp, Cell::Int(at)) => {
                write_string(out, &time::iso(*at, precision, form.zone));
            }
            (kind, cell) => write_json(kind, cell, out),
        }
    }
    out.push(if form.objects { b'}' } else { b']' });
}

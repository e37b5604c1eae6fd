//! From a method and its parameters to what is asked: every shape is checked here, before any state
//! is looked at (mesh, sections 2 and 4).

use super::codec::{Params, Sent, params};
use super::codes::{Fault, fault, invalid};
use super::map::{client_id, is_name};
use crate::model::command::{ClientCall, ClientFrame, ClientId};
use crate::model::json::{self, Kind, Value};
use crate::model::name::TopicName;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;
use std::sync::Arc;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Methods beside `server.ping`.
const METHODS: [&str; 9] = [
    "mesh.publish",
    "mesh.send",
    "conn.call",
    "queue.ack",
    "queue.pop",
    "queue.unpop",
    "conn.info",
    "channel.presence",
    "mesh.batch",
];
/// Items of one batch.
const BATCH_MAX: usize = 1000;
/// Bytes of a key of a context.
const KEY_BYTES_MAX: usize = 255;

/// What a request asks for.
#[derive(Debug)]
pub enum Ask<'a> {
    /// `queue.pop`: names as written and as topics.
    Pop { topics: Vec<(String, TopicName)>, acknowledge: bool },
    /// `queue.unpop`.
    Unpop,
    /// `queue.ack`, of this topic if named.
    Acknowledge { topic: Option<String>, offsets: Vec<u64> },
    /// `conn.call` and `conn.info`.
    Client { client: ClientId, call: ClientCall },
    /// `mesh.send`.
    Send { client: ClientId, frame: ClientFrame },
    /// `mesh.publish`.
    Publish { channel: Cow<'a, str>, binary: bool, bytes: Cow<'a, [u8]> },
    /// `channel.presence`.
    Presence { channel: Arc<str> },
    /// `mesh.batch`: items as sent.
    Batch(Vec<Value<'a>>),
    /// `server.ping`.
    Ping,
}

/// Reads the parameters of `method`.
pub fn ask<'a>(method: &str, raw: &Sent<'a>) -> Result<Ask<'a>, Fault> {
    if method == "queue.pop"
        && let Sent::Other(Some(value)) = *raw
        && value.kind == Kind::Array
        && json::elements(value.text).is_ok_and(|l| l.iter().all(|v| v.kind != Kind::Object))
    {
        return pop(Some(value), false);
    }
    let known = method == "server.ping" || METHODS.contains(&method);
    if !known {
        let shown: String = method.chars().take(60).collect();
        return Err(invalid(format!("unknown method {shown}")));
    }
    let p = params(*raw).ok_or_else(|| invalid("p is not an object"))?;
    match method {
        "queue.pop" => {
            let acknowledge = match p.ack {
                None => false,
                Some(v) if v.kind == Kind::True => true,
                Some(v) if v.kind == Kind::False => false,
                Some(_) => return Err(invalid("ack is not a boolean")),
            };
            pop(p.t, acknowledge)
        }
        "queue.unpop" => Ok(Ask::Unpop),
        "queue.ack" => acknowledge(p.ids, p.t),
        "conn.call" => {
            let client = client(p.c)?;
            let call = call(p.f, p.a)?;
            Ok(Ask::Client { client, call })
        }
        "conn.info" => Ok(Ask::Client { client: client(p.c)?, call: ClientCall::Info }),
        "channel.presence" => Ok(Ask::Presence { channel: channel(p.c)? }),
        "mesh.send" => {
            let (client, (binary, bytes)) = (client(p.c)?, frame(p.d, p.t)?);
            Ok(Ask::Send { client, frame: ClientFrame { binary, bytes: bytes.into_owned() } })
        }
        "mesh.publish" => publish(&p),
        "mesh.batch" => {
            let items = p.b.and_then(|v| json::elements(v.text).ok());
            match items {
                Some(items) if (1..=BATCH_MAX).contains(&items.len()) => Ok(Ask::Batch(items)),
                _ => Err(invalid("b is not an array of 1 to 1000 items")),
            }
        }
        "server.ping" => Ok(Ask::Ping),
        _ => {
            Err(invalid(format!("unknown method {}", method.chars().take(60).collect::<String>())))
        }
    }
}

fn publish<'a>(p: &Params<'a>) -> Result<Ask<'a>, Fault> {
    let (channel, (binary, bytes)) = (channel_text(p.c)?, frame(p.d, p.t)?);
    Ok(Ask::Publish { channel, binary, bytes })
}

fn pop<'a>(topics: Option<Value<'_>>, acknowledge: bool) -> Result<Ask<'a>, Fault> {
    let elements =
        topics.filter(|v| v.kind == Kind::Array).and_then(|v| json::elements(v.text).ok());
    let elements = elements.filter(|list| !list.is_empty());
    let elements = elements.ok_or_else(|| invalid("t is not a list of topics"))?;
    let mut list = Vec::with_capacity(elements.len());
    for element in elements {
        let name = element.as_string().filter(|name| is_name(name));
        let name = name.ok_or_else(|| invalid("t holds something that is no topic name"))?;
        let topic = TopicName::parse(&name).ok_or_else(|| invalid("topic name too long"))?;
        list.push((name, topic));
    }
    Ok(Ask::Pop { topics: list, acknowledge })
}

fn acknowledge<'a>(ids: Option<Value<'_>>, topic: Option<Value<'_>>) -> Result<Ask<'a>, Fault> {
    let elements = ids.filter(|v| v.kind == Kind::Array).and_then(|v| json::elements(v.text).ok());
    let offsets: Option<Vec<u64>> = elements.filter(|list| !list.is_empty()).and_then(|list| {
        list.iter().map(|v| v.as_u64().filter(|_| v.kind == Kind::Number)).collect()
    });
    let offsets = offsets.ok_or_else(|| invalid("ids is not a list of offsets"))?;
    let topic = match topic {
        None => None,
        Some(v) => Some(v.as_string().ok_or_else(|| invalid("t is not a topic"))?),
    };
    Ok(Ask::Acknowledge { topic, offsets })
}

fn client(value: Option<Value<'_>>) -> Result<ClientId, Fault> {
    value.and_then(|v| client_id(&v)).ok_or_else(|| invalid("c is not a client id"))
}

fn channel(value: Option<Value<'_>>) -> Result<Arc<str>, Fault> {
    channel_text(value).map(Arc::from)
}

fn channel_text(value: Option<Value<'_>>) -> Result<Cow<'_, str>, Fault> {
    let name = value.and_then(|v| v.as_text()).filter(|name| is_name(name));
    name.ok_or_else(|| invalid("not a channel name"))
}

/// Whether a frame is binary, and its payload.
fn frame<'a>(
    data: Option<Value<'a>>,
    kind: Option<Value<'_>>,
) -> Result<(bool, Cow<'a, [u8]>), Fault> {
    let bytes = data.and_then(|v| v.as_bytes()).ok_or_else(|| invalid("d is not a string"))?;
    match kind.map(|v| v.text) {
        None | Some(b"\"text\"") => Ok((false, bytes)),
        Some(b"\"binary\"") => match BASE64.decode(&*bytes) {
            Ok(bytes) => Ok((true, Cow::Owned(bytes))),
            Err(_) => Err(invalid("d is not base64")),
        },
        Some(_) => Err(invalid("t is neither text nor binary")),
    }
}

fn call(function: Option<Value<'_>>, arguments: Option<Value<'_>>) -> Result<ClientCall, Fault> {
    let function = function.and_then(|v| v.as_string()).ok_or_else(|| invalid("f is missing"))?;
    let list =
        arguments.filter(|v| v.kind == Kind::Array).and_then(|v| json::elements(v.text).ok());
    let list = list.ok_or_else(|| invalid("a is not an array"))?;
    let channels = || {
        let all: Result<Vec<_>, _> = list.iter().map(|v| channel(Some(*v))).collect();
        all.and_then(|all| if all.is_empty() { Err(invalid("no channel")) } else { Ok(all) })
    };
    match (function.as_str(), list.as_slice()) {
        ("set_context_value", [key, value]) => {
            let key = key.as_string().filter(|k| (1..=KEY_BYTES_MAX).contains(&k.len()));
            let key = key.ok_or_else(|| invalid("the key is not a string of 1 to 255 bytes"))?;
            let value = (value.kind != Kind::Null).then(|| value.text.to_vec());
            Ok(ClientCall::SetContextValue(key, value))
        }
        ("set_context", [object]) if object.kind == Kind::Object => {
            let mut context = Vec::new();
            let mut bad = false;
            let members = json::members(object.text, |key, value| {
                let key = json::unescape(key);
                bad |= !(1..=KEY_BYTES_MAX).contains(&key.len());
                context.retain(|(known, _)| *known != key);
                if value.kind != Kind::Null {
                    context.push((key, value.text.to_vec()));
                }
            });
            if bad || members.is_err() {
                return Err(invalid("a key is not a string of 1 to 255 bytes"));
            }
            Ok(ClientCall::SetContext(context))
        }
        ("subscribe", _) => channels().map(ClientCall::Subscribe),
        ("unsubscribe", _) => channels().map(ClientCall::Unsubscribe),
        ("close", []) => Ok(ClientCall::Close(1000, String::new())),
        ("close", [code]) => Ok(ClientCall::Close(close_code(code)?, String::new())),
        ("close", [code, reason]) => {
            let reason = reason.as_string().filter(|text| text.len() <= 123);
            let reason = reason.ok_or_else(|| invalid("the reason is not a text of 123 bytes"))?;
            Ok(ClientCall::Close(close_code(code)?, reason))
        }
        ("get_context", []) => Ok(ClientCall::GetContext),
        _ => Err(fault(super::codes::INVALID, "unknown function or wrong arguments")),
    }
}

fn close_code(value: &Value<'_>) -> Result<u16, Fault> {
    let code = value.as_u64().filter(|_| value.kind == Kind::Number);
    match code {
        Some(code @ (1000 | 3000..=4999)) => Ok(code as u16),
        _ => Err(invalid("the code is not 1000 or 3000 to 4999")),
    }
}

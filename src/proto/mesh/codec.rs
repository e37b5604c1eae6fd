//! The envelope of the API (mesh, section 2), and the events of a queue (sections 2 and 6).

use super::codes::Fault;
use crate::model::json::{self, Kind, Scanner, Value};
use crate::model::record::{Body, Record};
use crate::proto::view::{self, write_base64};
use std::borrow::Cow;

/// A request as far as its envelope goes.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Method.
    pub method: Cow<'a, str>,
    /// Request id as sent; `null` if absent.
    pub id: &'a [u8],
}

/// `p` as it was sent.
#[derive(Clone, Copy, Debug)]
pub enum Sent<'a> {
    /// An object: its members, found in the same pass.
    Object(Params<'a>),
    /// Anything else.
    Other(Option<Value<'a>>),
}

/// A fault of the envelope, and the id if one could be read.
pub type EnvelopeFault<'a> = (&'static str, &'a [u8]);

/// Reads an envelope; its parameters are put where they will be used.
///
/// # Errors
/// Not JSON, not an object, `m` missing or not a string.
pub fn envelope<'a>(
    text: &'a [u8],
    params: &mut Sent<'a>,
) -> Result<Envelope<'a>, EnvelopeFault<'a>> {
    let mut scanner = Scanner::new(text);
    if scanner.enter_object().is_err() {
        return Err(("not a JSON object", b"null"));
    }
    let (mut method, mut i, mut id) = (None, None, None);
    *params = Sent::Other(None);
    let mut first = true;
    let mut scan = || -> Result<(), json::JsonError> {
        while let Some(key) = scanner.next_key(first)? {
            first = false;
            if key == b"p" {
                if scanner.peek()? == Kind::Object {
                    *params = Sent::Object(Params::default());
                    if let Sent::Object(found) = params {
                        scan_params(&mut scanner, found)?;
                    }
                } else {
                    *params = Sent::Other(Some(scanner.value()?));
                }
                continue;
            }
            let value = scanner.value()?;
            match key {
                b"m" => method = Some(value),
                b"i" => i = Some(value.text),
                b"id" => id = Some(value.text),
                _ => {}
            }
        }
        scanner.finish()
    };
    if scan().is_err() {
        return Err(("not JSON", b"null"));
    }
    let id = i.or(id).unwrap_or(b"null");
    let method: Option<Value<'_>> = method;
    match method.and_then(|m| m.as_text()) {
        Some(method) => Ok(Envelope { method, id }),
        None => Err(("m is missing or not a string", id)),
    }
}

/// The members of `p` that any method knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params<'a> {
    /// Arguments.
    pub a: Option<Value<'a>>,
    /// Whether messages are acknowledged.
    pub ack: Option<Value<'a>>,
    /// Items of a batch.
    pub b: Option<Value<'a>>,
    /// Client or channel.
    pub c: Option<Value<'a>>,
    /// Data.
    pub d: Option<Value<'a>>,
    /// Function.
    pub f: Option<Value<'a>>,
    /// Offsets.
    pub ids: Option<Value<'a>>,
    /// Topics, topic or type.
    pub t: Option<Value<'a>>,
}

/// The members of `p`, which may come in an array of one element (old form). Of a name that comes
/// twice the last counts.
pub fn params(sent: Sent<'_>) -> Option<Params<'_>> {
    let value = match sent {
        Sent::Object(params) => return Some(params),
        Sent::Other(None) => return Some(Params::default()),
        Sent::Other(Some(value)) => value,
    };
    let object = match value.kind {
        Kind::Null => return Some(Params::default()),
        Kind::Object => value.text,
        Kind::Array => match json::elements(value.text).ok()?.as_slice() {
            [] => return Some(Params::default()),
            [one] if one.kind == Kind::Object => one.text,
            _ => return None,
        },
        _ => return None,
    };
    let mut found = Params::default();
    scan_params(&mut Scanner::new(object), &mut found).ok()?;
    Some(found)
}

/// Found where they will be used: they are too large to be handed up step by step.
fn scan_params<'a>(
    scanner: &mut Scanner<'a>,
    found: &mut Params<'a>,
) -> Result<(), json::JsonError> {
    scanner.enter_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        let value = scanner.value()?;
        let slot = match key {
            b"a" => &mut found.a,
            b"ack" => &mut found.ack,
            b"b" => &mut found.b,
            b"c" => &mut found.c,
            b"d" => &mut found.d,
            b"f" => &mut found.f,
            b"ids" => &mut found.ids,
            b"t" => &mut found.t,
            _ => continue,
        };
        *slot = Some(value);
    }
    Ok(())
}

/// Appends `"E":null,"r":<r>` or `"E":{..}`.
pub fn write_outcome(outcome: &Result<Vec<u8>, Fault>, out: &mut Vec<u8>) {
    match outcome {
        Ok(result) => {
            out.extend_from_slice(b"\"E\":null,\"r\":");
            out.extend_from_slice(result);
        }
        Err(fault) => {
            out.extend_from_slice(format!("\"E\":{{\"c\":{},\"m\":", fault.code).as_bytes());
            json::write_string(out, &fault.text);
            out.push(b'}');
        }
    }
}

/// A reply: with `"i":<id>` on the WebSocket, without on HTTP.
pub fn reply(outcome: &Result<Vec<u8>, Fault>, id: Option<&[u8]>) -> Vec<u8> {
    let mut out = vec![b'{'];
    write_outcome(outcome, &mut out);
    if let Some(id) = id {
        out.extend_from_slice(b",\"i\":");
        out.extend_from_slice(id);
    }
    out.push(b'}');
    out
}

/// The reply to a publish: `s` outboxes took it, `f` did not.
pub fn write_published(sent: u64, failed: u64, id: &[u8], out: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    if (sent, failed) == (1, 0) {
        out.extend_from_slice(b"{\"E\":null,\"r\":{\"s\":1,\"f\":0},\"i\":");
        out.extend_from_slice(id);
        return out.push(b'}');
    }
    out.extend_from_slice(b"{\"E\":null,\"r\":{\"s\":");
    out.extend_from_slice(number.format(sent).as_bytes());
    out.extend_from_slice(b",\"f\":");
    out.extend_from_slice(number.format(failed).as_bytes());
    out.extend_from_slice(b"},\"i\":");
    out.extend_from_slice(id);
    out.push(b'}');
}

/// An event of a queue. `offset` in acknowledged mode only.
pub fn write_event(
    node: u16,
    topic: &str,
    record: &Record<'_>,
    offset: Option<u64>,
    out: &mut Vec<u8>,
) {
    let mut number = itoa::Buffer::new();
    out.extend_from_slice(b"{\"e\":\"queue.pop\",\"p\":{\"n\":");
    out.extend_from_slice(number.format(node).as_bytes());
    out.extend_from_slice(b",\"c\":\"");
    out.extend_from_slice(number.format(record.producer).as_bytes());
    out.extend_from_slice(b"\",\"t\":");
    json::write_string(out, topic);
    out.extend_from_slice(b",\"d\":");
    write_event_data(record, out);
    if let Some(offset) = offset {
        out.extend_from_slice(b",\"o\":");
        out.extend_from_slice(number.format(offset).as_bytes());
    }
    out.extend_from_slice(b"},\"id\":null}");
}

fn write_event_data(record: &Record<'_>, out: &mut Vec<u8>) {
    match record.body {
        Body::Json(_) | Body::Derived { .. } | Body::Rows(_) => view::write_json(record, out),
        Body::Lifecycle { json, context } => {
            out.extend_from_slice(json.strip_suffix(b"}").unwrap_or(json));
            write_context(context, out);
            out.push(b'}');
        }
        Body::Frame { binary, bytes, context, event } => {
            out.push(b'{');
            if !event.is_empty() {
                out.extend_from_slice(b"\"event\":");
                json::write_string(out, &String::from_utf8_lossy(event));
                out.push(b',');
            }
            if binary {
                out.extend_from_slice(b"\"frame\":{\"type\":\"binary\",\"data\":\"");
                write_base64(bytes, out);
                out.push(b'"');
            } else {
                out.extend_from_slice(b"\"frame\":{\"type\":\"text\",\"data\":");
                json::write_string(out, &String::from_utf8_lossy(bytes));
            }
            out.extend_from_slice(b",\"finish\":true}");
            write_context(context, out);
            out.push(b'}');
        }
    }
}

fn write_context(context: &[u8], out: &mut Vec<u8>) {
    if !context.is_empty() {
        out.extend_from_slice(b",\"ctx\":");
        out.extend_from_slice(context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_keep_their_id() {
        let mut sent = Sent::Other(None);
        let text = br#"{"m":"a.b","p":[{"c":1}],"i":12345678901234567890}"#;
        let good = envelope(text, &mut sent).unwrap();
        assert_eq!((&*good.method, good.id), ("a.b", &b"12345678901234567890"[..]));
        assert_eq!(params(sent).unwrap().c.unwrap().text, b"1");
        assert_eq!(envelope(br#"{"m":"x","id":"q"}"#, &mut sent).unwrap().id, b"\"q\"");
        assert!(matches!(sent, Sent::Other(None)), "nothing stays of the last one");
        assert_eq!(envelope(br#"{"m":"x"}"#, &mut sent).unwrap().id, b"null");
        for (text, id) in [
            ("nope", "null"),
            ("[]", "null"),
            ("{\"i\":5}", "5"),
            ("{\"m\":1,\"i\":5}", "5"),
            ("{\"i\":5", "null"),
            ("{\"m\":\"x\"} 1", "null"),
        ] {
            assert_eq!(
                envelope(text.as_bytes(), &mut sent).unwrap_err().1,
                id.as_bytes(),
                "{text}"
            );
        }
    }

    #[test]
    fn events_have_their_documented_form() {
        let event = |body, producer, offset| {
            let mut out = Vec::new();
            write_event(1, "topic1", &Record { time: 0, producer, body }, offset, &mut out);
            String::from_utf8(out).unwrap()
        };
        let frame = |binary, bytes, context, event| Body::Frame { binary, bytes, context, event };
        assert_eq!(
            event(frame(false, b"json str", b"", b""), 1_463_819_408_261_513_216, None),
            r#"{"e":"queue.pop","p":{"n":1,"c":"1463819408261513216","t":"topic1","d":{"frame":{"type":"text","data":"json str","finish":true}}},"id":null}"#
        );
        assert_eq!(
            event(frame(true, &[0, 255, 16], b"{\"k\":1}", b"message"), 7, Some(17)),
            r#"{"e":"queue.pop","p":{"n":1,"c":"7","t":"topic1","d":{"event":"message","frame":{"type":"binary","data":"AP8Q","finish":true},"ctx":{"k":1}},"o":17},"id":null}"#
        );
        assert_eq!(
            event(
                Body::Lifecycle {
                    json: br#"{"event":"close","code":1000}"#,
                    context: b"{\"a\":2}"
                },
                7,
                None
            ),
            r#"{"e":"queue.pop","p":{"n":1,"c":"7","t":"topic1","d":{"event":"close","code":1000,"ctx":{"a":2}}},"id":null}"#
        );
        assert_eq!(
            event(Body::Json(b"{\"job\":7}"), 0, None),
            r#"{"e":"queue.pop","p":{"n":1,"c":"0","t":"topic1","d":{"job":7}},"id":null}"#
        );
    }
}

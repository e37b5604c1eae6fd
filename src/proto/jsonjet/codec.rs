//! Client messages to asks, answers to text (jsonjet, sections 2.2 to 2.4).
//!
//! A message is scanned once; an insert's records are spans of it. Order of checks as in 2.4.

pub mod quick;

use super::codes;
use crate::model::command::Begin;
use crate::model::json::{self, JsonError, Kind, Scanner, Value, key_is};
use crate::model::record::{Body, Record};
use crate::proto::view;

/// Records of one insert.
pub const BATCH_MAX: usize = 100_000;

/// What a message asks for.
#[derive(Debug)]
pub enum Ask {
    /// `subscribe`.
    Subscribe(Vec<String>, Begin),
    /// `unsubscribe`; `None`: everything.
    Unsubscribe(Option<u64>),
    /// `insert`; the records are in [`Fields::items`].
    Insert(String),
    /// `execute`.
    Execute(String),
    /// Refused with this text, in the envelope of [`Fields::kind`].
    Bad(&'static str),
}

/// Which envelope an answer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// `error`.
    #[default]
    Error,
    /// `insert_response`.
    Insert,
    /// `execute_response`.
    Execute,
}

/// The members of a message that mean something.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    /// Envelope of its answer.
    pub envelope: Envelope,
    /// As sent; echoed.
    pub request_id: Option<&'a [u8]>,
    /// Elements of `data`, or `data` itself.
    pub items: Vec<Value<'a>>,
    /// `data` was an array.
    pub batch: bool,
    kind: Option<Value<'a>>,
    stream_name: Option<Value<'a>>,
    target: Option<Value<'a>>,
    data: Option<Value<'a>>,
    query: Option<Value<'a>>,
    subscription: Option<Value<'a>>,
    replay: Option<Value<'a>>,
    from_offset: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    /// Scans a message.
    ///
    /// # Errors
    /// It is not JSON. `Ok(None)`: JSON, but no object.
    pub fn scan(text: &'a [u8]) -> Result<Option<Self>, JsonError> {
        let mut scanner = Scanner::new(text);
        if scanner.peek()? != Kind::Object {
            json::check(text)?;
            return Ok(None);
        }
        let mut fields = Self::default();
        scanner.enter_object()?;
        let mut first = true;
        while let Some(key) = scanner.next_key(first)? {
            first = false;
            if key_is(key, "data") {
                fields.scan_data(&mut scanner)?;
                continue;
            }
            let value = scanner.value()?;
            let slot = match key {
                b"type" => &mut fields.kind,
                b"requestId" => {
                    fields.request_id = Some(value.text);
                    continue;
                }
                b"target" => &mut fields.target,
                b"streamName" => &mut fields.stream_name,
                b"query" => &mut fields.query,
                b"subscriptionId" => &mut fields.subscription,
                b"replay" => &mut fields.replay,
                b"fromOffset" => &mut fields.from_offset,
                _ => continue,
            };
            *slot = Some(value);
        }
        scanner.finish()?;
        Ok(Some(fields))
    }

    fn scan_data(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        self.items.clear();
        self.batch = scanner.peek()? == Kind::Array;
        if !self.batch {
            let value = scanner.value()?;
            self.data = Some(value);
            self.items.push(value);
            return Ok(());
        }
        self.data = Some(Value { kind: Kind::Array, text: b"[]" });
        scanner.enter_array()?;
        let mut first = true;
        while scanner.next_element(first)? {
            first = false;
            let value = scanner.value()?;
            // One more than allowed is enough to refuse it.
            if self.items.len() <= BATCH_MAX {
                self.items.push(value);
            }
        }
        Ok(())
    }

    /// What a WebSocket message asks for.
    pub fn ask(&mut self) -> Ask {
        match self.kind.as_ref().map(|v| v.text) {
            Some(b"\"insert\"") => {
                self.envelope = Envelope::Insert;
                self.insert(true)
            }
            Some(b"\"subscribe\"") => self.subscribe(),
            Some(b"\"unsubscribe\"") => self.unsubscribe(),
            Some(b"\"execute\"") => {
                self.envelope = Envelope::Execute;
                match self.query() {
                    Some(query) => Ask::Execute(query),
                    None => Ask::Bad(codes::QUERY_REQUIRED_WS),
                }
            }
            _ => Ask::Bad(codes::UNKNOWN_TYPE),
        }
    }

    /// The text of `query`, if it is one.
    pub fn query(&self) -> Option<String> {
        self.query.and_then(|v| v.as_string()).filter(|text| !text.is_empty())
    }

    /// Target and data; over the WebSocket the elements are checked too.
    pub fn insert(&self, check_elements: bool) -> Ask {
        let Some(target) = self.target.filter(|v| !falsy(v)) else {
            return Ask::Bad(codes::TARGET_REQUIRED);
        };
        let Some(data) = self.data.filter(|v| !falsy(v)) else {
            return Ask::Bad(codes::DATA_REQUIRED);
        };
        if self.items.len() > BATCH_MAX {
            return Ask::Bad(codes::DATA_TOO_LONG);
        }
        if check_elements {
            let plain = |v: &Value<'_>| !matches!(v.kind, Kind::Object | Kind::Array);
            if data.kind == Kind::Array && self.items.is_empty() {
                return Ask::Bad(codes::DATA_EMPTY);
            }
            if data.kind == Kind::Array && self.items.iter().any(plain) {
                return Ask::Bad(codes::ITEMS_NO_OBJECTS);
            }
            if plain(&data) {
                return Ask::Bad(codes::DATA_NO_OBJECT);
            }
        }
        let name = target.as_string();
        Ask::Insert(name.unwrap_or_else(|| String::from_utf8_lossy(target.text).into_owned()))
    }

    fn subscribe(&self) -> Ask {
        let Some(value) = self.stream_name.filter(|v| !falsy(v)) else {
            return Ask::Bad(codes::NAMES_REQUIRED);
        };
        let names = match value.kind {
            Kind::String => vec![value.as_string().unwrap_or_default()],
            Kind::Array => {
                let elements = json::elements(value.text).unwrap_or_default();
                if elements.is_empty() {
                    return Ask::Bad(codes::NAMES_EMPTY);
                }
                let names: Option<Vec<String>> =
                    elements.iter().map(|v| v.as_string().filter(|s| !s.is_empty())).collect();
                match names {
                    Some(names) => names,
                    None => return Ask::Bad(codes::NAMES_NO_STRINGS),
                }
            }
            _ => return Ask::Bad(codes::NAME_NO_STRING),
        };
        let begin = match (self.replay, self.from_offset.and_then(|v| v.as_u64())) {
            (None, Some(offset)) => Begin::From(offset),
            (None, None) => Begin::Live,
            (Some(v), _) if v.text == b"\"all\"" => Begin::Last(u64::MAX),
            (Some(v), _) => match v.as_u64() {
                Some(0) => Begin::Live,
                Some(count) => Begin::Last(count),
                None => return Ask::Bad(codes::BAD_REPLAY),
            },
        };
        Ask::Subscribe(names, begin)
    }

    fn unsubscribe(&self) -> Ask {
        match self.subscription {
            None => Ask::Unsubscribe(None),
            Some(v) if v.kind == Kind::Null => Ask::Unsubscribe(None),
            Some(v) => match v.as_u64().filter(|&id| id > 0) {
                Some(id) => Ask::Unsubscribe(Some(id)),
                None => Ask::Bad(codes::BAD_SUBSCRIPTION_ID),
            },
        }
    }
}

/// `null`, `false`, `""` and zeros.
fn falsy(value: &Value<'_>) -> bool {
    match value.kind {
        Kind::Null | Kind::False => true,
        Kind::String => value.text == b"\"\"",
        Kind::Number => {
            let number = std::str::from_utf8(value.text).ok().and_then(|t| t.parse::<f64>().ok());
            number == Some(0.0)
        }
        _ => false,
    }
}

/// The bodies of records, from spans.
pub fn bodies<'a>(items: &[Value<'a>]) -> Vec<Body<'a>> {
    items.iter().map(|value| Body::Json(value.text)).collect()
}

/// `,"requestId":<as sent>`, or nothing.
pub fn request_suffix(request_id: Option<&[u8]>) -> Box<[u8]> {
    match request_id {
        None => Box::default(),
        Some(raw) => [b",\"requestId\":", raw].concat().into(),
    }
}

/// The beginning of a `data` frame: all but what the subscription adds.
pub fn write_data(stream: &str, record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"data\",\"streamName\":");
    json::write_string(out, stream);
    out.extend_from_slice(b",\"data\":");
    view::write_json(record, out);
}

/// The end of a `data` frame.
pub fn data_tail(subscription: u64, request: &[u8]) -> Box<[u8]> {
    let mut tail = format!(",\"subscriptionId\":{subscription}").into_bytes();
    tail.extend_from_slice(request);
    tail.push(b'}');
    tail.into()
}

/// Builds one JSON object, member by member.
#[derive(Debug)]
pub struct Object {
    out: Vec<u8>,
}

impl Object {
    /// `{`
    pub fn new() -> Self {
        Self { out: vec![b'{'] }
    }

    /// A member whose value is JSON text.
    pub fn raw(mut self, key: &str, value: &[u8]) -> Self {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        json::write_string(&mut self.out, key);
        self.out.push(b':');
        self.out.extend_from_slice(value);
        self
    }

    /// A string member.
    pub fn text(self, key: &str, value: &str) -> Self {
        let mut quoted = Vec::with_capacity(value.len() + 2);
        json::write_string(&mut quoted, value);
        self.raw(key, &quoted)
    }

    /// An integer member.
    pub fn number(self, key: &str, value: u64) -> Self {
        self.raw(key, itoa::Buffer::new().format(value).as_bytes())
    }

    /// A boolean member.
    pub fn flag(self, key: &str, value: bool) -> Self {
        self.raw(key, if value { b"true" } else { b"false" })
    }

    /// `}` with `suffix` (`,"requestId":..`) before it.
    pub fn end(mut self, suffix: &[u8]) -> Vec<u8> {
        self.out.extend_from_slice(suffix);
        self.out.push(b'}');
        self.out
    }
}

/// A JSON array of values that are JSON text.
pub fn array<T: AsRef<[u8]>>(values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut out = vec![b'['];
    for value in values {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(value.as_ref());
    }
    out.push(b']');
    out
}

/// A JSON string.
pub fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    json::write_string(&mut out, text);
    out
}

#[cfg(test)]
mod tests;

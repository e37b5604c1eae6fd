//! JSON of requests and replies, and the fixed parts of binary frames.

use crate::model::json::write_string;
use crate::model::value::{Value, read_json};
use crate::query::dialect::taos::Wrong;

/// Code of faults of the request itself.
pub const FAULT: u16 = 0xFFFF;

/// A fault of the request itself.
#[must_use]
pub fn fault(text: impl Into<String>) -> Wrong {
    Wrong::new(FAULT, text)
}

/// A text frame.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// What is asked for.
    pub action: String,
    args: Value<'a>,
}

impl<'a> Ask<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// It is not JSON, not an object, or names no action.
    pub fn read(text: &'a [u8]) -> Result<Self, Wrong> {
        let broken = || fault("unmarshal request error");
        let value = std::str::from_utf8(text).ok().and_then(read_json).ok_or_else(broken)?;
        if !value.is_object() {
            return Err(broken());
        }
        let action = match value.member("action") {
            Value::String(action) => action.to_string(),
            Value::Missing | Value::Null => String::new(),
            _ => return Err(broken()),
        };
        if action.is_empty() {
            return Err(fault("request no action"));
        }
        Ok(Self { action, args: value.member("args") })
    }

    /// An argument.
    #[must_use]
    pub fn arg(&self, name: &str) -> Value<'a> {
        self.args.member(name)
    }

    /// The arguments are of the wrong shape.
    #[must_use]
    pub fn wrong(&self) -> Wrong {
        fault(format!("unmarshal {} request error", self.action))
    }

    /// A number; absent is 0.
    ///
    /// # Errors
    /// It is none, or not of 64 bits.
    pub fn number(&self, name: &str) -> Result<u64, Wrong> {
        match self.arg(name) {
            Value::Missing | Value::Null => Ok(0),
            Value::Int(n) => u64::try_from(n).map_err(|_| self.wrong()),
            Value::Decimal(text) => text.parse().map_err(|_| self.wrong()),
            _ => Err(self.wrong()),
        }
    }

    /// A text; absent is empty.
    ///
    /// # Errors
    /// It is none.
    pub fn text(&self, name: &str) -> Result<String, Wrong> {
        match self.arg(name) {
            Value::Missing | Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.to_string()),
            _ => Err(self.wrong()),
        }
    }

    /// The elements of a list; absent is empty.
    ///
    /// # Errors
    /// It is none.
    pub fn list(&self, name: &str) -> Result<Vec<Value<'a>>, Wrong> {
        let value = self.arg(name);
        match &value {
            Value::Missing | Value::Null => Ok(Vec::new()),
            other => other.elements().map(|list| list.into_owned()).ok_or_else(|| self.wrong()),
        }
    }

    /// What is the same in every request.
    ///
    /// # Errors
    /// `args` is no object, or `req_id` no number.
    pub fn request(&self) -> Result<u64, Wrong> {
        match &self.args {
            Value::Missing | Value::Null => Ok(0),
            args if args.is_object() => self.number("req_id"),
            _ => Err(self.wrong()),
        }
    }
}

/// Reads a text frame: the request and its number; otherwise the reply that says what is wrong.
///
/// # Errors
/// See above.
pub fn received(text: &[u8]) -> Result<(Ask<'_>, u64), Vec<u8>> {
    let ask = Ask::read(text).map_err(|wrong| Reply::new("", 0, Some(&wrong), 0).end())?;
    match ask.request() {
        Ok(request) => Ok((ask, request)),
        Err(wrong) => Err(Reply::new(&ask.action, 0, Some(&wrong), 0).end()),
    }
}

/// A reply under construction.
#[derive(Clone, Debug)]
pub struct Reply(Vec<u8>);

impl Reply {
    /// With the members that every reply has.
    #[must_use]
    pub fn new(action: &str, request: u64, error: Option<&Wrong>, timing: u64) -> Self {
        let mut it = Self(b"{".to_vec());
        it.put("code", error.map_or(0, |wrong| u64::from(wrong.code)));
        it.text("message", error.map_or("", |wrong| &wrong.text));
        it.text("action", action);
        it.put("req_id", request);
        it.put("timing", timing);
        it
    }

    fn key(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        write_string(&mut self.0, name);
        self.0.push(b':');
    }

    /// A number.
    pub fn put(&mut self, name: &str, number: u64) {
        self.key(name);
        self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        write_string(&mut self.0, text);
    }

    /// JSON as it is.
    pub fn raw(&mut self, name: &str, json: &str) {
        self.key(name);
        self.0.extend_from_slice(json.as_bytes());
    }

    /// The whole.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// A JSON array of numbers.
#[must_use]
pub fn numbers(list: impl IntoIterator<Item = u64>) -> String {
    let list: Vec<String> = list.into_iter().map(|n| n.to_string()).collect();
    format!("[{}]", list.join(","))
}

/// A JSON array of texts.
#[must_use]
pub fn texts<'a>(list: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = b"[".to_vec();
    for (index, text) in list.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(&mut out, text);
    }
    out.push(b']');
    String::from_utf8(out).unwrap_or_default()
}

/// A binary frame: its head and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Of the request.
    pub request: u64,
    /// Of the result or statement that it is about.
    pub object: u64,
    /// What is asked for.
    pub action: u64,
    /// What follows the head.
    pub rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame; `None` if it is too short.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (request, rest) = bytes.split_first_chunk::<8>()?;
        let (object, rest) = rest.split_first_chunk::<8>()?;
        let (action, rest) = rest.split_first_chunk::<8>()?;
        let [request, object, action] = [request, object, action].map(|n| u64::from_le_bytes(*n));
        Some(Self { request, object, action, rest })
    }

    /// The SQL of a binary query.
    ///
    /// # Errors
    /// It is cut, of another version, or no text.
    pub fn sql(&self) -> Result<&'a str, Wrong> {
        let short = || fault("message length is too short");
        let (version, rest) = self.rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (length, sql) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        if sql.is_empty() {
            return Err(short());
        }
        let (version, length) = (u16::from_le_bytes(*version), u32::from_le_bytes(*length));
        if version != 1 {
            return Err(fault(format!("unknown binary query version:{version}")));
        }
        let cut = || {
            let rest = sql.len();
            fault(format!("uncompleted message, sql length:{length}, remainMessageLength:{rest}"))
        };
        let sql = sql.get(..length as usize).ok_or_else(cut)?;
        std::str::from_utf8(sql).map_err(|_| fault("sql is not UTF-8"))
    }
}

/// What a binary answer with data begins with: marks, times, the error if there is one, and the id
/// that was asked about.
pub fn data_head(
    action: u64,
    timing: u64,
    request: u64,
    error: Option<&Wrong>,
    id: u64,
) -> Vec<u8> {
    let mut out = Vec::new();
    for number in [u64::MAX, action] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&timing.to_le_bytes());
    out.extend_from_slice(&request.to_le_bytes());
    let text = error.map_or("", |wrong| &wrong.text);
    out.extend_from_slice(&error.map_or(0, |wrong| u32::from(wrong.code)).to_le_bytes());
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&id.to_le_bytes());
    out
}

/// The reply to a binary fetch: the block, or none at the end and on errors.
#[must_use]
pub fn fetched(
    request: u64,
    result: u64,
    timing: u64,
    outcome: Result<Option<&[u8]>, &Wrong>,
) -> Vec<u8> {
    let mut out = data_head(7, timing, request, outcome.err(), result);
    match outcome {
        Ok(Some(block)) => {
            out.push(0);
            out.extend_from_slice(&(block.len() as u32).to_le_bytes());
            out.extend_from_slice(block);
        }
        _ => out.push(1),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_what_is_wrong_with_them() {
        let ask = Ask::read(br#"{"action":"a","args":{"req_id":18446744073709551615,"x":null}}"#);
        let ask = ask.unwrap();
        assert_eq!((ask.request(), ask.text("x")), (Ok(u64::MAX), Ok(String::new())));
        for (text, want) in [
            ("{", "unmarshal request error"),
            ("[]", "unmarshal request error"),
            (r#"{"action":"a","args":{"tags":[nil]}}"#, "unmarshal request error"),
            (r#"{"args":{}}"#, "request no action"),
        ] {
            assert_eq!(Ask::read(text.as_bytes()).unwrap_err(), fault(want), "{text}");
        }
        let ask = Ask::read(br#"{"action":"conn","args":{"req_id":"x"}}"#).unwrap();
        assert_eq!(ask.request(), Err(fault("unmarshal conn request error")));
    }

    #[test]
    fn no_cut_frame_is_a_query() {
        let mut frame = [5_u64, 0, 6].map(u64::to_le_bytes).concat();
        frame.extend_from_slice(&[1, 0, 8, 0, 0, 0]);
        frame.extend_from_slice(b"select 1");
        assert_eq!(Frame::read(&frame).unwrap().sql(), Ok("select 1"));
        for cut in 0..frame.len() {
            assert!(Frame::read(&frame[..cut]).is_none_or(|frame| frame.sql().is_err()), "{cut}");
        }
    }
}

//! Messages (raw, 1.2): requests in, and what each kind of answer looks like.

use super::codes;
use super::format::Format;
use crate::model::json::{self, JsonError, Kind, Scanner, Value, key_is, unescape, write_string};
use crate::query::dialect::rql::source::{Lines, Place, Wrong};

/// The setting that is known.
const FORMAT_SETTING: &str = "X-RAW-output-format";

/// A good `queryRequest`.
#[derive(Debug, PartialEq, Eq)]
pub struct QueryRequest {
    /// Its text.
    pub query: String,
    /// How the result is to be written.
    pub format: Format,
}

/// Reads a message.
///
/// # Errors
/// The detail of an `invalidMessage`.
pub fn request(text: &str) -> Result<QueryRequest, String> {
    let broken = |_: JsonError| super::diagnose::diagnose(text);
    let whole = json::check(text.as_bytes()).map_err(broken)?;
    if whole.kind != Kind::Object {
        return Err(codes::NO_OBJECT.to_owned());
    }
    let (mut kind, mut query, mut settings) = (None, None, None);
    json::members(whole.text, |key, value| {
        if key_is(key, "type") {
            kind = Some(value);
        } else if key_is(key, "query") {
            query = Some(value);
        } else if key_is(key, "settings") {
            settings = Some(value);
        }
    })
    .map_err(broken)?;
    let kind = kind.ok_or(codes::NO_TYPE)?;
    if kind.as_text().as_deref() != Some("queryRequest") {
        let shown = kind.as_string();
        let shown = shown.unwrap_or_else(|| String::from_utf8_lossy(kind.text).into_owned());
        return Err(format!("unknown message type '{shown}'"));
    }
    let query = query.ok_or(codes::NO_QUERY)?;
    let query = query.as_string().ok_or(codes::QUERY_NO_STRING)?;
    let format = match settings {
        None => Format::default(),
        Some(settings) => format_of(&settings)?,
    };
    Ok(QueryRequest { query, format })
}

fn format_of(settings: &Value<'_>) -> Result<Format, String> {
    if settings.kind != Kind::Object {
        return Err(codes::SETTINGS_NO_OBJECT.to_owned());
    }
    let mut scanner = Scanner::new(settings.text);
    let mut name = None;
    let mut scan = || -> Result<Option<String>, JsonError> {
        scanner.enter_object()?;
        let mut first = true;
        while let Some(key) = scanner.next_key(first)? {
            first = false;
            let key = unescape(key);
            let Some(value) = scanner.value()?.as_string() else { return Ok(Some(key)) };
            if key.eq_ignore_ascii_case(FORMAT_SETTING) {
                name = Some(value);
            }
        }
        Ok(None)
    };
    if let Ok(Some(key)) = scan() {
        return Err(format!("setting '{key}' must be a string"));
    }
    match name {
        None => Ok(Format::default()),
        Some(name) => {
            Format::named(&name).ok_or_else(|| format!("unsupported output format '{name}'"))
        }
    }
}

/// A `userMessage`.
pub fn user_message(level: &str, message: &str) -> Vec<u8> {
    let mut out = b"{\"type\":\"userMessage\",\"level\":\"".to_vec();
    out.extend_from_slice(level.as_bytes());
    out.extend_from_slice(b"\",\"message\":");
    write_string(&mut out, message);
    out.push(b'}');
    out
}

/// `querySuccess`
pub const QUERY_SUCCESS: &[u8] = b"{\"type\":\"querySuccess\",\"properties\":{}}";
/// `queryStreamingEnd`
pub const STREAMING_END: &[u8] = b"{\"type\":\"queryStreamingEnd\"}";

/// An `invalidMessage`.
pub fn invalid_message(detail: &str) -> Vec<u8> {
    let mut out = b"{\"type\":\"invalidMessage\",\"error\":".to_vec();
    write_string(&mut out, &format!("{}{detail}", codes::INVALID));
    out.push(b'}');
    out
}

/// An `invalidQuery` about `text`.
pub fn invalid_query(text: &str, errors: &[Wrong]) -> Vec<u8> {
    let lines = Lines::new(text);
    let mut out = b"{\"type\":\"invalidQuery\",\"errors\":[".to_vec();
    for (index, error) in errors.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"message\":");
        write_string(&mut out, &error.message);
        out.extend_from_slice(b",\"positions\":[");
        if let Some(span) = error.span {
            out.extend_from_slice(b"{\"begin\":");
            write_place(lines.place(span.start), &mut out);
            out.extend_from_slice(b",\"end\":");
            write_place(lines.place(span.end), &mut out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
    out
}

fn write_place(place: Place, out: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    out.extend_from_slice(b"{\"line\":");
    out.extend_from_slice(number.format(place.line).as_bytes());
    out.extend_from_slice(b",\"column\":");
    out.extend_from_slice(number.format(place.column).as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_what_is_wrong_with_them() {
        let good = |query: &str, format| Ok(QueryRequest { query: query.to_owned(), format });
        let bad = |detail: &str| Err(detail.to_owned());
        for (text, want) in [
            (r#"{"type":"queryRequest","query":"1"}"#, good("1", Format::Json)),
            (
                r#"{"more":[1],"settings":{"a":"b","x-raw-OUTPUT-format":"csv"},"query":"\u0031","type":"queryRequest"}"#,
                good("1", Format::Csv),
            ),
            ("ll", bad("Unrecognized token 'll'")),
            (r#"{"type":"foo"}"#, bad("unknown message type 'foo'")),
            (r#"{"type":5}"#, bad("unknown message type '5'")),
            ("[]", bad("expected an object")),
            ("null", bad("expected an object")),
            (r#"{"query":"1"}"#, bad("missing field 'type'")),
            (r#"{"type":"queryRequest"}"#, bad("missing field 'query'")),
            (r#"{"type":"queryRequest","query":7}"#, bad("field 'query' must be a string")),
            (
                r#"{"type":"queryRequest","query":"1","settings":[]}"#,
                bad("field 'settings' must be an object"),
            ),
            (
                r#"{"type":"queryRequest","query":"1","settings":{"other":1}}"#,
                bad("setting 'other' must be a string"),
            ),
            (
                r#"{"type":"queryRequest","query":"1","settings":{"X-RAW-output-format":"JSON"}}"#,
                bad("unsupported output format 'JSON'"),
            ),
            (r#"{"type":"queryRequest","query":"#, bad("Unexpected end of input")),
            ("", bad("Unexpected end of input")),
        ] {
            assert_eq!(request(text), want, "{text}");
        }
    }

    #[test]
    fn errors_are_told_with_line_and_column() {
        use crate::query::dialect::rql::source::Span;
        let errors = [
            Wrong::at(Span { start: 2, end: 4 }, "a \"b\""),
            Wrong { message: "query too long".into(), span: None },
        ];
        assert_eq!(
            String::from_utf8(invalid_query("x\nyz", &errors)).unwrap(),
            concat!(
                r#"{"type":"invalidQuery","errors":[{"message":"a \"b\"","positions":"#,
                r#"[{"begin":{"line":2,"column":1},"end":{"line":2,"column":3}}]},"#,
                r#"{"message":"query too long","positions":[]}]}"#
            )
        );
    }
}

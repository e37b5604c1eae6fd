//! `with { .. }` of a stream, and durations as text.

use super::lex::{end_of_string, place};
use super::literal::to_json;
use super::statement::{Failure, StreamOptions};
use crate::model::json::{self, Kind};

/// Reads `{ retain: .. }`, which is the rest of `text` from byte `at` on.
pub(super) fn stream_options(
    literal: &str,
    text: &str,
    at: usize,
) -> Result<StreamOptions, Failure> {
    let invalid = |what: &str, byte: usize| {
        let (line, column) = place(text, byte);
        Failure::new("SYNTAX_ERROR", format!("{what} at line {line}, column {column}"))
    };
    let quoted = quote_durations(literal);
    let json = to_json(&quoted).map_err(|(byte, what)| invalid(what, at + byte))?;
    let mut options = StreamOptions::default();
    let mut wrong = None;
    let members = json::members(&json, |key, value| {
        let key = json::unescape(key);
        let number = match value.kind {
            Kind::Number => value.as_u64(),
            Kind::String => value.as_string().and_then(|t| duration_ms(&t)).map(|ms| ms as u64),
            _ => None,
        };
        match (key.as_str(), number) {
            ("retain", Some(0)) => options.pipe = true,
            ("retain", Some(n)) if value.kind == Kind::Number => {
                options.retention.records = Some(n)
            }
            ("retain_bytes", Some(n)) if value.kind == Kind::Number => {
                options.retention.bytes = Some(n);
            }
            ("retain_age", Some(n)) => options.retention.age_ms = Some(n),
            ("retain" | "retain_bytes" | "retain_age", _) => {
                wrong = Some(format!("Invalid value of '{key}'"));
            }
            _ => wrong = Some(format!("Unknown option '{key}'")),
        }
    });
    members.map_err(|_| invalid("Expected an object", at))?;
    wrong.map_or(Ok(options), |what| Err(invalid(&what, at)))
}

/// Puts quotes around durations (`10m`, `1h30m`), which JSON does not have.
fn quote_durations(literal: &str) -> String {
    let mut out = String::with_capacity(literal.len() + 8);
    let bytes = literal.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        if matches!(bytes[at], b'"' | b'\'') {
            at = end_of_string(bytes, at);
        } else if bytes[at].is_ascii_digit() {
            while bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'.') {
                at += 1;
            }
            let word = literal.get(start..at).unwrap_or_default();
            if word.bytes().any(|b| b.is_ascii_alphabetic()) && duration_ms(word).is_some() {
                out.push('"');
                out.push_str(word);
                out.push('"');
                continue;
            }
        } else {
            at += literal[at..].chars().next().map_or(1, char::len_utf8);
        }
        out.push_str(literal.get(start..at).unwrap_or_default());
    }
    out
}

/// A duration such as `1h30m` in milliseconds; a bare number is milliseconds.
pub(super) fn duration_ms(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<u64>() {
        return Some(number as f64);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "ns" => 1e-6,
                "us" | "μs" => 1e-3,
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 60e3,
                "h" => 3600e3,
                "d" => 86_400e3,
                "w" => 604_800e3,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    (!text.is_empty() && total < 1e15).then_some(total)
}

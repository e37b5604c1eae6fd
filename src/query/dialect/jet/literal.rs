//! A JET literal becomes JSON text: bare keys get quotes, single-quoted strings double ones;
//! numbers keep their digits. Nesting is counted, so depth costs no stack.

use super::lex::{end_of_string, skip};
use crate::model::json;

/// Nesting that a statement may have (section 3.1).
const DEPTH_MAX: usize = 64;

/// Converts the literal `text`, which must be all of it.
///
/// # Errors
/// What is wrong and at which byte of `text`.
pub fn to_json(text: &str) -> Result<Vec<u8>, (usize, &'static str)> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(text.len() + 16);
    // The brackets open, `{` or `[`.
    let mut open: Vec<u8> = Vec::new();
    let mut at = skip(bytes, 0);
    loop {
        // A value begins here.
        match bytes.get(at) {
            Some(&bracket @ (b'{' | b'[')) => {
                if open.len() >= DEPTH_MAX {
                    return Err((at, "nested too deep"));
                }
                open.push(bracket);
                out.push(bracket);
                at = skip(bytes, at + 1);
                if bytes.get(at) != Some(&closing(bracket)) {
                    if bracket == b'{' {
                        at = key(text, at, &mut out)?;
                    }
                    continue;
                }
            }
            Some(b'"' | b'\'') => at = string(text, at, &mut out)?,
            Some(_) => at = word(text, at, &mut out)?,
            None => return Err((at, "unexpected end")),
        }
        // A value ended here.
        loop {
            at = skip(bytes, at);
            let Some(&bracket) = open.last() else {
                return if at == bytes.len() { Ok(out) } else { Err((at, "unexpected character")) };
            };
            match bytes.get(at) {
                Some(b',') => {
                    out.push(b',');
                    at = skip(bytes, at + 1);
                    if bracket == b'{' {
                        at = key(text, at, &mut out)?;
                    }
                    break;
                }
                Some(&byte) if byte == closing(bracket) => {
                    out.push(byte);
                    open.pop();
                    at += 1;
                }
                Some(_) => return Err((at, "expected a comma or the end")),
                None => return Err((at, "unexpected end")),
            }
        }
    }
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'{' { b'}' } else { b']' }
}

fn key(text: &str, at: usize, out: &mut Vec<u8>) -> Result<usize, (usize, &'static str)> {
    let bytes = text.as_bytes();
    let mut end = at;
    match bytes.get(at) {
        Some(b'"' | b'\'') => end = string(text, at, out)?,
        Some(byte) if byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$') => {
            while bytes
                .get(end)
                .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'))
            {
                end += 1;
            }
            json::write_string(out, &text[at..end]);
        }
        _ => return Err((at, "expected a key")),
    }
    end = skip(bytes, end);
    if bytes.get(end) != Some(&b':') {
        return Err((end, "expected a colon"));
    }
    out.push(b':');
    Ok(skip(bytes, end + 1))
}

fn string(text: &str, at: usize, out: &mut Vec<u8>) -> Result<usize, (usize, &'static str)> {
    let bytes = text.as_bytes();
    let end = end_of_string(bytes, at);
    let quote = bytes[at];
    if end < at + 2 || bytes.get(end - 1) != Some(&quote) {
        return Err((at, "unterminated string"));
    }
    let inner = text.get(at + 1..end - 1).ok_or((at, "unterminated string"))?;
    let start = out.len();
    out.push(b'"');
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\'') => out.push(b'\''),
                Some(escaped) => {
                    out.push(b'\\');
                    out.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                }
                None => return Err((at, "unterminated string")),
            },
            '"' => out.extend_from_slice(b"\\\""),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
    json::check(&out[start..]).map_err(|e| (at, e.what))?;
    Ok(end)
}

fn word(text: &str, at: usize, out: &mut Vec<u8>) -> Result<usize, (usize, &'static str)> {
    let rest = &text.as_bytes()[at..];
    let length = rest
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'_'))
        .count();
    let word = &rest[..length];
    let lower = word.to_ascii_lowercase();
    if matches!(lower.as_slice(), b"true" | b"false" | b"null") {
        out.extend_from_slice(&lower);
    } else if json::check(word).is_ok() {
        out.extend_from_slice(word);
    } else {
        return Err((at, "not a literal"));
    }
    Ok(at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_become_json() {
        for (literal, want) in [
            ("{ id: 1, name: \"a, b: c\" }", r#"{"id":1,"name":"a, b: c"}"#),
            ("[1, 'it\\'s', \"q\\\"\", TRUE, null]", r#"[1,"it's","q\"",true,null]"#),
            ("'say \"x\"'", r#""say \"x\"""#),
            ("1.50", "1.50"),
            ("{}", "{}"),
            ("[ ]", "[]"),
            ("{a: /* c */ {$b: []}} // end", r#"{"a":{"$b":[]}}"#),
            ("12345678901234567890", "12345678901234567890"),
        ] {
            let out = to_json(literal).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    #[test]
    fn what_is_no_literal_says_where() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("{a}", 2),
            ("{a:}", 3),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("abc", 0),
            ("'x", 0),
            ("{1:2}", 1),
            ("1 2", 2),
            ("\"\\q\"", 0),
        ] {
            assert_eq!(to_json(text).unwrap_err().0, at, "{text}");
        }
        assert!(to_json(&"[".repeat(100_000)).is_err());
    }
}

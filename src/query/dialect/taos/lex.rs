//! Tokens of the SQL of typed tables.
//!
//! Invariant: the span of a token lies in the text, on character borders; every text ends.

use super::Wrong;
use std::ops::Range;

/// Tokens that a statement may have; a long INSERT has many.
const TOKENS_MAX: usize = 16 << 20;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A bare name or keyword.
    Word,
    /// A name in back-quotes.
    Quoted,
    /// A text in quotes.
    Text,
    /// Digits.
    Integer,
    /// Digits with a point or an exponent.
    Float,
    /// Digits with a unit: `10s`.
    Duration,
    /// `?`
    Parameter,
    /// Signs.
    Sign(&'static str),
    /// Behind the last.
    End,
}

/// Signs, the longer first.
const SIGNS: &[&str] = &[
    "<=", ">=", "<>", "!=", "->", "||", "(", ")", ",", ".", ";", "=", "<", ">", "+", "-", "*", "/",
    "%", "&", "|", "[", "]", ":",
];

/// Splits a text.
///
/// # Errors
/// At the first character that begins no token.
pub fn lex(text: &str) -> Result<Vec<(Token, Range<usize>)>, Wrong> {
    let bytes = text.as_bytes();
    let mut list = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blanks(bytes, at);
        let Some(&first) = bytes.get(at) else { break };
        let start = at;
        let token = match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                at = run(bytes, at, |b| b.is_ascii_alphanumeric() || b == b'_');
                Token::Word
            }
            b'0'..=b'9' => number(bytes, &mut at),
            b'\'' | b'"' | b'`' => {
                at = quoted(bytes, at).ok_or_else(|| Wrong::syntax(text, start))?;
                if first == b'`' { Token::Quoted } else { Token::Text }
            }
            b'?' => {
                at += 1;
                Token::Parameter
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| bytes[at..].starts_with(sign.as_bytes()));
                let sign = sign.ok_or_else(|| Wrong::syntax(text, start))?;
                at += sign.len();
                Token::Sign(sign)
            }
        };
        if list.len() >= TOKENS_MAX {
            return Err(Wrong::syntax(text, start));
        }
        list.push((token, start..at));
    }
    list.push((Token::End, text.len()..text.len()));
    Ok(list)
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at = run(bytes, at, |b| b.is_ascii_whitespace());
        if bytes.get(at..).is_some_and(|rest| rest.starts_with(b"--")) {
            at = run(bytes, at, |b| b != b'\n');
        } else if bytes.get(at..).is_some_and(|rest| rest.starts_with(b"/*")) {
            // Hints mean nothing here.
            let rest = bytes.get(at + 2..).unwrap_or_default();
            at += 2 + memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2);
        } else {
            return at;
        }
    }
}

fn run(bytes: &[u8], from: usize, good: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !good(*b)).unwrap_or(rest.len())
}

fn number(bytes: &[u8], at: &mut usize) -> Token {
    let digit = |b: u8| b.is_ascii_digit();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    *at = run(bytes, *at, digit);
    let mut token = Token::Integer;
    if byte(*at) == b'.' && byte(*at + 1).is_ascii_digit() {
        *at = run(bytes, *at + 1, digit);
        token = Token::Float;
    }
    if matches!(byte(*at), b'e' | b'E') {
        let sign = usize::from(matches!(byte(*at + 1), b'+' | b'-'));
        if byte(*at + 1 + sign).is_ascii_digit() {
            *at = run(bytes, *at + 1 + sign, digit);
            return Token::Float;
        }
    }
    let unit = byte(*at).to_ascii_lowercase();
    let ends = !(byte(*at + 1).is_ascii_alphanumeric() || byte(*at + 1) == b'_');
    if token == Token::Integer && b"buasmhdwny".contains(&unit) && ends {
        *at += 1;
        return Token::Duration;
    }
    token
}

/// The end of what is quoted; `None`: it has none.
fn quoted(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = *bytes.get(start)?;
    let mut at = start + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if quote != b'`' => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// What stands in quotes, escapes resolved.
#[must_use]
pub fn unquote(text: &str) -> String {
    let Some(quote) = text.chars().next() else { return String::new() };
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains(['\\', quote]) {
        return inner.to_owned();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            _ if c == quote => {
                chars.next();
                out.push(c);
            }
            '\\' if quote != '`' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some(c @ ('\'' | '"' | '\\')) => out.push(c),
                // Stay escaped: they mean themselves in patterns.
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split() {
        let kinds = |text: &str| lex(text).unwrap().iter().map(|t| t.0).collect::<Vec<_>>();
        use Token::{Duration, End, Float, Integer, Parameter, Quoted, Sign, Text, Word};
        assert_eq!(kinds("a `b c` 'd' 1"), [Word, Quoted, Text, Integer, End]);
        assert_eq!(
            kinds("10s 1.5 2e3 ? <> --x"),
            [Duration, Float, Float, Parameter, Sign("<>"), End]
        );
        assert_eq!(kinds("'it''s' \"a\\\"b\""), [Text, Text, End]);
        assert!(lex("'open").is_err() && lex("a # b").is_err() && lex("'\\").is_err());
    }

    #[test]
    fn escapes_are_resolved() {
        for (text, want) in [
            ("'a'", "a"),
            ("'it''s'", "it's"),
            (r"'\'\\\n\%'", "'\\\n\\%"),
            (r"'\x0aff'", r"\x0aff"),
            ("`a``b`", "a`b"),
        ] {
            assert_eq!(unquote(text), want);
        }
    }
}

//! Says in the words of the protocol why a text is not JSON (raw, 1.4). It runs only over texts
//! that the scanner refused, once, without recursion.

use super::codes;
use crate::limits::JSON_DEPTH_MAX;

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// A value or `]`.
    Element,
    /// A key or `}`.
    FirstKey,
    Key,
    Colon,
    /// A comma or what closes, or nothing more.
    More,
}

/// The detail for a text that is not JSON.
#[must_use]
pub fn diagnose(text: &str) -> String {
    let mut reader = Reader { text, at: 0 };
    let mut open: Vec<u8> = Vec::new();
    let mut next = Next::Value;
    loop {
        reader.blanks();
        let Some(byte) = reader.byte() else { return codes::CUT_OFF.to_owned() };
        match (next, byte) {
            (Next::Element, b']') | (Next::FirstKey, b'}') => {
                open.pop();
                reader.at += 1;
                next = Next::More;
            }
            (Next::Value | Next::Element, b'{' | b'[') => {
                if open.len() >= JSON_DEPTH_MAX {
                    return reader.unexpected();
                }
                open.push(byte);
                reader.at += 1;
                next = if byte == b'{' { Next::FirstKey } else { Next::Element };
            }
            (Next::Value | Next::Element, b'"') | (Next::FirstKey | Next::Key, b'"') => {
                if let Err(detail) = reader.string() {
                    return detail;
                }
                next = match next {
                    Next::Value | Next::Element => Next::More,
                    _ => Next::Colon,
                };
            }
            (Next::Value | Next::Element, b'-') => match reader.number() {
                Ok(()) => next = Next::More,
                Err(detail) => return detail,
            },
            (Next::Value | Next::Element, byte) if is_word(byte) => match reader.word() {
                Ok(()) => next = Next::More,
                Err(detail) => return detail,
            },
            (Next::Colon, b':') => {
                reader.at += 1;
                next = Next::Value;
            }
            (Next::More, b',') if !open.is_empty() => {
                reader.at += 1;
                next = if open.last() == Some(&b'{') { Next::Key } else { Next::Value };
            }
            (Next::More, b'}') if open.last() == Some(&b'{') => {
                open.pop();
                reader.at += 1;
            }
            (Next::More, b']') if open.last() == Some(&b'[') => {
                open.pop();
                reader.at += 1;
            }
            _ => return reader.unexpected(),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// What stands here is wrong, or missing.
    fn unexpected(&self) -> String {
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        match found {
            Some(c) => {
                let offset = self.text.get(..self.at).unwrap_or_default().chars().count();
                format!("Unexpected character ('{c}' at offset {offset})")
            }
            None => codes::CUT_OFF.to_owned(),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.byte() {
                None => return Err(self.unexpected()),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    let digits = match self.byte() {
                        Some(b'u') => 4,
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
                        _ => return Err(self.unexpected()),
                    };
                    self.at += 1;
                    for _ in 0..digits {
                        if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                            return Err(self.unexpected());
                        }
                        self.at += 1;
                    }
                }
                Some(byte) if byte < 0x20 => return Err(self.unexpected()),
                Some(_) => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += rest.chars().next().map_or(1, char::len_utf8);
                }
            }
        }
    }

    fn digits(&mut self) -> Result<(), String> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected()) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), String> {
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// A bare word: one of three, or a number.
    fn word(&mut self) -> Result<(), String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        if matches!(word, "true" | "false" | "null") {
            self.at += length;
            return Ok(());
        }
        let start = self.at;
        let number = self.number();
        if number.is_ok() && !self.byte().is_some_and(is_word) {
            return Ok(());
        }
        // A number that is cut off, or broken behind what could be one.
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        if number.is_err() && (digits || self.at > start + length) && self.at >= start + length {
            return number;
        }
        Err(format!("Unrecognized token '{word}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::diagnose;

    #[test]
    fn details() {
        for (text, detail) in [
            ("ll", "Unrecognized token 'll'"),
            ("  hello world", "Unrecognized token 'hello'"),
            ("{\"a\": tru}", "Unrecognized token 'tru'"),
            ("[1, x$_1]", "Unrecognized token 'x$_1'"),
            ("12ab", "Unrecognized token '12ab'"),
            ("01", "Unrecognized token '01'"),
            ("truex", "Unrecognized token 'truex'"),
            ("", "Unexpected end of input"),
            ("  ", "Unexpected end of input"),
            ("{", "Unexpected end of input"),
            ("{\"a\"", "Unexpected end of input"),
            ("{\"a\":", "Unexpected end of input"),
            ("[1,", "Unexpected end of input"),
            ("\"abc", "Unexpected end of input"),
            ("1.", "Unexpected end of input"),
            ("-", "Unexpected end of input"),
            ("}", "Unexpected character ('}' at offset 0)"),
            ("{\"a\":1,}", "Unexpected character ('}' at offset 7)"),
            ("{\"é\":1}}", "Unexpected character ('}' at offset 7)"),
            ("[1 2]", "Unexpected character ('2' at offset 3)"),
            ("{} ll", "Unexpected character ('l' at offset 3)"),
            ("{'a':1}", "Unexpected character (''' at offset 1)"),
            ("é", "Unexpected character ('é' at offset 0)"),
            ("[1.x]", "Unexpected character ('x' at offset 3)"),
            ("\"\\q\"", "Unexpected character ('q' at offset 2)"),
        ] {
            assert_eq!(diagnose(text), detail, "{text}");
        }
        let deep = "[".repeat(129);
        assert_eq!(diagnose(&deep), "Unexpected character ('[' at offset 128)");
    }
}

//! A JSON scanner: checks RFC 8259 in one pass and hands out the spans of values, never values.
//!
//! Records are kept and passed on as the text that arrived (all digits, key order as sent), so what
//! the path from socket to log needs is *where* a value stands and that it is well-formed. Cost:
//! each byte is looked at once, strings eight bytes at a time; nothing is allocated. Nesting is
//! counted in a bit set instead of the call stack, so no input can exhaust it.
//!
//! The caller guarantees UTF-8 (checked once per message in `wire`); the scanner itself is
//! byte-wise.

use crate::limits::JSON_DEPTH_MAX;
use std::borrow::Cow;

const _: () = assert!(JSON_DEPTH_MAX <= 128, "the nesting bit set is a u128");

/// What stands at a place of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number, any precision.
    Number,
    /// A string, quotes included in the text.
    String,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// One value: its kind and its text without surrounding white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// What it is.
    pub kind: Kind,
    /// How it was written.
    pub text: &'a [u8],
}

/// Why a text is not JSON, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Byte position from 0.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

type Scan<T> = Result<T, JsonError>;

/// A place in a JSON text. Drive it with `enter_*`, `next_*` and [`Scanner::value`].
#[derive(Clone, Copy, Debug)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    /// Starts before the first value of `text`.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// The kind of the value that begins next, without consuming it.
    #[inline]
    pub fn peek(&mut self) -> Scan<Kind> {
        self.blanks();
        match self.byte() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => self.fail("unexpected character"),
            None => self.fail("unexpected end"),
        }
    }

    /// Consumes one whole value.
    #[inline]
    pub fn value(&mut self) -> Scan<Value<'a>> {
        let kind = self.peek()?;
        let start = self.at;
        match kind {
            Kind::Object | Kind::Array => self.container()?,
            Kind::String => self.string()?,
            Kind::Number => self.number()?,
            Kind::True => self.word(b"true")?,
            Kind::False => self.word(b"false")?,
            Kind::Null => self.word(b"null")?,
        }
        Ok(Value { kind, text: self.span(start) })
    }

    /// Consumes `{`; then call [`Scanner::next_key`] until it gives `None`.
    pub fn enter_object(&mut self) -> Scan<()> {
        self.enter(b'{', "expected an object")
    }

    /// Consumes `[`; then call [`Scanner::next_element`] until it gives `false`.
    pub fn enter_array(&mut self) -> Scan<()> {
        self.enter(b'[', "expected an array")
    }

    /// The next key of an object, raw text between its quotes; `first` on the first call.
    #[inline]
    pub fn next_key(&mut self, first: bool) -> Scan<Option<&'a [u8]>> {
        if !self.more(b'}', first)? {
            return Ok(None);
        }
        if self.byte() != Some(b'"') {
            return self.fail("expected a key in quotes");
        }
        let start = self.at + 1;
        self.string()?;
        let end = self.at - 1;
        self.colon()?;
        Ok(self.text.get(start..end))
    }

    /// Whether another element of an array follows; `first` on the first call.
    pub fn next_element(&mut self, first: bool) -> Scan<bool> {
        self.more(b']', first)
    }

    /// Checks that nothing but blanks follows.
    pub fn finish(&mut self) -> Scan<()> {
        self.blanks();
        if self.at == self.text.len() { Ok(()) } else { self.fail("unexpected character") }
    }

    /// Byte position, from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    fn enter(&mut self, open: u8, what: &'static str) -> Scan<()> {
        self.blanks();
        if self.byte() != Some(open) {
            return self.fail(what);
        }
        self.at += 1;
        self.depth += 1;
        if self.depth > JSON_DEPTH_MAX { self.fail("nested too deep") } else { Ok(()) }
    }

    #[inline]
    fn more(&mut self, close: u8, first: bool) -> Scan<bool> {
        self.blanks();
        match self.byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                self.blanks();
                if self.byte() == Some(close) { self.fail("trailing comma") } else { Ok(true) }
            }
            Some(_) if first => Ok(true),
            Some(_) => self.fail("expected a comma"),
            None => self.fail("unexpected end"),
        }
    }

    /// Consumes an object or array with all that is inside; the levels open are bits of `objects`.
    fn container(&mut self) -> Scan<()> {
        let base = self.depth;
        let mut objects: u128 = 0;
        loop {
            // A value begins here.
            match self.byte() {
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.depth += 1;
                    if self.depth > JSON_DEPTH_MAX {
                        return self.fail("nested too deep");
                    }
                    objects = objects << 1 | u128::from(open == b'{');
                    self.blanks();
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.byte() != Some(close) {
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                Some(_) => return self.fail("unexpected character"),
                None => return self.fail("unexpected end"),
            }
            // A value ended here: close levels until one goes on with a comma.
            loop {
                self.blanks();
                let object = objects & 1 == 1;
                match self.byte() {
                    Some(b',') => {
                        self.at += 1;
                        self.blanks();
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    Some(b'}') if object => {}
                    Some(b']') if !object => {}
                    Some(_) => return self.fail("expected a comma or the end"),
                    None => return self.fail("unexpected end"),
                }
                self.at += 1;
                self.depth -= 1;
                objects >>= 1;
                if self.depth == base {
                    return Ok(());
                }
            }
        }
    }

    fn key(&mut self) -> Scan<()> {
        if self.byte() != Some(b'"') {
            return self.fail("expected a key in quotes");
        }
        self.string()?;
        self.colon()
    }

    #[inline]
    fn colon(&mut self) -> Scan<()> {
        self.blanks();
        if self.byte() != Some(b':') {
            return self.fail("expected a colon");
        }
        self.at += 1;
        self.blanks();
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Scan<()> {
        self.at += 1;
        loop {
            self.plain_text();
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(byte) if byte < 0x20 => return self.fail("control character in a string"),
                Some(_) => self.at += 1,
                None => return self.fail("unterminated string"),
            }
        }
    }

    /// Moves over eight bytes at a time while none of them is a quote, backslash or control
    /// character.
    #[inline]
    fn plain_text(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
        while let Some(chunk) = self.text.get(self.at..self.at + 8) {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(chunk);
            let word = u64::from_le_bytes(bytes);
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
            let special = zero(word ^ (ONES * u64::from(b'"')))
                | zero(word ^ (ONES * u64::from(b'\\')))
                | control;
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
    }

    fn escape(&mut self) -> Scan<()> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                    return self.fail("bad \\u escape");
                }
                self.at += 6;
            }
            _ => return self.fail("bad escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Scan<()> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.fail("bad number"),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        match self.byte() {
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'_' | b'-' | b'+') => {
                self.fail("bad number")
            }
            _ => Ok(()),
        }
    }

    fn some_digits(&mut self) -> Scan<()> {
        let start = self.at;
        self.digits();
        if self.at == start { self.fail("bad number") } else { Ok(()) }
    }

    fn digits(&mut self) {
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8]) -> Scan<()> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.fail("unexpected character");
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn span(&self, start: usize) -> &'a [u8] {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn fail<T>(&self, what: &'static str) -> Scan<T> {
        Err(JsonError { at: self.at.min(self.text.len()), what })
    }
}

/// Checks that `text` is one JSON value nested at most [`JSON_DEPTH_MAX`] deep, and says which.
pub fn check(text: &[u8]) -> Scan<Value<'_>> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value()?;
    scanner.finish()?;
    Ok(value)
}

/// Calls `member` for each member of the object `text`: raw key, value. Checks the whole text.
pub fn members<'a>(text: &'a [u8], mut member: impl FnMut(&'a [u8], Value<'a>)) -> Scan<()> {
    let mut scanner = Scanner::new(text);
    scanner.enter_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        member(key, scanner.value()?);
    }
    scanner.finish()
}

/// The elements of the array `text`.
pub fn elements(text: &[u8]) -> Scan<Vec<Value<'_>>> {
    let mut scanner = Scanner::new(text);
    scanner.enter_array()?;
    let mut list = Vec::new();
    while scanner.next_element(list.is_empty())? {
        list.push(scanner.value()?);
    }
    scanner.finish()?;
    Ok(list)
}

impl<'a> Value<'a> {
    /// As [`Value::as_string`], borrowed where nothing is escaped.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'a, str>> {
        let inner = self.text.get(1..self.text.len().checked_sub(1)?)?;
        if self.kind != Kind::String {
            return None;
        }
        if memchr::memchr(b'\\', inner).is_none()
            && let Ok(text) = simdutf8::basic::from_utf8(inner)
        {
            return Some(Cow::Borrowed(text));
        }
        Some(Cow::Owned(unescape(inner)))
    }

    /// The content of a string, escapes resolved; `None` for any other kind.
    #[must_use]
    pub fn as_string(&self) -> Option<String> {
        self.as_text().map(Cow::into_owned)
    }

    /// The number as an integer, if it is written as one and fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        std::str::from_utf8(self.text).ok()?.parse().ok()
    }
}

/// Whether a raw key says `name`.
#[must_use]
pub fn key_is(raw: &[u8], name: &str) -> bool {
    raw == name.as_bytes() || (raw.contains(&b'\\') && unescape(raw) == name)
}

/// Resolves the escapes of a string that the scanner accepted; a lone surrogate becomes U+FFFD.
#[must_use]
pub fn unescape(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    if !raw.contains(&b'\\') {
        return text.into_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    let mut high: Option<u32> = None;
    while let Some(c) = chars.next() {
        if c != '\\' {
            flush(&mut high, &mut out);
            out.push(c);
            continue;
        }
        let escape = chars.next().unwrap_or('\\');
        if escape != 'u' {
            flush(&mut high, &mut out);
            out.push(match escape {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            });
            continue;
        }
        let code =
            (0..4).fold(0, |n, _| n * 16 + chars.next().and_then(|c| c.to_digit(16)).unwrap_or(0));
        match (high.take(), code) {
            (Some(h), 0xDC00..=0xDFFF) => {
                let joined = 0x10000 + ((h - 0xD800) << 10) + (code - 0xDC00);
                out.push(char::from_u32(joined).unwrap_or('\u{FFFD}'));
            }
            (before, 0xD800..=0xDBFF) => {
                high = before;
                flush(&mut high, &mut out);
                high = Some(code);
            }
            (before, _) => {
                high = before;
                flush(&mut high, &mut out);
                out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
            }
        }
    }
    flush(&mut high, &mut out);
    out
}

fn flush(high: &mut Option<u32>, out: &mut String) {
    if high.take().is_some() {
        out.push('\u{FFFD}');
    }
}

/// Appends `text` as a JSON string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x8 => b"\\b",
            0xc => b"\\f",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[from..at]);
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape);
        }
        from = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests;

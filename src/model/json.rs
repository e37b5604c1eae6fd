//! A JSON scanner: checks RFC 8259 in one pass and hands out the spans of values, never values.
//!
//! Records are kept and passed on as the text that arrived (all digits, key order as sent), so what
//! the path from socket to log needs is *where* a value stands and that it is well-formed. Cost:
//! each byte is looked at once, strings and digits sixteen at a time; nothing is allocated. Nesting
//! is counted in a bit set instead of the call stack, so no input can exhaust it.
//!
//! The caller guarantees UTF-8 (checked once per message in `wire`); the scanner itself is
//! byte-wise.

mod text;
pub(in crate::model) mod wide;

use crate::limits::JSON_DEPTH_MAX;
pub use text::{key_is, plain_string, unescape, write_string};

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
    #[inline(always)]
    pub fn value(&mut self) -> Scan<Value<'a>> {
        if self.byte() != Some(b'"') {
            return self.any_value();
        }
        let start = self.at;
        self.string()?;
        Ok(Value { kind: Kind::String, text: self.span(start) })
    }

    #[inline(never)]
    fn any_value(&mut self) -> Scan<Value<'a>> {
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
    #[inline(always)]
    pub fn next_key(&mut self, first: bool) -> Scan<Option<&'a [u8]>> {
        match self.short_key(first) {
            Some(key) => Ok(Some(key)),
            None => self.any_key(first),
        }
    }

    #[inline(never)]
    fn any_key(&mut self, first: bool) -> Scan<Option<&'a [u8]>> {
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

    /// A key of up to fifteen plain bytes, written without blanks: what nearly every machine sends.
    #[inline(always)]
    fn short_key(&mut self, first: bool) -> Option<&'a [u8]> {
        if first {
            return self.quick_key(self.at);
        }
        (self.byte() == Some(b',')).then(|| self.quick_key(self.at + 1)).flatten()
    }

    /// The key at `at` if it is short and plain and no blank follows it; its quote is found in one
    /// step. Anything else is left to the general way, and nothing moves.
    #[inline(always)]
    fn quick_key(&mut self, at: usize) -> Option<&'a [u8]> {
        let (b'"', rest) = self.text.get(at..)?.split_first()? else { return None };
        let length = wide::specials(wide::step(rest, 0)?).trailing_zeros() as usize;
        match rest.get(length..)?.first_chunk()? {
            [b'"', b':', next] if *next > b' ' => {
                self.at = at + length + 3;
                rest.get(..length)
            }
            _ => None,
        }
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

    #[inline]
    fn key(&mut self) -> Scan<()> {
        if self.quick_key(self.at).is_some() {
            return Ok(());
        }
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
                Some(_) => return self.fail("control character in a string"),
                None => return self.fail("unterminated string"),
            }
        }
    }

    /// Moves to the next quote, backslash or control character, or to the end of the text.
    #[inline]
    fn plain_text(&mut self) {
        while let Some(bytes) = wide::step(self.text, self.at) {
            let found = wide::specials(bytes);
            if found != 0 {
                self.at += found.trailing_zeros() as usize;
                return;
            }
            self.at += wide::STEP;
        }
        while self.byte().is_some_and(|byte| !matches!(byte, b'"' | b'\\' | ..b' ')) {
            self.at += 1;
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

    #[inline]
    fn digits(&mut self) {
        while let Some(bytes) = wide::step(self.text, self.at) {
            let found = wide::non_digits(bytes).trailing_zeros() as usize;
            self.at += found.min(wide::STEP);
            if found < wide::STEP {
                return;
            }
        }
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
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
        if self.byte().is_some_and(|byte| byte > b' ') {
            return;
        }
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

#[cfg(test)]
mod tests;

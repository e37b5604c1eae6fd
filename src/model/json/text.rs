//! The content of JSON strings: escapes resolved and written.

use super::{Kind, Scanner, Value};
use std::borrow::Cow;

impl<'a> Value<'a> {
    /// As [`Value::as_string`], borrowed where nothing is escaped.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'a, str>> {
        let inner = self.inner()?;
        if memchr::memchr(b'\\', inner).is_none()
            && let Ok(text) = simdutf8::basic::from_utf8(inner)
        {
            return Some(Cow::Borrowed(text));
        }
        Some(Cow::Owned(unescape(inner)))
    }

    /// The bytes of [`Value::as_text`], without a second check that they are UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> Option<Cow<'a, [u8]>> {
        let inner = self.inner()?;
        if memchr::memchr(b'\\', inner).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        Some(Cow::Owned(unescape(inner).into_bytes()))
    }

    /// What stands between the quotes of a string.
    fn inner(&self) -> Option<&'a [u8]> {
        let inside = 1..self.text.len().checked_sub(1)?;
        (self.kind == Kind::String).then(|| self.text.get(inside)).flatten()
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

/// Divides what follows an opening quote into the content of the string and what comes after its
/// closing quote; `None` if something in it is escaped or it is no JSON string.
#[must_use]
pub fn plain_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut scanner = Scanner::new(text);
    scanner.plain_text();
    let (content, rest) = text.split_at_checked(scanner.at)?;
    Some((content, rest.strip_prefix(b"\"")?))
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

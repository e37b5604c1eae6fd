//! Finding fields in the text of a record that was checked when it arrived.
//!
//! Method: one pass over the top level, which trusts the text to be JSON and steps over what it
//! does not want: strings sixteen bytes at a time, nested values by counting brackets. On a text
//! that is no JSON it finds less, and nothing worse. Cost: about 0.5 ns a byte, nothing allocated
//! but for strings with escapes; the scanner that checks costs twice that.

use super::{Text, Value, numeric_text, unescape_text};
use crate::model::json::wide;

/// Keys of a guide at most.
const GUIDE_MAX: usize = 64;

/// The keys of the records before, in their order, for one list of names: most records of a topic
/// have the same, and a key that is where it was is compared as two words.
#[derive(Debug, Default)]
pub struct Guide {
    keys: Vec<Key>,
}

/// A key of up to 16 bytes with its quotes and the colon.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    words: [u64; 2],
    masks: [u64; 2],
    /// 0: it is longer.
    length: usize,
    /// Which of the names it is.
    name: Option<usize>,
}

impl Key {
    fn new(text: &[u8], name: Option<usize>) -> Self {
        let mut bytes = [0; 16];
        let Some(place) = bytes.get_mut(..text.len()) else { return Self::default() };
        place.copy_from_slice(text);
        let mut mask = [0; 16];
        mask.iter_mut().take(text.len()).for_each(|byte| *byte = 0xff);
        Self { words: words(&bytes), masks: words(&mask), length: text.len(), name }
    }

    /// Whether it stands there.
    #[inline]
    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        let Some(there) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { return false };
        let there = words(there);
        let same = |index: usize| (there[index] ^ self.words[index]) & self.masks[index] == 0;
        self.length > 0 && same(0) && same(1)
    }
}

#[inline]
fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let word = u128::from_le_bytes(*bytes);
    [word as u64, (word >> 64) as u64]
}

/// Puts the members named `names` into `out`, which is as long and all missing; the first member of
/// a name counts, and the rest of the text is not looked at once all are found.
pub fn skim_members<'a>(text: &'a str, names: &[String], out: &mut [Value<'a>]) {
    skim(text, names, out, None);
}

/// As [`skim_members`], with a guide that was used for the same names only.
pub fn skim_guided<'a>(text: &'a str, names: &[String], out: &mut [Value<'a>], guide: &mut Guide) {
    skim(text, names, out, Some(guide));
}

#[inline(always)]
fn skim<'a>(text: &'a str, names: &[String], out: &mut [Value<'a>], mut guide: Option<&mut Guide>) {
    let bytes = text.as_bytes();
    let mut at = skip(bytes, 1);
    let mut left = names.len();
    let mut place = 0;
    while bytes.get(at) == Some(&b'"') {
        let known = guide.as_ref().and_then(|guide| guide.keys.get(place));
        let name = if let Some(key) = known.filter(|key| key.is_at(bytes, at)) {
            at += key.length;
            key.name
        } else {
            let key = at;
            let (end, escaped) = string_end(bytes, key + 1);
            at = skip(bytes, end + 1);
            if bytes.get(at) != Some(&b':') {
                return;
            }
            at += 1;
            let name = position(text, (key + 1, end), escaped, names);
            if let Some(guide) = &mut guide
                && !escaped
                && end + 2 == at
            {
                guide.learn(place, bytes.get(key..at).unwrap_or_default(), name);
            }
            name
        };
        place += 1;
        let start = skip(bytes, at);
        let (end, plain) = value_end(bytes, start);
        if let Some(name) = name
            && let Some(slot @ Value::Missing) = out.get_mut(name)
            && let Some(whole) = text.get(start..end)
        {
            set(slot, whole, plain);
            left -= usize::from(!matches!(slot, Value::Missing));
            if left == 0 {
                return;
            }
        }
        at = skip(bytes, end);
        if bytes.get(at) != Some(&b',') {
            return;
        }
        at = skip(bytes, at + 1);
    }
}

impl Guide {
    fn learn(&mut self, place: usize, text: &[u8], name: Option<usize>) {
        let key = Key::new(text, name);
        if let Some(old) = self.keys.get_mut(place) {
            *old = key;
        } else if place == self.keys.len() && place < GUIDE_MAX {
            self.keys.push(key);
        }
    }
}

#[inline]
fn position(
    text: &str,
    (start, end): (usize, usize),
    escaped: bool,
    names: &[String],
) -> Option<usize> {
    if escaped {
        let key = unescape_text(text.get(start..end)?);
        return names.iter().position(|name| *name == *key);
    }
    let key = text.as_bytes().get(start..end)?;
    names.iter().position(|name| equal(name.as_bytes(), key))
}

/// Whether two names are equal. Most have another length, or up to 16 bytes, which are compared as
/// two words that overlap.
#[inline]
fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a.len() <= 16
        && let (Some(x), Some(y)) = (a.first_chunk::<8>(), b.first_chunk::<8>())
    {
        return x == y && a.last_chunk::<8>() == b.last_chunk::<8>();
    }
    if a.len() < 8 {
        return a.iter().zip(b).all(|(x, y)| x == y);
    }
    a == b
}

/// Puts the value of a text into its slot; `plain`: it is a string without escapes.
#[inline]
fn set<'a>(slot: &mut Value<'a>, whole: &'a str, plain: bool) {
    match whole.as_bytes().first() {
        Some(b'"') => {
            let end = whole.len().saturating_sub(1);
            let Some(inner) = whole.get(1..end) else { return };
            *slot = Value::String(if plain { Text::Borrowed(inner) } else { unescape_text(inner) });
        }
        Some(b'{' | b'[') => *slot = Value::Json(whole),
        Some(b't') => *slot = Value::Bool(true),
        Some(b'f') => *slot = Value::Bool(false),
        Some(b'n') => *slot = Value::Null,
        Some(_) => *slot = numeric_text(whole),
        None => {}
    }
}

#[inline]
fn skip(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The closing quote of the string whose inside begins at `at`, and whether there are escapes.
#[inline]
fn string_end(bytes: &[u8], mut at: usize) -> (usize, bool) {
    let mut escaped = false;
    loop {
        while let Some(step) = wide::step(bytes, at) {
            let found = wide::specials(step);
            if found != 0 {
                at += found.trailing_zeros() as usize;
                break;
            }
            at += wide::STEP;
        }
        match bytes.get(at) {
            Some(b'"') | None => return (at, escaped),
            Some(b'\\') => (at, escaped) = (at + 2, true),
            Some(_) => at += 1,
        }
    }
}

/// The position behind the value that begins at `at`, and whether it is a string without escapes.
#[inline]
fn value_end(bytes: &[u8], at: usize) -> (usize, bool) {
    match bytes.get(at) {
        Some(b'"') => {
            let (end, escaped) = string_end(bytes, at + 1);
            (end + 1, !escaped)
        }
        Some(b'{' | b'[') => (nested_end(bytes, at), false),
        _ => (word_end(bytes, at), false),
    }
}

/// The position behind a number, `true`, `false` or `null`.
#[inline]
fn word_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(step) = wide::step(bytes, at) {
        let found = wide::ends(step);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += wide::STEP;
    }
    let ends = |b: &u8| matches!(b, b',' | b'}' | b']') || *b <= b' ';
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

fn nested_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1).0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::{members, same};
    use super::*;

    const TEXTS: &[&str] = &[
        "{}",
        "{ }",
        r#"{"a":1}"#,
        r#"{"a":1,"b":2,"x":3,"c":4,"d":5}"#,
        r#"{"b":1,"a":2,"x":3,"c":4,"a":5}"#,
        r#"{"a" :1,"b":2}"#,
        r#"{"a":1,"b:":2,"b":3}"#,
        r#"{"long name of a":1,"long name of a field":2,"a":3}"#,
        r#"{ "a" : "x\"y" , "b":[1,{"a":"]"}], "long name of a field":null }"#,
        r#"{"x":{"a":1},"a":true,"b":-1.5e3,"a":false}"#,
        r#"{"\u00e9\n":"\\","":{},"z":"a\\","a":"tail"}"#,
        r#"{"a":12345678901234567890,"b":"ü ü ü ü ü ü"}"#,
        r#"{"a":"0123456\"89","b":[[],[[{}]]]}"#,
    ];

    /// The scanner that checks is the oracle.
    #[test]
    fn it_finds_what_the_scanner_finds() {
        let names: Vec<String> =
            ["a", "b", "long name of a field", "é\n", ""].map(String::from).into();
        for text in TEXTS {
            let mut want = vec![Value::Missing; names.len()];
            members(text, |key, value| {
                let key = unescape_text(key);
                if let Some(index) = names.iter().position(|name| *name == *key)
                    && let Value::Missing = want[index]
                {
                    want[index] = value;
                }
            });
            for other in TEXTS {
                let mut guide = Guide::default();
                for text in [text, other, text, other] {
                    skim_guided(text, &names, &mut vec![Value::Missing; names.len()], &mut guide);
                }
                let (mut got, mut led) = (vec![Value::Missing; names.len()], Vec::new());
                skim_members(text, &names, &mut got);
                led.resize(names.len(), Value::Missing);
                skim_guided(text, &names, &mut led, &mut guide);
                for got in [got, led] {
                    let equal = want.iter().zip(&got).all(|(a, b)| same(a, b));
                    assert!(equal, "{text} after {other}: {want:?} {got:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_json_finds_less() {
        let names = vec!["a".to_owned()];
        let text = r#"{"b":{"c":[1,"x\"}"]},"a":"v"}"#;
        for cut in 0..text.len() {
            skim_members(&text[..cut], &names, &mut [Value::Missing]);
            skim_members(&text[cut..], &names, &mut [Value::Missing]);
        }
        for text in
            ["", "{", "}{", "{\"a\"", "{\"a\":", "{\"a\":]", "{\"a\":}}", "[1]", "{\"a\":\"\\"]
        {
            skim_members(text, &names, &mut [Value::Missing]);
        }
    }
}

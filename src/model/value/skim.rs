//! Finding fields in the text of a record that was checked when it arrived.
//!
//! Method: one pass over the top level, which trusts the text to be JSON and steps over what it
//! does not want: strings eight bytes at a time, nested values by counting brackets. On a text that
//! is no JSON it finds less, and nothing worse. Cost: about 0.5 ns a byte, nothing allocated but
//! for strings with escapes; the scanner that checks costs twice that.

use super::{Value, numeric_text, unescape_text};

/// Puts the members named `names` into `out`, which is as long and all missing; the first member of
/// a name counts, and the rest of the text is not looked at once all are found.
pub fn skim_members<'a>(text: &'a str, names: &[String], out: &mut [Value<'a>]) {
    let bytes = text.as_bytes();
    let mut at = skip(bytes, 1);
    let mut left = names.len();
    while bytes.get(at) == Some(&b'"') {
        let key = at + 1;
        let end = string_end(bytes, key);
        at = skip(bytes, end + 1);
        if bytes.get(at) != Some(&b':') {
            return;
        }
        at = skip(bytes, at + 1);
        let start = at;
        at = value_end(bytes, at);
        if let Some(index) = position(text, key, end, names)
            && let Some(value) = value(text, start, at)
            && let Some(slot @ Value::Missing) = out.get_mut(index)
        {
            *slot = value;
            left -= 1;
            if left == 0 {
                return;
            }
        }
        at = skip(bytes, at);
        if bytes.get(at) != Some(&b',') {
            return;
        }
        at = skip(bytes, at + 1);
    }
}

#[inline]
fn position(text: &str, start: usize, end: usize, names: &[String]) -> Option<usize> {
    let key = text.as_bytes().get(start..end)?;
    let found = names.iter().position(|name| name.as_bytes() == key);
    if found.is_none() && memchr::memchr(b'\\', key).is_some() {
        let key = unescape_text(text.get(start..end)?);
        return names.iter().position(|name| *name == *key);
    }
    found
}

#[inline]
fn value(text: &str, start: usize, end: usize) -> Option<Value<'_>> {
    let whole = text.get(start..end)?;
    Some(match whole.as_bytes().first()? {
        b'"' => Value::String(unescape_text(whole.get(1..whole.len().checked_sub(1)?)?)),
        b'{' | b'[' => Value::Json(whole),
        b't' => Value::Bool(true),
        b'f' => Value::Bool(false),
        b'n' => Value::Null,
        _ => numeric_text(whole),
    })
}

#[inline]
fn skip(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The closing quote of the string whose inside begins at `at`.
#[inline]
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    loop {
        while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*chunk);
            let special =
                zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
            if special != 0 {
                at += special.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match bytes.get(at) {
            Some(b'"') | None => return at,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// The position behind the value that begins at `at`.
#[inline]
fn value_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at + 1) + 1,
        Some(b'{' | b'[') => nested_end(bytes, at),
        _ => {
            let plain = |b: &u8| !matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            let rest = bytes.get(at..).unwrap_or_default();
            at + rest.iter().position(|b| !plain(b)).unwrap_or(rest.len())
        }
    }
}

fn nested_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1),
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

    /// The scanner that checks is the oracle.
    #[test]
    fn it_finds_what_the_scanner_finds() {
        let names: Vec<String> =
            ["a", "b", "long name of a field", "é\n", ""].map(String::from).into();
        for text in [
            "{}",
            "{ }",
            r#"{"a":1}"#,
            r#" {"a":1}"#.trim(),
            r#"{ "a" : "x\"y" , "b":[1,{"a":"]"}], "long name of a field":null }"#,
            r#"{"x":{"a":1},"a":true,"b":-1.5e3,"a":false}"#,
            r#"{"\u00e9\n":"\\","":{},"z":"a\\","a":"tail"}"#,
            r#"{"a":12345678901234567890,"b":"ü ü ü ü ü ü"}"#,
            r#"{"a":"0123456\"89","b":[[],[[{}]]]}"#,
        ] {
            let mut want = vec![Value::Missing; names.len()];
            members(text, |key, value| {
                let key = unescape_text(key);
                if let Some(index) = names.iter().position(|name| *name == *key)
                    && let Value::Missing = want[index]
                {
                    want[index] = value;
                }
            });
            let mut got = vec![Value::Missing; names.len()];
            skim_members(text, &names, &mut got);
            assert!(want.iter().zip(&got).all(|(a, b)| same(a, b)), "{text}: {want:?} {got:?}");
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

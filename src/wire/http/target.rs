//! Request targets (RFC 9112, 3.2): path and query, percent decoding, one query parameter.
//!
//! Invariant: a path that exists starts with `/`, or is `*`, or names an authority for CONNECT; it
//! is visible ASCII.
//!
//! Cost: slices; only decoding allocates, at most as many bytes as it was given.

use super::HttpError;

/// Splits a target into path and query; an absolute target loses its scheme and authority.
pub(super) fn split(target: &str) -> Result<(&str, Option<&str>), HttpError> {
    if target.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err(HttpError::new(400, "bad request target"));
    }
    let local = match target.split_once("://") {
        Some((scheme, rest))
            if ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) =>
        {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            rest.get(end..).unwrap_or_default()
        }
        _ => target,
    };
    let (path, query) = match local.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (local, None),
    };
    // An absolute target without a path means the root.
    if path.is_empty() && target.len() != local.len() {
        return Ok(("/", query));
    }
    let authority = !path.is_empty() && !path.contains('/') && path.contains(':');
    if path.starts_with('/') || path == "*" || authority {
        return Ok((path, query));
    }
    Err(HttpError::new(400, "bad request target"))
}

/// Replaces `%XX` in `path`. `None` when an escape is cut or not hexadecimal, or when the bytes
/// are not UTF-8 (RFC 3986, 2.1).
pub fn percent_decode(path: &str) -> Option<String> {
    decode(path, b'+')
}

/// The first value of parameter `name` in `query`, decoded, `+` as space (the form encoding of the
/// URL standard). `None` when it is absent or badly escaped; a name without `=` has the value "".
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key == name || decode(key, b' ').as_deref() == Some(name) {
            Some(decode(value, b' '))
        } else {
            None
        }
    })?
}

fn decode(text: &str, plus: u8) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let (high, low) = (hex_digit(bytes.next()?)?, hex_digit(bytes.next()?)?);
                high << 4 | low
            }
            b'+' => plus,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// Value of one hexadecimal digit, 0-15.
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

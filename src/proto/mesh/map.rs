//! Names and ids as the mesh spells them (mesh, section 3).

use crate::limits::TOPIC_NAME_BYTES_MAX;
use crate::model::command::ClientId;
use crate::model::json::{Kind, Value};

/// Whether `name` may name a topic or channel.
pub fn is_name(name: &str) -> bool {
    let length = (1..=TOPIC_NAME_BYTES_MAX).contains(&name.len());
    let plain = name.bytes().fold(true, |plain, byte| plain & byte.is_ascii_graphic());
    length && (plain || !name.chars().any(|c| c.is_whitespace() || c.is_control()))
}

/// A client id: digits in a string, or a JSON integer; never by way of a double.
pub fn client_id(value: &Value<'_>) -> Option<ClientId> {
    let digits = match value.kind {
        Kind::String => value.as_string()?,
        Kind::Number => String::from_utf8_lossy(value.text).into_owned(),
        _ => return None,
    };
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json::check;

    #[test]
    fn ids_are_digits_and_never_rounded() {
        for (text, want) in [
            ("\"1463819408261513216\"", Some(1_463_819_408_261_513_216)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("\"abc\"", None),
            ("1.5", None),
            ("-1", None),
            ("\"\"", None),
            ("\"+1\"", None),
            ("99999999999999999999", None),
            ("null", None),
        ] {
            assert_eq!(client_id(&check(text.as_bytes()).unwrap()), want, "{text}");
        }
        assert!(is_name("größe") && is_name(&"x".repeat(255)) && !is_name(&"x".repeat(256)));
        assert!(!is_name("") && !is_name("a b") && !is_name("a\u{0}") && !is_name("a\u{a0}b"));
    }
}

//! An insert of one record as compact encoders write it, read in one pass (jsonjet, section 2.2):
//! `{"type":"insert","target":"<stream>","data":{..}}`.
//!
//! It is what devices send all day. Anything written otherwise (another order, blanks, escapes in
//! the name, an array, a `requestId`) is not recognised here and takes the general way, which does
//! the same: a test compares them.

use crate::model::json::{self, Kind, Scanner, Value};

/// The stream and the record of `text` if it has that form.
#[must_use]
pub fn insert(text: &[u8]) -> Option<(&str, Value<'_>)> {
    let rest = text.strip_prefix(br#"{"type":"insert","target":""#)?;
    let (target, rest) = json::plain_string(rest)?;
    let rest = rest.strip_prefix(br#","data":"#)?;
    let mut scanner = Scanner::new(rest);
    let record = scanner.value().ok().filter(|value| value.kind == Kind::Object)?;
    if rest.get(scanner.position()..)? != b"}" {
        return None;
    }
    let target = std::str::from_utf8(target).ok().filter(|name| !name.is_empty())?;
    Some((target, record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::jsonjet::codec::{Ask, Fields};

    /// What the general way makes of `text`, if it is an insert of one record without an id.
    fn general(text: &[u8]) -> Option<(String, Vec<u8>)> {
        let mut fields = Fields::scan(text).ok()??;
        match (fields.ask(), fields.batch, fields.items.as_slice(), fields.request_id) {
            (Ask::Insert(target), false, [one], None) => Some((target, one.text.to_vec())),
            _ => None,
        }
    }

    fn quick(text: &[u8]) -> Option<(String, Vec<u8>)> {
        insert(text).map(|(target, record)| (target.to_owned(), record.text.to_vec()))
    }

    #[test]
    fn the_usual_writing_is_recognised() {
        for text in [
            r#"{"type":"insert","target":"s","data":{}}"#,
            r#"{"type":"insert","target":"plant.ä","data":{"a":[1,{"b":"}"}],"c":" \" "}}"#,
        ] {
            assert!(quick(text.as_bytes()).is_some(), "{text}");
            assert_eq!(quick(text.as_bytes()), general(text.as_bytes()), "{text}");
        }
        let deep = format!(r#"{{"type":"insert","target":"s","data":{}"#, "{\"a\":".repeat(200));
        assert_eq!(quick(deep.as_bytes()), None);
    }

    #[test]
    fn whatever_is_recognised_means_the_same_in_general() {
        let text = r#"{"type":"insert","target":"some","data":{"a":1.5,"b":["x",{}],"cé":null}}"#;
        for at in 0..text.len() {
            for byte in 0..=255 {
                for (skip, put) in [(1, true), (0, true), (1, false)] {
                    let mut changed = text.as_bytes()[..at].to_vec();
                    changed.extend(put.then_some(byte));
                    changed.extend_from_slice(&text.as_bytes()[at + skip..]);
                    // Frames that are not UTF-8 do not come this far.
                    if std::str::from_utf8(&changed).is_ok()
                        && let Some(found) = quick(&changed)
                    {
                        let text = String::from_utf8_lossy(&changed);
                        assert_eq!(Some(found), general(&changed), "{text}");
                    }
                }
            }
        }
    }
}

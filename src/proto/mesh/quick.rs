//! A publish as compact encoders write it, read in one pass (mesh, sections 2 and 4):
//! `{"m":"mesh.publish","p":{"c":"<channel>","d":"<text>"},"i":<number>}`, with or without an id.
//!
//! It is what a backend sends a million times a second, and finding out what else it could have
//! been costs more than delivering it. Whatever is written otherwise (another order, blanks,
//! escapes, `t`, an id that is no whole number) is not recognised here and takes the general way,
//! which answers the same: a test compares them.

use super::map::is_name;
use crate::model::json;

/// A publish of text.
#[derive(Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// A valid name.
    pub channel: &'a str,
    /// The payload, UTF-8 as the whole message is.
    pub bytes: &'a [u8],
    /// The id as sent; `null` if absent.
    pub id: &'a [u8],
}

/// Reads `text` if it has that form.
#[must_use]
pub fn publish(text: &[u8]) -> Option<Publish<'_>> {
    let rest = text.strip_prefix(br#"{"m":"mesh.publish","p":{"c":""#)?;
    let (channel, rest) = json::plain_string(rest)?;
    let rest = rest.strip_prefix(br#","d":""#)?;
    let (bytes, rest) = json::plain_string(rest)?;
    let id: &[u8] = match rest {
        b"}}" => b"null",
        _ => rest.strip_prefix(br#"},"i":"#)?.strip_suffix(b"}").filter(|id| is_whole(id))?,
    };
    let channel = std::str::from_utf8(channel).ok().filter(|name| is_name(name))?;
    Some(Publish { channel, bytes, id })
}

/// Whether this is a JSON number of digits alone.
fn is_whole(id: &[u8]) -> bool {
    match id {
        [] => false,
        [b'0', _, ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::mesh::ask::{Ask, ask};
    use crate::proto::mesh::codec::{Sent, envelope};

    /// What the general way makes of `text`, if it is a publish of text.
    fn general(text: &[u8]) -> Option<(String, Vec<u8>, Vec<u8>)> {
        let mut sent = Sent::Other(None);
        let envelope = envelope(text, &mut sent).ok()?;
        match ask(&envelope.method, &sent).ok()? {
            Ask::Publish { channel, binary: false, bytes } => {
                Some((channel.into_owned(), bytes.into_owned(), envelope.id.to_vec()))
            }
            _ => None,
        }
    }

    fn quick(text: &[u8]) -> Option<(String, Vec<u8>, Vec<u8>)> {
        let found = publish(text)?;
        Some((found.channel.to_owned(), found.bytes.to_vec(), found.id.to_vec()))
    }

    #[test]
    fn the_usual_writing_is_recognised() {
        for text in [
            r#"{"m":"mesh.publish","p":{"c":"news","d":"data"}}"#,
            r#"{"m":"mesh.publish","p":{"c":"news","d":""},"i":0}"#,
            r#"{"m":"mesh.publish","p":{"c":"n","d":"ä long text, longer than a word"},"i":12345}"#,
        ] {
            assert!(quick(text.as_bytes()).is_some(), "{text}");
            assert_eq!(quick(text.as_bytes()), general(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn whatever_is_recognised_means_the_same_in_general() {
        let whole = r#"{"m":"mesh.publish","p":{"c":"näws","d":"some \\data é"},"i":10}"#;
        let plain = r#"{"m":"mesh.publish","p":{"c":"news","d":"some plain data"},"i":10}"#;
        for text in [whole, plain] {
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
}

//! How a record looks to readers that want JSON (interchange, section 2).

use crate::model::json;
use crate::model::record::{Body, Record};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Appends the JSON value that JSON streams and queries see for `record`.
pub fn write_json(record: &Record<'_>, out: &mut Vec<u8>) {
    match record.body {
        Body::Json(text) | Body::Derived { json: text, .. } => out.extend_from_slice(text),
        Body::Lifecycle { json: text, .. } => out.extend_from_slice(text),
        // Readers go through `Record::each`.
        Body::Rows(_) => out.extend_from_slice(b"null"),
        Body::Frame { binary: true, bytes, .. } => {
            out.extend_from_slice(b"{\"binary\":\"");
            write_base64(bytes, out);
            out.extend_from_slice(b"\"}");
        }
        Body::Frame { bytes, .. } => match json::check(bytes) {
            Ok(value) => out.extend_from_slice(value.text),
            Err(_) => json::write_string(out, &String::from_utf8_lossy(bytes)),
        },
    }
}

/// Appends standard base64 with padding.
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), true).unwrap_or(0);
    out.resize(start + length, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_body_has_the_view_of_the_table() {
        let frame =
            |binary, bytes| Body::Frame { binary, bytes, context: b"{\"a\":1}", event: b"" };
        for (body, want) in [
            (Body::Json(b"{\"a\": 1.50}"), "{\"a\": 1.50}"),
            (frame(false, b" 42 "), "42"),
            (frame(false, b"plain"), "\"plain\""),
            (frame(true, &[0, 255, 16]), "{\"binary\":\"AP8Q\"}"),
            (frame(true, &[0]), "{\"binary\":\"AA==\"}"),
            (
                Body::Lifecycle { json: b"{\"event\":\"close\"}", context: b"" },
                "{\"event\":\"close\"}",
            ),
        ] {
            let mut out = Vec::new();
            write_json(&Record { time: 0, producer: 0, body }, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}

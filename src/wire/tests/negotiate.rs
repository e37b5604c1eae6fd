//! The opening handshake: refusals, subprotocols, and what compression comes to.

use crate::wire::http::parse_head;
use crate::wire::ws::deflate::Preference;
use crate::wire::ws::handshake::{upgrade, write_accept};

/// A request for WebSocket with `lines` instead of, or beside, the usual ones.
fn request(lines: &[&str]) -> String {
    let usual = [
        "Host: h",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let name = |line: &str| line.split(':').next().unwrap().to_ascii_lowercase();
    let mut out = String::from("GET /ws HTTP/1.1\r\n");
    for line in usual.iter().filter(|usual| !lines.iter().any(|line| name(line) == name(usual))) {
        out += &format!("{line}\r\n");
    }
    for line in lines.iter().filter(|line| !line.ends_with('!')) {
        out += &format!("{line}\r\n");
    }
    out + "\r\n"
}

fn status(text: &str) -> u16 {
    let (head, _) = parse_head(text.as_bytes()).unwrap().unwrap();
    upgrade(&head).map_or_else(|error| error.status, |_| 101)
}

#[test]
fn refusals_of_the_handshake() {
    let cases: [(&[&str], u16); 17] = [
        (&[], 101),
        (&["Upgrade: WebSocket", "Connection: keep-alive, upgrade"], 101),
        (&["Content-Length: 0"], 101),
        (&["Upgrade: h2c, websocket"], 101),
        (&["Upgrade!"], 101),
        (&["Upgrade:!"], 426),
        (&["Connection: close"], 426),
        (&["Sec-WebSocket-Version: 8"], 426),
        (&["Sec-WebSocket-Version:!"], 426),
        (&["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"], 400),
        (&["Sec-WebSocket-Key:!"], 400),
        (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"], 400),
        (&["Sec-WebSocket-Key: c2hvcnQ="], 400),
        (&["Sec-WebSocket-Key: !!hlIHNhbXBsZSBub25jZQ=="], 400),
        (&["Content-Length: 5"], 400),
        (&["Sec-WebSocket-Extensions: a; b=\"c"], 400),
        (&["Sec-WebSocket-Extensions: a b"], 400),
    ];
    for (lines, expected) in cases {
        assert_eq!(status(&request(lines)), expected, "{lines:?}");
    }
    assert_eq!(status(&request(&[]).replace("GET", "POST")), 405);
    assert_eq!(status(&request(&[]).replace("HTTP/1.1", "HTTP/1.0")), 400);
    let old = request(&["Sec-WebSocket-Version: 8"]);
    let (head, _) = parse_head(old.as_bytes()).unwrap().unwrap();
    let mut out = Vec::new();
    upgrade(&head).unwrap_err().write(&mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    assert!(out.contains("\r\nSec-WebSocket-Version: 13\r\n"));
    assert!(out.contains("\r\nConnection: close\r\n"));
}

#[test]
fn exact_answer() {
    let text = request(&[
        "Sec-WebSocket-Protocol: mqtt, v1.mesh",
        "Sec-WebSocket-Protocol: raw",
        "Sec-WebSocket-Extensions: permessage-deflate",
    ]);
    let (head, _) = parse_head(text.as_bytes()).unwrap().unwrap();
    let offer = upgrade(&head).unwrap();
    assert_eq!(offer.subprotocols().collect::<Vec<_>>(), ["mqtt", "v1.mesh", "raw"]);
    let agreed = offer.deflate(&Preference::default()).unwrap();
    let mut out = Vec::new();
    write_accept(&mut out, &offer, Some("raw"), Some(&agreed), &[("Server", "a\r\nb: c")]);
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: raw\r\nSec-WebSocket-Extensions: permessage-deflate; \
        server_no_context_takeover; client_no_context_takeover\r\nServer: a  b: c\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let mut out = Vec::new();
    write_accept(&mut out, &offer, Some("other"), None, &[]);
    assert!(!String::from_utf8(out).unwrap().contains("other"));
}

/// What `offer` is answered with, in short; "-" when it is declined.
fn answer(offer: &str, preference: &Preference) -> String {
    let text = request(&[&format!("Sec-WebSocket-Extensions: {offer}")]);
    let (head, _) = parse_head(text.as_bytes()).unwrap().unwrap();
    let Some(agreed) = upgrade(&head).unwrap().deflate(preference) else { return "-".into() };
    let mut value = String::new();
    agreed.write_parameters(&mut value);
    value
        .replace("permessage-deflate", "pmd")
        .replace("_no_context_takeover", "_nct")
        .replace("_max_window_bits", "_mwb")
}

#[test]
fn compression_offers() {
    let drop = Preference::default();
    let keep =
        Preference { server_no_context_takeover: false, client_no_context_takeover: false, ..drop };
    let narrow = Preference { server_max_window_bits: 10, client_max_window_bits: 9, ..keep };
    let pmd = "permessage-deflate";
    let cases = [
        (pmd.to_string(), keep, "pmd"),
        (pmd.to_string(), drop, "pmd; server_nct; client_nct"),
        (pmd.to_string(), narrow, "pmd; server_mwb=10"),
        (format!("{pmd}; server_no_context_takeover"), keep, "pmd; server_nct"),
        (format!("{pmd}; client_no_context_takeover"), keep, "pmd; client_nct"),
        (format!("{pmd}; client_max_window_bits"), keep, "pmd"),
        (format!("{pmd}; client_max_window_bits"), narrow, "pmd; server_mwb=10; client_mwb=9"),
        (format!("{pmd}; client_max_window_bits=8"), narrow, "pmd; server_mwb=10; client_mwb=8"),
        (format!("{pmd}; client_max_window_bits=12"), keep, "pmd; client_mwb=12"),
        (format!("{pmd}; server_max_window_bits=15"), keep, "pmd; server_mwb=15"),
        (format!("{pmd}; server_max_window_bits=\"9\""), keep, "pmd; server_mwb=9"),
        (format!("{pmd};server_max_window_bits = 12 "), narrow, "pmd; server_mwb=10"),
        (format!("{pmd}; server_max_window_bits=8"), keep, "-"),
        (format!("{pmd}; server_max_window_bits=8, {pmd}"), keep, "pmd"),
        (format!("{pmd}; server_max_window_bits"), keep, "-"),
        (format!("{pmd}; server_max_window_bits=16"), keep, "-"),
        (format!("{pmd}; server_max_window_bits=7"), keep, "-"),
        (format!("{pmd}; server_max_window_bits=09"), keep, "-"),
        (format!("{pmd}; client_max_window_bits=+9"), keep, "-"),
        (format!("{pmd}; server_no_context_takeover=1"), keep, "-"),
        (format!("{pmd}; server_no_context_takeover; server_no_context_takeover"), keep, "-"),
        (format!("{pmd}; client_max_window_bits; client_max_window_bits=9"), keep, "-"),
        (format!("{pmd}; unknown"), keep, "-"),
        (format!("other; x=y, {pmd}; unknown=1, {pmd}; client_max_window_bits"), keep, "pmd"),
        ("x-webkit-deflate-frame".to_string(), keep, "-"),
        (format!(",, {pmd} ,"), keep, "pmd"),
    ];
    for (offer, preference, expected) in cases {
        assert_eq!(answer(&offer, &preference), expected, "{offer}");
    }
}

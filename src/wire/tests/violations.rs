//! Violations: each has its exact code, at the octet that shows it, however the bytes are cut.

use super::*;

/// `frame` without its mask bit's key and payload: a header as given.
fn raw(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

#[test]
fn each_violation_has_its_code() {
    let open_text = frame(0x01, b"open");
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("rsv1 without compression", frame(0xc1, b""), 1002),
        ("rsv2", frame(0xa1, b""), 1002),
        ("rsv3", frame(0x91, b""), 1002),
        ("rsv1 on a ping", frame(0xc9, b""), 1002),
        ("opcode 3", frame(0x83, b""), 1002),
        ("opcode 7", frame(0x87, b""), 1002),
        ("opcode 11", frame(0x8b, b""), 1002),
        ("opcode 15", frame(0x8f, b""), 1002),
        ("not masked", raw(&[0x81, 0x00]), 1002),
        ("ping of 126", frame(0x89, &[0; 126]), 1002),
        ("ping with 64-bit length", raw(&[0x89, 0xff]), 1002),
        ("fragmented ping", frame(0x09, b""), 1002),
        ("fragmented close", frame(0x08, b""), 1002),
        ("16-bit length of 125", raw(&[0x82, 0xfe, 0, 125]), 1002),
        ("64-bit length of 65535", raw(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255]), 1002),
        ("top bit of the length", raw(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]), 1002),
        ("continuation of nothing", frame(0x80, b""), 1002),
        ("open continuation of nothing", frame(0x00, b""), 1002),
        ("text in text", [open_text.clone(), frame(0x81, b"")].concat(), 1002),
        ("binary in text", [open_text.clone(), frame(0x02, b"")].concat(), 1002),
        ("continuation after the end", [frame(0x81, b"a"), frame(0x80, b"b")].concat(), 1002),
        ("64-bit length over the limit", raw(&[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0]), 1009),
        ("close of one byte", frame(0x88, b"\x03"), 1002),
        ("close reason not UTF-8", close(1000, b"ok \xff"), 1007),
        ("close reason cut", close(1000, b"\xe2\x82"), 1007),
        ("text not UTF-8", frame(0x81, b"ok \xff"), 1007),
        ("text cut in a character", frame(0x81, b"\xe2\x82"), 1007),
        ("fragments not UTF-8", [frame(0x01, b"\xe2\x82"), frame(0x80, b"a")].concat(), 1007),
        ("fragments cut", [frame(0x01, b"a\xe2"), frame(0x80, b"\x82")].concat(), 1007),
        ("surrogate over fragments", [frame(0x01, b"\xed"), frame(0x00, b"\xa0")].concat(), 1007),
    ];
    for (name, stream, code) in cases {
        let (_, got) = decode_every_way(&PLAIN, &stream);
        assert_eq!(got, Some(code), "{name}");
    }
}

#[test]
fn every_close_code_is_judged_like_tungstenite_does() {
    for code in 0..=u16::MAX {
        let (seen, got) = decode(&PLAIN, std::iter::once(&close(code, b"why")[..]));
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(got, (!allowed).then_some(1002), "{code}");
        assert_eq!(!seen.is_empty(), allowed, "{code}");
        // 1014 (bad gateway) is registered, and unknown to tungstenite.
        if code == 1014 {
            continue;
        }
        let oracle = tungstenite::protocol::frame::coding::CloseCode::from(code);
        assert_eq!(oracle.is_allowed(), allowed, "{code}: {oracle:?}");
    }
}

/// Octet by octet: the refusal must come with octet `at`, not later.
fn refused_at(policy: &Policy, stream: &[u8], at: usize, code: u16) {
    for end in 0..=stream.len() {
        let (_, got) = decode(policy, stream[..end].chunks(1));
        assert_eq!(got, (end > at).then_some(code), "after {end} octets");
    }
}

#[test]
fn bad_text_is_refused_at_its_first_bad_octet() {
    // Header of six octets; then where in the text it goes wrong (Autobahn 6.4).
    let cases: [(&[u8], usize); 6] = [
        (b"abc\xffdef", 3),
        (b"\xce\xba\xe1\xbd\xb9\xf4\x90\x80\x80edited", 6),
        (b"ab\xed\xa0\x80cd", 3),
        (b"\xc0\xafzzz", 0),
        (b"\xe2\x82zzz", 2),
        (b"\xf0\x80\x80\x80", 1),
    ];
    for (text, bad) in cases {
        refused_at(&PLAIN, &frame(0x81, text), 6 + bad, 1007);
        refused_at(&PLAIN, &frame(0x01, text), 6 + bad, 1007);
        let start = frame(0x01, "é".as_bytes());
        let both = [start.clone(), frame(0x00, text)].concat();
        refused_at(&PLAIN, &both, start.len() + 6 + bad, 1007);
    }
}

#[test]
fn size_is_refused_by_the_header() {
    let policy = Policy { message_bytes_max: 1000, deflate: None };
    refused_at(&policy, &frame(0x82, &[0; 1001]), 3, 1009);
    let start = frame(0x02, &[0; 900]);
    let both = [start.clone(), frame(0x80, &[0; 101])].concat();
    refused_at(&policy, &both, start.len() + 1, 1009);
}

#[test]
fn framing_is_refused_at_its_first_octets() {
    refused_at(&PLAIN, &frame(0x83, b"abc"), 0, 1002);
    refused_at(&PLAIN, &frame(0x09, b"abc"), 0, 1002);
    refused_at(&PLAIN, &frame(0x89, &[0; 126]), 1, 1002);
    refused_at(&PLAIN, &[0x81, 0x05, 1, 2, 3, 4, 5], 1, 1002);
}

#[test]
fn nothing_is_decoded_after_a_refusal() {
    let mut decoder = Decoder::new();
    let mut inflater = Inflater::new();
    let mut buffer = [frame(0x83, b""), frame(0x81, b"later")].concat();
    let mut used = 0;
    assert!(decoder.next(&mut buffer, &mut used, &PLAIN, &mut inflater).is_err());
    assert_eq!(used, buffer.len());
    let mut more = frame(0x81, b"later");
    used = 0;
    assert_eq!(decoder.next(&mut more, &mut used, &PLAIN, &mut inflater), Ok(None));
    assert_eq!(used, more.len());
    assert!(decoder.idle());
}

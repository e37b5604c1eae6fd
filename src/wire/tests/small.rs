//! The small parts against the obvious way of doing them: masks, UTF-8, frame headers.

use super::*;
use crate::wire::ws::utf8::Utf8;
use crate::wire::ws::{Opcode, encode};

#[test]
fn masks_of_all_lengths_and_alignments() {
    let key = [0xa5, 0x01, 0xff, 0x3c];
    let source = Random::new(7).bytes(320);
    for start in 0..16 {
        for len in 0..300 {
            let mut bytes = source.clone();
            mask::apply(&mut bytes[start..start + len], key);
            for (at, byte) in bytes.iter().enumerate() {
                let inside = (start..start + len).contains(&at);
                let expected = if inside { source[at] ^ key[(at - start) % 4] } else { source[at] };
                assert_eq!(*byte, expected, "start {start} length {len} at {at}");
            }
        }
    }
}

#[test]
fn masks_in_pieces() {
    let key = [1, 2, 3, 4];
    let source = Random::new(9).bytes(100);
    let mut whole = source.clone();
    mask::apply(&mut whole, key);
    for cut in 0..source.len() {
        let mut pieces = source.clone();
        let (head, tail) = pieces.split_at_mut(cut);
        mask::apply(head, key);
        mask::apply(tail, mask::advance(key, cut));
        assert_eq!(pieces, whole, "cut at {cut}");
    }
}

/// Where std says the first octet lies that cannot be: its index, or `None` for a prefix of UTF-8.
fn first_bad(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|&end| {
        std::str::from_utf8(&bytes[..=end]).is_err_and(|error| error.error_len().is_some())
    })
}

fn check_utf8(bytes: &[u8]) {
    let bad = first_bad(bytes);
    let mut single = Utf8::new();
    let seen = bytes.iter().position(|byte| single.push(&[*byte]).is_err());
    assert_eq!(seen, bad, "{bytes:02x?} octet by octet");
    for cut in 0..=bytes.len() {
        let mut utf8 = Utf8::new();
        let (head, tail) = bytes.split_at(cut);
        let pushed = utf8.push(head).and_then(|()| utf8.push(tail));
        assert_eq!(pushed.is_err(), bad.is_some(), "{bytes:02x?} cut at {cut}");
        let whole = pushed.and_then(|()| utf8.finish());
        assert_eq!(whole.is_ok(), std::str::from_utf8(bytes).is_ok(), "{bytes:02x?} at {cut}");
    }
}

#[test]
fn utf8_agrees_with_std_on_small_inputs() {
    let edges = [
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
        0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];
    for a in 0..=255 {
        for b in 0..=255 {
            check_utf8(&[a, b]);
        }
    }
    for a in edges {
        for b in edges {
            for c in edges {
                check_utf8(&[a, b, c]);
                for d in [0x41, 0x7f, 0x80, 0xbf, 0xc2, 0xf4] {
                    check_utf8(&[a, b, c, d]);
                }
            }
        }
    }
}

#[test]
fn utf8_agrees_with_std_on_random_text() {
    let mut random = Random::new(3);
    for _ in 0..300 {
        let mut bytes: Vec<u8> = (0..random.below(40))
            .filter_map(|_| char::from_u32((random.next() % 0x11_0000) as u32))
            .collect::<String>()
            .into_bytes();
        check_utf8(&bytes);
        if !bytes.is_empty() {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
            check_utf8(&bytes);
        }
    }
    assert!(size_of::<Utf8>() <= 8);
}

#[test]
fn exact_bytes_of_outbound_frames() {
    let write = |put: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        put(&mut out);
        out
    };
    assert_eq!(write(&|out| encode::text(out, b"Hello")), b"\x81\x05Hello");
    assert_eq!(write(&|out| encode::binary(out, b"")), b"\x82\x00");
    assert_eq!(write(&|out| encode::ping(out, b"p")), b"\x89\x01p");
    assert_eq!(write(&|out| encode::pong(out, &[1; 200]))[..2], [0x8a, 125]);
    assert_eq!(write(&|out| encode::header(out, Opcode::Text, true, 5)), b"\xc1\x05");
    assert_eq!(write(&|out| encode::header(out, Opcode::Text, false, 125)), b"\x81\x7d");
    assert_eq!(write(&|out| encode::header(out, Opcode::Text, false, 126)), b"\x81\x7e\x00\x7e");
    assert_eq!(
        write(&|out| encode::header(out, Opcode::Binary, false, 65535)),
        b"\x82\x7e\xff\xff"
    );
    let long = b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00";
    assert_eq!(write(&|out| encode::header(out, Opcode::Binary, false, 65536)), long);
    assert_eq!(write(&|out| encode::close(out, 1000, "bye")), b"\x88\x05\x03\xe8bye");
    assert_eq!(write(&|out| encode::close(out, None, "lost")), b"\x88\x00");
    assert_eq!(write(&|out| encode::close(out, 1005, "")), b"\x88\x02\x03\xf3");
    let cut = write(&|out| encode::close(out, Some(1001), &"é".repeat(100)));
    assert_eq!(cut.len(), 2 + 2 + 122);
    assert!(std::str::from_utf8(&cut[4..]).is_ok());
}

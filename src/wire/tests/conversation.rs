//! Conversations that are right: the same messages however the bytes are cut, and what is held.

use super::*;

/// Frames of all kinds; texts and binaries whole, fragmented, and with control frames between.
fn stream() -> (Vec<u8>, Vec<Owned>) {
    let mut out = Vec::new();
    let mut seen = Vec::new();
    let long: Vec<u8> = (0..300u32).map(|n| n as u8).collect();
    let text = "κόσμε – \u{10ffff} plain";
    let mut put = |bytes: Vec<u8>, owned: Option<Owned>| {
        out.extend_from_slice(&bytes);
        seen.extend(owned);
    };
    put(frame(0x81, text.as_bytes()), Some(Owned::Text(text.into())));
    put(frame(0x81, b""), Some(Owned::Text(vec![])));
    put(frame(0x82, &long), Some(Owned::Binary(long.clone())));
    put(frame(0x89, b"ping"), Some(Owned::Ping(b"ping".to_vec())));
    put(frame(0x8a, &long[..125]), Some(Owned::Pong(long[..125].to_vec())));
    put(frame(0x01, &text.as_bytes()[..3]), None);
    put(frame(0x89, b""), Some(Owned::Ping(vec![])));
    put(frame(0x00, b""), None);
    put(frame(0x00, &text.as_bytes()[3..13]), None);
    put(frame(0x8a, b"pong"), Some(Owned::Pong(b"pong".to_vec())));
    put(frame(0x80, &text.as_bytes()[13..]), Some(Owned::Text(text.into())));
    put(frame(0x02, b""), None);
    put(frame(0x80, b""), Some(Owned::Binary(vec![])));
    put(frame(0x02, &long[..150]), None);
    put(frame(0x80, &long[150..]), Some(Owned::Binary(long.clone())));
    put(frame(0x88, b"\x03\xe8bye"), Some(Owned::Close(Some(1000), b"bye".to_vec())));
    put(frame(0x81, b"after close"), None);
    put(vec![0xff; 5], None);
    (out, seen)
}

#[test]
fn every_cut_gives_the_same_messages() {
    let (stream, seen) = stream();
    assert_eq!(decode_every_way(&PLAIN, &stream), (seen, None));
}

#[test]
fn close_without_code() {
    let seen = vec![Owned::Close(None, vec![])];
    assert_eq!(decode_every_way(&PLAIN, &frame(0x88, b"")), (seen, None));
}

#[test]
fn whole_frames_are_lent_from_the_buffer_and_hold_nothing() {
    let mut decoder = Decoder::new();
    let mut inflater = Inflater::new();
    let mut buffer = frame(0x81, b"in place");
    let bounds = buffer.as_ptr_range();
    let mut used = 0;
    let message = decoder.next(&mut buffer, &mut used, &PLAIN, &mut inflater).unwrap().unwrap();
    let Incoming::Text(bytes) = message else { panic!("not text") };
    assert!(bounds.contains(&bytes.as_ptr()));
    assert!(decoder.idle());
    assert_eq!(decoder.buffered_bytes(), 0);
    assert!(size_of::<Decoder>() <= 32);
}

#[test]
fn memory_follows_what_arrived_and_is_freed() {
    let policy = Policy { message_bytes_max: 64 << 20, deflate: None };
    let mut decoder = Decoder::new();
    let mut inflater = Inflater::new();
    let payload = vec![b'x'; 10 << 20];
    let stream = frame(0x82, &payload);
    let mut arrived = 0;
    let mut whole = 0;
    for piece in stream.chunks(50_000) {
        let mut buffer = piece.to_vec();
        let mut used = 0;
        arrived += piece.len();
        while let Some(incoming) =
            decoder.next(&mut buffer, &mut used, &policy, &mut inflater).unwrap()
        {
            assert_eq!(Owned::from(incoming), Owned::Binary(payload.clone()));
            whole += 1;
        }
        assert!(decoder.buffered_bytes() <= 2 * arrived + 1024, "after {arrived}");
        assert!(decoder.buffered_bytes() <= payload.len() + 1024);
        assert_eq!(decoder.idle(), arrived == stream.len());
    }
    assert_eq!(whole, 1);
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn only_an_incomplete_frame_is_held() {
    let mut decoder = Decoder::new();
    let mut inflater = Inflater::new();
    let stream = frame(0x89, b"ab");
    for (at, byte) in stream.iter().enumerate() {
        let mut used = 0;
        let mut buffer = [*byte];
        let last = at + 1 == stream.len();
        let got = decoder.next(&mut buffer, &mut used, &PLAIN, &mut inflater).unwrap();
        assert_eq!(got.is_some(), last);
        assert_eq!(decoder.idle(), last);
        assert!(decoder.buffered_bytes() > 0);
    }
    assert_eq!(decoder.next(&mut [], &mut 0, &PLAIN, &mut inflater), Ok(None));
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn limit_is_inclusive_for_whole_and_fragmented() {
    let policy = Policy { message_bytes_max: 10, deflate: None };
    let ten = Owned::Binary(b"0123456789".to_vec());
    let whole = frame(0x82, b"0123456789");
    assert_eq!(decode_every_way(&policy, &whole), (vec![ten.clone()], None));
    let parts = [frame(0x02, b"01234"), frame(0x89, &[7; 100]), frame(0x80, b"56789")].concat();
    assert_eq!(decode_every_way(&policy, &parts), (vec![Owned::Ping(vec![7; 100]), ten], None));
}

//! Random and damaged bytes: nothing may panic, and the cuts may not matter.

use super::*;
use crate::wire::http::{BodyLength, BodyReader, parse_head};

const HEAD: &[u8] = b"POST /a%20b?c=d&e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
    Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nX: \xc3\xa9\r\n\r\n";

fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.insert(at, b"\r\n: ,;\0x"[random.below(8)]),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
}

#[test]
fn heads() {
    let mut random = Random::new(21);
    for round in 0..60_000 {
        let bytes = if round % 4 == 0 {
            let len = random.below(80);
            random.bytes(len)
        } else {
            let mut bytes = HEAD.to_vec();
            damage(&mut random, &mut bytes);
            bytes
        };
        let whole = parse_head(&bytes);
        if let Ok(Some((head, used))) = &whole {
            assert!(*used <= bytes.len());
            assert!(head.path.starts_with('/') || !head.path.is_empty());
            assert!(head.headers.iter().count() <= 64);
        }
        let cut = random.below(bytes.len() + 1);
        match (parse_head(&bytes[..cut]), whole) {
            (Ok(Some((_, early))), Ok(Some((_, late)))) => assert_eq!(early, late),
            (Ok(Some(_)), other) => panic!("complete, then {other:?}"),
            (Err(_), Ok(late)) => panic!("refused, then {late:?}"),
            _ => {}
        }
    }
}

#[test]
fn bodies() {
    let mut random = Random::new(22);
    for _ in 0..40_000 {
        let mut bytes = b"5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\nnext".to_vec();
        damage(&mut random, &mut bytes);
        let run = |cut: usize| {
            let mut reader = BodyReader::new(BodyLength::Chunked, 64).unwrap();
            let mut body = Vec::new();
            let (head, tail) = bytes.split_at(cut);
            let mut total = 0;
            for piece in [head, tail] {
                let (used, complete) = reader.feed(piece, &mut body)?;
                total += used;
                if complete {
                    return Ok((total, true, body));
                }
                assert_eq!(used, piece.len());
            }
            Ok::<_, crate::wire::http::HttpError>((total, false, body))
        };
        assert_eq!(run(0), run(random.below(bytes.len())));
    }
}

#[test]
fn frames() {
    let mut random = Random::new(23);
    let policies = [
        Policy { message_bytes_max: 4096, deflate: None },
        Policy { message_bytes_max: 4096, deflate: Some(Agreed::default()) },
    ];
    let openers = [0x81, 0x82, 0x01, 0x02, 0x80, 0x00, 0x89, 0x8a, 0x88, 0xc1, 0xc2, 0x41];
    for round in 0..60_000 {
        let policy = &policies[round % 2];
        let mut stream = Vec::new();
        for _ in 0..1 + random.below(6) {
            let len = random.below(140);
            let payload = if random.below(2) == 0 { random.bytes(len) } else { vec![b'a'; len] };
            stream.extend(frame(openers[random.below(openers.len())], &payload));
        }
        if random.below(2) == 0 {
            damage(&mut random, &mut stream);
        }
        let whole = decode(policy, std::iter::once(&stream[..]));
        let cut = random.below(stream.len() + 1);
        let (head, tail) = stream.split_at(cut);
        assert_eq!(decode(policy, [head, tail].into_iter()), whole, "round {round}");
        let size = 1 + random.below(9);
        assert_eq!(decode(policy, stream.chunks(size)), whole, "round {round} by {size}");
    }
}

#[test]
fn noise() {
    let mut random = Random::new(24);
    for _ in 0..40_000 {
        let len = random.below(60);
        let stream = random.bytes(len);
        let whole = decode(&compressed(Agreed::default()), std::iter::once(&stream[..]));
        assert_eq!(decode(&compressed(Agreed::default()), stream.chunks(1)), whole);
    }
}

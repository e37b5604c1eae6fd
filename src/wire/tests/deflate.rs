//! permessage-deflate: round trips of both directions, examples of RFC 7692, and hostile data.

use super::*;
use crate::wire::ws::deflate::{DeflatePool, Deflater};

fn agreed(context: bool, bits: u8) -> Agreed {
    Agreed {
        server_no_context_takeover: !context,
        client_no_context_takeover: !context,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
        server_window_named: false,
    }
}

/// Texts that repeat themselves near and far, and one that does not compress.
fn messages() -> Vec<Vec<u8>> {
    let mut random = Random::new(31);
    let noise = random.bytes(3000);
    let line = b"{\"sensor\":\"t-0042\",\"value\":21.5,\"unit\":\"C\"}".to_vec();
    let far = [&noise[..], &line.repeat(40), &noise[..], &line].concat();
    vec![line.clone(), vec![], line.repeat(1000), noise.clone(), far, vec![], line, noise]
}

/// Frames of `payload` compressed by `deflater`, in `parts` fragments.
fn compressed_frames(deflater: &mut Deflater, payload: &[u8], parts: usize) -> Vec<u8> {
    let mut data = Vec::new();
    deflater.compress(payload, &mut data).unwrap();
    let size = data.len().div_ceil(parts).max(1);
    let chunks: Vec<_> = data.chunks(size).collect();
    let mut out = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        let fin = if at + 1 == chunks.len() { 0x80 } else { 0 };
        out.extend(frame(fin | if at == 0 { 0x42 } else { 0 }, chunk));
        out.extend(frame(0x89, b"between"));
    }
    out
}

#[test]
fn round_trips_of_all_windows_and_contexts() {
    for context in [false, true] {
        for bits in 9..=15 {
            for parts in [1, 3] {
                let agreed = agreed(context, bits);
                let mut deflater = Deflater::new(&agreed, 6);
                let stream: Vec<u8> = messages()
                    .iter()
                    .flat_map(|message| compressed_frames(&mut deflater, message, parts))
                    .collect();
                let (seen, code) = decode(&compressed(agreed), stream.chunks(1000));
                assert_eq!(code, None, "bits {bits} context {context}");
                let seen: Vec<_> = seen
                    .into_iter()
                    .filter_map(|owned| match owned {
                        Owned::Binary(bytes) => Some(bytes),
                        _ => None,
                    })
                    .collect();
                assert!(seen == messages(), "bits {bits} context {context} parts {parts}");
            }
        }
    }
}

#[test]
fn context_makes_repeats_small() {
    let mut kept = Deflater::new(&agreed(true, 15), 6);
    let mut dropped = Deflater::new(&agreed(false, 15), 6);
    let message = b"{\"sensor\":\"t-0042\",\"value\":21.5}";
    let mut sizes = [Vec::new(), Vec::new()];
    for _ in 0..2 {
        for (deflater, sizes) in [&mut kept, &mut dropped].into_iter().zip(&mut sizes) {
            let mut out = Vec::new();
            deflater.compress(message, &mut out).unwrap();
            sizes.push(out.len());
        }
    }
    assert!(sizes[0][1] < sizes[0][0]);
    assert_eq!(sizes[1][1], sizes[1][0]);
}

#[test]
fn pool_gives_what_a_deflater_gives() {
    let mut pool = DeflatePool::new(6);
    for bits in 9..=15 {
        for message in messages() {
            let (mut a, mut b) = (b"head".to_vec(), b"head".to_vec());
            pool.compress(bits, &message, &mut a).unwrap();
            Deflater::new(&agreed(false, bits), 6).compress(&message, &mut b).unwrap();
            assert_eq!(a, b);
        }
    }
}

#[test]
fn cuts_do_not_matter() {
    for context in [false, true] {
        let agreed = agreed(context, 15);
        let mut deflater = Deflater::new(&agreed, 6);
        let mut stream = compressed_frames(&mut deflater, b"Hello, hello, hello", 1);
        stream.extend(compressed_frames(&mut deflater, b"hello again, hello", 3));
        stream.extend(frame(0x81, b"plain between"));
        stream.extend(compressed_frames(&mut deflater, b"", 1));
        let (seen, code) = decode_every_way(&compressed(agreed), &stream);
        assert_eq!((seen.len(), code), (9, None));
    }
}

#[test]
fn examples_of_the_rfc() {
    let hello = Owned::Text(b"Hello".to_vec());
    let cases: [(&[u8], &[u8]); 5] = [
        (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello"),
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),
        (b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", b"Hello"),
        (b"\x00", b""),
    ];
    for context in [false, true] {
        for (payload, text) in cases {
            let got = decode_every_way(&compressed(agreed(context, 15)), &frame(0xc1, payload));
            assert_eq!(got, (vec![Owned::Text(text.to_vec())], None), "{payload:02x?}");
        }
    }
    // 7.2.3.2: the second message refers to the first.
    let second = frame(0xc1, b"\xf2\x00\x11\x00\x00");
    let both = [frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"), second].concat();
    let kept = decode_every_way(&compressed(agreed(true, 15)), &both);
    assert_eq!(kept, (vec![hello.clone(), hello.clone()], None));
    let dropped = decode_every_way(&compressed(agreed(false, 15)), &both);
    assert_eq!(dropped, (vec![hello], Some(1007)));
}

#[test]
fn nothing_of_one_connection_shows_in_another() {
    let policy = compressed(agreed(false, 15));
    let mut inflater = Inflater::new();
    let mut first = frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    let mut decoder = Decoder::new();
    let got = decoder.next(&mut first, &mut 0, &policy, &mut inflater);
    assert!(matches!(got, Ok(Some(_))));
    let mut second = frame(0xc1, b"\xf2\x00\x11\x00\x00");
    let mut other = Decoder::new();
    let got = other.next(&mut second, &mut 0, &policy, &mut inflater);
    assert_eq!(got.unwrap_err().code, 1007);
}

#[test]
fn hostile_data_is_refused() {
    let cases: [(&str, Vec<u8>, u16); 7] = [
        ("reserved block type", frame(0xc1, b"\x07\x00\x00"), 1007),
        ("stored length broken", frame(0xc1, b"\x00\x05\x00\x00\x00Hello"), 1007),
        ("cut in a block", frame(0xc1, b"\xf2\x48\xcd"), 1007),
        ("stored block cut", frame(0xc2, b"\x00\x40\x00\xbf\xffabc"), 1007),
        ("inflated text not UTF-8", frame(0xc1, b"\x00\x01\x00\xfe\xff\xff\x00"), 1007),
        ("too many final blocks", frame(0xc2, &b"\x03\x00".repeat(65)), 1007),
        ("rsv1 on a continuation", [frame(0x41, b"\x00"), frame(0xc0, b"")].concat(), 1002),
    ];
    for (name, stream, code) in cases {
        let (_, got) = decode_every_way(&compressed(agreed(false, 15)), &stream);
        assert_eq!(got, Some(code), "{name}");
    }
}

#[test]
fn bomb_is_refused_in_bounded_memory() {
    // 1 GiB of zeros as one message of about 1 MiB: after a first mebibyte each further one
    // compresses to the same bytes.
    let mut deflater = Deflater::new(&agreed(true, 15), 9);
    let mut mebibyte = || {
        let mut out = Vec::new();
        deflater.compress(&vec![0; 1 << 20], &mut out).unwrap();
        out.extend_from_slice(&[0, 0, 0xff, 0xff]);
        out
    };
    let mut bomb = mebibyte();
    mebibyte();
    bomb.extend(mebibyte().repeat(1023));
    assert!(bomb.len() < 2 << 20);
    let limit = 4 << 20;
    let policy = Policy { message_bytes_max: limit, deflate: Some(agreed(false, 15)) };
    let mut inflater = Inflater::new();
    let mut buffer = frame(0xc2, &bomb);
    let mut decoder = Decoder::new();
    let got = decoder.next(&mut buffer, &mut 0, &policy, &mut inflater);
    assert_eq!(got.unwrap_err().code, 1009);
    assert!(inflater.bytes() <= limit + 1);
    inflater.trim();
    assert!(inflater.bytes() <= 256 << 10);
}

#[test]
fn limit_counts_inflated_bytes() {
    for (len, code) in [(5000, None), (5001, Some(1009))] {
        let mut deflater = Deflater::new(&agreed(false, 15), 6);
        let stream = compressed_frames(&mut deflater, &vec![b'x'; len], 2);
        let policy = Policy { message_bytes_max: 5000, deflate: Some(agreed(false, 15)) };
        let (_, got) = decode_every_way(&policy, &stream);
        assert_eq!(got, code, "{len}");
    }
}

#[test]
fn noise_within_the_limit_passes() {
    let noise = Random::new(5).bytes(200_000);
    for level in [0, 1, 6, 9] {
        for bits in [9, 15] {
            let mut deflater = Deflater::new(&agreed(false, bits), level);
            let stream = compressed_frames(&mut deflater, &noise, 1);
            let deflate = Some(agreed(false, bits));
            let policy = Policy { message_bytes_max: noise.len(), deflate };
            let (seen, code) = decode(&policy, stream.chunks(60_000));
            assert_eq!((seen.len(), code), (2, None), "level {level} bits {bits}");
        }
    }
}

//! HTTP: what is accepted and refused, bodies at every cut, exact answers.

use super::Random;
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX};
use crate::wire::http::*;

/// Status of the refusal; 200 when accepted, 0 when more bytes are needed.
fn status(bytes: &[u8]) -> u16 {
    match parse_head(bytes) {
        Ok(Some(_)) => 200,
        Ok(None) => 0,
        Err(error) => error.status,
    }
}

/// Heads and what becomes of them.
const HEADS: &[(&[u8], u16)] = &[
    (b"", 0),
    (b"\r", 0),
    (b"\r\n", 0),
    (b"GET / HTTP/1.1\r\nHost: h\r\n", 0),
    (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 200),
    (b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 200),
    (b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET / HTTP/1.0\r\n\r\n", 200),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
    (b"GET / HTTP/1.1\nHost: h\n\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\n\n", 400),
    (b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tfolded\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX(y): v\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x01b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x7fb\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\tb\r\n\r\n", 200),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: \xc3\xa9\r\n\r\n", 200),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: \xe9\r\n\r\n", 400),
    (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400),
    (b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    (b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / FTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET / http/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", 200),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n", 200),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 501),
    (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
        Transfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
        Content-Length: 5\r\n\r\n",
        400,
    ),
    (b"GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", 417),
];

#[test]
fn strictness() {
    for (bytes, expected) in HEADS {
        assert_eq!(status(bytes), *expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn every_prefix_waits() {
    let whole = b"\r\nPOST /a?b HTTP/1.1\r\nHost: h\r\nX-Y:  z \r\nContent-Length: 5\r\n\r\nabc";
    let end = whole.len() - 3;
    for cut in 0..end {
        assert_eq!(status(&whole[..cut]), 0, "cut at {cut}");
    }
    let (_, used) = parse_head(whole).unwrap().unwrap();
    assert_eq!(used, end);
}

#[test]
fn sizes_of_heads() {
    let pad = |len: usize| {
        let mut bytes = b"GET / HTTP/1.1\r\nHost: h\r\nX: ".to_vec();
        bytes.resize(len - 4, b'x');
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    };
    assert_eq!(status(&pad(HTTP_HEAD_BYTES_MAX)), 200);
    assert_eq!(status(&pad(HTTP_HEAD_BYTES_MAX + 1)), 431);
    assert_eq!(status(&pad(HTTP_HEAD_BYTES_MAX + 1)[..HTTP_HEAD_BYTES_MAX - 1]), 0);
    assert_eq!(status(&pad(HTTP_HEAD_BYTES_MAX * 2)[..HTTP_HEAD_BYTES_MAX]), 431);
    let many = |count: usize| {
        let lines = "a: b\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes()
    };
    assert_eq!(status(&many(HTTP_HEADERS_MAX)), 200);
    assert_eq!(status(&many(HTTP_HEADERS_MAX + 1)), 431);
}

#[test]
fn parts_of_a_head() {
    let bytes = b"PUT http://H:80/a%20b?c=d&e=%2B+f HTTP/1.1\r\nHost: h\r\nx-Y:  z \t\r\n\
        Connection: Keep-Alive , Upgrade\r\nconnection: x\r\nExpect: 100-Continue\r\n\
        Upgrade: foo/1, WebSocket\r\nContent-Length: 7\r\n\r\n";
    let (head, _) = parse_head(bytes).unwrap().unwrap();
    assert_eq!((head.method, head.path, head.query), ("PUT", "/a%20b", Some("c=d&e=%2B+f")));
    assert_eq!(head.target, "http://H:80/a%20b?c=d&e=%2B+f");
    assert_eq!((head.body, head.minor_version), (BodyLength::Bytes(7), 1));
    assert!(head.keep_alive && head.expect_continue && head.upgrade_websocket);
    assert_eq!(head.headers.get("X-y"), Some("z"));
    assert_eq!(head.headers.get("absent"), None);
    assert!(head.headers.has_token("CONNECTION", "X"));
    assert_eq!(head.headers.iter().nth(1), Some(("x-Y", "z")));
    assert_eq!(head.headers.iter().count(), 7);
}

#[test]
fn targets_and_persistence() {
    let targets = [
        ("/", "/", None),
        ("/?", "/", Some("")),
        ("/a?b?c", "/a", Some("b?c")),
        ("/a?u=http://x/y", "/a", Some("u=http://x/y")),
        ("http://h", "/", None),
        ("HTTPS://h?q", "/", Some("q")),
        ("*", "*", None),
        ("h:443", "h:443", None),
    ];
    for (target, path, query) in targets {
        let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, _) = parse_head(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.path, head.query), (path, query), "{target}");
    }
    let persistence = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ];
    for (version, line, keep_alive) in persistence {
        let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{line}\r\n");
        let (head, _) = parse_head(text.as_bytes()).unwrap().unwrap();
        assert_eq!(head.keep_alive, keep_alive, "{version} {line}");
        assert!(!head.expect_continue && !head.upgrade_websocket);
    }
}

#[test]
fn decoding() {
    let paths = [
        ("/a%20b+c", Some("/a b+c")),
        ("%c3%A9", Some("é")),
        ("%c3", None),
        ("%", None),
        ("%4", None),
        ("%4g", None),
        ("%+4", None),
        ("", Some("")),
    ];
    for (path, expected) in paths {
        assert_eq!(percent_decode(path).as_deref(), expected, "{path}");
    }
    let query = "a=1&b=x+y%2b&c&a=2&%64=e=f&bad=%zz&=empty";
    let values = [
        ("a", Some("1")),
        ("b", Some("x y+")),
        ("c", Some("")),
        ("d", Some("e=f")),
        ("bad", None),
        ("", Some("empty")),
        ("z", None),
    ];
    for (name, expected) in values {
        assert_eq!(query_value(query, name).as_deref(), expected, "{name}");
    }
}

/// Feeds `pieces`; what was used, whether it was complete, and the body, or the status.
fn feed<'a>(
    length: BodyLength,
    limit: u64,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<(usize, bool, Vec<u8>), u16> {
    let mut reader = BodyReader::new(length, limit).map_err(|error| error.status)?;
    let (mut total, mut body) = (0, Vec::new());
    for piece in pieces {
        let (used, complete) = reader.feed(piece, &mut body).map_err(|error| error.status)?;
        total += used;
        assert!(body.len() as u64 <= limit);
        if complete {
            return Ok((total, true, body));
        }
        assert_eq!(used, piece.len());
    }
    Ok((total, false, body))
}

fn feed_every_way(length: BodyLength, bytes: &[u8]) -> Result<(usize, bool, Vec<u8>), u16> {
    let whole = feed(length, 64, std::iter::once(bytes));
    let octets = std::iter::once(&b""[..]).chain(bytes.chunks(1));
    assert_eq!(feed(length, 64, octets), whole);
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(feed(length, 64, [head, tail].into_iter()), whole, "cut at {cut}");
    }
    whole
}

#[test]
fn bodies_at_every_cut() {
    let counted = feed_every_way(BodyLength::Bytes(5), b"helloGET /");
    assert_eq!(counted, Ok((5, true, b"hello".to_vec())));
    assert_eq!(feed_every_way(BodyLength::Bytes(5), b"hel"), Ok((3, false, b"hel".to_vec())));
    assert_eq!(feed_every_way(BodyLength::None, b""), Ok((0, true, vec![])));
    assert_eq!(feed_every_way(BodyLength::Bytes(0), b"x"), Ok((0, true, vec![])));
    assert_eq!(feed_every_way(BodyLength::Bytes(65), b"x"), Err(413));
    let long_extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(256));
    let accepted: [(&str, &str); 6] = [
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n6;x=\"y\"\r\n world\r\n00\r\n\r\n", "hello world"),
        ("0\r\nTrailer: x\r\nOther: y\r\n\r\n", ""),
        ("0000000000000001\r\nx\r\n0\r\n\r\n", "x"),
        (
            "40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n0\r\n\r\n",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
        (&long_extension, "x"),
    ];
    for (text, body) in accepted {
        let next = format!("{text}NEXT");
        let got = feed_every_way(BodyLength::Chunked, next.as_bytes());
        assert_eq!(got, Ok((text.len(), true, body.into())), "{text}");
    }
}

#[test]
fn bad_chunks_at_every_cut() {
    let too_long = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(257));
    let big_trailer = format!("0\r\n{}\r\n\r\n", "t".repeat(HTTP_HEAD_BYTES_MAX + 1));
    let refused: [(&str, u16); 17] = [
        ("\r\n", 400),
        ("g\r\n", 400),
        ("-1\r\n", 400),
        ("0x5\r\n", 400),
        (" 5\r\n", 400),
        ("5 \r\n", 400),
        ("5\nhello", 400),
        ("5\r\rhello", 400),
        ("5\r\nhelloX", 400),
        ("5\r\nhello\n", 400),
        ("5\r\nhello\r\r", 400),
        ("5;a\nb\r\n", 400),
        ("00000000000000005\r\n", 400),
        ("ffffffffffffffff\r\n", 413),
        ("41\r\n", 413),
        ("40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n1\r\n", 413),
        (&too_long, 400),
    ];
    for (text, status) in refused {
        assert_eq!(feed_every_way(BodyLength::Chunked, text.as_bytes()), Err(status), "{text}");
    }
    let got = feed(BodyLength::Chunked, 64, big_trailer.as_bytes().chunks(1000));
    assert_eq!(got, Err(431));
    assert_eq!(feed_every_way(BodyLength::Chunked, b"0\r\nX: \x01\r\n\r\n"), Err(400));
}

#[test]
fn large_counted_body() {
    let bytes = Random::new(41).bytes(300_000);
    let got = feed(BodyLength::Bytes(300_000), 1 << 20, bytes.chunks(4096));
    assert!(got == Ok((300_000, true, bytes)));
}

#[test]
fn exact_answers() {
    let write = |reply: Reply<'_>| {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).unwrap()
    };
    let reply = Reply {
        status: 200,
        content_type: Some("text/plain"),
        headers: &[("X-A", "b\r\nSet: c")],
        body: b"hello",
        keep_alive: true,
        head_only: false,
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\
        Connection: keep-alive\r\nX-A: b  Set: c\r\n\r\n";
    assert_eq!(write(reply), format!("{head}hello"));
    assert_eq!(write(Reply { head_only: true, ..reply }), head);
    let bare = Reply { content_type: None, headers: &[], keep_alive: false, ..reply };
    let empty = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    assert_eq!(write(Reply { status: 204, ..bare }), empty);
    assert_eq!(write(Reply { status: 100, ..bare }), "HTTP/1.1 100 Continue\r\n\r\n");
    for status in 100..600 {
        assert!(!reason(status).is_empty());
    }
}

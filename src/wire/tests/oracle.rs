//! Against tungstenite: it reads what is written here, and what it writes is read here.

use super::*;
use crate::wire::http::parse_head;
use crate::wire::ws::{encode, handshake};
use std::io::{Cursor, Read, Write};
use tungstenite::protocol::{CloseFrame, Role, WebSocket};
use tungstenite::{Bytes, Message};

/// A client's socket: what it reads was written before; what it writes is kept.
#[derive(Default)]
struct Socket {
    input: Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.input.read(into)
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        self.output.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn client(input: Vec<u8>) -> WebSocket<Socket> {
    let socket = Socket { input: Cursor::new(input), output: Vec::new() };
    WebSocket::from_raw_socket(socket, Role::Client, None)
}

const LENGTHS: [usize; 9] = [0, 1, 125, 126, 127, 1000, 65535, 65536, 200_000];

#[test]
fn reads_what_tungstenite_writes() {
    let mut random = Random::new(11);
    let mut client = client(Vec::new());
    let mut expected = Vec::new();
    for len in LENGTHS {
        let text: String = (0..len).map(|_| (b'a' + random.below(26) as u8) as char).collect();
        let bytes = random.bytes(len);
        client.send(Message::text(text.clone())).unwrap();
        expected.push(Owned::Text(text.into_bytes()));
        client.send(Message::binary(bytes.clone())).unwrap();
        expected.push(Owned::Binary(bytes));
        if len <= 125 {
            client.send(Message::Ping(Bytes::from(vec![3; len]))).unwrap();
            expected.push(Owned::Ping(vec![3; len]));
            client.send(Message::Pong(Bytes::from(vec![4; len]))).unwrap();
            expected.push(Owned::Pong(vec![4; len]));
        }
    }
    let frame = CloseFrame { code: 1000.into(), reason: "done".into() };
    client.close(Some(frame)).unwrap();
    client.flush().unwrap();
    expected.push(Owned::Close(Some(1000), b"done".to_vec()));
    let stream = &client.get_ref().output;
    for size in [usize::MAX, 4096, 1000, 7, 1] {
        let got = decode(&PLAIN, stream.chunks(size));
        assert!(got == (expected.clone(), None), "in pieces of {size}");
    }
}

#[test]
fn tungstenite_reads_what_is_written() {
    let mut random = Random::new(12);
    let mut out = Vec::new();
    let mut expected = Vec::new();
    for len in LENGTHS {
        let bytes = random.bytes(len);
        encode::binary(&mut out, &bytes);
        expected.push(Message::binary(bytes));
        let text = "é".repeat(len / 2);
        encode::text(&mut out, text.as_bytes());
        expected.push(Message::text(text));
        if len <= 125 {
            encode::pong(&mut out, &vec![5; len]);
            expected.push(Message::Pong(Bytes::from(vec![5; len])));
        }
    }
    encode::close(&mut out, 1001, "going away");
    let frame = CloseFrame { code: 1001.into(), reason: "going away".into() };
    expected.push(Message::Close(Some(frame)));
    let mut client = client(out);
    for message in expected {
        assert_eq!(client.read().unwrap(), message);
    }
}

#[test]
fn tungstenite_accepts_the_handshake() {
    let request = "ws://broker.local/feed?x=1";
    // The key is random, so the answer can only be made from a request that was seen: a socket
    // that answers while it is read.
    let (mut socket, response) = tungstenite::client(request, Answering::default()).unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(socket.read().unwrap(), Message::text("welcome"));
}

/// A socket with a server behind it: the request written is parsed and answered.
#[derive(Default)]
struct Answering {
    request: Vec<u8>,
    answer: Cursor<Vec<u8>>,
}

impl Read for Answering {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.answer.get_ref().is_empty() {
            let (head, used) = parse_head(&self.request).unwrap().unwrap();
            assert_eq!(used, self.request.len());
            assert_eq!((head.path, head.query), ("/feed", Some("x=1")));
            let offer = handshake::upgrade(&head).unwrap();
            let mut out = Vec::new();
            handshake::write_accept(&mut out, &offer, None, None, &[("Server", "weir")]);
            encode::text(&mut out, b"welcome");
            self.answer = Cursor::new(out);
        }
        self.answer.read(into)
    }
}

impl Write for Answering {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        self.request.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

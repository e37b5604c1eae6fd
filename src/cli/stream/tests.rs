//! The commands against a server that plays a script: what it must be sent, and what it answers.

use super::*;
use std::net::TcpListener;
use std::thread::JoinHandle;
use tungstenite::Message;

/// A request, and the frames that answer it.
type Step = (&'static str, &'static [&'static str]);

const CREATED: &str = r#"{"type":"execute_response","success":true,"result":{"success":true}}"#;
const CREATE: &str = r#"{"type":"execute","query":"create if not exists stream s"}"#;

/// Serves one connection, closes it after the script, and checks what was sent.
fn server(script: &'static [Step]) -> (Target, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target { server: listener.local_addr().unwrap().to_string(), token: None };
    let played = thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        let greeting = r#"{"type":"connected","clientId":1,"message":"hello"}"#;
        socket.send(Message::text(greeting)).unwrap();
        for (expected, frames) in script {
            let got = socket.read().unwrap();
            assert_eq!(got.to_text().unwrap(), *expected);
            for frame in *frames {
                socket.send(Message::text(*frame)).unwrap();
            }
        }
        let _ = socket.close(None);
        while socket.read().is_ok() {}
    });
    (target, played)
}

fn run_publish(
    script: &'static [Step],
    record: Option<&str>,
    create: bool,
    input: &str,
) -> Result<u64, String> {
    let (target, played) = server(script);
    let result = publish(&target, "s", record, create, input.as_bytes());
    played.join().unwrap();
    result
}

#[test]
fn records_are_inserted_as_they_are_written() {
    const ONE: &[&str] = &[r#"{"type":"insert_response","success":true,"count":1}"#];
    const TWO: &[&str] = &[r#"{"type":"insert_response","success":true,"count":2}"#];
    const UNKNOWN: &[&str] =
        &[r#"{"type":"insert_response","success":false,"error":"Stream 's' does not exist"}"#];
    assert_eq!(
        run_publish(
            &[(r#"{"type":"insert","target":"s","data":[{"x": 1.50}]}"#, ONE)],
            Some(r#"{"x": 1.50}"#),
            false,
            ""
        ),
        Ok(1)
    );
    assert_eq!(
        run_publish(
            &[
                (CREATE, &[CREATED]),
                (r#"{"type":"insert","target":"s","data":[{"x":1},{"x":2}]}"#, TWO)
            ],
            Some(" [{\"x\":1},{\"x\":2}] "),
            true,
            ""
        ),
        Ok(2)
    );
    assert_eq!(
        run_publish(
            &[(r#"{"type":"insert","target":"s","data":[{"x":1},{"x":2}]}"#, TWO)],
            None,
            false,
            "{\"x\":1}\n\n {\"x\":2}\n"
        ),
        Ok(2)
    );
    assert_eq!(
        run_publish(
            &[(r#"{"type":"insert","target":"s","data":[{"x":1}]}"#, ONE)],
            None,
            false,
            "{\"x\":1}\n5\n{\"x\":2}\n"
        ),
        Err("line 2 is not a JSON object; the 1 records before it were inserted".to_owned())
    );
    assert_eq!(
        run_publish(
            &[(r#"{"type":"insert","target":"s","data":[{}]}"#, UNKNOWN)],
            Some("{}"),
            false,
            ""
        ),
        Err("Stream 's' does not exist; --create makes it".to_owned())
    );
}

#[test]
fn a_record_is_checked_before_anybody_is_asked() {
    let nowhere = Target { server: "127.0.0.1:1".to_owned(), token: None };
    for (record, said) in [("5", "not an object"), ("{x:1}", "not JSON"), ("", "not JSON")] {
        let error = publish(&nowhere, "s", Some(record), false, io::empty()).unwrap_err();
        assert!(error.contains(said) && error.contains("quote it"), "{error}");
    }
}

#[test]
fn a_server_that_is_not_there_has_a_remedy() {
    let nowhere = Target { server: "127.0.0.1:1".to_owned(), token: None };
    assert_eq!(
        topics(&nowhere).unwrap_err(),
        "cannot reach 127.0.0.1:1: connection refused; is `weir serve` running? --server sets the \
         address"
    );
}

#[test]
fn topics_are_listed_with_their_counts() {
    let (target, played) = server(&[(
        r#"{"type":"execute","query":"list streams"}"#,
        &[concat!(
            r#"{"type":"execute_response","success":true,"result":{"type":"command","success":true,"#,
            r#""result":{"streams":["_log","plant (a)"]},"#,
            r#""message":"Found 2 stream(s):\n1. _log (0 documents)\n2. plant (a) (17 documents)"}}"#
        )],
    )]);
    assert_eq!(topics(&target).unwrap(), "_log                  0\nplant (a)            17\n");
    played.join().unwrap();
}

/// A reader that leaves after so many lines.
struct Reader(Vec<u8>, usize);

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.iter().filter(|&&b| b == b'\n').count() >= self.1 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn records_are_printed_as_they_are_kept_until_nobody_reads() {
    const FRAMES: &[&str] = &[
        r#"{"type":"subscribed","subscriptions":[],"message":"Subscribed"}"#,
        r#"{"type":"data","streamName":"s","data":{"b": 1.500, "a": 12345678901234567890}}"#,
        r#"{"type":"data","streamName":"s","data":7,"subscriptionId":1}"#,
        r#"{"type":"data","streamName":"s","data":8,"subscriptionId":1}"#,
    ];
    let (target, played) =
        server(&[(r#"{"type":"subscribe","streamName":"s","replay":"all"}"#, FRAMES)]);
    let mut reader = Reader(Vec::new(), 2);
    assert_eq!(subscribe(&target, "s", From::Earliest, false, &mut reader), Ok(()));
    assert_eq!(reader.0, b"{\"b\": 1.500, \"a\": 12345678901234567890}\n7\n");
    played.join().unwrap();

    let (target, played) =
        server(&[(r#"{"type":"subscribe","streamName":"s","fromOffset":3}"#, FRAMES)]);
    let mut reader = Reader(Vec::new(), 1);
    assert_eq!(subscribe(&target, "s", From::Offset(3), true, &mut reader), Ok(()));
    assert_eq!(reader.0, [FRAMES[1].as_bytes(), b"\n"].concat());
    played.join().unwrap();
}

#[test]
fn a_stream_that_ends_is_an_error() {
    const GONE: &[&str] = &[
        r#"{"type":"subscribed","subscriptions":[],"message":"Subscribed"}"#,
        r#"{"type":"unsubscribed","subscriptionId":1,"message":"Stream 's' was deleted"}"#,
    ];
    let (target, played) = server(&[(r#"{"type":"subscribe","streamName":"s"}"#, GONE)]);
    let said = subscribe(&target, "s", From::Latest, false, &mut Vec::new());
    assert_eq!(said, Err("Stream 's' was deleted".to_owned()));
    played.join().unwrap();
    let (target, played) = server(&[(
        r#"{"type":"subscribe","streamName":"s"}"#,
        &[r#"{"type":"error","message":"Stream 's' does not exist"}"#],
    )]);
    let said = subscribe(&target, "s", From::Latest, false, &mut Vec::new()).unwrap_err();
    assert_eq!(said, "Stream 's' does not exist; `weir topics` lists those that do");
    played.join().unwrap();
}

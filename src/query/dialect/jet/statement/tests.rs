//! Statements and their refusals, as tables.

use super::*;

#[test]
fn statements_are_read() {
    let stream = |name: &str, existing, options| Statement::CreateStream {
        name: name.into(),
        existing,
        options,
    };
    let bare = |name: &str| Arc::new(Pipeline { source: name.into(), ..Pipeline::default() });
    let plain = StreamOptions::default();
    let kept = |records, bytes, age_ms| StreamOptions {
        retention: Retention { records, bytes, age_ms },
        pipe: false,
    };
    for (text, want) in [
        ("create stream s", stream("s", IfExists::Refuse, plain)),
        ("CREATE or Replace STREAM a.b.c", stream("a.b.c", IfExists::Replace, plain)),
        ("create if not exists stream _x1", stream("_x1", IfExists::Keep, plain)),
        (
            "create stream s with { retain: 3 }",
            stream("s", IfExists::Refuse, kept(Some(3), None, None)),
        ),
        (
            "create stream s with {retain_age: 1h30m, 'retain_bytes': 10}",
            stream("s", IfExists::Refuse, kept(None, Some(10), Some(5_400_000))),
        ),
        (
            "create stream s with { retain: 0 }",
            stream("s", IfExists::Refuse, StreamOptions { pipe: true, ..plain }),
        ),
        ("list", Statement::List(Listing::Streams)),
        ("show Flows", Statement::List(Listing::Flows)),
        ("info", Statement::Info(None)),
        ("describe x", Statement::Info(Some("x".into()))),
        ("flush x // now", Statement::Flush("x".into())),
        ("subscribe a.b", Statement::Subscribe("a.b".into())),
        ("unsubscribe 5", Statement::Unsubscribe("5".into())),
        (
            "insert into x [1,{a:'b'}]",
            Statement::Insert { name: "x".into(), data: b"[1,{\"a\":\"b\"}]".to_vec() },
        ),
        ("insert into x{a:1}", Statement::Insert { name: "x".into(), data: b"{\"a\":1}".to_vec() }),
        ("plant.s1", Statement::Pipeline(bare("plant.s1"))),
        (
            "drop if exists stream s",
            Statement::Delete { what: Dropped::Stream, name: "s".into(), if_exists: true },
        ),
        (
            "delete query 7",
            Statement::Delete { what: Dropped::Query, name: "7".into(), if_exists: false },
        ),
        (" // nothing\n", Statement::Empty),
    ] {
        assert_eq!(parse(text), Ok(want), "{text}");
    }
}

#[test]
fn refusals_name_the_place_and_the_token() {
    for (text, code, message) in [
        (
            "create stream 9lives",
            "COMMAND_FAILED",
            "Invalid stream name '9lives'. Stream names must start with a letter or underscore and contain only letters, numbers, and underscores.",
        ),
        (
            "create stream a-b",
            "COMMAND_FAILED",
            "Invalid stream name 'a-b'. Stream names must start with a letter or underscore and contain only letters, numbers, and underscores.",
        ),
        ("create\n  strem x", "SYNTAX_ERROR", "Unexpected 'strem' at line 2, column 3"),
        ("create stream", "SYNTAX_ERROR", "Unexpected end at line 1, column 14"),
        ("flush a b", "SYNTAX_ERROR", "Unexpected 'b' at line 1, column 9"),
        (
            "insert into x {a:}",
            "SYNTAX_ERROR",
            "Invalid JSON data: not a literal at line 1, column 18",
        ),
        (
            "insert into x nope",
            "SYNTAX_ERROR",
            "Invalid JSON data: not a literal at line 1, column 15",
        ),
        ("delete query x", "SYNTAX_ERROR", "Unexpected 'x' at line 1, column 14"),
        (
            "create stream s with { keep: 1 }",
            "SYNTAX_ERROR",
            "Unknown option 'keep' at line 1, column 22",
        ),
        (
            "create stream s with { retain: 'x' }",
            "SYNTAX_ERROR",
            "Invalid value of 'retain' at line 1, column 22",
        ),
    ] {
        assert_eq!(parse(text), Err(Failure::new(code, message)), "{text}");
    }
    for (text, message) in [
        ("creat stream x", "Unexpected 'stream', expected '|' or the end at line 1, column 7"),
        ("s | where\n x >", "Unexpected the end, expected an expression at line 2, column 5"),
    ] {
        let form = if text.contains('|') { Form::Query } else { Form::Plain };
        let failure = Failure::new("SYNTAX_ERROR", message).of(form);
        assert_eq!(parse(text), Err(failure), "{text}");
    }
    assert!(parse(&"x".repeat(70_000)).is_err());
}

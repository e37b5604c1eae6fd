//! Messages and what they ask for, as a table.

use super::*;

fn asked(text: &str) -> String {
    match Fields::scan(text.as_bytes()) {
        Err(error) => format!("not JSON: {error}"),
        Ok(None) => "no object".into(),
        Ok(Some(mut fields)) => match fields.ask() {
            Ask::Bad(text) => text.into(),
            Ask::Insert(target) => format!("insert {} into {target}", fields.items.len()),
            other => format!("{other:?}"),
        },
    }
}

#[test]
fn messages_ask_what_the_table_says() {
    for (text, want) in [
        (r#"{"type":"insert","target":"a","data":{"x":1}}"#, "insert 1 into a"),
        (r#"{"data":[{},[]],"target":"a","type":"insert"}"#, "insert 2 into a"),
        (r#"{"type":"insert"}"#, codes::TARGET_REQUIRED),
        (r#"{"type":"insert","target":"","data":{}}"#, codes::TARGET_REQUIRED),
        (r#"{"type":"insert","target":"a"}"#, codes::DATA_REQUIRED),
        (r#"{"type":"insert","target":"a","data":0.0}"#, codes::DATA_REQUIRED),
        (r#"{"type":"insert","target":"a","data":[]}"#, codes::DATA_EMPTY),
        (r#"{"type":"insert","target":"a","data":[{},null]}"#, codes::ITEMS_NO_OBJECTS),
        (r#"{"type":"insert","target":"a","data":"x"}"#, codes::DATA_NO_OBJECT),
        (r#"{"type":"subscribe","streamName":"a"}"#, r#"Subscribe(["a"], Live)"#),
        (
            r#"{"type":"subscribe","streamName":["a","b"],"replay":2}"#,
            r#"Subscribe(["a", "b"], Last(2))"#,
        ),
        (r#"{"type":"subscribe","streamName":"a","fromOffset":7}"#, r#"Subscribe(["a"], From(7))"#),
        (r#"{"type":"subscribe","streamName":"a","replay":-1}"#, codes::BAD_REPLAY),
        (r#"{"type":"subscribe","streamName":"a","replay":1.5}"#, codes::BAD_REPLAY),
        (r#"{"type":"subscribe","streamName":[]}"#, codes::NAMES_EMPTY),
        (r#"{"type":"subscribe","streamName":["a",""]}"#, codes::NAMES_NO_STRINGS),
        (r#"{"type":"subscribe","streamName":{}}"#, codes::NAME_NO_STRING),
        (r#"{"type":"subscribe","streamName":0}"#, codes::NAMES_REQUIRED),
        (r#"{"type":"unsubscribe"}"#, "Unsubscribe(None)"),
        (r#"{"type":"unsubscribe","subscriptionId":null}"#, "Unsubscribe(None)"),
        (r#"{"type":"unsubscribe","subscriptionId":3}"#, "Unsubscribe(Some(3))"),
        (r#"{"type":"unsubscribe","subscriptionId":"3"}"#, codes::BAD_SUBSCRIPTION_ID),
        (r#"{"type":"unsubscribe","subscriptionId":0}"#, codes::BAD_SUBSCRIPTION_ID),
        (r#"{"type":"execute","query":"list"}"#, r#"Execute("list")"#),
        (r#"{"type":"execute","query":""}"#, codes::QUERY_REQUIRED_WS),
        (r#"{"type":"x"}"#, codes::UNKNOWN_TYPE),
        ("5", "no object"),
        ("{\"a\":1", "not JSON: unexpected end at byte 6"),
    ] {
        assert_eq!(asked(text), want, "{text}");
    }
    let long =
        format!(r#"{{"type":"insert","target":"a","data":[{}{{}}]}}"#, "{},".repeat(BATCH_MAX));
    assert_eq!(asked(&long), codes::DATA_TOO_LONG);
}

#[test]
fn request_ids_are_echoed_as_sent() {
    let fields = Fields::scan(br#"{"requestId": {"a":  1} }"#).unwrap().unwrap();
    assert_eq!(&*request_suffix(fields.request_id), br#","requestId":{"a":  1}"#);
    assert!(request_suffix(None).is_empty());
}

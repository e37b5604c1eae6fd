//! Numbers as text, members of text and records, canonical bytes, stored values.

use super::*;

fn json(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    write_value(value, Style::Script, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn doubles_print_as_javascript_prints_them() {
    for (number, script, typed) in [
        (450.0, "450", "450.0"),
        (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"),
        (1e21, "1e+21", "1e+21"),
        (1e20, "100000000000000000000", "100000000000000000000.0"),
        (1.5e300, "1.5e+300", "1.5e+300"),
        (1e-7, "1e-7", "1e-7"),
        (0.000_001, "0.000001", "0.000001"),
        (-0.0, "0", "-0.0"),
        (-2.5, "-2.5", "-2.5"),
        (123_456_789.125, "123456789.125", "123456789.125"),
        (f64::NAN, "null", "null"),
        (f64::INFINITY, "null", "null"),
    ] {
        let mut out = Vec::new();
        write_js(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), script);
        let mut out = Vec::new();
        write_point(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), typed);
    }
}

#[test]
fn numbers_keep_all_their_digits() {
    for text in ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.50", "-0"]
    {
        let value = read_json(text).unwrap();
        assert_eq!(json(&value), text);
    }
    assert!(matches!(read_json("-9223372036854775808"), Some(Value::Int(i64::MIN))));
    assert!(matches!(read_json("9223372036854775808"), Some(Value::Decimal(_))));
}

#[test]
fn members_are_found_in_text_and_in_records() {
    let text = r#" {"a":1,"b\n":{"c":[10,{"d":"x"}]},"a":2} "#;
    let value = read_json(text).unwrap();
    for value in [value.clone(), value.own()] {
        assert_eq!(json(&value.member("a")), "1");
        assert_eq!(json(&value.member("b\n").member("c").element(1).member("d")), "\"x\"");
        assert!(matches!(value.member("nothing"), Value::Missing));
        assert!(matches!(value.element(0), Value::Missing));
    }
}

#[test]
fn same_values_have_the_same_canonical_bytes() {
    let groups: &[&[&str]] = &[
        &["1", "1.0", "1e0", "10e-1"],
        &["{\"a\":1,\"b\":[1,2]}", "{ \"b\":[1.0, 2], \"a\":1 }"],
        &["\"1\""],
        &["null"],
        &["[1,[2]]"],
        &["[1,2]"],
        &["9007199254740993"],
        &["9007199254740992"],
        &["123456789012345678901"],
    ];
    for (i, left) in groups.iter().enumerate() {
        for (j, right) in groups.iter().enumerate() {
            for (a, b) in left.iter().zip(right.iter().cycle()) {
                let (a, b) = (read_json(a).unwrap(), read_json(b).unwrap());
                let bytes = |v: &Value<'_>| {
                    let mut out = Vec::new();
                    canonical(v, &mut out);
                    out
                };
                assert_eq!(same(&a, &b), i == j, "{a:?} {b:?}");
                assert_eq!(bytes(&a) == bytes(&b), i == j, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn stored_values_read_back() {
    let values = [
        Value::Missing,
        Value::Bool(true),
        Value::Int(-5),
        Value::Double(0.5),
        Value::Decimal("1.500".into()),
        Value::Interval(Interval { months: -1, days: 2, ms: -3 }),
        Value::text("ä"),
        read_json("{\"a\":[1,{\"b\":null}]}").unwrap(),
    ];
    for value in &values {
        let mut bytes = Vec::new();
        encode_value(value, &mut bytes);
        let back = decode_value(&mut Bytes(&bytes)).unwrap();
        assert!(same(value, &back) && json(value) == json(&back));
        for cut in 0..bytes.len() {
            assert!(decode_value(&mut Bytes(&bytes[..cut])).is_none());
        }
    }
}

//! The scanner against a table, against simd-json, and against random mutations.

use super::*;

#[test]
fn accepts_and_refuses_as_rfc_8259_says() {
    let good = [
        "{}",
        "[]",
        " [ ] ",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.5e-3",
        "10E+2",
        r#""""#,
        r#"{"a":[1,{"b":null}],"c":"\u00e9\n"}"#,
        "[[[]],{}]",
        r#"{"":0}"#,
        "\"\u{7f}\"",
        "123456789012345678901234567890",
        r#"[1,"a longer string than eight bytes",2]"#,
    ];
    for text in good {
        assert!(check(text.as_bytes()).is_ok(), "{text}");
    }
    let bad = [
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "tru",
        "nul",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "1 2",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "[}",
        "{]",
        "[1}",
        "NaN",
        "'a'",
        "1a",
        "truee",
        "\"abcdefgh\u{1}\"",
    ];
    for text in bad {
        assert!(check(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn nesting_is_bounded_exactly() {
    let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    assert!(check(nested(JSON_DEPTH_MAX).as_bytes()).is_ok());
    assert_eq!(check(nested(JSON_DEPTH_MAX + 1).as_bytes()).unwrap_err().what, "nested too deep");
    assert!(check("[".repeat(1_000_000).as_bytes()).is_err());
    let objects = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert!(check(objects.as_bytes()).is_ok());
}

#[test]
fn members_give_spans_as_written() {
    let text =
        br#" { "type" : "insert","data": [1.50, {"b" :2}] ,"requestId":12345678901234567890 } "#;
    let mut seen = Vec::new();
    members(text, |key, value| seen.push((key, value.text))).unwrap();
    assert_eq!(seen[0], (&b"type"[..], &br#""insert""#[..]));
    assert_eq!(seen[1], (&b"data"[..], &br#"[1.50, {"b" :2}]"#[..]));
    assert_eq!(seen[2].1, b"12345678901234567890");
    let list = elements(seen[1].1).unwrap();
    assert_eq!(list[0].text, b"1.50");
    assert_eq!(list[1].kind, Kind::Object);
}

#[test]
fn strings_resolve_and_write_back() {
    for (raw, plain) in [
        (r#""a\"b\\\/\n\u00e9""#, "a\"b\\/\né"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\ud83d""#, "\u{FFFD}"),
        (r#""\ud83dx\ude00""#, "\u{FFFD}x\u{FFFD}"),
    ] {
        assert_eq!(check(raw.as_bytes()).unwrap().as_string().unwrap(), plain, "{raw}");
    }
    let mut out = Vec::new();
    let text = "q\" b\\ n\n t\t c\u{1} é";
    write_string(&mut out, text);
    assert_eq!(check(&out).unwrap().as_string().unwrap(), text);
    assert!(key_is(br"ty\u0070e", "type") && !key_is(b"typ", "type"));
}

#[test]
fn agrees_with_simd_json_on_mutated_texts() {
    let seed = br#"{"id":1,"name":"a \"quoted\" text","list":[1,-2.5e3,true,false,null,{}],"o":{"k":"v\\"}}"#;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize
    };
    let alphabet = br#"{}[]",:\0123456789.eE+-truefalsn abu"#;
    for _ in 0..20_000 {
        let mut text = seed.to_vec();
        for _ in 0..1 + next() % 3 {
            let at = next() % text.len();
            match next() % 3 {
                0 => text[at] = alphabet[next() % alphabet.len()],
                1 => text.insert(at, alphabet[next() % alphabet.len()]),
                _ => drop(text.remove(at)),
            }
        }
        // simd-json refuses numbers beyond 64 bits; the scanner keeps them.
        let ours = check(&text).is_ok();
        let theirs = simd_json::to_tape(&mut text.clone()).is_ok();
        if ours != theirs {
            let digits = text.split(|b| !b.is_ascii_digit()).map(<[u8]>::len).max();
            let exponent = text.iter().any(|b| matches!(b, b'e' | b'E'));
            assert!(ours && (digits > Some(15) || exponent), "{}", String::from_utf8_lossy(&text));
        }
    }
}

//! Bounds of results, identifiers, and random statements, of which none may fail the process.

use super::{bits, select};
use crate::model::json;
use crate::model::value::Value;
use crate::query::dialect::nsdb::check::{check, check_condition};
use crate::query::dialect::nsdb::print::{canonical, stable_hash, tree, uuid};
use crate::query::dialect::nsdb::run::Run;
use crate::query::dialect::nsdb::{Cell, Statement, parse};
use crate::query::index::Index;

#[test]
fn too_many_buckets_and_too_large_sums_are_refused() {
    let (schema, mut bits) = bits();
    bits[0].timestamp = i64::MIN;
    bits[1].timestamp = i64::MAX;
    for (tail, want) in [
        (
            "count(*) from m group by interval s",
            Some("too many buckets, use LIMIT or a longer interval"),
        ),
        ("count(*) from m group by interval s limit 3", None),
        ("sum(value) from m", Some("the sum is larger than a BIGINT")),
    ] {
        let select = select(&format!("select {tail}")).unwrap();
        let mut run = Run::new(&select, &schema, false, 1 << 20);
        for bit in &mut bits {
            bit.value = Cell::Int(i64::MAX);
            run.push(bit).unwrap();
        }
        let got = run.finish().err().map(|why| why.to_string());
        assert_eq!(got.as_deref(), want, "{tail}");
    }
}

#[test]
fn identifiers_are_the_same_for_ever() {
    assert_eq!(
        uuid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        "01234567-89ab-cdef-0123-456789abcdef"
    );
    assert_ne!(stable_hash("a"), stable_hash("b"));
    assert_eq!(uuid(stable_hash("select * from m")), "11f3435e-d672-5098-4aa9-0a0dc9dfe5ab");
}

#[test]
fn random_statements_never_fail_the_process() {
    const WORDS: &[&str] = &[
        "select",
        "distinct",
        "*",
        "from",
        "m",
        "where",
        "not",
        "and",
        "or",
        "(",
        ")",
        "a",
        "name",
        "value",
        "timestamp",
        "=",
        ">",
        ">=",
        "<",
        "<=",
        "is",
        "null",
        "in",
        ",",
        "like",
        "now",
        "-",
        "+",
        "1",
        "-9223372036854775808",
        "9223372036854775807",
        "1.5",
        "'x'",
        "x$",
        "group",
        "by",
        "interval",
        "s",
        "d",
        "order",
        "desc",
        "since",
        "limit",
        "count",
        "sum",
        "avg",
        "first",
        ";",
        "insert",
        "into",
        "ts",
        "dim",
        "tags",
        "val",
        "delete",
        "drop",
        "metric",
        "'",
        "é",
        "\u{0}",
        "99999999999999999999",
    ];
    const STARTS: &[&str] = &["", "select * from m where", "select count(*) from m", "select"];
    let rounds = std::env::var("WEIR_FUZZ").ok().and_then(|n| n.parse().ok());
    let (schema, bits) = bits();
    let mut seed: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut read = 0;
    for _ in 0..rounds.unwrap_or(60_000_u64) {
        let mut text = STARTS[next(STARTS.len())].to_owned();
        for _ in 0..next(24) {
            if next(4) > 0 {
                text.push(' ');
            }
            text.push_str(WORDS[next(WORDS.len())]);
        }
        let Some(statement) = parse(&text) else { continue };
        read += 1;
        match statement {
            Statement::Select(select) => {
                let again = canonical(&select);
                json::check(&tree("db", "ns", &select)).unwrap();
                if check(&select, &schema).is_err() {
                    continue;
                }
                let mut run = Run::new(&select, &schema, true, 1 << 16);
                for bit in bits.iter().filter(|bit| select.condition.holds(bit, i64::MAX)) {
                    let _ = run.push(bit);
                }
                if let Ok(json) = run.finish() {
                    json::check(&json).unwrap_or_else(|why| panic!("{again}: {why}"));
                }
            }
            Statement::Delete(_, condition) => {
                let _ = check_condition(&condition, &schema);
            }
            _ => {}
        }
    }
    assert!(read > 100, "{read}");
}

/// What the index of standing queries leaves out does not satisfy the condition.
#[test]
fn the_index_leaves_out_only_what_does_not_match() {
    const PARTS: &[&str] = &[
        "name = John",
        "name = 1",
        "n = 1",
        "n >= 2",
        "n < 2.5",
        "value > -8",
        "value in (1, 2)",
        "value <= 2",
        "d = 1.5",
        "d = '1.5'",
        "timestamp > 1500",
        "timestamp in (now - 4000, now)",
        "not n = 1",
        "name like J$",
        "surname is null",
        "surname > x",
        "n = 9007199254740993",
        "(name = John or n = 2)",
    ];
    let (_, mut bits) = bits();
    bits[3].tags.push(("n".into(), Cell::Float(1.0)));
    bits[2].dimensions.push(("d".into(), Cell::Text("1.5".into())));
    let mut texts: Vec<String> = PARTS.iter().map(|part| (*part).to_owned()).collect();
    for (left, right) in PARTS.iter().flat_map(|left| PARTS.iter().map(move |r| (left, r))) {
        texts.push(format!("{left} and {right}"));
        texts.push(format!("{left} or {right}"));
        texts.push(format!("({left} and {right}) and value > -100"));
    }
    // Some are not of the language, which is not asked here.
    let (texts, conditions): (Vec<_>, Vec<_>) = texts
        .into_iter()
        .filter_map(|text| {
            Some((text.clone(), select(&format!("select * from m where {text}"))?.condition))
        })
        .unzip();
    assert!(conditions.len() > 500);
    let mut index = Index::default();
    for (number, condition) in conditions.iter().enumerate() {
        index.insert(number, &condition.wanted());
    }
    let (mut found, mut key) = (Vec::new(), Vec::new());
    let (mut held, mut left_out, mut exact) = (0, 0, 0);
    for bit in &bits {
        let values: Vec<_> = index.names().iter().map(|name| bit.value_of(name)).collect();
        let number = |value: &Value<'_>| value.as_double().unwrap_or(f64::NAN);
        index.select(&values, number, &mut key, &mut found);
        for (number, condition) in conditions.iter().enumerate() {
            let holds = condition.holds(bit, 5000);
            assert!(!holds || found.contains(&number), "{} of {bit:?}", texts[number]);
            let sure = condition.wanted().exact && found.contains(&number);
            assert!(!sure || holds, "{} of {bit:?}", texts[number]);
            exact += usize::from(sure);
            held += usize::from(holds);
        }
        left_out += conditions.len() - found.len();
    }
    assert!(held > 500 && left_out > 1000, "{held} held, {left_out} were left out");
    assert!(exact > 10, "{exact} needed no second look");
    for (number, condition) in conditions.iter().enumerate() {
        index.remove(number, &condition.wanted());
    }
    assert!(index.is_empty());
}

//! Statements, what they mean, what they give: source, canonical text, rows or error.

mod random;

use super::check::check;
use super::print::{canonical, tree};
use super::run::Run;
use super::*;
use crate::model::json;
use crate::model::record::{Body, Record};

fn select(text: &str) -> Option<Select> {
    match parse(text)? {
        Statement::Select(select) => Some(*select),
        _ => None,
    }
}

/// The metric `m` of the tests: numbers, a dimension and two tags.
const BITS: &[&str] = &[
    r#"{"timestamp":1000,"value":1,"dimensions":{"surname":"Doe","d":1.5},"tags":{"name":"John","n":1}}"#,
    r#"{"timestamp":2000,"value":2,"dimensions":{"surname":"Doe"},"tags":{"name":"John","n":2}}"#,
    r#"{"timestamp":4000,"value":3,"dimensions":{"surname":""},"tags":{"name":"J"}}"#,
    r#"{"timestamp":4000,"value":-7,"dimensions":{},"tags":{}}"#,
];

fn bits() -> (Schema, Vec<Bit<'static>>) {
    let mut schema = Schema::default();
    let read = |text: &&'static str| {
        let body = Body::Json(text.as_bytes());
        Bit::of_record(&Record { time: 0, producer: 0, body }).unwrap()
    };
    let mut bits: Vec<_> = BITS.iter().map(read).collect();
    bits.iter_mut().for_each(|bit| schema.admit(bit).unwrap());
    (schema, bits)
}

fn evaluate(text: &str, bytes_max: usize) -> Result<String, String> {
    let (schema, bits) = bits();
    let select = select(text).ok_or("syntax")?;
    check(&select, &schema)?;
    let mut run = Run::new(&select, &schema, false, bytes_max);
    for bit in bits.iter().filter(|bit| select.condition.holds(bit, 5000)) {
        if !run.push(bit).map_err(|why| why.to_string())? {
            break;
        }
    }
    let json = run.finish().map_err(|why| why.to_string())?;
    json::check(&json).unwrap();
    Ok(String::from_utf8(json).unwrap())
}

#[test]
fn statements_have_one_canonical_text() {
    for (text, want) in [
        ("select * from m", "select * from m"),
        ("  SELECT\t*\nFrOm m ; ", "select * from m"),
        ("select *, name, count(*) from m", "select * from m"),
        ("select limit from m", "select limit from m"),
        ("select distinct from m", "select distinct from m"),
        ("select distinct distinct from m", "select distinct distinct from m"),
        ("select from from from", "select from from from"),
        ("select count from m", "select count from m"),
        ("select COUNT ( distinct value ) from m", "select count(distinct value) from m"),
        ("select count(distinct) from m", "select count(distinct) from m"),
        ("select sum(distinct) from m", "select sum(distinct) from m"),
        ("select * from m where not = 1", "select * from m where not = 1"),
        ("select * from m where not is null", "select * from m where not is null"),
        ("select * from m where not in (1,2)", "select * from m where not in (1, 2)"),
        ("select * from m where not not = 1", "select * from m where (not not = 1)"),
        ("select * from m where not (a = 1)", "select * from m where (not a = 1)"),
        (
            "select * from m where a = 1 and b = 2 or c = 3",
            "select * from m where (a = 1 and (b = 2 or c = 3))",
        ),
        (
            "select * from m where a = 1 or b = 2 and c = 3",
            "select * from m where (a = 1 or (b = 2 and c = 3))",
        ),
        (
            "select * from m where (a = 1 or b = 2) and c = 3",
            "select * from m where ((a = 1 or b = 2) and c = 3)",
        ),
        (
            "select * from m where not a = 1 and b = 2",
            "select * from m where (not (a = 1 and b = 2))",
        ),
        (
            "select * from m where a = 1 and not b = 2 or c = 3",
            "select * from m where (a = 1 and (not (b = 2 or c = 3)))",
        ),
        ("select * from m where a is not null", "select * from m where (not a is null)"),
        (
            "select * from m where ((a = b483-8:x.y~!?))",
            "select * from m where a = \"b483-8:x.y~!?\"",
        ),
        (
            "select * from m where a = 'x and y' and b = ''",
            "select * from m where (a = \"x and y\" and b = \"\")",
        ),
        ("select * from m where a > now", "select * from m where a > now+0"),
        ("select * from m where a > now-10min", "select * from m where a > now-600000"),
        (
            "select * from m where a in (now - 2 s, now + 4 second)",
            "select * from m where a in (now-2000, now+4000)",
        ),
        ("select * from m where a = nowhere", "select * from m where a = \"nowhere\""),
        (
            "select * from m where a = -5 and b = 1.50",
            "select * from m where (a = -5 and b = 1.50)",
        ),
        ("select * from m where a like 5$", "select * from m where a like \"5$\""),
        ("select * from m where a like '$ $'", "select * from m where a like \"$ $\""),
        (
            "select sum(value) from m group by interval",
            "select sum(value) from m group by interval",
        ),
        (
            "select sum(value) from m group by interval order by value",
            "select sum(value) from m group by interval order by value",
        ),
        (
            "select sum(value) from m group by interval 2d",
            "select sum(value) from m group by interval 172800000",
        ),
        (
            "select sum(value) from m group by interval min",
            "select sum(value) from m group by interval 60000",
        ),
        (
            "select * from m order by desc desc limit 0",
            "select * from m order by desc desc limit 0",
        ),
        (
            "select avg(*) from m group by interval 1 s order by timestamp desc since 1 d limit 5",
            "select avg(*) from m group by interval 1000 order by timestamp desc since 86400000 limit 5",
        ),
    ] {
        let found = select(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(canonical(&found), want, "{text}");
        json::check(&tree("db", "ns", &found)).unwrap();
    }
}

#[test]
fn what_is_not_of_the_language_is_refused() {
    for text in [
        "",
        "select",
        "select from m",
        "select * from",
        "update m",
        "select a b from m",
        "select a,* from m",
        "select a, distinct b from m",
        "select count(a,b) from m",
        "select sum(distinct *) from m",
        "select * from _m",
        "select * from 1m",
        "select * from d.m",
        "select * from m x",
        "select * from m;;",
        "select * from m; x",
        "selectx * from m",
        "select * fromm",
        "select * from m where",
        "select * from m where a",
        "select * from m where a > abc",
        "select * from m where a > 'x'",
        "select * from m where a in (1)",
        "select * from m where a in (1,2,3)",
        "select * from m where a in ('a','b')",
        "select * from m where a <> 1",
        "select * from m where a != 1",
        "select * from m where a between 1 and 2",
        "select * from m where a not like x",
        "select * from m where a = b c",
        "select * from m where a like ''",
        "select * from m where a = \"x\"",
        "select * from m where a = 'x",
        "select * from m where a = .5",
        "select * from m where a = 1.",
        "select * from m where a = +5",
        "select * from m where a = 1e3",
        "select * from m where a = 123abc",
        "select * from m where a > 9223372036854775808",
        "select * from m where a > now - 10m",
        "select * from m where a > now - 1.5h",
        "select * from m where a > now - 2 days",
        "select * from m where 5 < a",
        "select * from m where (a = 1",
        "select * from m where a = 1)",
        "select * from m where a = 1 and",
        "select * from m where not",
        "select * from m order by a asc",
        "select * from m order by a, b",
        "select * from m limit 1 order by a",
        "select * from m limit 1.5",
        "select * from m limit -1",
        "select * from m limit",
        "select * from m since -1 s",
        "select count(*) from m group by interval 0 s",
        "select count(*) from m group by interval -1 s",
        "select * from m offset 5",
        "insert into m",
        "insert into m val=",
        "insert into m dim() val=1",
        "insert into m val=1 ts=1",
        "insert into m ts=now val=1",
        "insert into m val=x",
        "delete from m",
        "drop m",
        "drop metric",
        "drop metric a.b",
    ] {
        assert!(parse(text).is_none(), "{text}");
    }
    let nested =
        |n: usize| format!("select * from m where {}a = 1{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nested(256)).is_some() && parse(&nested(257)).is_none());
    let long = format!("select * from m where {}a = 1", "not a = 1 and ".repeat(50_000));
    let long = select(&long).unwrap();
    assert!(canonical(&long).len() > 500_000);
    assert!(long.condition.holds(&bits().1[0], 0));
    json::check(&canonical(&long).into_bytes()).unwrap_err();
}

#[test]
fn other_statements_are_read() {
    let Some(Statement::Insert(insert)) =
        parse("INSERT INTO m TS=7 DIM(a=Roe, b='1', c=-1.5) TAGS(n=1,n=2) VAL=7.0;")
    else {
        panic!("insert")
    };
    let mut json = Vec::new();
    insert.bit.write(&mut json);
    assert_eq!(insert.timestamp, Some(7));
    assert_eq!(
        String::from_utf8(json).unwrap(),
        r#"{"timestamp":0,"value":7.0,"dimensions":{"a":"Roe","b":"1","c":-1.5},"tags":{"n":2}}"#
    );
    assert!(
        matches!(parse("delete from m where a = 1"), Some(Statement::Delete(m, _)) if m == "m")
    );
    assert!(matches!(parse("DROP metric m;"), Some(Statement::Drop(m)) if m == "m"));
}

const MIXED: &str = "Count And Count Distinct Aggregation can be applied to the value and to a tag. \
                     Other aggregations can be applied only on the value";

#[test]
fn every_row_of_the_table_of_meaning() {
    for (tail, want) in [
        ("* from m where address = 1", "field address does not exist"),
        ("* from m where name > 1 and address = 1", "field address does not exist"),
        (
            "* from m where value = 1.5",
            "cannot use equality operator on dimension different from BIGINT",
        ),
        (
            "* from m where d = x",
            "cannot use equality operator on dimension different from DECIMAL",
        ),
        (
            "* from m where name > 1 and value = x",
            "cannot use equality operator on dimension different from BIGINT",
        ),
        (
            "* from m where value > 1.5",
            "cannot use range operator on dimension different from BIGINT",
        ),
        (
            "* from m where value in (1, 2.5)",
            "cannot use range operator on dimension different from BIGINT",
        ),
        (
            "* from m where name > 1",
            "cannot use comparison operator on dimension different from numerical",
        ),
        (
            "* from m where name in (1, 2)",
            "cannot use range operator on dimension different from numerical",
        ),
        (
            "* from m where value like a$",
            "cannot use Like operator on dimension different from VARCHAR",
        ),
        ("count(surname) from m", MIXED),
        ("sum(name) from m", MIXED),
        ("count(timestamp) from m", MIXED),
        ("count(*), count(value) from m", "Only one Count and one Count Distinct is allowed"),
        ("a, name, sum(b) from m order by c", "field [a,b] does not exist"),
        ("name from m order by c", "field [c] does not exist"),
        ("* from m since 1 s", "grace period clause is allowed only in temporal group by queries"),
        (
            "sum(value) from m group by name order by surname",
            "cannot sort group by query result by a field not in group by clause",
        ),
        (
            "sum(value) from m group by interval s order by name",
            "cannot sort group by query result by a field not in group by clause",
        ),
        (
            "name from m group by name",
            "cannot execute a groupField by query without an aggregation",
        ),
        ("* from m group by name", "cannot execute a groupField by query without an aggregation"),
        (
            "sum(value), name from m group by name",
            "cannot execute a groupField by query with more than a aggregateField",
        ),
        (
            "distinct sum(value) from m group by name",
            "cannot execute a query with a group by and a distinct clause",
        ),
        (
            "sum(value) from m group by surname",
            "cannot execute a groupBy query grouping by a field that is not a tag",
        ),
        (
            "sum(value) from m group by ghost",
            "cannot execute a groupBy query grouping by a field that is not a tag",
        ),
        (
            "first(value) from m",
            "cannot execute a query with a non global aggregation without a groupBy field",
        ),
        ("distinct * from m", "cannot execute a select distinct projecting more than one field"),
        (
            "distinct name, n from m",
            "cannot execute a select distinct projecting more than one field",
        ),
    ] {
        assert_eq!(evaluate(&format!("select {tail}"), 1 << 20), Err(want.to_owned()), "{tail}");
    }
}

/// `timestamp value dimensions tags` of each record, without its names.
fn short(json: &str) -> String {
    let mut out = json.replace("\"timestamp\":", "").replace(",\"value\":", " ");
    for (from, to) in [(",\"dimensions\":", " "), (",\"tags\":", " "), ("},{", "} {"), ("\"", "")] {
        out = out.replace(from, to);
    }
    out
}

#[test]
fn results_are_as_the_section_says() {
    let bound = |low: i64, high: i64, value: &str| {
        format!("{{{high} {value} {{lowerBound:{low},upperBound:{high}}} {{}}}}")
    };
    for (tail, want) in [
        ("* from m limit 1", "[{1000 1 {surname:Doe,d:1.5} {name:John,n:1}}]".to_owned()),
        ("name from m where value = 3", "[{4000 3 {} {name:J}}]".into()),
        (
            "d from m order by d",
            "[{1000 1 {d:1.5} {}} {2000 2 {} {}} {4000 3 {} {}} {4000 -7 {} {}}]".into(),
        ),
        (
            "n from m order by n desc limit 3",
            "[{2000 2 {} {n:2}} {1000 1 {} {n:1}} {4000 3 {} {}}]".into(),
        ),
        ("n from m order by timestamp desc limit 2", "[{4000 3 {} {}} {4000 -7 {} {}}]".into()),
        ("* from m limit 0", "[]".into()),
        ("n from m where name = '1'", "[]".into()),
        ("n from m where not name = John", "[{4000 3 {} {}} {4000 -7 {} {}}]".into()),
        ("n from m where not n > 1", "[{1000 1 {} {n:1}} {4000 3 {} {}} {4000 -7 {} {}}]".into()),
        ("n from m where n is null and value > 0", "[{4000 3 {} {}}]".into()),
        (
            "n from m where timestamp in (2000, now - 1 s) and value > 0",
            "[{2000 2 {} {n:2}} {4000 3 {} {}}]".into(),
        ),
        ("n from m where name like J$n", "[{1000 1 {} {n:1}} {2000 2 {} {n:2}}]".into()),
        ("n from m where d > 1 and d <= 2", "[{1000 1 {} {n:1}}]".into()),
        ("distinct name from m", "[{0 0 {} {name:John}} {0 0 {} {name:J}}]".into()),
        (
            "distinct surname from m order by surname",
            "[{0 0 {surname:} {}} {0 0 {surname:Doe} {}}]".into(),
        ),
        ("sum(value) from m group by name", "[{0 3 {} {name:J}} {0 3 {} {name:John}}]".into()),
        (
            "count(*) from m group by name order by value desc limit 1",
            "[{0 2 {} {name:John}}]".into(),
        ),
        ("avg(value) from m group by name", "[{0 3.0 {} {name:J}} {0 1.5 {} {name:John}}]".into()),
        ("count(n) from m group by name", "[{0 0 {} {name:J}} {0 2 {} {name:John}}]".into()),
        ("first(value) from m group by n", "[{1000 1 {} {n:1}} {2000 2 {} {n:2}}]".into()),
        (
            "count(*), count(distinct name), sum(value), avg(value), min(value), max(value) from m",
            "[{0 0 {} {count(*):4,count(distinct *):2,sum(*):-1,avg(*):-0.25,min(*):-7,max(*):3}}]"
                .into(),
        ),
        ("count(*) from m limit 2", "[{0 0 {} {count(*):2}}]".into()),
        ("count(n) from m", "[{0 0 {} {count(*):2}}]".into()),
        (
            "count(*), sum(value), avg(value), max(value) from m where value > 9",
            "[{0 0 {} {count(*):0,sum(*):0,avg(*):0.0}}]".into(),
        ),
        ("n, count(*) from m where value > 9", "[]".into()),
        (
            "n, max(value) from m where n > 0",
            "[{1000 1 {} {n:1,max(*):2}} {2000 2 {} {n:2,max(*):2}}]".into(),
        ),
        (
            "count(*) from m group by interval 1 s",
            format!(
                "[{} {} {} {}]",
                bound(0, 1000, "1"),
                bound(1000, 2000, "1"),
                bound(2000, 3000, "0"),
                bound(3000, 4000, "2")
            ),
        ),
        (
            "avg(*) from m group by interval 3 s order by timestamp desc",
            format!("[{} {}]", bound(3000, 6000, "-2.0"), bound(0, 3000, "1.5")),
        ),
        (
            "sum(*) from m group by interval 1 s limit 2",
            format!("[{} {}]", bound(2000, 3000, "0"), bound(3000, 4000, "-4")),
        ),
        ("count(*) from m where value > 9 group by interval 1 s", "[]".into()),
    ] {
        let got = evaluate(&format!("select {tail}"), 1 << 20);
        assert_eq!(got.as_deref().map(short), Ok(want), "{tail}");
    }
    let large = evaluate("select * from m", 100);
    assert_eq!(large, Err("result larger than 100 bytes, use LIMIT".into()));
}

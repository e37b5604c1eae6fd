//! What is bounded: depth, length, memory, rows, time.

use super::bench::TestBench;
use super::{LIMITS, Outcome, ask, deep};
use crate::proto::raw::format::Format;
use crate::query::dialect::rql::compile;
use crate::query::strict::eval::Limits;
use crate::query::strict::value::{Halt, Stopped};

fn run(text: &str, limits: Limits, bench: &mut TestBench) -> (String, Result<(), String>) {
    match ask(text, Format::Json, limits, bench) {
        Outcome::Invalid(errors) => {
            let first = errors.first().unwrap();
            let span = first.span.unwrap_or_default();
            (String::new(), Err(format!("{} at {}-{}", first.message, span.start, span.end)))
        }
        Outcome::Ran(bytes, result) => {
            let result = result.map_err(|halt| match halt {
                Halt::Failed(text) | Halt::Limit(text) => text.into_owned(),
                Halt::Stopped(stopped) => format!("{stopped:?}"),
            });
            (String::from_utf8(bytes).unwrap(), result)
        }
    }
}

fn simple(text: &str) -> (String, Result<(), String>) {
    run(text, LIMITS, &mut TestBench::new())
}

#[test]
fn long_chains_do_not_recurse() {
    deep(|| {
        for (operator, operand, result) in [
            ("+", "1", "100001"),
            (" AND ", "true", "true"),
            (" OR ", "false", "false"),
            ("*", "1", "1"),
        ] {
            let text = format!("{operand}{}", format!("{operator}{operand}").repeat(100_000));
            assert_eq!(simple(&text), (result.to_owned(), Ok(())), "{operator}");
        }
        assert_eq!(simple(&format!("{}1", "-".repeat(100_001))).0, "-1");
        assert_eq!(simple(&format!("{}true", "NOT ".repeat(100_000))).0, "true");
        let union = format!("[1]{}", " UNION ALL [1]".repeat(50_000));
        assert_eq!(simple(&format!("CCOUNT({union})")).0, "50001");
        let path = format!("SELECT o{} FROM orders o LIMIT 1", ".place".repeat(100_000));
        assert!(simple(&path).1.is_err());
        let path = format!("SELECT s.place{} FROM sensor_data s LIMIT 1", ".x".repeat(100_000));
        assert_eq!(simple(&path).0, "[null]");
        let list = format!("CCOUNT([1{}])", ",1".repeat(400_000));
        assert_eq!(simple(&list).0, "400001");
    });
}

#[test]
fn nesting_is_bounded() {
    deep(|| {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("LOWER(", ")"),
            ("(SELECT ", ")"),
            ("IF true THEN ", " ELSE 1"),
        ] {
            let text = format!("{}1{}", open.repeat(40_000), close.repeat(40_000));
            let (_, result) = simple(&text);
            assert!(result.unwrap_err().starts_with("nested too deeply at "), "{open}");
        }
        let brackets = |count: usize| format!("{}1{}", "(".repeat(count), ")".repeat(count));
        assert_eq!(simple(&brackets(200)).0, "1");
        assert_eq!(simple(&brackets(201)).1, Err("nested too deeply at 200-201".into()));
        let kind = format!("CAST(1 AS {}int{})", "collection(".repeat(300), ")".repeat(300));
        assert!(simple(&kind).1.unwrap_err().starts_with("nested too deeply"));
        let selects = format!("{}1{}", "(SELECT ".repeat(100), ")".repeat(100));
        assert!(simple(&selects).1.is_ok());
        let minimum = format!("{}[1]{}", "MIN(SELECT x FROM x IN [".repeat(60), "])".repeat(60));
        let _ = simple(&minimum);
    });
}

#[test]
fn declarations_that_build_on_each_other_are_bounded() {
    deep(|| {
        let mut text = "x0 := 1;".to_owned();
        for n in 1..20_000 {
            text.push_str(&format!("x{n} := x{} + 1;", n - 1));
        }
        text.push_str("x19999");
        assert!(simple(&text).1.unwrap_err().starts_with("nested too deeply"));
        let mut text = "f0() := 1;".to_owned();
        for n in 1..20_000 {
            text.push_str(&format!("f{n}(a: int := f{}()) := f{}();", n - 1, n - 1));
        }
        text.push_str("f19999()");
        assert!(simple(&text).1.unwrap_err().starts_with("nested too deeply"));
        let mut text = "a0 := (x: 1, y: 1);".to_owned();
        for n in 1..100 {
            text.push_str(&format!("a{n} := (x: a{}, y: a{});", n - 1, n - 1));
        }
        text.push_str("a99");
        assert!(simple(&text).1.unwrap_err().starts_with("nested too deeply"));
        let mut text = "a0 := [1, 1];".to_owned();
        for n in 1..60 {
            text.push_str(&format!("a{n} := a{} UNION ALL a{};", n - 1, n - 1));
        }
        text.push_str("CCOUNT(a59)");
        assert_eq!(simple(&text).1, Err("memory limit passed".into()));
        let mut text = "s0 := \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\";".to_owned();
        for n in 1..60 {
            text.push_str(&format!("s{n} := s{} + s{};", n - 1, n - 1));
        }
        text.push_str("LEN(s59)");
        assert_eq!(simple(&text).1, Err("memory limit passed".into()));
    });
}

#[test]
fn limits_are_told_and_rows_before_them_stand() {
    let bench = &mut TestBench::new();
    let rows = Limits { rows: 3, bytes: 1 << 20 };
    assert_eq!(
        run("SELECT x FROM RANGE(0, 10) x", rows, bench),
        ("[0,1,2".to_owned(), Err("limit of 3 rows passed".to_owned()))
    );
    let little = Limits { rows: 10, bytes: 100_000 };
    for text in [
        "SELECT x FROM RANGE(0, 1000000) x ORDER BY x",
        "SELECT x FROM RANGE(0, 1000000) x GROUP BY x",
        "SELECT DISTINCT x FROM RANGE(0, 1000000) x ORDER BY 1",
        "CCOUNT(SELECT a FROM RANGE(0, 2) a, (SELECT x FROM RANGE(0, 1000000) x) b)",
        "CCOUNT(DISTINCT(RANGE(0, 1000000)))",
        "x := (SELECT x FROM RANGE(0, 1000000) x); CCOUNT(x)",
        "LEN(MKSTRING(RANGE(0, 1000000), \",\"))",
    ] {
        let (bytes, result) = run(text, little, bench);
        assert_eq!(bytes, "", "{text}");
        assert_eq!(result, Err("memory limit passed".to_owned()), "{text}");
    }
    // What is held only for a row is given back with it.
    let text = "CCOUNT(SELECT (SELECT y FROM RANGE(0, 100) y) AS l FROM RANGE(0, 1000) x)";
    assert_eq!(run(text, little, bench).0, "1000");
}

#[test]
fn a_query_is_stopped_soon() {
    for text in [
        "SELECT COUNT(a) FROM a IN RANGE(0, 100000000000) WHERE a % 7 = 3",
        "CCOUNT(SELECT 1 FROM RANGE(0, 100000000000) x WHERE false)",
        "SELECT x FROM RANGE(0, 100000000000) x WHERE false",
        "CSUM(RANGE(0, 3000000000))",
        "SELECT a FROM RANGE(0, 100000) a, RANGE(0, 100000) b, RANGE(0, 100000) c WHERE a < 0",
        "-1 IN RANGE(0, 100000000000)",
        "f(x: long) := x; SELECT SUM(f(x)) FROM RANGE(0, 1000000000000) x",
    ] {
        let bench = &mut TestBench::new();
        bench.patience = 100;
        let result = ask(text, Format::Json, LIMITS, bench);
        match result {
            Outcome::Ran(_, Err(Halt::Stopped(Stopped::TimedOut))) => {}
            other => panic!("{text} {other:?}"),
        }
    }
}

#[test]
fn long_queries_are_refused_and_errors_are_counted() {
    let bench = &mut TestBench::new();
    let errors = compile("1 + 1", 3, &mut bench.world()).unwrap_err();
    assert_eq!((&*errors[0].message, errors[0].span), ("query too long", None));
    let text = format!("[{}1]", "aa, ".repeat(20_000));
    let errors = compile(&text, 1 << 20, &mut bench.world()).unwrap_err();
    assert_eq!(errors.len(), 100);
    assert!(errors.windows(2).all(|pair| pair[0].span < pair[1].span));
    assert_eq!(errors[99].span.unwrap().start, 1 + 99 * 4);
}

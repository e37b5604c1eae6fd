//! Cases of `tests/golden/jet`: source, events, canonical text, rows. `WEIR_WRITE_GOLDEN=1` writes
//! the last two anew; what changed is then for a person to judge.
//!
//! A case is `== name`, `jet` and the pipeline, then events (`in` a record, `at` a time in ms and
//! what the clock closes, `flush`), then `ir` and `out` lines. Each case also runs once more with
//! its state saved and loaded between any two events, and must give the same.

use super::{Statement, parse};
use crate::model::value::{Bytes, Style, Value, encode_value, read_json, write_value};
use crate::query::pipeline::Pipeline;
use crate::query::program::{Lookups, World};
use crate::query::push::{Runner, Sink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Default)]
struct Case {
    name: String,
    jet: String,
    events: Vec<String>,
    ir: Vec<String>,
    out: Vec<String>,
}

#[derive(Default)]
struct Rows(Vec<String>);

fn json(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    write_value(value, Style::Script, &mut out);
    String::from_utf8(out).unwrap()
}

impl Sink for Rows {
    fn row(&mut self, value: &Value<'_>) {
        self.0.push(json(value));
    }
    fn insert(&mut self, target: usize, value: &Value<'_>) {
        self.0.push(format!("insert {target} {}", json(value)));
    }
    fn file(&mut self, stage: usize, value: &Value<'_>) {
        self.0.push(format!("file {stage} {}", json(value)));
    }
    fn trouble(&mut self, code: &'static str, why: &str) {
        self.0.push(format!("trouble {code} {why}"));
    }
}

fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a case begins with ==");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "jet" if case.jet.is_empty() => case.jet = rest.to_owned(),
            "jet" => case.jet = format!("{}\n{rest}", case.jet),
            "ir" => case.ir.push(rest.to_owned()),
            "out" => case.out.push(rest.to_owned()),
            "in" | "at" | "flush" => case.events.push(line.to_owned()),
            _ => panic!("{line}"),
        }
    }
    cases
}

fn pipeline(jet: &str) -> Result<Arc<Pipeline>, String> {
    match parse(jet) {
        Ok(Statement::Pipeline(pipeline)) => Ok(pipeline),
        Ok(other) => panic!("no pipeline: {other:?}"),
        Err(failure) => Err(format!("{} {}", failure.code, failure.message)),
    }
}

/// Runs the events; `again`: the runner is saved and loaded before each.
fn run(pipeline: &Arc<Pipeline>, events: &[String], again: bool) -> Vec<String> {
    let mut lookups = Lookups::new();
    lookups.insert("limits".into(), read_json(r#"{"high":25}"#).unwrap().own());
    let mut runner = Runner::new(Arc::clone(pipeline));
    let mut rows = Rows::default();
    let mut now_ms = 0;
    for event in events {
        if again {
            let mut saved = Vec::new();
            runner.save(&mut saved);
            runner = Runner::new(Arc::clone(pipeline)).load(&mut Bytes(&saved)).unwrap();
        }
        let (word, rest) = event.split_once(' ').unwrap_or((event, ""));
        let world = World { now_ms, lookups: &lookups };
        match word {
            "in" => {
                let record = read_json(rest).unwrap();
                runner.push(std::iter::once((now_ms, record)), &world, &mut rows);
            }
            "at" => {
                now_ms = rest.parse().unwrap();
                let world = World { now_ms, lookups: &lookups };
                if runner.deadline().is_some_and(|at| at <= now_ms) {
                    runner.tick(now_ms, &world, &mut rows);
                }
            }
            _ => {
                rows.0.push("-- flush".into());
                runner.flush(&world, &mut rows);
            }
        }
    }
    let counters = runner.counters();
    if counters.errors + counters.late > 0 {
        rows.0.push(format!("errors {} late {}", counters.errors, counters.late));
    }
    rows.0
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/jet")
}

#[test]
fn golden_cases_give_their_rows() {
    let write = std::env::var_os("WEIR_WRITE_GOLDEN").is_some();
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let mut cases = read(&std::fs::read_to_string(&path).unwrap());
        let mut text = String::new();
        for case in &mut cases {
            let (ir, out) = match pipeline(&case.jet) {
                Ok(pipeline) => {
                    let out = run(&pipeline, &case.events, false);
                    let again = run(&pipeline, &case.events, true);
                    assert_eq!(out, again, "{} with its state stored", case.name);
                    (pipeline.canonical().lines().map(str::to_owned).collect(), out)
                }
                Err(why) => (vec![why], Vec::new()),
            };
            if !write {
                assert_eq!(ir, case.ir, "{}: canonical text of {}", case.name, case.jet);
                assert_eq!(out, case.out, "{}: rows of {}", case.name, case.jet);
            }
            (case.ir, case.out) = (ir, out);
            count += 1;
            text.push_str(&format!("== {}\n", case.name));
            case.jet.lines().for_each(|line| text.push_str(&format!("jet {line}\n")));
            case.events.iter().for_each(|line| text.push_str(&format!("{line}\n")));
            case.ir.iter().for_each(|line| text.push_str(&format!("ir {line}\n")));
            case.out.iter().for_each(|line| text.push_str(&format!("out {line}\n")));
            text.push('\n');
        }
        if write {
            std::fs::write(&path, text).unwrap();
        }
    }
    assert!(count >= 60, "{count} cases were found");
}

/// A generator that needs no seed from outside: the cases it makes are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.next(list.len())]
    }
}

const WORDS: &[&str] = &[
    "s",
    "|",
    "where",
    "select",
    "summarize",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ",",
    ":",
    ";",
    ".",
    "..",
    "...",
    "...*",
    "*",
    "x",
    "y",
    "a.b",
    "window",
    "by",
    "over",
    "emit",
    "every",
    "when",
    "on",
    "change",
    "group",
    "update",
    "using",
    "=",
    "==",
    "!=",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&&",
    "||",
    "!",
    "not",
    "and",
    "or",
    "in",
    "is",
    "null",
    "defined",
    "between",
    "like",
    "matches",
    "'a%'",
    "\"[a-\"",
    "1",
    "2.5",
    "1e400",
    "10s",
    "1h30m",
    "true",
    "null",
    "count()",
    "sum(x)",
    "min(x, y)",
    "percentile(x, 50)",
    "abs(x)",
    "iff(x, 1, 2)",
    "case(x, 1, 2)",
    "concat(x, y)",
    "format_date(x, '%Q')",
    "tumbling_window(2)",
    "sliding_window_by(3, x)",
    "session_window(1s)",
    "hopping_window_by(10, 5, x)",
    "scan(",
    "step",
    "A",
    "=>",
    "A.v",
    "emit({v: A.v})",
    "take",
    "3",
    "sort by x",
    "distinct",
    "mv_expand",
    "extend",
    "insert_into(t)",
    "?",
    "@",
    "ä",
    "\\",
    "'",
];

const RECORDS: &[&str] = &[
    "{\"x\":1,\"y\":\"b\"}",
    "{\"x\":null}",
    "{}",
    "5",
    "\"text\"",
    "[1,2]",
    "null",
    "{\"x\":{\"y\":[1,{\"z\":2}]},\"a\":{\"b\":true}}",
    "{\"x\":1e308,\"y\":-1e308}",
    "{\"x\":12345678901234567890,\"y\":\"12\"}",
    "{\"x\":[],\"y\":{}}",
    "{\"x\":\"\",\"x\":3}",
];

/// Parser, checker and evaluator take any text and any records.
fn try_text(text: &str, dice: &mut Dice) -> bool {
    let Ok(Statement::Pipeline(pipeline)) = parse(text) else { return false };
    if pipeline.sorts() {
        return true;
    }
    let events: Vec<String> = (0..6)
        .map(|n| match dice.next(8) {
            0 => "flush".to_owned(),
            1 => format!("at {}", n * 1000),
            _ => format!("in {}", dice.pick(RECORDS)),
        })
        .collect();
    assert_eq!(run(&pipeline, &events, false), run(&pipeline, &events, true), "{text} {events:?}");
    true
}

#[test]
fn no_text_and_no_record_brings_it_down() {
    let mut dice = Dice(0x5eed_1234_5678_9abc);
    let good: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .flat_map(|entry| read(&std::fs::read_to_string(entry.unwrap().path()).unwrap()))
        .map(|case| case.jet)
        .collect();
    let seconds = std::env::var("WEIR_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let begun = std::time::Instant::now();
    let (mut tried, mut parsed) = (0_u64, 0_u64);
    while tried < 40_000 || seconds.is_some_and(|s: u64| begun.elapsed().as_secs() < s) {
        let text = if dice.next(2) == 0 {
            let mut text = String::from("s |");
            for _ in 0..1 + dice.next(14) {
                text.push(' ');
                text.push_str(dice.pick(WORDS));
            }
            text
        } else {
            // A good pipeline with a word replaced, left out or put in.
            let mut words: Vec<&str> = good[dice.next(good.len())].split(' ').collect();
            let at = dice.next(words.len());
            match dice.next(3) {
                0 => words[at] = dice.pick(WORDS),
                1 => drop(words.remove(at)),
                _ => words.insert(at, dice.pick(WORDS)),
            }
            words.join(" ")
        };
        tried += 1;
        parsed += u64::from(try_text(&text, &mut dice));
    }
    assert!(parsed > 1000, "{parsed} of {tried} were good");
}

#[test]
fn size_and_depth_are_refused_or_borne() {
    let chain = format!("s | where {}", vec!["1"; 20_000].join("+"));
    assert!(pipeline(&chain).is_ok(), "chains have no depth");
    let nots = format!("s | where {} x", "!".repeat(30_000));
    assert!(pipeline(&nots).is_ok());
    let ternaries = format!("s | select {{ a: {} 1 }}", "x ? 1 : ".repeat(5000));
    assert!(pipeline(&ternaries).is_ok());
    for open in ["(", "[", "{a:", "abs(", "x["] {
        let deep = format!("s | where {}", open.repeat(10_000));
        let why = pipeline(&deep).unwrap_err();
        assert!(why.contains("Nested too deep"), "{why}");
    }
    let long = format!("s | where x == '{}'", "a".repeat(70_000));
    assert!(pipeline(&long).unwrap_err().contains("65536"));
    let stages = format!("s {}", "| take 1 ".repeat(300));
    assert!(pipeline(&stages).unwrap_err().contains("256 operators"));
    let pattern = "s | where x matches '(a{1000}){1000}'";
    assert!(pipeline(pattern).unwrap_err().starts_with("INVALID_QUERY"));
}

#[test]
fn values_of_states_keep_their_kind() {
    let value = read_json("{\"a\":1.50,\"b\":[1,\"x\"]}").unwrap();
    let mut bytes = Vec::new();
    encode_value(&value, &mut bytes);
    let back = crate::model::value::decode_value(&mut Bytes(&bytes)).unwrap();
    assert_eq!(json(&back), "{\"a\":1.50,\"b\":[1,\"x\"]}");
}

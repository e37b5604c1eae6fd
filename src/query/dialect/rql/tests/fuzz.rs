//! Random token soup and mutated good queries: whatever comes, no panic and no long run.

use super::bench::TestBench;
use super::{Outcome, ask, deep};
use crate::proto::raw::format::Format;
use crate::query::strict::eval::Limits;

pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

const TOKENS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "AS",
    "IN",
    "=",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    ":",
    ":=",
    ";",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "IS",
    "LIKE",
    "BETWEEN",
    "UNION",
    "ALL",
    "DISTINCT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "IF",
    "CAST",
    "TRY_CAST",
    "PARTITION",
    "orders",
    "o",
    "id",
    "cust",
    "x",
    "1",
    "0",
    "2.5",
    "\"a\"",
    "'%'",
    "COUNT",
    "SUM",
    "MAX",
    "RANGE",
    "CCOUNT",
    "ENUMERATE",
    "TYPEOF",
    "int",
    "string",
    "collection",
    "record",
    "DATE \"2024-01-01\"",
    "INTERVAL \"1 day\"",
    "OFFSET_OF",
    "READ_CSV",
    "\"file:people.csv\"",
    "sensor_data",
    "place",
    "tags",
    "{",
    "}",
    "9223372036854775807",
    "SUBSTRING",
    "ROUND",
    "f",
    "typealias",
    "ISNULL",
    "TRY",
];

fn good_queries() -> Vec<String> {
    let files = [
        include_str!("../../../../../tests/golden/rql/examples.txt"),
        include_str!("../../../../../tests/golden/rql/names.txt"),
        include_str!("../../../../../tests/golden/rql/types.txt"),
        include_str!("../../../../../tests/golden/rql/operators.txt"),
        include_str!("../../../../../tests/golden/rql/functions.txt"),
        include_str!("../../../../../tests/golden/rql/selects.txt"),
        include_str!("../../../../../tests/golden/rql/files.txt"),
    ];
    let lines = files.iter().flat_map(|file| file.lines());
    lines.filter_map(|line| line.strip_prefix("> ").map(str::to_owned)).collect()
}

/// Runs a text; whether it compiled.
fn run(text: &str, bench: &mut TestBench, format: Format) -> bool {
    bench.checks = 0;
    bench.patience = 50;
    let limits = Limits { rows: 1000, bytes: 1 << 20 };
    let Outcome::Invalid(errors) = ask(text, format, limits, bench) else { return true };
    let end = text.len() as u32;
    for wrong in errors {
        let span = wrong.span.unwrap_or_default();
        assert!(span.start <= span.end && span.end <= end, "{text} {wrong:?}");
    }
    false
}

#[test]
fn soup_and_mutations_do_no_harm() {
    let rounds = std::env::var("WEIR_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(6_000);
    deep(|| {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let mut bench = TestBench::new();
        let mut ran = 0;
        let good = good_queries();
        let formats = [Format::Json, Format::Hjson, Format::Csv, Format::Text, Format::Binary];
        for round in 0..rounds {
            let round: usize = round;
            let mut text = String::new();
            if round.is_multiple_of(3) {
                text = super::grammar::program(&mut dice);
            } else if round % 3 == 1 {
                if round.is_multiple_of(2) {
                    text.push_str("SELECT ");
                }
                for _ in 0..dice.roll(30) {
                    text.push_str(TOKENS[dice.roll(TOKENS.len())]);
                    text.push(' ');
                }
            } else {
                let mut words: Vec<String> =
                    good[dice.roll(good.len())].split(' ').map(str::to_owned).collect();
                for _ in 0..=dice.roll(3) {
                    let at = dice.roll(words.len());
                    match dice.roll(4) {
                        0 => drop(words.remove(at)),
                        1 => words.insert(at, TOKENS[dice.roll(TOKENS.len())].to_owned()),
                        2 => words[at] = TOKENS[dice.roll(TOKENS.len())].to_owned(),
                        _ => {
                            let other = good[dice.roll(good.len())].clone();
                            words[at] = format!("({other})");
                        }
                    }
                    if words.is_empty() {
                        words.push(String::new());
                    }
                }
                text = words.join(" ");
                if dice.roll(8) == 0 {
                    let cut = dice.roll(text.len());
                    let cut = (0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap();
                    text.truncate(cut);
                }
            }
            let format = formats[dice.roll(formats.len()).min(dice.roll(formats.len()))];
            ran += usize::from(run(&text, &mut bench, format));
        }
        assert!(ran * 25 > rounds, "{ran} of {rounds} texts were good queries");
    });
}

//! Queries and what they give, as data: `tests/golden/rql`. A case is a line `> query` (more lines
//! of it begin with `| `, `\` at its end joins nothing), then what comes out: the bytes, then
//! `! text` if it fails while running, or lines `! 1:1-1:3 text` if it does not compile.

mod bench;
mod fuzz;
mod grammar;
mod limits;

use super::compile;
use super::source::{Lines, Wrong};
use crate::proto::raw::format::Format;
use crate::query::strict::eval::{Limits, Machine};
use crate::query::strict::value::Halt;
use bench::TestBench;

/// What a query gave.
#[derive(Debug)]
enum Outcome {
    Invalid(Vec<Wrong>),
    Ran(Vec<u8>, Result<(), Halt>),
}

/// Compiles and runs a query.
fn ask(text: &str, format: Format, limits: Limits, bench: &mut TestBench) -> Outcome {
    let compiled = match compile(text, 1 << 20, &mut bench.world()) {
        Ok(compiled) => compiled,
        Err(errors) => return Outcome::Invalid(errors),
    };
    let plan = compiled.plan;
    if !format.supports(&plan.kind) {
        return Outcome::Invalid(vec![Wrong::at(compiled.span, "unsupported type")]);
    }
    let mut sheet = format.writer(&plan.kind);
    bench.output.clear();
    let result = Machine::new(&plan, bench, limits).run(&mut sheet);
    Outcome::Ran(std::mem::take(&mut bench.output), result)
}

const LIMITS: Limits = Limits { rows: 1_000_000, bytes: 64 << 20 };

/// Runs `work` where the stack is as large as on a query worker.
fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(crate::query::pull::STACK_BYTES);
        builder.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

/// What the client sees of a query, in the form of the data.
fn shown(text: &str, format: Format) -> String {
    match ask(text, format, LIMITS, &mut TestBench::new()) {
        Outcome::Invalid(errors) => {
            let lines = Lines::new(text);
            let line = |wrong: &Wrong| match wrong.span {
                None => format!("! {}", wrong.message),
                Some(span) => {
                    let (begin, end) = (lines.place(span.start), lines.place(span.end));
                    let at = (begin.line, begin.column, end.line, end.column);
                    format!("! {}:{}-{}:{} {}", at.0, at.1, at.2, at.3, wrong.message)
                }
            };
            errors.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Outcome::Ran(bytes, result) => {
            let mut shown = String::from_utf8_lossy(&bytes).into_owned();
            if let Err(Halt::Failed(text) | Halt::Limit(text)) = result {
                if !shown.is_empty() {
                    shown.push('\n');
                }
                shown.push_str(&format!("! {text}"));
            }
            shown
        }
    }
}

/// Checks all cases of a file.
fn check(data: &str, format: Format) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in format!("\n{data}").split("\n> ").skip(1) {
        let mut query = String::new();
        let mut wanted: Vec<&str> = Vec::new();
        for (index, line) in case.lines().enumerate() {
            if index == 0 {
                query.push_str(line);
            } else if let Some(more) = line.strip_prefix("| ") {
                query.push('\n');
                query.push_str(more);
            } else if !line.starts_with('#') {
                wanted.push(line);
            }
        }
        let wanted = wanted.join("\n");
        let got = shown(&query, format);
        if got.trim_end() != wanted.trim_end() {
            wrong.push(format!("> {query}\nwanted: {wanted}\ngot:    {got}\n"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} cases\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 5, "the cases were found");
}

macro_rules! golden {
    ($($name:ident $format:ident)+) => {
        $(#[test]
        fn $name() {
            let data = include_str!(concat!(
                "../../../../../tests/golden/rql/", stringify!($name), ".txt"
            ));
            deep(|| check(data, Format::$format));
        })+
    };
}

golden! {
    examples Json
    syntax Json
    names Json
    types Json
    operators Json
    functions Json
    selects Json
    files Json
    separated Csv
    lines Hjson
}

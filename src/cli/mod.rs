//! The command line: one table of commands and flags, and what each command does.
//!
//! Errors go to standard error and name their remedy. Exit status: 0 done, 1 failed, 2 the command
//! line or the configuration is wrong. What needs the broker itself is called through [`Entry`], so
//! that this module knows neither shards nor the log.

pub mod check;
pub mod client;
pub mod completions;
pub mod demo;
pub mod logs;
pub mod manual;
pub mod parse;
pub mod password;
pub mod query;
pub mod stream;
pub mod table;

use crate::config::{Config, render};
use parse::{Action, Reach};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// What `weir serve` is asked for beside the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// Simulated sensors feed a stream.
    pub demo: bool,
}

/// The commands that need more than a client does.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Runs the broker until it is told to stop.
    pub serve: fn(Config, ServeOptions) -> ExitCode,
    /// Reads a data directory; `true`: every record of it.
    pub inspect: fn(&Path, bool) -> ExitCode,
}

/// Bad usage or configuration.
const WRONG: u8 = 2;

/// Reads the command line of this process and does what it says.
#[must_use]
pub fn main(entry: &Entry) -> ExitCode {
    match parse::parse(std::env::args_os()) {
        Ok(action) => run(action, entry),
        Err(said) => {
            let _ = said.print();
            if said.use_stderr() { ExitCode::from(WRONG) } else { ExitCode::SUCCESS }
        }
    }
}

fn run(action: Action, entry: &Entry) -> ExitCode {
    let done = match action {
        Action::Serve { config, demo } => match check::load(config.as_deref()) {
            Ok(config) => {
                logs::start();
                return (entry.serve)(config, ServeOptions { demo });
            }
            Err(lines) => return wrong(&lines),
        },
        Action::Check { defaults: true, .. } => Ok(render::defaults()),
        Action::Check { config, .. } => match check::run(config.as_deref()) {
            Ok(text) => Ok(text),
            Err(lines) => return wrong(&lines),
        },
        Action::Inspect { directory, verify } => return (entry.inspect)(&directory, verify),
        Action::Publish { topic, json, create, reach } => {
            publish(reach, &topic, json.as_deref(), create)
        }
        Action::Subscribe { topic, from, frames, reach } => target(reach).and_then(|target| {
            stream::subscribe(&target, &topic, from, frames, &mut io::stdout().lock())
                .map(|()| String::new())
        }),
        Action::Query { dialect, within, text, lines, reach } => target_of(reach, &dialect)
            .and_then(|target| {
                let query =
                    query::Query { dialect: &dialect, within: within.as_deref(), text: &text };
                query::run(&target, &query, lines, &mut io::stdout().lock())
            })
            .map(|()| String::new()),
        Action::Topics { reach } => target(reach).and_then(|target| stream::topics(&target)),
        Action::HashPassword => password::run().map(|phc| phc + "\n"),
        Action::Completions { shell } => Ok(completions::script(&shell).unwrap_or_default()),
        Action::Manual => Ok(manual::page()),
        Action::Version => Ok(format!("weir {}\n", env!("CARGO_PKG_VERSION"))),
    };
    match done.and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error}");
            ExitCode::FAILURE
        }
    }
}

fn publish(reach: Reach, topic: &str, json: Option<&str>, create: bool) -> Result<String, String> {
    let target = target(reach)?;
    if json.is_none() {
        stream::hint();
    }
    let count = stream::publish(&target, topic, json, create, io::stdin().lock())?;
    Ok(format!("{count} inserted into {topic}\n"))
}

fn target(reach: Reach) -> Result<client::Target, String> {
    client::Target::new(reach, std::env::var("WEIR_TOKEN").ok())
}

fn target_of(reach: Reach, dialect: &str) -> Result<client::Target, String> {
    let token = std::env::var("WEIR_TOKEN").ok();
    match dialect {
        "rql" => client::Target::raw(reach, token),
        "nsdb" => client::Target::nsdb(reach, token),
        _ => client::Target::new(reach, token),
    }
}

fn wrong(lines: &str) -> ExitCode {
    eprint!("{lines}");
    ExitCode::from(WRONG)
}

/// A reader that has seen enough is no error.
fn print(text: &str) -> Result<(), String> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write: {error}; is the disk full?"))
        }
        _ => Ok(()),
    }
}

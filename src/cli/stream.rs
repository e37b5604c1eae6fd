//! `weir pub`, `weir sub` and `weir topics`.
//!
//! Records pass as the text they are, in both directions: every digit and the order of keys
//! survive. Publishing sends as many lines as have arrived, so a pipe is fast and a person is not
//! kept waiting.

use super::client::{Client, Target, quoted};
use super::parse::From;
use crate::model::json::{self, Kind, key_is};
use crate::sys::{files, notify};
use simd_json::prelude::*;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Records that travel in one request; the protocol takes 100,000.
const BATCH_RECORDS_MAX: usize = 1_000;
/// Bytes after which a request is sent; well below any sensible `limits.message_bytes`.
const BATCH_BYTES: usize = 256 << 10;
/// Between two looks whether standard output is still read.
const LOOK: Duration = Duration::from_millis(200);
/// After a signal, until the process ends even though its output does not move.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Inserts `record`, or else the lines of `input`, and says how many were acknowledged.
///
/// # Errors
/// What went wrong, and what was inserted before.
pub fn publish(
    target: &Target,
    topic: &str,
    record: Option<&str>,
    create: bool,
    input: impl Read,
) -> Result<u64, String> {
    let records = match record {
        Some(text) => Some(one_argument(text)?),
        None => None,
    };
    let mut client = Client::connect(target)?;
    if create {
        client.create(topic, "")?;
    }
    let count = match records {
        Some(records) => insert(&mut client, topic, records),
        None => lines(&mut client, topic, BufReader::with_capacity(BATCH_BYTES, input)),
    };
    client.close();
    count
}

fn insert(client: &mut Client, topic: &str, records: &str) -> Result<u64, String> {
    client.insert(topic, records).map_err(|error| {
        let missing = error.ends_with("does not exist");
        if missing { format!("{error}; --create makes it") } else { error }
    })
}

/// The records of the argument, without the brackets of an array.
fn one_argument(text: &str) -> Result<&str, String> {
    let found = json::check(text.as_bytes());
    match found.map(|value| (value.kind, value.text.len())) {
        Ok((Kind::Object, _)) => Ok(text),
        Ok((Kind::Array, length)) => Ok(&text.trim()[1..length - 1]),
        Ok(_) => Err("the record is not an object; quote it, as in '{\"temp\": 21.5}'".to_owned()),
        Err(error) => Err(format!(
            "the record is not JSON: {error}; quote it for the shell, as in '{{\"temp\": 21.5}}'"
        )),
    }
}

fn lines(client: &mut Client, topic: &str, mut input: BufReader<impl Read>) -> Result<u64, String> {
    let (mut batch, mut records, mut sent) = (String::new(), 0, 0);
    let mut line = String::new();
    for number in 1_u64.. {
        line.clear();
        let read = input.read_line(&mut line);
        let record = line.trim();
        let bad = match &read {
            Err(error) => Some(format!("line {number} cannot be read: {error}")),
            Ok(_) if record.is_empty() => None,
            Ok(_) => not_an_object(record).map(|why| format!("line {number} {why}")),
        };
        let end = matches!(read, Ok(0));
        if bad.is_none() && !record.is_empty() {
            batch.push_str(if records > 0 { "," } else { "" });
            batch.push_str(record);
            records += 1;
        }
        let full = records >= BATCH_RECORDS_MAX || batch.len() >= BATCH_BYTES;
        let waiting = !input.buffer().contains(&b'\n');
        if records > 0 && (full || waiting || end || bad.is_some()) {
            sent += insert(client, topic, &batch)
                .map_err(|error| format!("{error} ({sent} records were inserted before)"))?;
            batch.clear();
            records = 0;
        }
        if let Some(bad) = bad {
            return Err(format!("{bad}; the {sent} records before it were inserted"));
        }
        if end {
            break;
        }
    }
    Ok(sent)
}

fn not_an_object(record: &str) -> Option<String> {
    match json::check(record.as_bytes()) {
        Ok(value) if value.kind == Kind::Object => None,
        Ok(_) => Some("is not a JSON object".to_owned()),
        Err(error) => Some(format!("is not JSON: {error}")),
    }
}

/// Says on a terminal what is waited for.
pub fn hint() {
    if io::stdin().is_terminal() {
        eprintln!("Reading records from standard input, one JSON object a line; Ctrl-D ends.");
    }
}

/// Prints records as they arrive, until SIGINT or until nobody reads `output`.
///
/// # Errors
/// The server refuses, or the connection ends.
pub fn subscribe(
    target: &Target,
    topic: &str,
    from: From,
    frames: bool,
    output: &mut impl Write,
) -> Result<(), String> {
    let mut client = Client::connect(target)?;
    let begin = match from {
        From::Latest => String::new(),
        From::Earliest => ",\"replay\":\"all\"".to_owned(),
        From::Offset(offset) => format!(",\"fromOffset\":{offset}"),
    };
    let name = quoted(topic);
    let request = format!("{{\"type\":\"subscribe\",\"streamName\":{name}{begin}}}");
    client.ask(request, |_| ()).map_err(|error| {
        let missing = error.ends_with("does not exist");
        if missing { format!("{error}; `weir topics` lists those that do") } else { error }
    })?;
    let stopped = stop_on_signal(&client)?;
    client.wait_for_ever();
    let done = copy(&mut client, frames, output);
    client.close();
    if stopped.load(Ordering::Acquire) { Ok(()) } else { done }
}

/// Copies deliveries until the connection ends or nobody reads.
fn copy(client: &mut Client, frames: bool, output: &mut impl Write) -> Result<(), String> {
    loop {
        let frame = client.receive()?;
        let Some(line) = printed(frame.as_str(), frames)? else { continue };
        let written = output.write_all(line.as_bytes()).and_then(|()| output.write_all(b"\n"));
        match written.and_then(|()| output.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(format!("cannot write: {error}; is the disk full?")),
        }
    }
}

/// What to print of a frame; `None`: it is no delivery.
///
/// # Errors
/// The stream is gone.
fn printed(frame: &str, whole: bool) -> Result<Option<&str>, String> {
    let (mut kind, mut record, mut message) = (None, None, None);
    let scanned = json::members(frame.as_bytes(), |key, value| {
        if key_is(key, "type") {
            kind = value.as_string();
        } else if key_is(key, "data") {
            record = std::str::from_utf8(value.text).ok();
        } else if key_is(key, "message") {
            message = value.as_string();
        }
    });
    match (scanned.is_ok(), kind.as_deref()) {
        (true, Some("data")) => Ok(if whole { Some(frame) } else { record }),
        (true, Some("unsubscribed")) => Err(message.unwrap_or_default()),
        _ => Ok(None),
    }
}

/// On SIGINT or SIGTERM, or when nobody reads standard output any more, ends the reading of the
/// connection; what was read is still printed.
fn stop_on_signal(client: &Client) -> Result<Arc<AtomicBool>, String> {
    let stream = client.stream().map_err(|error| format!("{error}; raise `ulimit -n`"))?;
    let stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopped);
    notify::hold_signals();
    thread::spawn(move || {
        while notify::next_signal(LOOK) != Some(notify::Signal::Stop)
            && !files::nobody_reads(io::stdout().as_fd())
        {}
        told.store(true, Ordering::Release);
        let _ = stream.shutdown(Shutdown::Read);
        thread::sleep(STOP_PATIENCE);
        std::process::exit(0);
    });
    Ok(stopped)
}

/// The streams and their records, a line each.
///
/// # Errors
/// The server refuses, or the connection ends.
pub fn topics(target: &Target) -> Result<String, String> {
    let mut client = Client::connect(target)?;
    let list = client.execute("list streams", |answer| {
        let result = answer.get("result");
        let names = result.and_then(|r| r.get("result")).and_then(|r| r.get_array("streams"));
        let message = result.and_then(|r| r.get_str("message")).unwrap_or_default();
        // The counts stand only in the message, whose lines are in the order of the names.
        let lines = message.lines().skip(1);
        let names = names.into_iter().flatten().filter_map(|name| name.as_str());
        names.zip(lines).map(|(name, line)| (name.to_owned(), count_in(line))).collect::<Vec<_>>()
    })?;
    client.close();
    let width = list.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    Ok(list.iter().map(|(name, count)| format!("{name:width$}  {count:>12}\n")).collect())
}

/// The N of `1. name (N documents)`.
fn count_in(line: &str) -> u64 {
    let (_, tail) = line.rsplit_once('(').unwrap_or_default();
    tail.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

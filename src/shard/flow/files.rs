//! Files that flows write, and compare with. A thread of its own does it, so that no shard waits
//! for a disk; who flushes is answered when it is done.

use super::output::Troubles;
use crate::model::flow::{Flow, FlowId};
use crate::model::value::{Style, Value, read_json, write_value};
use crate::query::pipeline::{Operator, Pipeline};
use crate::query::place::evaluate_path;
use crate::query::program::Lookups;
use crate::sys::clock::realtime_ns;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Pieces of work that wait for the thread.
const WAITING_MAX: usize = 4096;
/// Rows that a comparison keeps.
const ROWS_MAX: usize = 100_000;

/// A file of a flow.
#[derive(Debug)]
enum Sink {
    /// Lines are appended.
    Write { path: PathBuf, fsync: Option<Duration> },
    /// Rows are compared on flush.
    Expect { path: PathBuf, rows: Vec<Vec<u8>> },
}

/// The files of one flow, by stage.
#[derive(Debug, Default)]
pub struct Files {
    list: Vec<(usize, Sink)>,
    lost: u64,
}

/// What a flow expects to find in files, since it was flushed: what stands in each.
#[derive(Debug)]
pub struct Expected {
    /// The flow's name, if it has one, and its number.
    flow: (Option<Arc<str>>, FlowId),
    files: Vec<(PathBuf, Vec<Vec<u8>>)>,
}

/// What is done when expectations were compared; it is given records of `_log`.
pub type Compared = Box<dyn FnOnce(Vec<Vec<u8>>) + Send>;

enum Job {
    Truncate(PathBuf),
    Append(PathBuf, Vec<u8>, Option<Duration>),
    Compare(Vec<Expected>, Compared),
}

impl Files {
    /// Those of a pipeline; what may not be written is left out, since its flow was not accepted.
    pub fn open(pipeline: &Pipeline, lookups: &Lookups, dir: Option<&Path>) -> Self {
        let mut files = Self::default();
        for (stage, one) in pipeline.stages.iter().enumerate() {
            let sink = match &one.operator {
                Operator::WriteFile { path, overwrite, fsync_ms } => {
                    let Ok(path) = evaluate_path(path, lookups, dir) else { continue };
                    if *overwrite {
                        files.send(Job::Truncate(path.clone()));
                    }
                    let fsync = (*fsync_ms > 0).then(|| Duration::from_millis(*fsync_ms));
                    Sink::Write { path, fsync }
                }
                Operator::Expect(path) => match evaluate_path(path, lookups, dir) {
                    Ok(path) => Sink::Expect { path, rows: Vec::new() },
                    Err(_) => continue,
                },
                _ => continue,
            };
            files.list.push((stage, sink));
        }
        files
    }

    /// Takes lines.
    pub fn write(&mut self, lines: Vec<(usize, Vec<u8>)>) {
        for (stage, mut line) in lines {
            let Some((_, sink)) = self.list.iter_mut().find(|(own, _)| *own == stage) else {
                continue;
            };
            match sink {
                Sink::Write { path, fsync } => {
                    line.push(b'\n');
                    let job = Job::Append(path.clone(), line, *fsync);
                    self.send(job);
                }
                Sink::Expect { rows, .. } if rows.len() < ROWS_MAX => rows.push(sorted(&line)),
                Sink::Expect { .. } => {}
            }
        }
    }

    fn send(&mut self, job: Job) {
        let sent = writer().is_some_and(|writer| writer.try_send(job).is_ok());
        self.lost += u64::from(!sent);
    }

    /// The flow was flushed; gives what is to be compared, if anything.
    pub fn finish(
        &mut self,
        flow: &Flow,
        troubles: &mut Troubles,
        now_ms: i64,
    ) -> Option<Expected> {
        if std::mem::take(&mut self.lost) > 0 {
            troubles.refuse("FILE_FAILED", "lines for a file were dropped", now_ms);
        }
        let take = |(_, sink): &mut (usize, Sink)| match sink {
            Sink::Expect { path, rows } => Some((path.clone(), std::mem::take(rows))),
            Sink::Write { .. } => None,
        };
        let files: Vec<_> = self.list.iter_mut().filter_map(take).collect();
        let flow = (flow.spec.name.clone(), flow.id);
        (!files.is_empty()).then_some(Expected { flow, files })
    }
}

/// Lets the thread compare what is expected with the files, or save it where there are none.
///
/// # Errors
/// It has too much to do; gives records of `_log` that say so.
pub fn compare(list: Vec<Expected>, then: Compared) -> Result<(), Vec<Vec<u8>>> {
    let job = Job::Compare(list, then);
    let job = match writer() {
        Some(writer) => match writer.try_send(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
        },
        None => job,
    };
    let Job::Compare(list, _) = job else { return Ok(()) };
    let refused = |expected: &Expected| {
        expected.records(&[("FILE_FAILED", "too much waits to be written".to_owned())])
    };
    Err(list.iter().flat_map(refused).collect())
}

impl Expected {
    /// Compares or saves; gives records of `_log`.
    fn carry_out(&self) -> Vec<Vec<u8>> {
        let mut troubles = Vec::new();
        for (path, rows) in &self.files {
            let shown = path.display();
            let Ok(text) = std::fs::read_to_string(path) else {
                let mut text = rows.join(&b'\n');
                text.push(b'\n');
                if let Err(error) = std::fs::write(path, text) {
                    troubles.push(("FILE_FAILED", format!("cannot write {shown}: {error}")));
                }
                continue;
            };
            let wanted: Vec<&str> = text.lines().collect();
            for index in 0..wanted.len().max(rows.len()) {
                let found = rows.get(index).map(|row| String::from_utf8_lossy(row));
                let want = wanted.get(index).copied();
                if want != found.as_deref() {
                    let (want, found) = (want.unwrap_or("nothing"), found.unwrap_or_default());
                    let text = format!("{shown} row {}: expected {want}, got {found}", index + 1);
                    troubles.push(("EXPECTATION_FAILED", text));
                }
            }
        }
        self.records(&troubles)
    }

    fn records(&self, list: &[(&'static str, String)]) -> Vec<Vec<u8>> {
        let mut troubles = Troubles::default();
        let now = realtime_ns();
        for (code, why) in list {
            troubles.add(code, why, now / 1_000_000);
        }
        let (name, id) = &self.flow;
        troubles.records(name.as_deref(), *id, now)
    }
}

/// The row with the keys of its objects in order.
fn sorted(line: &[u8]) -> Vec<u8> {
    fn sort(value: &Value<'_>) -> Value<'static> {
        if let Some(fields) = value.fields() {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| (name.own(), sort(value))).collect();
            fields.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
            return Value::record(fields);
        }
        match value.elements() {
            Some(list) => Value::list(list.iter().map(sort).collect()),
            None => value.own(),
        }
    }
    let mut out = Vec::new();
    match std::str::from_utf8(line).ok().and_then(read_json) {
        Some(value) => write_value(&sort(&value), Style::Script, &mut out),
        None => out.extend_from_slice(line),
    }
    out
}

/// The thread that writes; none if it cannot be started.
fn writer() -> Option<&'static SyncSender<Job>> {
    static WRITER: OnceLock<Option<SyncSender<Job>>> = OnceLock::new();
    let start = || {
        let (to, work) = sync_channel::<Job>(WAITING_MAX);
        let run = move || {
            let mut open: HashMap<PathBuf, (File, Instant)> = HashMap::new();
            while let Ok(job) = work.recv() {
                if let Err(error) = carry_out(job, &mut open) {
                    tracing::error!(%error, "a file of a flow cannot be written");
                }
            }
        };
        std::thread::Builder::new().name("weir-files".into()).spawn(run).ok()?;
        Some(to)
    };
    WRITER.get_or_init(start).as_ref()
}

/// Open files that are kept.
const OPEN_MAX: usize = 64;

fn carry_out(job: Job, open: &mut HashMap<PathBuf, (File, Instant)>) -> std::io::Result<()> {
    match job {
        Job::Compare(list, then) => {
            then(list.iter().flat_map(Expected::carry_out).collect());
            Ok(())
        }
        Job::Truncate(path) => {
            open.remove(&path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            File::create(&path).map(drop)
        }
        Job::Append(path, line, fsync) => {
            if !open.contains_key(&path) {
                if open.len() >= OPEN_MAX {
                    open.clear();
                }
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                let file = OpenOptions::new().create(true).append(true).open(&path)?;
                open.insert(path.clone(), (file, Instant::now()));
            }
            let Some((file, synced)) = open.get_mut(&path) else { return Ok(()) };
            file.write_all(&line)?;
            if fsync.is_some_and(|every| synced.elapsed() >= every) {
                file.sync_data()?;
                *synced = Instant::now();
            }
            Ok(())
        }
    }
}

//! What a running query asks of the appliance, from its worker thread.

use super::tail::LogTail;
use super::{QueryControl, Snapshot, Task, fields};
use crate::log::{Batch, Chunk, Cursor, UpTo};
use crate::model::command::Definitions;
use crate::model::event::{QueryOutput, Reply};
use crate::model::name::TopicName;
use crate::model::record::{Body, Offset, Record, TimeNs};
use crate::model::refusal::Refusal;
use crate::model::table::numbering::{Numbering, Wake};
use crate::model::table::{Entry, Tables};
use crate::model::topic::{LOG_TOPIC, Storage, Topic, TopicId};
use crate::query::program::{Fault, Lookups};
use crate::query::pull::{Bench, Numbered, Records, Stopped, Tail};
use crate::query::tables::store::Standing;
use crate::query::tables::tmq::groups::Groups;
use crate::shard::mail::{Mail, Origin, OwnedRecords, Work};
use crate::shard::process::Process;
use crate::sys::clock;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Bytes of a log that are looked at as one chunk.
const CHUNK_BYTES: usize = 256 << 10;
/// How long an owner may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// See the module's page.
pub struct Worker {
    process: Arc<Process>,
    origin: Origin,
    control: Arc<QueryControl>,
    front: u8,
    /// It counts among the queries that run.
    counted: bool,
    now: TimeNs,
    /// Monotonic nanoseconds.
    begun: u64,
    deadline: u64,
}

impl Worker {
    pub(super) fn new(process: &Arc<Process>, task: &Task) -> Self {
        Self {
            process: Arc::clone(process),
            origin: task.origin,
            control: Arc::clone(&task.control),
            front: task.front,
            counted: true,
            now: task.now,
            begun: clock::monotonic_ns(),
            deadline: u64::MAX,
        }
    }

    /// The query counts no more. Before its client hears of its end, so that whoever asks then is
    /// not refused for it.
    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.process.workers.end(self.front);
        }
    }

    /// Sends output to the session, whatever its credits.
    pub(super) fn post(&self, output: QueryOutput, last: bool) {
        let (to, control) = (self.origin, Arc::clone(&self.control));
        self.mail(to.peer.shard, Mail::Query { to, output, last, control });
    }

    fn mail(&self, shard: u16, mail: Mail) {
        self.process.mail(shard, mail);
    }

    /// Asks the shard of the query to do something.
    fn work(&self, work: Work) -> Receiver<Reply> {
        let (to, answer) = sync_channel(1);
        self.mail(self.origin.peer.shard, Mail::Work { work, to });
        answer
    }

    /// Waits until it is done, however long the disk takes.
    fn done(&self, answer: &Receiver<Reply>) -> Result<(), Refusal> {
        loop {
            match answer.recv_timeout(ANSWER) {
                Ok(Reply::Refused(why)) => return Err(why),
                Ok(_) => return Ok(()),
                Err(RecvTimeoutError::Timeout) if !self.process.stopping.load(Relaxed) => {}
                Err(_) => return Err(Refusal::Stopping),
            }
        }
    }

    /// What the owner of a topic holds of it. The directory may list a topic before its owner has
    /// heard of it: then the owner is asked again.
    fn snapshot(&self, topic: TopicId) -> Result<Snapshot, Fault> {
        let owner = self.process.owner_of(topic);
        let begun = clock::monotonic_ns();
        loop {
            let (to, answer) = sync_channel(1);
            self.mail(owner, Mail::Snapshot { topic, to });
            match answer.recv_timeout(ANSWER) {
                Ok(Some(snapshot)) => return Ok(snapshot),
                Ok(None) if !self.process.directory().lists(topic) => {
                    return Err(Fault::new("the topic is gone"));
                }
                Ok(None) if clock::monotonic_ns() - begun < ANSWER.as_nanos() as u64 => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                _ => return Err(Fault::new("the appliance is too busy")),
            }
        }
    }
}

impl Bench for Worker {
    fn topic(&mut self, name: &TopicName) -> Option<Arc<Topic>> {
        self.process.directory().topic(name)
    }

    fn has_database(&mut self, database: &str) -> bool {
        self.process.directory().has_database(database)
    }

    fn open_at(&mut self, topic: &Arc<Topic>, from: Offset) -> Result<Box<dyn Records>, Fault> {
        Ok(self.snapshot(topic.id)?.read(from))
    }

    fn observed_fields(&mut self, topic: &Arc<Topic>) -> Result<Arc<[String]>, Fault> {
        let map = || self.process.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = map().get(&topic.id).cloned().unwrap_or_default();
        if topic.id == LOG_TOPIC {
            return Ok(known.fields);
        }
        let path = fields::path(&self.process.config.data_dir, topic.id);
        let file = (topic.storage == Storage::Log).then_some(path.as_path());
        let stopped = |_| Fault::new("the query was stopped");
        let go_on = || self.go_on().map_err(stopped);
        let observed = known.brought_up(|| self.snapshot(topic.id), file, go_on)?;
        let fields = Arc::clone(&observed.fields);
        let mut map = map();
        if map.get(&topic.id).is_none_or(|other| other.up_to < observed.up_to) {
            map.insert(topic.id, observed);
        }
        Ok(fields)
    }

    fn tables(&mut self) -> Arc<Tables> {
        Arc::clone(self.process.directory().tables())
    }

    fn topics(&mut self, database: Option<&str>) -> Vec<Arc<Topic>> {
        let directory = self.process.directory();
        let own = |topic: &&Arc<Topic>| database.is_none_or(|name| topic.name.database() == name);
        let mut list: Vec<_> = directory.topics().filter(own).cloned().collect();
        list.sort_by_key(|topic| topic.id);
        list
    }

    fn standing(&self) -> Option<&Standing> {
        Some(&self.process.standing)
    }

    fn define(&mut self, wanted: Definitions) -> Result<(), Refusal> {
        let answer = self.work(Work::Define(wanted));
        self.done(&answer)
    }

    fn append_rows(&mut self, records: &[(Arc<Topic>, Vec<Vec<u8>>)]) -> Result<(), Refusal> {
        let mut answers = Vec::with_capacity(records.len());
        for (topic, list) in records {
            let bodies: Vec<_> = list.iter().map(|rows| Body::Rows(rows)).collect();
            let owned = OwnedRecords::new(clock::realtime_ns(), 0, &bodies);
            answers.push(self.work(Work::Append(topic.id, owned)));
        }
        answers.iter().try_for_each(|answer| self.done(answer))
    }

    fn discard(&mut self, topic: TopicId, below: Offset) {
        self.mail(self.process.owner_of(topic), Mail::Discard { topic, below });
    }

    fn tail(&mut self, topic: TopicId, from: Offset) -> Result<Box<dyn Tail>, Fault> {
        let view = self.snapshot(topic)?.view;
        let view = view.ok_or_else(|| Fault::new("the topic keeps nothing"))?;
        Ok(Box::new(LogTail::new(view, from)))
    }

    fn numbering(&self, database: &str) -> Arc<Numbering> {
        self.process.numberings.of(database)
    }

    fn groups(&self) -> Arc<Groups> {
        Arc::clone(&self.process.groups)
    }

    fn position(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.process.directory().positions().get(key).cloned()
    }

    fn positions(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let directory = self.process.directory();
        let from = directory.positions().range(prefix.to_vec()..);
        let own = from.take_while(|(key, _)| key.starts_with(prefix));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn commit(&mut self, entries: Vec<Entry>) -> Result<(), Refusal> {
        let answer = self.work(Work::Commit(entries));
        self.done(&answer)
    }

    fn waker(&self) -> Wake {
        let (process, peer) = (Arc::clone(&self.process), self.origin.peer);
        Arc::new(move || {
            // A full mailbox takes no call: the session's own time then answers it.
            if let Some(mailbox) = process.mailboxes.get(peer.shard as usize) {
                let _ = mailbox.post(Mail::Wake { peer });
            }
        })
    }

    fn lookups(&mut self) -> Arc<Lookups> {
        Arc::clone(self.process.directory().lookups())
    }

    fn now(&self) -> TimeNs {
        self.now
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(clock::monotonic_ns().saturating_sub(self.begun))
    }

    fn limit_time(&mut self, seconds: u64) {
        self.deadline = match seconds {
            0 => u64::MAX,
            seconds => self.begun.saturating_add(seconds.saturating_mul(1_000_000_000)),
        };
    }

    fn files_dir(&self) -> Option<&Path> {
        self.process.config.files_dir.as_deref()
    }

    fn emit(&mut self, output: QueryOutput) -> Result<(), Stopped> {
        let last = matches!(
            output,
            QueryOutput::Invalid(_) | QueryOutput::Failed(_) | QueryOutput::Finished(_)
        );
        if matches!(output, QueryOutput::Bytes(_)) {
            while !self.control.take_credit(Duration::from_millis(100)) {
                self.check()?;
            }
        }
        if self.control.is_cancelled() {
            return Err(Stopped::Cancelled);
        }
        // Other output is little and bounded: it needs no credit.
        if !matches!(output, QueryOutput::Bytes(_)) && !last {
            *self.control.under_way.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        if last {
            self.leave();
        }
        self.post(output, last);
        Ok(())
    }

    fn check(&mut self) -> Result<(), Stopped> {
        self.go_on()
    }
}

impl Worker {
    /// See [`Bench::check`].
    fn go_on(&self) -> Result<(), Stopped> {
        let stopping = self.process.stopping.load(std::sync::atomic::Ordering::Relaxed);
        if self.control.is_cancelled() || stopping {
            return Err(Stopped::Cancelled);
        }
        if clock::monotonic_ns() >= self.deadline { Err(Stopped::TimedOut) } else { Ok(()) }
    }
}

impl Snapshot {
    /// Its records from an offset on.
    pub fn read(self, from: Offset) -> Box<dyn Records> {
        let head = self.head;
        match self.view {
            Some(view) => Box::new(LogRecords { cursor: Cursor::new(view, from), head }),
            None => Box::new(KeptRecords { batches: self.kept.into(), at: from, head }),
        }
    }
}

/// Records of a log up to an offset.
struct LogRecords {
    cursor: Cursor,
    head: Offset,
}

impl Records for LogRecords {
    fn head(&self) -> Offset {
        self.head
    }

    fn next_chunk(
        &mut self,
        visit: &mut dyn FnMut(Offset, &Record<'_>) -> ControlFlow<()>,
    ) -> Result<bool, Fault> {
        let Some(chunk) = self.chunk()? else { return Ok(false) };
        let cursor = &mut self.cursor;
        for (offset, record) in chunk.iter() {
            if visit(offset, &record).is_break() {
                cursor.rewind(offset + 1);
                break;
            }
        }
        Ok(cursor.next_offset() < self.head)
    }

    fn next_run(
        &mut self,
        visit: &mut dyn FnMut(&mut dyn Iterator<Item = Numbered<'_>>),
    ) -> Result<bool, Fault> {
        let Some(chunk) = self.chunk()? else { return Ok(false) };
        visit(&mut chunk.iter());
        Ok(self.cursor.next_offset() < self.head)
    }
}

impl LogRecords {
    /// The next records of the log; none at the end of the snapshot.
    fn chunk(&mut self) -> Result<Option<Chunk>, Fault> {
        let cursor = &mut self.cursor;
        let mut waited = 0;
        loop {
            if cursor.next_offset() >= self.head {
                return Ok(None);
            }
            if let Some(chunk) = cursor.next_batch(CHUNK_BYTES, UpTo::Offset(self.head)) {
                if let Some(damage) = chunk.damage() {
                    tracing::error!(%damage, "damaged records were passed over");
                }
                return Ok(Some(chunk));
            }
            // Appended, and not written yet.
            waited += 1;
            if waited > 5_000 {
                return Err(Fault::new("the log cannot be read to its end"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Records of a ring in memory.
struct KeptRecords {
    batches: VecDeque<Arc<Batch>>,
    at: Offset,
    head: Offset,
}

impl Records for KeptRecords {
    fn head(&self) -> Offset {
        self.head
    }

    fn next_chunk(
        &mut self,
        visit: &mut dyn FnMut(Offset, &Record<'_>) -> ControlFlow<()>,
    ) -> Result<bool, Fault> {
        if let Some(batch) = self.batches.front() {
            for (offset, record) in batch.iter().filter(|(offset, _)| *offset >= self.at) {
                if visit(offset, &record).is_break() {
                    self.at = offset + 1;
                    return Ok(true);
                }
            }
            self.batches.pop_front();
        }
        Ok(!self.batches.is_empty())
    }
}

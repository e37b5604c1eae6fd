//! One-shot queries: a job runs on a query worker, never on a shard, over snapshots of topics.
//!
//! Method: a session hands a [`Job`] to its shard; a worker thread runs it and asks the appliance
//! through [`Bench`]. What it emits goes to the session as events; [`Bench::emit`] waits while the
//! client does not read, and fails once it has gone. Cost: a scan decodes records in place from the
//! mapped log, chunk by chunk; what is held is bounded by the chunk and by the query's own state.

use super::program::{Fault, Lookups};
use super::tables::store::Standing;
use super::tables::tmq::groups::Groups;
use crate::model::command::Definitions;
pub use crate::model::event::QueryOutput as Output;
use crate::model::name::TopicName;
use crate::model::record::{Offset, Record, TimeNs};
use crate::model::refusal::Refusal;
use crate::model::table::numbering::{Numbering, Wake};
use crate::model::table::{Entry, Tables};
use crate::model::topic::{Topic, TopicId};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Stack of a query worker: what RQL nests is evaluated by recursion, up to a depth that fits.
pub const STACK_BYTES: usize = 32 << 20;

/// Why a query must end before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The client has gone, or the appliance stops.
    Cancelled,
    /// Its time is over.
    TimedOut,
}

/// A record and its offset.
pub type Numbered<'r> = (Offset, Record<'r>);

/// The retained records of a topic as of one moment, oldest first.
pub trait Records {
    /// One more than the last offset of the moment.
    fn head(&self) -> Offset;
    /// Visits the next records; `false` when there are no more. The visitor may break off: what it
    /// was not shown is visited next.
    ///
    /// # Errors
    /// The log cannot be read.
    fn next_chunk(
        &mut self,
        visit: &mut dyn FnMut(Offset, &Record<'_>) -> ControlFlow<()>,
    ) -> Result<bool, Fault>;

    /// Visits the next records as they are read; `false` when there are no more. What the visitor
    /// leaves is passed over.
    ///
    /// # Errors
    /// As [`Records::next_chunk`].
    fn next_run(
        &mut self,
        visit: &mut dyn FnMut(&mut dyn Iterator<Item = Numbered<'_>>),
    ) -> Result<bool, Fault> {
        self.next_chunk(&mut |offset, record| {
            visit(&mut std::iter::once((offset, *record)));
            ControlFlow::Continue(())
        })
    }
}

/// The acknowledged records of a topic, followed from one query to the next.
pub trait Tail: Send {
    /// Offset of the first record that is retained.
    fn start(&self) -> Offset;
    /// One more than the last offset that may be read now.
    fn end(&self) -> Offset;
    /// The offset that is read next.
    fn next(&self) -> Offset;
    /// Goes on at an offset.
    fn seek(&mut self, offset: Offset);
    /// Visits the next records, about so many bytes of them; `false`: there are none now.
    fn read(&mut self, bytes: usize, visit: &mut dyn FnMut(&[Numbered<'_>])) -> bool;
}

/// What a running query may ask of the appliance.
pub trait Bench {
    /// The topic of that name.
    fn topic(&mut self, name: &TopicName) -> Option<Arc<Topic>>;
    /// Whether a database of that name exists.
    fn has_database(&mut self, database: &str) -> bool;
    /// A snapshot of a topic.
    ///
    /// # Errors
    /// The topic is gone, or the shard that owns it does not answer.
    fn open(&mut self, topic: &Arc<Topic>) -> Result<Box<dyn Records>, Fault> {
        self.open_at(topic, 0)
    }
    /// A snapshot of a topic from an offset on.
    ///
    /// # Errors
    /// As [`Bench::open`].
    fn open_at(&mut self, topic: &Arc<Topic>, from: Offset) -> Result<Box<dyn Records>, Fault>;
    /// Names of the top-level fields of the topic's records, in the order they were first seen.
    ///
    /// # Errors
    /// As [`Bench::open`].
    fn observed_fields(&mut self, topic: &Arc<Topic>) -> Result<Arc<[String]>, Fault>;
    /// Everything that is defined about typed tables.
    fn tables(&mut self) -> Arc<Tables> {
        Arc::default()
    }
    /// All topics of a database, or of all, in the order they were made.
    fn topics(&mut self, _database: Option<&str>) -> Vec<Arc<Topic>> {
        Vec::new()
    }
    /// Typed tables as they stood when they were last read.
    fn standing(&self) -> Option<&Standing> {
        None
    }
    /// Makes and removes definitions; when it gives back, everybody knows them.
    ///
    /// # Errors
    /// A refusal; nothing was changed.
    fn define(&mut self, _wanted: Definitions) -> Result<(), Refusal> {
        Err(Refusal::Busy)
    }
    /// Appends records to topics, those of each all or none; when it gives back, the log says so.
    ///
    /// # Errors
    /// The first refusal.
    fn append_rows(&mut self, _records: &[(Arc<Topic>, Vec<Vec<u8>>)]) -> Result<(), Refusal> {
        Err(Refusal::Busy)
    }
    /// Lets go of the records of a topic below an offset.
    fn discard(&mut self, _topic: TopicId, _below: Offset) {}
    /// Follows a topic from an offset on.
    ///
    /// # Errors
    /// As [`Bench::open`], or it keeps nothing.
    fn tail(&mut self, _topic: TopicId, _from: Offset) -> Result<Box<dyn Tail>, Fault> {
        Err(Fault::new("nothing is kept"))
    }
    /// What counts the records of a database.
    fn numbering(&self, _database: &str) -> Arc<Numbering> {
        Arc::default()
    }
    /// Consumer groups.
    fn groups(&self) -> Arc<Groups> {
        Arc::default()
    }
    /// The stored position of a consumer group.
    fn position(&self, _key: &[u8]) -> Option<Vec<u8>> {
        None
    }
    /// All of them whose keys begin so.
    fn positions(&self, _prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        Vec::new()
    }
    /// Stores positions; when it gives back, they are durable.
    ///
    /// # Errors
    /// A refusal.
    fn commit(&mut self, _entries: Vec<Entry>) -> Result<(), Refusal> {
        Err(Refusal::Busy)
    }
    /// Calls the session that asked, as long as it lives ([`crate::model::event::Event::Woken`]).
    fn waker(&self) -> Wake {
        Arc::new(|| {})
    }
    /// Named constants.
    fn lookups(&mut self) -> Arc<Lookups>;
    /// When the query began.
    fn now(&self) -> TimeNs;
    /// Time since the query began.
    fn elapsed(&self) -> Duration;
    /// Ends the query so many seconds after it began; 0: never.
    fn limit_time(&mut self, seconds: u64);
    /// Where queries may read and write files, if anywhere.
    fn files_dir(&self) -> Option<&Path>;
    /// Hands output to the session; waits while its client does not read.
    ///
    /// # Errors
    /// Nobody waits for it any more, or its time is over.
    fn emit(&mut self, output: Output) -> Result<(), Stopped>;
    /// Whether to go on; asked at least every few milliseconds.
    ///
    /// # Errors
    /// It must end.
    fn check(&mut self) -> Result<(), Stopped>;
}

/// A query that was asked and not yet compiled.
pub trait Job: Send {
    /// Compiles and runs it. Every way out emits [`Output::Invalid`], [`Output::Failed`] or
    /// [`Output::Finished`] last, unless it was [`Stopped::Cancelled`].
    fn run(self: Box<Self>, bench: &mut dyn Bench);
}

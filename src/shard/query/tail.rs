//! Logs that are followed from one query to the next, and the log of definitions.
//!
//! A tail holds the view of a log, not a snapshot: each read goes as far as the log is acknowledged
//! by then, without asking the owner. Cost: as a cursor's.

use crate::log::{Cursor, PartitionView, UpTo};
use crate::model::name::TopicName;
use crate::model::record::{Body, Offset};
use crate::model::table::defined::Defined;
use crate::model::topic::{DEFINITIONS_TOPIC, Retention, Storage, Topic};
use crate::query::pull::{Numbered, Tail};
use crate::shard::Shard;
use crate::shard::topic::owner::Store;
use std::io;
use std::sync::Arc;

/// See the module's page.
pub struct LogTail {
    view: Arc<PartitionView>,
    cursor: Cursor,
}

impl LogTail {
    pub(super) fn new(view: Arc<PartitionView>, from: Offset) -> Self {
        Self { cursor: Cursor::new(Arc::clone(&view), from), view }
    }
}

impl Tail for LogTail {
    fn start(&self) -> Offset {
        self.view.start()
    }

    fn end(&self) -> Offset {
        self.view.end(UpTo::Acknowledged)
    }

    fn next(&self) -> Offset {
        self.cursor.next_offset().max(self.view.start())
    }

    fn seek(&mut self, offset: Offset) {
        self.cursor.rewind(offset);
    }

    fn read(&mut self, bytes: usize, visit: &mut dyn FnMut(&[Numbered<'_>])) -> bool {
        while let Some(chunk) = self.cursor.next_batch(bytes, UpTo::Acknowledged) {
            if let Some(damage) = chunk.damage() {
                tracing::error!(%damage, "damaged records were passed over");
            }
            if !chunk.is_empty() {
                let list: Vec<Numbered<'_>> = chunk.iter().collect();
                visit(&list);
                return true;
            }
        }
        false
    }
}

impl Shard {
    /// Opens the log of definitions and counts what it holds, database by database.
    pub(in crate::shard) fn open_definitions(&mut self) -> io::Result<()> {
        let topic = Arc::new(Topic {
            id: DEFINITIONS_TOPIC,
            name: TopicName::parse("_definitions").ok_or(io::ErrorKind::InvalidInput)?,
            retention: Retention::default(),
            storage: Storage::Log,
            queue: false,
            typed: true,
            created: self.core.now,
            shared: Default::default(),
        });
        let report = self.core.owner.open(&topic)?;
        if !report.damage.is_empty() {
            tracing::error!(?report, "the log of definitions is damaged");
        }
        let owned = self.core.owner.get(DEFINITIONS_TOPIC);
        let Some(Store::Log(partition)) = owned.map(|owned| &owned.store) else { return Ok(()) };
        let process = Arc::clone(&self.core.process);
        let tables = Arc::clone(process.directory().tables());
        let mut cursor = Cursor::new(Arc::clone(partition.view()), 0);
        while let Some(chunk) = cursor.next_batch(1 << 20, UpTo::Written) {
            for (_, record) in chunk.iter() {
                let Body::Rows(bytes) = record.body else { continue };
                let Some(defined) = Defined::decode(bytes) else { continue };
                let own = tables.database(defined.database);
                if own.is_some_and(|database| database.created == defined.created) {
                    process.numberings.of(defined.database).raise(record.producer + 1);
                }
            }
        }
        Ok(())
    }
}

//! What all shards know of one metric: its schema, how far the log was looked at for it, and the
//! clocks of aggregate queries. It lies in the notes of the topic and is made anew with it.
//!
//! Method: the schema is behind a short lock and replaced when it grows; readers keep a copy and
//! ask again only for a bit that brings something new. After a restart, or when another front-end
//! has written, a query worker reads what nobody has looked at before an insert is judged.

use crate::model::record::{Offset, Record};
use crate::model::topic::Topic;
use crate::query::dialect::nsdb::schema::Mismatch;
use crate::query::dialect::nsdb::window::Temporal;
use crate::query::dialect::nsdb::{Bit, Schema};
use ahash::AHashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module's page.
#[derive(Debug, Default)]
pub struct Metric {
    state: Mutex<State>,
    clocks: Mutex<AHashMap<u128, Clock>>,
    /// Mirror of [`State::folded`].
    folded: AtomicU64,
    skipped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    schema: Arc<Schema>,
    /// All records below were looked at.
    folded: Offset,
    known: bool,
    /// Bits that this front-end wrote since the process began.
    written: u64,
    /// All other records.
    others: u64,
}

/// What the sockets with one aggregate query share.
#[derive(Debug)]
pub struct Clock {
    sockets: u64,
    /// When it was registered first, ms since 1970.
    pub begun: i64,
    /// Windows, and the offset that they have not seen.
    pub windows: Option<(Temporal, Offset)>,
    /// The newest result, and of which tick.
    pub result: Option<(u64, Arc<[u8]>)>,
}

impl Metric {
    /// Of a topic; `None`: another front-end keeps its notes there.
    pub fn of(topic: &Topic) -> Option<Arc<Self>> {
        topic.shared.notes()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schema as it is now.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.lock().schema)
    }

    /// Shows a record as a bit of this metric, typed rows one by one; `schema` is the reader's
    /// copy.
    pub fn read(
        &self,
        schema: &mut Arc<Schema>,
        offset: Offset,
        record: &Record<'_>,
        see: &mut dyn FnMut(&Bit<'_>),
    ) {
        let mut skipped = 0;
        record.each(&mut |record| match self.judge(schema, record) {
            Some(bit) => see(&bit),
            None => skipped += 1,
        });
        if offset >= self.folded.load(Ordering::Acquire) {
            let mut state = self.lock();
            if offset == state.folded {
                self.advance(&mut state, offset + 1, skipped);
            }
        }
    }

    /// The bit that a record is, if it is one and fits.
    fn judge<'a>(&self, schema: &mut Arc<Schema>, record: &Record<'a>) -> Option<Bit<'a>> {
        let mut bit = Bit::of_record(record)?;
        if schema.fit(&mut bit).ok()? {
            return Some(bit);
        }
        let mut state = self.lock();
        let admitted = Arc::make_mut(&mut state.schema).admit(&mut bit);
        *schema = Arc::clone(&state.schema);
        admitted.ok().map(|()| bit)
    }

    fn advance(&self, state: &mut State, folded: Offset, skipped: u64) {
        state.folded = folded;
        self.folded.store(folded, Ordering::Release);
        self.skipped.fetch_add(skipped, Ordering::Relaxed);
    }

    /// Where the log must be read from before an insert is judged; `None`: it need not.
    pub fn unread(&self, topic: &Topic) -> Option<Offset> {
        let (state, records) = (self.lock(), topic.shared.records());
        let unread = if state.known { records > state.others + state.written } else { records > 0 };
        unread.then_some(state.folded)
    }

    /// Where the log was read up to.
    pub fn folded(&self) -> Offset {
        self.lock().folded
    }

    /// There is nothing between these offsets.
    pub fn pass(&self, from: Offset, to: Offset) {
        let mut state = self.lock();
        if from < to && state.folded == from {
            self.advance(&mut state, to, 0);
        }
    }

    /// The log was read to its end.
    pub fn fold(&self) {
        let mut state = self.lock();
        state.known = true;
        state.others = state.folded.saturating_sub(state.written);
    }

    /// Judges a bit that is to be written.
    ///
    /// # Errors
    /// It does not fit.
    pub fn admit(&self, bit: &mut Bit<'_>) -> Result<(), Mismatch> {
        let mut state = self.lock();
        if !state.schema.fit(bit)? {
            Arc::make_mut(&mut state.schema).admit(bit)?;
        }
        state.known = true;
        state.written += 1;
        Ok(())
    }

    /// A bit that was judged was not written.
    pub fn not_written(&self) {
        let mut state = self.lock();
        state.written = state.written.saturating_sub(1);
    }

    /// Records found to be no bits since this was asked last.
    pub fn take_skipped(&self) -> u64 {
        match self.skipped.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.skipped.swap(0, Ordering::Relaxed),
        }
    }

    /// The clocks of aggregate queries.
    pub fn clocks(&self) -> MutexGuard<'_, AHashMap<u128, Clock>> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One socket more has the query; gives when the first had it, and its windows.
    pub fn join(
        &self,
        query: u128,
        now_ms: i64,
        windows: Option<(Temporal, Offset)>,
    ) -> (i64, Option<(Temporal, Offset)>) {
        let mut clocks = self.clocks();
        let clock = clocks.entry(query).or_insert_with(|| Clock {
            sockets: 0,
            begun: now_ms,
            windows,
            result: None,
        });
        clock.sockets += 1;
        (clock.begun, clock.windows.clone())
    }

    /// One socket less has the query.
    pub fn leave(&self, query: u128) {
        let mut clocks = self.clocks();
        if let Some(clock) = clocks.get_mut(&query) {
            clock.sockets = clock.sockets.saturating_sub(1);
            if clock.sockets == 0 {
                clocks.remove(&query);
            }
        }
    }
}

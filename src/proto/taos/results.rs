//! Results that a client fetches, block by block (taos, section 3).
//!
//! Method: a worker makes a few blocks ahead of the client and gives the result back with its
//! position; when half of them are fetched it is lent to a worker again, so that the next block is
//! made while the client reads this one. No worker waits for a client, and a turn of it is short
//! ([`super::job`]), so that many results share few workers. A client that is faster waits here.
//! Cost of a fetch whose block is made: a copy of the block.
//!
//! Bounds: [`RESULTS_MAX`] results, [`AHEAD_MAX`] blocks of each, two before the first fetch; what
//! is held of a table beside are its sheets as of the query, shared until they are written.
//!
//! Invariant: refills are answered in the order they were asked for, and none is asked for while a
//! statement is under way.

use super::block::schema_bytes;
use super::codec::{Reply, fault, fetched, numbers, texts};
use super::job::{AHEAD_FIRST, Block, Made, Refill, Slot, Table};
use crate::fanout::Outbox;
use crate::model::table::Kind;
use crate::proto::Intake;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Field;
use std::collections::{BTreeMap, VecDeque};

/// Results that are open at once; one more frees the oldest.
const RESULTS_MAX: usize = 256;
/// Blocks that are made ahead of a client that goes on fetching.
const AHEAD_MAX: usize = 8;
/// Members that are lists in the reply to a query.
const LISTS: [&str; 5] =
    ["fields_names", "fields_types", "fields_lengths", "fields_precisions", "fields_scales"];

/// How a fetch is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By a text that describes the block, which is asked for in a request of its own.
    Text,
    /// By the block.
    Binary,
}

/// A request for the next block.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// Of the request.
    pub request: u64,
    /// Of the result.
    pub id: u64,
    /// How it is answered.
    pub form: Form,
}

#[derive(Debug)]
struct Held {
    table: Table,
    /// The block that the last `fetch` announced.
    announced: Option<Vec<u8>>,
    /// Blocks that are made ahead.
    ahead: usize,
    /// A worker is making some.
    lent: bool,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Results {
    held: BTreeMap<u64, Held>,
    /// Number of the last one, from 1.
    last: u64,
    /// What workers make, in the order it was asked for; the result may be gone.
    refills: VecDeque<(u64, Slot<Made>)>,
    /// A fetch that waits for its block; nothing is read meanwhile.
    waiting: Option<Fetch>,
}

/// The reply to a statement that changed so many rows.
pub fn no_result(affected: u64, reply: &mut Reply) {
    reply.put("id", 0);
    reply.raw("is_update", "true");
    reply.put("affected_rows", affected);
    reply.put("fields_count", 0);
    for name in LISTS {
        reply.raw(name, "null");
    }
    reply.put("precision", 0);
}

impl Results {
    /// Opens a result, and says what it is; gives its number.
    pub fn open(&mut self, table: Table, reply: &mut Reply, intake: &mut dyn Intake) -> u64 {
        self.last += 1;
        let id = self.last;
        reply.put("id", id);
        reply.raw("is_update", "false");
        reply.put("affected_rows", 0);
        let fields = &table.fields;
        reply.put("fields_count", fields.len() as u64);
        let each = |f: fn(&Field) -> u64| numbers(fields.iter().map(f));
        let lists = [
            texts(fields.iter().map(|field| field.name.as_str())),
            each(|field| u64::from(field.kind.code())),
            each(|field| u64::from(field.kind.length())),
            each(|field| digits(field).0),
            each(|field| digits(field).1),
        ];
        for (name, list) in LISTS.iter().zip(&lists) {
            reply.raw(name, list);
        }
        reply.put("precision", u64::from(table.precision.code()));
        if self.held.len() >= RESULTS_MAX
            && let Some(oldest) = self.held.keys().next().copied()
        {
            self.free(oldest, intake);
        }
        let held = Held { table, announced: None, ahead: AHEAD_FIRST, lent: false };
        self.held.insert(id, held);
        id
    }

    /// The columns of a result.
    ///
    /// # Errors
    /// It is not open.
    pub fn fields(&self, id: u64) -> Result<&[Field], Wrong> {
        let held = self.held.get(&id).ok_or_else(|| fault("result is nil"))?;
        Ok(&held.table.fields)
    }

    /// Frees a result, if it is open.
    pub fn free(&mut self, id: u64, intake: &mut dyn Intake) {
        if let Some(held) = self.held.remove(&id) {
            self.let_go(held, intake);
        }
    }

    /// Frees all of them; the connection has ended.
    pub fn clear(&mut self, intake: &mut dyn Intake) {
        for (_, held) in std::mem::take(&mut self.held) {
            self.let_go(held, intake);
        }
        (self.refills, self.waiting) = (VecDeque::new(), None);
    }

    /// A worker lets go of the sheets: the last to do so frees them, and they may be large.
    fn let_go(&mut self, held: Held, intake: &mut dyn Intake) {
        if let Some(source) = held.table.source {
            self.refills.push_back((0, Slot::default()));
            intake.run_query(Box::new(Refill { source, most: 0, slot: None }));
        }
    }

    /// The block that the last fetch of a result announced, as it goes out.
    ///
    /// # Errors
    /// There is none.
    pub fn announced(&self, id: u64) -> Result<Vec<u8>, Wrong> {
        let held = self.held.get(&id).ok_or_else(|| fault("result is nil"))?;
        let block = held.announced.as_ref().ok_or_else(|| fault("block is nil"))?;
        let mut frame = Vec::with_capacity(16 + block.len());
        frame.extend_from_slice(&0_u64.to_le_bytes());
        frame.extend_from_slice(&id.to_le_bytes());
        frame.extend_from_slice(block);
        Ok(frame)
    }

    /// Answers a fetch, at once or when its block is made.
    pub fn fetch(&mut self, fetch: Fetch, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Some(held) = self.held.get_mut(&fetch.id) else {
            let known = fetch.form == Form::Binary && fetch.id > 0 && fetch.id <= self.last;
            let text = if known { "result has been freed" } else { "result is nil" };
            return refuse(fetch, &fault(text), out);
        };
        if let Some(block) = held.table.blocks.pop_front() {
            show(fetch, held, Some(block), out);
            if held.table.blocks.len() <= held.ahead / 2 {
                held.ahead = (held.ahead * 2).min(AHEAD_MAX);
                self.refill(fetch.id, intake);
            }
        } else if held.table.source.is_some() {
            self.waiting = Some(fetch);
            self.refill(fetch.id, intake);
            intake.hold();
        } else {
            show(fetch, held, None, out);
            self.held.remove(&fetch.id);
        }
    }

    /// Lends a result to a worker, unless it is lent or complete.
    fn refill(&mut self, id: u64, intake: &mut dyn Intake) {
        let Some(held) = self.held.get_mut(&id) else { return };
        let Some(source) = held.table.source.as_ref().filter(|_| !held.lent).cloned() else {
            return;
        };
        held.lent = true;
        let most = held.ahead.saturating_sub(held.table.blocks.len());
        let slot = Slot::default();
        self.refills.push_back((id, slot.clone()));
        intake.run_query(Box::new(Refill { source, most, slot: Some(slot) }));
    }

    /// Whether a worker is making blocks.
    #[must_use]
    pub fn is_refilling(&self) -> bool {
        !self.refills.is_empty()
    }

    /// The worker that was asked first has ended.
    pub fn on_refill(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Some((id, slot)) = self.refills.pop_front() else { return };
        let Some(held) = self.held.get_mut(&id) else { return };
        held.lent = false;
        let waiting = self.waiting.take_if(|fetch| fetch.id == id);
        match slot.take() {
            Ok(made) => {
                held.table.blocks.extend(made.blocks);
                if made.ended {
                    held.table.source = None;
                }
                if let Some(fetch) = waiting {
                    self.fetch(fetch, intake, out);
                }
            }
            // No worker took it; the client may ask again.
            Err(wrong) => {
                if let Some(fetch) = waiting {
                    refuse(fetch, &wrong, out);
                }
            }
        }
    }
}

fn refuse(fetch: Fetch, wrong: &Wrong, out: &mut Outbox<'_>) {
    match fetch.form {
        Form::Text => out.text(&Reply::new("fetch", fetch.request, Some(wrong), 0).end()),
        Form::Binary => out.binary(&fetched(fetch.request, fetch.id, 0, Err(wrong))),
    }
}

/// Answers a fetch with a block; `None`: the result is at its end.
fn show(fetch: Fetch, held: &mut Held, block: Option<Block>, out: &mut Outbox<'_>) {
    if fetch.form == Form::Binary {
        let bytes = block.as_ref().map(|(_, bytes)| bytes.as_slice());
        return out.binary(&fetched(fetch.request, fetch.id, 0, Ok(bytes)));
    }
    let mut reply = Reply::new("fetch", fetch.request, None, 0);
    reply.put("id", fetch.id);
    match block {
        Some((rows, block)) => {
            held.announced = Some(block);
            let bytes = |field: &Field| u64::from(schema_bytes(field.kind));
            reply.raw("completed", "false");
            reply.raw("lengths", &numbers(held.table.fields.iter().map(bytes)));
            reply.put("rows", rows as u64);
        }
        None => {
            reply.raw("completed", "true");
            reply.raw("lengths", "null");
            reply.put("rows", 0);
        }
    }
    out.text(&reply.end());
}

/// Digits and scale of a decimal.
fn digits(field: &Field) -> (u64, u64) {
    match field.kind {
        Kind::Decimal(digits, scale) => (u64::from(digits), u64::from(scale)),
        _ => (0, 0),
    }
}

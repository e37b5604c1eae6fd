//! What the sockets of a shard share of a turn's records: their bits, read and encoded once however
//! many queries look at them.
//!
//! Method: the first who needs a bit leaves it in the turn's memo, be it the index of all queries
//! ([`Lens`]) or a session. Cost: a record is parsed once for each shard, and a condition evaluated
//! for each query that the index finds.

use crate::model::event::Records;
use crate::model::interest::{Lens, Memo};
use crate::model::record::{Offset, Record};
use crate::model::topic::TopicId;
use crate::model::value::Value;
use crate::proto::nsdb::job::Query;
use crate::proto::nsdb::metric::Metric;
use crate::query::dialect::nsdb::Bit;
use ahash::AHashMap;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

/// A bit of a record.
#[derive(Debug)]
pub(super) struct Read {
    /// Its offset.
    pub offset: Offset,
    /// When it was accepted, ms.
    pub at: i64,
    /// The bit.
    pub bit: Bit<'static>,
    json: OnceCell<Arc<[u8]>>,
}

impl Read {
    /// All of one record.
    fn of(metric: &Metric, offset: Offset, record: &Record<'_>) -> Rc<[Rc<Self>]> {
        let at = record.time.div_euclid(1_000_000);
        let mut bits = Vec::new();
        metric.read(&mut metric.schema(), offset, record, &mut |bit| {
            bits.push(Rc::new(Self { offset, at, bit: bit.own(), json: OnceCell::new() }));
        });
        bits.into()
    }

    /// As it is pushed.
    pub fn json(&self) -> Arc<[u8]> {
        let write = || {
            let mut json = Vec::with_capacity(128);
            self.bit.write_open(|_| true, false, &mut json);
            json.extend_from_slice(b",\"uniqueValues\":[]}");
            json.into()
        };
        Arc::clone(self.json.get_or_init(write))
    }
}

/// The bits of a turn by record; none where a record is no bit.
#[derive(Default)]
struct Bits(AHashMap<(TopicId, Offset), Rc<[Rc<Read>]>>);

impl Bits {
    fn read(
        &mut self,
        metric: &Metric,
        topic: TopicId,
        (offset, record): (Offset, &Record<'_>),
    ) -> Rc<[Rc<Read>]> {
        let read = || Read::of(metric, offset, record);
        self.0.entry((topic, offset)).or_insert_with(read).clone()
    }
}

impl Lens for Metric {
    fn look(
        &self,
        topic: TopicId,
        record: (Offset, &Record<'_>),
        names: &[String],
        memo: &mut Memo,
        see: &mut dyn FnMut(&[Value<'_>]),
    ) {
        for read in &*memo.of::<Bits>().read(self, topic, record) {
            see(&names.iter().map(|name| read.bit.value_of(name)).collect::<Vec<_>>());
        }
    }
}

/// The bits that satisfy the query. `exact`: what the index has chosen does.
pub(super) fn matching(
    query: &Query,
    exact: bool,
    metric: &Metric,
    records: &Records<'_>,
    memo: &mut Memo,
) -> Vec<Rc<Read>> {
    let mut own = Bits::default();
    // What a query reads of the past is nothing for the others, and was not chosen.
    let (bits, chosen) = if records.live { (memo.of::<Bits>(), exact) } else { (&mut own, false) };
    let mut hits = Vec::new();
    for (offset, record) in records.list {
        let all = bits.read(metric, records.topic.id, (*offset, record));
        let holds = |read: &&Rc<Read>| chosen || query.select.condition.holds(&read.bit, read.at);
        hits.extend(all.iter().filter(holds).cloned());
    }
    hits
}

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
    fn of(metric: &Metric, offset: Offset, record: &Record<'_>) -> Option<Self> {
        let bit = metric.read(&mut metric.schema(), offset, record)?.own();
        let at = record.time.div_euclid(1_000_000);
        Some(Self { offset, at, bit, json: OnceCell::new() })
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

/// The bits of a turn; none where a record is no bit.
#[derive(Default)]
struct Bits(AHashMap<(TopicId, Offset), Option<Rc<Read>>>);

impl Bits {
    fn read(
        &mut self,
        metric: &Metric,
        topic: TopicId,
        (offset, record): (Offset, &Record<'_>),
    ) -> Option<Rc<Read>> {
        let read = || Read::of(metric, offset, record).map(Rc::new);
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
        let Some(read) = memo.of::<Bits>().read(self, topic, record) else { return };
        see(&names.iter().map(|name| read.bit.value_of(name)).collect::<Vec<_>>());
    }
}

/// The bits that satisfy the query.
pub(super) fn matching(
    query: &Query,
    metric: &Metric,
    records: &Records<'_>,
    memo: &mut Memo,
) -> Vec<Rc<Read>> {
    let condition = &query.select.condition;
    let mut own = Bits::default();
    // What a query reads of the past is nothing for the others.
    let bits = if records.live { memo.of::<Bits>() } else { &mut own };
    let one = |(offset, record): &(Offset, Record<'_>)| {
        let read = bits.read(metric, records.topic.id, (*offset, record))?;
        condition.holds(&read.bit, read.at).then_some(read)
    };
    records.list.iter().filter_map(one).collect()
}

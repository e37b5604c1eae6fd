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

/// All bits of a list of records, in their order.
type List = Rc<[Rc<Read>]>;

/// The bits of a turn by record; none where a record is no bit.
#[derive(Default)]
struct Bits {
    by_record: AHashMap<(TopicId, Offset), List>,
    /// The list that was asked for last: its topic, first and last offset and length, and its bits.
    last: Option<((TopicId, Offset, Offset, usize), List)>,
}

impl Bits {
    fn read(
        &mut self,
        metric: &Metric,
        topic: TopicId,
        (offset, record): (Offset, &Record<'_>),
    ) -> List {
        let read = || Read::of(metric, offset, record);
        self.by_record.entry((topic, offset)).or_insert_with(read).clone()
    }

    /// All of a list: many with one query are given the same, one after the other.
    fn all(&mut self, metric: &Metric, records: &Records<'_>) -> List {
        let topic = records.topic.id;
        let offset = |at: Option<&(Offset, Record<'_>)>| at.map_or(0, |(offset, _)| *offset);
        let (first, last) = (offset(records.list.first()), offset(records.list.last()));
        let key = (topic, first, last, records.list.len());
        // Between these offsets there is but one list that is whole.
        let is_whole = last - first + 1 == records.list.len() as u64;
        if let Some((known, list)) = &self.last
            && is_whole
            && *known == key
        {
            return Rc::clone(list);
        }
        let mut bits = Vec::with_capacity(records.list.len());
        for (offset, record) in records.list {
            bits.extend_from_slice(&self.read(metric, topic, (*offset, record)));
        }
        let list: List = bits.into();
        self.last = Some((key, Rc::clone(&list)));
        list
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
) -> List {
    if !records.live {
        // What a query reads of the past is nothing for the others, and was not chosen.
        return satisfying(query, &Bits::default().all(metric, records));
    }
    let all = memo.of::<Bits>().all(metric, records);
    if exact { all } else { satisfying(query, &all) }
}

fn satisfying(query: &Query, bits: &[Rc<Read>]) -> List {
    let holds = |read: &&Rc<Read>| query.select.condition.holds(&read.bit, read.at);
    bits.iter().filter(holds).cloned().collect()
}

//! What the sockets of a shard share of one batch: its bits, read and encoded once, and which of
//! them satisfy a query, decided once however many sockets have it.
//!
//! Method: the first session of the turn that needs it works it out and leaves it in the palette's
//! memo; it is forgotten with the turn. Cost: a batch is parsed once for each shard, a condition
//! evaluated once for each distinct query.

use crate::fanout::palette::Memo;
use crate::model::event::Records;
use crate::model::record::Offset;
use crate::model::topic::TopicId;
use crate::proto::nsdb::job::Query;
use crate::proto::nsdb::metric::Metric;
use crate::query::dialect::nsdb::{Bit, Schema};
use ahash::AHashMap;
use std::sync::Arc;

/// A bit of a batch.
#[derive(Debug)]
pub(super) struct Read {
    /// Its offset.
    pub offset: Offset,
    /// When it was accepted, ms.
    pub at: i64,
    /// The bit.
    pub bit: Bit<'static>,
    /// As it is pushed.
    pub json: Arc<[u8]>,
}

/// A batch: topic, first offset, length.
type Key = (TopicId, Offset, usize);

#[derive(Default)]
struct Worked {
    batches: AHashMap<Key, Arc<[Read]>>,
    hits: AHashMap<(u128, Key), Arc<[u32]>>,
}

/// The bits of a batch, and the numbers of those that satisfy the query.
pub(super) fn matching(
    query: &Query,
    metric: &Metric,
    schema: &mut Arc<Schema>,
    records: &Records<'_>,
    memo: &mut Memo,
) -> (Arc<[Read]>, Arc<[u32]>) {
    let first = records.list.first().map_or(0, |(offset, _)| *offset);
    let key = (records.topic.id, first, records.list.len());
    if !records.live {
        let batch = read(metric, schema, records);
        let hits = test(query, &batch);
        return (batch, hits);
    }
    let worked = memo.of::<Worked>();
    let batch = worked.batches.entry(key).or_insert_with(|| read(metric, schema, records));
    let hits = worked.hits.entry((query.id, key)).or_insert_with(|| test(query, batch));
    (Arc::clone(batch), Arc::clone(hits))
}

fn read(metric: &Metric, schema: &mut Arc<Schema>, records: &Records<'_>) -> Arc<[Read]> {
    let one = |(offset, record): &(Offset, _)| {
        let bit = metric.read(schema, *offset, record)?;
        let mut json = Vec::with_capacity(128);
        bit.write_open(|_| true, false, &mut json);
        json.extend_from_slice(b",\"uniqueValues\":[]}");
        let at = record.time.div_euclid(1_000_000);
        Some(Read { offset: *offset, at, bit: bit.own(), json: json.into() })
    };
    records.list.iter().filter_map(one).collect()
}

fn test(query: &Query, batch: &[Read]) -> Arc<[u32]> {
    let condition = &query.select.condition;
    let holds = |(_, read): &(u32, &Read)| condition.holds(&read.bit, read.at);
    (0_u32..).zip(batch).filter(holds).map(|(number, _)| number).collect()
}

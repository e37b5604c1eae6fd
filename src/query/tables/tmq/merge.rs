//! The logs of a definition as one, by number.
//!
//! Method: each log has a short list of records that were read ahead; the one whose front has the
//! smallest number is next. Lists are filled when they are empty, from where the log is, so that a
//! log that has not grown costs two loads. Invariant: numbers ascend within a log.

use crate::model::name::TopicName;
use crate::model::record::{Body, Offset};
use crate::model::table::defined::Defined;
use crate::model::table::{Table, Tables};
use crate::model::topic::{DEFINITIONS_TOPIC, Topic, TopicId};
use crate::query::program::Fault;
use crate::query::pull::{Bench, Tail};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes read ahead of all logs together, about; at least the other of each.
const AHEAD_BYTES: usize = 4 << 20;
const AHEAD_BYTES_MIN: usize = 4 << 10;
const AHEAD_BYTES_MAX: usize = 256 << 10;

/// A record that was read ahead.
#[derive(Debug)]
pub(super) struct Item {
    /// Its number.
    pub number: u64,
    /// Its content.
    pub bytes: Box<[u8]>,
}

struct Log {
    topic: TopicId,
    /// The table; none: definitions.
    name: Option<TopicName>,
    tail: Box<dyn Tail>,
    ahead: VecDeque<Item>,
}

/// See the module's page.
#[derive(Default)]
pub(super) struct Merge {
    logs: Vec<Log>,
}

/// Database and time of making, by which definitions are told apart.
pub(super) type Identity<'a> = (&'a str, i64);

impl Merge {
    /// Follows these tables, and definitions if asked to, from a number on. Those followed already
    /// go on where they are.
    pub fn follow(
        &mut self,
        bench: &mut dyn Bench,
        tables: &[Arc<Topic>],
        definitions: bool,
        from: u64,
    ) -> Result<(), Fault> {
        let wanted = |log: &Log| match &log.name {
            Some(_) => tables.iter().any(|topic| topic.id == log.topic),
            None => definitions,
        };
        self.logs.retain(wanted);
        for topic in tables {
            if self.logs.iter().all(|log| log.topic != topic.id) {
                let mut tail = match bench.tail(topic.id, 0) {
                    Ok(tail) => tail,
                    // One that is gone meanwhile has nothing to tell.
                    Err(_) if bench.topic(&topic.name).is_none() => continue,
                    Err(fault) => return Err(fault),
                };
                if from > 0 {
                    let at = find(tail.as_mut(), from);
                    tail.seek(at);
                }
                self.push(topic.id, Some(topic.name.clone()), tail);
            }
        }
        if definitions && self.logs.iter().all(|log| log.name.is_some()) {
            // Numbers of several databases lie in it: it is read from its beginning.
            let tail = bench.tail(DEFINITIONS_TOPIC, 0)?;
            self.push(DEFINITIONS_TOPIC, None, tail);
        }
        Ok(())
    }

    fn push(&mut self, topic: TopicId, name: Option<TopicName>, tail: Box<dyn Tail>) {
        self.logs.push(Log { topic, name, tail, ahead: VecDeque::new() });
    }

    /// Takes the next record with a number from `from` to before `below`, and the log's table.
    pub fn take(&mut self, identity: Identity<'_>, from: u64, below: u64) -> Option<Taken> {
        let bytes = AHEAD_BYTES / self.logs.len().max(1);
        let bytes = bytes.clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
        let mut first: Option<(u64, usize)> = None;
        for (index, log) in self.logs.iter_mut().enumerate() {
            log.fill(identity, from, bytes);
            if let Some(item) = log.ahead.front()
                && first.is_none_or(|(number, _)| item.number < number)
            {
                first = Some((item.number, index));
            }
        }
        let (_, log) = first.filter(|(number, _)| *number < below)?;
        let own = self.logs.get_mut(log)?;
        let item = own.ahead.pop_front()?;
        Some(Taken { log, table: own.name.clone(), item })
    }

    /// Puts back what was taken last.
    pub fn put_back(&mut self, taken: Taken) {
        if let Some(log) = self.logs.get_mut(taken.log) {
            log.ahead.push_front(taken.item);
        }
    }

    /// The number of the oldest record that is still there, 0 while nothing was dropped.
    pub fn begin(&mut self) -> u64 {
        if self.logs.iter().all(|log| log.tail.start() == 0) {
            return 0;
        }
        let own = self.logs.iter_mut().filter(|log| log.name.is_some());
        own.filter_map(|log| {
            let (back, start) = (log.tail.next(), log.tail.start());
            let found = number_at(log.tail.as_mut(), start);
            log.tail.seek(back);
            found.map(|(_, number)| number)
        })
        .min()
        .unwrap_or(0)
    }
}

/// A record and where it came from.
#[derive(Debug)]
pub(super) struct Taken {
    log: usize,
    /// Its table; none: a definition.
    pub table: Option<TopicName>,
    /// The record.
    pub item: Item,
}

impl Taken {
    /// The definition of its table.
    pub fn definition<'a>(&self, tables: &'a Tables) -> Option<&'a Arc<Table>> {
        tables.table(self.table.as_ref()?)
    }

    /// Whether both came from one log.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.log == other.log
    }
}

impl Log {
    fn fill(&mut self, (database, created): Identity<'_>, from: u64, bytes: usize) {
        while self.ahead.is_empty() && self.tail.next() < self.tail.end() {
            let (ahead, definitions) = (&mut self.ahead, self.name.is_none());
            let more = self.tail.read(bytes, &mut |list| {
                for (_, record) in list.iter().filter(|(_, record)| record.producer >= from) {
                    let Body::Rows(bytes) = record.body else { continue };
                    let own = || {
                        Defined::decode(bytes).is_some_and(|defined| {
                            defined.database == database && defined.created == created
                        })
                    };
                    if !definitions || own() {
                        ahead.push_back(Item { number: record.producer, bytes: bytes.into() });
                    }
                }
            });
            if !more {
                return;
            }
        }
    }
}

/// Offset and number of the first record at an offset or behind it.
fn number_at(tail: &mut dyn Tail, offset: Offset) -> Option<(Offset, u64)> {
    tail.seek(offset);
    let mut found = None;
    tail.read(1, &mut |list| {
        found = list.first().map(|(offset, record)| (*offset, record.producer));
    });
    found
}

/// Offset of the first record with at least this number.
fn find(tail: &mut dyn Tail, number: u64) -> Offset {
    let (mut low, mut high) = (tail.start(), tail.end());
    while low < high {
        let middle = low + (high - low) / 2;
        match number_at(tail, middle) {
            Some((offset, found)) if found < number => low = offset + 1,
            _ => high = middle,
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Record;
    use crate::query::pull::Numbered;

    /// Numbers of records, and where the next read begins.
    struct List(Vec<u64>, Offset);

    impl Tail for List {
        fn start(&self) -> Offset {
            0
        }
        fn end(&self) -> Offset {
            self.0.len() as Offset
        }
        fn next(&self) -> Offset {
            self.1
        }
        fn seek(&mut self, offset: Offset) {
            self.1 = offset;
        }
        fn read(&mut self, bytes: usize, visit: &mut dyn FnMut(&[Numbered<'_>])) -> bool {
            let some = self.0.iter().enumerate().skip(self.1 as usize).take(bytes.min(2));
            let list: Vec<Numbered<'_>> = some
                .map(|(at, number)| {
                    let body = Body::Rows(b"\x01");
                    (at as Offset, Record { time: 0, producer: *number, body })
                })
                .collect();
            self.1 += list.len() as Offset;
            visit(&list);
            !list.is_empty()
        }
    }

    fn merge(logs: &[&[u64]]) -> Merge {
        let mut it = Merge::default();
        for (at, numbers) in logs.iter().enumerate() {
            let name = TopicName::parse(&format!("d.t{at}"));
            it.push(at as TopicId + 1, name, Box::new(List(numbers.to_vec(), 0)));
        }
        it
    }

    fn take(merge: &mut Merge, mut from: u64, below: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(taken) = merge.take(("d", 0), from, below) {
            from = taken.item.number + 1;
            numbers.push(taken.item.number);
        }
        numbers
    }

    #[test]
    fn logs_are_one_in_the_order_of_numbers() {
        let logs: [&[u64]; 3] = [&[0, 3, 4, 9, 10], &[1, 2, 8], &[5, 6, 7, 11]];
        assert_eq!(take(&mut merge(&logs), 0, 100), (0..12).collect::<Vec<_>>());
        let mut it = merge(&logs);
        assert_eq!(take(&mut it, 4, 8), [4, 5, 6, 7]);
        // What lies beyond the bound stays.
        assert_eq!(take(&mut it, 8, 100), [8, 9, 10, 11]);
        let mut it = merge(&logs);
        let first = it.take(("d", 0), 0, 100).unwrap();
        it.put_back(first);
        assert_eq!(take(&mut it, 0, 2), [0, 1]);
        assert_eq!(it.begin(), 0);
    }

    #[test]
    fn a_number_is_found_where_it_or_the_next_one_is() {
        let numbers = vec![0, 3, 4, 9, 10];
        for (number, offset) in [(0, 0), (1, 1), (3, 1), (5, 3), (10, 4), (11, 5)] {
            assert_eq!(find(&mut List(numbers.clone(), 0), number), offset, "{number}");
        }
    }
}

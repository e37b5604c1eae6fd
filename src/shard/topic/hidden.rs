//! Records that a DELETE hid, on shard 0 (nsdb, 5.2): a list of offsets for each topic, in the
//! catalog.
//!
//! Method: the front-end finds out which retained records its condition means and names them by
//! offset, so that nobody else ever has to evaluate the condition: a cursor passes over hidden
//! records, and with it every reader of every front-end. All deletes of a topic are one list, which
//! goes when the topic goes. Cost: two to four bytes for each run of hidden records.

use super::changes::{Pending, Topics, refuse};
use crate::broker::catalog::Change;
use crate::model::event::Reply;
use crate::model::record::{Offset, Ranges};
use crate::model::refusal::Refusal;
use crate::model::topic::TopicId;
use crate::shard::core::Core;
use crate::shard::mail::Origin;
use std::sync::Arc;

/// Entries of hidden records.
pub const HIDDEN_FAMILY: u8 = 10;
/// Bytes of one list.
const LIST_BYTES_MAX: usize = 1 << 20;

impl Topics {
    /// Hides records beside those that are hidden.
    pub(super) fn hide(
        &mut self,
        core: &mut Core,
        origin: Origin,
        topic: TopicId,
        ranges: &Ranges,
    ) {
        if core.catalog.get(topic).is_none() {
            return refuse(core, origin, Refusal::UnknownTopic);
        }
        let key = topic.to_le_bytes();
        let known = self.entry(HIDDEN_FAMILY, &key).and_then(decode).unwrap_or_default();
        let joined = join(&[&known, ranges].concat());
        let value = encode(&joined);
        if value.len() > LIST_BYTES_MAX {
            return refuse(core, origin, Refusal::TooManyDefinitions);
        }
        match self.put(core, HIDDEN_FAMILY, &key, &value) {
            Ok(durable_at) => {
                let changes = vec![Change::Hidden(topic, joined.into())];
                let reply = Reply::Done;
                self.wait_for(Pending {
                    durable_at,
                    name: None,
                    changes,
                    origin,
                    reply,
                    told: Vec::new(),
                });
            }
            Err(why) => refuse(core, origin, why),
        }
    }

    /// A topic is gone, and with it what was hidden of it.
    pub(super) fn forget_hidden(&mut self, core: &Core, topic: TopicId) {
        // What is left of a topic that is not there means nothing.
        let _ = self.remove(core, HIDDEN_FAMILY, &topic.to_le_bytes());
    }
}

/// The change that an entry stands for.
pub fn restore(key: &[u8], value: &[u8]) -> Option<Change> {
    let topic = TopicId::from_le_bytes(key.try_into().ok()?);
    Some(Change::Hidden(topic, Arc::from(decode(value)?)))
}

/// Sorts ranges and joins those that touch.
fn join(ranges: &Ranges) -> Vec<(Offset, Offset)> {
    let mut sorted: Vec<_> = ranges.iter().copied().filter(|(from, to)| from < to).collect();
    sorted.sort_unstable();
    let mut joined: Vec<(Offset, Offset)> = Vec::with_capacity(sorted.len());
    for (from, to) in sorted {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// Version, then gaps and lengths in turn, seven bits a byte.
fn encode(ranges: &Ranges) -> Vec<u8> {
    let mut out = vec![1];
    let mut at = 0;
    for (from, to) in ranges {
        for mut number in [from - at, to - from] {
            while number >= 0x80 {
                out.push(number as u8 | 0x80);
                number >>= 7;
            }
            out.push(number as u8);
        }
        at = *to;
    }
    out
}

fn decode(bytes: &[u8]) -> Option<Vec<(Offset, Offset)>> {
    let (version, rest) = bytes.split_first()?;
    if *version != 1 {
        return None;
    }
    let (mut ranges, mut at, mut from) = (Vec::new(), 0_u64, None);
    let (mut number, mut shift) = (0_u64, 0);
    for byte in rest {
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            at = at.checked_add(number)?;
            match from.take() {
                Some(from) => ranges.push((from, at)),
                None => from = Some(at),
            }
            (number, shift) = (0, 0);
        }
    }
    (from.is_none() && shift == 0).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_and_read_back() {
        let joined = join(&[(5, 7), (1, 2), (7, 9), (2, 2), (300, 70_000), (6, 8)]);
        assert_eq!(joined, [(1, 2), (5, 9), (300, 70_000)]);
        assert_eq!(decode(&encode(&joined)), Some(joined));
        assert_eq!(decode(&[1]), Some(Vec::new()));
        assert!(decode(&[]).is_none() && decode(&[2]).is_none() && decode(&[1, 5]).is_none());
        assert!(decode(&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).is_none());
    }
}

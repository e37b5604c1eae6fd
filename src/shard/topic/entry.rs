//! A topic as an entry of the catalog: the key is its full name.

use crate::model::name::TopicName;
use crate::model::record::TimeNs;
use crate::model::topic::{Retention, Storage, Topic, TopicId};

/// Version, id, storage, queue, created, three optional bounds.
pub(super) fn encode(topic: &Topic) -> Vec<u8> {
    let mut out = vec![1];
    out.extend_from_slice(&topic.id.to_le_bytes());
    out.push(u8::from(topic.storage == Storage::Pipe));
    out.push(u8::from(topic.queue) | u8::from(topic.typed) << 1);
    out.extend_from_slice(&topic.created.to_le_bytes());
    for bound in [topic.retention.records, topic.retention.bytes, topic.retention.age_ms] {
        out.push(u8::from(bound.is_some()));
        out.extend_from_slice(&bound.unwrap_or(0).to_le_bytes());
    }
    out
}

/// Reads an entry; `None`: it is damaged, or of a later version.
pub(super) fn decode(key: &[u8], value: &[u8]) -> Option<Topic> {
    let name = TopicName::parse(std::str::from_utf8(key).ok()?)?;
    let (version, rest) = value.split_first()?;
    if *version != 1 {
        return None;
    }
    let (id, rest) = rest.split_first_chunk()?;
    let ([pipe, queue], rest) = rest.split_first_chunk()?;
    let (created, mut rest) = rest.split_first_chunk()?;
    let mut bounds = [None; 3];
    for bound in &mut bounds {
        let (present, tail) = rest.split_first()?;
        let (number, tail) = tail.split_first_chunk()?;
        *bound = (*present == 1).then_some(u64::from_le_bytes(*number));
        rest = tail;
    }
    let [records, bytes, age_ms] = bounds;
    Some(Topic {
        id: TopicId::from_le_bytes(*id),
        name,
        retention: Retention { records, bytes, age_ms },
        storage: if *pipe == 1 { Storage::Pipe } else { Storage::Log },
        queue: *queue & 1 == 1,
        typed: *queue & 2 == 2,
        created: TimeNs::from_le_bytes(*created),
        shared: Default::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_survives_the_catalog() {
        let topic = Topic {
            id: 77,
            name: TopicName::parse("plant.s1").unwrap(),
            retention: Retention { records: Some(3), bytes: None, age_ms: Some(0) },
            storage: Storage::Pipe,
            queue: true,
            typed: true,
            created: 123,
            shared: Default::default(),
        };
        let bytes = encode(&topic);
        let back = decode(b"plant.s1", &bytes).unwrap();
        assert_eq!((back.id, &back.name, back.retention), (77, &topic.name, topic.retention));
        assert_eq!((back.storage, back.queue, back.created), (Storage::Pipe, true, 123));
        assert!(back.typed);
        for cut in 0..bytes.len() {
            assert!(decode(b"plant.s1", &bytes[..cut]).is_none());
        }
    }
}

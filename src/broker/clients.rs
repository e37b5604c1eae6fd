//! The end users that live on this shard: their contexts and what is known of them.

use crate::model::command::ClientId;
use crate::model::event::ClientView;
use crate::model::json;
use crate::model::refusal::Refusal;
use ahash::AHashMap;
use std::sync::Arc;

/// Keys of a context.
pub const CONTEXT_KEYS_MAX: usize = 64;
/// Bytes of a context as a JSON object.
pub const CONTEXT_BYTES_MAX: usize = 16 << 10;
/// Channels of one client.
pub const CHANNELS_MAX: usize = 256;

/// One client.
#[derive(Debug, Default)]
pub struct Client {
    /// Slot of its connection on this shard.
    pub slot: u32,
    /// The route's path.
    pub path: Arc<str>,
    /// Peer address.
    pub remote: Option<std::net::SocketAddr>,
    /// When it came, ms since 1970.
    pub since_ms: u64,
    /// Its channels.
    pub channels: Vec<Arc<str>>,
    context: Vec<(Box<str>, Box<[u8]>)>,
}

impl Client {
    /// A client without context and channels.
    #[must_use]
    pub fn new(slot: u32, path: &str, remote: std::net::SocketAddr, since_ms: u64) -> Self {
        Self { slot, path: path.into(), remote: Some(remote), since_ms, ..Self::default() }
    }

    /// The context as a JSON object; empty while it has no key.
    #[must_use]
    pub fn context_json(&self) -> Vec<u8> {
        if self.context.is_empty() { Vec::new() } else { to_json(&self.context) }
    }

    /// Sets or (by `None`) removes one key.
    ///
    /// # Errors
    /// [`Refusal::ContextTooLarge`]; nothing was changed.
    pub fn set_value(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), Refusal> {
        let mut context = self.context.clone();
        match (context.iter_mut().find(|(known, _)| **known == *key), value) {
            (Some(entry), Some(value)) => entry.1 = value.into(),
            (None, Some(value)) => context.push((key.into(), value.into())),
            (_, None) => context.retain(|(known, _)| **known != *key),
        }
        self.replace(context)
    }

    /// Replaces the whole context.
    ///
    /// # Errors
    /// As [`Client::set_value`].
    pub fn set(&mut self, context: &[(String, Vec<u8>)]) -> Result<(), Refusal> {
        let list = context.iter().map(|(k, v)| (k.as_str().into(), v.as_slice().into()));
        self.replace(list.collect())
    }

    fn replace(&mut self, context: Vec<(Box<str>, Box<[u8]>)>) -> Result<(), Refusal> {
        if context.len() > CONTEXT_KEYS_MAX || to_json(&context).len() > CONTEXT_BYTES_MAX {
            return Err(Refusal::ContextTooLarge);
        }
        self.context = context;
        self.context.shrink_to_fit();
        Ok(())
    }

    /// What `conn.info` shows.
    #[must_use]
    pub fn view(&self, client: ClientId) -> ClientView {
        let mut channels: Vec<String> = self.channels.iter().map(|c| c.to_string()).collect();
        channels.sort();
        ClientView {
            client,
            path: self.path.to_string(),
            remote: self.remote.map(|a| a.to_string()).unwrap_or_default(),
            since_ms: self.since_ms,
            channels,
            context: self.context_json(),
        }
    }
}

fn to_json(context: &[(Box<str>, Box<[u8]>)]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (index, (key, value)) in context.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, key);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

/// All clients of this shard.
pub type Clients = AHashMap<ClientId, Box<Client>>;

/// Milliseconds of 1970 at which ids begin.
const EPOCH_MS: u64 = 1_288_834_974_657;

/// The next client id: greater than `last`, of this time and node, and telling its shard: ids of
/// one shard are congruent modulo `shards`, a power of two up to 4096.
///
/// Invariant: the result is greater than `last` and carries `node`.
#[must_use]
pub fn next_client_id(last: ClientId, now_ms: u64, node: u16, shard: u16, shards: u64) -> ClientId {
    let base = |ms: u64| ms << 22 | u64::from(node) << 12;
    let wanted = base(now_ms.saturating_sub(EPOCH_MS)).max(last + 1);
    let mut ms = wanted >> 22;
    let within = wanted & 0x3F_FFFF;
    let mut sequence = match within >> 12 {
        n if n < u64::from(node) => 0,
        n if n == u64::from(node) => within & 0xFFF,
        _ => {
            ms += 1;
            0
        }
    };
    let off = sequence % shards;
    sequence += (u64::from(shard) + shards - off) % shards;
    if sequence > 0xFFF {
        ms += 1;
        sequence = u64::from(shard);
    }
    base(ms) | sequence
}

/// The shard that a client of this node lives on.
#[must_use]
pub fn shard_of(client: ClientId, shards: u64) -> u16 {
    (client % shards) as u16
}

/// The power of two by which ids tell their shard.
#[must_use]
pub fn id_stride(shards: usize) -> u64 {
    shards.next_power_of_two() as u64
}

/// The node part of a client id.
#[must_use]
pub fn node_of(client: ClientId) -> u16 {
    (client >> 12 & 0x3FF) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_tell_node_and_shard() {
        for shards in [1, 2, 3, 8, 64] {
            let stride = id_stride(shards);
            let mut last = 0;
            for round in 0..20_000_u64 {
                // The clock stands still, runs, and once goes back.
                let now =
                    EPOCH_MS + 5_000 + round / 9_000 - if round == 15_000 { 4_000 } else { 0 };
                let shard = (round % shards as u64) as u16;
                let id = next_client_id(last, now, 1023, shard, stride);
                assert!(id > last && node_of(id) == 1023 && shard_of(id, stride) == shard);
                last = id;
            }
        }
    }

    #[test]
    fn contexts_are_bounded_and_kept_when_refused() {
        let mut client = Client::default();
        assert!(client.context_json().is_empty());
        client.set_value("a", Some(b"1")).unwrap();
        client.set_value("b", Some(b"[2]")).unwrap();
        client.set_value("a", None).unwrap();
        assert_eq!(client.context_json(), b"{\"b\":[2]}");
        let big = vec![b'1'; CONTEXT_BYTES_MAX];
        assert_eq!(client.set_value("c", Some(&big)), Err(Refusal::ContextTooLarge));
        let many: Vec<_> = (0..65).map(|n| (format!("k{n}"), b"1".to_vec())).collect();
        assert_eq!(client.set(&many), Err(Refusal::ContextTooLarge));
        assert_eq!(client.context_json(), b"{\"b\":[2]}");
    }
}

//! What each server needs said to it before a fan-out run, and how its deliveries are counted.
//!
//! A set-up ends with every subscription acknowledged, so that nothing that is published later may be missing.

pub mod jsonjet;
mod mesh;
mod peers;

use crate::Result;
use crate::args::Args;
use crate::net::Conn;
use crate::walk::{STAMP_DIGITS, write_stamp};
use crate::ws::{self, Kind};

/// Bytes of the ring of encoded messages, at least: as much as one write may take.
const RING_BYTES: usize = 256 * 1024;

/// Who gets what.
pub struct Shape {
    /// Channels, published to in turn.
    pub channels: usize,
    /// Subscriptions of each channel.
    pub subscribers: usize,
    /// Connections that hold all the subscriptions.
    pub connections: usize,
    /// Bytes of one payload.
    pub size: usize,
}

impl Shape {
    /// From `channels=`, `subs=`, `conns=` and `size=`.
    pub fn from_args(args: &Args) -> Result<Self> {
        let (channels, subscribers) = (args.or("channels", 1)?, args.or("subs", 1)?);
        let connections = args.or("conns", channels * subscribers)?;
        let size = args.or("size", 64)?;
        if connections % subscribers != 0 || connections > channels * subscribers {
            return Err("conns= must be a multiple of subs= and at most channels x subs".into());
        }
        if size < 60 {
            return Err("size= must be at least 60: a time stamp and JSON around it".into());
        }
        Ok(Self { channels, subscribers, connections, size })
    }

    /// Channels of one connection: a channel's subscriptions are all on different ones.
    fn channels_of(&self, connection: usize) -> Vec<usize> {
        let groups = self.connections / self.subscribers;
        let group = connection % groups;
        (0..self.channels).filter(|channel| channel % groups == group).collect()
    }

    /// Payload of a size: a time stamp of zeros and a filler.
    fn payload(&self, size: usize) -> String {
        format!("@{:0>STAMP_DIGITS$}{:x<2$}", "", "", size - STAMP_DIGITS - 1)
    }
}

/// Name of a channel, stream, topic or subject: always five letters.
fn name(channel: usize) -> String {
    format!("c{channel:04}")
}

/// Messages of equal length, encoded once, sent again and again.
pub struct Ring {
    /// All of them, one after the other.
    pub bytes: Vec<u8>,
    /// Bytes of one.
    pub message: usize,
    stamp_at: usize,
    mask_at: usize,
}

impl Ring {
    /// Encodes what `payload` gives for each channel in turn, until the ring is full.
    fn build(channels: usize, kind: Kind, mut payload: impl FnMut(usize) -> Vec<u8>) -> Self {
        let mut bytes = Vec::new();
        let (mut message, mut stamp_at, mut mask_at) = (0, 0, 0);
        while bytes.len() < RING_BYTES {
            for channel in 0..channels {
                let begin = bytes.len();
                let text = payload(channel);
                let at = ws::frame(&mut bytes, kind, &text) - begin;
                let stamp = memchr::memchr(b'@', &text).expect("a payload has a stamp") + 1;
                assert!(
                    message == 0 || message == bytes.len() - begin,
                    "messages differ in length"
                );
                (message, stamp_at, mask_at) = (bytes.len() - begin, at + stamp, stamp % 4);
            }
        }
        Self { bytes, message, stamp_at, mask_at }
    }

    /// Appends the first message with a time stamp.
    pub fn stamped(&self, out: &mut Vec<u8>, stamp: u64) {
        let begin = out.len();
        out.extend_from_slice(&self.bytes[..self.message]);
        let digits = &mut out[begin + self.stamp_at..][..STAMP_DIGITS];
        write_stamp(digits, stamp);
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit ^= ws::KEY[(self.mask_at + at) % 4];
        }
    }
}

/// How deliveries are counted.
#[derive(Clone, Copy)]
pub enum Count {
    /// One for each data frame.
    Frames,
    /// One for so many payload bytes: the server puts several into a frame, or one into several.
    Bytes(u64),
}

/// A server ready for a fan-out run.
pub struct Plan {
    /// The connection that publishes.
    pub publisher: Conn,
    /// The connections that are subscribed.
    pub subscribers: Vec<Conn>,
    /// What is published.
    pub ring: Ring,
    /// How what comes is counted.
    pub count: Count,
    /// Bytes of every delivered frame, where it carries the payload and nothing else.
    pub bare: Option<u64>,
    /// Deliveries of one message.
    pub fan: u64,
}

/// Sets up `proto=`.
pub fn plan(args: &Args) -> Result<Plan> {
    let shape = Shape::from_args(args)?;
    match args.must("proto")? {
        "mesh" => mesh::plan(args, &shape),
        "jsonjet" => jsonjet::plan(args, &shape),
        "uws" => peers::uws(args, &shape),
        "nats" => peers::nats(args, &shape),
        "mqtt" => peers::mqtt(args, &shape),
        other => Err(format!("proto={other}: mesh jsonjet uws nats mqtt")),
    }
}

/// Opens one connection of a plan and upgrades it.
fn dial(addr: &str, path: &str, protocol: Option<&str>) -> Result<Conn> {
    let mut conn = Conn::open(addr)?;
    ws::upgrade(&mut conn, addr, path, protocol)?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every channel has its subscriptions, on as many connections.
    #[test]
    fn subscriptions_are_spread() {
        for (channels, subscribers, connections) in
            [(1, 1, 1), (1, 100, 100), (1000, 10, 100), (100, 10, 1000)]
        {
            let shape = Shape { channels, subscribers, connections, size: 64 };
            let mut seen = vec![0; channels];
            for connection in 0..connections {
                let mine = shape.channels_of(connection);
                assert_eq!(mine.len(), channels * subscribers / connections);
                mine.iter().for_each(|&channel| seen[channel] += 1);
            }
            assert!(seen.iter().all(|&count| count == subscribers));
        }
        assert_eq!(
            Shape { channels: 1, subscribers: 1, connections: 1, size: 64 }.payload(64).len(),
            64
        );
    }
}

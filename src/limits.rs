//! Every compile-time bound of weir, and the relations between them that must hold.
//!
//! A bound that an operator may move is a configuration key instead; what stands here protects the
//! process.

/// Bytes of one HTTP request head, request line and headers together.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header lines of one HTTP request.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Milliseconds a client has for a complete request head, and for a WebSocket handshake.
pub const HTTP_HEAD_TIMEOUT_MS: u64 = 5_000;
/// Bytes a second that a body or a frame under way must bring after its first 5 s.
pub const BODY_RATE_MIN: u64 = 1_024;
/// Nesting of JSON that any front-end accepts.
pub const JSON_DEPTH_MAX: usize = 128;
/// Bytes of a topic name, database and dot included.
pub const TOPIC_NAME_BYTES_MAX: usize = 255;
/// Topics of one appliance.
pub const TOPICS_MAX: usize = 65_536;
/// Bytes of the payload of one record in the log. The largest inbound message fits.
pub const RECORD_BYTES_MAX: usize = 64 << 20;
/// Bytes of one segment file when its topic is busy; new topics start with [`SEGMENT_BYTES_MIN`].
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the first segment file of a topic.
pub const SEGMENT_BYTES_MIN: u64 = 256 << 10;
/// Bytes that one ring write of the log carries at most; larger batches are several writes.
pub const LOG_WRITE_BYTES_MAX: usize = 1 << 20;
/// Bytes appended to one partition and not yet acknowledged; beyond it appends wait in their
/// connection.
pub const LOG_UNACKNOWLEDGED_BYTES_MAX: usize = 64 << 20;
/// Shards of one process.
pub const SHARDS_MAX: usize = 64;

const _: () = assert!(SEGMENT_BYTES_MIN <= SEGMENT_BYTES_MAX);
const _: () = assert!(LOG_WRITE_BYTES_MAX as u64 * 4 <= SEGMENT_BYTES_MAX);
const _: () = assert!(RECORD_BYTES_MAX <= LOG_UNACKNOWLEDGED_BYTES_MAX);

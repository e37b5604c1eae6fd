//! A record: what one write put into a topic, as it arrived.

use super::flow::{Derivation, FlowId};
use super::table::rows::Rows;

/// Position of a record in its partition, counted from 0 without gaps at append time.
pub type Offset = u64;

/// Offsets from one to before the other, ascending, no two touching.
pub type Ranges = [(Offset, Offset)];

/// Nanoseconds since 1970, UTC.
pub type TimeNs = i64;

/// What a record holds. Nothing is converted when it is written; each reader's view is made when it
/// is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// One JSON value, text as it arrived.
    Json(&'a [u8]),
    /// A JSON value that a flow made.
    Derived {
        /// The value, text.
        json: &'a [u8],
        /// Which flow.
        flow: FlowId,
        /// What of.
        from: Derivation,
    },
    /// One complete WebSocket message.
    Frame {
        /// `false`: the bytes are UTF-8 text; `true`: any bytes.
        binary: bool,
        /// The message as sent.
        bytes: &'a [u8],
        /// The sender's context as a JSON object; empty while there is none.
        context: &'a [u8],
        /// The kind of event to show with it, empty for none (`message`).
        event: &'a [u8],
    },
    /// Something that happened to a client, as a JSON object without context.
    Lifecycle {
        /// The object, text.
        json: &'a [u8],
        /// The client's context as a JSON object; empty while there is none.
        context: &'a [u8],
    },
    /// Typed rows of one write, or what hides some (`model::table::rows`).
    Rows(&'a [u8]),
}

/// A record on its way into or out of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Arrival at the appliance.
    pub time: TimeNs,
    /// Who wrote it: a client id, 0 for anybody else. Of typed rows: their number in the database
    /// (`table::numbering`), which is nobody.
    pub producer: u64,
    /// The content.
    pub body: Body<'a>,
}

impl Record<'_> {
    /// Shows the record as readers see it who want one value for each: typed rows one by one as
    /// JSON objects, each at its own time; what only hides rows not at all.
    pub fn each(&self, see: &mut dyn FnMut(&Record<'_>)) {
        let Body::Rows(bytes) = self.body else { return see(self) };
        let Some(rows) = Rows::parse(bytes) else { return };
        let mut times = rows.times_ns().into_iter();
        rows.each_json(|json| {
            let time = times.next().unwrap_or(self.time);
            see(&Record { time, producer: 0, body: Body::Json(json) });
        });
    }
}

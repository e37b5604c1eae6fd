//! weir's JSON streams: records logged (or, with `retain=0`, passed through) and pushed to subscribers.

use super::{Count, Plan, Ring, Shape, dial, name};
use crate::Result;
use crate::args::Args;
use crate::net::Conn;
use crate::ws::{self, Kind};

/// Connects and takes the greeting.
pub fn connect(addr: &str) -> Result<Conn> {
    let mut conn = dial(addr, "/ws", None)?;
    ws::expect(&mut conn, "connected")?;
    Ok(conn)
}

/// Makes a stream; `options` as in `{ retain: 0 }`, or nothing.
pub fn create(conn: &mut Conn, stream: &str, options: &str) -> Result<()> {
    let with = if options.is_empty() { String::new() } else { format!(" with {options}") };
    let query =
        format!(r#"{{"type":"execute","query":"create or replace stream {stream}{with}"}}"#);
    ws::send(conn, Kind::Text, query.as_bytes())?;
    ws::expect(conn, r#""success":true"#).map(|_| ())
}

/// Sets up `addr=`, with `retain=N` for the streams if given.
pub fn plan(args: &Args, shape: &Shape) -> Result<Plan> {
    let addr = args.must("addr")?;
    let options = args.text("retain").map_or(String::new(), |n| format!("{{ retain: {n} }}"));
    let mut publisher = connect(addr)?;
    for channel in 0..shape.channels {
        create(&mut publisher, &name(channel), &options)?;
    }
    let mut subscribers = Vec::with_capacity(shape.connections);
    for connection in 0..shape.connections {
        let mut conn = connect(addr)?;
        let names: Vec<String> =
            shape.channels_of(connection).into_iter().map(|c| format!("\"{}\"", name(c))).collect();
        let subscribe = format!(r#"{{"type":"subscribe","streamName":[{}]}}"#, names.join(","));
        ws::send(&mut conn, Kind::Text, subscribe.as_bytes())?;
        ws::expect(&mut conn, r#""type":"subscribed""#)?;
        subscribers.push(conn);
    }
    // The record is a JSON object of the size asked for: `{"d":"..."}`.
    let record = format!(r#"{{"d":"{}"}}"#, shape.payload(shape.size - 8));
    let ring = Ring::build(shape.channels, Kind::Text, |channel| {
        format!(r#"{{"type":"insert","target":"{}","data":{record}}}"#, name(channel)).into_bytes()
    });
    Ok(Plan {
        publisher,
        subscribers,
        ring,
        count: Count::Frames,
        bare: None,
        fan: shape.subscribers as u64,
    })
}

//! weir's mesh: users subscribe to nothing themselves, a backend does it for them.
//!
//! Each user sends one message into the queue topic of its route; the backend pops it, learns the client id
//! from it and calls `subscribe`. The backend then publishes. Users get the bare payload in a frame.

use super::{Count, Plan, Ring, Shape, dial, name};
use crate::Result;
use crate::args::Args;
use crate::ws::{self, Kind};

/// Path of the users port and its topic, as `bench/run` configures them.
const ROUTE: &str = "/bench";
const TOPIC: &str = "bench";

/// Sets up `addr=` (backends) and `users=`.
pub fn plan(args: &Args, shape: &Shape) -> Result<Plan> {
    let users = args.must("users")?;
    let mut backend = dial(args.must("addr")?, "/ws/v1", None)?;
    let pop = format!(r#"{{"m":"queue.pop","p":{{"t":["{TOPIC}"]}},"i":1}}"#);
    ws::send(&mut backend, Kind::Text, pop.as_bytes())?;
    ws::expect(&mut backend, r#""s":true"#)?;
    let mut subscribers = Vec::with_capacity(shape.connections);
    for connection in 0..shape.connections {
        let mut user = dial(users, ROUTE, None)?;
        ws::send(&mut user, Kind::Text, b"here")?;
        let event = ws::expect(&mut backend, r#""e":"queue.pop""#)?;
        let client = client_id(&event)?;
        let channels: Vec<String> =
            shape.channels_of(connection).into_iter().map(|c| format!("\"{}\"", name(c))).collect();
        let call = format!(
            r#"{{"m":"conn.call","p":{{"c":"{client}","f":"subscribe","a":[{}]}},"i":2}}"#,
            channels.join(",")
        );
        ws::send(&mut backend, Kind::Text, call.as_bytes())?;
        ws::expect(&mut backend, r#""s":true"#)?;
        subscribers.push(user);
    }
    let payload = shape.payload(shape.size);
    let ring = Ring::build(shape.channels, Kind::Text, |channel| {
        let channel = name(channel);
        format!(r#"{{"m":"mesh.publish","p":{{"c":"{channel}","d":"{payload}"}}}}"#).into_bytes()
    });
    Ok(Plan {
        publisher: backend,
        subscribers,
        ring,
        count: Count::Frames,
        bare: Some(shape.size as u64),
        fan: shape.subscribers as u64,
    })
}

fn client_id(event: &str) -> Result<&str> {
    let after = event.split(r#""c":""#).nth(1).ok_or(format!("no client id in {event}"))?;
    after.split('"').next().ok_or(format!("no client id in {event}"))
}

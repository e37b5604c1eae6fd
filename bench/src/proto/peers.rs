//! The peers: a uWebSockets server of our own (`peers/uws.cjs`), nats-server and mosquitto, all over WebSocket.

use super::{Count, Plan, Ring, Shape, dial, name};
use crate::Result;
use crate::args::Args;
use crate::net::Conn;
use crate::ws::{self, Kind};

/// `S name name ..` subscribes and is answered; `P` and five letters of a name publish what follows.
pub fn uws(args: &Args, shape: &Shape) -> Result<Plan> {
    let addr = args.must("addr")?;
    let publisher = dial(addr, "/", None)?;
    let mut subscribers = Vec::with_capacity(shape.connections);
    for connection in 0..shape.connections {
        let mut conn = dial(addr, "/", None)?;
        let names: Vec<String> = shape.channels_of(connection).into_iter().map(name).collect();
        ws::send(&mut conn, Kind::Text, format!("S{}", names.join(" ")).as_bytes())?;
        ws::expect(&mut conn, "ok")?;
        subscribers.push(conn);
    }
    let payload = shape.payload(shape.size);
    let ring = Ring::build(shape.channels, Kind::Text, |channel| {
        format!("P{}{payload}", name(channel)).into_bytes()
    });
    Ok(Plan {
        publisher,
        subscribers,
        ring,
        count: Count::Frames,
        bare: Some(shape.size as u64),
        fan: shape.subscribers as u64,
    })
}

/// The NATS protocol in binary frames. Subscription ids have five digits, so that every delivery has one length.
pub fn nats(args: &Args, shape: &Shape) -> Result<Plan> {
    const FIRST_ID: usize = 10_000;
    let addr = args.must("addr")?;
    let connect = || -> Result<Conn> {
        let mut conn = dial(addr, "/", None)?;
        ws::expect(&mut conn, "INFO")?;
        Ok(conn)
    };
    let hello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true}\r\n";
    let greet = |conn: &mut Conn, subscriptions: &str| -> Result<()> {
        ws::send(conn, Kind::Binary, format!("{hello}{subscriptions}PING\r\n").as_bytes())?;
        while !String::from_utf8_lossy(&ws::receive(conn)?).contains("PONG") {}
        Ok(())
    };
    let mut publisher = connect()?;
    greet(&mut publisher, "")?;
    let mut subscribers = Vec::with_capacity(shape.connections);
    for connection in 0..shape.connections {
        let mut conn = connect()?;
        let channels = shape.channels_of(connection);
        let all: String =
            channels.iter().map(|&c| format!("SUB {} {}\r\n", name(c), FIRST_ID + c)).collect();
        greet(&mut conn, &all)?;
        subscribers.push(conn);
    }
    let (payload, size) = (shape.payload(shape.size), shape.size);
    let ring = Ring::build(shape.channels, Kind::Binary, |channel| {
        format!("PUB {} {size}\r\n{payload}\r\n", name(channel)).into_bytes()
    });
    let delivery = format!("MSG c0000 {FIRST_ID} {size}\r\n{payload}\r\n").len() as u64;
    Ok(Plan {
        publisher,
        subscribers,
        ring,
        count: Count::Bytes(delivery),
        bare: None,
        fan: shape.subscribers as u64,
    })
}

/// MQTT 3.1.1 with quality of service 0: a delivery is byte for byte what was published.
pub fn mqtt(args: &Args, shape: &Shape) -> Result<Plan> {
    let addr = args.must("addr")?;
    let connect = |number: usize| -> Result<Conn> {
        let mut conn = dial(addr, "/mqtt", Some("mqtt"))?;
        let mut body = b"\0\x04MQTT\x04\x02\0\0".to_vec();
        text(&mut body, &format!("bench{number}"));
        ws::send(&mut conn, Kind::Binary, &packet(0x10, &body))?;
        answer(&mut conn, 0x20)?;
        Ok(conn)
    };
    let publisher = connect(0)?;
    let mut subscribers = Vec::with_capacity(shape.connections);
    for connection in 0..shape.connections {
        let mut conn = connect(connection + 1)?;
        let mut body = vec![0, 1];
        for channel in shape.channels_of(connection) {
            text(&mut body, &name(channel));
            body.push(0);
        }
        ws::send(&mut conn, Kind::Binary, &packet(0x82, &body))?;
        answer(&mut conn, 0x90)?;
        subscribers.push(conn);
    }
    let payload = shape.payload(shape.size);
    let publish = |channel| {
        let mut body = vec![];
        text(&mut body, &name(channel));
        body.extend(payload.as_bytes());
        packet(0x30, &body)
    };
    let ring = Ring::build(shape.channels, Kind::Binary, publish);
    let count = Count::Bytes(publish(0).len() as u64);
    Ok(Plan { publisher, subscribers, ring, count, bare: None, fan: shape.subscribers as u64 })
}

/// Waits for a whole packet of a kind, which may come in several frames.
fn answer(conn: &mut Conn, kind: u8) -> Result<()> {
    let mut got = ws::receive(conn)?;
    if got.first() != Some(&kind) {
        return Err(format!("expected MQTT packet {kind:#x}, got {got:?}"));
    }
    loop {
        let (mut len, mut digits) = (0usize, 0);
        while let Some(byte) = got.get(1 + digits) {
            len |= usize::from(byte & 0x7f) << (7 * digits);
            digits += 1;
            if byte & 0x80 == 0 {
                if got.len() >= 1 + digits + len {
                    return Ok(());
                }
                break;
            }
        }
        got.extend(ws::receive(conn)?);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut len = body.len();
    while len > 127 {
        out.push(len as u8 & 0x7f | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend(body);
    out
}

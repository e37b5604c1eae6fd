//! Acknowledged inserts of 150-byte records: `conns=` connections, each with `window=` unacknowledged ones.
//!
//! weir over WebSocket (jsonjet), redis with pipelined XADD, JetStream with a reply subject for each record.
//! An answer is told by its frame, or by one byte that occurs once in it; the first one is read whole.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use crate::Result;
use crate::args::Args;
use crate::line::{Line, histogram};
use crate::net::{Conn, Poller};
use crate::proc::{self, now_ns};
use crate::proto::jsonjet;
use crate::walk::Tally;
use crate::ws::{self, Kind};

const RECORD_BYTES: usize = 150;
const RING_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 256 * 1024;
const WARM_NS: u64 = 300_000_000;
/// A synced write of a slow disk is far below this.
const STALL_NS: u64 = 5_000_000_000;
/// Records in one message of `fill`, and messages under way.
const FILL_BATCH: usize = 500;
const FILL_WINDOW: u64 = 16;

/// How an answer is told.
#[derive(Clone, Copy)]
enum Ack {
    Frame,
    Byte(u8),
}

/// Appends the request for one record, given the number of its connection.
type Encode = Box<dyn Fn(&mut Vec<u8>, usize, String)>;

/// One connection and what it waits for.
struct Lane {
    conn: Conn,
    sent_bytes: u64,
    ring_at: usize,
    acked: u64,
    seen: Tally,
    /// When messages left, and up to which number.
    times: VecDeque<(u64, u64)>,
}

/// All connections and what they send.
struct Load {
    lanes: Vec<Lane>,
    /// One for all connections, or one for each where the answer's address is in it.
    rings: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    message: u64,
    ack: Ack,
    latency: Histogram<u64>,
    busy_ns: u64,
    closed: u64,
}

/// One reading of a sensor, always as long.
fn record(number: usize) -> String {
    let (sensor, digit) = (number % 1000, number % 10);
    let text = format!(
        r#"{{"sensor_id":"sensor-{sensor:04}","timestamp":1760000{sensor:03}{digit}00,"temperature":2{digit}.{sensor:03},"humidity":5{digit}.{sensor:03},"status":"ok","#
    );
    format!("{text}\"note\":\"{:x<1$}\"}}", "", RECORD_BYTES - text.len() - 10)
}

/// `ingest`: sets up, runs and reports.
pub fn run(args: &Args) -> Result<String> {
    let pid = args.or("pid", 0)?;
    let window = args.or("window", 1u64)?;
    let measured_ns = (args.or("seconds", 1.0f64)? * 1e9) as u64;
    let mut load = Load::set_up(args)?;
    let mut poller = load.watch();
    load.turn_until(&mut poller, window, now_ns() + WARM_NS)?;
    load.latency.reset();
    let (at, acked, busy, cpu) = (now_ns(), load.acked(), load.busy_ns, proc::cpu_ns(pid));
    load.turn_until(&mut poller, window, at + measured_ns)?;
    let span = (now_ns() - at) as f64;
    let (acked, busy) = (load.acked() - acked, load.busy_ns - busy);
    let cpu = proc::cpu_ns(pid).saturating_sub(cpu) as f64;
    let line = Line::new()
        .float("acks_s", acked as f64 * 1e9 / span)
        .float("cpu_ns", cpu / acked.max(1) as f64)
        .float("server_busy", cpu * 100.0 / span)
        .float("gen_busy", busy as f64 * 100.0 / span)
        .int("odd", load.odd())
        .int("closed", load.closed)
        .quantiles("us", &load.latency);
    Ok(line.end())
}

/// `fill`: writes `bytes=` of records into one stream of weir, in batches, and waits for all answers.
pub fn fill(args: &Args) -> Result<String> {
    let total: u64 = args.or("bytes", 1 << 30)?;
    let addr = args.must("addr")?;
    let mut conn = jsonjet::connect(addr)?;
    jsonjet::create(&mut conn, "st0", "")?;
    let batch: Vec<String> = (0..FILL_BATCH).map(record).collect();
    let text = format!(r#"{{"type":"insert","target":"st0","data":[{}]}}"#, batch.join(","));
    let mut ring = vec![];
    ws::frame(&mut ring, Kind::Text, text.as_bytes());
    let mut load = Load::of(vec![conn], vec![ring], 1, Ack::Frame);
    let messages = total.div_ceil((FILL_BATCH * RECORD_BYTES) as u64);
    let mut poller = load.watch();
    let begin = now_ns();
    let mut last = (0, begin);
    while load.acked() < messages {
        load.turn(&mut poller, |acked| (acked + FILL_WINDOW).min(messages))?;
        if load.acked() != last.0 {
            last = (load.acked(), now_ns());
        } else if now_ns() - last.1 > STALL_NS {
            return Err(format!("no answer after {} of {messages} batches", last.0));
        }
    }
    let seconds = (now_ns() - begin) as f64 / 1e9;
    let records = messages * FILL_BATCH as u64;
    Ok(Line::new().int("records", records).float("records_s", records as f64 / seconds).end())
}

impl Load {
    fn of(conns: Vec<Conn>, rings: Vec<Vec<u8>>, messages: u64, ack: Ack) -> Self {
        let lane = |conn| Lane {
            conn,
            sent_bytes: 0,
            ring_at: 0,
            acked: 0,
            seen: Tally::default(),
            times: VecDeque::new(),
        };
        Self {
            lanes: conns.into_iter().map(lane).collect(),
            message: rings[0].len() as u64 / messages,
            rings,
            buffer: vec![0; READ_BYTES],
            ack,
            latency: histogram(),
            busy_ns: 0,
            closed: 0,
        }
    }

    fn set_up(args: &Args) -> Result<Self> {
        let addr = args.must("addr")?;
        let count = args.or("conns", 1)?;
        let mut conns = Vec::with_capacity(count);
        let encode: Encode;
        let ack;
        match args.must("proto")? {
            "jsonjet" => {
                for _ in 0..count {
                    conns.push(jsonjet::connect(addr)?);
                }
                jsonjet::create(&mut conns[0], "st0", "")?;
                let first = format!(r#"{{"type":"insert","target":"st0","data":{}}}"#, record(0));
                ws::send(&mut conns[0], Kind::Text, first.as_bytes())?;
                ws::expect(&mut conns[0], r#""success":true"#)?;
                ack = Ack::Frame;
                encode = Box::new(|out, _, record| {
                    let text = format!(r#"{{"type":"insert","target":"st0","data":{record}}}"#);
                    ws::frame(out, Kind::Text, text.as_bytes());
                });
            }
            "redis" => {
                for _ in 0..count {
                    conns.push(Conn::open(addr)?);
                }
                ack = Ack::Byte(b'$');
                encode = Box::new(|out, _, record| {
                    let head = "*8\r\n$4\r\nXADD\r\n$3\r\nst0\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$7\r\n2000000\r\n";
                    out.extend(
                        format!("{head}$1\r\n*\r\n$1\r\nd\r\n${}\r\n{record}\r\n", record.len())
                            .bytes(),
                    );
                });
                let mut first = vec![];
                encode(&mut first, 0, record(0));
                conns[0].send(&first)?;
                if conns[0].until(b"\r\n")?[0] != b'$' {
                    return Err("redis refused XADD".into());
                }
                conns[0].until(b"\r\n")?;
            }
            "jetstream" => {
                for number in 0..count {
                    conns.push(jetstream(addr, number)?);
                }
                ack = Ack::Byte(b'{');
                encode = Box::new(|out, lane, record| {
                    out.extend(
                        format!("PUB st.0 _INBOX.{lane:03}.r {}\r\n{record}\r\n", record.len())
                            .bytes(),
                    );
                });
            }
            other => return Err(format!("proto={other}: jsonjet redis jetstream")),
        }
        let messages = RING_BYTES / RECORD_BYTES;
        let lanes = if matches!(ack, Ack::Byte(b'{')) { count } else { 1 };
        let rings = (0..lanes).map(|lane| {
            let mut ring = vec![];
            (0..messages).for_each(|number| encode(&mut ring, lane, record(number)));
            ring
        });
        let rings = rings.collect();
        Ok(Self::of(conns, rings, messages as u64, ack))
    }

    fn watch(&mut self) -> Poller {
        let poller = Poller::new();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            poller.add(&lane.conn, number);
            lane.conn.leftover();
        }
        poller
    }

    fn acked(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.acked).sum()
    }

    /// Bytes of answers that were not as long as the others: an error among them.
    fn odd(&self) -> u64 {
        self.lanes
            .iter()
            .map(|lane| lane.seen.bytes.checked_rem(lane.seen.frames).unwrap_or(0))
            .sum()
    }

    /// Turns until a time; an error if nothing is answered for long.
    fn turn_until(&mut self, poller: &mut Poller, window: u64, end: u64) -> Result<()> {
        let (mut last, mut last_at) = (self.acked(), now_ns());
        loop {
            let now = now_ns();
            if now >= end {
                return Ok(());
            }
            self.turn(poller, |acked| acked + window)?;
            if self.acked() != last {
                (last, last_at) = (self.acked(), now);
            } else if now - last_at > STALL_NS {
                return Err(format!("no answer for {} s", STALL_NS / 1_000_000_000));
            }
        }
    }

    /// Takes answers and sends what `limit` allows on each connection.
    fn turn(&mut self, poller: &mut Poller, limit: impl Fn(u64) -> u64) -> Result<()> {
        let begin = now_ns();
        let mut busy = false;
        for at in 0..poller.look() {
            busy = true;
            let lane = &mut self.lanes[poller.ready(at)];
            let Some(bytes) = lane.conn.read(&mut self.buffer) else { continue };
            if bytes == 0 {
                self.closed += 1;
                poller.remove(&lane.conn);
                return Err("the server closed a connection".into());
            }
            let data = &self.buffer[..bytes];
            match self.ack {
                Ack::Byte(byte) => lane.acked += memchr::memchr_iter(byte, data).count() as u64,
                Ack::Frame => {
                    lane.conn.walk.feed(data, &mut lane.seen, |_| ());
                    lane.acked = lane.seen.frames;
                }
            }
            let now = now_ns();
            while let Some(&(sent_at, upto)) = lane.times.front() {
                if upto > lane.acked {
                    break;
                }
                self.latency.saturating_record(now - sent_at);
                lane.times.pop_front();
            }
        }
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let ring = &self.rings[number % self.rings.len()];
            busy |= lane.send(ring, self.message, limit(lane.acked))?;
        }
        if busy {
            self.busy_ns += now_ns() - begin;
        }
        Ok(())
    }
}

impl Lane {
    fn send(&mut self, ring: &[u8], message: u64, limit: u64) -> Result<bool> {
        let mut left = (limit * message).saturating_sub(self.sent_bytes);
        let mut any = false;
        while left > 0 {
            let end = ring.len().min(self.ring_at + left as usize);
            let count = self.conn.write(&ring[self.ring_at..end])?;
            if count == 0 {
                break;
            }
            any = true;
            left -= count as u64;
            self.sent_bytes += count as u64;
            self.ring_at = (self.ring_at + count) % ring.len();
        }
        if any {
            self.times.push_back((now_ns(), self.sent_bytes / message));
        }
        Ok(any)
    }
}

/// Connects over plain TCP and subscribes to its own answers; the first one makes the stream.
fn jetstream(addr: &str, lane: usize) -> Result<Conn> {
    let mut conn = Conn::open(addr)?;
    conn.until(b"\r\n")?;
    let hello = r#"CONNECT {"verbose":false,"pedantic":false,"headers":true}"#;
    conn.send(format!("{hello}\r\nSUB _INBOX.{lane:03}.* 1\r\nPING\r\n").as_bytes())?;
    conn.until(b"PONG\r\n")?;
    if lane == 0 {
        let config = r#"{"name":"ST","subjects":["st.>"],"storage":"file","num_replicas":1}"#;
        let request =
            format!("PUB $JS.API.STREAM.CREATE.ST _INBOX.000.c {}\r\n{config}\r\n", config.len());
        conn.send(request.as_bytes())?;
        conn.until(b"\r\n")?;
        let answer = conn.until(b"\r\n")?;
        if memchr::memmem::find(&answer, b"\"error\"").is_some() {
            return Err(format!("JetStream: {}", String::from_utf8_lossy(&answer)));
        }
    }
    Ok(conn)
}

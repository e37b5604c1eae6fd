//! One publisher, many subscribers: how many deliveries, at what cost, how late.
//!
//! Closed loop (`window=W`): at most W messages are published and not yet delivered to all. Open loop
//! (`rate=R`): messages leave at set times and lateness counts from those, so that a server that stalls pays
//! for all who waited. Both warm up, measure for `seconds=`, then wait for what is still on its way.

use hdrhistogram::Histogram;

use crate::Result;
use crate::args::Args;
use crate::line::{Line, histogram};
use crate::net::Poller;
use crate::proc::{self, now_ns};
use crate::proto::{self, Count, Plan};
use crate::walk::Tally;

/// Warm-up before the measured time.
const WARM_NS: u64 = 300_000_000;
/// No delivery for so long ends a run.
const STALL_NS: u64 = 2_000_000_000;
/// One read takes at most this.
const READ_BYTES: usize = 256 * 1024;

/// What stands at one moment.
#[derive(Clone, Copy)]
struct Mark {
    at_ns: u64,
    delivered: u64,
    sent: u64,
    busy_ns: u64,
    cpu_ns: u64,
}

/// A run under way.
struct Run {
    plan: Plan,
    poller: Poller,
    buffer: Vec<u8>,
    seen: Tally,
    acked: Tally,
    latency: Histogram<u64>,
    /// Stamps before this are not counted; `u64::MAX` in closed runs, which do not look for any.
    measured_from: u64,
    /// Messages handed to the socket, and where in the ring the next byte stands.
    sent_bytes: u64,
    ring_at: usize,
    pending: Vec<u8>,
    closed: u64,
    busy_ns: u64,
    pid: u32,
}

/// `fanout`: sets up, runs and reports.
pub fn run(args: &Args) -> Result<String> {
    proc::raise_files();
    let pid = args.or("pid", 0)?;
    let seconds: f64 = args.or("seconds", 1.0)?;
    let rate: Option<u64> = args.optional("rate")?;
    let window = args.or("window", 64)?;
    let resident_before = proc::resident(pid);
    let plan = proto::plan(args)?;
    let resident_after = proc::resident(pid);
    let mut run = Run::new(plan, pid, rate.is_some());
    let measured_ns = (seconds * 1e9) as u64;
    let (from, to) = match rate {
        Some(rate) => run.open_loop(rate, measured_ns),
        None => run.closed_loop(window, measured_ns),
    }?;
    Ok(run.report(from, to).int("rss", resident_after.0).int("rss_before", resident_before.0).end())
}

impl Run {
    fn new(mut plan: Plan, pid: u32, stamped: bool) -> Self {
        let poller = Poller::new();
        let mut seen = Tally::default();
        for (number, conn) in plan.subscribers.iter_mut().enumerate() {
            poller.add(conn, number);
            let left = conn.leftover();
            conn.walk.feed(&left, &mut seen, |_| ());
        }
        let number = plan.subscribers.len();
        poller.add(&plan.publisher, number);
        let left = plan.publisher.leftover();
        plan.publisher.walk.feed(&left, &mut Tally::default(), |_| ());
        Self {
            plan,
            poller,
            buffer: vec![0; READ_BYTES],
            // What came before the run is no delivery.
            seen: Tally::default(),
            acked: Tally::default(),
            latency: histogram(),
            measured_from: if stamped { 0 } else { u64::MAX },
            sent_bytes: 0,
            ring_at: 0,
            pending: vec![],
            closed: 0,
            busy_ns: 0,
            pid,
        }
    }

    fn delivered(&self) -> u64 {
        match self.plan.count {
            Count::Frames => self.seen.frames,
            Count::Bytes(length) => self.seen.bytes / length,
        }
    }

    fn sent(&self) -> u64 {
        self.sent_bytes / self.plan.ring.message as u64
    }

    fn mark(&self) -> Mark {
        let (delivered, sent, busy_ns) = (self.delivered(), self.sent(), self.busy_ns);
        Mark { at_ns: now_ns(), delivered, sent, busy_ns, cpu_ns: proc::cpu_ns(self.pid) }
    }

    /// Reads everything that is ready once; false if nothing was.
    fn take(&mut self) -> bool {
        let count = self.poller.look();
        for at in 0..count {
            let number = self.poller.ready(at);
            let publisher = number == self.plan.subscribers.len();
            let conn = if publisher {
                &mut self.plan.publisher
            } else {
                &mut self.plan.subscribers[number]
            };
            let Some(bytes) = conn.read(&mut self.buffer) else { continue };
            if bytes == 0 {
                self.closed += 1;
                self.poller.remove(conn);
                continue;
            }
            let data = &self.buffer[..bytes];
            if publisher {
                conn.walk.feed(data, &mut self.acked, |_| ());
            } else if self.measured_from == u64::MAX {
                conn.walk.feed(data, &mut self.seen, |_| ());
            } else {
                let (now, from) = (now_ns(), self.measured_from);
                let (mark, latency) = (&mut conn.mark, &mut self.latency);
                conn.walk.feed(data, &mut self.seen, |piece| {
                    mark.feed(piece, |stamp| {
                        if stamp >= from && from > 0 {
                            latency.saturating_record(now.saturating_sub(stamp));
                        }
                    });
                });
            }
        }
        count > 0
    }

    /// Publishes until `limit` messages have left, as far as the socket takes them; false if none went.
    fn publish_to(&mut self, limit: u64) -> Result<bool> {
        let ring = &self.plan.ring;
        let mut left = (limit * ring.message as u64).saturating_sub(self.sent_bytes);
        let mut any = false;
        while left > 0 {
            let end = ring.bytes.len().min(self.ring_at + left as usize);
            let count = self.plan.publisher.write(&ring.bytes[self.ring_at..end])?;
            if count == 0 {
                break;
            }
            any = true;
            left -= count as u64;
            self.sent_bytes += count as u64;
            self.ring_at = (self.ring_at + count) % ring.bytes.len();
        }
        Ok(any)
    }

    fn closed_loop(&mut self, window: u64, measured_ns: u64) -> Result<(Mark, Mark)> {
        let mut from = None;
        let begin = now_ns();
        let (mut last, mut last_at) = (0, begin);
        loop {
            let turn = now_ns();
            let took = self.take();
            let delivered = self.delivered();
            let sent = self.publish_to(delivered / self.plan.fan + window)?;
            if took || sent {
                self.busy_ns += now_ns() - turn;
            }
            if delivered != last {
                (last, last_at) = (delivered, turn);
            } else if turn - last_at > STALL_NS {
                return Err(format!(
                    "nothing delivered for {} s after {last}",
                    STALL_NS / 1_000_000_000
                ));
            }
            if from.is_none() && turn - begin > WARM_NS {
                from = Some(self.mark());
            }
            if let Some(from) = from.filter(|from| turn > from.at_ns + measured_ns) {
                let to = self.mark();
                self.finish_message()?;
                self.drain();
                return Ok((from, to));
            }
        }
    }

    fn open_loop(&mut self, rate: u64, measured_ns: u64) -> Result<(Mark, Mark)> {
        let begin = now_ns();
        let end = begin + WARM_NS + measured_ns;
        let (mut next, mut number) = (begin, 0u64);
        let mut from = None;
        self.measured_from = begin + WARM_NS;
        loop {
            let turn = now_ns();
            let mut busy = false;
            while next <= turn && next < end {
                self.plan.ring.stamped(&mut self.pending, next);
                number += 1;
                next = begin + number * 1_000_000_000 / rate;
            }
            if !self.pending.is_empty() {
                let count = self.plan.publisher.write(&self.pending)?;
                self.pending.drain(..count);
                self.sent_bytes += count as u64;
                busy = count > 0;
            }
            busy |= self.take();
            if busy {
                self.busy_ns += now_ns() - turn;
            }
            if from.is_none() && turn >= self.measured_from {
                from = Some(self.mark());
            }
            if let Some(from) = from.filter(|_| turn >= end) {
                let to = self.mark();
                self.finish_message()?;
                self.drain();
                return Ok((from, to));
            }
        }
    }

    /// A message that has left in part is completed, so that the count of deliveries can come out even.
    fn finish_message(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            let whole = self.sent_bytes.div_ceil(self.plan.ring.message as u64);
            while self.sent_bytes < whole * self.plan.ring.message as u64 {
                self.publish_to(whole)?;
                self.take();
            }
        }
        while !self.pending.is_empty() {
            let count = self.plan.publisher.write(&self.pending)?;
            self.pending.drain(..count);
            self.sent_bytes += count as u64;
            self.take();
        }
        Ok(())
    }

    /// Waits for what is on its way, until all is there or nothing comes.
    fn drain(&mut self) {
        let (mut last, mut last_at) = (self.delivered(), now_ns());
        // A frame counts when its header is there; its payload may still be on its way.
        let due = |it: &Self| it.delivered() < it.sent() * it.plan.fan || it.odd() > 0;
        while due(self) && now_ns() - last_at < STALL_NS {
            self.take();
            if self.delivered() != last {
                (last, last_at) = (self.delivered(), now_ns());
            }
        }
    }

    /// Bytes that deliveries of one length do not explain; ids in an envelope may differ in length, so this is
    /// looked at only for bare payloads.
    fn odd(&self) -> u64 {
        match self.plan.bare {
            Some(length) => self.seen.bytes.abs_diff(self.seen.frames * length),
            None => 0,
        }
    }

    fn report(&self, from: Mark, to: Mark) -> Line {
        let span = (to.at_ns - from.at_ns) as f64;
        let delivered = to.delivered - from.delivered;
        let cpu = to.cpu_ns.saturating_sub(from.cpu_ns) as f64;
        let line = Line::new()
            .float("deliveries_s", delivered as f64 * 1e9 / span)
            .float("messages_s", (to.sent - from.sent) as f64 * 1e9 / span)
            .float("cpu_ns", cpu / delivered.max(1) as f64)
            .float("server_busy", cpu * 100.0 / span)
            .float("gen_busy", (to.busy_ns - from.busy_ns) as f64 * 100.0 / span)
            .int("lost", (self.sent() * self.plan.fan).abs_diff(self.delivered()))
            .int("odd", self.odd())
            .int("closed", self.closed + self.seen.closes)
            .int("acks", self.acked.frames);
        if self.measured_from == u64::MAX { line } else { line.quantiles("us", &self.latency) }
    }
}

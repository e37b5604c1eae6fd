//! The queries of one socket: what arrives for them, and what leaves (nsdb, 4).
//!
//! Method: a query is subscribed to its topic from the offset where its answer ended, so there is
//! no gap and no repeat. Plain queries offer each bit to their pacing; temporal ones put it into
//! windows, which their clock closes; other aggregates are evaluated by a job at each tick, whose
//! result the sockets of one query share.

mod pacing;
mod shared;

pub(super) use pacing::Bounds;

use super::job::{Failure, Outcome, Query, Task, Work};
use super::metric::Metric;
use super::session::{Nsdb, Pending};

use crate::fanout::Outbox;
use crate::model::command::{Begin, Command};
use crate::model::event::{Records, Reply};
use crate::model::interest::{Interest, Lens};
use crate::model::record::Offset;
use crate::model::topic::{SubscriptionId, Topic};
use crate::proto::Intake;
use crate::proto::contract::{Count, Gauge};
use crate::query::dialect::nsdb::window::Temporal;
use pacing::Pacing;
use shared::matching;
use std::sync::Arc;

/// Milliseconds after which a job that found no worker is tried again.
const RETRY_MS: u64 = 50;

/// How a query is fed.
#[derive(Debug)]
enum Feed {
    /// Bit by bit.
    Plain,
    /// Evaluated at ticks: since when, the next one, whether a job is under way.
    Ticks { begun: i64, next: u64, busy: bool, retry: u64 },
    /// Windows, and up to where they have seen the log; ticks up to this time are not pushed.
    Windows { windows: Box<Temporal>, joined: i64 },
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Live {
    query: Arc<Query>,
    topic: Arc<Topic>,
    metric: Option<Arc<Metric>>,
    float: bool,
    subscription: Option<SubscriptionId>,
    subscribing: bool,
    pacing: Pacing,
    feed: Feed,
    /// What the index chooses of the topic satisfies the query.
    exact: bool,
    /// The log was seen up to here.
    seen: Offset,
    due: Option<u64>,
}

/// Wall and monotonic milliseconds.
#[derive(Clone, Copy)]
struct Time {
    wall: i64,
    now: u64,
}

impl Time {
    fn of(intake: &dyn Intake) -> Self {
        Self { wall: intake.now().div_euclid(1_000_000), now: intake.gauge(Gauge::UptimeMs) }
    }

    fn due(self, wall: i64) -> u64 {
        self.now.saturating_add(wall.saturating_sub(self.wall).max(1).unsigned_abs())
    }
}

impl Live {
    /// Not yet subscribed.
    pub(super) fn new(query: &Arc<Query>, topic: &Arc<Topic>, float: bool) -> Self {
        let metric = Metric::of(topic);
        Self {
            query: Arc::clone(query),
            topic: Arc::clone(topic),
            metric,
            float,
            subscription: None,
            subscribing: false,
            pacing: Pacing::default(),
            feed: Feed::Plain,
            exact: false,
            seen: 0,
            due: None,
        }
    }

    /// It ends on this socket.
    pub(super) fn leave(&self) {
        if !matches!(self.feed, Feed::Plain)
            && let Some(metric) = &self.metric
        {
            metric.leave(self.query.id);
        }
    }

    /// Joins the others that have the query; gives from where it must read the log.
    fn join(&mut self, head: Offset, time: Time) -> Offset {
        let (id, select) = (self.query.id, &self.query.select);
        let Some(metric) = self.metric.as_ref().filter(|_| !select.is_plain()) else {
            return head;
        };
        let windows = match &self.feed {
            // Of the metric that was dropped.
            Feed::Windows { windows, .. } => Some((**windows).clone()),
            _ => Temporal::new(select, self.float, time.wall),
        };
        let (begun, shared) = metric.join(id, time.wall, windows.map(|windows| (windows, head)));
        match shared {
            Some((windows, from)) => {
                self.feed = Feed::Windows { windows: Box::new(windows), joined: time.wall };
                from
            }
            None => {
                let begun = match self.feed {
                    Feed::Ticks { begun, .. } => begun,
                    _ => begun,
                };
                self.feed = Feed::Ticks { begun, next: 0, busy: false, retry: 0 };
                head
            }
        }
    }

    fn push(&mut self, time: Time, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let head = self.query.push_head();
        let mut message = Vec::with_capacity(head.len() + self.pacing.bytes() + 2);
        message.extend_from_slice(head);
        self.pacing.take(time.now, &mut message);
        message.extend_from_slice(b"]}");
        match out.try_frame(false, &message) {
            Ok(()) => intake.count(Count::NsdbPush),
            Err(_) => intake.count(Count::NsdbDropped(1)),
        }
    }

    /// Sends what is held, if it may leave.
    fn flush(
        &mut self,
        bounds: &Bounds,
        time: Time,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        if self.pacing.has_held() && self.pacing.is_free(time.now, bounds) && out.has_room() {
            self.push(time, intake, out);
        }
    }

    /// A record for this query: it leaves, or is held.
    fn offer(
        &mut self,
        record: Arc<[u8]>,
        bounds: &Bounds,
        time: Time,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        self.flush(bounds, time, intake, out);
        let free = self.pacing.is_free(time.now, bounds) && out.has_room();
        let room =
            if free { Bounds { records: bounds.records.max(1), ..*bounds } } else { *bounds };
        let displaced = self.pacing.hold(record, &room);
        if displaced > 0 {
            intake.count(Count::NsdbDropped(displaced));
        }
        if free {
            self.push(time, intake, out);
        }
    }

    /// Closes windows whose time has come.
    fn close_windows(
        &mut self,
        up_to: i64,
        bounds: &Bounds,
        time: Time,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        loop {
            let Feed::Windows { windows, joined } = &mut self.feed else { return };
            let at = windows.next_tick();
            if at > up_to {
                return;
            }
            let records = windows.tick();
            let quiet = at <= *joined;
            if let Some(metric) = &self.metric
                && let Some(clock) = metric.clocks().get_mut(&self.query.id)
            {
                clock.windows = Some(((**windows).clone(), self.seen));
            }
            for mut record in records.into_iter().filter(|_| !quiet) {
                record.extend_from_slice(b",\"uniqueValues\":[]}");
                self.offer(record.into(), bounds, time, intake, out);
            }
        }
    }

    /// When it must be looked at next.
    fn next_due(&self, bounds: &Bounds, time: Time, interval: u64) -> Option<u64> {
        let tick = match &self.feed {
            Feed::Plain | Feed::Ticks { busy: true, .. } => None,
            Feed::Ticks { retry, .. } if *retry > 0 => Some(*retry),
            Feed::Ticks { begun, next, .. } => {
                let at = next.saturating_mul(interval).min(i64::MAX as u64) as i64;
                Some(time.due(begun.saturating_add(at)))
            }
            Feed::Windows { windows, .. } => Some(time.due(windows.next_tick())),
        };
        let held = self.pacing.has_held().then(|| self.pacing.due(time.now, bounds));
        tick.into_iter().chain(held).min()
    }
}

impl Nsdb {
    /// Adds a query whose answer ended before `head`.
    pub(super) fn add(&mut self, mut live: Live, head: Offset, intake: &mut dyn Intake) {
        self.last_number += 1;
        let number = self.last_number;
        self.numbers.insert(live.query.id, number);
        intake.count(Count::NsdbSubscribed);
        let from = live.join(head, Time::of(intake));
        self.subscribe(number, &mut live, from, intake);
        self.queries.insert(number, live);
        self.reschedule(number, intake);
        self.arm(intake);
    }

    fn subscribe(&mut self, number: u64, live: &mut Live, from: Offset, intake: &mut dyn Intake) {
        if matches!(live.feed, Feed::Ticks { .. }) {
            return;
        }
        live.subscribing = true;
        live.seen = from;
        self.pending.push_back(Pending::Subscribe(number));
        let topics = vec![(live.topic.id, Begin::From(from))];
        let lens = live.metric.clone().map(|metric| metric as Arc<dyn Lens>);
        let wanted = live.query.select.condition.wanted();
        // A record of a typed table is many bits, of which the index has chosen one.
        live.exact = wanted.exact && !live.topic.typed;
        let interest = lens.map(|lens| Interest { wanted, lens });
        intake.command(Command::Subscribe { topics, interest });
    }

    pub(super) fn subscribed(&mut self, number: u64, reply: &Reply, intake: &mut dyn Intake) {
        let Some(live) = self.queries.get_mut(&number) else { return };
        live.subscribing = false;
        if let Reply::Subscribed(ids) = reply
            && let [id] = ids.as_slice()
        {
            live.subscription = Some(*id);
            self.subscriptions.insert(*id, number);
            return;
        }
        self.await_metric(number, intake);
    }

    /// The topic of a subscription is gone; the query waits for the next of its name.
    pub(super) fn lost(&mut self, id: SubscriptionId, intake: &mut dyn Intake) {
        let Some(number) = self.subscriptions.remove(&id) else { return };
        if let Some(live) = self.queries.get_mut(&number) {
            live.subscription = None;
        }
        self.await_metric(number, intake);
    }

    fn await_metric(&mut self, number: u64, intake: &mut dyn Intake) {
        let Some(live) = self.queries.get(&number) else { return };
        let name = live.query.name.clone();
        match intake.topic(&name).filter(|topic| topic.id != live.topic.id) {
            Some(topic) => self.follow(number, &topic, intake),
            None => intake.await_topic(&name),
        }
    }

    pub(super) fn topic_made(&mut self, topic: &Arc<Topic>, intake: &mut dyn Intake) {
        let waits = |live: &Live| {
            live.query.name == topic.name && live.subscription.is_none() && !live.subscribing
        };
        let numbers: Vec<u64> = self
            .queries
            .iter()
            .filter(|(_, live)| waits(live) && !matches!(live.feed, Feed::Ticks { .. }))
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            self.follow(number, topic, intake);
        }
    }

    /// A query goes on with the topic that was made anew.
    fn follow(&mut self, number: u64, topic: &Arc<Topic>, intake: &mut dyn Intake) {
        let Some(mut live) = self.queries.remove(&number) else { return };
        live.leave();
        live.topic = Arc::clone(topic);
        live.metric = Metric::of(topic);
        let from = live.join(0, Time::of(intake));
        self.subscribe(number, &mut live, from, intake);
        self.queries.insert(number, live);
        self.reschedule(number, intake);
        self.arm(intake);
    }

    /// Records of a query's topic.
    pub(super) fn on_records(
        &mut self,
        id: SubscriptionId,
        records: &Records<'_>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let (Some(bounds), Some(&number)) = (self.bounds, self.subscriptions.get(&id)) else {
            return;
        };
        let Some(live) = self.queries.get_mut(&number) else { return };
        let Some(metric) = &live.metric else { return };
        let memo = &mut out.palette.memo;
        let hits = matching(&live.query, live.exact, metric, records, memo);
        let skipped = metric.take_skipped();
        if skipped > 0 {
            intake.count(Count::NsdbSkipped(skipped));
        }
        if hits.is_empty() {
            // Most queries want nothing of most batches.
            live.seen = records.list.last().map_or(live.seen, |(last, _)| last + 1);
            return;
        }
        let time = Time::of(intake);
        for read in &*hits {
            live.seen = read.offset;
            live.close_windows(read.at, &bounds, time, intake, out);
            match &mut live.feed {
                Feed::Windows { windows, .. } => windows.add(&read.bit),
                _ => live.offer(read.json(), &bounds, time, intake, out),
            }
        }
        live.seen = records.list.last().map_or(live.seen, |(last, _)| last + 1);
        self.reschedule(number, intake);
        self.arm(intake);
    }

    /// A tick's result has come.
    pub(super) fn ticked(
        &mut self,
        number: u64,
        tick: u64,
        outcome: Result<Outcome, Failure>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let Some(bounds) = self.bounds else { return };
        let Some(live) = self.queries.get_mut(&number) else { return };
        let time = Time::of(intake);
        let Feed::Ticks { next, busy, retry, .. } = &mut live.feed else { return };
        *busy = false;
        let json: Arc<[u8]> = match outcome {
            Ok(Outcome::Records { json, .. }) => json,
            Err(Failure::Other(_)) => {
                *retry = time.now + RETRY_MS;
                self.reschedule(number, intake);
                return self.arm(intake);
            }
            Err(Failure::Cancelled) => return,
            _ => b"[]".as_slice().into(),
        };
        *next = tick + 1;
        let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
        live.pacing.replace(inner);
        live.flush(&bounds, time, intake, out);
        self.reschedule(number, intake);
        self.arm(intake);
    }

    /// Some time has come.
    pub(super) fn on_due(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Some(bounds) = self.bounds else { return };
        let time = Time::of(intake);
        let interval = intake.config().nsdb.aggregate_interval_ms.max(1);
        let due: Vec<u64> =
            self.due.range(..=(time.now, u64::MAX)).map(|(_, number)| *number).collect();
        for number in due {
            let Some(live) = self.queries.get_mut(&number) else { continue };
            live.flush(&bounds, time, intake, out);
            live.close_windows(time.wall, &bounds, time, intake, out);
            if let Feed::Ticks { begun, next, busy: busy @ false, retry } = &mut live.feed {
                let tick = time.wall.saturating_sub(*begun).max(0).unsigned_abs() / interval;
                if tick >= *next && tick > 0 && *retry <= time.now {
                    (*busy, *retry) = (true, 0);
                    let bytes_max = bounds.outbox_bytes;
                    let query = Arc::clone(&live.query);
                    let (job, slot) = Work::new(Task::Tick { query, tick, bytes_max });
                    self.pending.push_back(Pending::Tick(number, tick, slot));
                    intake.run_query(job);
                }
            }
            self.reschedule(number, intake);
        }
        self.arm(intake);
    }

    fn reschedule(&mut self, number: u64, intake: &dyn Intake) {
        let (Some(bounds), Some(live)) = (self.bounds, self.queries.get_mut(&number)) else {
            return;
        };
        let time = Time::of(intake);
        let interval = intake.config().nsdb.aggregate_interval_ms.max(1);
        if let Feed::Ticks { begun, next: next @ 0, .. } = &mut live.feed {
            *next = time.wall.saturating_sub(*begun).max(0).unsigned_abs() / interval + 1;
        }
        let due = live.next_due(&bounds, time, interval);
        if due == live.due {
            return;
        }
        if let Some(old) = live.due {
            self.due.remove(&(old, number));
        }
        live.due = due;
        self.due.extend(due.map(|due| (due, number)));
    }

    fn arm(&self, intake: &mut dyn Intake) {
        let now = intake.gauge(Gauge::UptimeMs);
        intake.set_deadline(self.due.first().map(|(due, _)| due.saturating_sub(now)));
    }
}

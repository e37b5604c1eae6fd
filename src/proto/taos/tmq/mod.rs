//! `/rest/tmq`: one consumer for each connection (taos, section 8).
//!
//! Method: what reads logs or stores positions runs on a query worker, with the reader; the
//! connection is not read meanwhile. A poll for which there is nothing waits here, with nothing
//! under way: the reader has asked to be called, and other requests are answered. What was read
//! ahead, 16 messages at most, is delivered without a worker.
//!
//! Invariant: a message is delivered only while its vgroup is this consumer's; its position moves
//! when it is delivered, and what is stored is never beyond that.

mod consumer;
mod job;
mod message;
mod progress;
mod settings;

use super::codec::{Ask, Frame, Reply, fault, received, texts};
use super::login::{put_instances, user_of, who, zone_of};
use crate::fanout::Outbox;
use crate::proto::Intake;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::tmq::groups::About;
use crate::query::tables::tmq::{Reader, Settings, closed};
use crate::query::tables::{Who, codes};
use consumer::{Consumer, Living, Poll};
use job::{Answer, Slot, Task, Work};
use progress::{fetch, json_meta, polled};
use settings::Wanted;
use std::net::IpAddr;

/// Actions that echo `message_id` in their errors.
const ABOUT_A_MESSAGE: &[&str] =
    &["fetch", "fetch_block", "fetch_json_meta", "fetch_raw", "fetch_raw_meta", "commit"];
/// Actions that want a consumer.
const KNOWN: &[&str] = &[
    "poll",
    "fetch",
    "fetch_block",
    "fetch_json_meta",
    "fetch_raw",
    "fetch_raw_meta",
    "fetch_raw_data",
    "commit",
    "commit_offset",
    "committed",
    "position",
    "assignment",
    "seek",
    "list_topics",
    "unsubscribe",
];
/// Milliseconds that a poll waits at most, whatever it asks for.
const WAIT_MS_MAX: u64 = 24 * 3600 * 1000;

/// What waits for a worker.
#[derive(Debug)]
enum Doing {
    /// `subscribe`.
    Join { request: u64, begun: i64, consumer: Box<Consumer>, instances: bool },
    /// Reads for the poll that waits.
    Read,
    /// Anything else, and the members of its reply.
    Ask { action: String, request: u64, begun: i64, echo: Echo },
}

/// What a reply says besides what was found.
#[derive(Debug)]
enum Echo {
    Nothing,
    Message(u64),
    Offset(String, u32, u64),
    Named(&'static str),
    /// The vgroup whose messages are to be forgotten.
    Seek(String, u32),
    /// The consumer ends.
    End,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Tmq {
    consumer: Option<Consumer>,
    doing: Option<(Slot, Doing)>,
}

fn spent(begun: i64, intake: &dyn Intake) -> u64 {
    intake.now().saturating_sub(begun).max(0) as u64
}

impl Tmq {
    /// A text frame.
    pub fn on_text(
        &mut self,
        text: &[u8],
        peer: IpAddr,
        token: Option<&String>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let (ask, request) = match received(text) {
            Ok(it) => it,
            Err(reply) => return out.text(&reply),
        };
        if let Err(wrong) = self.act(&ask, request, (peer, token), intake, out) {
            let mut reply = Reply::new(&ask.action, request, Some(&wrong), 0);
            if ABOUT_A_MESSAGE.contains(&ask.action.as_str()) {
                reply.put("message_id", ask.number("message_id").unwrap_or(0));
            }
            out.text(&reply.end());
        }
    }

    /// A binary frame: there are none here.
    pub fn on_binary(&self, bytes: &[u8], out: &mut Outbox<'_>) {
        let (request, wrong) = match Frame::read(bytes) {
            Some(frame) => {
                (frame.request, fault(format!("unknown binary action {}", frame.action)))
            }
            None => (0, fault("message length is too short")),
        };
        out.text(&Reply::new("", request, Some(&wrong), 0).end());
    }

    fn act(
        &mut self,
        ask: &Ask<'_>,
        request: u64,
        (peer, token): (IpAddr, Option<&String>),
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Wrong> {
        let mut reply = Reply::new(&ask.action, request, None, 0);
        match ask.action.as_str() {
            "version" => reply.text("version", &intake.config().taos.version),
            "init" => {}
            "close" if self.consumer.is_none() => {}
            "subscribe" => return self.subscribe(ask, request, (peer, token), intake),
            action => {
                let Some(consumer) = &mut self.consumer else {
                    return Err(fault(if KNOWN.contains(&action) {
                        "tmq not init".to_owned()
                    } else {
                        format!("unknown action {action}")
                    }));
                };
                match action {
                    "poll" => return self.poll(ask, request, intake, out),
                    "fetch" => fetch(consumer.living(ask.number("message_id")?)?, &mut reply)?,
                    "fetch_json_meta" => {
                        json_meta(consumer.living(ask.number("message_id")?)?, &mut reply)?;
                    }
                    "fetch_block" | "fetch_raw" | "fetch_raw_meta" | "fetch_raw_data" => {
                        return self.fetch_binary(ask, request, out);
                    }
                    "list_topics" => {
                        let topics = consumer.wanted.topics.iter().map(String::as_str);
                        reply.raw("topics", &texts(topics));
                    }
                    _ => return self.progress(ask, request, intake, out),
                }
            }
        }
        out.text(&reply.end());
        Ok(())
    }

    fn subscribe(
        &mut self,
        ask: &Ask<'_>,
        request: u64,
        (peer, token): (IpAddr, Option<&String>),
        intake: &mut dyn Intake,
    ) -> Result<(), Wrong> {
        if self.consumer.is_some() {
            return Err(fault("tmq should have unsubscribed first"));
        }
        let user = user_of(ask, token, peer, intake)?;
        let wanted = Wanted::read(ask)?;
        let zone = zone_of(ask)?;
        let who = who(user.as_ref(), None, zone, intake);
        if !who.rights.read {
            return Err(codes::no_privilege());
        }
        let about = About {
            client: wanted.client.clone(),
            group: wanted.group.clone(),
            user: who.about.user.clone(),
            topics: wanted.topics.clone(),
            since_ms: intake.now() / 1_000_000,
            parameters: wanted.shown.clone(),
        };
        let (reset, batch_meta) = (wanted.reset, wanted.batch_meta);
        let settings = Box::new(Settings { about, reset, batch_meta });
        let begun = intake.now();
        let consumer = Box::new(Consumer::new(who.clone(), wanted, begun));
        let instances = matches!(ask.arg("list_instances"), crate::model::value::Value::Bool(true));
        let doing = Doing::Join { request, begun, consumer, instances };
        self.run(Work::Join(settings), doing, who, (None, batch_meta), intake);
        Ok(())
    }

    /// Hands work to a worker; nothing more is read before its end.
    fn run(
        &mut self,
        work: Work,
        doing: Doing,
        who: Who,
        (reader, batch_meta): (Option<Box<Reader>>, bool),
        intake: &mut dyn Intake,
    ) {
        let slot = Slot::default();
        self.doing = Some((slot.clone(), doing));
        intake.hold();
        intake.run_query(Box::new(Task { work, reader, batch_meta, who, slot }));
    }

    /// The same, with the consumer's reader.
    fn run_with_reader(&mut self, work: Work, doing: Doing, intake: &mut dyn Intake) {
        let Some(consumer) = &mut self.consumer else { return };
        let (reader, who) = (consumer.reader.take(), consumer.who.clone());
        let batch_meta = consumer.wanted.batch_meta;
        self.run(work, doing, who, (reader, batch_meta), intake);
    }

    fn poll(
        &mut self,
        ask: &Ask<'_>,
        request: u64,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Wrong> {
        let wait_ms = ask.number("blocking_time")?.min(WAIT_MS_MAX);
        let has = match ask.arg("message_id") {
            crate::model::value::Value::Missing | crate::model::value::Value::Null => None,
            _ => Some(ask.number("message_id")?),
        };
        let Some(consumer) = &mut self.consumer else { return Err(fault("tmq not init")) };
        if consumer.expelled {
            return Err(closed());
        }
        let begun = intake.now();
        consumer.polled_at = begun;
        let poll = Poll::new(request, has, begun, wait_ms);
        if consumer.waiting.is_some() {
            consumer.queued = Some(poll);
            return Ok(());
        }
        (consumer.waiting, consumer.asleep) = (Some(poll), false);
        self.serve(intake, out);
        Ok(())
    }

    /// Answers polls as far as that goes without a worker, else starts one.
    fn serve(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        while self.doing.is_none()
            && let Some(consumer) = &mut self.consumer
            && let Some(poll) = consumer.waiting
            && !consumer.asleep
        {
            if let Some(living) = &consumer.living
                && poll.has.is_some_and(|has| has != living.id)
            {
                out.text(&polled(poll, Some((living.id, &living.message)), intake));
                consumer.next_poll();
                continue;
            }
            if poll.given_up <= intake.now() {
                out.text(&polled(poll, None, intake));
                consumer.next_poll();
                consumer.polled_at = intake.now();
                continue;
            }
            let commit = consumer.commit_is_due(intake.now());
            let Some(reader) = &mut consumer.reader else {
                out.text(&Reply::new("poll", poll.request, Some(&closed()), 0).end());
                consumer.next_poll();
                continue;
            };
            if !commit
                && reader.is_current()
                && let Some(message) = consumer.ready.pop_front()
            {
                reader.delivered(&message.topic, message.vgroup, message.next);
                consumer.last_id += 1;
                let id = consumer.last_id;
                out.text(&polled(poll, Some((id, &message)), intake));
                consumer.living = Some(Living { id, message, fetched: false });
                (consumer.moved, consumer.polled_at) = (true, intake.now());
                consumer.next_poll();
                continue;
            }
            consumer.woken = false;
            if commit {
                (consumer.moved, consumer.committed_at) = (false, intake.now());
            }
            let (read, wait) = (consumer.ready.is_empty(), poll.until > intake.now());
            self.run_with_reader(Work::Read { commit, read, wait }, Doing::Read, intake);
        }
        self.set_alarm(intake);
    }

    /// Sets when a poll must be answered, or when the consumer has been silent for too long.
    fn set_alarm(&self, intake: &mut dyn Intake) {
        let now = intake.now();
        let at = self.consumer.as_ref().filter(|own| !own.expelled).map(|own| match own.waiting {
            Some(poll) => poll.until,
            None => {
                let ms = own.wanted.poll_within_ms.saturating_mul(1_000_000);
                own.polled_at.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
            }
        });
        let in_ms = at.map(|at| (at.saturating_sub(now).max(0) as u64).div_ceil(1_000_000));
        intake.set_deadline(in_ms.map(|ms| ms.max(1)));
    }

    /// A worker has ended.
    pub fn on_done(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Some((slot, doing)) = self.doing.take() else { return };
        let (reader, outcome) = slot.take();
        match doing {
            Doing::Join { request, begun, mut consumer, instances } => {
                let timing = spent(begun, intake);
                let error = outcome.as_ref().err();
                let mut reply = Reply::new("subscribe", request, error, timing);
                if error.is_none() {
                    reply.text("version", &intake.config().taos.version);
                    if instances {
                        put_instances(&mut reply, intake);
                    }
                    consumer.reader = reader;
                    self.consumer = Some(*consumer);
                }
                out.text(&reply.end());
            }
            Doing::Read => {
                if let Some(consumer) = &mut self.consumer {
                    consumer.reader = reader;
                }
                self.have_read(outcome, intake, out);
            }
            Doing::Ask { action, request, begun, echo } => {
                if let Some(consumer) = &mut self.consumer {
                    consumer.expelled |= reader.is_none();
                    (consumer.reader, consumer.asleep) = (reader, false);
                }
                let timing = spent(begun, intake);
                self.have_asked(&action, (request, timing), echo, outcome, out);
            }
        }
        self.serve(intake, out);
    }

    fn have_read(
        &mut self,
        outcome: Result<Answer, Wrong>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let Some(consumer) = &mut self.consumer else { return };
        match &consumer.reader {
            Some(reader) => {
                consumer.ready.retain(|own| reader.has(&own.topic, own.vgroup));
            }
            // No worker took it: it left its group.
            None => consumer.expelled = true,
        }
        let failed = match outcome {
            Ok(Answer::Messages(list)) => {
                consumer.ready.extend(list);
                None
            }
            Ok(_) => None,
            Err(wrong) => Some(wrong),
        };
        let Some(poll) = consumer.waiting else { return };
        if let Some(wrong) = failed {
            let timing = spent(poll.begun, intake);
            out.text(&Reply::new("poll", poll.request, Some(&wrong), timing).end());
            consumer.next_poll();
        } else if consumer.ready.is_empty() && !consumer.woken && poll.until <= intake.now() {
            out.text(&polled(poll, None, intake));
            consumer.polled_at = intake.now();
            consumer.next_poll();
        } else if consumer.ready.is_empty() && !consumer.woken {
            // Called when there is more: nothing to do until then.
            consumer.asleep = true;
        }
    }

    /// There may be more.
    pub fn on_woken(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        if let Some(consumer) = &mut self.consumer {
            (consumer.woken, consumer.asleep) = (true, false);
            self.serve(intake, out);
        }
    }

    /// A poll has waited long enough, or none came.
    pub fn on_deadline(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let now = intake.now();
        if self.doing.is_none()
            && let Some(consumer) = &mut self.consumer
        {
            match consumer.waiting {
                Some(poll) if poll.until <= now => {
                    out.text(&polled(poll, None, intake));
                    consumer.next_poll();
                    consumer.polled_at = now;
                }
                Some(_) => {}
                None => {
                    let within = consumer.wanted.poll_within_ms.saturating_mul(1_000_000);
                    let silent = now.saturating_sub(consumer.polled_at).max(0) as u64;
                    if silent >= within {
                        // Its vgroups are others' at once.
                        (consumer.reader, consumer.expelled) = (None, true);
                        consumer.ready.clear();
                    }
                }
            }
        }
        self.serve(intake, out);
    }

    /// The connection has ended: the consumer leaves its group.
    pub fn on_close(&mut self) {
        self.consumer = None;
        self.doing = None;
    }
}

//! Replies about the living message, and requests about positions (taos, 8.3 and 8.6).

use super::super::codec::{Ask, Reply, fault, numbers, texts};
use super::job::{Answer, Work};
use super::message::{Held, Message, block_reply, raw_data_reply, raw_reply};
use super::{Doing, Echo, Living, Poll, Tmq, spent};
use crate::fanout::Outbox;
use crate::model::value::Value;
use crate::proto::Intake;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Field;
use crate::query::tables::tmq::closed;

/// Vgroups that one request may ask about.
const ASKED_MAX: usize = 4096;

/// The reply to a poll.
pub(super) fn polled(poll: Poll, found: Option<(u64, &Message)>, intake: &dyn Intake) -> Vec<u8> {
    let mut reply = Reply::new("poll", poll.request, None, spent(poll.begun, intake));
    let (id, message) = found.map_or((0, None), |(id, message)| (id, Some(message)));
    reply.raw("have_message", if message.is_some() { "true" } else { "false" });
    reply.text("topic", message.map_or("", |message| &message.topic));
    reply.text("database", message.map_or("", |message| &message.database));
    reply.put("vgroup_id", message.map_or(0, |message| u64::from(message.vgroup)));
    reply.put("message_type", message.map_or(0, |message| u64::from(message.kind())));
    reply.put("message_id", id);
    reply.put("offset", message.map_or(0, |message| message.offset));
    reply.end()
}

fn no_data() -> Wrong {
    fault("message type is not data")
}

/// The members of `fetch`.
pub(super) fn fetch(living: &mut Living, reply: &mut Reply) -> Result<(), Wrong> {
    let Held::Data { table, fields, precision, rows, .. } = &living.message.held else {
        return Err(no_data());
    };
    reply.put("message_id", living.id);
    let again = std::mem::replace(&mut living.fetched, true);
    reply.raw("completed", if again { "true" } else { "false" });
    reply.text("table_name", if again { "" } else { table });
    reply.put("rows", if again { 0 } else { *rows as u64 });
    reply.put("fields_count", if again { 0 } else { fields.len() as u64 });
    let each = |number: fn(&Field) -> u64| numbers(fields.iter().map(number));
    let lists = [
        ("fields_names", texts(fields.iter().map(|field| field.name.as_str()))),
        ("fields_types", each(|field| u64::from(field.kind.code()))),
        ("fields_lengths", each(|field| u64::from(field.kind.length()))),
    ];
    for (name, list) in &lists {
        reply.raw(name, if again { "null" } else { list });
    }
    reply.put("precision", u64::from(*precision));
    Ok(())
}

/// The members of `fetch_json_meta`.
pub(super) fn json_meta(living: &Living, reply: &mut Reply) -> Result<(), Wrong> {
    match &living.message.held {
        Held::Meta(json) => {
            reply.put("message_id", living.id);
            reply.raw("data", json);
            Ok(())
        }
        Held::Data { .. } => Err(fault("message type can not get meta, type: 1")),
    }
}

/// Definition and vgroup of a request, and its offset.
fn place(ask: &Ask<'_>) -> Result<(String, u32, u64), Wrong> {
    let vgroup = u32::try_from(ask.number("vgroup_id")?).map_err(|_| ask.wrong())?;
    let offset = match ask.arg("offset") {
        // Below 0 as well as beyond the end.
        Value::Int(offset) if offset < 0 => u64::MAX,
        _ => ask.number("offset")?,
    };
    Ok((ask.text("topic")?, vgroup, offset))
}

/// The vgroups that a request asks about.
fn places(ask: &Ask<'_>) -> Result<Vec<(String, u32)>, Wrong> {
    let list = ask.list("topic_vgroup_ids")?;
    if list.len() > ASKED_MAX {
        return Err(ask.wrong());
    }
    let one = |value: &Value<'_>| {
        let Value::String(topic) = value.member("topic") else { return Err(ask.wrong()) };
        match value.member("vgroup_id") {
            Value::Int(vgroup) => {
                Ok((topic.to_string(), u32::try_from(vgroup).map_err(|_| ask.wrong())?))
            }
            _ => Err(ask.wrong()),
        }
    };
    list.iter().map(one).collect()
}

impl Tmq {
    /// The forms of the living message that are binary.
    pub(super) fn fetch_binary(
        &mut self,
        ask: &Ask<'_>,
        request: u64,
        out: &mut Outbox<'_>,
    ) -> Result<(), Wrong> {
        let Some(consumer) = &mut self.consumer else { return Err(fault("tmq not init")) };
        let id = ask.number("message_id")?;
        match ask.action.as_str() {
            "fetch_block" => {
                let other = consumer.living.as_ref().is_some_and(|living| living.id != id);
                if other {
                    return Err(fault("message is nil"));
                }
                let living = consumer.living(id)?;
                let Held::Data { block, .. } = &living.message.held else {
                    return Err(no_data());
                };
                if !living.fetched {
                    return Err(fault("no fetch data"));
                }
                out.binary(&block_reply(0, request, id, block));
            }
            "fetch_raw_data" => {
                let found = consumer.living(id);
                let outcome = found.as_ref().map(|living| &living.message);
                out.binary(&raw_data_reply(0, request, id, outcome));
            }
            _ => out.binary(&raw_reply(0, request, id, &consumer.living(id)?.message)),
        }
        Ok(())
    }

    /// Requests that a worker answers.
    pub(super) fn progress(
        &mut self,
        ask: &Ask<'_>,
        request: u64,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) -> Result<(), Wrong> {
        let Some(consumer) = &mut self.consumer else { return Err(fault("tmq not init")) };
        let (work, echo) = match ask.action.as_str() {
            "commit" => {
                (consumer.moved, consumer.committed_at) = (false, intake.now());
                (Work::Commit, Echo::Message(ask.number("message_id")?))
            }
            "commit_offset" => {
                let (topic, vgroup, offset) = place(ask)?;
                let echo = Echo::Offset(topic.clone(), vgroup, offset);
                (Work::CommitOffset(topic, vgroup, offset), echo)
            }
            "seek" => {
                let (topic, vgroup, offset) = place(ask)?;
                (Work::Seek(topic.clone(), vgroup, offset), Echo::Seek(topic, vgroup))
            }
            "committed" => (Work::Committed(places(ask)?), Echo::Named("committed")),
            "position" => (Work::Position(places(ask)?), Echo::Named("position")),
            "assignment" => (Work::Assignment(ask.text("topic")?), Echo::Nothing),
            "unsubscribe" | "close" => {
                for poll in [consumer.waiting.take(), consumer.queued.take()].into_iter().flatten()
                {
                    out.text(&polled(poll, None, intake));
                }
                (Work::Leave { commit: consumer.wanted.auto_commit }, Echo::End)
            }
            other => return Err(fault(format!("unknown action {other}"))),
        };
        if consumer.reader.is_none() && !matches!(echo, Echo::End) {
            return Err(closed());
        }
        let (action, begun) = (ask.action.clone(), intake.now());
        self.run_with_reader(work, Doing::Ask { action, request, begun, echo }, intake);
        Ok(())
    }

    /// A worker has answered such a request.
    pub(super) fn have_asked(
        &mut self,
        action: &str,
        (request, timing): (u64, u64),
        echo: Echo,
        outcome: Result<Answer, Wrong>,
        out: &mut Outbox<'_>,
    ) {
        let mut reply = Reply::new(action, request, outcome.as_ref().err(), timing);
        let done = outcome.is_ok();
        match (echo, &outcome) {
            (Echo::Message(id), _) => reply.put("message_id", id),
            (Echo::Offset(topic, vgroup, offset), Ok(_)) => {
                reply.text("topic", &topic);
                reply.put("vgroup_id", u64::from(vgroup));
                reply.put("offset", offset);
            }
            (Echo::Named(name), Ok(Answer::Numbers(list))) => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                reply.raw(name, &format!("[{}]", list.join(",")));
            }
            (Echo::Seek(topic, vgroup), _) if done => {
                if let Some(consumer) = &mut self.consumer {
                    consumer.living = None;
                    let other = |own: &Message| own.topic != topic || own.vgroup != vgroup;
                    consumer.ready.retain(other);
                }
            }
            (Echo::End, _) => self.consumer = None,
            (_, Ok(Answer::Assigned(list))) => {
                let one = |it: &crate::query::tables::tmq::reader::Assigned| {
                    let (vgroup, offset, begin, end) = (it.vgroup, it.offset, it.begin, it.end);
                    format!(
                        "{{\"vgroup_id\":{vgroup},\"offset\":{offset},\"begin\":{begin},\
                         \"end\":{end}}}"
                    )
                };
                let list: Vec<String> = list.iter().map(one).collect();
                reply.raw("assignment", &format!("[{}]", list.join(",")));
            }
            _ => {}
        }
        out.text(&reply.end());
    }
}

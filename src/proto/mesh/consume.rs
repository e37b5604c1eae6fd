//! The queues that a backend consumes (mesh, section 6): asked for, lost with their topics, begun
//! anew with them.

use super::api::{Kind, MeshApi, Origin, success};
use super::codes::{self, Fault, fault, invalid};
use crate::fanout::Outbox;
use crate::model::command::Command;
use crate::model::name::TopicName;
use crate::model::topic::{Topic, TopicId};
use crate::proto::Intake;

/// A queue as this connection consumes it: its name as written and in full.
#[derive(Debug)]
pub(super) struct Consumed {
    pub(super) topic: TopicId,
    pub(super) name: String,
    pub(super) full: TopicName,
    pub(super) acknowledge: bool,
}

impl MeshApi {
    /// `queue.pop`.
    pub(super) fn pop(
        &mut self,
        topics: Vec<(String, TopicName)>,
        acknowledge: bool,
        origin: Origin<'_>,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        for (index, (name, full)) in topics.iter().enumerate() {
            let twice = topics[..index].iter().any(|(_, other)| other == full);
            if twice || self.consumed.iter().any(|c| c.full == *full) {
                let text = format!("{name} is already consumed by this connection");
                let fault = fault(codes::CONSUMED_ALREADY, text);
                return self.finish(origin, Err(fault), intake, out);
            }
            if self.user.as_ref().is_some_and(|user| !user.may_touch(full.short())) {
                let fault = fault(codes::CONSUME_FAILED, format!("not allowed to consume {name}"));
                return self.finish(origin, Err(fault), intake, out);
            }
        }
        let names = topics.iter().map(|(_, full)| full.clone()).collect();
        intake.hold();
        let command = Command::Pop { topics: names, acknowledge };
        self.send(origin, Kind::Pop { topics, acknowledge }, command, intake);
    }

    /// A queue whose topic was deleted begins anew with the topic, without being asked for again.
    pub(super) fn consume_again(&mut self, topic: &Topic, intake: &mut dyn Intake) {
        let found = self.lost.iter().position(|lost| lost.full == topic.name);
        if let Some(lost) = found.map(|index| self.lost.swap_remove(index)) {
            let names = vec![lost.full.clone()];
            let acknowledge = lost.acknowledge;
            let kind = Kind::Pop { topics: vec![(lost.name, lost.full)], acknowledge };
            self.send(Origin::None, kind, Command::Pop { topics: names, acknowledge }, intake);
        }
    }

    /// The topic whose messages are acknowledged: the one named, or the only one.
    pub(super) fn acknowledged_topic(&self, named: Option<&str>) -> Result<TopicId, Fault> {
        let mut list = self.consumed.iter().filter(|c| c.acknowledge);
        let found = match named {
            Some(name) => list.find(|c| c.name == name).map(|c| c.topic),
            None => list.next().map(|c| c.topic).filter(|_| list.next().is_none()),
        };
        found.ok_or_else(|| invalid("t is needed, or not consumed with ack by this connection"))
    }

    /// Takes down what is consumed from now on.
    pub(super) fn consumes(
        &mut self,
        topics: Vec<(String, TopicName)>,
        acknowledge: bool,
        ids: &[TopicId],
    ) {
        for ((name, full), &topic) in topics.into_iter().zip(ids) {
            self.lost.retain(|lost| lost.full != full);
            self.consumed.push(Consumed { topic, name, full, acknowledge });
        }
    }

    /// `queue.unpop` while no topic of what is consumed is there.
    pub(super) fn unpop_lost(&mut self) -> Result<Vec<u8>, Fault> {
        if std::mem::take(&mut self.lost).is_empty() {
            return Err(fault(codes::NOT_CONSUMED, "nothing is consumed by this connection"));
        }
        Ok(success())
    }

    /// A topic was deleted: its queue waits for another one of that name.
    pub(super) fn consume_later(&mut self, topic: TopicId, intake: &mut dyn Intake) {
        for gone in self.consumed.extract_if(.., |consumed| consumed.topic == topic) {
            intake.await_topic(&gone.full);
            self.lost.push(gone);
        }
    }
}

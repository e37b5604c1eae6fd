//! Requests that several shards answer, put together on the shard that asked.

use crate::model::command::{Begin, ClientId};
use crate::model::event::Reply;
use crate::model::interest::Interest;
use crate::model::refusal::Refusal;
use crate::model::topic::{SubscriptionId, TopicId};
use crate::shard::Shard;
use crate::shard::mail::{Mail, Origin, Part, Ticket};
use crate::shard::people::merge_present;
use crate::shard::topic::deliver::Begun;

/// One request under way.
#[derive(Debug)]
pub enum Gather {
    /// Every shard must have heard.
    Heard { origin: Origin, left: usize },
    /// Every shard says who is in a channel.
    Present { origin: Origin, left: usize, count: u64, clients: Vec<ClientId> },
    /// Every owner must know of the subscriptions.
    Subscribe {
        origin: Origin,
        left: usize,
        list: Vec<(TopicId, SubscriptionId, Begin)>,
        interest: Option<Interest>,
        refused: bool,
    },
    /// Every owner must know of the consumer.
    Pop { origin: Origin, left: usize, topics: Vec<TopicId>, refused: Option<Refusal> },
}

impl Shard {
    /// Another shard has counted a publish; they come nearly in the order they were sent.
    pub(in crate::shard) fn on_counted(&mut self, (ticket, sent, failed): (Ticket, u64, u64)) {
        let publishes = &mut self.core.publishes;
        let Some(index) = publishes.iter().position(|p| p.0 == ticket) else { return };
        let publish = &mut publishes[index];
        publish.2 += sent;
        publish.3 += failed;
        publish.4 -= 1;
        if publish.4 == 0
            && let Some((_, origin, sent, failed, _)) = publishes.remove(index)
        {
            self.core.reply(origin, Reply::Published(sent, failed));
        }
    }

    /// A part of a request has come.
    pub(in crate::shard) fn on_part(&mut self, ticket: Ticket, part: Part) {
        if self.on_fence_part(ticket, &part) {
            return;
        }
        let Some(gather) = self.gathers.get_mut(&ticket) else { return };
        match (gather, part) {
            (Gather::Heard { left, .. }, _) => *left -= 1,
            (
                Gather::Present { left, count, clients, .. },
                Part::Present { count: there, clients: more },
            ) => {
                *left -= 1;
                *count += there;
                *clients = merge_present(std::mem::take(clients), more);
            }
            (Gather::Pop { left, refused, .. }, part) => {
                *left -= 1;
                if let Part::Refused(why) = part {
                    refused.get_or_insert(why);
                }
            }
            (Gather::Subscribe { left, refused, .. }, Part::Refused(_)) => {
                *left -= 1;
                *refused = true;
            }
            (
                Gather::Subscribe { left, list, .. },
                Part::Subscribed { topic, head, view, kept },
            ) => {
                *left -= 1;
                let own: Vec<_> = list.iter().filter(|(t, ..)| *t == topic).copied().collect();
                // One part comes for each entry; all entries of a topic begin at the first one.
                for (_, id, begin) in own {
                    let begun = Begun { head, view: view.clone(), kept: kept.clone() };
                    self.begin_catch_up(ticket, topic, id, begin, begun);
                }
            }
            _ => {}
        }
        self.conclude_gather(ticket);
    }

    /// Answers a request whose parts are complete.
    pub(in crate::shard) fn conclude_gather(&mut self, ticket: Ticket) {
        let left = match self.gathers.get(&ticket) {
            Some(
                Gather::Heard { left, .. }
                | Gather::Present { left, .. }
                | Gather::Subscribe { left, .. }
                | Gather::Pop { left, .. },
            ) => *left,
            None => return,
        };
        if left > 0 {
            return;
        }
        match self.gathers.remove(&ticket) {
            Some(Gather::Heard { origin, .. }) => self.core.reply(origin, Reply::Done),
            Some(Gather::Present { origin, count, clients, .. }) => {
                self.core.reply(origin, Reply::Present(count, clients));
            }
            Some(Gather::Subscribe { origin, list, refused, .. }) => {
                self.conclude_subscribe(ticket, origin, &list, refused);
            }
            Some(Gather::Pop { origin, topics, refused, .. }) => {
                self.conclude_pop(origin, topics, refused);
            }
            None => {}
        }
    }

    fn conclude_pop(&mut self, origin: Origin, topics: Vec<TopicId>, refused: Option<Refusal>) {
        let gone = !self.is_here(origin.peer);
        let conn = self.conns.get_mut(origin.peer.slot as usize).filter(|_| !gone);
        let early = match conn.and_then(|conn| conn.consuming.as_mut()) {
            Some(consuming) => {
                consuming.joining = false;
                std::mem::take(&mut consuming.early)
            }
            None => Vec::new(),
        };
        let Some(why) = refused.or(gone.then_some(Refusal::Stopping)) else {
            self.core.reply(origin, Reply::Popped(topics));
            // Replies are handed over before mails.
            for (topic, acknowledge, list) in early {
                let (id, consumer) = (self.core.id, origin.peer);
                self.core.send(id, Mail::Messages { topic, consumer, acknowledge, list });
            }
            return;
        };
        for topic in topics {
            let owner = self.core.owner_of(topic);
            self.core.send(owner, Mail::Unpop { ticket: None, topic, consumer: origin.peer });
            if let Some(conn) = self.conns.get_mut(origin.peer.slot as usize)
                && !gone
                && let Some(consuming) = &mut conn.consuming
            {
                consuming.topics.retain(|t| t.id != topic);
            }
        }
        self.core.reply(origin, Reply::Refused(why));
    }
}

//! What a shard keeps beside its connections, so that a session can be called while it is changed.

use crate::broker::Peer;
use crate::broker::catalog::Catalog;
use crate::broker::channels::Channels;
use crate::broker::clients::{Clients, id_stride};
use crate::fanout::Palette;
use crate::fanout::palette::Span;
use crate::metrics;
use crate::model::command::{ClientFrame, Command};
use crate::model::event::Reply;
use crate::model::name::TopicName;
use crate::model::record::TimeNs;
use crate::model::topic::{Topic, TopicId};
use crate::shard::mail::{Mail, Origin, Publish, Ticket};
use crate::shard::process::Process;
use crate::shard::query::Task;
use crate::shard::topic::owner::Owner;
use crate::wire::ws::Opcode;
use ahash::AHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// Publishes, or counts of them, that go as one mail at most.
const TOGETHER_MAX: usize = 256;
/// Bytes of a publish that goes together with others.
const SMALL_BYTES: usize = 4096;

/// Frames for one channel that no other output to a client has come between.
#[derive(Debug)]
pub struct Run {
    /// The channel.
    pub channel: Arc<str>,
    /// Its frames.
    pub span: Span,
}

/// Mails on their way out of this shard, in one order for all destinations: what a mail caused on
/// one shard is there before what a later mail to another shard leads to.
#[derive(Debug, Default)]
pub struct Post {
    /// To this shard itself.
    pub own: VecDeque<Mail>,
    others: VecDeque<(u16, Mail)>,
}

impl Post {
    /// Whether mails wait for a full mailbox.
    #[must_use]
    pub fn is_delayed(&self) -> bool {
        !self.others.is_empty()
    }
}

/// See the module's page.
#[derive(Debug)]
pub struct Core {
    /// This shard.
    pub id: u16,
    /// What all share.
    pub process: Arc<Process>,
    /// Wall clock of this turn.
    pub now: TimeNs,
    /// Monotonic milliseconds of this turn.
    pub now_ms: u64,
    /// Topics.
    pub catalog: Catalog,
    /// The topic of `_log`.
    pub log_topic: Arc<Topic>,
    /// Partitions that this shard owns.
    pub owner: Owner,
    /// Clients that live here.
    pub clients: Clients,
    /// Channels.
    pub channels: Channels,
    /// Clients here that take nothing now.
    pub full_clients: usize,
    /// Frames for channels that are not handed out yet, in order.
    pub runs: Vec<Run>,
    /// Commands of sessions, to be carried out.
    pub commands: VecDeque<(Peer, u32, Command)>,
    /// One-shot queries of sessions, to be started.
    pub tasks: VecDeque<Task>,
    /// Replies to connections, to be handed over.
    pub replies: VecDeque<(Origin, Reply)>,
    /// Connections that wait for topics to be made.
    pub awaiting: AHashMap<TopicName, Vec<Peer>>,
    /// Mails on their way out.
    pub post: Post,
    next_ticket: Ticket,
    /// Publishes that other shards take part in.
    pub publishes: VecDeque<(Ticket, Origin, u64, u64, u32)>,
}

impl Core {
    /// An empty one.
    #[must_use]
    pub fn new(id: u16, process: Arc<Process>, log_topic: Arc<Topic>, owner: Owner) -> Self {
        Self {
            id,
            process,
            now: 0,
            now_ms: 0,
            catalog: Catalog::default(),
            log_topic,
            owner,
            clients: Clients::default(),
            channels: Channels::default(),
            full_clients: 0,
            runs: Vec::new(),
            commands: VecDeque::new(),
            tasks: VecDeque::new(),
            replies: VecDeque::new(),
            awaiting: AHashMap::new(),
            post: Post::default(),
            next_ticket: 0,
            publishes: VecDeque::new(),
        }
    }

    /// This shard's metrics.
    #[must_use]
    pub fn metrics(&self) -> &metrics::Shard {
        &self.process.metrics[self.id as usize]
    }

    /// Shards.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.process.shards() as u16
    }

    /// The shard that owns a topic.
    #[must_use]
    pub fn owner_of(&self, topic: TopicId) -> u16 {
        self.process.owner_of(topic)
    }

    /// By what client ids tell their shard.
    #[must_use]
    pub fn stride(&self) -> u64 {
        id_stride(self.process.shards())
    }

    /// A number for a request of several parts.
    pub fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Sends a mail; mails to one shard arrive in order.
    pub fn send(&mut self, to: u16, mail: Mail) {
        if to == self.id {
            return self.post.own.push_back(mail);
        }
        self.post.others.push_back((to, mail));
    }

    /// Sends a mail to every other shard; gives their number.
    pub fn broadcast(&mut self, make: impl Fn() -> Mail) -> usize {
        let (me, shards) = (self.id, self.shards());
        (0..shards).filter(|to| *to != me).for_each(|to| self.send(to, make()));
        usize::from(shards) - 1
    }

    /// Puts what waits into the mailboxes, as far as it fits.
    pub fn deliver_post(&mut self) {
        while let Some((to, mail)) = self.post.others.pop_front() {
            if let Err(mail) = self.process.mailboxes[to as usize].post(mail) {
                self.post.others.push_front((to, mail));
                return self.metrics().mail_delayed.add(1);
            }
        }
    }

    /// Encodes a frame for a channel's members here; they get it when the run is settled. Gives how
    /// many take it, how many do not, and the bits of other shards with members.
    pub fn publish(
        &mut self,
        channel: &str,
        binary: bool,
        bytes: &[u8],
        palette: &mut Palette,
    ) -> (u64, u64, u64) {
        let Some(found) = self.channels.get(channel) else { return (0, 0, 0) };
        let (members, remote) = (found.members.len() as u64, found.remote);
        let failed = if self.full_clients == 0 { 0 } else { u64::from(found.full) };
        if members > 0 {
            let opcode = if binary { Opcode::Binary } else { Opcode::Text };
            let span = palette.shared_frame(opcode, bytes);
            match self.runs.last_mut().filter(|run| *run.channel == *channel) {
                Some(run) if run.span.extended(span).is_some() => {
                    run.span = run.span.extended(span).unwrap_or(span);
                }
                Some(run) => {
                    let channel = Arc::clone(&run.channel);
                    self.runs.push(Run { channel, span });
                }
                None => {
                    if let Some(channel) = self.channels.name(channel) {
                        self.runs.push(Run { channel, span });
                    }
                }
            }
        }
        (members - failed, failed, remote)
    }

    /// Sends a publish to the other shards that have members; the reply comes when all have
    /// counted.
    pub fn publish_remote(
        &mut self,
        origin: Origin,
        channel: &Arc<str>,
        frame: &Arc<ClientFrame>,
        counted: (u64, u64),
        remote: u64,
    ) {
        let (ticket, from) = (self.ticket(), self.id);
        for shard in (0..self.shards()).filter(|shard| remote >> shard & 1 == 1) {
            let (channel, frame) = (Arc::clone(channel), Arc::clone(frame));
            let publish = Publish { ticket, channel, frame };
            match self.last_to(shard) {
                Some(Mail::Publish { list, .. })
                    if list.len() < TOGETHER_MAX && publish.frame.bytes.len() <= SMALL_BYTES =>
                {
                    list.push(publish);
                }
                _ => self.send(shard, Mail::Publish { from, list: vec![publish] }),
            }
        }
        self.publishes.push_back((ticket, origin, counted.0, counted.1, remote.count_ones()));
    }

    /// Tells a shard what came of a publish of its.
    pub fn send_count(&mut self, to: u16, count: (Ticket, u64, u64)) {
        match self.last_to(to) {
            Some(Mail::Counted(list)) if list.len() < TOGETHER_MAX => list.push(count),
            _ => self.send(to, Mail::Counted(vec![count])),
        }
    }

    /// The mail that a shard gets last, if nothing but publishes and their counts was sent since:
    /// what is added to it comes before nothing that it must not.
    fn last_to(&mut self, to: u16) -> Option<&mut Mail> {
        let shards = usize::from(self.shards());
        let last = self.post.others.iter_mut().rev().take(shards);
        let publish = |mail: &Mail| matches!(mail, Mail::Publish { .. } | Mail::Counted(_));
        let mut last = last.take_while(|(_, mail)| publish(mail));
        last.find(|(shard, _)| *shard == to).map(|(_, mail)| mail)
    }

    /// Gives a reply to whoever asked, wherever it lives.
    pub fn reply(&mut self, to: Origin, reply: Reply) {
        if to.token.is_none() {
            return;
        }
        if to.peer.shard == self.id {
            self.replies.push_back((to, reply));
        } else {
            self.send(to.peer.shard, Mail::Reply { to, reply });
        }
    }
}

//! Clients and channels on this shard: calls to one, publishes to many, coming and going.

use crate::broker::channels::Edge;
use crate::broker::clients::{CHANNELS_MAX, node_of, shard_of};
use crate::fanout::palette::Span;
use crate::model::command::{ClientCall, ClientFrame, ClientId};
use crate::model::event::{Event, Reply};
use crate::model::refusal::Refusal;
use crate::proto::{CloseReason, Session};
use crate::shard::Shard;
use crate::shard::gather::Gather;
use crate::shard::link::conn::Phase;
use crate::shard::mail::{Mail, Origin, Publish, Ticket};
use std::sync::Arc;

/// Client ids that `channel.presence` names.
const PRESENT_MAX: usize = 1000;

impl Shard {
    /// Sends a call to the shard where the client lives.
    pub(in crate::shard) fn route_client(
        &mut self,
        origin: Origin,
        client: ClientId,
        call: ClientCall,
    ) {
        let shard = shard_of(client, self.core.stride());
        if node_of(client) != self.core.process.config.mesh.node || shard >= self.core.shards() {
            return self.core.reply(origin, Reply::Refused(Refusal::UnknownClient));
        }
        if shard == self.core.id {
            self.call_client(origin, client, call);
        } else {
            self.core.send(shard, Mail::Client { origin, client, call });
        }
    }

    /// Carries out a call to a client of this shard.
    pub(in crate::shard) fn call_client(
        &mut self,
        origin: Origin,
        client: ClientId,
        call: ClientCall,
    ) {
        // What was published before goes out before.
        self.settle_runs();
        let reply = self.try_call(origin, client, call);
        if let Some(reply) = reply {
            self.core.reply(origin, reply.unwrap_or_else(Reply::Refused));
        }
    }

    fn try_call(
        &mut self,
        origin: Origin,
        client: ClientId,
        call: ClientCall,
    ) -> Option<Result<Reply, Refusal>> {
        let Some(found) = self.core.clients.get_mut(&client) else {
            return Some(Err(Refusal::UnknownClient));
        };
        let slot = found.slot;
        let result = match call {
            ClientCall::SetContextValue(key, value) => found.set_value(&key, value.as_deref()),
            ClientCall::SetContext(context) => found.set(&context),
            ClientCall::GetContext | ClientCall::Info => {
                return Some(Ok(Reply::Client(Box::new(found.view(client)))));
            }
            ClientCall::Subscribe(channels) => return self.join(origin, client, &channels),
            ClientCall::Unsubscribe(channels) => {
                for channel in channels {
                    self.leave_channel(client, &channel);
                }
                return Some(Ok(Reply::Done));
            }
            ClientCall::Close(code, reason) => {
                if let Some(conn) = self.conns.get_mut(slot as usize) {
                    conn.ended.get_or_insert(CloseReason::Us(code));
                }
                self.close(slot, code, &reason);
                return Some(Ok(Reply::Done));
            }
            ClientCall::Send(frame) => return Some(self.send_frame(slot, &frame)),
        };
        if let Err(refusal) = result {
            return Some(Err(refusal));
        }
        let context = found.context_json();
        self.call(slot, |session, _, intake, out| {
            session.on_event(Event::Context(&context), intake, out);
        });
        if self.conns.get(slot as usize).is_some_and(|conn| conn.is_waiting()) {
            self.resume.push(slot);
        }
        self.watch(slot);
        Some(Ok(Reply::Done))
    }

    fn send_frame(&mut self, slot: u32, frame: &ClientFrame) -> Result<Reply, Refusal> {
        let mut taken = false;
        self.call(slot, |_, _, _, out| {
            taken = out.try_frame(frame.binary, &frame.bytes).is_ok();
        });
        if taken { Ok(Reply::Done) } else { Err(Refusal::OutboxFull) }
    }

    /// Adds a client to channels; answers when every shard that must know does.
    fn join(
        &mut self,
        origin: Origin,
        client: ClientId,
        channels: &[Arc<str>],
    ) -> Option<Result<Reply, Refusal>> {
        let found = self.core.clients.get_mut(&client)?;
        let slot = found.slot;
        let mut new: Vec<&Arc<str>> = Vec::new();
        for channel in channels {
            if !found.channels.contains(channel) && !new.contains(&channel) {
                new.push(channel);
            }
        }
        if found.channels.len() + new.len() > CHANNELS_MAX {
            return Some(Err(Refusal::TooManyChannels));
        }
        found.channels.extend(new.iter().map(|c| Arc::clone(c)));
        let mut first = Vec::new();
        for channel in new {
            if self.core.channels.join(channel, slot) == Edge::First {
                first.push(Arc::clone(channel));
            }
        }
        let others = usize::from(self.core.shards()) - 1;
        if first.is_empty() || others == 0 {
            return Some(Ok(Reply::Done));
        }
        let ticket = self.core.ticket();
        self.gathers.insert(ticket, Gather::Heard { origin, left: others * first.len() });
        for channel in first {
            self.tell_interest(Some(ticket), &channel, true);
        }
        None
    }

    fn tell_interest(&mut self, ticket: Option<Ticket>, channel: &Arc<str>, present: bool) {
        let from = self.core.id;
        self.core.broadcast(|| {
            let channel = Arc::clone(channel);
            Mail::ChannelInterest { ticket, from, channel, present }
        });
    }

    fn leave_channel(&mut self, client: ClientId, channel: &Arc<str>) {
        let Some(found) = self.core.clients.get_mut(&client) else { return };
        let Some(index) = found.channels.iter().position(|c| c == channel) else { return };
        found.channels.swap_remove(index);
        let slot = found.slot;
        if self.core.channels.leave(channel, slot) == Edge::Last && self.core.shards() > 1 {
            self.tell_interest(None, channel, false);
        }
    }

    /// Forgets a client whose connection has ended.
    pub(in crate::shard) fn forget_client(&mut self, client: ClientId) {
        self.settle_runs();
        let Some(found) = self.core.clients.get(&client) else { return };
        for channel in found.channels.clone() {
            self.leave_channel(client, &channel);
        }
        self.core.clients.remove(&client);
    }

    /// Hands the frames of channels out to their members, in the order they were published.
    pub(in crate::shard) fn settle_runs(&mut self) {
        if self.core.runs.is_empty() {
            return;
        }
        let mut runs = std::mem::take(&mut self.core.runs);
        for run in runs.drain(..) {
            let Some(channel) = self.core.channels.get_mut(&run.channel) else { continue };
            let members = std::mem::take(&mut channel.members);
            // Once for each window that a member agreed on, and only if asked for.
            let mut compressed = [None; 16];
            for slot in &members {
                let span = self.form_for(*slot, run.span, &mut compressed);
                if !self.push_shared(*slot, span) {
                    self.mark_full(*slot);
                }
            }
            if let Some(channel) = self.core.channels.get_mut(&run.channel) {
                channel.members = members;
            }
        }
        self.core.runs = runs;
    }

    /// The frames as a client gets them: compressed once for all with the same window, where the
    /// configuration wants it and the client keeps no context; else as they are.
    fn form_for(&mut self, slot: u32, span: Span, compressed: &mut [Option<Span>; 16]) -> Span {
        if !self.core.process.config.compress_fanout {
            return span;
        }
        let agreed = self.conns.get(slot as usize).and_then(|conn| conn.deflate.as_deref());
        let Some(agreed) = agreed.filter(|agreed| agreed.server_no_context_takeover) else {
            return span;
        };
        let bits = agreed.server_max_window_bits;
        let Some(entry) = compressed.get_mut(bits as usize) else { return span };
        let deflaters = &mut self.deflaters;
        let palette = &mut self.palette;
        *entry.get_or_insert_with(|| {
            let compress =
                |plain: &[u8], out: &mut Vec<u8>| deflaters.compress(bits, plain, out).is_ok();
            palette.compressed(span, compress).unwrap_or(span)
        })
    }

    /// Notes that a client takes nothing now, so that publishes can say so.
    fn mark_full(&mut self, slot: u32) {
        let Some(conn) = self.conns.get(slot as usize) else { return };
        let client = conn.control.client;
        if !self.full_slots.insert(slot) {
            return;
        }
        self.core.full_clients += 1;
        self.count_full(client, 1);
    }

    fn count_full(&mut self, client: ClientId, by: i32) {
        let Some(found) = self.core.clients.get(&client) else { return };
        for channel in &found.channels {
            if let Some(channel) = self.core.channels.get_mut(channel) {
                channel.full = channel.full.saturating_add_signed(by);
            }
        }
    }

    /// A socket has taken something: it may take frames again.
    pub(in crate::shard) fn on_drained(&mut self, slot: u32) {
        let Some(conn) = self.conns.get(slot as usize) else { return };
        let open = !matches!(conn.phase, Phase::Closing);
        if open && conn.out.queued < self.outbox_limit / 2 && self.full_slots.remove(&slot) {
            self.core.full_clients -= 1;
            self.count_full(conn.control.client, -1);
        }
    }

    /// A connection that was full is gone.
    pub(in crate::shard) fn forget_full(&mut self, slot: u32, client: ClientId) {
        if self.full_slots.remove(&slot) {
            self.core.full_clients -= 1;
            self.count_full(client, -1);
        }
    }

    /// A publish that had to wait for commands before it.
    pub(in crate::shard) fn publish_now(
        &mut self,
        origin: Origin,
        channel: &Arc<str>,
        frame: &Arc<ClientFrame>,
    ) {
        let (sent, failed, remote) =
            self.core.publish(channel, frame.binary, &frame.bytes, &mut self.palette);
        if remote == 0 {
            return self.core.reply(origin, Reply::Published(sent, failed));
        }
        self.core.publish_remote(origin, channel, frame, (sent, failed), remote);
    }

    /// A publish of another shard.
    pub(in crate::shard) fn on_publish(&mut self, from: u16, publish: &Publish) {
        let Publish { ticket, channel, frame } = publish;
        let (sent, failed, _) =
            self.core.publish(channel, frame.binary, &frame.bytes, &mut self.palette);
        self.core.send_count(from, (*ticket, sent, failed));
    }

    /// Asks every shard who is in a channel.
    pub(in crate::shard) fn ask_presence(&mut self, origin: Origin, channel: &Arc<str>) {
        let (count, clients) = self.present(channel);
        let ticket = self.core.ticket();
        let from = self.core.id;
        let left = self.core.broadcast(|| {
            let channel = Arc::clone(channel);
            Mail::Presence { ticket, from, channel }
        });
        let gather = Gather::Present { origin, left, count, clients };
        self.gathers.insert(ticket, gather);
        self.conclude_gather(ticket);
    }

    /// The clients of this shard in a channel: how many, and the least ids.
    pub(in crate::shard) fn present(&self, channel: &str) -> (u64, Vec<ClientId>) {
        let Some(found) = self.core.channels.get(channel) else { return (0, Vec::new()) };
        let id = |slot: &u32| self.conns.get(*slot as usize).map(|conn| conn.control.client);
        let mut clients: Vec<ClientId> = found.members.iter().filter_map(id).collect();
        clients.sort_unstable();
        clients.truncate(PRESENT_MAX);
        (found.members.len() as u64, clients)
    }
}

/// Merges two lists of ids: the least ones, ascending.
pub fn merge_present(mut a: Vec<ClientId>, b: Vec<ClientId>) -> Vec<ClientId> {
    a.extend(b);
    a.sort_unstable();
    a.truncate(PRESENT_MAX);
    a
}

//! From the palette to the sockets: one write for each connection with output, at the end of a
//! turn.

use crate::fanout::{Backlog, Outbox, Palette, Piece};
use crate::model::policy::FullPolicy;
use crate::proto::{CloseReason, Intake, PeerInfo};
use crate::shard::link::conn::{NEVER, Phase};
use crate::shard::link::ingest::{CLOSE_TIMEOUT_MS, key};
use crate::shard::link::intake::Desk;
use crate::shard::link::occupant::Occupant;
use crate::shard::mail::Mail;
use crate::shard::{Dirty, Shard};
use crate::sys::net::{Interest, Transfer};
use crate::wire::ws::encode;

/// Capacity of the gather buffer kept between turns.
const GATHER_BYTES_KEPT: usize = 4 << 20;

impl Shard {
    /// Calls a session with everything it may use.
    pub(in crate::shard) fn call(
        &mut self,
        slot: u32,
        call: impl FnOnce(&mut Occupant, &PeerInfo, &mut dyn Intake, &mut Outbox<'_>),
    ) {
        let Some(index) = self.mark_dirty(slot) else { return };
        let limit = self.outbox_limit;
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let mut desk = Desk {
            control: &mut conn.control,
            core: &mut self.core,
            answer: &mut self.answer,
            front: conn.front,
            remote: conn.info.address,
        };
        let pieces = &mut self.dirty[index].pieces;
        let mut out = Outbox::new(&mut self.palette, pieces, &mut conn.out, limit);
        call(&mut conn.occupant, &conn.info, &mut desk, &mut out);
        let answered = !self.answer.is_empty();
        if answered {
            out.raw(&self.answer);
            self.answer.clear();
        }
        let deadline = conn.control.deadline;
        if answered {
            let upgrade = conn.control.exchange.upgrade;
            if !conn.control.exchange.keep_alive && !upgrade {
                self.begin_closing(slot);
            } else if conn.is_waiting() {
                self.resume.push(slot);
            }
        }
        self.set_wake(slot, deadline);
    }

    /// What must follow a call: closes that were asked for, limits that were passed.
    pub(in crate::shard) fn after_call(&mut self, slot: u32) {
        self.settle();
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if let Some(code) = conn.out.close
            && !matches!(conn.phase, Phase::Closing)
        {
            conn.ended.get_or_insert(CloseReason::Us(code));
            self.begin_closing(slot);
        }
        self.check_limit(slot);
        if self.palette.is_full() {
            self.flush_all();
        }
    }

    /// Applies the policy to a connection that has more queued than it may.
    pub(in crate::shard) fn check_limit(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if !conn.out.overflowed {
            return;
        }
        conn.out.overflowed = false;
        self.flush(slot);
        let limit = self.outbox_limit;
        let policy = self.core.process.config.limits.outbox_full;
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if conn.out.queued <= limit {
            return;
        }
        let front = conn.front as usize;
        let session_rule = front != 0;
        if policy == FullPolicy::Disconnect || session_rule {
            self.core.metrics().fronts[front].slow_closed.add(1);
            // The close frame goes behind what is on its way; the rest is not waited for.
            self.close(slot, 1013, "reads too slowly");
            return;
        }
        let Some(backlog) = &mut conn.backlog else { return };
        let dropped = backlog.trim(limit / 8 * 7, policy);
        conn.out.queued = backlog.len();
        let metrics = self.core.metrics();
        match policy {
            FullPolicy::DropOldest => metrics.dropped_oldest.add(dropped),
            _ => metrics.dropped_newest.add(dropped),
        }
        if dropped == 0 {
            metrics.fronts[front].slow_closed.add(1);
            self.close(slot, 1013, "reads too slowly");
        }
    }

    /// Notes that a connection has output in this turn; gives its place in the list.
    pub(in crate::shard) fn mark_dirty(&mut self, slot: u32) -> Option<usize> {
        let conn = self.conns.get_mut(slot as usize)?;
        if conn.dirty == u32::MAX {
            conn.dirty = self.dirty.len() as u32;
            let pieces = self.spare_pieces.pop().unwrap_or_default();
            self.dirty.push(Dirty { slot, pieces });
        }
        Some(conn.dirty as usize)
    }

    /// Gives a connection a piece of the palette; `false` if its outbox does not take it.
    pub(in crate::shard) fn push_shared(
        &mut self,
        slot: u32,
        span: crate::fanout::palette::Span,
    ) -> bool {
        let Some(index) = self.mark_dirty(slot) else { return false };
        let limit = self.outbox_limit;
        let Some(conn) = self.conns.get_mut(slot as usize) else { return false };
        let pieces = &mut self.dirty[index].pieces;
        Outbox::new(&mut self.palette, pieces, &mut conn.out, limit).shared(span).is_ok()
    }

    /// Queues bytes as they are.
    pub(in crate::shard) fn put_raw(&mut self, slot: u32, bytes: &[u8]) {
        let Some(index) = self.mark_dirty(slot) else { return };
        let limit = self.outbox_limit;
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let pieces = &mut self.dirty[index].pieces;
        Outbox::new(&mut self.palette, pieces, &mut conn.out, limit).raw(bytes);
    }

    /// Answers a ping.
    pub(in crate::shard) fn pong(&mut self, slot: u32, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 2);
        encode::pong(&mut frame, payload);
        self.put_raw(slot, &frame);
    }

    /// Ends a WebSocket with a close frame behind what is queued.
    pub(in crate::shard) fn close(&mut self, slot: u32, code: u16, reason: &str) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if matches!(conn.phase, Phase::Closing) {
            return;
        }
        if matches!(conn.phase, Phase::WebSocket) {
            conn.ended.get_or_insert(CloseReason::Us(code));
            let mut frame = Vec::new();
            encode::close(&mut frame, code, reason);
            self.put_raw(slot, &frame);
        }
        self.begin_closing(slot);
    }

    /// Nothing more is read; what is queued still goes out, then the connection ends.
    pub(in crate::shard) fn begin_closing(&mut self, slot: u32) {
        let now = self.core.now_ms;
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if matches!(conn.phase, Phase::Closing) {
            return;
        }
        let was_websocket = matches!(conn.phase, Phase::WebSocket);
        conn.out.close.get_or_insert(1000);
        conn.drop_at = now + CLOSE_TIMEOUT_MS;
        let drop_at = conn.drop_at;
        self.retire(slot, was_websocket);
        if let Some(conn) = self.conns.get_mut(slot as usize) {
            conn.phase = Phase::Closing;
            conn.unread = None;
        }
        self.mark_dirty(slot);
        self.set_wake(slot, drop_at);
    }

    /// Writes every connection with output, and forgets the palette.
    pub(in crate::shard) fn flush_all(&mut self) {
        self.settle_runs();
        let mut index = 0;
        while index < self.dirty.len() {
            let slot = self.dirty[index].slot;
            self.flush_at(index, slot);
            index += 1;
        }
        for mut dirty in self.dirty.drain(..) {
            if let Some(conn) = self.conns.get_mut(dirty.slot as usize)
                && conn.dirty != u32::MAX
            {
                conn.dirty = u32::MAX;
            }
            dirty.pieces.clear();
            if self.spare_pieces.len() < 1024 && dirty.pieces.capacity() <= 256 {
                self.spare_pieces.push(dirty.pieces);
            }
        }
        self.palette.clear();
        self.gather.shrink_to(GATHER_BYTES_KEPT);
        for slot in std::mem::take(&mut self.drained) {
            self.on_drained(slot);
        }
    }

    /// Writes one connection now.
    pub(in crate::shard) fn flush(&mut self, slot: u32) {
        let Some(conn) = self.conns.get(slot as usize) else { return };
        if let Some(dirty) = self.dirty.get(conn.dirty as usize)
            && dirty.slot == slot
        {
            let index = conn.dirty as usize;
            self.flush_at(index, slot);
        }
    }

    fn flush_at(&mut self, index: usize, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if conn.dirty as usize != index {
            return;
        }
        let pieces = std::mem::take(&mut self.dirty[index].pieces);
        if let Some(consuming) = &mut conn.consuming {
            let end = conn.sent_total + conn.backlog.as_ref().map_or(0, |b| b.len()) as u64;
            let exact: usize = pieces.iter().map(|p| Palette::weight(*p)).sum();
            for unwritten in consuming.unwritten.iter_mut().filter(|u| u.at == u64::MAX) {
                unwritten.at = end + exact as u64;
            }
        }
        if !pieces.is_empty() {
            self.send_pieces(slot, &pieces);
        }
        let mut pieces = pieces;
        pieces.clear();
        self.dirty[index].pieces = pieces;
        self.after_flush(slot);
    }

    fn send_pieces(&mut self, slot: u32, pieces: &[Piece]) {
        let policy = self.core.process.config.limits.outbox_full;
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let front = &self.core.metrics().fronts[conn.front as usize];
        let frames: usize = pieces
            .iter()
            .map(|p| if let Piece::Tailed(list, _) = p { list.count() } else { 1 })
            .sum();
        front.messages_out.add(frames as u64);
        let mut sent = 0;
        if conn.backlog.is_none() {
            let bytes = match pieces {
                [one] if self.palette.contiguous(*one).is_some() => {
                    self.palette.contiguous(*one).unwrap_or_default()
                }
                _ => {
                    self.gather.clear();
                    for piece in pieces {
                        self.palette.write(*piece, &mut self.gather, |_| {});
                    }
                    &self.gather
                }
            };
            match conn.socket.send(bytes) {
                Transfer::Bytes(count) => sent = count,
                Transfer::WouldBlock => {}
                Transfer::Failed(_) => {
                    self.broken.push(slot);
                    return;
                }
            }
            front.bytes_out.add(sent as u64);
            conn.sent_total += sent as u64;
            if sent == bytes.len() {
                conn.out.queued = 0;
                return;
            }
            conn.moved_ms = self.core.now_ms;
        }
        let backlog = conn.backlog.get_or_insert_default();
        keep_rest(&self.palette, pieces, sent, policy, &mut self.gather, backlog);
        conn.out.queued = backlog.len();
        let wake = self.core.now_ms + u64::from(conn.control.write_ms);
        self.set_wake(slot, wake);
        self.watch(slot);
    }

    /// Sends more of a backlog; its socket has room.
    pub(in crate::shard) fn write_backlog(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let Some(backlog) = &mut conn.backlog else { return self.watch(slot) };
        match conn.socket.send(backlog.pending()) {
            Transfer::Bytes(count) => {
                backlog.advance(count);
                conn.sent_total += count as u64;
                conn.moved_ms = self.core.now_ms;
                self.core.metrics().fronts[conn.front as usize].bytes_out.add(count as u64);
                conn.out.queued = backlog.len();
                if backlog.is_empty() {
                    conn.backlog = None;
                }
            }
            Transfer::WouldBlock => {}
            Transfer::Failed(_) => return self.lose(slot),
        }
        self.after_flush(slot);
        self.watch(slot);
        self.drained.push(slot);
    }

    fn after_flush(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if let Some(consuming) = &mut conn.consuming {
            let mut by_topic: Vec<(u32, Vec<u64>)> = Vec::new();
            while let Some(first) = consuming.unwritten.pop_front_if(|u| u.at <= conn.sent_total) {
                match by_topic.iter_mut().find(|(topic, _)| *topic == first.topic) {
                    Some((_, offsets)) => offsets.push(first.offset),
                    None => by_topic.push((first.topic, vec![first.offset])),
                }
            }
            let consumer = conn.control.peer;
            for (topic, offsets) in by_topic {
                let owner = self.core.owner_of(topic);
                self.core.send(owner, Mail::Written { topic, consumer, offsets });
            }
        }
        if matches!(conn.phase, Phase::Closing) && conn.backlog.is_none() {
            conn.socket.finish_sending();
            if conn.finished && conn.ended.is_none() {
                self.broken.push(slot);
            }
        }
    }

    /// Asks the epoll set for what is wanted of a connection now.
    pub(in crate::shard) fn watch(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let closing = matches!(conn.phase, Phase::Closing);
        let read =
            !(conn.finished && conn.ended.is_none()) && (closing || !(conn.control.is_blocked()));
        let interest = match (read, conn.backlog.is_some()) {
            (true, true) => Interest::Both,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (false, false) => Interest::None,
        };
        if interest != conn.interest {
            conn.interest = interest;
            // The descriptor is in the set as long as the connection lives.
            let _ = self.epoll.change(conn.socket.fd(), key(conn.control.peer), interest);
        }
    }

    /// Calls for a look at a connection at this time at the latest.
    pub(in crate::shard) fn set_wake(&mut self, slot: u32, at: u64) {
        if at == NEVER {
            return;
        }
        if let Some(wake) = self.wake_at.get_mut(slot as usize) {
            *wake = (*wake).min(at);
            self.next_wake = self.next_wake.min(at);
        }
    }
}

/// Copies what was not sent, from byte `sent` on, into the backlog. Frames of deliveries are kept
/// apart where they may be dropped later.
fn keep_rest(
    palette: &Palette,
    pieces: &[Piece],
    sent: usize,
    policy: FullPolicy,
    scratch: &mut Vec<u8>,
    backlog: &mut Backlog,
) {
    let mut skip = sent;
    for piece in pieces {
        scratch.clear();
        let mut frames = Vec::new();
        palette.write(*piece, scratch, |length| {
            if policy != FullPolicy::Disconnect {
                frames.push(length);
            }
        });
        let droppable = !frames.is_empty();
        if !droppable {
            frames.push(scratch.len());
        }
        let mut at = 0;
        for length in frames {
            let frame = &scratch[at..at + length];
            at += length;
            let gone = skip.min(length);
            skip -= gone;
            backlog.push(&frame[gone..], droppable, gone > 0);
        }
    }
}

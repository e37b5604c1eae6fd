//! What time brings: slow heads and bodies, silence, standstill, retention, space, the end.

use crate::limits::{BODY_RATE_MIN, HTTP_HEAD_TIMEOUT_MS};
use crate::log::SpaceState;
use crate::proto::{CloseReason, Session};
use crate::query::tables::store::keep::Walk;
use crate::shard::Shard;
use crate::shard::link::conn::{NEVER, Phase};
use crate::shard::link::ingest::CLOSE_TIMEOUT_MS;
use crate::shard::query::{Task, Then};
use crate::sys::files;
use crate::sys::net::Interest;
use crate::wire::http::write_response;
use crate::wire::ws::encode;
use std::sync::atomic::Ordering;

/// Milliseconds between looks at space, retention and unacknowledged messages.
const TICK_MS: u64 = 250;
/// Milliseconds that an HTTP connection may be silent between requests.
const KEEP_ALIVE_MS: u64 = 75_000;
/// Milliseconds that a stop may take before connections are cut.
const STOP_MS: u64 = 3_000;
/// Milliseconds of client ids that are reserved ahead in the catalog.
const CLIENT_RESERVE_MS: u64 = 60_000;
/// Milliseconds between looks for rows that are older than their databases keep, in days.
const WALK_MS: u64 = 600_000;
/// Those after the start, which has enough to do.
const FIRST_WALK_MS: u64 = 60_000;

/// What is due for one connection.
enum Due {
    Nothing,
    Drop,
    TooSlow,
    Silent,
    Ping,
    Deadline,
}

impl Shard {
    /// Looks at connections whose time has come; then, from time to time, at everything else.
    pub(in crate::shard) fn run_timers(&mut self) {
        let now = self.core.now_ms;
        self.tick_flows();
        if now >= self.next_wake {
            let due: Vec<u32> = (0..self.wake_at.len())
                .filter(|slot| self.wake_at[*slot] <= now)
                .map(|slot| slot as u32)
                .collect();
            for slot in due {
                self.wake_at[slot as usize] = NEVER;
                self.look_at(slot);
            }
            self.next_wake = self.wake_at.iter().copied().min().unwrap_or(NEVER);
        }
        if self.accept_after > 0 && now >= self.accept_after {
            self.accept_after = 0;
            self.watch_listeners(Interest::Read);
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK_MS;
            self.tick();
        }
    }

    fn look_at(&mut self, slot: u32) {
        match self.due(slot) {
            Due::Nothing => {}
            Due::Drop => return self.lose(slot),
            Due::TooSlow => self.end_slow(slot),
            Due::Silent => self.close(slot, 1001, "idle"),
            Due::Ping => {
                let mut frame = Vec::new();
                if let Some(conn) = self.conns.get_mut(slot as usize) {
                    encode::ping(&mut frame, conn.occupant.manners().ping);
                    conn.pinged = true;
                }
                self.put_raw(slot, &frame);
            }
            Due::Deadline => {
                if let Some(conn) = self.conns.get_mut(slot as usize) {
                    conn.control.deadline = NEVER;
                }
                self.call(slot, |session, _, intake, out| session.on_deadline(intake, out));
                self.after_call(slot);
                self.resume.push(slot);
            }
        }
        self.rearm(slot);
    }

    fn due(&self, slot: u32) -> Due {
        let now = self.core.now_ms;
        let Some(conn) = self.conns.get(slot as usize) else { return Due::Nothing };
        let stuck = conn.backlog.is_some()
            && conn.control.write_ms > 0
            && now >= conn.moved_ms + u64::from(conn.control.write_ms);
        if now >= conn.drop_at || stuck {
            return Due::Drop;
        }
        if conn.arriving_ms > 0 && !matches!(conn.phase, Phase::Closing) {
            let age = now - conn.arriving_ms;
            let head = matches!(conn.phase, Phase::Http(None));
            let late = age.checked_sub(HTTP_HEAD_TIMEOUT_MS);
            let slow = |late| head || conn.arriving_bytes < late * BODY_RATE_MIN / 1000;
            if late.is_some_and(slow) {
                return Due::TooSlow;
            }
        }
        let silence = now - conn.heard_ms;
        match conn.phase {
            Phase::Http(None) if silence >= KEEP_ALIVE_MS && conn.control.pending() == 0 => {
                return Due::Drop;
            }
            Phase::WebSocket => {
                let (idle, ping) =
                    (u64::from(conn.control.idle_ms), u64::from(conn.control.ping_ms));
                let waits = conn.control.paused || conn.control.hold;
                if idle > 0 && silence >= idle && !waits {
                    return Due::Silent;
                }
                if ping > 0 && silence >= ping * 3 && !waits {
                    return Due::Drop;
                }
                if ping > 0 && silence >= ping && !conn.pinged {
                    return Due::Ping;
                }
            }
            _ => {}
        }
        if now >= conn.control.deadline { Due::Deadline } else { Due::Nothing }
    }

    /// Sets the time at which a connection must be looked at next.
    pub(in crate::shard) fn rearm(&mut self, slot: u32) {
        let Some(conn) = self.conns.get(slot as usize) else { return };
        let now = self.core.now_ms;
        let mut at = conn.drop_at.min(conn.control.deadline);
        if conn.backlog.is_some() && conn.control.write_ms > 0 {
            at = at.min(conn.moved_ms + u64::from(conn.control.write_ms));
        }
        if conn.arriving_ms > 0 {
            at = at.min((conn.arriving_ms + HTTP_HEAD_TIMEOUT_MS).max(now + 1000));
        }
        match conn.phase {
            Phase::Http(_) => at = at.min(conn.heard_ms + KEEP_ALIVE_MS),
            Phase::WebSocket => {
                let (idle, ping) =
                    (u64::from(conn.control.idle_ms), u64::from(conn.control.ping_ms));
                if idle > 0 {
                    at = at.min(conn.heard_ms + idle);
                }
                if ping > 0 {
                    at = at.min(conn.heard_ms + if conn.pinged { ping * 3 } else { ping });
                }
            }
            Phase::Closing => {}
        }
        self.set_wake(slot, at.max(now + 1));
    }

    /// Ends a peer that sends too slowly.
    fn end_slow(&mut self, slot: u32) {
        let Some(conn) = self.conns.get(slot as usize) else { return };
        let front = conn.front as usize;
        self.core.metrics().fronts[front].violations.add(1);
        match &conn.phase {
            Phase::Http(None) if conn.unread.is_none() => self.lose(slot),
            Phase::Http(_) => {
                let (content_type, body) =
                    conn.occupant.http_error(408, "request arrived too slowly");
                let mut answer = Vec::new();
                let headers = conn.occupant.manners().headers;
                write_response(&mut answer, 408, Some(content_type), headers, &body, false, false);
                self.put_raw(slot, &answer);
                self.begin_closing(slot);
            }
            _ => self.close(slot, 1008, "message arrived too slowly"),
        }
    }

    fn tick(&mut self) {
        let (now, now_ms) = (self.core.now, self.core.now_ms);
        self.look_at_space();
        self.core.owner.tick(now, now_ms);
        let (writes, syncs) = self.core.owner.disk.take_tally();
        let (disk_bytes, topics) = (self.core.owner.disk_bytes(), self.core.owner.len() as u64);
        let subscriptions = self.subs.count();
        let metrics = self.core.metrics();
        metrics.writes.add(writes);
        metrics.syncs.add(syncs.len() as u64);
        syncs.iter().for_each(|ns| metrics.sync.record_ns(*ns));
        metrics.log_disk_bytes.set(disk_bytes);
        metrics.topics.set(topics);
        metrics.subscriptions.set(subscriptions);
        if let Some(topics) = &mut self.topics {
            let last = self.core.process.last_client();
            let reserved = self.core.process.clients_reserved.load(Ordering::Relaxed);
            let ahead = CLIENT_RESERVE_MS << 22;
            if last > 0 && last + ahead / 2 > reserved {
                topics.reserve_clients(&self.core, last + ahead);
            }
        }
        if let Some(mut topics) = self.topics.take() {
            topics.expire_flows(&mut self.core);
            self.topics = Some(topics);
            if self.next_walk == 0 {
                self.next_walk = now_ms + FIRST_WALK_MS;
            } else if now_ms >= self.next_walk {
                self.next_walk = now_ms + WALK_MS;
                let task = Task::of_nobody(self.core.id, now, Box::new(Walk));
                self.fence(Then::Query(task));
            }
        }
        let path = self.flow_states();
        self.flows.run_checkpoints(&path, now_ms, now as u64);
        self.inflater.trim();
        self.run_stop();
    }

    /// Where this shard's flows keep their states.
    fn flow_states(&self) -> std::path::PathBuf {
        let name = format!("shard-{}.state", self.core.id);
        self.core.process.config.data_dir.join("flows").join(name)
    }

    fn look_at_space(&mut self) {
        let config = &self.core.process.config;
        let Ok(space) = files::space(&config.data_dir) else { return };
        let low = space.total_bytes / 100 * config.disk_low_percent;
        let full = self.core.process.disk_full.load(Ordering::Relaxed);
        // Half as much again must be free before writes go on, so that the state does not flap.
        let critical = config.disk_critical_bytes;
        let limit = if full { critical + critical / 2 } else { critical };
        let state = if space.free_bytes < limit {
            SpaceState::Critical
        } else if space.free_bytes < low {
            SpaceState::Low
        } else {
            SpaceState::Ok
        };
        let missing = limit.saturating_sub(space.free_bytes);
        let is_full = self.core.owner.set_space(state, missing);
        if self.core.id == 0 && is_full != full {
            let free = space.free_bytes;
            if is_full {
                self.ballast.release();
                tracing::error!(free, "the disk is full: writes are refused until there is space");
            } else {
                self.ballast.hold();
                tracing::info!(free, "the disk has space again: writes are taken");
            }
            self.core.process.disk_full.store(is_full, Ordering::Relaxed);
        }
    }

    /// Begins to stop: no new connections, no new records.
    pub(in crate::shard) fn stop(&mut self) {
        if self.stop_at.is_some() {
            return;
        }
        self.stop_at = Some(self.core.now_ms + STOP_MS);
        self.listeners.clear();
        self.core.owner.save_positions();
        self.next_tick = 0;
    }

    /// Closes connections once the log is synced, or when the time is over.
    fn run_stop(&mut self) {
        let Some(stop_at) = self.stop_at else { return };
        let synced = self.core.owner.is_idle() && self.topics.as_ref().is_none_or(|t| t.is_idle());
        let late = self.core.now_ms >= stop_at;
        if !synced && !late {
            return;
        }
        let path = self.flow_states();
        self.flows.last_checkpoint(&path, self.core.now as u64);
        let slots: Vec<u32> = self.conns.iter().map(|(slot, _)| slot as u32).collect();
        for slot in slots {
            if late && self.core.now_ms >= stop_at + CLOSE_TIMEOUT_MS {
                self.lose(slot);
            } else {
                if let Some(conn) = self.conns.get_mut(slot as usize) {
                    conn.ended.get_or_insert(CloseReason::Us(1001));
                }
                self.close(slot, 1001, "server is stopping");
            }
        }
    }
}

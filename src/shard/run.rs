//! The loop: turns, and what is between them.

use crate::broker::catalog::Change;
use crate::broker::flows::CHAIN_MAX;
use crate::log::disk::Disk;
use crate::log::disk::threads::ThreadDisk;
use crate::model::name::TopicName;
use crate::model::topic::{LOG_TOPIC, Retention, Storage, Topic};
use crate::proto::{CloseReason, Session};
use crate::shard::flow::checkpoint::Checkpoints;
use crate::shard::link::conn::{NEVER, Phase};
use crate::shard::link::ingest::RECEIVE_BYTES;
use crate::shard::mail::{Mail, Part};
use crate::shard::process::{Process, Step};
use crate::shard::topic::changes::{CATALOG_TAG, Topics};
use crate::shard::topic::owner::{Outcome, Owner};
use crate::shard::{BoundPort, Shard};
use crate::sys::net::{Epoll, Interest, Ready};
use crate::sys::{clock, executor};
use crate::wire::ws::deflate::DeflatePool;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// Sockets handled in one turn.
const READY_MAX: usize = 1024;
/// Mails handled in one turn.
const MAILS_MAX: usize = 4096;
/// Longest wait, so that the pulse shows life.
const WAIT_MS_MAX: u64 = 1_000;
/// Pause between looks at a mailbox while nobody is served yet.
const POST_PAUSE: Duration = Duration::from_micros(200);
/// Keys of the epoll set that are no connections.
const BELL_KEY: u64 = u64::MAX;
const DISK_KEY: u64 = u64::MAX - 1;
const LISTENER_KEYS: u64 = u64::MAX - 64;

/// Starts a shard on its own thread, pinned to `cpu` if given.
///
/// # Errors
/// No thread, no ring.
pub fn spawn(
    process: Arc<Process>,
    id: u16,
    cpu: Option<usize>,
    listeners: Vec<BoundPort>,
) -> io::Result<JoinHandle<()>> {
    executor::spawn_executor(&format!("weir-{id}"), cpu, move || async move {
        match Shard::new(process, id, listeners) {
            Ok(shard) => shard.run(),
            Err(error) => {
                tracing::error!(%error, shard = id, "cannot start a shard");
                std::process::exit(1);
            }
        }
    })
}

impl Shard {
    fn new(process: Arc<Process>, id: u16, listeners: Vec<BoundPort>) -> io::Result<Self> {
        let numberings = Arc::clone(&process.numberings);
        let disk = ThreadDisk::new()?;
        let owner = Owner::new(&process.config, process.shards(), disk, numberings);
        let log_topic = Arc::new(Topic {
            id: LOG_TOPIC,
            name: TopicName::parse("_log").ok_or(io::ErrorKind::InvalidInput)?,
            retention: Retention { records: Some(1000), ..Default::default() },
            storage: Storage::Memory,
            queue: false,
            typed: false,
            created: clock::realtime_ns(),
            shared: Default::default(),
        });
        let log_topic = process.share_log_topic(log_topic);
        let outbox_limit = process.config.limits.outbox_bytes;
        let ballast = crate::shard::topic::ballast::Ballast::new(&process.config);
        let epoll = Epoll::new(READY_MAX)?;
        epoll.add(process.mailboxes[id as usize].bell().fd(), BELL_KEY, Interest::Read)?;
        epoll.add(owner.disk.bell().fd(), DISK_KEY, Interest::Read)?;
        let shard = Self {
            core: crate::shard::core::Core::new(id, process, log_topic, owner),
            conns: slab::Slab::new(),
            wake_at: Vec::new(),
            next_wake: NEVER,
            next_generation: 0,
            palette: Default::default(),
            dirty: Vec::new(),
            spare_pieces: Vec::new(),
            gather: Vec::new(),
            flush_ns: 0,
            answer: Vec::new(),
            receive: vec![0; RECEIVE_BYTES],
            inflater: Default::default(),
            deflaters: DeflatePool::new(1),
            epoll,
            listeners,
            accept_after: 0,
            accept_warned: false,
            subs: Default::default(),
            gathers: Default::default(),
            catch_ups: Vec::new(),
            released: Vec::new(),
            retries: Default::default(),
            full_slots: Default::default(),
            resume: Vec::new(),
            touched: Vec::new(),
            broken: Vec::new(),
            drained: Vec::new(),
            topics: None,
            flows: Default::default(),
            recovered: false,
            flushes: Vec::new(),
            snapshots: Vec::new(),
            fences_heard: Vec::new(),
            fences: Default::default(),
            queries: Vec::new(),
            works: crate::shard::query::Works::default(),
            done: Vec::new(),
            outbox_limit,
            next_tick: 0,
            next_walk: 0,
            stop_at: None,
            ballast,
            ready: Vec::new(),
        };
        Ok(shard)
    }

    fn run(mut self) {
        self.read_clock();
        if let Err(error) = self.recover() {
            tracing::error!(%error, shard = self.core.id, "cannot read the data directory");
            std::process::exit(1);
        }
        // Flows first come to where the logs end, on all shards.
        let process = Arc::clone(&self.core.process);
        let mut told = false;
        while process.behind.load(Ordering::Acquire) > 0 && self.stop_at.is_none() {
            if !self.turn(None) {
                std::thread::sleep(POST_PAUSE);
            }
            if self.flows.caught_up() && !self.core.owner.has_work() && !told {
                told = true;
                process.behind.fetch_sub(1, Ordering::AcqRel);
            }
        }
        for (index, port) in self.listeners.iter().enumerate() {
            let key = LISTENER_KEYS + index as u64;
            if let Err(error) = self.epoll.add(port.listener.fd(), key, Interest::Read) {
                tracing::error!(%error, "cannot watch a port");
                std::process::exit(1);
            }
        }
        let spin_ns = self.core.process.config.spin_us * 1000;
        let (mut quiet_since, mut sleep) = (0, false);
        loop {
            let busy = if sleep { self.sleep() } else { self.turn(None) };
            if self.stop_at.is_some() && self.has_stopped() {
                break;
            }
            let disk = &self.core.owner.disk;
            let defining = self.topics.as_ref().is_some_and(Topics::has_work);
            let more = disk.has_done() || self.core.owner.has_work() || defining;
            if busy || more {
                quiet_since = clock::monotonic_ns();
            }
            // While a sync is under way its helper may need this core: no spinning then, and what
            // has come meanwhile ends the sleep at once.
            sleep = !more
                && match disk.under_way() {
                    0 => !busy && clock::monotonic_ns() >= quiet_since + spin_ns,
                    _ => !busy || self.has_nothing_left(),
                };
        }
        self.step(Step::Ended);
        self.core.owner.disk.settle();
    }

    fn has_stopped(&self) -> bool {
        self.conns.is_empty() && self.core.owner.disk.under_way() == 0
            || self.stop_at.is_some_and(|at| self.core.now_ms >= at + 1500)
    }

    fn step(&self, step: Step) {
        let pulse = &self.core.process.pulses[self.core.id as usize];
        pulse.step.store(step as u8, Ordering::Relaxed);
    }

    fn read_clock(&mut self) -> u64 {
        let ns = clock::monotonic_ns();
        self.core.now_ms = ns / 1_000_000;
        self.core.now = clock::realtime_ns();
        ns
    }

    /// Whether the next turn has something to do only if something comes.
    fn has_nothing_left(&self) -> bool {
        self.catch_ups.is_empty()
            && self.core.post.own.is_empty()
            && self.touched.is_empty()
            && self.resume.is_empty()
            && self.broken.is_empty()
            && self.dirty.is_empty()
    }

    /// A turn that blocks until something may be done; whether something was.
    fn sleep(&mut self) -> bool {
        let process = Arc::clone(&self.core.process);
        let mailbox = &process.mailboxes[self.core.id as usize];
        if self.core.post.is_delayed() || !mailbox.fall_asleep() {
            return self.turn(None);
        }
        self.step(Step::Wait);
        let next = self.next_wake.min(self.next_tick);
        let mut wait = next.saturating_sub(self.core.now_ms);
        if let Some(at) = self.flows.next_ms {
            let until = at.saturating_sub(self.core.now / 1_000_000);
            wait = wait.min(u64::try_from(until).unwrap_or(0));
        }
        let wait = wait.clamp(1, WAIT_MS_MAX);
        let busy = self.turn(Some(Duration::from_millis(wait)));
        mailbox.wake_up();
        busy
    }

    /// One turn; `wait`: how long for sockets at most. `true` if anything was done.
    fn turn(&mut self, wait: Option<Duration>) -> bool {
        let mut ready: Vec<Ready> = std::mem::take(&mut self.ready);
        ready.clear();
        self.epoll.wait(wait, |event| ready.push(event));
        let begun = self.read_clock();
        let pulse = &self.core.process.pulses[self.core.id as usize];
        pulse.turns.fetch_add(1, Ordering::Relaxed);
        let mut outcome = Outcome::default();

        self.step(Step::Reap);
        let mut busy = self.reap(&mut outcome);
        self.step(Step::Ingest);
        busy |= !ready.is_empty();
        if !self.core.post.is_delayed() {
            for event in &ready {
                self.on_ready(*event);
            }
        }
        self.ready = ready;
        self.step(Step::Receive);
        busy |= self.receive();
        self.step(Step::Match);
        self.match_turn(&mut outcome);
        let limit_ns = self.core.process.config.spin_us * 1000;
        self.core.owner.release_held(begun, limit_ns, self.ready.is_empty(), &mut outcome);
        // Writes are complete when they are made: what they allow is not left to the next turn.
        self.step(Step::Reap);
        if self.reap(&mut outcome) {
            self.on_outcome(&mut outcome);
        }
        busy |= self.run_catch_ups();
        busy |= self.run_behind();
        self.step(Step::Timers);
        self.run_timers();
        self.run_queries();
        self.step(Step::Flush);
        let flushing = if busy { clock::monotonic_ns() } else { begun };
        self.finish_turn();
        let metrics = self.core.metrics();
        metrics.turns.add(1);
        if busy {
            let ended = clock::monotonic_ns();
            self.flush_ns = ended - flushing;
            metrics.turn.record_ns(ended - begun);
        }
        busy
    }

    fn reap(&mut self, outcome: &mut Outcome) -> bool {
        if !self.core.owner.disk.has_done() {
            return false;
        }
        let mut done = std::mem::take(&mut self.done);
        self.core.owner.disk.poll(&mut done);
        if let Some(mut topics) = self.topics.take() {
            for one in done.extract_if(.., |done| done.tag == CATALOG_TAG) {
                topics.on_done(&mut self.core, &one);
            }
            self.topics = Some(topics);
        }
        let now = self.core.now;
        self.core.owner.reap(&mut done, now, outcome);
        self.done = done;
        true
    }

    fn on_ready(&mut self, event: Ready) {
        if event.key == BELL_KEY {
            return self.core.process.mailboxes[self.core.id as usize].bell().silence();
        }
        if event.key == DISK_KEY {
            return self.core.owner.disk.bell().silence();
        }
        if event.key >= LISTENER_KEYS {
            return self.accept((event.key - LISTENER_KEYS) as usize);
        }
        let (slot, generation) = (event.key as u32, (event.key >> 32) as u32);
        let known = self.conns.get(slot as usize);
        if known.is_none_or(|conn| conn.control.peer.generation != generation) {
            return;
        }
        if event.writable {
            self.write_backlog(slot);
        }
        if event.readable && self.conns.contains(slot as usize) {
            self.read(slot, event);
        }
    }

    fn receive(&mut self) -> bool {
        let process = Arc::clone(&self.core.process);
        let mailbox = &process.mailboxes[self.core.id as usize];
        let waiting = mailbox.len();
        self.core.metrics().mailbox_depth.set(waiting as u64);
        let mut count = 0;
        while count < MAILS_MAX
            && let Some(mail) = mailbox.take()
        {
            self.on_mail(mail);
            self.settle();
            if self.palette.is_full() {
                self.flush_all();
            }
            count += 1;
        }
        count > 0
    }

    fn match_turn(&mut self, outcome: &mut Outcome) {
        self.on_outcome(outcome);
        // What flows insert is matched in the same turn, along chains of them.
        for _ in 0..=CHAIN_MAX {
            self.core.owner.seal(outcome);
            self.core.owner.run_queues(outcome);
            self.on_outcome(outcome);
            for (origin, topic) in std::mem::take(&mut self.flushes) {
                self.flush_flows(origin, topic);
            }
            self.settle();
            if !self.core.owner.is_dirty() {
                break;
            }
        }
        self.take_snapshots();
        for (ticket, from) in std::mem::take(&mut self.fences_heard) {
            self.core.send(from, Mail::Part { ticket, part: Part::Heard });
        }
        if let Some(mut topics) = self.topics.take() {
            topics.seal(&mut self.core);
            self.topics = Some(topics);
        }
        self.settle();
    }

    fn finish_turn(&mut self) {
        for _ in 0..4 {
            for slot in std::mem::take(&mut self.touched) {
                self.after_call(slot);
            }
            for slot in std::mem::take(&mut self.resume) {
                self.resume(slot);
            }
            self.settle();
            self.flush_all();
            for slot in std::mem::take(&mut self.broken) {
                self.lose(slot);
            }
            self.settle();
            let quiet = self.touched.is_empty() && self.resume.is_empty() && self.dirty.is_empty();
            if quiet {
                break;
            }
        }
        self.core.deliver_post();
    }

    /// Listens to its ports or not.
    pub(in crate::shard) fn watch_listeners(&mut self, interest: Interest) {
        for (index, port) in self.listeners.iter().enumerate() {
            let _ = self.epoll.change(port.listener.fd(), LISTENER_KEYS + index as u64, interest);
        }
    }

    /// What must happen once when a connection ends: its session hears of it, everything that it
    /// held is given up. Its output still goes out.
    pub(in crate::shard) fn retire(&mut self, slot: u32, was_websocket: bool) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if conn.retired() {
            return;
        }
        let why = *conn.ended.get_or_insert(CloseReason::Lost);
        let (client, front) = (conn.control.client, conn.front as usize);
        if was_websocket {
            self.call(slot, |session, _, intake, _| session.on_close(why, intake));
            self.core.metrics().fronts[front].websockets.subtract(1);
        }
        for (topic, id) in self.subs.of_slot(slot).collect::<Vec<_>>() {
            self.end_subscription(topic, id);
        }
        self.end_consumption(slot);
        if client != 0 {
            self.forget_full(slot, client);
            self.forget_client(client);
        }
        if let Some(conn) = self.conns.get_mut(slot as usize) {
            conn.phase = Phase::Closing;
        }
    }

    /// Drops a connection whose socket is gone, or whose time is over.
    pub(in crate::shard) fn lose(&mut self, slot: u32) {
        let Some(conn) = self.conns.get(slot as usize) else { return };
        let was_websocket = matches!(conn.phase, Phase::WebSocket);
        self.retire(slot, was_websocket);
        let Some(conn) = self.conns.try_remove(slot as usize) else { return };
        if let Some(dirty) = self.dirty.get_mut(conn.dirty as usize) {
            dirty.slot = u32::MAX;
            dirty.pieces.clear();
        }
        self.wake_at[slot as usize] = NEVER;
        self.core.metrics().fronts[conn.front as usize].open.subtract(1);
    }

    /// Reads the catalog (shard 0) or waits for it, and opens what this shard owns.
    fn recover(&mut self) -> io::Result<()> {
        let begun = clock::monotonic_ns();
        let process = Arc::clone(&self.core.process);
        if self.core.id == 0 {
            let settings = self.core.owner.settings();
            let (topics, list, last_client, report) = Topics::open(&mut self.core, settings)?;
            if !report.damage.is_empty() {
                tracing::error!(?report, "the catalog is damaged");
            }
            process.set_last_client(last_client);
            process.clients_reserved.store(last_client, Ordering::Relaxed);
            self.topics = Some(topics);
            for change in list {
                self.core.broadcast(|| Mail::Changed { change: change.clone(), round: None });
                self.take_over(&change)?;
                self.core.deliver_post();
            }
            let log_topic = Arc::clone(&self.core.log_topic);
            self.core.owner.open(&log_topic)?;
            self.open_definitions()?;
            self.core
                .broadcast(|| Mail::Changed { change: Change::Deleted(LOG_TOPIC), round: Some(0) });
            while self.core.post.is_delayed() {
                self.core.deliver_post();
                std::thread::sleep(POST_PAUSE);
            }
        } else {
            let mailbox = &process.mailboxes[self.core.id as usize];
            loop {
                match mailbox.take() {
                    Some(Mail::Changed { round: Some(0), .. }) => break,
                    Some(Mail::Changed { change, .. }) => self.take_over(&change)?,
                    Some(Mail::Stop) => self.stop(),
                    Some(_) => {}
                    None => std::thread::sleep(POST_PAUSE),
                }
            }
        }
        let states = process.config.data_dir.join("flows");
        self.flows.checkpoints = Checkpoints::load(&states);
        self.note_repeats();
        for flow in self.core.catalog.flows.iter().cloned().collect::<Vec<_>>() {
            self.start_flow(&flow);
        }
        self.flows.checkpoints.forget();
        self.recovered = true;
        self.core.metrics().recovery_ns.set(clock::monotonic_ns() - begun);
        process.recovering.fetch_sub(1, Ordering::AcqRel);
        // Nobody is served before all is read: a topic of another shard would look empty.
        while process.recovering.load(Ordering::Acquire) > 0 {
            std::thread::sleep(POST_PAUSE);
        }
        Ok(())
    }

    fn take_over(&mut self, change: &Change) -> io::Result<()> {
        self.core.catalog.apply(change);
        if self.core.id == 0 {
            let lookups = self.core.catalog.lookups();
            self.core.process.apply(change, lookups);
        }
        self.hide(change);
        let Change::Created(topic) = change else { return Ok(()) };
        if self.core.owner_of(topic.id) != self.core.id {
            return Ok(());
        }
        let report = self.core.owner.open(topic)?;
        self.core.owner.retain(topic.id, self.core.now);
        let metrics = self.core.metrics();
        metrics.recovered_records.add(report.records);
        metrics.recovered_cut_bytes.add(report.cut_bytes);
        metrics.recovered_gaps.add(report.gaps.len() as u64);
        let name = &topic.name;
        if !report.gaps.is_empty() || !report.damage.is_empty() || !report.set_aside.is_empty() {
            tracing::error!(%name, ?report, "a log is damaged; what is sound was kept");
        } else if report.cut_bytes > 0 {
            let cut = report.cut_bytes;
            tracing::warn!(%name, cut, "a log ended in a torn write, which was cut");
        }
        Ok(())
    }
}

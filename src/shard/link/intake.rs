//! What a session may ask of its shard while it is called: look-ups and appends at once, commands
//! collected and carried out when it has returned.

use crate::broker::clients::Client;
use crate::broker::flows::Bad;
use crate::config::{Access, Config};
use crate::fanout::Palette;
use crate::model::command::{ClientFrame, ClientId, Command};
use crate::model::event::Reply;
use crate::model::flow::{Flow, FlowRef, FlowSpec};
use crate::model::name::TopicName;
use crate::model::record::{Body, Record, TimeNs};
use crate::model::table::Tables;
use crate::model::topic::Topic;
use crate::proto::Intake;
use crate::proto::contract::{Bound, Count, Counter, Gauge, HttpReply, Pause};
use crate::query::program::Lookups;
use crate::query::pull::Job;
use crate::shard::core::Core;
use crate::shard::link::conn::{Control, NEVER};
use crate::shard::mail::{Mail, Origin, OwnedRecords};
use crate::shard::query::Task;
use crate::wire::http::write_response;
use std::sync::Arc;

/// See the module's page.
pub struct Desk<'a> {
    /// The connection's.
    pub control: &'a mut Control,
    /// The shard's.
    pub core: &'a mut Core,
    /// Where an HTTP answer is written.
    pub answer: &'a mut Vec<u8>,
    /// Its front-end.
    pub front: u8,
    /// Its address.
    pub remote: std::net::SocketAddr,
}

impl Desk<'_> {
    /// Makes room for the reply of a command.
    fn expect(&mut self) -> Origin {
        let token = Some(self.control.expect_reply());
        Origin { peer: self.control.peer, token }
    }
}

impl Intake for Desk<'_> {
    fn topic(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.core.catalog.find(name).cloned()
    }

    fn log_topic(&self) -> Arc<Topic> {
        Arc::clone(&self.core.log_topic)
    }

    fn topics(&self) -> Vec<Arc<Topic>> {
        self.core.catalog.iter().cloned().collect()
    }

    fn await_topic(&mut self, name: &TopicName) {
        let peer = self.control.peer;
        let waiting = self.core.awaiting.entry(name.clone()).or_default();
        if !waiting.contains(&peer) {
            waiting.push(peer);
        }
    }

    fn config(&self) -> &Config {
        &self.core.process.config
    }

    fn access(&self) -> &Access {
        &self.core.process.access
    }

    fn tables(&self) -> Arc<Tables> {
        Arc::clone(self.core.process.directory().tables())
    }

    fn now(&self) -> TimeNs {
        self.core.now
    }

    fn append(&mut self, topic: &Arc<Topic>, producer: u64, bodies: &[Body<'_>], bound: Bound) {
        let origin = self.expect();
        let time = self.core.now;
        let owner = self.core.owner_of(topic.id);
        if owner != self.core.id {
            let records = OwnedRecords::new(time, producer, bodies);
            self.control.pending_bytes += records.bytes_len();
            return self.core.send(owner, Mail::Append { origin, topic: topic.id, records, bound });
        }
        let stopping = self.core.process.stopping.load(std::sync::atomic::Ordering::Relaxed);
        let result = if let [body] = bodies {
            let record = [Record { time, producer, body: *body }];
            self.core.owner.append(origin, topic.id, &record, bound, stopping)
        } else {
            let bodies = bodies.iter().copied();
            let records: Vec<_> = bodies.map(|body| Record { time, producer, body }).collect();
            self.core.owner.append(origin, topic.id, &records, bound, stopping)
        };
        match result {
            Ok(bytes) => self.control.pending_bytes += bytes,
            Err(refusal) => {
                self.core.metrics().refused.add(1);
                self.core.reply(origin, Reply::Refused(refusal));
            }
        }
    }

    fn run_query(&mut self, job: Box<dyn Job>) {
        let (origin, front, now) = (self.expect(), self.front, self.core.now);
        self.core.process.workers.begin(front);
        let control = Arc::default();
        self.core.tasks.push_back(Task { origin, front, now, control, job });
    }

    fn queries_running(&self) -> u64 {
        self.core.process.workers.running(self.front)
    }

    fn flows(&self) -> Vec<Arc<Flow>> {
        self.core.catalog.flows.iter().cloned().collect()
    }

    fn flow_count(&self) -> usize {
        self.core.catalog.flows.len()
    }

    fn flow(&self, name: &str) -> Option<Arc<Flow>> {
        self.core.catalog.flows.find(&FlowRef::Name(name.into())).cloned()
    }

    fn flow_ring(&self, spec: &FlowSpec) -> Option<Vec<TopicName>> {
        let flows = &self.core.catalog.flows;
        let name = spec.name.clone().map(FlowRef::Name);
        let without = name.and_then(|name| flows.find(&name)).map(|flow| flow.id);
        match flows.check(&spec.source, &spec.targets, without) {
            Err(Bad::Cycle(path)) => Some(path),
            _ => None,
        }
    }

    fn lookups(&self) -> Arc<Lookups> {
        Arc::clone(self.core.catalog.lookups())
    }

    fn lookup_names(&self) -> Vec<Arc<str>> {
        let catalog = &self.core.catalog;
        catalog.lookups().keys().filter_map(|name| catalog.lookup_name(name).cloned()).collect()
    }

    fn command(&mut self, command: Command) {
        let token = self.control.expect_reply();
        self.core.commands.push_back((self.control.peer, token, command));
    }

    fn hold(&mut self) {
        self.control.hold = true;
    }

    fn defer(&mut self, reply: Box<[u8]>) {
        let token = self.control.expect_reply();
        self.control.resolve(token, Reply::Deferred(reply));
    }

    fn has_pending(&self) -> bool {
        self.control.pending() > 0
    }

    fn log(&mut self, record: Vec<u8>) {
        self.core.send(0, Mail::Log(record));
    }

    fn respond(&mut self, reply: &HttpReply<'_>) {
        let exchange = &mut self.control.exchange;
        exchange.open = false;
        write_response(
            self.answer,
            reply.status,
            reply.content_type,
            reply.headers,
            reply.body,
            exchange.keep_alive,
            exchange.head_only,
        );
    }

    fn upgrade(&mut self, subprotocol: Option<&str>) {
        self.control.exchange.open = false;
        self.control.exchange.upgrade = true;
        self.control.subprotocol = subprotocol.map(|name| Box::new(name.into()));
    }

    fn register_client(&mut self, path: &str) -> ClientId {
        let now_ms = (self.core.now / 1_000_000) as u64;
        let stride = self.core.stride();
        let id = self.core.process.next_client(now_ms, self.core.id, stride);
        let client = Client::new(self.control.peer.slot, path, self.remote, now_ms);
        self.core.clients.insert(id, Box::new(client));
        self.control.client = id;
        id
    }

    fn pause_reading(&mut self, pause: Pause) {
        self.control.paused = pause == Pause::Stop;
    }

    fn set_deadline(&mut self, in_ms: Option<u64>) {
        self.control.deadline = in_ms.map_or(NEVER, |ms| self.core.now_ms + ms);
    }

    fn set_idle_limit(&mut self, ms: u64) {
        self.control.idle_ms = ms.min(u64::from(u32::MAX)) as u32;
    }

    fn set_write_limit(&mut self, ms: u64) {
        self.control.write_ms = ms.min(u64::from(u32::MAX)) as u32;
    }

    fn set_message_limit(&mut self, bytes: usize) {
        self.control.message_bytes_max = bytes.min(u32::MAX as usize) as u32;
    }

    fn next_number(&mut self, counter: Counter) -> u64 {
        match counter {
            Counter::Connection => self.core.process.next_connection(),
        }
    }

    fn gauge(&self, gauge: Gauge) -> u64 {
        let process = &self.core.process;
        match gauge {
            Gauge::WebSockets => {
                let of = |m: &crate::metrics::Shard| m.fronts[self.front as usize].websockets.get();
                process.metrics.iter().map(of).sum()
            }
            Gauge::UptimeMs => self.core.now_ms.saturating_sub(process.started_ns / 1_000_000),
        }
    }

    fn metrics_page(&self) -> String {
        self.core.process.metrics_page()
    }

    fn trouble(&self) -> Option<&'static str> {
        self.core.process.trouble()
    }

    fn publish(
        &mut self,
        channel: &str,
        binary: bool,
        bytes: &[u8],
        palette: &mut Palette,
    ) -> Option<(u64, u64)> {
        if !self.core.commands.is_empty() {
            // Commands before it are not carried out yet: it keeps its place behind them.
            let frame = Arc::new(ClientFrame { binary, bytes: bytes.to_vec() });
            self.command(Command::Publish { channel: channel.into(), frame });
            return None;
        }
        let (sent, failed, remote) = self.core.publish(channel, binary, bytes, palette);
        if remote == 0 {
            return Some((sent, failed));
        }
        let origin = self.expect();
        let frame = Arc::new(ClientFrame { binary, bytes: bytes.to_vec() });
        let channel = self.core.channels.name(channel).unwrap_or_else(|| channel.into());
        self.core.publish_remote(origin, &channel, &frame, (sent, failed), remote);
        None
    }

    fn set_ping(&mut self, ms: u64) {
        self.control.ping_ms = ms.min(u64::from(u32::MAX)) as u32;
    }

    fn stall(&mut self) {
        loop {
            std::thread::park();
        }
    }

    fn count(&mut self, what: Count) {
        match what {
            Count::MeshMessageRefused => self.core.metrics().mesh_refused.add(1),
            Count::NsdbSubscribed => self.core.metrics().nsdb_subscriptions.add(1),
            Count::NsdbUnsubscribed(n) => self.core.metrics().nsdb_subscriptions.subtract(n),
            Count::NsdbDropped(n) => self.core.metrics().nsdb_dropped.add(n),
            Count::NsdbSkipped(n) => self.core.metrics().nsdb_skipped.add(n),
            Count::NsdbPush => self.core.metrics().nsdb_pushes.add(1),
        }
    }
}

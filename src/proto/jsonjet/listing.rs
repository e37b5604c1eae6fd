//! `list` and `info` (jsonjet, 2.5).

use super::codec::{self, Object};
use super::session::JsonJet;
use super::statement::{Progress, command};
use super::{flows, map};
use crate::config::Role;
use crate::model::flow::Flow;
use crate::model::time::iso_ms;
use crate::model::topic::{Storage, Topic, TopicId};
use crate::proto::Intake;
use crate::query::dialect::jet::{Failure, Listing};
use ahash::AHashMap;
use std::sync::Arc;

impl JsonJet {
    pub(super) fn list(
        &self,
        listing: Listing,
        http: bool,
        intake: &dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Read)?;
        match listing {
            Listing::Flows => Ok(self.list_flows(intake)),
            Listing::Lookups => Ok(flows::list_lookups(intake)),
            Listing::Queries => Ok(self.list_queries(intake)),
            Listing::Streams => {
                let mut all = map::all(intake);
                all.retain(|topic| self.may_touch(map::shown(topic)));
                let mut message = format!("Found {} stream(s):", all.len());
                for (n, topic) in all.iter().enumerate() {
                    let (name, count) = (map::shown(topic), topic.shared.records());
                    message.push_str(&format!("\n{}. {name} ({count} documents)", n + 1));
                }
                let names = codec::array(all.iter().map(|topic| codec::quoted(map::shown(topic))));
                Ok(command(&Object::new().raw("streams", &names).end(b""), &message))
            }
            Listing::Subscriptions => {
                let mut all: Vec<(u64, Arc<Topic>)> = if http {
                    let of = |topic: Arc<Topic>| {
                        let ids = topic.shared.subscriptions();
                        ids.into_iter().map(move |id| (id, Arc::clone(&topic)))
                    };
                    map::all(intake).into_iter().flat_map(of).collect()
                } else {
                    self.subscriptions.iter().map(|s| (s.id, Arc::clone(&s.topic))).collect()
                };
                all.retain(|(_, topic)| self.may_touch(map::shown(topic)));
                all.sort_by_key(|(id, _)| *id);
                let mut message = format!("Found {} active subscription(s):", all.len());
                for (n, (id, topic)) in all.iter().enumerate() {
                    message.push_str(&format!("\n{}. ID {id}: {}", n + 1, map::shown(topic)));
                }
                let list = codec::array(all.iter().map(|(id, topic)| {
                    let entry = Object::new().number("subscriptionId", *id);
                    entry.text("streamName", map::shown(topic)).end(b"")
                }));
                Ok(command(&Object::new().raw("subscriptions", &list).end(b""), &message))
            }
        }
    }

    pub(super) fn info(
        &self,
        name: Option<&str>,
        intake: &dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Read)?;
        if let Some(name) = name
            && let Some(flow) = intake.flow(name)
            && self.may_touch(flow.spec.source.short())
            && map::find(name, intake).is_none()
        {
            let source = map::find(flow.spec.source.full(), intake);
            let info = flows::flow_info(&flow, source.as_deref());
            let result = Object::new().raw("info", &info).end(b"");
            return Ok(command(&result, &format!("Flow '{name}' info retrieved")));
        }
        let mut readers: AHashMap<TopicId, Vec<Arc<Flow>>> = AHashMap::new();
        for flow in self.visible_flows(intake) {
            readers.entry(flow.source).or_default().push(flow);
        }
        let of = |topic: &Topic| readers.get(&topic.id).map_or(&[][..], Vec::as_slice);
        if let Some(name) = name {
            let topic = self.stream(name, "COMMAND_FAILED", intake)?;
            let result = Object::new().raw("info", &describe(&topic, of(&topic))).end(b"");
            let message = format!("Stream '{}' info retrieved", map::shown(&topic));
            return Ok(command(&result, &message));
        }
        let mut all = Object::new();
        for topic in map::all(intake) {
            let shown = map::shown(&topic);
            if self.may_touch(shown) {
                all = all.raw(shown, &describe(&topic, of(&topic)));
            }
        }
        let result = Object::new().raw("info", &all.end(b"")).end(b"");
        Ok(command(&result, "Stream information retrieved"))
    }
}

/// A stream, and the flows that read it.
fn describe(topic: &Topic, readers: &[Arc<Flow>]) -> Vec<u8> {
    let names = readers.iter().filter_map(|flow| flow.spec.name.as_deref()).map(codec::quoted);
    let (flow_names, flow_count) = (codec::array(names), readers.len() as u64);
    let subscribers = topic.shared.subscriptions();
    let count = subscribers.len() as u64;
    let ids = codec::array(subscribers.iter().map(u64::to_string));
    let iso = |time: Option<i64>| match time {
        Some(time) => codec::quoted(&iso_ms(time)),
        None => b"null".to_vec(),
    };
    let pipe = topic.storage == Storage::Pipe;
    let retain = match (pipe, topic.retention.records) {
        (true, _) => b"0".to_vec(),
        (false, Some(n)) => n.to_string().into_bytes(),
        (false, None) => b"null".to_vec(),
    };
    Object::new()
        .text("name", map::shown(topic))
        .text("topic", topic.name.full())
        .text("type", if pipe { "pure-stream" } else { "log-stream" })
        .number("flowSubscriberCount", flow_count)
        .number("userSubscriberCount", count)
        .number("totalSubscriberCount", count + flow_count)
        .raw("flowSubscribers", &flow_names)
        .raw("userSubscribers", &ids)
        .number("documentCount", topic.shared.records())
        .number("subscriberCount", count + flow_count)
        .raw("createdAt", &iso(Some(topic.created)))
        .raw("lastActivity", &iso(topic.shared.last_activity()))
        .raw("retain", &retain)
        .end(b"")
}

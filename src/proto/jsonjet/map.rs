//! Streams are topics: how a name finds its topic (jsonjet, section 1).

use crate::model::name::TopicName;
use crate::model::topic::Topic;
use crate::proto::Intake;
use std::sync::Arc;

/// The name of the stream that every server has.
pub const LOG_STREAM: &str = "_log";

/// The topic that a client names, in a statement or as a string.
pub fn find(name: &str, intake: &dyn Intake) -> Option<Arc<Topic>> {
    if name == LOG_STREAM {
        return Some(intake.log_topic());
    }
    intake.topic(&TopicName::parse(name)?)
}

/// The name that answers say.
pub fn shown(topic: &Topic) -> &str {
    topic.name.short()
}

/// All streams in the order of creation, `_log` first.
pub fn all(intake: &dyn Intake) -> Vec<Arc<Topic>> {
    let mut list = vec![intake.log_topic()];
    list.extend(intake.topics());
    list
}

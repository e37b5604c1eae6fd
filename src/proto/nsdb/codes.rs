//! Texts of the protocol (nsdb, 3 to 5 and 8), and what a refusal becomes.

use crate::model::name::TopicName;
use crate::model::refusal::Refusal;

pub const INVALID_MESSAGE: &[u8] = b"{\"error\":\"invalid message sent\"}";
pub const NOT_SELECT: &str = "not a select statement";
pub const TOO_MANY: &str = "too many queries on this connection";
pub const NOT_FOUND: &str = "The requested resource could not be found.";
pub const NO_UPGRADE: &str = "Expected WebSocket Upgrade request";
pub const BAD_METRIC: &str =
    r#"[{"name":"metric","error":"Field metric must contain only alphanumeric chars"}]"#;

/// `Metric m does not exist ` with its blank.
pub fn unknown_metric(metric: &str) -> String {
    format!("Metric {metric} does not exist ")
}

/// `Metric m is a typed table, read only here`, of the bare name of a topic.
pub fn typed_table(name: &TopicName) -> String {
    let metric = name.short().rsplit('.').next().unwrap_or_default();
    format!("Metric {metric} is a typed table, read only here")
}

/// Status and text of a refused write.
pub fn write_refused(refusal: Refusal) -> (u16, &'static str) {
    match refusal.storage_text() {
        Some(text) => (507, text),
        None => (500, "the command could not be carried out"),
    }
}

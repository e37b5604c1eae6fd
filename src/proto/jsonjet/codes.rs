//! Every error text of the protocol (jsonjet, 2.4 and 2.6), and what a refusal becomes.

use crate::model::refusal::Refusal;
use crate::query::dialect::jet::Failure;

pub const UNKNOWN_TYPE: &str =
    "Unknown message type. Supported types: subscribe, unsubscribe, insert, execute";
pub const NAMES_REQUIRED: &str = "Stream name(s) are required";
pub const NAMES_EMPTY: &str = "At least one stream name is required";
pub const NAMES_NO_STRINGS: &str = "All stream names must be non-empty strings";
pub const NAME_NO_STRING: &str = "Stream name must be a string or array of strings";
pub const BAD_REPLAY: &str = "replay must be a non-negative integer or \"all\"";
pub const BAD_SUBSCRIPTION_ID: &str = "subscriptionId must be a positive integer";
pub const TARGET_REQUIRED: &str = "Target stream name is required";
pub const DATA_REQUIRED: &str = "Data is required";
pub const DATA_EMPTY: &str = "Data array cannot be empty";
pub const ITEMS_NO_OBJECTS: &str = "All items in data array must be objects";
pub const DATA_NO_OBJECT: &str = "Data must be an object or array of objects";
pub const DATA_TOO_LONG: &str = "Data array must not exceed 100000 items";
pub const QUERY_REQUIRED_WS: &str = "Query is required and must be a string";
pub const QUERY_REQUIRED_HTTP: &str = "Query is required";
pub const NOT_ALLOWED: &str = "Not allowed";
pub const LOG_READ_ONLY: &str = "Stream '_log' is read-only";

/// `Stream 'x' does not exist`.
pub fn unknown_stream(name: &str) -> String {
    format!("Stream '{name}' does not exist")
}

/// `Stream 'x' is a typed table, read only here`.
pub fn typed_table(name: &str) -> String {
    format!("Stream '{name}' is a typed table, read only here")
}

/// Text and HTTP status of a refused insert.
pub fn insert_refused(refusal: Refusal, stream: &str) -> (String, u16) {
    match refusal {
        Refusal::UnknownTopic => (unknown_stream(stream), 500),
        Refusal::Protected => (LOG_READ_ONLY.to_owned(), 400),
        Refusal::TypedTable => (typed_table(stream), 400),
        other => match other.storage_text() {
            Some(text) => (text.to_owned(), 507),
            None => ("Insert failed".to_owned(), 500),
        },
    }
}

/// Code and text of a refused statement.
pub fn statement_refused(refusal: Refusal, stream: &str) -> Failure {
    match refusal {
        Refusal::TopicExists => Failure::new(
            "STREAM_ALREADY_EXISTS",
            format!(
                "Stream '{stream}' already exists. Use 'create or replace stream {stream}' to \
                 replace it."
            ),
        ),
        Refusal::UnknownTopic => Failure::new("STREAM_NOT_FOUND", unknown_stream(stream)),
        Refusal::Protected => Failure::new("COMMAND_FAILED", LOG_READ_ONLY),
        Refusal::TypedTable => Failure::new("COMMAND_FAILED", typed_table(stream)),
        Refusal::FlowExists => {
            Failure::new("FLOW_ALREADY_EXISTS", format!("Flow '{stream}' already exists"))
        }
        Refusal::UnknownFlow => {
            Failure::new("FLOW_NOT_FOUND", format!("Flow '{stream}' not found"))
        }
        Refusal::FlowCycle => Failure::new("COMMAND_FAILED", "Flow cycle"),
        Refusal::FlowTooDeep => {
            Failure::new("COMMAND_FAILED", "Chains of flows are at most 32 deep")
        }
        Refusal::LookupExists => Failure::new(
            "COMMAND_FAILED",
            format!(
                "Lookup '{stream}' already exists. Use 'create or replace lookup {stream} = \
                 <value>' to replace it."
            ),
        ),
        Refusal::UnknownLookup => {
            Failure::new("LOOKUP_NOT_FOUND", format!("Lookup '{stream}' does not exist"))
        }
        Refusal::TooManyDefinitions => Failure::new("COMMAND_FAILED", "Too many definitions"),
        Refusal::TooManyTopics => Failure::new("COMMAND_FAILED", "Too many streams"),
        other => Failure::new("COMMAND_FAILED", other.storage_text().unwrap_or("Command failed")),
    }
}

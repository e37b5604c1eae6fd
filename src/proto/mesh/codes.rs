//! Error codes of the mesh (mesh, section 2) and what a refusal becomes. Codes are fixed, texts
//! free.

use crate::model::refusal::Refusal;

/// A code and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Code.
    pub code: u16,
    /// Text.
    pub text: String,
}

pub const INVALID: u16 = 101;
pub const CONSUME_FAILED: u16 = 201;
pub const CONSUMED_ALREADY: u16 = 202;
pub const NOT_CONSUMED: u16 = 203;
pub const CALL_FAILED: u16 = 301;
pub const SEND_FAILED: u16 = 401;

/// Joins the parts.
pub fn fault(code: u16, text: impl Into<String>) -> Fault {
    Fault { code, text: text.into() }
}

/// An invalid argument.
pub fn invalid(text: impl Into<String>) -> Fault {
    fault(INVALID, text)
}

/// The code of a missing permission, by method.
pub fn forbidden(method: &str) -> Fault {
    let code = match method.split('.').next() {
        Some("queue") => CONSUME_FAILED,
        Some("conn") => CALL_FAILED,
        _ if method == "mesh.send" => SEND_FAILED,
        _ => INVALID,
    };
    fault(code, format!("not allowed to use {method}"))
}

/// A refusal of a method whose failures have `code`.
pub fn refused(refusal: Refusal, code: u16) -> Fault {
    let text = match refusal {
        Refusal::UnknownClient => "no such client",
        Refusal::OutboxFull => "the client's outbox is full",
        Refusal::ContextTooLarge => "context over 64 keys or 16 KiB",
        Refusal::TooManyChannels => "over 256 channels for one client",
        Refusal::TooManyTopics => "too many queue topics",
        Refusal::AlreadyConsumed => {
            return fault(CONSUMED_ALREADY, "already consumed by this connection");
        }
        Refusal::Protected | Refusal::TypedTable => "not a topic",
        Refusal::NotConsumed => return fault(NOT_CONSUMED, "nothing is consumed"),
        Refusal::Stopping => "shutting down",
        other => other.storage_text().unwrap_or("failed"),
    };
    fault(code, text)
}

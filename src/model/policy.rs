//! Choices that the configuration makes and several layers obey.

/// What happens when a connection has more queued than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullPolicy {
    /// The connection is closed with 1013.
    Disconnect,
    /// The oldest deliveries that wait whole are dropped.
    DropOldest,
    /// The newest deliveries are dropped.
    DropNewest,
}

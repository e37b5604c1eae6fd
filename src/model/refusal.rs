//! What the domain says no with. Each front-end turns it into its own error in its `codes`.

/// Why a command was not carried out; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No topic of that name.
    UnknownTopic,
    /// A topic of that name exists.
    TopicExists,
    /// The topic cannot be written, replaced or deleted.
    Protected,
    /// The topic is a typed table, which takes typed rows only.
    TypedTable,
    /// A flow of that name exists.
    FlowExists,
    /// No such flow or continuous query.
    UnknownFlow,
    /// The flow would read what it or those behind it write.
    FlowCycle,
    /// The chain of flows would be too long.
    FlowTooDeep,
    /// A constant of that name exists.
    LookupExists,
    /// No constant of that name.
    UnknownLookup,
    /// The appliance holds as many definitions as it may.
    TooManyDefinitions,
    /// The name is empty, too long or malformed.
    BadName,
    /// The appliance holds as many topics as it may.
    TooManyTopics,
    /// As many messages wait as the queue may hold.
    QueueFull,
    /// The connection consumes this topic already.
    AlreadyConsumed,
    /// The connection consumes nothing, or not this.
    NotConsumed,
    /// No open client of that id.
    UnknownClient,
    /// The client's outbox does not take the frame.
    OutboxFull,
    /// The context would exceed its bounds.
    ContextTooLarge,
    /// The client is in as many channels as it may.
    TooManyChannels,
    /// No space on the disk.
    StorageFull,
    /// A write failed; the partition takes no more.
    StorageReadOnly,
    /// Too much is under way; try again.
    Busy,
    /// The appliance is stopping.
    Stopping,
}

impl Refusal {
    /// The text of storage trouble (interchange, "Storage trouble"), if this is that.
    #[must_use]
    pub fn storage_text(self) -> Option<&'static str> {
        match self {
            Refusal::StorageFull => Some("Storage is full"),
            Refusal::StorageReadOnly => Some("Storage is read-only"),
            Refusal::Stopping => Some("Server is stopping"),
            Refusal::Busy => Some("Server is busy"),
            _ => None,
        }
    }
}

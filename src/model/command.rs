//! Commands: what a session asks of the broker. None knows a protocol. Appending records has a call
//! of its own (`proto::Intake::append`), because its bodies are borrowed from the receive buffer.

use super::flow::{FlowRef, FlowSpec};
use super::interest::Interest;
use super::name::TopicName;
use super::record::Offset;
use super::table::Entry;
use super::topic::{Retention, SubscriptionId, TopicId};
use std::sync::Arc;

/// Number of an open end-user connection of the mesh.
pub type ClientId = u64;

/// What to do if the thing to be made exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// Refuse.
    Refuse,
    /// Delete it and make it anew.
    Replace,
    /// Leave it as it is.
    Keep,
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With what comes.
    Live,
    /// With the last so many retained records.
    Last(u64),
    /// With the record of this offset, or the oldest retained one after it.
    From(Offset),
}

/// A frame for an end user's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFrame {
    /// A binary frame, else text.
    pub binary: bool,
    /// Its payload.
    pub bytes: Vec<u8>,
}

/// What can be done with one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCall {
    /// Sets a key of the context to a JSON text; `None` removes it.
    SetContextValue(String, Option<Vec<u8>>),
    /// Replaces the context by these keys and JSON texts.
    SetContext(Vec<(String, Vec<u8>)>),
    /// Adds the client to channels.
    Subscribe(Vec<Arc<str>>),
    /// Removes it from channels.
    Unsubscribe(Vec<Arc<str>>),
    /// Closes it after what is queued.
    Close(u16, String),
    /// Asks for the context.
    GetContext,
    /// Asks for everything.
    Info,
    /// Sends it a frame.
    Send(ClientFrame),
}

/// Definitions that are made and removed together, all or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    /// Entries of the catalog.
    pub entries: Vec<Entry>,
    /// Topics of typed rows to be made; none of these names may be taken.
    pub create: Vec<TopicName>,
    /// Topics of typed rows to be deleted.
    pub delete: Vec<TopicName>,
}

/// A command whose parts are owned.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes a topic.
    CreateTopic {
        /// Its name.
        name: TopicName,
        /// What it keeps.
        retention: Retention,
        /// Keeps nothing at all.
        pipe: bool,
        /// Made by the queue.
        queue: bool,
        /// What to do if it exists.
        if_exists: IfExists,
    },
    /// Makes and removes definitions of typed tables.
    Define(Definitions),
    /// Deletes a topic and what it holds.
    DeleteTopic {
        /// Its name.
        name: TopicName,
    },
    /// Hides records from every kept view.
    Hide {
        /// Of this topic.
        topic: TopicId,
        /// Which, ascending.
        ranges: Vec<(Offset, Offset)>,
    },
    /// Subscribes this connection, all or none.
    Subscribe {
        /// Which, and where each begins.
        topics: Vec<(TopicId, Begin)>,
        /// Records that are not wanted need not be given.
        interest: Option<Interest>,
    },
    /// Ends subscriptions of this connection.
    Unsubscribe {
        /// Which.
        subscriptions: Vec<(TopicId, SubscriptionId)>,
    },
    /// Takes messages from queues.
    Pop {
        /// From these; made if absent.
        topics: Vec<TopicName>,
        /// Each is outstanding until acknowledged.
        acknowledge: bool,
    },
    /// Ends all consumption of this connection.
    Unpop,
    /// Acknowledges messages.
    Acknowledge {
        /// Of this queue.
        topic: TopicId,
        /// These.
        offsets: Vec<Offset>,
    },
    /// Something with one client.
    Client {
        /// Which.
        client: ClientId,
        /// What.
        call: ClientCall,
    },
    /// Sends a frame to all clients of a channel, behind the commands before it.
    Publish {
        /// Which.
        channel: Arc<str>,
        /// What.
        frame: Arc<ClientFrame>,
    },
    /// Makes a flow or a continuous query.
    CreateFlow {
        /// What it does.
        spec: FlowSpec,
        /// What to do if one of the name exists.
        if_exists: IfExists,
    },
    /// Ends a flow or a continuous query, which first emits what it holds.
    DeleteFlow {
        /// Which.
        flow: FlowRef,
    },
    /// Names a constant.
    SetLookup {
        /// Its name as written.
        name: String,
        /// Its value, JSON text.
        value: Vec<u8>,
        /// What to do if it exists.
        if_exists: IfExists,
    },
    /// Forgets a constant.
    DeleteLookup {
        /// Its name.
        name: String,
    },
    /// Lets every flow that reads the topic emit what it holds.
    Flush {
        /// Which.
        topic: TopicId,
    },
    /// Who is in a channel.
    Presence {
        /// Which.
        channel: Arc<str>,
    },
}

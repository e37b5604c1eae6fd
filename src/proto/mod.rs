//! The front-ends' contract. A session turns messages into commands and events into frames; it owns
//! no socket, reads no clock and never waits.
//!
//! A sixth protocol is one new folder with the same files, one row of [`PROTOCOLS`] and one variant
//! of [`AnySession`].

pub mod contract;
pub mod jsonjet;
pub mod mesh;
pub mod raw;
pub mod nsdb;
pub mod taos;
pub mod registry;
pub mod view;

pub use contract::{
    CloseReason, HttpReply, Intake, Manners, Message, PeerInfo, Request, Session, Violation,
};
pub use registry::{AnySession, PROTOCOLS, Port, Protocol};

//! TDengine clients: SQL over HTTP and WebSocket, typed tables (protocol pages, taos).

mod access;
mod block;
mod codec;
mod job;
mod rest;
mod session;
mod tmq;

pub use session::Taos;

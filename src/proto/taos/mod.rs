//! TDengine clients: SQL over HTTP and WebSocket, typed tables (protocol pages, taos).

mod access;
mod bind;
mod block;
mod codec;
mod job;
mod login;
mod people;
mod rest;
mod results;
mod schemaless;
mod session;
mod tmq;

pub use session::Taos;

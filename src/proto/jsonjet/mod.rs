//! JSON streams (jsonjet). `codec` reads messages and writes answers, `session` holds a connection,
//! `statement` carries out JET statements, `http` the routes, `map` names, `codes` errors.

mod codec;
mod codes;
mod flows;
mod http;
mod listing;
mod map;
mod oneshot;
mod outcome;
mod replay;
mod session;
mod statement;

pub use session::JsonJet;

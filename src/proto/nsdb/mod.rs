//! The NSDb front-end (nsdb). `codec` reads requests and writes answers, `map` names topics,
//! `metric` is what all shards know of one, `job` what runs on query workers, `session` holds a
//! connection, `socket` its registrations, `live` its queries and their pushes; `http` and
//! `commands` are the routes, `codes` the texts.

mod codec;
mod codes;
mod commands;
mod http;
mod job;
mod live;
mod map;
mod metric;
mod session;
mod socket;

pub use session::Nsdb;

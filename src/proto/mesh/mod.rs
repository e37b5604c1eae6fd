//! The mesh: backends on the API port (`api`, `http`), end users on theirs (`users`). `codec` reads
//! and writes the envelope, `ask` checks parameters, `consume` holds the queues of a backend, `map`
//! names and ids, `codes` errors; `quick` knows the usual writing of a publish.

mod api;
mod ask;
mod codec;
mod codes;
mod consume;
mod http;
mod map;
mod quick;
mod users;

pub use api::MeshApi;
pub use users::MeshUser;

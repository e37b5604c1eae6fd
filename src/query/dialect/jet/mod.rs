//! JET, the language of JSON streams (jsonjet, section 3): the statements about streams.
//! Definitions of flows and lookups and pipelines are recognised and handed out as such.

mod lex;
mod literal;
mod statement;

pub use lex::split;
pub use literal::to_json;
pub use statement::{
    Dropped, Existing, Failure, Listing, Statement, StreamOptions, is_stream_name, parse,
};

//! JET, the language of JSON streams (jsonjet, section 3). `statement` reads statements,
//! `operators` and `summarize` pipelines, `expression` and `calls` expressions,
//! `options` what stands behind `with`, `token` the words of all three;
//! `lex` finds where statements end, `literal` turns literals into JSON.

mod lex;
mod literal;
mod statement;
mod token;
mod expression;
mod calls;
mod objects;
mod options;
mod operators;
mod summarize;
#[cfg(test)]
mod golden;

pub use calls::is_built_in;
pub use lex::split;
pub use literal::to_json;
pub use statement::{
    Dropped, Existing, Failure, Form, Listing, Statement, StreamOptions, is_stream_name, parse,
};

//! Queries: text to a flat program, and what evaluates it.
//!
//! [`dialect`] turns the text of a language into the one representation: expressions are
//! [`program`]s of a stack machine, a query is a [`pipeline`] of operators over records. Where
//! languages differ (null against missing, what is true, how numbers divide) they use operators of
//! their own: [`loose`] are those of JavaScript, which JET follows. Two drivers run a pipeline:
//! [`push`] over records as they arrive, [`pull`] over retained ones on a query worker.
//!
//! RQL has types and nested queries as values, which no flat program says: it is compiled to a tree
//! of its own and run by [`strict`], whose operators propagate null and fail on a wrong kind.

pub mod program;
pub mod loose;
pub mod aggregate;
pub mod pipeline;
pub mod push;
pub mod pull;
pub mod place;
pub mod dialect;
pub mod index;
pub mod kept;
pub mod strict;
pub mod tables;

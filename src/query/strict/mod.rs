//! Typed queries: what RQL is compiled to, and what evaluates it.
//!
//! Method: a checked query is a tree of [`plan`] nodes whose variables are numbered slots; one
//! machine ([`eval`]) walks it on a query worker. Collections are pushed element by element from
//! where they arise to where they are used, so a scan holds one record at a time and the first row
//! leaves at once; only sorting, grouping, joins and values that are used as such are held, and
//! what is held is counted against the query's budget. The operators here propagate null, know
//! three truth values and fail on a wrong kind; the loosely typed ones of JET are others.
//! Recursion is as deep as the text is nested, which the parser bounds.

pub mod types;
pub mod value;
pub mod json;
pub mod time;
pub mod typed;
pub mod compare;
pub mod operators;
pub mod cast;
pub mod plan;
pub mod eval;
pub mod files;

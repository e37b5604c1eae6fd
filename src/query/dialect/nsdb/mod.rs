//! The SQL dialect of NSDb: text to a query over bits, its meaning, its canonical print, its result
//! (nsdb, sections 1, 4.3, 5.2 and 6).
//!
//! Method: `lex` and `parse` make a [`Statement`]; `check` compares a SELECT with the [`Schema`] of
//! its metric; `run` evaluates it over retained bits, `window` over arriving ones. A condition is
//! a flat tree of tests ([`condition`]) instead of a program of the stack machine: each test looks
//! at one field of a bit and is true or false, a missing field being false, so there are no values
//! in between and nothing that the operators of other dialects would decide differently.

pub mod aggregate;
pub mod bit;
pub mod check;
pub mod condition;
mod lex;
pub mod parse;
pub mod print;
pub mod run;
pub mod schema;
pub mod window;

#[cfg(test)]
mod tests;

pub use bit::{Bit, Cell};
pub use condition::{Condition, Constant, Node, Operator, Test};
pub use parse::{Aggregate, Group, Insert, Item, Select, Statement, parse};
pub use schema::{Kind, Place, Schema};

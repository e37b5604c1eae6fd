//! What the operator decides: read once at start, checked, then only looked at.
//!
//! One table of keys ([`keys`]) is the only place where a key is described; checking, the listing of
//! what is in force and the commented default file are made from it.

pub mod access;
pub mod effective;
pub mod keys;
pub mod load;
pub mod problem;
pub mod render;
pub mod slot;
#[cfg(test)]
mod tests;

pub use access::{Access, Role, User};
pub use effective::{Config, Durability};
pub use load::{load, parse};
pub use problem::Problem;

//! What the operator decides: read once at start, checked, then only looked at.

pub mod access;
pub mod effective;

pub use access::{Access, Role, User};
pub use effective::{Config, Durability};

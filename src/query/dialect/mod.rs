//! One folder for each language. They never import each other.

pub mod jet;
pub mod rql;
pub mod nsdb;
pub mod taos;

//! Queries: text to statements, and (with the pipeline language) to a program that is evaluated.

pub mod dialect;
pub mod strict;

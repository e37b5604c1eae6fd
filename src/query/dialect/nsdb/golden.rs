//! Statements, what they mean, what they give: source, canonical text, rows or error.
use super::*;
#[test]
fn placeholder() {}

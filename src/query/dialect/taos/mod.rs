//! The SQL of typed tables: text to a tree. What a statement means is decided by
//! [`crate::query::tables`].
//!
//! Invariant: every text gives a tree or a [`Wrong`]; nesting is bounded, so that neither parsing
//! nor walking a tree can exhaust a stack.

pub mod ast;
pub mod lex;
mod definition;
mod expression;
mod parser;
mod people;
mod select;
mod show;
mod write;

pub use parser::parse;

/// Bytes of the rest of a statement that an error shows.
const SHOWN_BYTES: usize = 100;

/// What is wrong with a statement: a code, as clients know it, and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// See `tables::codes`.
    pub code: u16,
    /// In words.
    pub text: String,
}

impl Wrong {
    /// With this code and text.
    #[must_use]
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The text is wrong from this byte on.
    #[must_use]
    pub fn syntax(text: &str, at: usize) -> Self {
        let rest = text.get(at..).unwrap_or_default().trim_end();
        let end = (0..=rest.len().min(SHOWN_BYTES)).rev().find(|end| rest.is_char_boundary(*end));
        let shown = rest.get(..end.unwrap_or(0)).unwrap_or_default();
        Self::new(0x2600, format!("syntax error near \"{shown}\""))
    }
}

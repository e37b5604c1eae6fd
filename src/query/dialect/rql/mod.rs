//! RQL, the query language of the raw front-end (raw, part 2).
//!
//! [`parse`] makes a tree of the text, [`bind`] finds what its names mean, checks its types and
//! makes a plan that [`crate::query::strict`] runs. A fault of syntax is told alone; all others
//! together, in the order of the text.

mod alike;
pub mod ast;
pub mod bind;
pub mod lex;
pub mod parse;
pub mod source;
pub mod world;

use crate::query::strict::plan::Plan;
use source::{Span, Wrong};
use world::World;

/// Errors that are told.
pub const ERRORS_MAX: usize = 100;

/// A query that is ready to run.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What is run.
    pub plan: Plan,
    /// Where its expression stands, declarations left out.
    pub span: Span,
}

/// Compiles a query of at most `bytes_max` bytes.
///
/// # Errors
/// What is wrong with it, in the order of the text.
pub fn compile(
    text: &str,
    bytes_max: usize,
    world: &mut dyn World,
) -> Result<Compiled, Vec<Wrong>> {
    if text.len() > bytes_max {
        return Err(vec![Wrong { message: "query too long".to_owned(), span: None }]);
    }
    let program = parse::parse(text).map_err(|wrong| vec![wrong])?;
    let plan = bind::bind(&program, world)?;
    Ok(Compiled { plan, span: program.node(program.block.value).span })
}

#[cfg(test)]
mod tests;

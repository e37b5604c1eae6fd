//! What a query may ask about the world while it is compiled.

use crate::model::name::TopicName;
use crate::model::topic::Topic;
use crate::query::strict::files::{FileError, FileSource};
use crate::query::strict::types::{Shape, Type};
use std::rc::Rc;
use std::sync::Arc;

/// What is known of the elements of a topic.
#[derive(Clone, Debug)]
pub enum Elements {
    /// Whatever was written; with the fields that were seen.
    Schemaless(Rc<Shape>),
    /// Rows of a table.
    Typed(Type),
}

/// A topic that exists for the user.
#[derive(Clone, Debug)]
pub struct Found {
    /// It.
    pub topic: Arc<Topic>,
    /// Its elements.
    pub elements: Elements,
}

/// See the module's page.
pub trait World {
    /// The topic of that name.
    fn topic(&mut self, name: &TopicName) -> Option<Found>;
    /// Whether a database of that name exists.
    fn database(&mut self, name: &str) -> bool;
    /// Looks at a file: fills in what `source` leaves open and gives the type of its content.
    ///
    /// # Errors
    /// It may not or cannot be read.
    fn file(&mut self, location: &str, source: &mut FileSource) -> Result<Type, FileError>;
}

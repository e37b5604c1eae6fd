//! What a query may ask about the world while it is compiled.

use crate::model::name::TopicName;
use crate::model::record::Record;
use crate::model::topic::Topic;
use crate::query::pull::Bench;
use crate::query::strict::files::{FileError, FileSource, look};
use crate::query::strict::typed::row_type;
use crate::query::strict::types::{Name, Shape, Type};
use crate::query::strict::value::Halt;
use std::ops::ControlFlow;
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

/// The appliance as the user of a query sees it.
pub struct Appliance<'a> {
    /// The appliance.
    pub bench: &'a mut dyn Bench,
    /// Whether the user may touch the topic of this short name.
    pub may_touch: &'a dyn Fn(&str) -> bool,
    /// Why the appliance could not answer: whatever was compiled then means nothing.
    pub fault: Option<Halt>,
}

impl Appliance<'_> {
    /// Whether a topic retains any record.
    fn has_records(&mut self, topic: &Arc<Topic>) -> bool {
        let mut found = false;
        if let Ok(mut records) = self.bench.open(topic) {
            let mut visit = |_, _: &Record<'_>| {
                found = true;
                ControlFlow::Break(())
            };
            // A chunk may be empty, but not one chunk after the other.
            for _ in 0..16 {
                if !matches!(records.next_chunk(&mut visit), Ok(true)) {
                    break;
                }
            }
        }
        found
    }
}

impl World for Appliance<'_> {
    fn topic(&mut self, name: &TopicName) -> Option<Found> {
        if !(self.may_touch)(name.short()) {
            return None;
        }
        let topic = self.bench.topic(name)?;
        if topic.typed
            && let Some(row) = self.bench.tables().table(name).and_then(|table| row_type(table))
        {
            return Some(Found { topic, elements: Elements::Typed(row) });
        }
        let names = match self.bench.observed_fields(&topic) {
            Ok(names) => names,
            Err(fault) => {
                let halt = self.bench.check().err().map_or(Halt::Failed(fault.0), Halt::Stopped);
                self.fault = Some(halt);
                return None;
            }
        };
        let fields: Vec<Name> = names.iter().map(|name| Name::from(&**name)).collect();
        let open = fields.is_empty() && !self.has_records(&topic);
        let shape = Rc::new(Shape { fields, open });
        Some(Found { topic, elements: Elements::Schemaless(shape) })
    }

    fn database(&mut self, name: &str) -> bool {
        self.bench.has_database(name)
    }

    fn file(&mut self, location: &str, source: &mut FileSource) -> Result<Type, FileError> {
        Ok(look(self.bench.files_dir(), location, source)?.kind)
    }
}

impl std::fmt::Debug for Appliance<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appliance").finish_non_exhaustive()
    }
}

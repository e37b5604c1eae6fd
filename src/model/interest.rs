//! What a subscription needs of a record, where it does not want all of them.

use super::record::{Offset, Record};
use super::topic::TopicId;
use super::value::Value;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// Conditions that a record must meet, and possibly others. Without any, every record may.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A field, and the values of which it must have one.
    pub equal: Option<(Box<str>, Vec<Value<'static>>)>,
    /// A field, and the numbers it must lie between, both included.
    pub range: Option<(Box<str>, f64, f64)>,
}

/// How a front-end sees the fields of records.
pub trait Lens: Debug + Send + Sync {
    /// Calls `see` with the named fields of a record, [`Value::Missing`] where there is none; not
    /// at all if the record is nothing that the front-end can show. What was worked out may be left
    /// in the memo for the sessions that will be given the record in the same turn.
    fn look(
        &self,
        topic: TopicId,
        record: (Offset, &Record<'_>),
        names: &[String],
        memo: &mut Memo,
        see: &mut dyn FnMut(&[Value<'_>]),
    );
}

/// See the module's page. All subscriptions of a topic that have one see it by lenses of one kind.
#[derive(Clone, Debug)]
pub struct Interest {
    /// The conditions.
    pub wanted: Wanted,
    /// How its fields are read.
    pub lens: Arc<dyn Lens>,
}

/// Anything, until the turn ends.
#[derive(Default)]
pub struct Memo(Option<Box<dyn Any>>);

impl Memo {
    /// What is there of this kind, made when there is nothing or something else.
    pub fn of<T: Any + Default>(&mut self) -> &mut T {
        if !self.0.as_ref().is_some_and(|memo| memo.is::<T>()) {
            self.0 = None;
        }
        let memo = self.0.get_or_insert_with(|| Box::new(T::default()));
        memo.downcast_mut().expect("it was just made of this kind")
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memo")
    }
}

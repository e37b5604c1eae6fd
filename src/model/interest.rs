//! What a subscription needs of a record, where it does not want all of them.

use super::memo::Memo;
use super::record::{Offset, Record};
use super::topic::TopicId;
use super::value::Value;
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
    /// Calls `see` with the named fields of a record, [`Value::Missing`] where there is none; for
    /// each row of a write, and not at all if the record is nothing that the front-end can show.
    /// What was worked out may be left in the memo for the sessions that will be given the record
    /// in the same turn.
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

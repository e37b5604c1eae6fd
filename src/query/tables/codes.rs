//! What is wrong, as clients know it: numbers and texts (taos, section 12).

use crate::model::refusal::Refusal;
use crate::query::dialect::taos::Wrong;
use crate::query::program::Fault;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name() -> Wrong { Wrong::new($code, $text) })*
    };
}

codes! {
    /// An option or argument is wrong.
    invalid_parameters = 0x0118 "Invalid parameters";
    /// Actions of a statement in an order that makes no sense.
    statement_misused = 0x022A "Stmt API usage error";
    /// Values for a table that nobody named.
    no_table_named = 0x022B "Stmt table name not set";
    /// Columns of one write that have not the same number of values.
    uneven = 0xFFFF "columns of different length";
    /// Two changes of one definition at once.
    changed = 0xFFFF "the table was changed meanwhile, please try again";
    /// The role does not allow it.
    no_privilege = 0x0303 "Insufficient privilege for operation";
    /// A user of that name exists.
    user_exists = 0x0350 "User already exists";
    /// None does.
    no_user = 0x0351 "Invalid user";
    /// A supertable of that name exists.
    stable_exists = 0x0360 "STable already exists";
    /// None does.
    no_stable = 0x0362 "STable not exist";
    /// A tag of that name exists.
    tag_exists = 0x0369 "Tag already exists";
    /// None does.
    no_tag = 0x036A "Tag does not exist";
    /// A column of that name exists.
    column_exists = 0x036B "Column already exists";
    /// None does.
    no_such_column = 0x036C "Column does not exist";
    /// A database of that name exists.
    database_exists = 0x0381 "Database already exists";
    /// An option has no such value.
    bad_option = 0x0382 "Invalid database options";
    /// No such database.
    no_database = 0x0388 "Database not exist";
    /// A definition over the database exists.
    topic_first = 0x03ED "Topic must be dropped first";
    /// A subscription names the column.
    field_used = 0x03C4 "Field used by topic";
    /// Nothing is known of the group.
    no_group = 0x03E8 "Subscribe not exist";
    /// A consumer reads it.
    topic_in_use = 0x03EB "Topic subscribed cannot be dropped";
    /// A consumer is in it.
    group_in_use = 0x03EC "Consumer group being used by some consumer";
    /// A topic of that name exists.
    topic_exists = 0x03E0 "Topic already exists";
    /// None does.
    no_topic = 0x03E1 "Topic not exist";
    /// As many as there may be.
    too_many_topics = 0x03E2 "Too many Topics";
    /// Its query cannot be one.
    bad_topic_query = 0x2639 "Invalid topic query";
    /// A table of that name exists.
    table_exists = 0x0603 "Table already exists";
    /// Too old or too new.
    time_range = 0x060B "Timestamp data out of range";
    /// Not a value of the column.
    bad_value = 0x2605 "Invalid value type";
    /// More or fewer tags than there are.
    tag_count = 0x260D "Tags number not matched";
    /// No database was named.
    no_database_named = 0x2616 "Database not specified";
    /// JSON stands alone among tags.
    json_tag = 0x2634 "Only one tag if there is a json tag";
    /// SLIMIT without slices.
    no_slices = 0x2638 "slimit/soffset only available for PARTITION/GROUP BY query";
    /// FILL without bounds.
    no_range = 0x263B "Start(end) time of query range required or time range too large";
    /// A name stands twice.
    duplicate_column = 0x263C "Duplicated column names";
    /// The first column must be.
    first_no_timestamp = 0x2641 "First column must be timestamp";
    /// A topic of another front-end.
    foreign = 0x2644 "Permission denied or target object not exist";
    /// Longer than the column.
    too_long = 0x2653 "Value too long for column/tag";
    /// Only times and tags.
    bad_delete = 0x2655 "invalid DELETE condition";
    /// Of a function.
    argument_count = 0x2801 "Invalid number of parameters";
    /// Of a function.
    argument_kind = 0x2802 "Invalid parameter type";
}

/// No such table.
#[must_use]
pub fn no_table(name: &str) -> Wrong {
    Wrong::new(0x2603, format!("Table does not exist: {name}"))
}

/// No such column in the tables of a query.
#[must_use]
pub fn no_column(name: &str) -> Wrong {
    Wrong::new(0x2602, format!("Invalid column name: {name}"))
}

/// A statement that is well-formed and cannot be.
#[must_use]
pub fn unsupported(what: &str) -> Wrong {
    Wrong::new(0x2600, format!("syntax error near \"{what}\""))
}

/// The rows of a query take more than they may.
#[must_use]
pub fn too_much_memory() -> Wrong {
    Wrong::new(0xFFFF, "memory limit of a query passed")
}

/// What a refused write is.
#[must_use]
pub fn refused(why: Refusal) -> Wrong {
    match why {
        Refusal::StorageFull => Wrong::new(0x0509, "No disk space"),
        Refusal::StorageReadOnly => Wrong::new(0x0509, "Storage is read-only"),
        Refusal::Stopping => Wrong::new(0x0509, "Server is stopping"),
        Refusal::TopicExists => table_exists(),
        Refusal::UnknownTopic => Wrong::new(0x2603, "Table does not exist"),
        Refusal::TypedTable | Refusal::Protected => foreign(),
        other => Wrong::new(0xFFFF, format!("refused: {other:?}")),
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Wrong::new(0xFFFF, fault.0.into_owned())
    }
}

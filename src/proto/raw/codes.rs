//! Texts and close codes of the conversation (raw, 1.2 to 1.4).

/// Before every detail of an `invalidMessage`.
pub const INVALID: &str = "Error processing message: ";
/// The text ends where more must come.
pub const CUT_OFF: &str = "Unexpected end of input";
/// JSON, but not an object.
pub const NO_OBJECT: &str = "expected an object";
/// No `type`.
pub const NO_TYPE: &str = "missing field 'type'";
/// No `query`.
pub const NO_QUERY: &str = "missing field 'query'";
/// `query` is no string.
pub const QUERY_NO_STRING: &str = "field 'query' must be a string";
/// `settings` is no object.
pub const SETTINGS_NO_OBJECT: &str = "field 'settings' must be an object";
/// A binary frame.
pub const BINARY: &str = "expected a text frame";
/// A query while one runs.
pub const BUSY: &str = "a query is already running";

/// Said before the query is compiled.
pub const COMPILING: &str = "Starting query compilation";
/// Said when it is.
pub const COMPILED: &str = "Finished query compilation";
/// Said when it begins to run.
pub const RUNNING: &str = "Starting query execution";
/// Said before the first bytes.
pub const WRITING: &str = "Starting writing results";
/// Said after the last bytes.
pub const RAN: &str = "Finished query execution";
/// Said at the end.
pub const WROTE: &str = "Finished writing results";

/// More queries than `raw.queries`.
pub const TOO_MANY: &str = "too many queries";

/// The run went well, or the text was wrong.
pub const DONE: (u16, &str) = (1000, "");
/// The run failed.
pub const FAILED: (u16, &str) = (1011, "query failed");
/// Nothing was asked.
pub const IDLE: (u16, &str) = (1000, "idle");

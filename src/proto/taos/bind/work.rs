//! Requests of statements on a query worker.

use super::state::Shared;
use crate::model::event::QueryOutput;
use crate::model::table::Kind;
use crate::model::value::Value;
use crate::proto::taos::block::schema_bytes;
use crate::proto::taos::codec::{Ask, Reply, fault};
use crate::proto::taos::job::Slot;
use crate::proto::taos::schemaless::Lines;
use crate::query::dialect::taos::Wrong;
use crate::query::pull::{Bench, Job};
use crate::query::tables::{Who, World};

/// What is asked for; frames and lists as they came.
#[derive(Debug)]
pub enum Request {
    Prepare(String),
    /// Whether parameters are to be shown.
    PrepareTwo(String, bool),
    SetTableName(String),
    SetTags(String),
    SetTagsBlock(Vec<u8>),
    Bind(String),
    BindBlock(Vec<u8>),
    Exec,
    TagFields,
    ColumnFields,
    CountParameters,
    Parameter(u64),
    BindTwo(Vec<u8>),
    BindExec(Vec<u8>),
    Insert(Lines),
}

impl Request {
    /// Reads what a worker has to do.
    pub fn read(ask: &Ask<'_>) -> Result<Self, Wrong> {
        let wrong = || fault(format!("unmarshal {} request error", ask.action));
        let list = |name: &str| match ask.arg(name) {
            Value::Missing | Value::Null => Ok("[]".to_owned()),
            Value::Json(text) if text.starts_with('[') => Ok(text.to_owned()),
            _ => Err(wrong()),
        };
        Ok(match ask.action.as_str() {
            "prepare" => Self::Prepare(ask.text("sql")?),
            "stmt2_prepare" => {
                let wanted = match ask.arg("get_fields") {
                    Value::Bool(wanted) => wanted,
                    Value::Missing | Value::Null => false,
                    _ => return Err(wrong()),
                };
                Self::PrepareTwo(ask.text("sql")?, wanted)
            }
            "set_table_name" => Self::SetTableName(ask.text("name")?),
            "set_tags" => Self::SetTags(list("tags")?),
            "bind" => Self::Bind(list("columns")?),
            "exec" | "stmt2_exec" => Self::Exec,
            "get_tag_fields" => Self::TagFields,
            "get_col_fields" => Self::ColumnFields,
            "stmt_num_params" => Self::CountParameters,
            "stmt_get_param" => Self::Parameter(ask.number("index")?),
            other => return Err(fault(format!("unknown action {other}"))),
        })
    }

    /// A binary frame.
    pub fn of_frame(action: u64, rest: &[u8]) -> Self {
        let rest = rest.to_vec();
        match action {
            1 => Self::SetTagsBlock(rest),
            2 => Self::BindBlock(rest),
            9 => Self::BindTwo(rest),
            _ => Self::BindExec(rest),
        }
    }

    /// Whether it makes the statement usable.
    pub fn is_prepare(&self) -> bool {
        matches!(self, Self::Prepare(_) | Self::PrepareTwo(..))
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Told {
    Done,
    IsInsert(bool),
    /// And the `?` as JSON, and how many there are.
    Fields(Option<bool>, String, u64),
    Affected(u64),
    Count(u64),
    Parameter(u64, Kind),
    /// So many points.
    Points(u64),
}

impl Told {
    /// Adds its members to a reply.
    pub fn put(self, reply: &mut Reply) {
        match self {
            Self::Done => {}
            Self::IsInsert(is_insert) => reply.raw("is_insert", bool_text(is_insert)),
            Self::Fields(is_insert, fields, count) => {
                if let Some(is_insert) = is_insert {
                    reply.raw("is_insert", bool_text(is_insert));
                    reply.put("fields_count", count);
                }
                reply.raw("fields", &fields);
            }
            Self::Affected(count) => reply.put("affected", count),
            Self::Count(count) => reply.put("num_params", count),
            Self::Parameter(index, kind) => {
                reply.put("index", index);
                reply.put("data_type", u64::from(kind.code()));
                reply.put("length", u64::from(schema_bytes(kind)));
            }
            Self::Points(count) => {
                reply.put("affected_rows", count);
                reply.put("total_rows", count);
            }
        }
    }
}

fn bool_text(it: bool) -> &'static str {
    if it { "true" } else { "false" }
}

/// A request on its way.
#[derive(Debug)]
pub struct Work {
    who: Who,
    shared: Shared,
    request: Request,
    slot: Slot<Told>,
}

impl Work {
    /// For the statement `shared`; what comes of it is left in `slot`.
    pub fn new(who: Who, shared: Shared, request: Request, slot: Slot<Told>) -> Self {
        Self { who, shared, request, slot }
    }
}

impl Job for Work {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        let mut world = World::new(bench, &self.who);
        let told = self.shared.lock().carry_out(&mut world, &self.request);
        self.slot.put(told);
        // Nobody is left to be told if this fails.
        let _ = bench.emit(QueryOutput::Finished(Vec::new()));
    }
}

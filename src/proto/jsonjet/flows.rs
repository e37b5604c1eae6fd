//! Flows, continuous queries, named constants and one-shot queries: what statements make of them
//! and how lists show them (jsonjet, 2.5, 2.6 and 3.6).

use super::codec::{self, Object};
use super::oneshot::{OneShot, Result as QueryResult};
use super::session::{JsonJet, Pending};
use super::statement::{Outcome, Progress, Step, command};
use super::{codes, map};
use crate::config::Role;
use crate::model::command::{Command, IfExists};
use crate::model::event::{QueryOutput, Reply};
use crate::model::flow::{Flow, FlowRef, FlowShared, FlowSpec};
use crate::model::refusal::Refusal;
use crate::model::time::iso_ms;
use crate::model::topic::Topic;
use crate::model::value::{Style, Value, write_js, write_value};
use crate::proto::Intake;
use crate::query::dialect::jet::{Dropped, Failure, Form, is_built_in};
use crate::query::pipeline::{Operator, Pipeline};
use crate::query::place;
use std::sync::Arc;

/// Characters of a constant in a list.
const SHOWN_CHARS: usize = 47;

impl JsonJet {
    /// Checks who may run a pipeline, and that what it names is there; gives the topic it reads.
    fn source_of(
        &self,
        pipeline: &Pipeline,
        intake: &dyn Intake,
    ) -> Result<(Arc<Topic>, Vec<Arc<Topic>>), Failure> {
        let role = match (pipeline.has_files(), pipeline.targets.is_empty()) {
            (true, _) => Role::Admin,
            (false, false) => Role::Write,
            (false, true) => Role::Read,
        };
        self.needs(role)?;
        let missing = |name: &str, what: &str| {
            let hint = format!("Create it first with: create stream {name}");
            Failure::new("STREAM_NOT_FOUND", format!("{what} '{name}' does not exist. {hint}"))
        };
        let source = map::find(&pipeline.source, intake)
            .ok_or_else(|| missing(&pipeline.source, "Stream"))?;
        self.needs_touch(map::shown(&source))?;
        let mut targets = Vec::new();
        for name in &pipeline.targets {
            let target = map::find(name, intake).ok_or_else(|| missing(name, "Target stream"))?;
            self.needs_touch(map::shown(&target))?;
            if map::shown(&target) == map::LOG_STREAM {
                return Err(Failure::new("COMMAND_FAILED", codes::LOG_READ_ONLY));
            }
            if target.typed {
                return Err(codes::statement_refused(Refusal::TypedTable, map::shown(&target)));
            }
            targets.push(target);
        }
        let dir = intake.config().files_dir.as_deref();
        place::check(pipeline, &intake.lookups(), dir)
            .map_err(|why| Failure::new("COMMAND_FAILED", why))?;
        Ok((source, targets))
    }

    fn spec(
        &self,
        name: Option<&str>,
        ttl_ms: Option<u64>,
        pipeline: &Pipeline,
        intake: &dyn Intake,
    ) -> Result<(FlowSpec, Arc<Topic>), Failure> {
        let (source, targets) = self.source_of(pipeline, intake)?;
        let mut sinks: Vec<(&'static str, Arc<str>)> = Vec::new();
        for target in &targets {
            sinks.push(("stream", map::shown(target).into()));
        }
        let lookups = intake.lookups();
        let dir = intake.config().files_dir.as_deref();
        for stage in &pipeline.stages {
            if let Operator::WriteFile { path, .. } | Operator::Expect(path) = &stage.operator
                && let Ok(path) = place::evaluate_path(path, &lookups, dir)
            {
                let shown = dir.and_then(|dir| path.strip_prefix(dir).ok()).unwrap_or(&path);
                sinks.push(("file", shown.to_string_lossy().into()));
            }
        }
        let spec = FlowSpec {
            name: name.map(Into::into),
            text: pipeline.text.as_str().into(),
            source: source.name.clone(),
            targets: targets.iter().map(|target| target.name.clone()).collect(),
            ttl_ms,
            sinks,
        };
        if let Some(ring) = intake.flow_ring(&spec) {
            let names: Vec<&str> = ring.iter().map(|name| name.short()).collect();
            let text = format!("Flow cycle: {}", names.join(" -> "));
            return Err(Failure::new("COMMAND_FAILED", text));
        }
        Ok((spec, source))
    }

    pub(super) fn create_flow(
        &mut self,
        name: &str,
        if_exists: IfExists,
        ttl_ms: Option<u64>,
        pipeline: &Pipeline,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Admin)?;
        if intake.flow(name).is_some() && if_exists == IfExists::Refuse {
            return Err(codes::statement_refused(Refusal::FlowExists, name));
        }
        let (spec, source) = self.spec(Some(name), ttl_ms, pipeline, intake)?;
        self.pending.push_back(Pending::Statement);
        intake.command(Command::CreateFlow { spec, if_exists });
        let (name, source) = (name.to_owned(), map::shown(&source).to_owned());
        Ok(Progress::Waits(Step::CreateFlow { name, ttl_ms, source }))
    }

    /// A pipeline without a flow: once over what is kept, or from now on if it inserts.
    pub(super) fn pipeline(
        &mut self,
        pipeline: Arc<Pipeline>,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        if pipeline.targets.is_empty() {
            let (topic, _) = self.source_of(&pipeline, intake)?;
            self.pending.push_back(Pending::Statement);
            intake.run_query(Box::new(OneShot::new(pipeline, topic)));
            return Ok(Progress::Waits(Step::Query));
        }
        if pipeline.sorts() {
            let text = "sort by needs all records: it may only stand in a one-shot query";
            return Err(Failure::new("INVALID_QUERY", text));
        }
        let (spec, source) = self.spec(None, None, &pipeline, intake)?;
        self.pending.push_back(Pending::Statement);
        intake.command(Command::CreateFlow { spec, if_exists: IfExists::Refuse });
        Ok(Progress::Waits(Step::Continuous { source: map::shown(&source).to_owned() }))
    }

    pub(super) fn create_lookup(
        &mut self,
        name: String,
        if_exists: IfExists,
        value: Vec<u8>,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Admin)?;
        if is_built_in(&name) {
            let text = format!(
                "Cannot create lookup '{name}': conflicts with existing function, aggregation, or \
                 operator"
            );
            return Err(Failure::new("LOOKUP_NAME_CONFLICT", text));
        }
        self.pending.push_back(Pending::Statement);
        let (own, shown) = (name.clone(), value.clone());
        intake.command(Command::SetLookup { name: own, value: shown, if_exists });
        Ok(Progress::Waits(Step::CreateLookup { name, value, if_exists }))
    }

    /// Deletes a flow, a constant or a continuous query.
    pub(super) fn delete_other(
        &mut self,
        what: Dropped,
        name: String,
        if_exists: bool,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Admin)?;
        let step = Step::DeleteOther { what, name: name.clone(), if_exists };
        self.pending.push_back(Pending::Statement);
        intake.command(match what {
            Dropped::Lookup => Command::DeleteLookup { name },
            Dropped::Query => Command::DeleteFlow { flow: FlowRef::Id(name.parse().unwrap_or(0)) },
            _ => Command::DeleteFlow { flow: FlowRef::Name(name.as_str().into()) },
        });
        Ok(Progress::Waits(step))
    }

    /// Flows that this user may see.
    pub(super) fn visible_flows(&self, intake: &dyn Intake) -> Vec<Arc<Flow>> {
        let mut list = intake.flows();
        list.retain(|flow| self.may_touch(flow.spec.source.short()));
        list
    }

    pub(super) fn list_flows(&self, intake: &dyn Intake) -> Progress {
        let mut list = self.visible_flows(intake);
        list.retain(|flow| flow.spec.name.is_some());
        let mut message = format!("Found {} active flow(s):", list.len());
        for (n, flow) in list.iter().enumerate() {
            let (name, source) = (flow_name(flow), flow.spec.source.short());
            message.push_str(&format!("\n{}. {name}: {source}", n + 1));
            let sinks: Vec<&str> = flow.spec.sinks.iter().map(|(_, name)| &**name).collect();
            if !sinks.is_empty() {
                message.push_str(&format!(" -> {}", sinks.join(", ")));
            }
            if let Some(ms) = flow.remaining_ms(intake.now()) {
                message.push_str(&format!(" (TTL: {}s remaining)", (ms.max(0) + 999) / 1000));
            }
        }
        let list = codec::array(list.iter().map(|flow| flow_entry(flow).end(b"")));
        command(&Object::new().raw("flows", &list).end(b""), &message)
    }

    pub(super) fn list_queries(&self, intake: &dyn Intake) -> Progress {
        let mut list = self.visible_flows(intake);
        list.retain(|flow| flow.spec.name.is_none());
        let mut message = format!("Found {} query(s):", list.len());
        for (n, flow) in list.iter().enumerate() {
            message.push_str(&format!("\n{}. {}: {}", n + 1, flow.id, flow.spec.source.short()));
        }
        let list = codec::array(list.iter().map(|flow| {
            let entry = Object::new().number("queryId", flow.id);
            entry.text("sourceName", flow.spec.source.short()).end(b"")
        }));
        command(&Object::new().raw("queries", &list).end(b""), &message)
    }
}

pub(super) fn list_lookups(intake: &dyn Intake) -> Progress {
    let lookups = intake.lookups();
    let mut object = Object::new();
    let mut message = format!("Found {} lookup(s):", lookups.len());
    for (n, name) in intake.lookup_names().iter().enumerate() {
        let Some(value) = lookups.get(&name.to_lowercase()) else { continue };
        let json = value_json(value);
        let text = String::from_utf8_lossy(&json).into_owned();
        let shown = if text.chars().count() > SHOWN_CHARS {
            format!("{}...", text.chars().take(SHOWN_CHARS).collect::<String>())
        } else {
            text
        };
        message.push_str(&format!("\n{}. {name} = {shown}", n + 1));
        object = object.raw(name, &json);
    }
    command(&Object::new().raw("lookups", &object.end(b"")).end(b""), &message)
}

fn value_json(value: &Value<'_>) -> Vec<u8> {
    let mut json = Vec::new();
    write_value(value, Style::Script, &mut json);
    json
}

fn flow_name(flow: &Flow) -> &str {
    flow.spec.name.as_deref().unwrap_or_default()
}

fn ttl_seconds(ttl_ms: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    match ttl_ms {
        Some(ms) => write_js(ms as f64 / 1000.0, &mut out),
        None => out.extend_from_slice(b"null"),
    }
    out
}

/// A flow as `list flows` shows it.
pub(super) fn flow_entry(flow: &Flow) -> Object {
    let sinks = codec::array(
        flow.spec
            .sinks
            .iter()
            .map(|(kind, name)| Object::new().text("type", kind).text("name", name).end(b"")),
    );
    Object::new()
        .number("queryId", flow.id)
        .text("flowName", flow_name(flow))
        .text("sourceName", flow.spec.source.short())
        .text("startTime", &iso_ms(flow.created))
        .raw("ttlSeconds", &ttl_seconds(flow.spec.ttl_ms))
        .raw("sinks", &sinks)
}

/// A flow as `info` shows it.
pub(super) fn flow_info(flow: &Flow, source: Option<&Topic>) -> Vec<u8> {
    let shared = &flow.shared;
    let accepted = source.map_or(0, |topic| topic.shared.records());
    let approximate = shared.approximate.load(std::sync::atomic::Ordering::Relaxed);
    flow_entry(flow)
        .number("recordsIn", shared.records_in(accepted))
        .number("recordsOut", FlowShared::read(&shared.records_out))
        .number("errors", FlowShared::read(&shared.errors))
        .number("late", FlowShared::read(&shared.late))
        .flag("approximate", approximate)
        .end(b"")
}

/// R of a flow that was made.
pub(super) fn flow_created(
    reply: &Reply,
    name: &str,
    ttl_ms: Option<u64>,
    source: &str,
    http: bool,
) -> Outcome {
    let (id, existed) = match reply {
        Reply::FlowCreated { id, existed } => (*id, *existed),
        _ => (0, false),
    };
    let _ = existed;
    let result = Object::new().text("flowName", name).number("queryId", id).end(b"");
    let json = Object::new()
        .text("type", "flow")
        .number("queryId", id)
        .text("flowName", name)
        .raw("ttlSeconds", &ttl_seconds(ttl_ms))
        .text("sourceName", source)
        .text("message", &format!("Flow '{name}' created"))
        .flag("success", true);
    let json = if http { json.raw("result", &result) } else { json };
    Outcome::good(json.end(b""), result)
}

/// R of a continuous query.
pub(super) fn query_started(reply: &Reply, source: &str, http: bool) -> Outcome {
    let id = if let Reply::FlowCreated { id, .. } = reply { *id } else { 0 };
    let result = Object::new().number("queryId", id).end(b"");
    let json = Object::new()
        .text("type", "query")
        .number("queryId", id)
        .text("sourceName", source)
        .text("message", &format!("Query {id} started on stream '{source}'"))
        .flag("success", true);
    let json = if http { json.raw("result", &result) } else { json };
    Outcome::good(json.end(b""), result)
}

/// R of a constant that was named.
pub(super) fn lookup_created(
    reply: &Reply,
    name: &str,
    value: &[u8],
    if_exists: IfExists,
    http: bool,
) -> Outcome {
    let existed = matches!(reply, Reply::Created { existed: true });
    let result = Object::new().text("lookupName", name).raw("lookupValue", value).end(b"");
    if existed && if_exists == IfExists::Replace {
        let message = format!("Lookup '{name}' replaced successfully");
        return Outcome::of_command(&result, &message);
    }
    let verb = if existed { "already exists" } else { "created successfully" };
    let json = Object::new()
        .flag("success", true)
        .text("type", "lookup")
        .text("message", &format!("Lookup '{name}' {verb}"))
        .text("lookupName", name)
        .raw("lookupValue", value);
    let json = if http { json.raw("result", &result) } else { json };
    Outcome::good(json.end(b""), result)
}

/// R of something that was deleted, or was not there and need not.
///
/// # Errors
/// It was not there.
pub(super) fn deleted_other(
    what: Dropped,
    name: &str,
    if_exists: bool,
    reply: &Reply,
) -> Result<Outcome, Failure> {
    if let Reply::Refused(refusal) = reply {
        let absent = matches!(refusal, Refusal::UnknownFlow | Refusal::UnknownLookup);
        if !absent {
            return Err(codes::statement_refused(*refusal, name));
        }
        if !if_exists {
            return Err(match what {
                Dropped::Query => Failure::new("COMMAND_FAILED", format!("Query {name} not found")),
                _ => codes::statement_refused(*refusal, name),
            });
        }
    }
    let (key, kind) = match what {
        Dropped::Lookup => ("lookupName", "Lookup"),
        Dropped::Query => ("queryId", "Query"),
        _ => ("flowName", "Flow"),
    };
    let by_number = what == Dropped::Query;
    let shown = if by_number { name.to_owned() } else { format!("'{name}'") };
    let value = if by_number { name.into() } else { codec::quoted(name) };
    let result = Object::new().raw(key, &value).end(b"");
    Ok(Outcome::of_command(&result, &format!("{kind} {shown} deleted successfully")))
}

/// R of a one-shot query.
///
/// # Errors
/// It failed.
pub(super) fn queried(reply: Reply) -> Result<Outcome, Failure> {
    let failed = |text: String| Failure::new("COMMAND_FAILED", text).of(Form::Query);
    match reply {
        Reply::Query(QueryOutput::Finished(bytes)) => {
            let Some(QueryResult { count, json }) = QueryResult::read(&bytes) else {
                return Err(failed("the query gave no result".into()));
            };
            let object = Object::new().text("type", "query").flag("success", true);
            let object = object.raw("result", json).text("message", &format!("{count} row(s)"));
            Ok(Outcome::good(object.end(b""), json.to_vec()))
        }
        Reply::Query(QueryOutput::Failed(text)) => Err(failed(text)),
        _ => Err(failed("the query was stopped".into())),
    }
}

//! Carries out the statements of one `execute`, one after the other, and makes its result R
//! (jsonjet, sections 2.5 and 2.6).

use super::codec::{self, Object};
use super::outcome::{error_object, finish, log_failure};
use super::session::{JsonJet, Pending};
use super::{codes, flows, map};
use crate::config::Role;
use crate::fanout::Outbox;
use crate::model::command::{Begin, Command, IfExists};
use crate::model::event::Reply;
use crate::model::json;
use crate::model::name::TopicName;
use crate::model::record::Body;
use crate::model::topic::Topic;
use crate::proto::Intake;
use crate::proto::contract::Bound;
use crate::query::dialect::jet::{
    self, Dropped, Failure, Form, Statement, StreamOptions, is_stream_name,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// The statements of one call, and what came of those that ran.
#[derive(Debug)]
pub struct Program {
    statements: VecDeque<String>,
    pub(super) total: usize,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) request: Box<[u8]>,
    pub(super) http: bool,
    step: Option<Step>,
    text: String,
}

/// What one statement came to: R, and its parts that a sum needs.
#[derive(Debug)]
pub(super) struct Outcome {
    pub json: Vec<u8>,
    pub result: Vec<u8>,
    pub failure: Option<Failure>,
}

/// The statement under way.
#[derive(Debug)]
pub(super) enum Step {
    Create { name: String, existing: IfExists },
    Delete { name: String, if_exists: bool },
    Insert { name: String, data: Vec<u8>, count: usize },
    Subscribe { topic: Arc<Topic> },
    Unsubscribe { id: u64 },
    Flush { name: String },
    CreateFlow { name: String, ttl_ms: Option<u64>, source: String },
    Continuous { source: String },
    CreateLookup { name: String, value: Vec<u8>, if_exists: IfExists },
    DeleteOther { what: Dropped, name: String, if_exists: bool },
    Query,
}

/// A statement is done, or waits for a reply.
pub(super) enum Progress {
    Done(Outcome),
    Waits(Step),
}

impl Program {
    /// Splits a query into its statements; `http`: R takes its HTTP form.
    pub fn new(query: &str, request: Box<[u8]>, http: bool) -> Self {
        let statements: VecDeque<String> =
            jet::split(query).into_iter().map(|s| s.trim().to_owned()).collect();
        let total = statements.len();
        Self {
            statements,
            total,
            outcomes: Vec::new(),
            request,
            http,
            step: None,
            text: query.to_owned(),
        }
    }
}

impl JsonJet {
    /// Goes on with the program until it waits or ends.
    pub(super) fn run_program(&mut self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Some(mut program) = self.program.take() else { return };
        let failed =
            |program: &Program| program.outcomes.last().is_some_and(|o| o.failure.is_some());
        while !failed(&program) {
            let Some(text) = program.statements.pop_front() else { break };
            let progress = match jet::parse(&text) {
                Ok(statement) => self.execute(statement, program.http, intake),
                Err(failure) => Err(failure),
            };
            match progress {
                Ok(Progress::Waits(step)) => {
                    program.step = Some(step);
                    self.program = Some(program);
                    return;
                }
                Ok(Progress::Done(outcome)) => program.outcomes.push(outcome),
                Err(failure) => {
                    log_failure(&failure, &text, intake);
                    program.outcomes.push(Outcome::failed(failure));
                }
            }
        }
        finish(&program, intake, out);
    }

    /// The reply to the statement under way has come.
    pub(super) fn on_statement_reply(
        &mut self,
        reply: Reply,
        intake: &mut dyn Intake,
        out: &mut Outbox<'_>,
    ) {
        let Some(mut program) = self.program.take() else { return };
        let Some(step) = program.step.take() else { return };
        let outcome = match self.conclude(step, reply, &program) {
            Ok(outcome) => outcome,
            Err(failure) => {
                log_failure(&failure, &program.text, intake);
                Outcome::failed(failure)
            }
        };
        program.outcomes.push(outcome);
        self.program = Some(program);
        self.run_program(intake, out);
    }

    fn execute(
        &mut self,
        statement: Statement,
        http: bool,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        match statement {
            Statement::Empty => Ok(Progress::Done(Outcome::empty(http))),
            Statement::CreateStream { name, existing, options } => {
                self.create_stream(name, existing, options, intake)
            }
            Statement::Delete { what: Dropped::Stream, name, if_exists } => {
                self.delete_stream(name, if_exists, intake)
            }
            Statement::Delete { what, name, if_exists } => {
                self.delete_other(what, name, if_exists, intake)
            }
            Statement::Insert { name, data } => self.insert_into(name, data, intake),
            Statement::Flush(name) => {
                self.needs(Role::Write)?;
                let topic = self.stream(&name, "STREAM_NOT_FOUND", intake)?;
                self.pending.push_back(Pending::Statement);
                intake.command(Command::Flush { topic: topic.id });
                Ok(Progress::Waits(Step::Flush { name: map::shown(&topic).to_owned() }))
            }
            Statement::List(listing) => self.list(listing, http, intake),
            Statement::Info(name) => self.info(name.as_deref(), intake),
            Statement::Subscribe(name) => self.subscribe_to(&name, http, intake),
            Statement::Unsubscribe(id) => self.unsubscribe_from(&id, intake),
            Statement::CreateFlow { name, existing, ttl_ms, pipeline } => self
                .create_flow(&name, existing, ttl_ms, &pipeline, intake)
                .map_err(|failure| failure.of(Form::Flow)),
            Statement::CreateLookup { name, existing, value } => {
                self.create_lookup(name, existing, value, intake)
            }
            Statement::Pipeline(pipeline) => {
                self.pipeline(pipeline, intake).map_err(|failure| failure.of(Form::Query))
            }
        }
    }

    pub(super) fn needs(&self, role: Role) -> Result<(), Failure> {
        if self.may(role) {
            Ok(())
        } else {
            Err(Failure::new("COMMAND_FAILED", codes::NOT_ALLOWED))
        }
    }

    pub(super) fn needs_touch(&self, stream: &str) -> Result<(), Failure> {
        if self.may_touch(stream) {
            Ok(())
        } else {
            Err(Failure::new("COMMAND_FAILED", codes::NOT_ALLOWED))
        }
    }

    pub(super) fn stream(
        &self,
        name: &str,
        code: &'static str,
        intake: &dyn Intake,
    ) -> Result<Arc<Topic>, Failure> {
        let topic = map::find(name, intake)
            .ok_or_else(|| Failure::new(code, codes::unknown_stream(name)))?;
        self.needs_touch(map::shown(&topic))?;
        Ok(topic)
    }

    fn create_stream(
        &mut self,
        name: String,
        existing: IfExists,
        options: StreamOptions,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Admin)?;
        let topic = parse_name(&name)?;
        let name = topic.short().to_owned();
        self.needs_touch(&name)?;
        if name == map::LOG_STREAM {
            return match existing {
                IfExists::Replace => Err(Failure::new("COMMAND_FAILED", codes::LOG_READ_ONLY)),
                IfExists::Keep => self
                    .conclude_create(&name, existing, &Reply::Created { existed: true }, false)
                    .map(Progress::Done),
                IfExists::Refuse => Err(codes::statement_refused(
                    crate::model::refusal::Refusal::TopicExists,
                    &name,
                )),
            };
        }
        self.pending.push_back(Pending::Statement);
        intake.command(Command::CreateTopic {
            name: topic,
            retention: options.retention,
            pipe: options.pipe,
            queue: false,
            if_exists: existing,
        });
        Ok(Progress::Waits(Step::Create { name, existing }))
    }

    fn delete_stream(
        &mut self,
        name: String,
        if_exists: bool,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Admin)?;
        let Some(topic) = map::find(&name, intake) else {
            if if_exists {
                let message = format!("Stream '{name}' deleted successfully");
                return Ok(command(&stream_result(&name), &message));
            }
            return Err(Failure::new("STREAM_NOT_FOUND", codes::unknown_stream(&name)));
        };
        let shown = map::shown(&topic).to_owned();
        self.needs_touch(&shown)?;
        if shown == map::LOG_STREAM {
            return Err(Failure::new("COMMAND_FAILED", codes::LOG_READ_ONLY));
        }
        self.pending.push_back(Pending::Statement);
        intake.command(Command::DeleteTopic { name: topic.name.clone() });
        Ok(Progress::Waits(Step::Delete { name: shown, if_exists }))
    }

    fn insert_into(
        &mut self,
        name: String,
        data: Vec<u8>,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Write)?;
        let topic = self.stream(&name, "STREAM_NOT_FOUND", intake)?;
        let name = map::shown(&topic).to_owned();
        let elements = json::elements(&data).ok();
        let bodies: Vec<Body<'_>> = match &elements {
            Some(items) => codec::bodies(items),
            None => vec![Body::Json(&data)],
        };
        let count = bodies.len();
        if count == 0 {
            return Ok(inserted_into(&name, &data, 0));
        }
        self.pending.push_back(Pending::Statement);
        intake.append(&topic, 0, &bodies, Bound::Free);
        Ok(Progress::Waits(Step::Insert { name, data, count }))
    }

    fn subscribe_to(
        &mut self,
        name: &str,
        http: bool,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        self.needs(Role::Read)?;
        if http {
            let text = "subscribe needs a WebSocket connection";
            return Err(Failure::new("COMMAND_FAILED", text));
        }
        let topic = self.stream(name, "STREAM_NOT_FOUND", intake)?;
        self.pending.push_back(Pending::Statement);
        intake
            .command(Command::Subscribe { topics: vec![(topic.id, Begin::Live)], interest: None });
        Ok(Progress::Waits(Step::Subscribe { topic }))
    }

    fn unsubscribe_from(
        &mut self,
        text: &str,
        intake: &mut dyn Intake,
    ) -> Result<Progress, Failure> {
        let failed = |message: &str| Err(Failure::new("COMMAND_FAILED", message));
        let Ok(id) = text.parse() else { return failed("Subscription ID must be a number") };
        let Some(ended) = self.take_subscription(id) else {
            return failed(&format!("Subscription ID {id} not found"));
        };
        self.pending.push_back(Pending::Statement);
        intake.command(Command::Unsubscribe { subscriptions: vec![(ended.topic.id, id)] });
        Ok(Progress::Waits(Step::Unsubscribe { id }))
    }

    fn conclude(
        &mut self,
        step: Step,
        reply: Reply,
        program: &Program,
    ) -> Result<Outcome, Failure> {
        let done = |progress| match progress {
            Progress::Done(outcome) => outcome,
            Progress::Waits(_) => Outcome::empty(false),
        };
        let http = program.http;
        match (step, reply) {
            (Step::Query, reply) => flows::queried(reply),
            (Step::DeleteOther { what, name, if_exists }, reply) => {
                flows::deleted_other(what, &name, if_exists, &reply)
            }
            (Step::CreateFlow { name, .. }, Reply::Refused(refusal)) => {
                Err(codes::statement_refused(refusal, &name).of(Form::Flow))
            }
            (Step::CreateFlow { name, ttl_ms, source }, reply) => {
                Ok(flows::flow_created(&reply, &name, ttl_ms, &source, http))
            }
            (Step::Continuous { source }, Reply::Refused(refusal)) => {
                Err(codes::statement_refused(refusal, &source).of(Form::Query))
            }
            (Step::Continuous { source }, reply) => Ok(flows::query_started(&reply, &source, http)),
            (Step::CreateLookup { name, .. } | Step::Flush { name }, Reply::Refused(refusal)) => {
                Err(codes::statement_refused(refusal, &name))
            }
            (Step::CreateLookup { name, value, if_exists }, reply) => {
                Ok(flows::lookup_created(&reply, &name, &value, if_exists, http))
            }
            (Step::Flush { name }, _) => {
                let message = format!("Stream '{name}' flushed successfully");
                Ok(Outcome::of_command(&stream_result(&name), &message))
            }
            (Step::Delete { name, if_exists }, Reply::Refused(refusal)) => {
                let absent = refusal == crate::model::refusal::Refusal::UnknownTopic;
                if !(absent && if_exists) {
                    return Err(codes::statement_refused(refusal, &name));
                }
                let message = format!("Stream '{name}' deleted successfully");
                Ok(done(command(&stream_result(&name), &message)))
            }
            (Step::Create { name, .. } | Step::Insert { name, .. }, Reply::Refused(refusal)) => {
                Err(codes::statement_refused(refusal, &name))
            }
            (Step::Subscribe { topic }, Reply::Refused(refusal)) => {
                Err(codes::statement_refused(refusal, map::shown(&topic)))
            }
            (Step::Create { name, existing }, reply) => {
                self.conclude_create(&name, existing, &reply, program.http)
            }
            (Step::Delete { name, .. }, _) => {
                let message = format!("Stream '{name}' deleted successfully");
                Ok(done(command(&stream_result(&name), &message)))
            }
            (Step::Insert { name, data, count }, _) => Ok(done(inserted_into(&name, &data, count))),
            (Step::Subscribe { topic }, Reply::Subscribed(ids)) => {
                let id = ids.first().copied().unwrap_or(0);
                let shown = map::shown(&topic).to_owned();
                self.add_subscription(id, (topic, None), &program.request);
                let result = Object::new().text("streamName", &shown).number("subscriptionId", id);
                let message = format!("Subscribed to stream '{shown}' with ID {id}");
                Ok(done(command(&result.end(b""), &message)))
            }
            (Step::Subscribe { .. }, _) => Err(Failure::new("COMMAND_FAILED", "Command failed")),
            (Step::Unsubscribe { id }, _) => {
                let result = Object::new().number("subscriptionId", id).end(b"");
                Ok(done(command(&result, &format!("Unsubscribed from subscription ID {id}"))))
            }
        }
    }

    fn conclude_create(
        &self,
        name: &str,
        existing: IfExists,
        reply: &Reply,
        http: bool,
    ) -> Result<Outcome, Failure> {
        let existed = matches!(reply, Reply::Created { existed: true });
        if existed && existing == IfExists::Replace {
            let message = format!("Stream '{name}' replaced successfully");
            return match command(&stream_result(name), &message) {
                Progress::Done(outcome) => Ok(outcome),
                Progress::Waits(_) => Ok(Outcome::empty(http)),
            };
        }
        let verb = if existed { "already exists" } else { "created" };
        let message = format!("Stream '{name}' {verb}");
        let result = stream_result(name);
        let json = if http {
            let object = Object::new().flag("success", true).text("type", "stream");
            object.raw("result", &result).text("message", &message).text("streamName", name)
        } else {
            Object::new().flag("success", true).text("message", &message)
        };
        Ok(Outcome { json: json.end(b""), result, failure: None })
    }
}

/// Answers `POST /api/validate`.
pub(super) fn validate(query: &str) -> Vec<u8> {
    let statements = jet::split(query);
    for text in &statements {
        let Err(failure) = jet::parse(text.trim()) else { continue };
        let object = Object::new().flag("success", false);
        return object.raw("error", &error_object(&failure)).end(b"");
    }
    let message = format!("{} statement(s) valid", statements.len());
    Object::new().flag("success", true).text("message", &message).end(b"")
}

pub(super) fn command(result: &[u8], message: &str) -> Progress {
    Progress::Done(Outcome::of_command(result, message))
}

fn inserted_into(name: &str, data: &[u8], count: usize) -> Progress {
    let result = Object::new().text("streamName", name).raw("data", data);
    let result = result.number("count", count as u64).end(b"");
    command(&result, &format!("Inserted {count} item(s) into stream '{name}'"))
}

fn stream_result(name: &str) -> Vec<u8> {
    Object::new().text("streamName", name).end(b"")
}

fn parse_name(name: &str) -> Result<TopicName, Failure> {
    debug_assert!(is_stream_name(name), "the statement parser checked it");
    TopicName::parse(name)
        .ok_or_else(|| Failure::new("COMMAND_FAILED", format!("Invalid stream name '{name}'.")))
}

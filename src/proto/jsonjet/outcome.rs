//! The result R of statements, of a whole call, and what `_log` says of a failure (jsonjet, 2.5 and
//! 2.6).

use super::codec::{self, Object};
use super::statement::{Outcome, Program};
use super::{codes, http};
use crate::fanout::Outbox;
use crate::model::time::iso_ms;
use crate::proto::Intake;
use crate::query::dialect::jet::{Failure, Form};

impl Outcome {
    /// R, and its result.
    pub(super) fn good(json: Vec<u8>, result: Vec<u8>) -> Self {
        Self { json, result, failure: None }
    }

    /// As `command` of section 2.5.
    pub(super) fn of_command(result: &[u8], message: &str) -> Self {
        let object = Object::new().text("type", "command").flag("success", true);
        let json = object.raw("result", result).text("message", message).end(b"");
        Self::good(json, result.to_vec())
    }

    pub(super) fn empty(http: bool) -> Self {
        let object = Object::new().flag("success", true).text("type", "empty");
        let object = if http { object.raw("result", b"null") } else { object };
        let json = object.text("message", "Empty statement").end(b"");
        Self { json, result: b"null".to_vec(), failure: None }
    }

    pub(super) fn failed(mut failure: Failure) -> Self {
        if failure.form == Form::Flow {
            failure.message = format!("Failed to create flow: {}", failure.message);
        }
        let mut object = Object::new().flag("success", false).raw("error", &error_object(&failure));
        match failure.form {
            Form::Plain => {}
            Form::Flow => object = object.text("type", "flow").text("message", &failure.message),
            Form::Query => {
                let text = format!("Query failed: {}", failure.message);
                object = object.text("type", "query").text("message", &text);
            }
        }
        let json = object.end(b"");
        Self { json, result: b"null".to_vec(), failure: Some(failure) }
    }
}

/// Sends the answer of a program that has ended.
pub(super) fn finish(program: &Program, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
    let failure = program.outcomes.last().and_then(|o| o.failure.as_ref());
    let result = match (program.total, program.outcomes.first()) {
        (0, _) | (_, None) => Outcome::empty(program.http).json,
        (1, Some(outcome)) => outcome.json.clone(),
        _ => several(program, failure),
    };
    if program.http {
        let ends = |texts: &[&str]| {
            failure.is_some_and(|f| texts.iter().any(|text| f.message.ends_with(text)))
        };
        let status = match () {
            () if ends(&[codes::NOT_ALLOWED]) => 403,
            () if ends(&["Storage is full", "Storage is read-only", "Server is stopping"]) => 507,
            _ => 200,
        };
        return http::answer(intake, status, Some("application/json"), &result);
    }
    let object = Object::new().text("type", "execute_response");
    let object = match failure {
        Some(failure) => {
            object.flag("success", false).text("error", &failure.message).raw("result", &result)
        }
        None => object
            .flag("success", true)
            .raw("result", &result)
            .text("message", "Query executed successfully"),
    };
    out.text(&object.end(&program.request));
}

fn several(program: &Program, failure: Option<&Failure>) -> Vec<u8> {
    let good = program.outcomes.iter().filter(|o| o.failure.is_none()).count();
    let results = codec::array(program.outcomes.iter().map(|o| &o.json));
    let mut object = Object::new().flag("success", failure.is_none()).raw("results", &results);
    object = object.text("message", &format!("{good} statement(s) executed"));
    if program.http {
        let last = program.outcomes.last().map_or(&b"null"[..], |o| &o.result);
        object = object.raw("result", last);
    }
    if let Some(failure) = failure {
        object = object.raw("error", &error_object(failure));
    }
    object.end(b"")
}

pub(super) fn error_object(failure: &Failure) -> Vec<u8> {
    Object::new().text("code", failure.code).text("message", &failure.message).end(b"")
}

/// One record of `_log` for a failed statement.
pub(super) fn log_failure(failure: &Failure, query: &str, intake: &mut dyn Intake) {
    let time = intake.now();
    let record = Object::new()
        .text("_id", &format!("{time:x}"))
        .text("timestamp", &iso_ms(time))
        .text("level", "error")
        .text("code", failure.code)
        .text("message", &failure.message)
        .text("query", query)
        .text("component", "statement")
        .raw("metadata", b"{}");
    intake.log(record.end(b""));
}

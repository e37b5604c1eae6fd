//! One statement: recognised by its first words, checked as far as it concerns streams.

use super::lex::{end_of_string, place, skip};
use super::literal::to_json;
use super::operators::pipeline;
use super::options::{duration_ms, stream_options};
use super::token::{Lexer, Token};
use crate::model::command::IfExists;
use crate::model::topic::Retention;
use crate::query::pipeline::Pipeline;
use std::sync::Arc;

/// Bytes of one statement (section 3.1).
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a stream name (section 1).
const NAME_BYTES_MAX: usize = 128;

/// What a statement asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Blanks and comments only.
    Empty,
    /// `create stream`.
    CreateStream {
        /// Its name as written.
        name: String,
        /// The words before `stream`.
        existing: Existing,
        /// `with {..}`.
        options: StreamOptions,
    },
    /// `create flow`.
    CreateFlow {
        /// Its name.
        name: String,
        /// The words before `flow`.
        existing: Existing,
        /// `ttl`, in milliseconds.
        ttl_ms: Option<u64>,
        /// What it does.
        pipeline: Arc<Pipeline>,
    },
    /// `create lookup`.
    CreateLookup {
        /// Its name.
        name: String,
        /// The words before `lookup`.
        existing: Existing,
        /// The literal as JSON.
        value: Vec<u8>,
    },
    /// `delete` or `drop`.
    Delete {
        /// Of what.
        what: Dropped,
        /// Its name, or number for a query.
        name: String,
        /// Absence is no error.
        if_exists: bool,
    },
    /// `insert into`.
    Insert {
        /// Stream.
        name: String,
        /// The literal as JSON.
        data: Vec<u8>,
    },
    /// `flush`.
    Flush(String),
    /// `list` or `show`.
    List(Listing),
    /// `info` or `describe`, of one or all.
    Info(Option<String>),
    /// `subscribe`.
    Subscribe(String),
    /// `unsubscribe`, a number as written.
    Unsubscribe(String),
    /// A pipeline.
    Pipeline(Arc<Pipeline>),
}

/// What `create` says of something that exists.
pub type Existing = IfExists;

/// `with {..}` of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// `retain`, `retain_age`, `retain_bytes`.
    pub retention: Retention,
    /// `retain: 0`.
    pub pipe: bool,
}

/// What can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// A stream.
    Stream,
    /// A flow.
    Flow,
    /// A lookup.
    Lookup,
    /// A continuous query.
    Query,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Streams.
    Streams,
    /// Flows.
    Flows,
    /// Lookups.
    Lookups,
    /// Subscriptions.
    Subscriptions,
    /// Continuous queries.
    Queries,
}

/// Why a statement failed: code and text of section 2.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Code.
    pub code: &'static str,
    /// Text.
    pub message: String,
    /// What kind of statement failed.
    pub form: Form,
}

/// How the failure of a statement is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Code and text.
    #[default]
    Plain,
    /// As that of a flow.
    Flow,
    /// As that of a pipeline.
    Query,
}

impl Failure {
    /// Joins the parts.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), form: Form::Plain }
    }

    /// As the failure of a flow or a pipeline.
    #[must_use]
    pub fn of(self, form: Form) -> Self {
        Self { form, ..self }
    }
}

/// Whether `name` is spelled as a stream's name must be in statements: one to three parts.
#[must_use]
pub fn is_stream_name(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').count() <= 3 && name.split('.').all(part)
}

/// Reads one statement.
///
/// # Errors
/// Code and text as section 2.6 lists them.
pub fn parse(text: &str) -> Result<Statement, Failure> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Failure::new("SYNTAX_ERROR", "Statement is longer than 65536 bytes"));
    }
    let mut reader = Reader { text, at: 0 };
    let start = reader.place();
    let Some(word) = reader.word() else {
        return if reader.rest().is_empty() { Ok(Statement::Empty) } else { reader.unexpected() };
    };
    match word.to_ascii_lowercase().as_str() {
        "create" => reader.create(),
        "delete" | "drop" => reader.delete(),
        "insert" if reader.takes("into") => reader.insert(),
        "flush" => reader.only_name(Statement::Flush),
        "subscribe" => reader.only_name(Statement::Subscribe),
        "unsubscribe" => reader.only_name(Statement::Unsubscribe),
        "list" | "show" => reader.list(),
        "info" | "describe" if !reader.next_is(b'|') => match reader.raw() {
            "" => Ok(Statement::Info(None)),
            name => {
                let name = name.to_owned();
                reader.end(Statement::Info(Some(name)))
            }
        },
        _ => {
            // Without a bar it may have been meant as anything.
            let form = if text.contains('|') { Form::Query } else { Form::Plain };
            let pipeline = pipeline(text, start).map_err(|failure| failure.of(form))?;
            Ok(Statement::Pipeline(Arc::new(pipeline)))
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn place(&mut self) -> usize {
        self.at = skip(self.text.as_bytes(), self.at);
        self.at
    }

    fn rest(&mut self) -> &'a str {
        let at = self.place();
        self.text.get(at..).unwrap_or_default()
    }

    /// An identifier, if one stands here.
    fn word(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '$')))
            .unwrap_or(rest.len());
        let word = rest.get(..end).filter(|w| !w.is_empty())?;
        self.at += end;
        Some(word)
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let before = self.at;
        if self.word().is_some_and(|word| word.eq_ignore_ascii_case(keyword)) {
            return true;
        }
        self.at = before;
        false
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.rest().as_bytes().first() == Some(&byte)
    }

    /// Everything up to a blank.
    fn raw(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find([' ', '\t', '\r', '\n', ';']).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn stream_name(&mut self) -> Result<String, Failure> {
        let name = self.raw();
        if name.is_empty() {
            return self.unexpected();
        }
        if is_stream_name(name) { Ok(name.to_owned()) } else { Err(bad_name(name)) }
    }

    fn only_name(&mut self, make: fn(String) -> Statement) -> Result<Statement, Failure> {
        let name = self.raw().to_owned();
        if name.is_empty() {
            return self.unexpected();
        }
        self.end(make(name))
    }

    fn create(&mut self) -> Result<Statement, Failure> {
        let existing = if self.takes("or") {
            self.expect("replace")?;
            IfExists::Replace
        } else if self.takes("if") {
            self.expect("not")?;
            self.expect("exists")?;
            IfExists::Keep
        } else {
            IfExists::Refuse
        };
        if self.takes("flow") {
            return self.flow(existing).map_err(|failure| failure.of(Form::Flow));
        }
        if self.takes("lookup") {
            return self.lookup(existing);
        }
        self.expect("stream")?;
        let name = self.stream_name()?;
        let mut options = StreamOptions::default();
        if self.takes("with") {
            let at = self.place();
            let rest = self.rest();
            self.at = self.text.len();
            options = stream_options(rest, self.text, at)?;
        }
        self.end(Statement::CreateStream { name, existing, options })
    }

    fn delete(&mut self) -> Result<Statement, Failure> {
        let if_exists = self.takes("if");
        if if_exists {
            self.expect("exists")?;
        }
        let what = if self.takes("stream") {
            Dropped::Stream
        } else if self.takes("flow") {
            Dropped::Flow
        } else if self.takes("lookup") {
            Dropped::Lookup
        } else if self.takes("query") {
            Dropped::Query
        } else {
            return self.unexpected();
        };
        let name = self.raw().to_owned();
        if name.is_empty() {
            return self.unexpected();
        }
        if what == Dropped::Query && name.parse::<u64>().is_err() {
            self.at -= name.len();
            return self.unexpected();
        }
        self.end(Statement::Delete { what, name, if_exists })
    }

    fn insert(&mut self) -> Result<Statement, Failure> {
        let rest = self.rest();
        let end = rest.find([' ', '\t', '\r', '\n', '{', '[', '"', '\'']).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        self.at += end;
        if name.is_empty() {
            return self.unexpected();
        }
        let literal = self.rest();
        let data = to_json(literal).map_err(|(at, what)| {
            let (line, column) = place(self.text, self.at + at);
            let detail = format!("{what} at line {line}, column {column}");
            Failure::new("SYNTAX_ERROR", format!("Invalid JSON data: {detail}"))
        })?;
        Ok(Statement::Insert { name, data })
    }

    fn list(&mut self) -> Result<Statement, Failure> {
        let before = self.place();
        let listing = match self.word().map(str::to_ascii_lowercase).as_deref() {
            None | Some("stream" | "streams") => Listing::Streams,
            Some("flow" | "flows") => Listing::Flows,
            Some("lookup" | "lookups") => Listing::Lookups,
            Some("subscription" | "subscriptions") => Listing::Subscriptions,
            Some("query" | "queries") => Listing::Queries,
            Some(_) => {
                self.at = before;
                return self.unexpected();
            }
        };
        self.end(Statement::List(listing))
    }

    fn flow(&mut self, existing: Existing) -> Result<Statement, Failure> {
        let mut lexer = Lexer::new(self.text, self.at)?;
        let name = lexer.identifier()?.to_owned();
        let mut ttl_ms = None;
        if lexer.takes_word("ttl")? {
            lexer.expect("(")?;
            let ms = match lexer.token() {
                Token::Duration(ms) => Some(*ms),
                Token::Number(text) => text.parse().ok(),
                Token::String(text) => duration_ms(text),
                _ => None,
            };
            let Some(ms) = ms.filter(|ms| *ms >= 1.0) else {
                return Err(lexer.unexpected("a duration"));
            };
            ttl_ms = Some(ms as u64);
            lexer.advance()?;
            lexer.expect(")")?;
        }
        if !lexer.is_word("as") {
            return Err(lexer.unexpected("'as'"));
        }
        let pipeline = Arc::new(pipeline(self.text, lexer.end())?);
        if pipeline.sorts() {
            let text = "sort by needs all records: it may only stand in a one-shot query";
            return Err(Failure::new("INVALID_QUERY", text));
        }
        Ok(Statement::CreateFlow { name, existing, ttl_ms, pipeline })
    }

    fn lookup(&mut self, existing: Existing) -> Result<Statement, Failure> {
        let mut lexer = Lexer::new(self.text, self.at)?;
        let name = lexer.identifier()?.to_owned();
        if !lexer.is("=") {
            return Err(lexer.unexpected("'='"));
        }
        self.at = lexer.end();
        let value = to_json(self.rest()).map_err(|(at, what)| {
            let (line, column) = place(self.text, self.at + at);
            let detail = format!("{what} at line {line}, column {column}");
            Failure::new("LOOKUP_VALUE_ERROR", format!("Invalid lookup value: {detail}"))
        })?;
        Ok(Statement::CreateLookup { name, existing, value })
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Failure> {
        if self.takes(keyword) { Ok(()) } else { self.unexpected() }
    }

    fn end(&mut self, statement: Statement) -> Result<Statement, Failure> {
        if self.rest().is_empty() { Ok(statement) } else { self.unexpected() }
    }

    /// The error that names line, column and the offending token.
    fn unexpected<T>(&mut self) -> Result<T, Failure> {
        let at = self.place();
        let (line, column) = place(self.text, at);
        let rest = &self.text[at..];
        let token = match rest.bytes().next() {
            None => {
                let message = format!("Unexpected end at line {line}, column {column}");
                return Err(Failure::new("SYNTAX_ERROR", message));
            }
            Some(b'"' | b'\'') => &rest[..end_of_string(rest.as_bytes(), 0)],
            Some(b) if b.is_ascii_alphanumeric() || b == b'_' => {
                let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
                &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())]
            }
            Some(_) => &rest[..rest.chars().next().map_or(0, char::len_utf8)],
        };
        let token: String = token.chars().take(40).collect();
        let message = format!("Unexpected '{token}' at line {line}, column {column}");
        Err(Failure::new("SYNTAX_ERROR", message))
    }
}

fn bad_name(name: &str) -> Failure {
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    Failure::new(
        "COMMAND_FAILED",
        format!(
            "Invalid stream name '{shown}'. Stream names must start with a letter or underscore and \
             contain only letters, numbers, and underscores."
        ),
    )
}

#[cfg(test)]
mod tests;

//! The parser's hands: tokens one after the other, and which statement it is.

use super::Wrong;
use super::ast::{Duration, Name, Show, Statement};
use super::lex::{Token, lex, unquote};
use std::ops::Range;

/// Nesting of expressions and queries.
const DEPTH_MAX: usize = 200;
/// Bytes of names.
const TABLE_NAME_MAX: usize = 192;
const NAME_MAX: usize = 64;

type Parsed<T> = Result<T, Wrong>;

/// Words that stand for no name where a name is optional.
const RESERVED: &[&str] = &[
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "contains",
    "count_window",
    "desc",
    "distinct",
    "else",
    "end",
    "event_window",
    "fill",
    "from",
    "group",
    "having",
    "in",
    "inner",
    "insert",
    "interval",
    "into",
    "is",
    "join",
    "left",
    "right",
    "like",
    "limit",
    "match",
    "nmatch",
    "not",
    "null",
    "nulls",
    "offset",
    "outer",
    "on",
    "or",
    "order",
    "partition",
    "range",
    "every",
    "select",
    "session",
    "slimit",
    "sliding",
    "soffset",
    "state_window",
    "table",
    "tags",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
];

/// A place in the tokens of a statement.
#[derive(Debug)]
pub struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    depth: usize,
    /// Joins met so far.
    pub(super) joins: usize,
    /// `?` met so far.
    pub(super) parameters: usize,
}

/// Reads one statement; gives how many `?` stand in it.
///
/// # Errors
/// What is wrong, at the first place.
pub fn parse(text: &str) -> Parsed<(Statement, usize)> {
    let mut parser = Parser { text, tokens: lex(text)?, at: 0, depth: 0, joins: 0, parameters: 0 };
    if parser.peek() == Token::End {
        return Err(Wrong::new(0x2601, "Incomplete SQL statement"));
    }
    let statement = parser.statement()?;
    parser.sign(";");
    match parser.peek() {
        Token::End => Ok((statement, parser.parameters)),
        _ => parser.wrong(),
    }
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Token {
        self.tokens.get(self.at).map_or(Token::End, |(token, _)| *token)
    }

    pub(super) fn peek_after(&self, count: usize) -> Token {
        self.tokens.get(self.at + count).map_or(Token::End, |(token, _)| *token)
    }

    pub(super) fn next(&mut self) -> (Token, &'a str) {
        let end = self.text.len()..self.text.len();
        let (token, span) = self.tokens.get(self.at).cloned().unwrap_or((Token::End, end));
        self.at += 1;
        (token, self.text.get(span).unwrap_or_default())
    }

    /// Where the next token begins.
    pub(super) fn start(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(_, span)| span.start)
    }

    /// The text from a place to the end of the last token.
    pub(super) fn since(&self, start: usize) -> &'a str {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let end = last.map_or(start, |(_, span)| span.end);
        self.text.get(start..end).unwrap_or_default()
    }

    /// A mistake at the next token.
    pub(super) fn wrong<T>(&self) -> Parsed<T> {
        Err(Wrong::syntax(self.text, self.start()))
    }

    /// A mistake at the token before.
    pub(super) fn wrong_before<T>(&self) -> Parsed<T> {
        let at = self.at.saturating_sub(1);
        let start = self.tokens.get(at).map_or(self.text.len(), |(_, span)| span.start);
        Err(Wrong::syntax(self.text, start))
    }

    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if found == sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn need(&mut self, sign: &str) -> Parsed<()> {
        if self.sign(sign) { Ok(()) } else { self.wrong() }
    }

    /// The word that so many tokens later stands, in lower case.
    pub(super) fn word_at(&self, count: usize) -> Option<String> {
        match self.tokens.get(self.at + count) {
            Some((Token::Word, span)) => Some(self.text.get(span.clone())?.to_ascii_lowercase()),
            _ => None,
        }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        match self.tokens.get(self.at) {
            Some((Token::Word, span)) => {
                self.text.get(span.clone()).is_some_and(|found| found.eq_ignore_ascii_case(word))
            }
            _ => false,
        }
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// All of these words, or none.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let there = |(at, word): (usize, &&str)| self.word_at(at).as_deref() == Some(word);
        let found = words.iter().enumerate().all(there);
        self.at += if found { words.len() } else { 0 };
        found
    }

    pub(super) fn need_word(&mut self, word: &str) -> Parsed<()> {
        if self.word(word) { Ok(()) } else { self.wrong() }
    }

    /// Goes one level deeper while `inner` reads.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return self.wrong();
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn any_name(&mut self, max: usize) -> Parsed<String> {
        let name = match self.peek() {
            Token::Word => self.next().1.to_ascii_lowercase(),
            Token::Quoted => unquote(self.next().1),
            _ => return self.wrong(),
        };
        if name.is_empty() || name.len() > max { self.wrong_before() } else { Ok(name) }
    }

    /// A name of a column, tag, database or the like.
    pub(super) fn name(&mut self) -> Parsed<String> {
        self.any_name(NAME_MAX)
    }

    /// `[database.]table`
    pub(super) fn table_name(&mut self) -> Parsed<Name> {
        let first = self.any_name(TABLE_NAME_MAX)?;
        if self.sign(".") {
            let name = self.any_name(TABLE_NAME_MAX)?;
            return Ok(Name { database: Some(first), name });
        }
        Ok(Name { database: None, name: first })
    }

    /// Whether a name that is no keyword comes.
    pub(super) fn is_free_name(&self) -> bool {
        match self.peek() {
            Token::Quoted => true,
            Token::Word => self.word_at(0).is_some_and(|w| !RESERVED.contains(&w.as_str())),
            _ => false,
        }
    }

    pub(super) fn text_literal(&mut self) -> Parsed<String> {
        match self.peek() {
            Token::Text => Ok(unquote(self.next().1)),
            _ => self.wrong(),
        }
    }

    pub(super) fn integer(&mut self) -> Parsed<u64> {
        match self.peek() {
            Token::Integer => match self.next().1.parse() {
                Ok(number) => Ok(number),
                Err(_) => self.wrong_before(),
            },
            _ => self.wrong(),
        }
    }

    pub(super) fn duration(&mut self) -> Parsed<Duration> {
        let (token, text) = self.next();
        let (digits, unit) = match token {
            Token::Duration => text.split_at(text.len() - 1),
            Token::Integer => (text, "a"),
            _ => return self.wrong_before(),
        };
        let unit = unit.bytes().next().unwrap_or(b'a').to_ascii_lowercase();
        match digits.parse() {
            Ok(count) => Ok(Duration { count, unit }),
            Err(_) => self.wrong_before(),
        }
    }

    /// Things between commas.
    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut list = vec![one(self)?];
        while self.sign(",") {
            list.push(one(self)?);
        }
        Ok(list)
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.words(&["if", "exists"])
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.words(&["if", "not", "exists"])
    }

    fn statement(&mut self) -> Parsed<Statement> {
        if self.peek() == Token::Sign("(") {
            return Ok(Statement::Query(Box::new(self.query()?)));
        }
        let Some(first) = self.word_at(0) else { return self.wrong() };
        match first.as_str() {
            "select" => Ok(Statement::Query(Box::new(self.query()?))),
            "insert" => self.insert(),
            "delete" => self.delete(),
            "create" => self.create(),
            "drop" => self.drop(),
            "alter" => self.alter(),
            "grant" => self.grant(true),
            "revoke" => self.grant(false),
            "use" => {
                self.next();
                Ok(Statement::Use(self.name()?))
            }
            "show" => self.show(),
            "describe" | "desc" => {
                self.next();
                Ok(Statement::Describe(self.table_name()?))
            }
            "flush" => {
                self.next();
                self.need_word("database")?;
                Ok(Statement::Flush(self.name()?))
            }
            _ => self.wrong(),
        }
    }

    fn like(&mut self) -> Parsed<Option<String>> {
        if self.word("like") { Ok(Some(self.text_literal()?)) } else { Ok(None) }
    }

    fn show(&mut self) -> Parsed<Statement> {
        self.next();
        if let Some(show) = self.other_show()? {
            return Ok(Statement::Show(show));
        }
        let normal = self.word("normal");
        let child = self.word("child");
        let mut database = None;
        if self.peek_after(1) == Token::Sign(".") {
            database = Some(self.name()?);
            self.need(".")?;
        }
        let Some(what) = self.word_at(0) else { return self.wrong() };
        if normal || child || database.is_some() {
            let plain = !normal && !child;
            if what != "tables" && !(matches!(what.as_str(), "stables" | "vgroups") && plain) {
                return self.wrong();
            }
        }
        self.next();
        let show = match what.as_str() {
            "databases" => Show::Databases,
            "tables" => Show::Tables { database, like: self.like()?, normal, child },
            "stables" => Show::Stables { database, like: self.like()? },
            "topics" => Show::Topics,
            "consumers" => Show::Consumers,
            "subscriptions" => Show::Subscriptions,
            "vgroups" => Show::Vgroups(database),
            "dnodes" => Show::Dnodes,
            _ => return self.wrong_before(),
        };
        Ok(Statement::Show(show))
    }
}

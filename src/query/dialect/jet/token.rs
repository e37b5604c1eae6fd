//! Words, numbers, durations, strings and signs of a JET text.

use super::lex::{end_of_string, place, skip};
use super::literal::to_json;
use super::options::duration_ms;
use super::statement::Failure;
use crate::model::value::read_json;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    Number(&'t str),
    /// In milliseconds.
    Duration(f64),
    String(String),
    Sign(&'static str),
    End,
}

/// Signs, longer ones first.
const SIGNS: &[&str] = &[
    "...", "..", "==", "!=", "<>", "<=", ">=", "=>", "&&", "||", "{", "}", "(", ")", "[", "]", ",",
    ":", ";", ".", "?", "!", "=", "<", ">", "+", "-", "*", "/", "%", "|",
];

/// Where reading stands.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    /// Where the present token begins.
    start: usize,
    /// Where the next one begins.
    end: usize,
    token: Token<'t>,
}

type Parsed<T> = Result<T, Failure>;

impl<'t> Lexer<'t> {
    /// Begins at byte `at`.
    pub fn new(text: &'t str, at: usize) -> Parsed<Self> {
        let mut lexer = Self { text, start: at, end: at, token: Token::End };
        lexer.advance()?;
        Ok(lexer)
    }

    /// The present token.
    pub fn token(&self) -> &Token<'t> {
        &self.token
    }

    /// Where the present token ends.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The token behind the present one.
    pub fn peek(&self) -> Token<'t> {
        let mut next = self.clone();
        next.advance().map_or(Token::End, |()| next.token)
    }

    /// Goes to the next token.
    pub fn advance(&mut self) -> Parsed<()> {
        let bytes = self.text.as_bytes();
        self.start = skip(bytes, self.end);
        let rest = self.text.get(self.start..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            self.token = Token::End;
            self.end = self.start;
            return Ok(());
        };
        if first.is_ascii_alphabetic() || matches!(first, '_' | '$') {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '$')))
                .unwrap_or(rest.len());
            self.token = Token::Word(&rest[..end]);
            self.end = self.start + end;
        } else if first.is_ascii_digit() {
            return self.number(rest);
        } else if matches!(first, '"' | '\'') {
            let end = end_of_string(bytes, self.start);
            let written = self.text.get(self.start..end).unwrap_or_default();
            let json = to_json(written).map_err(|(_, what)| self.error(what))?;
            let json = String::from_utf8(json).unwrap_or_default();
            let value = read_json(&json);
            let Some(crate::model::value::Value::String(text)) = value else {
                return Err(self.error("bad string"));
            };
            self.token = Token::String(text.to_string());
            self.end = end;
        } else {
            let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
                self.token = Token::End;
                self.end = self.start + first.len_utf8();
                return Err(self.error(&format!("Unexpected '{first}'")));
            };
            self.token = Token::Sign(sign);
            self.end = self.start + sign.len();
        }
        Ok(())
    }

    fn number(&mut self, rest: &'t str) -> Parsed<()> {
        let bytes = rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let last = digits(end + 1 + sign);
            if last > end + 1 + sign {
                end = last;
            }
        }
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let whole = rest.find(|c| !word(c)).unwrap_or(rest.len());
        if whole <= end {
            self.token = Token::Number(&rest[..end]);
            self.end = self.start + end;
            return Ok(());
        }
        // A fraction may stand before the unit: 1.5h.
        let mut last = end;
        while let Some(c) = rest[last..].chars().next().filter(|c| word(*c) || *c == '.') {
            last += c.len_utf8();
        }
        match duration_ms(&rest[..last]) {
            Some(ms) => self.token = Token::Duration(ms),
            None => return Err(self.error(&format!("Unexpected '{}'", &rest[..last]))),
        }
        self.end = self.start + last;
        Ok(())
    }

    /// Whether the present token is this sign.
    pub fn is(&self, sign: &str) -> bool {
        matches!(self.token, Token::Sign(found) if found == sign)
    }

    /// Whether the present token is this word, in any case.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    /// Takes the sign if it stands here.
    pub fn takes(&mut self, sign: &str) -> Parsed<bool> {
        let found = self.is(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Takes the word if it stands here.
    pub fn takes_word(&mut self, word: &str) -> Parsed<bool> {
        let found = self.is_word(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Takes the sign, which must stand here.
    pub fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign)? { Ok(()) } else { Err(self.unexpected(&format!("'{sign}'"))) }
    }

    /// Takes the word, which must stand here.
    pub fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.takes_word(word)? { Ok(()) } else { Err(self.unexpected(&format!("'{word}'"))) }
    }

    /// Takes an identifier.
    pub fn identifier(&mut self) -> Parsed<&'t str> {
        let Token::Word(word) = self.token else { return Err(self.unexpected("a name")) };
        self.advance()?;
        Ok(word)
    }

    /// What stands here is wrong.
    pub fn unexpected(&self, wanted: &str) -> Failure {
        let found: String = match &self.token {
            Token::End => "the end".to_owned(),
            _ => {
                let token = self.text.get(self.start..self.end).unwrap_or_default();
                format!("'{}'", token.chars().take(40).collect::<String>())
            }
        };
        self.error(&format!("Unexpected {found}, expected {wanted}"))
    }

    /// A syntax error at the present token.
    pub fn error(&self, what: &str) -> Failure {
        self.failure("SYNTAX_ERROR", what)
    }

    /// An error with this code at the present token.
    pub fn failure(&self, code: &'static str, what: &str) -> Failure {
        let (line, column) = place(self.text, self.start);
        Failure::new(code, format!("{what} at line {line}, column {column}"))
    }
}

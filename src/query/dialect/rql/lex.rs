//! Text to tokens in one pass. A token is a kind and a span; what it says is read from the text
//! when it is wanted. What cannot be a token becomes one that carries the error, so that a fault of
//! the grammar before it is told first.

use super::source::Span;
use std::rc::Rc;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A keyword.
    Word(Keyword),
    /// A name.
    Name,
    /// A name in back-quotes.
    Quoted,
    /// `"..."`, `'...'` or `"""..."""`.
    Text,
    /// Digits.
    Integer,
    /// A number with a fraction or exponent.
    Number,
    /// A sign.
    Sign(Sign),
    /// Not a token.
    Bad(Bad),
    /// The end of the text.
    End,
}

/// Why something is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// A quote that is not closed on its line.
    Unterminated,
    /// A character that begins nothing.
    Character,
    /// A comment that does not end.
    Comment,
}

macro_rules! keywords {
    ($($name:ident $text:literal)+) => {
        /// Words that are never names without back-quotes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Keyword { $(#[doc = $text] $name),+ }

        fn keyword(text: &str) -> Option<Keyword> {
            $(if text.eq_ignore_ascii_case($text) {
                return Some(Keyword::$name);
            })+
            None
        }
    };
}

keywords! {
    All "ALL" And "AND" As "AS" Asc "ASC" Between "BETWEEN" By "BY" Case "CASE" Cast "CAST"
    Desc "DESC" Distinct "DISTINCT" Else "ELSE" End "END" False "FALSE" From "FROM" Group "GROUP"
    Having "HAVING" If "IF" In "IN" Is "IS" Like "LIKE" Limit "LIMIT" Not "NOT" Null "NULL"
    Offset "OFFSET" Or "OR" Order "ORDER" Partition "PARTITION" Select "SELECT" Then "THEN"
    True "TRUE" TryCast "TRY_CAST" TypeAlias "TYPEALIAS" Union "UNION" When "WHEN" Where "WHERE"
}

macro_rules! signs {
    ($($name:ident $text:literal)+) => {
        /// Signs, the longer ones first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sign { $(#[doc = $text] $name),+ }

        const SIGNS: &[(&str, Sign)] = &[$(($text, Sign::$name)),+];
    };
}

signs! {
    Assign ":=" EqualEqual "==" BangEqual "!=" LessGreater "<>" LessEqual "<=" GreaterEqual ">="
    Equal "=" Less "<" Greater ">" Plus "+" Minus "-" Star "*" Slash "/" Percent "%" Dot "."
    Comma "," Colon ":" Semicolon ";" Open "(" Close ")" OpenBracket "[" CloseBracket "]"
    OpenBrace "{" CloseBrace "}"
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexeme {
    /// What it is.
    pub token: Token,
    /// Where.
    pub span: Span,
}

/// The tokens of `text`; the last is `End` or `Bad`.
#[must_use]
pub fn lex(text: &str) -> Vec<Lexeme> {
    let mut lexer = Lexer { text, at: 0, start: 0 };
    let mut list = Vec::with_capacity(text.len() / 4);
    loop {
        let lexeme = lexer.next();
        list.push(lexeme);
        if matches!(lexeme.token, Token::End | Token::Bad(_)) {
            return list;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where a token begins that is not the one looked for.
    start: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Lexeme {
        let begun = self.blanks();
        self.start = self.at;
        let token = if begun { self.token() } else { Token::Bad(Bad::Comment) };
        if token == Token::Bad(Bad::Comment) {
            self.at = self.text.len();
        }
        Lexeme { token, span: Span { start: self.start as u32, end: self.at as u32 } }
    }

    /// Passes over blanks and comments; `false` at a comment that does not end.
    fn blanks(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with("//") {
                let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
                self.at += line;
            } else if rest.starts_with("/*") {
                match rest.get(2..).and_then(|inner| inner.find("*/")) {
                    Some(length) => self.at += length + 4,
                    None => return false,
                }
            } else {
                return true;
            }
        }
    }

    fn token(&mut self) -> Token {
        let Some(first) = self.peek() else { return Token::End };
        if first == '"' && self.rest().starts_with("\"\"\"") {
            return self.raw_text();
        }
        match first {
            '"' | '\'' => self.quoted_text(first),
            '`' => self.quoted_name(),
            '0'..='9' => self.number(),
            _ if is_name_start(first) => self.word(),
            _ => self.sign(first),
        }
    }

    fn word(&mut self) -> Token {
        let rest = self.rest();
        let length = rest.find(|c| !is_name_part(c)).unwrap_or(rest.len());
        let word = keyword(rest.get(..length).unwrap_or_default());
        self.at += length;
        word.map_or(Token::Name, Token::Word)
    }

    fn sign(&mut self, first: char) -> Token {
        for (text, sign) in SIGNS {
            if self.rest().starts_with(text) {
                self.at += text.len();
                return Token::Sign(*sign);
            }
        }
        self.at += first.len_utf8();
        Token::Bad(Bad::Character)
    }

    fn number(&mut self) -> Token {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| {
            let more = bytes.get(from..).unwrap_or_default();
            more.iter().take_while(|b| b.is_ascii_digit()).count()
        };
        self.at += digits(self.at);
        let mut token = Token::Integer;
        if bytes.get(self.at) == Some(&b'.') && digits(self.at + 1) > 0 {
            self.at += 1 + digits(self.at + 1);
            token = Token::Number;
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            let sign = usize::from(matches!(bytes.get(self.at + 1), Some(b'+' | b'-')));
            let exponent = digits(self.at + 1 + sign);
            if exponent > 0 {
                self.at += 1 + sign + exponent;
                token = Token::Number;
            }
        }
        token
    }

    fn quoted_text(&mut self, quote: char) -> Token {
        let start = self.at;
        let mut escaped = false;
        for (at, c) in self.text.get(start + 1..).unwrap_or_default().char_indices() {
            let here = start + 1 + at;
            match c {
                '\n' | '\r' => {
                    self.at = here;
                    return Token::Bad(Bad::Unterminated);
                }
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if c == quote => {
                    self.at = here + 1;
                    let inner = self.text.get(start + 1..here).unwrap_or_default();
                    let Err(bad) = unescape(inner) else { return Token::Text };
                    self.start = start + 1 + bad;
                    self.at = self.start + 1;
                    return Token::Bad(Bad::Character);
                }
                _ => {}
            }
        }
        self.at = self.text.len();
        Token::Bad(Bad::Unterminated)
    }

    fn raw_text(&mut self) -> Token {
        let inner = self.text.get(self.at + 3..).unwrap_or_default();
        let Some(length) = inner.find("\"\"\"") else {
            self.at = self.text.len();
            return Token::Bad(Bad::Unterminated);
        };
        self.at += length + 6;
        Token::Text
    }

    fn quoted_name(&mut self) -> Token {
        let inner = self.text.get(self.at + 1..).unwrap_or_default();
        match inner.find(['`', '\n', '\r']) {
            Some(length) if length > 0 && inner.as_bytes().get(length) == Some(&b'`') => {
                self.at += length + 2;
                Token::Quoted
            }
            Some(0) if inner.starts_with('`') => {
                self.at += 1;
                Token::Bad(Bad::Character)
            }
            Some(length) => {
                self.at += length + 1;
                Token::Bad(Bad::Unterminated)
            }
            None => {
                self.at = self.text.len();
                Token::Bad(Bad::Unterminated)
            }
        }
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || unicode_ident::is_xid_start(c)
}

fn is_name_part(c: char) -> bool {
    unicode_ident::is_xid_continue(c)
}

/// Whether `text` is a name without back-quotes.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_part)
}

/// What a string token says.
#[must_use]
pub fn text_of(token: &str) -> Rc<str> {
    if let Some(inner) = token.strip_prefix("\"\"\"") {
        return Rc::from(inner.strip_suffix("\"\"\"").unwrap_or(inner));
    }
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    Rc::from(unescape(inner).unwrap_or_default())
}

/// Resolves escapes.
///
/// # Errors
/// Where the first bad one is.
fn unescape(text: &str) -> Result<String, usize> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    let mut high: Option<u16> = None;
    loop {
        let at = text.len() - chars.as_str().len();
        let Some(c) = chars.next() else { break };
        if c != '\\' {
            flush(&mut high, &mut out);
            out.push(c);
            continue;
        }
        let plain = match chars.next().ok_or(at)? {
            quote @ ('"' | '\'' | '\\' | '/' | '`') => quote,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let digits = chars.as_str().get(..4).unwrap_or_default();
                let unit = u16::from_str_radix(digits, 16).map_err(|_| at)?;
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(at);
                }
                chars.nth(3);
                push_unit(unit, &mut high, &mut out);
                continue;
            }
            _ => return Err(at),
        };
        flush(&mut high, &mut out);
        out.push(plain);
    }
    flush(&mut high, &mut out);
    Ok(out)
}

/// Adds a UTF-16 unit; one half of a pair alone becomes U+FFFD.
fn push_unit(unit: u16, high: &mut Option<u16>, out: &mut String) {
    if let Some(first) = high.take() {
        match char::decode_utf16([first, unit]).next() {
            Some(Ok(c)) if (0xDC00..0xE000).contains(&unit) => return out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    match unit {
        0xD800..0xDC00 => *high = Some(unit),
        _ => out.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

fn flush(high: &mut Option<u16>, out: &mut String) {
    if high.take().is_some() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
}

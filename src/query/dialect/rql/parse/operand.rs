//! Operands: literals, names, brackets, calls, `IF`, `CASE`, `CAST`.

use super::super::ast::{Argument, Id, Kind, Temporal, Word};
use super::super::lex::{Keyword, Sign, Token};
use super::super::source::{Span, Wrong};
use super::{NESTING_MAX, Parse, Parser};

impl Parser<'_> {
    pub(super) fn postfix(&mut self) -> Parse<Id> {
        let start = self.span();
        let mut value = self.operand()?;
        // A chain of calls is as deep as it is long.
        let mut calls = 0;
        loop {
            match self.token() {
                Token::Sign(Sign::Dot) => {
                    let mut path: Vec<Word> = Vec::new();
                    while self.take_sign(Sign::Dot) {
                        path.push(self.name(true, "name")?);
                    }
                    let span = start.to(self.last());
                    value = self.node(Kind::Path(value, path), span);
                }
                Token::Sign(Sign::Open | Sign::OpenBracket) => {
                    calls += 1;
                    if self.depth + calls > NESTING_MAX {
                        return Err(Wrong::at(self.span(), "nested too deeply"));
                    }
                    value = self.call(value, start)?;
                }
                _ => return Ok(value),
            }
        }
    }

    fn call(&mut self, callee: Id, start: Span) -> Parse<Id> {
        let mut kind = None;
        if self.take_sign(Sign::OpenBracket) {
            kind = Some(self.type_expression()?);
            self.need_sign(Sign::CloseBracket, "']'")?;
        }
        if self.token() != Token::Sign(Sign::Open) {
            return Err(self.expected("'('"));
        }
        self.enter()?;
        self.at += 1;
        let counts = match self.nodes.get(callee.0 as usize).map(|node| &node.kind) {
            Some(Kind::Name(word)) => !word.quoted && word.text.eq_ignore_ascii_case("COUNT"),
            _ => false,
        };
        let mut arguments = Vec::new();
        while !self.take_sign(Sign::Close) {
            if !arguments.is_empty() {
                self.need_sign(Sign::Comma, "',' or ')'")?;
            }
            let named = self.is_name(0) && self.ahead(1) == Token::Sign(Sign::Assign);
            let name = if named { Some(self.name(false, "name")?) } else { None };
            self.at += usize::from(named);
            let distinct = counts && !named && self.take_word(Keyword::Distinct);
            let value = self.expression()?;
            arguments.push(Argument { name, distinct, value });
        }
        self.leave();
        let span = start.to(self.last());
        Ok(self.node(Kind::Call(callee, kind, arguments), span))
    }

    fn operand(&mut self) -> Parse<Id> {
        let span = self.span();
        let kind = match self.token() {
            Token::Word(Keyword::Null) => Kind::Null,
            Token::Word(Keyword::True) => Kind::Bool(true),
            Token::Word(Keyword::False) => Kind::Bool(false),
            Token::Word(Keyword::Partition) => Kind::Partition,
            Token::Sign(Sign::Star) => Kind::Star,
            Token::Text => Kind::Text(self.string(span)),
            Token::Integer => match self.text_at(span).parse() {
                Ok(number) => Kind::Integer(number),
                Err(_) => return Err(self.expected("integer of 64 bits")),
            },
            Token::Number => Kind::Number(self.text_at(span).parse().unwrap_or(f64::INFINITY)),
            Token::Name | Token::Quoted => return self.named(),
            Token::Sign(Sign::Open) => return self.brackets(),
            Token::Sign(Sign::OpenBracket) => {
                return self.list(Sign::CloseBracket, "',' or ']'");
            }
            Token::Word(Keyword::Select) => return self.select(),
            Token::Word(Keyword::If) => return self.choice(),
            Token::Word(Keyword::Case) => return self.case(),
            Token::Word(Keyword::Cast) => return self.cast(false),
            Token::Word(Keyword::TryCast) => return self.cast(true),
            Token::Word(Keyword::Distinct) => {
                self.at += 1;
                if self.token() != Token::Sign(Sign::Open) {
                    return Err(self.expected("'('"));
                }
                self.enter()?;
                self.at += 1;
                let inner = self.expression()?;
                self.need_sign(Sign::Close, "')'")?;
                self.leave();
                return Ok(self.node(Kind::Distinct(inner), span.to(self.last())));
            }
            _ => return Err(self.expected("expression")),
        };
        self.at += 1;
        Ok(self.node(kind, span))
    }

    fn named(&mut self) -> Parse<Id> {
        let span = self.span();
        if self.ahead(1) == Token::Text {
            let temporal = [
                ("DATE", Temporal::Date),
                ("TIME", Temporal::Time),
                ("TIMESTAMP", Temporal::Timestamp),
                ("INTERVAL", Temporal::Interval),
            ];
            if let Some((_, kind)) = temporal.iter().find(|(word, _)| self.is_soft(word)) {
                self.at += 1;
                let at = self.span();
                let text = self.string(at);
                self.at += 1;
                return Ok(self.node(Kind::Temporal(*kind, text, at), span.to(at)));
            }
        }
        if self.is_soft("COLLECTION") && self.ahead(1) == Token::Sign(Sign::Open) {
            self.at += 1;
            return self.list(Sign::Close, "',' or ')'");
        }
        let name = self.name(false, "name")?;
        Ok(self.node(Kind::Name(name), span))
    }

    /// `[..]` or `COLLECTION(..)`, from the bracket on.
    fn list(&mut self, close: Sign, what: &str) -> Parse<Id> {
        let word = self.last();
        let start = if close == Sign::Close { word } else { self.span() };
        self.enter()?;
        self.at += 1;
        let mut elements = Vec::new();
        while !self.take_sign(close) {
            if !elements.is_empty() {
                self.need_sign(Sign::Comma, what)?;
            }
            elements.push(self.expression()?);
        }
        self.leave();
        Ok(self.node(Kind::List(elements), start.to(self.last())))
    }

    /// `( expr )` or a record.
    fn brackets(&mut self) -> Parse<Id> {
        let start = self.span();
        self.enter()?;
        self.at += 1;
        let mut fields = vec![self.field()?];
        let first_named = fields.first().is_some_and(|(name, _)| name.is_some());
        if !first_named && self.take_sign(Sign::Close) {
            self.leave();
            return Ok(fields.first().map_or(Id(0), |(_, value)| *value));
        }
        let mut comma = false;
        while !self.take_sign(Sign::Close) {
            let what = if first_named || comma { "',' or ')'" } else { "')'" };
            self.need_sign(Sign::Comma, what)?;
            if !comma && self.take_sign(Sign::Close) {
                break;
            }
            comma = true;
            fields.push(self.field()?);
        }
        self.leave();
        Ok(self.node(Kind::Record(fields), start.to(self.last())))
    }

    fn field(&mut self) -> Parse<(Option<Word>, Id)> {
        let word = matches!(self.token(), Token::Name | Token::Quoted | Token::Word(_));
        let named = word && self.ahead(1) == Token::Sign(Sign::Colon);
        let name = if named { Some(self.name(true, "name")?) } else { None };
        self.at += usize::from(named);
        Ok((name, self.expression()?))
    }

    fn choice(&mut self) -> Parse<Id> {
        let start = self.span();
        self.enter()?;
        self.at += 1;
        let condition = self.expression()?;
        self.need_word(Keyword::Then, "THEN")?;
        let yes = self.expression()?;
        self.need_word(Keyword::Else, "ELSE")?;
        let no = self.expression()?;
        self.leave();
        Ok(self.node(Kind::If(condition, yes, no), start.to(self.last())))
    }

    fn case(&mut self) -> Parse<Id> {
        let start = self.span();
        self.enter()?;
        self.at += 1;
        let subject = match self.token() {
            Token::Word(Keyword::When) => None,
            _ => Some(self.expression()?),
        };
        let mut branches = Vec::new();
        self.need_word(Keyword::When, "WHEN")?;
        loop {
            let condition = self.expression()?;
            self.need_word(Keyword::Then, "THEN")?;
            branches.push((condition, self.expression()?));
            if !self.take_word(Keyword::When) {
                break;
            }
        }
        let otherwise = if self.take_word(Keyword::Else) { Some(self.expression()?) } else { None };
        self.need_word(Keyword::End, "END")?;
        self.leave();
        let span = start.to(self.last());
        Ok(self.node(Kind::Case(subject, branches, otherwise), span))
    }

    fn cast(&mut self, lenient: bool) -> Parse<Id> {
        let start = self.span();
        self.at += 1;
        if self.token() != Token::Sign(Sign::Open) {
            return Err(self.expected("'('"));
        }
        self.enter()?;
        self.at += 1;
        let value = self.expression()?;
        self.need_word(Keyword::As, "AS")?;
        let kind = self.type_expression()?;
        self.need_sign(Sign::Close, "')'")?;
        self.leave();
        Ok(self.node(Kind::Cast(lenient, value, kind), start.to(self.last())))
    }
}

//! Tokens to a tree, by descent. What recurses is counted in `depth` and bounded; chains are loops.

mod clause;
mod expression;
mod operand;

use super::ast::{
    Block, Declaration, Id, Kind, Node, Parameter, Program, TypeId, TypeKind, TypeNode, Word,
};
use super::lex::{Bad, Keyword, Lexeme, Sign, Token, lex, text_of};
use super::source::{Span, Wrong};
use std::rc::Rc;

/// Nesting of a query (raw, 1.7).
pub const NESTING_MAX: u32 = 200;

type Parse<T> = Result<T, Wrong>;

/// Reads a query.
///
/// # Errors
/// The first error of syntax.
pub fn parse(text: &str) -> Parse<Program> {
    let tokens = lex(text);
    let mut parser = Parser { text, tokens, at: 0, depth: 0, nodes: vec![], types: vec![] };
    let block = parser.block_items()?;
    if parser.token() != Token::End {
        return Err(parser.expected("end of input"));
    }
    Ok(Program::new(block, parser.nodes, parser.types))
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Lexeme>,
    at: usize,
    depth: u32,
    nodes: Vec<Node>,
    types: Vec<TypeNode>,
}

impl Parser<'_> {
    fn lexeme(&self, ahead: usize) -> Lexeme {
        let end = Span { start: self.text.len() as u32, end: self.text.len() as u32 };
        let missing = Lexeme { token: Token::End, span: end };
        self.tokens.get(self.at + ahead).copied().unwrap_or(missing)
    }

    fn token(&self) -> Token {
        self.lexeme(0).token
    }

    fn ahead(&self, count: usize) -> Token {
        self.lexeme(count).token
    }

    fn span(&self) -> Span {
        self.lexeme(0).span
    }

    /// Where the last consumed token ends.
    fn last(&self) -> Span {
        self.at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(Span::default(), |t| t.span)
    }

    fn text_at(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn expected(&self, what: &str) -> Wrong {
        let Lexeme { token, span } = self.lexeme(0);
        let message = match token {
            Token::Bad(Bad::Unterminated) => "unterminated string".to_owned(),
            Token::Bad(Bad::Comment) => "unterminated comment".to_owned(),
            Token::Bad(Bad::Character) => {
                format!("unexpected character '{}'", self.text_at(span))
            }
            Token::End => format!("expected {what} but reached end of input"),
            _ => format!("expected {what} but found '{}'", self.text_at(span)),
        };
        Wrong::at(span, message)
    }

    fn take_sign(&mut self, sign: Sign) -> bool {
        let found = self.token() == Token::Sign(sign);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: Keyword) -> bool {
        let found = self.token() == Token::Word(word);
        self.at += usize::from(found);
        found
    }

    fn need_sign(&mut self, sign: Sign, what: &str) -> Parse<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.expected(what)) }
    }

    fn need_word(&mut self, word: Keyword, what: &str) -> Parse<()> {
        if self.take_word(word) { Ok(()) } else { Err(self.expected(what)) }
    }

    /// Whether a name that is no keyword begins here and reads `word` in any case.
    fn is_soft(&self, word: &str) -> bool {
        let Lexeme { token, span } = self.lexeme(0);
        token == Token::Name && self.text_at(span).eq_ignore_ascii_case(word)
    }

    /// Goes one level down; `leave` goes up again.
    fn enter(&mut self) -> Parse<()> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(Wrong::at(self.span(), "nested too deeply"));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn node(&mut self, kind: Kind, span: Span) -> Id {
        let id = Id(self.nodes.len() as u32);
        self.nodes.push(Node { kind, span });
        id
    }

    fn span_of(&self, id: Id) -> Span {
        self.nodes.get(id.0 as usize).map_or(Span::default(), |node| node.span)
    }

    /// A name; `any`: keywords too.
    fn name(&mut self, any: bool, what: &str) -> Parse<Word> {
        let Lexeme { token, span } = self.lexeme(0);
        let (text, quoted): (Rc<str>, bool) = match token {
            Token::Name => (Rc::from(self.text_at(span)), false),
            Token::Word(_) if any => (Rc::from(self.text_at(span)), false),
            Token::Quoted => {
                let inner = Span { start: span.start + 1, end: span.end - 1 };
                (Rc::from(self.text_at(inner)), true)
            }
            _ => return Err(self.expected(what)),
        };
        self.at += 1;
        Ok(Word { text, quoted, span })
    }

    fn is_name(&self, ahead: usize) -> bool {
        matches!(self.ahead(ahead), Token::Name | Token::Quoted)
    }

    /// `{ decl [";"] } expr [";"]`
    fn block_items(&mut self) -> Parse<Block> {
        let mut declarations = Vec::new();
        while let Some(declaration) = self.declaration()? {
            declarations.push(declaration);
            self.take_sign(Sign::Semicolon);
        }
        let value = self.expression()?;
        self.take_sign(Sign::Semicolon);
        Ok(Block { declarations, value })
    }

    fn declaration(&mut self) -> Parse<Option<Declaration>> {
        if self.take_word(Keyword::TypeAlias) {
            let name = self.name(false, "name")?;
            self.need_sign(Sign::Assign, "':='")?;
            return Ok(Some(Declaration::Alias(name, self.type_expression()?)));
        }
        if !self.is_name(0) {
            return Ok(None);
        }
        if self.ahead(1) == Token::Sign(Sign::Assign) {
            let name = self.name(false, "name")?;
            self.at += 1;
            return Ok(Some(Declaration::Variable(name, self.expression()?)));
        }
        if self.ahead(1) == Token::Sign(Sign::Open) && self.heads_function() {
            return self.function().map(Some);
        }
        Ok(None)
    }

    /// Whether what follows the bracket that opens after a name makes it a declaration.
    fn heads_function(&self) -> bool {
        let mut open = 0_usize;
        for (index, lexeme) in self.tokens.iter().enumerate().skip(self.at + 1) {
            match lexeme.token {
                Token::Sign(Sign::Open) => open += 1,
                Token::Sign(Sign::Close) => {
                    open -= 1;
                    if open == 0 {
                        let next = self.tokens.get(index + 1).map(|lexeme| lexeme.token);
                        return matches!(
                            next,
                            Some(Token::Sign(Sign::Assign) | Token::Sign(Sign::Colon))
                        );
                    }
                }
                _ => {}
            }
        }
        false
    }

    fn function(&mut self) -> Parse<Declaration> {
        let name = self.name(false, "name")?;
        self.at += 1;
        let mut parameters = Vec::new();
        while !self.take_sign(Sign::Close) {
            if !parameters.is_empty() {
                self.need_sign(Sign::Comma, "',' or ')'")?;
            }
            let name = self.name(false, "name")?;
            self.need_sign(Sign::Colon, "':'")?;
            let kind = self.type_expression()?;
            let default =
                if self.take_sign(Sign::Assign) { Some(self.expression()?) } else { None };
            parameters.push(Parameter { name, kind, default });
        }
        let result = if self.take_sign(Sign::Colon) { Some(self.type_expression()?) } else { None };
        self.need_sign(Sign::Assign, "':='")?;
        let body = if self.token() == Token::Sign(Sign::OpenBrace) {
            self.enter()?;
            self.at += 1;
            let block = self.block_items()?;
            self.need_sign(Sign::CloseBrace, "'}'")?;
            self.leave();
            block
        } else {
            Block { declarations: Vec::new(), value: self.expression()? }
        };
        Ok(Declaration::Function(name, parameters, result, body))
    }

    fn type_node(&mut self, kind: TypeKind, start: Span) -> TypeId {
        let nullable = self.is_soft("NULLABLE") || self.token() == Token::Word(Keyword::Null);
        self.at += usize::from(nullable);
        let id = TypeId(self.types.len() as u32);
        self.types.push(TypeNode { kind, nullable, span: start.to(self.last()) });
        id
    }

    fn type_expression(&mut self) -> Parse<TypeId> {
        let start = self.span();
        let bracket = self.ahead(1) == Token::Sign(Sign::Open);
        if bracket && self.is_soft("COLLECTION") {
            self.at += 1;
            self.enter()?;
            self.at += 1;
            let element = self.type_expression()?;
            self.need_sign(Sign::Close, "')'")?;
            self.leave();
            return Ok(self.type_node(TypeKind::Collection(element), start));
        }
        if bracket && self.is_soft("RECORD") {
            self.at += 1;
            self.enter()?;
            self.at += 1;
            let mut fields = Vec::new();
            while !self.take_sign(Sign::Close) {
                if !fields.is_empty() {
                    self.need_sign(Sign::Comma, "',' or ')'")?;
                }
                let name = self.name(true, "name")?;
                self.need_sign(Sign::Colon, "':'")?;
                fields.push((name, self.type_expression()?));
            }
            self.leave();
            return Ok(self.type_node(TypeKind::Record(fields), start));
        }
        let name = self.name(false, "type")?;
        Ok(self.type_node(TypeKind::Name(name), start))
    }

    fn string(&self, span: Span) -> Rc<str> {
        text_of(self.text_at(span))
    }
}

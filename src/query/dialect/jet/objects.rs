//! Objects in expressions of JET, as `select` has them: keys, spreads, drops.

use super::expression::Reader;
use super::statement::Failure;
use super::token::Token;
use crate::query::program::{Item, Op, Program};

type Parsed<T> = Result<T, Failure>;

impl Reader<'_> {
    /// An object; the values of `items` were emitted.
    pub(super) fn object(&mut self, mut items: Vec<Item>) -> Parsed<()> {
        self.nested(|reader| {
            let before = items.len();
            reader.lexer.expect("{")?;
            while !reader.lexer.takes("}")? {
                if items.len() > before {
                    reader.lexer.expect(",")?;
                    if reader.lexer.takes("}")? {
                        break;
                    }
                }
                items.push(reader.item()?);
            }
            reader.program.object(items);
            Ok(())
        })
    }

    /// An item of `select`, its value emitted.
    fn item(&mut self) -> Parsed<Item> {
        if self.lexer.takes("...")? {
            if self.lexer.takes("*")? {
                self.program.op(Op::Record);
            } else {
                self.expression()?;
            }
            return Ok(Item::Spread);
        }
        if self.lexer.takes("-")? {
            return Ok(Item::Drop(self.key()?));
        }
        let is_word = matches!(self.lexer.token(), Token::Word(_));
        let word = self.key()?;
        if self.lexer.takes(":")? {
            self.expression()?;
        } else if is_word && (self.lexer.is(",") || self.lexer.is("}")) {
            let column = self.scope.column(&word);
            self.program.op(Op::Column(column));
        } else {
            return Err(self.lexer.unexpected("':', ',' or '}'"));
        }
        Ok(Item::Named(word))
    }

    /// A key: a word, even a reserved one, or a string.
    pub fn key(&mut self) -> Parsed<String> {
        let key = match self.lexer.token() {
            Token::Word(word) => (*word).to_owned(),
            Token::String(text) => text.clone(),
            _ => return Err(self.lexer.unexpected("a key")),
        };
        self.lexer.advance()?;
        Ok(key)
    }

    /// The object of `select`.
    pub fn selection(&mut self) -> Parsed<Program> {
        self.shape(Vec::new())
    }

    /// The object of `extend`: the fields of the record come first.
    pub fn extension(&mut self) -> Parsed<Program> {
        self.shape(vec![Item::Spread])
    }

    fn shape(&mut self, items: Vec<Item>) -> Parsed<Program> {
        if !self.lexer.is("{") {
            return Err(self.lexer.unexpected("'{'"));
        }
        let outer = std::mem::take(&mut self.program);
        if !items.is_empty() {
            self.program.op(Op::Record);
        }
        let result = self.object(items);
        let own = std::mem::replace(&mut self.program, outer);
        result.map(|()| own.finish())
    }
}

//! `SELECT` and its clauses.

use super::super::ast::{Generator, Id, Kind, Projection, Select, Word};
use super::super::lex::{Keyword, Sign, Token};
use super::{Parse, Parser};

impl Parser<'_> {
    pub(super) fn select(&mut self) -> Parse<Id> {
        let start = self.span();
        self.enter()?;
        self.at += 1;
        let mut select = Select::default();
        if self.token() == Token::Word(Keyword::Distinct) {
            select.distinct = true;
            self.at += 1;
        } else {
            self.take_word(Keyword::All);
        }
        loop {
            // A SELECT here needs brackets, else its commas and clauses would be read as ours.
            if self.token() == Token::Word(Keyword::Select) {
                return Err(self.expected("expression"));
            }
            let value = self.expression()?;
            select.projections.push(Projection { value, alias: self.alias()? });
            if !self.take_sign(Sign::Comma) {
                break;
            }
        }
        if self.take_word(Keyword::From) {
            loop {
                select.generators.push(self.generator()?);
                if !self.take_sign(Sign::Comma) {
                    break;
                }
            }
        }
        self.conditions(&mut select)?;
        self.ordering(&mut select)?;
        self.leave();
        let span = start.to(self.last());
        Ok(self.node(Kind::Select(Box::new(select)), span))
    }

    fn conditions(&mut self, select: &mut Select) -> Parse<()> {
        if self.take_word(Keyword::Where) {
            select.filter = Some(self.expression()?);
        }
        if self.take_word(Keyword::Group) {
            self.need_word(Keyword::By, "BY")?;
            loop {
                let value = self.expression()?;
                let named = self.take_word(Keyword::As);
                let alias = if named { Some(self.name(false, "name")?) } else { None };
                select.keys.push(Projection { value, alias });
                if !self.take_sign(Sign::Comma) {
                    break;
                }
            }
        }
        let word = self.span();
        if self.take_word(Keyword::Having) {
            select.having = Some((self.expression()?, word));
        }
        Ok(())
    }

    fn ordering(&mut self, select: &mut Select) -> Parse<()> {
        if self.take_word(Keyword::Order) {
            self.need_word(Keyword::By, "BY")?;
            loop {
                let value = self.expression()?;
                let descending = self.take_word(Keyword::Desc);
                if !descending {
                    self.take_word(Keyword::Asc);
                }
                select.order.push((value, descending));
                if !self.take_sign(Sign::Comma) {
                    break;
                }
            }
        }
        if self.take_word(Keyword::Limit) {
            select.limit = Some(self.expression()?);
            if self.take_word(Keyword::Offset) {
                select.offset = Some(self.expression()?);
            }
        }
        Ok(())
    }

    fn generator(&mut self) -> Parse<Generator> {
        let form = matches!(self.ahead(1), Token::Word(Keyword::In) | Token::Sign(Sign::Equal));
        if self.is_name(0) && form {
            let alias = self.name(false, "name")?;
            self.at += 1;
            return Ok(Generator { value: self.expression()?, alias: Some(alias) });
        }
        let value: Id = self.expression()?;
        Ok(Generator { value, alias: self.alias()? })
    }

    /// `[[AS] NAME]`; a name that begins a declaration is none.
    fn alias(&mut self) -> Parse<Option<Word>> {
        if self.take_word(Keyword::As) {
            return self.name(false, "name").map(Some);
        }
        let declares = matches!(self.ahead(1), Token::Sign(Sign::Assign | Sign::Open));
        if self.is_name(0) && !declares {
            return self.name(false, "name").map(Some);
        }
        Ok(None)
    }
}

//! Operators, from the loosest to the tightest.

use super::super::ast::{Arithmetic, Comparison, Id, Kind};
use super::super::lex::{Keyword, Sign, Token};
use super::{Parse, Parser};

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Parse<Id> {
        let first = self.conjunction()?;
        if self.token() != Token::Word(Keyword::Or) {
            return Ok(first);
        }
        let mut list = vec![first];
        while self.take_word(Keyword::Or) {
            list.push(self.conjunction()?);
        }
        let span = self.span_of(first).to(self.last());
        Ok(self.node(Kind::Any(list), span))
    }

    fn conjunction(&mut self) -> Parse<Id> {
        let first = self.negation()?;
        if self.token() != Token::Word(Keyword::And) {
            return Ok(first);
        }
        let mut list = vec![first];
        while self.take_word(Keyword::And) {
            list.push(self.negation()?);
        }
        let span = self.span_of(first).to(self.last());
        Ok(self.node(Kind::All(list), span))
    }

    fn negation(&mut self) -> Parse<Id> {
        let start = self.span();
        let mut count = 0_usize;
        while self.take_word(Keyword::Not) {
            count += 1;
        }
        let operand = self.comparison()?;
        if count == 0 {
            return Ok(operand);
        }
        let span = start.to(self.last());
        Ok(self.node(Kind::Not(count % 2 == 1, operand), span))
    }

    fn comparison(&mut self) -> Parse<Id> {
        let left = self.union()?;
        let operator = match self.token() {
            Token::Sign(Sign::Equal | Sign::EqualEqual) => Comparison::Equal,
            Token::Sign(Sign::BangEqual | Sign::LessGreater) => Comparison::NotEqual,
            Token::Sign(Sign::Less) => Comparison::Less,
            Token::Sign(Sign::LessEqual) => Comparison::LessEqual,
            Token::Sign(Sign::Greater) => Comparison::Greater,
            Token::Sign(Sign::GreaterEqual) => Comparison::GreaterEqual,
            Token::Word(
                Keyword::Not | Keyword::Like | Keyword::In | Keyword::Between | Keyword::Is,
            ) => return self.predicate(left),
            _ => return Ok(left),
        };
        self.at += 1;
        let right = self.union()?;
        let span = self.span_of(left).to(self.last());
        Ok(self.node(Kind::Compare(operator, left, right), span))
    }

    fn predicate(&mut self, left: Id) -> Parse<Id> {
        if self.take_word(Keyword::Is) {
            let not = self.take_word(Keyword::Not);
            self.need_word(Keyword::Null, if not { "NULL" } else { "NOT or NULL" })?;
            let span = self.span_of(left).to(self.last());
            return Ok(self.node(Kind::IsNull(not, left), span));
        }
        let not = self.take_word(Keyword::Not);
        let kind = if self.take_word(Keyword::Like) {
            Kind::Like(not, left, self.union()?)
        } else if self.take_word(Keyword::In) {
            Kind::In(not, left, self.union()?)
        } else if self.take_word(Keyword::Between) {
            let low = self.union()?;
            self.need_word(Keyword::And, "AND")?;
            Kind::Between(not, left, low, self.union()?)
        } else {
            return Err(self.expected("LIKE, IN or BETWEEN"));
        };
        let span = self.span_of(left).to(self.last());
        Ok(self.node(kind, span))
    }

    fn union(&mut self) -> Parse<Id> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        while self.take_word(Keyword::Union) {
            let all = self.take_word(Keyword::All);
            rest.push((all, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let span = self.span_of(first).to(self.last());
        Ok(self.node(Kind::Union(first, rest), span))
    }

    fn sum(&mut self) -> Parse<Id> {
        let first = self.product()?;
        let mut rest = Vec::new();
        loop {
            let operator = match self.token() {
                Token::Sign(Sign::Plus) => Arithmetic::Add,
                Token::Sign(Sign::Minus) => Arithmetic::Subtract,
                _ => return Ok(self.chain(first, rest)),
            };
            self.at += 1;
            rest.push((operator, self.product()?));
        }
    }

    fn product(&mut self) -> Parse<Id> {
        let first = self.signed()?;
        let mut rest = Vec::new();
        loop {
            let operator = match self.token() {
                Token::Sign(Sign::Star) => Arithmetic::Multiply,
                Token::Sign(Sign::Slash) => Arithmetic::Divide,
                Token::Sign(Sign::Percent) => Arithmetic::Remainder,
                _ => return Ok(self.chain(first, rest)),
            };
            self.at += 1;
            rest.push((operator, self.signed()?));
        }
    }

    fn chain(&mut self, first: Id, rest: Vec<(Arithmetic, Id)>) -> Id {
        if rest.is_empty() {
            return first;
        }
        let span = self.span_of(first).to(self.last());
        self.node(Kind::Arithmetic(first, rest), span)
    }

    fn signed(&mut self) -> Parse<Id> {
        let start = self.span();
        let (mut signs, mut minus) = (0_usize, 0_usize);
        loop {
            if self.take_sign(Sign::Minus) {
                minus += 1;
            } else if !self.take_sign(Sign::Plus) {
                break;
            }
            signs += 1;
        }
        let operand = self.postfix()?;
        if signs == 0 {
            return Ok(operand);
        }
        let span = start.to(self.last());
        Ok(self.node(Kind::Signed(minus % 2 == 1, operand), span))
    }
}

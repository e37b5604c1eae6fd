//! INSERT and DELETE.

use super::Wrong;
use super::ast::{Expr, Insert, InsertPart, Name, Statement, Using};
use super::lex::Token;
use super::parser::Parser;

type Parsed<T> = Result<T, Wrong>;

impl Parser<'_> {
    pub(super) fn insert(&mut self) -> Parsed<Statement> {
        self.next();
        self.need_word("into")?;
        let mut parts = Vec::new();
        loop {
            let table = match self.peek() {
                Token::Parameter => {
                    self.next();
                    None
                }
                _ => Some(self.table_name()?),
            };
            let mut columns = self.column_list()?;
            if parts.is_empty()
                && self.is_word("select")
                && let Some(table) = table
            {
                let query = Box::new(self.query()?);
                return Ok(Statement::Insert(Insert::Select(table, columns, query)));
            }
            let using = if self.word("using") { Some(self.using()?) } else { None };
            if columns.is_none() {
                columns = self.column_list()?;
            }
            self.need_word("values")?;
            let rows = self.rows()?;
            parts.push(InsertPart { table, using, columns, rows });
            if matches!(self.peek(), Token::End | Token::Sign(";")) {
                return Ok(Statement::Insert(Insert::Parts(parts)));
            }
        }
    }

    fn column_list(&mut self) -> Parsed<Option<Vec<String>>> {
        if !self.sign("(") {
            return Ok(None);
        }
        let list = self.list(Self::name)?;
        self.need(")")?;
        Ok(Some(list))
    }

    /// `stb [(tags)] TAGS (..)`, behind USING.
    pub(super) fn using(&mut self) -> Parsed<Using> {
        let stable = self.table_name()?;
        let tags = self.column_list()?;
        self.need_word("tags")?;
        let values = self.values()?;
        Ok(Using { stable, tags, values })
    }

    pub(super) fn values(&mut self) -> Parsed<Vec<Expr>> {
        self.need("(")?;
        let list = self.list(Self::sum)?;
        self.need(")")?;
        Ok(list)
    }

    fn rows(&mut self) -> Parsed<Vec<Vec<Expr>>> {
        let mut rows = vec![self.values()?];
        loop {
            let comma = self.peek() == Token::Sign(",");
            let next = if comma { self.peek_after(1) } else { self.peek() };
            if next != Token::Sign("(") {
                // A comma may stand between tables too.
                self.sign(",");
                return Ok(rows);
            }
            self.sign(",");
            rows.push(self.values()?);
        }
    }

    pub(super) fn delete(&mut self) -> Parsed<Statement> {
        self.next();
        self.need_word("from")?;
        let table: Name = self.table_name()?;
        let filter = if self.word("where") { Some(self.expr()?) } else { None };
        Ok(Statement::Delete { table, filter })
    }
}

//! SELECT.

use super::Wrong;
use super::ast::{Expr, Fill, Grid, Item, Join, Limit, Order, Query, Select, Source, Window};
use super::lex::Token;
use super::parser::Parser;

type Parsed<T> = Result<T, Wrong>;

/// Bytes of the name of a column that has only its text.
const TITLE_BYTES_MAX: usize = 64;
/// Joins of a statement.
const JOINS_MAX: usize = 9;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Parsed<Query> {
        self.deeper(|own| {
            let mut query = Query { first: own.member()?, ..Query::default() };
            while own.word("union") {
                let all = own.word("all");
                query.unions.push((all, own.member()?));
            }
            if own.words(&["order", "by"]) {
                query.order = own.list(Self::order)?;
            }
            if own.word("slimit") {
                query.slices = Some(own.limit("soffset")?);
            }
            if own.word("limit") {
                query.limit = own.limit("offset")?;
            }
            Ok(query)
        })
    }

    /// A select of a UNION, in parentheses or not.
    fn member(&mut self) -> Parsed<Select> {
        if !self.sign("(") {
            return self.select();
        }
        let select = self.select()?;
        self.need(")")?;
        Ok(select)
    }

    fn order(&mut self) -> Parsed<Order> {
        let expr = self.expr()?;
        let descending = !self.word("asc") && self.word("desc");
        let nulls_first = match () {
            () if self.words(&["nulls", "first"]) => Some(true),
            () if self.words(&["nulls", "last"]) => Some(false),
            () => None,
        };
        Ok(Order { expr, descending, nulls_first })
    }

    fn limit(&mut self, offset: &str) -> Parsed<Limit> {
        let first = self.integer()?;
        if self.sign(",") {
            return Ok(Limit { count: Some(self.integer()?), offset: first });
        }
        let offset = if self.word(offset) { self.integer()? } else { 0 };
        Ok(Limit { count: Some(first), offset })
    }

    fn select(&mut self) -> Parsed<Select> {
        self.need_word("select")?;
        let tags_only = self.is_word("tags") && self.peek_after(1) != Token::Sign(",");
        if tags_only {
            self.next();
        }
        let distinct = self.word("distinct");
        let mut select = Select { distinct, tags_only, ..Select::default() };
        select.items = self.list(Self::item)?;
        if self.word("from") {
            select.from = Some(self.source()?);
        }
        if self.word("where") {
            select.filter = Some(self.expr()?);
        }
        if self.words(&["partition", "by"]) {
            select.partition = self.list(Self::item)?;
        }
        select.grid = self.grid()?;
        select.window = self.window()?;
        if self.words(&["group", "by"]) {
            select.group = self.list(Self::expr)?;
        }
        if self.word("having") {
            select.having = Some(self.expr()?);
        }
        Ok(select)
    }

    pub(super) fn item(&mut self) -> Parsed<Item> {
        let start = self.start();
        if self.peek_after(1) == Token::Sign(".") && self.peek_after(2) == Token::Sign("*") {
            let table = self.name()?;
            self.next();
            self.next();
            return Ok(Item { expr: Expr::Star(Some(table)), name: String::new(), aliased: false });
        }
        let expr = self.expr()?;
        let written = self.since(start);
        if self.word("as") || self.is_free_name() {
            let name = match self.peek() {
                Token::Text => self.text_literal()?,
                _ => self.name()?,
            };
            return Ok(Item { expr, name, aliased: true });
        }
        let name = match &expr {
            Expr::Column(_, column) if !column.starts_with("_c") => column.clone(),
            _ => written.to_owned(),
        };
        let end = (0..=name.len().min(TITLE_BYTES_MAX)).rev().find(|at| name.is_char_boundary(*at));
        let name = name.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        Ok(Item { expr, name, aliased: false })
    }

    /// What stands in FROM, joins from left to right.
    fn source(&mut self) -> Parsed<Source> {
        let mut left = self.one_source()?;
        loop {
            let (outer, comma) = if self.words(&["inner", "join"]) || self.word("join") {
                (false, false)
            } else if self.words(&["left", "join"]) || self.words(&["left", "outer", "join"]) {
                (true, false)
            } else if self.sign(",") {
                (false, true)
            } else {
                return Ok(left);
            };
            if self.joins >= JOINS_MAX {
                return self.wrong_before();
            }
            self.joins += 1;
            let right = self.one_source()?;
            let on = match comma {
                true => None,
                false => {
                    self.need_word("on")?;
                    Some(self.expr()?)
                }
            };
            left = Source::Join(Box::new(Join { left, right, outer, on }));
        }
    }

    /// `RANGE(a[, b]) [EVERY(d)] [FILL(..)]`
    fn grid(&mut self) -> Parsed<Option<Grid>> {
        if !self.word("range") {
            return Ok(None);
        }
        self.need("(")?;
        let from = self.expr()?;
        let to = if self.sign(",") { Some(self.expr()?) } else { None };
        self.need(")")?;
        let mut every = None;
        if self.word("every") {
            self.need("(")?;
            every = Some(self.duration()?);
            self.need(")")?;
        }
        let fill = if self.word("fill") { self.fill()? } else { Fill::None };
        Ok(Some(Grid { from, to, every, fill }))
    }

    fn one_source(&mut self) -> Parsed<Source> {
        let alias = |own: &mut Self| {
            let named = own.word("as") || own.is_free_name();
            if named { own.name().map(Some) } else { Ok(None) }
        };
        if self.sign("(") {
            let inner = self.query()?;
            self.need(")")?;
            return Ok(Source::Query(Box::new(inner), alias(self)?));
        }
        let table = self.table_name()?;
        Ok(Source::Table(table, alias(self)?))
    }

    fn window(&mut self) -> Parsed<Option<Window>> {
        if self.word("interval") {
            self.need("(")?;
            let length = self.duration()?;
            let offset = if self.sign(",") { Some(self.duration()?) } else { None };
            self.need(")")?;
            let mut sliding = None;
            if self.word("sliding") {
                self.need("(")?;
                sliding = Some(self.duration()?);
                self.need(")")?;
            }
            let fill = if self.word("fill") { self.fill()? } else { Fill::None };
            return Ok(Some(Window::Interval { length, offset, sliding, fill }));
        }
        if self.word("session") {
            self.need("(")?;
            let time = self.expr()?;
            self.need(",")?;
            let gap = self.duration()?;
            self.need(")")?;
            return Ok(Some(Window::Session { time, gap }));
        }
        if self.word("state_window") {
            self.need("(")?;
            let state = self.expr()?;
            self.need(")")?;
            return Ok(Some(Window::State(state)));
        }
        if self.words(&["event_window", "start", "with"]) {
            let start = self.expr()?;
            if !self.words(&["end", "with"]) {
                return self.wrong();
            }
            return Ok(Some(Window::Event { start, end: self.expr()? }));
        }
        if self.word("count_window") {
            self.need("(")?;
            let rows = self.integer()? as i64;
            let sliding = if self.sign(",") { Some(self.integer()? as i64) } else { None };
            self.need(")")?;
            return Ok(Some(Window::Count { rows, sliding }));
        }
        Ok(None)
    }

    fn fill(&mut self) -> Parsed<Fill> {
        self.need("(")?;
        let Some(word) = self.word_at(0) else { return self.wrong() };
        self.next();
        let fill = match word.as_str() {
            "none" => Fill::None,
            "null" => Fill::Null,
            "null_f" => Fill::NullForced,
            "prev" => Fill::Previous,
            "next" => Fill::Next,
            "linear" => Fill::Linear,
            "near" => Fill::Near,
            "value" | "value_f" => {
                self.need(",")?;
                Fill::Value(self.list(Self::expr)?, word == "value_f")
            }
            _ => return self.wrong_before(),
        };
        self.need(")")?;
        Ok(fill)
    }
}

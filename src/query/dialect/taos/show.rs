//! SHOW of what stands in no list of names.

use super::Wrong;
use super::ast::{Expr, Item, Name, Show};
use super::lex::Token;
use super::parser::Parser;

type Parsed<T> = Result<T, Wrong>;

/// Lists that are the same for everybody.
const LISTS: &[&str] = &[
    "users",
    "grants",
    "cluster",
    "variables",
    "queries",
    "apps",
    "functions",
    "connections",
    "streams",
    "views",
    "mnodes",
    "qnodes",
    "snodes",
    "bnodes",
    "transactions",
    "accounts",
    "licences",
];

impl Parser<'_> {
    /// `None`: none of these; nothing was read.
    pub(super) fn other_show(&mut self) -> Parsed<Option<Show>> {
        if self.words(&["create", "database"]) {
            return Ok(Some(Show::CreateDatabase(self.name()?)));
        }
        for (word, stable) in [("table", false), ("stable", true)] {
            if self.words(&["create", word]) {
                return Ok(Some(Show::CreateTable(self.table_name()?, stable)));
            }
        }
        if self.words(&["table", "tags"]) {
            let items = match self.is_word("from") {
                true => Vec::new(),
                false => self.list(Self::item)?,
            };
            self.need_word("from")?;
            return Ok(Some(Show::TableTags(self.owned_name()?, shown(items))));
        }
        if self.words(&["tags"]) {
            self.need_word("from")?;
            return Ok(Some(Show::Tags(self.owned_name()?)));
        }
        if self.words(&["cluster", "alive"]) {
            return Ok(Some(Show::List("alive".to_owned())));
        }
        if self.words(&["cluster", "variables"]) || self.words(&["local", "variables"]) {
            return Ok(Some(Show::List("variables".to_owned())));
        }
        if self.words(&["alive"]) {
            return Ok(Some(Show::List("alive".to_owned())));
        }
        // `db.ALIVE`
        if self.word_at(2).as_deref() == Some("alive") && self.peek_after(1) == Token::Sign(".") {
            self.name()?;
            self.next();
            self.next();
            return Ok(Some(Show::List("alive".to_owned())));
        }
        let Some(list) = self.word_at(0).filter(|word| LISTS.contains(&word.as_str())) else {
            return Ok(None);
        };
        self.next();
        Ok(Some(Show::List(list)))
    }

    /// `[db.]t`, or `t FROM db`
    fn owned_name(&mut self) -> Parsed<Name> {
        let mut name = self.table_name()?;
        if name.database.is_none() && self.word("from") {
            name.database = Some(self.name()?);
        }
        Ok(name)
    }
}

/// `*` is all, as nothing is.
fn shown(items: Vec<Item>) -> Vec<Item> {
    if items.iter().any(|item| matches!(item.expr, Expr::Star(_))) { Vec::new() } else { items }
}

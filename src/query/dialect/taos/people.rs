//! CREATE, ALTER and DROP USER, GRANT and REVOKE.

use super::Wrong;
use super::ast::{Options, Statement, UserChange};
use super::lex::Token;
use super::parser::Parser;

type Parsed<T> = Result<T, Wrong>;

/// What may be granted.
const PRIVILEGES: &[&str] = &["all", "read", "write", "alter", "subscribe"];
/// Options of a user that are kept and shown.
const USER_OPTIONS: &[&str] = &["sysinfo", "createdb", "enable", "is_import"];

impl Parser<'_> {
    pub(super) fn create_user(&mut self) -> Parsed<Statement> {
        let name = self.name()?;
        self.need_word("pass")?;
        let password = self.text_literal()?;
        let change = UserChange::Create(password, self.user_options()?);
        Ok(Statement::User { name, change })
    }

    fn user_options(&mut self) -> Parsed<Options> {
        let mut list = Options::new();
        while let Some(name) = self.word_at(0) {
            if !USER_OPTIONS.contains(&name.as_str()) {
                break;
            }
            self.next();
            list.push((name, self.integer()?.to_string()));
        }
        Ok(list)
    }

    pub(super) fn alter_user(&mut self) -> Parsed<Statement> {
        let name = self.name()?;
        let change = if self.word("pass") {
            UserChange::Password(self.text_literal()?)
        } else {
            match self.user_options()? {
                list if list.is_empty() => return self.wrong(),
                list => UserChange::Options(list),
            }
        };
        Ok(Statement::User { name, change })
    }

    pub(super) fn drop_user(&mut self) -> Parsed<Statement> {
        let if_exists = self.if_exists();
        Ok(Statement::User { name: self.name()?, change: UserChange::Drop(if_exists) })
    }

    /// `GRANT all ON db.* TO u`, `REVOKE read ON *.* FROM u`
    pub(super) fn grant(&mut self, gives: bool) -> Parsed<Statement> {
        self.next();
        let privileges = self.list(|own| match own.word_at(0) {
            Some(word) if PRIVILEGES.contains(&word.as_str()) => {
                own.next();
                Ok(word)
            }
            _ => own.wrong(),
        })?;
        // `GRANT SUBSCRIBE ON topic`, `GRANT ALL ON db.table`
        self.need_word("on")?;
        let mut object = self.object()?;
        if self.sign(".") {
            object = format!("{object}.{}", self.object()?);
        } else if object == "*" {
            object = "*.*".to_owned();
        } else if privileges != ["subscribe"] {
            object = format!("{object}.*");
        }
        self.need_word(if gives { "to" } else { "from" })?;
        let name = self.name()?;
        let change = match gives {
            true => UserChange::Grant(privileges, object),
            false => UserChange::Revoke(privileges, object),
        };
        Ok(Statement::User { name, change })
    }

    fn object(&mut self) -> Parsed<String> {
        if self.peek() == Token::Sign("*") {
            self.next();
            return Ok("*".to_owned());
        }
        self.name()
    }
}

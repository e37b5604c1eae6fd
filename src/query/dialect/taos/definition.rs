//! CREATE, DROP and ALTER.

use super::Wrong;
use super::ast::{Change, ColumnDef, Over, Statement};
use super::lex::Token;
use super::parser::Parser;
use crate::model::table::Kind;

type Parsed<T> = Result<T, Wrong>;

/// Options of a database.
const DATABASE_OPTIONS: &[&str] = &[
    "precision",
    "vgroups",
    "keep",
    "duration",
    "days",
    "buffer",
    "pages",
    "pagesize",
    "minrows",
    "maxrows",
    "comp",
    "replica",
    "wal_level",
    "wal_fsync_period",
    "wal_retention_period",
    "wal_retention_size",
    "wal_roll_period",
    "wal_segment_size",
    "cachemodel",
    "cachesize",
    "single_stable",
    "stt_trigger",
    "table_prefix",
    "table_suffix",
    "tsdb_pagesize",
    "strict",
    "schemaless",
];
/// Bytes of a variable value, and of a text in characters.
const LENGTH_MAX: u64 = 65_517;

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Parsed<Statement> {
        self.next();
        if self.word("database") {
            let if_not_exists = self.if_not_exists();
            let name = self.name()?;
            let options = self.database_options()?;
            return Ok(Statement::CreateDatabase { name, if_not_exists, options });
        }
        if self.word("topic") {
            return self.create_topic();
        }
        let stable = self.word("stable");
        if !stable {
            self.need_word("table")?;
        }
        let if_not_exists = self.if_not_exists();
        let name = self.table_name()?;
        if self.is_word("using") && !stable {
            let mut list = Vec::new();
            let mut next = Some((name, if_not_exists));
            while let Some((name, may_exist)) = next.take() {
                self.need_word("using")?;
                list.push((name, may_exist, self.using()?));
                self.options(TABLE_OPTIONS)?;
                if !matches!(self.peek(), Token::End | Token::Sign(";")) {
                    let may_exist = self.if_not_exists();
                    next = Some((self.table_name()?, may_exist));
                }
            }
            return Ok(Statement::CreateSubtables(list));
        }
        let columns = self.column_definitions()?;
        let tags = if self.word("tags") { Some(self.column_definitions()?) } else { None };
        if stable && tags.is_none() {
            return self.wrong();
        }
        self.options(TABLE_OPTIONS)?;
        Ok(Statement::CreateTable { name, if_not_exists, columns, tags })
    }

    fn column_definitions(&mut self) -> Parsed<Vec<ColumnDef>> {
        self.need("(")?;
        let list = self.list(Self::column_definition)?;
        self.need(")")?;
        Ok(list)
    }

    fn column_definition(&mut self) -> Parsed<ColumnDef> {
        let name = self.name()?;
        let kind = self.kind()?;
        while self.word("encode") || self.word("compress") || self.word("level") {
            self.text_literal()?;
        }
        Ok(ColumnDef { name, kind })
    }

    /// A type.
    pub(super) fn kind(&mut self) -> Parsed<Kind> {
        let Some(word) = self.word_at(0) else { return self.wrong() };
        self.next();
        let unsigned = |own: &mut Self, signed, other| {
            if own.word("unsigned") { other } else { signed }
        };
        Ok(match word.as_str() {
            "bool" => Kind::Bool,
            "tinyint" => unsigned(self, Kind::TinyInt, Kind::UTinyInt),
            "smallint" => unsigned(self, Kind::SmallInt, Kind::USmallInt),
            "int" | "integer" => unsigned(self, Kind::Int, Kind::UInt),
            "bigint" => unsigned(self, Kind::BigInt, Kind::UBigInt),
            "float" => Kind::Float,
            "double" => Kind::Double,
            "timestamp" => Kind::Timestamp,
            "json" => Kind::Json,
            "blob" => Kind::Blob,
            "binary" | "varchar" => Kind::Varchar(self.length()?),
            "nchar" => Kind::Nchar(self.length()?),
            "varbinary" => Kind::Varbinary(self.length()?),
            _ => return self.wrong_before(),
        })
    }

    fn length(&mut self) -> Parsed<u32> {
        self.need("(")?;
        let length = self.integer()?;
        if length == 0 || length > LENGTH_MAX {
            return self.wrong_before();
        }
        self.need(")")?;
        Ok(length as u32)
    }

    /// Options with their values, which are numbers, texts, words or lists.
    fn options(&mut self, known: &[&str]) -> Parsed<Vec<(String, String)>> {
        let mut list = Vec::new();
        while let Some(name) = self.word_at(0) {
            if !known.contains(&name.as_str()) {
                // The next statement part, or a mistake that is found behind.
                break;
            }
            self.next();
            let value = self.list(|own| match own.peek() {
                Token::Integer | Token::Duration => Ok(own.next().1.to_ascii_lowercase()),
                Token::Text => own.text_literal(),
                _ => own.wrong(),
            })?;
            list.push((name, value.join(",")));
        }
        Ok(list)
    }

    fn database_options(&mut self) -> Parsed<Vec<(String, String)>> {
        self.options(DATABASE_OPTIONS)
    }

    fn create_topic(&mut self) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let meta = self.words(&["with", "meta"]);
        self.need_word("as")?;
        let over = if self.word("database") {
            Over::Database(self.name()?)
        } else if self.word("stable") {
            let table = self.table_name()?;
            let filter = if self.word("where") {
                let start = self.start();
                let filter = self.expr()?;
                Some((filter, self.since(start).to_owned()))
            } else {
                None
            };
            Over::Stable(table, filter)
        } else if self.is_word("select") {
            let start = self.start();
            let query = Box::new(self.query()?);
            Over::Query(query, self.since(start).to_owned())
        } else {
            return self.wrong();
        };
        Ok(Statement::CreateTopic { name, if_not_exists, meta, over })
    }

    pub(super) fn drop(&mut self) -> Parsed<Statement> {
        self.next();
        if self.word("database") {
            let if_exists = self.if_exists();
            return Ok(Statement::DropDatabase { name: self.name()?, if_exists });
        }
        if self.word("topic") {
            let if_exists = self.if_exists();
            let force = self.word("force");
            return Ok(Statement::DropTopic { name: self.name()?, if_exists, force });
        }
        if self.words(&["consumer", "group"]) {
            let if_exists = self.if_exists();
            let group = self.name()?;
            self.need_word("on")?;
            return Ok(Statement::DropGroup { group, topic: self.name()?, if_exists });
        }
        let stable = self.word("stable");
        if !stable {
            self.need_word("table")?;
        }
        let tables = self.list(|own| {
            let if_exists = own.if_exists();
            Ok((own.table_name()?, if_exists))
        })?;
        Ok(Statement::DropTables { tables, stable })
    }

    pub(super) fn alter(&mut self) -> Parsed<Statement> {
        self.next();
        if self.word("database") {
            let name = self.name()?;
            return Ok(Statement::AlterDatabase { name, options: self.database_options()? });
        }
        if !self.word("stable") {
            self.need_word("table")?;
        }
        let table = self.table_name()?;
        let rename = |own: &mut Self| -> Parsed<_> { Ok((own.name()?, own.name()?)) };
        let change = if self.words(&["add", "column"]) {
            Change::AddColumn(self.column_definition()?)
        } else if self.words(&["drop", "column"]) {
            Change::DropColumn(self.name()?)
        } else if self.words(&["modify", "column"]) {
            Change::ModifyColumn(self.column_definition()?)
        } else if self.words(&["rename", "column"]) {
            let (old, new) = rename(self)?;
            Change::RenameColumn(old, new)
        } else if self.words(&["add", "tag"]) {
            Change::AddTag(self.column_definition()?)
        } else if self.words(&["drop", "tag"]) {
            Change::DropTag(self.name()?)
        } else if self.words(&["modify", "tag"]) {
            Change::ModifyTag(self.column_definition()?)
        } else if self.words(&["rename", "tag"]) {
            let (old, new) = rename(self)?;
            Change::RenameTag(old, new)
        } else if self.words(&["set", "tag"]) {
            Change::SetTags(self.list(|own| {
                let name = own.name()?;
                own.need("=")?;
                Ok((name, own.sum()?))
            })?)
        } else {
            self.options(TABLE_OPTIONS)?;
            Change::Options
        };
        Ok(Statement::Alter { table, change })
    }
}

/// Options of a table.
const TABLE_OPTIONS: &[&str] = &["ttl", "comment"];

//! CREATE, DROP and ALTER.

use super::Wrong;
use super::ast::{Change, ColumnDef, NewSubtable, Options, Over, Statement};
use super::lex::Token;
use super::parser::Parser;
use crate::model::table::Kind;
use crate::model::table::kind::DECIMAL_DIGITS_MAX;

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
        if self.word("user") {
            return self.create_user();
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
                let using = self.using()?;
                let options = self.options(TABLE_OPTIONS)?;
                list.push(NewSubtable { name, if_not_exists: may_exist, using, options });
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
        let options = self.options(TABLE_OPTIONS)?;
        Ok(Statement::CreateTable { name, if_not_exists, columns, tags, options })
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
        Ok(ColumnDef { name, kind, options: self.column_options()? })
    }

    /// Those that are kept and shown.
    fn column_options(&mut self) -> Parsed<Options> {
        let mut list = Options::new();
        loop {
            if self.words(&["composite", "key"]) || self.words(&["primary", "key"]) {
                list.push(("key".to_owned(), String::new()));
                continue;
            }
            let known = ["encode", "compress", "level"].into_iter().find(|name| self.word(name));
            let Some(name) = known else { return Ok(list) };
            list.push((name.to_owned(), self.text_literal()?.to_ascii_lowercase()));
        }
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
            "geometry" => Kind::Geometry(self.length()?),
            "decimal" | "numeric" => self.decimal()?,
            _ => return self.wrong_before(),
        })
    }

    fn decimal(&mut self) -> Parsed<Kind> {
        let digit = |own: &mut Self, most: u64| match own.integer()? {
            n if n <= most => Ok(n as u8),
            _ => own.wrong_before(),
        };
        self.need("(")?;
        let precision = digit(self, u64::from(DECIMAL_DIGITS_MAX))?;
        let scale = if self.sign(",") { digit(self, u64::from(precision))? } else { 0 };
        self.need(")")?;
        if precision == 0 { self.wrong_before() } else { Ok(Kind::Decimal(precision, scale)) }
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
            let parenthesis = self.sign("(");
            let value = self.list(|own| match own.peek() {
                Token::Integer | Token::Duration => Ok(own.next().1.to_ascii_lowercase()),
                Token::Text => own.text_literal(),
                _ if parenthesis => own.name(),
                _ if own.sign("-") => Ok(format!("-{}", own.integer()?)),
                _ => own.wrong(),
            })?;
            if parenthesis {
                self.need(")")?;
            }
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
        if self.word("user") {
            return self.drop_user();
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
        if self.word("user") {
            return self.alter_user();
        }
        let stable = self.word("stable");
        if !stable {
            self.need_word("table")?;
        }
        let table = self.table_name()?;
        let change = self.change()?;
        Ok(Statement::Alter { table, stable, change })
    }

    fn change(&mut self) -> Parsed<Change> {
        let rename = |own: &mut Self| -> Parsed<_> { Ok((own.name()?, own.name()?)) };
        Ok(if self.words(&["add", "column"]) {
            Change::AddColumn(self.column_definition()?)
        } else if self.words(&["drop", "column"]) {
            Change::DropColumn(self.name()?)
        } else if self.words(&["modify", "column"]) {
            let name = self.name()?;
            match self.column_options()? {
                list if list.is_empty() => {
                    let kind = self.kind()?;
                    Change::ModifyColumn(ColumnDef { name, kind, options: Options::new() })
                }
                list => Change::ColumnOptions(name, list),
            }
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
            match self.options(TABLE_OPTIONS)? {
                list if list.is_empty() => return self.wrong(),
                list => Change::Options(list),
            }
        })
    }
}

/// Options of a table.
const TABLE_OPTIONS: &[&str] =
    &["ttl", "comment", "sma", "rollup", "watermark", "max_delay", "keep"];

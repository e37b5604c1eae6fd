//! What subscribers are told of definitions: JSON objects (taos, 8.5).
//!
//! Method: a change of the catalog is compared with what was before, entry by entry, so that every
//! way to define a table tells the same. Cost: a few hundred bytes for each definition.

use crate::model::command::Definitions;
use crate::model::json::write_string;
use crate::model::name::TopicName;
use crate::model::table::defined::Defined;
use crate::model::table::rows::{Cell, write_json};
use crate::model::table::{Column, Entry, Kind, Subtable, Table, Tables, entry, own_name};

/// An object under construction.
struct Object(Vec<u8>);

impl Object {
    fn new(kind: &str, table_kind: &str, name: &str) -> Self {
        let mut it = Self(b"{".to_vec());
        it.text("type", kind);
        it.text("tableType", table_kind);
        it.text("tableName", name);
        it
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        write_string(&mut self.0, key);
        self.0.push(b':');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        write_string(&mut self.0, text);
    }

    fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.0.extend_from_slice(json.as_bytes());
    }

    fn number(&mut self, key: &str, number: u64) {
        self.raw(key, &number.to_string());
    }

    fn end(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).unwrap_or_default()
    }
}

fn list(objects: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", objects.into_iter().collect::<Vec<_>>().join(","))
}

fn text(text: &str) -> String {
    let mut out = Vec::new();
    write_string(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

fn column(column: &Column) -> String {
    let Column { name, kind, .. } = column;
    let (encode, level) = match kind {
        Kind::Timestamp => ("delta-i", "medium"),
        _ => ("simple8b", "medium"),
    };
    let (name, code, length) = (text(name), kind.code(), kind.length());
    format!(
        "{{\"name\":{name},\"type\":{code},\"length\":{length},\"isPrimarykey\":false,\
         \"encode\":\"{encode}\",\"compress\":\"lz4\",\"level\":\"{level}\"}}"
    )
}

fn tag(tag: &Column) -> String {
    let (name, code, length) = (text(&tag.name), tag.kind.code(), tag.kind.length());
    format!("{{\"name\":{name},\"type\":{code},\"length\":{length}}}")
}

fn value(kind: Kind, cell: &Cell) -> String {
    let mut out = Vec::new();
    write_json(kind, cell, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn created(table: &Table) -> String {
    let kind = if table.is_super { "super" } else { "normal" };
    let mut it = Object::new("create", kind, table.own_name());
    it.raw("columns", &list(table.columns.iter().map(column)));
    it.raw("tags", &list(table.tags.iter().map(tag)));
    it.end()
}

fn created_child(sub: &Subtable, stable: &Table) -> String {
    let mut it = Object::new("create", "child", &sub.name);
    it.text("using", stable.own_name());
    it.number("tagNum", stable.tags.len() as u64);
    let one = |tag: &Column| {
        let (name, code) = (text(&tag.name), tag.kind.code());
        format!(
            "{{\"name\":{name},\"type\":{code},\"value\":{}}}",
            value(tag.kind, &sub.tag(tag.id))
        )
    };
    it.raw("tags", &list(stable.tags.iter().map(one)));
    it.raw("createList", "[]");
    it.end()
}

fn altered(table: &Table, kind: u64, old: Option<&str>, new: Option<&Column>) -> String {
    let shown = if table.is_super { "super" } else { "normal" };
    let mut it = Object::new("alter", shown, table.own_name());
    it.number("alterType", kind);
    let name = old.or(new.map(|column| &*column.name)).unwrap_or_default();
    it.text("colName", name);
    if let (Some(_), Some(new)) = (old, new) {
        it.text("colNewName", &new.name);
    } else if let Some(new) = new {
        it.number("colType", u64::from(new.kind.code()));
        it.number("colLength", u64::from(new.kind.length()));
    }
    it.end()
}

/// Numbers of changes: added, dropped, renamed, longer.
const OF_COLUMNS: [u64; 4] = [5, 6, 10, 7];
const OF_TAGS: [u64; 4] = [1, 2, 3, 8];

fn compare(table: &Table, old: &[Column], new: &[Column], kinds: [u64; 4], out: &mut Vec<String>) {
    let [added, dropped, renamed, longer] = kinds;
    for before in old {
        match new.iter().find(|column| column.id == before.id) {
            None => out.push(altered(table, dropped, Some(&before.name), None)),
            Some(after) if after.name != before.name => {
                out.push(altered(table, renamed, Some(&before.name), Some(after)));
            }
            Some(after) if after.kind != before.kind => {
                out.push(altered(table, longer, None, Some(after)));
            }
            Some(_) => {}
        }
    }
    let fresh = new.iter().filter(|column| old.iter().all(|before| before.id != column.id));
    out.extend(fresh.map(|column| altered(table, added, None, Some(column))));
}

fn altered_child(old: &Subtable, new: &Subtable, stable: &Table) -> Option<String> {
    let changed = stable.tags.iter().filter(|tag| old.tag(tag.id) != new.tag(tag.id));
    let one = |tag: &Column| {
        let cell = new.tag(tag.id);
        let shown = match value(tag.kind, &cell) {
            quoted if quoted.starts_with('"') => quoted,
            other => text(&other),
        };
        let (name, null) = (text(&tag.name), cell.is_null());
        let shown = if null { text("NULL") } else { shown };
        format!("\"colName\":{name},\"colValue\":{shown},\"colValueNull\":{null}")
    };
    let changes: Vec<String> = changed.map(one).collect();
    let mut it = Object::new("alter", "child", &new.name);
    match changes.as_slice() {
        [] => return None,
        [only] => {
            it.number("alterType", 4);
            it.0.push(b',');
            it.0.extend_from_slice(only.as_bytes());
        }
        several => {
            it.number("alterType", 15);
            it.raw("tags", &list(several.iter().map(|change| format!("{{{change}}}"))));
        }
    }
    Some(it.end())
}

fn dropped(kind: &str, name: &str) -> String {
    let mut it = Object::new("drop", kind, name);
    it.raw("tableNameList", &list([text(name)]));
    it.end()
}

/// Rows that were deleted, as `sql` says.
#[must_use]
pub fn deleted(sql: &str) -> String {
    let mut it = Object(b"{".to_vec());
    it.text("type", "delete");
    it.text("sql", sql);
    it.end()
}

/// The table that a change makes or leaves as it is.
fn table_after(tables: &Tables, wanted: &Definitions, name: &TopicName) -> Option<Table> {
    let own = |put: &&Entry| put.family == entry::TABLE_FAMILY && put.key == name.full().as_bytes();
    match wanted.entries.iter().find(own).map(|put| &put.value) {
        Some(value) => entry::decode_table(name, value.as_deref()?),
        None => tables.table(name).map(|table| Table::clone(table)),
    }
}

/// What a change of one entry tells: the topic it is about, and the objects.
fn entry_told(
    tables: &Tables,
    wanted: &Definitions,
    put: &Entry,
    name: &TopicName,
) -> Option<(TopicName, Vec<String>)> {
    let own = own_name(name);
    match (put.family, &put.value) {
        (entry::TABLE_FAMILY, Some(value)) => {
            let new = entry::decode_table(name, value)?;
            let mut told = Vec::new();
            match tables.table(name) {
                None => told.push(created(&new)),
                Some(old) => {
                    compare(&new, &old.columns, &new.columns, OF_COLUMNS, &mut told);
                    compare(&new, &old.tags, &new.tags, OF_TAGS, &mut told);
                }
            }
            Some((name.clone(), told))
        }
        (entry::TABLE_FAMILY, None) => {
            let kind = if tables.table(name)?.is_super { "super" } else { "normal" };
            Some((name.clone(), vec![dropped(kind, own)]))
        }
        (entry::SUBTABLE_FAMILY, Some(value)) => {
            let new = entry::decode_subtable(own, 0, value)?;
            let stable = table_after(tables, wanted, &new.stable)?;
            let told = match tables.subtable(name.database(), own) {
                None => Some(created_child(&new, &stable)),
                Some(old) => altered_child(old, &new, &stable),
            };
            Some((new.stable, told.into_iter().collect()))
        }
        (entry::SUBTABLE_FAMILY, None) => {
            let stable = tables.subtable(name.database(), own)?.stable.clone();
            // A supertable that goes takes its subtables with it.
            table_after(tables, wanted, &stable)?;
            Some((stable, vec![dropped("child", own)]))
        }
        _ => None,
    }
}

/// The records that tell subscribers of a change; none if a database goes with all it holds.
/// `tables`: as they are before it.
#[must_use]
pub fn told(tables: &Tables, wanted: &Definitions) -> Vec<Vec<u8>> {
    if wanted.entries.iter().any(|put| put.family == entry::DATABASE_FAMILY) {
        return Vec::new();
    }
    let mut records = Vec::new();
    for put in &wanted.entries {
        let name = std::str::from_utf8(&put.key).ok().and_then(TopicName::parse);
        let Some(name) = name else { continue };
        let Some((topic, told)) = entry_told(tables, wanted, put, &name) else { continue };
        let created = tables.database(name.database()).map_or(0, |database| database.created);
        for json in told {
            let defined = Defined {
                database: name.database(),
                created,
                topic: topic.full(),
                table: own_name(&name),
                json: &json,
            };
            records.push(defined.encode());
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::{Precision, Require};
    use crate::model::value::read_json;

    fn table(columns: &[(u16, &str, Kind)], tags: &[(u16, &str, Kind)]) -> Table {
        let make = |(id, name, kind): &(u16, &str, Kind)| Column {
            id: *id,
            name: (*name).into(),
            kind: *kind,
        };
        Table {
            name: TopicName::parse("d.st").unwrap(),
            columns: columns.iter().map(make).collect(),
            tags: tags.iter().map(make).collect(),
            is_super: !tags.is_empty(),
            next_column: 9,
            precision: Precision::Ms,
            created: 0,
            details: Vec::new(),
        }
    }

    fn change(tables: &mut Tables, family: u8, key: &str, value: Option<Vec<u8>>) -> Vec<String> {
        let put = Entry { family, key: key.as_bytes().to_vec(), value, require: Require::Any };
        let wanted = Definitions { entries: vec![put.clone()], ..Definitions::default() };
        let records = told(tables, &wanted);
        tables.apply(family, key.as_bytes(), put.value.as_deref());
        let json = |record: &Vec<u8>| {
            let json = Defined::decode(record).unwrap().json.to_owned();
            assert!(read_json(&json).is_some(), "{json}");
            json
        };
        records.iter().map(json).collect()
    }

    #[test]
    fn every_change_is_told_as_what_it_is() {
        let mut tables = Tables::default();
        let ts = (0, "ts", Kind::Timestamp);
        let first = table(&[ts, (1, "v", Kind::Int)], &[(2, "g", Kind::Int)]);
        let put = |table: &Table| Some(entry::encode_table(table));
        let told = change(&mut tables, entry::TABLE_FAMILY, "d.st", put(&first));
        assert!(told[0].starts_with(
            "{\"type\":\"create\",\"tableType\":\"super\",\"tableName\":\"st\",\"columns\":[\
             {\"name\":\"ts\",\"type\":9,\"length\":8,"
        ));
        assert!(told[0].ends_with("\"tags\":[{\"name\":\"g\",\"type\":4,\"length\":4}]}"));
        let second = table(&[ts, (3, "w", Kind::Nchar(4))], &[(2, "h", Kind::Int)]);
        let told = change(&mut tables, entry::TABLE_FAMILY, "d.st", put(&second));
        let alter =
            "{\"type\":\"alter\",\"tableType\":\"super\",\"tableName\":\"st\",\"alterType\":";
        assert_eq!(
            told,
            [
                format!("{alter}6,\"colName\":\"v\"}}"),
                format!("{alter}5,\"colName\":\"w\",\"colType\":10,\"colLength\":4}}"),
                format!("{alter}3,\"colName\":\"g\",\"colNewName\":\"h\"}}"),
            ]
        );
        let sub = |g: Cell| Subtable {
            name: "a".into(),
            stable: TopicName::parse("d.st").unwrap(),
            tags: vec![(2, g)],
            created: 0,
            order: 0,
            details: Vec::new(),
        };
        let put = |sub: &Subtable| Some(entry::encode_subtable(sub));
        let family = entry::SUBTABLE_FAMILY;
        let told = change(&mut tables, family, "d.a", put(&sub(Cell::Int(1))));
        assert!(told[0].contains("\"using\":\"st\",\"tagNum\":1,\"tags\":[{\"name\":\"h\""));
        let told = change(&mut tables, family, "d.a", put(&sub(Cell::Int(2))));
        assert!(told[0].contains("\"alterType\":4,\"colName\":\"h\",\"colValue\":\"2\""));
        let told = change(&mut tables, family, "d.a", None);
        assert!(told[0].starts_with("{\"type\":\"drop\",\"tableType\":\"child\""));
        let told = change(&mut tables, entry::TABLE_FAMILY, "d.st", None);
        assert!(told[0].contains("\"tableType\":\"super\",\"tableName\":\"st\",\"tableNameList\""));
    }
}

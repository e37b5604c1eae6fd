//! Tags of subtables: SHOW TAGS, SHOW TABLE TAGS, `ins_tags`.

use super::{NAME, SHORT_NAME};
use crate::model::table::rows::Cell;
use crate::model::table::{Kind, Subtable, Table};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Expr, Item, Name, Query, Select, Source};
use crate::query::tables::convert::show;
use crate::query::tables::relation::{Target, find};
use crate::query::tables::show::{databases, listed};
use crate::query::tables::tmq::show::List;
use crate::query::tables::{Rows, World, codes, select};

fn columns() -> Vec<(&'static str, Kind)> {
    vec![
        ("table_name", NAME),
        ("db_name", SHORT_NAME),
        ("stable_name", NAME),
        ("tag_name", SHORT_NAME),
        ("tag_type", Kind::Varchar(64)),
        ("tag_value", Kind::Varchar(16_384)),
    ]
}

fn rows_of(sub: &Subtable, table: &Table, rows: &mut Vec<Vec<Cell>>) {
    for tag in &table.tags {
        let value = match sub.tag(tag.id) {
            Cell::Null => Cell::Null,
            other => Cell::Text(show(&other).into()),
        };
        rows.push(vec![
            Cell::Text(sub.name.clone()),
            Cell::text(table.name.database()),
            Cell::text(table.own_name()),
            Cell::Text(tag.name.clone()),
            Cell::text(&tag.kind.definition()),
            value,
        ]);
    }
}

/// SHOW TAGS FROM a subtable.
pub fn of_subtable(world: &mut World<'_>, name: &Name) -> Result<Rows, Wrong> {
    let Target::Sub(sub, table, _) = find(world, name)? else {
        return Err(codes::no_table(&name.name));
    };
    let mut rows = Vec::new();
    rows_of(&sub, &table, &mut rows);
    Ok(listed((columns(), rows)))
}

/// SHOW TABLE TAGS FROM a supertable: a row for each subtable.
pub fn of_table(world: &mut World<'_>, name: &Name, items: &[Item]) -> Result<Rows, Wrong> {
    let table = match find(world, name)? {
        Target::Table(table, _) if table.is_super => table,
        Target::Sub(_, table, _) => table,
        _ => return Err(codes::no_table(&name.name)),
    };
    let item = |name: &str| Item {
        expr: Expr::Column(None, name.to_owned()),
        name: name.to_owned(),
        aliased: false,
    };
    let mut items = items.to_vec();
    if items.is_empty() {
        items.push(item("tbname"));
        items.extend(table.tags.iter().map(|tag| item(&tag.name)));
    }
    let from = Some(Source::Table(name.clone(), None));
    let first = Select { tags_only: true, items, from, ..Select::default() };
    select::run(world, &Query { first, ..Query::default() })
}

/// `ins_tags`
pub(super) fn all(world: &mut World<'_>) -> List {
    let mut rows = Vec::new();
    for database in databases(world) {
        for (_, table) in world.tables.tables_of(&database) {
            if table.is_super && (world.rights.may_touch)(table.name.short()) {
                let subs = world.tables.subtables_of(&table.name);
                subs.iter().for_each(|sub| rows_of(sub, table, &mut rows));
            }
        }
    }
    (columns(), rows)
}

//! SELECT TAGS: subtables with their tags, whether they have rows or not.

use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Name;
use crate::query::tables::relation::{Relation, RelationColumn, Target, find};
use crate::query::tables::{World, codes};
use std::sync::Arc;

/// The relation of all subtables of a supertable, or of one subtable.
pub(super) fn load(
    world: &mut World<'_>,
    name: &Name,
    alias: Option<&str>,
) -> Result<Relation, Wrong> {
    let (table, subs) = match find(world, name)? {
        Target::Table(table, _) if table.is_super => {
            let subs = world.tables.subtables_of(&table.name).into_iter().cloned().collect();
            (table, subs)
        }
        Target::Sub(sub, table, _) => (table, vec![sub]),
        _ => return Err(codes::unsupported("tags")),
    };
    let qualifier: Arc<str> = alias.unwrap_or(&name.name).into();
    let column = |name: &Arc<str>, kind, shown| RelationColumn {
        table: Some(Arc::clone(&qualifier)),
        name: Arc::clone(name),
        kind,
        shown,
        tag: true,
    };
    let mut columns: Vec<_> =
        table.tags.iter().map(|tag| column(&tag.name, tag.kind, true)).collect();
    columns.push(column(&"tbname".into(), Kind::Varchar(192), false));
    let row = |sub: &Arc<crate::model::table::Subtable>| {
        let tags = table.tags.iter().map(|tag| sub.tag(tag.id));
        tags.chain([Cell::Text(Arc::clone(&sub.name))]).collect()
    };
    let rows = subs.iter().map(row).collect();
    Ok(Relation { columns, rows, scan: None, precision: table.precision, time: None })
}

//! Prepared statements: a text with `?`, and the values that come for them in columns.
//!
//! Method: an INSERT is brought into one form, [`Layout`]: which table, which tags, which columns,
//! and for each whether its value comes from outside. What is bound becomes packed columns at
//! once, checked against the table as it is then; carrying out looks whether the table is still
//! the same, and appends one record for each table. Invariant: nothing is written before
//! [`Batches::write`], and a bad value leaves what was bound before as it was.

mod batches;
pub mod grow;
pub mod pack;

pub use batches::{Batches, HeldBytes};
pub use pack::{Data, Input, pack, single};

use super::convert::{Clock, literal};
use super::insert::{Place, Planned, columns_of, place, plan_packed};
use super::relation::{Target, database_of, find};
use super::{World, codes};
use crate::model::table::rows::{Cell, bytes_of};
use crate::model::table::{Column, Kind, Packed, Precision, Subtable};
use crate::query::dialect::taos::ast::{Expr, Insert, InsertPart, Name, Statement, Using};
use crate::query::dialect::taos::{Wrong, parse};
use ahash::AHashMap;
use std::sync::Arc;

/// Bytes that the statements of a connection may hold unwritten; an append takes thrice as much.
const HELD_BYTES_MAX: usize = 32 << 20;
/// Length of `tbname` as clients know it.
pub const TABLE_NAME_LENGTH: u32 = 269;

/// What a `?` of an INSERT stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The table.
    Table,
    /// A tag.
    Tag,
    /// A column.
    Column,
}

/// A `?` as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name of the column.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What it stands for.
    pub role: Role,
}

/// An INSERT with `?`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The table that the text names.
    pub table: Option<Name>,
    using: Option<Using>,
    columns: Option<Vec<String>>,
    /// A value for each column; parameters are counted anew, from the first column.
    values: Vec<Expr>,
    /// What the `?` stand for, in the order of the text.
    roles: Vec<Role>,
}

/// A prepared statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Prepared {
    /// An INSERT.
    Insert(Layout),
    /// A SELECT, and how many `?` stand in it.
    Query(Statement, usize),
}

/// Reads a statement with `?`.
///
/// # Errors
/// It is wrong, neither INSERT nor SELECT, or the user may not.
pub fn prepare(world: &mut World<'_>, text: &str) -> Result<Prepared, Wrong> {
    let (statement, parameters) = parse(text)?;
    let allowed = match &statement {
        Statement::Query(_) => world.rights.read,
        _ => world.rights.write,
    };
    if !allowed {
        return Err(codes::no_privilege());
    }
    match statement {
        Statement::Query(_) => Ok(Prepared::Query(statement, parameters)),
        Statement::Insert(Insert::Parts(mut parts)) => match (parts.pop(), parts.pop()) {
            (Some(part), None) => layout(world, part).map(Prepared::Insert),
            _ => Err(codes::unsupported("insert")),
        },
        _ => Err(codes::unsupported(text.split_whitespace().next().unwrap_or(""))),
    }
}

/// Counts parameters from 0 on; gives how many there are.
fn count_anew(list: &mut [Expr]) -> usize {
    let mut next = 0;
    for expr in list {
        if let Expr::Parameter(at) = expr {
            *at = next;
            next += 1;
        }
    }
    next
}

fn layout(world: &mut World<'_>, part: InsertPart) -> Result<Layout, Wrong> {
    let InsertPart { table, mut using, columns, mut rows } = part;
    let (Some(mut values), None) = (rows.pop(), rows.pop()) else {
        return Err(codes::unsupported("values"));
    };
    let by_name = columns.as_ref().is_some_and(|names| names.iter().any(|n| n == "tbname"));
    if let (true, Some(stable), None) = (by_name, &table, &using) {
        return layout_by_name(world, stable, columns.unwrap_or_default(), values);
    }
    let mut roles = Vec::new();
    roles.extend(table.is_none().then_some(Role::Table));
    if let Some(using) = &mut using {
        roles.extend(vec![Role::Tag; count_anew(&mut using.values)]);
    }
    roles.extend(vec![Role::Column; count_anew(&mut values)]);
    Ok(Layout { table, using, columns, values, roles })
}

/// `insert into stb (tbname, tag, .., ts, ..) values (?, ..)`
fn layout_by_name(
    world: &mut World<'_>,
    stable: &Name,
    names: Vec<String>,
    exprs: Vec<Expr>,
) -> Result<Layout, Wrong> {
    let Target::Table(found, _) = find(world, stable)? else { return Err(codes::bad_value()) };
    if !found.is_super {
        return Err(codes::no_column("tbname"));
    }
    if names.len() != exprs.len() {
        return Err(codes::unsupported("values"));
    }
    let database = Some(found.name.database().to_owned());
    let stable = Name { database: database.clone(), name: stable.name.clone() };
    let mut using = Using { stable, tags: Some(Vec::new()), values: Vec::new() };
    let (mut table, mut columns, mut values) = (None, Vec::new(), Vec::new());
    let mut roles = Vec::new();
    for (name, expr) in names.into_iter().zip(exprs) {
        let role = match name.as_str() {
            "tbname" => Role::Table,
            _ if found.tags.iter().any(|tag| *tag.name == *name) => Role::Tag,
            _ => Role::Column,
        };
        if matches!(expr, Expr::Parameter(_)) {
            roles.push(role);
        }
        match (role, expr) {
            (Role::Table, Expr::Parameter(_)) => {}
            (Role::Table, Expr::Text(own)) if !own.is_empty() => {
                table = Some(Name { database: database.clone(), name: own });
            }
            (Role::Table, _) => return Err(codes::bad_value()),
            (Role::Tag, expr) => {
                using.tags.get_or_insert_default().push(name);
                using.values.push(expr);
            }
            (Role::Column, expr) => {
                columns.push(name);
                values.push(expr);
            }
        }
    }
    count_anew(&mut using.values);
    count_anew(&mut values);
    Ok(Layout { table, using: Some(using), columns: Some(columns), values, roles })
}

/// Where the values of a column come from.
pub type Fill<'f> = &'f mut dyn FnMut(usize, &Column, &Clock) -> Result<Packed, Wrong>;

impl Layout {
    /// How many `?` stand for tags, or for columns.
    #[must_use]
    pub fn count(&self, role: Role) -> usize {
        self.roles.iter().filter(|own| **own == role).count()
    }

    /// What the `?` stand for, in the order of the text.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Whether subtables are made.
    #[must_use]
    pub fn has_using(&self) -> bool {
        self.using.is_some()
    }

    /// A name with its database: as it says, else that of the session, else of the supertable.
    ///
    /// # Errors
    /// There is none, or it does not exist.
    pub fn qualify(&self, world: &mut World<'_>, mut name: Name) -> Result<Name, Wrong> {
        if name.database.is_none() && world.about.database.is_none() {
            name.database = self.using.as_ref().and_then(|using| using.stable.database.clone());
        }
        let database = database_of(world, &name)?;
        Ok(Name { database: Some(database), name: name.name })
    }

    /// Checks the name of a table that is going to be written.
    ///
    /// # Errors
    /// It does not exist and cannot be made.
    pub fn check_table(&self, world: &mut World<'_>, name: &Name) -> Result<(), Wrong> {
        match find(world, name) {
            Err(wrong) if self.using.is_some() && wrong.code == 0x2603 => Ok(()),
            Err(wrong) => Err(wrong),
            Ok(Target::Foreign(_)) => Err(codes::foreign()),
            Ok(Target::Table(table, _)) if table.is_super => Err(codes::bad_value()),
            Ok(_) => Ok(()),
        }
    }

    /// The table whose columns are written: `name`, or the supertable.
    fn definition(
        &self,
        world: &mut World<'_>,
        name: Option<&Name>,
    ) -> Result<Arc<crate::model::table::Table>, Wrong> {
        let using = self.using.as_ref().map(|using| &using.stable);
        let name = using.or(name).or(self.table.as_ref()).ok_or_else(codes::no_table_named)?;
        match find(world, name)? {
            Target::Table(table, _) | Target::Sub(_, table, _) => Ok(table),
            Target::Foreign(_) => Err(codes::foreign()),
        }
    }

    /// The tags that come from outside.
    ///
    /// # Errors
    /// The supertable is not there, or has no such tag.
    pub fn tags(&self, world: &mut World<'_>) -> Result<(Vec<Column>, Precision), Wrong> {
        let Some(using) = &self.using else { return Ok((Vec::new(), Precision::Ms)) };
        let table = self.definition(world, None)?;
        let all: Vec<&Column> = match &using.tags {
            None => table.tags.iter().collect(),
            Some(names) => {
                let find = |name: &String| table.tags.iter().find(|tag| *tag.name == **name);
                let find = |name| find(name).ok_or_else(|| codes::no_column(name));
                names.iter().map(find).collect::<Result<_, _>>()?
            }
        };
        if all.len() != using.values.len() {
            return Err(codes::tag_count());
        }
        Ok((outside(all.into_iter(), &using.values), table.precision))
    }

    /// The columns that come from outside.
    ///
    /// # Errors
    /// The table is not named or not there, or has no such column.
    pub fn columns(
        &self,
        world: &mut World<'_>,
        name: Option<&Name>,
    ) -> Result<(Vec<Column>, Precision), Wrong> {
        let table = self.definition(world, name)?;
        let all = columns_of(&table, self.columns.as_deref())?;
        if all.len() != self.values.len() {
            return Err(codes::unsupported("values"));
        }
        Ok((outside(all.iter(), &self.values), table.precision))
    }

    /// All `?` in the order of the text.
    ///
    /// # Errors
    /// As [`Layout::columns`].
    pub fn parameters(&self, world: &mut World<'_>) -> Result<(Vec<Parameter>, Precision), Wrong> {
        if let (Some(table), None) = (&self.table, &self.using) {
            self.check_table(world, table)?;
        }
        let mut tags = self.tags(world)?.0.into_iter();
        let (columns, precision) = self.columns(world, None)?;
        let mut columns = columns.into_iter();
        let tbname =
            Column { id: 0, name: "tbname".into(), kind: Kind::Varchar(TABLE_NAME_LENGTH) };
        let parameter = |role: &Role| {
            let column = match role {
                Role::Table => Some(tbname.clone()),
                Role::Tag => tags.next(),
                Role::Column => columns.next(),
            };
            let Column { name, kind, .. } = column?;
            Some(Parameter { name: name.to_string(), kind, role: *role })
        };
        Ok((self.roles.iter().filter_map(parameter).collect(), precision))
    }

    /// Where rows for a table go. `tags`: values of the `?` among the tags.
    fn place(
        &self,
        world: &mut World<'_>,
        name: &Name,
        tags: Option<&[Cell]>,
        fresh: &mut AHashMap<String, Arc<Subtable>>,
    ) -> Result<Place, Wrong> {
        let missing = tags.is_none() && self.count(Role::Tag) > 0;
        if missing && find(world, name).is_err_and(|wrong| wrong.code == 0x2603) {
            return Err(codes::statement_misused());
        }
        world.parameters = tags.unwrap_or_default().to_vec();
        place(world, name, self.using.as_ref(), fresh)
    }

    /// Binds columns for a table.
    ///
    /// # Errors
    /// The table is not there, or a value is none of its column.
    pub fn bind(
        &self,
        world: &mut World<'_>,
        name: &Name,
        tags: Option<&[Cell]>,
        fill: Fill<'_>,
    ) -> Result<Planned, Wrong> {
        let place = self.place(world, name, tags, &mut AHashMap::new())?;
        let columns = columns_of(&place.table, self.columns.as_deref())?;
        if columns.len() != self.values.len() {
            return Err(codes::unsupported("values"));
        }
        let clock = place.clock(world);
        let mut packed = Vec::with_capacity(columns.len());
        for (column, value) in columns.iter().zip(&self.values) {
            if let Expr::Parameter(at) = value {
                packed.push(fill(*at, column, &clock)?);
            }
        }
        let rows = packed.first().map_or(1, Packed::rows);
        if packed.iter().any(|column| column.rows() != rows) {
            return Err(codes::uneven());
        }
        let mut bytes: usize = packed.iter().map(Packed::bytes_len).sum();
        for (column, value) in columns.iter().zip(&self.values) {
            if !matches!(value, Expr::Parameter(_)) {
                let cell = literal(value, column.kind, &clock)?;
                bytes = bytes.saturating_add(rows.saturating_mul(bytes_of(&cell).len() + 8));
                if bytes > HELD_BYTES_MAX {
                    return Err(too_much());
                }
                packed.push(Packed::repeat(column.clone(), &cell, rows));
            }
        }
        plan_packed(world, place, packed)
    }
}

fn too_much() -> Wrong {
    Wrong::new(0xFFFF, format!("rows of statements beyond {HELD_BYTES_MAX} bytes"))
}

fn outside<'c>(columns: impl Iterator<Item = &'c Column>, values: &[Expr]) -> Vec<Column> {
    let from_outside = columns.zip(values).filter(|(_, e)| matches!(e, Expr::Parameter(_)));
    from_outside.map(|(column, _)| column.clone()).collect()
}

/// A name as clients give it: `tb`, `db.tb`, each part in back-quotes or not.
///
/// # Errors
/// It is empty or too long.
pub fn read_name(text: &str) -> Result<Name, Wrong> {
    let wrong = || codes::unsupported(text);
    let part = |text: &str| -> Option<(String, usize)> {
        match text.strip_prefix('`') {
            Some(inner) => {
                let end = inner.find('`')?;
                Some((inner.get(..end)?.to_owned(), end + 2))
            }
            None => {
                let end = text.find('.').unwrap_or(text.len());
                Some((text.get(..end)?.to_lowercase(), end))
            }
        }
    };
    let (first, end) = part(text).ok_or_else(wrong)?;
    let name = match text.get(end..) {
        Some("") => Name { database: None, name: first },
        Some(rest) => {
            let rest = rest.strip_prefix('.').ok_or_else(wrong)?;
            let (second, end) = part(rest).ok_or_else(wrong)?;
            if rest.len() != end || first.is_empty() {
                return Err(wrong());
            }
            Name { database: Some(first), name: second }
        }
        None => return Err(wrong()),
    };
    if (1..=192).contains(&name.name.len()) { Ok(name) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_back_quotes() {
        let name = |database: Option<&str>, name: &str| {
            Ok(Name { database: database.map(str::to_owned), name: name.to_owned() })
        };
        for (text, want) in [
            ("T1", name(None, "t1")),
            ("d.T1", name(Some("d"), "t1")),
            ("`T.1`", name(None, "T.1")),
            ("D.`T1`", name(Some("d"), "T1")),
            ("`D`.t", name(Some("D"), "t")),
            ("", Err(0x2600)),
            ("d.", Err(0x2600)),
            (".t", Err(0x2600)),
            ("`t", Err(0x2600)),
            ("`d``t`", Err(0x2600)),
            ("a.b.c", Err(0x2600)),
        ] {
            assert_eq!(read_name(text).map_err(|wrong| wrong.code), want, "{text}");
        }
    }
}

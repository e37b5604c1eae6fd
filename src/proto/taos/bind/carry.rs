//! Requests of statements, carried out on a query worker.

use super::frame::{self, read, read_rows};
use super::state::State;
use super::work::{Request, Told};
use super::{json, misused};
use crate::model::json::write_string;
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Kind, Precision};
use crate::proto::taos::block::{decode::decode, schema_bytes};
use crate::proto::taos::codec::fault;
use crate::proto::taos::job::Table;
use crate::proto::taos::schemaless;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Name;
use crate::query::tables::bind::{
    Batches, Input, Layout, Prepared, Role, pack, prepare, read_name, single,
};
use crate::query::tables::convert::Clock;
use crate::query::tables::{Done, World, carry_out, codes};

/// What is bound has another text before it in answers than other faults.
fn named(what: &str, wrong: Wrong) -> Wrong {
    if wrong.code == 0xFFFF {
        fault(format!("stmt parse {what} json:{}", wrong.text))
    } else {
        wrong
    }
}

fn counts(own: usize, wanted: usize, what: &str) -> Result<(), Wrong> {
    if own == wanted { Ok(()) } else { Err(fault(format!("stmt {what} count not match"))) }
}

impl State {
    /// Carries out a request.
    ///
    /// # Errors
    /// It is wrong, or cannot be carried out; what was bound before stays.
    pub fn carry_out(&mut self, world: &mut World<'_>, request: &Request) -> Result<Told, Wrong> {
        match request {
            Request::Prepare(sql) => {
                let prepared = prepare(world, sql)?;
                let is_insert = matches!(prepared, Prepared::Insert(_));
                self.begin(prepared);
                return Ok(Told::IsInsert(is_insert));
            }
            Request::PrepareTwo(sql, wanted) => return self.prepare_two(world, sql, *wanted),
            Request::Insert(lines) => return schemaless::write(world, lines).map(Told::Points),
            _ => {}
        }
        let prepared = self.prepared()?;
        match (request, prepared.as_ref()) {
            (Request::Exec, prepared) => self.exec(world, prepared),
            (Request::BindExec(frame), prepared) => {
                self.bind_rows(world, prepared, frame)?;
                self.exec(world, prepared)
            }
            (request, Prepared::Query(_, count)) => self.for_query(request, *count),
            (request, Prepared::Insert(layout)) => self.for_insert(world, layout, request),
        }
    }

    fn for_query(&mut self, request: &Request, count: usize) -> Result<Told, Wrong> {
        let values = match request {
            Request::Bind(text) => {
                let columns = json::list(text).map_err(|wrong| named("column", wrong))?;
                counts(columns.len(), count, "column")?;
                let one = |column: &crate::model::json::Value<'_>| {
                    let text = std::str::from_utf8(column.text).unwrap_or_default();
                    let list = json::list(text).map_err(|wrong| named("column", wrong))?;
                    let [value] = list.as_slice() else { return Err(one_row()) };
                    json::any(value).map_err(|wrong| named("column", wrong))
                };
                columns.iter().map(one).collect::<Result<Vec<_>, _>>()?
            }
            Request::BindBlock(block) => {
                let columns = decode(block)?;
                counts(columns.len(), count, "column")?;
                row(&columns)?
            }
            Request::BindTwo(frame) => {
                let tables = read(frame)?;
                let [table] = tables.as_slice() else { return Err(one_row()) };
                counts(table.columns.len(), count, "column")?;
                row(&table.columns)?
            }
            Request::CountParameters => return Ok(Told::Count(count as u64)),
            Request::Parameter(index) if (*index as usize) < count => {
                return Ok(Told::Parameter(*index, Kind::Null));
            }
            Request::Parameter(_) => return Err(codes::invalid_parameters()),
            _ => return misused(),
        };
        self.values = Some(values);
        Ok(Told::Done)
    }

    fn for_insert(
        &mut self,
        world: &mut World<'_>,
        layout: &Layout,
        request: &Request,
    ) -> Result<Told, Wrong> {
        match request {
            Request::SetTableName(name) => {
                if layout.table.is_some() {
                    return misused();
                }
                let name = layout.qualify(world, read_name(name)?)?;
                layout.check_table(world, &name)?;
                (self.name, self.tags) = (Some(name), None);
            }
            Request::SetTags(_) | Request::SetTagsBlock(_) if !layout.has_using() => {}
            Request::SetTags(text) => self.set_tags(world, layout, text)?,
            Request::SetTagsBlock(block) => {
                let inputs = decode(block)?;
                counts(inputs.len(), layout.count(Role::Tag), "tags")?;
                if inputs.iter().any(|input| input.rows != 1) {
                    return Err(fault("rows not equal 1"));
                }
                self.tags = Some(tag_cells(world, layout, &inputs)?);
            }
            Request::Bind(text) => self.bind_json(world, layout, text)?,
            Request::BindBlock(block) => {
                let name = self.target(world, layout)?;
                let inputs = decode(block)?;
                counts(inputs.len(), layout.count(Role::Column), "column")?;
                let tags = self.tags.clone();
                bind(world, layout, &name, tags, &inputs, &mut self.batches)?;
                self.is_open = true;
            }
            Request::BindTwo(frame) => self.bind_two(world, layout, &read(frame)?)?,
            Request::TagFields => {
                let (columns, precision) = layout.tags(world)?;
                return Ok(fields(&columns, precision));
            }
            Request::ColumnFields => {
                let name = self.name.clone();
                let (columns, precision) = layout.columns(world, name.as_ref())?;
                return Ok(fields(&columns, precision));
            }
            Request::CountParameters => {
                return Ok(Told::Count(layout.count(Role::Column) as u64));
            }
            Request::Parameter(index) => {
                let name = self.name.clone();
                let (columns, _) = layout.columns(world, name.as_ref())?;
                let column = usize::try_from(*index).ok().and_then(|at| columns.get(at));
                let column = column.ok_or_else(codes::invalid_parameters)?;
                return Ok(Told::Parameter(*index, column.kind));
            }
            _ => return misused(),
        }
        Ok(Told::Done)
    }

    /// The table that values are for.
    fn target(&self, world: &mut World<'_>, layout: &Layout) -> Result<Name, Wrong> {
        match layout.table.clone().or_else(|| self.name.clone()) {
            Some(name) => layout.qualify(world, name),
            None => Err(codes::no_table_named()),
        }
    }

    fn set_tags(
        &mut self,
        world: &mut World<'_>,
        layout: &Layout,
        text: &str,
    ) -> Result<(), Wrong> {
        let values = json::list(text).map_err(|wrong| named("tag", wrong))?;
        let (columns, precision) = layout.tags(world)?;
        counts(values.len(), columns.len(), "tags")?;
        let clock = Clock { precision, ..world.clock() };
        let cell = |(value, column): (&_, &Column)| json::cell(value, column.kind, &clock);
        let cells: Result<Vec<Cell>, Wrong> = values.iter().zip(&columns).map(cell).collect();
        self.tags = Some(cells.map_err(|wrong| named("tag", wrong))?);
        Ok(())
    }

    fn bind_json(
        &mut self,
        world: &mut World<'_>,
        layout: &Layout,
        text: &str,
    ) -> Result<(), Wrong> {
        let name = self.target(world, layout)?;
        let columns = json::list(text).map_err(|wrong| named("column", wrong))?;
        counts(columns.len(), layout.count(Role::Column), "column")?;
        let tags = self.tags.clone();
        let mut fill = |at: usize, column: &Column, clock: &Clock| match columns.get(at) {
            Some(array) => json::column(array, column, clock),
            None => misused(),
        };
        let planned = layout.bind(world, &name, tags.as_deref(), &mut fill);
        let planned = planned.map_err(|wrong| named("column", wrong))?;
        self.batches.add(&name, tags.as_deref(), planned)?;
        self.is_open = true;
        Ok(())
    }

    /// Binds tables of a frame, all or none.
    fn bind_two(
        &mut self,
        world: &mut World<'_>,
        layout: &Layout,
        tables: &[frame::Table<'_>],
    ) -> Result<(), Wrong> {
        let mut all = Batches::new(&self.batches.held());
        for table in tables {
            let name = match (&layout.table, table.name) {
                (Some(name), _) => name.clone(),
                (None, Some(name)) => read_name(name)?,
                (None, None) => return Err(codes::no_table_named()),
            };
            let name = layout.qualify(world, name)?;
            counts(table.columns.len(), layout.count(Role::Column), "column")?;
            let tags = match table.tags.is_empty() {
                true => None,
                false => {
                    counts(table.tags.len(), layout.count(Role::Tag), "tags")?;
                    Some(tag_cells(world, layout, &table.tags)?)
                }
            };
            bind(world, layout, &name, tags, &table.columns, &mut all)?;
        }
        match self.batches.is_empty() {
            true => self.batches = all,
            false => self.batches.take_over(all),
        }
        Ok(())
    }

    /// Binds rows of several tables that lie behind each other.
    fn bind_rows(
        &mut self,
        world: &mut World<'_>,
        prepared: &Prepared,
        frame: &[u8],
    ) -> Result<(), Wrong> {
        let (rows, fields) = read_rows(frame)?;
        let layout = match prepared {
            Prepared::Insert(layout) => layout,
            Prepared::Query(_, count) => {
                counts(fields.len(), *count, "column")?;
                self.values = Some(row(&fields)?);
                return Ok(());
            }
        };
        counts(fields.len(), layout.roles().len(), "column")?;
        let of = |role| {
            let own = layout.roles().iter().zip(&fields).filter(move |(own, _)| **own == role);
            own.map(|(_, field)| field)
        };
        let mut tables = Vec::new();
        let names: Vec<Cell> = match of(Role::Table).next() {
            Some(names) => (0..rows).map(|row| names.cell(row)).collect::<Result<_, _>>()?,
            None => vec![Cell::Null; rows],
        };
        let mut from = 0;
        for group in names.chunk_by(|one, other| one == other) {
            let to = from + group.len();
            let name = match group.first() {
                Some(Cell::Text(name)) => Some(&**name),
                _ => None,
            };
            let tags = of(Role::Tag).map(|field| field.part(from, from + 1)).collect();
            let columns = of(Role::Column).map(|field| field.part(from, to)).collect();
            tables.push(frame::Table { name, tags, columns });
            from = to;
        }
        self.bind_two(world, layout, &tables)
    }

    fn exec(&mut self, world: &mut World<'_>, prepared: &Prepared) -> Result<Told, Wrong> {
        match prepared {
            Prepared::Insert(_) if self.is_open => misused(),
            Prepared::Insert(layout) => {
                let batches = self.batches.take();
                batches.write(world, layout).map(Told::Affected)
            }
            Prepared::Query(statement, count) => {
                self.result = None;
                match &self.values {
                    Some(values) => world.parameters = values.clone(),
                    None if *count > 0 => return misused(),
                    None => {}
                }
                self.result = match carry_out(world, statement)? {
                    Done::Rows(rows) => Some(Table::of(rows)),
                    Done::Cursor(cursor) => Some(Table::begin(cursor, world.bench)),
                    _ => None,
                };
                Ok(Told::Affected(0))
            }
        }
    }

    fn prepare_two(
        &mut self,
        world: &mut World<'_>,
        sql: &str,
        wanted: bool,
    ) -> Result<Told, Wrong> {
        let prepared = prepare(world, sql)?;
        let told = match &prepared {
            Prepared::Query(_, count) => {
                let count = if wanted { *count as u64 } else { 0 };
                Told::Fields(Some(false), "null".into(), count)
            }
            Prepared::Insert(_) if !wanted => Told::Fields(Some(true), "null".into(), 0),
            Prepared::Insert(layout) => {
                let (list, precision) = layout.parameters(world)?;
                let mut out = b"[".to_vec();
                for (at, parameter) in list.iter().enumerate() {
                    let role = match parameter.role {
                        Role::Column => 1,
                        Role::Tag => 2,
                        Role::Table => 4,
                    };
                    put_field(&parameter.name, parameter.kind, precision, Some(role), at, &mut out);
                }
                out.push(b']');
                let text = String::from_utf8(out).unwrap_or_default();
                Told::Fields(Some(true), text, list.len() as u64)
            }
        };
        self.begin(prepared);
        Ok(told)
    }
}

fn one_row() -> Wrong {
    fault("query only supports one row")
}

/// The one row of what is bound to a query.
fn row(columns: &[Input<'_>]) -> Result<Vec<Cell>, Wrong> {
    if columns.iter().any(|column| column.rows != 1) {
        return Err(one_row());
    }
    columns.iter().map(|column| column.cell(0)).collect()
}

/// Values of the `?` among the tags.
fn tag_cells(
    world: &mut World<'_>,
    layout: &Layout,
    inputs: &[Input<'_>],
) -> Result<Vec<Cell>, Wrong> {
    let (columns, precision) = layout.tags(world)?;
    let clock = Clock { precision, ..world.clock() };
    let pairs = inputs.iter().zip(&columns);
    pairs.map(|(input, column)| single(input, column.kind, &clock)).collect()
}

/// Binds columns as they came to a table.
fn bind(
    world: &mut World<'_>,
    layout: &Layout,
    name: &Name,
    tags: Option<Vec<Cell>>,
    inputs: &[Input<'_>],
    batches: &mut Batches,
) -> Result<(), Wrong> {
    let mut fill = |at: usize, column: &Column, clock: &Clock| match inputs.get(at) {
        Some(input) => pack(input, column, clock),
        None => misused(),
    };
    let planned = layout.bind(world, name, tags.as_deref(), &mut fill)?;
    batches.add(name, tags.as_deref(), planned)
}

fn fields(columns: &[Column], precision: Precision) -> Told {
    let mut out = b"[".to_vec();
    for (at, column) in columns.iter().enumerate() {
        put_field(&column.name, column.kind, precision, None, at, &mut out);
    }
    out.push(b']');
    Told::Fields(None, String::from_utf8(out).unwrap_or_default(), columns.len() as u64)
}

/// `{"name":..,"field_type":..,"precision":..,"scale":..,"bytes":..}`
fn put_field(
    name: &str,
    kind: Kind,
    precision: Precision,
    role: Option<u8>,
    at: usize,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(if at > 0 { b",{\"name\":" } else { b"{\"name\":" });
    write_string(out, name);
    let (precision, scale) = match kind {
        Kind::Timestamp => (precision.code(), 0),
        Kind::Decimal(digits, scale) => (digits, scale),
        _ => (0, 0),
    };
    let bytes = match kind {
        Kind::Decimal(..) => kind.length(),
        _ => schema_bytes(kind),
    };
    let code = kind.code();
    let text = format!(
        ",\"field_type\":{code},\"precision\":{precision},\"scale\":{scale},\"bytes\":{bytes}"
    );
    out.extend_from_slice(text.as_bytes());
    if let Some(role) = role {
        out.extend_from_slice(format!(",\"bind_type\":{role}").as_bytes());
    }
    out.push(b'}');
}

//! The typed rows of one write, as one record of a log.
//!
//! Method: column by column, each with its name and kind, so that a record says all that a reader
//! needs, whatever became of its table since. Fixed kinds are packed, nulls a bit set.
//! Layout, little-endian: version, what, precision, table, tags, columns, rows.
//! Invariant: [`Rows::parse`] has checked every length, so that reading columns cannot fail half
//! way. Cost: about 10 bytes and the name for each column of a write.

use super::packed::{Packed, put_columns};
use super::{Column, ColumnId, Kind, Precision};
use crate::model::json::write_string;
use crate::model::value::decimal::Decimal;
use crate::model::value::{Bytes, encode_bytes, write_js};
use std::sync::Arc;

/// A value of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// None.
    #[default]
    Null,
    /// Of `Bool`.
    Bool(bool),
    /// Of signed whole numbers and of timestamps.
    Int(i64),
    /// Of unsigned whole numbers.
    Uint(u64),
    /// Of floating point.
    Double(f64),
    /// Of text.
    Text(Arc<str>),
    /// Of bytes.
    Bytes(Arc<[u8]>),
    /// Of decimals.
    Decimal(Decimal),
}

impl Cell {
    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Appends a cell with its tag.
pub fn encode_cell(cell: &Cell, out: &mut Vec<u8>) {
    let mut number = |tag: u8, bits: u64| {
        out.push(tag);
        out.extend_from_slice(&bits.to_le_bytes());
    };
    match cell {
        Cell::Null => number(0, 0),
        Cell::Bool(b) => number(1, u64::from(*b)),
        Cell::Int(n) => number(2, *n as u64),
        Cell::Uint(n) => number(3, *n),
        Cell::Double(n) => number(4, n.to_bits()),
        Cell::Text(text) => {
            out.push(5);
            encode_bytes(text.as_bytes(), out);
        }
        Cell::Bytes(bytes) => {
            out.push(6);
            encode_bytes(bytes, out);
        }
        Cell::Decimal(decimal) => {
            out.push(7);
            out.push(decimal.scale() as u8);
            out.extend_from_slice(&decimal.units().to_le_bytes());
        }
    }
}

/// Reads [`encode_cell`].
#[must_use]
pub fn decode_cell(from: &mut Bytes<'_>) -> Option<Cell> {
    Some(match from.u8()? {
        0 => from.u64().map(|_| Cell::Null)?,
        1 => Cell::Bool(from.u64()? == 1),
        2 => Cell::Int(from.u64()? as i64),
        3 => Cell::Uint(from.u64()?),
        4 => Cell::Double(from.f64()?),
        5 => Cell::Text(from.text()?.into()),
        6 => Cell::Bytes(from.bytes()?.into()),
        7 => {
            let scale = u32::from(from.u8()?);
            let (low, high) = (from.u64()?, from.u64()?);
            let units = (u128::from(high) << 64 | u128::from(low)) as i128;
            Cell::Decimal(Decimal::of_units(units, scale)?)
        }
        _ => return None,
    })
}

/// What a record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Writes rows.
    Write,
    /// Hides the rows of the table from the first to the last time, both included.
    Delete(i64, i64),
    /// Hides all rows of the table.
    Drop,
}

/// Columns of one write.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Which column.
    pub column: Column,
    /// A value for each row.
    pub cells: Vec<Cell>,
}

/// Encodes a record. `table` is empty for a normal table; the first column holds the times.
#[must_use]
pub fn encode(
    deed: Deed,
    precision: Precision,
    table: &str,
    tags: &[(Column, Cell)],
    columns: &[Written],
) -> Vec<u8> {
    let mut out = Vec::new();
    put_head(deed, precision, table, tags, &mut out);
    let packed = |written: &Written| Packed::of_cells(written.column.clone(), &written.cells);
    put_columns(&columns.iter().map(packed).collect::<Vec<_>>(), &mut out);
    out
}

/// What stands before the columns of a record.
pub(super) fn put_head(
    deed: Deed,
    precision: Precision,
    table: &str,
    tags: &[(Column, Cell)],
    out: &mut Vec<u8>,
) {
    let (tag, from, to) = match deed {
        Deed::Write => (0, 0, 0),
        Deed::Delete(from, to) => (1, from, to),
        Deed::Drop => (2, 0, 0),
    };
    out.extend_from_slice(&[1, tag]);
    if tag == 1 {
        out.extend_from_slice(&from.to_le_bytes());
        out.extend_from_slice(&to.to_le_bytes());
    }
    out.push(precision.code());
    put_name(table, out);
    put_u16(tags.len(), out);
    for (column, cell) in tags {
        put_column(column, out);
        encode_cell(cell, out);
    }
}

fn put_u16(n: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(n as u16).to_le_bytes());
}

fn put_name(name: &str, out: &mut Vec<u8>) {
    put_u16(name.len(), out);
    out.extend_from_slice(name.as_bytes());
}

pub(super) fn put_column(column: &Column, out: &mut Vec<u8>) {
    put_u16(usize::from(column.id), out);
    out.push(column.kind.code());
    out.extend_from_slice(&column.kind.detail().to_le_bytes());
    put_name(&column.name, out);
}

/// The bytes of a text or of bytes.
#[must_use]
pub fn bytes_of(cell: &Cell) -> &[u8] {
    match cell {
        Cell::Text(text) => text.as_bytes(),
        Cell::Bytes(bytes) => bytes,
        _ => b"",
    }
}

/// Appends a value of fixed width, little-endian; zeros for null.
pub fn put_fixed(kind: Kind, cell: &Cell, out: &mut Vec<u8>) {
    let width = kind.width().unwrap_or(0);
    let bits = match (kind, cell) {
        (Kind::Float, Cell::Double(n)) => u128::from((*n as f32).to_bits()),
        (_, Cell::Bool(b)) => u128::from(*b),
        (_, Cell::Int(n)) => *n as u128,
        (_, Cell::Uint(n)) => u128::from(*n),
        (_, Cell::Double(n)) => u128::from(n.to_bits()),
        (_, Cell::Decimal(decimal)) => decimal.units() as u128,
        _ => 0,
    };
    out.extend_from_slice(bits.to_le_bytes().get(..width).unwrap_or_default());
}

/// Reads a value of fixed width; `bytes` has it and no more.
#[must_use]
pub fn read_fixed(kind: Kind, bytes: &[u8]) -> Cell {
    if let Kind::Decimal(_, scale) = kind {
        return read_decimal(bytes, scale);
    }
    let mut all = [0; 8];
    if let Some(part) = all.get_mut(..bytes.len()) {
        part.copy_from_slice(bytes);
    }
    let bits = u64::from_le_bytes(all);
    match kind {
        Kind::Bool => Cell::Bool(bits != 0),
        Kind::TinyInt => Cell::Int(i64::from(bits as i8)),
        Kind::SmallInt => Cell::Int(i64::from(bits as i16)),
        Kind::Int => Cell::Int(i64::from(bits as i32)),
        Kind::BigInt | Kind::Timestamp => Cell::Int(bits as i64),
        Kind::Float => Cell::Double(f64::from(f32::from_bits(bits as u32))),
        Kind::Double => Cell::Double(f64::from_bits(bits)),
        _ if kind.is_unsigned() => Cell::Uint(bits),
        _ => Cell::Null,
    }
}

fn read_decimal(bytes: &[u8], scale: u8) -> Cell {
    let units = match (<[u8; 8]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(short), _) => Some(i128::from(i64::from_le_bytes(short))),
        (_, Ok(long)) => Some(i128::from_le_bytes(long)),
        _ => None,
    };
    let decimal = units.and_then(|units| Decimal::of_units(units, u32::from(scale)));
    decimal.map_or(Cell::Null, Cell::Decimal)
}

/// A record, read.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    /// What it does.
    pub deed: Deed,
    /// What its times count.
    pub precision: Precision,
    /// The subtable; empty: a normal table.
    pub table: &'a str,
    /// Tags of the subtable.
    pub tags: Vec<(Column, Cell)>,
    /// How many rows.
    pub rows: usize,
    columns: Vec<(Column, &'a [u8])>,
}

struct From<'a>(&'a [u8]);

impl<'a> From<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(first)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes(self.number()?)))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.number()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.number()?))
    }

    fn name(&mut self) -> Option<&'a str> {
        let length = self.u16()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn column(&mut self) -> Option<Column> {
        let id = self.u16()? as ColumnId;
        let [code] = self.number()?;
        let kind = Kind::from_code(code, self.u32()?)?;
        Some(Column { id, name: self.name()?.into(), kind })
    }

    fn cell(&mut self) -> Option<Cell> {
        let mut bytes = Bytes(self.0);
        let cell = decode_cell(&mut bytes)?;
        self.0 = bytes.0;
        Some(cell)
    }

    /// The part that holds the cells of a column.
    fn cells(&mut self, kind: Kind, rows: usize) -> Option<&'a [u8]> {
        let whole = self.0;
        self.take(rows.div_ceil(8))?;
        match kind.width() {
            Some(width) => drop(self.take(rows.checked_mul(width)?)?),
            None => {
                let lengths = self.take(rows.checked_mul(4)?)?;
                let mut total: usize = 0;
                for length in lengths.as_chunks::<4>().0 {
                    total = total.checked_add(u32::from_le_bytes(*length) as usize)?;
                }
                let data = self.take(total)?;
                if kind.is_text() {
                    let mut rest = data;
                    for length in lengths.as_chunks::<4>().0 {
                        let (one, more) = rest.split_at(u32::from_le_bytes(*length) as usize);
                        std::str::from_utf8(one).ok()?;
                        rest = more;
                    }
                }
            }
        }
        whole.get(..whole.len() - self.0.len())
    }
}

impl<'a> Rows<'a> {
    /// Whether a record hides rows and writes none, as far as its first bytes tell.
    #[must_use]
    pub fn hides(bytes: &[u8]) -> bool {
        bytes.get(1).is_some_and(|deed| *deed != 0)
    }

    /// Reads a record; `None` if it is not one.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut from = From(bytes);
        let [version, deed] = from.number()?;
        let deed = match deed {
            0 => Deed::Write,
            1 => Deed::Delete(from.i64()?, from.i64()?),
            2 => Deed::Drop,
            _ => return None,
        };
        let [precision] = from.number()?;
        let precision = Precision::from_code(precision).filter(|_| version == 1)?;
        let table = from.name()?;
        let count = from.u16()?;
        let tags: Vec<_> =
            (0..count).map(|_| Some((from.column()?, from.cell()?))).collect::<Option<_>>()?;
        let count = from.u16()?;
        let rows = from.u32()? as usize;
        let mut columns = Vec::new();
        for _ in 0..count {
            let column = from.column()?;
            let cells = from.cells(column.kind, rows)?;
            columns.push((column, cells));
        }
        if count == 0 && rows > 0 {
            return None;
        }
        Some(Self { deed, precision, table, tags, rows, columns })
    }

    /// The columns, the times first.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|(column, _)| column)
    }

    /// The values of a column.
    #[must_use]
    pub fn cells(&self, index: usize) -> Vec<Cell> {
        let Some((column, bytes)) = self.columns.get(index) else { return Vec::new() };
        let (nulls, data) = bytes.split_at(self.rows.div_ceil(8));
        let is_null = |row: usize| nulls[row / 8] & (0x80 >> (row % 8)) != 0;
        if let Some(width) = column.kind.width() {
            let cell = |row: usize| match is_null(row) {
                true => Cell::Null,
                false => read_fixed(column.kind, &data[row * width..row * width + width]),
            };
            return (0..self.rows).map(cell).collect();
        }
        let (lengths, mut rest) = data.split_at(self.rows * 4);
        let mut cells = Vec::with_capacity(self.rows);
        for (row, length) in lengths.as_chunks::<4>().0.iter().enumerate() {
            let (one, more) = rest.split_at(u32::from_le_bytes(*length) as usize);
            rest = more;
            cells.push(match column.kind {
                _ if is_null(row) => Cell::Null,
                kind if kind.is_text() => Cell::text(std::str::from_utf8(one).unwrap_or_default()),
                _ => Cell::Bytes(one.into()),
            });
        }
        cells
    }

    /// The times of the rows in nanoseconds.
    #[must_use]
    pub fn times_ns(&self) -> Vec<i64> {
        let unit = self.precision.unit_ns();
        let ns = |cell: Cell| match cell {
            Cell::Int(time) => time.saturating_mul(unit),
            _ => 0,
        };
        self.cells(0).into_iter().map(ns).collect()
    }

    /// Writes each row as a JSON object: the columns that were named, then tags and `tbname`.
    pub fn each_json(&self, mut row: impl FnMut(&[u8])) {
        if self.deed != Deed::Write {
            return;
        }
        let columns: Vec<_> = (0..self.columns.len()).map(|index| self.cells(index)).collect();
        let mut tail = Vec::new();
        for (column, cell) in &self.tags {
            write_member(column, cell, &mut tail);
        }
        if !self.table.is_empty() {
            write_table_name(self.table, &mut tail);
        }
        let mut text = Vec::new();
        for index in 0..self.rows {
            text.clear();
            for ((column, _), cells) in self.columns.iter().zip(&columns) {
                write_member(column, cells.get(index).unwrap_or(&Cell::Null), &mut text);
            }
            text.extend_from_slice(&tail);
            text.push(b'}');
            if let Some(first) = text.first_mut() {
                *first = b'{';
            }
            row(&text);
        }
    }
}

/// Appends `,"name":value`.
pub fn write_member(column: &Column, cell: &Cell, out: &mut Vec<u8>) {
    out.push(b',');
    write_string(out, &column.name);
    out.push(b':');
    write_json(column.kind, cell, out);
}

/// Appends `,"tbname":"name"`.
pub fn write_table_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"tbname\":");
    write_string(out, name);
}

/// Appends a value as JSON: bytes in hexadecimal, times as numbers.
pub fn write_json(kind: Kind, cell: &Cell, out: &mut Vec<u8>) {
    match (kind, cell) {
        (_, Cell::Null) => out.extend_from_slice(b"null"),
        (_, Cell::Bool(b)) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        (_, Cell::Int(n)) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
        (_, Cell::Uint(n)) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
        (Kind::Float, Cell::Double(n)) => write_float(*n as f32, out),
        (_, Cell::Double(n)) => write_js(*n, out),
        (Kind::Json, Cell::Text(text)) => out.extend_from_slice(text.as_bytes()),
        (_, Cell::Text(text)) => write_string(out, text),
        (_, Cell::Decimal(decimal)) => write_string(out, &decimal.to_string()),
        (_, Cell::Bytes(bytes)) => {
            out.push(b'"');
            write_hex(bytes, out);
            out.push(b'"');
        }
    }
}

/// Appends the shortest text that reads back as the same number; `null` if it is not finite.
fn write_float(number: f32, out: &mut Vec<u8>) {
    if !number.is_finite() {
        return out.extend_from_slice(b"null");
    }
    // The double that has the same shortest digits.
    let wide: f64 = number.to_string().parse().unwrap_or_default();
    write_js(wide, out);
}

/// Appends lower-case hexadecimal.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests;

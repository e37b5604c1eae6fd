//! A column of rows as a record holds it: nulls as bits, values packed.
//!
//! Method: what arrives in columns stays in columns. A column of fixed width whose kind is that of
//! the table is copied as bytes, from the frame to the record; only what has to be converted is
//! looked at value by value. Cost: width + 1/8 bytes for each value, 4 + length for text and
//! bytes; no allocation for a single value.
//! Invariant: bits behind the last row are zero; a null has zeros, or no bytes, in its place.

use super::rows::{Cell, Deed, bytes_of, put_column, put_fixed, put_head};
use super::{Column, Precision};

/// See the module's page.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// Which column.
    pub column: Column,
    rows: usize,
    nulls: Vec<u8>,
    /// Of text and bytes: 4 bytes for each value.
    lengths: Vec<u8>,
    values: Vec<u8>,
}

fn bit(row: usize) -> u8 {
    0x80 >> (row % 8)
}

impl Packed {
    /// An empty column.
    #[must_use]
    pub fn new(column: Column) -> Self {
        let (nulls, lengths, values) = (Vec::new(), Vec::new(), Vec::new());
        Self { column, rows: 0, nulls, lengths, values }
    }

    /// A column of these values, which are of its kind.
    #[must_use]
    pub fn of_cells(column: Column, cells: &[Cell]) -> Self {
        let mut it = Self::new(column);
        cells.iter().for_each(|cell| it.push(cell));
        it
    }

    /// The same value in all rows.
    #[must_use]
    pub fn repeat(column: Column, cell: &Cell, rows: usize) -> Self {
        let mut it = Self::new(column);
        (0..rows).for_each(|_| it.push(cell));
        it
    }

    /// A column of fixed width as it came: a bit for each null, and the values. `None`: the parts
    /// are not as long as `rows` says, or the kind has no width.
    #[must_use]
    pub fn of_parts(column: Column, rows: usize, nulls: &[u8], values: &[u8]) -> Option<Self> {
        let width = column.kind.width()?;
        if nulls.len() != rows.div_ceil(8) || values.len() != rows.checked_mul(width)? {
            return None;
        }
        let (mut nulls, mut values) = (nulls.to_vec(), values.to_vec());
        if let Some(last) = nulls.last_mut() {
            *last &=
                !(u8::MAX.checked_shr((rows - (rows.div_ceil(8) - 1) * 8) as u32)).unwrap_or(0);
        }
        for (at, byte) in nulls.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            for row in (at * 8..rows.min(at * 8 + 8)).filter(|row| byte & bit(*row) != 0) {
                values[row * width..][..width].fill(0);
            }
        }
        Some(Self { column, rows, nulls, lengths: Vec::new(), values })
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.nulls.len() + self.lengths.len() + self.values.len()
    }

    /// Room for so many rows more.
    pub fn reserve(&mut self, rows: usize) {
        match self.column.kind.width() {
            Some(width) => self.values.reserve(rows * width),
            None => self.lengths.reserve(rows * 4),
        }
        self.nulls.reserve(rows.div_ceil(8));
    }

    fn next_row(&mut self, is_null: bool) {
        if self.rows.is_multiple_of(8) {
            self.nulls.push(0);
        }
        if is_null && let Some(last) = self.nulls.last_mut() {
            *last |= bit(self.rows);
        }
        self.rows += 1;
    }

    /// Adds a value of the column's kind.
    pub fn push(&mut self, cell: &Cell) {
        match self.column.kind.width() {
            Some(_) => {
                self.next_row(cell.is_null());
                put_fixed(self.column.kind, cell, &mut self.values);
            }
            None => self.push_bytes((!cell.is_null()).then(|| bytes_of(cell))),
        }
    }

    /// Adds a text or bytes to a column of such.
    pub fn push_bytes(&mut self, bytes: Option<&[u8]>) {
        self.next_row(bytes.is_none());
        let bytes = bytes.unwrap_or_default();
        self.lengths.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.values.extend_from_slice(bytes);
    }

    /// Adds the rows of another column of the same kind.
    pub fn append(&mut self, other: &Self) {
        if self.rows.is_multiple_of(8) {
            self.nulls.extend_from_slice(&other.nulls);
        } else {
            self.nulls.resize((self.rows + other.rows).div_ceil(8), 0);
            let start = self.rows;
            for row in (0..other.rows).filter(|row| other.is_null(*row)) {
                self.nulls[(start + row) / 8] |= bit(start + row);
            }
        }
        self.rows += other.rows;
        self.lengths.extend_from_slice(&other.lengths);
        self.values.extend_from_slice(&other.values);
    }

    /// Whether the value of a row is null; rows that are not there have none.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row / 8).is_some_and(|byte| byte & bit(row) != 0)
    }

    /// Whether there is a null.
    #[must_use]
    pub fn has_nulls(&self) -> bool {
        self.nulls.iter().any(|byte| *byte != 0)
    }

    /// The values of a column of 8 bytes, such as times, as whole numbers.
    pub fn longs(&self) -> impl Iterator<Item = i64> {
        let wide = self.column.kind.width() == Some(8);
        let values = if wide { self.values.as_slice() } else { &[] };
        values.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes))
    }
}

/// Encodes a record of these columns, which are equally long, the times first. `table` is empty
/// for a normal table.
#[must_use]
pub fn encode_columns(
    precision: Precision,
    table: &str,
    tags: &[(Column, Cell)],
    columns: &[Packed],
) -> Vec<u8> {
    let bytes: usize = columns.iter().map(|column| column.bytes_len() + 80).sum();
    let mut out = Vec::with_capacity(bytes + 64 + 80 * tags.len());
    put_head(Deed::Write, precision, table, tags, &mut out);
    put_columns(columns, &mut out);
    out
}

/// The columns of a record.
pub(super) fn put_columns(columns: &[Packed], out: &mut Vec<u8>) {
    let rows = columns.first().map_or(0, Packed::rows);
    out.extend_from_slice(&(columns.len() as u16).to_le_bytes());
    out.extend_from_slice(&(rows as u32).to_le_bytes());
    for packed in columns {
        put_column(&packed.column, out);
        for part in [&packed.nulls, &packed.lengths, &packed.values] {
            out.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::rows::Rows;
    use super::*;

    fn column(id: u16, kind: Kind) -> Column {
        Column { id, name: "c".into(), kind }
    }

    #[test]
    fn a_record_of_columns_is_read_back() {
        for rows in [0, 1, 7, 8, 9, 20] {
            let cells = |f: fn(i64) -> Cell| (0..rows).map(f).collect::<Vec<_>>();
            let times = cells(Cell::Int);
            let ints = cells(|n| if n % 3 == 0 { Cell::Null } else { Cell::Int(-n) });
            let texts = cells(|n| if n % 2 == 0 { Cell::Null } else { Cell::text("ab") });
            let all = [(Kind::Timestamp, times), (Kind::Int, ints), (Kind::Varchar(4), texts)];
            let whole: Vec<_> =
                all.iter().map(|(k, c)| Packed::of_cells(column(1, *k), c)).collect();
            let record = encode_columns(Precision::Ms, "a", &[], &whole);
            let read = Rows::parse(&record).unwrap();
            for (index, (_, cells)) in all.iter().enumerate() {
                assert_eq!(read.cells(index), *cells);
            }
            // In two parts, at every border.
            for cut in 0..=rows as usize {
                let parts: Vec<_> = all
                    .iter()
                    .map(|(kind, cells)| {
                        let mut first = Packed::of_cells(column(1, *kind), &cells[..cut]);
                        first.append(&Packed::of_cells(column(1, *kind), &cells[cut..]));
                        first
                    })
                    .collect();
                assert_eq!(parts, whole);
            }
        }
    }

    #[test]
    fn parts_as_they_came_are_cleaned_and_checked() {
        let int = || column(2, Kind::SmallInt);
        let got = Packed::of_parts(int(), 3, &[0x5F], &[1, 0, 2, 0, 3, 0]).unwrap();
        assert_eq!(got, Packed::of_cells(int(), &[Cell::Int(1), Cell::Null, Cell::Int(3)]));
        assert!(Packed::of_parts(int(), 3, &[0], &[0; 5]).is_none());
        assert!(Packed::of_parts(int(), 9, &[0], &[0; 18]).is_none());
        assert!(Packed::of_parts(column(2, Kind::Varchar(1)), 0, &[], &[]).is_none());
        let eight = Packed::of_parts(int(), 8, &[0xFF], &[7; 16]).unwrap();
        assert_eq!(eight, Packed::repeat(int(), &Cell::Null, 8));
        assert!(Packed::of_parts(int(), usize::MAX, &[], &[]).is_none());
        let bytes = encode_columns(Precision::Ms, "", &[], &[eight]);
        assert_eq!(Rows::parse(&bytes).unwrap().cells(0), vec![Cell::Null; 8]);
    }
}

//! Columns from outside into columns of a table.
//!
//! Method: where kinds agree and have a width, the bytes are copied; texts are checked and copied
//! one behind the other; only numbers of another kind become values on the way.
//! Cost of 10,000 rows (time, float, int, float): one copy of 203 kB and a look at the nulls.

use crate::model::json::check as check_json;
use crate::model::table::rows::{Cell, read_fixed};
use crate::model::table::{Column, Kind, Packed};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::codes;
use crate::query::tables::convert::{Clock, store};
use std::borrow::Cow;

/// A column as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Input<'a> {
    /// What the sender calls it; declared lengths mean nothing.
    pub kind: Kind,
    /// How many values.
    pub rows: usize,
    /// A bit for each null, the first in the highest; as many bytes as that takes.
    pub nulls: Cow<'a, [u8]>,
    /// The values.
    pub data: Data<'a>,
}

/// The values of a column as they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Data<'a> {
    /// Of fixed width, little-endian; `rows` of them.
    Fixed(&'a [u8]),
    /// UTF-8 or bytes; nulls are empty.
    Bytes(Vec<&'a [u8]>),
    /// UTF-32, little-endian; nulls are empty.
    Wide(Vec<&'a [u8]>),
}

impl<'a> Input<'a> {
    /// Whether the value of a row is null.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        let byte = self.nulls.get(row / 8).copied().unwrap_or(0);
        self.kind == Kind::Null || byte & (0x80 >> (row % 8)) != 0
    }

    /// The value of a row; null if there is none.
    ///
    /// # Errors
    /// A text is none.
    pub fn cell(&self, row: usize) -> Result<Cell, Wrong> {
        if row >= self.rows || self.is_null(row) {
            return Ok(Cell::Null);
        }
        match &self.data {
            Data::Fixed(values) => {
                let width = self.kind.width().unwrap_or(1);
                let value = values.get(row * width..).and_then(|rest| rest.get(..width));
                Ok(value.map_or(Cell::Null, |bytes| read_fixed(self.kind, bytes)))
            }
            Data::Bytes(list) => {
                let bytes = list.get(row).copied().unwrap_or_default();
                match self.kind.is_text() {
                    true => text_of(bytes).map(Cell::text),
                    false => Ok(Cell::Bytes(bytes.into())),
                }
            }
            Data::Wide(list) => {
                let text = narrow(list.get(row).copied().unwrap_or_default())?;
                Ok(Cell::Text(text.into()))
            }
        }
    }

    /// Some of the rows, for what holds several tables.
    #[must_use]
    pub fn part(&self, from: usize, to: usize) -> Self {
        let (from, to) = (from.min(self.rows), to.min(self.rows));
        let rows = to.saturating_sub(from);
        let mut nulls = vec![0; rows.div_ceil(8)];
        for row in (0..rows).filter(|row| self.is_null(from + row)) {
            nulls[row / 8] |= 0x80 >> (row % 8);
        }
        let slices = |list: &Vec<&'a [u8]>| list.get(from..to).unwrap_or_default().to_vec();
        let data = match &self.data {
            Data::Fixed(values) => {
                let width = self.kind.width().unwrap_or(1);
                Data::Fixed(values.get(from * width..to * width).unwrap_or_default())
            }
            Data::Bytes(list) => Data::Bytes(slices(list)),
            Data::Wide(list) => Data::Wide(slices(list)),
        };
        Self { kind: self.kind, rows, nulls: nulls.into(), data }
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, Wrong> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| codes::bad_value())
}

fn narrow(bytes: &[u8]) -> Result<String, Wrong> {
    let (chars, rest) = bytes.as_chunks::<4>();
    let char_of = |bytes: &[u8; 4]| char::from_u32(u32::from_le_bytes(*bytes));
    let text = rest.is_empty().then(|| chars.iter().map(char_of).collect::<Option<_>>());
    text.flatten().ok_or_else(codes::bad_value)
}

/// What the values of one kind may become.
fn converts(from: Kind, to: Kind) -> bool {
    let is_number = |kind: Kind| kind.is_integer() || kind.is_float();
    let long = |kind| matches!(kind, Kind::BigInt | Kind::Timestamp);
    let is_plain = |kind| matches!(kind, Kind::Varchar(_) | Kind::Nchar(_));
    from == Kind::Null
        || from.code() == to.code()
        || (is_number(from) && is_number(to))
        || (long(from) && long(to))
        || (is_plain(from) && (is_plain(to) || to == Kind::Json || to.is_bytes()))
        || (is_plain(from) && matches!(to, Kind::Decimal(..)))
        || (is_number(from) && matches!(to, Kind::Decimal(..)))
        || (from == Kind::Json && is_plain(to))
        || (from.is_bytes() && to.is_bytes())
}

/// A column from outside as one of a table.
///
/// # Errors
/// Its kind does not convert, or a value is out of range, too long or no text.
pub fn pack(input: &Input<'_>, column: &Column, clock: &Clock) -> Result<Packed, Wrong> {
    if !converts(input.kind, column.kind) {
        return Err(codes::bad_value());
    }
    let column = column.clone();
    let kind = column.kind;
    if let Data::Fixed(values) = input.data
        && input.kind == kind
    {
        let whole = Packed::of_parts(column, input.rows, &input.nulls, values);
        return whole.ok_or_else(codes::bad_value);
    }
    let mut packed = Packed::new(column);
    packed.reserve(input.rows);
    match &input.data {
        Data::Fixed(_) => {
            for row in 0..input.rows {
                packed.push(&store(input.cell(row)?, kind, clock)?);
            }
        }
        _ if input.kind == Kind::Null => {
            (0..input.rows).for_each(|_| packed.push(&Cell::Null));
        }
        _ if matches!(kind, Kind::Decimal(..)) => {
            for row in 0..input.rows {
                packed.push(&store(input.cell(row)?, kind, clock)?);
            }
        }
        Data::Bytes(list) => {
            for (row, bytes) in list.iter().enumerate() {
                let value = (!input.is_null(row)).then_some(*bytes);
                packed.push_bytes(value.map(|bytes| fit(bytes, kind)).transpose()?);
            }
        }
        Data::Wide(list) => {
            for (row, bytes) in list.iter().enumerate() {
                let text = match input.is_null(row) {
                    true => None,
                    false => Some(narrow(bytes)?),
                };
                let value = text.as_ref().map(|text| fit(text.as_bytes(), kind));
                packed.push_bytes(value.transpose()?);
            }
        }
    }
    Ok(packed)
}

/// Bytes of a text, or bytes, that a column of the kind takes.
fn fit(bytes: &[u8], kind: Kind) -> Result<&[u8], Wrong> {
    let length = match kind {
        Kind::Nchar(_) => text_of(bytes)?.chars().count(),
        kind if kind.is_text() => text_of(bytes)?.len(),
        _ => bytes.len(),
    };
    if kind == Kind::Json && check_json(bytes).is_err() {
        return Err(codes::bad_value());
    }
    if length > kind.length() as usize { Err(codes::too_long()) } else { Ok(bytes) }
}

/// A single value from outside as one of a column.
///
/// # Errors
/// As [`pack`].
pub fn single(input: &Input<'_>, kind: Kind, clock: &Clock) -> Result<Cell, Wrong> {
    if !converts(input.kind, kind) {
        return Err(codes::bad_value());
    }
    match input.cell(0)? {
        Cell::Text(text) if kind.is_bytes() => {
            fit(text.as_bytes(), kind).map(|bytes| Cell::Bytes(bytes.into()))
        }
        other => store(other, kind, clock),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::Precision;

    fn input<'a>(kind: Kind, rows: usize, nulls: &'a [u8], data: Data<'a>) -> Input<'a> {
        Input { kind, rows, nulls: nulls.into(), data }
    }

    #[test]
    fn columns_convert_or_are_refused() {
        let clock = Clock { now_ns: 0, zone: chrono_tz::Tz::UTC, precision: Precision::Ms };
        let column = |kind| Column { id: 1, name: "c".into(), kind };
        let int = Cell::Int;
        let ints = input(Kind::Int, 2, &[0x40], Data::Fixed(&[5, 0, 0, 0, 9, 9, 9, 9]));
        let texts = input(Kind::Varchar(0), 2, &[0x40], Data::Bytes(vec![b"{}", b""]));
        let wide = input(Kind::Nchar(0), 1, &[0], Data::Wide(vec![&[0x2d, 0x4e, 0, 0]]));
        let bad = input(Kind::Nchar(0), 1, &[0], Data::Wide(vec![&[0, 0xd8, 0, 0]]));
        let odd = input(Kind::Nchar(0), 1, &[0], Data::Wide(vec![&[0, 0, 0]]));
        let big = input(Kind::UBigInt, 1, &[0], Data::Fixed(&[0xFF; 8]));
        let nothing = input(Kind::Null, 2, &[0], Data::Fixed(&[0, 0]));
        let bytes = input(Kind::Varbinary(0), 1, &[0], Data::Bytes(vec![&[0xFF]]));
        for (from, to, want) in [
            (&ints, Kind::Int, Ok(vec![int(5), Cell::Null])),
            (&ints, Kind::TinyInt, Ok(vec![int(5), Cell::Null])),
            (&ints, Kind::Double, Ok(vec![Cell::Double(5.0), Cell::Null])),
            (&ints, Kind::Bool, Err(0x2605)),
            (&ints, Kind::Varchar(9), Err(0x2605)),
            (&big, Kind::BigInt, Err(0x2605)),
            (&texts, Kind::Varchar(2), Ok(vec![Cell::text("{}"), Cell::Null])),
            (&texts, Kind::Varchar(1), Err(0x2653)),
            (&texts, Kind::Json, Ok(vec![Cell::text("{}"), Cell::Null])),
            (&texts, Kind::Int, Err(0x2605)),
            (&texts, Kind::Varbinary(2), Ok(vec![Cell::Bytes((*b"{}").into()), Cell::Null])),
            (&wide, Kind::Varchar(3), Ok(vec![Cell::text("中")])),
            (&wide, Kind::Nchar(1), Ok(vec![Cell::text("中")])),
            (&wide, Kind::Varchar(2), Err(0x2653)),
            (&wide, Kind::Json, Err(0x2605)),
            (&bad, Kind::Nchar(1), Err(0x2605)),
            (&odd, Kind::Nchar(1), Err(0x2605)),
            (&nothing, Kind::Varchar(2), Ok(vec![Cell::Null; 2])),
            (&nothing, Kind::Int, Ok(vec![Cell::Null; 2])),
            (&bytes, Kind::Varbinary(1), Ok(vec![Cell::Bytes([0xFF].into())])),
            (&bytes, Kind::Varchar(1), Err(0x2605)),
        ] {
            let got = pack(from, &column(to), &clock).map_err(|wrong| wrong.code);
            let want: Result<Packed, u16> =
                want.map(|cells: Vec<Cell>| Packed::of_cells(column(to), &cells));
            assert_eq!(got, want, "{from:?} {to:?}");
            let one = single(from, to, &clock).map_err(|wrong| wrong.code);
            assert_eq!(one.is_ok(), want.is_ok(), "{from:?} {to:?}");
        }
    }

    #[test]
    fn parts_of_columns() {
        let values: Vec<u8> = (0..20).collect();
        let whole = input(Kind::TinyInt, 20, &[0x01, 0x80, 0], Data::Fixed(&values));
        let part = whole.part(7, 10);
        assert_eq!((part.rows, &*part.nulls), (3, &[0xC0][..]));
        assert_eq!(part.cell(2).unwrap(), Cell::Int(9));
        assert_eq!(whole.part(19, 99).rows, 1);
    }
}

//! The raw block: rows as columns of bytes, little-endian (taos, section 7).

pub mod decode;

use crate::model::table::Kind;
use crate::model::table::rows::{Cell, bytes_of, put_fixed};
use crate::query::tables::Field;
use crate::query::tables::store::{Columns, Values};

/// Rows of a block at most.
pub const ROWS_MAX: usize = 4096;
/// Bytes before the schema.
const HEADER_BYTES: usize = 28;

/// `bytes` of a kind, as the schema says it.
#[must_use]
pub fn schema_bytes(kind: Kind) -> u32 {
    match kind {
        Kind::Varchar(n) | Kind::Varbinary(n) | Kind::Geometry(n) => n + 2,
        Kind::Nchar(n) => 4 * n + 2,
        Kind::Json => 16_384,
        // Scale, precision, 0, width.
        Kind::Decimal(digits, scale) => u32::from_le_bytes([scale, digits, 0, kind.length() as u8]),
        other => other.length(),
    }
}

/// Encodes rows that are at hand one by one.
#[must_use]
pub fn encode(fields: &[Field], rows: &[Vec<Cell>]) -> Vec<u8> {
    encode_columns(fields, &Columns::of_rows(fields.len(), rows))
}

/// Encodes rows.
#[must_use]
pub fn encode_columns(fields: &[Field], columns: &Columns) -> Vec<u8> {
    let rows = columns.rows;
    let mut out = Vec::with_capacity(HEADER_BYTES + fields.len() * (9 + 9 * rows));
    for number in [1, 0, rows as u32, fields.len() as u32, 0x8000_0000, 0, 0] {
        out.extend_from_slice(&u32::to_le_bytes(number));
    }
    for field in fields {
        out.push(field.kind.code());
        out.extend_from_slice(&schema_bytes(field.kind).to_le_bytes());
    }
    let lengths = out.len();
    out.resize(lengths + 4 * fields.len(), 0);
    for (index, (field, values)) in fields.iter().zip(&columns.list).enumerate() {
        let length = match field.kind.width() {
            Some(_) => put_fixed_column(field.kind, values, rows, &mut out),
            None => put_long_column(field.kind, values, rows, &mut out),
        };
        let at = lengths + 4 * index;
        out[at..at + 4].copy_from_slice(&(length as u32).to_le_bytes());
    }
    out.push(0);
    let total = (out.len() as u32).to_le_bytes();
    out[4..8].copy_from_slice(&total);
    out
}

/// Appends values of fixed width behind the bits of their nulls; gives the bytes of the values.
fn put_fixed_column(kind: Kind, values: &Values, rows: usize, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + rows.div_ceil(8), 0);
    match values {
        Values::Ints(_, marks) | Values::Doubles(_, marks) => {
            let bytes = out[start..].iter_mut().enumerate();
            bytes.for_each(|(at, byte)| *byte = marks.null_bits(at).reverse_bits());
        }
        Values::Cells(cells) => {
            for (at, _) in cells.iter().enumerate().filter(|(_, cell)| cell.is_null()) {
                out[start + at / 8] |= 0x80 >> (at % 8);
            }
        }
    }
    let begin = out.len();
    match (kind, values) {
        (Kind::Timestamp | Kind::BigInt, Values::Ints(list, _)) => {
            put_each(list, i64::to_le_bytes, out);
        }
        (Kind::Int, Values::Ints(list, _)) => put_each(list, |n| (n as i32).to_le_bytes(), out),
        (Kind::SmallInt, Values::Ints(list, _)) => {
            put_each(list, |n| (n as i16).to_le_bytes(), out);
        }
        (Kind::TinyInt, Values::Ints(list, _)) => put_each(list, |n| [n as u8], out),
        (Kind::Double, Values::Doubles(list, _)) => put_each(list, f64::to_le_bytes, out),
        (Kind::Float, Values::Doubles(list, _)) => {
            put_each(list, |n| (n as f32).to_le_bytes(), out);
        }
        _ => (0..rows).for_each(|row| put_fixed(kind, &values.get(row), out)),
    }
    out.len() - begin
}

/// Appends the bytes of each value, with nothing to be decided for it.
fn put_each<T: Copy, const N: usize>(list: &[T], bytes: impl Fn(T) -> [u8; N], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + N * list.len(), 0);
    let slots = out[start..].as_chunks_mut::<N>().0;
    slots.iter_mut().zip(list).for_each(|(slot, value)| *slot = bytes(*value));
}

/// Appends values of any length behind where each begins; gives the bytes of the values.
fn put_long_column(kind: Kind, values: &Values, rows: usize, out: &mut Vec<u8>) -> usize {
    let offsets = out.len();
    out.resize(offsets + 4 * rows, 0);
    let begin = out.len();
    for at in 0..rows {
        let cell = values.get(at);
        let offset = if cell.is_null() { -1 } else { (out.len() - begin) as i32 };
        let place = offsets + 4 * at;
        out[place..place + 4].copy_from_slice(&offset.to_le_bytes());
        if cell.is_null() {
            continue;
        }
        let wide;
        let bytes = match (kind, &cell) {
            (Kind::Nchar(_), Cell::Text(text)) => {
                wide = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<u8>>();
                &wide
            }
            _ => bytes_of(&cell),
        };
        if kind == Kind::Blob {
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        } else {
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        }
        out.extend_from_slice(bytes);
    }
    out.len() - begin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::rows::write_hex;

    fn hex(fields: &[(&str, Kind)], rows: &[Vec<Cell>]) -> String {
        let field = |(name, kind): &(&str, Kind)| Field { name: (*name).to_owned(), kind: *kind };
        let fields: Vec<Field> = fields.iter().map(field).collect();
        let mut out = Vec::new();
        write_hex(&encode(&fields, rows), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn blocks_are_byte_for_byte_as_clients_expect() {
        assert_eq!(
            hex(&[("1", Kind::BigInt)], &[vec![Cell::Int(1)]]),
            "010000002f000000010000000100000000000080000000000000000005080000000800000000\
             010000000000000000"
        );
        let fields = [
            ("ts", Kind::Timestamp),
            ("v", Kind::Int),
            ("b", Kind::Varchar(8)),
            ("n", Kind::Nchar(4)),
        ];
        let rows = [
            vec![Cell::Int(1_700_000_000_000), Cell::Int(1), Cell::text("ab"), Cell::text("中")],
            vec![Cell::Int(1_700_000_000_001), Cell::Null, Cell::Null, Cell::Null],
        ];
        assert_eq!(
            hex(&fields, &rows),
            "010000007500000002000000040000000000008000000000000000000908000000\
             0404000000080a0000000a1200000010000000080000000400000006000000\
             000068e5cf8b0100000168e5cf8b010000400100000000000000\
             00000000ffffffff02006162\
             00000000ffffffff04002d4e000000"
        );
    }
}

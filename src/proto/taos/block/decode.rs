//! The raw block, read: columns as they lie in the frame, nothing copied.
//!
//! Method: of the header only rows and columns are believed, and those as far as the frame bears
//! them out; the version, the length and the flag of some senders are wrong (taos, section 4).
//! Invariant: what is given has as many values as it says.

use crate::model::table::Kind;
use crate::proto::taos::codec::fault;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::bind::{Data, Input};
use crate::query::tables::codes;

/// Bytes to be read one part after the other.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next so many; `None`: there are fewer.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(first)
    }

    /// As many times so many.
    pub fn take_each(&mut self, count: usize, each: usize) -> Option<&'a [u8]> {
        self.take(count.checked_mul(each)?)
    }

    /// The next bytes of a number.
    pub fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number without sign, as a length.
    pub fn length(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.number()?) as usize)
    }

    /// A number with sign that is none below zero.
    pub fn count(&mut self) -> Option<usize> {
        usize::try_from(i32::from_le_bytes(self.number()?)).ok()
    }
}

/// The columns of a block.
///
/// # Errors
/// It is cut off, a length in it lies, or a column is of a type that no table has.
pub fn decode(block: &[u8]) -> Result<Vec<Input<'_>>, Wrong> {
    let short = || fault("message length is too short");
    let mut from = Bytes(block);
    from.take(8).ok_or_else(short)?;
    let wrong = || fault("invalid raw block: header");
    let (rows, columns) = (from.number().ok_or_else(short)?, from.number().ok_or_else(short)?);
    let count = |n: [u8; 4]| usize::try_from(i32::from_le_bytes(n)).map_err(|_| wrong());
    let (rows, columns) = (count(rows)?, count(columns)?);
    from.take(12).ok_or_else(short)?;
    let schema = from.take_each(columns, 5).ok_or_else(short)?;
    let lengths = from.take_each(columns, 4).ok_or_else(short)?;
    if columns == 0 {
        return Err(wrong());
    }
    let lengths = lengths.as_chunks::<4>().0;
    let mut list = Vec::with_capacity(columns);
    for (at, ([code, detail @ ..], length)) in
        schema.as_chunks::<5>().0.iter().zip(lengths).enumerate()
    {
        let kind = match (code, detail) {
            // Scale, precision, 0, width.
            (17 | 21, [scale, digits, ..]) => {
                Kind::from_code(*code, u32::from(*digits) << 8 | u32::from(*scale))
            }
            _ => Kind::from_code(*code, 0),
        };
        let kind = kind.ok_or_else(codes::bad_value)?;
        let column = column(&mut from, kind, rows, u32::from_le_bytes(*length) as usize);
        list.push(column.ok_or_else(|| fault(format!("invalid raw block: column {at}")))?);
    }
    Ok(list)
}

fn column<'a>(from: &mut Bytes<'a>, kind: Kind, rows: usize, length: usize) -> Option<Input<'a>> {
    if let Some(width) = kind.width() {
        let nulls = from.take(rows.div_ceil(8))?.into();
        let data = from.take_each(rows, width).filter(|data| data.len() == length)?;
        return Some(Input { kind, rows, nulls, data: Data::Fixed(data) });
    }
    let offsets = from.take_each(rows, 4)?.as_chunks::<4>().0;
    let values = from.take(length)?;
    let mut nulls = vec![0; rows.div_ceil(8)];
    let mut list = Vec::with_capacity(rows);
    for (row, offset) in offsets.iter().enumerate() {
        let offset = i32::from_le_bytes(*offset);
        if offset == -1 {
            nulls[row / 8] |= 0x80 >> (row % 8);
            list.push(&[][..]);
            continue;
        }
        let mut value = Bytes(values.get(usize::try_from(offset).ok()?..)?);
        let length = match kind {
            Kind::Blob => value.length()?,
            _ => usize::from(u16::from_le_bytes(value.number()?)),
        };
        list.push(value.take(length)?);
    }
    let wide = matches!(kind, Kind::Nchar(_));
    let data = if wide { Data::Wide(list) } else { Data::Bytes(list) };
    Some(Input { kind, rows, nulls: nulls.into(), data })
}

#[cfg(test)]
mod tests {
    use super::super::encode;
    use super::*;
    use crate::model::table::rows::Cell;
    use crate::model::value::decimal::Decimal;
    use crate::query::tables::Field;
    use crate::query::tables::convert::hex;

    #[test]
    fn decimals_and_shapes_go_both_ways() {
        let decimal = |units, scale| Cell::Decimal(Decimal::of_units(units, scale).unwrap());
        let field = |kind| Field { name: "c".into(), kind };
        let kinds = [Kind::Decimal(10, 2), Kind::Decimal(38, 4), Kind::Geometry(21)];
        let rows = [
            vec![
                decimal(-125, 2),
                decimal(i128::from(i64::MAX) * 3, 4),
                Cell::Bytes([1, 2].into()),
            ],
            vec![Cell::Null, Cell::Null, Cell::Null],
        ];
        let block = encode(&kinds.map(field), &rows);
        assert_eq!(block[28..43], [21, 2, 10, 0, 8, 17, 4, 38, 0, 16, 20, 23, 0, 0, 0]);
        let columns = decode(&block).unwrap();
        assert_eq!(columns[0].kind, kinds[0]);
        for (index, column) in cells(&block).unwrap().iter().enumerate() {
            assert_eq!(column[..], [rows[0][index].clone(), Cell::Null]);
        }
        assert!((0..block.len() - 1).all(|cut| decode(&block[..cut]).is_err()));
    }

    fn cells(block: &[u8]) -> Result<Vec<Vec<Cell>>, Wrong> {
        let columns = decode(block)?;
        let cells = |c: &Input<'_>| (0..c.rows).map(|row| c.cell(row)).collect();
        columns.iter().map(cells).collect()
    }

    /// The vectors of sections 4 and 7.
    const VECTORS: [&str; 4] = [
        "010000002f000000010000000100000000000080000000000000000005080000000800000000\
         010000000000000000",
        "0100000049000000020000000200000000000080000000000000000009080000000404000000\
         1000000008000000000068e5cf8b0100000168e5cf8b01000040010000000000000000",
        "0100000048000000020000000200000 0ffffffff000000000000000009080000000404000000\
         1000000008000000000068e5cf8b0100000168e5cf8b010000400100000000000000",
        "010000007500000002000000040000000000008000000000000000000908000000\
         0404000000080a0000000a1200000010000000080000000400000006000000\
         000068e5cf8b0100000168e5cf8b010000400100000000000000\
         00000000ffffffff0200616200000000ffffffff04002d4e000000",
    ];

    fn vector(at: usize) -> Vec<u8> {
        hex(&VECTORS[at].replace(' ', "")).unwrap()
    }

    #[test]
    fn the_vectors_are_read() {
        let int = Cell::Int;
        let times = vec![int(1_700_000_000_000), int(1_700_000_000_001)];
        let ints = vec![int(1), Cell::Null];
        let two = vec![times.clone(), ints.clone()];
        let texts = |text| vec![Cell::text(text), Cell::Null];
        let four = vec![times, ints, texts("ab"), texts("中")];
        for (at, want) in [vec![vec![int(1)]], two.clone(), two, four].iter().enumerate() {
            assert_eq!(cells(&vector(at)).as_ref(), Ok(want), "{at}");
        }
    }

    #[test]
    fn no_cut_block_is_read() {
        for at in 0..VECTORS.len() {
            let whole = vector(at);
            // The trailing byte is optional.
            let end = whole.len() - usize::from(at != 2);
            for cut in 0..end {
                assert!(decode(&whole[..cut]).is_err(), "{at} {cut}");
            }
            assert!(decode(&whole[..end]).is_ok());
        }
    }

    #[test]
    fn lengths_that_lie_and_other_damage_are_errors_at_most() {
        let whole = vector(3);
        for at in 0..whole.len() {
            for byte in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut bad = whole.clone();
                bad[at] = byte;
                let _ = cells(&bad);
            }
        }
        for (at, bytes) in [(8, [0xFF; 4]), (8, [0, 0, 0, 0x7F]), (12, [0xFF, 0xFF, 0xFF, 0x7F])] {
            let mut bad = whole.clone();
            bad[at..at + 4].copy_from_slice(&bytes);
            assert!(decode(&bad).is_err());
        }
        let mut none = whole.clone();
        none[12..16].fill(0);
        assert!(decode(&none).is_err());
        // DECIMAL: no table has it.
        let mut decimal = whole;
        decimal[33] = 17;
        assert_eq!(decode(&decimal).unwrap_err().code, 0x2605);
    }

    #[test]
    fn what_is_written_is_read() {
        let kinds = [Kind::Timestamp, Kind::Bool, Kind::Float, Kind::UBigInt, Kind::Nchar(4)];
        let rows: Vec<Vec<Cell>> = (0..20)
            .map(|n| {
                let null = |cell| if n % 3 == 0 { Cell::Null } else { cell };
                vec![
                    Cell::Int(n),
                    null(Cell::Bool(n % 2 == 0)),
                    null(Cell::Double(f64::from(n as f32 / 2.0))),
                    null(Cell::Uint(u64::MAX - n as u64)),
                    null(Cell::text("涛思")),
                ]
            })
            .collect();
        let field = |kind: &Kind| Field { name: "c".into(), kind: *kind };
        let fields: Vec<Field> = kinds.iter().map(field).collect();
        let block = encode(&fields, &rows);
        let columns = cells(&block).unwrap();
        for (row, want) in rows.iter().enumerate() {
            let got: Vec<Cell> = columns.iter().map(|column| column[row].clone()).collect();
            assert_eq!(got, *want);
        }
    }
}

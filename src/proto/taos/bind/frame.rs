//! Binary frames of statements, version 2 (taos, section 5): tables with tags and columns.
//!
//! Invariant: every offset and length is held against the frame before it is followed; what is
//! given has as many values as it says. Nothing is copied.

use crate::model::table::Kind;
use crate::proto::taos::block::decode::Bytes;
use crate::proto::taos::codec::fault;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::bind::{Data, Input};
use crate::query::tables::codes;

/// Bytes of the head of a bind frame.
const HEAD_BYTES: usize = 28;
/// Bytes of the head of a frame that binds row by row.
const ROWS_HEAD_BYTES: usize = 20;

/// What is bound for one table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table<'a> {
    /// Its name, if the frame says one.
    pub name: Option<&'a str>,
    /// Its tags, one value each; none if the frame has none.
    pub tags: Vec<Input<'a>>,
    /// Its columns.
    pub columns: Vec<Input<'a>>,
}

fn short() -> Wrong {
    fault("message length is too short")
}

fn bad(what: &str) -> Wrong {
    fault(format!("invalid bind data: {what}"))
}

/// What follows version (and the column that nobody binds alone).
fn body(rest: &[u8], skip: usize) -> Result<&[u8], Wrong> {
    let mut from = Bytes(rest);
    let version = u16::from_le_bytes(from.number().ok_or_else(short)?);
    from.take(skip).ok_or_else(short)?;
    if version != 1 {
        return Err(fault("unknown stmt2 bind version"));
    }
    Ok(from.0)
}

/// The part of the frame that its total length says.
fn whole(data: &[u8], head: usize) -> Result<&[u8], Wrong> {
    if data.len() < head {
        return Err(short());
    }
    let total = Bytes(data).length().unwrap_or(0);
    if total < head {
        return Err(bad("total length"));
    }
    data.get(..total).ok_or_else(short)
}

/// Reads a frame of action 9 behind its head.
///
/// # Errors
/// It is cut off, of another version, or a length in it lies.
pub fn read(rest: &[u8]) -> Result<Vec<Table<'_>>, Wrong> {
    let data = whole(body(rest, 4)?, HEAD_BYTES)?;
    let mut head = Bytes(data);
    let mut next = || head.length().ok_or_else(short);
    let (_, count, tags, columns) = (next()?, next()?, next()?, next()?);
    let offsets = [next()?, next()?, next()?];
    let part = |at: usize, what: &str| match offsets.get(at).copied().unwrap_or(0) {
        0 => Ok(None),
        offset if offset < HEAD_BYTES => Err(bad(what)),
        offset => data.get(offset..).map(|part| Some(Bytes(part))).ok_or_else(|| bad(what)),
    };
    let (names, tag_part, column_part) =
        (part(0, "names offset")?, part(1, "tags offset")?, part(2, "columns offset")?);
    // A table has at least one field, which has 17 bytes.
    let is_possible = count <= data.len() / 16;
    let is_empty = names.is_none() && tag_part.is_none() && column_part.is_none();
    if count == 0 || !is_possible || is_empty {
        return Err(bad("count of tables"));
    }
    let mut tables = vec![Table::default(); count];
    if let Some(mut from) = names {
        let lengths = from.take_each(count, 2).ok_or_else(|| bad("names"))?;
        for (table, length) in tables.iter_mut().zip(lengths.as_chunks::<2>().0) {
            table.name =
                name(&mut from, u16::from_le_bytes(*length)).ok_or_else(|| bad("names"))?;
        }
    }
    if let Some(from) = tag_part {
        fields(from, &mut tables, tags, "tags", |table| &mut table.tags)?;
    }
    if let Some(from) = column_part {
        fields(from, &mut tables, columns, "columns", |table| &mut table.columns)?;
    }
    if tables.iter().any(|table| table.tags.iter().any(|tag| tag.rows != 1)) {
        return Err(bad("a tag has one value"));
    }
    Ok(tables)
}

/// A name of so many bytes, the NUL behind it included; none if there are none.
fn name<'a>(from: &mut Bytes<'a>, length: u16) -> Option<Option<&'a str>> {
    let bytes = from.take(usize::from(length))?;
    let name = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let name = std::str::from_utf8(name).ok().filter(|name| !name.contains('\0'))?;
    Some(if name.is_empty() { None } else { Some(name) })
}

/// The fields of all tables, so many each.
fn fields<'a>(
    mut from: Bytes<'a>,
    tables: &mut [Table<'a>],
    each: usize,
    what: &str,
    list: for<'t> fn(&'t mut Table<'a>) -> &'t mut Vec<Input<'a>>,
) -> Result<(), Wrong> {
    let lengths = from.take_each(tables.len(), 4).ok_or_else(|| bad(what))?;
    for (table, length) in tables.iter_mut().zip(lengths.as_chunks::<4>().0) {
        let own = from.take(u32::from_le_bytes(*length) as usize).ok_or_else(|| bad(what))?;
        let mut own = Bytes(own);
        for _ in 0..each {
            let field = field(&mut own, what)?;
            list(table).push(field);
        }
        if !own.0.is_empty() {
            return Err(bad(what));
        }
    }
    Ok(())
}

/// Reads one field.
fn field<'a>(from: &mut Bytes<'a>, what: &str) -> Result<Input<'a>, Wrong> {
    let wrong = || bad(what);
    let length = Bytes(from.0).length().ok_or_else(wrong)?;
    let mut own = Bytes(from.take(length).ok_or_else(wrong)?);
    own.take(4).ok_or_else(wrong)?;
    let code = own.count().and_then(|code| u8::try_from(code).ok()).ok_or_else(wrong)?;
    let kind = match code {
        // Decimals come as text.
        17 | 21 => Kind::Varchar(0),
        _ => Kind::from_code(code, 0).ok_or_else(codes::bad_value)?,
    };
    values(&mut own, kind).filter(|_| own.0.is_empty()).ok_or_else(wrong)
}

/// `num, is_null[num], have_length, length[num], buffer_length, buffer`
fn values<'a>(from: &mut Bytes<'a>, kind: Kind) -> Option<Input<'a>> {
    let rows = from.count()?;
    let flags = from.take(rows)?;
    let mut nulls = vec![0; rows.div_ceil(8)];
    for (row, _) in flags.iter().enumerate().filter(|(_, flag)| **flag != 0) {
        nulls[row / 8] |= 0x80 >> (row % 8);
    }
    let [has_lengths] = from.number()?;
    let lengths = match has_lengths {
        0 => None,
        _ => Some(from.take_each(rows, 4)?.as_chunks::<4>().0),
    };
    let size = from.length()?;
    let mut buffer = Bytes(from.take(size)?);
    let nothing = buffer.0.is_empty() && flags.iter().all(|flag| *flag != 0);
    if nothing && kind.width().is_some() {
        let data = Data::Fixed(&[]);
        return Some(Input { kind: Kind::Null, rows, nulls: nulls.into(), data });
    }
    let data = match kind.width() {
        Some(width) => Data::Fixed(buffer.take_each(rows, width)?),
        None => {
            let mut list = Vec::with_capacity(rows);
            for (length, flag) in lengths?.iter().zip(flags) {
                let length = usize::try_from(i32::from_le_bytes(*length)).ok()?;
                list.push(buffer.take(if *flag != 0 { 0 } else { length })?);
            }
            Data::Bytes(list)
        }
    };
    buffer.0.is_empty().then_some(Input { kind, rows, nulls: nulls.into(), data })
}

/// Reads a frame of action 11 behind its head: a field for each `?`, rows of all tables.
///
/// # Errors
/// As [`read`].
pub fn read_rows(rest: &[u8]) -> Result<(usize, Vec<Input<'_>>), Wrong> {
    let data = whole(body(rest, 0)?, ROWS_HEAD_BYTES)?;
    let mut head = Bytes(data);
    let mut next = || head.length().ok_or_else(short);
    let (_, rows, _, count, offset) = (next()?, next()?, next()?, next()?, next()?);
    if offset < ROWS_HEAD_BYTES {
        return Err(bad("field offset"));
    }
    let mut from = Bytes(data.get(offset..).ok_or_else(|| bad("field offset"))?);
    // A field has at least 17 bytes.
    if count > data.len() / 16 {
        return Err(bad("count of fields"));
    }
    let list: Vec<Input<'_>> =
        (0..count).map(|_| field(&mut from, "fields")).collect::<Result<_, _>>()?;
    if list.iter().any(|field| field.rows != rows) || !from.0.is_empty() {
        return Err(bad("count of rows"));
    }
    Ok((rows, list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::rows::Cell;
    use crate::query::tables::convert::hex;

    const VECTOR: &str = "0100ffffffff\
        7e0000000100000001000000020000001c000000220000003c000000\
        040063743100\
        16000000160000000400000001000000000004000000 01000000\
        3e000000230000000900000002000000000000100000000068e5cf8b0100000168e5cf8b010000\
        1b0000000400000002000000000100080000000100000000000000";

    fn vector() -> Vec<u8> {
        hex(&VECTOR.replace(' ', "")).unwrap()
    }

    #[test]
    fn the_vector_is_read() {
        let whole = vector();
        let tables = read(&whole).unwrap();
        assert_eq!((tables.len(), tables[0].name), (1, Some("ct1")));
        let cells = |input: &Input<'_>| -> Vec<Cell> {
            (0..input.rows).map(|row| input.cell(row).unwrap()).collect()
        };
        assert_eq!(cells(&tables[0].tags[0]), [Cell::Int(1)]);
        let times = [1_700_000_000_000, 1_700_000_000_001].map(Cell::Int);
        assert_eq!(cells(&tables[0].columns[0]), times);
        assert_eq!(cells(&tables[0].columns[1]), [Cell::Int(1), Cell::Null]);
    }

    #[test]
    fn no_cut_frame_is_read_and_no_damage_panics() {
        let whole = vector();
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut bad = whole.clone();
                bad[at] = byte;
                let _ = read(&bad);
                let _ = read_rows(&bad);
            }
        }
        let mut other = whole;
        other[0] = 2;
        assert_eq!(read(&other).unwrap_err().text, "unknown stmt2 bind version");
    }

    /// A frame of action 11: names, an integer that is null once, texts.
    fn rows() -> Vec<u8> {
        let mut fields = Vec::new();
        let mut field = |code: i32, nulls: &[u8], lengths: &[i32], buffer: &[u8]| {
            let mut own = code.to_le_bytes().to_vec();
            own.extend_from_slice(&(nulls.len() as i32).to_le_bytes());
            own.extend_from_slice(nulls);
            own.push(u8::from(!lengths.is_empty()));
            lengths.iter().for_each(|n| own.extend_from_slice(&n.to_le_bytes()));
            own.extend_from_slice(&(buffer.len() as u32).to_le_bytes());
            own.extend_from_slice(buffer);
            fields.extend_from_slice(&(own.len() as u32 + 4).to_le_bytes());
            fields.extend_from_slice(&own);
        };
        field(8, &[0, 0], &[1, 1], b"ab");
        field(4, &[1, 1], &[], b"");
        field(10, &[0, 1], &[3, 0], "中".as_bytes());
        let mut frame = 1_u16.to_le_bytes().to_vec();
        for number in [20 + fields.len() as u32, 2, 2, 3, 20] {
            frame.extend_from_slice(&number.to_le_bytes());
        }
        frame.extend_from_slice(&fields);
        frame
    }

    #[test]
    fn rows_of_several_tables() {
        let whole = rows();
        let (count, fields) = read_rows(&whole).unwrap();
        assert_eq!((count, fields.len()), (2, 3));
        assert_eq!(fields[0].cell(1).unwrap(), Cell::text("b"));
        assert_eq!(fields[1].cell(0).unwrap(), Cell::Null);
        assert_eq!(fields[2].cell(0).unwrap(), Cell::text("中"));
        for cut in 0..whole.len() {
            assert!(read_rows(&whole[..cut]).is_err(), "{cut}");
        }
    }
}

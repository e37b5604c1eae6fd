//! Functions of texts.

use super::scalar::{Gives, Row, TEXT_BYTES_MAX, Want, made, row, texts};
use crate::model::table::rows::Cell;
use crate::query::tables::convert::show;

macro_rules! text {
    ($name:literal, $call:expr) => {
        row!($name, 1..=1, [Text], Gives::Text, |cells, _| {
            texts(cells).and_then(|list| list.first().map($call)).map_or(Cell::Null, made)
        })
    };
}

macro_rules! trim {
    ($name:literal, $front:literal, $back:literal) => {
        row!($name, 1..=2, [Text], Gives::Text, |cells, _| match texts(cells).as_deref() {
            Some([text]) => made(trimmed(text, " ", $front, $back)),
            Some([text, off]) => made(trimmed(text, off, $front, $back)),
            _ => Cell::Null,
        })
    };
}

/// The name that LENGTH has for texts that count four bytes for each character.
pub(super) const WIDE_LENGTH: &str = "length of nchar";

pub(super) const ROWS: &[Row] = &[
    text!("lower", |text| text.to_lowercase()),
    text!("upper", |text| text.to_uppercase()),
    trim!("ltrim", true, false),
    trim!("rtrim", false, true),
    trim!("trim", true, true),
    row!("length", 1..=1, [Long], Gives::BigInt, |cells, _| match cells {
        [Cell::Text(text)] => Cell::Int(text.len() as i64),
        [Cell::Bytes(bytes)] => Cell::Int(bytes.len() as i64),
        _ => Cell::Null,
    }),
    row!("length of nchar", 1..=1, [Text], Gives::BigInt, |cells, _| match cells {
        [Cell::Text(text)] => Cell::Int(4 * text.chars().count() as i64),
        _ => Cell::Null,
    }),
    row!("char_length", 1..=1, [Text], Gives::BigInt, |cells, _| match cells {
        [Cell::Text(text)] => Cell::Int(text.chars().count() as i64),
        _ => Cell::Null,
    }),
    row!("ascii", 1..=1, [Text], Gives::BigInt, |cells, _| match cells {
        [Cell::Text(text)] => Cell::Int(i64::from(text.bytes().next().unwrap_or(0))),
        _ => Cell::Null,
    }),
    row!("char", 1..=64, [Any], Gives::TextOf(512), |cells, _| characters(cells)),
    row!("concat", 2..=8, [Text], Gives::Text, |cells, _| {
        texts(cells).map_or(Cell::Null, |list| made(list.concat()))
    }),
    row!("concat_ws", 3..=9, [Text], Gives::Text, |cells, _| {
        let Some((Cell::Text(between), rest)) = cells.split_first() else { return Cell::Null };
        let there: Vec<String> = rest.iter().filter(|cell| !cell.is_null()).map(show).collect();
        if there.is_empty() { Cell::Null } else { made(there.join(between)) }
    }),
    row!("replace", 3..=3, [Text], Gives::TextOf(16_384), |cells, _| {
        match texts(cells).as_deref() {
            Some([text, from, to]) if !from.is_empty() => {
                let longest = to.len().max(from.len()) as u64 * text.len().max(1) as u64;
                if longest / from.len() as u64 > TEXT_BYTES_MAX as u64 {
                    return Cell::Null;
                }
                made(text.replace(from.as_str(), to))
            }
            Some([text, ..]) => made(text.clone()),
            _ => Cell::Null,
        }
    }),
    row!("repeat", 2..=2, [Text, Whole], Gives::TextOf(16_384), |cells, _| match cells {
        [Cell::Text(text), Cell::Int(times)] => {
            let times = (*times).clamp(0, (TEXT_BYTES_MAX / text.len().max(1)) as i64);
            made(text.repeat(times as usize))
        }
        _ => Cell::Null,
    }),
    row!("substring", 2..=3, [Text, Whole], Gives::Text, |cells, _| substring(cells)),
    row!("substr", 2..=3, [Text, Whole], Gives::Text, |cells, _| substring(cells)),
    row!("substring_index", 3..=3, [Text, Text, Whole], Gives::Text, |cells, _| match cells {
        [Cell::Text(text), Cell::Text(between), Cell::Int(count)] => {
            made(up_to(text, between, *count).to_owned())
        }
        _ => Cell::Null,
    }),
    row!("position", 2..=2, [Text], Gives::BigInt, |cells, _| match cells {
        [Cell::Text(part), Cell::Text(text)] => {
            let place = text.find(&**part).and_then(|at| text.get(..at));
            Cell::Int(place.map_or(0, |before| before.chars().count() as i64 + 1))
        }
        _ => Cell::Null,
    }),
];

fn trimmed(text: &str, off: &str, front: bool, back: bool) -> String {
    let mut rest = text;
    if off.is_empty() {
        return rest.to_owned();
    }
    while let Some(less) = rest.strip_prefix(off).filter(|_| front) {
        rest = less;
    }
    while let Some(less) = rest.strip_suffix(off).filter(|_| back) {
        rest = less;
    }
    rest.to_owned()
}

/// Numbers as the bytes of a text, the highest first.
fn characters(cells: &[Cell]) -> Cell {
    let mut bytes = Vec::new();
    for cell in cells {
        let number = match cell {
            Cell::Int(n) => *n,
            Cell::Uint(n) => *n as i64,
            Cell::Double(n) => *n as i64,
            Cell::Text(text) => text.trim().parse().unwrap_or(0),
            _ => continue,
        };
        let all = (number as u32).to_be_bytes();
        let first = all.iter().position(|byte| *byte != 0).unwrap_or(3);
        bytes.extend_from_slice(all.get(first..).unwrap_or_default());
    }
    made(String::from_utf8_lossy(&bytes).into_owned())
}

fn substring(cells: &[Cell]) -> Cell {
    let (Some(Cell::Text(text)), Some(Cell::Int(from))) = (cells.first(), cells.get(1)) else {
        return Cell::Null;
    };
    let count = text.chars().count() as i64;
    let start = match *from {
        0 => return made(String::new()),
        from if from > 0 => from - 1,
        from => count.saturating_add(from),
    };
    if start < 0 || start >= count {
        return made(String::new());
    }
    let length = match cells.get(2) {
        None => count,
        Some(Cell::Int(length)) => (*length).max(0),
        _ => return Cell::Null,
    };
    made(text.chars().skip(start as usize).take(length as usize).collect())
}

/// What stands before the separator of this number, from the front, or behind it from the end.
fn up_to<'a>(text: &'a str, between: &str, count: i64) -> &'a str {
    if count == 0 || between.is_empty() {
        return "";
    }
    let nth = usize::try_from(count.unsigned_abs() - 1).unwrap_or(usize::MAX);
    if count > 0 {
        match text.match_indices(between).nth(nth) {
            Some((at, _)) => text.get(..at).unwrap_or_default(),
            None => text,
        }
    } else {
        match text.rmatch_indices(between).nth(nth) {
            Some((at, _)) => text.get(at + between.len()..).unwrap_or_default(),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_texts() {
        for (text, count, want) in
            [("a.b.c", 2, "a.b"), ("a.b.c", -2, "b.c"), ("a.b.c", 9, "a.b.c"), ("a.b.c", 0, "")]
        {
            assert_eq!(up_to(text, ".", count), want, "{text} {count}");
        }
        assert_eq!(up_to("abc", ".", i64::MIN), "abc");
        assert_eq!(trimmed("xxabxx", "x", true, true), "ab");
        assert_eq!(trimmed("xxx", "xx", true, true), "x");
        let nihao = characters(&[Cell::Int(0xE4_BDA0), Cell::Int(77)]);
        assert_eq!(nihao, Cell::text("你M"));
    }
}

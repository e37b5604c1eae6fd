//! Line protocol: `measurement[,tag=v..] field=v[,field=v..] [time]`.

use super::{Parsed, text_tag, written};
use crate::model::table::Kind;
use crate::model::table::rows::Cell;
use crate::query::tables::bind::grow::Member;
use crate::query::tables::convert::hex;

/// Splits at a character that no backslash precedes and that stands in no quotes, if those count.
fn split(text: &str, at: u8, quotes: bool) -> Vec<&str> {
    let bytes = text.as_bytes();
    let (mut parts, mut start, mut quoted, mut index) = (Vec::new(), 0, false, 0);
    while let Some(byte) = bytes.get(index) {
        match *byte {
            b'\\' => index += 1,
            b'"' if quotes => quoted = !quoted,
            byte if byte == at && !quoted => {
                parts.push(text.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
        index += 1;
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// Without the backslashes before spaces, commas, equals signs, quotes and backslashes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(' ' | ',' | '=' | '"' | '\\')) => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// `name=value`; the value as it is written.
fn pair(text: &str, quotes: bool) -> Option<(String, &str)> {
    let parts = split(text, b'=', quotes);
    let [name, value] = parts.as_slice() else { return None };
    let name = unescape(name);
    (!name.is_empty() && !value.is_empty()).then_some((name, *value))
}

/// Reads a line.
pub fn read(text: &str) -> Option<Parsed> {
    let text = text.trim();
    // Quotes mean something behind the tags only.
    let head = split(text, b' ', false).into_iter().next()?;
    let rest = split(text.get(head.len()..)?, b' ', true);
    let rest: Vec<&str> = rest.into_iter().filter(|part| !part.is_empty()).collect();
    let (fields, time) = match rest.as_slice() {
        [fields] => (*fields, None),
        [fields, time] => (*fields, Some(written(time))),
        _ => return None,
    };
    let mut head = split(head, b',', false).into_iter();
    let measurement = unescape(head.next()?);
    let tag = |text| pair(text, false).map(|(name, value)| text_tag(name, unescape(value)));
    let tags = head.map(tag).collect::<Option<Vec<_>>>()?;
    let fields = split(fields, b',', true).into_iter().map(field).collect::<Option<Vec<_>>>()?;
    (!measurement.is_empty()).then_some(Parsed { measurement, tags, fields, time })
}

fn field(text: &str) -> Option<Member> {
    let (name, value) = pair(text, true)?;
    let (kind, cell) = typed(value)?;
    Some(Member { name, kind, cell })
}

/// The inside of a text in quotes.
fn inside(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    // The last quote is no escaped one.
    let slashes = inner.bytes().rev().take_while(|b| *b == b'\\').count();
    slashes.is_multiple_of(2).then(|| unescape(inner))
}

fn typed(value: &str) -> Option<(Kind, Cell)> {
    match value.as_bytes() {
        [b'"', ..] => {
            let text = inside(value)?;
            return Some((Kind::Varchar(text.len() as u32), Cell::Text(text.into())));
        }
        [b'L' | b'l', b'"', ..] => {
            let text = inside(value.get(1..)?)?;
            let length = text.chars().count() as u32;
            return Some((Kind::Nchar(length), Cell::Text(text.into())));
        }
        [b'B' | b'b', b'"', ..] => {
            let text = inside(value.get(1..)?)?;
            let bytes = match text.strip_prefix("\\x") {
                Some(digits) => hex(digits)?,
                None => text.into_bytes(),
            };
            return Some((Kind::Varbinary(bytes.len() as u32), Cell::Bytes(bytes.into())));
        }
        _ => {}
    }
    match value {
        "t" | "T" | "true" | "True" | "TRUE" => return Some((Kind::Bool, Cell::Bool(true))),
        "f" | "F" | "false" | "False" | "FALSE" => return Some((Kind::Bool, Cell::Bool(false))),
        _ => {}
    }
    number(value)
}

fn number(value: &str) -> Option<(Kind, Cell)> {
    let end = value.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'));
    let (digits, suffix) = value.split_at_checked(end.unwrap_or(value.len()))?;
    let suffix = suffix.to_ascii_lowercase();
    let kind = match suffix.as_str() {
        "" | "f64" => Kind::Double,
        "f32" => Kind::Float,
        "i8" => Kind::TinyInt,
        "u8" => Kind::UTinyInt,
        "i16" => Kind::SmallInt,
        "u16" => Kind::USmallInt,
        "i32" => Kind::Int,
        "u32" => Kind::UInt,
        "i64" | "i" => Kind::BigInt,
        "u64" | "u" => Kind::UBigInt,
        _ => return None,
    };
    if let Some((low, high)) = kind.integer_range() {
        let number: i128 = digits.parse().ok().filter(|n| (low..=high).contains(n))?;
        let unsigned = kind.is_unsigned();
        return Some((
            kind,
            if unsigned { Cell::Uint(number as u64) } else { Cell::Int(number as i64) },
        ));
    }
    let number: f64 = digits.parse().ok().filter(|n: &f64| n.is_finite())?;
    let narrow = f64::from(number as f32);
    match kind {
        Kind::Float if !narrow.is_finite() => None,
        Kind::Float => Some((kind, Cell::Double(narrow))),
        _ => Some((kind, Cell::Double(number))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_kinds_that_their_suffixes_say() {
        let bytes = |bytes: &[u8]| Cell::Bytes(bytes.into());
        for (text, want) in [
            ("1", Some((Kind::Double, Cell::Double(1.0)))),
            ("-1.5e3f64", Some((Kind::Double, Cell::Double(-1500.0)))),
            ("1.5f32", Some((Kind::Float, Cell::Double(1.5)))),
            ("1e39f32", None),
            ("-128i8", Some((Kind::TinyInt, Cell::Int(-128)))),
            ("128i8", None),
            ("255u8", Some((Kind::UTinyInt, Cell::Uint(255)))),
            ("-1u16", None),
            ("7i", Some((Kind::BigInt, Cell::Int(7)))),
            ("7u", Some((Kind::UBigInt, Cell::Uint(7)))),
            ("1.5i32", None),
            ("t", Some((Kind::Bool, Cell::Bool(true)))),
            ("FALSE", Some((Kind::Bool, Cell::Bool(false)))),
            ("\"a b\"", Some((Kind::Varchar(3), Cell::text("a b")))),
            ("L\"涛思\"", Some((Kind::Nchar(2), Cell::text("涛思")))),
            ("B\"\\x0aff\"", Some((Kind::Varbinary(2), bytes(&[10, 255])))),
            ("B\"ab\"", Some((Kind::Varbinary(2), bytes(b"ab")))),
            ("\"a", None),
            ("\"a\\\"", None),
            ("nan", None),
            ("inf", None),
            ("", None),
            ("1x", None),
        ] {
            assert_eq!(typed(text), want, "{text}");
        }
    }

    #[test]
    fn lines_and_what_is_none() {
        let line = read(r#"my\ m,a\,b=c\=d,e=f x="1, 2=3",y=2i64 9"#).unwrap();
        assert_eq!(line.measurement, "my m");
        let tags: Vec<_> = line.tags.iter().map(|t| (&*t.member.name, &*t.text)).collect();
        assert_eq!(tags, [("a,b", "c=d"), ("e", "f")]);
        assert_eq!(line.fields[0].cell, Cell::text("1, 2=3"));
        assert_eq!(line.time, Some(written("9")));
        let line = read(r#"m,size=5" v="a b",w=t"#).unwrap();
        assert_eq!((&*line.tags[0].text, line.fields.len()), ("5\"", 2));
        for bad in ["m", "m v", "m v=", "m =1", ",a=b v=1", "m,a v=1", "m v=1 2 3", "m v=1,,w=2"] {
            assert!(read(bad).is_none(), "{bad}");
        }
        let long = "m,a=b v=\"涛\\";
        for cut in (0..long.len()).filter(|cut| long.is_char_boundary(*cut)) {
            assert!(read(&long[..cut]).is_none(), "{cut}");
        }
    }
}

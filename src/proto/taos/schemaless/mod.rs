//! Points without a schema, in three protocols (taos, section 6), and the HTTP routes for them.
//!
//! Method: every line is read into a point before anything is written, so that a bad one writes
//! nothing; making room for them is `tables::bind::grow`'s. Limits: those of a message.

pub(super) mod http;
mod json;
mod line;
mod telnet;

use super::bind::Request;
use super::codec::{Ask, fault};
use crate::model::table::rows::Cell;
use crate::model::table::{Kind, rows::write_hex};
use crate::query::dialect::taos::Wrong;
use crate::query::tables::World;
use crate::query::tables::bind::grow::{Member, Point, bad_data, insert};
use crate::query::tables::codes;
use md5::{Digest, Md5};

/// How points are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `measurement,tag=v field=v time`
    Line,
    /// `metric time value tag=v`
    Telnet,
    /// Objects of metric, timestamp, value, tags.
    Json,
}

/// Points as they came.
#[derive(Clone, Debug)]
pub struct Lines {
    /// How they are written.
    pub protocol: Protocol,
    /// Nanoseconds of a unit of time; `None`: by the digits.
    pub unit: Option<i64>,
    /// The tag that names subtables.
    pub key: Option<String>,
    /// The text.
    pub data: String,
}

/// A tag with its value as text, as names of subtables have it.
#[derive(Clone, Debug, PartialEq)]
struct Tag {
    member: Member,
    text: String,
}

/// A point that names its subtable not yet.
#[derive(Clone, Debug, PartialEq)]
struct Parsed {
    measurement: String,
    tags: Vec<Tag>,
    fields: Vec<Member>,
    /// None is now.
    time: Option<Time>,
}

/// A time as it was written, with its own unit if it has one.
#[derive(Clone, Debug, PartialEq)]
struct Time {
    text: String,
    unit: Option<i64>,
}

/// Nanoseconds of a unit by its name; `None` for the empty name.
///
/// # Errors
/// It is no unit.
pub fn unit(name: &str) -> Result<Option<i64>, Wrong> {
    Ok(Some(match name {
        "" => return Ok(None),
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "u" => 1_000,
        "ns" | "n" => 1,
        _ => return Err(Wrong::new(0x3001, "Invalid precision type")),
    }))
}

/// Reads the action `insert`.
///
/// # Errors
/// A member is of the wrong shape, or protocol or precision are none.
pub fn request(ask: &Ask<'_>) -> Result<Request, Wrong> {
    let protocol = match ask.number("protocol")? {
        0 => return Err(fault("schemaless write protocol is null")),
        1 => Protocol::Line,
        2 => Protocol::Telnet,
        3 => Protocol::Json,
        _ => return Err(Wrong::new(0x3000, "Invalid schemaless protocol type")),
    };
    ask.number("ttl")?;
    let (unit, key) = (unit(&ask.text("precision")?)?, ask.text("table_name_key")?);
    let key = (!key.is_empty()).then_some(key);
    Ok(Request::Insert(Lines { protocol, unit, key, data: ask.text("data")? }))
}

/// Writes points; gives how many.
///
/// # Errors
/// There is no database, a line is none, or it does not fit what is defined.
pub fn write(world: &mut World<'_>, lines: &Lines) -> Result<u64, Wrong> {
    if world.about.database.is_none() {
        return Err(codes::no_database_named());
    }
    let now = world.clock().now_ns;
    insert(world, &points(lines, now)?)
}

fn points(lines: &Lines, now: i64) -> Result<Vec<Point>, Wrong> {
    let mut parsed = Vec::new();
    match lines.protocol {
        Protocol::Json => parsed = json::read(&lines.data)?,
        other => {
            for text in lines.data.split('\n') {
                let text = text.trim_end_matches('\r');
                if text.trim().is_empty() || text.starts_with('#') {
                    continue;
                }
                let point = match other {
                    Protocol::Telnet => telnet::read(text),
                    _ => line::read(text),
                };
                parsed.push(point.ok_or_else(|| bad_data(&shown(text)))?);
            }
        }
    }
    if parsed.is_empty() {
        return Err(bad_data("no line"));
    }
    parsed.into_iter().map(|point| finish(point, lines, now)).collect()
}

/// The start of a line, for a message.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn finish(parsed: Parsed, lines: &Lines, now: i64) -> Result<Point, Wrong> {
    let Parsed { measurement, mut tags, fields, time } = parsed;
    tags.sort_by(|one, other| one.member.name.cmp(&other.member.name));
    let names = |list: &mut dyn Iterator<Item = &Member>| {
        let mut names: Vec<String> = list.map(|member| member.name.clone()).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    };
    if names(&mut tags.iter().map(|tag| &tag.member)) || names(&mut fields.iter()) {
        return Err(bad_data(&measurement));
    }
    let by_key = lines.key.as_deref();
    let named = by_key.and_then(|key| tags.iter().find(|tag| tag.member.name == *key));
    let table = match named.filter(|tag| !tag.text.is_empty()) {
        Some(tag) => tag.text.clone(),
        None => hashed(&measurement, &tags),
    };
    let time = match time {
        None => Some(now),
        Some(time) => time_of(&time, lines, now),
    };
    let time = time.ok_or_else(|| bad_data("timestamp"))?;
    let tags = tags.into_iter().map(|tag| tag.member).collect();
    Ok(Point { measurement, table, tags, fields, time })
}

fn hashed(measurement: &str, tags: &[Tag]) -> String {
    let mut hash = Md5::new();
    hash.update(measurement);
    for tag in tags {
        hash.update(format!(",{}={}", tag.member.name, tag.text));
    }
    let mut name = b"t_".to_vec();
    write_hex(&hash.finalize(), &mut name);
    String::from_utf8(name).unwrap_or_default()
}

/// Nanoseconds. Line protocol counts them if nothing is said, the others go by the digits; 0 is
/// now there.
fn time_of(time: &Time, lines: &Lines, now: i64) -> Option<i64> {
    let number: i64 = match time.text.parse() {
        Ok(number) => number,
        Err(_) => {
            let number: f64 = time.text.parse().ok()?;
            let is_whole = number.fract() == 0.0 && number.abs() < 9e18;
            is_whole.then_some(number as i64)?
        }
    };
    if number == 0 && lines.protocol != Protocol::Line {
        return Some(now);
    }
    let unit = match (time.unit.or(lines.unit), lines.protocol) {
        (Some(unit), _) => unit,
        (None, Protocol::Line) => 1,
        (None, _) => match number.unsigned_abs().to_string().len() {
            ..=10 => 1_000_000_000,
            11..=13 => 1_000_000,
            _ => return None,
        },
    };
    number.checked_mul(unit)
}

/// A time without a unit of its own.
fn written(text: &str) -> Time {
    Time { text: text.to_owned(), unit: None }
}

fn text_tag(name: String, text: String) -> Tag {
    let kind = Kind::Nchar(text.chars().count() as u32);
    let member = Member { name, kind, cell: Cell::Text(text.as_str().into()) };
    Tag { member, text }
}

fn value(number: f64) -> Member {
    Member { name: "_value".into(), kind: Kind::Double, cell: Cell::Double(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(protocol: Protocol, unit: Option<i64>, data: &str) -> Lines {
        Lines { protocol, unit, key: None, data: data.into() }
    }

    #[test]
    fn subtables_are_named_by_hash_or_by_tag() {
        let mut all = lines(Protocol::Line, Some(1_000_000), "meters,location=sf,groupid=1 v=1 5");
        let one = &points(&all, 0).unwrap()[0];
        assert_eq!(one.table, "t_dea6f794f01544436d692a0d2790d4c9");
        assert_eq!(one.time, 5_000_000);
        all.key = Some("location".into());
        assert_eq!(points(&all, 0).unwrap()[0].table, "sf");
        all.key = Some("nothing".into());
        assert!(points(&all, 0).unwrap()[0].table.starts_with("t_"));
    }

    #[test]
    fn times_by_unit_and_by_digits() {
        let second = Some(1_000_000_000);
        for (protocol, unit, text, want) in [
            (Protocol::Line, None, "m v=1 7", Some(7)),
            (Protocol::Line, second, "m v=1 7", Some(7_000_000_000)),
            (Protocol::Line, None, "m v=1", Some(42)),
            (Protocol::Line, second, "m v=1 9223372036854775807", None),
            (Protocol::Line, None, "m v=1 x", None),
            (Protocol::Telnet, None, "m 1700000000 1", Some(1_700_000_000_000_000_000)),
            (Protocol::Telnet, None, "m 1700000000123 1", Some(1_700_000_000_123_000_000)),
            (Protocol::Telnet, None, "m 17000000001234567 1", None),
            (Protocol::Telnet, None, "m 0 1", Some(42)),
        ] {
            let got = points(&lines(protocol, unit, text), 42).map(|list| list[0].time);
            assert_eq!(got.as_ref().ok(), want.as_ref(), "{text}");
            assert!(got.is_ok() || got.is_err_and(|wrong| wrong.code == 0x3002));
        }
    }

    #[test]
    fn one_bad_line_spoils_all() {
        for data in ["m v=1 1\nno line", "m v=1,v=2 1", "m,g=1,g=2 v=1 1", "", "\n"] {
            let wrong = points(&lines(Protocol::Line, None, data), 0).unwrap_err();
            assert_eq!(wrong.code, 0x3002, "{data}");
        }
    }
}

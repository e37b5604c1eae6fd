//! A bit: one record of a metric (nsdb, section 1), and how any record is read as one (interchange,
//! 2.1).
//!
//! Method: names and texts borrow from the record wherever nothing is escaped. Cost: one pass over
//! the record's text.

use super::schema::Kind;
use crate::model::json::{self, Kind as JsonKind, Value as Member};
use crate::model::record::{Body, Record};
use crate::model::value::{Text, Value, write_point};
use std::borrow::Cow;

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// BIGINT.
    Int(i64),
    /// DECIMAL, always finite.
    Float(f64),
    /// VARCHAR.
    Text(Cow<'a, str>),
}

/// Fields by name, in the order they were written.
pub type Cells<'a> = Vec<(Cow<'a, str>, Cell<'a>)>;

/// See the module's page.
#[derive(Clone, Debug, PartialEq)]
pub struct Bit<'a> {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// A number.
    pub value: Cell<'a>,
    /// Fields that are no tags.
    pub dimensions: Cells<'a>,
    /// Fields that may be grouped by.
    pub tags: Cells<'a>,
}

impl Cell<'_> {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Cell::Int(_) => Kind::BigInt,
            Cell::Float(_) => Kind::Decimal,
            Cell::Text(_) => Kind::Varchar,
        }
    }

    /// The same, held by itself.
    #[must_use]
    pub fn own(&self) -> Cell<'static> {
        match self {
            Cell::Int(n) => Cell::Int(*n),
            Cell::Float(n) => Cell::Float(*n),
            Cell::Text(text) => Cell::Text(Cow::Owned(text.clone().into_owned())),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Cell::Int(n) => Value::Int(*n),
            Cell::Float(n) => Value::Double(*n),
            Cell::Text(text) => Value::String(Text::Borrowed(text)),
        }
    }

    /// Appends it as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Cell::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Cell::Float(n) => write_decimal(*n, out),
            Cell::Text(text) => json::write_string(out, text),
        }
    }
}

/// Appends a DECIMAL: always with a point, so that it is read back as one.
pub fn write_decimal(number: f64, out: &mut Vec<u8>) {
    let start = out.len();
    write_point(number, out);
    let written = out.get(start..).unwrap_or_default();
    if let Some(at) = memchr::memchr(b'e', written)
        && !written.contains(&b'.')
    {
        let tail = out.split_off(start + at);
        out.extend_from_slice(b".0");
        out.extend_from_slice(&tail);
    }
}

/// A JSON number by the typing rule; `None`: an integer beyond 64 bits, or no finite number.
#[must_use]
pub fn number(text: &str) -> Option<Cell<'static>> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    if mantissa.contains('.') || exponent.starts_with('-') {
        return text.parse().ok().filter(|n: &f64| n.is_finite()).map(Cell::Float);
    }
    let mut whole: i64 = mantissa.parse().ok()?;
    if whole == 0 {
        return Some(Cell::Int(0));
    }
    let exponent: u32 = exponent.trim_start_matches('+').parse().ok()?;
    for _ in 0..exponent.min(20) {
        whole = whole.checked_mul(10)?;
    }
    (exponent <= 20).then_some(Cell::Int(whole))
}

fn cell<'a>(value: &Member<'a>) -> Option<Cell<'a>> {
    match value.kind {
        JsonKind::Number => number(std::str::from_utf8(value.text).ok()?),
        JsonKind::String => value.as_text().map(Cell::Text),
        _ => None,
    }
}

/// A key without its escapes.
pub fn key_text(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(text) if !raw.contains(&b'\\') => Cow::Borrowed(text),
        _ => Cow::Owned(json::unescape(raw)),
    }
}

fn put<'a>(list: &mut Cells<'a>, name: Cow<'a, str>, cell: Cell<'a>) {
    match list.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = cell,
        None => list.push((name, cell)),
    }
}

/// Why a bit of a client is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Not the shape of a bit; what.
    Malformed(String),
    /// A name that a field may not have.
    Field(String),
}

fn malformed<T>(text: impl Into<String>) -> Result<T, Bad> {
    Err(Bad::Malformed(text.into()))
}

impl<'a> Bit<'a> {
    fn field(&self, name: &str) -> Option<&Cell<'a>> {
        if name == "value" {
            return Some(&self.value);
        }
        let named = |(known, _): &&(Cow<'a, str>, Cell<'a>)| known == name;
        self.tags.iter().find(named).or_else(|| self.dimensions.iter().find(named)).map(|f| &f.1)
    }

    /// The field of that name.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<Cow<'_, Cell<'a>>> {
        match name {
            "timestamp" => Some(Cow::Owned(Cell::Int(self.timestamp))),
            _ => self.field(name).map(Cow::Borrowed),
        }
    }

    /// The field of that name as a value of every dialect.
    #[must_use]
    pub fn value_of(&self, name: &str) -> Value<'_> {
        match name {
            "timestamp" => Value::Int(self.timestamp),
            _ => self.field(name).map_or(Value::Missing, Cell::value),
        }
    }

    /// The same, held by itself.
    #[must_use]
    pub fn own(&self) -> Bit<'static> {
        let own = |cells: &Cells<'_>| {
            let own = |(name, cell): &(Cow<'_, str>, Cell<'_>)| {
                (Cow::Owned(name.clone().into_owned()), cell.own())
            };
            cells.iter().map(own).collect()
        };
        Bit {
            timestamp: self.timestamp,
            value: self.value.own(),
            dimensions: own(&self.dimensions),
            tags: own(&self.tags),
        }
    }

    /// Reads the `bit` of a request.
    ///
    /// # Errors
    /// [`Bad`].
    pub fn from_client(text: &'a [u8]) -> Result<Self, Bad> {
        let (mut timestamp, mut value) = (None, None);
        let (mut dimensions, mut tags) = (Vec::new(), Vec::new());
        let mut trouble = None;
        let read = json::members(text, |key, member| match &*key_text(key) {
            "timestamp" => timestamp = Some(member),
            "value" => value = Some(member),
            "dimensions" => {
                trouble = trouble.take().or(strict(member, &mut dimensions, "dimensions").err());
            }
            "tags" => trouble = trouble.take().or(strict(member, &mut tags, "tags").err()),
            _ => {}
        });
        if let Err(error) = read {
            return malformed(error.to_string());
        }
        let Some(timestamp) = timestamp else {
            return malformed("Object is missing required member 'timestamp'");
        };
        let Some(value) = value else {
            return malformed("Object is missing required member 'value'");
        };
        let Some(Cell::Int(timestamp)) = cell(&timestamp) else {
            return malformed("Expected a 64-bit integer as 'timestamp'");
        };
        let Some(value @ (Cell::Int(_) | Cell::Float(_))) = cell(&value) else {
            return malformed("Expected a number as 'value'");
        };
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let bit = Self { timestamp, value, dimensions, tags };
        bit.check_names().map(|()| bit)
    }

    /// Whether its fields may be called so.
    ///
    /// # Errors
    /// [`Bad::Field`].
    pub fn check_names(&self) -> Result<(), Bad> {
        for (name, _) in self.dimensions.iter().chain(&self.tags) {
            if matches!(&**name, "timestamp" | "value") {
                return Err(Bad::Field(format!("field {name} cannot be a dimension or a tag")));
            }
        }
        for (name, _) in &self.dimensions {
            if self.tags.iter().any(|(tag, _)| tag == name) {
                return Err(Bad::Field(format!("field {name} cannot be both dimension and tag")));
            }
        }
        Ok(())
    }

    /// Reads any record; `None`: it is no bit.
    #[must_use]
    pub fn of_record(record: &Record<'a>) -> Option<Self> {
        let text = match record.body {
            Body::Json(json) | Body::Derived { json, .. } | Body::Lifecycle { json, .. } => json,
            Body::Frame { binary: false, bytes, .. } => bytes,
            Body::Frame { .. } | Body::Rows(_) => return None,
        };
        let (mut timestamp, mut value) = (None, None);
        let (mut dimensions, mut tags): (Option<Cells<'a>>, Option<Cells<'a>>) = (None, None);
        let mut others = Vec::new();
        json::members(text, |key, member| {
            let name = key_text(key);
            match &*name {
                "timestamp" => timestamp = integer(&member),
                "value" => value = cell(&member),
                "dimensions" => dimensions = lenient(member),
                "tags" => tags = lenient(member),
                _ => {
                    if let Some(cell) = cell(&member) {
                        put(&mut others, name, cell);
                    }
                }
            }
        })
        .ok()?;
        let value = value.filter(|cell| !matches!(cell, Cell::Text(_)))?;
        let (mut dimensions, tags) = (dimensions.unwrap_or_default(), tags.unwrap_or_default());
        dimensions.retain(|(name, _)| !tags.iter().any(|(tag, _)| tag == name));
        for (name, cell) in others {
            let taken = dimensions.iter().chain(&tags).any(|(known, _)| *known == name);
            if !taken {
                dimensions.push((name, cell));
            }
        }
        let timestamp = timestamp.unwrap_or(record.time.div_euclid(1_000_000));
        Some(Self { timestamp, value, dimensions, tags })
    }

    /// Appends the JSON object, its last brace left open: `tags` too if `open_tags`.
    pub fn write_open(
        &self,
        keep: impl Fn(&str) -> bool,
        open_tags: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        out.extend_from_slice(b"{\"timestamp\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.timestamp).as_bytes());
        out.extend_from_slice(b",\"value\":");
        self.value.write(out);
        out.extend_from_slice(b",\"dimensions\":{");
        write_cells(&self.dimensions, &keep, out);
        out.extend_from_slice(b"},\"tags\":{");
        let any = write_cells(&self.tags, &keep, out);
        if !open_tags {
            out.push(b'}');
        }
        any
    }

    /// Appends the object that is stored.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_open(|_| true, false, out);
        out.push(b'}');
    }
}

/// Appends members; whether there was one.
fn write_cells(cells: &Cells<'_>, keep: &impl Fn(&str) -> bool, out: &mut Vec<u8>) -> bool {
    let mut any = false;
    for (name, cell) in cells.iter().filter(|(name, _)| keep(name)) {
        if std::mem::replace(&mut any, true) {
            out.push(b',');
        }
        json::write_string(out, name);
        out.push(b':');
        cell.write(out);
    }
    any
}

fn integer(value: &Member<'_>) -> Option<i64> {
    match cell(value) {
        Some(Cell::Int(n)) => Some(n),
        _ => None,
    }
}

/// The members of an object of a client: each must be a text or a number.
fn strict<'a>(value: Member<'a>, list: &mut Cells<'a>, what: &str) -> Result<(), Bad> {
    if value.kind == JsonKind::Null {
        return Ok(());
    }
    if value.kind != JsonKind::Object {
        return malformed(format!("Expected an object as '{what}'"));
    }
    let mut trouble = None;
    let read = json::members(value.text, |key, member| match cell(&member) {
        Some(cell) => put(list, key_text(key), cell),
        None => trouble = Some(key_text(key).into_owned()),
    });
    match (read, trouble) {
        (Err(error), _) => malformed(error.to_string()),
        (_, Some(name)) => malformed(format!("Expected a string or a number as '{name}'")),
        _ => Ok(()),
    }
}

/// The members of an object of any record: what is no text or number is left out.
fn lenient(value: Member<'_>) -> Option<Cells<'_>> {
    if value.kind != JsonKind::Object {
        return None;
    }
    let mut list = Vec::new();
    let _ = json::members(value.text, |key, member| {
        let name = key_text(key);
        if let Some(cell) = cell(&member)
            && !matches!(&*name, "timestamp" | "value")
        {
            put(&mut list, name, cell);
        }
    });
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Option<String> {
        let body = Body::Json(json.as_bytes());
        let bit = Bit::of_record(&Record { time: 7_999_999, producer: 0, body })?;
        let mut out = Vec::new();
        bit.write(&mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn numbers_are_typed_by_how_they_are_written() {
        for (text, want) in [
            ("1", Some(Cell::Int(1))),
            ("-0", Some(Cell::Int(0))),
            ("1e3", Some(Cell::Int(1000))),
            ("1E+3", Some(Cell::Int(1000))),
            ("0e99", Some(Cell::Int(0))),
            ("1.0", Some(Cell::Float(1.0))),
            ("1.5e1", Some(Cell::Float(15.0))),
            ("10e-1", Some(Cell::Float(1.0))),
            ("9223372036854775808", None),
            ("1e19", None),
            ("1e999999", None),
            ("1.0e999", None),
        ] {
            assert_eq!(number(text), want, "{text}");
        }
        for (number, want) in [(15.0, "15.0"), (1e21, "1.0e+21"), (1e-7, "1.0e-7"), (0.5, "0.5")] {
            let mut out = Vec::new();
            write_decimal(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    #[test]
    fn any_record_is_read_as_the_table_says() {
        for (json, want) in [
            (r#"{"value":5}"#, r#"{"timestamp":7,"value":5,"dimensions":{},"tags":{}}"#),
            (
                r#"{"timestamp":1.5,"value":1.0,"room":"a","n":2,"ok":true,"z":null,"deep":{"x":1},"tags":{"t":"x","bad":[1]}}"#,
                r#"{"timestamp":7,"value":1.0,"dimensions":{"room":"a","n":2},"tags":{"t":"x"}}"#,
            ),
            (
                r#"{"timestamp":1,"value":1,"dimensions":{"a":1},"a":2,"t":3,"tags":{"t":1}}"#,
                r#"{"timestamp":1,"value":1,"dimensions":{"a":1},"tags":{"t":1}}"#,
            ),
        ] {
            assert_eq!(of(json).as_deref(), Some(want), "{json}");
        }
        for json in ["{}", "[]", "1", r#"{"value":"5"}"#, r#"{"value":1e30}"#, r#"{"value":null}"#]
        {
            assert_eq!(of(json), None, "{json}");
        }
    }

    #[test]
    fn bits_of_clients_are_checked() {
        for (json, want) in [
            (r#"{"value":1}"#, "Object is missing required member 'timestamp'"),
            (r#"{"timestamp":1.5,"value":1}"#, "Expected a 64-bit integer as 'timestamp'"),
            (r#"{"timestamp":1,"value":"1"}"#, "Expected a number as 'value'"),
            (
                r#"{"timestamp":1,"value":1,"tags":{"a":true}}"#,
                "Expected a string or a number as 'a'",
            ),
        ] {
            assert_eq!(Bit::from_client(json.as_bytes()), malformed(want), "{json}");
        }
        for json in [
            r#"{"timestamp":1,"value":1,"tags":{"a":1},"dimensions":{"a":1}}"#,
            r#"{"timestamp":1,"value":1,"tags":{"value":1}}"#,
        ] {
            assert!(matches!(Bit::from_client(json.as_bytes()), Err(Bad::Field(_))), "{json}");
        }
        assert!(Bit::from_client(br#"{"timestamp":1,"value":1,"tags":null}"#).is_ok());
    }
}

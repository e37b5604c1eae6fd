//! Requests: the object of a registration and of an HTTP body (nsdb, 3 and 5).

use crate::model::json::{self, Kind, Value, write_string};
use crate::query::dialect::nsdb::bit::{Cell, key_text, number, write_decimal};
use crate::query::dialect::nsdb::{Condition, Constant, Operator, Test};

/// What a request says. What it need not say is empty.
#[derive(Debug, Default)]
pub struct Ask<'a> {
    /// `db`
    pub database: String,
    /// `namespace`
    pub namespace: String,
    /// `metric`
    pub metric: String,
    /// `queryString`
    pub query: String,
    /// `bit`
    pub bit: &'a [u8],
    /// `from` and `to` as tests of the timestamp.
    pub range: Vec<Condition>,
    /// `filters`
    pub filters: Vec<Condition>,
    /// `parsed`
    pub parsed: bool,
}

/// What a body must have beside the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// `queryString`
    Query,
    /// `bit`
    Bit,
}

impl<'a> Ask<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(text: &'a [u8], needs: Needs) -> Result<Self, String> {
        if simdutf8::basic::from_utf8(text).is_err() {
            return Err("Invalid UTF-8".into());
        }
        let mut found: Vec<(String, Value<'a>)> = Vec::new();
        json::members(text, |key, value| found.push((key_text(key).into_owned(), value)))
            .map_err(|error| error.to_string())?;
        let member = |name: &str| {
            let last = found.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
            last.filter(|value| value.kind != Kind::Null)
        };
        let string = |name: &str| match member(name) {
            None => Err(format!("Object is missing required member '{name}'")),
            Some(value) => {
                value.as_string().ok_or_else(|| format!("Expected a string as '{name}'"))
            }
        };
        let mut ask = Self {
            database: string("db")?,
            namespace: string("namespace")?,
            metric: string("metric")?,
            ..Self::default()
        };
        if needs == Needs::Bit {
            let bit = member("bit").ok_or("Object is missing required member 'bit'")?;
            ask.bit = bit.text;
            return Ok(ask);
        }
        ask.query = string("queryString")?;
        for (name, operator) in [("from", Operator::AtLeast), ("to", Operator::AtMost)] {
            let Some(value) = member(name) else { continue };
            let at = integer(&value).ok_or(format!("Expected a 64-bit integer as '{name}'"))?;
            let constant = Constant::new(&at.to_string(), false);
            ask.range.push(Condition::one("timestamp", Test::Compare(operator, constant)));
        }
        if let Some(filters) = member("filters") {
            ask.filters = read_filters(&filters).ok_or("Expected filters as 'filters'")?;
        }
        ask.parsed = member("parsed").is_some();
        Ok(ask)
    }

    /// The condition of a query with this WHERE.
    pub fn condition(&mut self, where_: Condition) -> Condition {
        let range = Condition::all(std::mem::take(&mut self.range));
        let filters = Condition::all(std::mem::take(&mut self.filters));
        Condition::all(vec![range, where_, filters])
    }
}

fn integer(value: &Value<'_>) -> Option<i64> {
    if value.kind != Kind::Number {
        return None;
    }
    match number(std::str::from_utf8(value.text).ok()?)? {
        Cell::Int(n) => Some(n),
        Cell::Float(n) if n.fract() == 0.0 && n.abs() < 9.2e18 => Some(n as i64),
        _ => None,
    }
}

fn read_filters(list: &Value<'_>) -> Option<Vec<Condition>> {
    if list.kind != Kind::Array {
        return None;
    }
    json::elements(list.text).ok()?.iter().map(read_filter).collect()
}

fn read_filter(filter: &Value<'_>) -> Option<Condition> {
    let (mut dimension, mut value, mut operator) = (None, None, None);
    json::members(filter.text, |key, member| match &*key_text(key) {
        "dimension" => dimension = Some(member),
        "value" => value = Some(member),
        "operator" => operator = Some(member),
        _ => {}
    })
    .ok()?;
    let dimension = dimension?.as_string()?;
    let mut operator = operator?.as_string()?.to_lowercase();
    operator.retain(|c| !c.is_whitespace());
    let Some(value) = value else {
        let absent = Condition::one(&dimension, Test::Null);
        return match &*operator {
            "isnull" => Some(absent),
            "isnotnull" => Some(absent.negated()),
            _ => None,
        };
    };
    let (text, quoted) = match value.kind {
        Kind::String => (value.as_string()?, true),
        Kind::Number => {
            let mut text = Vec::new();
            match number(std::str::from_utf8(value.text).ok()?)? {
                Cell::Float(n) => write_decimal(n, &mut text),
                other => other.write(&mut text),
            }
            (String::from_utf8(text).ok()?, false)
        }
        _ => return None,
    };
    let compare = |operator| Test::Compare(operator, Constant::new(&text, quoted));
    let test = match &*operator {
        "=" => compare(Operator::Equal),
        ">" => compare(Operator::Above),
        ">=" => compare(Operator::AtLeast),
        "<" => compare(Operator::Below),
        "<=" => compare(Operator::AtMost),
        "like" => Test::Like(text.replace('*', "$").into()),
        _ => return None,
    };
    Some(Condition::one(&dimension, test))
}

/// A JSON object of texts, its last brace left open.
pub fn texts(members: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    for (index, (key, value)) in members.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        write_string(&mut out, key);
        out.push(b':');
        write_string(&mut out, value);
    }
    out
}

/// `{"key":[..]}` of texts.
pub fn list(key: &str, texts: &[String]) -> Vec<u8> {
    let mut out = b"{".to_vec();
    write_string(&mut out, key);
    out.extend_from_slice(b":[");
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(&mut out, text);
    }
    out.extend_from_slice(b"]}");
    out
}

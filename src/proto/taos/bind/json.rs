//! JSON values of statements, version 1 (taos, section 4), for columns of a kind.
//!
//! Method: a column is read value by value from the text; no tree is built.

use crate::model::json::{Kind as Shape, Scanner, Value, elements};
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Kind, Packed};
use crate::proto::taos::codec::fault;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::convert::{Clock, hex, store};
use crate::query::tables::{codes, time};

/// A value for a column of a kind.
///
/// # Errors
/// It is none of the kind, out of range, or too long.
pub fn cell(value: &Value<'_>, kind: Kind, clock: &Clock) -> Result<Cell, Wrong> {
    let wrong = || fault(format!("{} is no {}", shown(value), kind.name()));
    let cell = match (value.kind, kind) {
        (Shape::Null, _) => return Ok(Cell::Null),
        (Shape::True | Shape::False, Kind::Bool) => Cell::Bool(value.kind == Shape::True),
        (Shape::Number, Kind::Timestamp) => Cell::Int(whole(value).ok_or_else(wrong)?),
        (Shape::Number, kind) if kind.is_integer() => number(value).ok_or_else(wrong)?,
        (Shape::Number, kind) if kind.is_float() || kind == Kind::Bool => {
            Cell::Double(float(value).ok_or_else(wrong)?)
        }
        (Shape::Number, Kind::Decimal(..)) => {
            let text = std::str::from_utf8(value.text).map_err(|_| wrong())?;
            Cell::Text(text.into())
        }
        (Shape::String, kind) => {
            let text = value.as_string().ok_or_else(wrong)?;
            match kind {
                Kind::Timestamp => {
                    let has_offset = text.contains(['T', 't', ' ']);
                    let at = time::parse(&text, clock.precision, clock.zone);
                    Cell::Int(at.filter(|_| has_offset).ok_or_else(wrong)?)
                }
                kind if kind.is_text() || matches!(kind, Kind::Decimal(..)) => {
                    Cell::Text(text.into())
                }
                kind if kind.is_bytes() => Cell::Bytes(hex(&text).ok_or_else(wrong)?.into()),
                _ => return Err(wrong()),
            }
        }
        _ => return Err(wrong()),
    };
    let is_long = |wrong: &Wrong| wrong.code == codes::too_long().code;
    store(cell, kind, clock).map_err(|why| if is_long(&why) { why } else { wrong() })
}

/// A value whose kind nobody knows, for a `?` of a query.
///
/// # Errors
/// It is no single value.
pub fn any(value: &Value<'_>) -> Result<Cell, Wrong> {
    let wrong = || fault(format!("{} is no value", shown(value)));
    Ok(match value.kind {
        Shape::Null => Cell::Null,
        Shape::True | Shape::False => Cell::Bool(value.kind == Shape::True),
        Shape::Number => match number(value) {
            Some(cell) => cell,
            None => Cell::Double(float(value).ok_or_else(wrong)?),
        },
        Shape::String => Cell::Text(value.as_string().ok_or_else(wrong)?.into()),
        _ => return Err(wrong()),
    })
}

/// The start of a value's text, for a message.
fn shown(value: &Value<'_>) -> String {
    String::from_utf8_lossy(value.text).chars().take(40).collect()
}

fn text<'a>(value: &Value<'a>) -> Option<&'a str> {
    std::str::from_utf8(value.text).ok()
}

fn whole(value: &Value<'_>) -> Option<i64> {
    text(value)?.parse().ok()
}

fn float(value: &Value<'_>) -> Option<f64> {
    text(value)?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A whole number, also if it is written with a point or an exponent.
fn number(value: &Value<'_>) -> Option<Cell> {
    let text = text(value)?;
    if let Ok(number) = text.parse() {
        return Some(Cell::Int(number));
    }
    if let Ok(number) = text.parse() {
        return Some(Cell::Uint(number));
    }
    let number = float(value)?;
    let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
    is_whole.then_some(Cell::Int(number as i64))
}

/// The elements of an array of values, each for a kind of its own.
///
/// # Errors
/// It is none.
pub fn list(array: &str) -> Result<Vec<Value<'_>>, Wrong> {
    elements(array.as_bytes()).map_err(|why| fault(why.to_string()))
}

/// A column from an array.
///
/// # Errors
/// A value is none of its kind.
pub fn column(array: &Value<'_>, column: &Column, clock: &Clock) -> Result<Packed, Wrong> {
    let broken = |_| fault("no array of values");
    let mut scanner = Scanner::new(array.text);
    scanner.enter_array().map_err(broken)?;
    let mut packed = Packed::new(column.clone());
    let mut first = true;
    while scanner.next_element(first).map_err(broken)? {
        first = false;
        let value = scanner.value().map_err(broken)?;
        packed.push(&cell(&value, column.kind, clock)?);
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::Precision;

    #[test]
    fn values_are_of_their_kind_or_refused() {
        let clock = Clock { now_ns: 0, zone: chrono_tz::Tz::UTC, precision: Precision::Us };
        let bytes = |bytes: &[u8]| Cell::Bytes(bytes.into());
        for (json, kind, want) in [
            ("null", Kind::Int, Ok(Cell::Null)),
            ("true", Kind::Bool, Ok(Cell::Bool(true))),
            ("0", Kind::Bool, Ok(Cell::Bool(false))),
            ("\"true\"", Kind::Bool, Err(0xFFFF)),
            ("127", Kind::TinyInt, Ok(Cell::Int(127))),
            ("128", Kind::TinyInt, Err(0xFFFF)),
            ("1.5", Kind::TinyInt, Err(0xFFFF)),
            ("1e2", Kind::TinyInt, Ok(Cell::Int(100))),
            ("-1", Kind::UInt, Err(0xFFFF)),
            ("18446744073709551615", Kind::UBigInt, Ok(Cell::Uint(u64::MAX))),
            ("18446744073709551615", Kind::BigInt, Err(0xFFFF)),
            ("\"1\"", Kind::Int, Err(0xFFFF)),
            ("1e39", Kind::Float, Err(0xFFFF)),
            ("2", Kind::Double, Ok(Cell::Double(2.0))),
            ("\"中\"", Kind::Nchar(1), Ok(Cell::text("中"))),
            ("\"ab\"", Kind::Varchar(1), Err(0x2653)),
            ("5", Kind::Varchar(9), Err(0xFFFF)),
            ("\"0aff\"", Kind::Varbinary(2), Ok(bytes(&[10, 255]))),
            ("\"0af\"", Kind::Varbinary(2), Err(0xFFFF)),
            ("\"{\\\"a\\\":1}\"", Kind::Json, Ok(Cell::text("{\"a\":1}"))),
            ("\"{\"", Kind::Json, Err(0xFFFF)),
            ("-5", Kind::Timestamp, Ok(Cell::Int(-5))),
            ("\"1970-01-01T01:00:00.000001999+01:00\"", Kind::Timestamp, Ok(Cell::Int(1))),
            ("\"5\"", Kind::Timestamp, Err(0xFFFF)),
            ("{}", Kind::Varchar(9), Err(0xFFFF)),
        ] {
            let value = Scanner::new(json.as_bytes()).value().unwrap();
            let got = cell(&value, kind, &clock).map_err(|wrong| wrong.code);
            assert_eq!(got, want, "{json} {kind:?}");
        }
    }
}

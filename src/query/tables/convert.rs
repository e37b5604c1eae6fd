//! Values into the kinds of columns, and how values compare.

use super::codes;
use super::expr::geometry;
use super::time;
use crate::model::table::rows::Cell;
use crate::model::table::{Kind, Precision};
use crate::model::value::decimal::Decimal;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Expr;
use chrono_tz::Tz;
use std::cmp::Ordering;

/// What a conversion needs to know about times.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Now, nanoseconds.
    pub now_ns: i64,
    /// Zone of the session.
    pub zone: Tz,
    /// Of the database.
    pub precision: Precision,
}

/// The value of a literal for a column.
///
/// # Errors
/// It is none of the kind, or too long.
pub fn literal(expr: &Expr, kind: Kind, clock: &Clock) -> Result<Cell, Wrong> {
    if kind == Kind::Timestamp
        && let Some(time) = moment(expr, clock)
    {
        return Ok(Cell::Int(time));
    }
    let cell = match expr {
        Expr::Null => return Ok(Cell::Null),
        Expr::Bool(b) => Cell::Bool(*b),
        Expr::Int(n) => Cell::Int(*n),
        Expr::Big(n) => Cell::Uint(*n),
        Expr::Double(n) => Cell::Double(*n),
        Expr::Text(text) => {
            if text.eq_ignore_ascii_case("null") && !kind.is_text() {
                return Ok(Cell::Null);
            }
            Cell::Text(text.as_str().into())
        }
        _ => return Err(codes::bad_value()),
    };
    store(cell, kind, clock)
}

/// A time that is computed from now: `now`, `now + 1s`, `today() - 1d`.
#[must_use]
pub fn moment(expr: &Expr, clock: &Clock) -> Option<i64> {
    use crate::query::dialect::taos::ast::Binary;
    match expr {
        Expr::Call(name, arguments) if arguments.is_empty() && name == "now" => {
            Some(clock.precision.of_ns(clock.now_ns))
        }
        Expr::Call(name, arguments) if arguments.is_empty() && name == "today" => {
            let now = clock.precision.of_ns(clock.now_ns);
            time::midnight(now, clock.precision, clock.zone)
        }
        Expr::Binary(operator @ (Binary::Add | Binary::Subtract), left, right) => {
            let Expr::Duration(duration) = **right else { return None };
            let base = match &**left {
                Expr::Int(n) => *n,
                other => moment(other, clock)?,
            };
            let sign = if *operator == Binary::Add { 1 } else { -1 };
            time::add(base, duration, sign, clock.precision, clock.zone)
        }
        _ => None,
    }
}

/// A value as a column of the kind stores it.
///
/// # Errors
/// It does not convert, or is out of range or too long.
pub fn store(cell: Cell, kind: Kind, clock: &Clock) -> Result<Cell, Wrong> {
    let bad = codes::bad_value;
    if cell.is_null() {
        return Ok(cell);
    }
    if kind == Kind::Timestamp {
        return match &cell {
            Cell::Int(n) => Ok(Cell::Int(*n)),
            Cell::Text(text) => {
                let number = text.trim().parse().ok();
                let time = number.or_else(|| time::parse(text, clock.precision, clock.zone));
                time.map(Cell::Int).ok_or_else(bad)
            }
            _ => Err(bad()),
        };
    }
    if kind == Kind::Bool {
        return match &cell {
            Cell::Text(text) if text.eq_ignore_ascii_case("true") => Ok(Cell::Bool(true)),
            Cell::Text(text) if text.eq_ignore_ascii_case("false") => Ok(Cell::Bool(false)),
            other => number(other).map(|n| Cell::Bool(n != 0.0)).ok_or_else(bad),
        };
    }
    if let Some((low, high)) = kind.integer_range() {
        let n = whole(&cell).filter(|n| (low..=high).contains(n)).ok_or_else(bad)?;
        return Ok(if kind.is_unsigned() { Cell::Uint(n as u64) } else { Cell::Int(n as i64) });
    }
    match kind {
        Kind::Decimal(digits, scale) => {
            fitted(&cell, u32::from(digits), u32::from(scale)).ok_or_else(bad)
        }
        Kind::Geometry(length) => {
            let bytes = match &cell {
                Cell::Text(text) => geometry::read(text).ok_or_else(bad)?,
                _ => bytes_of(&cell).ok_or_else(bad)?,
            };
            within(bytes, length)
        }
        Kind::Double => number(&cell).map(Cell::Double).ok_or_else(bad),
        Kind::Float => {
            let n = number(&cell).ok_or_else(bad)?;
            if n.is_finite() && n.abs() > f64::from(f32::MAX) {
                return Err(bad());
            }
            Ok(Cell::Double(f64::from(n as f32)))
        }
        Kind::Varchar(_) | Kind::Nchar(_) => {
            let text = match cell {
                Cell::Text(text) => text,
                other => show(&other).into(),
            };
            let length = match kind {
                Kind::Nchar(_) => text.chars().count(),
                _ => text.len(),
            };
            if length > kind.length() as usize {
                Err(codes::too_long())
            } else {
                Ok(Cell::Text(text))
            }
        }
        Kind::Json => match &cell {
            Cell::Text(text) if crate::model::json::check(text.as_bytes()).is_ok() => Ok(cell),
            _ => Err(bad()),
        },
        Kind::Varbinary(_) | Kind::Blob => within(bytes_of(&cell).ok_or_else(bad)?, kind.length()),
        _ => Err(bad()),
    }
}

/// A decimal of so many digits.
fn fitted(cell: &Cell, digits: u32, scale: u32) -> Option<Cell> {
    let units = decimal(cell)?.fitted(digits, scale)?;
    Decimal::of_units(units, scale).map(Cell::Decimal)
}

fn bytes_of(cell: &Cell) -> Option<Vec<u8>> {
    match cell {
        Cell::Bytes(bytes) => Some(bytes.to_vec()),
        Cell::Text(text) => unhex(text),
        _ => None,
    }
}

fn within(bytes: Vec<u8>, length: u32) -> Result<Cell, Wrong> {
    let long = bytes.len() > length as usize;
    if long { Err(codes::too_long()) } else { Ok(Cell::Bytes(bytes.into())) }
}

/// The bytes of `\x0a1b`, or of a text itself.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else { return Some(text.as_bytes().to_vec()) };
    hex(digits)
}

/// The bytes that hexadecimal digits write.
#[must_use]
pub fn hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |b: u8| char::from(b).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? * 16 + digit(*low)?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// A whole number, from what converts to one.
fn whole(cell: &Cell) -> Option<i128> {
    match cell {
        Cell::Bool(b) => Some(i128::from(*b)),
        Cell::Int(n) => Some(i128::from(*n)),
        Cell::Uint(n) => Some(i128::from(*n)),
        Cell::Double(n) if n.is_finite() => Some(n.round() as i128),
        Cell::Decimal(decimal) => Some(decimal.rounded(0)?.units()),
        Cell::Text(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| {
                let number: f64 = text.parse().ok()?;
                number.is_finite().then_some(number.round() as i128)
            })
        }
        _ => None,
    }
}

/// A number, from what converts to one.
#[must_use]
pub fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Bool(b) => Some(f64::from(u8::from(*b))),
        Cell::Int(n) => Some(*n as f64),
        Cell::Uint(n) => Some(*n as f64),
        Cell::Double(n) => Some(*n),
        Cell::Text(text) => text.trim().parse().ok(),
        Cell::Decimal(decimal) => Some(decimal.to_double()),
        _ => None,
    }
}

/// A decimal, from what converts to one exactly, or from the digits that a double shows.
#[must_use]
pub fn decimal(cell: &Cell) -> Option<Decimal> {
    match cell {
        Cell::Decimal(decimal) => Some(*decimal),
        Cell::Bool(b) => Some(Decimal::whole(i64::from(*b))),
        Cell::Int(n) => Some(Decimal::whole(*n)),
        Cell::Uint(n) => Decimal::of_units(i128::from(*n), 0),
        Cell::Double(n) if n.is_finite() => Decimal::parse(&n.to_string()),
        Cell::Text(text) => Decimal::parse(text.trim()),
        _ => None,
    }
}

/// A value as text.
#[must_use]
pub fn show(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Bool(b) => b.to_string(),
        Cell::Int(n) => n.to_string(),
        Cell::Uint(n) => n.to_string(),
        Cell::Double(n) => n.to_string(),
        Cell::Text(text) => text.to_string(),
        Cell::Decimal(decimal) => decimal.to_string(),
        Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// How two values compare; `None`: not at all.
#[must_use]
pub fn compare(left: &Cell, right: &Cell) -> Option<Ordering> {
    match (left, right) {
        (Cell::Null, _) | (_, Cell::Null) => None,
        (Cell::Int(a), Cell::Int(b)) => Some(a.cmp(b)),
        (Cell::Text(a), Cell::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Cell::Bytes(a), Cell::Bytes(b)) => Some(a.cmp(b)),
        (Cell::Decimal(a), b) | (b, Cell::Decimal(a)) if !matches!(b, Cell::Double(_)) => {
            let order = a.compare(decimal(b)?);
            Some(if matches!(left, Cell::Decimal(_)) { order } else { order.reverse() })
        }
        (Cell::Double(_), _) | (_, Cell::Double(_)) | (Cell::Text(_), _) | (_, Cell::Text(_)) => {
            number(left)?.partial_cmp(&number(right)?)
        }
        _ => Some(whole(left)?.cmp(&whole(right)?)),
    }
}

/// The order of sorting: null is smallest.
#[must_use]
pub fn order(left: &Cell, right: &Cell) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ => compare(left, right).unwrap_or(Ordering::Equal),
    }
}

/// Bytes that are equal for values that count as equal, to group by.
pub fn key(cell: &Cell, out: &mut Vec<u8>) {
    match cell {
        // -0 and 0 are one.
        Cell::Double(0.0) => crate::model::table::rows::encode_cell(&Cell::Double(0.0), out),
        other => crate::model::table::rows::encode_cell(other, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_convert_within_their_ranges() {
        let clock = Clock { now_ns: 0, zone: Tz::UTC, precision: Precision::Ms };
        let text = |text: &str| Cell::text(text);
        for (cell, kind, want) in [
            (Cell::Int(127), Kind::TinyInt, Ok(Cell::Int(127))),
            (Cell::Int(128), Kind::TinyInt, Err(0x2605)),
            (text("12"), Kind::UInt, Ok(Cell::Uint(12))),
            (Cell::Uint(u64::MAX), Kind::UBigInt, Ok(Cell::Uint(u64::MAX))),
            (Cell::Int(-1), Kind::UBigInt, Err(0x2605)),
            (text("abcde"), Kind::Varchar(4), Err(0x2653)),
            (text("涛思 d"), Kind::Nchar(4), Ok(text("涛思 d"))),
            (text("\\x0aFF"), Kind::Varbinary(2), Ok(Cell::Bytes([10, 255].into()))),
            (text("x"), Kind::Double, Err(0x2605)),
            (Cell::Int(0), Kind::Bool, Ok(Cell::Bool(false))),
            (text("1970-01-01 00:00:01"), Kind::Timestamp, Ok(Cell::Int(1000))),
        ] {
            assert_eq!(store(cell.clone(), kind, &clock).map_err(|w| w.code), want, "{cell:?}");
        }
    }
}

//! Numbers as text: read exactly, written as JavaScript or as a language with a decimal point does.

use super::Value;

/// What a JSON number is: an integer of 64 bits, or its text. `-0` keeps its text.
#[must_use]
pub fn numeric_text(text: &str) -> Value<'_> {
    match as_integer(text) {
        Some(n) => Value::Int(n),
        None => Value::Decimal(text.into()),
    }
}

/// The integer that `text` writes in its shortest form, if it is one of 64 bits.
#[must_use]
pub fn as_integer(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > 19 || negative && digits.first() == Some(&b'0') {
        return None;
    }
    let mut number: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // 19 digits stay below 10^19, which u64 holds.
        number = number * 10 + u64::from(digit - b'0');
    }
    if negative { 0_i64.checked_sub_unsigned(number) } else { i64::try_from(number).ok() }
}

/// A number in a text as JavaScript reads it: blanks around it are passed over, a blank text is 0;
/// `None`: not a number.
#[must_use]
pub fn js_number(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0.0);
    }
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    if text.bytes().all(plain) { text.parse().ok() } else { None }
}

/// Appends a double as JavaScript prints it; NaN and infinities as `null`.
pub fn write_js(number: f64, out: &mut Vec<u8>) {
    if !number.is_finite() {
        return out.extend_from_slice(b"null");
    }
    if number.fract() == 0.0 && number.abs() < 9e15 {
        // `-0` prints as 0.
        return out.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
    }
    if number < 0.0 {
        out.push(b'-');
    }
    let (digits, exponent) = shortest(number.abs());
    let count = digits.len() as i32;
    // The decimal point stands behind so many digits.
    let point = exponent + 1;
    if (count..=21).contains(&point) {
        out.extend_from_slice(&digits);
        out.resize(out.len() + (point - count) as usize, b'0');
    } else if (1..=21).contains(&point) {
        let (whole, rest) = digits.split_at(point as usize);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(rest);
    } else if (-5..=0).contains(&point) {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + point.unsigned_abs() as usize, b'0');
        out.extend_from_slice(&digits);
    } else {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        let exponent = exponent.unsigned_abs();
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    }
}

/// Appends a double in its shortest form, always with a point or an exponent; `null` if not finite.
pub fn write_point(number: f64, out: &mut Vec<u8>) {
    let start = out.len();
    if number == 0.0 && number.is_sign_negative() {
        return out.extend_from_slice(b"-0.0");
    }
    write_js(number, out);
    let written = &out[start..];
    if number.is_finite() && written.iter().all(|b| b.is_ascii_digit() || *b == b'-') {
        out.extend_from_slice(b".0");
    }
}

/// The shortest decimal digits that read back as `number`, and the exponent of the first.
fn shortest(number: f64) -> (Vec<u8>, i32) {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    (digits, exponent.parse().unwrap_or(0))
}

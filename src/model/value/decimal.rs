//! Decimal numbers with up to 38 digits: an integer and how many of its digits are a fraction.

use std::cmp::Ordering;
use std::fmt;

/// Digits of a fraction.
const SCALE_MAX: u32 = 30;
/// Digits that an integer of 128 bits always holds.
const DIGITS_MAX: u32 = 38;

/// See the module's page. The scale is at most 38; of what is read or computed, 30.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    units: i128,
    scale: u32,
}

impl Decimal {
    /// A whole number.
    #[must_use]
    pub fn whole(number: i64) -> Self {
        Self { units: i128::from(number), scale: 0 }
    }

    /// So many units of which 10^scale make one; `None`: a scale beyond 38.
    #[must_use]
    pub fn of_units(units: i128, scale: u32) -> Option<Self> {
        (scale <= DIGITS_MAX).then_some(Self { units, scale })
    }

    /// The nearest number with this scale and at most so many digits, half away from zero, as
    /// units; `None`: it has more.
    #[must_use]
    pub fn fitted(self, digits: u32, scale: u32) -> Option<i128> {
        let rounded = self.rounded(scale)?;
        let units = rounded.units.checked_mul(power_of_ten(scale - rounded.scale)?)?;
        (units.unsigned_abs() < power_of_ten(digits)?.unsigned_abs()).then_some(units)
    }

    /// Digits of the fraction.
    #[must_use]
    pub fn scale(self) -> u32 {
        self.scale
    }

    /// The units of which 10^scale make one.
    #[must_use]
    pub fn units(self) -> i128 {
        self.units
    }

    /// Reads `-12.50` or `1e3`; `None` if it is no number or has too many digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.find(['e', 'E']) {
            Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let bare = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        if bare.is_empty() || !bare.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut units: i128 = 0;
        for digit in bare.bytes().chain(fraction.bytes()) {
            units = units.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        if whole.starts_with('-') {
            units = -units;
        }
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        if scale < 0 {
            let power = u32::try_from(-scale).ok()?;
            return Some(Self { units: units.checked_mul(power_of_ten(power)?)?, scale: 0 });
        }
        let scale = u32::try_from(scale).ok().filter(|scale| *scale <= SCALE_MAX)?;
        Some(Self { units, scale })
    }

    /// The nearest double.
    #[must_use]
    pub fn to_double(self) -> f64 {
        // The text is the exact value; reading it rounds once.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The whole number nearer to zero, if it has 64 bits.
    #[must_use]
    pub fn truncated(self) -> Option<i64> {
        i64::try_from(self.units / power_of_ten(self.scale)?).ok()
    }

    /// The number, if it is a whole one of 64 bits.
    #[must_use]
    pub fn as_integer(self) -> Option<i64> {
        let power = power_of_ten(self.scale)?;
        if self.units % power == 0 { i64::try_from(self.units / power).ok() } else { None }
    }

    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let left = self.units.checked_mul(power_of_ten(scale - self.scale)?)?;
        let right = other.units.checked_mul(power_of_ten(scale - other.scale)?)?;
        Some((left, right, scale))
    }

    /// Sum; `None` beyond 38 digits.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self { units: left.checked_add(right)?, scale })
    }

    /// The number with the other sign.
    #[must_use]
    pub fn negate(self) -> Option<Self> {
        Some(Self { units: self.units.checked_neg()?, scale: self.scale })
    }

    /// Product; `None` beyond 38 digits.
    #[must_use]
    pub fn multiply(self, other: Self) -> Option<Self> {
        let units = self.units.checked_mul(other.units)?;
        Self { units, scale: self.scale + other.scale }.trimmed()
    }

    /// Quotient with up to 12 more digits than the operands; `None` beyond 38 digits.
    #[must_use]
    pub fn divide(self, other: Self) -> Option<Self> {
        let (left, right, _) = self.aligned(other)?;
        for digits in [12, 6, 2, 0] {
            if let Some(left) = power_of_ten(digits).and_then(|power| left.checked_mul(power)) {
                return Self { units: left.checked_div(right)?, scale: digits }.trimmed();
            }
        }
        None
    }

    /// Remainder with the sign of `self`; `None` beyond 38 digits.
    #[must_use]
    pub fn remainder(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self { units: left.checked_rem(right)?, scale })
    }

    /// The number with so many digits of a fraction, half away from zero.
    #[must_use]
    pub fn rounded(self, digits: u32) -> Option<Self> {
        if self.scale <= digits {
            return Some(self);
        }
        let factor = power_of_ten(self.scale - digits)?;
        let half = if self.units < 0 { -factor / 2 } else { factor / 2 };
        Some(Self { units: self.units.checked_add(half)? / factor, scale: digits })
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.units == 0
    }

    /// Without zeros at the end of the fraction.
    fn trimmed(mut self) -> Option<Self> {
        while self.scale > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.scale -= 1;
        }
        (self.scale <= SCALE_MAX).then_some(self)
    }

    /// Which is larger, exactly.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        match self.aligned(other) {
            Some((left, right, _)) => left.cmp(&right),
            // One has so many digits before the point that the whole parts differ.
            None => self.to_double().total_cmp(&other.to_double()),
        }
    }
}

fn power_of_ten(power: u32) -> Option<i128> {
    10_i128.checked_pow(power)
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.units.unsigned_abs().to_string();
        let sign = if self.units < 0 { "-" } else { "" };
        let scale = self.scale as usize;
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_kept() {
        for (text, shown) in [
            ("1.50", "1.50"),
            ("-0.05", "-0.05"),
            ("1e3", "1000"),
            ("12e-4", "0.0012"),
            ("170141183460469231731687303715884105727", "170141183460469231731687303715884105727"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["", "-", "1.2.3", "x", "1e", "1e99999999999", "1e-200"] {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn arithmetic_is_exact() {
        let decimal = |text| Decimal::parse(text).unwrap();
        assert_eq!(decimal("0.1").plus(decimal("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(decimal("1.5").multiply(decimal("2.0")).unwrap().to_string(), "3");
        assert_eq!(decimal("1").divide(decimal("8")).unwrap().to_string(), "0.125");
        assert_eq!(decimal("7.5").remainder(decimal("2")).unwrap().to_string(), "1.5");
        assert_eq!(decimal("2.0").compare(decimal("2")), Ordering::Equal);
        assert!(decimal("1").divide(decimal("0")).is_none());
        assert_eq!(decimal("-1.25").fitted(3, 1), Some(-13));
        assert_eq!(decimal("7").fitted(3, 2), Some(700));
        assert_eq!((decimal("99.5").fitted(2, 0), decimal("1e3").fitted(3, 0)), (None, None));
        assert_eq!(Decimal::of_units(-5, 3).unwrap().to_string(), "-0.005");
    }
}

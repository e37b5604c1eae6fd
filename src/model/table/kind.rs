//! What a column holds, and what a timestamp counts.

use std::borrow::Cow;

/// Digits of a decimal at most.
pub const DECIMAL_DIGITS_MAX: u8 = 38;
/// Digits of a decimal of 8 bytes at most.
const LONG_DIGITS: u8 = 18;

/// What the timestamps of a database count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Milliseconds.
    #[default]
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl Precision {
    /// Its number on the wire and in the catalog.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The one of that number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Ms, Self::Us, Self::Ns].get(usize::from(code)).copied()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["ms", "us", "ns"][self as usize]
    }

    /// Nanoseconds of one unit.
    #[must_use]
    pub fn unit_ns(self) -> i64 {
        [1_000_000, 1_000, 1][self as usize]
    }

    /// Digits behind the second.
    #[must_use]
    pub fn digits(self) -> usize {
        [3, 6, 9][self as usize]
    }

    /// A time in nanoseconds, cut to this.
    #[must_use]
    pub fn of_ns(self, ns: i64) -> i64 {
        ns.div_euclid(self.unit_ns())
    }
}

/// What a column holds. Lengths are as declared: bytes, of `Nchar` characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A null that nobody gave a type.
    #[default]
    Null,
    /// True or false.
    Bool,
    /// 8 bits.
    TinyInt,
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Int,
    /// 64 bits.
    BigInt,
    /// 32-bit floating point.
    Float,
    /// 64-bit floating point.
    Double,
    /// UTF-8.
    Varchar(u32),
    /// A time in the precision of the database.
    Timestamp,
    /// Text counted in characters.
    Nchar(u32),
    /// 8 bits, unsigned.
    UTinyInt,
    /// 16 bits, unsigned.
    USmallInt,
    /// 32 bits, unsigned.
    UInt,
    /// 64 bits, unsigned.
    UBigInt,
    /// JSON text, of tags.
    Json,
    /// Bytes.
    Varbinary(u32),
    /// Long bytes.
    Blob,
    /// Shapes, as WKB.
    Geometry(u32),
    /// Digits in all, 1 to 38, and those of the fraction.
    Decimal(u8, u8),
}

impl Kind {
    /// Its number on the wire and in the log.
    #[must_use]
    pub fn code(self) -> u8 {
        match &self {
            Self::Null => 0,
            Self::Bool => 1,
            Self::TinyInt => 2,
            Self::SmallInt => 3,
            Self::Int => 4,
            Self::BigInt => 5,
            Self::Float => 6,
            Self::Double => 7,
            Self::Varchar(_) => 8,
            Self::Timestamp => 9,
            Self::Nchar(_) => 10,
            Self::UTinyInt => 11,
            Self::USmallInt => 12,
            Self::UInt => 13,
            Self::UBigInt => 14,
            Self::Json => 15,
            Self::Varbinary(_) => 16,
            Self::Blob => 18,
            Self::Geometry(_) => 20,
            Self::Decimal(digits, _) if *digits > LONG_DIGITS => 17,
            Self::Decimal(..) => 21,
        }
    }

    /// What stands beside [`Kind::code`] in the log: the length, or the digits of a decimal.
    #[must_use]
    pub fn detail(self) -> u32 {
        match self {
            Self::Decimal(digits, scale) => u32::from(digits) << 8 | u32::from(scale),
            other => other.length(),
        }
    }

    /// The kind of that number and [`Kind::detail`].
    #[must_use]
    pub fn from_code(code: u8, length: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Null,
            1 => Self::Bool,
            2 => Self::TinyInt,
            3 => Self::SmallInt,
            4 => Self::Int,
            5 => Self::BigInt,
            6 => Self::Float,
            7 => Self::Double,
            8 => Self::Varchar(length),
            9 => Self::Timestamp,
            10 => Self::Nchar(length),
            11 => Self::UTinyInt,
            12 => Self::USmallInt,
            13 => Self::UInt,
            14 => Self::UBigInt,
            15 => Self::Json,
            16 => Self::Varbinary(length),
            18 => Self::Blob,
            20 => Self::Geometry(length),
            17 | 21 => {
                let (digits, scale) = ((length >> 8) as u8, length as u8);
                let fits = length >> 16 == 0 && scale <= digits && digits > 0;
                let of_code = (digits > LONG_DIGITS) == (code == 17);
                return (fits && of_code && digits <= DECIMAL_DIGITS_MAX)
                    .then_some(Self::Decimal(digits, scale));
            }
            _ => return None,
        })
    }

    /// Its name with what a reader needs: of a decimal its digits, as in `DECIMAL(10,2)`.
    #[must_use]
    pub fn full_name(self) -> Cow<'static, str> {
        match self {
            Self::Decimal(digits, scale) => format!("DECIMAL({digits},{scale})").into(),
            other => other.name().into(),
        }
    }

    /// Its name with its length, as a definition writes it.
    #[must_use]
    pub fn definition(self) -> Cow<'static, str> {
        match self {
            Self::Varchar(n) | Self::Nchar(n) | Self::Varbinary(n) | Self::Geometry(n) => {
                format!("{}({n})", self.name()).into()
            }
            other => other.full_name(),
        }
    }

    /// Its name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null | Self::Bool => "BOOL",
            Self::TinyInt => "TINYINT",
            Self::SmallInt => "SMALLINT",
            Self::Int => "INT",
            Self::BigInt => "BIGINT",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Varchar(_) => "VARCHAR",
            Self::Timestamp => "TIMESTAMP",
            Self::Nchar(_) => "NCHAR",
            Self::UTinyInt => "TINYINT UNSIGNED",
            Self::USmallInt => "SMALLINT UNSIGNED",
            Self::UInt => "INT UNSIGNED",
            Self::UBigInt => "BIGINT UNSIGNED",
            Self::Json => "JSON",
            Self::Varbinary(_) => "VARBINARY",
            Self::Blob => "BLOB",
            Self::Geometry(_) => "GEOMETRY",
            Self::Decimal(..) => "DECIMAL",
        }
    }

    /// Bytes of a value of fixed width; `None`: values have their own lengths.
    #[must_use]
    pub fn width(self) -> Option<usize> {
        Some(match self {
            Self::Null | Self::Bool | Self::TinyInt | Self::UTinyInt => 1,
            Self::SmallInt | Self::USmallInt => 2,
            Self::Int | Self::UInt | Self::Float => 4,
            Self::BigInt | Self::UBigInt | Self::Double | Self::Timestamp => 8,
            Self::Decimal(digits, _) => {
                if digits > LONG_DIGITS {
                    16
                } else {
                    8
                }
            }
            _ => return None,
        })
    }

    /// The length as declared, of fixed kinds their width.
    #[must_use]
    pub fn length(self) -> u32 {
        match self {
            Self::Varchar(n) | Self::Nchar(n) | Self::Varbinary(n) | Self::Geometry(n) => n,
            Self::Json => 4095,
            Self::Blob => 4_194_304,
            other => other.width().unwrap_or(1) as u32,
        }
    }

    /// Whether it is text.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, Self::Varchar(_) | Self::Nchar(_) | Self::Json)
    }

    /// Whether it is bytes.
    #[must_use]
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Varbinary(_) | Self::Blob | Self::Geometry(_))
    }

    /// Whether it is a whole number.
    #[must_use]
    pub fn is_integer(self) -> bool {
        self.integer_range().is_some()
    }

    /// Whether it has no sign.
    #[must_use]
    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::UTinyInt | Self::USmallInt | Self::UInt | Self::UBigInt)
    }

    /// Whether it is a number with a fraction.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Whether arithmetic goes with it.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        self.is_integer()
            || self.is_float()
            || matches!(self, Self::Bool | Self::Null | Self::Decimal(..))
    }

    /// Smallest and largest value of a whole number.
    #[must_use]
    pub fn integer_range(self) -> Option<(i128, i128)> {
        let bits = self.width().unwrap_or(0) as u32 * 8;
        match self {
            Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt => {
                Some((-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1))
            }
            _ if self.is_unsigned() => Some((0, (1_i128 << bits) - 1)),
            _ => None,
        }
    }
}

//! Static types: what a value will be, as far as it is known before the query runs.
//!
//! Types are shared trees; each notes how deep it is and how many nodes it would print, so that
//! declarations which build on each other cannot make one that is too large to walk.

use std::fmt;
use std::rc::Rc;

/// The name of a field.
pub type Name = Rc<str>;

/// Nesting of a type.
pub const DEPTH_MAX: u32 = 200;
/// Nodes of a type, repeated parts counted each time.
pub const SIZE_MAX: u32 = 20_000;

/// The fields that elements of a topic are known to have.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// In the order they were first seen.
    pub fields: Vec<Name>,
    /// No record was seen: any field may come.
    pub open: bool,
}

impl Shape {
    /// Whether a field of that name may be asked for.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.open || self.fields.iter().any(|field| **field == *name)
    }
}

/// The kinds of [`Type`].
#[derive(Clone, Debug)]
pub enum Kind {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Short,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// IEEE 754, 32 bits.
    Float,
    /// IEEE 754, 64 bits.
    Double,
    /// Decimal digits.
    Decimal,
    /// Truth value.
    Bool,
    /// Text.
    String,
    /// Day.
    Date,
    /// Time of day.
    Time,
    /// Day and time of day, UTC.
    Timestamp,
    /// Span of time.
    Interval,
    /// Bytes.
    Binary,
    /// Known when the query runs; with the fields of a topic's element.
    Any(Option<Rc<Shape>>),
    /// Of a bare null.
    Undefined,
    /// Of an expression in error: fits everything.
    Error,
    /// Fields.
    Record(Rc<Fields>),
    /// Elements.
    Collection(Rc<Element>),
}

/// The fields of a record type.
#[derive(Debug)]
pub struct Fields {
    /// In order; names differ.
    pub list: Vec<(Name, Type)>,
    depth: u32,
    size: u32,
}

/// The element of a collection type.
#[derive(Debug)]
pub struct Element {
    /// Its type.
    pub kind: Type,
    depth: u32,
    size: u32,
}

/// A type.
#[derive(Clone, Debug)]
pub struct Type {
    /// What.
    pub kind: Kind,
    /// May be null.
    pub nullable: bool,
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        Self { kind, nullable: false }
    }
}

impl Type {
    /// `any` without known fields.
    pub const ANY: Type = Type { kind: Kind::Any(None), nullable: false };
    /// See [`Kind::Error`].
    pub const ERROR: Type = Type { kind: Kind::Error, nullable: false };

    /// A record; `None` if it is too large.
    #[must_use]
    pub fn record(list: Vec<(Name, Type)>) -> Option<Type> {
        let depth = 1 + list.iter().map(|(_, kind)| kind.depth()).max().unwrap_or(0);
        let size = list.iter().fold(1_u32, |sum, (_, kind)| sum.saturating_add(kind.size()));
        let fits = depth <= DEPTH_MAX && size <= SIZE_MAX;
        fits.then(|| Kind::Record(Rc::new(Fields { list, depth, size })).into())
    }

    /// A collection; `None` if it is too large.
    #[must_use]
    pub fn collection(kind: Type) -> Option<Type> {
        let depth = 1 + kind.depth();
        let size = kind.size().saturating_add(1);
        let fits = depth <= DEPTH_MAX && size <= SIZE_MAX;
        fits.then(|| Kind::Collection(Rc::new(Element { kind, depth, size })).into())
    }

    fn depth(&self) -> u32 {
        match &self.kind {
            Kind::Record(fields) => fields.depth,
            Kind::Collection(element) => element.depth,
            _ => 0,
        }
    }

    fn size(&self) -> u32 {
        match &self.kind {
            Kind::Record(fields) => fields.size,
            Kind::Collection(element) => element.size,
            _ => 1,
        }
    }

    /// The same type, or null.
    #[must_use]
    pub fn nullable(mut self) -> Type {
        self.nullable = true;
        self
    }

    /// The same type, nullable if `condition`.
    #[must_use]
    pub fn or_null(mut self, condition: bool) -> Type {
        self.nullable |= condition;
        self
    }

    /// Known only when the query runs.
    #[must_use]
    pub fn is_any(&self) -> bool {
        matches!(self.kind, Kind::Any(_))
    }

    /// Of an expression in error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.kind, Kind::Error)
    }

    /// Fits whatever is expected.
    #[must_use]
    pub fn is_free(&self) -> bool {
        matches!(self.kind, Kind::Any(_) | Kind::Undefined | Kind::Error)
    }

    /// Whether values of it may be null.
    #[must_use]
    pub fn may_be_null(&self) -> bool {
        self.nullable || self.is_free()
    }

    /// Place among the numbers that widen into each other; `None` if it is no number.
    #[must_use]
    pub fn rank(&self) -> Option<u8> {
        Some(match self.kind {
            Kind::Byte => 0,
            Kind::Short => 1,
            Kind::Int => 2,
            Kind::Long => 3,
            Kind::Decimal => 4,
            Kind::Float => 5,
            Kind::Double => 6,
            _ => return None,
        })
    }

    /// Whether it is an integer.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        self.rank().is_some_and(|rank| rank <= 3)
    }

    /// The element type of a collection.
    #[must_use]
    pub fn element(&self) -> Option<&Type> {
        match &self.kind {
            Kind::Collection(element) => Some(&element.kind),
            _ => None,
        }
    }

    /// The fields of a record.
    #[must_use]
    pub fn fields(&self) -> Option<&[(Name, Type)]> {
        match &self.kind {
            Kind::Record(fields) => Some(&fields.list),
            _ => None,
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Type> {
        self.fields()?.iter().find(|(field, _)| **field == *name).map(|(_, kind)| kind)
    }

    /// What a message says where this is expected: any number is `number`.
    #[must_use]
    pub fn wanted(&self) -> String {
        if self.rank().is_some() {
            return "number".to_owned();
        }
        Type { kind: self.kind.clone(), nullable: false }.to_string()
    }

    /// The type of values that are of the one or the other; `None` if they do not agree. The
    /// fields of records have the same names in the same order.
    #[must_use]
    pub fn join(&self, other: &Type) -> Option<Type> {
        let nullable = self.nullable || other.nullable;
        let kind = match (&self.kind, &other.kind) {
            (Kind::Error, _) | (_, Kind::Error) => Kind::Error,
            (Kind::Undefined, Kind::Undefined) => Kind::Undefined,
            (Kind::Undefined, kind) | (kind, Kind::Undefined) => {
                return Some(Type { kind: kind.clone(), nullable: true });
            }
            (Kind::Any(a), Kind::Any(b)) if a == b => Kind::Any(a.clone()),
            (Kind::Any(_), _) | (_, Kind::Any(_)) => Kind::Any(None),
            (Kind::Record(a), Kind::Record(b)) => {
                if a.list.len() != b.list.len() {
                    return None;
                }
                let pairs = a.list.iter().zip(&b.list);
                let fields = pairs.map(|((name, left), (same, right))| {
                    (name == same).then(|| left.join(right)).flatten().map(|k| (name.clone(), k))
                });
                return Some(Type::record(fields.collect::<Option<_>>()?)?.or_null(nullable));
            }
            (Kind::Collection(a), Kind::Collection(b)) => {
                return Some(Type::collection(a.kind.join(&b.kind)?)?.or_null(nullable));
            }
            (left, right) => match (self.rank(), other.rank()) {
                (Some(a), Some(b)) => {
                    if a >= b {
                        left.clone()
                    } else {
                        right.clone()
                    }
                }
                (None, None) if std::mem::discriminant(left) == std::mem::discriminant(right) => {
                    left.clone()
                }
                _ => return None,
            },
        };
        Some(Type { kind, nullable })
    }

    /// Whether a value of `self` may stand where `wanted` is declared: numbers widen.
    #[must_use]
    pub fn fits(&self, wanted: &Type) -> bool {
        match (&self.kind, &wanted.kind) {
            _ if self.is_free() || wanted.is_free() => true,
            (Kind::Collection(a), Kind::Collection(b)) => a.kind.fits(&b.kind),
            (Kind::Record(a), Kind::Record(b)) => {
                a.list.len() == b.list.len()
                    && a.list.iter().zip(&b.list).all(|(x, y)| x.0 == y.0 && x.1.fits(&y.1))
            }
            _ => match (self.rank(), wanted.rank()) {
                (Some(a), Some(b)) => a <= b,
                (None, None) => {
                    std::mem::discriminant(&self.kind) == std::mem::discriminant(&wanted.kind)
                }
                _ => false,
            },
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Byte => f.write_str("byte"),
            Kind::Short => f.write_str("short"),
            Kind::Int => f.write_str("int"),
            Kind::Long => f.write_str("long"),
            Kind::Float => f.write_str("float"),
            Kind::Double => f.write_str("double"),
            Kind::Decimal => f.write_str("decimal"),
            Kind::Bool => f.write_str("bool"),
            Kind::String => f.write_str("string"),
            Kind::Date => f.write_str("date"),
            Kind::Time => f.write_str("time"),
            Kind::Timestamp => f.write_str("timestamp"),
            Kind::Interval => f.write_str("interval"),
            Kind::Binary => f.write_str("binary"),
            Kind::Any(_) => f.write_str("any"),
            Kind::Undefined | Kind::Error => f.write_str("undefined"),
            Kind::Collection(element) => write!(f, "collection({})", element.kind),
            Kind::Record(fields) => {
                f.write_str("record(")?;
                for (index, (name, kind)) in fields.list.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{name}: {kind}")?;
                }
                f.write_str(")")
            }
        }?;
        // Whatever is known only at run time may be null anyway.
        if self.nullable && !self.is_free() { f.write_str(" nullable") } else { Ok(()) }
    }
}

/// The type that a name means, in any case.
#[must_use]
pub fn named(name: &str) -> Option<Kind> {
    Some(match name.to_ascii_lowercase().as_str() {
        "byte" | "tinyint" => Kind::Byte,
        "short" | "smallint" => Kind::Short,
        "int" | "integer" => Kind::Int,
        "long" | "bigint" => Kind::Long,
        "float" | "real" => Kind::Float,
        "double" => Kind::Double,
        "decimal" | "numeric" => Kind::Decimal,
        "bool" | "boolean" => Kind::Bool,
        "string" | "varchar" | "char" => Kind::String,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "timestamp" => Kind::Timestamp,
        "interval" => Kind::Interval,
        "binary" => Kind::Binary,
        "any" => Kind::Any(None),
        "undefined" => Kind::Undefined,
        _ => return None,
    })
}

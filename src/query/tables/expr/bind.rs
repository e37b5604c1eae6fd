//! Names to columns, functions and aggregates; kinds checked; constants converted.

use super::scalar::{Answer, Scalar};
use super::text::WIDE_LENGTH;
use super::{Node, Pseudo, Typed};
use crate::model::table::Kind;
use crate::model::table::kind::DECIMAL_DIGITS_MAX;
use crate::model::table::rows::Cell;
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::{Binary, Expr};
use crate::query::tables::codes;
use crate::query::tables::convert::{Clock, moment};
use crate::query::tables::relation::RelationColumn;
use crate::query::tables::select::aggregate::{Aggregate, Function};
use crate::query::tables::time;
use std::sync::Arc;

/// Bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

type Bound<T> = Result<T, Wrong>;

/// What stands for questions about the session.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its database.
    pub database: Option<String>,
    /// The version that clients are told.
    pub version: String,
    /// Its user.
    pub user: String,
    /// Users are made by statements, since the configuration names none.
    pub keeps_users: bool,
    /// What the client calls itself, its library, and the address that it says or has.
    pub app: String,
    /// Its library.
    pub connector: String,
    /// The address that it says or has.
    pub address: String,
}

/// Binds the expressions of one query.
#[derive(Debug)]
pub struct Binder<'a> {
    /// What names may mean.
    pub columns: &'a [RelationColumn],
    /// Now, and what times count.
    pub clock: &'a Clock,
    /// The session.
    pub about: &'a About,
    /// Values of `?`.
    pub parameters: &'a [Cell],
    /// Aggregates met; `None` where there may be none.
    pub aggregates: Option<Vec<Aggregate>>,
    /// Whether there are windows.
    pub windows: bool,
}

fn constant(cell: Cell, kind: Kind) -> Typed {
    Typed { node: Node::Const(cell), kind }
}

impl Binder<'_> {
    /// Binds one.
    ///
    /// # Errors
    /// A name that is not there, a function used wrongly.
    pub fn bind(&mut self, expr: &Expr) -> Bound<Typed> {
        if let Some(literal) = self.literal(expr)? {
            return Ok(literal);
        }
        Ok(match expr {
            Expr::Column(table, name) => self.column(table.as_deref(), name)?,
            Expr::Negate(inner) => {
                let inner = self.bind(inner)?;
                let kind = match inner.kind {
                    Kind::Decimal(..) => inner.kind,
                    kind if kind.is_integer() => Kind::BigInt,
                    _ => Kind::Double,
                };
                Typed { node: Node::Negate(Box::new(inner.node)), kind }
            }
            Expr::Not(inner) => {
                let inner = self.bind(inner)?;
                Typed { node: Node::Not(Box::new(inner.node)), kind: Kind::Bool }
            }
            Expr::IsNull(inner, not) => {
                let inner = self.bind(inner)?;
                Typed { node: Node::IsNull(Box::new(inner.node), *not), kind: Kind::Bool }
            }
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Expr::Between(inner, low, high, not) => {
                let low = self.binary(Binary::GreaterOrEqual, inner, low)?;
                let high = self.binary(Binary::LessOrEqual, inner, high)?;
                let both = Node::Binary(Binary::And, Box::new(low.node), Box::new(high.node));
                let node = if *not { Node::Not(Box::new(both)) } else { both };
                Typed { node, kind: Kind::Bool }
            }
            Expr::In(inner, list, not) => {
                let inner = self.bind(inner)?;
                let mut nodes = Vec::with_capacity(list.len());
                for one in list {
                    let one = self.bind(one)?;
                    nodes.push(self.against(one, inner.kind)?.node);
                }
                Typed { node: Node::In(Box::new(inner.node), nodes, *not), kind: Kind::Bool }
            }
            Expr::Call(name, arguments) => self.call(name, arguments)?,
            Expr::Cast(inner, kind) => {
                let inner = self.bind(inner)?;
                Typed { node: Node::Cast(Box::new(inner.node), *kind), kind: *kind }
            }
            Expr::Case(subject, arms, otherwise) => self.case(subject, arms, otherwise)?,
            _ => return Err(codes::unsupported("*")),
        })
    }

    /// Binds one whose value is shown: a member of a JSON tag is JSON again.
    ///
    /// # Errors
    /// As [`Binder::bind`].
    pub fn shown(&mut self, expr: &Expr) -> Bound<Typed> {
        let typed = self.bind(expr)?;
        Ok(match (&typed.node, typed.kind) {
            (Node::Binary(Binary::Arrow, ..), Kind::Json) => {
                Typed { node: Node::Cast(Box::new(typed.node), Kind::Json), kind: Kind::Json }
            }
            _ => typed,
        })
    }

    /// What is the same for all rows.
    fn literal(&self, expr: &Expr) -> Bound<Option<Typed>> {
        Ok(Some(match expr {
            Expr::Null => constant(Cell::Null, Kind::Null),
            Expr::Bool(b) => constant(Cell::Bool(*b), Kind::Bool),
            Expr::Int(n) => constant(Cell::Int(*n), Kind::BigInt),
            Expr::Big(n) => constant(Cell::Uint(*n), Kind::UBigInt),
            Expr::Double(n) => constant(Cell::Double(*n), Kind::Double),
            Expr::Text(text) => constant(Cell::text(text), Kind::Varchar(text.len().max(1) as u32)),
            Expr::Duration(duration) => {
                let units = time::units(*duration, self.clock.precision);
                constant(units.map_or(Cell::Null, Cell::Int), Kind::BigInt)
            }
            Expr::Parameter(index) => {
                let cell = self.parameters.get(*index).cloned();
                let cell = cell.ok_or_else(|| codes::unsupported("?"))?;
                let kind = match &cell {
                    Cell::Null => Kind::Null,
                    Cell::Bool(_) => Kind::Bool,
                    Cell::Int(_) => Kind::BigInt,
                    Cell::Uint(_) => Kind::UBigInt,
                    Cell::Double(_) => Kind::Double,
                    Cell::Text(text) => Kind::Varchar(text.len().max(1) as u32),
                    Cell::Decimal(decimal) => Kind::Decimal(38, decimal.scale() as u8),
                    Cell::Bytes(bytes) => Kind::Varbinary(bytes.len().max(1) as u32),
                };
                constant(cell, kind)
            }
            _ => return Ok(None),
        }))
    }

    fn case(
        &mut self,
        subject: &Option<Box<Expr>>,
        arms: &[(Expr, Expr)],
        otherwise: &Option<Box<Expr>>,
    ) -> Bound<Typed> {
        let mut bound = Vec::with_capacity(arms.len());
        let mut kind = Kind::Null;
        for (when, then) in arms {
            let when = match subject {
                Some(subject) => self.binary(Binary::Equal, subject, when)?,
                None => self.bind(when)?,
            };
            let then = self.bind(then)?;
            kind = wider(kind, then.kind);
            bound.push((when.node, then.node));
        }
        let last = match otherwise {
            Some(otherwise) => self.bind(otherwise)?,
            None => constant(Cell::Null, Kind::Null),
        };
        let kind = wider(kind, last.kind);
        // Values of several kinds become of one.
        let node = Node::Case(bound, Box::new(last.node));
        let node = if kind == Kind::Null { node } else { Node::Cast(Box::new(node), kind) };
        Ok(Typed { node, kind })
    }

    /// The column of a name.
    ///
    /// # Errors
    /// There is none.
    pub fn column(&self, table: Option<&str>, name: &str) -> Bound<Typed> {
        let pseudo = match name {
            "_wstart" => Some((Pseudo::WindowStart, Kind::Timestamp)),
            "_wend" => Some((Pseudo::WindowEnd, Kind::Timestamp)),
            "_wduration" => Some((Pseudo::WindowDuration, Kind::BigInt)),
            "_qstart" => Some((Pseudo::QueryStart, Kind::Timestamp)),
            "_qend" => Some((Pseudo::QueryEnd, Kind::Timestamp)),
            _ => None,
        };
        if let Some((pseudo, kind)) = pseudo {
            if name.starts_with("_w") && !self.windows {
                return Err(codes::unsupported(name));
            }
            return Ok(Typed { node: Node::Pseudo(pseudo), kind });
        }
        let first = |name: &str| matches!(name, "_rowts" | "_c0");
        let fits = |column: &&RelationColumn| {
            table.is_none_or(|table| column.table.as_deref() == Some(table))
        };
        let mut own = self.columns.iter().filter(fits);
        let found = own.find(|column| *column.name == *name).or_else(|| {
            let time = |column: &&RelationColumn| column.kind == Kind::Timestamp;
            self.columns.iter().filter(fits).find(time).filter(|_| first(name))
        });
        let found = found.ok_or_else(|| codes::no_column(name))?;
        let index = self.columns.iter().position(|column| std::ptr::eq(column, found));
        Ok(Typed { node: Node::Column(index.unwrap_or(0)), kind: found.kind })
    }

    fn binary(&mut self, operator: Binary, left: &Expr, right: &Expr) -> Bound<Typed> {
        if let Expr::Duration(duration) = right
            && matches!(operator, Binary::Add | Binary::Subtract)
        {
            let inner = self.bind(left)?;
            let sign = if operator == Binary::Add { 1 } else { -1 };
            if inner.kind == Kind::Timestamp {
                let node = Node::Move(Box::new(inner.node), *duration, sign);
                return Ok(Typed { node, kind: Kind::Timestamp });
            }
        }
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        match operator {
            Binary::Like | Binary::NotLike | Binary::Match | Binary::NotMatch => {
                return pattern(operator, left, &right);
            }
            Binary::Arrow => {
                let (left, right) = (Box::new(left.node), Box::new(right.node));
                let node = Node::Binary(operator, left, right);
                return Ok(Typed { node, kind: Kind::Json });
            }
            _ => {}
        }
        let kind = match operator {
            Binary::Add | Binary::Subtract => match (left.kind, right.kind) {
                (Kind::Timestamp, Kind::Timestamp) => Kind::BigInt,
                (Kind::Timestamp, _) | (_, Kind::Timestamp) => Kind::Timestamp,
                _ => computed(operator, left.kind, right.kind),
            },
            Binary::Multiply | Binary::Divide | Binary::Remainder => {
                computed(operator, left.kind, right.kind)
            }
            _ => Kind::Bool,
        };
        if kind != Kind::Bool {
            let node = Node::Binary(operator, Box::new(left.node), Box::new(right.node));
            return Ok(match kind {
                Kind::Double => Typed { node, kind },
                _ => Typed { node: Node::Cast(Box::new(node), kind), kind },
            });
        }
        let (one, other) = (left.kind, right.kind);
        let (left, right) = (self.against(left, other)?, self.against(right, one)?);
        let node = Node::Binary(operator, Box::new(left.node), Box::new(right.node));
        Ok(Typed { node, kind: Kind::Bool })
    }

    /// A constant that is compared with a value of this kind: texts become times and bytes, numbers
    /// lose what a column of 32 bits does not have.
    fn against(&self, typed: Typed, kind: Kind) -> Bound<Typed> {
        if let (Kind::Float, Node::Const(Cell::Double(n))) = (kind, &typed.node) {
            // As the column has it, so that 1.1 is found.
            return Ok(constant(Cell::Double(f64::from(*n as f32)), Kind::Double));
        }
        let Node::Const(Cell::Text(text)) = &typed.node else { return Ok(typed) };
        if kind == Kind::Timestamp {
            let Clock { precision, zone, .. } = *self.clock;
            let at = text.trim().parse().ok().or_else(|| time::parse(text, precision, zone));
            let at = at.ok_or_else(codes::bad_value)?;
            return Ok(constant(Cell::Int(at), Kind::Timestamp));
        }
        if kind.is_bytes() {
            let cell = crate::query::tables::convert::store(
                Cell::Text(Arc::clone(text)),
                Kind::Blob,
                self.clock,
            )?;
            return Ok(constant(cell, kind));
        }
        Ok(typed)
    }

    fn call(&mut self, name: &str, arguments: &[Expr]) -> Bound<Typed> {
        if let Some(about) = self.about(name, arguments) {
            return Ok(about);
        }
        if let Some(function) = Function::of(name) {
            return self.aggregate(function, arguments);
        }
        let Some(scalar) = Scalar::of(name) else {
            return Err(codes::unsupported(&format!("{name}(")));
        };
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in arguments {
            bound.push(self.bind(argument)?);
        }
        let kinds: Vec<Kind> = bound.iter().map(|typed| typed.kind).collect();
        let wide = matches!(kinds.as_slice(), [Kind::Nchar(_)]) && name == "length";
        let scalar = if wide { Scalar::of(WIDE_LENGTH).unwrap_or(scalar) } else { scalar };
        let Answer { kind } = scalar.check(&kinds)?;
        let nodes = bound.into_iter().map(|typed| typed.node).collect();
        let node = Node::Call(scalar, nodes);
        let node = if scalar.mixes() { Node::Cast(Box::new(node), kind) } else { node };
        Ok(Typed { node, kind })
    }

    /// What the session, not a row, answers.
    fn about(&self, name: &str, arguments: &[Expr]) -> Option<Typed> {
        if !arguments.is_empty() {
            return None;
        }
        let text = |text: &str| constant(Cell::text(text), Kind::Varchar(text.len().max(1) as u32));
        Some(match name {
            "now" | "today" => {
                let at = moment(&Expr::Call(name.to_owned(), Vec::new()), self.clock)?;
                constant(Cell::Int(at), Kind::Timestamp)
            }
            "database" => match &self.about.database {
                Some(database) => constant(Cell::text(database), Kind::Varchar(64)),
                None => constant(Cell::Null, Kind::Varchar(64)),
            },
            "server_version" | "client_version" => text(&self.about.version),
            "server_status" => constant(Cell::Int(1), Kind::Int),
            "current_user" | "user" => text(&self.about.user),
            "timezone" => text(self.clock.zone.name()),
            _ => return None,
        })
    }

    fn aggregate(&mut self, function: Function, arguments: &[Expr]) -> Bound<Typed> {
        let Some(outer) = self.aggregates.take() else {
            return Err(codes::unsupported("aggregate"));
        };
        // No aggregate inside another.
        let mut bound = Vec::new();
        let mut outcome = Ok(());
        for argument in arguments {
            match argument {
                Expr::Star(None) => {}
                other => match self.bind(other) {
                    Ok(typed) => bound.push(typed),
                    Err(wrong) => {
                        outcome = Err(wrong);
                        break;
                    }
                },
            }
        }
        self.aggregates = Some(outer);
        outcome?;
        let star = matches!(arguments.first(), Some(Expr::Star(None)));
        let time = self.columns.iter().position(|column| column.kind == Kind::Timestamp);
        let clock = (self.clock, time);
        let aggregate = Aggregate::new(function, bound, star, arguments.len(), clock)?;
        let kind = aggregate.kind;
        let list = self.aggregates.get_or_insert_default();
        list.push(aggregate);
        Ok(Typed { node: Node::Aggregate(list.len() - 1), kind })
    }
}

/// The kind of arithmetic: decimals stay such, anything else is a double.
fn computed(operator: Binary, left: Kind, right: Kind) -> Kind {
    let scale = |kind: Kind| match kind {
        Kind::Decimal(_, scale) => Some(u32::from(scale)),
        kind if kind.is_integer() => Some(0),
        _ => None,
    };
    let is_decimal = |kind| matches!(kind, Kind::Decimal(..));
    let (Some(a), Some(b), true) =
        (scale(left), scale(right), is_decimal(left) || is_decimal(right))
    else {
        return Kind::Double;
    };
    let scale = match operator {
        Binary::Multiply => a + b,
        Binary::Divide => a.max(6),
        _ => a.max(b),
    };
    Kind::Decimal(DECIMAL_DIGITS_MAX, scale.min(30) as u8)
}

/// The kind that holds values of both.
#[must_use]
pub fn wider(one: Kind, other: Kind) -> Kind {
    match (one, other) {
        (Kind::Null, kind) | (kind, Kind::Null) => kind,
        (a, b) if a == b => a,
        (Kind::Nchar(a), b) | (b, Kind::Nchar(a)) if b.is_text() => Kind::Nchar(a.max(b.length())),
        (a, b) if a.is_text() && b.is_text() => Kind::Varchar(a.length().max(b.length())),
        (a, b) if a.is_text() || b.is_text() => Kind::Varchar(a.length().max(b.length()).max(32)),
        (a, b) if a.is_float() || b.is_float() => Kind::Double,
        (Kind::Decimal(_, a), Kind::Decimal(_, b)) => Kind::Decimal(DECIMAL_DIGITS_MAX, a.max(b)),
        (a @ Kind::Decimal(..), _) | (_, a @ Kind::Decimal(..)) => a,
        (a, b) if a.is_integer() && b.is_integer() => Kind::BigInt,
        (a, _) => a,
    }
}

fn pattern(operator: Binary, left: Typed, right: &Typed) -> Bound<Typed> {
    let Node::Const(Cell::Text(text)) = &right.node else {
        return Err(codes::unsupported("pattern"));
    };
    let source = match operator {
        Binary::Like | Binary::NotLike => like(text),
        _ => text.to_string(),
    };
    let built = regex::RegexBuilder::new(&source).size_limit(PATTERN_BYTES_MAX).build();
    let pattern = Arc::new(built.map_err(|_| codes::unsupported(text))?);
    let not = matches!(operator, Binary::NotLike | Binary::NotMatch);
    Ok(Typed { node: Node::Matches(Box::new(left.node), pattern, not), kind: Kind::Bool })
}

/// The regular expression of a LIKE pattern.
#[must_use]
pub fn like(pattern: &str) -> String {
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '\\' => {
                let escaped = chars.next().unwrap_or('\\');
                out.push_str(&regex::escape(&escaped.to_string()));
            }
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out.push('$');
    out
}

//! Operators with two operands: the left one decides, the message stands at the other.

use super::super::ast::{self, Id};
use super::super::source::Span;
use super::expression::{truth_of, without_shape};
use super::{Binder, Typed, WRONG};
use crate::query::strict::plan::{Arithmetic, Comparison, Node};
use crate::query::strict::types::{Kind, Type};

impl Binder<'_> {
    pub(super) fn arithmetic(&mut self, first: Id, rest: &[(ast::Arithmetic, Id)]) -> Typed {
        let start = self.span(first);
        let (first, mut kind) = self.expression(first);
        let mut left = start;
        let mut nodes = Vec::with_capacity(rest.len());
        for (operator, id) in rest {
            let (node, right) = self.expression(*id);
            let operator = lowered(*operator);
            kind = self.result(operator, (&kind, left), (&right, self.span(*id)));
            left = start.to(self.span(*id));
            nodes.push((operator, node));
        }
        (Node::Arithmetic(Box::new(first), nodes), kind)
    }

    fn result(
        &mut self,
        operator: Arithmetic,
        (left, left_at): (&Type, Span),
        (right, right_at): (&Type, Span),
    ) -> Type {
        if left.is_error() || right.is_error() {
            return Type::ERROR;
        }
        let additive = matches!(operator, Arithmetic::Add | Arithmetic::Subtract);
        let null = left.may_be_null() || right.may_be_null();
        let wanted = match &left.kind {
            Kind::Any(_) => return Type::ANY,
            Kind::Undefined => match &right.kind {
                Kind::Bool | Kind::Binary | Kind::Record(_) | Kind::Collection(_) => "number",
                _ => return without_shape(right.clone().nullable()),
            },
            Kind::String if operator == Arithmetic::Add => match right.kind {
                Kind::String | Kind::Undefined => return Type::from(Kind::String).or_null(null),
                _ => "string",
            },
            Kind::Date | Kind::Time | Kind::Timestamp | Kind::Interval if additive => {
                match (&left.kind, &right.kind) {
                    (_, Kind::Interval | Kind::Undefined) => return left.clone().or_null(null),
                    (Kind::Date, Kind::Date) | (Kind::Timestamp, Kind::Timestamp)
                        if operator == Arithmetic::Subtract =>
                    {
                        return Type::from(Kind::Interval).or_null(null);
                    }
                    _ => "interval",
                }
            }
            _ if left.rank().is_some() => match (left.join(right), right.rank()) {
                (Some(joined), Some(_)) => return joined,
                _ if matches!(right.kind, Kind::Undefined) => return left.clone().nullable(),
                _ => "number",
            },
            _ => {
                self.mismatch(left_at, "number", left);
                return Type::ERROR;
            }
        };
        if right.is_any() {
            return Type::ANY;
        }
        self.mismatch(right_at, wanted, right);
        Type::ERROR
    }

    /// Whether the operands may be compared; tells if not. `ordered`: by more than equality.
    pub(super) fn comparable(
        &mut self,
        (left, left_at): (&Type, Span),
        (right, right_at): (&Type, Span),
        ordered: bool,
    ) -> bool {
        if left.is_error() || right.is_error() {
            return false;
        }
        let nested = |kind: &Type| matches!(kind.kind, Kind::Record(_) | Kind::Collection(_));
        if ordered && nested(left) {
            self.mismatch(left_at, "scalar", left);
            return false;
        }
        if left.join(right).is_none() {
            self.mismatch(right_at, &left.wanted(), right);
            return false;
        }
        if ordered && nested(right) {
            self.mismatch(right_at, "scalar", right);
            return false;
        }
        true
    }

    pub(super) fn compare(&mut self, operator: ast::Comparison, left: Id, right: Id) -> Typed {
        let operator = match operator {
            ast::Comparison::Equal => Comparison::Equal,
            ast::Comparison::NotEqual => Comparison::NotEqual,
            ast::Comparison::Less => Comparison::Less,
            ast::Comparison::LessEqual => Comparison::LessEqual,
            ast::Comparison::Greater => Comparison::Greater,
            ast::Comparison::GreaterEqual => Comparison::GreaterEqual,
        };
        let ordered = !matches!(operator, Comparison::Equal | Comparison::NotEqual);
        let (a, left_kind) = self.expression(left);
        let (b, right_kind) = self.expression(right);
        let (left, right) = ((&left_kind, self.span(left)), (&right_kind, self.span(right)));
        if !self.comparable(left, right, ordered) {
            return WRONG;
        }
        let null = left_kind.may_be_null() || right_kind.may_be_null();
        (Node::Compare(operator, Box::new([a, b])), Type::from(Kind::Bool).or_null(null))
    }

    pub(super) fn like(&mut self, not: bool, left: Id, right: Id) -> Typed {
        let (a, left_kind) = self.expression(left);
        let (b, right_kind) = self.expression(right);
        let mut good = !left_kind.is_error() && !right_kind.is_error();
        for (kind, id) in [(&left_kind, left), (&right_kind, right)] {
            if !kind.is_free() && !matches!(kind.kind, Kind::String) {
                self.mismatch(self.span(id), "string", kind);
                good = false;
            }
        }
        if !good {
            return WRONG;
        }
        let null = left_kind.may_be_null() || right_kind.may_be_null();
        (Node::Like(not, Box::new([a, b])), Type::from(Kind::Bool).or_null(null))
    }

    pub(super) fn inside(&mut self, not: bool, left: Id, right: Id) -> Typed {
        let (a, left_kind) = self.expression(left);
        let (b, right_kind) = self.collection(right, false);
        if left_kind.is_error() || right_kind.is_error() {
            return WRONG;
        }
        let element = right_kind.element().cloned().unwrap_or(Type::ANY);
        let (left, right) = ((&left_kind, self.span(left)), (&element, self.span(right)));
        if !self.comparable(left, right, false) {
            return WRONG;
        }
        let null = left_kind.may_be_null() || right_kind.may_be_null() || element.may_be_null();
        (Node::In(not, Box::new([a, b])), Type::from(Kind::Bool).or_null(null))
    }

    pub(super) fn between(&mut self, not: bool, value: Id, low: Id, high: Id) -> Typed {
        let (a, kind) = self.expression(value);
        let (b, low_kind) = self.expression(low);
        let (c, high_kind) = self.expression(high);
        let at = self.span(value);
        let first = self.comparable((&kind, at), (&low_kind, self.span(low)), true);
        // What is wrong with the value itself is told once.
        let nested = matches!(kind.kind, Kind::Record(_) | Kind::Collection(_));
        let second = nested || self.comparable((&kind, at), (&high_kind, self.span(high)), true);
        if !first || !second || nested {
            return WRONG;
        }
        let mut result = truth_of(&kind);
        result.nullable |= low_kind.may_be_null() || high_kind.may_be_null();
        (Node::Between(not, Box::new([a, b, c])), result)
    }
}

fn lowered(operator: ast::Arithmetic) -> Arithmetic {
    match operator {
        ast::Arithmetic::Add => Arithmetic::Add,
        ast::Arithmetic::Subtract => Arithmetic::Subtract,
        ast::Arithmetic::Multiply => Arithmetic::Multiply,
        ast::Arithmetic::Divide => Arithmetic::Divide,
        ast::Arithmetic::Remainder => Arithmetic::Remainder,
    }
}

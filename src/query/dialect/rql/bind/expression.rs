//! Expressions that are neither names, calls nor `SELECT`.

use super::super::ast::{Id, Kind as Ast, TypeId};
use super::super::source::Span;
use super::literal::widened;
use super::{Binder, Typed, WRONG};
use crate::query::strict::cast::castable;
use crate::query::strict::plan::Node;
use crate::query::strict::types::{Kind, Type};
use crate::query::strict::value::Value;
use std::rc::Rc;

impl Binder<'_> {
    pub(super) fn by_kind(&mut self, id: Id) -> Typed {
        let span = self.span(id);
        match self.kind(id) {
            Ast::Null => (Node::NULL, Type::from(Kind::Undefined).nullable()),
            Ast::Bool(flag) => (Node::Constant(Value::Bool(*flag)), Kind::Bool.into()),
            Ast::Integer(number) => {
                let kind = if i32::try_from(*number).is_ok() { Kind::Int } else { Kind::Long };
                (Node::Constant(Value::Int(*number)), kind.into())
            }
            Ast::Number(number) => (Node::Constant(Value::Double(*number)), Kind::Double.into()),
            Ast::Text(text) => (Node::Constant(Value::Text(text.clone())), Kind::String.into()),
            Ast::Temporal(kind, text, at) => self.temporal(*kind, text, *at),
            Ast::Name(word) => self.name(word, &[], false),
            Ast::Path(base, words) => self.path(*base, words, false),
            Ast::Star => self.star(span),
            Ast::Partition => self.partition(span),
            Ast::Call(callee, kind, arguments) => self.call(id, *callee, *kind, arguments),
            Ast::Record(fields) => self.record(fields, span),
            Ast::List(elements) => self.list(elements, span),
            Ast::Distinct(inner) => self.distinct(*inner),
            Ast::Cast(lenient, value, kind) => self.cast(*lenient, *value, *kind, span),
            Ast::If(condition, yes, no) => self.choice(*condition, *yes, *no),
            Ast::Case(subject, branches, otherwise) => self.case(*subject, branches, *otherwise),
            Ast::Select(select) => self.select(select, span),
            Ast::Signed(minus, operand) => self.signed(*minus, *operand),
            Ast::Not(odd, operand) => {
                let (node, kind) = self.condition(*operand);
                let node = Box::new(node);
                let node = if *odd { Node::Not(node) } else { Node::Truth(node) };
                (node, truth_of(&kind))
            }
            Ast::Arithmetic(first, rest) => self.arithmetic(*first, rest),
            Ast::All(list) => self.logic(list, true),
            Ast::Any(list) => self.logic(list, false),
            Ast::Union(first, rest) => self.union(*first, rest),
            Ast::Compare(operator, left, right) => self.compare(*operator, *left, *right),
            Ast::Like(not, left, right) => self.like(*not, *left, *right),
            Ast::In(not, left, right) => self.inside(*not, *left, *right),
            Ast::Between(not, value, low, high) => self.between(*not, *value, *low, *high),
            Ast::IsNull(not, operand) => {
                let (node, kind) = self.expression(*operand);
                if kind.is_error() {
                    return WRONG;
                }
                (Node::IsNull(*not, Box::new(node)), Kind::Bool.into())
            }
        }
    }

    fn signed(&mut self, minus: bool, operand: Id) -> Typed {
        let (node, kind) = self.expression(operand);
        if kind.is_error() {
            return WRONG;
        }
        if !kind.is_free() && kind.rank().is_none() {
            self.mismatch(self.span(operand), "number", &kind);
            return WRONG;
        }
        let node = Box::new(node);
        (if minus { Node::Negative(node) } else { Node::Positive(node) }, without_shape(kind))
    }

    fn logic(&mut self, list: &[Id], all: bool) -> Typed {
        let mut nodes = Vec::with_capacity(list.len());
        let mut result = Type::from(Kind::Bool);
        for id in list {
            let (node, kind) = self.condition(*id);
            if kind.is_error() {
                result = Type::ERROR;
            }
            result.nullable |= kind.may_be_null();
            nodes.push(node);
        }
        (if all { Node::All(nodes) } else { Node::Any(nodes) }, result)
    }

    fn distinct(&mut self, inner: Id) -> Typed {
        let (node, kind) = self.collection(inner, false);
        (Node::Distinct(Box::new(node)), kind)
    }

    /// An expression that must be a collection; `source`: it is the whole of a generator.
    pub(super) fn collection(&mut self, id: Id, source: bool) -> Typed {
        let (node, kind) = if source { self.generator_source(id) } else { self.expression(id) };
        if !kind.is_free() && kind.element().is_none() {
            self.mismatch(self.span(id), "collection", &kind);
            return WRONG;
        }
        (node, kind)
    }

    fn union(&mut self, first: Id, rest: &[(bool, Id)]) -> Typed {
        let (node, mut joined) = self.collection(first, false);
        let mut bound = vec![(true, node, joined.clone())];
        for (all, id) in rest {
            let (node, kind) = self.collection(*id, false);
            joined = joined.join(&kind).unwrap_or_else(|| {
                self.mismatch(self.span(*id), &joined.wanted(), &kind);
                Type::ERROR
            });
            bound.push((*all, node, kind));
        }
        let widen = |(all, node, kind): (bool, Node, Type)| (all, widened(node, &kind, &joined));
        let parts = bound.into_iter().map(widen).collect();
        (Node::Union(parts), joined)
    }

    fn cast(&mut self, lenient: bool, value: Id, kind: TypeId, span: Span) -> Typed {
        let (node, from) = self.expression(value);
        let to = self.type_of(kind);
        if from.is_error() || to.is_error() {
            return WRONG;
        }
        if !castable(&from, &to) {
            let to = Type { kind: to.kind, nullable: false };
            self.wrong(span, format!("cannot cast {from} to {to}"));
            return WRONG;
        }
        let result = to.clone().or_null(lenient || from.may_be_null());
        (Node::Cast(lenient, Box::new(node), Rc::new(to)), result)
    }

    fn choice(&mut self, condition: Id, yes: Id, no: Id) -> Typed {
        let (condition, tested) = self.condition(condition);
        let (mut nodes, kind) = self.agreeing(&[yes, no]);
        let (Some(no), Some(yes), Some(kind)) = (nodes.pop(), nodes.pop(), kind) else {
            return WRONG;
        };
        let kind = if tested.is_error() { Type::ERROR } else { kind };
        (Node::If(Box::new([condition, yes, no])), kind)
    }

    fn case(&mut self, subject: Option<Id>, branches: &[(Id, Id)], otherwise: Option<Id>) -> Typed {
        let subject = subject.map(|id| (self.expression(id), id));
        let mut conditions = Vec::with_capacity(branches.len());
        for (condition, _) in branches {
            conditions.push(match &subject {
                None => self.condition(*condition).0,
                Some(((_, kind), at)) => {
                    let (node, other) = self.expression(*condition);
                    let (left, right) = ((kind, self.span(*at)), (&other, self.span(*condition)));
                    self.comparable(left, right, false);
                    node
                }
            });
        }
        let mut values: Vec<Id> = branches.iter().map(|(_, value)| *value).collect();
        values.extend(otherwise);
        let (mut nodes, kind) = self.agreeing(&values);
        let otherwise_node = if otherwise.is_some() { nodes.pop().map(Box::new) } else { None };
        let mut kind = kind.unwrap_or(Type::ERROR);
        kind.nullable |= otherwise.is_none();
        let subject = subject.map(|((node, _), _)| Box::new(node));
        (Node::Case(subject, conditions.into_iter().zip(nodes).collect(), otherwise_node), kind)
    }
}

/// A truth value that is null where the operand is.
pub(super) fn truth_of(operand: &Type) -> Type {
    if operand.is_error() {
        return Type::ERROR;
    }
    Type::from(Kind::Bool).or_null(operand.may_be_null())
}

/// The type of a value computed from one of this type.
pub(super) fn without_shape(kind: Type) -> Type {
    if kind.is_any() { Type::ANY } else { kind }
}

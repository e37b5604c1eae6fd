//! Literals of time, records and lists.

use super::super::ast::{Id, Temporal, Word};
use super::super::source::Span;
use super::{Binder, Typed, WRONG};
use crate::query::strict::plan::Node;
use crate::query::strict::time;
use crate::query::strict::types::{Kind, Name, Type};
use crate::query::strict::value::Value;
use std::rc::Rc;

impl Binder<'_> {
    pub(super) fn temporal(&mut self, kind: Temporal, text: &str, span: Span) -> Typed {
        let (value, kind, name) = match kind {
            Temporal::Date => (time::parse_date(text).map(Value::Date), Kind::Date, "date"),
            Temporal::Time => (time::parse_time(text).map(Value::Time), Kind::Time, "time"),
            Temporal::Timestamp => {
                let value = time::parse_timestamp(text).map(Value::Timestamp);
                (value, Kind::Timestamp, "timestamp")
            }
            Temporal::Interval => {
                let value = time::parse_interval(text).map(Value::Interval);
                (value, Kind::Interval, "interval")
            }
        };
        match value {
            Some(value) => (Node::Constant(value), kind.into()),
            None => {
                self.wrong(span, format!("invalid {name}"));
                WRONG
            }
        }
    }

    pub(super) fn list(&mut self, elements: &[Id], span: Span) -> Typed {
        let (nodes, element) = self.agreeing(elements);
        let element = element.unwrap_or(Kind::Undefined.into());
        let kind = if element.is_error() { None } else { Some(Type::collection(element)) };
        match kind {
            Some(kind) => (Node::List(nodes), self.sized(kind, span)),
            None => WRONG,
        }
    }

    /// Expressions that must agree in type; numbers among them are made the widest.
    pub(super) fn agreeing(&mut self, ids: &[Id]) -> (Vec<Node>, Option<Type>) {
        let mut joined: Option<Type> = None;
        let mut bound = Vec::with_capacity(ids.len());
        for id in ids {
            let (node, kind) = self.expression(*id);
            joined = Some(match joined {
                None => kind.clone(),
                Some(before) => before.join(&kind).unwrap_or_else(|| {
                    self.mismatch(self.span(*id), &before.wanted(), &kind);
                    Type::ERROR
                }),
            });
            bound.push((node, kind));
        }
        let Some(joined) = joined else { return (Vec::new(), None) };
        let nodes = bound.into_iter().map(|(node, kind)| widened(node, &kind, &joined)).collect();
        (nodes, Some(joined))
    }

    pub(super) fn record(&mut self, fields: &[(Option<Word>, Id)], span: Span) -> Typed {
        let mut list: Vec<(Name, Type)> = Vec::with_capacity(fields.len());
        let mut nodes = Vec::with_capacity(fields.len());
        let mut seen = ahash::AHashSet::new();
        for (index, (name, value)) in fields.iter().enumerate() {
            let (node, kind) = self.expression(*value);
            let text = match name {
                Some(word) => word.text.clone(),
                None => Rc::from(format!("_{}", index + 1)),
            };
            if !seen.insert(text.clone()) {
                let at = name.as_ref().map_or(self.span(*value), |word| word.span);
                self.wrong(at, format!("{text} is declared more than once"));
                continue;
            }
            list.push((text, kind));
            nodes.push(node);
        }
        let names: Rc<[Name]> = list.iter().map(|(name, _)| name.clone()).collect();
        (Node::Record(names, nodes), self.sized(Type::record(list), span))
    }
}

/// The node with its numbers as those of `to`, which its type was joined to.
pub(super) fn widened(node: Node, from: &Type, to: &Type) -> Node {
    if widens(from, to) {
        let to = Type { kind: to.kind.clone(), nullable: true };
        return Node::Cast(false, Box::new(node), Rc::new(to));
    }
    node
}

fn widens(from: &Type, to: &Type) -> bool {
    match (&from.kind, &to.kind) {
        (Kind::Collection(_), Kind::Collection(to)) => {
            from.element().is_some_and(|from| widens(from, &to.kind))
        }
        (Kind::Record(from), Kind::Record(to)) => {
            from.list.iter().zip(&to.list).any(|((_, from), (_, to))| widens(from, to))
        }
        _ => match (from.rank(), to.rank()) {
            // Integers of all widths are held alike.
            (Some(a), Some(b)) => a != b && b > 3,
            _ => false,
        },
    }
}

//! Aggregates (raw, 2.6): over a group, or over a collection that has nothing to do with the
//! current row. Which it is depends on the argument, so arguments are bound before the expressions
//! around them, once.

use super::super::ast::{self, Argument, Id, Kind as Ast};
use super::select::{Key, Level};
use super::{Binder, Meaning, Typed, WRONG};
use crate::query::strict::plan::{Aggregate, Node};
use crate::query::strict::types::{Kind, Type};

/// Keys that expressions are compared with.
const KEYS_MAX: usize = 64;

/// The aggregate of that name.
pub(super) fn aggregate_named(name: &str) -> Option<Aggregate> {
    Some(match name.to_ascii_uppercase().as_str() {
        "COUNT" => Aggregate::Count,
        "SUM" => Aggregate::Sum,
        "AVG" => Aggregate::Average,
        "MIN" => Aggregate::Minimum,
        "MAX" => Aggregate::Maximum,
        "FIRST" => Aggregate::First,
        "LAST" => Aggregate::Last,
        _ => return None,
    })
}

impl Binder<'_> {
    /// The key that an expression over groups is.
    pub(super) fn group_key(&mut self, id: Id) -> Option<Typed> {
        let scope = self.selects.last()?;
        if scope.level != Level::Group || scope.keys.is_empty() {
            return None;
        }
        if let Ast::Name(word) = self.kind(id)
            && scope.outputs.iter().any(|(name, ..)| *name == word.text)
        {
            return None;
        }
        let alike = |key: &&Key| self.program.alike(id, key.id);
        let key = scope.keys.iter().take(KEYS_MAX).find(alike)?;
        let found = (Node::Slot(key.slot), key.kind.clone());
        self.scope().touched = true;
        Some(found)
    }

    /// The aggregate that a call is of, unless a declared function has its name.
    pub(super) fn called_aggregate(&self, callee: Id) -> Option<Aggregate> {
        let Ast::Name(word) = self.kind(callee) else { return None };
        let declared = self
            .blocks
            .iter()
            .any(|block| matches!(block.get(&word.text), Some(Meaning::Function(_))));
        if word.quoted || declared { None } else { aggregate_named(&word.text) }
    }

    /// Binds the arguments of all aggregates of a `SELECT`; whether one is over its rows.
    pub(super) fn aggregates(&mut self, select: &ast::Select) -> bool {
        let mut roots: Vec<Id> = select.projections.iter().map(|p| p.value).collect();
        roots.extend(select.having.iter().map(|(id, _)| *id));
        roots.extend(select.order.iter().map(|(id, _)| *id));
        let mut calls = Vec::new();
        while let Some(id) = roots.pop() {
            match self.kind(id) {
                Ast::Call(callee, _, _) if self.called_aggregate(*callee).is_some() => {
                    calls.push(id);
                }
                Ast::Select(_) => {}
                kind => roots.extend(children(kind)),
            }
        }
        // In the order of the text.
        calls.sort_by_key(|id| self.span(*id));
        for id in calls {
            if let Ast::Call(callee, _, arguments) = self.kind(id)
                && let Some(aggregate) = self.called_aggregate(*callee)
            {
                let bound = self.row_aggregate(id, aggregate, arguments);
                self.ready.insert(id, bound);
            }
        }
        !self.scope().aggregates.is_empty()
    }

    /// An aggregate where it stands.
    pub(super) fn aggregate(
        &mut self,
        id: Id,
        aggregate: Aggregate,
        arguments: &[Argument],
    ) -> Typed {
        if let Some(bound) = self.ready.remove(&id) {
            return bound;
        }
        self.row_aggregate(id, aggregate, arguments)
    }

    fn row_aggregate(&mut self, id: Id, aggregate: Aggregate, arguments: &[Argument]) -> Typed {
        let span = self.span(id);
        let one = match arguments {
            [] => {
                self.wrong(span, "missing mandatory arguments");
                return WRONG;
            }
            [one] => one,
            _ => {
                self.wrong(span, "too many arguments found");
                return WRONG;
            }
        };
        if let Some(name) = &one.name {
            self.wrong(name.span, format!("found unknown optional argument {}", name.text));
            return WRONG;
        }
        let counts = aggregate == Aggregate::Count;
        let aggregate = if one.distinct && counts { Aggregate::CountDistinct } else { aggregate };
        let inside = !self.selects.is_empty();
        if counts && !one.distinct && matches!(self.kind(one.value), Ast::Star) && inside {
            if self.scope().sealed {
                self.wrong(span, "aggregate not allowed here");
                return WRONG;
            }
            return self.over_rows(Aggregate::Elements, None, Kind::Long.into());
        }
        let (node, kind, touched) = self.argument(one.value);
        if kind.is_error() {
            return WRONG;
        }
        if !touched && (kind.element().is_some() || (!inside && kind.is_free())) {
            let element = kind.element().cloned().unwrap_or(Type::ANY);
            let result = self.aggregated(aggregate, &element, one.value);
            return (Node::Collect(aggregate, Box::new(node)), result.or_null(kind.may_be_null()));
        }
        if !inside {
            self.mismatch(self.span(one.value), "collection", &kind);
            return WRONG;
        }
        if self.scope().sealed {
            self.wrong(span, "aggregate not allowed here");
            return WRONG;
        }
        let result = self.aggregated(aggregate, &kind, one.value);
        self.over_rows(aggregate, Some(node), result)
    }

    fn over_rows(&mut self, aggregate: Aggregate, node: Option<Node>, result: Type) -> Typed {
        let slot = self.slot();
        let scope = self.scope();
        scope.touched = true;
        scope.aggregates.push((aggregate, node, slot));
        (Node::Slot(slot), result)
    }

    /// An argument, bound over rows, and whether it depends on the current row.
    fn argument(&mut self, id: Id) -> (Node, Type, bool) {
        if self.selects.is_empty() {
            let (node, kind) = self.expression(id);
            return (node, kind, false);
        }
        let scope = self.scope();
        let before = (scope.level, scope.sealed, scope.touched);
        scope.level = Level::Row;
        scope.sealed = true;
        scope.touched = false;
        let (node, kind) = self.expression(id);
        let scope = self.scope();
        let touched = scope.touched;
        scope.level = before.0;
        scope.sealed = before.1;
        scope.touched = before.2 || touched;
        (node, kind, touched)
    }

    /// The type of an aggregate of values of type `kind`; tells if they do not fit.
    pub(super) fn aggregated(&mut self, aggregate: Aggregate, kind: &Type, at: Id) -> Type {
        let plain = Type { kind: kind.kind.clone(), nullable: true };
        match aggregate {
            Aggregate::Elements | Aggregate::Count | Aggregate::CountDistinct => Kind::Long.into(),
            Aggregate::Sum | Aggregate::Average => {
                if !kind.is_free() && kind.rank().is_none() {
                    self.mismatch(self.span(at), "number", kind);
                    return Type::ERROR;
                }
                if aggregate == Aggregate::Average {
                    return Type::from(Kind::Double).nullable();
                }
                if kind.is_integer() { Type::from(Kind::Long).nullable() } else { plain }
            }
            Aggregate::Minimum | Aggregate::Least | Aggregate::Maximum => {
                if matches!(kind.kind, Kind::Record(_) | Kind::Collection(_)) {
                    self.mismatch(self.span(at), "scalar", kind);
                    return Type::ERROR;
                }
                plain
            }
            Aggregate::First | Aggregate::Last => plain,
        }
    }
}

/// The expressions directly inside one.
fn children(kind: &Ast) -> Vec<Id> {
    match kind {
        Ast::Path(inner, _)
        | Ast::Distinct(inner)
        | Ast::Cast(_, inner, _)
        | Ast::Signed(_, inner)
        | Ast::Not(_, inner)
        | Ast::IsNull(_, inner) => vec![*inner],
        Ast::Call(callee, _, arguments) => {
            let values = arguments.iter().map(|argument| argument.value);
            std::iter::once(*callee).chain(values).collect()
        }
        Ast::Record(fields) => fields.iter().map(|(_, value)| *value).collect(),
        Ast::List(list) | Ast::All(list) | Ast::Any(list) => list.clone(),
        Ast::If(a, b, c) | Ast::Between(_, a, b, c) => vec![*a, *b, *c],
        Ast::Case(subject, branches, otherwise) => {
            let pairs = branches.iter().flat_map(|(condition, value)| [*condition, *value]);
            subject.iter().copied().chain(pairs).chain(*otherwise).collect()
        }
        Ast::Arithmetic(first, rest) => {
            std::iter::once(*first).chain(rest.iter().map(|(_, id)| *id)).collect()
        }
        Ast::Union(first, rest) => {
            std::iter::once(*first).chain(rest.iter().map(|(_, id)| *id)).collect()
        }
        Ast::Compare(_, a, b) | Ast::Like(_, a, b) | Ast::In(_, a, b) => vec![*a, *b],
        _ => Vec::new(),
    }
}

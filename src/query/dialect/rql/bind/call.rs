//! Calls: declared functions, aggregates, built-in functions.

use super::super::ast::{Argument, Id, Kind as Ast, TypeId, Word};
use super::super::source::Span;
use super::declare::Signature;
use super::{Binder, Meaning, Typed, WRONG};
use crate::query::strict::plan::Node;
use crate::query::strict::types::Kind;
use std::rc::Rc;

impl Binder<'_> {
    pub(super) fn call(
        &mut self,
        id: Id,
        callee: Id,
        kind: Option<TypeId>,
        arguments: &[Argument],
    ) -> Typed {
        let span = self.span(id);
        let Ast::Name(word) = self.kind(callee) else {
            let (_, kind) = self.expression(callee);
            if !kind.is_error() {
                self.mismatch(self.span(callee), "function", &kind);
            }
            self.arguments(arguments);
            return WRONG;
        };
        if let Some(signature) = self.declared(word) {
            return self.call_declared(&signature, arguments, span);
        }
        if let Some(aggregate) = self.called_aggregate(callee) {
            return self.aggregate(id, aggregate, arguments);
        }
        if !word.quoted {
            let name = word.text.to_ascii_uppercase();
            if let Some(reader) = super::file::reader(&name) {
                return self.read(reader, kind, arguments, span);
            }
            match name.as_str() {
                "DESCRIBE" => return self.describe(arguments, span),
                "OFFSET_OF" => return self.record_fact(0, Kind::Long, arguments, span),
                "TIME_OF" => return self.record_fact(1, Kind::Timestamp, arguments, span),
                _ => {}
            }
            if let Some(bound) = self.built_in(&name, arguments, span) {
                return bound;
            }
        }
        self.wrong(word.span, format!("{} is not declared", word.text));
        self.arguments(arguments);
        WRONG
    }

    fn declared(&self, word: &Word) -> Option<Rc<Signature>> {
        let found = self.blocks.iter().rev().find_map(|block| block.get(&word.text))?;
        match found {
            Meaning::Function(signature) => Some(Rc::clone(signature)),
            _ => None,
        }
    }

    /// Arguments of a call that is wrong anyway: for what is wrong with them.
    pub(super) fn arguments(&mut self, arguments: &[Argument]) {
        for argument in arguments {
            self.expression(argument.value);
        }
    }

    fn call_declared(
        &mut self,
        signature: &Signature,
        arguments: &[Argument],
        span: Span,
    ) -> Typed {
        let mut given: Vec<Option<Node>> = vec![None; signature.parameters.len()];
        let mut good = self.reach(signature.depth, span);
        for (place, argument) in arguments.iter().enumerate() {
            let at = self.span(argument.value);
            let (node, kind) = self.expression(argument.value);
            let index = match &argument.name {
                None => Some(place).filter(|place| *place < given.len()),
                Some(name) => signature.parameters.iter().position(|p| p.name == name.text),
            };
            let Some((index, formal)) = index.and_then(|i| Some((i, signature.parameters.get(i)?)))
            else {
                match &argument.name {
                    Some(name) => {
                        let message = format!("found unknown optional argument {}", name.text);
                        self.wrong(name.span, message);
                    }
                    None if good => self.wrong(span, "too many arguments found"),
                    None => {}
                }
                good = false;
                continue;
            };
            let node = self.fitting((node, &kind), &formal.kind, at);
            good &= kind.fits(&formal.kind) && !kind.is_error();
            if let Some(slot) = given.get_mut(index) {
                if slot.is_some() {
                    let at = argument.name.as_ref().map_or(at, |name| name.span);
                    self.wrong(at, format!("{} is declared more than once", formal.name));
                }
                *slot = Some(node);
            }
        }
        let mut nodes = Vec::with_capacity(given.len());
        for (node, formal) in given.into_iter().zip(&signature.parameters) {
            match node.or_else(|| formal.default.clone()) {
                Some(node) => nodes.push(node),
                None => {
                    if good {
                        self.wrong(span, "missing mandatory arguments");
                    }
                    good = false;
                }
            }
        }
        if !good || signature.result.is_error() {
            return WRONG;
        }
        (Node::Call(signature.number, nodes), signature.result.clone())
    }

    /// `OFFSET_OF` and `TIME_OF`.
    fn record_fact(
        &mut self,
        which: usize,
        kind: Kind,
        arguments: &[Argument],
        span: Span,
    ) -> Typed {
        let [argument] = arguments else {
            let few = arguments.is_empty();
            self.wrong(
                span,
                if few { "missing mandatory arguments" } else { "too many arguments found" },
            );
            self.arguments(arguments);
            return WRONG;
        };
        let errors = self.errors.len();
        let (node, found) = self.expression(argument.value);
        if found.is_error() || self.errors.len() > errors {
            return WRONG;
        }
        let record = match node {
            Node::Slot(slot) => self
                .selects
                .iter()
                .flat_map(|scope| &scope.generators)
                .find(|generator| generator.slot == slot)
                .and_then(|generator| generator.record),
            _ => None,
        };
        match record.and_then(|slots| slots.get(which).copied()) {
            Some(slot) => {
                self.offsets |= which == 0;
                (Node::Slot(slot), kind.into())
            }
            None => {
                self.mismatch(self.span(argument.value), "a topic record", &found);
                WRONG
            }
        }
    }
}

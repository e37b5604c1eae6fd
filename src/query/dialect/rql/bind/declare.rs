//! Blocks and declarations.

use super::super::ast::{Block, Declaration, Id, Parameter, TypeId, Word};
use super::super::source::Span;
use super::literal::widened;
use super::{Binder, Meaning, Typed};
use crate::query::strict::plan::{Declared, Node, Slot};
use crate::query::strict::types::{Name, Type};
use ahash::AHashMap;
use std::rc::Rc;

/// A declared function as its callers see it.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) number: u32,
    pub(super) parameters: Vec<Formal>,
    pub(super) result: Type,
    pub(super) depth: u32,
}

/// A parameter: the default is a variable that is evaluated once at most.
#[derive(Debug)]
pub(super) struct Formal {
    pub(super) name: Name,
    pub(super) kind: Type,
    pub(super) default: Option<Node>,
}

impl Binder<'_> {
    pub(super) fn block(&mut self, block: &Block) -> Typed {
        self.blocks.push(AHashMap::new());
        for declaration in &block.declarations {
            match declaration {
                Declaration::Variable(name, value) => {
                    let (number, kind, depth) = self.variable(*value);
                    self.declare(name, Meaning::Variable(number, kind, depth + 1));
                }
                Declaration::Alias(name, kind) => {
                    let kind = self.type_of(*kind);
                    self.declare(name, Meaning::Type(kind));
                }
                Declaration::Function(name, parameters, result, body) => {
                    let signature = self.function(parameters, *result, body);
                    self.declare(name, Meaning::Function(Rc::new(signature)));
                }
            }
        }
        let bound = self.expression(block.value);
        self.blocks.pop();
        bound
    }

    /// The first of two declarations counts.
    fn declare(&mut self, name: &Word, meaning: Meaning) {
        let Some(block) = self.blocks.last_mut() else { return };
        if block.contains_key(&name.text) {
            self.wrong(name.span, format!("{} is declared more than once", name.text));
        } else {
            block.insert(name.text.clone(), meaning);
        }
    }

    /// A variable: its number, type and depth.
    fn variable(&mut self, value: Id) -> (u32, Type, u32) {
        let slot = self.slot();
        let (node, kind, depth) = self.measured(|binder| binder.expression(value));
        self.variables.push((node, slot));
        (self.variables.len() as u32 - 1, kind, depth)
    }

    /// What `bind` makes, and how deep it is.
    fn measured(&mut self, bind: impl FnOnce(&mut Self) -> Typed) -> (Node, Type, u32) {
        let before = (self.depth, std::mem::take(&mut self.deepest));
        self.depth = 0;
        let (node, kind) = bind(self);
        let depth = self.deepest;
        self.depth = before.0;
        self.deepest = before.1;
        (node, kind, depth)
    }

    fn function(
        &mut self,
        parameters: &[Parameter],
        result: Option<TypeId>,
        body: &Block,
    ) -> Signature {
        let mut formals: Vec<Formal> = Vec::with_capacity(parameters.len());
        let mut deepest = 0;
        for parameter in parameters {
            let kind = self.type_of(parameter.kind);
            let default = parameter.default.map(|value| {
                let (node, depth) = self.default(value, &kind);
                deepest = deepest.max(depth);
                node
            });
            if formals.iter().any(|formal| formal.name == parameter.name.text) {
                let name = &parameter.name;
                self.wrong(name.span, format!("{} is declared more than once", name.text));
            }
            formals.push(Formal { name: parameter.name.text.clone(), kind, default });
        }
        let wanted = result.map(|kind| self.type_of(kind));
        let first: Slot = self.slots;
        let mut names = AHashMap::new();
        for formal in &formals {
            let slot = self.slot();
            // Whoever calls may give null for anything.
            let kind = formal.kind.clone();
            names.entry(formal.name.clone()).or_insert(Meaning::Parameter(slot, kind));
        }
        self.blocks.push(names);
        let (node, kind, depth) = self.measured(|binder| binder.block(body));
        self.blocks.pop();
        let (node, result) = match wanted {
            None => (node, kind),
            Some(wanted) => {
                let at = self.span(body.value);
                (self.fitting((node, &kind), &wanted, at), wanted.or_null(kind.may_be_null()))
            }
        };
        self.functions.push(Declared { slots: first..self.slots, body: node });
        let number = self.functions.len() as u32 - 1;
        Signature { number, parameters: formals, result, depth: depth.max(deepest) + 2 }
    }

    fn default(&mut self, value: Id, wanted: &Type) -> (Node, u32) {
        let at = self.span(value);
        let (number, kind, depth) = self.variable(value);
        (self.fitting((Node::Variable(number), &kind), wanted, at), depth)
    }

    /// The node where `wanted` is declared; tells if it does not fit.
    pub(super) fn fitting(&mut self, (node, kind): (Node, &Type), wanted: &Type, at: Span) -> Node {
        if !kind.fits(wanted) {
            let plain = Type { kind: wanted.kind.clone(), nullable: false };
            self.mismatch(at, &plain.to_string(), kind);
            return node;
        }
        if kind.is_any() && !wanted.is_free() {
            // Known only when run: it is tested there.
            return Node::Cast(false, Box::new(node), Rc::new(wanted.clone()));
        }
        widened(node, kind, wanted)
    }
}

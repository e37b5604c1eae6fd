//! Names and types: a tree becomes a plan, or all that is wrong with it is found.
//!
//! Method: one walk resolves, checks and lowers. An expression in error has the type
//! [`Kind::Error`], which fits everywhere, so that what only follows from an error is not told. The
//! depth of what is made is counted over declarations too, because evaluating goes as deep.

mod aggregate;
mod builtin;
mod call;
mod declare;
mod expression;
mod file;
mod join;
mod literal;
mod name;
mod operator;
mod select;

use super::ast::{Id, Kind as Ast, Program, TypeId, TypeKind};
use super::source::{Span, Wrong};
use super::world::World;
use super::{ERRORS_MAX, ast};
use crate::model::topic::Topic;
use crate::query::strict::plan::{Declared, Node, Plan, Slot};
use crate::query::strict::types::{Kind, Name, Type, named};
use ahash::AHashMap;
use select::Scope;
use std::sync::Arc;

/// Nodes from the root of the plan to a leaf, through declarations.
const DEPTH_MAX: u32 = 2_000;
/// Errors held before the first ones are picked.
const ERRORS_HELD: usize = 4_096;

/// Checks a query and makes its plan.
///
/// # Errors
/// What is wrong with it, in the order of the text, at most [`ERRORS_MAX`].
pub fn bind(program: &Program, world: &mut dyn World) -> Result<Plan, Vec<Wrong>> {
    let mut binder = Binder {
        program,
        world,
        errors: Vec::new(),
        slots: 0,
        depth: 0,
        deepest: 0,
        blocks: Vec::new(),
        selects: Vec::new(),
        ready: AHashMap::new(),
        variables: Vec::new(),
        functions: Vec::new(),
        topics: Vec::new(),
        offsets: false,
    };
    let (main, kind) = binder.block(&program.block);
    if !binder.errors.is_empty() {
        binder.first_errors();
        return Err(binder.errors);
    }
    Ok(Plan {
        main,
        kind,
        slots: binder.slots,
        variables: binder.variables,
        functions: binder.functions,
        topics: binder.topics,
        offsets: binder.offsets,
    })
}

/// What a declared name means.
#[derive(Clone, Debug)]
enum Meaning {
    /// A variable: its number and the depth of its value.
    Variable(u32, Type, u32),
    /// A parameter.
    Parameter(Slot, Type),
    /// A function.
    Function(std::rc::Rc<declare::Signature>),
    /// Another name of a type.
    Type(Type),
}

/// A lowered expression and its type.
type Typed = (Node, Type);

const WRONG: Typed = (Node::NULL, Type::ERROR);

struct Binder<'a> {
    program: &'a Program,
    world: &'a mut dyn World,
    errors: Vec<Wrong>,
    slots: Slot,
    depth: u32,
    deepest: u32,
    blocks: Vec<AHashMap<Name, Meaning>>,
    selects: Vec<Scope>,
    /// Aggregates whose arguments were bound before the expression around them.
    ready: AHashMap<Id, Typed>,
    variables: Vec<(Node, Slot)>,
    functions: Vec<Declared>,
    topics: Vec<Arc<Topic>>,
    offsets: bool,
}

impl<'a> Binder<'a> {
    fn wrong(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push(Wrong::at(span, message));
        if self.errors.len() >= ERRORS_HELD {
            self.first_errors();
        }
    }

    fn first_errors(&mut self) {
        self.errors.sort_by_key(|wrong| wrong.span);
        self.errors.dedup();
        self.errors.truncate(ERRORS_MAX);
    }

    /// `expected T but got U`
    fn mismatch(&mut self, span: Span, wanted: &str, got: &Type) {
        self.wrong(span, format!("expected {wanted} but got {got}"));
    }

    fn span(&self, id: Id) -> Span {
        self.program.node(id).span
    }

    fn kind(&self, id: Id) -> &'a Ast {
        &self.program.node(id).kind
    }

    fn slot(&mut self) -> Slot {
        self.slots += 1;
        self.slots - 1
    }

    /// The type, or an error if it is too large.
    fn sized(&mut self, kind: Option<Type>, span: Span) -> Type {
        kind.unwrap_or_else(|| {
            self.wrong(span, "nested too deeply");
            Type::ERROR
        })
    }

    /// Notes that something `more` deep stands here; `false`: too deep, which was told.
    fn reach(&mut self, more: u32, span: Span) -> bool {
        let deep = self.depth.saturating_add(more);
        self.deepest = self.deepest.max(deep);
        if deep > DEPTH_MAX {
            self.wrong(span, "nested too deeply");
        }
        deep <= DEPTH_MAX
    }

    fn expression(&mut self, id: Id) -> Typed {
        self.depth += 1;
        let bound = match self.reach(0, self.span(id)) {
            true => self.group_key(id).unwrap_or_else(|| self.by_kind(id)),
            false => WRONG,
        };
        self.depth -= 1;
        bound
    }

    /// An expression that must be a truth value.
    fn condition(&mut self, id: Id) -> Typed {
        let (node, kind) = self.expression(id);
        if !kind.is_free() && !matches!(kind.kind, Kind::Bool) {
            self.mismatch(self.span(id), "bool", &kind);
            return WRONG;
        }
        (node, kind)
    }

    fn type_of(&mut self, id: TypeId) -> Type {
        let node: &ast::TypeNode = self.program.type_node(id);
        let kind = match &node.kind {
            TypeKind::Name(word) => match self.named_type(word) {
                Some(kind) => kind,
                None => {
                    self.wrong(word.span, format!("{} is not declared", word.text));
                    Type::ERROR
                }
            },
            TypeKind::Collection(element) => {
                let element = self.type_of(*element);
                self.sized(Type::collection(element), node.span)
            }
            TypeKind::Record(fields) => {
                let mut list: Vec<(Name, Type)> = Vec::new();
                for (name, kind) in fields {
                    let kind = self.type_of(*kind);
                    if list.iter().any(|(field, _)| *field == name.text) {
                        self.wrong(name.span, format!("{} is declared more than once", name.text));
                    } else {
                        list.push((name.text.clone(), kind));
                    }
                }
                self.sized(Type::record(list), node.span)
            }
        };
        kind.or_null(node.nullable)
    }

    fn named_type(&self, word: &ast::Word) -> Option<Type> {
        for block in self.blocks.iter().rev() {
            if let Some(Meaning::Type(kind)) = block.get(&word.text) {
                return Some(kind.clone());
            }
        }
        if word.quoted { None } else { named(&word.text).map(Type::from) }
    }
}

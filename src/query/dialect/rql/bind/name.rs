//! What a name means (raw, 2.5), topics as collections (2.4), navigation.

use super::super::ast::{Id, Kind as Ast, Word};
use super::super::source::Span;
use super::super::world::{Elements, Found};
use super::select::{Bound, Level, Scope};
use super::{Binder, Meaning, Typed, WRONG};
use crate::model::name::{MAIN, TopicName};
use crate::query::strict::plan::Node;
use crate::query::strict::types::{Kind, Name, Type};
use std::rc::Rc;

impl Binder<'_> {
    /// The whole of a generator: for a name, topics come before observed fields.
    pub(super) fn generator_source(&mut self, id: Id) -> Typed {
        match self.kind(id) {
            Ast::Name(word) => self.name(word, &[], true),
            Ast::Path(base, words) => self.path(*base, words, true),
            _ => self.expression(id),
        }
    }

    pub(super) fn path(&mut self, base: Id, words: &[Word], source: bool) -> Typed {
        if let Ast::Name(word) = self.kind(base) {
            return self.name(word, words, source);
        }
        let at = self.span(base);
        let bound = self.expression(base);
        self.navigate(bound, at, words)
    }

    /// A name and the names after it.
    pub(super) fn name(&mut self, word: &Word, rest: &[Word], source: bool) -> Typed {
        let found = self
            .in_selects(word)
            .or_else(|| self.in_blocks(word))
            .or_else(|| if source { None } else { self.observed(word) });
        if let Some(bound) = found {
            return self.navigate(bound, word.span, rest);
        }
        if let Some(bound) = self.bare_topic(word) {
            return self.navigate(bound, word.span, rest);
        }
        if let (Some(first), Some(last)) = (rest.first(), rest.last())
            && self.world.database(&word.text)
        {
            let parts: Vec<&str> = rest.iter().map(|word| &*word.text).collect();
            let name = parts.join(".");
            return match self.topic_of(&word.text, &name) {
                Some(bound) => bound,
                None => {
                    self.wrong(first.span.to(last.span), format!("{name} is not declared"));
                    WRONG
                }
            };
        }
        let found = if source { self.observed(word) } else { None };
        if let Some(bound) = found.or_else(|| self.aliased_field(word)) {
            return self.navigate(bound, word.span, rest);
        }
        let follows = self.selects.iter().flat_map(|scope| &scope.generators);
        if !follows.into_iter().any(|generator| generator.kind.is_error()) {
            self.wrong(word.span, format!("{} is not declared", word.text));
        }
        WRONG
    }

    /// Fields of fields.
    pub(super) fn navigate(&mut self, bound: Typed, at: Span, words: &[Word]) -> Typed {
        let (node, mut kind) = bound;
        if words.is_empty() {
            return (node, kind);
        }
        let mut at = at;
        for word in words {
            kind = match &kind.kind {
                Kind::Error => return WRONG,
                Kind::Undefined => kind,
                Kind::Any(None) => Type::ANY,
                Kind::Any(Some(shape)) if shape.has(&word.text) => Type::ANY,
                Kind::Record(_) if kind.field(&word.text).is_some() => {
                    let field = kind.field(&word.text).cloned().unwrap_or(Type::ANY);
                    field.or_null(kind.nullable)
                }
                Kind::Any(_) | Kind::Record(_) => {
                    self.wrong(word.span, format!("{} is not declared", word.text));
                    return WRONG;
                }
                _ => {
                    self.mismatch(at, "record", &kind);
                    return WRONG;
                }
            };
            at = at.to(word.span);
        }
        let names: Box<[Name]> = words.iter().map(|word| word.text.clone()).collect();
        (Node::Path(Box::new(node), names), kind)
    }

    /// Rule 1: aliases and fields of un-aliased generators, innermost `SELECT` first.
    fn in_selects(&mut self, word: &Word) -> Option<Typed> {
        for index in (0..self.selects.len()).rev() {
            let scope = self.selects.get_mut(index)?;
            let found = scope.find(&word.text);
            match found {
                Finding::Nothing => {}
                Finding::Slot(slot, kind) => return Some((Node::Slot(slot), kind)),
                Finding::Field(slot, kind) => {
                    let path = Box::new([word.text.clone()]);
                    return Some((Node::Path(Box::new(Node::Slot(slot)), path), kind));
                }
                Finding::Many => {
                    self.wrong(word.span, format!("{} is declared more than once", word.text));
                    return Some(WRONG);
                }
                Finding::Ungrouped => return Some(self.ungrouped(&word.text, word.span)),
            }
        }
        None
    }

    pub(super) fn ungrouped(&mut self, name: &str, at: Span) -> Typed {
        self.wrong(at, format!("{name} must be a group key or inside an aggregate"));
        WRONG
    }

    /// Rule 2: declared names, innermost block first.
    fn in_blocks(&mut self, word: &Word) -> Option<Typed> {
        let found = self.blocks.iter().rev().find_map(|block| block.get(&word.text))?;
        match found.clone() {
            Meaning::Parameter(slot, kind) => Some((Node::Slot(slot), kind)),
            Meaning::Variable(number, kind, depth) => {
                let good = self.reach(depth, word.span);
                Some(if good { (Node::Variable(number), kind) } else { WRONG })
            }
            Meaning::Function(_) | Meaning::Type(_) => None,
        }
    }

    /// Rule 3: observed fields of the sole un-aliased generator of schemaless elements.
    fn observed(&mut self, word: &Word) -> Option<Typed> {
        for scope in self.selects.iter_mut().rev() {
            let mut free = scope.generators.iter().filter(|g| g.alias.is_none() && g.kind.is_any());
            let (Some(generator), None) = (free.next(), free.next()) else { continue };
            let known = match &generator.kind.kind {
                Kind::Any(Some(shape)) => shape.has(&word.text),
                _ => true,
            };
            if !known {
                continue;
            }
            let slot = generator.slot;
            scope.touched = true;
            if scope.level == Level::Group {
                return Some(self.ungrouped(&word.text, word.span));
            }
            let path = Box::new([word.text.clone()]);
            return Some((Node::Path(Box::new(Node::Slot(slot)), path), Type::ANY));
        }
        None
    }

    /// Rule 5: a field of exactly one aliased generator of the innermost `SELECT`.
    fn aliased_field(&mut self, word: &Word) -> Option<Typed> {
        let scope = self.selects.last_mut()?;
        let has = |generator: &&Bound| match &generator.kind.kind {
            Kind::Any(Some(shape)) => shape.has(&word.text),
            Kind::Record(_) => generator.kind.field(&word.text).is_some(),
            _ => false,
        };
        let mut fitting = scope.generators.iter().filter(|g| g.alias.is_some()).filter(has);
        let first = fitting.next()?;
        if fitting.next().is_some() {
            self.wrong(word.span, format!("{} is declared more than once", word.text));
            return Some(WRONG);
        }
        let kind = first.kind.field(&word.text).cloned().unwrap_or(Type::ANY);
        let kind = kind.or_null(first.kind.nullable);
        let slot = first.slot;
        scope.touched = true;
        if scope.level == Level::Group {
            return Some(self.ungrouped(&word.text, word.span));
        }
        let path = Box::new([word.text.clone()]);
        Some((Node::Path(Box::new(Node::Slot(slot)), path), kind))
    }

    /// Rule 4: a topic of `main`, or one whose name in back-quotes holds its database.
    fn bare_topic(&mut self, word: &Word) -> Option<Typed> {
        if let Some(bound) = self.topic_of(MAIN, &word.text) {
            return Some(bound);
        }
        let (database, name) = word.text.split_once('.').filter(|_| word.quoted)?;
        if database.is_empty() || name.is_empty() {
            return None;
        }
        self.topic_of(database, name)
    }

    fn topic_of(&mut self, database: &str, name: &str) -> Option<Typed> {
        let topic = TopicName::parse(&format!("{database}.{name}"))?;
        let Found { topic, elements } = self.world.topic(&topic)?;
        let known = self.topics.iter().position(|other| other.id == topic.id);
        let number = known.unwrap_or_else(|| {
            self.topics.push(topic);
            self.topics.len() - 1
        });
        let element = match elements {
            Elements::Schemaless(shape) => Kind::Any(Some(shape)).into(),
            Elements::Typed(row) => row,
        };
        let kind = Type::collection(element).unwrap_or(Type::ERROR);
        Some((Node::Topic(number as u32), kind))
    }
}

/// What a name is in one `SELECT`.
pub(super) enum Finding {
    /// Not known there.
    Nothing,
    /// What is in a slot.
    Slot(u32, Type),
    /// A field of what is in a slot.
    Field(u32, Type),
    /// Fields of more than one generator.
    Many,
    /// It belongs to a row, where only groups are.
    Ungrouped,
}

impl Scope {
    fn find(&mut self, name: &Rc<str>) -> Finding {
        if let Some((_, kind, slot)) = self.outputs.iter().find(|(output, ..)| output == name) {
            return Finding::Slot(*slot, kind.clone());
        }
        if let Some(key) = self.keys.iter().find(|key| key.name.as_ref() == Some(name)) {
            self.touched = true;
            return Finding::Slot(key.slot, key.kind.clone());
        }
        let row = |level: Level, finding: Finding| match level {
            Level::Row => finding,
            Level::Group => Finding::Ungrouped,
        };
        if let Some(found) = self.generators.iter().find(|g| g.alias.as_ref() == Some(name)) {
            self.touched = true;
            return row(self.level, Finding::Slot(found.slot, found.kind.clone()));
        }
        let bare = self.generators.iter().filter(|g| g.alias.is_none());
        let mut fields = bare.filter_map(|g| Some((g, g.kind.field(name)?)));
        let Some((generator, kind)) = fields.next() else { return Finding::Nothing };
        let many = fields.next().is_some();
        let finding = if many {
            Finding::Many
        } else {
            let kind = kind.clone().or_null(generator.kind.nullable);
            row(self.level, Finding::Field(generator.slot, kind))
        };
        self.touched = true;
        finding
    }
}

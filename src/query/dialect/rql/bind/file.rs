//! `READ` and its kin (raw, 2.8 and 2.9). A file that is named by a literal is looked at now.

use super::super::ast::{Argument, Id, Kind as Ast, TypeId};
use super::super::source::Span;
use super::{Binder, Typed, WRONG};
use crate::query::strict::files::{FileSource, Format};
use crate::query::strict::plan::Node;
use crate::query::strict::types::{Kind, Type};
use std::rc::Rc;

/// A location and where it stands.
type Literal = (Rc<str>, Span);

/// The format that a function reads; `None` inside: it is found out.
pub(super) fn reader(name: &str) -> Option<Option<Format>> {
    Some(match name {
        "READ" => None,
        "READ_JSON" => Some(Format::Json),
        "READ_CSV" => Some(Format::Csv),
        "READ_LINES" => Some(Format::Lines),
        _ => return None,
    })
}

impl Binder<'_> {
    pub(super) fn read(
        &mut self,
        format: Option<Format>,
        kind: Option<TypeId>,
        arguments: &[Argument],
        span: Span,
    ) -> Typed {
        let declared = kind.map(|kind| self.type_of(kind));
        let Some((mut source, literal)) = self.source(format, arguments, span) else {
            return WRONG;
        };
        if declared.as_ref().is_some_and(Type::is_error) {
            return WRONG;
        }
        source.declared = declared.clone().map(Rc::new);
        let known = match &literal {
            None => None,
            Some((location, at)) => match self.world.file(location, &mut source) {
                Ok(kind) => Some(kind),
                Err(error) => {
                    self.wrong(*at, error.message(location));
                    return WRONG;
                }
            },
        };
        let open = match format {
            Some(Format::Lines) => Type::collection(Kind::String.into()),
            _ => Type::collection(Type::ANY),
        };
        let kind = declared.or(known).or(open).unwrap_or(Type::ERROR);
        source.kind = Rc::new(kind.clone());
        (Node::File(Box::new(source)), kind)
    }

    pub(super) fn describe(&mut self, arguments: &[Argument], span: Span) -> Typed {
        let Some((mut source, literal)) = self.source(None, arguments, span) else {
            return WRONG;
        };
        if let Some((location, at)) = literal
            && let Err(error) = self.world.file(&location, &mut source)
        {
            self.wrong(at, error.message(&location));
            return WRONG;
        }
        let text = || Type::from(Kind::String);
        let column = Type::record(vec![
            ("col_name".into(), text()),
            ("type".into(), text()),
            ("nullable".into(), Kind::Bool.into()),
        ]);
        let columns = column.and_then(Type::collection).unwrap_or(Type::ERROR);
        let kind = Type::record(vec![
            ("format".into(), text()),
            ("type".into(), text()),
            ("is_collection".into(), Kind::Bool.into()),
            ("columns".into(), columns),
            ("sampled".into(), Kind::Bool.into()),
        ]);
        source.format = None;
        (Node::Describe(Box::new(source)), kind.unwrap_or(Type::ERROR))
    }

    /// The location and options of a call, and the location's text and place if it is a literal.
    fn source(
        &mut self,
        format: Option<Format>,
        arguments: &[Argument],
        span: Span,
    ) -> Option<(FileSource, Option<Literal>)> {
        let mut location = None;
        let mut source = FileSource::new(Node::NULL, format);
        let mut good = true;
        for argument in arguments {
            let at = self.span(argument.value);
            if let Some(name) = &argument.name {
                let known = self.option(&mut source, &name.text, argument.value);
                if known.is_none() {
                    let message = format!("found unknown optional argument {}", name.text);
                    self.wrong(name.span, message);
                }
                good &= known == Some(true);
                continue;
            }
            let (node, kind) = self.expression(argument.value);
            if location.is_some() {
                self.wrong(span, "too many arguments found");
                return None;
            }
            if !kind.is_free() && !matches!(kind.kind, Kind::String) {
                self.mismatch(at, "string", &kind);
                good = false;
            }
            good &= !kind.is_error();
            let literal = match self.kind(argument.value) {
                Ast::Text(text) => Some((text.clone(), at)),
                _ => None,
            };
            location = Some((node, literal));
        }
        let Some((node, literal)) = location else {
            if good {
                self.wrong(span, "missing mandatory arguments");
            }
            return None;
        };
        source.location = node;
        good.then_some((source, literal))
    }

    /// Sets an option; `Some(false)`: its value is wrong, which was told; `None`: there is none.
    fn option(&mut self, source: &mut FileSource, name: &str, value: Id) -> Option<bool> {
        let csv = source.format == Some(Format::Csv);
        let sampled = source.format != Some(Format::Lines);
        let literal = self.kind(value);
        let wanted = match (name, literal) {
            ("sample_size", Ast::Integer(size)) if sampled && *size > 0 => {
                source.sample_size = usize::try_from(*size).unwrap_or(usize::MAX);
                return Some(true);
            }
            ("sample_size", _) if sampled => "int",
            _ if !csv => return None,
            ("has_header", Ast::Bool(flag)) => {
                source.has_header = Some(*flag);
                return Some(true);
            }
            ("has_header", _) => "bool",
            ("skip", Ast::Integer(count)) if *count >= 0 => {
                source.skip = usize::try_from(*count).unwrap_or(usize::MAX);
                return Some(true);
            }
            ("skip", _) => "int",
            ("nulls", Ast::List(list)) => {
                for id in list {
                    let Ast::Text(text) = self.kind(*id) else {
                        let (_, kind) = self.expression(*id);
                        self.mismatch(self.span(*id), "string", &kind);
                        return Some(false);
                    };
                    source.nulls.push(text.to_string());
                }
                return Some(true);
            }
            ("nulls", _) => "collection(string)",
            ("delimiter" | "escape" | "quote", Ast::Text(text)) if text.len() == 1 => {
                let byte = text.bytes().next();
                match name {
                    "delimiter" => source.delimiter = byte,
                    "escape" => source.escape = byte,
                    _ => source.quote = byte,
                }
                return Some(true);
            }
            ("escape" | "quote", Ast::Text(text)) if text.is_empty() => {
                if name == "quote" {
                    source.quote = None;
                }
                return Some(true);
            }
            ("delimiter" | "escape" | "quote", _) => "string of one character",
            _ => return None,
        };
        let (_, kind) = self.expression(value);
        if !kind.is_error() {
            self.mismatch(self.span(value), wanted, &kind);
        }
        Some(false)
    }
}

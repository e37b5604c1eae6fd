//! Types from samples, and values as the types say.

use crate::query::strict::cast::{from_text, type_of};
use crate::query::strict::json::{member, members};
use crate::query::strict::types::{Kind, Name, Type};
use crate::query::strict::value::{Budget, Halt, ListBuilder, Value};
use std::rc::Rc;

/// Fields of one record that are told apart; with more it is `any`.
const FIELDS_MAX: usize = 2_000;

/// The type of values of which some are of the one and some of the other type.
pub(super) fn merge(left: &Type, right: &Type) -> Type {
    let nullable = left.nullable || right.nullable;
    match (&left.kind, &right.kind) {
        (Kind::Undefined, kind) | (kind, Kind::Undefined) => {
            Type { kind: kind.clone(), nullable: true }
        }
        (Kind::Record(a), Kind::Record(b)) => {
            let mut fields: Vec<(Name, Type)> = Vec::with_capacity(a.list.len());
            for (index, (name, kind)) in a.list.iter().enumerate() {
                let same = b.list.get(index).filter(|(other, _)| other == name);
                let found = same.or_else(|| b.list.iter().find(|(other, _)| other == name));
                let kind = match found {
                    Some((_, other)) => merge(kind, other),
                    None => kind.clone().nullable(),
                };
                fields.push((name.clone(), kind));
            }
            for (index, (name, kind)) in b.list.iter().enumerate() {
                let same = a.list.get(index).is_some_and(|(other, _)| other == name);
                if !same && !a.list.iter().any(|(other, _)| other == name) {
                    fields.push((name.clone(), kind.clone().nullable()));
                }
            }
            if fields.len() > FIELDS_MAX {
                return Type::ANY;
            }
            Type::record(fields).unwrap_or(Type::ANY).or_null(nullable)
        }
        (Kind::Collection(a), Kind::Collection(b)) => {
            Type::collection(merge(&a.kind, &b.kind)).unwrap_or(Type::ANY).or_null(nullable)
        }
        _ => left.join(right).unwrap_or(Type::ANY),
    }
}

/// The type of a JSON value.
pub(super) fn shape(value: &Value) -> Type {
    match value {
        Value::Json(object) if object.is_object() => {
            let mut fields: Vec<(Name, Type)> = Vec::new();
            let complete = members(object, |name, value| {
                if fields.len() >= FIELDS_MAX {
                    return Err(());
                }
                if !fields.iter().any(|(field, _)| **field == *name) {
                    let kind = shape(&value);
                    let null = matches!(kind.kind, Kind::Undefined);
                    fields.push((Rc::from(name), kind.or_null(null)));
                }
                Ok(())
            });
            complete.ok().and_then(|()| Type::record(fields)).unwrap_or(Type::ANY)
        }
        Value::Json(array) => {
            let mut element: Option<Type> = None;
            let _ = crate::query::strict::json::elements(array, |item| {
                let kind = shape(&item);
                element = Some(element.take().map_or(kind.clone(), |before| merge(&before, &kind)));
                Ok::<bool, ()>(true)
            });
            Type::collection(element.unwrap_or(Kind::Undefined.into())).unwrap_or(Type::ANY)
        }
        other => type_of(other),
    }
}

/// The value as one of that type; `None`: it does not fit.
///
/// # Errors
/// The budget is used up.
pub(super) fn conform(value: &Value, kind: &Type, budget: &Budget) -> Result<Option<Value>, Halt> {
    if value.is_null() {
        return Ok(Some(Value::Null));
    }
    match (&kind.kind, value) {
        (Kind::Any(_) | Kind::Undefined | Kind::Error, _) => Ok(Some(value.clone())),
        (Kind::Record(fields), Value::Json(object)) if object.is_object() => {
            let names: Rc<[Name]> = fields.list.iter().map(|(name, _)| name.clone()).collect();
            let mut values = Vec::with_capacity(names.len());
            for (name, kind) in &fields.list {
                match conform(&member(object, name), kind, budget)? {
                    Some(value) => values.push(value),
                    None => return Ok(None),
                }
            }
            Ok(Some(Value::record(names, values)))
        }
        (Kind::Collection(element), Value::Json(array)) if !array.is_object() => {
            let mut list = ListBuilder::new(budget);
            let fits = crate::query::strict::json::elements(array, |item| {
                match conform(&item, &element.kind, budget)? {
                    Some(value) => list.push(value).map(|()| true),
                    None => Ok(false),
                }
            })?;
            Ok(fits.then(|| list.finish()))
        }
        (Kind::String, Value::Text(_)) | (Kind::Bool, Value::Bool(_)) => Ok(Some(value.clone())),
        (Kind::String | Kind::Bool, _) => Ok(None),
        (_, Value::Text(text)) if kind.rank().is_none() => Ok(from_text(text, &kind.kind)),
        _ => match (type_of(value).rank(), kind.rank()) {
            (Some(own), Some(wanted)) if own <= wanted || (own == 2 && wanted < 2) => {
                Ok(crate::query::strict::cast::cast(value, kind, budget).ok())
            }
            _ => Ok(None),
        },
    }
}

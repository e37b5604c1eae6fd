//! Runs a program over one record.

use super::{Fault, Item, Lookups, Op, Program, Test};
use crate::model::value::{Fields, Text, Value, same};
use crate::query::loose;

/// What an evaluation may ask of the world; the same for all records of a batch.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// Named constants.
    pub lookups: &'a Lookups,
}

/// What a program reads.
#[derive(Clone, Copy, Debug)]
pub struct Env<'e, 'a> {
    /// The record.
    pub record: &'e Value<'a>,
    /// Its fields that the programs of a stage name.
    pub columns: &'e [Value<'a>],
    /// What the operator puts there.
    pub slots: &'e [Value<'a>],
    /// The rest.
    pub world: &'e World<'a>,
}

/// The stack of an evaluation, kept from one to the next.
pub type Scratch<'a> = Vec<Value<'a>>;

/// The value of a program that only names a field or a constant, where it stands; `None` if it does
/// more, or the field is missing.
#[inline]
pub fn peek<'e, 'a: 'e>(program: &'a Program, env: &Env<'e, 'a>) -> Option<&'e Value<'a>> {
    match program.ops.as_slice() {
        [op] => operand(program, *op, env),
        _ => None,
    }
}

/// Runs `program` and gives its value.
///
/// # Errors
/// The text of an operator that could not be carried out.
pub fn evaluate<'a>(
    program: &'a Program,
    env: &Env<'_, 'a>,
    stack: &mut Scratch<'a>,
) -> Result<Value<'a>, Fault> {
    // Most programs of filters and aggregates are this short.
    match program.ops.as_slice() {
        [Op::Column(n)] => return Ok(env.columns.get(*n as usize).cloned().unwrap_or_default()),
        [Op::Name(column, name)] => return Ok(named(program, *column, *name, env)),
        [Op::Constant(n)] => return Ok(program.constant(*n).by_ref()),
        [left, right, Op::Binary(op)] => {
            if let (Some(left), Some(right)) =
                (operand(program, *left, env), operand(program, *right, env))
            {
                return op.apply(left, right);
            }
        }
        _ => {}
    }
    stack.clear();
    let mut at = 0;
    while let Some(op) = program.ops.get(at) {
        at += 1;
        match *op {
            Op::Constant(n) => stack.push(program.constant(n).by_ref()),
            Op::Record => stack.push(env.record.clone()),
            Op::Column(n) => stack.push(env.columns.get(n as usize).cloned().unwrap_or_default()),
            Op::Slot(n) => stack.push(env.slots.get(n as usize).cloned().unwrap_or_default()),
            Op::Name(column, name) => stack.push(named(program, column, name, env)),
            Op::Jump(to) => at = to as usize,
            Op::KeepIf(test, to) => {
                if stack.last().is_some_and(|value| holds(test, value)) {
                    at = to as usize;
                } else {
                    stack.pop();
                }
            }
            Op::If(test, to) => {
                if stack.pop().is_some_and(|value| holds(test, &value)) {
                    at = to as usize;
                }
            }
            _ => operate(program, *op, env, stack)?,
        }
    }
    Ok(stack.pop().unwrap_or_default())
}

/// A field that is there, or a constant, where it stands.
#[inline]
fn operand<'e, 'a: 'e>(program: &'a Program, op: Op, env: &Env<'e, 'a>) -> Option<&'e Value<'a>> {
    match op {
        Op::Constant(n) => Some(program.constant(n)),
        Op::Column(n) | Op::Name(n, _) => {
            env.columns.get(n as usize).filter(|value| !matches!(value, Value::Missing))
        }
        _ => None,
    }
}

/// A field, or else a lookup.
#[inline]
fn named<'a>(program: &'a Program, column: u32, name: u32, env: &Env<'_, 'a>) -> Value<'a> {
    match env.columns.get(column as usize) {
        Some(value) if !matches!(value, Value::Missing) => value.clone(),
        _ if env.world.lookups.is_empty() => Value::Missing,
        _ => match program.constant(name) {
            Value::String(name) => {
                env.world.lookups.get(&**name).map(Value::by_ref).unwrap_or_default()
            }
            _ => Value::Missing,
        },
    }
}

fn operate<'a>(
    program: &'a Program,
    op: Op,
    env: &Env<'_, 'a>,
    stack: &mut Scratch<'a>,
) -> Result<(), Fault> {
    let value = match op {
        Op::Binary(op) => {
            let right = stack.pop().unwrap_or_default();
            let left = stack.pop().unwrap_or_default();
            op.apply(&left, &right)?
        }
        Op::Unary(op) => {
            let value = stack.pop().unwrap_or_default();
            op.apply(&value)
        }
        Op::Member(name) => {
            let value = stack.pop().unwrap_or_default();
            match program.constant(name) {
                Value::String(name) => loose::member(&value, name),
                _ => Value::Missing,
            }
        }
        Op::Index => {
            let index = stack.pop().unwrap_or_default();
            let value = stack.pop().unwrap_or_default();
            loose::index(&value, &index)
        }
        Op::Call(function, count) => {
            let from = stack.len().saturating_sub(count as usize);
            let value = (function.run)(&mut stack[from..], env.world)?;
            stack.truncate(from);
            value
        }
        Op::Matches(pattern) => {
            let value = stack.pop().unwrap_or_default();
            let pattern = program.patterns.get(pattern as usize);
            let text = if let Value::String(text) = &value { Some(text) } else { None };
            Value::Bool(text.zip(pattern).is_some_and(|(text, pattern)| pattern.is_match(text)))
        }
        Op::List(count) => {
            let from = stack.len().saturating_sub(count as usize);
            Value::list(stack.drain(from..).collect())
        }
        Op::Between => {
            let (high, low) = (stack.pop().unwrap_or_default(), stack.pop().unwrap_or_default());
            let value = stack.pop().unwrap_or_default();
            let order = loose::compare(&value, &low);
            let from = order.is_some_and(std::cmp::Ordering::is_ge);
            let to = loose::compare(&value, &high).is_some_and(std::cmp::Ordering::is_le);
            Value::Bool(from && to)
        }
        Op::OneOf(count) => {
            let from = stack.len().saturating_sub(count as usize + 1);
            let found = stack.get(from..).and_then(<[_]>::split_first);
            let found = found.is_some_and(|(value, list)| list.iter().any(|v| same(value, v)));
            stack.truncate(from);
            Value::Bool(found)
        }
        Op::Object(shape) => {
            let items = program.shapes.get(shape as usize).map_or(&[][..], Vec::as_slice);
            object(items, stack)
        }
        _ => Value::Missing,
    };
    stack.push(value);
    Ok(())
}

fn holds(test: Test, value: &Value<'_>) -> bool {
    match test {
        Test::Falsy => !loose::truthy(value),
        Test::Truthy => loose::truthy(value),
        Test::Defined => !matches!(value, Value::Missing),
        Test::Something => value.is_some(),
    }
}

/// First all spreads, then named items, then drops, wherever they stand; an overridden key keeps
/// its place.
fn object<'a>(items: &'a [Item], stack: &mut Scratch<'a>) -> Value<'a> {
    let valued = items.iter().filter(|item| !matches!(item, Item::Drop(_)));
    let from = stack.len().saturating_sub(valued.clone().count());
    let mut fields: Fields<'a> = Vec::with_capacity(items.len());
    let simple = items.iter().all(|item| matches!(item, Item::Named(_)));
    // Fields that named items do not change.
    let mut fixed: Fields<'a> = Vec::new();
    if !simple {
        for (item, value) in valued.clone().zip(&stack[from..]) {
            if let Item::Spread | Item::Override = item {
                for (name, value) in value.fields().unwrap_or_default().iter() {
                    put(&mut fields, name.clone(), value.clone());
                    if *item == Item::Override {
                        put(&mut fixed, name.clone(), value.clone());
                    }
                }
            }
        }
    }
    for (item, value) in valued.zip(stack.drain(from..)) {
        if let Item::Named(name) = item
            && !matches!(value, Value::Missing)
            && !fixed.iter().any(|(known, _)| **known == **name)
        {
            put(&mut fields, Text::Borrowed(name), value);
        }
    }
    if !simple {
        for (name, value) in fixed {
            put(&mut fields, name, value);
        }
        let drops = |item: &Item, name: &str| matches!(item, Item::Drop(d) if d == name);
        let dropped = |name: &str| items.iter().any(|item| drops(item, name));
        fields.retain(|(name, _)| !dropped(name));
    }
    Value::record(fields)
}

fn put<'a>(fields: &mut Fields<'a>, name: Text<'a>, value: Value<'a>) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => fields.push((name, value)),
    }
}

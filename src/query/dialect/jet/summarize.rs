//! `summarize { .. } by .. over .. emit ..` (jsonjet, 3.3).

use super::expression::Reader;
use super::statement::Failure;
use super::token::Token;
use crate::model::value::Value;
use crate::query::pipeline::{Emit, Measured, OVERLAP_MAX, Shape, Summarize, Window};
use crate::query::program::{Builder, Item, Op, Program};

type Parsed<T> = Result<T, Failure>;

/// A part of the row: what it does and its value.
struct Part {
    item: Item,
    value: Option<Program>,
}

/// Reads what follows the word.
pub(super) fn read(reader: &mut Reader<'_>) -> Parsed<Summarize> {
    reader.scope.measures = Some(Vec::new());
    let parts = parts(reader)?;
    let measures = reader.scope.measures.take().unwrap_or_default();
    let (mut keys, mut window, mut emit) = (Vec::new(), None, None);
    loop {
        let at = reader.lexer.clone();
        let twice = |given: bool| if given { Err(at.unexpected("'|' or the end")) } else { Ok(()) };
        if reader.lexer.takes_word("by")? {
            twice(!keys.is_empty())?;
            keys = reader.programs()?;
        } else if reader.lexer.takes_word("over")? {
            twice(window.is_some() || emit.is_some())?;
            window = Some(read_window(reader)?);
        } else if reader.lexer.takes_word("emit")? {
            twice(window.is_some() || emit.is_some())?;
            emit = Some(read_emit(reader, &parts)?);
        } else {
            break;
        }
    }
    let mut row = Builder::default();
    let mut items = Vec::new();
    for part in parts {
        if let Some(value) = &part.value {
            row.inline(value);
        }
        items.push(part.item);
    }
    row.object(items);
    let window = window.map(|(name, window)| {
        let column = reader.scope.column(&name);
        row.replace_column(column, measures.len() as u32);
        window
    });
    let row = row.finish();
    let mut kept: Vec<u32> = row.columns().collect();
    kept.sort_unstable();
    kept.dedup();
    Ok(Summarize { measures, keys, row, kept, window, emit: emit.unwrap_or(Emit::Never) })
}

fn parts(reader: &mut Reader<'_>) -> Parsed<Vec<Part>> {
    reader.lexer.expect("{")?;
    let mut parts: Vec<Part> = Vec::new();
    while !reader.lexer.takes("}")? {
        if !parts.is_empty() {
            reader.lexer.expect(",")?;
            if reader.lexer.takes("}")? {
                break;
            }
        }
        parts.push(part(reader)?);
    }
    Ok(parts)
}

fn part(reader: &mut Reader<'_>) -> Parsed<Part> {
    if reader.lexer.takes("...")? {
        if reader.lexer.takes("*")? {
            let mut record = Builder::default();
            record.op(Op::Record);
            return Ok(Part { item: Item::Spread, value: Some(record.finish()) });
        }
        return Ok(Part { item: Item::Override, value: Some(reader.program()?) });
    }
    if reader.lexer.takes("-")? {
        return Ok(Part { item: Item::Drop(reader.key()?), value: None });
    }
    let keyed = reader.lexer.peek() == Token::Sign(":");
    if keyed {
        let key = reader.key()?;
        reader.lexer.expect(":")?;
        return Ok(Part { item: Item::Named(key), value: Some(reader.program()?) });
    }
    let Token::Word(word) = *reader.lexer.token() else {
        return Err(reader.lexer.unexpected("an item"));
    };
    let value = reader.program()?;
    let alone = matches!(value.ops(), [Op::Slot(_) | Op::Name(..)]);
    if !alone {
        return Err(reader.lexer.unexpected("a key and ':' before an expression"));
    }
    Ok(Part { item: Item::Named(word.to_owned()), value: Some(value) })
}

/// A constant: a number, or a duration in milliseconds.
enum Constant {
    Number(f64),
    Duration(f64),
}

fn constant(reader: &mut Reader<'_>) -> Parsed<Constant> {
    let at = reader.lexer.clone();
    if let Token::Duration(ms) = *reader.lexer.token() {
        reader.lexer.advance()?;
        return Ok(Constant::Duration(ms));
    }
    match reader.program()?.as_constant() {
        Some(Value::Int(n)) => Ok(Constant::Number(*n as f64)),
        Some(Value::Double(n)) => Ok(Constant::Number(*n)),
        _ => Err(at.failure("INVALID_QUERY", "A number or a duration is needed")),
    }
}

fn read_window(reader: &mut Reader<'_>) -> Parsed<(String, Window)> {
    let mut name = "window".to_owned();
    if reader.lexer.peek() == Token::Sign("=") {
        name = reader.lexer.identifier()?.to_owned();
        reader.lexer.expect("=")?;
    }
    let at = reader.lexer.clone();
    let function = reader.lexer.identifier()?.to_ascii_lowercase();
    let (shape, constants, by) = match function.as_str() {
        "tumbling_window" => (Shape::Tumbling, 1, false),
        "tumbling_window_by" => (Shape::Tumbling, 1, true),
        "hopping_window" => (Shape::Hopping, 2, false),
        "hopping_window_by" => (Shape::Hopping, 2, true),
        "count_window" => (Shape::Count, 1, false),
        "sliding_window" => (Shape::Sliding, 1, false),
        "sliding_window_by" => (Shape::Sliding, 1, true),
        "session_window" => (Shape::Session, 1, true),
        _ => {
            let text = format!("Unknown function: {function}");
            return Err(Failure::new("FUNCTION_NOT_FOUND", text));
        }
    };
    reader.lexer.expect("(")?;
    let mut sizes = vec![constant(reader)?];
    for _ in 1..constants {
        reader.lexer.expect(",")?;
        sizes.push(constant(reader)?);
    }
    let mut value = None;
    if by && reader.lexer.takes(",")? {
        value = Some(reader.program()?);
    }
    if !reader.lexer.is(")") {
        let text = format!("Wrong number of arguments of '{function}'");
        return Err(reader.lexer.failure("INVALID_QUERY", &text));
    }
    reader.lexer.advance()?;
    let timed = sizes.iter().all(|size| matches!(size, Constant::Duration(_)));
    let number = |size: &Constant| match size {
        Constant::Number(n) | Constant::Duration(n) => *n,
    };
    let size = sizes.first().map_or(0.0, number);
    let hop = sizes.get(1).map_or(size, number);
    let measured = match value {
        Some(value) => Measured::Value(value),
        None if timed => Measured::Time,
        None if by => {
            let text = format!("'{function}' needs an expression");
            return Err(at.failure("INVALID_QUERY", &text));
        }
        None => Measured::Count,
    };
    let wrong = |what: &str| Err(at.failure("INVALID_QUERY", &format!("{what} of '{function}'")));
    let whole = |n: f64| !matches!(measured, Measured::Count) || n.fract() == 0.0;
    if !(size > 0.0 && size < 1e15 && whole(size) && hop > 0.0 && whole(hop)) {
        return wrong("Sizes must be positive: bad size");
    }
    let many = if shape == Shape::Sliding && matches!(measured, Measured::Count) {
        size
    } else {
        size / hop
    };
    if many > OVERLAP_MAX {
        return wrong("A record would fall into more than 10000 windows: bad size");
    }
    Ok((name, Window { shape, measured, size, hop }))
}

fn read_emit(reader: &mut Reader<'_>, parts: &[Part]) -> Parsed<Emit> {
    let at = reader.lexer.clone();
    if reader.lexer.takes_word("every")? {
        let size = constant(reader)?;
        if reader.lexer.takes_word("using")? {
            let least = match size {
                Constant::Number(n) | Constant::Duration(n) => n,
            };
            return Ok(Emit::Growth(least, reader.program()?));
        }
        return match size {
            Constant::Duration(ms) if ms >= 1.0 => Ok(Emit::Timer(ms as u64)),
            Constant::Number(n) if (1.0..100.0).contains(&n) => Ok(Emit::Records(n as u64)),
            Constant::Number(n) if (100.0..1e15).contains(&n) => Ok(Emit::Clock(n as u64)),
            _ => Err(at.failure("INVALID_QUERY", "emit every needs a positive number")),
        };
    }
    if reader.lexer.takes_word("when")? {
        for part in parts {
            if let (Item::Named(name), Some(value)) = (&part.item, &part.value) {
                let mut copy = Builder::default();
                copy.inline(value);
                reader.scope.rows.push((name.clone(), copy.finish()));
            }
        }
        let condition = reader.program();
        reader.scope.rows.clear();
        return Ok(Emit::When(condition?));
    }
    reader.lexer.expect_word("on")?;
    if reader.lexer.takes_word("update")? {
        return Ok(Emit::Update);
    }
    if reader.lexer.is_word("group") {
        reader.lexer.advance()?;
        reader.lexer.expect_word("change")?;
        return Ok(Emit::GroupChange);
    }
    reader.lexer.expect_word("change")?;
    Ok(Emit::Change(reader.program()?))
}

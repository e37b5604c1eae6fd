//! JSON files: the elements of an array, or values one after the other.

use super::infer::{conform, merge, shape};
use super::{Content, ELEMENT_BYTES_MAX, FileError, FileSource, reader};
use crate::model::json::check;
use crate::query::strict::json::of_checked;
use crate::query::strict::types::{Kind, Type};
use crate::query::strict::value::{Budget, Halt, Value};
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Cuts a file into values.
struct Values {
    reader: BufReader<File>,
    line: u64,
    /// Inside an array; `None`: nothing was read.
    array: Option<bool>,
    ended: bool,
    count: u64,
    text: Vec<u8>,
}

impl Values {
    fn new(file: File) -> Self {
        let reader = reader(file);
        Self { reader, line: 1, array: None, ended: false, count: 0, text: Vec::new() }
    }

    fn peek(&mut self) -> Result<Option<u8>, String> {
        let buffer = self.reader.fill_buf().map_err(|error| error.to_string())?;
        Ok(buffer.first().copied())
    }

    fn take(&mut self) -> Result<Option<u8>, String> {
        let byte = self.peek()?;
        self.line += u64::from(byte == Some(b'\n'));
        self.reader.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    fn blanks(&mut self) -> Result<Option<u8>, String> {
        loop {
            match self.peek()? {
                Some(byte) if byte.is_ascii_whitespace() => {
                    self.take()?;
                }
                other => return Ok(other),
            }
        }
    }

    fn broken<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("line {}: {what}", self.line))
    }

    /// The next element as a value, and the line where it ends.
    fn next(&mut self) -> Result<Option<Value>, String> {
        if self.array.is_none() {
            let array = self.blanks()? == Some(b'[');
            self.array = Some(array);
            if array {
                self.take()?;
            }
        }
        let array = self.array == Some(true);
        match self.blanks()? {
            None if array && !self.ended => return self.broken("the array does not end"),
            None => return Ok(None),
            Some(_) if self.ended => return self.broken("unexpected text after the array"),
            Some(b']') if array => {
                self.take()?;
                self.ended = true;
                return self.next();
            }
            Some(b',') if array && self.count > 0 => {
                self.take()?;
                self.blanks()?;
            }
            Some(_) if array && self.count > 0 => return self.broken("expected a comma"),
            Some(_) => {}
        }
        self.count += 1;
        self.value()?;
        match check(&self.text) {
            Ok(value) if simdutf8::basic::from_utf8(value.text).is_ok() => {
                Ok(Some(of_checked(value.text)))
            }
            Ok(_) => self.broken("not UTF-8"),
            Err(error) => self.broken(error.what),
        }
    }

    /// Takes the bytes of one value into `text`.
    fn value(&mut self) -> Result<(), String> {
        self.text.clear();
        let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
        while let Some(byte) = self.peek()? {
            if self.text.len() >= ELEMENT_BYTES_MAX {
                return self.broken("the value is too long");
            }
            let open = depth == 0 && !quoted && !self.text.is_empty();
            if open && (byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'{' | b'[')) {
                return Ok(());
            }
            self.take()?;
            self.text.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => {
                    quoted = !quoted;
                    if !quoted && depth == 0 {
                        return Ok(());
                    }
                }
                _ if quoted => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

pub(super) fn look(file: File, source: &mut FileSource) -> Result<Content, FileError> {
    let mut values = Values::new(file);
    let mut element: Option<Type> = None;
    let mut count = 0;
    let mut sampled = false;
    while let Some(value) = values.next().map_err(FileError::Broken)? {
        if count == source.sample_size {
            sampled = true;
            break;
        }
        count += 1;
        let kind = shape(&value);
        element = Some(element.map_or(kind.clone(), |before| merge(&before, &kind)));
    }
    let element = element.unwrap_or(Kind::Undefined.into());
    let alone = values.array == Some(false) && count == 1 && !sampled;
    let kind = if alone { element } else { Type::collection(element).unwrap_or(Type::ANY) };
    Ok(Content { kind, sampled })
}

pub(super) fn scan(
    file: File,
    location: &str,
    source: &FileSource,
    budget: &Budget,
    visit: &mut dyn FnMut(Value) -> Result<bool, Halt>,
) -> Result<bool, Halt> {
    let mut values = Values::new(file);
    let failed = |what: String| Halt::Failed(format!("cannot read {location}: {what}").into());
    let kind = source.kind.element().unwrap_or(&source.kind).clone();
    while let Some(value) = values.next().map_err(failed)? {
        let Some(fitting) = conform(&value, &kind, budget)? else {
            return Err(failed(format!("line {}: the value is no {kind}", values.line)));
        };
        if !visit(fitting)? {
            return Ok(false);
        }
    }
    Ok(true)
}

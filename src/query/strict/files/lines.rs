//! Lines of a file, without their ends.

use super::{ELEMENT_BYTES_MAX, reader};
use crate::query::strict::value::{Halt, Value};
use std::fs::File;
use std::io::{BufRead, Read};

/// Reads lines and counts them.
pub(super) struct Lines<R> {
    reader: R,
    /// Lines read so far.
    pub(super) number: u64,
    /// The last one, with its end.
    pub(super) line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, line: Vec::new() }
    }

    /// Reads the next line; `false` at the end.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn next(&mut self) -> Result<bool, String> {
        self.line.clear();
        let mut bounded = self.reader.by_ref().take(ELEMENT_BYTES_MAX as u64);
        let count = bounded.read_until(b'\n', &mut self.line).map_err(|e| e.to_string())?;
        if count == ELEMENT_BYTES_MAX {
            return Err(format!("line {} is too long", self.number + 1));
        }
        self.number += u64::from(count > 0);
        Ok(count > 0)
    }

    /// The last line without its end.
    pub(super) fn text(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

pub(super) fn scan(
    file: File,
    location: &str,
    skip: usize,
    visit: &mut dyn FnMut(Value) -> Result<bool, Halt>,
) -> Result<bool, Halt> {
    let mut lines = Lines::new(reader(file));
    let failed = |what: String| Halt::Failed(format!("cannot read {location}: {what}").into());
    let mut passed = 0;
    while lines.next().map_err(failed)? {
        if passed < skip {
            passed += 1;
            continue;
        }
        if !visit(Value::text(&String::from_utf8_lossy(lines.text())))? {
            return Ok(false);
        }
    }
    Ok(true)
}

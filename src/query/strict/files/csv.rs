//! Files of separated fields.

use super::lines::Lines;
use super::{Content, FileError, FileSource, reader};
use crate::query::strict::cast::{double, from_text};
use crate::query::strict::time;
use crate::query::strict::types::{Kind, Name, Type};
use crate::query::strict::value::{Halt, Value};
use std::fs::File;
use std::io::BufRead;
use std::rc::Rc;

/// Delimiters that are tried, in this order.
const DELIMITERS: &[u8] = b",;\t|";
/// Rows by which a delimiter is found.
const DELIMITER_ROWS: usize = 100;
/// Fields of a row.
const FIELDS_MAX: usize = 4_096;

/// Reads rows.
struct Rows<R> {
    lines: Lines<R>,
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    fields: Vec<String>,
}

impl<R: BufRead> Rows<R> {
    fn new(input: R, source: &FileSource, delimiter: u8) -> Result<Self, String> {
        let mut lines = Lines::new(input);
        for _ in 0..source.skip {
            if !lines.next()? {
                break;
            }
        }
        let (quote, escape) = (source.quote, source.escape);
        Ok(Self { lines, delimiter, quote, escape, fields: Vec::new() })
    }

    /// Reads the next row that is not an empty line; `false` at the end.
    fn next(&mut self) -> Result<bool, String> {
        self.fields.clear();
        loop {
            if !self.lines.next()? {
                return Ok(false);
            }
            if !self.lines.text().is_empty() {
                break;
            }
        }
        let start = self.lines.number;
        let (mut field, mut quoted) = (Vec::new(), false);
        loop {
            quoted = self.line(&mut field, quoted)?;
            if !quoted {
                break;
            }
            // A quoted field goes on in the next line.
            field.extend_from_slice(
                self.lines.line.get(self.lines.text().len()..).unwrap_or_default(),
            );
            if !self.lines.next()? {
                return Err(format!("line {start}: the quote does not end"));
            }
        }
        self.push(&mut field)?;
        Ok(true)
    }

    fn push(&mut self, field: &mut Vec<u8>) -> Result<(), String> {
        if self.fields.len() == FIELDS_MAX {
            return Err(format!("line {}: too many columns", self.lines.number));
        }
        self.fields.push(String::from_utf8_lossy(field).into_owned());
        field.clear();
        Ok(())
    }

    /// Takes one line; whether a quote is open at its end.
    fn line(&mut self, field: &mut Vec<u8>, mut quoted: bool) -> Result<bool, String> {
        let text = self.lines.text().to_vec();
        let mut bytes = text.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if Some(byte) == self.escape && self.escape != self.quote {
                field.extend(bytes.next());
            } else if Some(byte) == self.quote {
                if quoted && bytes.peek() == Some(&byte) {
                    field.push(byte);
                    bytes.next();
                } else if quoted {
                    quoted = false;
                } else if field.is_empty() {
                    quoted = true;
                } else {
                    field.push(byte);
                }
            } else if byte == self.delimiter && !quoted {
                self.push(field)?;
            } else {
                field.push(byte);
            }
        }
        Ok(quoted)
    }
}

/// How evenly a delimiter splits rows: columns of the first row, and rows that have as many.
fn evenness(mut rows: Rows<impl BufRead>) -> (usize, usize, usize) {
    let (mut columns, mut even, mut count) = (0, 0, 0);
    while count < DELIMITER_ROWS && rows.next().unwrap_or(false) {
        if count == 0 {
            columns = rows.fields.len();
        }
        even += usize::from(rows.fields.len() == columns);
        count += 1;
    }
    (columns, even, count)
}

/// The delimiter of a text's beginning.
fn delimiter(head: &[u8], source: &FileSource) -> u8 {
    let mut best = (b',', 0, 1);
    for candidate in DELIMITERS {
        let Ok(rows) = Rows::new(head, source, *candidate) else { continue };
        let (columns, even, _) = evenness(rows);
        if columns > 1 && (even, columns) > (best.1, best.2) {
            best = (*candidate, even, columns);
        }
    }
    best.0
}

/// Whether a text's beginning reads as rows of more than one column.
pub(super) fn splits(head: &[u8], source: &FileSource) -> bool {
    let found = source.delimiter.unwrap_or_else(|| delimiter(head, source));
    let Ok(rows) = Rows::new(head, source, found) else { return false };
    let (columns, even, count) = evenness(rows);
    // The last row of a beginning may be cut off.
    columns > 1 && even + 1 >= count
}

fn head(file: &File) -> Result<Vec<u8>, FileError> {
    use std::io::{Read, Seek};
    let broken = |error: std::io::Error| FileError::Broken(error.to_string());
    let mut head = Vec::new();
    let mut file = file;
    file.take(256 << 10).read_to_end(&mut head).map_err(broken)?;
    file.rewind().map_err(broken)?;
    Ok(head)
}

pub(super) fn look(file: File, source: &mut FileSource) -> Result<Content, FileError> {
    if source.delimiter.is_none() {
        let head = head(&file)?;
        source.delimiter = Some(delimiter(&head, source));
    }
    let delimiter = source.delimiter.unwrap_or(b',');
    let mut rows = Rows::new(reader(file), source, delimiter).map_err(FileError::Broken)?;
    let mut names: Vec<Name> = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    let (mut count, mut sampled) = (0, false);
    while rows.next().map_err(FileError::Broken)? {
        if count == 0 && source.has_header.is_none() {
            let name = |field: &String| !field.is_empty() && scalar(field) == Sort::Text;
            source.has_header = Some(rows.fields.iter().all(name));
        }
        if count == 0 && source.has_header == Some(true) && names.is_empty() {
            names = header(&rows.fields);
            columns.resize_with(names.len(), Column::default);
            continue;
        }
        if count == source.sample_size {
            sampled = true;
            break;
        }
        if columns.len() < rows.fields.len() && names.is_empty() {
            let missing = Column { nullable: count > 0, ..Column::default() };
            columns.resize(rows.fields.len(), missing);
        }
        for (index, column) in columns.iter_mut().enumerate() {
            column.add(rows.fields.get(index).filter(|field| !is_null(field, source)));
        }
        count += 1;
    }
    source.has_header.get_or_insert(false);
    let numbered = |index: usize| Rc::from(format!("_{}", index + 1));
    let fields = columns.iter().enumerate().map(|(index, column)| {
        (names.get(index).cloned().unwrap_or_else(|| numbered(index)), column.kind())
    });
    let row = Type::record(fields.collect()).unwrap_or(Type::ANY);
    Ok(Content { kind: Type::collection(row).unwrap_or(Type::ANY), sampled })
}

/// Names of columns: those that come again get a number.
fn header(fields: &[String]) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        let field = if index == 0 { field.trim_start_matches('\u{feff}') } else { field };
        let base = if field.is_empty() { format!("_{}", index + 1) } else { field.to_owned() };
        let mut name = base.clone();
        let mut number = 0;
        while names.iter().any(|other| **other == *name) {
            number += 1;
            name = format!("{base}_{number}");
        }
        names.push(Rc::from(name));
    }
    names
}

fn is_null(field: &str, source: &FileSource) -> bool {
    field.is_empty() || source.nulls.iter().any(|null| null == field)
}

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Int,
    Long,
    Double,
    Bool,
    Date,
    Timestamp,
    Text,
}

fn scalar(field: &str) -> Sort {
    if field.parse::<i32>().is_ok() {
        Sort::Int
    } else if field.parse::<i64>().is_ok() {
        Sort::Long
    } else if double(field).is_some() {
        Sort::Double
    } else if field.eq_ignore_ascii_case("true") || field.eq_ignore_ascii_case("false") {
        Sort::Bool
    } else if time::parse_date(field).is_some() {
        Sort::Date
    } else if time::parse_timestamp(field).is_some() {
        Sort::Timestamp
    } else {
        Sort::Text
    }
}

#[derive(Clone, Debug, Default)]
struct Column {
    sort: Option<Sort>,
    nullable: bool,
}

impl Column {
    fn add(&mut self, field: Option<&String>) {
        let Some(field) = field else {
            self.nullable = true;
            return;
        };
        let sort = scalar(field);
        self.sort = Some(match self.sort {
            None => sort,
            Some(before) if before == sort => sort,
            Some(Sort::Int | Sort::Long) if matches!(sort, Sort::Int | Sort::Long) => Sort::Long,
            Some(Sort::Int | Sort::Long | Sort::Double)
                if matches!(sort, Sort::Int | Sort::Long | Sort::Double) =>
            {
                Sort::Double
            }
            Some(_) => Sort::Text,
        });
    }

    fn kind(&self) -> Type {
        let kind = match self.sort {
            Some(Sort::Int) => Kind::Int,
            Some(Sort::Long) => Kind::Long,
            Some(Sort::Double) => Kind::Double,
            Some(Sort::Bool) => Kind::Bool,
            Some(Sort::Date) => Kind::Date,
            Some(Sort::Timestamp) => Kind::Timestamp,
            Some(Sort::Text) | None => Kind::String,
        };
        Type::from(kind).or_null(self.nullable)
    }
}

pub(super) fn scan(
    file: File,
    location: &str,
    source: &FileSource,
    visit: &mut dyn FnMut(Value) -> Result<bool, Halt>,
) -> Result<bool, Halt> {
    let failed = |what: String| Halt::Failed(format!("cannot read {location}: {what}").into());
    let delimiter = source.delimiter.unwrap_or(b',');
    let mut rows = Rows::new(reader(file), source, delimiter).map_err(failed)?;
    let columns = source.kind.element().and_then(Type::fields).unwrap_or_default();
    let names: Rc<[Name]> = columns.iter().map(|(name, _)| name.clone()).collect();
    let mut places: Vec<Option<usize>> = (0..columns.len()).map(Some).collect();
    let mut width = columns.len();
    if source.has_header == Some(true) {
        if !rows.next().map_err(failed)? {
            return Ok(true);
        }
        let header = header(&rows.fields);
        width = header.len();
        places = names.iter().map(|name| header.iter().position(|own| own == name)).collect();
    }
    while rows.next().map_err(failed)? {
        let line = rows.lines.number;
        if rows.fields.len() > width {
            return Err(failed(format!("line {line} column {}: unexpected field", width + 1)));
        }
        let mut values = Vec::with_capacity(columns.len());
        for ((_, kind), place) in columns.iter().zip(&places) {
            let field = place.and_then(|place| rows.fields.get(place));
            let Some(field) = field.filter(|field| !is_null(field, source)) else {
                values.push(Value::Null);
                continue;
            };
            let Some(value) = from_text(field, &kind.kind) else {
                let column = place.map_or(0, |place| place + 1);
                let wanted = Type { kind: kind.kind.clone(), nullable: false };
                let what = format!("line {line} column {column}: '{field}' is no {wanted}");
                return Err(failed(what));
            };
            values.push(value);
        }
        if !visit(Value::record(names.clone(), values))? {
            return Ok(false);
        }
    }
    Ok(true)
}

//! Output formats (raw, 1.5), row by row. Brackets, the header line and separators are written with
//! the row that follows them, so that what was sent before a failure ends with a whole row.

use crate::query::strict::eval::Writer;
use crate::query::strict::json::{Full, scalar_text, write};
use crate::query::strict::operators::mismatch;
use crate::query::strict::types::{Kind, Name, Type};
use crate::query::strict::value::{Halt, Value};

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON document.
    #[default]
    Json,
    /// JSON values separated by LF.
    Hjson,
    /// A line of names, then a line for each element.
    Csv,
    /// The bytes of one string.
    Text,
    /// The bytes of one binary.
    Binary,
}

const UNSUPPORTED: &str = "unsupported type";

impl Format {
    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Format::Json,
            "hjson" => Format::Hjson,
            "csv" => Format::Csv,
            "text" => Format::Text,
            "binary" => Format::Binary,
            _ => return None,
        })
    }

    /// Whether results of that type can be written, as far as that is known.
    #[must_use]
    pub fn supports(self, kind: &Type) -> bool {
        match self {
            Format::Json | Format::Hjson => true,
            Format::Text => kind.is_any() || matches!(kind.kind, Kind::String),
            Format::Binary => kind.is_any() || matches!(kind.kind, Kind::Binary),
            Format::Csv => match (kind.element(), kind.fields()) {
                (Some(row), _) => match row.fields() {
                    Some(fields) => fields.iter().all(|(_, kind)| is_scalar(kind)),
                    None => is_scalar(row),
                },
                (None, Some(fields)) => fields.iter().all(|(_, kind)| is_scalar(kind)),
                (None, None) => kind.is_any(),
            },
        }
    }

    /// A writer for a result of that type.
    #[must_use]
    pub fn writer(self, kind: &Type) -> Sheet {
        let row = kind.element().unwrap_or(kind);
        let columns = match (&row.kind, row.fields()) {
            (_, Some(fields)) => Some(fields.iter().map(|(name, _)| name.clone()).collect()),
            (Kind::Any(Some(shape)), _) => Some(shape.fields.clone()),
            _ => None,
        };
        Sheet { format: self, columns, begun: false }
    }
}

fn is_scalar(kind: &Type) -> bool {
    !matches!(kind.kind, Kind::Record(_) | Kind::Collection(_))
}

/// See the module's page.
#[derive(Debug)]
pub struct Sheet {
    format: Format,
    /// Names of the fields of a CSV row; `None`: a row is one value.
    columns: Option<Vec<Name>>,
    begun: bool,
}

impl Sheet {
    /// The header line, if it was not written yet.
    fn header(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let value = [Name::from("value")];
        let names = self.columns.as_deref().unwrap_or(&value);
        if names.is_empty() {
            return;
        }
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_cell(name, out);
        }
        out.push(b'\n');
    }

    fn line(&mut self, row: &Value, out: &mut Vec<u8>) -> Result<(), Halt> {
        let cells: Vec<Value> = match (&self.columns, row) {
            (Some(columns), Value::Record(record)) => {
                columns.iter().map(|name| record.get(name).cloned().unwrap_or_default()).collect()
            }
            (Some(columns), Value::Json(object)) if object.is_object() => {
                let member = |name: &Name| crate::query::strict::json::member(object, name);
                columns.iter().map(member).collect()
            }
            (Some(columns), Value::Null | Value::Unset) => vec![Value::Null; columns.len()],
            (None, scalar) => vec![scalar.clone()],
            (Some(_), _) => return Halt::failed(UNSUPPORTED),
        };
        let nested = |cell: &Value| matches!(cell.kind_name(), "record" | "collection");
        if cells.iter().any(nested) {
            return Halt::failed(UNSUPPORTED);
        }
        self.header(out);
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if let Some(text) = scalar_text(cell) {
                write_cell(&text, out);
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

fn write_cell(text: &str, out: &mut Vec<u8>) {
    if !text.contains([',', '"', '\r', '\n']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

impl Writer for Sheet {
    fn element(&mut self, value: &Value, out: &mut Vec<u8>, full: Full<'_>) -> Result<(), Halt> {
        let begun = self.begun;
        match self.format {
            Format::Json => out.push(if begun { b',' } else { b'[' }),
            Format::Hjson if begun => out.push(b'\n'),
            Format::Hjson => {}
            Format::Csv => return self.line(value, out),
            Format::Text | Format::Binary => return Halt::failed(UNSUPPORTED),
        }
        self.begun = true;
        write(value, out, full)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        match self.format {
            Format::Json if self.begun => out.push(b']'),
            Format::Json => out.extend_from_slice(b"[]"),
            Format::Csv => self.header(out),
            Format::Hjson | Format::Text | Format::Binary => {}
        }
    }

    fn value(&mut self, value: &Value, out: &mut Vec<u8>, full: Full<'_>) -> Result<(), Halt> {
        match (self.format, value) {
            (Format::Json | Format::Hjson, _) => write(value, out, full),
            (_, Value::Null | Value::Unset) => {
                if self.format == Format::Csv {
                    self.header(out);
                }
                Ok(())
            }
            (Format::Csv, Value::Record(_) | Value::Json(_)) => self.line(value, out),
            (Format::Text, Value::Text(text)) => {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            (Format::Binary, Value::Binary(bytes)) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            (Format::Csv, other) => mismatch("record", other),
            _ => Halt::failed(UNSUPPORTED),
        }
    }
}

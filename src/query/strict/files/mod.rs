//! Files as collections (raw, 2.9): inside `files_dir` only, read in pieces.
//!
//! Method: [`look`] finds format and type from a sample and notes them in the [`FileSource`];
//! [`scan`] reads the file element by element against that type. Nothing is held but one element
//! and the reader's buffer.

mod csv;
mod infer;
mod json;
mod lines;

use super::plan::Node;
use super::types::{Kind, Name, Type};
use super::value::{Budget, Halt, ListBuilder, Value};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// Bytes of one element: a line, a row, a JSON value.
const ELEMENT_BYTES_MAX: usize = 64 << 20;
/// Elements that a type is inferred from, unless told otherwise.
const SAMPLE_SIZE: usize = 10_000;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON: an array, values one after the other, or one value.
    Json,
    /// Separated fields.
    Csv,
    /// Lines.
    Lines,
}

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// Outside of the folder, no regular file, or no such place.
    NotAllowed,
    /// Not there.
    NotFound,
    /// Its content is not what it should be.
    Broken(String),
}

impl FileError {
    /// As the client reads it.
    #[must_use]
    pub fn message(&self, location: &str) -> String {
        match self {
            FileError::NotAllowed => format!("location not allowed: {location}"),
            FileError::NotFound => format!("path not found: {location}"),
            FileError::Broken(what) => format!("cannot read {location}: {what}"),
        }
    }
}

/// A call of `READ` and its kin.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// Where the file is.
    pub location: Node,
    /// Its format, if it is known.
    pub format: Option<Format>,
    /// Whether the first line of a CSV file names its columns, if it is known.
    pub has_header: Option<bool>,
    /// Between fields, if it is known.
    pub delimiter: Option<u8>,
    /// Makes the next character of a field plain.
    pub escape: Option<u8>,
    /// Around fields.
    pub quote: Option<u8>,
    /// Lines passed over before everything.
    pub skip: usize,
    /// Fields that are null.
    pub nulls: Vec<String>,
    /// Elements that the type is inferred from.
    pub sample_size: usize,
    /// Type that the query states.
    pub declared: Option<Rc<Type>>,
    /// Type of the content.
    pub kind: Rc<Type>,
}

impl FileSource {
    /// A call without options.
    #[must_use]
    pub fn new(location: Node, format: Option<Format>) -> Self {
        Self {
            location,
            format,
            has_header: None,
            delimiter: None,
            escape: None,
            quote: Some(b'"'),
            skip: 0,
            nulls: Vec::new(),
            sample_size: SAMPLE_SIZE,
            declared: None,
            kind: Rc::new(Type::ANY),
        }
    }
}

/// What [`look`] found.
#[derive(Clone, Debug)]
pub struct Content {
    /// Type of the whole.
    pub kind: Type,
    /// There is more than the sample.
    pub sampled: bool,
}

/// The file that a location means.
///
/// # Errors
/// It may not be read or is not there.
fn open(folder: Option<&Path>, location: &str) -> Result<File, FileError> {
    let folder = folder.ok_or(FileError::NotAllowed)?;
    let path = location.strip_prefix("file:").ok_or(FileError::NotAllowed)?;
    let path = Path::new(path);
    let plain = |part: Component<'_>| {
        matches!(part, Component::Normal(_) | Component::RootDir | Component::CurDir)
    };
    if path.as_os_str().is_empty() || !path.components().all(plain) {
        return Err(FileError::NotAllowed);
    }
    let folder = folder.canonicalize().map_err(|_| FileError::NotAllowed)?;
    // Joining an absolute path gives that path.
    let wanted = folder.join(path);
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound if lies_in(&wanted, &folder) => FileError::NotFound,
        _ => FileError::NotAllowed,
    };
    let real: PathBuf = wanted.canonicalize().map_err(missing)?;
    if !real.starts_with(&folder) || !real.metadata().is_ok_and(|data| data.is_file()) {
        return Err(FileError::NotAllowed);
    }
    File::open(&real).map_err(|_| FileError::NotAllowed)
}

/// Whether a path that is not there would be in `folder`, its links resolved as far as it goes.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let mut existing = path.ancestors().skip(1).filter_map(|above| above.canonicalize().ok());
    existing.next().is_some_and(|above| above.starts_with(folder))
}

/// Finds what `source` leaves open, and the type of the content.
///
/// # Errors
/// It may not or cannot be read.
pub fn look(
    folder: Option<&Path>,
    location: &str,
    source: &mut FileSource,
) -> Result<Content, FileError> {
    let file = open(folder, location)?;
    if source.format.is_none() {
        source.format = Some(guess(&file, source)?);
        drop(file);
        return look(folder, location, source);
    }
    match source.format {
        Some(Format::Json) => json::look(file, source),
        Some(Format::Csv) => csv::look(file, source),
        _ => {
            let kind = Type::collection(Kind::String.into()).unwrap_or(Type::ANY);
            Ok(Content { kind, sampled: false })
        }
    }
}

/// The format by the content.
fn guess(file: &File, source: &FileSource) -> Result<Format, FileError> {
    let mut head = vec![0; 64 << 10];
    let mut filled = 0;
    let mut reader = file;
    while let Some(room) = head.get_mut(filled..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(FileError::Broken(error.to_string())),
        }
    }
    head.truncate(filled);
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(first, Some(b'{' | b'[')) {
        return Ok(Format::Json);
    }
    Ok(if csv::splits(&head, source) { Format::Csv } else { Format::Lines })
}

/// Calls `visit` for each element of the file, or its one value; `false` from it ends the scan.
///
/// # Errors
/// Those of `visit`; the file may not or cannot be read, or does not fit its type.
pub fn scan(
    folder: Option<&Path>,
    location: &str,
    source: &FileSource,
    budget: &Budget,
    visit: &mut dyn FnMut(Value) -> Result<bool, Halt>,
) -> Result<bool, Halt> {
    let failed = |error: FileError| Halt::Failed(error.message(location).into());
    let mut source = source.clone();
    if source.format.is_none() || (source.format == Some(Format::Csv) && !source.is_known()) {
        let found = look(folder, location, &mut source).map_err(failed)?;
        source.kind = source.declared.clone().unwrap_or_else(|| Rc::new(found.kind));
    }
    let file = open(folder, location).map_err(failed)?;
    match source.format {
        Some(Format::Json) => json::scan(file, location, &source, budget, visit),
        Some(Format::Csv) => csv::scan(file, location, &source, visit),
        _ => lines::scan(file, location, source.skip, visit),
    }
}

impl FileSource {
    /// Whether nothing about a CSV file is left to find out.
    fn is_known(&self) -> bool {
        let columns = self.kind.element().is_some_and(|element| element.fields().is_some());
        self.has_header.is_some() && self.delimiter.is_some() && columns
    }
}

/// What `DESCRIBE` says.
///
/// # Errors
/// The file may not or cannot be read.
pub fn describe(
    folder: Option<&Path>,
    location: &str,
    source: &FileSource,
    budget: &Budget,
) -> Result<Value, Halt> {
    let mut source = source.clone();
    let failed = |error: FileError| Halt::Failed(error.message(location).into());
    let content = look(folder, location, &mut source).map_err(failed)?;
    let element = content.kind.element();
    let row = element.unwrap_or(&content.kind);
    let plain = |kind: &Type| Type { kind: kind.kind.clone(), nullable: false }.to_string();
    let names: Rc<[Name]> = ["col_name", "type", "nullable"].map(Name::from).into();
    let mut columns = ListBuilder::new(budget);
    for (name, kind) in row.fields().unwrap_or_default() {
        let values =
            vec![Value::Text(name.clone()), Value::text(&plain(kind)), Value::Bool(kind.nullable)];
        columns.push(Value::record(names.clone(), values))?;
    }
    let format = match source.format {
        Some(Format::Json) => "json",
        Some(Format::Csv) => "csv",
        _ => "text",
    };
    let fields = ["format", "type", "is_collection", "columns", "sampled"].map(Name::from);
    let values = vec![
        Value::text(format),
        Value::text(&content.kind.to_string()),
        Value::Bool(element.is_some()),
        columns.finish(),
        Value::Bool(content.sampled),
    ];
    Ok(Value::record(fields.into(), values))
}

fn reader(file: File) -> BufReader<File> {
    BufReader::with_capacity(256 << 10, file)
}

#[cfg(test)]
mod tests;

//! Names of the fields that the records of a topic have, in the order they were first seen.
//!
//! Method: what was looked at once is remembered, by topic, with the offset up to which it was; a
//! query looks at what came since. It is also kept in a file beside the topic's log, so that the
//! first query after a start does not read all of it. The file says which record was the last one
//! looked at, by time and checksum: where the log lost its end and went on otherwise, or no longer
//! has that record, the file does not count. Cost: a scan of the keys of each new record, and a
//! small file once in [`FILE_EVERY`] records.

use super::Snapshot;
use crate::model::record::{Body, Offset, Record};
use crate::model::topic::TopicId;
use crate::model::value::{Bytes, Value, encode_bytes, members, of_record, unescape_text};
use crate::query::program::Fault;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names that are remembered of a topic.
const FIELDS_MAX: usize = 4096;
/// Records that are looked at before the file is written again.
const FILE_EVERY: u64 = 10_000;
/// Begin of a file, with the version of its layout.
const MAGIC: &[u8; 8] = b"weirfld1";

/// What is known of a topic.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The names.
    pub fields: Arc<[String]>,
    /// Records before this offset were looked at.
    pub up_to: Offset,
    /// As far as the file says so.
    filed: Offset,
}

/// Known fields by topic.
pub type ObservedFields = ahash::AHashMap<TopicId, Observed>;

/// A record that was looked at, to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    offset: Offset,
    time: i64,
    crc: u32,
}

impl Mark {
    fn of(offset: Offset, record: &Record<'_>) -> Self {
        let crc = match record.body {
            Body::Json(bytes) | Body::Derived { json: bytes, .. } => crc32fast::hash(bytes),
            Body::Frame { bytes, .. } | Body::Rows(bytes) => crc32fast::hash(bytes),
            Body::Lifecycle { json, .. } => crc32fast::hash(json),
        };
        Self { offset, time: record.time, crc }
    }
}

/// Names that are being gathered.
#[derive(Default)]
struct Gather {
    names: Vec<String>,
    /// Numbers of the names of the last record, in its order: mostly those of the next one.
    order: Vec<usize>,
}

impl Gather {
    fn look(&mut self, record: &Record<'_>) {
        let is_json = !matches!(record.body, Body::Frame { binary: true, .. });
        if let Value::Json(text) = of_record(record)
            && is_json
            && text.starts_with('{')
        {
            let mut place = 0;
            members(text, |key, _| {
                if key.contains('\\') {
                    self.see(place, &unescape_text(key));
                } else {
                    self.see(place, key);
                }
                place += 1;
            });
        }
    }

    fn see(&mut self, place: usize, name: &str) {
        let guess = self.order.get(place).and_then(|number| self.names.get(*number));
        if guess.is_some_and(|known| known == name) {
            return;
        }
        let found = self.names.iter().position(|known| known == name);
        let number = found.unwrap_or(self.names.len());
        if found.is_none() {
            if self.names.len() >= FIELDS_MAX {
                return;
            }
            self.names.push(name.to_owned());
        }
        self.order.truncate(place);
        if self.order.len() == place {
            self.order.push(number);
        }
    }
}

/// Where the file of a topic is.
#[must_use]
pub fn path(data_dir: &Path, topic: TopicId) -> PathBuf {
    data_dir.join("topics").join(topic.to_string()).join("fields")
}

impl Observed {
    /// Looks at what came since, of a topic with its file; `file`: none if its log is not kept.
    /// `go_on` is asked from time to time.
    ///
    /// # Errors
    /// The log cannot be read, or what `go_on` says.
    pub fn brought_up(
        self,
        snapshot: impl Fn() -> Result<Snapshot, Fault>,
        file: Option<&Path>,
        mut go_on: impl FnMut() -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        let mut known = self;
        if known.up_to == 0
            && let Some(stored) = file.and_then(read)
            && first_of(snapshot()?, stored.1.offset)? == Some(stored.1)
        {
            known = stored.0;
        }
        let snapshot = snapshot()?;
        let head = snapshot.head;
        if known.up_to >= head {
            return Ok(known);
        }
        let mut gather = Gather { names: known.fields.to_vec(), order: Vec::new() };
        let mut last = None;
        let mut records = snapshot.read(known.up_to);
        while records.next_chunk(&mut |offset, record| {
            record.each(&mut |record| gather.look(record));
            last = Some(Mark::of(offset, record));
            ControlFlow::Continue(())
        })? {
            go_on()?;
        }
        known.up_to = head;
        if known.fields.len() != gather.names.len() {
            known.fields = gather.names.into();
        }
        if let (Some(path), Some(mark)) = (file, last)
            && mark.offset + 1 >= known.filed + FILE_EVERY
        {
            match write(path, &known.fields, mark) {
                Ok(()) => known.filed = mark.offset + 1,
                // The topic may be gone meanwhile; without the file a start costs a scan.
                Err(error) => tracing::debug!(%error, "names of fields are not stored"),
            }
        }
        Ok(known)
    }
}

/// The first record of a snapshot from an offset on.
fn first_of(snapshot: Snapshot, offset: Offset) -> Result<Option<Mark>, Fault> {
    let mut first = None;
    if offset < snapshot.head {
        let mut records = snapshot.read(offset);
        while first.is_none()
            && records.next_chunk(&mut |offset, record| {
                first = Some(Mark::of(offset, record));
                ControlFlow::Break(())
            })?
        {}
    }
    Ok(first)
}

fn write(path: &Path, fields: &[String], mark: Mark) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    for number in [mark.offset, mark.time as u64, u64::from(mark.crc), fields.len() as u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    fields.iter().for_each(|name| encode_bytes(name.as_bytes(), &mut bytes));
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    // Several queries may do so at once; the checksum tells what is whole.
    let temporary = path.with_extension(format!("{:?}", std::thread::current().id()));
    fs::write(&temporary, bytes)?;
    fs::rename(temporary, path)
}

fn read(path: &Path) -> Option<(Observed, Mark)> {
    let bytes = fs::read(path).ok()?;
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut from = Bytes(body.strip_prefix(MAGIC)?);
    let (offset, time, crc) = (from.u64()?, from.u64()? as i64, u32::try_from(from.u64()?).ok()?);
    let count = from.count(8)?;
    let fields: Vec<String> =
        (0..count).map(|_| from.text().map(str::to_owned)).collect::<Option<_>>()?;
    let up_to = offset.checked_add(1)?;
    let observed = Observed { fields: fields.into(), up_to, filed: up_to };
    Some((observed, Mark { offset, time, crc }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_the_order_they_were_seen() {
        let mut gather = Gather::default();
        for text in [
            r#"{"a":1,"b":2}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"b":1,"a":{"z":1},"c":2}"#,
            r#"{"c":1,"\u0061":2,"d":3}"#,
            "[1]",
            "7",
            r#"{"e":1}"#,
            r#"{"a":1,"b":2,"e":4,"f":1}"#,
            "{}",
        ] {
            gather.look(&Record { time: 0, producer: 0, body: Body::Json(text.as_bytes()) });
        }
        assert_eq!(gather.names, ["a", "b", "c", "d", "e", "f"]);
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = std::env::temp_dir().join(format!("weir-fields-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("fields");
        let mark = Mark { offset: 41, time: -5, crc: 7 };
        write(&path, &["a".to_owned(), "ü".to_owned()], mark).unwrap();
        let (observed, found) = read(&path).unwrap();
        assert_eq!(
            (found, observed.up_to, &*observed.fields),
            (mark, 42, &["a".into(), "ü".into()][..])
        );
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(read(&path).is_none());
        }
        let mut damaged = whole.clone();
        damaged[20] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(read(&path).is_none());
        fs::remove_dir_all(dir).unwrap();
    }
}

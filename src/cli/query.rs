//! `weir query`: a query in any language, as a table on a terminal and as JSON lines else.
//!
//! JET goes over the protocol of JSON streams; RQL over that of RAW, whose rows are printed as they
//! come; NSDb's SQL over that of live metrics, of which the first answer is taken. Values are
//! printed as the server wrote them. A query that takes more than a second says on a terminal how
//! long it has been running.

use super::client::{Client, Target, quoted};
use crate::model::value::{Style, Value, read_json, write_value};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tungstenite::Message;

/// The languages.
pub const DIALECTS: &[&str] = &["jet", "rql", "nsdb"];
/// Rows of a table; beyond, it says how many there were.
const TABLE_ROWS_MAX: usize = 1000;
/// Characters of a cell.
const CELL_CHARS_MAX: usize = 60;
/// Between two looks at the clock.
const BEAT: Duration = Duration::from_millis(250);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    /// One of [`DIALECTS`].
    pub dialect: &'q str,
    /// Database and namespace, for metrics.
    pub within: Option<&'q str>,
    /// The text.
    pub text: &'q str,
}

/// Runs a query and prints what it gives. `lines`: JSON lines, also on a terminal.
///
/// # Errors
/// What the server says of the query, or what became of the connection.
pub fn run(
    target: &Target,
    query: &Query<'_>,
    lines: bool,
    output: &mut impl Write,
) -> Result<(), String> {
    let table = !lines && io::stdout().is_terminal();
    let clock = Clock::start();
    let mut printer = Printer { table, rows: Vec::new(), count: 0, output };
    let result = match query.dialect {
        "rql" => rql(target, query.text, &mut printer),
        "nsdb" => nsdb(target, query, &mut printer),
        _ => jet(target, query.text, &mut printer),
    };
    clock.stop();
    let printed = printer.finish();
    result.and(printed)
}

fn jet(target: &Target, text: &str, printer: &mut Printer<'_, impl Write>) -> Result<(), String> {
    let mut client = Client::connect(target)?;
    let request = format!("{{\"type\":\"execute\",\"query\":{}}}", quoted(text));
    let frame = client.ask_text(request)?;
    client.close();
    let answer = read_json(&frame).unwrap_or_default();
    let result = answer.member("result");
    let results = result.member("results");
    let one = [result.clone()];
    let list = results.elements().unwrap_or(std::borrow::Cow::Borrowed(&one));
    for result in list.iter() {
        let rows = result.member("result").member("rows");
        if let (Value::Bool(true), Some(rows)) = (result.member("success"), rows.elements()) {
            for row in rows.iter() {
                printer.row(row)?;
            }
            if let Value::Bool(true) = result.member("result").member("truncated") {
                eprintln!(
                    "weir: only the first {} rows; `take` or `summarize` says less",
                    rows.len()
                );
            }
        } else if let Value::Bool(true) = result.member("success") {
            match (result.member("result"), result.member("message")) {
                (Value::Missing, Value::String(message)) => eprintln!("{}", &*message),
                (value, _) => printer.row(&value)?,
            }
        }
    }
    match answer.member("error") {
        Value::String(error) => Err(error.to_string()),
        Value::Missing => Ok(()),
        other => match other.member("message") {
            Value::String(message) => Err(message.to_string()),
            _ => Err("the query failed".to_owned()),
        },
    }
}

fn nsdb(
    target: &Target,
    query: &Query<'_>,
    printer: &mut Printer<'_, impl Write>,
) -> Result<(), String> {
    let Some((database, namespace)) = query.within.and_then(|name| name.split_once('.')) else {
        return Err("say where the metric lies: --in DB.NAMESPACE".to_owned());
    };
    let statement = crate::query::dialect::nsdb::parse(query.text);
    // The server says what is wrong with a text that is none.
    let metric = statement.as_ref().map_or("metric", |statement| statement.metric());
    let mut client = Client::connect_to(target, "/ws-stream")?;
    let request = format!(
        "{{\"db\":{},\"namespace\":{},\"metric\":{},\"queryString\":{}}}",
        quoted(database),
        quoted(namespace),
        quoted(metric),
        quoted(query.text)
    );
    let frame = client.ask_text(request)?;
    client.close();
    let answer = read_json(&frame).unwrap_or_default();
    if let Some(records) = answer.member("records").elements() {
        return records.iter().try_for_each(|record| printer.row(record));
    }
    match (answer.member("reason"), answer.member("error")) {
        (Value::String(why), _) | (_, Value::String(why)) => Err(why.to_string()),
        _ => Err("the query failed".to_owned()),
    }
}

fn rql(target: &Target, text: &str, printer: &mut Printer<'_, impl Write>) -> Result<(), String> {
    let mut client = Client::connect_to(target, "/ws/query")?;
    let settings = "{\"X-RAW-output-format\":\"hjson\"}";
    let query = quoted(text);
    let request =
        format!("{{\"type\":\"queryRequest\",\"query\":{query},\"settings\":{settings}}}");
    client.send(request)?;
    client.wait_for_ever();
    let mut rest: Vec<u8> = Vec::new();
    let mut failed = None;
    loop {
        match client.read()? {
            Message::Binary(bytes) => {
                rest.extend_from_slice(&bytes);
                let end = memchr::memrchr(b'\n', &rest).map_or(0, |at| at + 1);
                let tail = rest.split_off(end);
                let whole = std::mem::replace(&mut rest, tail);
                printer.lines(&whole)?;
            }
            Message::Text(text) => {
                let message = read_json(&text).unwrap_or_default();
                let text = |name: &str| match message.member(name) {
                    Value::String(text) => text.to_string(),
                    _ => String::new(),
                };
                match text("type").as_str() {
                    "userMessage" if text("level") == "error" => failed = Some(text("message")),
                    "invalidQuery" => failed = Some(errors(&message)),
                    "invalidMessage" => failed = Some(text("error")),
                    _ => {}
                }
            }
            Message::Close(_) => break,
            _ => {}
        }
    }
    printer.lines(&rest)?;
    failed.map_or(Ok(()), Err)
}

/// The errors of an `invalidQuery`, a line each.
fn errors(message: &Value<'_>) -> String {
    let list = message.member("errors");
    let line = |error: &Value<'_>| {
        let Value::String(text) = error.member("message") else { return String::new() };
        let begin = error.member("positions").element(0).member("begin");
        match (begin.member("line"), begin.member("column")) {
            (Value::Int(line), Value::Int(column)) => {
                format!("{} at line {line}, column {column}", &*text)
            }
            _ => text.to_string(),
        }
    };
    list.elements().unwrap_or_default().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Says how long a query has been running.
struct Clock(Arc<AtomicBool>);

impl Clock {
    fn start() -> Self {
        let ended = Arc::new(AtomicBool::new(!io::stderr().is_terminal()));
        let told = Arc::clone(&ended);
        let begun = Instant::now();
        thread::spawn(move || {
            let mut shown = 0;
            while !told.load(Ordering::Acquire) {
                let seconds = begun.elapsed().as_secs();
                if seconds > shown {
                    shown = seconds;
                    eprint!("\rrunning for {seconds} s ");
                }
                thread::sleep(BEAT);
            }
        });
        Self(ended)
    }

    fn stop(&self) {
        if !self.0.swap(true, Ordering::AcqRel) {
            eprint!("\r\x1b[K");
        }
    }
}

/// Prints rows, at once or as a table at the end.
struct Printer<'o, W: Write> {
    table: bool,
    rows: Vec<Value<'static>>,
    count: usize,
    output: &'o mut W,
}

impl<W: Write> Printer<'_, W> {
    fn lines(&mut self, bytes: &[u8]) -> Result<(), String> {
        if !self.table {
            let end: &[u8] = if bytes.is_empty() || bytes.ends_with(b"\n") { b"" } else { b"\n" };
            return written(self.output.write_all(bytes).and_then(|()| self.output.write_all(end)));
        }
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            match read_json(line) {
                Some(value) => self.row(&value)?,
                None => self.row(&Value::text(line))?,
            }
        }
        Ok(())
    }

    fn row(&mut self, value: &Value<'_>) -> Result<(), String> {
        self.count += 1;
        if self.table {
            if self.rows.len() < TABLE_ROWS_MAX {
                self.rows.push(value.own());
            }
            return Ok(());
        }
        let mut line = Vec::new();
        write_value(value, Style::Script, &mut line);
        line.push(b'\n');
        written(self.output.write_all(&line))
    }

    fn finish(self) -> Result<(), String> {
        if self.table {
            let mut text = as_table(&self.rows);
            let left = self.count - self.rows.len();
            if left > 0 {
                text.push_str(&format!("and {left} more; --json prints all\n"));
            }
            text.push_str(&format!("{} row(s)\n", self.count));
            written(self.output.write_all(text.as_bytes()))?;
        }
        written(self.output.flush())
    }
}

/// A reader that has seen enough is no error.
fn written(result: io::Result<()>) -> Result<(), String> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write: {error}; is the disk full?"))
        }
        _ => Ok(()),
    }
}

/// Rows under each other; columns are the fields in the order they were first seen.
fn as_table(rows: &[Value<'_>]) -> String {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        match row.fields() {
            Some(fields) => {
                for (name, _) in fields.iter() {
                    if !names.iter().any(|known| *known == **name) {
                        names.push(name.to_string());
                    }
                }
            }
            None if !names.iter().any(|known| known == "value") => names.push("value".to_owned()),
            None => {}
        }
    }
    let cells = |row: &Value<'_>| -> Vec<(String, bool)> {
        let bare = row.fields().is_none();
        let of = |name: &String| {
            cell(&if bare && name == "value" { row.clone() } else { row.member(name) })
        };
        names.iter().map(of).collect()
    };
    let body: Vec<Vec<(String, bool)>> = rows.iter().map(cells).collect();
    let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    for row in &body {
        for (width, (text, _)) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = (String, bool)>| {
        let mut text = String::new();
        for ((cell, right), width) in cells.zip(&widths) {
            let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
            if right {
                text.push_str(&pad);
            }
            text.push_str(&cell);
            if !right {
                text.push_str(&pad);
            }
            text.push_str("  ");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    if !names.is_empty() {
        line(&mut names.iter().map(|name| (name.clone(), false)));
        line(&mut widths.iter().map(|width| ("-".repeat(*width), false)));
    }
    for row in body {
        line(&mut row.into_iter());
    }
    out
}

/// The text of a cell, and whether it stands to the right.
fn cell(value: &Value<'_>) -> (String, bool) {
    let text = match value {
        Value::Missing => String::new(),
        Value::String(text) => text.to_string(),
        other => {
            let mut text = Vec::new();
            write_value(other, Style::Script, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let number = matches!(value, Value::Int(_) | Value::Double(_) | Value::Decimal(_));
    if text.chars().count() <= CELL_CHARS_MAX {
        return (text, number);
    }
    (format!("{}…", text.chars().take(CELL_CHARS_MAX - 1).collect::<String>()), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_each_other() {
        let rows = [r#"{"id":1,"site":"a"}"#, r#"{"id":20,"note":null}"#, "\"bare\"", "[1,2]"];
        let rows: Vec<Value<'_>> = rows.iter().map(|row| read_json(row).unwrap()).collect();
        let want = "id  site  note  value\n\
                    --  ----  ----  -----\n \
                    1  a\n\
                    20        null\n\
                    \x20               bare\n\
                    \x20               [1,2]\n";
        assert_eq!(as_table(&rows), want);
        assert_eq!(as_table(&[]), "");
        let long = Value::text("x".repeat(100));
        assert_eq!(cell(&long).0.chars().count(), CELL_CHARS_MAX);
    }
}

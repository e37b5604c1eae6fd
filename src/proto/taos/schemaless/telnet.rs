//! Telnet lines: `metric time value tag=v ..`.

use super::{Parsed, text_tag, value, written};

/// Reads a line; `put` may stand before it.
pub fn read(text: &str) -> Option<Parsed> {
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let mut metric = words.next()?;
    if metric == "put" {
        metric = words.next()?;
    }
    let time = Some(written(words.next()?));
    let number: f64 = words.next()?.parse().ok().filter(|n: &f64| n.is_finite())?;
    let mut tags = Vec::new();
    for word in words {
        let (name, text) = word.split_once('=')?;
        if name.is_empty() || text.is_empty() {
            return None;
        }
        tags.push(text_tag(name.to_owned(), text.to_owned()));
    }
    Some(Parsed { measurement: metric.to_owned(), tags, fields: vec![value(number)], time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_what_is_none() {
        let line = read("meters.current 1648432611249 10.3 location=sf groupid=2").unwrap();
        assert_eq!(line.measurement, "meters.current");
        assert_eq!(line.fields, [value(10.3)]);
        assert_eq!(line.tags.len(), 2);
        assert_eq!(read("put m 1 2  a=b").unwrap().tags[0].text, "b");
        for bad in ["", "m", "m 1", "m 1 x", "m 1 2 a", "m 1 2 =b", "m 1 2 a=", "m 1 inf"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}

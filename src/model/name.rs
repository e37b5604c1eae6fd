//! Topic names: `database.name`, one rule for every front-end (interchange, section 1).

use crate::limits::TOPIC_NAME_BYTES_MAX;
use std::fmt;
use std::sync::Arc;

/// The database of names without one.
pub const MAIN: &str = "main";

/// A topic's full name. Equal names are one topic, whoever spells them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Reads a name as a client wrote it. The first dot ends the database; a name without one, or
    /// beginning or ending with one, lies in `main`. `None`: empty or too long.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > TOPIC_NAME_BYTES_MAX {
            return None;
        }
        let dotted = !text.starts_with('.') && !text.ends_with('.') && text.contains('.');
        Some(Self(if dotted { Arc::from(text) } else { in_main(text) }))
    }

    /// `database.name`.
    #[must_use]
    pub fn full(&self) -> &str {
        &self.0
    }

    /// The part before the first dot.
    #[must_use]
    pub fn database(&self) -> &str {
        self.0.split_once('.').map_or(MAIN, |(database, _)| database)
    }

    /// The name as answers say it: without `main.` when what remains has no dot inside.
    #[must_use]
    pub fn short(&self) -> &str {
        match self.0.strip_prefix("main.") {
            Some(rest) if !rest.contains('.') || !rest.trim_matches('.').contains('.') => rest,
            _ => &self.0,
        }
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

fn in_main(name: &str) -> Arc<str> {
    let mut full = String::with_capacity(MAIN.len() + 1 + name.len());
    full.push_str(MAIN);
    full.push('.');
    full.push_str(name);
    Arc::from(full)
}

/// Whether `text` matches `glob`, in which `*` stands for any bytes, dots included.
#[must_use]
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_full_and_one_short_form() {
        for (text, full, short) in [
            ("chat", "main.chat", "chat"),
            ("main.chat", "main.chat", "chat"),
            ("plant.s1", "plant.s1", "plant.s1"),
            ("db.ns.metric", "db.ns.metric", "db.ns.metric"),
            ("main.a.b", "main.a.b", "main.a.b"),
            (".x", "main..x", ".x"),
            ("x.", "main.x.", "x."),
        ] {
            let name = TopicName::parse(text).unwrap();
            assert_eq!((name.full(), name.short()), (full, short), "{text}");
            assert_eq!(TopicName::parse(short).unwrap(), name, "{text}");
        }
        assert!(TopicName::parse("").is_none() && TopicName::parse(&"x".repeat(256)).is_none());
    }

    #[test]
    fn globs_run_over_dots() {
        for (glob, text, yes) in [
            ("*", "a.b", true),
            ("a*", "a.b", true),
            ("*.b", "a.b", true),
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("a", "ab", false),
            ("", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("fab.*", "fab.s1", true),
            ("fab.*", "fabs1", false),
        ] {
            assert_eq!(glob_matches(glob, text), yes, "{glob} {text}");
        }
    }
}

//! Arguments as `key=value`; what follows `--` is a command for `start`.

use std::collections::HashMap;
use std::str::FromStr;

use crate::Result;

/// What the command line said.
pub struct Args {
    values: HashMap<String, String>,
    /// The words after `--`.
    pub command: Vec<String>,
}

impl Args {
    /// Splits words; a word without `=` is an error.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut values = HashMap::new();
        for word in words.by_ref() {
            if word == "--" {
                break;
            }
            let (key, value) = word.split_once('=').ok_or(format!("{word}: write key=value"))?;
            values.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self { values, command: words.collect() })
    }

    /// A value as text, if given.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A value, if given.
    pub fn optional<T: FromStr>(&self, key: &str) -> Result<Option<T>> {
        let parsed = self
            .text(key)
            .map(|text| text.parse().map_err(|_| format!("{key}={text}: not a number")));
        parsed.transpose()
    }

    /// A value, or `default`.
    pub fn or<T: FromStr>(&self, key: &str, default: T) -> Result<T> {
        Ok(self.optional(key)?.unwrap_or(default))
    }

    /// A text that must be there.
    pub fn must(&self, key: &str) -> Result<&str> {
        self.text(key).ok_or(format!("{key}= is missing"))
    }
}

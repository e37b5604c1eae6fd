//! A place in the configuration and what may stand there.
//!
//! A [`Slot`] borrows one field. The same borrow serves both directions: a TOML value is checked and
//! put in ([`Slot::fill`]), or the field is written as TOML ([`Slot::print`]). A value that does not
//! fit leaves the field as it was, so checking can go on and collect every problem of a file.

use super::access::{Role, Secret};
use super::effective::{Durability, OnFull, QueueFull};
use crate::model::name::TopicName;
use crate::model::policy::FullPolicy;
use argon2::password_hash::phc::PasswordHash;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::de::DeValue;

/// A borrowed field.
pub enum Slot<'a> {
    /// A switch.
    Bool(&'a mut bool),
    /// A number.
    U16(&'a mut u16),
    /// A number.
    U64(&'a mut u64),
    /// A number of things or bytes in memory.
    Usize(&'a mut usize),
    /// One word of a few.
    Choice(&'a mut dyn Choice),
    /// Where a front-end listens; `None`: `"off"`.
    Address(&'a mut Option<SocketAddr>),
    /// A directory.
    Path(&'a mut PathBuf),
    /// A directory, or none.
    OptionalPath(&'a mut Option<PathBuf>),
    /// Text that is not empty.
    Text(&'a mut String),
    /// Text that is not empty, or none.
    OptionalText(&'a mut Option<String>),
    /// Text that is not empty, each.
    Texts(&'a mut Vec<String>),
    /// The path part of a URL.
    UrlPath(&'a mut String),
    /// A topic's name.
    Topic(&'a mut String),
    /// Words, each of which switches something on.
    Switches([(&'static str, &'a mut bool); 2]),
    /// Roles of a user.
    Roles(&'a mut Vec<Role>),
    /// A password or token as it is.
    Plain(&'a mut Option<Secret>),
    /// The argon2id hash of one.
    Hash(&'a mut Option<Secret>),
}

/// A closed set of words.
pub trait Choice {
    /// The words, in the order in which they are offered.
    fn words(&self) -> &'static [&'static str];
    /// The index of the word in force.
    fn index(&self) -> usize;
    /// Puts the word of this index in force.
    fn select(&mut self, index: usize);
}

macro_rules! choice {
    ($type:ty: $($variant:path => $word:literal),+) => {
        impl Choice for $type {
            fn words(&self) -> &'static [&'static str] {
                &[$($word),+]
            }
            fn index(&self) -> usize {
                let all = [$($variant),+];
                all.iter().position(|one| one == self).unwrap_or_default()
            }
            fn select(&mut self, index: usize) {
                *self = [$($variant),+][index];
            }
        }
    };
}

choice!(Durability: Durability::Group => "group", Durability::Os => "os");
choice!(QueueFull: QueueFull::Block => "block", QueueFull::Error => "error");
choice!(OnFull: OnFull::Refuse => "refuse", OnFull::Trim => "trim");
choice!(FullPolicy: FullPolicy::Disconnect => "disconnect", FullPolicy::DropOldest => "drop_oldest",
    FullPolicy::DropNewest => "drop_newest");

const ROLES: [(&str, Role); 3] =
    [("read", Role::Read), ("write", Role::Write), ("admin", Role::Admin)];

/// The least and the greatest number that a key takes.
pub type Range = (u64, u64);

/// The greatest whole number that TOML has.
pub const UNBOUNDED: u64 = i64::MAX as u64;

impl Slot<'_> {
    /// Checks `value` and puts it in.
    ///
    /// # Errors
    /// What is wrong with the value, as the end of a sentence that begins with the key.
    pub fn fill(&mut self, value: &DeValue<'_>, range: Range) -> Result<(), String> {
        match self {
            Slot::Bool(field) => **field = value.as_bool().ok_or_else(|| is_a(value))?,
            Slot::U16(field) => {
                let number = number(value, (range.0, range.1.min(u64::from(u16::MAX))))?;
                **field = number as u16;
            }
            Slot::U64(field) => **field = number(value, range)?,
            Slot::Usize(field) => **field = number(value, range)? as usize,
            Slot::Choice(field) => {
                let word = value.as_str().ok_or_else(|| is_a(value))?;
                let index = field.words().iter().position(|one| *one == word);
                field.select(index.ok_or_else(|| format!("{word:?} is not known"))?);
            }
            Slot::Address(field) => **field = address(value)?,
            Slot::Path(field) => **field = PathBuf::from(text(value)?),
            Slot::OptionalPath(field) => **field = Some(PathBuf::from(text(value)?)),
            Slot::Text(field) => **field = text(value)?,
            Slot::OptionalText(field) => **field = Some(text(value)?),
            Slot::Texts(field) => **field = texts(value)?,
            Slot::UrlPath(field) => **field = url_path(value)?,
            Slot::Topic(field) => **field = topic(value)?,
            Slot::Switches(switches) => fill_switches(switches, value)?,
            Slot::Roles(field) => **field = roles(value)?,
            Slot::Plain(field) => **field = Some(Secret::Plain(text(value)?)),
            Slot::Hash(field) => **field = Some(Secret::Hash(hash(value)?)),
        }
        Ok(())
    }

    /// What the key takes, for a remedy that begins with "give".
    #[must_use]
    pub fn wants(&self, range: Range) -> String {
        let words = |all: &[&str]| {
            let quoted: Vec<String> = all.iter().map(|one| format!("{one:?}")).collect();
            quoted.join(" or ")
        };
        match self {
            Slot::Bool(_) => "true or false".to_owned(),
            Slot::U16(_) | Slot::U64(_) | Slot::Usize(_) if range.1 == UNBOUNDED => {
                format!("a whole number from {} on", range.0)
            }
            Slot::U16(_) | Slot::U64(_) | Slot::Usize(_) => {
                format!("a whole number from {} to {}", range.0, range.1)
            }
            Slot::Choice(field) => words(field.words()),
            Slot::Address(_) => "an address such as \"127.0.0.1:3333\", or \"off\"".to_owned(),
            Slot::Path(_) | Slot::OptionalPath(_) => "a directory as a string".to_owned(),
            Slot::Text(_) | Slot::OptionalText(_) | Slot::Plain(_) => {
                "a string that is not empty".to_owned()
            }
            Slot::Texts(_) => "an array of strings that are not empty".to_owned(),
            Slot::UrlPath(_) => "a path such as \"/chat\", without query string".to_owned(),
            Slot::Topic(_) => {
                "a topic name of at most 255 bytes without white space, such as \"plant.s1\""
                    .to_owned()
            }
            Slot::Switches(all) => {
                let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
                format!("an array of any of {}", words(&names))
            }
            Slot::Roles(_) => {
                format!("an array of any of {}", words(&ROLES.map(|(name, _)| name)))
            }
            Slot::Hash(_) => "an argon2id PHC string, made by `weir hash-password`".to_owned(),
        }
    }

    /// The field as TOML; `None`: it is absent, or (of the two forms of a secret) the other one is set.
    #[must_use]
    pub fn print(&self) -> Option<String> {
        let list = |all: Vec<&str>| {
            let all: Vec<String> = all.into_iter().map(quote).collect();
            format!("[{}]", all.join(", "))
        };
        Some(match self {
            Slot::Bool(field) => field.to_string(),
            Slot::U16(field) => field.to_string(),
            Slot::U64(field) => field.to_string(),
            Slot::Usize(field) => field.to_string(),
            Slot::Choice(field) => quote(field.words()[field.index()]),
            Slot::Address(None) => quote("off"),
            Slot::Address(Some(address)) => quote(&address.to_string()),
            Slot::Path(field) => quote(&field.to_string_lossy()),
            Slot::OptionalPath(field) => quote(&field.as_ref()?.to_string_lossy()),
            Slot::OptionalText(field) => quote(field.as_ref()?),
            Slot::Text(field) | Slot::UrlPath(field) | Slot::Topic(field) => quote(field),
            Slot::Texts(field) => list(field.iter().map(String::as_str).collect()),
            Slot::Switches(all) => {
                list(all.iter().filter(|(_, on)| **on).map(|(name, _)| *name).collect())
            }
            Slot::Roles(field) => list(
                ROLES.iter().filter(|(_, role)| field.contains(role)).map(|(n, _)| *n).collect(),
            ),
            Slot::Plain(field) => match field.as_ref()? {
                Secret::Plain(_) => "\"***\" # set, not shown".to_owned(),
                Secret::Hash(_) => return None,
            },
            Slot::Hash(field) => match field.as_ref()? {
                Secret::Hash(phc) => quote(phc),
                Secret::Plain(_) => return None,
            },
        })
    }
}

/// `text` as a TOML basic string.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn is_a(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Boolean(yes) => format!("is {yes}, a boolean"),
        DeValue::Integer(number) => format!("is {number}, a number"),
        DeValue::Float(number) => format!("is {number}, a number with a fraction"),
        DeValue::String(text) if text.is_empty() => "is empty".to_owned(),
        DeValue::String(_) => "is a string".to_owned(),
        DeValue::Datetime(_) => "is a date or time".to_owned(),
        DeValue::Array(_) => "is an array".to_owned(),
        DeValue::Table(_) => "is a table".to_owned(),
    }
}

fn number(value: &DeValue<'_>, (least, greatest): Range) -> Result<u64, String> {
    let integer = value.as_integer().ok_or_else(|| is_a(value))?;
    let found = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
    let fits = |n: i128| u64::try_from(n).ok().filter(|n| (least..=greatest).contains(n));
    found.and_then(fits).ok_or_else(|| format!("{integer} is out of range"))
}

fn text(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    Ok(text.ok_or_else(|| is_a(value))?.to_owned())
}

fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let array = value.as_array().ok_or_else(|| is_a(value))?;
    let each = |value: &DeValue<'_>| text(value).map_err(|what| format!("one element {what}"));
    array.iter().map(|value| each(value.get_ref())).collect()
}

fn address(value: &DeValue<'_>) -> Result<Option<SocketAddr>, String> {
    match text(value)?.as_str() {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("{text:?} is not an address")),
    }
}

fn url_path(value: &DeValue<'_>) -> Result<String, String> {
    let path = text(value)?;
    let unfit = |c: char| c.is_control() || c == '?' || c == '#';
    match path.starts_with('/') && !path.contains(unfit) {
        true => Ok(path),
        false => Err(format!("{path:?} is not a path")),
    }
}

fn topic(value: &DeValue<'_>) -> Result<String, String> {
    let name = text(value)?;
    let unfit = |c: char| c.is_control() || c.is_whitespace();
    match TopicName::parse(&name) {
        Some(_) if !name.contains(unfit) => Ok(name),
        _ => Err(format!("{name:?} is not a topic name")),
    }
}

fn fill_switches(
    switches: &mut [(&'static str, &mut bool)],
    value: &DeValue<'_>,
) -> Result<(), String> {
    let wanted = texts(value)?;
    let known = |word: &String| switches.iter().any(|(name, _)| name == word);
    if let Some(word) = wanted.iter().find(|word| !known(word)) {
        return Err(format!("{word:?} is not known"));
    }
    for (name, on) in switches {
        **on = wanted.iter().any(|word| word == name);
    }
    Ok(())
}

fn roles(value: &DeValue<'_>) -> Result<Vec<Role>, String> {
    let one = |word: String| match ROLES.iter().find(|(name, _)| *name == word) {
        Some((_, role)) => Ok(*role),
        None => Err(format!("{word:?} is not a role")),
    };
    texts(value)?.into_iter().map(one).collect()
}

fn hash(value: &DeValue<'_>) -> Result<String, String> {
    let phc = text(value)?;
    match PasswordHash::new(&phc) {
        Ok(hash) if hash.algorithm.as_str() != "argon2id" => {
            Err(format!("has the algorithm {}", hash.algorithm))
        }
        Ok(hash) if hash.salt.is_some() && hash.hash.is_some() => Ok(phc.clone()),
        Ok(_) => Err("lacks the salt or the hash".to_owned()),
        Err(error) => Err(format!("does not parse ({error})")),
    }
}

//! Header lines of a checked head, read where they lie.
//!
//! Method: the block of lines is kept as one `str`; each look-up walks it. Requests have about ten
//! headers and a handful of look-ups, which is cheaper than an index of 64 entries for each head.
//!
//! Invariant: the block came through httparse: every line has a name, a colon and ends in CRLF.
//!
//! Cost: 16 bytes; a look-up is one scan of the block.

use memchr::memchr;

/// The header lines of one request, in the order they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    block: &'a str,
}

impl<'a> Headers<'a> {
    /// `block` is the checked lines, each with its CRLF, without the empty line.
    pub(super) fn new(block: &'a str) -> Self {
        Self { block }
    }

    /// Names and values in order, values without surrounding blanks.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.block;
        std::iter::from_fn(move || {
            let (line, after) = rest.split_at_checked(memchr(b'\n', rest.as_bytes())? + 1)?;
            rest = after;
            let (name, value) = line.split_once(':')?;
            Some((name, value.trim_matches([' ', '\t', '\r', '\n'])))
        })
    }

    /// The first value of `name`, whose case does not matter.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Every value of `name`, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The one value of `name`: `Ok(None)` without any, `Err(())` with several.
    pub(crate) fn single(&self, name: &str) -> Result<Option<&'a str>, ()> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(()) } else { Ok(first) }
    }

    /// Elements of the comma lists (RFC 9110, 5.6.1) under `name`, empty elements left out.
    pub fn list<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.all(name).flat_map(elements)
    }

    /// Whether a comma list under `name` has `token`; the case of both does not matter.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token))
    }
}

/// Elements of one comma list, without blanks around them, empty ones left out.
pub(super) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(|element| element.trim_matches([' ', '\t']))
        .filter(|element| !element.is_empty())
}

//! The extension list syntax (RFC 6455, 9.1): `token *( ";" token [ "=" value ] )`, by commas.
//!
//! Method: one scanner over a header value; each element is given out as a name and the text of its
//! parameters, which the same scanner reads again.
//!
//! Invariant: what does not fit the grammar ends the list with an error; a quoted value is a token
//! between quotes, as the grammar demands.
//!
//! Cost: slices, no allocation.

/// The value does not fit the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadSyntax;

/// Reads the elements of one header value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'a> {
    rest: &'a str,
}

/// One parameter: its name, and its value if it has one.
pub(super) type Parameter<'a> = (&'a str, Option<&'a str>);

impl<'a> Scanner<'a> {
    pub(super) fn new(value: &'a str) -> Self {
        Self { rest: value }
    }

    /// The name of the next extension; `None` at the end. Empty elements are skipped.
    pub(super) fn extension(&mut self) -> Result<Option<&'a str>, BadSyntax> {
        while self.eat(',') {}
        self.skip_blanks();
        if self.rest.is_empty() { Ok(None) } else { self.token().map(Some) }
    }

    /// The next parameter of the current extension; `None` when the next extension or the end of
    /// the value follows.
    pub(super) fn parameter(&mut self) -> Result<Option<Parameter<'a>>, BadSyntax> {
        if !self.eat(';') {
            self.skip_blanks();
            let ended = self.rest.is_empty() || self.rest.starts_with(',');
            return if ended { Ok(None) } else { Err(BadSyntax) };
        }
        let name = self.token()?;
        if !self.eat('=') {
            return Ok(Some((name, None)));
        }
        self.skip_blanks();
        let value = match self.rest.strip_prefix('"') {
            None => self.token()?,
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').ok_or(BadSyntax)?;
                self.rest = after;
                if value.is_empty() || !value.bytes().all(is_token_byte) {
                    return Err(BadSyntax);
                }
                value
            }
        };
        Ok(Some((name, Some(value))))
    }

    fn eat(&mut self, mark: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn token(&mut self) -> Result<&'a str, BadSyntax> {
        self.skip_blanks();
        let end = self.rest.bytes().take_while(|byte| is_token_byte(*byte)).count();
        let (token, rest) = self.rest.split_at_checked(end).ok_or(BadSyntax)?;
        self.rest = rest;
        if token.is_empty() { Err(BadSyntax) } else { Ok(token) }
    }
}

/// RFC 9110, 5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

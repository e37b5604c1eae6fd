//! Words and signs of the dialect, read on demand: what a text means depends on where it stands
//! (nsdb, 6.1), so there is no list of tokens.

use super::condition::Constant;

/// The text is not of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad;

/// Result of reading.
pub type Read<T> = Result<T, Bad>;

/// A place in a statement. Copying it is remembering the place.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    text: &'a str,
}

const DAY: i64 = 86_400_000;

/// A unit and its milliseconds.
const UNITS: &[(&str, &str, i64)] = &[
    ("d", "day", DAY),
    ("h", "hour", 3_600_000),
    ("min", "minute", 60_000),
    ("s", "sec", 1_000),
    ("second", "second", 1_000),
];

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_text(byte: u8) -> bool {
    is_word(byte) || b"-.:~!?".contains(&byte)
}

impl<'a> Reader<'a> {
    /// At the start of a statement.
    pub fn new(text: &'a str) -> Self {
        Self { text }
    }

    fn blanks(&mut self) {
        self.text = self.text.trim_start();
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.text.split_at_checked(length).unwrap_or((self.text, ""));
        self.text = rest;
        taken
    }

    fn next_byte(&self) -> Option<u8> {
        self.text.bytes().next()
    }

    fn run(&self, accept: impl Fn(u8) -> bool) -> usize {
        self.text.bytes().position(|byte| !accept(byte)).unwrap_or(self.text.len())
    }

    /// Consumes that word, whatever its case.
    pub fn word(&mut self, word: &str) -> bool {
        let mut ahead = *self;
        ahead.blanks();
        let length = ahead.run(is_word);
        if !ahead.take(length).eq_ignore_ascii_case(word) {
            return false;
        }
        *self = ahead;
        true
    }

    /// Consumes two words.
    pub fn words(&mut self, first: &str, second: &str) -> bool {
        let mut ahead = *self;
        if ahead.word(first) && ahead.word(second) {
            *self = ahead;
            return true;
        }
        false
    }

    /// Consumes a sign.
    pub fn sign(&mut self, sign: &str) -> bool {
        let mut ahead = *self;
        ahead.blanks();
        if !ahead.text.starts_with(sign) {
            return false;
        }
        ahead.take(sign.len());
        *self = ahead;
        true
    }

    /// A sign that must stand here.
    pub fn expect(&mut self, sign: &str) -> Read<()> {
        if self.sign(sign) { Ok(()) } else { Err(Bad) }
    }

    /// A name: of a field, or of a metric, which begins with a letter.
    pub fn name(&mut self, metric: bool) -> Read<&'a str> {
        self.blanks();
        let first = self.next_byte().ok_or(Bad)?;
        if first.is_ascii_digit() || !is_word(first) || metric && first == b'_' {
            return Err(Bad);
        }
        let length = self.run(is_word);
        Ok(self.take(length))
    }

    /// The digits of a number, with its sign and, if `decimal`, with its point and what follows.
    fn digits(&mut self, decimal: bool) -> Read<&'a str> {
        self.blanks();
        let start = self.text;
        let minus = usize::from(self.next_byte() == Some(b'-'));
        self.take(minus);
        let whole = self.run(|byte| byte.is_ascii_digit());
        if whole == 0 {
            self.text = start;
            return Err(Bad);
        }
        self.take(whole);
        let mut length = minus + whole;
        if decimal && self.next_byte() == Some(b'.') {
            let mut ahead = *self;
            ahead.take(1);
            let fraction = ahead.run(|byte| byte.is_ascii_digit());
            if fraction > 0 {
                ahead.take(fraction);
                *self = ahead;
                length += 1 + fraction;
            }
        }
        start.get(..length).ok_or(Bad)
    }

    fn ends_here(&self) -> bool {
        !self.next_byte().is_some_and(is_text)
    }

    /// A number of 64 bits.
    pub fn integer(&mut self) -> Read<i64> {
        let number = self.digits(false)?.parse().map_err(|_| Bad)?;
        if self.ends_here() { Ok(number) } else { Err(Bad) }
    }

    /// An integer or a decimal number, as it is written.
    pub fn number(&mut self) -> Read<&'a str> {
        let text = self.digits(true)?;
        let fits = if text.contains('.') {
            text.parse::<f64>().is_ok_and(f64::is_finite)
        } else {
            text.parse::<i64>().is_ok()
        };
        if fits && self.ends_here() { Ok(text) } else { Err(Bad) }
    }

    fn unit(&mut self) -> Read<i64> {
        let found = UNITS.iter().find(|(short, long, _)| self.word(short) || self.word(long));
        found.map(|(.., ms)| *ms).ok_or(Bad)
    }

    /// A length of time in milliseconds, and how it was written: number and unit's milliseconds.
    pub fn span(&mut self, number_needed: bool) -> Read<(i64, i64)> {
        let mut ahead = *self;
        let number = match ahead.digits(false) {
            Ok(digits) => digits.parse().map_err(|_| Bad)?,
            Err(_) if number_needed => return Err(Bad),
            Err(_) => 1,
        };
        let unit = ahead.unit()?;
        *self = ahead;
        Ok((number, unit))
    }

    fn now(&mut self) -> Read<Constant> {
        let mut ahead = *self;
        if !ahead.word("now") {
            return Err(Bad);
        }
        let mut tail = ahead;
        let forward = tail.sign("+");
        let offset = if (forward || tail.sign("-")) && !tail.text.trim_start().starts_with('-') {
            tail.span(true).ok()
        } else {
            None
        };
        let Some((number, unit)) = offset else {
            *self = ahead;
            return Ok(Constant::Now(0));
        };
        *self = tail;
        let ms = number.checked_mul(unit).ok_or(Bad)?;
        Ok(Constant::Now(if forward { ms } else { -ms }))
    }

    /// A time relative to now, or a number.
    pub fn term(&mut self) -> Read<Constant> {
        let mut ahead = *self;
        let constant = match ahead.now() {
            Ok(now) if ahead.ends_here() => now,
            _ => Constant::new(ahead.number()?, false),
        };
        *self = ahead;
        Ok(constant)
    }

    /// What `=` compares with.
    pub fn constant(&mut self) -> Read<Constant> {
        self.term().or_else(|_| self.text(is_text).map(|text| Constant::new(text, true)))
    }

    /// A pattern.
    pub fn pattern(&mut self) -> Read<&'a str> {
        let text = self.quoted().unwrap_or_else(|| {
            let length = self.run(|byte| is_text(byte) || byte == b'$');
            self.take(length)
        });
        if text.is_empty() { Err(Bad) } else { Ok(text) }
    }

    /// A text, bare or between quotes.
    pub fn any_text(&mut self) -> Read<&'a str> {
        self.text(is_text)
    }

    fn text(&mut self, accept: fn(u8) -> bool) -> Read<&'a str> {
        if let Some(text) = self.quoted() {
            return Ok(text);
        }
        match self.next_byte() {
            Some(byte) if is_word(byte) && !byte.is_ascii_digit() => {
                let length = self.run(accept);
                Ok(self.take(length))
            }
            _ => Err(Bad),
        }
    }

    fn quoted(&mut self) -> Option<&'a str> {
        self.blanks();
        let inner = self.text.strip_prefix('\'')?;
        let (text, rest) = inner.split_once('\'')?;
        self.text = rest;
        Some(text)
    }

    /// The statement must end here.
    pub fn end(&mut self) -> Read<()> {
        self.sign(";");
        self.blanks();
        if self.text.is_empty() { Ok(()) } else { Err(Bad) }
    }
}

//! Shapes as texts (WKT) to shapes as bytes (WKB, little-endian).

/// The bytes of `POINT(1 2)`, `LINESTRING(..)`, `POLYGON((..))` and those of several; `None`: it is
/// none of these.
#[must_use]
pub fn read(text: &str) -> Option<Vec<u8>> {
    let mut from = Text(text);
    let name = from.word().to_ascii_uppercase();
    let mut out = Vec::new();
    let head = |code: u32, out: &mut Vec<u8>| {
        out.push(1);
        out.extend_from_slice(&code.to_le_bytes());
    };
    match name.as_str() {
        "POINT" => {
            head(1, &mut out);
            from.sign('(')?;
            from.point(&mut out)?;
            from.sign(')')?;
        }
        "LINESTRING" => {
            head(2, &mut out);
            from.list(&mut out, Text::point)?;
        }
        "POLYGON" => {
            head(3, &mut out);
            from.list(&mut out, |from, out| from.list(out, Text::point))?;
        }
        "MULTIPOINT" => {
            head(4, &mut out);
            from.list(&mut out, |from, out| {
                head(1, out);
                let bare = from.sign('(').is_none();
                from.point(out)?;
                if bare { Some(()) } else { from.sign(')') }
            })?;
        }
        "MULTILINESTRING" => {
            head(5, &mut out);
            from.list(&mut out, |from, out| {
                head(2, out);
                from.list(out, Text::point)
            })?;
        }
        "MULTIPOLYGON" => {
            head(6, &mut out);
            from.list(&mut out, |from, out| {
                head(3, out);
                from.list(out, |from, out| from.list(out, Text::point))
            })?;
        }
        _ => return None,
    }
    from.0.trim().is_empty().then_some(out)
}

/// What is left of a text.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn word(&mut self) -> &'a str {
        self.0 = self.0.trim_start();
        let end = self.0.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    fn sign(&mut self, sign: char) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(sign)?;
        Some(())
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.0 = self.0.trim_start();
        let part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let end = self.0.find(|c: char| !part(c)).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        let number: f64 = digits.parse().ok().filter(|n: &f64| n.is_finite())?;
        out.extend_from_slice(&number.to_le_bytes());
        self.0 = rest;
        Some(())
    }

    fn point(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.number(out)?;
        self.number(out)
    }

    /// A count, then so many things.
    fn list(
        &mut self,
        out: &mut Vec<u8>,
        mut one: impl FnMut(&mut Self, &mut Vec<u8>) -> Option<()>,
    ) -> Option<()> {
        self.sign('(')?;
        let place = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut count: u32 = 0;
        loop {
            one(self, out)?;
            count += 1;
            if self.sign(',').is_none() {
                break;
            }
        }
        out.get_mut(place..place + 4)?.copy_from_slice(&count.to_le_bytes());
        self.sign(')')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::rows::write_hex;

    #[test]
    fn shapes_are_read() {
        let hex = |text| {
            let mut out = Vec::new();
            write_hex(&read(text)?, &mut out);
            String::from_utf8(out).ok()
        };
        let point = "000000000000f03f0000000000000040";
        assert_eq!(hex("POINT(1 2)").unwrap(), format!("0101000000{point}"));
        assert_eq!(hex(" point ( 1.0  2e0 ) ").unwrap(), format!("0101000000{point}"));
        assert_eq!(
            hex("LINESTRING(1 2,1 2)").unwrap(),
            format!("010200000002000000{point}{point}")
        );
        let ring = format!("02000000{point}{point}");
        assert_eq!(hex("POLYGON((1 2,1 2))").unwrap(), format!("010300000001000000{ring}"));
        assert!(hex("MULTIPOINT(1 2,(1 2))").is_some() && hex("MULTIPOLYGON(((1 2)))").is_some());
        for bad in
            ["", "POINT", "POINT(1)", "POINT(1 2", "POINT(1 2) x", "CIRCLE(1 2)", "POINT(a b)"]
        {
            assert!(hex(bad).is_none(), "{bad}");
        }
    }
}

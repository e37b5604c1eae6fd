//! The schema of a metric: the union of the fields that its bits had (nsdb, section 1).

use super::bit::{Bit, Cell};
use ahash::AHashMap;
use std::fmt::Write;

/// Type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit integer.
    BigInt,
    /// 64-bit float.
    Decimal,
    /// Text.
    Varchar,
}

impl Kind {
    /// As clients read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::BigInt => "BIGINT",
            Kind::Decimal => "DECIMAL",
            Kind::Varchar => "VARCHAR",
        }
    }
}

/// Where a field stands in a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `timestamp`
    Timestamp,
    /// `value`
    Value,
    /// Under `dimensions`.
    Dimension,
    /// Under `tags`.
    Tag,
}

/// See the module's page. Empty while no bit was seen.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    value: Option<Kind>,
    fields: AHashMap<Box<str>, (Kind, Place)>,
}

/// Fields of a bit whose type is not the one they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(Vec<(String, Kind)>);

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, kind)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            let kind = kind.name();
            write!(
                f,
                "mismatch type for field {name} : new type {kind}() is incompatible with old type"
            )?;
        }
        Ok(())
    }
}

impl Schema {
    /// Whether a bit was seen.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.value.is_some()
    }

    /// Type and place of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<(Kind, Place)> {
        let value = self.value?;
        match name {
            "timestamp" => Some((Kind::BigInt, Place::Timestamp)),
            "value" => Some((value, Place::Value)),
            _ => self.fields.get(name).copied(),
        }
    }

    /// All fields, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<(&str, Kind)> {
        let own = ["timestamp", "value"].into_iter();
        let own = own.filter_map(|name| Some((name, self.field(name)?.0)));
        let mut list: Vec<_> =
            own.chain(self.fields.iter().map(|(name, (kind, _))| (&**name, *kind))).collect();
        list.sort_unstable_by_key(|(name, _)| *name);
        list
    }

    /// Converts a bit's numbers to the types that their fields have; whether it brings nothing new.
    ///
    /// # Errors
    /// [`Mismatch`]; the bit is not of this metric.
    pub fn fit(&self, bit: &mut Bit<'_>) -> Result<bool, Mismatch> {
        let mut bad = Vec::new();
        let mut same = true;
        let mut one = |name: &str, known: Option<(Kind, Place)>, place, cell: &mut Cell<'_>| {
            let Some((kind, at)) = known else {
                same = false;
                return;
            };
            same &= at == place;
            match (kind, &*cell) {
                (Kind::Decimal, Cell::Int(n)) => *cell = Cell::Float(*n as f64),
                _ if kind == cell.kind() => {}
                _ => bad.push((name.to_owned(), cell.kind())),
            }
        };
        let value = self.value.map(|kind| (kind, Place::Value));
        one("value", value, Place::Value, &mut bit.value);
        for (name, cell) in &mut bit.dimensions {
            one(name, self.fields.get(&**name).copied(), Place::Dimension, cell);
        }
        for (name, cell) in &mut bit.tags {
            one(name, self.fields.get(&**name).copied(), Place::Tag, cell);
        }
        if bad.is_empty() { Ok(same) } else { Err(Mismatch(bad)) }
    }

    /// [`Schema::fit`], then adds the fields that are new.
    ///
    /// # Errors
    /// [`Mismatch`]; nothing was changed.
    pub fn admit(&mut self, bit: &mut Bit<'_>) -> Result<(), Mismatch> {
        if self.fit(bit)? {
            return Ok(());
        }
        self.value.get_or_insert(bit.value.kind());
        for (name, cell) in &bit.dimensions {
            self.fields.insert((&**name).into(), (cell.kind(), Place::Dimension));
        }
        for (name, cell) in &bit.tags {
            self.fields.insert((&**name).into(), (cell.kind(), Place::Tag));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_grows_and_keeps_its_types() {
        let bit = |json: &'static str| Bit::from_client(json.as_bytes()).unwrap();
        let mut schema = Schema::default();
        assert!(!schema.is_known() && schema.field("timestamp").is_none());
        schema.admit(&mut bit(r#"{"timestamp":1,"value":1.5,"tags":{"a":"x"}}"#)).unwrap();
        let mut second = bit(r#"{"timestamp":1,"value":15,"dimensions":{"a":"x","b":1}}"#);
        schema.admit(&mut second).unwrap();
        assert_eq!(second.value, Cell::Float(15.0));
        assert_eq!(schema.field("a"), Some((Kind::Varchar, Place::Dimension)));
        let wrong = schema.admit(&mut bit(r#"{"timestamp":1,"value":1,"tags":{"a":7,"b":2.0}}"#));
        assert_eq!(
            wrong.unwrap_err().to_string(),
            "mismatch type for field a : new type BIGINT() is incompatible with old type,\
             mismatch type for field b : new type DECIMAL() is incompatible with old type"
        );
        let names: Vec<&str> = schema.list().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["a", "b", "timestamp", "value"]);
    }
}

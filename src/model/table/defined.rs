//! A definition as a record of the definitions' log: what subscribers are told of it.
//!
//! One log of the appliance holds them all, so that the definition of a table that is gone is still
//! there. Layout: version, database, when that was made, topic, table, text.

use crate::model::value::{Bytes, encode_bytes};

/// Rows have version 1: no reader takes the one for the other.
const VERSION: u8 = 2;

/// A definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defined<'a> {
    /// Its database.
    pub database: &'a str,
    /// When that was made: another one of the name is another database.
    pub created: i64,
    /// `database.name` of the table, or of the supertable of the subtable.
    pub topic: &'a str,
    /// The table or subtable.
    pub table: &'a str,
    /// What subscribers are told, a JSON object (taos, 8.5).
    pub json: &'a str,
}

impl<'a> Defined<'a> {
    /// As a record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.created.to_le_bytes());
        for text in [self.database, self.topic, self.table, self.json] {
            encode_bytes(text.as_bytes(), &mut out);
        }
        out
    }

    /// Reads [`Defined::encode`]; `None` if it is not one.
    #[must_use]
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        let mut from = Bytes(record);
        if from.u8()? != VERSION {
            return None;
        }
        let created = from.u64()? as i64;
        let (database, topic) = (from.text()?, from.text()?);
        Some(Self { database, created, topic, table: from.text()?, json: from.text()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_read_back_whole_or_not_at_all() {
        let it =
            Defined { database: "d", created: -3, topic: "d.st", table: "a", json: "{\"a\":1}" };
        let bytes = it.encode();
        assert_eq!(Defined::decode(&bytes), Some(it));
        for cut in 0..bytes.len() {
            assert!(Defined::decode(&bytes[..cut]).is_none(), "{cut}");
        }
        assert!(crate::model::table::rows::Rows::parse(&bytes).is_none());
    }
}

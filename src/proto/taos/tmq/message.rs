//! A message of a subscription in the forms that clients read (taos, 8.3 to 8.5).
//!
//! Method: a worker encodes the block once; the replies copy it. Cost of a reply: the block and
//! about 20 bytes for each column.

use super::super::block;
use super::super::codec::data_head;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Field;
use crate::query::tables::tmq::{Content, Delivery};

/// First byte of raw data.
const RAW_VERSION: u8 = 100;
/// Bytes before a block that mean nothing, and the precision.
const PREFIX_BYTES: usize = 18;
/// Version of a schema.
const SCHEMA_VERSION: i64 = 1;

/// What a message holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// A block of one table.
    Data {
        /// The table or subtable.
        table: String,
        /// Its columns.
        fields: Vec<Field>,
        /// Numbers of the columns.
        columns: Vec<u16>,
        /// What times count, as a code.
        precision: u8,
        /// Rows, 1 to 4096.
        rows: usize,
        /// The raw block.
        block: Vec<u8>,
    },
    /// A definition, or several, as JSON.
    Meta(String),
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The definition.
    pub topic: String,
    /// Its database.
    pub database: String,
    /// The vgroup.
    pub vgroup: u32,
    /// Number of its first record.
    pub offset: u64,
    /// The position once it is delivered.
    pub next: u64,
    /// What it holds.
    pub held: Held,
}

impl Message {
    /// Encodes what was read. `batch`: definitions stand in a list even if it is one.
    #[must_use]
    pub fn new(delivery: Delivery, batch: bool) -> Self {
        let held = match delivery.content {
            Content::Meta(list) if batch => {
                let metas = list.join(",");
                Held::Meta(format!("{{\"tmq_meta_version\":\"1.0\",\"metas\":[{metas}]}}"))
            }
            Content::Meta(list) => Held::Meta(list.join(",")),
            Content::Rows { table, fields, columns, rows, precision } => {
                let block = block::encode(&fields, &rows);
                let (precision, rows) = (precision.code(), rows.len());
                Held::Data { table, fields, columns, precision, rows, block }
            }
        };
        let Delivery { topic, database, vgroup, offset, next, .. } = delivery;
        Self { topic, database, vgroup, offset, next, held }
    }

    /// Number of its type: 1 data, 2 definitions.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self.held {
            Held::Data { .. } => 1,
            Held::Meta(_) => 2,
        }
    }

    /// Its raw form: data as the original has it, definitions as their text.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        let Held::Data { table, fields, columns, precision, block, .. } = &self.held else {
            let Held::Meta(json) = &self.held else { return Vec::new() };
            return json.as_bytes().to_vec();
        };
        let mut out = Vec::with_capacity(block.len() + 64 + 32 * fields.len());
        out.push(RAW_VERSION);
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&1_i32.to_le_bytes());
        out.extend_from_slice(&[1, 1]);
        put_varint((PREFIX_BYTES + block.len()) as u64, &mut out);
        out.extend_from_slice(&[0; PREFIX_BYTES - 1]);
        out.push(*precision);
        out.extend_from_slice(block);
        put_zigzag(fields.len() as i64, &mut out);
        put_zigzag(SCHEMA_VERSION, &mut out);
        for (field, column) in fields.iter().zip(columns) {
            out.extend_from_slice(&[field.kind.code(), 0]);
            put_zigzag(i64::from(block::schema_bytes(field.kind)), &mut out);
            put_zigzag(i64::from(*column), &mut out);
            put_name(&field.name, &mut out);
        }
        put_name(table, &mut out);
        out
    }
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_zigzag(number: i64, out: &mut Vec<u8>) {
    put_varint(((number << 1) ^ (number >> 63)) as u64, out);
}

/// With its length and a zero at the end.
fn put_name(name: &str, out: &mut Vec<u8>) {
    put_varint(name.len() as u64 + 1, out);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
}

/// The reply to `fetch_block`.
#[must_use]
pub fn block_reply(timing: u64, request: u64, id: u64, block: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + block.len());
    for number in [timing, request, id] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(block);
    out
}

/// The reply to `fetch_raw` and `fetch_raw_meta`.
#[must_use]
pub fn raw_reply(timing: u64, request: u64, id: u64, message: &Message) -> Vec<u8> {
    let raw = message.raw();
    let mut out = Vec::with_capacity(40 + raw.len());
    for number in [timing, request, id, 3] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    put_raw(message.kind(), &raw, &mut out);
    out
}

fn put_raw(kind: u16, raw: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(raw);
}

/// The reply to `fetch_raw_data`; on errors it ends behind the number of the message.
#[must_use]
pub fn raw_data_reply(
    timing: u64,
    request: u64,
    id: u64,
    outcome: Result<&Message, &Wrong>,
) -> Vec<u8> {
    let mut out = data_head(8, timing, request, outcome.err(), id);
    if let Ok(message) = outcome {
        let raw = message.raw();
        out.reserve(raw.len() + 6);
        out.extend_from_slice(&message.kind().to_le_bytes());
        out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
        out.extend_from_slice(&raw);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::rows::{Cell, write_hex};
    use crate::model::table::{Kind, Precision};
    use crate::proto::taos::block::decode::Bytes;

    /// The vector of 8.4.
    const VECTOR: &str = "ffffffffffffffff08000000000000000100e8030000000000000300000000000000\
        000000000000000001000000000000000100\
        9f000000640000000001000000010176\
        0000000000000000000000000000000000\
        00\
        01000000640000000200000003000000000000800000000000000000\
        090800000004040000000a2a000000\
        10000000080000000a000000000068e5cf8b0100000168e5cf8b010000400100000000000000\
        00000000ffffffff0800610000002d4e000000\
        06020900100203747300040008040276000a00540602730004\
        63743100";

    fn message() -> Message {
        let field = |name: &str, kind| Field { name: name.into(), kind };
        let fields =
            vec![field("ts", Kind::Timestamp), field("v", Kind::Int), field("s", Kind::Nchar(10))];
        let rows = vec![
            vec![Cell::Int(1_700_000_000_000), Cell::Int(1), Cell::text("a中")],
            vec![Cell::Int(1_700_000_000_001), Cell::Null, Cell::Null],
        ];
        let content = Content::Rows {
            table: "ct1".into(),
            fields,
            columns: vec![1, 2, 3],
            rows,
            precision: Precision::Ms,
        };
        let delivery = Delivery {
            topic: "t".into(),
            database: "d".into(),
            vgroup: 2,
            offset: 0,
            next: 1,
            content,
        };
        Message::new(delivery, false)
    }

    struct From<'a>(Bytes<'a>);

    impl<'a> From<'a> {
        fn take(&mut self, count: usize) -> Option<&'a [u8]> {
            self.0.take(count)
        }

        fn varint(&mut self) -> Option<u64> {
            let (mut number, mut shift) = (0, 0);
            loop {
                let byte = *self.take(1)?.first()?;
                number |= u64::from(byte & 0x7F) << shift;
                if byte & 0x80 == 0 {
                    return Some(number);
                }
                shift += 7;
            }
        }

        fn zigzag(&mut self) -> Option<i64> {
            let number = self.varint()?;
            Some((number >> 1) as i64 ^ -((number & 1) as i64))
        }

        fn name(&mut self) -> Option<&'a str> {
            let length = self.varint()? as usize;
            std::str::from_utf8(self.take(length)?.strip_suffix(b"\0")?).ok()
        }
    }

    type Raw<'a> = (Vec<u8>, Vec<(u8, i64, i64, &'a str)>, &'a str);

    /// As a client reads it: the block, the columns, the table.
    fn read_raw(raw: &[u8]) -> Option<Raw<'_>> {
        let mut from = From(Bytes(raw));
        assert_eq!(from.take(1)?, [100]);
        let skip = u32::from_le_bytes(from.take(4)?.try_into().ok()?);
        from.take(skip as usize)?;
        assert_eq!(from.take(6)?, [1, 0, 0, 0, 1, 1]);
        let length = from.varint()? as usize;
        from.take(PREFIX_BYTES)?;
        let block = from.take(length - PREFIX_BYTES)?.to_vec();
        let count = from.zigzag()?;
        assert_eq!(from.zigzag()?, SCHEMA_VERSION);
        let mut columns = Vec::new();
        for _ in 0..count {
            let kind = *from.take(2)?.first()?;
            columns.push((kind, from.zigzag()?, from.zigzag()?, from.name()?));
        }
        let name = from.name()?;
        from.0.0.is_empty().then_some((block, columns, name))
    }

    #[test]
    fn raw_data_is_byte_for_byte_as_clients_read_it() {
        let message = message();
        let mut out = Vec::new();
        write_hex(&raw_data_reply(1000, 3, 1, Ok(&message)), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), VECTOR);
        let raw = message.raw();
        let (block, columns, table) = read_raw(&raw).unwrap();
        let Held::Data { block: own, .. } = &message.held else { panic!("data") };
        assert_eq!((&block, table), (own, "ct1"));
        assert_eq!(columns, [(9, 8, 1, "ts"), (4, 4, 2, "v"), (10, 42, 3, "s")]);
        for cut in 0..raw.len() {
            assert!(cut < 11 || read_raw(&raw[..cut]).is_none(), "{cut}");
        }
    }

    #[test]
    fn definitions_are_their_text() {
        let delivery = |list: &[&str]| Delivery {
            topic: "t".into(),
            database: "d".into(),
            vgroup: 2,
            offset: 0,
            next: 1,
            content: Content::Meta(list.iter().map(|text| (*text).to_owned()).collect()),
        };
        let one = Message::new(delivery(&["{}"]), false);
        assert_eq!((one.kind(), one.raw()), (2, b"{}".to_vec()));
        assert_eq!(
            raw_reply(0, 3, 1, &one)[24..],
            [3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 123, 125]
        );
        let both = Message::new(delivery(&["{}", "{}"]), true);
        assert_eq!(
            both.held,
            Held::Meta("{\"tmq_meta_version\":\"1.0\",\"metas\":[{},{}]}".into())
        );
    }
}

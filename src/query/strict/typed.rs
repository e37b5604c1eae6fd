//! Rows of typed tables as typed values (interchange, 2.3, last column).

use super::json::of_checked;
use super::types::{Kind, Name, Type};
use super::value::Value;
use crate::model::table::rows::Cell;
use crate::model::table::{self, Table};
use crate::model::value::decimal::Decimal;
use std::rc::Rc;

/// What holds the name of the subtable, after the tags of a supertable.
const TABLE_NAME: &str = "tbname";

/// The fields of a row: columns, tags, and of a supertable the name of the subtable.
#[must_use]
pub fn field_names(table: &Table) -> Rc<[Name]> {
    let own = table.columns.iter().chain(&table.tags).map(|column| Name::from(&*column.name));
    own.chain(table.is_super.then(|| Name::from(TABLE_NAME))).collect()
}

/// The type of a row; `None` if it is too large to be one. All but time and name may be null.
#[must_use]
pub fn row_type(table: &Table) -> Option<Type> {
    let columns = table.columns.iter().chain(&table.tags).enumerate();
    let mut kinds: Vec<Type> =
        columns.map(|(at, column)| Type::from(kind_of(column.kind)).or_null(at > 0)).collect();
    kinds.extend(table.is_super.then(|| Type::from(Kind::String)));
    Type::record(field_names(table).iter().cloned().zip(kinds).collect())
}

fn kind_of(kind: table::Kind) -> Kind {
    use table::Kind as Column;
    match kind {
        Column::Null => Kind::Undefined,
        Column::Bool => Kind::Bool,
        Column::TinyInt => Kind::Byte,
        Column::SmallInt | Column::UTinyInt => Kind::Short,
        Column::Int | Column::USmallInt => Kind::Int,
        Column::BigInt | Column::UInt | Column::Timestamp => Kind::Long,
        Column::UBigInt | Column::Decimal(..) => Kind::Decimal,
        Column::Float => Kind::Float,
        Column::Double => Kind::Double,
        Column::Varchar(_) | Column::Nchar(_) => Kind::String,
        Column::Json => Kind::Any(None),
        Column::Varbinary(_) | Column::Geometry(_) | Column::Blob => Kind::Binary,
    }
}

/// The value of a cell of a column of that kind.
#[must_use]
pub fn value_of(kind: table::Kind, cell: &Cell) -> Value {
    match (kind, cell) {
        (_, Cell::Null) => Value::Null,
        (_, Cell::Bool(flag)) => Value::Bool(*flag),
        (_, Cell::Int(number)) => Value::Int(*number),
        (table::Kind::UBigInt, Cell::Uint(number)) => {
            Decimal::parse(itoa::Buffer::new().format(*number))
                .map_or(Value::Null, |number| Value::Decimal(Rc::new(number)))
        }
        (_, Cell::Uint(number)) => i64::try_from(*number).map_or(Value::Null, Value::Int),
        (table::Kind::Float, Cell::Double(number)) => Value::Float(*number as f32),
        (_, Cell::Double(number)) => Value::Double(*number),
        (table::Kind::Json, Cell::Text(text)) => of_checked(text.as_bytes()),
        (_, Cell::Text(text)) => Value::text(text),
        (_, Cell::Decimal(number)) => Value::Decimal(Rc::new(*number)),
        (_, Cell::Bytes(bytes)) => Value::Binary(Rc::from(&**bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::TopicName;
    use crate::model::table::{Column, Precision};

    #[test]
    fn kinds_keep_their_width() {
        let column = |id, name: &str, kind| Column { id, name: name.into(), kind };
        use table::Kind as K;
        let mut table = Table {
            name: TopicName::parse("d.t").unwrap(),
            columns: vec![
                column(0, "ts", K::Timestamp),
                column(1, "a", K::UInt),
                column(2, "b", K::UBigInt),
                column(3, "c", K::Varbinary(4)),
            ],
            tags: vec![column(4, "g", K::TinyInt)],
            is_super: true,
            next_column: 5,
            precision: Precision::Ms,
            created: 0,
            details: Vec::new(),
        };
        assert_eq!(
            row_type(&table).unwrap().to_string(),
            "record(ts: long, a: long nullable, b: decimal nullable, c: binary nullable, \
             g: byte nullable, tbname: string)"
        );
        (table.is_super, table.tags) = (false, Vec::new());
        assert_eq!(field_names(&table).len(), 4);
        assert!(matches!(value_of(K::Float, &Cell::Double(0.5)), Value::Float(n) if n == 0.5));
        assert!(matches!(value_of(K::UTinyInt, &Cell::Uint(255)), Value::Int(255)));
        let Value::Decimal(large) = value_of(K::UBigInt, &Cell::Uint(u64::MAX)) else { panic!() };
        assert_eq!(large.to_string(), u64::MAX.to_string());
    }
}

//! Records of typed rows, there and back, whole and broken.

use super::*;

fn column(id: ColumnId, name: &str, kind: Kind) -> Column {
    Column { id, name: name.into(), kind }
}

fn sample() -> Vec<u8> {
    let columns = [
        (Kind::Timestamp, vec![Cell::Int(1_700_000_000_000), Cell::Int(1_700_000_000_001)]),
        (Kind::TinyInt, vec![Cell::Int(-127), Cell::Null]),
        (Kind::UBigInt, vec![Cell::Uint(u64::MAX), Cell::Null]),
        (Kind::Float, vec![Cell::Double(f64::from(0.1_f32)), Cell::Null]),
        (Kind::Nchar(4), vec![Cell::text("中\""), Cell::Null]),
        (Kind::Varbinary(4), vec![Cell::Bytes([0, 255].into()), Cell::Null]),
        (Kind::Bool, vec![Cell::Bool(true), Cell::Null]),
    ];
    let written: Vec<_> = columns
        .into_iter()
        .enumerate()
        .map(|(id, (kind, cells))| {
            let column = column(id as u16, &format!("c{id}"), kind);
            Written { column, cells }
        })
        .collect();
    let tags = [(column(9, "g", Kind::Int), Cell::Int(7))];
    encode(Deed::Write, Precision::Ms, "a", &tags, &written)
}

#[test]
fn rows_are_json_objects_for_others() {
    let bytes = sample();
    let rows = Rows::parse(&bytes).unwrap();
    let mut list = Vec::new();
    rows.each_json(|row| list.push(String::from_utf8(row.to_vec()).unwrap()));
    assert_eq!(
        list,
        [
            "{\"c0\":1700000000000,\"c1\":-127,\"c2\":18446744073709551615,\"c3\":0.1,\
             \"c4\":\"中\\\"\",\"c5\":\"00ff\",\"c6\":true,\"g\":7,\"tbname\":\"a\"}",
            "{\"c0\":1700000000001,\"c1\":null,\"c2\":null,\"c3\":null,\"c4\":null,\
             \"c5\":null,\"c6\":null,\"g\":7,\"tbname\":\"a\"}",
        ]
    );
}

#[test]
fn no_cut_record_is_read_and_no_damage_panics() {
    let bytes = sample();
    for cut in 0..bytes.len() {
        assert!(Rows::parse(&bytes[..cut]).is_none(), "{cut}");
    }
    for at in 0..bytes.len() {
        for flip in [1, 0x40, 0xff] {
            let mut bad = bytes.clone();
            bad[at] ^= flip;
            if let Some(rows) = Rows::parse(&bad) {
                rows.each_json(|_| {});
            }
        }
    }
    let drop = encode(Deed::Delete(-1, 5), Precision::Ns, "", &[], &[]);
    assert_eq!(Rows::parse(&drop).unwrap().deed, Deed::Delete(-1, 5));
}

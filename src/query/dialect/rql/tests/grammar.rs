//! Random queries that the grammar allows.

use super::fuzz::Dice;

const LEAVES: &[&str] = &[
    "1",
    "0",
    "2.5",
    "-3",
    "\"a\"",
    "\"2024-01-01\"",
    "null",
    "true",
    "false",
    "id",
    "cust",
    "total",
    "x",
    "y",
    "*",
    "orders",
    "9223372036854775807",
    "[]",
    "DATE \"2024-02-29\"",
    "TIMESTAMP \"2024-01-01 00:00:00\"",
    "INTERVAL \"1 month 2 days\"",
    "TIME \"01:00:00\"",
    "sensor_data",
    "o",
    "PARTITION",
    "COUNT(*)",
    "o.total",
    "x.y",
    "1e308",
    "'%a_'",
];

const CALLS: &[&str] = &[
    "LOWER",
    "LEN",
    "SUBSTRING",
    "REPLACE",
    "SPLIT",
    "MKSTRING",
    "CONCAT",
    "ISNULL",
    "COALESCE",
    "TYPEOF",
    "TRY",
    "CCOUNT",
    "CMIN",
    "CMAX",
    "CSUM",
    "CAVG",
    "CFIRST",
    "CLAST",
    "DISTINCT",
    "RANGE",
    "ENUMERATE",
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "FIRST",
    "LAST",
    "ROUND",
    "ABS",
    "FLOOR",
    "POWER",
    "SQRT",
    "YEAR",
    "HOUR",
    "DATE_TRUNC",
    "TO_DATE",
    "UNIX_TIMESTAMP",
    "FROM_UNIXTIME",
    "OFFSET_OF",
    "TIME_OF",
    "f",
];

const ONE: &[&str] = &[
    "LOWER",
    "LEN",
    "TYPEOF",
    "TRY",
    "CCOUNT",
    "CMIN",
    "CMAX",
    "CSUM",
    "CAVG",
    "CFIRST",
    "CLAST",
    "DISTINCT",
    "ENUMERATE",
    "ROUND",
    "ABS",
    "FLOOR",
    "CEIL",
    "SQRT",
    "YEAR",
    "HOUR",
    "f",
    "UNIX_TIMESTAMP",
    "FROM_UNIXTIME",
    "INTERVAL_TO_MILLIS",
    "URLENCODE",
    "TRIM",
    "-",
    "NOT ",
];

const TWO: &[&str] = &[
    "SUBSTRING",
    "SPLIT",
    "MKSTRING",
    "CONCAT",
    "ISNULL",
    "COALESCE",
    "RANGE",
    "ROUND",
    "POWER",
    "DATE_TRUNC",
    "TO_DATE",
    "TO_TIMESTAMP",
    "f",
];

const OPERATORS: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "=",
    "!=",
    "<",
    ">=",
    "AND",
    "OR",
    "LIKE",
    "IN",
    "UNION ALL",
    "UNION",
];

const TYPES: &[&str] = &[
    "int",
    "byte",
    "long",
    "double",
    "decimal",
    "float",
    "string",
    "bool",
    "date",
    "timestamp",
    "interval",
    "binary",
    "collection(int)",
    "collection(string)",
    "record(a: int)",
];

const SOURCES: &[&str] = &[
    "orders",
    "orders o",
    "sensor_data s",
    "[1, 2, null] x",
    "x IN [3, 1, 2]",
    "RANGE(0, 5) y",
    "chat",
    "[(a: 1, b: \"x\"), (a: 2, b: null)]",
    "o.tags t",
    "READ_CSV(\"file:people.csv\") p",
    "READ(\"file:shops.json\") s",
    "ENUMERATE([\"a\", \"b\"]) e",
    "fresh",
    "null n",
];

fn pick<'a>(dice: &mut Dice, list: &[&'a str]) -> &'a str {
    list[dice.roll(list.len())]
}

/// Declarations of which nothing is known before the run, so that most of what follows compiles.
const DECLARED: &str = "id := CFIRST(SELECT o.id FROM orders o); \
    cust := CFIRST(SELECT o.cust FROM orders o); total := CLAST(SELECT o.total FROM orders o); \
    x := CFIRST(SELECT s.place FROM sensor_data s); y := CFIRST(SELECT s.tags FROM sensor_data s); \
    o := CFIRST(SELECT * FROM orders); f(a: any, b: any := 2) := [a, b]; \
    any(v: any): any := v; ";

/// A whole query.
pub(super) fn program(dice: &mut Dice) -> String {
    let mut text = String::new();
    if dice.roll(4) > 0 {
        let body = if dice.roll(2) == 0 { select(dice, 3) } else { expression(dice, 3) };
        return DECLARED.to_owned() + &body;
    }
    if dice.roll(4) == 0 {
        let body = expression(dice, 2);
        text.push_str(&format!("f(a: {}, b: int := 2) := {body}; ", pick(dice, TYPES)));
    }
    if dice.roll(4) == 0 {
        text.push_str(&format!("x := {}; ", expression(dice, 2)));
    }
    let body = if dice.roll(2) == 0 { select(dice, 3) } else { expression(dice, 3) };
    text + &body
}

fn select(dice: &mut Dice, depth: usize) -> String {
    let mut text = String::from("SELECT ");
    if dice.roll(6) == 0 {
        text.push_str("DISTINCT ");
    }
    for index in 0..=dice.roll(3) {
        text.push_str(if index > 0 { ", " } else { "" });
        text.push_str(&expression(dice, depth - 1));
        if dice.roll(3) == 0 {
            text.push_str(pick(dice, &[" AS a", " AS id", " b"]));
        }
    }
    for index in 0..=dice.roll(2) {
        text.push_str(if index > 0 { ", " } else { " FROM " });
        let nested = depth > 1 && dice.roll(6) == 0;
        match nested {
            true => text.push_str(&format!("({}) n{index}", select(dice, depth - 1))),
            false => text.push_str(pick(dice, SOURCES)),
        }
    }
    if dice.roll(2) == 0 {
        text.push_str(&format!(" WHERE {}", expression(dice, depth - 1)));
    }
    if dice.roll(3) == 0 {
        let key = pick(dice, &["cust", "id", "x", "x AS k", "o.cust", "y % 2", "1"]);
        text.push_str(&format!(" GROUP BY {key}"));
        if dice.roll(3) == 0 {
            text.push_str(" HAVING COUNT(*) > 1");
        }
    }
    if dice.roll(3) == 0 {
        let key = pick(dice, &["1", "2 DESC", "cust", "id DESC, 1", "x", "COUNT(*)", "k"]);
        text.push_str(&format!(" ORDER BY {key}"));
    }
    if dice.roll(4) == 0 {
        text.push_str(pick(dice, &[" LIMIT 1", " LIMIT 2 OFFSET 1", " LIMIT 0", " LIMIT -1"]));
    }
    text
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 {
        let known = dice.roll(3) > 0;
        return pick(dice, if known { &LEAVES[9..14] } else { LEAVES }).to_owned();
    }
    let mut inner = || expression(dice, depth - 1);
    let (a, b, c) = (inner(), inner(), inner());
    let [a, b, c] = [a, b, c].map(|text| if depth > 1 { format!("any({text})") } else { text });
    match dice.roll(16) {
        0 | 1 => format!("({a} {} {b})", pick(dice, OPERATORS)),
        2 => format!("{}({a})", pick(dice, ONE)),
        3 => format!("{}({a}, {b})", pick(dice, TWO)),
        14 => format!("{}({a}, {b})", pick(dice, CALLS)),
        15 => format!("{}({a})", pick(dice, CALLS)),
        4 => format!("IF {a} THEN {b} ELSE {c}"),
        5 => format!("CASE WHEN {a} THEN {b} ELSE {c} END"),
        6 => format!("(a: {a}, b: {b})"),
        7 => format!("[{a}, {b}]"),
        8 => format!("CAST({a} AS {})", pick(dice, TYPES)),
        9 => format!("TRY_CAST({a} AS {})", pick(dice, TYPES)),
        10 => format!("({})", select(dice, depth)),
        11 => format!("({a} BETWEEN {b} AND {c})"),
        12 => format!("(NOT {a} IS NULL)"),
        _ => a,
    }
}

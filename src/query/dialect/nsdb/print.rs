//! The canonical print of a query, the identifier made of it (nsdb, section 3), and the tree that
//! `parsed` asks for (5.2).

use super::condition::{Condition, Constant, Node, Test};
use super::parse::{Group, Item, Select};
use crate::model::json::write_string;
use std::fmt::Write;

/// The canonical text: two queries have the same exactly when they are the same query.
#[must_use]
pub fn canonical(select: &Select) -> String {
    let mut out = String::from("select ");
    if select.distinct {
        out.push_str("distinct ");
    }
    if select.items.is_empty() {
        out.push('*');
    }
    for (index, item) in select.items.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let _ = match item {
            Item::Field(field) => write!(out, "{comma}{field}"),
            Item::Aggregate(aggregate, field) => {
                let (name, inner) = match aggregate.name().split_once(' ') {
                    Some((name, _)) => (name, format!("distinct {field}")),
                    None => (aggregate.name(), field.to_string()),
                };
                write!(out, "{comma}{name}({inner})")
            }
        };
    }
    let _ = write!(out, " from {}", select.metric);
    if let Some(root) = select.condition.root() {
        out.push_str(" where ");
        print(&select.condition, root, &mut out);
    }
    let _ = match &select.group {
        None => Ok(()),
        Some(Group::Field(field)) => write!(out, " group by {field}"),
        Some(Group::Interval(number, unit)) => {
            write!(out, " group by interval {}", number.saturating_mul(*unit))
        }
    };
    if let Some((field, descending)) = &select.order {
        let _ = write!(out, " order by {field}{}", if *descending { " desc" } else { "" });
    }
    if let Some(since) = select.since {
        let _ = write!(out, " since {since}");
    }
    if let Some(limit) = select.limit {
        let _ = write!(out, " limit {limit}");
    }
    out
}

fn quoted(text: &str, out: &mut String) {
    let mut bytes = Vec::new();
    write_string(&mut bytes, text);
    out.push_str(&String::from_utf8_lossy(&bytes));
}

fn constant(constant: &Constant, out: &mut String) {
    match constant {
        Constant::Fixed { text, quoted: true, .. } => quoted(text, out),
        Constant::Fixed { text, .. } => out.push_str(text),
        Constant::Now(offset) => {
            let _ = write!(out, "now{offset:+}");
        }
    }
}

/// Every joining in brackets; what nests to the right is closed at the end.
fn print(condition: &Condition, mut at: u32, out: &mut String) {
    let mut open = 0;
    while let Some(node) = condition.node(at) {
        let (left, joined, right) = match node {
            Node::Test(field, test) => {
                print_test(field, test, out);
                break;
            }
            Node::Not(inner) => {
                out.push_str("(not ");
                open += 1;
                at = *inner;
                continue;
            }
            Node::And(left, right) => (left, " and ", right),
            Node::Or(left, right) => (left, " or ", right),
        };
        out.push('(');
        open += 1;
        print(condition, *left, out);
        out.push_str(joined);
        at = *right;
    }
    out.extend(std::iter::repeat_n(')', open));
}

fn print_test(field: &str, test: &Test, out: &mut String) {
    // A filter may name any text; a statement only words.
    if field.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        out.push_str(field);
    } else {
        quoted(field, out);
    }
    match test {
        Test::Null => out.push_str(" is null"),
        Test::Compare(operator, value) => {
            let _ = write!(out, " {} ", operator.text());
            constant(value, out);
        }
        Test::Range(low, high) => {
            out.push_str(" in (");
            constant(low, out);
            out.push_str(", ");
            constant(high, out);
            out.push(')');
        }
        Test::Like(pattern) => {
            out.push_str(" like ");
            quoted(pattern, out);
        }
    }
}

/// 128 bits of a text that are the same on every machine and after every start.
#[must_use]
pub fn stable_hash(text: &str) -> u128 {
    let half = |seed: u64| {
        let fnv = text
            .bytes()
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
        let mut mixed = fnv ^ text.len() as u64;
        mixed = (mixed ^ mixed >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        mixed = (mixed ^ mixed >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        mixed ^ mixed >> 33
    };
    u128::from(half(0xCBF2_9CE4_8422_2325)) << 64 | u128::from(half(0x9AE1_6A3B_2F90_404F))
}

/// An identifier as UUID text.
#[must_use]
pub fn uuid(id: u128) -> String {
    let hex = format!("{id:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// The tree of a query as JSON.
#[must_use]
pub fn tree(database: &str, namespace: &str, select: &Select) -> Vec<u8> {
    let mut out = Vec::new();
    let mut text = |key: &str, value: &str, first: bool| {
        out.extend_from_slice(if first { b"{" } else { b"," });
        write_string(&mut out, key);
        out.push(b':');
        write_string(&mut out, value);
    };
    text("db", database, true);
    text("namespace", namespace, false);
    text("metric", &select.metric, false);
    out.extend_from_slice(format!(",\"distinct\":{},\"fields\":", select.distinct).as_bytes());
    write_fields(select, &mut out);
    if let Some(root) = select.condition.root() {
        out.extend_from_slice(b",\"condition\":{\"expression\":");
        write_expression(&select.condition, root, &mut out);
        out.push(b'}');
    }
    if let Some(group) = &select.group {
        write_group(group, &mut out);
    }
    if let Some((field, descending)) = &select.order {
        out.extend_from_slice(b",\"order\":{\"order_by\":");
        write_string(&mut out, field);
        let direction = if *descending { "desc" } else { "asc" };
        out.extend_from_slice(format!(",\"direction\":\"{direction}\"}}").as_bytes());
    }
    if let Some(limit) = select.limit {
        out.extend_from_slice(format!(",\"limit\":{{\"value\":{limit}}}").as_bytes());
    }
    out.push(b'}');
    out
}

fn write_fields(select: &Select, out: &mut Vec<u8>) {
    if select.items.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    out.extend_from_slice(b"{\"fields\":[");
    for (index, item) in select.items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"name\":");
        match item {
            Item::Field(field) => write_string(out, field),
            Item::Aggregate(aggregate, field) => {
                write_string(out, field);
                let name = aggregate.name();
                out.extend_from_slice(
                    format!(
                        ",\"aggregation\":{{\"aggregation\":\"{name}\",\
                         \"aggregationField\":\"value\"}}"
                    )
                    .as_bytes(),
                );
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

fn write_group(group: &Group, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"groupBy\":{\"field\":");
    match group {
        Group::Field(field) => write_string(out, field),
        Group::Interval(number, unit) => {
            let name = match unit {
                86_400_000 => "DAY",
                3_600_000 => "HOUR",
                60_000 => "MINUTE",
                _ => "SECOND",
            };
            let interval = number.saturating_mul(*unit);
            let text = format!(
                "\"timestamp\",\"interval\":{interval},\"quantity\":{number},\
                 \"unitMeasure\":\"{name}\""
            );
            out.extend_from_slice(text.as_bytes());
        }
    }
    out.push(b'}');
}

fn write_expression(condition: &Condition, mut at: u32, out: &mut Vec<u8>) {
    let mut tails: Vec<&[u8]> = Vec::new();
    while let Some(node) = condition.node(at) {
        let (left, right, tail): (_, _, &[u8]) = match node {
            Node::Test(field, test) => {
                write_test(field, test, out);
                break;
            }
            Node::Not(inner) => {
                out.extend_from_slice(b"{\"expression\":");
                tails.push(b",\"operator\":\"not\"}");
                at = *inner;
                continue;
            }
            Node::And(left, right) => (left, right, b"\"operator\":\"and\",\"expression2\":"),
            Node::Or(left, right) => (left, right, b"\"operator\":\"or\",\"expression2\":"),
        };
        out.extend_from_slice(b"{\"expression1\":");
        write_expression(condition, *left, out);
        out.push(b',');
        out.extend_from_slice(tail);
        tails.push(b"}");
        at = *right;
    }
    for tail in tails.iter().rev() {
        out.extend_from_slice(tail);
    }
}

fn write_constant(value: &Constant, out: &mut Vec<u8>) {
    match value {
        Constant::Fixed { text, quoted: true, .. } => write_string(out, text),
        Constant::Fixed { text, int: None, float: Some(number), .. } if text.contains('.') => {
            super::bit::write_decimal(*number, out);
        }
        Constant::Fixed { int: Some(number), .. } => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Constant::Fixed { text, .. } => write_string(out, text),
        Constant::Now(_) => {
            let mut text = String::new();
            constant(value, &mut text);
            write_string(out, &text);
        }
    }
}

fn write_test(field: &str, test: &Test, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"dimension\":");
    write_string(out, field);
    match test {
        Test::Null => out.extend_from_slice(b",\"comparison\":\"null\""),
        Test::Compare(operator, value) => {
            out.extend_from_slice(format!(",\"comparison\":\"{}\"", operator.text()).as_bytes());
            out.extend_from_slice(b",\"value\":");
            write_constant(value, out);
        }
        Test::Range(low, high) => {
            out.extend_from_slice(b",\"value1\":");
            write_constant(low, out);
            out.extend_from_slice(b",\"value2\":");
            write_constant(high, out);
        }
        Test::Like(pattern) => {
            out.extend_from_slice(b",\"comparison\":\"like\",\"value\":");
            write_string(out, pattern);
        }
    }
    out.push(b'}');
}

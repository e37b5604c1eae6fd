//! Whether a SELECT means something for a metric (nsdb, 6.5). The first row of the table that is
//! broken is the answer, whatever stands first in the text.

use super::condition::{Condition, Constant, Operator, Test};
use super::parse::{Aggregate, Group, Item, Select};
use super::schema::{Kind, Place, Schema};

/// Compares a SELECT with a schema.
///
/// # Errors
/// The text that the client is given.
pub fn check(select: &Select, schema: &Schema) -> Result<(), String> {
    check_condition(&select.condition, schema)?;
    check_items(select, schema)?;
    check_clauses(select, schema).map_or(Ok(()), |text| Err(text.to_owned()))
}

/// Compares a condition with a schema.
///
/// # Errors
/// The text that the client is given.
pub fn check_condition(condition: &Condition, schema: &Schema) -> Result<(), String> {
    let mut worst: Option<(u8, String)> = None;
    for (field, test) in condition.tests() {
        let Some((rank, text)) = wrong(field, test, schema) else { continue };
        if worst.as_ref().is_none_or(|(known, _)| rank < *known) {
            worst = Some((rank, text));
        }
    }
    worst.map_or(Ok(()), |(_, text)| Err(text))
}

fn converts(constant: &Constant, kind: Kind) -> bool {
    match (constant, kind) {
        (Constant::Now(_), _) | (_, Kind::Varchar) => true,
        (Constant::Fixed { int, .. }, Kind::BigInt) => int.is_some(),
        (Constant::Fixed { float, .. }, Kind::Decimal) => float.is_some(),
    }
}

/// The row of the table that a test breaks, and its text.
fn wrong(field: &str, test: &Test, schema: &Schema) -> Option<(u8, String)> {
    let Some((kind, _)) = schema.field(field) else {
        return Some((0, format!("field {field} does not exist")));
    };
    let unlike = |rank, what: &str, right: &str| {
        Some((rank, format!("cannot use {what} operator on dimension different from {right}")))
    };
    let varchar = kind == Kind::Varchar;
    match test {
        Test::Compare(Operator::Equal, constant) if !converts(constant, kind) => {
            unlike(1, "equality", kind.name())
        }
        Test::Compare(Operator::Equal, _) | Test::Null => None,
        Test::Compare(..) if varchar => unlike(3, "comparison", "numerical"),
        Test::Range(..) if varchar => unlike(4, "range", "numerical"),
        Test::Compare(_, constant) if !converts(constant, kind) => unlike(2, "range", kind.name()),
        Test::Range(low, high) if !converts(low, kind) || !converts(high, kind) => {
            unlike(2, "range", kind.name())
        }
        Test::Like(_) if !varchar => unlike(5, "Like", "VARCHAR"),
        _ => None,
    }
}

fn check_items(select: &Select, schema: &Schema) -> Result<(), String> {
    let countable = |aggregate| matches!(aggregate, Aggregate::Count | Aggregate::CountDistinct);
    let misplaced = |(aggregate, field): (Aggregate, &str)| match schema.field(field) {
        None | Some((_, Place::Value)) => false,
        Some((_, Place::Tag)) => !countable(aggregate),
        Some(_) => true,
    };
    if select.aggregates().any(misplaced) {
        return Err("Count And Count Distinct Aggregation can be applied to the value and to a \
                    tag. Other aggregations can be applied only on the value"
            .into());
    }
    let times = |wanted| select.aggregates().filter(|(aggregate, _)| *aggregate == wanted).count();
    if times(Aggregate::Count) > 1 || times(Aggregate::CountDistinct) > 1 {
        return Err("Only one Count and one Count Distinct is allowed".into());
    }
    let named = select.items.iter().map(|item| match item {
        Item::Field(field) | Item::Aggregate(_, field) => &**field,
    });
    let absent = |field: &&str| *field != "*" && schema.field(field).is_none();
    let mut unknown: Vec<&str> = named.filter(absent).collect();
    if unknown.is_empty() {
        unknown.extend(select.order.iter().map(|(field, _)| &**field).filter(absent));
    }
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!("field [{}] does not exist", unknown.join(",")))
}

fn check_clauses(select: &Select, schema: &Schema) -> Option<&'static str> {
    let temporal = matches!(select.group, Some(Group::Interval(..)));
    if select.since.is_some() && !temporal {
        return Some("grace period clause is allowed only in temporal group by queries");
    }
    let aggregates = select.aggregates().count();
    if let Some(group) = &select.group {
        let own = match group {
            Group::Field(field) => field,
            Group::Interval(..) => "timestamp",
        };
        let orders = |(field, _): &(Box<str>, bool)| **field == *own || **field == *"value";
        if !select.order.as_ref().is_none_or(orders) {
            return Some("cannot sort group by query result by a field not in group by clause");
        }
        if aggregates == 0 {
            return Some("cannot execute a groupField by query without an aggregation");
        }
        if select.items.len() > 1 {
            return Some("cannot execute a groupField by query with more than a aggregateField");
        }
        if select.distinct {
            return Some("cannot execute a query with a group by and a distinct clause");
        }
        let is_tag = |field: &str| schema.field(field).is_some_and(|(_, at)| at == Place::Tag);
        if let Group::Field(field) = group
            && !is_tag(field)
        {
            return Some("cannot execute a groupBy query grouping by a field that is not a tag");
        }
        return None;
    }
    let local = |(aggregate, _)| matches!(aggregate, Aggregate::First | Aggregate::Last);
    if select.aggregates().any(local) {
        return Some(
            "cannot execute a query with a non global aggregation without a groupBy field",
        );
    }
    if select.distinct && select.items.len() != 1 {
        return Some("cannot execute a select distinct projecting more than one field");
    }
    None
}

//! HISTOGRAM: how many values lie in each of some bins.

use crate::model::table::rows::Cell;
use crate::model::value::{Value, read_json};
use crate::query::tables::convert::number;

/// Bins of a histogram.
const BINS_MAX: usize = 1000;

/// The borders of the bins, ascending; `None`: the description is none.
pub(super) fn bins(constants: &[Cell]) -> Option<Vec<f64>> {
    let (Cell::Text(kind), Cell::Text(text)) = (constants.first()?, constants.get(1)?) else {
        return None;
    };
    number(constants.get(2)?)?;
    let described = read_json(text)?;
    let borders = match kind.to_ascii_lowercase().as_str() {
        "user_input" => numbers(text)?,
        "linear_bin" => {
            let width = member(&described, "width")?;
            grown(&described, width > 0.0, |start, at| start + width * at)?
        }
        "log_bin" => {
            let factor = member(&described, "factor")?;
            grown(&described, factor > 1.0, |start, at| start * factor.powf(at))?
        }
        _ => return None,
    };
    let ascends = borders.windows(2).all(|pair| pair[0] < pair[1]);
    (ascends && (2..=BINS_MAX + 1).contains(&borders.len())).then_some(borders)
}

/// `[1, 3, 5]`
fn numbers(text: &str) -> Option<Vec<f64>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    inner.split(',').map(|one| one.trim().parse().ok().filter(|n: &f64| n.is_finite())).collect()
}

fn member(described: &Value<'_>, name: &str) -> Option<f64> {
    match described.member(name) {
        Value::Int(n) => Some(n as f64),
        Value::Decimal(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

fn grown(
    described: &Value<'_>,
    is_possible: bool,
    border: impl Fn(f64, f64) -> f64,
) -> Option<Vec<f64>> {
    let (start, count) = (member(described, "start")?, member(described, "count")?);
    if !is_possible || !(1.0..=BINS_MAX as f64).contains(&count) {
        return None;
    }
    let mut list: Vec<f64> = (0..=count as usize).map(|at| border(start, at as f64)).collect();
    if matches!(described.member("infinity"), Value::Bool(true)) {
        list.insert(0, f64::NEG_INFINITY);
        list.push(f64::INFINITY);
    }
    Some(list)
}

/// A text for each bin, as JSON.
pub(super) fn run(constants: &[Cell], values: impl Iterator<Item = f64>) -> Vec<String> {
    let Some(borders) = bins(constants) else { return Vec::new() };
    let mut counts = vec![0_u64; borders.len().saturating_sub(1)];
    let mut total: u64 = 0;
    for value in values {
        // A bin has its upper border, and not its lower one.
        let place = borders.partition_point(|border| *border < value);
        if let Some(count) = place.checked_sub(1).and_then(|at| counts.get_mut(at)) {
            *count += 1;
            total += 1;
        }
    }
    let shares = constants.get(2).and_then(number).is_some_and(|flag| flag != 0.0);
    let shown = |n: f64| match n {
        n if n == f64::NEG_INFINITY => "-inf".to_owned(),
        n if n == f64::INFINITY => "inf".to_owned(),
        n => n.to_string(),
    };
    let bin = |(pair, count): (&[f64], &u64)| {
        let count = match shares {
            true => format!("{:.6}", *count as f64 / total.max(1) as f64),
            false => count.to_string(),
        };
        let (lower, upper) = (shown(pair[0]), shown(pair[1]));
        format!("{{\"lower_bin\":{lower}, \"upper_bin\":{upper}, \"count\":{count}}}")
    };
    borders.windows(2).zip(&counts).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_read_or_refused() {
        let of = |kind: &str, text: &str| bins(&[Cell::text(kind), Cell::text(text), Cell::Int(0)]);
        assert_eq!(of("user_input", "[1, 3,5]").unwrap(), [1.0, 3.0, 5.0]);
        let linear = r#"{"start": 0, "width": 5, "count": 2, "infinity": false}"#;
        assert_eq!(of("linear_bin", linear).unwrap(), [0.0, 5.0, 10.0]);
        let log = r#"{"start": 1, "factor": 2.0, "count": 2, "infinity": true}"#;
        assert_eq!(of("log_bin", log).unwrap().len(), 5);
        for bad in ["[3,1]", "[1]", "x", "[]", "[1,1]"] {
            assert!(of("user_input", bad).is_none(), "{bad}");
        }
        assert!(of("linear_bin", r#"{"start":0,"width":1,"count":1e9}"#).is_none());
        assert!(of("linear_bin", r#"{"start":0,"width":0,"count":1}"#).is_none());
        let all = [Cell::text("user_input"), Cell::text("[1,3,5]"), Cell::Int(0)];
        let rows = run(&all, [1.0, 2.0, 3.0, 4.0, 9.0].into_iter());
        assert_eq!(rows[0], r#"{"lower_bin":1, "upper_bin":3, "count":2}"#);
        assert_eq!(rows[1], r#"{"lower_bin":3, "upper_bin":5, "count":1}"#);
    }
}

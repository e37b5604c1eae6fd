//! Calls in expressions of JET: functions, branches, aggregates.

use super::expression::{RESERVED, Reader};
use super::statement::Failure;
use super::token::Lexer;
use crate::model::value::Value;
use crate::query::aggregate::{Aggregate, COLLECTED_MAX};
use crate::query::loose::function;
use crate::query::pipeline::Measure;
use crate::query::program::{Op, Program, Test};

type Parsed<T> = Result<T, Failure>;

/// Functions that are branches.
pub(super) const BRANCHES: &[&str] = &["iff", "if", "case"];

/// The aggregate of that name, as far as its arguments do not decide.
fn aggregate(name: &str) -> Option<(Aggregate, usize, usize)> {
    Some(match name {
        "count" => (Aggregate::Count, 0, 0),
        "sum" => (Aggregate::Sum, 1, 1),
        "count_if" => (Aggregate::CountIf, 1, 1),
        "sum_if" => (Aggregate::Sum, 2, 2),
        "avg" => (Aggregate::Average, 1, 1),
        "avg_if" => (Aggregate::Average, 2, 2),
        "min" => (Aggregate::Min, 1, 1),
        "max" => (Aggregate::Max, 1, 1),
        "count_distinct" => (Aggregate::CountDistinct, 1, 1),
        "stddev" => (Aggregate::Deviation, 1, 1),
        "variance" => (Aggregate::Variance, 1, 1),
        "median" => (Aggregate::Percentile(50.0), 1, 1),
        "percentile" => (Aggregate::Percentile(0.0), 2, 2),
        "first" => (Aggregate::First, 1, 1),
        "last" => (Aggregate::Last, 1, 1),
        "collect" => (Aggregate::Collect(COLLECTED_MAX), 1, 2),
        "collect_set" => (Aggregate::CollectSet(COLLECTED_MAX), 1, 2),
        _ => return None,
    })
}

/// Whether a lookup of that name would hide a function, an aggregate or an operator.
pub fn is_built_in(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let operators =
        ["contains", "startswith", "endswith", "like", "matches", "where", "select", "summarize"];
    function(&name).is_some()
        || aggregate(&name).is_some()
        || BRANCHES.contains(&&*name)
        || RESERVED.contains(&&*name)
        || operators.contains(&&*name)
}

impl<'t> Reader<'t> {
    pub(super) fn call(&mut self, name: &str, written: &str, at: &Lexer<'t>) -> Parsed<()> {
        if BRANCHES.contains(&name) {
            return self.nested(|reader| reader.branch(name, at));
        }
        if let Some((aggregate, least, most)) = aggregate(name) {
            if self.scope.measures.is_some() {
                return self.nested(|reader| reader.measure(name, aggregate, (least, most), at));
            }
            if function(name).is_none() {
                let text = format!("Aggregate '{name}' may only stand in summarize");
                return Err(at.failure("INVALID_QUERY", &text));
            }
        }
        let Some(found) = function(name) else {
            return Err(Failure::new("FUNCTION_NOT_FOUND", format!("Unknown function: {written}")));
        };
        let count = if self.lexer.takes(")")? { 0 } else { self.arguments(")")? };
        self.counted(name, count as usize, (found.least, found.most), at)?;
        self.program.op(Op::Call(found, count));
        Ok(())
    }

    fn counted(
        &self,
        name: &str,
        count: usize,
        (least, most): (usize, usize),
        at: &Lexer<'t>,
    ) -> Parsed<()> {
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let wanted = match (least, most) {
            (least, usize::MAX) => format!("at least {least}"),
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        };
        let text = format!("Function '{name}' takes {wanted} argument(s), not {count}");
        Err(at.failure("INVALID_QUERY", &text))
    }

    /// `iff(c, a, b)` and `case(c1, v1, .., else)`: only the branch taken is evaluated.
    fn branch(&mut self, name: &str, at: &Lexer<'t>) -> Parsed<()> {
        let mut ends = Vec::new();
        let mut count = 0;
        loop {
            self.expression()?;
            count += 1;
            if !self.lexer.takes(",")? {
                break;
            }
            let otherwise = self.program.branch(Op::If(Test::Falsy, 0));
            self.expression()?;
            count += 1;
            self.lexer.takes(",")?;
            ends.push(self.program.branch(Op::Jump(0)));
            self.program.land(otherwise);
            self.program.other_arm();
            if self.lexer.is(")") {
                break;
            }
        }
        self.lexer.expect(")")?;
        let most = if name == "case" { usize::MAX } else { 3 };
        self.counted(name, count, (3, most), at)?;
        if count % 2 == 0 {
            let text = format!("Function '{name}' takes an odd number of arguments, not {count}");
            return Err(at.failure("INVALID_QUERY", &text));
        }
        ends.into_iter().for_each(|end| self.program.land(end));
        Ok(())
    }

    /// An aggregate; `min` and `max` of several arguments are scalar.
    fn measure(
        &mut self,
        name: &str,
        aggregate: Aggregate,
        bounds: (usize, usize),
        at: &Lexer<'t>,
    ) -> Parsed<()> {
        let before = self.scope.measures.as_ref().map_or(0, Vec::len);
        let mut arguments = if self.lexer.is(")") { Vec::new() } else { self.programs()? };
        self.lexer.expect(")")?;
        if matches!(name, "min" | "max") && arguments.len() > 1 {
            let Some(found) = function(name) else { return Ok(()) };
            arguments.iter().for_each(|argument| self.program.inline(argument));
            self.program.op(Op::Call(found, arguments.len() as u32));
            return Ok(());
        }
        self.counted(name, arguments.len(), bounds, at)?;
        let Some(measures) = &mut self.scope.measures else { return Ok(()) };
        if measures.len() > before {
            let text = format!("Aggregate '{name}' of an aggregate");
            return Err(at.failure("INVALID_QUERY", &text));
        }
        let second = if arguments.len() > 1 { arguments.pop() } else { None };
        let constant = |program: &Program| match program.as_constant() {
            Some(Value::Int(n)) => Some(*n as f64),
            Some(Value::Double(n)) => Some(*n),
            _ => None,
        };
        let number = second.as_ref().and_then(constant);
        let (aggregate, condition) = match (aggregate, number) {
            (Aggregate::Percentile(_), _) if second.is_none() => (aggregate, None),
            (Aggregate::Percentile(_), Some(p)) if (0.0..=100.0).contains(&p) => {
                (Aggregate::Percentile(p), None)
            }
            (Aggregate::Collect(_), Some(n)) if n >= 0.0 => {
                (Aggregate::Collect((n as usize).min(COLLECTED_MAX)), None)
            }
            (Aggregate::CollectSet(_), Some(n)) if n >= 0.0 => {
                (Aggregate::CollectSet((n as usize).min(COLLECTED_MAX)), None)
            }
            (Aggregate::Sum | Aggregate::Average, _) => (aggregate, second),
            _ if second.is_none() => (aggregate, None),
            _ => {
                let text = format!("Second argument of '{name}' is out of range");
                return Err(at.failure("INVALID_QUERY", &text));
            }
        };
        measures.push(Measure { aggregate, argument: arguments.pop(), condition });
        let slot = measures.len() as u32 - 1;
        self.program.op(Op::Slot(slot));
        Ok(())
    }
}

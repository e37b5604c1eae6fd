//! Expressions of JET, compiled as they are read (jsonjet, 3.4).
//!
//! Method: one function for each level of the grammar; operands go to the program as they come, so
//! a chain of any length is a loop. Brackets are counted against [`DEPTH_MAX`]. Invariant: a name
//! is checked where it is read; no program is made of a text that has an error.

use super::statement::Failure;
use super::token::{Lexer, Token};
use crate::model::value::{Value, numeric_text};
use crate::query::aggregate::{Aggregate, COLLECTED_MAX};
use crate::query::loose::{Binary, Unary, fixed_pattern, function};
use crate::query::pipeline::Measure;
use crate::query::program::{Builder, Item, Op, Program, Test};

/// Brackets inside brackets.
const DEPTH_MAX: usize = 64;
/// Words that are no names in expressions.
const RESERVED: &[&str] = &["true", "false", "null", "and", "or", "not", "in", "is", "between"];
/// Functions that are branches.
const BRANCHES: &[&str] = &["iff", "if", "case"];

type Parsed<T> = Result<T, Failure>;

/// What names mean besides fields.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Fields that the segment under way reads.
    pub columns: Vec<String>,
    /// Aggregates may stand here; those found.
    pub measures: Option<Vec<Measure>>,
    /// Names that stand for programs where the record has no such field.
    pub rows: Vec<(String, Program)>,
    /// Steps of the `scan` under way, and their variables by step and name.
    pub steps: Vec<String>,
    /// Each has its slot.
    pub variables: Vec<(String, String)>,
}

/// Reads expressions.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    pub lexer: Lexer<'t>,
    pub scope: Scope,
    program: Builder,
    depth: usize,
}

impl Scope {
    /// The column of a field.
    pub fn column(&mut self, name: &str) -> u32 {
        let known = self.columns.iter().position(|column| column == name);
        known.unwrap_or_else(|| {
            self.columns.push(name.to_owned());
            self.columns.len() - 1
        }) as u32
    }

    /// The slot of a step's variable.
    pub fn variable(&mut self, step: &str, name: &str) -> u32 {
        let known = self.variables.iter().position(|(s, n)| s == step && n == name);
        known.unwrap_or_else(|| {
            self.variables.push((step.to_owned(), name.to_owned()));
            self.variables.len() - 1
        }) as u32
    }
}

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
    pub fn new(lexer: Lexer<'t>) -> Self {
        Self { lexer, scope: Scope::default(), program: Builder::default(), depth: 0 }
    }

    /// One expression as a program of its own.
    pub fn program(&mut self) -> Parsed<Program> {
        let outer = std::mem::take(&mut self.program);
        let result = self.expression();
        let own = std::mem::replace(&mut self.program, outer);
        result.map(|()| own.finish())
    }

    /// One or more, separated by commas.
    pub fn programs(&mut self) -> Parsed<Vec<Program>> {
        let mut list = vec![self.program()?];
        while self.lexer.takes(",")? {
            list.push(self.program()?);
        }
        Ok(list)
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.lexer.error("Nested too deep"));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn expression(&mut self) -> Parsed<()> {
        self.nested(|reader| {
            let mut ends = Vec::new();
            loop {
                reader.or()?;
                if !reader.lexer.takes("?")? {
                    break;
                }
                let otherwise = reader.program.branch(Op::If(Test::Falsy, 0));
                reader.expression()?;
                reader.lexer.expect(":")?;
                ends.push(reader.program.branch(Op::Jump(0)));
                reader.program.land(otherwise);
                reader.program.other_arm();
            }
            ends.into_iter().for_each(|end| reader.program.land(end));
            Ok(())
        })
    }

    fn or(&mut self) -> Parsed<()> {
        self.and()?;
        let mut ends = Vec::new();
        while self.lexer.is("||") || self.lexer.is_word("or") {
            self.lexer.advance()?;
            ends.push(self.program.branch(Op::KeepIf(Test::Truthy, 0)));
            self.and()?;
        }
        ends.into_iter().for_each(|end| self.program.land(end));
        Ok(())
    }

    fn and(&mut self) -> Parsed<()> {
        self.not()?;
        let mut ends = Vec::new();
        while self.lexer.is("&&") || self.lexer.is_word("and") {
            self.lexer.advance()?;
            ends.push(self.program.branch(Op::KeepIf(Test::Falsy, 0)));
            self.not()?;
        }
        ends.into_iter().for_each(|end| self.program.land(end));
        Ok(())
    }

    fn not(&mut self) -> Parsed<()> {
        let mut count = 0_usize;
        while self.lexer.is("!") || self.lexer.is_word("not") {
            self.lexer.advance()?;
            count += 1;
        }
        self.comparison()?;
        match count {
            0 => {}
            odd if odd % 2 == 1 => self.program.op(Op::Unary(Unary::Not)),
            _ => self.program.op(Op::Unary(Unary::Truth)),
        }
        Ok(())
    }

    fn comparison(&mut self) -> Parsed<()> {
        self.sum()?;
        loop {
            let operator = match self.lexer.token() {
                Token::Sign("==" | "=") => Binary::Equal,
                Token::Sign("!=" | "<>") => Binary::NotEqual,
                Token::Sign("<") => Binary::Less,
                Token::Sign("<=") => Binary::LessOrEqual,
                Token::Sign(">") => Binary::Greater,
                Token::Sign(">=") => Binary::GreaterOrEqual,
                Token::Word(_) => {
                    if self.word_operator()? {
                        continue;
                    }
                    return Ok(());
                }
                _ => return Ok(()),
            };
            self.lexer.advance()?;
            self.sum()?;
            self.program.op(Op::Binary(operator));
        }
    }

    /// An operator that is a word; `false` if none stands here.
    fn word_operator(&mut self) -> Parsed<bool> {
        if self.lexer.takes_word("is")? {
            let negated = self.lexer.takes_word("not")?;
            let (test, flip) = if self.lexer.takes_word("null")? {
                (Unary::IsNull, false)
            } else if self.lexer.takes_word("defined")? {
                (Unary::IsDefined, false)
            } else if self.lexer.takes_word("undefined")? {
                (Unary::IsDefined, true)
            } else {
                return Err(self.lexer.unexpected("null, defined or undefined"));
            };
            self.program.op(Op::Unary(test));
            if negated != flip {
                self.program.op(Op::Unary(Unary::Not));
            }
            return Ok(true);
        }
        let negated = self.lexer.is_word("not")
            && matches!(self.lexer.peek(), Token::Word(word) if word_binary(word).is_some());
        if negated {
            self.lexer.advance()?;
        }
        let Token::Word(word) = *self.lexer.token() else { return Ok(false) };
        let Some(operator) = word_binary(word) else { return Ok(false) };
        self.lexer.advance()?;
        if word.eq_ignore_ascii_case("between") {
            self.lexer.expect("(")?;
            self.expression()?;
            self.lexer.expect("..")?;
            self.expression()?;
            self.lexer.expect(")")?;
            self.program.op(Op::Between);
        } else if operator == Binary::In && self.lexer.takes("(")? {
            let count = self.arguments(")")?;
            let op = if count == 1 { Op::Binary(Binary::In) } else { Op::OneOf(count) };
            self.program.op(op);
        } else if operator == Binary::Matches {
            let before = self.program.len();
            let at = self.lexer.clone();
            self.sum()?;
            match self.program.take_constant() {
                Some(Value::String(pattern)) if self.program.len() == before => {
                    let pattern = fixed_pattern(&pattern)
                        .map_err(|fault| at.failure("INVALID_QUERY", &fault.0))?;
                    self.program.matches(pattern);
                }
                Some(other) => {
                    self.program.constant(other);
                    self.program.op(Op::Binary(Binary::Matches));
                }
                None => self.program.op(Op::Binary(Binary::Matches)),
            }
        } else {
            self.sum()?;
            self.program.op(Op::Binary(operator));
        }
        if negated {
            self.program.op(Op::Unary(Unary::Not));
        }
        Ok(true)
    }

    fn sum(&mut self) -> Parsed<()> {
        self.term()?;
        loop {
            let operator = match self.lexer.token() {
                Token::Sign("+") => Binary::Add,
                Token::Sign("-") => Binary::Subtract,
                _ => return Ok(()),
            };
            self.lexer.advance()?;
            self.term()?;
            self.program.op(Op::Binary(operator));
        }
    }

    fn term(&mut self) -> Parsed<()> {
        self.unary()?;
        loop {
            let operator = match self.lexer.token() {
                Token::Sign("*") => Binary::Multiply,
                Token::Sign("/") => Binary::Divide,
                Token::Sign("%") => Binary::Remainder,
                _ => return Ok(()),
            };
            self.lexer.advance()?;
            self.unary()?;
            self.program.op(Op::Binary(operator));
        }
    }

    fn unary(&mut self) -> Parsed<()> {
        let mut signs = Vec::new();
        loop {
            if self.lexer.takes("-")? {
                signs.push(Unary::Negate);
            } else if self.lexer.takes("+")? {
                signs.push(Unary::Number);
            } else {
                break;
            }
        }
        let before = self.program.len();
        self.postfix()?;
        for sign in signs.into_iter().rev() {
            match self.program.take_constant() {
                Some(value @ (Value::Int(_) | Value::Double(_)))
                    if self.program.len() == before =>
                {
                    self.program.constant(sign.apply(&value));
                }
                Some(value) => {
                    self.program.constant(value);
                    self.program.op(Op::Unary(sign));
                }
                None => self.program.op(Op::Unary(sign)),
            }
        }
        Ok(())
    }

    fn postfix(&mut self) -> Parsed<()> {
        self.atom()?;
        loop {
            if self.lexer.takes(".")? {
                let name = self.lexer.identifier()?;
                if self.lexer.is("(") {
                    return Err(self.lexer.error(&format!(
                        "Methods are not supported: write {name}(value) in place of value.{name}()"
                    )));
                }
                self.program.member(name);
            } else if self.lexer.takes("[")? {
                self.expression()?;
                self.lexer.expect("]")?;
                self.program.op(Op::Index);
            } else if self.lexer.is("=>") && self.scope.steps.is_empty() {
                return Err(self.lexer.error("Lambdas are not supported"));
            } else {
                return Ok(());
            }
        }
    }

    fn atom(&mut self) -> Parsed<()> {
        match self.lexer.token().clone() {
            Token::Number(text) => {
                self.program.constant(match numeric_text(text) {
                    Value::Int(n) => Value::Int(n),
                    _ => Value::Double(text.parse().unwrap_or(f64::NAN)),
                });
                self.lexer.advance()
            }
            Token::Duration(ms) => {
                self.program.constant(Value::Double(ms));
                self.lexer.advance()
            }
            Token::String(text) => {
                self.program.constant(Value::text(text));
                self.lexer.advance()
            }
            Token::Word(word) => self.word(word),
            Token::Sign("(") => {
                self.lexer.advance()?;
                self.expression()?;
                self.lexer.expect(")")
            }
            Token::Sign("[") => {
                self.lexer.advance()?;
                let count = if self.lexer.takes("]")? { 0 } else { self.arguments("]")? };
                self.program.op(Op::List(count));
                Ok(())
            }
            Token::Sign("{") => self.object(Vec::new()),
            _ => Err(self.lexer.unexpected("an expression")),
        }
    }

    /// Expressions separated by commas, up to the closing sign; gives their number.
    fn arguments(&mut self, close: &str) -> Parsed<u32> {
        let mut count = 1;
        self.expression()?;
        while self.lexer.takes(",")? {
            self.expression()?;
            count += 1;
        }
        self.lexer.expect(close)?;
        Ok(count)
    }

    fn word(&mut self, word: &'t str) -> Parsed<()> {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "true" => self.program.constant(Value::Bool(true)),
            "false" => self.program.constant(Value::Bool(false)),
            "null" => self.program.constant(Value::Null),
            reserved if RESERVED.contains(&reserved) => {
                return Err(self.lexer.unexpected("an expression"));
            }
            _ => {
                let at = self.lexer.clone();
                self.lexer.advance()?;
                if self.lexer.takes("(")? {
                    return self.call(&lower, word, &at);
                }
                return self.name(word);
            }
        }
        self.lexer.advance()
    }

    fn name(&mut self, word: &str) -> Parsed<()> {
        if self.scope.steps.iter().any(|step| step == word) && self.lexer.is(".") {
            self.lexer.advance()?;
            let variable = self.lexer.identifier()?;
            let slot = self.scope.variable(word, variable);
            self.program.op(Op::Slot(slot));
            return Ok(());
        }
        let column = self.scope.column(word);
        let row = self.scope.rows.iter().find(|(name, _)| name == word);
        match row {
            Some((_, row)) => {
                self.program.op(Op::Column(column));
                let end = self.program.branch(Op::KeepIf(Test::Defined, 0));
                self.program.inline(row);
                self.program.land(end);
            }
            None => self.program.name(column, word),
        }
        Ok(())
    }

    fn call(&mut self, name: &str, written: &str, at: &Lexer<'t>) -> Parsed<()> {
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

    /// An object; the values of `items` were emitted.
    fn object(&mut self, mut items: Vec<Item>) -> Parsed<()> {
        self.nested(|reader| {
            let before = items.len();
            reader.lexer.expect("{")?;
            while !reader.lexer.takes("}")? {
                if items.len() > before {
                    reader.lexer.expect(",")?;
                    if reader.lexer.takes("}")? {
                        break;
                    }
                }
                items.push(reader.item()?);
            }
            reader.program.object(items);
            Ok(())
        })
    }

    /// An item of `select`, its value emitted.
    fn item(&mut self) -> Parsed<Item> {
        if self.lexer.takes("...")? {
            if self.lexer.takes("*")? {
                self.program.op(Op::Record);
            } else {
                self.expression()?;
            }
            return Ok(Item::Spread);
        }
        if self.lexer.takes("-")? {
            return Ok(Item::Drop(self.key()?));
        }
        let is_word = matches!(self.lexer.token(), Token::Word(_));
        let word = self.key()?;
        if self.lexer.takes(":")? {
            self.expression()?;
        } else if is_word && (self.lexer.is(",") || self.lexer.is("}")) {
            let column = self.scope.column(&word);
            self.program.op(Op::Column(column));
        } else {
            return Err(self.lexer.unexpected("':', ',' or '}'"));
        }
        Ok(Item::Named(word))
    }

    /// A key: a word, even a reserved one, or a string.
    pub fn key(&mut self) -> Parsed<String> {
        let key = match self.lexer.token() {
            Token::Word(word) => (*word).to_owned(),
            Token::String(text) => text.clone(),
            _ => return Err(self.lexer.unexpected("a key")),
        };
        self.lexer.advance()?;
        Ok(key)
    }

    /// The object of `select`.
    pub fn selection(&mut self) -> Parsed<Program> {
        self.shape(Vec::new())
    }

    /// The object of `extend`: the fields of the record come first.
    pub fn extension(&mut self) -> Parsed<Program> {
        self.shape(vec![Item::Spread])
    }

    fn shape(&mut self, items: Vec<Item>) -> Parsed<Program> {
        if !self.lexer.is("{") {
            return Err(self.lexer.unexpected("'{'"));
        }
        let outer = std::mem::take(&mut self.program);
        if !items.is_empty() {
            self.program.op(Op::Record);
        }
        let result = self.object(items);
        let own = std::mem::replace(&mut self.program, outer);
        result.map(|()| own.finish())
    }
}

fn word_binary(word: &str) -> Option<Binary> {
    Some(match word.to_ascii_lowercase().as_str() {
        "in" | "between" => Binary::In,
        "contains" => Binary::Contains,
        "startswith" => Binary::StartsWith,
        "endswith" => Binary::EndsWith,
        "like" => Binary::Like,
        "matches" => Binary::Matches,
        _ => return None,
    })
}

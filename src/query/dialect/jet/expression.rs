//! Expressions of JET, compiled as they are read (jsonjet, 3.4).
//!
//! Method: one function for each level of the grammar; operands go to the program as they come, so
//! a chain of any length is a loop. Brackets are counted against [`DEPTH_MAX`]. Invariant: a name
//! is checked where it is read; no program is made of a text that has an error.

use super::calls::BRANCHES;
use super::statement::Failure;
use super::token::{Lexer, Token};
use crate::model::value::{Value, numeric_text};
use crate::query::loose::{Binary, Unary, fixed_pattern, function};
use crate::query::pipeline::Measure;
use crate::query::program::{Builder, Op, Program, Test};

/// Brackets inside brackets.
const DEPTH_MAX: usize = 64;
/// Words that are no names in expressions.
pub(super) const RESERVED: &[&str] =
    &["true", "false", "null", "and", "or", "not", "in", "is", "between"];

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
    /// A bracket behind a name that is no function does not make it a call.
    pub bare_names: bool,
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
    pub program: Builder,
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

    pub fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.lexer.error("Nested too deep"));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    pub fn expression(&mut self) -> Parsed<()> {
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
    pub fn arguments(&mut self, close: &str) -> Parsed<u32> {
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
                let at = self.lexer.clone();
                self.lexer.advance()?;
                // `and(a, b)` is a function where no operator can stand.
                if function(reserved).is_some() && self.lexer.takes("(")? {
                    return self.call(&lower, word, &at);
                }
                return Err(at.unexpected("an expression"));
            }
            _ => {
                let at = self.lexer.clone();
                self.lexer.advance()?;
                // `scan by key (` is no call.
                let known = function(&lower).is_some() || BRANCHES.contains(&&*lower);
                if (known || !self.scope.bare_names) && self.lexer.takes("(")? {
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

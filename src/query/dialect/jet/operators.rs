//! Pipelines of JET: operators one after the other (jsonjet, 3.2 and 3.3).

use super::expression::Reader;
use super::statement::{Failure, is_stream_name};
use super::summarize;
use super::token::{Lexer, Token};
use crate::query::pipeline::{Action, Automaton, Operator, Pipeline, STAGES_MAX, Stage, Step};
use std::sync::Arc;

type Parsed<T> = Result<T, Failure>;

/// Reads the pipeline that begins at byte `at` of `text` and must be the rest of it.
///
/// # Errors
/// Code and text as section 2.6 lists them.
pub(super) fn pipeline(text: &str, at: usize) -> Parsed<Pipeline> {
    let mut lexer = Lexer::new(text, at)?;
    let source = stream_name(&mut lexer)?;
    let mut maker = Maker {
        reader: Reader::new(lexer),
        pipeline: Pipeline {
            text: text.get(at..).unwrap_or_default().trim().to_owned(),
            source,
            ..Pipeline::default()
        },
        open: 0,
        fresh: true,
    };
    while maker.reader.lexer.takes("|")? {
        if maker.pipeline.stages.len() >= STAGES_MAX {
            let text = format!("More than {STAGES_MAX} operators");
            return Err(maker.reader.lexer.error(&text));
        }
        maker.operator()?;
    }
    if *maker.reader.lexer.token() != Token::End {
        return Err(maker.reader.lexer.unexpected("'|' or the end"));
    }
    maker.end_segment();
    Ok(maker.pipeline)
}

/// A stream's name: words joined by dots.
pub(super) fn stream_name(lexer: &mut Lexer<'_>) -> Parsed<String> {
    let start = lexer.clone();
    let mut name = lexer.identifier()?.to_owned();
    while lexer.is(".") {
        lexer.advance()?;
        name.push('.');
        name.push_str(lexer.identifier()?);
    }
    if is_stream_name(&name) { Ok(name) } else { Err(start.unexpected("a stream name")) }
}

struct Maker<'t> {
    reader: Reader<'t>,
    pipeline: Pipeline,
    /// First stage of the segment under way.
    open: usize,
    fresh: bool,
}

impl Maker<'_> {
    fn push(&mut self, operator: Operator) {
        let fresh = std::mem::take(&mut self.fresh);
        self.pipeline.stages.push(Stage { operator, columns: Arc::default(), fresh });
    }

    /// The record changes behind what was pushed.
    fn end_segment(&mut self) {
        let columns = Arc::new(std::mem::take(&mut self.reader.scope.columns));
        for stage in &mut self.pipeline.stages[self.open..] {
            stage.columns = Arc::clone(&columns);
        }
        self.open = self.pipeline.stages.len();
        self.fresh = true;
    }

    fn operator(&mut self) -> Parsed<()> {
        let at = self.reader.lexer.clone();
        let word = self.reader.lexer.identifier()?.to_ascii_lowercase();
        match word.as_str() {
            "where" => {
                let condition = self.reader.program()?;
                self.push(Operator::Filter(condition));
            }
            "select" | "project" => {
                let shape = self.reader.selection()?;
                self.push(Operator::Shape(shape));
                self.end_segment();
            }
            "extend" => {
                let shape = self.reader.extension()?;
                self.push(Operator::Shape(shape));
                self.end_segment();
            }
            "summarize" => {
                let summarize = summarize::read(&mut self.reader)?;
                self.push(Operator::Summarize(Box::new(summarize)));
                self.end_segment();
            }
            "scan" => {
                let automaton = self.automaton()?;
                self.push(Operator::Automaton(Box::new(automaton)));
                self.end_segment();
            }
            "insert_into" => self.insert_into()?,
            "mv_expand" => {
                let mut path = vec![self.reader.lexer.identifier()?.to_owned()];
                while self.reader.lexer.takes(".")? {
                    path.push(self.reader.lexer.identifier()?.to_owned());
                }
                self.push(Operator::Unnest(path));
                self.end_segment();
            }
            "distinct" => {
                let bare = matches!(self.reader.lexer.token(), Token::End | Token::Sign("|"));
                let keys = if bare { Vec::new() } else { self.reader.programs()? };
                self.push(Operator::Distinct(keys));
            }
            "take" | "limit" => {
                let Token::Number(text) = *self.reader.lexer.token() else {
                    return Err(self.reader.lexer.unexpected("a whole number"));
                };
                let Ok(count) = text.parse() else {
                    return Err(self.reader.lexer.unexpected("a whole number"));
                };
                self.reader.lexer.advance()?;
                self.push(Operator::Take(count));
            }
            "sort" | "order" => self.sort()?,
            "write_to_file" => self.write_to_file()?,
            "assert_or_save_expected" => {
                self.reader.lexer.expect("(")?;
                let path = self.reader.program()?;
                self.reader.lexer.expect(")")?;
                self.push(Operator::Expect(path));
            }
            _ => return Err(at.unexpected("an operator")),
        }
        Ok(())
    }

    fn insert_into(&mut self) -> Parsed<()> {
        self.reader.lexer.expect("(")?;
        let name = stream_name(&mut self.reader.lexer)?;
        self.reader.lexer.expect(")")?;
        let targets = &mut self.pipeline.targets;
        let index = targets.iter().position(|target| *target == name).unwrap_or_else(|| {
            targets.push(name);
            targets.len() - 1
        });
        self.push(Operator::Insert(index));
        Ok(())
    }

    fn sort(&mut self) -> Parsed<()> {
        self.reader.lexer.expect_word("by")?;
        let mut keys = Vec::new();
        loop {
            let key = self.reader.program()?;
            let descending = self.reader.lexer.takes_word("desc")?;
            if !descending {
                self.reader.lexer.takes_word("asc")?;
            }
            keys.push((key, descending));
            if !self.reader.lexer.takes(",")? {
                break;
            }
        }
        self.push(Operator::Sort(keys));
        Ok(())
    }

    fn write_to_file(&mut self) -> Parsed<()> {
        self.reader.lexer.expect("(")?;
        let path = self.reader.program()?;
        let (mut overwrite, mut fsync_ms) = (false, 0);
        if self.reader.lexer.takes(",")? {
            self.reader.lexer.expect("{")?;
            while !self.reader.lexer.takes("}")? {
                let at = self.reader.lexer.clone();
                let key = self.reader.key()?;
                self.reader.lexer.expect(":")?;
                match (key.as_str(), self.reader.lexer.token()) {
                    ("mode", Token::String(mode)) if mode == "append" => overwrite = false,
                    ("mode", Token::String(mode)) if mode == "overwrite" => overwrite = true,
                    ("fsync_every", Token::Duration(ms)) => fsync_ms = *ms as u64,
                    _ => return Err(at.failure("INVALID_QUERY", &format!("Bad option '{key}'"))),
                }
                self.reader.lexer.advance()?;
                if !self.reader.lexer.takes(",")? && !self.reader.lexer.is("}") {
                    return Err(self.reader.lexer.unexpected("',' or '}'"));
                }
            }
        }
        self.reader.lexer.expect(")")?;
        self.push(Operator::WriteFile { path, overwrite, fsync_ms });
        Ok(())
    }

    fn automaton(&mut self) -> Parsed<Automaton> {
        let reader = &mut self.reader;
        let mut keys = Vec::new();
        if reader.lexer.takes_word("by")? {
            reader.scope.bare_names = true;
            keys = reader.programs()?;
            reader.scope.bare_names = false;
        }
        reader.lexer.expect("(")?;
        reader.scope.steps = step_names(&reader.lexer);
        let mut steps: Vec<Step> = Vec::new();
        while !reader.lexer.is(")") {
            let at = reader.lexer.clone();
            reader.lexer.expect_word("step")?;
            let name = reader.lexer.identifier()?.to_owned();
            if steps.iter().any(|step| step.name == name) {
                return Err(at.failure("INVALID_QUERY", &format!("Step '{name}' stands twice")));
            }
            reader.lexer.expect(":")?;
            let condition = reader.program()?;
            reader.lexer.expect("=>")?;
            let mut actions = Vec::new();
            loop {
                if reader.lexer.is_word("step") && matches!(reader.lexer.peek(), Token::Word(_)) {
                    break;
                }
                if reader.lexer.is(")") || reader.lexer.is(";") {
                    break;
                }
                actions.push(action(reader)?);
                if !reader.lexer.takes(",")? {
                    break;
                }
            }
            steps.push(Step { name, condition, actions });
            while reader.lexer.takes(";")? {}
        }
        let empty = steps.is_empty();
        if empty {
            return Err(reader.lexer.unexpected("'step'"));
        }
        reader.lexer.expect(")")?;
        reader.scope.steps.clear();
        let variables = std::mem::take(&mut reader.scope.variables).len();
        Ok(Automaton { keys, steps, variables })
    }
}

/// The names behind `step`, which conditions may say before the step itself stands.
fn step_names(lexer: &Lexer<'_>) -> Vec<String> {
    let mut names = Vec::new();
    let mut ahead = lexer.clone();
    while *ahead.token() != Token::End {
        if ahead.is_word("step")
            && let Token::Word(name) = ahead.peek()
        {
            names.push(name.to_owned());
        }
        if ahead.advance().is_err() {
            break;
        }
    }
    names
}

fn action(reader: &mut Reader<'_>) -> Parsed<Action> {
    if reader.lexer.is_word("emit") && reader.lexer.peek() == Token::Sign("(") {
        reader.lexer.advance()?;
        reader.lexer.advance()?;
        let row = reader.selection()?;
        reader.lexer.expect(")")?;
        return Ok(Action::Emit(row));
    }
    let mut path = vec![reader.lexer.identifier()?.to_owned()];
    while reader.lexer.takes(".")? {
        path.push(reader.lexer.identifier()?.to_owned());
    }
    let at = reader.lexer.clone();
    reader.lexer.expect("=")?;
    let value = reader.program()?;
    match path.as_slice() {
        [step, name] if reader.scope.steps.contains(step) => {
            Ok(Action::Variable(reader.scope.variable(step, name), value))
        }
        [step, ..] if reader.scope.steps.contains(step) => {
            Err(at.failure("INVALID_QUERY", "A variable of a step has one name"))
        }
        _ => Ok(Action::Field(path, value)),
    }
}

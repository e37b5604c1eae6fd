//! Expressions, by precedence: OR, AND, NOT, comparisons, sums, products, signs.

use super::Wrong;
use super::ast::{Binary, Expr};
use super::lex::{Token, unquote};
use super::parser::Parser;

type Parsed<T> = Result<T, Wrong>;

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.deeper(|own| {
            let mut left = own.conjunction()?;
            while own.word("or") {
                let right = own.conjunction()?;
                left = Expr::Binary(Binary::Or, Box::new(left), Box::new(right));
            }
            Ok(left)
        })
    }

    fn conjunction(&mut self) -> Parsed<Expr> {
        let mut left = self.negation()?;
        while self.word("and") {
            let right = self.negation()?;
            left = Expr::Binary(Binary::And, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Parsed<Expr> {
        if self.word("not") {
            return self.deeper(|own| Ok(Expr::Not(Box::new(own.negation()?))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        if self.word("is") {
            let not = self.word("not");
            self.need_word("null")?;
            return Ok(Expr::IsNull(Box::new(left), not));
        }
        let not = matches!(self.word_at(1).as_deref(), Some("in" | "like" | "between" | "match"))
            && self.word("not");
        if self.word("in") {
            self.need("(")?;
            let list = self.list(Self::expr)?;
            self.need(")")?;
            return Ok(Expr::In(Box::new(left), list, not));
        }
        if self.word("between") {
            let low = Box::new(self.sum()?);
            self.need_word("and")?;
            let high = Box::new(self.sum()?);
            return Ok(Expr::Between(Box::new(left), low, high, not));
        }
        let operator = if self.word("like") {
            if not { Binary::NotLike } else { Binary::Like }
        } else if self.word("match") {
            if not { Binary::NotMatch } else { Binary::Match }
        } else if self.word("nmatch") {
            Binary::NotMatch
        } else if self.word("contains") {
            Binary::Contains
        } else {
            let signs = [
                ("=", Binary::Equal),
                ("!=", Binary::Differs),
                ("<>", Binary::Differs),
                ("<=", Binary::LessOrEqual),
                (">=", Binary::GreaterOrEqual),
                ("<", Binary::Less),
                (">", Binary::Greater),
            ];
            let found = signs.iter().find(|(sign, _)| self.sign(sign));
            let Some((_, operator)) = found else { return Ok(left) };
            *operator
        };
        let right = self.sum()?;
        Ok(Expr::Binary(operator, Box::new(left), Box::new(right)))
    }

    pub(super) fn sum(&mut self) -> Parsed<Expr> {
        let mut left = self.product()?;
        loop {
            let operator = if self.sign("+") {
                Binary::Add
            } else if self.sign("-") {
                Binary::Subtract
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = Expr::Binary(operator, Box::new(left), Box::new(right));
        }
    }

    fn product(&mut self) -> Parsed<Expr> {
        let mut left = self.signed()?;
        loop {
            let operator = if self.sign("*") {
                Binary::Multiply
            } else if self.sign("/") {
                Binary::Divide
            } else if self.sign("%") {
                Binary::Remainder
            } else if self.sign("->") {
                Binary::Arrow
            } else {
                return Ok(left);
            };
            let right = self.signed()?;
            left = Expr::Binary(operator, Box::new(left), Box::new(right));
        }
    }

    fn signed(&mut self) -> Parsed<Expr> {
        if self.sign("+") {
            return self.deeper(Self::signed);
        }
        if !self.sign("-") {
            return self.operand();
        }
        if self.peek() == Token::Integer {
            let text = format!("-{}", self.next().1);
            return Ok(match text.parse() {
                Ok(number) => Expr::Int(number),
                Err(_) => Expr::Double(text.parse().unwrap_or_default()),
            });
        }
        self.deeper(|own| {
            Ok(match own.signed()? {
                Expr::Double(number) => Expr::Double(-number),
                other => Expr::Negate(Box::new(other)),
            })
        })
    }

    fn operand(&mut self) -> Parsed<Expr> {
        match self.peek() {
            Token::Integer => {
                let text = self.next().1;
                Ok(match (text.parse(), text.parse()) {
                    (Ok(number), _) => Expr::Int(number),
                    (_, Ok(number)) => Expr::Big(number),
                    _ => Expr::Double(text.parse().unwrap_or(f64::INFINITY)),
                })
            }
            Token::Float => Ok(Expr::Double(self.next().1.parse().unwrap_or_default())),
            Token::Duration => Ok(Expr::Duration(self.duration()?)),
            Token::Text => Ok(Expr::Text(unquote(self.next().1))),
            Token::Parameter => {
                self.next();
                self.parameters += 1;
                Ok(Expr::Parameter(self.parameters - 1))
            }
            Token::Sign("(") => {
                self.next();
                let inner = self.expr()?;
                self.need(")")?;
                Ok(inner)
            }
            Token::Sign("*") => {
                self.next();
                Ok(Expr::Star(None))
            }
            Token::Word | Token::Quoted => self.named(),
            _ => self.wrong(),
        }
    }

    /// What begins with a name: a keyword, a call, a column.
    fn named(&mut self) -> Parsed<Expr> {
        let word = self.word_at(0).unwrap_or_default();
        let call = self.peek_after(1) == Token::Sign("(");
        match word.as_str() {
            "null" | "true" | "false" => {
                self.next();
                return Ok(match word.as_str() {
                    "null" => Expr::Null,
                    other => Expr::Bool(other == "true"),
                });
            }
            "case" => return self.case(),
            "cast" if call => return self.cast(),
            "now" | "today" if !call => {
                self.next();
                return Ok(Expr::Call(word, Vec::new()));
            }
            _ => {}
        }
        if call && !word.is_empty() {
            self.next();
            self.next();
            let mut name = word;
            let arguments = self.arguments(&mut name)?;
            return Ok(Expr::Call(name, arguments));
        }
        if !self.is_free_name() {
            return self.wrong();
        }
        let first = self.table_name()?;
        if let Some(mut table) = first.database {
            let mut column = first.name;
            // `database.table.column`
            if self.sign(".") {
                table = column;
                column = self.name()?;
            }
            return Ok(Expr::Column(Some(table), column));
        }
        Ok(Expr::Column(None, first.name))
    }

    /// The arguments of a call up to its end; words may stand between them: `POSITION(a IN b)`,
    /// `TRIM(LEADING a FROM b)`, `SUBSTRING(a FROM b FOR c)`.
    fn arguments(&mut self, name: &mut String) -> Parsed<Vec<Expr>> {
        let mut list = Vec::new();
        if self.sign(")") {
            return Ok(list);
        }
        if name == "trim" {
            let sides = [("leading", "ltrim"), ("trailing", "rtrim"), ("both", "trim")];
            if let Some((_, own)) = sides.iter().find(|(side, _)| self.word(side)) {
                *name = (*own).to_owned();
            }
        }
        let trims = name.ends_with("trim");
        let mut turned = trims && self.word("from");
        let parts = ["substring", "substr"].contains(&name.as_str());
        loop {
            list.push(if name == "position" { self.sum()? } else { self.expr()? });
            if trims && list.len() == 1 && self.word("from") {
                turned = true;
            } else if !(self.sign(",")
                || (name == "position" && self.word("in"))
                || (parts && (self.word("from") || self.word("for"))))
            {
                break;
            }
        }
        if turned {
            list.reverse();
        }
        self.need(")")?;
        Ok(list)
    }

    fn cast(&mut self) -> Parsed<Expr> {
        self.next();
        self.next();
        let inner = self.expr()?;
        self.need_word("as")?;
        let kind = self.kind()?;
        self.need(")")?;
        Ok(Expr::Cast(Box::new(inner), kind))
    }

    fn case(&mut self) -> Parsed<Expr> {
        self.next();
        let subject = if self.is_word("when") { None } else { Some(Box::new(self.expr()?)) };
        let mut arms = Vec::new();
        while self.word("when") {
            let when = self.expr()?;
            self.need_word("then")?;
            arms.push((when, self.expr()?));
        }
        let otherwise = if self.word("else") { Some(Box::new(self.expr()?)) } else { None };
        self.need_word("end")?;
        if arms.is_empty() { self.wrong_before() } else { Ok(Expr::Case(subject, arms, otherwise)) }
    }
}

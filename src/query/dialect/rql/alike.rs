//! Whether two expressions are written alike, places aside.

use super::ast::{Argument, Id, Kind as Ast, Program};

impl Program {
    /// Whether two expressions say the same.
    #[must_use]
    pub fn alike(&self, left: Id, right: Id) -> bool {
        let lists = |a: &[Id], b: &[Id]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.alike(*a, *b))
        };
        match (&self.node(left).kind, &self.node(right).kind) {
            (Ast::Name(a), Ast::Name(b)) => a.text == b.text,
            (Ast::Star, Ast::Star) => true,
            (Ast::Bool(a), Ast::Bool(b)) => a == b,
            (Ast::Integer(a), Ast::Integer(b)) => a == b,
            (Ast::Number(a), Ast::Number(b)) => a.to_bits() == b.to_bits(),
            (Ast::Text(a), Ast::Text(b)) => a == b,
            (Ast::Temporal(a, x, _), Ast::Temporal(b, y, _)) => a == b && x == y,
            (Ast::Path(a, x), Ast::Path(b, y)) => {
                x.len() == y.len()
                    && x.iter().zip(y).all(|(x, y)| x.text == y.text)
                    && self.alike(*a, *b)
            }
            (Ast::Call(a, None, x), Ast::Call(b, None, y)) => {
                self.alike(*a, *b) && self.arguments_alike(x, y)
            }
            (Ast::Record(x), Ast::Record(y)) => {
                x.len() == y.len()
                    && x.iter().zip(y).all(|((m, a), (n, b))| {
                        m.as_ref().map(|m| &m.text) == n.as_ref().map(|n| &n.text)
                            && self.alike(*a, *b)
                    })
            }
            (Ast::List(a), Ast::List(b))
            | (Ast::All(a), Ast::All(b))
            | (Ast::Any(a), Ast::Any(b)) => lists(a, b),
            (Ast::If(a, b, c), Ast::If(x, y, z)) => lists(&[*a, *b, *c], &[*x, *y, *z]),
            (Ast::Case(s, x, o), Ast::Case(t, y, p)) => {
                let flat = |subject: &Option<Id>, branches: &[(Id, Id)], otherwise: &Option<Id>| {
                    let pairs = branches.iter().flat_map(|(a, b)| [*a, *b]);
                    let ids = subject.iter().copied().chain(pairs).chain(*otherwise);
                    (subject.is_some(), otherwise.is_some(), ids.collect::<Vec<Id>>())
                };
                let (a, b) = (flat(s, x, o), flat(t, y, p));
                (a.0, a.1) == (b.0, b.1) && lists(&a.2, &b.2)
            }
            (Ast::Signed(m, a), Ast::Signed(n, b)) | (Ast::Not(m, a), Ast::Not(n, b)) => {
                m == n && self.alike(*a, *b)
            }
            (Ast::IsNull(m, a), Ast::IsNull(n, b)) => m == n && self.alike(*a, *b),
            (Ast::Arithmetic(a, x), Ast::Arithmetic(b, y)) => {
                x.len() == y.len()
                    && self.alike(*a, *b)
                    && x.iter().zip(y).all(|(x, y)| x.0 == y.0 && self.alike(x.1, y.1))
            }
            (Ast::Compare(m, a, b), Ast::Compare(n, x, y)) => m == n && lists(&[*a, *b], &[*x, *y]),
            (Ast::Like(m, a, b), Ast::Like(n, x, y)) | (Ast::In(m, a, b), Ast::In(n, x, y)) => {
                m == n && lists(&[*a, *b], &[*x, *y])
            }
            (Ast::Between(m, a, b, c), Ast::Between(n, x, y, z)) => {
                m == n && lists(&[*a, *b, *c], &[*x, *y, *z])
            }
            // Types are compared by nobody: such expressions are written again as a key's name.
            _ => false,
        }
    }

    fn arguments_alike(&self, left: &[Argument], right: &[Argument]) -> bool {
        left.len() == right.len()
            && left.iter().zip(right).all(|(a, b)| {
                a.name.as_ref().map(|n| &n.text) == b.name.as_ref().map(|n| &n.text)
                    && a.distinct == b.distinct
                    && self.alike(a.value, b.value)
            })
    }
}

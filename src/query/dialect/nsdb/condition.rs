//! Conditions: tests of single fields joined by NOT, AND, OR (nsdb, 6.3 and 6.4).
//!
//! Method: nodes lie in one list and name each other by number. The parser nests to the right, so a
//! walk is a loop along the right side that recurses only into brackets, whose depth is bounded.
//! Constants keep their text and are compared as what the field of the bit is, so a condition stays
//! good when a metric is dropped and written anew with other types.

use super::bit::{Bit, Cell};
use crate::model::interest::Wanted;
use crate::model::value::{Text, Value};
use std::cmp::Ordering;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Operator {
    /// As it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::Above => ">",
            Operator::AtLeast => ">=",
            Operator::Below => "<",
            Operator::AtMost => "<=",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Operator::Equal => order.is_eq(),
            Operator::Above => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
            Operator::Below => order.is_lt(),
            Operator::AtMost => order.is_le(),
        }
    }
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// By its text.
    Fixed {
        /// As it was written, without quotes.
        text: Box<str>,
        /// It as a BIGINT, if it is one.
        int: Option<i64>,
        /// It as a DECIMAL, if it is one.
        float: Option<f64>,
        /// It was written as a text.
        quoted: bool,
    },
    /// The time of evaluation and so many milliseconds.
    Now(i64),
}

impl Constant {
    /// A constant by its text.
    #[must_use]
    pub fn new(text: &str, quoted: bool) -> Self {
        let int = text.parse().ok();
        let float = text.parse().ok().filter(|n: &f64| n.is_finite());
        Constant::Fixed { text: text.into(), int, float, quoted }
    }

    fn int(&self, now_ms: i64) -> Option<i64> {
        match self {
            Constant::Fixed { int, .. } => *int,
            Constant::Now(offset) => Some(now_ms.saturating_add(*offset)),
        }
    }

    fn order(&self, cell: &Cell<'_>, now_ms: i64) -> Option<Ordering> {
        match cell {
            Cell::Int(n) => Some(n.cmp(&self.int(now_ms)?)),
            Cell::Float(n) => {
                let own = match self {
                    Constant::Fixed { float, .. } => (*float)?,
                    Constant::Now(_) => self.int(now_ms)? as f64,
                };
                n.partial_cmp(&own)
            }
            Cell::Text(_) => None,
        }
    }

    fn equals(&self, cell: &Cell<'_>, now_ms: i64) -> bool {
        match (cell, self) {
            (Cell::Text(text), Constant::Fixed { text: own, .. }) => **text == **own,
            (Cell::Text(text), Constant::Now(_)) => {
                self.int(now_ms).is_some_and(|n| n.to_string() == **text)
            }
            _ => self.order(cell, now_ms).is_some_and(Ordering::is_eq),
        }
    }
}

/// A test of one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The field is not there.
    Null,
    /// A comparison.
    Compare(Operator, Constant),
    /// IN: both ends belong to it.
    Range(Constant, Constant),
    /// LIKE: `$` is any run of characters.
    Like(Box<str>),
}

/// A part of a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A field and what is asked of it.
    Test(Box<str>, Test),
    /// Not.
    Not(u32),
    /// Both.
    And(u32, u32),
    /// One at least.
    Or(u32, u32),
}

/// See the module's page. Without nodes it always holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    nodes: Vec<Node>,
    root: u32,
}

impl Condition {
    /// Adds a node, which may name those before it.
    pub fn add(&mut self, node: Node) -> u32 {
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }

    /// Says which node is the whole.
    pub fn set_root(&mut self, root: u32) {
        self.root = root;
    }

    /// Whether it always holds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The whole, if there is anything.
    #[must_use]
    pub fn root(&self) -> Option<u32> {
        (!self.nodes.is_empty()).then_some(self.root)
    }

    /// The node of that number.
    #[must_use]
    pub fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    /// The tests in the order they were written.
    pub fn tests(&self) -> impl Iterator<Item = (&str, &Test)> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Test(field, test) => Some((&**field, test)),
            _ => None,
        })
    }

    /// Joins tests and other conditions by AND, in this order.
    #[must_use]
    pub fn all(parts: Vec<Condition>) -> Self {
        let mut joined = Self::default();
        let mut roots = Vec::new();
        for part in parts {
            let Some(root) = part.root() else { continue };
            let base = joined.nodes.len() as u32;
            joined.nodes.extend(part.nodes.into_iter().map(|node| match node {
                Node::Not(a) => Node::Not(a + base),
                Node::And(a, b) => Node::And(a + base, b + base),
                Node::Or(a, b) => Node::Or(a + base, b + base),
                test => test,
            }));
            roots.push(root + base);
        }
        if let Some(mut right) = roots.pop() {
            while let Some(left) = roots.pop() {
                right = joined.add(Node::And(left, right));
            }
            joined.root = right;
        }
        joined
    }

    /// One test.
    #[must_use]
    pub fn one(field: &str, test: Test) -> Self {
        Self { nodes: vec![Node::Test(field.into(), test)], root: 0 }
    }

    /// Its opposite.
    #[must_use]
    pub fn negated(mut self) -> Self {
        if let Some(root) = self.root() {
            self.root = self.add(Node::Not(root));
        }
        self
    }

    /// What a bit needs to have, as far as an equality and a range of constants say it: those that
    /// the whole joins by AND.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let mut wanted = Wanted { exact: true, ..Wanted::default() };
        let mut open: Vec<u32> = self.root().into_iter().collect();
        while let Some(at) = open.pop() {
            match self.node(at) {
                Some(Node::And(left, right)) => open.extend([*right, *left]),
                Some(Node::Test(field, test)) => test.narrow(field, &mut wanted),
                _ => wanted.exact = false,
            }
        }
        wanted
    }

    /// Whether a bit satisfies it.
    #[must_use]
    pub fn holds(&self, bit: &Bit<'_>, now_ms: i64) -> bool {
        self.root().is_none_or(|root| self.holds_at(root, bit, now_ms))
    }

    fn holds_at(&self, mut at: u32, bit: &Bit<'_>, now_ms: i64) -> bool {
        let mut flip = false;
        loop {
            match self.node(at) {
                None => return flip,
                Some(Node::Test(field, test)) => return test.holds(field, bit, now_ms) != flip,
                Some(Node::Not(inner)) => {
                    flip = !flip;
                    at = *inner;
                }
                Some(Node::And(left, right)) => {
                    if !self.holds_at(*left, bit, now_ms) {
                        return flip;
                    }
                    at = *right;
                }
                Some(Node::Or(left, right)) => {
                    if self.holds_at(*left, bit, now_ms) {
                        return !flip;
                    }
                    at = *right;
                }
            }
        }
    }
}

impl Test {
    /// Adds what the test needs. It stays exact with the equality of a text that is no number, and
    /// with whole bounds that belong to the range and that doubles tell apart.
    fn narrow(&self, field: &str, wanted: &mut Wanted) {
        const OPEN: f64 = f64::INFINITY;
        const WHOLE: i64 = 1 << 52;
        let bound = |constant: &Constant| match constant {
            // What is no number orders nothing.
            Constant::Fixed { float, .. } => Some(float.unwrap_or(f64::NAN)),
            Constant::Now(_) => None,
        };
        let is_whole = |constant: &Constant| match constant {
            Constant::Fixed { int: Some(n), .. } => (-WHOLE..WHOLE).contains(n),
            _ => false,
        };
        let (range, exact) = match self {
            Test::Compare(Operator::Equal, Constant::Fixed { text, int, float, .. }) => {
                wanted.exact &= wanted.equal.is_none() && int.is_none() && float.is_none();
                let mut values = vec![Value::String(Text::Shared((&**text).into()))];
                values.extend(int.map(Value::Int));
                values.extend(float.map(Value::Double));
                wanted.equal.get_or_insert_with(|| (field.into(), values));
                return;
            }
            Test::Compare(operator @ (Operator::Above | Operator::AtLeast), low) => {
                let exact = *operator == Operator::AtLeast && is_whole(low);
                (bound(low).map(|low| (low, OPEN)), exact)
            }
            Test::Compare(operator @ (Operator::Below | Operator::AtMost), high) => {
                let exact = *operator == Operator::AtMost && is_whole(high);
                (bound(high).map(|high| (-OPEN, high)), exact)
            }
            Test::Range(low, high) => {
                (bound(low).zip(bound(high)), is_whole(low) && is_whole(high))
            }
            _ => (None, false),
        };
        let range = range.filter(|(low, high)| !low.is_nan() && !high.is_nan());
        wanted.exact &= exact && range.is_some() && wanted.range.is_none();
        if let Some((low, high)) = range {
            wanted.range.get_or_insert_with(|| (field.into(), low, high));
        }
    }

    fn holds(&self, field: &str, bit: &Bit<'_>, now_ms: i64) -> bool {
        let Some(cell) = bit.cell(field) else { return matches!(self, Test::Null) };
        match self {
            Test::Null => false,
            Test::Compare(Operator::Equal, constant) => constant.equals(&cell, now_ms),
            Test::Compare(operator, constant) => {
                constant.order(&cell, now_ms).is_some_and(|order| operator.holds(order))
            }
            Test::Range(low, high) => {
                low.order(&cell, now_ms).is_some_and(Ordering::is_ge)
                    && high.order(&cell, now_ms).is_some_and(Ordering::is_le)
            }
            Test::Like(pattern) => match &*cell {
                Cell::Text(text) => like(pattern, text),
                _ => false,
            },
        }
    }
}

/// Whether `text` is of the form of `pattern`.
#[must_use]
pub fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('$');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

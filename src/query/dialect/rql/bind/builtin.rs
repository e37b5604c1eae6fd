//! Built-in functions (raw, 2.8): a table of what they take and give.

use super::super::ast::Argument;
use super::super::source::Span;
use super::{Binder, Typed, WRONG};
use crate::query::strict::plan::{Aggregate, Function, Node};
use crate::query::strict::types::{Kind, Type};
use crate::query::strict::value::Value;
use std::rc::Rc;

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Text,
    Number,
    Integer,
    /// Date or timestamp.
    Day,
    /// Time or timestamp.
    Clock,
    /// Date, time or timestamp.
    Moment,
    Interval,
    /// A collection.
    Many,
    /// A collection of strings or numbers.
    Texts,
    /// Anything.
    Free,
}

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gives {
    Text,
    Texts,
    Int,
    Long,
    Double,
    Date,
    Time,
    Timestamp,
    /// The type of the argument of this number.
    Same(usize),
}

use Function as F;
use Takes::{Clock, Day, Free, Integer, Interval, Many, Moment, Number, Text, Texts};

/// Name, function, arguments, how many of them are needed, result.
const TABLE: &[(&str, Function, &[Takes], usize, Gives)] = &[
    ("LOWER", F::Lower, &[Text], 1, Gives::Text),
    ("UPPER", F::Upper, &[Text], 1, Gives::Text),
    ("TRIM", F::Trim, &[Text], 1, Gives::Text),
    ("LEN", F::Length, &[Text], 1, Gives::Int),
    ("SUBSTRING", F::Substring, &[Text, Integer, Integer], 2, Gives::Text),
    ("SUBSTR", F::Substring, &[Text, Integer, Integer], 2, Gives::Text),
    ("REPLACE", F::Replace, &[Text, Text, Text], 3, Gives::Text),
    ("SPLIT", F::Split, &[Text, Text], 2, Gives::Texts),
    ("MKSTRING", F::MakeString, &[Texts, Text], 2, Gives::Text),
    ("URLENCODE", F::UrlEncode, &[Text], 1, Gives::Text),
    ("TO_DATE", F::ToDate, &[Text, Text], 2, Gives::Date),
    ("TO_TIME", F::ToTime, &[Text, Text], 2, Gives::Time),
    ("TO_TIMESTAMP", F::ToTimestamp, &[Text, Text], 2, Gives::Timestamp),
    ("DATE_TRUNC", F::DateTrunc, &[Text, Moment], 2, Gives::Same(1)),
    ("YEAR", F::Year, &[Day], 1, Gives::Int),
    ("MONTH", F::Month, &[Day], 1, Gives::Int),
    ("DAY", F::Day, &[Day], 1, Gives::Int),
    ("HOUR", F::Hour, &[Clock], 1, Gives::Int),
    ("MINUTE", F::Minute, &[Clock], 1, Gives::Int),
    ("SECOND", F::Second, &[Clock], 1, Gives::Int),
    ("CURRENT_DATE", F::CurrentDate, &[], 0, Gives::Date),
    ("CURRENT_TIMESTAMP", F::CurrentTimestamp, &[], 0, Gives::Timestamp),
    ("UNIX_TIMESTAMP", F::UnixTimestamp, &[Day], 1, Gives::Long),
    ("FROM_UNIXTIME", F::FromUnixTime, &[Number], 1, Gives::Timestamp),
    ("INTERVAL_TO_MILLIS", F::IntervalToMillis, &[Interval], 1, Gives::Long),
    ("POWER", F::Power, &[Number, Number], 2, Gives::Double),
    ("ROUND", F::Round, &[Number, Integer], 1, Gives::Same(0)),
    ("ABS", F::Abs, &[Number], 1, Gives::Same(0)),
    ("FLOOR", F::Floor, &[Number], 1, Gives::Same(0)),
    ("CEIL", F::Ceil, &[Number], 1, Gives::Same(0)),
    ("SQRT", F::Sqrt, &[Number], 1, Gives::Double),
];

/// Aggregates of collections.
const COLLECTIONS: &[(&str, Aggregate)] = &[
    ("CCOUNT", Aggregate::Elements),
    ("CMAX", Aggregate::Maximum),
    ("CMIN", Aggregate::Least),
    ("CSUM", Aggregate::Sum),
    ("CAVG", Aggregate::Average),
    ("CFIRST", Aggregate::First),
    ("CLAST", Aggregate::Last),
];

impl Binder<'_> {
    /// A call of a built-in function; `None`: there is none of that name.
    pub(super) fn built_in(
        &mut self,
        name: &str,
        arguments: &[Argument],
        span: Span,
    ) -> Option<Typed> {
        if let Some((_, aggregate)) = COLLECTIONS.iter().find(|(own, _)| *own == name) {
            return Some(self.collect(*aggregate, arguments, span));
        }
        let row = TABLE.iter().find(|(own, ..)| *own == name);
        if let Some((_, function, takes, needed, gives)) = row {
            return Some(match self.taken(takes, *needed, arguments, span) {
                Some((nodes, kinds)) => {
                    let null = kinds.iter().any(Type::may_be_null);
                    (Node::Function(*function, nodes), given(*gives, &kinds).or_null(null))
                }
                None => WRONG,
            });
        }
        self.special(name, arguments, span)
    }

    /// Functions whose result is more than a row of the table says.
    fn special(&mut self, name: &str, arguments: &[Argument], span: Span) -> Option<Typed> {
        Some(match name {
            "RANGE" => {
                let Some((nodes, kinds)) = self.taken(&[Integer, Integer], 2, arguments, span)
                else {
                    return Some(WRONG);
                };
                let Ok(pair) = <[Node; 2]>::try_from(nodes) else { return Some(WRONG) };
                let kind = Type::collection(Kind::Long.into()).unwrap_or(Type::ERROR);
                let null = kinds.iter().any(Type::may_be_null);
                (Node::Range(Box::new(pair)), kind.or_null(null))
            }
            "ENUMERATE" => self.enumerate(arguments, span),
            "CONCAT" => {
                let takes = vec![Text; arguments.len().max(1)];
                match self.taken(&takes, takes.len(), arguments, span) {
                    Some((nodes, _)) => (Node::Function(F::Concat, nodes), Kind::String.into()),
                    None => WRONG,
                }
            }
            "ISNULL" => self.coalesce(2, arguments, span),
            "COALESCE" => self.coalesce(1, arguments, span),
            "TYPEOF" => match self.taken(&[Free], 1, arguments, span) {
                Some((mut nodes, kinds)) => self.printed(nodes.pop(), kinds.first()),
                None => WRONG,
            },
            "TRY" => match self.taken(&[Free], 1, arguments, span) {
                Some((nodes, kinds)) => {
                    match (nodes.into_iter().next(), kinds.into_iter().next()) {
                        (Some(node), Some(kind)) => (Node::Try(Box::new(node)), kind.nullable()),
                        _ => WRONG,
                    }
                }
                None => WRONG,
            },
            _ => return None,
        })
    }

    /// Arguments by place; `None`: something is wrong, which was told.
    fn taken(
        &mut self,
        takes: &[Takes],
        needed: usize,
        arguments: &[Argument],
        span: Span,
    ) -> Option<(Vec<Node>, Vec<Type>)> {
        let errors = self.errors.len();
        let (mut nodes, mut kinds) = (Vec::new(), Vec::new());
        let mut good = true;
        for argument in arguments {
            let (node, kind) = self.expression(argument.value);
            if let Some(name) = &argument.name {
                let message = format!("found unknown optional argument {}", name.text);
                self.wrong(name.span, message);
                good = false;
                continue;
            }
            if let Some(wanted) = takes.get(nodes.len()).and_then(|takes| takes.refuses(&kind)) {
                self.mismatch(self.span(argument.value), wanted, &kind);
                good = false;
            }
            good &= !kind.is_error();
            nodes.push(node);
            kinds.push(kind);
        }
        let count = if nodes.len() < needed && self.errors.len() == errors {
            Some("missing mandatory arguments")
        } else if nodes.len() > takes.len() {
            Some("too many arguments found")
        } else {
            None
        };
        if let Some(message) = count {
            self.wrong(span, message);
            return None;
        }
        (good && nodes.len() >= needed).then_some((nodes, kinds))
    }

    fn collect(&mut self, aggregate: Aggregate, arguments: &[Argument], span: Span) -> Typed {
        let Some((nodes, kinds)) = self.taken(&[Many], 1, arguments, span) else { return WRONG };
        let (Some(node), Some(kind)) = (nodes.into_iter().next(), kinds.into_iter().next()) else {
            return WRONG;
        };
        let element = kind.element().cloned().unwrap_or(Type::ANY);
        let Some(argument) = arguments.first() else { return WRONG };
        let result = self.aggregated(aggregate, &element, argument.value);
        if result.is_error() {
            return WRONG;
        }
        (Node::Collect(aggregate, Box::new(node)), result.or_null(kind.may_be_null()))
    }

    fn enumerate(&mut self, arguments: &[Argument], span: Span) -> Typed {
        let Some((nodes, kinds)) = self.taken(&[Many], 1, arguments, span) else { return WRONG };
        let (Some(node), Some(kind)) = (nodes.into_iter().next(), kinds.into_iter().next()) else {
            return WRONG;
        };
        let element = kind.element().cloned().unwrap_or(Type::ANY);
        let fields = vec![(Rc::from("index"), Kind::Long.into()), (Rc::from("value"), element)];
        let record = self.sized(Type::record(fields), span);
        let result = self.sized(Type::collection(record), span);
        (Node::Enumerate(Box::new(node)), result.or_null(kind.may_be_null()))
    }

    fn coalesce(&mut self, count: usize, arguments: &[Argument], span: Span) -> Typed {
        for name in arguments.iter().filter_map(|argument| argument.name.as_ref()) {
            self.wrong(name.span, format!("found unknown optional argument {}", name.text));
        }
        let few = arguments.len() < count;
        if few || (count == 2 && arguments.len() > 2) {
            let message = ["too many arguments found", "missing mandatory arguments"];
            self.wrong(span, message[usize::from(few)]);
            self.arguments(arguments);
            return WRONG;
        }
        let ids: Vec<_> = arguments.iter().map(|argument| argument.value).collect();
        let errors = self.errors.len();
        let (nodes, kind) = self.agreeing(&ids);
        let Some(mut kind) = kind.filter(|_| self.errors.len() == errors) else { return WRONG };
        // Null only if the last one may be; its own type says so where it is not a bare null.
        kind.nullable &= matches!(nodes.last(), Some(Node::Constant(Value::Null)))
            || !matches!(nodes.last(), Some(Node::Constant(_)));
        (Node::Function(F::Coalesce, nodes), kind)
    }

    fn printed(&mut self, node: Option<Node>, kind: Option<&Type>) -> Typed {
        let (Some(node), Some(kind)) = (node, kind) else { return WRONG };
        let node = match &kind.kind {
            Kind::Any(_) => Node::TypeOf(Box::new(node)),
            _ => Node::Constant(Value::text(&kind.to_string())),
        };
        (node, Kind::String.into())
    }
}

impl Takes {
    /// What is wanted, if `kind` is not it.
    fn refuses(self, kind: &Type) -> Option<&'static str> {
        if kind.is_free() {
            return None;
        }
        let (good, wanted) = match self {
            Text => (matches!(kind.kind, Kind::String), "string"),
            Number => (kind.rank().is_some(), "number"),
            Integer => (kind.is_integer(), "int"),
            Day => (matches!(kind.kind, Kind::Date | Kind::Timestamp), "timestamp"),
            Clock => (matches!(kind.kind, Kind::Time | Kind::Timestamp), "timestamp"),
            Moment => (matches!(kind.kind, Kind::Date | Kind::Time | Kind::Timestamp), "timestamp"),
            Interval => (matches!(kind.kind, Kind::Interval), "interval"),
            Many => (kind.element().is_some(), "collection"),
            Texts => {
                let fits =
                    |e: &Type| e.is_free() || e.rank().is_some() || matches!(e.kind, Kind::String);
                (kind.element().is_some_and(fits), "collection(string)")
            }
            Free => (true, ""),
        };
        (!good).then_some(wanted)
    }
}

fn given(gives: Gives, kinds: &[Type]) -> Type {
    match gives {
        Gives::Text => Kind::String.into(),
        Gives::Texts => Type::collection(Kind::String.into()).unwrap_or(Type::ERROR),
        Gives::Int => Kind::Int.into(),
        Gives::Long => Kind::Long.into(),
        Gives::Double => Kind::Double.into(),
        Gives::Date => Kind::Date.into(),
        Gives::Time => Kind::Time.into(),
        Gives::Timestamp => Kind::Timestamp.into(),
        Gives::Same(index) => match kinds.get(index) {
            Some(kind) if kind.is_any() => Type::ANY,
            Some(kind) => Type { kind: kind.kind.clone(), nullable: false },
            None => Type::ANY,
        },
    }
}

//! `SELECT` (raw, 2.6): its clauses in the order in which they are evaluated.

use super::super::ast::{self, Id, Kind as Ast};
use super::super::source::Span;
use super::{Binder, Typed, WRONG};
use crate::query::strict::plan::{Aggregate, Generator, Group, Node, Part, Select, Slot};
use crate::query::strict::types::{Kind, Name, Shape, Type};
use ahash::AHashSet;
use std::rc::Rc;

/// Generators of one `SELECT`: each is a loop inside the one before.
const GENERATORS_MAX: usize = 100;

/// What names of a `SELECT` stand for where they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// The current row.
    Row,
    /// The current group.
    Group,
}

/// A generator as names see it.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) alias: Option<Name>,
    /// Of its element.
    pub(super) kind: Type,
    pub(super) slot: Slot,
    pub(super) record: Option<[Slot; 2]>,
}

/// A key of `GROUP BY`.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: Option<Name>,
    pub(super) kind: Type,
    pub(super) slot: Slot,
    pub(super) id: Id,
}

/// A `SELECT` that is being bound.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) generators: Vec<Bound>,
    pub(super) keys: Vec<Key>,
    /// Projections as `ORDER BY` sees them.
    pub(super) outputs: Vec<(Name, Type, Slot)>,
    pub(super) level: Level,
    /// It has `GROUP BY`.
    pub(super) grouped: bool,
    /// Aggregates may not stand here.
    pub(super) sealed: bool,
    /// Something of the current row or group was used.
    pub(super) touched: bool,
    pub(super) aggregates: Vec<(Aggregate, Option<Node>, Slot)>,
    pub(super) partition: Option<Slot>,
}

impl Scope {
    fn new() -> Self {
        Self {
            generators: Vec::new(),
            keys: Vec::new(),
            outputs: Vec::new(),
            level: Level::Row,
            grouped: false,
            sealed: true,
            touched: false,
            aggregates: Vec::new(),
            partition: None,
        }
    }
}

/// A projection that is bound.
struct Output {
    part: Part,
    kind: Type,
}

impl Binder<'_> {
    pub(super) fn select(&mut self, select: &ast::Select, span: Span) -> Typed {
        self.selects.push(Scope::new());
        let (mut generators, null) = self.generators(select);
        let filter = select.filter.map(|id| self.condition(id).0);
        if let Some(node) = &filter {
            super::join::find(&mut generators, node);
        }
        let keys = self.keys(select);
        let whole = self.aggregates(select) && !self.scope().grouped;
        let grouped = self.scope().grouped;
        if whole || grouped {
            self.scope().level = Level::Group;
        }
        let having = self.having(select);
        let outputs = self.projections(select);
        let (order, slots) = self.order(select, &outputs);
        let Some(scope) = self.selects.pop() else { return WRONG };
        let [limit, offset] = [select.limit, select.offset].map(|id| self.count(id));

        let group = (whole || grouped).then(|| Group {
            keys,
            aggregates: scope.aggregates,
            partition: scope.partition.map(|slot| (slot, member(&scope.generators))),
            having,
            whole,
        });
        let bare = matches!(select.projections.as_slice(), [one] if one.alias.is_none());
        let element = self.element(&outputs, bare, span);
        let names = static_names(&outputs);
        let parts = outputs.into_iter().map(|output| output.part).collect();
        let kind = if whole {
            element.or_null(null)
        } else if element.is_error() {
            element
        } else {
            self.sized(Type::collection(element), span).or_null(null)
        };
        let node = Select {
            generators,
            filter,
            group,
            parts,
            bare,
            names,
            outputs: slots,
            distinct: select.distinct,
            order,
            limit,
            offset,
        };
        (Node::Select(Box::new(node)), kind)
    }

    /// The innermost `SELECT`.
    pub(super) fn scope(&mut self) -> &mut Scope {
        if self.selects.is_empty() {
            self.selects.push(Scope::new());
        }
        let last = self.selects.len() - 1;
        &mut self.selects[last]
    }

    /// `FROM`, and whether one of the generators makes the result null.
    fn generators(&mut self, select: &ast::Select) -> (Vec<Generator>, bool) {
        let mut list = Vec::with_capacity(select.generators.len());
        let mut null = false;
        for generator in &select.generators {
            let at = self.span(generator.value);
            if list.len() == GENERATORS_MAX {
                self.wrong(at, "nested too deeply");
                break;
            }
            self.scope().touched = false;
            let (source, kind) = self.collection(generator.value, true);
            let dependent = self.scope().touched;
            null |= !dependent && kind.nullable;
            let element = match &kind.kind {
                Kind::Collection(element) => element.kind.clone(),
                Kind::Error => Type::ERROR,
                Kind::Undefined => Kind::Undefined.into(),
                _ => Type::ANY,
            };
            let slot = self.slot();
            let record = matches!(source, Node::Topic(_)).then(|| [self.slot(), self.slot()]);
            if let Some(alias) = &generator.alias {
                let name = Some(&alias.text);
                if self.scope().generators.iter().any(|g| g.alias.as_ref() == name) {
                    let message = format!("{} is declared more than once", alias.text);
                    self.wrong(alias.span, message);
                }
            }
            let alias = generator.alias.as_ref().map(|word| word.text.clone());
            self.scope().generators.push(Bound { alias, kind: element, slot, record });
            list.push(Generator { source, slot, record, dependent, join: None });
        }
        (list, null)
    }

    fn keys(&mut self, select: &ast::Select) -> Vec<(Node, Slot)> {
        let mut nodes = Vec::with_capacity(select.keys.len());
        let mut keys = Vec::with_capacity(select.keys.len());
        for key in &select.keys {
            let (node, kind) = self.expression(key.value);
            let slot = self.slot();
            let name = match &key.alias {
                Some(alias) => Some(alias.text.clone()),
                None => self.path_name(key.value),
            };
            keys.push(Key { name, kind, slot, id: key.value });
            nodes.push((node, slot));
        }
        let scope = self.scope();
        scope.grouped = !keys.is_empty();
        scope.keys = keys;
        scope.sealed = false;
        nodes
    }

    /// The last name of a path.
    fn path_name(&self, id: Id) -> Option<Name> {
        match self.kind(id) {
            Ast::Name(word) => Some(word.text.clone()),
            Ast::Path(_, words) => words.last().map(|word| word.text.clone()),
            _ => None,
        }
    }

    fn having(&mut self, select: &ast::Select) -> Option<Node> {
        let (condition, word) = select.having?;
        if self.scope().grouped {
            return Some(self.grouped_condition(condition));
        }
        self.wrong(word, "HAVING needs GROUP BY");
        None
    }

    fn grouped_condition(&mut self, id: Id) -> Node {
        self.condition(id).0
    }

    fn projections(&mut self, select: &ast::Select) -> Vec<Output> {
        let alone = select.projections.len() == 1;
        let mut list = Vec::with_capacity(select.projections.len());
        for (index, projection) in select.projections.iter().enumerate() {
            let fallback = || Rc::from(format!("_{}", index + 1));
            let star = matches!(self.kind(projection.value), Ast::Star);
            let (node, kind) = self.expression(projection.value);
            let spread = star && projection.alias.is_none() && !self.scope().grouped && !alone;
            if spread {
                self.spread(node, kind, fallback(), &mut list);
                continue;
            }
            let name = match &projection.alias {
                Some(alias) => alias.text.clone(),
                None => self.path_name(projection.value).unwrap_or_else(fallback),
            };
            list.push(Output { part: Part::Field(name, node), kind });
        }
        unique_names(&mut list);
        list
    }

    /// `*` among other projections.
    fn spread(&mut self, node: Node, kind: Type, fallback: Name, list: &mut Vec<Output>) {
        let alias = match self.scope().generators.as_slice() {
            [one] => one.alias.clone(),
            _ => None,
        };
        match (node, kind.fields()) {
            (Node::Slot(slot), Some(fields)) => {
                for (name, field) in fields {
                    let path = Box::new([name.clone()]);
                    let node = Node::Path(Box::new(Node::Slot(slot)), path);
                    let kind = field.clone().or_null(kind.nullable);
                    list.push(Output { part: Part::Field(name.clone(), node), kind });
                }
            }
            (Node::Record(names, nodes), Some(fields)) => {
                for ((name, node), (_, kind)) in names.iter().zip(nodes).zip(fields) {
                    let part = Part::Field(name.clone(), node);
                    list.push(Output { part, kind: kind.clone() });
                }
            }
            (node, _) => {
                let name = alias.unwrap_or(fallback);
                let part = match &kind.kind {
                    Kind::Any(_) => Part::Spread(name, node),
                    _ => Part::Field(name, node),
                };
                list.push(Output { part, kind });
            }
        }
    }

    /// The type of an element of the result.
    fn element(&mut self, outputs: &[Output], bare: bool, span: Span) -> Type {
        if let ([one], true) = (outputs, bare) {
            return one.kind.clone();
        }
        if outputs.iter().any(|output| matches!(output.part, Part::Spread(..))) {
            return dynamic_record(outputs);
        }
        let fields = outputs.iter().filter_map(|output| match &output.part {
            Part::Field(name, _) => Some((name.clone(), output.kind.clone())),
            Part::Spread(..) => None,
        });
        if outputs.iter().any(|output| output.kind.is_error()) {
            return Type::ERROR;
        }
        let kind = Type::record(fields.collect());
        self.sized(kind, span)
    }

    fn order(
        &mut self,
        select: &ast::Select,
        outputs: &[Output],
    ) -> (Vec<(Node, bool)>, Option<Slot>) {
        if select.order.is_empty() {
            return (Vec::new(), None);
        }
        let first = self.slots;
        self.slots += outputs.len() as Slot;
        let slot_of = |index: usize| first + index as Slot;
        let names = outputs.iter().enumerate().filter_map(|(index, output)| match &output.part {
            Part::Field(name, _) if !name.starts_with('_') || outputs.len() > 1 => {
                Some((name.clone(), output.kind.clone(), slot_of(index)))
            }
            _ => None,
        });
        let names = names.collect();
        self.scope().outputs = names;
        let mut order = Vec::with_capacity(select.order.len());
        for (id, descending) in &select.order {
            let node = match self.kind(*id) {
                Ast::Integer(place) => {
                    let index = usize::try_from(*place).ok().and_then(|place| place.checked_sub(1));
                    match index.filter(|index| *index < outputs.len()) {
                        Some(index) => Node::Slot(slot_of(index)),
                        None => {
                            self.wrong(self.span(*id), format!("no projection {place}"));
                            Node::NULL
                        }
                    }
                }
                _ => self.expression(*id).0,
            };
            order.push((node, *descending));
        }
        (order, Some(first))
    }

    /// `LIMIT` or `OFFSET`: not about the rows.
    fn count(&mut self, id: Option<Id>) -> Option<Node> {
        let id = id?;
        let (node, kind) = self.expression(id);
        if !kind.is_free() && !kind.is_integer() {
            self.mismatch(self.span(id), "int", &kind);
        }
        Some(node)
    }

    /// `*` as an operand.
    pub(super) fn star(&mut self, span: Span) -> Typed {
        let Some(index) = self.selects.iter().rposition(|scope| !scope.generators.is_empty())
        else {
            self.wrong(span, "* is not declared");
            return WRONG;
        };
        let scope = &mut self.selects[index];
        scope.touched = true;
        if scope.level == Level::Group {
            return if scope.grouped {
                self.partition_of(index, span)
            } else {
                self.ungrouped("*", span)
            };
        }
        if let [one] = scope.generators.as_slice() {
            return (Node::Slot(one.slot), one.kind.clone());
        }
        let mut outputs = Vec::new();
        for (number, generator) in scope.generators.iter().enumerate() {
            let name =
                generator.alias.clone().unwrap_or_else(|| Rc::from(format!("_{}", number + 1)));
            outputs.push((name, generator.slot, generator.kind.clone()));
        }
        self.together(outputs, span)
    }

    /// The fields of several elements put together.
    fn together(&mut self, elements: Vec<(Name, Slot, Type)>, span: Span) -> Typed {
        if elements.iter().any(|(_, _, kind)| kind.is_error()) {
            return WRONG;
        }
        let mut list = Vec::new();
        for (name, slot, kind) in elements {
            self.spread(Node::Slot(slot), kind, name, &mut list);
        }
        unique_names(&mut list);
        match static_names(&list) {
            Some(names) => {
                let fields = names.iter().cloned().zip(list.iter().map(|o| o.kind.clone()));
                let kind = Type::record(fields.collect());
                let nodes = list.into_iter().map(|output| output.part.into_node()).collect();
                (Node::Record(names, nodes), self.sized(kind, span))
            }
            None => {
                let kind = dynamic_record(&list);
                (Node::Combine(list.into_iter().map(|output| output.part).collect()), kind)
            }
        }
    }

    /// `PARTITION`
    pub(super) fn partition(&mut self, span: Span) -> Typed {
        let grouped = |scope: &Scope| scope.grouped && scope.level == Level::Group;
        match self.selects.iter().rposition(grouped) {
            Some(index) => self.partition_of(index, span),
            None => {
                self.wrong(span, "PARTITION is not declared");
                WRONG
            }
        }
    }

    fn partition_of(&mut self, index: usize, span: Span) -> Typed {
        let next = self.slots;
        let Some(scope) = self.selects.get_mut(index) else { return WRONG };
        scope.touched = true;
        let slot = *scope.partition.get_or_insert(next);
        let element = match scope.generators.as_slice() {
            [one] => Some(one.kind.clone()),
            many => Type::record(
                many.iter()
                    .zip(1..)
                    .map(|(g, place)| (member_name(g, place), g.kind.clone()))
                    .collect(),
            ),
        };
        if slot == next {
            self.slots += 1;
        }
        let element = self.sized(element, span);
        if element.is_error() {
            return WRONG;
        }
        (Node::Slot(slot), self.sized(Type::collection(element), span))
    }
}

fn member_name(generator: &Bound, place: usize) -> Name {
    generator.alias.clone().unwrap_or_else(|| Rc::from(format!("_{place}")))
}

/// What a row adds to its group.
fn member(generators: &[Bound]) -> Node {
    if let [one] = generators {
        return Node::Slot(one.slot);
    }
    let names = generators.iter().zip(1..).map(|(g, place)| member_name(g, place)).collect();
    Node::Record(names, generators.iter().map(|g| Node::Slot(g.slot)).collect())
}

/// A record of which not all fields are known: those that are, in their order.
fn dynamic_record(outputs: &[Output]) -> Type {
    let mut shape = Shape::default();
    for output in outputs {
        match (&output.part, &output.kind.kind) {
            (Part::Spread(..), Kind::Any(Some(inner))) => {
                shape.fields.extend(inner.fields.iter().cloned());
                shape.open |= inner.open;
            }
            (Part::Spread(..), _) => return Type::ANY,
            (Part::Field(name, _), _) => shape.fields.push(name.clone()),
        }
    }
    Kind::Any(Some(Rc::new(shape))).into()
}

fn static_names(outputs: &[Output]) -> Option<Rc<[Name]>> {
    let name = |output: &Output| match &output.part {
        Part::Field(name, _) => Some(name.clone()),
        Part::Spread(..) => None,
    };
    outputs.iter().map(name).collect::<Option<Vec<Name>>>().map(Rc::from)
}

/// The first of a name keeps it, the next are `name_1`, `name_2`.
fn unique_names(outputs: &mut [Output]) {
    let mut seen: AHashSet<Name> = AHashSet::new();
    let mut counts: ahash::AHashMap<Name, u32> = ahash::AHashMap::new();
    for output in outputs {
        let Part::Field(name, _) = &mut output.part else { continue };
        let original = name.clone();
        while !seen.insert(name.clone()) {
            let count = counts.entry(original.clone()).or_insert(0);
            *count += 1;
            *name = Rc::from(format!("{original}_{count}"));
        }
    }
}

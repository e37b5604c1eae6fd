//! Equalities of `WHERE` that let an independent generator be looked up instead of walked.

use crate::query::strict::plan::{Comparison, Generator, Node, Slot};

/// Notes a join key for each independent generator that has one.
///
/// Rows that a lookup leaves out are those for which the equality is false, so nothing after it in
/// the `AND` would have been evaluated; what stands before it must not fail.
pub(super) fn find(generators: &mut [Generator], filter: &Node) {
    let one = std::slice::from_ref(filter);
    let conjuncts = match filter {
        Node::All(list) => list.as_slice(),
        _ => one,
    };
    for index in 1..generators.len() {
        if generators.get(index).is_none_or(|generator| generator.dependent) {
            continue;
        }
        let slots = |range: std::ops::Range<usize>| -> Vec<Slot> {
            let list = generators.get(range).unwrap_or_default();
            list.iter()
                .flat_map(|g| std::iter::once(g.slot).chain(g.record.into_iter().flatten()))
                .collect()
        };
        let (before, own) = (slots(0..index), slots(index..index + 1));
        let later = slots(index + 1..generators.len());
        let mut found = None;
        for conjunct in conjuncts {
            if let Node::Compare(Comparison::Equal, pair) = conjunct {
                let [left, right] = &**pair;
                let uses = |node: &Node, slots: &[Slot]| {
                    let mut used = false;
                    node.visit(&mut |inner| {
                        used |= matches!(inner, Node::Slot(slot) if slots.contains(slot));
                    });
                    used
                };
                let outer = |n: &Node| uses(n, &before) && !uses(n, &own) && !uses(n, &later);
                let inner = |n: &Node| uses(n, &own) && !uses(n, &before) && !uses(n, &later);
                if outer(left) && inner(right) {
                    found = Some((left.clone(), right.clone()));
                } else if outer(right) && inner(left) {
                    found = Some((right.clone(), left.clone()));
                }
            }
            if found.is_some() || conjunct.may_fail() {
                break;
            }
        }
        if let (Some(join), Some(generator)) = (found, generators.get_mut(index)) {
            generator.join = Some(join);
        }
    }
}

//! Which of many standing queries must look at a record: found by an equality and a range that each
//! needs to hold.
//!
//! Method: a query is filed under the constant of its equality, there under the field of its range,
//! by the bounds; one without an equality under its range alone, one with neither is always found.
//! What is found may still not match; what is left out cannot. Cost: a record asks each field that
//! is named by any query once, which is one hash look-up; then what is found, and of ranges with
//! two ends those that begin below the value. Adding and removing are binary searches.

use crate::model::interest::Wanted;
use crate::model::value::{Value, canonical};
use ahash::AHashMap;

/// Queries under one field's range.
#[derive(Debug)]
struct Run<T> {
    /// Number of the range's field.
    field: u32,
    /// Lower bounds without an upper one, ascending.
    above: Vec<(f64, T)>,
    /// Upper bounds without a lower one, ascending.
    below: Vec<(f64, T)>,
    /// Both bounds, by the lower one.
    between: Vec<(f64, T, f64)>,
}

/// Queries that share an equality, or have none.
#[derive(Debug)]
struct Bucket<T> {
    /// Without a range.
    all: Vec<T>,
    runs: Vec<Run<T>>,
}

/// Buckets by the canonical bytes of their constants.
type Buckets<T> = AHashMap<Box<[u8]>, Bucket<T>>;

/// See the module's page. `T` names a query.
#[derive(Debug)]
pub struct Index<T> {
    /// Fields of equalities.
    fields: Vec<(Box<str>, Buckets<T>)>,
    /// Fields of ranges.
    ranges: Vec<Box<str>>,
    unkeyed: Bucket<T>,
    /// Fields of equalities, then those of ranges.
    names: Vec<String>,
    removed: usize,
    len: usize,
}

impl<T> Default for Bucket<T> {
    fn default() -> Self {
        Self { all: Vec::new(), runs: Vec::new() }
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            ranges: Vec::new(),
            unkeyed: Bucket::default(),
            names: Vec::new(),
            removed: 0,
            len: 0,
        }
    }
}

impl<T: Copy + Ord> Run<T> {
    fn new(field: u32) -> Self {
        Self { field, above: Vec::new(), below: Vec::new(), between: Vec::new() }
    }

    fn insert(&mut self, low: f64, high: f64, query: T) {
        if high == f64::INFINITY {
            let at = place(&self.above, |(bound, other)| (*bound, *other), (low, query));
            self.above.insert(at.unwrap_or_else(|at| at), (low, query));
        } else if low == f64::NEG_INFINITY {
            let at = place(&self.below, |(bound, other)| (*bound, *other), (high, query));
            self.below.insert(at.unwrap_or_else(|at| at), (high, query));
        } else {
            let at = place(&self.between, |(bound, other, _)| (*bound, *other), (low, query));
            self.between.insert(at.unwrap_or_else(|at| at), (low, query, high));
        }
    }

    fn remove(&mut self, low: f64, high: f64, query: T) -> bool {
        if high == f64::INFINITY {
            let at = place(&self.above, |(bound, other)| (*bound, *other), (low, query));
            at.map(|at| self.above.remove(at)).is_ok()
        } else if low == f64::NEG_INFINITY {
            let at = place(&self.below, |(bound, other)| (*bound, *other), (high, query));
            at.map(|at| self.below.remove(at)).is_ok()
        } else {
            let at = place(&self.between, |(bound, other, _)| (*bound, *other), (low, query));
            at.map(|at| self.between.remove(at)).is_ok()
        }
    }

    fn select(&self, value: f64, found: &mut Vec<T>) {
        if value.is_nan() {
            return;
        }
        let end = self.above.partition_point(|(low, _)| *low <= value);
        found.extend(self.above.iter().take(end).map(|(_, query)| *query));
        let begin = self.below.partition_point(|(high, _)| *high < value);
        found.extend(self.below.iter().skip(begin).map(|(_, query)| *query));
        let end = self.between.partition_point(|(low, ..)| *low <= value);
        let holds = |(.., high): &&(f64, T, f64)| value <= *high;
        let between = self.between.iter().take(end).filter(holds);
        found.extend(between.map(|(_, query, _)| *query));
    }
}

/// Where a bound and a query stand in an ascending list, or would.
fn place<E, T: Ord>(
    list: &[E],
    of: impl Fn(&E) -> (f64, T),
    wanted: (f64, T),
) -> Result<usize, usize> {
    list.binary_search_by(|entry| {
        let (bound, query) = of(entry);
        bound.total_cmp(&wanted.0).then_with(|| query.cmp(&wanted.1))
    })
}

impl<T: Copy + Ord> Bucket<T> {
    fn insert(&mut self, range: Option<(u32, f64, f64)>, query: T) {
        let Some((field, low, high)) = range else {
            let at = self.all.binary_search(&query).unwrap_or_else(|at| at);
            return self.all.insert(at, query);
        };
        let at = self.runs.iter().position(|run| run.field == field).unwrap_or_else(|| {
            self.runs.push(Run::new(field));
            self.runs.len() - 1
        });
        self.runs[at].insert(low, high, query);
    }

    fn remove(&mut self, range: Option<(u32, f64, f64)>, query: T) -> bool {
        match range {
            None => self.all.binary_search(&query).map(|at| self.all.remove(at)).is_ok(),
            Some((field, low, high)) => {
                let run = self.runs.iter_mut().find(|run| run.field == field);
                run.is_some_and(|run| run.remove(low, high, query))
            }
        }
    }

    fn is_empty(&self) -> bool {
        let empty =
            |run: &Run<T>| run.above.is_empty() && run.below.is_empty() && run.between.is_empty();
        self.all.is_empty() && self.runs.iter().all(empty)
    }

    fn select(&self, values: &[Value<'_>], number: impl Fn(&Value<'_>) -> f64, found: &mut Vec<T>) {
        found.extend_from_slice(&self.all);
        for run in &self.runs {
            run.select(values.get(run.field as usize).map_or(f64::NAN, &number), found);
        }
    }
}

impl<T: Copy + Ord> Index<T> {
    /// How many queries are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are found by every record.
    #[must_use]
    pub fn always(&self) -> usize {
        self.unkeyed.all.len()
    }

    /// Whether more was removed than is there: worth making anew, so that names of fields which
    /// nobody asks for any more go.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.removed > self.len + 1000
    }

    /// The fields to look at, in the order that [`Index::select`] takes them.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn keys(wanted: &Wanted) -> impl Iterator<Item = Box<[u8]>> {
        let values = wanted.equal.iter().flat_map(|(_, values)| values);
        let mut keys: Vec<Box<[u8]>> = values
            .map(|value| {
                let mut key = Vec::new();
                canonical(value, &mut key);
                key.into()
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter()
    }

    fn rename(&mut self) {
        let fields = self.fields.iter().map(|(name, _)| name);
        self.names = fields.chain(&self.ranges).map(|name| name.clone().into()).collect();
    }

    /// Adds a query.
    pub fn insert(&mut self, query: T, wanted: &Wanted) {
        self.len += 1;
        let range = wanted.range.as_ref().map(|(field, low, high)| {
            let number = self.ranges.iter().position(|name| name == field).unwrap_or_else(|| {
                self.ranges.push(field.clone());
                self.rename();
                self.ranges.len() - 1
            });
            (number as u32, *low, *high)
        });
        let Some((field, _)) = &wanted.equal else {
            return self.unkeyed.insert(range, query);
        };
        let at = self.fields.iter().position(|(name, _)| name == field).unwrap_or_else(|| {
            self.fields.push((field.clone(), AHashMap::new()));
            self.rename();
            self.fields.len() - 1
        });
        for key in Self::keys(wanted) {
            self.fields[at].1.entry(key).or_default().insert(range, query);
        }
    }

    /// Removes a query that was added with the same conditions.
    pub fn remove(&mut self, query: T, wanted: &Wanted) {
        let range = wanted.range.as_ref().and_then(|(field, low, high)| {
            let number = self.ranges.iter().position(|name| name == field)?;
            Some((number as u32, *low, *high))
        });
        let mut was_there = false;
        match &wanted.equal {
            None => was_there = self.unkeyed.remove(range, query),
            Some((field, _)) => {
                let own = self.fields.iter_mut().find(|(name, _)| name == field);
                if let Some((_, buckets)) = own {
                    for key in Self::keys(wanted) {
                        let Some(bucket) = buckets.get_mut(&key) else { continue };
                        was_there |= bucket.remove(range, query);
                        if bucket.is_empty() {
                            buckets.remove(&key);
                        }
                    }
                }
            }
        }
        self.len -= usize::from(was_there);
        self.removed += usize::from(was_there);
    }

    /// The queries that may match a record whose fields, in the order of [`Index::names`], are
    /// `values`; ascending, each once. `key` is for working in.
    pub fn select(
        &self,
        values: &[Value<'_>],
        number: impl Fn(&Value<'_>) -> f64 + Copy,
        key: &mut Vec<u8>,
        found: &mut Vec<T>,
    ) {
        found.clear();
        let (equals, numbers) = values.split_at(self.fields.len().min(values.len()));
        self.unkeyed.select(numbers, number, found);
        for ((_, buckets), value) in self.fields.iter().zip(equals) {
            key.clear();
            canonical(value, key);
            if let Some(bucket) = buckets.get(key.as_slice()) {
                bucket.select(numbers, number, found);
            }
        }
        found.sort_unstable();
        found.dedup();
    }
}

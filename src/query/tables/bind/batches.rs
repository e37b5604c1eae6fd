//! Rows that were bound and wait to be written.
//!
//! Invariant: what all statements of a connection hold together is counted, and bounded.

use super::super::insert::{Planned, write};
use super::super::{World, codes};
use super::{HELD_BYTES_MAX, Layout, too_much};
use crate::model::table::rows::{Cell, bytes_of};
use crate::model::table::{Column, Packed};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Name;
use ahash::AHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Rows bound to one table.
#[derive(Clone, Debug)]
struct Batch {
    name: Name,
    tags: Option<Vec<Cell>>,
    planned: Planned,
}

/// Bytes that several of [`Batches`] hold together.
#[derive(Clone, Debug, Default)]
pub struct HeldBytes(Arc<AtomicUsize>);

/// Rows that wait to be written, by table.
#[derive(Debug, Default)]
pub struct Batches {
    list: Vec<Batch>,
    by_name: AHashMap<String, usize>,
    bytes: usize,
    held: HeldBytes,
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Relaxed);
    }
}

fn alike(one: &[Packed], other: &[Packed]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.column == b.column)
}

impl Batches {
    /// None, counted among others.
    #[must_use]
    pub fn new(held: &HeldBytes) -> Self {
        let (list, by_name, held) = (Vec::new(), AHashMap::new(), held.clone());
        Self { list, by_name, bytes: 0, held }
    }

    /// What this is counted among.
    #[must_use]
    pub fn held(&self) -> HeldBytes {
        self.held.clone()
    }

    /// Takes what is there.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let none = Self::new(&self.held);
        std::mem::replace(self, none)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds rows of a table.
    ///
    /// # Errors
    /// More than may be held; what was held stays.
    pub fn add(
        &mut self,
        name: &Name,
        tags: Option<&[Cell]>,
        planned: Planned,
    ) -> Result<(), Wrong> {
        let columns = planned.columns.iter().map(|column| column.bytes_len() + 64);
        let of_tags = tags.unwrap_or_default().iter().map(|tag| 2 * bytes_of(tag).len() + 64);
        let bytes = columns.chain(of_tags).sum::<usize>() + 2 * name.name.len() + 256;
        let before = self.held.0.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
        if before + bytes > HELD_BYTES_MAX {
            self.held.0.fetch_sub(bytes, Relaxed);
            self.bytes -= bytes;
            return Err(too_much());
        }
        let tags = tags.map(<[Cell]>::to_vec);
        self.merge(Batch { name: name.clone(), tags, planned });
        Ok(())
    }

    /// Takes over what others hold.
    pub fn take_over(&mut self, mut other: Self) {
        // What they counted is counted here now.
        self.bytes += std::mem::take(&mut other.bytes);
        std::mem::take(&mut other.list).into_iter().for_each(|batch| self.merge(batch));
    }

    fn merge(&mut self, batch: Batch) {
        let Name { database, name } = &batch.name;
        let key = format!("{}.{name}", database.as_deref().unwrap_or(""));
        if let Some(held) = self.by_name.get(&key).and_then(|at| self.list.get_mut(*at))
            && alike(&held.planned.columns, &batch.planned.columns)
        {
            for (held, more) in held.planned.columns.iter_mut().zip(&batch.planned.columns) {
                held.append(more);
            }
            return;
        }
        self.by_name.insert(key, self.list.len());
        self.list.push(batch);
    }

    /// Writes all rows, those of each table at once; gives how many.
    ///
    /// # Errors
    /// A table is gone or another one now, or the log refuses.
    pub fn write(mut self, world: &mut World<'_>, layout: &Layout) -> Result<u64, Wrong> {
        if !world.rights.write {
            return Err(codes::no_privilege());
        }
        let mut fresh = AHashMap::new();
        let mut list = Vec::with_capacity(self.list.len());
        for Batch { name, tags, planned } in std::mem::take(&mut self.list) {
            let place = layout.place(world, &name, tags.as_deref(), &mut fresh)?;
            let is_there = |own: &Packed| {
                let same = |c: &&Column| c.id == own.column.id;
                let found = place.table.columns.iter().find(same);
                found.is_some_and(|c| c.kind.code() == own.column.kind.code())
            };
            if place.topic.id != planned.place.topic.id {
                return Err(codes::no_table(&name.name));
            }
            if let Some(gone) = planned.columns.iter().find(|own| !is_there(own)) {
                return Err(codes::no_column(&gone.column.name));
            }
            list.push(Planned { place, columns: planned.columns });
        }
        write(world, list)
    }
}

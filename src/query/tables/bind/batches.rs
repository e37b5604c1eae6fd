//! Rows that were bound and wait to be written.

use super::super::insert::{Planned, write};
use super::super::{World, codes};
use super::{HELD_BYTES_MAX, Layout, too_much};
use crate::model::table::rows::Cell;
use crate::model::table::{Column, Packed};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::Name;
use ahash::AHashMap;

/// Rows bound to one table.
#[derive(Clone, Debug)]
struct Batch {
    name: Name,
    tags: Option<Vec<Cell>>,
    planned: Planned,
}

/// Rows that wait to be written, by table.
#[derive(Clone, Debug, Default)]
pub struct Batches {
    list: Vec<Batch>,
    by_name: AHashMap<String, usize>,
    bytes: usize,
}

fn alike(one: &[Packed], other: &[Packed]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.column == b.column)
}

impl Batches {
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
        let bytes: usize = planned.columns.iter().map(|column| column.bytes_len() + 64).sum();
        if self.bytes + bytes > HELD_BYTES_MAX {
            return Err(too_much());
        }
        self.bytes += bytes;
        let key = format!("{}.{}", name.database.as_deref().unwrap_or(""), name.name);
        if let Some(held) = self.by_name.get(&key).and_then(|at| self.list.get_mut(*at))
            && alike(&held.planned.columns, &planned.columns)
        {
            for (held, more) in held.planned.columns.iter_mut().zip(&planned.columns) {
                held.append(more);
            }
            return Ok(());
        }
        self.by_name.insert(key, self.list.len());
        let (name, tags) = (name.clone(), tags.map(<[Cell]>::to_vec));
        self.list.push(Batch { name, tags, planned });
        Ok(())
    }

    /// Takes over what others hold.
    ///
    /// # Errors
    /// As [`Batches::add`].
    pub fn take_over(&mut self, other: Self) -> Result<(), Wrong> {
        for Batch { name, tags, planned } in other.list {
            self.add(&name, tags.as_deref(), planned)?;
        }
        Ok(())
    }

    /// Writes all rows, those of each table at once; gives how many.
    ///
    /// # Errors
    /// A table is gone or another one now, or the log refuses.
    pub fn write(self, world: &mut World<'_>, layout: &Layout) -> Result<u64, Wrong> {
        if !world.rights.write {
            return Err(codes::no_privilege());
        }
        let mut fresh = AHashMap::new();
        let mut list = Vec::with_capacity(self.list.len());
        for Batch { name, tags, planned } in self.list {
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

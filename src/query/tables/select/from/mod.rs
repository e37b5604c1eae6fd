//! What a select reads that is more than one table as it stands: joins, subtables with their tags,
//! values at steps of time.

pub(super) mod interp;
pub(super) mod join;
pub(super) mod tags;

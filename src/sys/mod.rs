//! Placeholder of the first commit; filled in the next ones.

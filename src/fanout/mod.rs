//! From events to bytes: encode once, send to many.
//!
//! The [`Palette`] holds what was encoded in this turn; an [`Outbox`] notes which pieces of it one
//! connection gets. At the end of the turn each connection is written once: straight from the
//! palette if it gets one piece, else gathered into one buffer that stays in the cache. What a
//! socket does not take is copied into the connection's own [`Backlog`], so the palette never
//! outlives its turn and an idle connection holds nothing.
//!
//! Cost for a delivery: 16 bytes of a piece for each connection, topic and turn (not for each
//! record), and one copy of the frame into the gather buffer where frames have a private tail.

pub mod backlog;
pub mod outbox;
pub mod palette;

pub use backlog::Backlog;
pub use outbox::{Outbox, Overflow};
pub use palette::{BodyList, Palette, Piece};

//! What a consumer's session hands to a query worker: the reader goes with it and comes back with
//! the outcome.
//!
//! Invariant: the reader is in one place at a time. If the session ends meanwhile, the outcome is
//! dropped with the reader in it, and the consumer has left its group.

use super::message::Message;
use crate::model::event::QueryOutput;
use crate::query::dialect::taos::Wrong;
use crate::query::pull::{Bench, Job};
use crate::query::tables::tmq::reader::Assigned;
use crate::query::tables::tmq::{NO_POSITION, Reader, Settings};
use crate::query::tables::{Who, World};
use std::sync::{Arc, Mutex, PoisonError};

/// What is to be done.
#[derive(Debug)]
pub enum Work {
    /// Join a group.
    Join(Box<Settings>),
    /// Store positions if asked to, and read if asked to; `wait`: be called when there is more.
    Read { commit: bool, read: bool, wait: bool },
    /// Store positions.
    Commit,
    /// Store this position: definition, vgroup, offset.
    CommitOffset(String, u32, u64),
    /// Go on there.
    Seek(String, u32, u64),
    /// Stored positions.
    Committed(Vec<(String, u32)>),
    /// Positions.
    Position(Vec<(String, u32)>),
    /// All vgroups of a definition.
    Assignment(String),
    /// Leave the group; first store positions if asked to.
    Leave { commit: bool },
}

/// What came of it.
#[derive(Debug)]
pub enum Answer {
    /// It is done.
    Done,
    /// Messages, none if there is nothing.
    Messages(Vec<Message>),
    /// Positions.
    Numbers(Vec<i64>),
    /// Vgroups.
    Assigned(Vec<Assigned>),
}

/// The reader as it is now, and the answer.
pub type Outcome = (Option<Box<Reader>>, Result<Answer, Wrong>);

/// Where an outcome is left.
#[derive(Clone, Debug, Default)]
pub struct Slot(Arc<Mutex<Option<Outcome>>>);

impl Slot {
    /// Takes what was left.
    pub fn take(&self) -> Outcome {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| (None, Err(Wrong::new(0xFFFF, "too many queries"))))
    }
}

/// Work on its way.
#[derive(Debug)]
pub struct Task {
    /// What.
    pub work: Work,
    /// With what.
    pub reader: Option<Box<Reader>>,
    /// Definitions come several at a time.
    pub batch_meta: bool,
    /// Who asks.
    pub who: Who,
    /// Where its outcome goes.
    pub slot: Slot,
}

impl Job for Task {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        let Self { work, mut reader, batch_meta, who, slot } = *self;
        let outcome = {
            let mut world = World::new(bench, &who);
            match work {
                Work::Join(settings) => Reader::join(&mut world, *settings).map(|joined| {
                    reader = Some(Box::new(joined));
                    Answer::Done
                }),
                Work::Leave { commit } => {
                    let stored = match &mut reader {
                        Some(reader) if commit => reader.commit(&mut world),
                        _ => Ok(()),
                    };
                    reader = None;
                    stored.map(|()| Answer::Done)
                }
                other => match &mut reader {
                    Some(reader) => carry_out(&mut world, reader, other, batch_meta),
                    None => Err(Wrong::new(0xFFFF, "tmq not init")),
                },
            }
        };
        *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((reader, outcome));
        // Before the session hears of the end, nothing of it is held here.
        drop(slot);
        let _ = bench.emit(QueryOutput::Finished(Vec::new()));
    }
}

fn carry_out(
    world: &mut World<'_>,
    reader: &mut Reader,
    work: Work,
    batch: bool,
) -> Result<Answer, Wrong> {
    let numbers = |list: Vec<Option<u64>>| {
        let number = |position: Option<u64>| position.map_or(NO_POSITION, |n| n as i64);
        Answer::Numbers(list.into_iter().map(number).collect())
    };
    match work {
        Work::Read { commit, read, wait } => {
            if commit {
                reader.commit(world)?;
            }
            if read {
                return read_on(world, reader, wait, batch);
            }
            reader.refresh(world)?;
            Ok(Answer::Messages(Vec::new()))
        }
        Work::Commit => reader.commit(world).map(|()| Answer::Done),
        Work::CommitOffset(topic, vgroup, offset) => {
            reader.commit_offset(world, &topic, vgroup, offset).map(|()| Answer::Done)
        }
        Work::Seek(topic, vgroup, offset) => {
            reader.seek(world, &topic, vgroup, offset).map(|()| Answer::Done)
        }
        Work::Committed(list) => {
            let one = |(topic, vgroup): &(String, u32)| reader.committed(world, topic, *vgroup);
            list.iter().map(one).collect::<Result<_, _>>().map(numbers)
        }
        Work::Position(list) => {
            let one = |(topic, vgroup): &(String, u32)| reader.position(world, topic, *vgroup);
            list.iter().map(one).collect::<Result<_, _>>().map(numbers)
        }
        Work::Assignment(topic) => reader.assignment(world, &topic).map(Answer::Assigned),
        Work::Join(_) | Work::Leave { .. } => Ok(Answer::Done),
    }
}

/// Reads until there is something, or until somebody will call.
fn read_on(
    world: &mut World<'_>,
    reader: &mut Reader,
    wait: bool,
    batch: bool,
) -> Result<Answer, Wrong> {
    loop {
        let list = reader.read(world)?;
        if !list.is_empty() || !wait || reader.wait(world) {
            let messages = list.into_iter().map(|one| Message::new(one, batch));
            return Ok(Answer::Messages(messages.collect()));
        }
        world.check()?;
    }
}

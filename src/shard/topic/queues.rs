//! The queues of the topics that this shard owns: their consumers, and the cursor that is stored
//! before anybody is told what was chosen for him.
//!
//! Cost: a small write for each turn in which the cursor of a queue moved.

use super::owner::{Outcome, Owned, Owner, Store};
use crate::broker::Peer;
use crate::broker::queue::{Assignment, Queue};
use crate::log;
use crate::log::disk::threads::ThreadDisk;
use crate::log::disk::{Disk as _, Done, Tag};
use crate::log::position::{Position, PositionFile};
use crate::model::refusal::Refusal;
use crate::model::topic::TopicId;
use std::path::PathBuf;

/// A queue and what is stored of it.
#[derive(Debug)]
pub struct Queued {
    /// Its state.
    pub queue: Queue,
    pub(super) file: PositionFile,
    /// Chosen, and told to nobody before the cursor that says so is stored.
    staged: Vec<Assignment>,
    saving: Option<(u64, Vec<Assignment>)>,
}

/// Tag of a queue's position file.
pub(super) fn position_tag(topic: TopicId) -> Tag {
    Tag(topic * 2 + 1)
}

impl Owner {
    pub(super) fn position_path(&self, topic: TopicId) -> PathBuf {
        self.data_dir.join("positions").join(format!("queue-{topic}.pos"))
    }

    pub(super) fn restore_queue(&mut self, owned: &mut Owned) -> std::io::Result<()> {
        let id = owned.topic.id;
        let path = self.position_path(id);
        if let Some(dir) = path.parent() {
            self.disk.create_dir(dir)?;
        }
        // Written is enough: after a power loss the cursor may be behind, then messages repeat.
        let durability = log::Durability::Os;
        let (file, loaded) =
            PositionFile::open(&mut self.disk, &path, u64::from(id), position_tag(id), durability)?;
        let queue = match loaded.position {
            Some(position) => Queue::restore(position.next, position.outstanding),
            None => Queue::default(),
        };
        let queued = Queued { queue, file, staged: Vec::new(), saving: None };
        owned.queued = Some(Box::new(queued));
        Ok(())
    }

    /// A consumer joins the queue of a topic.
    ///
    /// # Errors
    /// No such topic; it cannot be a queue; its position cannot be opened.
    pub fn join(&mut self, topic: TopicId, peer: Peer, acknowledge: bool) -> Result<(), Refusal> {
        let mut owned = self.topics.remove(&topic).ok_or(Refusal::UnknownTopic)?;
        let mut result = Ok(());
        if owned.queued.is_none()
            && matches!(owned.store, Store::Log(_))
            && let Err(error) = self.restore_queue(&mut owned)
        {
            tracing::error!(topic, %error, "cannot open the position of a queue");
            result = Err(Refusal::StorageReadOnly);
        }
        if let Some(queued) = &mut owned.queued
            && !queued.queue.consumes(peer)
        {
            queued.queue.join(peer, acknowledge);
            self.active_queues.push(topic);
        }
        self.topics.insert(topic, owned);
        result
    }

    /// A consumer leaves.
    pub fn leave(&mut self, topic: TopicId, peer: Peer) {
        if let Some(queued) = self.topics.get_mut(&topic).and_then(|o| o.queued.as_mut())
            && queued.queue.leave(peer)
        {
            // What was chosen for it and not told is free again with the rest.
            queued.staged.retain(|a| a.consumer != peer);
            if let Some((_, staged)) = &mut queued.saving {
                staged.retain(|a| a.consumer != peer);
            }
            self.active_queues.push(topic);
        }
    }

    /// Says that something of a queue has changed.
    pub fn touch_queue(&mut self, topic: TopicId) {
        self.active_queues.push(topic);
    }

    /// Lets queues that may have something to hand out do so.
    pub fn run_queues(&mut self, outcome: &mut Outcome) {
        let mut list = std::mem::take(&mut self.active_queues);
        list.sort_unstable();
        list.dedup();
        for topic in list {
            let Some(owned) = self.topics.get_mut(&topic) else { continue };
            owned.run_queue(&mut self.disk, outcome);
            while !owned.parked.is_empty() && !owned.is_full(self.topic_size) {
                let Some((origin, records)) = owned.parked.pop_front() else { break };
                if let Err(why) = owned.append(origin, &records.records()) {
                    outcome.done.push((origin, Err(why)));
                } else if !owned.dirty {
                    owned.dirty = true;
                    self.dirty.push(topic);
                }
            }
        }
    }

    /// Writes the position of every queue as it is, for a clean stop.
    pub fn save_positions(&mut self) {
        for owned in self.topics.values_mut() {
            if let Some(queued) = &mut owned.queued
                && queued.queue.take_changed()
            {
                let (next, outstanding) = queued.queue.position();
                let _ = queued.file.save(&mut self.disk, &Position { next, outstanding });
            }
        }
    }
}

impl Owned {
    pub(super) fn position_saved(
        &mut self,
        topic: TopicId,
        disk: &mut ThreadDisk,
        done: &Done,
        outcome: &mut Outcome,
    ) {
        let Some(queued) = &mut self.queued else { return };
        let event = queued.file.on_done(disk, done);
        let Some(event) = event else { return };
        let saved = match event {
            log::position::PositionEvent::Saved(number)
            | log::position::PositionEvent::Failed(number, _) => number,
        };
        if let Some((_, assigned)) = queued.saving.take_if(|(number, _)| *number <= saved) {
            outcome.assigned.push((topic, assigned));
        }
    }

    fn run_queue(&mut self, disk: &mut ThreadDisk, outcome: &mut Outcome) {
        let Store::Log(partition) = &self.store else { return };
        let Some(queued) = &mut self.queued else { return };
        outcome.skipped += queued.queue.skip_to(partition.start().min(partition.acknowledged()));
        let staged = queued.queue.stage(partition.acknowledged());
        queued.staged.extend(staged);
        if queued.saving.is_some() || !queued.queue.take_changed() {
            return;
        }
        let (next, outstanding) = queued.queue.position();
        match queued.file.save(disk, &Position { next, outstanding }) {
            Ok(number) => queued.saving = Some((number, std::mem::take(&mut queued.staged))),
            Err(_) => {
                // Too many outstanding to store: at least once is kept, the cursor is older.
                let assigned = std::mem::take(&mut queued.staged);
                outcome.assigned.push((self.topic.id, assigned));
            }
        }
    }
}

//! Positions and states of a shard's flows on the disk.
//!
//! Method: one file for each shard, written whole to a temporary name, synced and renamed by a
//! thread, from states that were taken at one moment. It is written only when every append that
//! the flows had sent by then is acknowledged: what a state has counted, its outputs are safe. A
//! restart takes for each flow the newest state of any file, so the number of shards may change.
//! Cost: the size of all states at most every [`INTERVAL_MS`], longer apart if taking them is slow.

use super::{Append, Flows, Running};
use crate::model::flow::FlowId;
use crate::model::record::Offset;
use crate::model::topic::TopicId;
use crate::model::value::{Bytes, encode_bytes};
use crate::query::pipeline::Pipeline;
use crate::query::push::Runner;
use ahash::AHashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Milliseconds between two checkpoints at least.
const INTERVAL_MS: u64 = 2_000;
/// Begin of a file, with the version of its layout.
const MAGIC: &[u8; 8] = b"weirflo1";

/// What is stored of one flow.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The offset that it reads next.
    pub position: Offset,
    /// Where its last output came from, and the next ordinal.
    pub derived: (Offset, u32),
    /// Topics it writes, and the offset that came next in each.
    pub targets: Vec<(TopicId, Offset)>,
    state: Vec<u8>,
    stamp: u64,
}

impl Saved {
    /// The runner with its state.
    pub fn restore(&self, pipeline: Arc<Pipeline>) -> Option<Runner> {
        Runner::new(pipeline).load(&mut Bytes(&self.state))
    }
}

/// States that were taken and wait for their outputs.
#[derive(Debug)]
struct Taken {
    bytes: Vec<u8>,
    /// Appends of each flow and target that must be acknowledged first.
    issued: Vec<(TopicId, FlowId, Vec<u64>)>,
    /// So must those of several flows before this number.
    together: u64,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Checkpoints {
    stored: AHashMap<FlowId, Saved>,
    changed: bool,
    taken: Option<Taken>,
    writer: Option<(SyncSender<Vec<u8>>, Receiver<()>)>,
    writing: bool,
    next_ms: u64,
}

impl Checkpoints {
    /// Reads what earlier processes stored.
    pub fn load(dir: &Path) -> Self {
        let mut stored: AHashMap<FlowId, Saved> = AHashMap::new();
        let Ok(list) = fs::read_dir(dir) else { return Self::default() };
        for entry in list.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|e| e != "state") {
                continue;
            }
            let read = fs::read(&path).ok().and_then(|bytes| read_file(&bytes));
            let Some(flows) = read else {
                tracing::error!(path = %path.display(), "stored states of flows are damaged");
                continue;
            };
            for (id, saved) in flows {
                let newer = |old: &Saved| old.stamp < saved.stamp;
                if stored.get(&id).is_none_or(newer) {
                    stored.insert(id, saved);
                }
            }
        }
        Self { stored, ..Self::default() }
    }

    /// What is stored of a flow.
    #[must_use]
    pub fn find(&self, flow: FlowId) -> Option<&Saved> {
        self.stored.get(&flow)
    }

    /// Something has changed.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    /// Forgets what was read: all flows have taken theirs.
    pub fn forget(&mut self) {
        self.stored = AHashMap::new();
    }
}

impl Flows {
    /// Goes on with checkpoints; `now_ms`: monotonic. `stamp` grows with each.
    pub fn run_checkpoints(&mut self, path: &Path, now_ms: u64, stamp: u64) {
        let checkpoints = &mut self.checkpoints;
        if let Some((_, done)) = &checkpoints.writer
            && checkpoints.writing
            && !matches!(done.try_recv(), Err(TryRecvError::Empty))
        {
            checkpoints.writing = false;
        }
        if let Some(taken) = self.checkpoints.taken.take() {
            if self.is_settled(&taken) && !self.checkpoints.writing {
                self.hand_over(path, taken.bytes);
            } else {
                self.checkpoints.taken = Some(taken);
            }
            return;
        }
        let due = self.checkpoints.changed && now_ms >= self.checkpoints.next_ms;
        if !due || self.checkpoints.writing || self.behind > 0 {
            return;
        }
        let begun = crate::sys::clock::monotonic_ns();
        self.checkpoints.taken = Some(self.take(stamp));
        let took_ms = (crate::sys::clock::monotonic_ns() - begun) / 1_000_000;
        self.checkpoints.next_ms = now_ms + INTERVAL_MS.max(took_ms * 50);
        self.checkpoints.changed = false;
    }

    /// Writes the last checkpoint before the process ends, if all outputs are safe.
    pub fn last_checkpoint(&mut self, path: &Path, stamp: u64) {
        if !self.checkpoints.changed && self.checkpoints.taken.is_none() {
            return;
        }
        let taken = self.take(stamp);
        if self.is_settled(&taken)
            && let Err(error) = write_file(path, &taken.bytes)
        {
            tracing::error!(%error, "states of flows cannot be stored");
        }
        (self.checkpoints.changed, self.checkpoints.taken) = (false, None);
    }

    fn is_settled(&self, taken: &Taken) -> bool {
        let waits = |append: &Append| match append {
            Append::One(..) => false,
            Append::Together(number, ..) => *number < taken.together,
        };
        if self.appends.values().any(waits) {
            return false;
        }
        taken.issued.iter().all(|(topic, flow, issued)| {
            let found = self.by_topic.get(topic);
            let found = found.and_then(|readers| readers.list.get(readers.place(*flow)?));
            found.is_none_or(|r| r.settled.iter().zip(issued).all(|(done, sent)| done >= sent))
        })
    }

    fn take(&mut self, stamp: u64) -> Taken {
        let mut bytes = MAGIC.to_vec();
        let mut issued = Vec::new();
        for readers in self.by_topic.values_mut() {
            readers.selector.settle(&mut readers.list);
            for running in readers.list.iter_mut().filter(|running| running.durable) {
                write_flow(running, readers.head, stamp, &mut bytes);
                issued.push((running.flow.source, running.flow.id, running.issued.clone()));
            }
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        Taken { bytes, issued, together: self.together }
    }

    fn hand_over(&mut self, path: &Path, bytes: Vec<u8>) {
        if self.checkpoints.writer.is_none() {
            let (to, work) = sync_channel::<Vec<u8>>(1);
            let (told, done) = sync_channel::<()>(1);
            let path: PathBuf = path.to_owned();
            let run = move || {
                while let Ok(bytes) = work.recv() {
                    if let Err(error) = write_file(&path, &bytes) {
                        tracing::error!(%error, "states of flows cannot be stored");
                    }
                    let _ = told.try_send(());
                }
            };
            if std::thread::Builder::new().name("weir-flows".into()).spawn(run).is_ok() {
                self.checkpoints.writer = Some((to, done));
            }
        }
        if let Some((to, _)) = &self.checkpoints.writer {
            self.checkpoints.writing = to.try_send(bytes).is_ok();
        }
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let temporary = path.with_extension("new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(dir)?.sync_all()
}

/// Id, stamp, position, derivation, targets, state.
fn write_flow(running: &mut Running, head: Offset, stamp: u64, out: &mut Vec<u8>) {
    // One that still reads the log has not seen what the others have.
    let live = running.cursor.is_none();
    let position = if live { running.position.max(head) } else { running.position };
    running.count_in(position);
    for number in
        [running.flow.id, stamp, position, running.derived.0, u64::from(running.derived.1)]
    {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let mut state = Vec::new();
    out.extend_from_slice(&(running.targets.len() as u64).to_le_bytes());
    for topic in &running.targets {
        out.extend_from_slice(&u64::from(topic.id).to_le_bytes());
        out.extend_from_slice(&topic.shared.records().to_le_bytes());
    }
    running.runner.save(&mut state);
    let approximate = running.runner.is_approximate();
    running.flow.shared.approximate.store(approximate, std::sync::atomic::Ordering::Relaxed);
    encode_bytes(&state, out);
}

fn read_file(bytes: &[u8]) -> Option<Vec<(FlowId, Saved)>> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut from = Bytes(body.strip_prefix(MAGIC)?);
    let mut list = Vec::new();
    while !from.0.is_empty() {
        let (id, stamp, position) = (from.u64()?, from.u64()?, from.u64()?);
        let derived = (from.u64()?, from.u64()? as u32);
        let count = from.count(16)?;
        let targets = (0..count)
            .map(|_| Some((TopicId::try_from(from.u64()?).ok()?, from.u64()?)))
            .collect::<Option<_>>()?;
        let state = from.bytes()?.to_vec();
        list.push((id, Saved { position, derived, targets, state, stamp }));
    }
    Some(list)
}

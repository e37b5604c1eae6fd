//! A durable cursor: which offset comes next, and which ones before it are still outstanding.
//!
//! Method: a small file with two slots, each with a number and a CRC; a save goes into the slot
//! that does not hold the newest state, so that a torn write leaves the older one. One save is
//! under way at a time; of those asked for meanwhile only the last is written. Invariant: the slot
//! of the last save that succeeded is not written before another one has succeeded. Cost: one write
//! of 40 bytes and about one or two for each outstanding offset, and one sync under group
//! durability.
//!
//! ```text
//! slot: 0 magic "WEIRPOS1" 8 | 8 number 8 | 16 next 8 | 24 count 4 | 28 payload bytes 4
//!       32 CRC-32 of 0..32 and payload, begun with the identity's 4 | 36 zero 4 | 40 payload
//! payload: differences of the outstanding offsets, ascending, 7 bits a byte, low ones first
//! ```

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::disk::{Disk, Done, FileId, Fill, Tag, Ticket};
use super::format::{Fault, all_zeros, seed_of, u32_at, u64_at};
use super::{Corruption, Durability, Refusal};
use crate::model::record::Offset;

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 64 << 10;
const FILE_BYTES: u64 = 2 * SLOT_BYTES as u64;
const HEADER_BYTES: usize = 40;
const MAGIC: u64 = u64::from_le_bytes(*b"WEIRPOS1");

/// What a durable consumer has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Offset that is given out next.
    pub next: Offset,
    /// Offsets below it that are not done yet; ascending.
    pub outstanding: Vec<Offset>,
}

/// What a position file tells its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionEvent {
    /// This save and all before it are durable as asked.
    Saved(u64),
    /// This save failed; the state before it is kept, and a later save may succeed.
    Failed(u64, ErrorKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Idle,
    Preparing,
    Writing { number: u64, bytes: usize },
    Syncing { number: u64 },
}

/// A position's file.
#[derive(Debug)]
pub struct PositionFile {
    path: PathBuf,
    seed: u32,
    tag: Tag,
    durability: Durability,
    file: Option<FileId>,
    step: Step,
    ticket: Option<Ticket>,
    /// Number of the last save that was asked for.
    number: u64,
    /// The slot that may be written.
    slot: u64,
    waiting: Option<(u64, Vec<u8>)>,
}

/// What [`PositionFile::open`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The newest sound state; none in a new file, or when nothing sound is left.
    pub position: Option<Position>,
    /// Slots that are not sound. One is usual after a loss of power.
    pub damage: Vec<Corruption>,
}

impl PositionFile {
    /// Opens the file, or notes to create it with the first save.
    ///
    /// # Errors
    /// The file is there and cannot be opened. Damage is no error.
    pub fn open(
        disk: &mut dyn Disk,
        path: &Path,
        identity: u64,
        tag: Tag,
        durability: Durability,
    ) -> io::Result<(Self, Loaded)> {
        let mut it = Self {
            path: path.into(),
            seed: seed_of(identity),
            tag,
            durability,
            file: None,
            step: Step::Idle,
            ticket: None,
            number: 0,
            slot: 0,
            waiting: None,
        };
        let file = match disk.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((it, Loaded::default()));
            }
            file => file?,
        };
        it.file = Some(file);
        // The map is dropped before anything is written: slots are rewritten.
        let map = disk.map(file)?;
        let bytes = map.bytes(0..map.len()).unwrap_or_default();
        let (newest, loaded) = load(path, bytes, Some(it.seed));
        if let Some((number, slot)) = newest {
            (it.number, it.slot) = (number, 1 - slot);
        }
        Ok((it, loaded))
    }

    /// Saves a state; returns its number, reported by [`PositionEvent`]. Of several saves that wait
    /// only the last is written.
    ///
    /// # Errors
    /// [`Refusal::Size`]: too many offsets are outstanding for a slot.
    pub fn save(&mut self, disk: &mut dyn Disk, position: &Position) -> Result<u64, Refusal> {
        let number = self.number + 1;
        let slot = encode(position, number, self.seed).ok_or(Refusal::Size)?;
        self.number = number;
        self.waiting = Some((number, slot));
        self.step(disk);
        Ok(number)
    }

    /// Takes a completion; `None` if it says nothing to the owner.
    pub fn on_done(&mut self, disk: &mut dyn Disk, done: &Done) -> Option<PositionEvent> {
        if self.ticket != Some(done.ticket) {
            return None;
        }
        self.ticket = None;
        let event = self.outcome(disk, done.result.as_ref().map_err(io::Error::kind).copied());
        self.step(disk);
        event
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.ticket.is_none()
    }

    /// Closes the file.
    pub fn close(mut self, disk: &mut dyn Disk) {
        if let Some(file) = self.file.take() {
            disk.close(file);
        }
    }

    fn outcome(
        &mut self,
        disk: &mut dyn Disk,
        result: Result<usize, ErrorKind>,
    ) -> Option<PositionEvent> {
        match (std::mem::replace(&mut self.step, Step::Idle), result) {
            (Step::Idle, _) => None,
            (Step::Preparing, result) => {
                let path = &self.path;
                // It may exist already, if it could not be opened when it was prepared.
                let open = match result {
                    Err(kind) if kind != ErrorKind::AlreadyExists => Err(kind),
                    _ => disk.open(path).map_err(|error| error.kind()),
                };
                match open {
                    Ok(file) => {
                        self.file = Some(file);
                        None
                    }
                    Err(kind) => {
                        self.waiting.take().map(|(number, _)| PositionEvent::Failed(number, kind))
                    }
                }
            }
            (Step::Writing { number, bytes }, Ok(written)) if written == bytes => {
                match (self.durability, self.file) {
                    (Durability::Group, Some(file)) => {
                        self.ticket = Some(disk.sync(self.tag, file));
                        self.step = Step::Syncing { number };
                        None
                    }
                    _ => Some(self.saved(number)),
                }
            }
            (Step::Writing { number, .. }, Ok(_)) => {
                Some(PositionEvent::Failed(number, ErrorKind::WriteZero))
            }
            (Step::Syncing { number }, Ok(_)) => Some(self.saved(number)),
            (Step::Writing { number, .. } | Step::Syncing { number }, Err(kind)) => {
                Some(PositionEvent::Failed(number, kind))
            }
        }
    }

    fn saved(&mut self, number: u64) -> PositionEvent {
        self.slot = 1 - self.slot;
        PositionEvent::Saved(number)
    }

    fn step(&mut self, disk: &mut dyn Disk) {
        if self.ticket.is_some() {
            return;
        }
        let Some(file) = self.file else {
            if self.waiting.is_some() {
                let ticket = disk.prepare(self.tag, &self.path, FILE_BYTES, Fill::Written);
                (self.ticket, self.step) = (Some(ticket), Step::Preparing);
            }
            return;
        };
        if let Some((number, slot)) = self.waiting.take() {
            let bytes = slot.len();
            let at = self.slot * SLOT_BYTES as u64;
            self.ticket = Some(disk.write(self.tag, file, at, slot.into()));
            self.step = Step::Writing { number, bytes };
        }
    }
}

fn crc_of(seed: u32, header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

fn encode(position: &Position, number: u64, seed: u32) -> Option<Vec<u8>> {
    let mut payload = Vec::new();
    let mut last = 0;
    for offset in &position.outstanding {
        let mut rest = offset.checked_sub(last)?;
        last = *offset;
        while rest >= 0x80 {
            payload.push(u8::try_from(rest & 0x7F).unwrap_or(0) | 0x80);
            rest >>= 7;
        }
        payload.push(u8::try_from(rest).unwrap_or(0));
    }
    if payload.len() > SLOT_BYTES - HEADER_BYTES {
        return None;
    }
    let mut slot = Vec::with_capacity(HEADER_BYTES + payload.len());
    slot.extend_from_slice(&MAGIC.to_le_bytes());
    slot.extend_from_slice(&number.to_le_bytes());
    slot.extend_from_slice(&position.next.to_le_bytes());
    slot.extend_from_slice(&u32::try_from(position.outstanding.len()).ok()?.to_le_bytes());
    slot.extend_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
    let crc = crc_of(seed, &slot, &payload);
    slot.extend_from_slice(&crc.to_le_bytes());
    slot.extend_from_slice(&[0; 4]);
    slot.extend_from_slice(&payload);
    Some(slot)
}

/// Reads a slot; `seed` is `None` where the identity is not known, then the CRC is not checked.
fn decode(slot: &[u8], seed: Option<u32>) -> Result<(u64, Position), Fault> {
    if slot.is_empty() {
        return Err(Fault::Zeros);
    }
    let header = slot.get(..HEADER_BYTES).ok_or(Fault::Short)?;
    if all_zeros(header) {
        return Err(Fault::Zeros);
    }
    if u64_at(header, 0) != Some(MAGIC) {
        return Err(Fault::Magic);
    }
    let short = |at| u32_at(header, at).ok_or(Fault::Short);
    let (count, bytes) = (short(24)? as usize, short(28)? as usize);
    let payload = slot.get(HEADER_BYTES..HEADER_BYTES + bytes).ok_or(Fault::Short)?;
    if let Some(seed) = seed {
        let computed = crc_of(seed, header.get(..32).ok_or(Fault::Short)?, payload);
        if computed != short(32)? {
            return Err(Fault::Crc(short(32)?, computed));
        }
    }
    if short(36)? != 0 {
        return Err(Fault::Content);
    }
    let mut outstanding = Vec::new();
    let (mut last, mut value, mut shift) = (0_u64, 0_u64, 0);
    for byte in payload {
        if shift > 63 {
            return Err(Fault::Content);
        }
        value |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            last = last.checked_add(value).ok_or(Fault::Content)?;
            outstanding.push(last);
            (value, shift) = (0, 0);
        }
    }
    if outstanding.len() != count || shift != 0 {
        return Err(Fault::Content);
    }
    let (number, next) = (u64_at(header, 8), u64_at(header, 16));
    let (Some(number), Some(next)) = (number, next) else { return Err(Fault::Short) };
    Ok((number, Position { next, outstanding }))
}

/// The newest sound slot with its number and place, and what is wrong with the others.
pub(super) fn load(path: &Path, bytes: &[u8], seed: Option<u32>) -> (Option<(u64, u64)>, Loaded) {
    let mut loaded = Loaded::default();
    let mut newest = None;
    for slot in 0..2 {
        let from = slot * SLOT_BYTES;
        let rest = bytes.get(from..).unwrap_or_default();
        let slot_bytes = rest.get(..SLOT_BYTES).unwrap_or(rest);
        match decode(slot_bytes, seed) {
            Ok((number, position)) => {
                if newest.is_none_or(|(other, _)| number > other) {
                    newest = Some((number, slot as u64));
                    loaded.position = Some(position);
                }
            }
            Err(Fault::Zeros) => {}
            Err(fault) => loaded.damage.push(Corruption::new(path, from, "a slot", fault)),
        }
    }
    (newest, loaded)
}

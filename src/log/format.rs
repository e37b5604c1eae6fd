//! The bytes of a segment file, version 1. Little-endian; records start at multiples of 8.
//!
//! ```text
//!      0  +--------------------------------------------------------------+
//!         | segment header: 4096 bytes, CRC-32 over all of them          |
//!   4096  +--------------------------------------------------------------+
//!         | record: header 40 | archive | zeros to a multiple of 8       |
//!         | record ...                                                   |
//!    end  | zeros that were never written                                |
//! F-512   +--------------------------------------------------------------+
//!         | footer, when sealed: 512 bytes, CRC-32 over all of them      |
//!      F  +--------------------------------------------------------------+
//!
//! segment header                       record header
//!  0 magic "WEIRSEG1"           8       0 magic 0xB1 'W' 'R' 'C'       4
//!  8 version                    4       4 bytes of the archive         4
//! 12 epoch                      4       8 epoch                        4
//! 16 partition identity         8      12 kind                         1
//! 24 sequence of the file       8      13 flags                        1
//! 32 base offset                8      14 zero                         2
//! 40 valid end (see below)      8      16 offset                       8
//! 48 created, ns                8      24 time, ns                     8
//! 56 zeros                             32 CRC-32 of bytes 0..32        4
//! 4092 CRC-32                   4      36 CRC-32 of archive + zeros    4
//!
//! footer
//!  0 magic "WEIREND1"           8      32 first time, ns               8
//!  8 sequence of the file       8      40 last time, ns                8
//! 16 end offset                 8      48 end of the records, bytes    8
//! 24 records                    8      56 epoch 4, zeros, 508 CRC-32   4
//! ```
//!
//! *Valid end*: records of earlier files with this offset or a greater one are void. It equals the
//! base offset, but for a segment that follows a failed write.
//!
//! The CRC of a record header starts from the CRC of the partition's identity, so that a block that
//! strays in from another partition is no record; zeros are none because the magic is not zero, and
//! a stale or misplaced block of the same partition is none because offset and epoch do not follow.
//! The CRC of an archive starts from that of its header, so that each belongs to the other.
//! Every byte up to the end of the records is under a CRC. Cost of a record: 40 bytes and padding.

use std::ops::Range;

/// Version of this layout.
pub const VERSION: u32 = 1;
/// Bytes of the segment header.
pub const SEGMENT_HEADER_BYTES: usize = 4096;
/// Bytes of the footer: one sector of its own, so that it is written whole or not at all.
pub const FOOTER_BYTES: usize = 512;
/// Bytes of a record header.
pub const RECORD_HEADER_BYTES: usize = 40;
/// Records start at multiples of this.
pub const RECORD_ALIGN: usize = 8;
/// First bytes of a record.
pub const RECORD_MAGIC: [u8; 4] = [0xB1, b'W', b'R', b'C'];
/// The next record belongs to the same append.
pub const FLAG_CONTINUES: u8 = 1;
/// The record before belongs to the same append.
pub const FLAG_JOINED: u8 = 2;

const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"WEIRSEG1");
const FOOTER_MAGIC: u64 = u64::from_le_bytes(*b"WEIREND1");

mod at {
    pub(super) const SEGMENT_CRC: usize = super::SEGMENT_HEADER_BYTES - 4;
    pub(super) const FOOTER_CRC: usize = super::FOOTER_BYTES - 4;
    pub(super) const HEADER_CRC: usize = 32;
    pub(super) const PAYLOAD_CRC: usize = 36;
}

const _: () = assert!(at::PAYLOAD_CRC + 4 == RECORD_HEADER_BYTES);
// Two steps of the table that is used for short inputs; 36 bytes take twice as long.
const _: () = assert!(at::HEADER_CRC == 32 && at::PAYLOAD_CRC == at::HEADER_CRC + 4);
const _: () = assert!(RECORD_HEADER_BYTES.is_multiple_of(RECORD_ALIGN));
const _: () = assert!(SEGMENT_HEADER_BYTES.is_multiple_of(512) && FOOTER_BYTES.is_multiple_of(512));

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing but zeros.
    Zeros,
    /// Fewer bytes than the thing needs.
    Short,
    /// Not the first bytes it should have.
    Magic,
    /// A version that this program does not read.
    Version(u32),
    /// A CRC-32 that does not match: as stored, as computed.
    Crc(u32, u32),
    /// Another partition's identity.
    Identity(u64),
    /// The offset does not follow.
    Offset(u64),
    /// The epoch is lower than one before.
    Epoch(u32),
    /// A part of an append without the rest.
    Group,
    /// The content is not of its kind.
    Content,
}

/// First block of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Rises by one each time the partition is opened and written.
    pub epoch: u32,
    /// Which partition.
    pub identity: u64,
    /// Which file of it.
    pub sequence: u64,
    /// Offset of its first record.
    pub base: u64,
    /// Records of earlier files from this offset on are void.
    pub valid_end: u64,
    /// Time of its first record.
    pub created: i64,
}

/// Last block of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Which file of the partition.
    pub sequence: u64,
    /// One more than the last offset.
    pub end: u64,
    /// How many records.
    pub records: u64,
    /// Time of the first.
    pub first_time: i64,
    /// Greatest time.
    pub last_time: i64,
    /// Where the records end in the file.
    pub data_end: u64,
    /// Epoch of the last record.
    pub epoch: u32,
}

/// Header of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Exact bytes of the archive.
    pub payload_bytes: u32,
    /// Epoch in which it was appended.
    pub epoch: u32,
    /// What the archive is.
    pub kind: u8,
    /// `FLAG_*`.
    pub flags: u8,
    /// Its offset.
    pub offset: u64,
    /// Its time.
    pub time: i64,
    /// CRC-32 of the header; it tells nothing when a header is encoded.
    pub crc: u32,
    /// CRC-32 of the archive and the zeros behind it, started from `crc`.
    pub payload_crc: u32,
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Start value of the CRC of every record header of a partition.
#[must_use]
pub fn seed_of(identity: u64) -> u32 {
    crc32fast::hash(&identity.to_le_bytes())
}

/// Bytes of a record in the file whose archive has `payload_bytes`.
#[must_use]
pub const fn record_bytes(payload_bytes: usize) -> usize {
    RECORD_HEADER_BYTES + payload_bytes.next_multiple_of(RECORD_ALIGN)
}

/// Where records may lie in a file of that size.
#[must_use]
pub fn data_range(file_bytes: u64) -> Range<u64> {
    let start = SEGMENT_HEADER_BYTES as u64;
    let end = file_bytes.saturating_sub(FOOTER_BYTES as u64) / RECORD_ALIGN as u64;
    start..(end * RECORD_ALIGN as u64).max(start)
}

/// Whether there is nothing but zeros.
#[must_use]
pub fn all_zeros(bytes: &[u8]) -> bool {
    let mut chunks = bytes.chunks_exact(256);
    chunks.all(|chunk| chunk == [0; 256]) && chunks.remainder().iter().all(|byte| *byte == 0)
}

/// Checks magic and trailing CRC of a block, then hands out a reader of its fields.
fn open_block(bytes: &[u8], magic: u64, crc_at: usize) -> Result<(), Fault> {
    if bytes.len() != crc_at + 4 {
        return Err(Fault::Short);
    }
    if all_zeros(bytes) {
        return Err(Fault::Zeros);
    }
    if u64_at(bytes, 0) != Some(magic) {
        return Err(Fault::Magic);
    }
    let stored = u32_at(bytes, crc_at).ok_or(Fault::Short)?;
    let computed = crc32fast::hash(bytes.get(..crc_at).ok_or(Fault::Short)?);
    if stored == computed { Ok(()) } else { Err(Fault::Crc(stored, computed)) }
}

impl SegmentHeader {
    /// The block to write.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; SEGMENT_HEADER_BYTES];
        put(&mut out, 0, &SEGMENT_MAGIC.to_le_bytes());
        put(&mut out, 8, &VERSION.to_le_bytes());
        put(&mut out, 12, &self.epoch.to_le_bytes());
        put(&mut out, 16, &self.identity.to_le_bytes());
        put(&mut out, 24, &self.sequence.to_le_bytes());
        put(&mut out, 32, &self.base.to_le_bytes());
        put(&mut out, 40, &self.valid_end.to_le_bytes());
        put(&mut out, 48, &self.created.to_le_bytes());
        let crc = crc32fast::hash(&out[..at::SEGMENT_CRC]);
        put(&mut out, at::SEGMENT_CRC, &crc.to_le_bytes());
        out
    }

    /// Reads the first block of a file.
    ///
    /// # Errors
    /// What is wrong with it; `Zeros` if it was never written.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        open_block(bytes, SEGMENT_MAGIC, at::SEGMENT_CRC)?;
        let version = u32_at(bytes, 8).ok_or(Fault::Short)?;
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let long = |at| u64_at(bytes, at).ok_or(Fault::Short);
        let time = |at| i64_at(bytes, at).ok_or(Fault::Short);
        Ok(Self {
            epoch: u32_at(bytes, 12).ok_or(Fault::Short)?,
            identity: long(16)?,
            sequence: long(24)?,
            base: long(32)?,
            valid_end: long(40)?,
            created: time(48)?,
        })
    }
}

impl Footer {
    /// The block to write.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; FOOTER_BYTES];
        put(&mut out, 0, &FOOTER_MAGIC.to_le_bytes());
        put(&mut out, 8, &self.sequence.to_le_bytes());
        put(&mut out, 16, &self.end.to_le_bytes());
        put(&mut out, 24, &self.records.to_le_bytes());
        put(&mut out, 32, &self.first_time.to_le_bytes());
        put(&mut out, 40, &self.last_time.to_le_bytes());
        put(&mut out, 48, &self.data_end.to_le_bytes());
        put(&mut out, 56, &self.epoch.to_le_bytes());
        let crc = crc32fast::hash(&out[..at::FOOTER_CRC]);
        put(&mut out, at::FOOTER_CRC, &crc.to_le_bytes());
        out
    }

    /// Reads the last block of a file.
    ///
    /// # Errors
    /// What is wrong with it; `Zeros` if the segment is not sealed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        open_block(bytes, FOOTER_MAGIC, at::FOOTER_CRC)?;
        let long = |at| u64_at(bytes, at).ok_or(Fault::Short);
        let time = |at| i64_at(bytes, at).ok_or(Fault::Short);
        Ok(Self {
            sequence: long(8)?,
            end: long(16)?,
            records: long(24)?,
            first_time: time(32)?,
            last_time: time(40)?,
            data_end: long(48)?,
            epoch: u32_at(bytes, 56).ok_or(Fault::Short)?,
        })
    }
}

impl RecordHeader {
    /// The 40 bytes to write before `padded`, the archive with the zeros behind it; both CRCs are
    /// made here.
    #[must_use]
    pub fn encode(&self, seed: u32, padded: &[u8]) -> [u8; RECORD_HEADER_BYTES] {
        let mut out = [0; RECORD_HEADER_BYTES];
        out[0..4].copy_from_slice(&RECORD_MAGIC);
        out[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[8..12].copy_from_slice(&self.epoch.to_le_bytes());
        out[12] = self.kind;
        out[13] = self.flags;
        out[16..24].copy_from_slice(&self.offset.to_le_bytes());
        out[24..32].copy_from_slice(&self.time.to_le_bytes());
        let crc = crc_from(seed, &out[..at::HEADER_CRC]);
        out[at::HEADER_CRC..at::PAYLOAD_CRC].copy_from_slice(&crc.to_le_bytes());
        out[at::PAYLOAD_CRC..].copy_from_slice(&crc_from(crc, padded).to_le_bytes());
        out
    }

    /// Checks the archive with the zeros behind it.
    ///
    /// # Errors
    /// [`Fault::Crc`].
    pub fn check(&self, padded: &[u8]) -> Result<(), Fault> {
        let computed = crc_from(self.crc, padded);
        if computed == self.payload_crc {
            Ok(())
        } else {
            Err(Fault::Crc(self.payload_crc, computed))
        }
    }

    /// Reads a header; its CRC is checked, the archive's is not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8], seed: u32) -> Result<Self, Fault> {
        let bytes = bytes.get(..RECORD_HEADER_BYTES).ok_or(Fault::Short)?;
        if bytes.get(..4) != Some(RECORD_MAGIC.as_slice()) {
            return Err(if all_zeros(bytes) { Fault::Zeros } else { Fault::Magic });
        }
        let stored = u32_at(bytes, at::HEADER_CRC).ok_or(Fault::Short)?;
        let computed = crc_from(seed, bytes.get(..at::HEADER_CRC).ok_or(Fault::Short)?);
        if stored != computed {
            return Err(Fault::Crc(stored, computed));
        }
        Self::decode_unchecked(bytes).ok_or(Fault::Short)
    }

    /// Reads a header without its CRC: only for bytes that this process encoded or has checked.
    #[must_use]
    pub fn decode_unchecked(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..RECORD_HEADER_BYTES)?;
        Some(Self {
            payload_bytes: u32_at(bytes, 4)?,
            epoch: u32_at(bytes, 8)?,
            kind: *bytes.get(12)?,
            flags: *bytes.get(13)?,
            offset: u64_at(bytes, 16)?,
            time: i64_at(bytes, 24)?,
            crc: u32_at(bytes, at::HEADER_CRC)?,
            payload_crc: u32_at(bytes, at::PAYLOAD_CRC)?,
        })
    }
}

fn crc_from(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

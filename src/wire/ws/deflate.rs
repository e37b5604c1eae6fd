//! permessage-deflate (RFC 7692, 7.2): messages to and from raw DEFLATE.
//!
//! Method: one inflater and one deflater for each window size serve all connections of a shard
//! whose peers drop their context after each message; a message is then compressed once for all
//! its receivers. Connections that keep a context own a [`Deflater`], their decoder an inflater.
//!
//! Invariants: output never passes the limit it was given; a shared state is reset before each
//! message, so nothing of one connection shows in another.
//!
//! Cost: zlib-rs takes about 40 KiB for an inflater whatever its window, and 240 KiB (window of 9
//! bits) to 370 KiB (15 bits) for a deflater, whose reset clears 128 KiB, some microseconds.

pub use super::negotiate::{Agreed, Preference};

use super::CloseError;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What every compressed message ends with and does not send (RFC 7692, 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// An empty final block: completes a stream that stands between two blocks.
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];
/// Bytes of inflated output kept for the next message; more is given back.
const OUTPUT_BYTES_KEPT: usize = 256 << 10;
/// Final blocks inside one message (RFC 7692, 7.2.3.4); each costs a reset.
const FINAL_BLOCKS_MAX: u32 = 64;
/// Smallest and largest window exponent that both directions can run with.
pub(super) const WINDOW_BITS: std::ops::RangeInclusive<u8> = 9..=15;

/// The inflater of a shard and its output, which holds one message at a time.
#[derive(Debug, Default)]
pub struct Inflater {
    shared: Option<Box<Decompress>>,
    output: Vec<u8>,
}

/// Where the stream stands after a stretch of input.
#[derive(PartialEq, Eq)]
enum Stretch {
    /// A final block ended exactly here: the message is whole without the tail.
    Ended,
    Open,
}

/// An inflater that keeps its window between messages. A window of 512 bytes reads what one of 256
/// wrote.
pub(super) fn inflate_context(window_bits: u8) -> Decompress {
    let bits = window_bits.clamp(*WINDOW_BITS.start(), *WINDOW_BITS.end());
    Decompress::new_with_window_bits(false, bits)
}

impl Inflater {
    /// An inflater without memory; the first compressed message brings it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives back the memory of a large last message.
    pub fn trim(&mut self) {
        self.output.clear();
        if self.output.capacity() > OUTPUT_BYTES_KEPT {
            self.output = Vec::new();
        }
    }

    /// Bytes of output held.
    pub fn bytes(&self) -> usize {
        self.output.capacity()
    }

    /// The message that was inflated last.
    pub(super) fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    /// Inflates a message that refers to none before it.
    pub(super) fn inflate(&mut self, payload: &[u8], limit: usize) -> Result<(), CloseError> {
        self.trim();
        let mut state = match self.shared.take() {
            Some(mut state) => {
                state.reset(false);
                state
            }
            None => Box::new(inflate_context(*WINDOW_BITS.end())),
        };
        let result = self.run(&mut state, payload, limit).and_then(|()| {
            // Nothing after it will show a message that was cut, so ask for the end of the stream.
            let whole = payload.is_empty() || ends_between_blocks(&mut state);
            if whole { Ok(()) } else { Err(corrupt()) }
        });
        self.shared = Some(state);
        result
    }

    /// Inflates a message that may refer to those before it on the same connection.
    pub(super) fn inflate_with(
        &mut self,
        context: &mut Decompress,
        payload: &[u8],
        limit: usize,
    ) -> Result<(), CloseError> {
        self.trim();
        self.run(context, payload, limit)
    }

    fn run(
        &mut self,
        state: &mut Decompress,
        payload: &[u8],
        limit: usize,
    ) -> Result<(), CloseError> {
        // Encoders that have nothing to flush send an empty message as no bytes at all, and their
        // tail would not be a block then.
        if payload.is_empty() {
            return Ok(());
        }
        let mut finals = 0;
        if self.run_part(state, payload, limit, &mut finals)? == Stretch::Ended {
            return Ok(());
        }
        self.run_part(state, &TAIL, limit, &mut finals).map(|_| ())
    }

    fn run_part(
        &mut self,
        state: &mut Decompress,
        part: &[u8],
        limit: usize,
        finals: &mut u32,
    ) -> Result<Stretch, CloseError> {
        let mut rest = part;
        loop {
            self.make_room(rest.len(), limit)?;
            let (before_in, before_out) = (state.total_in(), state.total_out());
            let status = state
                .decompress_vec(rest, &mut self.output, FlushDecompress::Sync)
                .map_err(|_| corrupt())?;
            let consumed = (state.total_in() - before_in) as usize;
            let produced = state.total_out() - before_out;
            rest = rest.get(consumed..).unwrap_or_default();
            if self.output.len() > limit {
                return Err(CloseError::size());
            }
            let full = self.output.len() == self.output.capacity();
            match status {
                // What follows a final block starts anew (RFC 7692, 7.2.3.4).
                Status::StreamEnd => {
                    *finals += 1;
                    if *finals > FINAL_BLOCKS_MAX {
                        return Err(corrupt());
                    }
                    state.reset(false);
                    if rest.is_empty() {
                        return Ok(Stretch::Ended);
                    }
                }
                _ if full => {}
                _ if rest.is_empty() => return Ok(Stretch::Open),
                _ if consumed == 0 && produced == 0 => return Err(corrupt()),
                _ => {}
            }
        }
    }

    /// Room for more output: twofold growth, up to one byte over the limit, which shows excess.
    fn make_room(&mut self, input: usize, limit: usize) -> Result<(), CloseError> {
        let len = self.output.len();
        if len < self.output.capacity() {
            return Ok(());
        }
        let ceiling = limit.saturating_add(1);
        let wanted = len.max(input.saturating_mul(4)).max(4096).min(ceiling.saturating_sub(len));
        if wanted == 0 {
            return Err(CloseError::size());
        }
        self.output
            .try_reserve_exact(wanted)
            .map_err(|_| CloseError::internal("no memory for a message"))
    }
}

/// Whether the stream stands between two blocks: only there is an empty final block its end.
fn ends_between_blocks(state: &mut Decompress) -> bool {
    let before = state.total_in();
    let mut nothing = [0; 1];
    let status = state.decompress(&FINAL_BLOCK, &mut nothing, FlushDecompress::Sync);
    matches!(status, Ok(Status::StreamEnd)) && state.total_in() - before == 2
}

fn corrupt() -> CloseError {
    CloseError::content("compressed data does not inflate")
}

/// A deflater for one window size: of a shard, when the context is dropped after each message, or
/// of one connection.
#[derive(Debug)]
pub struct Deflater {
    state: Compress,
    keeps_context: bool,
}

impl Deflater {
    /// The deflater of one connection, as agreed. `level` is zlib's, 0-9; more counts as 9.
    pub fn new(agreed: &Agreed, level: u8) -> Self {
        let state = deflate_state(agreed.server_max_window_bits, level);
        Self { state, keeps_context: !agreed.server_no_context_takeover }
    }

    /// Appends the compressed form of one message to `out`; its frame has RSV1 set.
    ///
    /// # Errors
    /// 1011 if the library fails, which it has no reason to.
    pub fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CloseError> {
        if payload.is_empty() {
            // RFC 7692, 7.2.3.6; a flush without input would give no block.
            out.push(0x00);
            return Ok(());
        }
        if !self.keeps_context {
            self.state.reset();
        }
        let start = out.len();
        let mut rest = payload;
        loop {
            out.reserve(rest.len().div_ceil(2).clamp(256, 64 << 10));
            let before = self.state.total_in();
            self.state
                .compress_vec(rest, out, FlushCompress::Sync)
                .map_err(|_| CloseError::internal("compression failed"))?;
            let consumed = (self.state.total_in() - before) as usize;
            rest = rest.get(consumed..).unwrap_or_default();
            if rest.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
        if !out.get(start..).unwrap_or_default().ends_with(&TAIL) {
            return Err(CloseError::internal("compression did not flush"));
        }
        out.truncate(out.len() - TAIL.len());
        Ok(())
    }
}

/// The deflaters of a shard, one for each window size in use; they keep no context.
#[derive(Debug)]
pub struct DeflatePool {
    states: [Option<Box<Deflater>>; 7],
    level: u8,
}

impl DeflatePool {
    /// A pool without memory. `level` is zlib's, 0-9; more counts as 9.
    pub fn new(level: u8) -> Self {
        Self { states: Default::default(), level }
    }

    /// Appends the compressed form of one message to `out`, for every connection that agreed on
    /// `server_no_context_takeover` and a server window of at least `window_bits` (9-15).
    ///
    /// # Errors
    /// 1011 if the library fails, which it has no reason to.
    pub fn compress(
        &mut self,
        window_bits: u8,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CloseError> {
        let bits = window_bits.clamp(*WINDOW_BITS.start(), *WINDOW_BITS.end());
        let slot = self
            .states
            .get_mut(usize::from(bits - WINDOW_BITS.start()))
            .ok_or(CloseError::internal("no such window size"))?;
        let level = self.level;
        slot.get_or_insert_with(|| {
            Box::new(Deflater { state: deflate_state(bits, level), keeps_context: false })
        })
        .compress(payload, out)
    }
}

fn deflate_state(window_bits: u8, level: u8) -> Compress {
    let bits = window_bits.clamp(*WINDOW_BITS.start(), *WINDOW_BITS.end());
    Compress::new_with_window_bits(Compression::new(u32::from(level.min(9))), false, bits)
}

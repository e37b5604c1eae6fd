//! What order statistics and distinct counts keep.

use super::{KEPT_MAX, save_bytes};
use crate::model::value::{Bytes, Value, canonical};
use std::collections::BTreeSet;

/// Numbers in the order they came; beyond [`KEPT_MAX`] a sample of them, spread evenly.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    kept: Vec<f64>,
    seen: u64,
    /// One of so many is kept, minus one.
    skip: u64,
}

impl Sample {
    pub(super) fn add(&mut self, number: f64) {
        self.seen += 1;
        if !self.seen.is_multiple_of(self.skip + 1) {
            return;
        }
        if self.kept.len() >= KEPT_MAX {
            // Every second one goes; from here on every second one comes.
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            self.skip = self.skip * 2 + 1;
            if !self.seen.is_multiple_of(self.skip + 1) {
                return;
            }
        }
        self.kept.push(number);
    }

    pub(super) fn is_approximate(&self) -> bool {
        self.skip > 0
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.len() * size_of::<f64>()
    }

    pub(super) fn percentile(&self, p: f64) -> Option<f64> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = p / 100.0 * (sorted.len().checked_sub(1)?) as f64;
        let below = rank.floor() as usize;
        let (low, high) = (*sorted.get(below)?, sorted.get(below + 1));
        let part = rank - rank.floor();
        Some(high.filter(|_| part > 0.0).map_or(low, |high| low + (high - low) * part))
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        for number in [self.seen, self.skip, self.kept.len() as u64] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        self.kept.iter().for_each(|n| out.extend_from_slice(&n.to_bits().to_le_bytes()));
    }

    pub(super) fn load(from: &mut Bytes<'_>) -> Option<Self> {
        let (seen, skip, count) = (from.u64()?, from.u64()?, from.count(8)?);
        let kept = (0..count).map(|_| from.f64()).collect::<Option<_>>()?;
        Some(Self { kept, seen, skip })
    }
}

/// Registers of the sketch: 2^12, a standard error of 1.6 %.
const REGISTERS: usize = 4096;

/// Different values by 64-bit fingerprints, so that a repeat is missed once in 10^9 groups of
/// [`KEPT_MAX`]; beyond that a HyperLogLog sketch of the same fingerprints.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    exact: BTreeSet<u64>,
    sketch: Vec<u8>,
    scratch: Vec<u8>,
}

impl Distinct {
    /// Missing is no value.
    pub(super) fn add(&mut self, value: &Value<'_>) {
        if matches!(value, Value::Missing) {
            return;
        }
        self.scratch.clear();
        canonical(value, &mut self.scratch);
        let print = fingerprint(&self.scratch);
        if !self.sketch.is_empty() {
            return self.register(print);
        }
        self.exact.insert(print);
        if self.exact.len() > KEPT_MAX {
            self.sketch = vec![0; REGISTERS];
            for print in std::mem::take(&mut self.exact) {
                self.register(print);
            }
        }
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.exact.len() * 2 * size_of::<u64>() + self.sketch.len()
    }

    fn register(&mut self, print: u64) {
        let index = (print >> 52) as usize;
        let rank = ((print << 12) | 1 << 11).leading_zeros() as u8 + 1;
        if let Some(register) = self.sketch.get_mut(index) {
            *register = (*register).max(rank);
        }
    }

    pub(super) fn is_approximate(&self) -> bool {
        !self.sketch.is_empty()
    }

    pub(super) fn count(&self) -> u64 {
        if self.sketch.is_empty() {
            return self.exact.len() as u64;
        }
        let m = REGISTERS as f64;
        let sum: f64 = self.sketch.iter().map(|r| 2_f64.powi(-i32::from(*r))).sum();
        (0.7213 / (1.0 + 1.079 / m) * m * m / sum).round() as u64
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        save_bytes(&self.sketch, out);
        out.extend_from_slice(&(self.exact.len() as u64).to_le_bytes());
        self.exact.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    }

    pub(super) fn load(from: &mut Bytes<'_>) -> Option<Self> {
        let sketch = from.bytes()?.to_vec();
        let count = from.count(8)?;
        let exact = (0..count).map(|_| from.u64()).collect::<Option<_>>()?;
        Some(Self { exact, sketch, scratch: Vec::new() })
    }
}

/// A fixed hash of 64 bits, the same in every process, since it is stored: FNV-1a, then the
/// finalizer of MurmurHash3 to spread it over the high bits.
fn fingerprint(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

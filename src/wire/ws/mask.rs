//! Masking (RFC 6455, 5.3): exclusive or with four octets, in place.
//!
//! Cost: 32 octets at a time, which the compiler turns into vector instructions; alignment does
//! not matter.

/// Octets of one step of the wide loop; a multiple of the key's four.
const STEP: usize = 32;

/// Applies `key` to `bytes`, whose first octet meets `key[0]`. Masking and unmasking are the same.
#[inline]
pub fn apply(bytes: &mut [u8], key: [u8; 4]) {
    let word = u32::from_ne_bytes(key);
    let wide = u64::from(word) << 32 | u64::from(word);
    let mut steps = bytes.chunks_exact_mut(STEP);
    for step in &mut steps {
        for eight in step.chunks_exact_mut(8) {
            apply_eight(eight, wide);
        }
    }
    let mut eights = steps.into_remainder().chunks_exact_mut(8);
    for eight in &mut eights {
        apply_eight(eight, wide);
    }
    for (byte, key) in eights.into_remainder().iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= key;
    }
}

fn apply_eight(eight: &mut [u8], wide: u64) {
    if let Ok(eight) = <&mut [u8; 8]>::try_from(eight) {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
}

/// The key for the octets that follow `count` octets already taken.
pub fn advance(mut key: [u8; 4], count: usize) -> [u8; 4] {
    key.rotate_left(count % 4);
    key
}

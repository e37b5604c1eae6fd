//! Sixteen bytes at a time: which of them a string cannot hold plainly, which are no digits,
//! which end a number.
//!
//! Bit `n` of a mask is byte `n`. Cost: some ten instructions for a step, whatever is found.

use ::wide::u8x16;

/// Bytes of one step.
pub(in crate::model) const STEP: usize = 16;

/// The step that begins at `at`, if it is whole.
#[inline(always)]
pub(in crate::model) fn step(text: &[u8], at: usize) -> Option<&[u8; STEP]> {
    text.get(at..)?.first_chunk()
}

/// Quotes, backslashes and control characters.
#[inline(always)]
pub(in crate::model) fn specials(bytes: &[u8; STEP]) -> u32 {
    let all = u8x16::new(*bytes);
    let control = all.min(u8x16::splat(0x1f)).simd_eq(all);
    let quote = all.simd_eq(u8x16::splat(b'"'));
    (control | quote | all.simd_eq(u8x16::splat(b'\\'))).to_bitmask()
}

/// Bytes that are no decimal digits.
#[inline(always)]
pub(in crate::model) fn non_digits(bytes: &[u8; STEP]) -> u32 {
    let value = u8x16::new(*bytes) - u8x16::splat(b'0');
    !value.min(u8x16::splat(9)).simd_eq(value).to_bitmask() & 0xffff
}

/// What ends a number or a word: commas, closing brackets, blanks and control characters.
#[inline(always)]
pub(in crate::model) fn ends(bytes: &[u8; STEP]) -> u32 {
    let all = u8x16::new(*bytes);
    let blank = all.min(u8x16::splat(b' ')).simd_eq(all);
    let is = |byte| all.simd_eq(u8x16::splat(byte));
    (blank | is(b',') | is(b'}') | is(b']')).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(bytes: &[u8; STEP], found: impl Fn(u8) -> bool) -> u32 {
        (0..STEP).fold(0, |mask, at| mask | u32::from(found(bytes[at])) << at)
    }

    #[test]
    fn masks_say_what_their_definitions_say() {
        for byte in 0..=255 {
            for at in 0..STEP {
                for around in [b'5', b'x', b'"', 0xc3] {
                    let mut bytes = [around; STEP];
                    bytes[at] = byte;
                    let special = mask(&bytes, |b| b < b' ' || b == b'"' || b == b'\\');
                    assert_eq!(specials(&bytes), special, "{bytes:?}");
                    assert_eq!(non_digits(&bytes), mask(&bytes, |b| !b.is_ascii_digit()));
                    let end = |b| b <= b' ' || matches!(b, b',' | b'}' | b']');
                    assert_eq!(ends(&bytes), mask(&bytes, end));
                }
            }
        }
    }
}

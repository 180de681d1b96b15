//! Plain text: the run of bytes up to one that ends or breaks a JSON string.

/// Where the first byte stands, from `from` on, that is a quote, a backslash or a control character; the end if there is none.
#[inline]
pub(crate) fn end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes[at..].first_chunk::<16>() {
        let marks = marks(chunk);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize;
        }
        at += 16;
    }
    let rest = bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
    rest.map_or(bytes.len(), |rest| at + rest)
}

/// One bit per byte that is not plain text, the first byte's lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code)]
fn marks(chunk: &[u8; 16]) -> u32 {
    // SAFETY: the function needs SSE2 alone, which is part of x86-64 itself.
    unsafe { marks_sse2(chunk) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn marks_sse2(chunk: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };
    let word = u128::from_le_bytes(*chunk);
    let bytes = _mm_set_epi64x((word >> 64) as i64, word as i64);
    let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
    let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
    let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
    _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls)) as u32
}

/// One bit per byte that is not plain text, the first byte's lowest.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn marks(chunk: &[u8; 16]) -> u32 {
    let word = u128::from_le_bytes(*chunk);
    marks_of(word as u64) | marks_of((word >> 64) as u64) << 8
}

/// The marks of eight bytes; right up to the lowest that is set, which a borrow can follow with wrong ones.
#[cfg_attr(target_arch = "x86_64", cfg(test))]
#[inline]
fn marks_of(word: u64) -> u32 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    let (quote, backslash) = (word ^ QUOTES, word ^ BACKSLASHES);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(SPACES) & !word;
    let marks = (quotes | backslashes | controls) & HIGH;
    // The lowest mark alone: one bit in eight, brought down to one bit per byte.
    if marks == 0 { 0 } else { 1 << (marks.trailing_zeros() / 8) }
}

#[cfg(test)]
mod tests;

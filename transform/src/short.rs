//! Short texts as numbers, which are compared and hashed without a look at the text itself.

use std::hash::{Hash, Hasher};

/// A text of at most sixteen bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortText {
    /// Together they tell apart all texts of the same length.
    words: [u64; 2],
    bytes: u8,
}

impl ShortText {
    pub(crate) const EMPTY: Self = Self { words: [0; 2], bytes: 0 };

    /// `None` when the text is longer.
    #[inline]
    pub(crate) fn of(text: &str) -> Option<Self> {
        Some(Self { words: words(text.as_bytes())?, bytes: text.len() as u8 })
    }

    /// A number whose bits all depend on all of the text.
    #[inline]
    pub(crate) fn mixed(self) -> u64 {
        // 2⁶⁴ divided by the golden ratio, which spreads neighbours; the top bits of the product are the best mixed.
        (self.words[0] ^ self.words[1].rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
    }
}

impl Hash for ShortText {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.words[0]);
        state.write_u64(self.words[1]);
    }
}

/// Two words that tell apart all texts of the same length: its first and its last bytes, which overlap in most.
#[inline]
fn words(text: &[u8]) -> Option<[u64; 2]> {
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) if text.len() <= 16 => return Some([word(first), word(last)]),
        (Some(_), _) => return None,
        _ => {}
    }
    Some(match (text.first_chunk::<4>(), text.last_chunk::<4>(), text) {
        (Some(first), Some(last), _) => [half(first), half(last)],
        (.., [one, two, three]) => [u64::from(*one), u64::from(*two) << 8 | u64::from(*three)],
        (.., [one, two]) => [u64::from(*one), u64::from(*two)],
        (.., [one]) => [u64::from(*one), 0],
        _ => [0, 0],
    })
}

#[cfg(test)]
mod tests;

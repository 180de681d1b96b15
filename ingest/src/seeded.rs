//! Numbers that follow from a seed.
//!
//! The library generators promise the same numbers only within one of their versions, and a generated stream is compared
//! across releases; so this is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).

/// A sequence of numbers that look random.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A number that looks random and follows from `value` alone; different values give different numbers.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        // Mixed first, so that neighbouring seeds do not run through neighbouring numbers.
        Self(mix(seed.wrapping_add(STEP)))
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number from 0 to below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(end)) >> 32) as u32
    }

    /// A number from `first` to below `end`.
    pub(crate) fn between(&mut self, first: i64, end: i64) -> i64 {
        first + i64::from(self.below((end - first) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_that_of_the_published_generator() {
        // The first numbers of SplitMix64 from state 0, as its reference implementation prints them.
        let mut seeded = Seeded(0);
        assert_eq!(seeded.next_u64(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(seeded.next_u64(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut seeded = Seeded::new(3);
        let drawn: Vec<_> = (0..1000).map(|_| seeded.below(10)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&0), Some(&9)));
    }
}

//! Where a chunk lies among all that were ever put.

use std::fmt;
use std::str::FromStr;

use super::HotChunk;
use crate::clock::Micros;

/// The most bytes of a position: a time, a bucket and a sort key.
const TEXT_BYTES: usize = 96;

/// What comes after a chunk's position and before the next chunk's: a position is made of hexadecimal digits and `#`.
const PAST: char = '~';

/// A position among all puts of a dataset: its text, whose order is that of the puts, and in which chunks that were put at the same time are
/// ordered by bucket and sort key.
///
/// `<time, 16 hexadecimal digits>#<bucket, 4>#<the chunk's sort key>`, or the beginning of that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PutPosition(String);

/// Text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position in the hot index")]
pub struct PutPositionError;

impl PutPosition {
    /// The position before those of all chunks that are put at this time.
    pub fn at(time: Micros) -> Self {
        // The offset keeps times before 1970 in order.
        Self(format!("{:016x}#", (time as u64) ^ (1 << 63)))
    }

    /// The position of a chunk that is put at this time.
    pub fn of(time: Micros, chunk: &HotChunk) -> Self {
        let Self(at) = Self::at(time);
        Self(format!("{at}{:04x}#{}", chunk.bucket, chunk.sort_key()))
    }

    /// The first position after this one's chunk.
    #[must_use]
    pub fn past(&self) -> Self {
        Self(format!("{}{PAST}", self.0))
    }

    /// When was put what lies here.
    pub fn time(&self) -> Micros {
        let time = self.0.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        (time.expect("a position begins with a time") ^ (1 << 63)) as Micros
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PutPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PutPosition {
    type Err = PutPositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (time, rest) = text.split_once('#').ok_or(PutPositionError)?;
        let digits = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let rest = rest.strip_suffix(PAST).unwrap_or(rest);
        let usable = text.len() <= TEXT_BYTES && time.len() == 16 && digits(time) && rest.split('#').all(digits);
        if usable { Ok(Self(text.to_owned())) } else { Err(PutPositionError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::hot_index::chunk;

    #[test]
    fn positions_sort_by_time_then_bucket_then_key_and_are_read_as_they_are_written() {
        let of = |time, bucket, batch| PutPosition::of(time, &chunk("telemetry", bucket, batch, (100, 200)));
        let mut keys = [of(7, 2, 1), of(7, 2, 2)];
        keys.sort();
        let [first, second] = keys;
        let sorted = [
            PutPosition::at(Micros::MIN),
            PutPosition::at(-1),
            PutPosition::at(0),
            PutPosition::at(7),
            of(7, 1, 9),
            first.clone(),
            first.past(),
            second.clone(),
            second.past(),
            of(7, 31, 1),
            of(8, 0, 1),
            PutPosition::at(Micros::MAX),
        ];
        assert!(sorted.is_sorted_by(|a, b| a < b), "{sorted:#?}");
        for position in sorted {
            assert_eq!(position.as_str().parse(), Ok(position.clone()));
        }
        assert_eq!(of(-3, 2, 1).past().time(), -3);
    }

    #[test]
    fn anything_else_is_no_position() {
        let long = format!("{}{}", PutPosition::at(0), "0".repeat(TEXT_BYTES));
        for text in ["", "#", "0", "00000000000000zz#", "0000000000000000", "0000000000000000#x", &long] {
            assert_eq!(text.parse::<PutPosition>(), Err(PutPositionError), "{text}");
        }
    }
}

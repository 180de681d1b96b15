//! What was taken for the hot index and is not in it yet.

use super::{BUCKETS, HotChunk};
use crate::clock::Micros;

/// One bit for each bucket.
type BucketSet = u32;
const _: () = assert!(BUCKETS as u32 <= BucketSet::BITS);

/// Rows that were taken for the hot index and wait to be put: in some of these buckets, with event times between these two. A read that could
/// meet them may miss them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The buckets, a bit for each: that of bucket 0 is the lowest.
    pub buckets: u32,
    /// The oldest event time.
    pub min_time: Micros,
    /// The newest event time.
    pub max_time: Micros,
}

impl Waiting {
    /// Anything may wait.
    pub const ANYTHING: Self = Self { buckets: BucketSet::MAX, min_time: Micros::MIN, max_time: Micros::MAX };

    /// These chunks wait; `None`: there are none.
    pub fn of<'a>(chunks: impl IntoIterator<Item = &'a HotChunk>) -> Option<Self> {
        let one = |chunk: &HotChunk| Self {
            // One that there is no bucket for is in no read of a bucket that there is.
            buckets: 1_u32.checked_shl(u32::from(chunk.bucket)).unwrap_or(BucketSet::MAX),
            min_time: chunk.min_time,
            max_time: chunk.max_time,
        };
        chunks.into_iter().map(one).reduce(|all, one| Self {
            buckets: all.buckets | one.buckets,
            min_time: all.min_time.min(one.min_time),
            max_time: all.max_time.max(one.max_time),
        })
    }

    /// Whether a read of this bucket (`None`: all) can meet such a row between these event times, both included.
    pub fn meets(&self, bucket: Option<u16>, from: Micros, to: Micros) -> bool {
        let in_bucket = bucket.is_none_or(|bucket| {
            let bit = 1_u32.checked_shl(u32::from(bucket)).unwrap_or(BucketSet::MAX);
            self.buckets & bit != 0
        });
        in_bucket && self.min_time <= to && self.max_time >= from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::hot_index::chunk;

    #[test]
    fn what_waits_is_met_in_its_buckets_and_times_alone() {
        assert_eq!(Waiting::of([]), None);
        let chunks = [chunk("a", 3, 1, (100, 200)), chunk("a", 31, 1, (150, 300)), chunk("a", 0, 1, (90, 90))];
        let waiting = Waiting::of(&chunks).unwrap();
        assert_eq!((waiting.min_time, waiting.max_time), (90, 300));
        for (bucket, from, to, met) in [
            (None, Micros::MIN, Micros::MAX, true),
            (None, 301, Micros::MAX, false),
            (None, Micros::MIN, 89, false),
            (None, 300, 300, true),
            (Some(3), 0, 90, true),
            (Some(31), 300, 400, true),
            (Some(0), 90, 90, true),
            (Some(1), Micros::MIN, Micros::MAX, false),
            (Some(30), Micros::MIN, Micros::MAX, false),
        ] {
            assert_eq!(waiting.meets(bucket, from, to), met, "{bucket:?} {from} {to}");
        }
        assert!((0..BUCKETS).all(|bucket| Waiting::ANYTHING.meets(Some(bucket), 7, 7)));
    }
}

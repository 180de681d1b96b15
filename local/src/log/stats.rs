//! How much a log holds, for metrics and for the shards' states.

use alluvium_core::clock::Micros;
use alluvium_core::identity::{SequenceNumber, ShardId};
use alluvium_core::ports::ShardState;

use super::shard::Shard;

/// How much a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStats {
    /// One entry per shard, by number.
    pub shards: Vec<ShardStats>,
    /// How many bytes it may hold.
    pub max_bytes: u64,
}

/// How much one shard holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStats {
    /// The shard.
    pub shard: ShardId,
    /// The bytes of its segment files.
    pub bytes: u64,
    /// How many segment files it has.
    pub segments: usize,
    /// How many records they hold.
    pub records: u64,
    /// The oldest record that it holds; `None`: it holds none.
    pub oldest: Option<SequenceNumber>,
    /// The newest record that it ever stored; `None`: there never was one.
    pub newest: Option<SequenceNumber>,
    /// When the oldest record that it holds arrived.
    pub oldest_arrival: Option<Micros>,
}

impl LogStats {
    /// The bytes of all segment files.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes).sum()
    }
}

impl Shard {
    pub(super) fn stats(&self) -> ShardStats {
        let view = self.view();
        let (oldest, next) = (view.oldest(), view.next());
        ShardStats {
            shard: self.id.clone(),
            bytes: view.bytes,
            segments: view.segments.len(),
            records: next - oldest,
            oldest: (oldest < next).then(|| oldest.into()),
            newest: (next > 1).then(|| (next - 1).into()),
            oldest_arrival: view.segments.iter().find_map(|segment| segment.oldest_arrival),
        }
    }

    pub(super) fn state(&self) -> ShardState {
        let ShardStats { shard, oldest, newest, .. } = self.stats();
        ShardState { shard, oldest, newest }
    }
}

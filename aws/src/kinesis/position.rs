//! Where readers stand in the shards between two reads, and when a shard may be asked again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alluvium_core::identity::{SequenceNumber, ShardId};
use alluvium_core::record::StreamRecord;
use tokio::time::Instant;

/// The shortest time between two reads of a shard: of the five a second that it allows, one is left to Firehose, which reads
/// once a second. Amazon Kinesis Data Streams Developer Guide, "Quotas and limits".
const PACE: Duration = Duration::from_millis(250);

/// The bytes that a shard gives in a second. Amazon Kinesis Data Streams API Reference, `GetRecords`.
const BYTES_PER_SECOND: usize = 2 * 1024 * 1024;

/// How long a shard is left alone that said it was asked too often.
const THROTTLED_PAUSE: Duration = Duration::from_secs(1);

/// The most positions that are kept for each shard: as many readers continue without a new iterator.
const KEPT: usize = 4;

/// What the next call of a reader takes.
#[derive(Debug, Default)]
pub(super) enum Next {
    /// An iterator made anew from where the reader stands.
    #[default]
    Unknown,
    /// This iterator.
    At(String),
    /// Nothing: the shard is closed and read to its end.
    Ended,
}

/// A reader's place in a shard.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The record that was handed out last, or that the reader named.
    pub(super) after: Option<SequenceNumber>,
    /// What was fetched and not yet handed out.
    pub(super) held: VecDeque<StreamRecord>,
    /// Where the records after those come from.
    pub(super) next: Next,
    /// Whether the shard has yet to show that it still holds `after`: the first record that `next` gives is it.
    pub(super) unproven: bool,
    /// Whether the shard held more when it was last asked.
    pub(super) behind: bool,
}

/// The places of all readers.
#[derive(Debug, Default)]
pub(super) struct Positions(Mutex<HashMap<ShardId, Shard>>);

#[derive(Debug, Default)]
struct Shard {
    /// When it may be asked again.
    free_at: Option<Instant>,
    /// Oldest first.
    kept: VecDeque<Position>,
}

impl Positions {
    /// The place after this record, with what is known of it. It is the caller's until it is [kept](Self::keep) again: another
    /// reader at the same place starts anew.
    pub(super) fn take(&self, shard: &ShardId, after: Option<SequenceNumber>) -> Position {
        let mut shards = self.lock();
        let kept = shards.get_mut(shard).and_then(|shard| {
            let index = shard.kept.iter().position(|position| position.after == after)?;
            shard.kept.remove(index)
        });
        kept.unwrap_or_else(|| Position { after, ..Position::default() })
    }

    /// Keeps a place for the next read that continues there.
    pub(super) fn keep(&self, shard: &ShardId, position: Position) {
        let mut shards = self.lock();
        let kept = &mut shards.entry(shard.clone()).or_default().kept;
        kept.push_back(position);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// When the shard can be asked: whoever is told does so, and the next is told a later time. `None`: not by `latest`.
    pub(super) fn slot(&self, shard: &ShardId, now: Instant, latest: Option<Instant>) -> Option<Instant> {
        let mut shards = self.lock();
        let free_at = &mut shards.entry(shard.clone()).or_default().free_at;
        let slot = free_at.map_or(now, |free_at| free_at.max(now));
        if latest.is_some_and(|latest| slot > latest) {
            return None;
        }
        *free_at = Some(slot + PACE);
        Some(slot)
    }

    /// Leaves a shard alone for as long as it takes to give so many bytes.
    pub(super) fn gave(&self, shard: &ShardId, now: Instant, bytes: usize) {
        let seconds = bytes as f64 / BYTES_PER_SECOND as f64;
        self.pause(shard, now + Duration::from_secs_f64(seconds));
    }

    /// Leaves a shard alone that said it was asked too often.
    pub(super) fn throttled(&self, shard: &ShardId, now: Instant) {
        self.pause(shard, now + THROTTLED_PAUSE);
    }

    fn pause(&self, shard: &ShardId, until: Instant) {
        let mut shards = self.lock();
        let free_at = &mut shards.entry(shard.clone()).or_default().free_at;
        *free_at = (*free_at).max(Some(until));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShardId, Shard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

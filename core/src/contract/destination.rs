//! What every [`Destination`] does.
//!
//! Each function takes a destination that nobody else puts to, that is not at its limits, and that takes every call that keeps to them.
//! What depends on shards is asked of a destination that has a shard map; what depends on reading back, of one that can be read.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use bytes::Bytes;

use crate::destination::{CallEffect, Destination, EntryId, EntryVerdict, HashKeyRange, PutEntry};
use crate::ports::Advice;
use crate::record::{PutRecord, hash_key};
use crate::{SequenceNumber, ShardId};

/// The bytes of an entry where its size does not matter.
const SMALL: usize = 64;

/// An entry as a destination holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Where it lies; `None`: its readers are not told.
    pub place: Option<(ShardId, SequenceNumber)>,
    /// The key that it was put with; `None`: the destination does not keep it.
    pub partition_key: Option<String>,
    /// What was put.
    pub data: Bytes,
}

/// The other side of a destination.
#[async_trait]
pub trait Stored: Send + Sync {
    /// Everything that was ever stored, as soon as that is at least so many entries; `None`: nobody can read it.
    async fn entries(&self, at_least: usize) -> Option<Vec<StoredEntry>>;

    /// Exactly so many bytes that the destination takes, with a word inside that no other entry has.
    fn data(&self, word: &str, bytes: usize) -> Bytes {
        let mut data = word.as_bytes().to_vec();
        data.resize(bytes, b'.');
        data.into()
    }
}

/// Runs all of them on one destination.
///
/// # Panics
///
/// When the destination breaks the contract.
pub async fn all(destination: &dyn Destination, stored: &dyn Stored) {
    the_shard_map_gives_each_hash_key_to_one_shard(destination).await;
    a_call_of_as_many_entries_as_it_takes_is_read_back_once(destination, stored).await;
    sequence_numbers_grow_from_call_to_call(destination, stored).await;
    an_explicit_hash_key_lies_in_the_shard_of_the_map(destination, stored).await;
    an_entry_beyond_the_limit_is_refused(destination, stored).await;
    an_entry_of_as_many_bytes_as_it_takes_is_stored_whole(destination, stored).await;
}

fn entry(id: u128, partition_key: &str, data: Bytes) -> PutEntry {
    let record = PutRecord { partition_key: partition_key.to_owned(), explicit_hash_key: None, data };
    PutEntry { id: EntryId(id), record }
}

/// Makes a call of which every entry is to be stored: their places, in order.
async fn put(destination: &dyn Destination, entries: Vec<PutEntry>) -> Vec<(ShardId, SequenceNumber)> {
    let expected = entries.len();
    let verdicts = destination.put(entries).await.expect("a call within the limits");
    assert_eq!(verdicts.len(), expected, "one verdict per entry");
    let place = |verdict| match verdict {
        EntryVerdict::Stored { shard, sequence } => (shard, sequence),
        other => panic!("a good entry was not stored: {other:?}"),
    };
    verdicts.into_iter().map(place).collect()
}

async fn shard_map(destination: &dyn Destination) -> Option<Vec<HashKeyRange>> {
    destination.shard_map().await.expect("the destination can be asked for its shards")
}

fn shard_of(map: &[HashKeyRange], hash_key: u128) -> &ShardId {
    let range = map.iter().find(|range| (range.first..=range.last).contains(&hash_key));
    &range.expect("the map has every hash key").shard
}

async fn count(stored: &dyn Stored) -> usize {
    stored.entries(0).await.map_or(0, |entries| entries.len())
}

/// The open shards share all hash keys out, without a gap and without an overlap. There is at least one if there is a map.
///
/// # Panics
///
/// When they do not.
pub async fn the_shard_map_gives_each_hash_key_to_one_shard(destination: &dyn Destination) {
    let Some(mut map) = shard_map(destination).await else { return };
    map.sort_by_key(|range| range.first);
    assert_eq!(map.first().map(|range| range.first), Some(0), "the first hash key is a shard's: {map:?}");
    assert_eq!(map.last().map(|range| range.last), Some(u128::MAX), "the last hash key is a shard's: {map:?}");
    for pair in map.windows(2) {
        assert_eq!(pair[0].last.checked_add(1), Some(pair[1].first), "a gap or an overlap: {pair:?}");
    }
    let shards: HashSet<_> = map.iter().map(|range| &range.shard).collect();
    assert_eq!(shards.len(), map.len(), "a shard is there twice: {map:?}");
}

/// A full call has a verdict for each entry, in order, and each entry is stored once (IN-1), with its data and its key, where its verdict
/// and the shard map say.
///
/// # Panics
///
/// When it is otherwise.
pub async fn a_call_of_as_many_entries_as_it_takes_is_read_back_once(
    destination: &dyn Destination,
    stored: &dyn Stored,
) {
    let before = count(stored).await;
    let entries: Vec<_> = (0..destination.limits().entries_per_call)
        .map(|n| entry(n as u128, &format!("key {n}"), stored.data(&format!("full call {n} "), SMALL)))
        .collect();
    let places = put(destination, entries.clone()).await;
    if let Some(map) = shard_map(destination).await {
        for ((shard, _), entry) in places.iter().zip(&entries) {
            assert_eq!(shard, shard_of(&map, hash_key(&entry.record.partition_key)), "{entry:?}");
        }
        assert_eq!(places.iter().collect::<HashSet<_>>().len(), places.len(), "two entries in one place");
    }
    let Some(read) = stored.entries(before + entries.len()).await else { return };
    for (place, PutEntry { record, .. }) in places.into_iter().zip(entries) {
        let mut found = read.iter().filter(|read| read.data == record.data);
        let first = found.next().unwrap_or_else(|| panic!("{record:?} is not there"));
        assert_eq!(found.next(), None, "{record:?} is there twice");
        assert!(first.partition_key.as_ref().is_none_or(|key| *key == record.partition_key), "{first:?} of {record:?}");
        assert!(first.place.as_ref().is_none_or(|read| *read == place), "{first:?} was said to be in {place:?}");
    }
}

/// In each shard what is put later has a higher sequence number.
///
/// # Panics
///
/// When it has not.
pub async fn sequence_numbers_grow_from_call_to_call(destination: &dyn Destination, stored: &dyn Stored) {
    let Some(map) = shard_map(destination).await else { return };
    let mut newest = HashMap::new();
    for n in 0..20 {
        let data = stored.data(&format!("growing {n} "), SMALL);
        let (shard, sequence) = put(destination, vec![entry(n, &format!("key {}", n % 5), data)]).await.remove(0);
        assert!(map.iter().any(|range| range.shard == shard), "{shard} is not in {map:?}");
        if let Some(before) = newest.insert(shard.clone(), sequence) {
            assert!(before < sequence, "{shard} has {sequence} after {before}");
        }
    }
}

/// The first hash key of each shard, the last but one, and one between take the place of the partition key's. The last itself is left
/// out, for moto gives it to no shard and answers 500.
///
/// # Panics
///
/// When they do not.
pub async fn an_explicit_hash_key_lies_in_the_shard_of_the_map(destination: &dyn Destination, stored: &dyn Stored) {
    let Some(map) = shard_map(destination).await else { return };
    for range in &map {
        let last = range.last - 1;
        for hash_key in [range.first, range.first + (last - range.first) / 2, last] {
            let mut entry = entry(hash_key, "the same key", stored.data(&format!("at {hash_key} "), SMALL));
            entry.record.explicit_hash_key = Some(hash_key);
            assert_eq!(put(destination, vec![entry]).await[0].0, range.shard, "{hash_key} of {range:?}");
        }
    }
}

/// An entry far beyond the limit is refused for good, in whichever way, and nothing of it is stored.
///
/// # Panics
///
/// When it is stored, or tried again would be.
pub async fn an_entry_beyond_the_limit_is_refused(destination: &dyn Destination, stored: &dyn Stored) {
    let before = count(stored).await;
    // A limit may be lower than the service's own: for room, or since some of its streams take more.
    let data = stored.data("too large ", destination.limits().bytes_per_entry * 2);
    match destination.put(vec![entry(0, "key", data)]).await {
        Ok(verdicts) => assert!(matches!(verdicts[..], [EntryVerdict::Invalid(_)]), "{verdicts:?}"),
        Err(error) => {
            assert_eq!((error.effect, error.advice), (CallEffect::NothingStored, Advice::Stop), "{error:?}");
        }
    }
    assert_eq!(count(stored).await, before, "something of it is stored");
}

/// An entry at the limit is stored, and nothing of it is cut.
///
/// # Panics
///
/// When it is not.
pub async fn an_entry_of_as_many_bytes_as_it_takes_is_stored_whole(destination: &dyn Destination, stored: &dyn Stored) {
    let (before, limits, key) = (count(stored).await, destination.limits(), "key");
    let data = stored.data("just right ", limits.bytes_per_entry - limits.counted(key.len(), 0));
    put(destination, vec![entry(0, key, data.clone())]).await;
    let Some(read) = stored.entries(before + 1).await else { return };
    assert!(read.iter().any(|read| read.data == data), "it is not there as it was put");
}

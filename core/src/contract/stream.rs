//! What every [`Stream`] does.
//!
//! Each function takes a stream that nobody else appends to, of whatever number of shards, and reads only what it appended.
//!
//! A stream may show a record a moment after it has stored it, and may not tell which one is a shard's newest: Kinesis does
//! neither at once. So what was appended is waited for, and where a shard ends is found by reading to its end.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use crate::envelope::MAX_SEAL_BYTES;
use crate::limits::{PARTITION_KEY_CHARS, STREAM_RECORD_BYTES};
use crate::ports::{PutVerdict, Refusal, Stream};
use crate::record::{PutBatch, PutRecord, StreamRecord};
use crate::{SequenceNumber, ShardId};

/// Longer than any stream takes to show what it has stored, and short enough to wait for in a test that fails.
const LONG: Duration = Duration::from_secs(30);

/// Runs all of them on one stream.
///
/// # Panics
///
/// When the stream breaks the contract.
pub async fn all(stream: &dyn Stream) {
    what_was_stored_is_read_back_in_order(stream).await;
    records_of_one_key_share_a_shard(stream).await;
    a_hash_key_takes_the_place_of_the_partition_keys(stream).await;
    a_bad_record_is_refused_alone(stream).await;
    an_empty_batch_has_no_verdicts(stream).await;
    a_page_holds_what_was_asked_for_and_at_least_one_record(stream).await;
    a_reader_at_the_end_gets_nothing(stream).await;
    a_waiting_reader_is_woken(stream).await;
    an_unknown_shard_is_refused(stream).await;
}

/// A record for tests.
pub fn record(key: &str, data: impl Into<Bytes>) -> PutRecord {
    PutRecord { partition_key: key.to_owned(), explicit_hash_key: None, data: data.into() }
}

/// The newest position of each shard, where a test begins to read: what the stream says, or else what reading shows.
///
/// # Panics
///
/// When the stream cannot be asked.
pub async fn ends(stream: &dyn Stream) -> HashMap<ShardId, Option<SequenceNumber>> {
    let shards = stream.shards().await.expect("a stream knows its shards");
    assert!(!shards.is_empty(), "a stream has a shard");
    let mut ends = HashMap::new();
    for state in shards {
        let newest = match state.newest {
            Some(newest) => Some(newest),
            None => read_all(stream, &state.shard, None, 1 << 20).await.last().map(|last| last.identity.sequence),
        };
        ends.insert(state.shard, newest);
    }
    ends
}

/// Everything that a shard holds after a position.
///
/// # Panics
///
/// When it cannot be read, or a page is empty although there was more.
pub async fn read_all(
    stream: &dyn Stream,
    shard: &ShardId,
    mut after: Option<SequenceNumber>,
    max_bytes: usize,
) -> Vec<StreamRecord> {
    let mut records = Vec::new();
    loop {
        let page = stream.read(shard, after, max_bytes, Duration::ZERO).await.expect("a known position can be read");
        assert!(!(page.more && page.records.is_empty()), "a page without a record although there are more");
        let Some(last) = page.records.last() else { return records };
        after = Some(last.identity.sequence);
        let more = page.more;
        records.extend(page.records);
        if !more {
            return records;
        }
    }
}

/// The `expected` records that a shard holds after a position, as soon as it shows them; no more may follow.
async fn read_expected(
    stream: &dyn Stream,
    shard: &ShardId,
    after: Option<SequenceNumber>,
    max_bytes: usize,
    expected: usize,
) -> Vec<StreamRecord> {
    let mut records: Vec<StreamRecord> = Vec::new();
    while records.len() < expected {
        let at = records.last().map(|last| last.identity.sequence).or(after);
        let page = stream.read(shard, at, max_bytes, LONG).await.expect("a known position can be read");
        assert!(!page.records.is_empty(), "{shard} shows {} of {expected} records", records.len());
        records.extend(page.records);
    }
    let at = records.last().map(|last| last.identity.sequence).or(after);
    assert!(read_all(stream, shard, at, max_bytes).await.is_empty(), "{shard} holds more than was appended");
    records
}

async fn append(stream: &dyn Stream, records: Vec<PutRecord>) -> Vec<(ShardId, SequenceNumber)> {
    let expected = records.len();
    let verdicts = stream.append(PutBatch { records }).await.expect("an append");
    assert_eq!(verdicts.len(), expected, "one verdict per record");
    let stored = |verdict| match verdict {
        PutVerdict::Stored { shard, sequence } => (shard, sequence),
        refused => panic!("a good record was not stored: {refused:?}"),
    };
    verdicts.into_iter().map(stored).collect()
}

/// Every acknowledged record is read back with its key, data, shard and sequence number, in order, with arrival times that
/// do not go backwards (IN-1).
///
/// # Panics
///
/// When it is not.
pub async fn what_was_stored_is_read_back_in_order(stream: &dyn Stream) {
    let before = ends(stream).await;
    let records: Vec<_> = (0..50).map(|n| record(&format!("key {n}"), format!("data {n}"))).collect();
    let stored = append(stream, records.clone()).await;
    for (shard, end) in &before {
        let expected: Vec<_> = stored.iter().zip(&records).filter(|((at, _), _)| at == shard).collect();
        let read = read_expected(stream, shard, *end, 1 << 20, expected.len()).await;
        for (read, ((_, sequence), put)) in read.iter().zip(expected) {
            assert_eq!((&read.identity.shard, read.identity.sequence), (shard, *sequence));
            assert_eq!((&read.partition_key, &read.data), (&put.partition_key, &put.data));
        }
        assert!(read.is_sorted_by_key(|record| record.arrival), "arrival goes backwards in {shard}");
        assert!(read.is_sorted_by(|a, b| a.identity.sequence < b.identity.sequence), "no order in {shard}");
    }
    let after = ends(stream).await;
    for (shard, newest) in stored.iter().fold(HashMap::new(), |mut newest, (shard, sequence)| {
        newest.insert(shard, *sequence);
        newest
    }) {
        assert_eq!(after[shard], Some(newest), "the newest record of {shard}");
    }
}

/// Equal keys go to one shard.
///
/// # Panics
///
/// When they do not.
pub async fn records_of_one_key_share_a_shard(stream: &dyn Stream) {
    let stored = append(stream, (0..20).map(|n| record("one key", format!("{n}"))).collect()).await;
    assert!(stored.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].1 < pair[1].1), "{stored:?}");
}

/// An explicit hash key decides the shard. The highest but one stands for the highest, which moto gives to no shard.
///
/// # Panics
///
/// When it does not.
pub async fn a_hash_key_takes_the_place_of_the_partition_keys(stream: &dyn Stream) {
    let shards = stream.shards().await.expect("a stream knows its shards");
    let at = |hash_key| PutRecord { explicit_hash_key: Some(hash_key), ..record("the same key", "x") };
    let stored = append(stream, vec![at(0), at(u128::MAX - 1)]).await;
    assert_eq!(stored[0].0, shards[0].shard, "the lowest hash key is the first shard's");
    assert_eq!(stored[1].0, shards[shards.len() - 1].shard, "a hash key near the end is the last shard's");
}

/// A record that breaks a limit gets its own verdict and spoils no other.
///
/// # Panics
///
/// When it does.
pub async fn a_bad_record_is_refused_alone(stream: &dyn Stream) {
    let records = vec![
        record("a", "good"),
        record("", "no key"),
        record(&"k".repeat(PARTITION_KEY_CHARS + 1), "a key too long"),
        record("a", vec![0; STREAM_RECORD_BYTES + MAX_SEAL_BYTES + 1]),
        record(&"k".repeat(PARTITION_KEY_CHARS), "good"),
    ];
    let verdicts = stream.append(PutBatch { records }).await.expect("an append");
    let good: Vec<_> = verdicts.iter().map(|verdict| matches!(verdict, PutVerdict::Stored { .. })).collect();
    assert_eq!(good, [true, false, false, false, true]);
    for verdict in &verdicts[1..4] {
        assert!(matches!(verdict, PutVerdict::Refused(Refusal::Invalid(_))), "{verdict:?}");
    }
}

/// Nothing in, nothing out.
///
/// # Panics
///
/// When it is otherwise.
pub async fn an_empty_batch_has_no_verdicts(stream: &dyn Stream) {
    assert_eq!(stream.append(PutBatch::default()).await.expect("an append"), []);
}

/// A page ends before `max_bytes` of data are passed, unless its first record alone is larger.
///
/// # Panics
///
/// When it does not.
pub async fn a_page_holds_what_was_asked_for_and_at_least_one_record(stream: &dyn Stream) {
    let before = ends(stream).await;
    let stored = append(stream, (0..6).map(|_| record("one key", vec![b'x'; 1000])).collect()).await;
    let shard = &stored[0].0;
    for (max_bytes, most) in [(0, 1), (999, 1), (2500, 2), (1 << 20, 6)] {
        let page = stream.read(shard, before[shard], max_bytes, LONG).await.expect("a read");
        assert!((1..=most).contains(&page.records.len()), "{} records in {max_bytes} bytes", page.records.len());
        assert!(page.more || page.records.len() == 6);
        read_expected(stream, shard, before[shard], max_bytes, 6).await;
    }
}

/// At the end a read without waiting is empty, and says that there is no more.
///
/// # Panics
///
/// When it is not.
pub async fn a_reader_at_the_end_gets_nothing(stream: &dyn Stream) {
    for (shard, newest) in ends(stream).await {
        let page = stream.read(&shard, newest, 1000, Duration::ZERO).await.expect("a read");
        assert!(page.records.is_empty() && !page.more, "{shard}");
    }
}

/// A reader that waits sees a record soon after it is stored.
///
/// # Panics
///
/// When it does not.
pub async fn a_waiting_reader_is_woken(stream: &dyn Stream) {
    let (shard, newest) = append(stream, vec![record("one key", "before")]).await.remove(0);
    let mut read = pin!(stream.read(&shard, Some(newest), 1000, LONG));
    // Once, so that it waits when the record comes.
    let early = poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_ready())).await;
    assert!(!early, "a read at the end did not wait");
    append(stream, vec![record("one key", "after")]).await;
    let page = read.await.expect("a read");
    assert_eq!(page.records.iter().map(|record| record.data.as_ref()).collect::<Vec<_>>(), [b"after".as_slice()]);
}

/// A shard that is not there cannot be read.
///
/// # Panics
///
/// When it can.
pub async fn an_unknown_shard_is_refused(stream: &dyn Stream) {
    let unknown = ShardId::new("shardId-no-such-shard");
    assert!(stream.read(&unknown, None, 1000, Duration::ZERO).await.is_err());
}

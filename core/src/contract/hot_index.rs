//! What every [`HotIndex`] does.
//!
//! Each function takes an empty index that is its own. Names of datasets start with the test's own word, so that one shared
//! index does too.

use bytes::Bytes;

use crate::clock::Micros;
use crate::hot::{HotChunk, HotQuery, Newest, PutPosition, PutQuery, TIME_BUCKET_MICROS, time_bucket_of};
use crate::identity::BatchIdentity;
use crate::ports::HotIndex;
use crate::record::{DeliveryBatch, StreamRecord};
use crate::{RecordIdentity, SequenceNumber, ShardId};

/// Runs all of them on one index.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn all(index: &dyn HotIndex) {
    what_was_put_is_read_back_whole(index).await;
    the_newest_come_first_however_many_are_asked_for(index).await;
    a_bucket_and_a_range_narrow_what_is_read(index).await;
    a_chunk_put_again_takes_the_place_of_the_first(index).await;
    an_expired_chunk_is_never_read(index).await;
    the_mark_is_kept_per_dataset(index).await;
    puts_are_told_in_their_order(index).await;
    what_is_put_again_is_told_again_and_what_expired_is_not(index).await;
}

/// A chunk for tests: its block is the text of its times.
///
/// # Panics
///
/// When the two times lie in different time buckets.
pub fn chunk(dataset: &str, bucket: u16, batch: u64, times: (Micros, Micros)) -> HotChunk {
    let (min_time, max_time) = times;
    assert_eq!(time_bucket_of(min_time), time_bucket_of(max_time), "a chunk never spans two time buckets");
    HotChunk {
        dataset: dataset.to_owned(),
        bucket,
        time_bucket: time_bucket_of(min_time),
        batch: identity(batch),
        part: 0,
        rows: 2,
        min_time,
        max_time,
        expires_at: max_time + 10 * TIME_BUCKET_MICROS,
        block: Bytes::from(format!("{dataset} {bucket} {batch} {min_time} {max_time}")),
    }
}

fn identity(batch: u64) -> BatchIdentity {
    let identity =
        RecordIdentity { shard: ShardId::new("shard-0"), sequence: SequenceNumber::from(batch), subsequence: 0 };
    let record = StreamRecord { identity, arrival: 0, partition_key: String::new(), data: Bytes::new() };
    DeliveryBatch { records: vec![record] }.identity()
}

/// A question for all chunks of a dataset.
pub fn everything(dataset: &str) -> HotQuery {
    let (from, to, below) = (Micros::MIN, Micros::MAX, Micros::MAX);
    HotQuery { dataset: dataset.to_owned(), bucket: None, source: None, from, to, below, most: 9, now: 0 }
}

/// All chunks that a question wants, asked for until there are no more.
///
/// # Panics
///
/// When the index cannot be asked, or an answer does not hold what it says.
pub async fn newest(index: &dyn HotIndex, query: HotQuery) -> Vec<HotChunk> {
    let mut all: Vec<HotChunk> = Vec::new();
    let mut below = query.below;
    loop {
        let asked = HotQuery { below, ..query.clone() };
        let Newest { chunks, below: next } = index.newest(asked).await.expect("the index can be asked");
        let is_within = |chunk: &HotChunk| chunk.max_time <= below && next.is_none_or(|next| chunk.max_time > next);
        assert!(chunks.iter().all(is_within), "between {below} and {next:?}: {chunks:?}");
        all.extend(chunks);
        match next {
            Some(next) => {
                assert!(next < below, "{next} is not below {below}");
                below = next;
            }
            None => break,
        }
    }
    assert!(all.is_sorted_by(|one, next| one.max_time >= next.max_time), "the newest come first: {all:?}");
    all
}

async fn put(index: &dyn HotIndex, chunks: Vec<HotChunk>) {
    index.put(chunks).await.expect("the index takes chunks");
}

/// Every field of a chunk survives, times before 1970 included.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn what_was_put_is_read_back_whole(index: &dyn HotIndex) {
    assert_eq!(newest(index, everything("whole")).await, [], "an empty index answers with nothing");
    let mut old = chunk("whole", 3, 1, (-5, -1));
    old.part = 7;
    old.expires_at = Micros::MAX;
    put(index, vec![old.clone()]).await;
    assert_eq!(newest(index, everything("whole")).await, [old.clone()]);
    index.flush().await.expect("the index can be made durable");
    assert_eq!(newest(index, everything("whole")).await, [old]);
    assert_eq!(newest(index, everything("whol")).await, [], "another dataset's chunks are not read");
    let waiting = index.waiting("whole", Micros::MIN).await.expect("the index can be asked");
    assert_eq!(waiting, [], "what can be read does not wait");
}

/// By their newest row, over all time buckets and buckets, whether they are asked for one by one or all at once.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn the_newest_come_first_however_many_are_asked_for(index: &dyn HotIndex) {
    let at = |time_bucket: i64, offset: Micros| time_bucket * TIME_BUCKET_MICROS + offset;
    let older = chunk("order", 1, 1, (at(-2, 5), at(-2, 9)));
    let first = chunk("order", 1, 2, (at(4, 0), at(4, 10)));
    let second = chunk("order", 2, 3, (at(4, 1), at(4, 30)));
    let third = chunk("order", 1, 4, (at(4, 2), at(4, 20)));
    put(index, vec![older.clone(), first.clone(), second.clone(), third.clone()]).await;
    for most in [1, 2, 3, usize::MAX] {
        let all = HotQuery { most, ..everything("order") };
        assert_eq!(newest(index, all.clone()).await, [&second, &third, &first, &older].map(Clone::clone));
        let below = |below| HotQuery { below, ..all.clone() };
        assert_eq!(newest(index, below(at(4, 20))).await, [&third, &first, &older].map(Clone::clone));
        assert_eq!(newest(index, below(at(4, 19))).await, [&first, &older].map(Clone::clone));
        let of_bucket = HotQuery { bucket: Some(1), ..below(at(4, 20)) };
        assert_eq!(newest(index, of_bucket).await, [&third, &first, &older].map(Clone::clone));
        let within = HotQuery { from: at(-1, 0), to: at(4, 1), ..below(at(4, 29)) };
        assert_eq!(newest(index, within).await, std::slice::from_ref(&first));
        let before = HotQuery { to: at(4, 0) - 1, ..all.clone() };
        assert_eq!(newest(index, before).await, std::slice::from_ref(&older));
        let before = HotQuery { to: older.time_bucket - 1, ..all };
        assert_eq!(newest(index, before).await, []);
    }
    let ties: Vec<HotChunk> = (1..=3).map(|batch| chunk("ties", 1, batch, (5, 7))).collect();
    put(index, ties.clone()).await;
    let found = newest(index, HotQuery { most: 1, ..everything("ties") }).await;
    assert!(found.len() == 3 && ties.iter().all(|chunk| found.contains(chunk)), "{found:?}");
}

/// Only chunks of the bucket asked for, and only those whose times meet the range, both ends included.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn a_bucket_and_a_range_narrow_what_is_read(index: &dyn HotIndex) {
    let low = chunk("narrow", 1, 1, (100, 200));
    let high = chunk("narrow", 1, 2, (300, 400));
    let other = chunk("narrow", 31, 3, (300, 400));
    let newer = chunk("narrow", 31, 4, (TIME_BUCKET_MICROS, TIME_BUCKET_MICROS));
    put(index, vec![low.clone(), high.clone(), other.clone(), newer]).await;
    let of_bucket = |from, to| HotQuery { bucket: Some(1), from, to, ..everything("narrow") };
    assert_eq!(newest(index, of_bucket(Micros::MIN, Micros::MAX)).await, [high.clone(), low.clone()]);
    assert_eq!(newest(index, of_bucket(200, 299)).await, std::slice::from_ref(&low));
    assert_eq!(newest(index, of_bucket(200, 300)).await, [high.clone(), low]);
    assert_eq!(newest(index, of_bucket(201, 299)).await, []);
    assert_eq!(newest(index, of_bucket(300, 200)).await, [], "a range that holds nothing");
    let all_buckets = HotQuery { from: 250, to: 350, ..everything("narrow") };
    let both = newest(index, all_buckets).await;
    assert_eq!(both.len(), 2);
    assert!(both.contains(&high) && both.contains(&other));
}

/// A retry of a batch writes its chunks over again; what the first said of itself is forgotten.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn a_chunk_put_again_takes_the_place_of_the_first(index: &dyn HotIndex) {
    let first = chunk("again", 1, 1, (100, 200));
    let mut second = first.clone();
    second.expires_at += 5;
    second.block = Bytes::from_static(b"second");
    let mut other_part = first.clone();
    other_part.part = 1;
    put(index, vec![first.clone()]).await;
    put(index, vec![second.clone(), other_part.clone()]).await;
    let held = newest(index, everything("again")).await;
    assert_eq!(held.len(), 2);
    assert!(held.contains(&second) && held.contains(&other_part));
    index.expire(first.expires_at).await.expect("the index can forget");
    assert_eq!(newest(index, everything("again")).await, [second], "its new expiry counts, not its old one");
}

/// An expired chunk is filtered on read, and forgotten by `expire`.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn an_expired_chunk_is_never_read(index: &dyn HotIndex) {
    let gone = chunk("expiry", 1, 1, (100, 200));
    let kept = chunk("expiry", 1, 2, (100, 201));
    put(index, vec![gone.clone(), kept.clone()]).await;
    let at = |now| HotQuery { now, ..everything("expiry") };
    assert_eq!(newest(index, at(gone.expires_at - 1)).await, [kept.clone(), gone.clone()]);
    assert_eq!(newest(index, at(gone.expires_at)).await, std::slice::from_ref(&kept));
    let forgotten = index.expire(gone.expires_at).await.expect("the index can forget");
    assert!(forgotten >= 1);
    assert_eq!(newest(index, at(0)).await, [kept], "what is forgotten is gone at any time");
}

/// The mark is unset at first, then what it was last set to.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn the_mark_is_kept_per_dataset(index: &dyn HotIndex) {
    let mark = async |dataset: &str| index.complete_since(dataset).await.expect("the index can be asked");
    assert_eq!(mark("mark").await, None);
    index.set_complete_since("mark", 17).await.expect("the mark can be set");
    index.set_complete_since("mark", -3).await.expect("the mark can be set back");
    index.set_complete_since("other", Micros::MAX).await.expect("the mark can be set");
    assert_eq!(mark("mark").await, Some(-3));
    assert_eq!(mark("other").await, Some(Micros::MAX));
}

/// A time at which those chunks have expired that are not kept for long.
const LATER: Micros = Micros::MAX / 2;

/// A chunk that is kept for long.
fn kept(dataset: &str, bucket: u16, batch: u64) -> HotChunk {
    HotChunk { expires_at: Micros::MAX, ..chunk(dataset, bucket, batch, (100, 200)) }
}

/// Reads on from a position to the end, so many chunks at a time; the chunks, and the end.
async fn told(
    index: &dyn HotIndex,
    dataset: &str,
    bucket: Option<u16>,
    from: &PutPosition,
    most: usize,
) -> (Vec<HotChunk>, PutPosition) {
    let (mut from, mut told) = (from.clone(), Vec::new());
    loop {
        let query = PutQuery { dataset: dataset.to_owned(), bucket, from: from.clone(), most, now: LATER };
        let puts = index.puts(query).await.expect("the index can be asked");
        assert!(puts.chunks.len() <= most, "more than {most} chunks");
        for (position, chunk) in puts.chunks {
            assert!(from <= position && position < puts.up_to, "{position} is not between {from} and {}", puts.up_to);
            from = position.past();
            told.push(chunk);
        }
        assert!(puts.up_to >= from, "{} is before {from}", puts.up_to);
        from = puts.up_to;
        if !puts.more {
            return (told, from);
        }
    }
}

/// In their order, those of one call in any, each once, a few at a time as well; from the end of what was told, what was put since.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn puts_are_told_in_their_order(index: &dyn HotIndex) {
    let beginning = PutPosition::at(Micros::MIN);
    let (nothing, end) = told(index, "puts", None, &beginning, 9).await;
    assert_eq!(nothing, []);
    let first = [kept("puts", 5, 3), kept("puts", 2, 2), kept("other", 5, 1)];
    let second = [kept("puts", 5, 1)];
    put(index, first.to_vec()).await;
    let (_, between) = told(index, "puts", None, &end, 9).await;
    put(index, second.to_vec()).await;
    for most in [1, 2, 9] {
        for from in [&beginning, &end] {
            let (mut all, after) = told(index, "puts", None, from, most).await;
            assert_eq!(all.pop().as_ref(), second.first(), "what was put last comes last");
            all.sort_by_key(|chunk| chunk.bucket);
            assert_eq!(all, [first[1].clone(), first[0].clone()]);
            assert_eq!(told(index, "puts", None, &after, most).await.0, [], "nothing was put since");
        }
        let (of_bucket, _) = told(index, "puts", Some(5), &beginning, most).await;
        assert_eq!(of_bucket, [first[0].clone(), second[0].clone()]);
        assert_eq!(told(index, "puts", None, &between, most).await.0, second);
    }
    let end = index.puts_end().await.expect("the index can be asked");
    assert_eq!(told(index, "puts", None, &end, 9).await.0, [], "the end is after all of them");
    put(index, vec![kept("puts", 9, 7)]).await;
    assert_eq!(told(index, "puts", None, &between, 9).await.0.len(), 2);
}

/// A chunk that is put again is told of once, where it was put last; one that has expired is not.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn what_is_put_again_is_told_again_and_what_expired_is_not(index: &dyn HotIndex) {
    let beginning = PutPosition::at(Micros::MIN);
    let (once, again) = (kept("anew", 1, 1), kept("anew", 1, 2));
    put(index, vec![again.clone()]).await;
    put(index, vec![once.clone(), chunk("anew", 1, 3, (100, 200))]).await;
    let (before, end) = told(index, "anew", None, &beginning, 9).await;
    assert_eq!(before, [again.clone(), once.clone()]);
    let again = HotChunk { block: Bytes::from_static(b"again"), ..again };
    put(index, vec![again.clone()]).await;
    assert_eq!(told(index, "anew", None, &beginning, 1).await.0, [once, again.clone()]);
    assert_eq!(told(index, "anew", None, &end, 1).await.0, [again]);
}

use std::time::Duration;

use alluvium_core::destination::CallEffect;
use alluvium_core::ports::Advice;
use alluvium_core::record::hash_key;
use alluvium_core::{EntryVerdict, HashKeyRange, PutError};

use super::*;
use crate::producer::outcome::{Delivered, GivenUp, Outcome, Undelivered};

fn at(ms: u64) -> Moment {
    Moment::default() + Duration::from_millis(ms)
}

fn two_shards() -> Vec<HashKeyRange> {
    let middle = u128::MAX / 2;
    let range = |n, first, last| HashKeyRange { shard: ShardId::numbered(n), first, last };
    vec![range(0, 0, middle), range(1, middle + 1, u128::MAX)]
}

/// A pipeline that knows its shards at 0 ms.
fn pipeline(settings: ProducerSettings) -> Pipeline {
    let mut pipeline = Pipeline::new(&settings, DestinationLimits::KINESIS, 0);
    assert!(matches!(pipeline.poll(at(0)), Step::RefreshShardMap));
    pipeline.shard_map(Ok(Some(two_shards())), at(0));
    assert!(matches!(pipeline.poll(at(0)), Step::Wait(Moment::NEVER)), "idle");
    pipeline
}

fn add(pipeline: &mut Pipeline, key: &str, ms: u64) -> (Delivery, Wake) {
    pipeline.add(UserRecord::new(key, b"data"), hash_key(key), 128, at(ms)).unwrap()
}

fn call(pipeline: &mut Pipeline, ms: u64) -> Call {
    match pipeline.poll(at(ms)) {
        Step::Call(call) => call,
        step => panic!("{step:?}"),
    }
}

fn waits(pipeline: &mut Pipeline, ms: u64) -> Moment {
    match pipeline.poll(at(ms)) {
        Step::Wait(until) => until,
        step => panic!("{step:?}"),
    }
}

fn stored(shard: u32, sequence: u64) -> EntryVerdict {
    EntryVerdict::Stored { shard: ShardId::numbered(shard), sequence: SequenceNumber::from(sequence) }
}

fn delivered(delivery: &Delivery) -> Delivered {
    delivery.now().unwrap().delivered().unwrap().clone()
}

fn undelivered(delivery: &Delivery) -> Undelivered {
    match delivery.now() {
        Some(Outcome::Undelivered(undelivered)) => undelivered,
        outcome => panic!("{outcome:?}"),
    }
}

// "a" belongs to the first shard of two, "c" and "d" to the first too, "b" to the second.
#[test]
fn records_of_one_shard_travel_together_after_the_linger() {
    let mut pipeline = pipeline(ProducerSettings::default());
    let (first, wake) = add(&mut pipeline, "a", 5);
    assert_eq!(wake, Wake::Driver);
    let (second, wake) = add(&mut pipeline, "c", 30);
    assert_eq!(wake, Wake::Nobody);
    assert_eq!(waits(&mut pipeline, 30), at(105));
    let call = call(&mut pipeline, 105);
    assert_eq!(call.entries.len(), 1);
    pipeline.answer(call.id, Ok(vec![stored(0, 7)]), at(120));
    let (first, second) = (delivered(&first), delivered(&second));
    assert_eq!((first.subsequence, second.subsequence, second.attempts), (0, 1, 1));
    assert_eq!((second.buffered, second.total), (Duration::from_millis(75), Duration::from_millis(90)));
    assert_eq!(waits(&mut pipeline, 120), Moment::NEVER);
    assert!(pipeline.take_freed() > 0 && pipeline.take_freed() == 0);
}

#[test]
fn only_what_failed_is_sent_again_and_as_it_was() {
    let mut pipeline = pipeline(ProducerSettings::default());
    let deliveries = ["a", "b"].map(|key| add(&mut pipeline, key, 0).0);
    let first = call(&mut pipeline, 100);
    assert_eq!(first.entries.len(), 2);
    pipeline.answer(first.id, Ok(vec![stored(0, 1), EntryVerdict::Failed("no".to_owned())]), at(110));
    assert!(deliveries[0].now().is_some() && deliveries[1].now().is_none());
    let until = waits(&mut pipeline, 110);
    assert!(until > at(110) && until <= at(210), "{until:?}");
    let again = call(&mut pipeline, 210);
    assert_eq!(again.entries, first.entries[1..]);
    pipeline.answer(again.id, Ok(vec![stored(1, 1)]), at(220));
    assert_eq!((delivered(&deliveries[1]).attempts, pipeline.progress().retries), (2, 1));
}

#[test]
fn what_is_given_up_says_whether_it_may_be_stored() {
    for (effect, may_be_stored) in [(CallEffect::NothingStored, false), (CallEffect::Unknown, true)] {
        let mut pipeline = pipeline(ProducerSettings::default());
        let (delivery, _) = add(&mut pipeline, "a", 0);
        let call = call(&mut pipeline, 100);
        pipeline.answer(call.id, Err(PutError::new(effect, Advice::Retry, "reset")), at(29_999));
        assert!(matches!(pipeline.poll(at(30_000)), Step::Wait(_)));
        let undelivered = undelivered(&delivery);
        assert_eq!((undelivered.why, undelivered.may_be_stored), (GivenUp::Expired, may_be_stored));
        assert_eq!((undelivered.last_error.as_deref(), undelivered.attempts), (Some("reset"), 1));
    }
}

#[test]
fn what_will_never_be_taken_is_given_up_at_once() {
    let mut pipeline = pipeline(ProducerSettings::default());
    let deliveries = ["a", "b"].map(|key| add(&mut pipeline, key, 0).0);
    let first = call(&mut pipeline, 100);
    let refused = EntryVerdict::Invalid("too bad".to_owned());
    pipeline.answer(first.id, Ok(vec![refused, stored(1, 1)]), at(110));
    assert_eq!(undelivered(&deliveries[0]).why, GivenUp::Refused);
    let (third, _) = add(&mut pipeline, "a", 200);
    let call = call(&mut pipeline, 300);
    pipeline.answer(call.id, Err(PutError::new(CallEffect::NothingStored, Advice::Stop, "no such stream")), at(310));
    let third = undelivered(&third);
    assert_eq!((third.why, third.last_error.as_deref()), (GivenUp::Denied, Some("no such stream")));
}

#[test]
fn an_answer_that_leaves_an_entry_out_is_no_answer_for_it() {
    let mut pipeline = pipeline(ProducerSettings::default());
    let (delivery, _) = add(&mut pipeline, "a", 0);
    let call = call(&mut pipeline, 100);
    pipeline.answer(call.id, Ok(Vec::new()), at(110));
    pipeline.abandon(at(120));
    assert!(undelivered(&delivery).may_be_stored);
}

/// A pipeline whose first shard was split without its knowledge, with "a" and "c" in an aggregate that was stored in the new shard of
/// "a" alone; the deliveries of "a" and "c".
fn split(settings: ProducerSettings) -> (Pipeline, [Delivery; 2]) {
    let mut pipeline = pipeline(settings);
    let deliveries = ["a", "c"].map(|key| add(&mut pipeline, key, 0).0);
    let call = call(&mut pipeline, 100);
    assert_eq!(call.entries[0].record.explicit_hash_key, Some(hash_key("a")));
    pipeline.answer(call.id, Ok(vec![stored(2, 1)]), at(1_100));
    (pipeline, deliveries)
}

fn after_split() -> Vec<HashKeyRange> {
    let (a, last) = (hash_key("a"), u128::MAX / 2);
    let range = |n, first, last| HashKeyRange { shard: ShardId::numbered(n), first, last };
    vec![range(2, 0, a), range(3, a + 1, last), range(1, last + 1, u128::MAX)]
}

#[test]
fn user_records_in_a_shard_that_is_not_theirs_are_sent_again_to_where_they_belong() {
    let (mut pipeline, [stays, moves]) = split(ProducerSettings::default());
    assert_eq!((stays.now(), moves.now()), (None, None));
    assert!(matches!(pipeline.poll(at(1_100)), Step::RefreshShardMap));
    pipeline.shard_map(Ok(Some(after_split())), at(1_110));
    assert_eq!(delivered(&stays).shard, ShardId::numbered(2));
    assert_eq!(moves.now(), None);
    let again = call(&mut pipeline, 1_110);
    assert_eq!((again.entries.len(), again.entries[0].record.partition_key.as_str()), (1, "c"));
    pipeline.answer(again.id, Ok(vec![stored(3, 1)]), at(1_120));
    let moved = delivered(&moves);
    assert_eq!((moved.shard, moved.subsequence, moved.attempts), (ShardId::numbered(3), 0, 2));
}

#[test]
fn a_record_that_strayed_and_is_given_up_may_be_stored() {
    let (mut pipeline, [_, moves]) = split(ProducerSettings::default());
    assert!(matches!(pipeline.poll(at(1_100)), Step::RefreshShardMap));
    assert!(matches!(pipeline.poll(at(30_000)), Step::Wait(_)));
    let moves = undelivered(&moves);
    assert!(moves.may_be_stored && moves.last_error.unwrap().contains("shardId-000000000002"));
}

#[test]
fn misplaced_records_count_as_delivered_when_every_consumer_is_ours() {
    let settings = ProducerSettings { misplaced: Misplaced::Keep, ..ProducerSettings::default() };
    let (mut pipeline, deliveries) = split(settings);
    deliveries.iter().for_each(|delivery| assert_eq!(delivered(delivery).shard, ShardId::numbered(2)));
    // The map is old all the same.
    add(&mut pipeline, "a", 1_200).0.now();
    assert!(matches!(pipeline.poll(at(1_200)), Step::RefreshShardMap));
}

#[test]
fn a_destination_that_does_not_answer_is_tried_by_one_call_at_a_time() {
    let mut pipeline = pipeline(ProducerSettings {
        aggregation: Aggregation::None,
        collection_max_entries: 1,
        ..ProducerSettings::default()
    });
    let _kept: Vec<_> = (0..10).map(|n| add(&mut pipeline, &format!("k{n}"), 0)).collect();
    let calls: Vec<_> = (0..3).map(|_| call(&mut pipeline, 0)).collect();
    for call in calls {
        pipeline.answer(call.id, Err(PutError::new(CallEffect::NothingStored, Advice::Retry, "refused")), at(10));
    }
    let mut now = at(10);
    while let Step::Wait(until) = pipeline.poll(now) {
        assert!(until > now && until < at(5_000));
        now = until;
    }
    // One is on its way; the others wait for it.
    assert!(matches!(pipeline.poll(now), Step::Wait(_)) && pipeline.progress().calls_in_flight == 1);
}

#[test]
fn a_flush_does_not_wait_for_others_and_is_over_when_all_before_it_is_settled() {
    let mut pipeline = pipeline(ProducerSettings::default());
    let (_first, _) = add(&mut pipeline, "a", 0);
    let (flush, _) = pipeline.flush();
    let call = call(&mut pipeline, 1);
    let (_later, _) = add(&mut pipeline, "a", 2);
    assert!(!pipeline.is_settled(flush));
    pipeline.answer(call.id, Ok(vec![stored(0, 1)]), at(10));
    assert!(pipeline.is_settled(flush) && pipeline.progress().pending_records == 1);
}

#[test]
fn an_answer_to_another_call_does_not_end_the_time_that_the_destination_asked_for() {
    let mut pipeline = pipeline(ProducerSettings { collection_max_entries: 1, ..ProducerSettings::default() });
    let deliveries = ["a", "b"].map(|key| add(&mut pipeline, key, 0).0);
    let (first, second) = (call(&mut pipeline, 100), call(&mut pipeline, 100));
    let retry_after = Some(Duration::from_secs(10));
    let busy = PutError { retry_after, ..PutError::new(CallEffect::NothingStored, Advice::BackOff, "busy") };
    pipeline.answer(first.id, Err(busy), at(200));
    pipeline.answer(second.id, Ok(vec![stored(1, 1)]), at(300));
    assert!(deliveries[1].now().is_some());
    let mut now = at(300);
    while let Step::Wait(until) = pipeline.poll(now) {
        now = until;
    }
    assert!(now > at(10_200) && now <= at(10_300), "{now:?}");
}

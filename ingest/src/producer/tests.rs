use alluvium_core::PutError;
use alluvium_core::contract;
use alluvium_core::destination::CallEffect;
use alluvium_core::ports::Advice;

use super::memory_destination::{Fate, MemoryDestination};
use super::*;

#[tokio::test]
async fn the_memory_destination_keeps_the_contract_with_shards_and_without() {
    for destination in [1, 2, 3, 7].map(MemoryDestination::sharded).into_iter().chain([MemoryDestination::open()]) {
        contract::destination::all(&*destination, &*destination).await;
    }
}

fn settings() -> ProducerSettings {
    let (linger, first_pause) = (Duration::from_millis(5), Duration::from_millis(2));
    ProducerSettings { aggregation: Aggregation::NdjsonZstd, linger, first_pause, ..ProducerSettings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_of_many_tasks_arrives_once_and_has_its_outcome() {
    let kept = MemoryDestination::open();
    let producer = Arc::new(Producer::start(kept.clone(), settings()).unwrap());
    let tasks = (0..4).map(|task| {
        let producer = producer.clone();
        tokio::spawn(async move {
            let mut deliveries = Vec::new();
            for n in 0..2_500 {
                let data = format!("{task}-{n}");
                deliveries.push(producer.send(UserRecord::new("key", data.as_bytes())).await.unwrap());
            }
            for delivery in deliveries {
                assert!(delivery.outcome().await.delivered().is_some());
            }
        })
    });
    futures::future::join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
    let progress = producer.close().await;
    assert_eq!((progress.delivered_records, progress.pending_records, kept.data().len()), (10_000, 0, 10_000));
    assert_eq!(producer.try_send(UserRecord::new("key", b"late")).unwrap_err(), SendError::Closed);
    assert_eq!(producer.send(UserRecord::new("key", b"late")).await.unwrap_err(), SendError::Closed);
}

#[tokio::test]
async fn a_full_budget_makes_senders_wait_until_something_is_settled() {
    let kept = MemoryDestination::closed(0);
    let producer = Producer::start(kept.clone(), ProducerSettings { buffered_bytes: 4_096, ..settings() }).unwrap();
    let data = [b'x'; 2_500];
    let _first = producer.send(UserRecord::new("key", &data)).await.unwrap();
    assert_eq!(producer.try_send(UserRecord::new("key", &data)).unwrap_err(), SendError::Full);
    let mut second = Box::pin(producer.send(UserRecord::new("key", &data)));
    assert!(tokio::time::timeout(Duration::from_millis(30), &mut second).await.is_err());
    kept.gate.add_permits(2);
    let second = second.await.unwrap();
    assert!(second.outcome().await.delivered().is_some());
    let too_large = [b'x'; 4_000];
    assert!(matches!(producer.send(UserRecord::new("key", &too_large)).await, Err(SendError::Invalid(_))));
    assert!(matches!(producer.try_send(UserRecord::new("", b"")), Err(SendError::Invalid(_))));
}

#[tokio::test]
async fn a_flush_waits_for_what_was_sent_and_not_for_the_linger() {
    let kept = MemoryDestination::open();
    let producer =
        Producer::start(kept.clone(), ProducerSettings { linger: Duration::from_secs(20), ..settings() }).unwrap();
    let delivery = producer.send(UserRecord::new("key", b"data")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), producer.flush()).await.unwrap();
    assert!(delivery.now().is_some());
    producer.flush().await;
}

#[tokio::test]
async fn a_failed_call_is_made_again_with_the_same_id() {
    let failure = || Fate::Fails(PutError::new(CallEffect::Unknown, Advice::Retry, "reset"));
    let kept = MemoryDestination::fated([failure(), failure()]);
    let producer = Producer::start(kept.clone(), settings()).unwrap();
    let delivery = producer.send(UserRecord::new("key", b"data")).await.unwrap();
    assert_eq!(delivery.outcome().await.delivered().unwrap().attempts, 3);
    let ids: Vec<_> = kept.came().iter().map(|call| call.entries[0].id).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_counts_as_unanswered() {
    let kept = MemoryDestination::closed(0);
    let request_timeout = Duration::from_millis(20);
    let time_to_live = Duration::from_millis(60);
    let settings = ProducerSettings { request_timeout, record_time_to_live: time_to_live, ..settings() };
    let producer = Producer::start(kept.clone(), settings).unwrap();
    let delivery = producer.send(UserRecord::new("key", b"data")).await.unwrap();
    let Outcome::Undelivered(undelivered) = delivery.outcome().await else { panic!("it was not stored") };
    assert!(undelivered.may_be_stored && undelivered.why == GivenUp::Expired);
    assert_eq!(undelivered.last_error.as_deref(), Some("no answer in time"));
}

#[tokio::test]
async fn dropped_it_settles_everything_and_says_what_may_be_stored() {
    let kept = MemoryDestination::closed(0);
    let producer = Producer::start(kept.clone(), settings()).unwrap();
    let on_its_way = producer.send(UserRecord::new("key", b"data")).await.unwrap();
    kept.until_called().await;
    let waits = producer.send(UserRecord::new("key", b"data")).await.unwrap();
    drop(producer);
    for (delivery, may_be_stored) in [(on_its_way, true), (waits, false)] {
        let Outcome::Undelivered(undelivered) = delivery.outcome().await else { panic!("it was not stored") };
        assert_eq!((undelivered.why, undelivered.may_be_stored), (GivenUp::Abandoned, may_be_stored));
    }
}

#[tokio::test]
async fn settings_that_cannot_be_are_named() {
    let wrong = [
        ("max_calls", ProducerSettings { max_calls: 0, ..settings() }),
        ("linger", ProducerSettings { linger: Duration::from_secs(60), ..settings() }),
        ("request_timeout", ProducerSettings { request_timeout: Duration::ZERO, ..settings() }),
        ("buffered_bytes", ProducerSettings { buffered_bytes: 10, ..settings() }),
    ];
    for (setting, settings) in wrong {
        let error = Producer::start(MemoryDestination::open(), settings).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{setting}: ")), "{error}");
    }
    ProducerSettings::for_gateway().check().unwrap();
}

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering as Atomic};

use alluvium_core::destination::CallEffect;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::{EntryVerdict, HashKeyRange, PutEntry, PutError, SequenceNumber, ShardId};
use async_trait::async_trait;

use super::*;

/// A destination without shards that keeps everything, and answers when the test lets it.
#[derive(Debug)]
pub(super) struct Kept {
    entries: Mutex<Vec<PutEntry>>,
    failures: Mutex<VecDeque<PutError>>,
    away: AtomicBool,
    gate: Semaphore,
    calls: AtomicUsize,
}

impl Kept {
    pub(super) fn open() -> Arc<Self> {
        Self::closed(Semaphore::MAX_PERMITS)
    }

    fn closed(lets_through: usize) -> Arc<Self> {
        let (entries, failures) = (Mutex::default(), Mutex::default());
        let (away, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Self { entries, failures, away, gate: Semaphore::new(lets_through), calls })
    }

    pub(super) fn fail_from_now(&self) {
        self.away.store(true, Atomic::SeqCst);
    }

    pub(super) fn fail_no_more(&self) {
        self.away.store(false, Atomic::SeqCst);
    }

    pub(super) fn data(&self) -> Vec<Vec<u8>> {
        let entries = self.entries.lock().unwrap();
        entries.iter().flat_map(|entry| decode::lines(&entry.record)).map(|decoded| decoded.data).collect()
    }

    fn records(&self) -> usize {
        self.entries.lock().unwrap().iter().map(|entry| decode::lines(&entry.record).len()).sum()
    }
}

#[async_trait]
impl Destination for Kept {
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError> {
        self.calls.fetch_add(1, Atomic::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        if self.away.load(Atomic::SeqCst) {
            return Err(PutError::new(CallEffect::NothingStored, Advice::Retry, "nobody there"));
        }
        let failure = self.failures.lock().unwrap().pop_front();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut kept = self.entries.lock().unwrap();
        let verdicts = entries.into_iter().map(|entry| {
            kept.push(entry);
            EntryVerdict::Stored { shard: ShardId::numbered(0), sequence: SequenceNumber::from(kept.len() as u64) }
        });
        Ok(verdicts.collect())
    }

    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        Ok(None)
    }

    fn limits(&self) -> DestinationLimits {
        DestinationLimits::FIREHOSE
    }
}

fn settings() -> ProducerSettings {
    let (linger, first_pause) = (Duration::from_millis(5), Duration::from_millis(2));
    ProducerSettings { aggregation: Aggregation::NdjsonZstd, linger, first_pause, ..ProducerSettings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_of_many_tasks_arrives_once_and_has_its_outcome() {
    let kept = Kept::open();
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
    assert_eq!((progress.delivered_records, progress.pending_records, kept.records()), (10_000, 0, 10_000));
    assert_eq!(producer.try_send(UserRecord::new("key", b"late")).unwrap_err(), SendError::Closed);
    assert_eq!(producer.send(UserRecord::new("key", b"late")).await.unwrap_err(), SendError::Closed);
}

#[tokio::test]
async fn a_full_budget_makes_senders_wait_until_something_is_settled() {
    let kept = Kept::closed(0);
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
    let kept = Kept::open();
    let producer =
        Producer::start(kept.clone(), ProducerSettings { linger: Duration::from_secs(20), ..settings() }).unwrap();
    let delivery = producer.send(UserRecord::new("key", b"data")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), producer.flush()).await.unwrap();
    assert!(delivery.now().is_some());
    producer.flush().await;
}

#[tokio::test]
async fn a_failed_call_is_made_again_with_the_same_id() {
    let kept = Kept::open();
    let failure = || PutError::new(CallEffect::Unknown, Advice::Retry, "reset");
    kept.failures.lock().unwrap().extend([failure(), failure()]);
    let producer = Producer::start(kept.clone(), settings()).unwrap();
    let delivery = producer.send(UserRecord::new("key", b"data")).await.unwrap();
    assert_eq!(delivery.outcome().await.delivered().unwrap().attempts, 3);
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_counts_as_unanswered() {
    let kept = Kept::closed(0);
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
    let kept = Kept::closed(0);
    let producer = Producer::start(kept.clone(), settings()).unwrap();
    let on_its_way = producer.send(UserRecord::new("key", b"data")).await.unwrap();
    while kept.calls.load(Atomic::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
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
        let error = Producer::start(Kept::open(), settings).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{setting}: ")), "{error}");
    }
    ProducerSettings::for_gateway().check().unwrap();
}

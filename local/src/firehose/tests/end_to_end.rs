//! The loop with the transform itself behind it.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::ports::CommitQueue as _;
use alluvium_core::{BatchIdentity, CommitMessage, Datasets, DeliveryBatch, ManualClock};
use alluvium_transform::firehose::{Invocation, identity_in_batch, user_records};
use alluvium_transform::{Transform, TransformSettings};
use proptest::prelude::*;

use super::super::drain::{Drain, DrainReport};
use super::*;
use crate::hot::RedbHotIndex;
use crate::queue::LocalCommitQueue;

/// Reads each event as the transform does, and keeps its records.
#[derive(Default)]
struct Reading(Mutex<Vec<DeliveryBatch>>);

#[async_trait]
impl Function for Reading {
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, PortError> {
        let invocation = Invocation::read(payload.into()).unwrap();
        self.0.lock().unwrap().push(invocation.batch().clone());
        Ok(invocation.stored().into())
    }
}

fn read_back(records: Vec<StreamRecord>, event_bytes: usize) -> Vec<DeliveryBatch> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let function = Arc::new(Reading::default());
    let mut bench = Bench::new();
    bench.settings.event_bytes = event_bytes;
    bench.settings.until_idle = Some(Duration::ZERO);
    let report = runtime.block_on(bench.run(MemoryStream::of(records), function.clone()));
    assert_eq!(report.failed_records, 0);
    std::mem::take(&mut *function.0.lock().unwrap())
}

fn any_data() -> impl Strategy<Value = Bytes> {
    let plain = || prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        4 => plain().prop_map(Bytes::from),
        1 => prop::collection::vec(plain(), 0..8).prop_map(|user_records| aggregate(&user_records)),
        1 => prop::collection::vec(plain(), 1..4).prop_map(|inner| aggregate(&[aggregate(&inner), aggregate(&inner)])),
        1 => plain().prop_map(|rest| [&[0xF3, 0x89, 0x9A, 0xC2], &rest[..]].concat().into()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_transform_reads_of_our_events_what_the_stream_holds(
        data in prop::collection::vec(any_data(), 0..20),
        keys in prop::collection::vec(".{1,8}", 20),
        event_bytes in 4_500_usize..20_000,
    ) {
        let keyed = |(n, data)| StreamRecord { partition_key: keys[n as usize].clone(), ..record(n, data) };
        let sent: Vec<_> = (0..).zip(data).map(keyed).collect();
        let expected: Vec<_> = sent.iter().cloned().flat_map(user_records).collect();
        let batches = read_back(sent, event_bytes);
        let read: Vec<_> = batches.into_iter().flat_map(|batch| batch.records).collect();
        prop_assert_eq!(read.len(), expected.len());
        for (read, expected) in read.iter().zip(&expected) {
            prop_assert_eq!(&read.identity, &identity_in_batch(expected));
            prop_assert_eq!(read.arrival, expected.arrival / 1000 * 1000);
            prop_assert_eq!(&read.data, &expected.data);
        }
    }
}

/// The transform behind a door that can fail after it has stored everything.
struct Crashing {
    inner: InProcess,
    /// How often, counted from the `n`th invocation, the answer is lost.
    lost: std::ops::Range<usize>,
    count: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl Function for Crashing {
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, PortError> {
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let answer = self.inner.invoke(payload).await?;
        if self.lost.contains(&number) {
            return Err(PortError::new(Advice::Retry, "the function crashed before it could answer"));
        }
        Ok(answer)
    }
}

fn drain(bench: &Bench, stream: Arc<dyn Stream>, function: Arc<dyn Function>) -> Drain {
    let (landing, settings) = (bench.files(), bench.settings.clone());
    Drain { stream, function, landing, settings, progress: Arc::default() }
}

#[tokio::test]
async fn every_event_is_in_one_batch_although_the_transform_crashes_after_storing() {
    let hot_folder = tempfile::tempdir().unwrap();
    let (hot, _) = RedbHotIndex::open(hot_folder.path(), 1 << 20, Arc::new(ManualClock::default())).unwrap();
    let datasets = Datasets::load(None, Some("telemetry")).unwrap();
    let lake: Arc<dyn DataFiles> = Arc::new(StoreFiles::new(Arc::new(InMemory::new())));
    let queue = Arc::new(LocalCommitQueue::new(100));
    let inner = InProcess {
        transform: Arc::new(Transform::new(Arc::new(datasets), TransformSettings::default()).unwrap()),
        files: lake.clone(),
        hot: Arc::new(hot),
        queue: queue.clone(),
    };
    // The second batch is stored four times and answered never.
    let function = Arc::new(Crashing { inner, lost: 1..5, count: Default::default() });
    let event = |n: u64| format!("{{\"source\":\"s{}\",\"value\":{n},\"note\":\"{}\"}}", n % 7, "x".repeat(500));
    let records = (0..1_000).map(|n| match n % 10 {
        9 => record(n, aggregate(&[event(n), event(n)])),
        8 => record(n, "not an event"),
        _ => record(n, event(n)),
    });
    let stream = MemoryStream::of(records);
    let bench = Bench::new();
    let report = bench.run(stream.clone(), function.clone()).await;
    assert_eq!((report.stream_records, report.records), (1_000, 1_100));
    assert_eq!((report.failed_batches, report.retries), (1, 3));
    assert_eq!(report.delivered + report.failed_records, 1_100);
    let objects = bench.paths().await;
    let drained = drain(&bench, stream.clone(), function).run(objects).await.unwrap();
    let count = report.failed_records;
    assert_eq!(drained, DrainReport { drained: 1, records: count, found: count, left: vec![] });

    // Every time the same batch was handed over, the drain included, the same message was written.
    let mut deliveries: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in queue.receive(100, Duration::from_secs(1)).await.unwrap() {
        *deliveries.entry(delivery.path).or_default() += 1;
    }
    assert_eq!(deliveries.len() as u64, report.batches);
    assert_eq!(deliveries.values().copied().collect::<BTreeSet<_>>(), BTreeSet::from([1, 5]));
    let mut messages = Vec::new();
    for path in deliveries.keys() {
        messages.push(CommitMessage::decode(&lake.get(path).await.unwrap()).unwrap());
    }
    let ledger = messages.iter().flat_map(|message| &message.ledger);
    let (received, dead) = ledger.fold((0, 0), |sum, entry| (sum.0 + entry.received, sum.1 + entry.dead));
    assert_eq!((received, dead), (1_100, 100));
    // And the batches are what the stream holds, divided.
    let held: Vec<_> = stream.0.lock().unwrap().iter().cloned().flat_map(user_records).collect();
    let told: BTreeSet<_> = messages.iter().map(|message| message.batch.clone()).collect();
    let mut covers: Vec<_> = messages.iter().map(|message| message.covers[0].clone()).collect();
    covers.sort_by_key(|run| run.first);
    let of_run = |run: &alluvium_core::ShardRange| {
        let inside = held.iter().filter(|one| (run.first..=run.last).contains(&one.identity.sequence));
        BatchIdentity::of(inside.map(|one| &one.identity))
    };
    assert_eq!(covers.iter().map(of_run).collect::<BTreeSet<_>>(), told);
}

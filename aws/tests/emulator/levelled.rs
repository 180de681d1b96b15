//! Chunks that wait: the notes, and the way through bucket and queue back into the index.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::levelled::{BufferedHotIndex, Drain, Drained, Note, Notes as _, OfferedIndex, Pace, StoredParcels};
use alluvium_aws::{DynamoHotIndex, DynamoNotes, LakeUrl, LevelledHotIndex, Retries, S3DataFiles, SqsCommitQueue};
use alluvium_core::SystemClock;
use alluvium_core::clock::Micros;
use alluvium_core::contract::hot_index::{chunk, everything, newest};
use alluvium_core::hot::{
    ErasableHotIndex as _, HotChunk, HotQuery, Left, Newest, PutPosition, PutQuery, Puts, TakeOut, TakenOut, Waiting,
};
use alluvium_core::ports::{CommitQueue as _, HotIndex, PortError};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};

use crate::endpoint::{config, unique};
use crate::hot_index::new_table;

/// The table of notes, as the stack makes it but for TTL.
async fn notes() -> DynamoNotes {
    let client = aws_sdk_dynamodb::Client::new(&config().await);
    let table = unique("waiting");
    let mut create = client.create_table().table_name(&table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let of_type = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        create = create.key_schema(key).attribute_definitions(of_type.build().unwrap());
    }
    create.send().await.unwrap();
    DynamoNotes::new(client, table, Arc::new(SystemClock))
}

async fn index(notes: &DynamoNotes) -> DynamoHotIndex {
    let (client, table) = new_table().await;
    let index = DynamoHotIndex::new(client, table, Arc::new(SystemClock), Retries::new(1));
    index.settled_at_once().with_notes(notes.clone())
}

fn note(parcel: usize, expires_at: Micros) -> Note {
    let waiting = Waiting { buckets: 1 << 31, min_time: -5, max_time: parcel as Micros };
    Note { dataset: "telemetry".into(), parcel: format!("_hot/{parcel:08}.chunks"), waiting, expires_at }
}

#[tokio::test]
async fn what_waits_is_told_until_it_is_drained_or_has_expired() {
    let notes = notes().await;
    let index = index(&notes).await;
    let waiting = async |now| index.waiting("telemetry", now).await.unwrap();
    assert_eq!(waiting(0).await, []);
    let (short, long) = (note(1, 100), note(2, 200));
    for note in [&short, &long, &long] {
        notes.wait(note).await.unwrap();
    }
    assert_eq!(waiting(99).await, [short.waiting, long.waiting]);
    assert_eq!(waiting(100).await, [long.waiting]);
    assert_eq!(index.waiting("other", 0).await.unwrap(), []);
    notes.drained("telemetry", &long.parcel).await.unwrap();
    notes.drained("telemetry", &long.parcel).await.unwrap();
    assert_eq!(waiting(0).await, [short.waiting]);
    notes.wait(&long).await.unwrap();
    assert_eq!(waiting(0).await, [short.waiting], "whoever comes late with a note finds that it is drained");
    // Drained before it was noted at all.
    notes.drained("telemetry", &note(3, 200).parcel).await.unwrap();
    notes.wait(&note(3, 200)).await.unwrap();
    assert_eq!(waiting(0).await, [short.waiting]);
}

#[tokio::test]
async fn of_very_many_notes_not_all_are_read_and_anything_may_wait() {
    let notes = notes().await;
    let index = index(&notes).await;
    for parcel in 0..201 {
        notes.wait(&note(parcel, 100)).await.unwrap();
    }
    let waiting = index.waiting("telemetry", 0).await.unwrap();
    assert_eq!((waiting.len(), waiting.last()), (201, Some(&Waiting::ANYTHING)));
    notes.drained("telemetry", &note(7, 100).parcel).await.unwrap();
    let waiting = index.waiting("telemetry", 0).await.unwrap();
    assert!(waiting.len() == 200 || waiting.last() == Some(&Waiting::ANYTHING), "{}", waiting.len());
}

#[tokio::test]
async fn a_note_that_cannot_be_made_says_where() {
    let client = aws_sdk_dynamodb::Client::new(&config().await);
    let notes = DynamoNotes::new(client, "no-such-table", Arc::new(SystemClock));
    for error in
        [notes.wait(&note(1, 1)).await.unwrap_err(), notes.drained("telemetry", &note(1, 1).parcel).await.unwrap_err()]
    {
        assert!(error.message.contains("`no-such-table`") && error.message.contains("_hot/00000001.chunks"), "{error}");
    }
}

/// An index whose table takes nothing of what is offered.
#[derive(Debug)]
struct Throttled(DynamoHotIndex);

#[async_trait]
impl OfferedIndex for Throttled {
    async fn offer(&self, chunks: Vec<HotChunk>) -> Result<Vec<HotChunk>, PortError> {
        Ok(chunks)
    }
}

#[async_trait]
impl HotIndex for Throttled {
    async fn put(&self, _: Vec<HotChunk>) -> Result<(), PortError> {
        unreachable!("chunks are offered")
    }

    async fn flush(&self) -> Result<(), PortError> {
        self.0.flush().await
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        self.0.newest(query).await
    }

    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError> {
        self.0.puts(query).await
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        self.0.puts_end().await
    }

    async fn waiting(&self, dataset: &str, now: Micros) -> Result<Vec<Waiting>, PortError> {
        self.0.waiting(dataset, now).await
    }

    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        self.0.complete_since(dataset).await
    }

    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError> {
        self.0.set_complete_since(dataset, since).await
    }

    async fn expire(&self, now: Micros) -> Result<usize, PortError> {
        self.0.expire(now).await
    }
}

/// A bucket, a queue, notes and an index, and a way in whose table takes nothing.
struct Stage {
    aws: aws_config::SdkConfig,
    lake: LakeUrl,
    index: Arc<DynamoHotIndex>,
    buffer: Arc<SqsCommitQueue>,
    levelled: LevelledHotIndex,
    drain: Drain,
}

impl Stage {
    async fn new() -> Self {
        let aws = config().await;
        let notes = Arc::new(notes().await);
        let index = Arc::new(index(&notes).await);
        let s3 = alluvium_aws::config::s3(&aws);
        let bucket = unique("levelled");
        let region = aws_sdk_s3::types::BucketLocationConstraint::from("eu-west-1");
        let place = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(region).build();
        s3.create_bucket().bucket(&bucket).create_bucket_configuration(place).send().await.unwrap();
        let lake: LakeUrl = format!("s3://{bucket}/lake").parse().unwrap();
        let files = Arc::new(S3DataFiles::new(s3, lake.clone()));
        let sqs = aws_sdk_sqs::Client::new(&aws);
        let url = sqs.create_queue().queue_name(unique("buffer")).send().await.unwrap().queue_url.unwrap();
        let buffer = Arc::new(SqsCommitQueue::new(sqs, &url));
        let throttled = Arc::new(Throttled((*index).clone()));
        let levelled =
            LevelledHotIndex { hot: throttled, notes: notes.clone(), files: files.clone(), buffer: buffer.clone() };
        let drain = Drain {
            hot: index.clone(),
            notes,
            files,
            pace: Pace::of(NonZeroU32::new(2_000).unwrap()),
            clock: Arc::new(SystemClock),
            retries: Retries::new(1),
        };
        Self { aws, lake, index, buffer, levelled, drain }
    }

    /// Drains every message that there is, and acknowledges it; says what was drained.
    async fn drain(&self, times: usize) -> Drained {
        let mut drained = Drained::default();
        for message in self.buffer.receive(10, Duration::from_secs(5)).await.unwrap() {
            for _ in 0..times {
                let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
                drained.chunks += self.drain.drain(&message.path, deadline).await.unwrap().chunks;
            }
            self.buffer.acknowledge(&message.receipt).await.unwrap();
        }
        drained
    }
}

#[tokio::test]
async fn rows_leave_what_waits_and_no_message_brings_them_back() {
    let stage = Stage::new().await;
    let waiting = |batch, rows: &'static [u8]| HotChunk {
        block: rows.into(),
        expires_at: Micros::MAX,
        ..chunk("telemetry", 3, batch, (100, 200))
    };
    let chunks =
        vec![waiting(1, b"ab"), HotChunk { dataset: "other".to_owned(), ..waiting(2, b"aa") }, waiting(3, b"b")];
    stage.levelled.put(chunks.clone()).await.unwrap();
    let (store, _) = alluvium_aws::store::of_lake(&stage.aws, &stage.lake, Arc::new(SystemClock)).unwrap();
    let parcels = Arc::new(StoredParcels::new(store));
    let buffered = BufferedHotIndex {
        hot: stage.index.clone(),
        parcels,
        drain: Duration::from_millis(1),
        clock: Arc::new(SystemClock),
    };
    let screen = |chunk: &HotChunk| {
        let left: Vec<u8> = chunk.block.iter().copied().filter(|row| *row != b'a').collect();
        let rows = (chunk.block.len() - left.len()) as u64;
        let stays = (!left.is_empty()).then(|| HotChunk { block: left.into(), ..chunk.clone() });
        Ok(if rows == 0 { Left::All } else { Left::Without(vec![rows], stays) })
    };
    let counted = buffered.take_out(TakeOut::Count, Micros::MIN, &screen).await.unwrap();
    assert_eq!(counted, TakenOut { rows: vec![], waiting_objects: 1 });
    let taken = buffered.take_out(TakeOut::Remove, Micros::MIN, &screen).await.unwrap();
    assert_eq!(taken, counted);
    // The batch is delivered once more, so that there are two messages of the one parcel.
    stage.levelled.put(chunks).await.unwrap();
    assert_eq!(stage.drain(2).await.chunks, 2 * 2 * 2);
    for dataset in ["telemetry", "other"] {
        assert_eq!(stage.levelled.waiting(dataset, 0).await.unwrap(), [], "its note is taken back");
    }
    assert_eq!(newest(&*stage.index, everything("telemetry")).await, [waiting(1, b"b"), waiting(3, b"b")]);
    assert_eq!(newest(&*stage.index, everything("other")).await, []);
    assert_eq!(buffered.take_out(TakeOut::Count, Micros::MIN, &screen).await.unwrap(), TakenOut::default());
}

#[tokio::test]
async fn what_a_throttled_table_refuses_goes_through_bucket_and_queue_into_the_index() {
    let stage = Stage::new().await;
    let Stage { index, levelled, .. } = &stage;
    let end = index.puts_end().await.unwrap();
    let sized = |batch| HotChunk {
        // More of them than a message could carry, and than a parcel does.
        block: vec![batch as u8; 200 * 1024].into(),
        expires_at: Micros::MAX,
        ..chunk("telemetry", 3, batch, (100, 200))
    };
    let chunks: Vec<_> = (0..8).map(sized).collect();
    levelled.put(chunks.clone()).await.unwrap();
    assert_eq!(newest(&**index, everything("telemetry")).await, []);
    assert!(levelled.waiting("telemetry", 0).await.unwrap().len() > 1);

    // Twice each, as a queue may deliver it.
    assert_eq!(stage.drain(2).await.chunks, 2 * 8);
    assert_eq!(levelled.waiting("telemetry", 0).await.unwrap(), []);
    let held = newest(&**index, everything("telemetry")).await;
    assert!(held.len() == 8 && held.iter().all(|chunk| chunks.contains(chunk)));
    // Their place among the puts is that of the moment they were put: whoever had asked before is told of them.
    let query = PutQuery { dataset: "telemetry".into(), bucket: Some(3), from: end, most: 100, now: 0 };
    assert_eq!(index.puts(query).await.unwrap().chunks.len(), 8);
}

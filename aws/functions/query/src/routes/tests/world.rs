//! A hot index with an event of each owner, and an empty lake.

use std::sync::{Arc, Mutex};

use alluvium_core::clock::Micros;
use alluvium_core::hot::{BUCKETS, HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts, bucket_of, time_bucket_of};
use alluvium_core::hot_block::HotBlockWriter;
use alluvium_core::identity::RecordIdentity;
use alluvium_core::ports::{
    HotIndex, PortError, ResultPage, SqlEngine, Statement, StatementId, StatementState, StatementStatus,
};
use alluvium_core::{BatchIdentity, Dataset, DatasetName, Datasets, ManualClock, SequenceNumber, ShardId};
use alluvium_query::Records;
use arrow::array::{ArrayRef, Date32Array, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use serde_json::json;

use crate::settings::Settings;

const SECOND: Micros = 1_000_000;
const NOW: Micros = 1_000_000_000 * SECOND;

pub fn datasets() -> Datasets {
    let schema = r#"{"properties": {"value": {"type": "number"}}}"#;
    Datasets::of([Dataset::from_schema(DatasetName::new("telemetry").unwrap(), schema).unwrap()], None).unwrap()
}

fn columns() -> SchemaRef {
    datasets().get("telemetry").unwrap().columns().clone()
}

/// The settings of a function that is told no more than it must.
fn settings() -> Settings {
    let told = json!({"hot": {"table": "hot"}, "sql": {"database": "lake", "workgroup": "sql"}});
    serde_json::from_value(told).unwrap()
}

#[derive(Default)]
struct Hot {
    chunks: Mutex<Vec<HotChunk>>,
    since: Mutex<Option<Micros>>,
}

#[async_trait]
impl HotIndex for Hot {
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        self.chunks.lock().unwrap().extend(chunks);
        Ok(())
    }

    async fn flush(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        let held = self.chunks.lock().unwrap();
        let wanted = held.iter().filter(|chunk| chunk.min_time <= query.to && chunk.max_time >= query.from);
        let wanted = wanted.filter(|chunk| query.bucket.is_none_or(|bucket| bucket == chunk.bucket));
        Ok(Newest { chunks: wanted.cloned().collect(), below: None })
    }

    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError> {
        let held = self.chunks.lock().unwrap();
        let noted = held.iter().map(|chunk| (PutPosition::of(0, chunk), chunk.clone()));
        let mut chunks: Vec<_> = noted.filter(|(position, _)| *position >= query.from).collect();
        chunks.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Puts { chunks, up_to: query.from.max(PutPosition::at(1)), more: false })
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        Ok(PutPosition::at(1))
    }

    async fn complete_since(&self, _: &str) -> Result<Option<Micros>, PortError> {
        Ok(*self.since.lock().unwrap())
    }

    async fn set_complete_since(&self, _: &str, since: Micros) -> Result<(), PortError> {
        *self.since.lock().unwrap() = Some(since);
        Ok(())
    }

    async fn expire(&self, _: Micros) -> Result<usize, PortError> {
        Ok(0)
    }
}

/// An engine that finds nothing.
struct EmptyLake;

#[async_trait]
impl SqlEngine for EmptyLake {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        Ok(StatementId(statement.sql))
    }

    async fn status(&self, _: &StatementId) -> Result<StatementStatus, PortError> {
        Ok(StatementStatus {
            state: StatementState::Succeeded,
            reader: None,
            owner: None,
            scanned_bytes: None,
            elapsed: None,
        })
    }

    async fn results(&self, _: &StatementId, _: Option<&str>) -> Result<ResultPage, PortError> {
        Ok(ResultPage { batches: vec![RecordBatch::new_empty(columns())], next: None })
    }

    async fn cancel(&self, _: &StatementId) -> Result<(), PortError> {
        Ok(())
    }
}

pub struct World(Arc<Hot>);

impl World {
    /// A world in which each of these owners sent one event a second ago, and the hot index never lost anything.
    pub async fn of(owners: &[&str]) -> Self {
        let hot = Arc::<Hot>::default();
        hot.set_complete_since("telemetry", Micros::MIN).await.unwrap();
        hot.put(owners.iter().map(|owner| chunk(owner)).collect()).await.unwrap();
        Self(hot)
    }

    /// Says that the hot index lost what is older than this.
    pub async fn complete_since_seconds_ago(&self, seconds: i64) {
        self.0.set_complete_since("telemetry", NOW - seconds * SECOND).await.unwrap();
    }

    /// The reader that the function has, of this world.
    pub fn records(&self) -> Records {
        let clock = Arc::new(ManualClock::at(NOW));
        crate::records(self.0.clone(), Arc::new(EmptyLake), Arc::new(datasets()), clock, &settings())
    }
}

fn chunk(owner: &str) -> HotChunk {
    let time = NOW - SECOND;
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let columns = columns();
    let arrays = columns.fields().iter().map(|field| match field.name().as_str() {
        "event_id" => text("1"),
        "source" => text("a"),
        "owner" => text(owner),
        "event_time" | "ingest_time" => Arc::new(TimestampMicrosecondArray::from(vec![time]).with_timezone("UTC")),
        "event_date" => Arc::new(Date32Array::from(vec![(time / SECOND / 86_400) as i32])),
        _ => new_null_array(field.data_type(), 1),
    });
    let rows = RecordBatch::try_new(columns.clone(), arrays.collect()).unwrap();
    let identity = RecordIdentity { shard: ShardId::numbered(0), sequence: SequenceNumber::from(1), subsequence: 0 };
    HotChunk {
        dataset: "telemetry".to_owned(),
        bucket: bucket_of(owner, "a", BUCKETS),
        time_bucket: time_bucket_of(time),
        batch: BatchIdentity::of([&identity]),
        part: 0,
        rows: 1,
        min_time: time,
        max_time: time,
        expires_at: Micros::MAX,
        block: HotBlockWriter::default().write(&rows).unwrap(),
    }
}

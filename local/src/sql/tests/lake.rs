//! A lake in memory: Parquet files and their statistics as the transform writes them, without a Delta log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use alluvium_core::Datasets;
use alluvium_core::ports::PortError;
use alluvium_lake::{ActiveFile, Lease, TableSnapshot};
use arrow::array::{ArrayRef, Date32Array, Float64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use futures::executor::block_on;
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::super::{DataFusionSql, Snapshots, SqlSettings};

/// One telemetry event. Times are in µs.
#[derive(Debug, Clone)]
pub(in crate::sql) struct Event {
    pub(in crate::sql) id: String,
    pub(in crate::sql) source: String,
    pub(in crate::sql) owner: String,
    pub(in crate::sql) time: i64,
    pub(in crate::sql) arrival: i64,
    pub(in crate::sql) value: f64,
}

/// So many events, each with an id of its own, spread evenly over so many sources, a millisecond apart.
pub(super) fn events(count: u32, sources: u32) -> Vec<Event> {
    let event = |n: u32| Event {
        id: format!("{n:012}"),
        source: format!("s{}", n % sources),
        owner: "o".to_owned(),
        time: i64::from(n) * 1_000,
        arrival: i64::from(n) * 1_000 + 5,
        value: f64::from(n),
    };
    (0..count).map(event).collect()
}

#[derive(Debug, Clone, Default)]
pub(in crate::sql) struct MemoryLake {
    store: Arc<InMemory>,
    files: Arc<Mutex<Vec<ActiveFile>>>,
    snapshots: Arc<AtomicU64>,
    /// What it tells of commits.
    pub(super) commits: Arc<Mutex<Option<u64>>>,
}

pub(super) fn datasets() -> Datasets {
    Datasets::load(None, None).unwrap()
}

fn columns() -> SchemaRef {
    datasets().get("telemetry").unwrap().columns().clone()
}

fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros.div_euclid(1_000) * 1_000)
        .unwrap()
        .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
        .to_string()
}

/// The events as rows, without the column `missing`.
pub(super) fn batch_of(events: &[Event], missing: &str) -> RecordBatch {
    let text =
        |of: fn(&Event) -> &String| -> ArrayRef { Arc::new(StringArray::from_iter_values(events.iter().map(of))) };
    let times = |of: fn(&Event) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(of)).with_timezone("UTC"))
    };
    let columns = columns();
    let fields = columns.fields().iter().filter(|field| field.name() != missing);
    let arrays = fields.clone().map(|field| match field.name().as_str() {
        "event_id" => text(|event| &event.id),
        "source" => text(|event| &event.source),
        "owner" => text(|event| &event.owner),
        "event_time" => times(|event| event.time),
        "ingest_time" => times(|event| event.arrival),
        "event_date" => Arc::new(Date32Array::from_iter_values(
            events.iter().map(|event| event.time.div_euclid(86_400_000_000) as i32),
        )),
        "value" => Arc::new(Float64Array::from_iter_values(events.iter().map(|event| event.value))),
        _ => new_null_array(field.data_type(), events.len()),
    });
    let schema = Arc::new(arrow::datatypes::Schema::new(fields.clone().cloned().collect::<Vec<_>>()));
    RecordBatch::try_new(schema, arrays.collect()).unwrap()
}

impl MemoryLake {
    pub(in crate::sql) fn sql(&self, settings: SqlSettings) -> DataFusionSql {
        DataFusionSql::new(self.store.clone(), Arc::new(self.clone()), Arc::new(datasets()), settings).unwrap()
    }

    /// Adds one file.
    pub(in crate::sql) fn add(&self, events: &[Event]) {
        self.add_without("", events);
    }

    /// Adds one file that was written before a column was declared.
    pub(in crate::sql) fn add_without(&self, missing: &str, events: &[Event]) {
        let batch = batch_of(events, missing);
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let (least, greatest) = (
            |of: fn(&Event) -> i64| events.iter().map(of).min().unwrap(),
            |of: fn(&Event) -> i64| events.iter().map(of).max().unwrap(),
        );
        let ends = |end: &dyn Fn(fn(&Event) -> i64) -> i64, source: Option<&String>| {
            json!({"event_time": time(end(|event| event.time)), "ingest_time": time(end(|event| event.arrival)),
                   "event_date": time(end(|event| event.time))[..10], "source": source})
        };
        let stats = json!({
            "numRecords": events.len(),
            "minValues": ends(&least, events.iter().map(|event| &event.source).min()),
            "maxValues": ends(&greatest, events.iter().map(|event| &event.source).max()),
        });
        let mut files = self.files.lock().unwrap();
        let path = format!("{:04}.parquet", files.len());
        files.push(ActiveFile {
            path: path.clone(),
            size_bytes: bytes.len() as u64,
            rows: events.len() as u64,
            stats: Some(stats.to_string()),
            modification_time: 0,
        });
        block_on(self.store.put(&Path::from(format!("telemetry/{path}")), Bytes::from(bytes).into())).unwrap();
    }

    /// Takes the `n`th file's bytes away, so that whoever reads it fails.
    pub(super) fn remove_object(&self, n: usize) {
        block_on(self.store.delete(&Path::from(format!("telemetry/{n:04}.parquet")))).unwrap();
    }

    /// How many snapshots were taken since the last call.
    pub(super) fn count_snapshots(&self) -> u64 {
        self.snapshots.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl Snapshots for MemoryLake {
    fn commits(&self) -> Option<u64> {
        *self.commits.lock().unwrap()
    }

    async fn snapshot(&self, table: &str) -> Result<Option<TableSnapshot>, PortError> {
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        let files = self.files.lock().unwrap().clone();
        let snapshot =
            TableSnapshot { version: files.len() as u64, columns: columns(), files, lease: Lease::default() };
        Ok((table == "telemetry" && snapshot.version > 0).then_some(snapshot))
    }
}

//! Batches of real rows: events with keys and times, written as Parquet, and read back out of the tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::identity::content_hash;
use alluvium_core::{
    BatchIdentity, CommitMessage, DataFileEntry, DataFileFormat as _, LedgerEntry, RecordIdentity, ShardId, ShardRange,
};
use arrow::array::{
    ArrayRef, AsArray as _, Date32Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::datatypes::TimestampMicrosecondType;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{PlainFormat, READINGS, datasets, empty_entry, root};
use crate::LakeReader;

/// One event of `readings`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) owner: String,
    pub(crate) source: String,
    pub(crate) id: String,
    /// Microseconds.
    pub(crate) ingest_time: i64,
    pub(crate) event_time: i64,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Events as rows of their table.
pub(crate) fn rows_of_events(events: &[Event]) -> RecordBatch {
    let columns = datasets().get(READINGS).unwrap().columns().clone();
    let text = |of: fn(&Event) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(events.iter().map(of))) };
    let time = |of: fn(&Event) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(of)).with_timezone("UTC"))
    };
    let values = columns.fields().iter().map(|field| match field.name().as_str() {
        "event_id" => text(|event| &event.id),
        "source" => text(|event| &event.source),
        "owner" => text(|event| &event.owner),
        "event_time" => time(|event| event.event_time),
        "ingest_time" => time(|event| event.ingest_time),
        "event_date" => {
            let days = events.iter().map(|event| event.event_time.div_euclid(MICROS_PER_DAY) as i32);
            Arc::new(Date32Array::from_iter_values(days)) as ArrayRef
        }
        "value" => Arc::new(Float64Array::from_iter_values(events.iter().map(|event| event.event_time as f64))),
        _ => new_null_array(field.data_type(), events.len()),
    });
    RecordBatch::try_new(columns.clone(), values.collect()).unwrap()
}

/// Stores the file of one batch of events of `readings`, which are the records from `first` on of shard 0, and returns its message.
pub(crate) async fn deliver_events(store: &Arc<dyn ObjectStore>, first: u64, events: &[Event]) -> CommitMessage {
    let last = first + events.len() as u64 - 1;
    let shard = ShardId::numbered(0);
    let records: Vec<_> = (first..=last)
        .map(|number| RecordIdentity { shard: shard.clone(), sequence: number.into(), subsequence: 0 })
        .collect();
    let batch = BatchIdentity::of(&records);
    let mut writer = PlainFormat.begin(READINGS).unwrap();
    writer.write(&rows_of_events(events)).unwrap();
    let file = writer.finish().unwrap();
    let path = format!("{READINGS}/{batch}-{}.parquet", content_hash(&file.end));
    store.put(&Path::from(path.as_str()), file.end.into()).await.unwrap();
    let covers = vec![ShardRange { shard, first: first.into(), last: last.into() }];
    let count = events.len() as u64;
    let ledger =
        LedgerEntry { received: count, written: count, bytes: 10 * count, ..empty_entry(&batch, READINGS, &covers) };
    let file = DataFileEntry {
        dataset: READINGS.to_owned(),
        path,
        size_bytes: file.size_bytes,
        rows: count,
        stats: file.stats,
        schema: "0".to_owned(),
    };
    CommitMessage::new(batch, covers, vec![file], vec![ledger])
}

/// The rows of each active file of `readings`, in their order, by the file's path.
pub(crate) async fn events_of(store: &Arc<dyn ObjectStore>) -> BTreeMap<String, Vec<Event>> {
    let snapshot = LakeReader::new(store.clone(), root()).snapshot(READINGS).await.unwrap();
    let mut found = BTreeMap::new();
    for file in snapshot.files {
        let path = Path::from(format!("{READINGS}/{}", file.path));
        let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
        let mut events = Vec::new();
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let text = |name: &str, row| batch[name].as_string::<i32>().value(row).to_owned();
            let time = |name: &str, row| batch[name].as_primitive::<TimestampMicrosecondType>().value(row);
            events.extend((0..batch.num_rows()).map(|row| Event {
                owner: text("owner", row),
                source: text("source", row),
                id: text("event_id", row),
                ingest_time: time("ingest_time", row),
                event_time: time("event_time", row),
            }));
        }
        assert_eq!(events.len() as u64, file.rows, "{}", file.path);
        found.insert(file.path, events);
    }
    found
}

/// Of each event key its first arrival.
pub(crate) fn first_arrivals<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Event> {
    let mut first: BTreeMap<(&str, &str, &str), &Event> = BTreeMap::new();
    for event in events {
        let arrival = |event: &Event| (event.ingest_time, event.event_time);
        let known = first.entry((&event.owner, &event.source, &event.id)).or_insert(event);
        if arrival(event) < arrival(known) {
            *known = event;
        }
    }
    let mut events: Vec<_> = first.into_values().cloned().collect();
    events.sort();
    events
}

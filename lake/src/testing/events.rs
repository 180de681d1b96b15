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
    let written = |entry: LedgerEntry| LedgerEntry { written: entry.received, ..entry };
    deliver_rows(store, READINGS, first, &rows_of_events(events), written).await
}

/// Stores the file of one batch with these rows of a table, each a record from `first` on of shard 0, and returns its message. `became`
/// says of its ledger's entry, which has what was received, what became of that.
pub(crate) async fn deliver_rows(
    store: &Arc<dyn ObjectStore>,
    table: &str,
    first: u64,
    rows: &RecordBatch,
    became: impl FnOnce(LedgerEntry) -> LedgerEntry,
) -> CommitMessage {
    let count = rows.num_rows() as u64;
    let last = first + count - 1;
    let shard = ShardId::numbered(0);
    let records: Vec<_> = (first..=last)
        .map(|number| RecordIdentity { shard: shard.clone(), sequence: number.into(), subsequence: 0 })
        .collect();
    let batch = BatchIdentity::of(&records);
    let mut writer = PlainFormat.begin(table).unwrap();
    writer.write(rows).unwrap();
    let file = writer.finish().unwrap();
    let path = format!("{table}/{batch}-{}.parquet", content_hash(&file.end));
    store.put(&Path::from(path.as_str()), file.end.into()).await.unwrap();
    let covers = vec![ShardRange { shard, first: first.into(), last: last.into() }];
    let entry = LedgerEntry { received: count, bytes: 10 * count, ..empty_entry(&batch, table, &covers) };
    let file = DataFileEntry {
        dataset: table.to_owned(),
        path,
        size_bytes: file.size_bytes,
        rows: count,
        stats: file.stats,
        schema: "0".to_owned(),
    };
    CommitMessage::new(batch, covers, vec![file], vec![became(entry)])
}

/// The rows of each active file of `readings`, in their order, by the file's path.
pub(crate) async fn events_of(store: &Arc<dyn ObjectStore>) -> BTreeMap<String, Vec<Event>> {
    let mut found = BTreeMap::new();
    for (path, rows) in rows_of(store, READINGS).await {
        found.insert(path, rows.iter().flat_map(events_in).collect());
    }
    found
}

/// The rows of each active file of a table, in their order, by the file's path.
pub(crate) async fn rows_of(store: &Arc<dyn ObjectStore>, table: &str) -> BTreeMap<String, Vec<RecordBatch>> {
    let snapshot = LakeReader::new(store.clone(), root()).snapshot(table).await.unwrap();
    let mut found = BTreeMap::new();
    for file in snapshot.files {
        let path = Path::from(format!("{table}/{}", file.path));
        let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let rows: Vec<RecordBatch> = rows.collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, file.rows, "{}", file.path);
        found.insert(file.path, rows);
    }
    found
}

/// The keys and times of rows of any table.
pub(crate) fn events_in(rows: &RecordBatch) -> Vec<Event> {
    let text = |name: &str, row| rows[name].as_string::<i32>().value(row).to_owned();
    let time = |name: &str, row| rows[name].as_primitive::<TimestampMicrosecondType>().value(row);
    let event = |row| Event {
        owner: text("owner", row),
        source: text("source", row),
        id: text("event_id", row),
        ingest_time: time("ingest_time", row),
        event_time: time("event_time", row),
    };
    (0..rows.num_rows()).map(event).collect()
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

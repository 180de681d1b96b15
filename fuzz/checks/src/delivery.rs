//! A delivery batch through the transform, held to what is true of every batch.

use std::collections::BTreeMap;

use alluvium_core::{BatchIdentity, DeliveryBatch, LedgerEntry, RecordIdentity, ShardId, StreamRecord};
use alluvium_transform::{BatchOutput, Transform};
use arrow::array::{Array, AsArray, RecordBatch, RecordBatchReader};
use arrow::compute::concat_batches;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The arrival of every record, 2023-11-14T22:13:20Z.
const ARRIVAL: i64 = 1_700_000_000_000_000;

/// What one batch became.
pub(crate) struct Outcome {
    pub(crate) output: BatchOutput,
    /// By dataset, `dead_letters` among them: the rows of its data file.
    pub(crate) rows: BTreeMap<String, RecordBatch>,
}

impl Outcome {
    /// The column of the dead letters, as texts.
    pub(crate) fn dead(&self, column: &str) -> Vec<&str> {
        let Some(rows) = self.rows.get("dead_letters") else { return Vec::new() };
        rows.column_by_name(column).unwrap().as_string::<i32>().iter().flatten().collect()
    }

    /// Events received, over all datasets.
    pub(crate) fn received(&self) -> u64 {
        self.sum(|entry| entry.received)
    }

    /// Bytes of events received, over all datasets.
    pub(crate) fn bytes(&self) -> u64 {
        self.sum(|entry| entry.bytes)
    }

    /// What the ledger counts, summed over all datasets.
    pub(crate) fn sum(&self, of: fn(&LedgerEntry) -> u64) -> u64 {
        self.output.message.ledger.iter().map(of).sum()
    }
}

/// A record of shard 0.
pub(crate) fn record(sequence: u64, subsequence: u64, data: impl Into<Bytes>) -> StreamRecord {
    StreamRecord {
        identity: RecordIdentity { shard: ShardId::numbered(0), sequence: sequence.into(), subsequence },
        arrival: ARRIVAL,
        partition_key: "key".into(),
        data: data.into(),
    }
}

/// Runs one record.
pub(crate) fn run_one(transform: &Transform, data: impl Into<Bytes>) -> Outcome {
    run(transform, &DeliveryBatch { records: vec![record(1, 0, data)] })
}

/// Runs a batch and checks what holds for every batch.
///
/// # Panics
///
/// When it does not.
pub(crate) fn run(transform: &Transform, batch: &DeliveryBatch) -> Outcome {
    let output = transform.run(batch).unwrap();
    // Every fourth batch is enough to see it, and costs a fuzzer less.
    if batch.bytes().is_multiple_of(4) {
        assert!(transform.run(batch).unwrap() == output, "the same batch gives the same bytes");
    }
    let message = &output.message;
    assert!(message.ledger.iter().all(LedgerEntry::balances), "TR-2: {:?}", message.ledger);
    let received: BTreeMap<_, _> = message.ledger.iter().map(|entry| (entry.dataset.clone(), entry.received)).collect();
    assert_eq!(transform.received(batch), received, "what was received can be told without making rows");
    assert_eq!(output.files.len(), message.files.len());
    let mut rows = BTreeMap::new();
    for (file, entry) in output.files.iter().zip(&message.files) {
        assert_eq!((&file.path, file.bytes.len() as u64), (&entry.path, entry.size_bytes));
        assert_eq!(BatchIdentity::from_data_file_name(&file.path), Some(batch.identity()));
        let read = rows_of(&file.bytes);
        assert_eq!(read.num_rows() as u64, entry.rows);
        let stats: serde_json::Value = serde_json::from_str(&entry.stats).unwrap();
        assert_eq!(stats["numRecords"], entry.rows);
        assert!(rows.insert(entry.dataset.clone(), read).is_none(), "one file per dataset");
    }
    let rows_in = |dataset: &str| rows.get(dataset).map_or(0, |rows| rows.num_rows() as u64);
    for entry in message.ledger.iter().filter(|entry| entry.dataset != "dead_letters") {
        assert_eq!(rows_in(&entry.dataset), entry.written, "TR-1: {}", entry.dataset);
    }
    assert_eq!(rows_in("dead_letters"), message.ledger.iter().map(|entry| entry.dead).sum::<u64>(), "TR-1");
    let hot: usize = output.chunks.iter().map(|chunk| chunk.rows as usize).sum();
    assert!(hot as u64 <= message.ledger.iter().map(|entry| entry.written).sum());
    rows.values().for_each(extra_is_json);
    Outcome { output, rows }
}

fn rows_of(file: &Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    let columns = reader.schema();
    concat_batches(&columns, &reader.collect::<Result<Vec<_>, _>>().unwrap()).unwrap()
}

fn extra_is_json(rows: &RecordBatch) {
    let Some(extra) = rows.column_by_name("extra") else { return };
    for text in extra.as_string::<i32>().iter().flatten() {
        assert!(text.starts_with('{'), "{text}");
        serde_json::from_str::<serde::de::IgnoredAny>(text).unwrap();
    }
    assert_eq!(extra.len(), rows.num_rows());
}

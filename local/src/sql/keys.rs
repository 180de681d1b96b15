//! Reading the event keys of files, and keeping them in little memory.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray as _, BooleanArray};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use datafusion::physical_expr::PhysicalExpr;
use futures::{Stream, TryStreamExt as _};
use object_store::ObjectStore;

use super::file_reader::FileReader;
use super::scanned::Scanned;
use super::tables::TableFile;

/// The columns that decide which arrival of a key is the first, in the order in which they are read.
pub(super) const KEY_COLUMNS: [&str; 3] = ["owner", "source", "event_id"];
const TIME_COLUMNS: [&str; 2] = ["ingest_time", "event_time"];
/// How many rows are decoded at once.
const BATCH_ROWS: usize = 16 * 1024;

/// 128 bits that stand for an event key, under hashes with random seeds: nobody can make two keys that share them.
pub(super) type KeyHash = (u64, u64);

/// Where a row is and when it arrived. The least of a key's is its first arrival; file and row decide between arrivals at the
/// same time of events with the same time, which are the same event delivered twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    ingest_time: i64,
    event_time: i64,
    pub(super) file: u32,
    pub(super) row: u32,
}

/// The first arrival of each key seen so far.
pub(super) struct FirstOfKey {
    first: HashMap<KeyHash, Arrival, BuildHasherDefault<AlreadyHashed>>,
}

/// How many keys fit into so many bytes: a table of a power of two slots, seven eighths full.
pub(super) fn keys_in(bytes: usize) -> usize {
    let slot = size_of::<(KeyHash, Arrival)>() + 1;
    let slots = (bytes / slot).max(16);
    (1 << slots.ilog2()) / 8 * 7
}

impl FirstOfKey {
    /// None seen yet, with room for so many.
    pub(super) fn with_capacity(keys: usize) -> Self {
        Self { first: HashMap::with_capacity_and_hasher(keys, BuildHasherDefault::default()) }
    }

    /// Takes in one more arrival. Answers the one that is not its key's first, if there are two now.
    pub(super) fn add(&mut self, key: KeyHash, arrival: Arrival) -> Option<Arrival> {
        match self.first.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(arrival);
                None
            }
            Entry::Occupied(mut entry) if arrival < *entry.get() => Some(entry.insert(arrival)),
            Entry::Occupied(_) => Some(arrival),
        }
    }

    /// Compares an arrival with the first of its key, if that key is known. Answers the known one if it is not the first after
    /// all.
    pub(super) fn beat(&mut self, key: KeyHash, arrival: Arrival) -> Option<Arrival> {
        let known = self.first.get_mut(&key)?;
        (arrival < *known).then(|| std::mem::replace(known, arrival))
    }
}

/// The first half of a [`KeyHash`] is a good hash by itself.
#[derive(Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key's hash is two numbers");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = self.0.rotate_left(32) ^ number;
    }
}

/// Reads keys out of files.
#[derive(Clone)]
pub(super) struct KeyReader {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The table's columns, which the predicate is about.
    pub(super) columns: SchemaRef,
    /// Only rows for which this holds count. It is about [`KEY_COLUMNS`] alone.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    scanned: Arc<Scanned>,
    seeds: (RandomState, RandomState),
}

/// Some rows' keys.
pub(super) type Keys = Vec<(KeyHash, Arrival)>;

impl KeyReader {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        columns: SchemaRef,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        scanned: Arc<Scanned>,
    ) -> Self {
        Self { store, columns, predicate, scanned, seeds: Default::default() }
    }

    /// The keys of one file, in portions. `file` is its number in the arrivals.
    pub(super) async fn read(&self, file: &TableFile, number: u32) -> Result<impl Stream<Item = Result<Keys>> + use<>> {
        let reader = FileReader {
            store: self.store.clone(),
            path: file.path.clone(),
            size_bytes: file.size_bytes,
            scanned: self.scanned.clone(),
        };
        let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
        let wanted = KEY_COLUMNS.iter().chain(&TIME_COLUMNS).copied();
        let mask = ProjectionMask::columns(builder.parquet_schema(), wanted);
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?;
        let this = self.clone();
        let mut row = 0;
        Ok(batches.err_into().and_then(move |batch| {
            let keys = this.hash(&batch, number, row);
            row += batch.num_rows() as u32;
            std::future::ready(keys)
        }))
    }

    fn hash(&self, batch: &RecordBatch, file: u32, first_row: u32) -> Result<Keys> {
        let mask = self.mask(batch)?;
        let text = |name: &str| batch[name].as_string::<i32>();
        let time = |name: &str| batch[name].as_primitive::<TimestampMicrosecondType>();
        let [owners, sources, ids] = KEY_COLUMNS.map(text);
        let [ingest_times, event_times] = TIME_COLUMNS.map(time);
        let mut keys = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            if mask.as_ref().is_some_and(|mask| !(mask.is_valid(row) && mask.value(row))) {
                continue;
            }
            let key = (owners.value(row), sources.value(row), ids.value(row));
            let arrival = Arrival {
                ingest_time: ingest_times.value(row),
                event_time: event_times.value(row),
                file,
                row: first_row + row as u32,
            };
            keys.push(((self.seeds.0.hash_one(key), self.seeds.1.hash_one(key)), arrival));
        }
        Ok(keys)
    }

    /// Which rows count; `None`: all.
    fn mask(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let Some(predicate) = &self.predicate else { return Ok(None) };
        // The predicate knows columns by their place in the table.
        let columns = self.columns.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) => column.clone(),
            None => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
        });
        let nullable = self.columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let nullable = Arc::new(arrow::datatypes::Schema::new(nullable.collect::<Vec<_>>()));
        let whole = RecordBatch::try_new(nullable, columns.collect())?;
        let value = predicate.evaluate(&whole)?.into_array(whole.num_rows())?;
        Ok(Some(value.as_boolean().clone()))
    }
}

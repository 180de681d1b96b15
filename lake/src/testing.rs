//! Test instruments: a stream whose records are known by their numbers, a store that dies at a chosen write, and the loop of
//! delivery and commit over both.

mod crashing;
mod events;
mod format;
mod index;
mod letters;
mod library;
mod retained;
mod sealed;
mod sharing;
mod upkeep;
mod yielding;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::Arc;

use alluvium_core::identity::content_hash;
use alluvium_core::ports::PortError;
use alluvium_core::{
    BatchIdentity, CommitMessage, DataFileEntry, Dataset, DatasetName, Datasets, LedgerEntry, ManualClock, ReasonCode,
    RecordIdentity, SequenceNumber, ShardId, ShardRange,
};
use async_trait::async_trait;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use url::Url;

pub(crate) use crashing::{Crash, Crashing};
pub(crate) use events::{Event, deliver_events, deliver_rows, events_of, first_arrivals, rows_of_events};
pub(crate) use format::PlainFormat;
pub(crate) use index::MemoryIndex;
pub(crate) use letters::{all_dead, deliver_letters, letters_of};
pub(crate) use library::{assert_the_library_reads_the_same, library_table};
pub(crate) use retained::Retained;
pub(crate) use sealed::{Told, sealed};
pub(crate) use sharing::{
    Queue, assert_rows_and_entries, assert_shared_complete, assert_the_ledger_balances, open_shared, open_shared_at,
    open_shared_with, queue,
};
pub(crate) use upkeep::{DAY, Maintainer, days, maintainer, maintainer_of};
pub(crate) use yielding::Yielding;

use crate::error::Result;
use crate::{Lake, LakeReader, LakeRecovery, LakeSettings, StreamCounts};

pub(crate) const READINGS: &str = "readings";
pub(crate) const NOTES: &str = "notes";
pub(crate) const DEAD: &str = "dead_letters";
pub(crate) const LEDGER: &str = "ledger";

/// Numbers that look random and are the same in every run.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

pub(crate) fn root() -> Url {
    Url::parse("memory:///").unwrap()
}

pub(crate) fn dataset(name: &str, properties: &str) -> Dataset {
    let schema = format!(r#"{{"properties": {{{properties}}}}}"#);
    Dataset::from_schema(DatasetName::new(name).unwrap(), &schema).unwrap()
}

pub(crate) fn datasets() -> Datasets {
    let readings = dataset(READINGS, r#""value": {"type": "number"}"#);
    Datasets::of([readings, dataset(NOTES, r#""text": {"type": "string"}"#)], None).unwrap()
}

pub(crate) async fn open(store: &Arc<dyn ObjectStore>) -> Result<(Lake, LakeRecovery)> {
    open_with(store, &datasets(), 100).await
}

pub(crate) async fn open_with(
    store: &Arc<dyn ObjectStore>,
    datasets: &Datasets,
    checkpoint_every: u64,
) -> Result<(Lake, LakeRecovery)> {
    open_at(store, root(), datasets, checkpoint_every).await
}

pub(crate) async fn open_at(
    store: &Arc<dyn ObjectStore>,
    root: Url,
    datasets: &Datasets,
    checkpoint_every: u64,
) -> Result<(Lake, LakeRecovery)> {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000_000));
    let settings = LakeSettings { checkpoint_every: NonZeroU64::new(checkpoint_every).unwrap() };
    Lake::open(store.clone(), root, datasets, Arc::new(PlainFormat), clock, settings).await
}

/// What becomes of a record, told by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It holds no event.
    Empty,
    /// Its event belongs to no dataset.
    Nowhere,
    /// Its event belongs to `readings` and is dead.
    Dead,
    /// Its event belongs to `notes` and is dropped by a rule.
    Filtered,
    Row(&'static str),
}

fn fate(number: u64) -> Fate {
    match number {
        n if n % 13 == 0 => Fate::Empty,
        n if n % 11 == 0 => Fate::Nowhere,
        n if n % 7 == 0 => Fate::Dead,
        n if n % 17 == 0 => Fate::Filtered,
        n if n % 2 == 0 => Fate::Row(READINGS),
        _ => Fate::Row(NOTES),
    }
}

/// The dataset that a record's event counts in; `None`: it holds none.
fn dataset_of(number: u64) -> Option<&'static str> {
    match fate(number) {
        Fate::Empty => None,
        Fate::Nowhere => Some(DEAD),
        Fate::Dead => Some(READINGS),
        Fate::Filtered => Some(NOTES),
        Fate::Row(dataset) => Some(dataset),
    }
}

/// The table that gets a row of a record; `None`: none does.
fn table_of(number: u64) -> Option<&'static str> {
    match fate(number) {
        Fate::Empty | Fate::Filtered => None,
        Fate::Nowhere | Fate::Dead => Some(DEAD),
        Fate::Row(table) => Some(table),
    }
}

/// A stream of two shards with so many records each, numbered from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestStream {
    pub(crate) lengths: [u64; 2],
    /// The oldest record that it still holds, of both shards.
    pub(crate) oldest: u64,
    /// Events that it holds and nobody has ever delivered.
    pub(crate) undelivered: u64,
}

impl TestStream {
    pub(crate) fn new(lengths: [u64; 2]) -> Self {
        Self { lengths, oldest: 1, undelivered: 0 }
    }

    fn length(&self, shard: &ShardId) -> u64 {
        if *shard == ShardId::numbered(0) { self.lengths[0] } else { self.lengths[1] }
    }

    /// The rows that each table must have in the end, as `shard/number`.
    pub(crate) fn rows(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut rows: BTreeMap<_, _> = [READINGS, NOTES, DEAD].map(|t| (t.to_owned(), BTreeSet::new())).into();
        for (shard, number) in shards().into_iter().flat_map(|s| (1..=self.length(&s)).map(move |n| (s.clone(), n))) {
            if let Some(table) = table_of(number) {
                rows.get_mut(table).unwrap().insert(format!("{shard}/{number}"));
            }
        }
        rows
    }
}

#[async_trait]
impl StreamCounts for TestStream {
    async fn received(&self, run: &ShardRange) -> std::result::Result<Option<BTreeMap<String, u64>>, PortError> {
        let (first, last) = (run.first.as_u64().unwrap(), run.last.as_u64().unwrap());
        if first < self.oldest {
            return Ok(None);
        }
        let mut counts = BTreeMap::from([(READINGS.to_owned(), self.undelivered)]);
        for number in first..=last {
            if let Some(dataset) = dataset_of(number) {
                *counts.entry(dataset.to_owned()).or_default() += 1;
            }
        }
        Ok(Some(counts))
    }

    async fn oldest(&self, shard: &ShardId) -> std::result::Result<Option<SequenceNumber>, PortError> {
        Ok((self.oldest <= self.length(shard)).then(|| self.oldest.into()))
    }

    async fn newest(&self, shard: &ShardId) -> std::result::Result<Option<SequenceNumber>, PortError> {
        Ok(Some(self.length(shard).into()))
    }
}

pub(crate) fn shards() -> [ShardId; 2] {
    [ShardId::numbered(0), ShardId::numbered(1)]
}

pub(crate) fn range(shard: u32, first: u64, last: u64) -> ShardRange {
    ShardRange { shard: ShardId::numbered(shard), first: first.into(), last: last.into() }
}

/// Delivers one batch as the transform would: stores its files, whose content lists their rows, and returns its message.
pub(crate) async fn deliver(store: &Arc<dyn ObjectStore>, covers: Vec<ShardRange>) -> CommitMessage {
    let numbers = |range: &ShardRange| range.first.as_u64().unwrap()..=range.last.as_u64().unwrap();
    let records = covers.iter().flat_map(|range| numbers(range).map(|number| (range.shard.clone(), number)));
    let identity = |(shard, number): (ShardId, u64)| {
        let identity = RecordIdentity { shard, sequence: number.into(), subsequence: 0 };
        (identity, number)
    };
    deliver_records(store, covers.clone(), &records.map(identity).collect::<Vec<_>>(), "").await
}

/// Delivers one batch of records, each with the number that tells its fate. `release` is a part of each file's content, as what
/// changes with the transform's release is.
pub(crate) async fn deliver_records(
    store: &Arc<dyn ObjectStore>,
    covers: Vec<ShardRange>,
    records: &[(RecordIdentity, u64)],
    release: &str,
) -> CommitMessage {
    let batch = BatchIdentity::of(records.iter().map(|(identity, _)| identity));
    let mut rows: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut ledger: BTreeMap<&str, LedgerEntry> = BTreeMap::new();
    for (RecordIdentity { shard, .. }, number) in records {
        let (dataset, table, reason) = match fate(*number) {
            Fate::Empty => continue,
            Fate::Nowhere => (DEAD, Some(DEAD), Some(ReasonCode::NoDataset)),
            Fate::Dead => (READINGS, Some(DEAD), Some(ReasonCode::SchemaViolated)),
            Fate::Filtered => (NOTES, None, None),
            Fate::Row(dataset) => (dataset, Some(dataset), None),
        };
        if let Some(table) = table {
            rows.entry(table).or_default().push(format!("{shard}/{number}"));
        }
        let entry = ledger.entry(dataset).or_insert_with(|| empty_entry(&batch, dataset, &covers));
        entry.received += 1;
        entry.bytes += 10;
        match reason {
            None if table.is_none() => entry.filtered += 1,
            None => entry.written += 1,
            Some(reason) => {
                entry.dead += 1;
                *entry.dead_by_reason.entry(reason).or_default() += 1;
            }
        }
    }
    let mut files = Vec::new();
    for (table, rows) in rows {
        let content = rows.join("\n") + release;
        let path = format!("{table}/{batch}-{}.parquet", content_hash(content.as_bytes()));
        store.put(&Path::from(path.as_str()), content.clone().into()).await.unwrap();
        files.push(DataFileEntry {
            dataset: table.to_owned(),
            path,
            size_bytes: content.len() as u64,
            rows: rows.len() as u64,
            stats: format!(r#"{{"numRecords":{}}}"#, rows.len()),
            schema: "0".to_owned(),
        });
    }
    CommitMessage::new(batch, covers, files, ledger.into_values().collect())
}

pub(crate) fn empty_entry(batch: &BatchIdentity, dataset: &str, covers: &[ShardRange]) -> LedgerEntry {
    LedgerEntry {
        batch: batch.clone(),
        dataset: dataset.to_owned(),
        received: 0,
        written: 0,
        filtered: 0,
        dead: 0,
        bytes: 0,
        dead_by_reason: BTreeMap::new(),
        redriven: Some(0),
        arrival: 1_700_000_000_000_000,
        covers: covers.to_vec(),
    }
}

/// Records of one shard in a batch.
const RUN: u64 = 5;

/// The runs of the next batch: up to [`RUN`] records of each shard; while a mark lies ahead, of that shard alone and up to it.
fn next_covers(lake: &Lake, stream: &TestStream, at: &mut BTreeMap<ShardId, u64>) -> Vec<ShardRange> {
    let run = |at: &mut BTreeMap<ShardId, u64>, shard: &ShardId, end: u64| {
        let before = at.insert(shard.clone(), end).unwrap();
        ShardRange { shard: shard.clone(), first: (before + 1).into(), last: end.into() }
    };
    for shard in shards() {
        let here = at[&shard];
        let cuts = lake.marks().into_iter().filter(|(of, _)| *of == shard).filter_map(|(_, mark)| mark.as_u64());
        if let Some(cut) = cuts.filter(|cut| *cut > here).min() {
            return vec![run(at, &shard, cut.min(here + RUN))];
        }
    }
    let mut covers = Vec::new();
    for shard in shards() {
        let (here, end) = (at[&shard], stream.length(&shard));
        if here < end {
            covers.push(run(at, &shard, end.min(here + RUN)));
        }
    }
    covers
}

/// Opens the lake and commits, two batches a cycle, until it has all of the stream. `files` is where data files are stored.
pub(crate) async fn drive(
    store: &Arc<dyn ObjectStore>,
    files: &Arc<dyn ObjectStore>,
    stream: &TestStream,
    checkpoint_every: u64,
) -> Result<LakeRecovery> {
    let (lake, recovery) = open_with(store, &datasets(), checkpoint_every).await?;
    drive_opened(lake, files, stream).await?;
    Ok(recovery)
}

/// Commits, two batches a cycle, until the lake has all of the stream.
pub(crate) async fn drive_opened(mut lake: Lake, files: &Arc<dyn ObjectStore>, stream: &TestStream) -> Result<()> {
    let number = |at: Option<SequenceNumber>| at.and_then(SequenceNumber::as_u64).unwrap_or_default();
    let mut at: BTreeMap<_, _> = shards().map(|shard| (shard.clone(), number(lake.position(&shard)))).into();
    loop {
        let mut messages = Vec::new();
        for _ in 0..2 {
            let covers = next_covers(&lake, stream, &mut at);
            if !covers.is_empty() {
                messages.push(deliver(files, covers).await);
            }
        }
        if messages.is_empty() {
            return Ok(());
        }
        lake.commit(&messages).await?;
    }
}

/// Asserts that every table has exactly the stream's rows, each once, that the library agrees, and that the audit balances.
pub(crate) async fn assert_complete(store: &Arc<dyn ObjectStore>, stream: &TestStream) {
    assert_rows(store, stream.rows()).await;
    let reader = LakeReader::new(store.clone(), root());
    let report = crate::audit(&reader, &datasets(), &MemoryIndex::default(), stream, &crate::AuditSettings::at(0))
        .await
        .unwrap();
    assert!(report.balances(), "{:?}", report.problems().collect::<Vec<_>>());
    assert_eq!(report.total().received, stream_events(stream), "every event is in the ledger once");
    for shard in report.shards {
        assert_eq!(shard.records_behind, Some(0), "{}", shard.shard);
    }
}

/// Asserts that every table has exactly these rows, each once.
pub(crate) async fn assert_rows(store: &Arc<dyn ObjectStore>, expected: BTreeMap<String, BTreeSet<String>>) {
    let reader = LakeReader::new(store.clone(), root());
    for (table, expected) in expected {
        let mut found = Vec::new();
        for file in reader.snapshot(&table).await.unwrap().files {
            let content =
                store.get(&Path::from(format!("{table}/{}", file.path))).await.unwrap().bytes().await.unwrap();
            found.extend(std::str::from_utf8(&content).unwrap().lines().map(str::to_owned));
        }
        found.sort();
        let expected: Vec<_> = BTreeSet::into_iter(expected).collect();
        assert_eq!(found, expected, "{table}");
    }
}

fn stream_events(stream: &TestStream) -> u64 {
    let filtered = |shard| (1..=stream.length(&shard)).filter(|number| fate(*number) == Fate::Filtered).count() as u64;
    let rows: u64 = stream.rows().values().map(|rows| rows.len() as u64).sum();
    rows + shards().into_iter().map(filtered).sum::<u64>()
}

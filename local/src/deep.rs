//! The deep audit: every event that a stream retains is transformed once more, and looked for in the lake by what it is known by.
//!
//! The audit of `alluvium_lake` holds batches against records and tables against the ledger, by identities and by counts. This one asks
//! nothing of either: it makes the rows again, and a row that is in no table is missing whatever the books say. It reads the owner, the
//! source and the id of every row that arrived since the oldest record, so it costs what the stream and those columns cost to read.
//!
//! Events are looked for some millions at a time, by a hash of what they are known by.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::ports::{Advice, PortError, ShardState, SqlEngine as _, Statement, Stream};
use alluvium_core::{DatasetName, Datasets, DeliveryBatch, SequenceNumber, ShardId, StreamRecord};
use alluvium_lake::{Check, Target, screen_rows};
use alluvium_transform::{Transform, firehose};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest as _, Sha256};

use crate::sql::DataFusionSql;

/// How much of a shard is read at a time.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// How long is waited for a record where there should be one.
const WAIT: Duration = Duration::from_secs(1);
/// How often a shard may say that it holds more and give nothing.
const MOST_EMPTY_PAGES: u32 = 60;
/// How many events are looked for at a time: some 100 MB.
const EVENTS_AT_ONCE: usize = 2_000_000;
/// How many missing events are named.
const NAMED: usize = 20;

/// What is held against what.
pub struct DeepAudit<'a> {
    /// The stream.
    pub stream: &'a dyn Stream,
    /// As the stage transforms: with its schemas, its owner, its default dataset and its key for pseudonyms.
    pub transform: &'a Transform,
    /// What looks into the tables.
    pub sql: &'a DataFusionSql,
    /// The datasets, which are the tables beside that of the dead letters, and for how long their rows are kept.
    pub datasets: &'a Datasets,
    /// Whose rows were taken out, so that they need not be there.
    pub erased: &'a [Target],
    /// The last record of each shard that is committed; of a shard that is not among these none is looked for.
    pub positions: BTreeMap<ShardId, SequenceNumber>,
    /// Now.
    pub now: Micros,
}

/// What an event is known by: a hash of its owner, source and id.
type Key = u128;

/// An event that should be in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    table: String,
    id: String,
    arrival: Micros,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    events: u64,
    left_out: u64,
    missing: u64,
    named: Vec<Expected>,
}

impl DeepAudit<'_> {
    /// Looks for every event.
    ///
    /// # Errors
    ///
    /// When the stream or a table cannot be read, or the transform cannot be run. What is missing is in the check, no error.
    pub async fn check(&self) -> Result<Check, PortError> {
        let mut found = Found::default();
        let mut waiting: HashMap<Key, Expected> = HashMap::new();
        for state in self.stream.shards().await? {
            let Some(position) = self.positions.get(&state.shard).copied() else { continue };
            let mut reading = Reading { state, position, after: None, empty_pages: 0 };
            while let Some(records) = reading.next(self.stream).await? {
                self.expect(records, &mut waiting, &mut found)?;
                if waiting.len() >= EVENTS_AT_ONCE {
                    self.look_for(&mut waiting, &mut found).await?;
                }
            }
        }
        self.look_for(&mut waiting, &mut found).await?;
        Ok(found.into_check())
    }

    /// Makes the rows of some records.
    fn expect(
        &self,
        records: Vec<StreamRecord>,
        waiting: &mut HashMap<Key, Expected>,
        found: &mut Found,
    ) -> Result<(), PortError> {
        let records = records.into_iter().flat_map(firehose::user_records).collect();
        let output = self.transform.run(&DeliveryBatch { records });
        let output =
            output.map_err(|error| PortError::because(Advice::Stop, "records cannot be transformed", error))?;
        for file in output.files {
            let table = file.path.split('/').next().unwrap_or_default();
            let damaged = |error| PortError::because(Advice::Stop, format!("rows of `{table}` cannot be read"), error);
            let builder = ParquetRecordBatchReaderBuilder::try_new(file.bytes).map_err(damaged)?;
            let columns = ["owner", "source", "event_id", "event_time", "ingest_time", "dataset"];
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
            for rows in builder.with_projection(mask).build().map_err(damaged)? {
                let unreadable =
                    |error| PortError::because(Advice::Stop, format!("rows of `{table}` cannot be read"), error);
                let rows = rows.map_err(unreadable)?;
                let kept = screen_rows(self.erased, table, &rows).map_err(unreadable)?;
                found.events += rows.num_rows() as u64;
                found.left_out += (rows.num_rows() - kept.num_rows()) as u64;
                self.note(table, &kept, waiting, found);
            }
        }
        Ok(())
    }

    fn note(&self, table: &str, rows: &RecordBatch, waiting: &mut HashMap<Key, Expected>, found: &mut Found) {
        let retention = self.datasets.get(table).and_then(|dataset| dataset.retention);
        let kept_since = retention.map(|retention| self.now.saturating_sub(micros(retention)));
        let times = rows["event_time"].as_primitive::<TimestampMicrosecondType>();
        let arrivals = rows["ingest_time"].as_primitive::<TimestampMicrosecondType>();
        let ids = rows["event_id"].as_string::<i32>();
        for (row, key) in keys(rows).enumerate() {
            if kept_since.is_some_and(|since| times.value(row) < since) {
                found.left_out += 1;
                continue;
            }
            let expected =
                || Expected { table: table.to_owned(), id: ids.value(row).to_owned(), arrival: arrivals.value(row) };
            let known = waiting.entry(key).or_insert_with(expected);
            known.arrival = known.arrival.min(arrivals.value(row));
        }
    }

    /// Takes those that are in a table out of those that wait, and counts the rest as missing.
    async fn look_for(&self, waiting: &mut HashMap<Key, Expected>, found: &mut Found) -> Result<(), PortError> {
        let Some(since) = waiting.values().map(|expected| expected.arrival).min() else { return Ok(()) };
        // An event that was dead under earlier schemas may be a row under these, and the other way round: all tables are looked into.
        let dead_letters = DatasetName::dead_letters();
        for table in self.datasets.names().into_iter().chain([dead_letters.as_str()]) {
            let statement = format!(
                "select owner, source, event_id from {table}_raw where ingest_time >= to_timestamp_micros({since})"
            );
            let id = self.sql.start(Statement::new(statement)).await?;
            let mut page = None;
            loop {
                let answered = self.sql.results(&id, page.as_deref()).await?;
                for key in answered.batches.iter().flat_map(keys) {
                    waiting.remove(&key);
                }
                page = answered.next;
                if page.is_none() {
                    break;
                }
            }
        }
        found.missing += waiting.len() as u64;
        let mut left: Vec<Expected> = std::mem::take(waiting).into_values().collect();
        left.sort_unstable_by(|one, other| (one.arrival, &one.id).cmp(&(other.arrival, &other.id)));
        let room = NAMED.saturating_sub(found.named.len());
        found.named.extend(left.into_iter().take(room));
        Ok(())
    }
}

/// A shard that is being read up to the position.
struct Reading {
    state: ShardState,
    position: SequenceNumber,
    after: Option<SequenceNumber>,
    empty_pages: u32,
}

impl Reading {
    /// The next records; `None`: there are no more up to the position.
    async fn next(&mut self, stream: &dyn Stream) -> Result<Option<Vec<StreamRecord>>, PortError> {
        loop {
            if self.after.is_some_and(|after| after >= self.position) {
                return Ok(None);
            }
            let mut page = stream.read(&self.state.shard, self.after, PAGE_BYTES, WAIT).await?;
            let Some(last) = page.records.last().map(|record| record.identity.sequence) else {
                if !page.more {
                    return Ok(None);
                }
                self.empty_pages += 1;
                if self.empty_pages > MOST_EMPTY_PAGES {
                    let message = format!("{} says that it holds more records, and gives none", self.state.shard);
                    return Err(PortError::new(Advice::Retry, message));
                }
                continue;
            };
            self.empty_pages = 0;
            self.after = Some(last);
            page.records.retain(|record| record.identity.sequence <= self.position);
            return Ok(Some(page.records));
        }
    }
}

impl Found {
    fn into_check(self) -> Check {
        let Self { events, left_out, missing, named } = self;
        let mut problems: Vec<String> = named
            .into_iter()
            .map(|Expected { table, id, arrival }| {
                let at = jiff::Timestamp::from_microsecond(arrival)
                    .map_or_else(|_| arrival.to_string(), |at| at.to_string());
                format!("`{table}`: the event `{id}`, which arrived {at}, is in no table.")
            })
            .collect();
        if missing > problems.len() as u64 {
            problems.push(format!("And {} more.", missing - problems.len() as u64));
        }
        let mut notes =
            vec![format!("{events} events that the stream holds were made into rows again, and looked for.")];
        if left_out > 0 {
            notes.push(format!(
                "{left_out} of them need not be there: they were erased, or their dataset keeps rows for less time."
            ));
        }
        if missing > 0 {
            notes.push("An event is not found either when it was transformed with other schemas, or another key for pseudonyms, than these.".to_owned());
        }
        Check {
            name: "every event that the stream holds is in a table".to_owned(),
            passed: missing == 0,
            notes,
            problems,
        }
    }
}

/// What the rows are known by, in their order.
fn keys(rows: &RecordBatch) -> impl Iterator<Item = Key> {
    let text = |name: &str| Arc::new(rows[name].as_string::<i32>().clone());
    let (owners, sources, ids) = (text("owner"), text("source"), text("event_id"));
    (0..rows.num_rows()).map(move |row| key([owners.value(row), sources.value(row), ids.value(row)]))
}

fn key(texts: [&str; 3]) -> Key {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let mut key = [0; size_of::<Key>()];
    key.copy_from_slice(&hash.finalize()[..size_of::<Key>()]);
    Key::from_be_bytes(key)
}

//! Events that arrive, go into the hot index at once, and into the lake when they are committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{BUCKETS, HotChunk, bucket_of, time_bucket_of};
use alluvium_core::hot_block::HotBlockWriter;
use alluvium_core::identity::{RecordIdentity, SequenceNumber, ShardId};
use alluvium_core::ports::HotIndex as _;
use alluvium_core::{BatchIdentity, Dataset, DatasetName, Datasets, ManualClock};
use arrow::array::{ArrayRef, Date32Array, Float64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::record_batch::RecordBatch;

use super::memory::{MemoryHot, MemoryLake};
use crate::records::{CommitLag, Records};

pub(crate) const SECOND: Micros = 1_000_000;
pub(crate) const HOUR: Micros = 3_600 * SECOND;
/// The hot retention of the world's dataset.
pub(crate) const RETENTION: Micros = HOUR;
/// How much longer chunks are kept.
pub(crate) const MARGIN: Micros = HOUR / 3;

/// One arrival of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) owner: String,
    pub(crate) time: Micros,
    pub(crate) arrival: Micros,
}

impl Event {
    pub(crate) fn key(&self) -> (String, String, String) {
        (self.owner.clone(), self.source.clone(), self.id.clone())
    }
}

pub(crate) fn datasets() -> Datasets {
    let schema = r#"{"properties": {"value": {"type": "number"}}, "x-alluvium": {"hot_retention": "1h"}}"#;
    Datasets::of([Dataset::from_schema(DatasetName::new("telemetry").unwrap(), schema).unwrap()], None).unwrap()
}

/// The events as rows.
pub(crate) fn batch_of(events: &[Event]) -> RecordBatch {
    let columns = datasets().get("telemetry").unwrap().columns().clone();
    let text =
        |of: fn(&Event) -> &String| -> ArrayRef { Arc::new(StringArray::from_iter_values(events.iter().map(of))) };
    let times = |of: fn(&Event) -> Micros| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(of)).with_timezone("UTC"))
    };
    let arrays = columns.fields().iter().map(|field| match field.name().as_str() {
        "event_id" => text(|event| &event.id),
        "source" => text(|event| &event.source),
        "owner" => text(|event| &event.owner),
        "event_time" => times(|event| event.time),
        "ingest_time" => times(|event| event.arrival),
        "event_date" => {
            Arc::new(Date32Array::from_iter_values(events.iter().map(|event| (event.time / (24 * HOUR)) as i32)))
        }
        "value" => Arc::new(Float64Array::from_iter_values(events.iter().map(|event| event.time as f64 / 1e6))),
        _ => new_null_array(field.data_type(), events.len()),
    });
    RecordBatch::try_new(columns.clone(), arrays.collect()).unwrap()
}

/// The chunks that a batch leaves.
pub(crate) fn chunks_of(batch: u64, events: &[Event]) -> Vec<HotChunk> {
    let identity =
        RecordIdentity { shard: ShardId::numbered(0), sequence: SequenceNumber::from(batch), subsequence: 0 };
    let mut groups: BTreeMap<(u16, Micros), Vec<Event>> = BTreeMap::new();
    for event in events {
        let group = (bucket_of(&event.owner, &event.source, BUCKETS), time_bucket_of(event.time));
        groups.entry(group).or_default().push(event.clone());
    }
    let mut writer = HotBlockWriter::default();
    let chunk = |((bucket, time_bucket), mut rows): ((u16, Micros), Vec<Event>)| {
        rows.sort_by_key(|event| (event.owner.clone(), event.source.clone(), event.time));
        let times = || rows.iter().map(|event| event.time);
        let max_time = times().max().unwrap();
        HotChunk {
            dataset: "telemetry".to_owned(),
            bucket,
            time_bucket,
            batch: BatchIdentity::of([&identity]),
            part: 0,
            rows: rows.len() as u32,
            min_time: times().min().unwrap(),
            max_time,
            expires_at: max_time + RETENTION + MARGIN,
            block: writer.write(&batch_of(&rows)).unwrap(),
        }
    };
    groups.into_iter().map(chunk).collect()
}

/// The whole of it.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) hot: Arc<MemoryHot>,
    pub(crate) lake: Arc<MemoryLake>,
    pub(crate) lag: Arc<CommitLag>,
    pub(crate) records: Records,
    /// How long a commit takes.
    pub(crate) commit_after: Micros,
    waiting: Vec<Event>,
    batches: u64,
}

impl World {
    pub(crate) fn at(now: Micros) -> Self {
        let clock = Arc::new(ManualClock::at(now));
        let hot = Arc::new(MemoryHot::new(clock.clone()));
        let (lake, lag) = (Arc::<MemoryLake>::default(), Arc::<CommitLag>::default());
        let records = Records::new(hot.clone(), lake.clone(), Arc::new(datasets()), clock.clone(), lag.clone())
            .with_hot_margin(Duration::from_micros(MARGIN as u64));
        Self { clock, hot, lake, lag, records, commit_after: 0, waiting: Vec::new(), batches: 0 }
    }

    /// Lets a batch arrive: `arrival` of each event is set to now.
    pub(crate) async fn arrive(&mut self, mut events: Vec<Event>) -> Vec<Event> {
        let now = self.records.now();
        events.iter_mut().for_each(|event| event.arrival = now);
        let young: Vec<Event> = events.iter().filter(|event| event.time >= now - RETENTION).cloned().collect();
        self.batches += 1;
        self.hot.put(chunks_of(self.batches, &young)).await.unwrap();
        self.waiting.extend(events.clone());
        self.commit();
        events
    }

    /// Lets time pass, and what is due be committed and forgotten.
    pub(crate) async fn pass(&mut self, micros: Micros) {
        self.clock.advance(micros);
        self.hot.expire(self.records.now()).await.unwrap();
        self.commit();
    }

    fn commit(&mut self) {
        let due = self.records.now() - self.commit_after;
        let (done, waiting): (Vec<Event>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(|event| event.arrival <= due);
        self.waiting = waiting;
        self.lake.committed.lock().unwrap().extend(done);
        let oldest = self.waiting.iter().map(|event| event.arrival).min();
        let lag = oldest.map_or(0, |oldest| (self.records.now() - oldest).max(1));
        self.lag.set(Duration::from_micros(lag as u64));
    }

    /// Whether an arrival can be read: in the hot index or in the lake.
    pub(crate) fn is_visible(&self, event: &Event) -> bool {
        event.time >= event.arrival - RETENTION || !self.waiting.contains(event)
    }
}

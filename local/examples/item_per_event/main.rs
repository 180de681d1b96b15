//! The hot index beside the layout that one would begin with: a row of redb for each event.
//!
//! The same made-up events go through the transform in batches as a node makes them. Their chunks go into the hot index by its port, and
//! each event, as a line of JSON, into a table of its own ([`items`]). Then the newest records of sources are read from both, and
//! every answer must be the same text. One process, no HTTP. Prints one line of JSON.
//!
//! ```text
//! cargo run -p alluvium-local --example item_per_event -- [EVENTS [PER_SECOND [LOOKUPS]]]
//! ```

mod chunks;
mod items;
mod measured;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::hot::HotChunk;
use alluvium_core::hot_block::{EXPANDED_BYTES, read_block};
use alluvium_core::{Datasets, DeliveryBatch, RecordIdentity, ShardId, StreamRecord};
use alluvium_ingest::{Bodies, BodySettings, Generator, GeneratorSettings, Pace};
use alluvium_local::hot::BUCKETS;
use alluvium_transform::{Transform, TransformSettings};
use anyhow::{Context as _, ensure};
use arrow::record_batch::RecordBatch;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use chunks::Chunks;
use items::Items;
use measured::{Measured, Took, cpu_seconds};

/// Whose events they are.
const OWNER: &str = "anonymous";
const DATASET: &str = "telemetry";
/// As a node gathers them: `delivery.buffer_bytes`.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Both are made durable every so many batches: about `commit.interval`, at 50,000 events a second.
const FLUSH_EVERY: usize = 6;
/// As `hot.cache_bytes`, for each.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// How old chunks are when a node clusters them, in µs.
const CLUSTER_AFTER: Micros = 5_000_000;
/// How many rows an answer has at most.
const LIMIT: usize = 100;
const DEVICES: u32 = 10_000;
/// After which no event is hot any more: what the transform takes without chunks.
const LATE: Micros = 30 * 86_400 * 1_000_000;

/// Longer than all of it takes: the CPU time of a thread that has ended is not counted.
const THREADS_LIVE: Duration = Duration::from_secs(24 * 3600);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().thread_keep_alive(THREADS_LIVE).build()?;
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| arguments.get(at).map_or(Ok(otherwise), |text| text.parse());
    let (events, per_second, lookups) = (number(0, 2_000_000)?, number(1, 50_000)? as u32, number(2, 1_000)? as usize);
    let folder = tempfile::tempdir()?;
    let datasets = Arc::new(Datasets::load(None, None)?);
    let chunks = Chunks::open(&folder.path().join("chunks"), datasets.clone()).await?;
    let items = Items::open(&folder.path().join("items"))?;
    let written = write(events, per_second, &datasets, &chunks, &items).await?;
    chunks.set_now(written.newest);

    let report = |took: &Took, bytes: u64, making: f64| {
        json!({
            "cpu_us_per_event": (making + took.cpu_seconds) / events as f64 * 1e6,
            "of_it_making_us": making / events as f64 * 1e6,
            "of_it_storing_us": took.cpu_seconds / events as f64 * 1e6,
            "storing_seconds": took.seconds,
            "stored_bytes_per_event": bytes as f64 / events as f64,
            "written_bytes_per_event": took.written_bytes as f64 / events as f64,
        })
    };
    let mut said = json!({
        "events": events,
        "events_per_second": per_second,
        "batches": written.batches,
        "chunks": {"write": report(&written.chunks, written.chunk_bytes, written.making_chunks)},
        "items": {"write": report(&written.items, written.item_bytes, written.making_items)},
    });
    for (picked, sources) in [("any", any_source(lookups)), ("sending", written.sources)] {
        let sources = &sources[..lookups.min(sources.len())];
        let (mut of_chunks, mut of_items) = (Measured::default(), Measured::default());
        let (mut rows, before) = (0, chunks.asked());
        for source in sources {
            let from_chunks = of_chunks.time(chunks.newest(source)).await?;
            let from_items = of_items.time(async { items.newest(source) }).await?;
            rows += from_items.iter().filter(|byte| **byte == b'\n').count();
            ensure!(from_chunks == from_items, "the two answer differently for {source}");
        }
        said["chunks"][picked] = of_chunks.report();
        said["chunks"][picked]["index"] = chunks.asked().since(&before).report(sources.len());
        said["items"][picked] = of_items.report();
        said[picked] = json!({"lookups": sources.len(), "rows": rows});
    }
    println!("{said}");
    Ok(())
}

/// What writing came to.
#[derive(Default)]
struct Written {
    batches: usize,
    newest: Micros,
    chunks: Took,
    items: Took,
    /// CPU seconds of making chunks of rows, and lines of JSON.
    making_chunks: f64,
    making_items: f64,
    /// Keys and values as they were handed to redb.
    chunk_bytes: u64,
    item_bytes: u64,
    /// A source of an event here and there, so that a source that sends more is there more often.
    sources: Vec<String>,
}

async fn write(
    events: u64,
    per_second: u32,
    datasets: &Arc<Datasets>,
    chunks: &Chunks,
    items: &Items,
) -> anyhow::Result<Written> {
    let settings = TransformSettings { hot_buckets: BUCKETS, ..TransformSettings::default() };
    let transform = Transform::new(datasets.clone(), settings)?;
    let settings =
        GeneratorSettings { events: Some(events), rate_per_second: per_second, devices: DEVICES, ..Default::default() };
    let start = settings.start;
    let mut bodies = Bodies::of(Generator::new(settings)?, BodySettings::default(), Pace::Unlimited).peekable();
    let mut written = Written::default();
    let (mut sequence, mut sent) = (0_u64, 0_u64);
    while bodies.peek().is_some() {
        let mut batch = DeliveryBatch::default();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(body) = bodies.next()
        {
            let body = body?;
            sent += body.events;
            sequence += 1;
            bytes += body.ndjson.len();
            let identity = RecordIdentity { shard: ShardId::numbered(0), sequence: sequence.into(), subsequence: 0 };
            let arrival = start + (sent * 1_000_000 / u64::from(per_second)) as Micros;
            batch.records.push(StreamRecord { identity, arrival, partition_key: String::new(), data: body.ndjson });
            written.newest = arrival;
        }
        written.batches += 1;
        let flush = written.batches % FLUSH_EVERY == 0 || bodies.peek().is_none();
        written.batch(&transform, batch, chunks, items, flush).await?;
    }
    Ok(written)
}

impl Written {
    async fn batch(
        &mut self,
        transform: &Transform,
        mut batch: DeliveryBatch,
        chunks: &Chunks,
        items: &Items,
        flush: bool,
    ) -> anyhow::Result<()> {
        let before = cpu_seconds()?;
        let output = transform.run(&batch)?;
        let with_chunks = cpu_seconds()?;
        batch.records.iter_mut().for_each(|record| record.arrival += LATE);
        let cold = transform.run(&batch)?;
        self.making_chunks += (with_chunks - before) - (cpu_seconds()? - with_chunks);
        ensure!(output.files.len() == 1 && cold.chunks.is_empty(), "dead letters, or hot rows among old ones");
        self.chunk_bytes += output.chunks.iter().map(|chunk| chunk.block.len() as u64 + chunks::KEY_BYTES).sum::<u64>();

        let rows = output.chunks.iter().map(rows_of).collect::<anyhow::Result<Vec<_>>>()?;
        let before = cpu_seconds()?;
        let mut made = Vec::new();
        for rows in &rows {
            made.extend(items::made(rows)?);
        }
        self.making_items += cpu_seconds()? - before;
        self.item_bytes += made.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
        let sources = rows.iter().map(|rows| items::source(rows, rows.num_rows() / 2));
        self.sources.extend(sources);

        self.chunks.time(chunks.put(output.chunks, flush)).await?;
        self.items.time(async { items.put(&made, flush) }).await
    }
}

fn rows_of(chunk: &HotChunk) -> anyhow::Result<RecordBatch> {
    read_block(&chunk.block, EXPANDED_BYTES).context("a chunk of the transform's own")
}

/// Any of all devices, whether it sends much or little.
fn any_source(count: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(1);
    (0..count).map(|_| format!("device-{:05}", random.random_range(0..DEVICES))).collect()
}

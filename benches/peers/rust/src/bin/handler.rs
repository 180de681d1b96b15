//! What the Firehose contract costs: event bytes in to response bytes out, beside the bare conversion of the same payload.
//!
//! The events of a file are put into Firehose events as large as Firehose makes them, one record each. Each is handled and, in
//! turn, its payload converted alone, output in memory both times. Once with events new enough for the hot index, and once with
//! the same events a month later.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_core::clock::Micros;
use alluvium_core::{Dataset, Datasets, limits};
use alluvium_transform::firehose::Invocation;
use alluvium_transform::{Transform, TransformSettings, convert};
use anyhow::{Context as _, ensure};
use base64_simd::STANDARD;
use serde_json::json;

/// 2026-01-01T01:00:00Z, after the newest of the events that the comparison makes.
const SOON: Micros = 1_767_229_200_000_000;
/// A month later, when no event is kept hot any more.
const LATE: Micros = SOON + 30 * 86_400 * 1_000_000;
/// How often each event is handled. Of each step the least time counts, so that what else the machine does counts little.
const ROUNDS: usize = 5;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [events] = &arguments[..] else {
        anyhow::bail!("usage: handler EVENTS");
    };
    let text = std::fs::read_to_string(events)?;
    for (hot, arrival) in [("all events hot", SOON), ("no event hot", LATE)] {
        let mut took = Took::default();
        let mut lines = text.lines().peekable();
        while lines.peek().is_some() {
            took.add(&Invoked::of(&mut lines, arrival), arrival)?;
        }
        took.report(hot);
    }
    Ok(())
}

/// A Firehose event and what is in it.
struct Invoked {
    event: Vec<u8>,
    payload: String,
    records: u64,
}

impl Invoked {
    /// As many lines as one event holds, each a record.
    fn of<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, arrival: Micros) -> Self {
        let millis = arrival / 1_000;
        let mut event = String::with_capacity(limits::INVOCATION_BYTES);
        event.push_str(
            "{\"invocationId\":\"2b4d1ad9-2f48-94bd-a088-767c317e994a\",\"region\":\"eu-central-1\",\
             \"sourceKinesisStreamArn\":\"arn:aws:kinesis:eu-central-1:123456789012:stream/telemetry\",\
             \"deliveryStreamArn\":\"arn:aws:firehose:eu-central-1:123456789012:deliverystream/telemetry\",\"records\":[",
        );
        let (mut payload, mut records, mut record) = (String::new(), 0_u64, String::new());
        while let Some(line) = lines.peek() {
            record.clear();
            let sequence = 49_546_986_683_135_544_286_507_457_936_321_625_675_u128 + u128::from(records);
            let data = STANDARD.encode_to_string(line.as_bytes());
            write!(
                record,
                "{{\"recordId\":\"{sequence}000000\",\"approximateArrivalTimestamp\":{millis},\"data\":\"{data}\",\
                 \"kinesisRecordMetadata\":{{\"sequenceNumber\":\"{sequence}700192471156785154\",\"subsequenceNumber\":0,\
                 \"partitionKey\":\"4d1ad2b9-24f8-4b9d-a088-76e9947c317a\",\"shardId\":\"shardId-000000000000\",\
                 \"approximateArrivalTimestamp\":{millis}}}}},"
            )
            .expect("writing to a string cannot fail");
            if event.len() + record.len() + 1 > limits::INVOCATION_BYTES {
                break;
            }
            event.push_str(&record);
            payload.push_str(line);
            payload.push('\n');
            records += 1;
            lines.next();
        }
        event.pop();
        event.push_str("]}");
        Self { event: event.into(), payload, records }
    }
}

/// Times and sizes over all events.
#[derive(Default)]
struct Took {
    invocations: u64,
    records: u64,
    payload_bytes: usize,
    reading: Duration,
    transforming: Duration,
    answering: Duration,
    converting: Duration,
    chunks: Chunks,
}

/// What goes into the hot index.
#[derive(Default)]
struct Chunks {
    count: usize,
    bytes: usize,
    /// What DynamoDB charges for: each chunk's bytes in KiB, rounded up.
    write_units: usize,
}

/// What the steps of one event took.
struct Round {
    reading: Duration,
    transforming: Duration,
    answering: Duration,
    converting: Duration,
    chunks: Chunks,
}

impl Round {
    fn of(transform: &Transform, dataset: &Arc<Dataset>, invoked: &Invoked, arrival: Micros) -> anyhow::Result<Self> {
        let event = invoked.event.clone();

        let started = Instant::now();
        let invocation = Invocation::read(event)?;
        let read = Instant::now();
        let output = transform.run_invocation(&invocation)?;
        let transformed = Instant::now();
        let response = invocation.stored();
        let answered = Instant::now();
        ensure!(output.files.len() == 1 && !response.is_empty(), "dead letters among the events");
        let chunks = Chunks {
            count: output.chunks.len(),
            bytes: output.chunks.iter().map(|chunk| chunk.block.len()).sum(),
            write_units: output.chunks.iter().map(|chunk| chunk.block.len().div_ceil(1024)).sum(),
        };
        drop(output);

        let begun = Instant::now();
        let mut file = Vec::new();
        let report = convert(invoked.payload.as_bytes(), dataset, &TransformSettings::default(), arrival, &mut file)?;
        let converted = Instant::now();
        ensure!(report.rows == invoked.records, "{} of {} events became rows", report.rows, invoked.records);
        Ok(Self {
            reading: read - started,
            transforming: transformed - read,
            answering: answered - transformed,
            converting: converted - begun,
            chunks,
        })
    }
}

impl Took {
    fn add(&mut self, invoked: &Invoked, arrival: Micros) -> anyhow::Result<()> {
        let datasets = Arc::new(Datasets::load(None, Some("telemetry"))?);
        let dataset = datasets.get("telemetry").context("a dataset that is built in")?.clone();
        let transform = Transform::new(datasets, TransformSettings::default())?;
        let rounds = (0..ROUNDS).map(|_| Round::of(&transform, &dataset, invoked, arrival));
        let rounds = rounds.collect::<anyhow::Result<Vec<_>>>()?;
        let least = |step: fn(&Round) -> Duration| rounds.iter().map(step).min().unwrap_or_default();
        self.invocations += 1;
        self.records += invoked.records;
        self.payload_bytes += invoked.payload.len();
        self.reading += least(|round| round.reading);
        self.transforming += least(|round| round.transforming);
        self.answering += least(|round| round.answering);
        self.converting += least(|round| round.converting);
        if let Some(Round { chunks, .. }) = rounds.first() {
            self.chunks.count += chunks.count;
            self.chunks.bytes += chunks.bytes;
            self.chunks.write_units += chunks.write_units;
        }
        Ok(())
    }

    fn report(&self, hot: &str) {
        let handling = self.reading + self.transforming + self.answering;
        let nanos = |took: Duration| (took.as_nanos() as f64 / self.records as f64).round();
        let rate = |took: Duration| (self.payload_bytes as f64 / took.as_secs_f64() / 1e6).round();
        let report = json!({
            "hot": hot,
            "invocations": self.invocations,
            "records": self.records,
            "payload_bytes": self.payload_bytes,
            "ns_per_event": {
                "read": nanos(self.reading),
                "transform": nanos(self.transforming),
                "response": nanos(self.answering),
                "handler": nanos(handling),
                "bare_conversion": nanos(self.converting),
            },
            "chunks": self.chunks.count,
            "chunk_bytes_per_event": (self.chunks.bytes as f64 / self.records as f64 * 1e2).round() / 1e2,
            "write_units_per_million_events": (self.chunks.write_units as f64 / self.records as f64 * 1e6).round(),
            "handler_mb_per_second": rate(handling),
            "bare_mb_per_second": rate(self.converting),
            "handler_to_bare": (self.converting.as_secs_f64() / handling.as_secs_f64() * 1e3).round() / 1e3,
        });
        println!("{report}");
    }
}

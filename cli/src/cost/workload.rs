//! What is asked about: how many events of what size, how they come in, how long they are kept, how they are read.

use std::time::Duration;

use alluvium_core::{duration, limits};
use anyhow::{Context as _, bail, ensure};
use serde::Serialize;

/// The most events a second that a bill is made for: ten times what the model's limits were looked at for.
const MOST_EVENTS_PER_SECOND: u64 = 100_000_000;
/// As many as no owner of devices has.
const MOST_SOURCES: u64 = 1_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);
const MOST_RETENTION: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How events come into the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Ingest {
    /// By processes with our producer, which put aggregated records by the Kinesis API.
    Producers,
    /// By the HTTP API and the gateway function.
    Http,
    /// By the direct route: API Gateway puts each request into the stream itself.
    Direct,
}

/// The flags of `alluvium cost` that say what is to be paid for.
#[derive(Debug, Clone, clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Asked {
    /// Events a second, the mean over the month.
    #[arg(long, value_name = "N", value_parser = number_of)]
    pub events_per_second: u64,
    /// Bytes of an event as JSON, the mean.
    #[arg(long, value_name = "B", value_parser = number_of)]
    pub bytes: u64,
    /// How many different sources (devices) send.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = number_of)]
    pub sources: u64,
    /// How many datasets the events belong to; each batch has events of all of them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number_of)]
    pub datasets: u64,
    /// How long the lake keeps events. The bill is of a month in which it has filled up.
    #[arg(long, value_name = "DURATION", default_value = "365d")]
    pub retention: String,
    /// How long the hot index keeps events; `0s`: no event is put into it.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub hot_retention: String,
    /// How soon after its arrival SQL is to see an event.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub fresh_within: String,
    /// The rate at the peak, as a multiple of the mean: what is provisioned must bear it.
    #[arg(long, value_name = "RATIO", default_value_t = 2.0)]
    pub peak: f64,
    /// How events come in.
    #[arg(long, value_enum, default_value_t = Ingest::Producers)]
    pub ingest: Ingest,
    /// How many processes send, with `--ingest producers`.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number_of)]
    pub producers: u64,
    /// Events in the body of a request, with `--ingest http` or `direct`.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = number_of)]
    pub events_per_request: u64,
    /// Pages of records that are asked for a second.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub reads_per_second: f64,
    /// Terabytes that SQL statements scan in the month.
    #[arg(long, value_name = "TB", default_value_t = 1.0)]
    pub scanned_terabytes: f64,
}

/// The same, checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workload {
    pub events_per_second: u64,
    pub bytes: u64,
    pub sources: u64,
    pub datasets: u64,
    #[serde(with = "duration::text")]
    pub retention: Duration,
    #[serde(with = "duration::text")]
    pub hot_retention: Duration,
    #[serde(with = "duration::text")]
    pub fresh_within: Duration,
    pub peak: f64,
    pub ingest: Ingest,
    pub producers: u64,
    pub events_per_request: u64,
    pub reads_per_second: f64,
    pub scanned_terabytes: f64,
}

impl Asked {
    /// What is asked about, if it makes sense.
    ///
    /// # Errors
    ///
    /// A sentence that names the flag, what it said, and what would be right.
    pub fn checked(&self) -> anyhow::Result<Workload> {
        whole("--events-per-second", self.events_per_second, 1, MOST_EVENTS_PER_SECOND)?;
        whole("--sources", self.sources, 1, MOST_SOURCES)?;
        whole("--datasets", self.datasets, 1, 100)?;
        whole("--producers", self.producers, 1, 1_000_000)?;
        whole("--events-per-request", self.events_per_request, 1, 100_000)?;
        let most = limits::EVENT_BYTES as u64;
        if self.bytes > most {
            bail!(
                "--bytes is {}: an event has at most {most} bytes, for with its envelope it must fit a stream record of 1 MiB \
                 (Amazon Kinesis Data Streams Developer Guide, \"Quotas and limits\")",
                self.bytes
            );
        }
        ensure!(self.bytes >= 2, "--bytes is {}: the shortest event is `{{}}`, of 2 bytes", self.bytes);
        let body = self.events_per_request * (self.bytes + 1);
        let (holds, most_body) = match self.ingest {
            Ingest::Producers => ("", u64::MAX),
            Ingest::Http => ("a request to the API holds at most 4 MiB", GATEWAY_BODY_BYTES),
            Ingest::Direct => ("the direct route makes one record of a request, so it holds less than 1 MiB", most),
        };
        ensure!(
            body <= most_body,
            "--events-per-request {} of {} bytes make a body of {body} bytes: {holds}, so at most {} events of this size",
            self.events_per_request,
            self.bytes,
            most_body / (self.bytes + 1)
        );
        ensure!(
            self.peak.is_finite() && (1.0..=1_000.0).contains(&self.peak),
            "--peak is {}: it is the rate at the peak by the mean, from 1 to 1000",
            self.peak
        );
        number("--reads-per-second", self.reads_per_second, 1e6)?;
        number("--scanned-terabytes", self.scanned_terabytes, 1e6)?;
        let retention = span("--retention", &self.retention, DAY, MOST_RETENTION)?;
        let hot_retention = span("--hot-retention", &self.hot_retention, Duration::ZERO, retention)
            .context("the hot index keeps events no longer than the lake")?;
        let fresh_within =
            span("--fresh-within", &self.fresh_within, Duration::from_secs(5), Duration::from_secs(900))?;
        let Self { events_per_second, bytes, sources, datasets, peak, ingest, producers, .. } = *self;
        let Self { events_per_request, reads_per_second, scanned_terabytes, .. } = *self;
        Ok(Workload {
            events_per_second,
            bytes,
            sources,
            datasets,
            retention,
            hot_retention,
            fresh_within,
            peak,
            ingest,
            producers,
            events_per_request,
            reads_per_second,
            scanned_terabytes,
        })
    }
}

impl Workload {
    /// Whether the direct route would take the requests that bring these events.
    pub fn fits_direct_route(&self) -> bool {
        self.ingest != Ingest::Producers && self.events_per_request * (self.bytes + 1) <= limits::EVENT_BYTES as u64
    }
}

/// The most bytes of a request's body on AWS: docs/aws.md, "Limits worth knowing".
const GATEWAY_BODY_BYTES: u64 = 4 * 1024 * 1024;

/// A number of something for clap; its bounds are looked at with everything else that is asked.
fn number_of(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a whole number in digits, such as 1000".to_owned())
}

fn whole(flag: &str, number: u64, least: u64, most: u64) -> anyhow::Result<()> {
    ensure!(number >= least, "{flag} is {number}: it must be at least {least}");
    ensure!(number <= most, "{flag} is {number}: it must be at most {most}");
    Ok(())
}

fn number(flag: &str, number: f64, most: f64) -> anyhow::Result<()> {
    let fits = number.is_finite() && (0.0..=most).contains(&number);
    ensure!(fits, "{flag} is {number}: it must be a number from 0 to {most}");
    Ok(())
}

fn span(flag: &str, text: &str, least: Duration, most: Duration) -> anyhow::Result<Duration> {
    let span = duration::parse(text).with_context(|| flag.to_owned())?;
    let [shortest, longest] = [least, most].map(duration::format);
    ensure!(span >= least, "{flag} is {text}: it must be at least {shortest}");
    ensure!(span <= most, "{flag} is {text}: it must be at most {longest}");
    Ok(span)
}

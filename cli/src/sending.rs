//! What `send`, `generate` and `replay` share: where to, progress on a terminal, and the sum at the end.

mod latencies;
mod produce;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "aws")]
use alluvium_ingest::producer::ProducerSettings;
use alluvium_ingest::producer::{BodyEncoding, HttpDestination, HttpSettings};
use alluvium_ingest::{EventBody, IngestError};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::settings::{self, Flags};
use crate::{Common, Outcome, credentials, node, output};

#[cfg(feature = "aws")]
use crate::stage::StageName;
#[cfg(feature = "aws")]
use produce::Travels;
pub use produce::{Sent, Way, produce};

/// Where events are sent.
#[derive(Debug, clap::Args)]
pub struct Destination {
    /// The node to send to, such as `http://127.0.0.1:7171`, or `kinesis:STREAM` or `firehose:STREAM` with what the environment says of
    /// AWS (AWS_ENDPOINT_URL names another endpoint, such as a node); without it, the node that runs on the data folder or where
    /// the settings say that one listens.
    #[arg(long, value_name = "URL|kinesis:STREAM|firehose:STREAM")]
    pub to: Option<Place>,
    /// Send to the node that runs on this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "to")]
    pub data: Option<PathBuf>,
    /// Send to the Kinesis stream of this stage on AWS.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "STAGE", conflicts_with_all = ["to", "data"])]
    pub stage: Option<StageName>,
    /// The dataset that a node is told; without it, `telemetry`. A stream is told none: there an event's `type` says it.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// How many requests are on their way at a time; without it, 8 to a node and 24 to a stream.
    #[arg(long, value_name = "N")]
    pub concurrency: Option<usize>,
    /// Compress requests to a node.
    #[arg(long, value_enum, default_value_t = Compression::None)]
    pub compress: Compression,
    /// How events are put together into the records of a stream.
    #[arg(long, value_enum, default_value_t = Together::Kpl)]
    pub aggregate: Together,
    /// How much of what a shard of Kinesis takes in a second is used, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 100)]
    pub rate_limit: u32,
    /// Keep the order of each source's events in a stream, whatever has to be sent again.
    #[arg(long)]
    pub ordered: bool,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A node, by its URL.
    Node(String),
    /// A stream, by its name.
    Stream(Service, String),
}

/// Whose stream it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon Kinesis Data Streams.
    Kinesis,
    /// Amazon Data Firehose, as a delivery stream that takes records directly.
    Firehose,
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || format!("`{text}`: expected http://HOST:PORT, kinesis:STREAM or firehose:STREAM");
        match text.split_once(':') {
            Some(("http" | "https", _)) => Ok(Self::Node(text.to_owned())),
            Some((_, "")) => Err(expected()),
            Some(("kinesis", stream)) => Ok(Self::Stream(Service::Kinesis, stream.to_owned())),
            Some(("firehose", stream)) => Ok(Self::Stream(Service::Firehose, stream.to_owned())),
            _ => Err(expected()),
        }
    }
}

/// How events are put together into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Together {
    /// As the Kinesis Producer Library does, which every consumer library takes apart.
    Kpl,
    /// As lines: what Firehose put directly can write as they are.
    Ndjson,
    /// As lines, compressed: several times fewer bytes, for Alluvium alone.
    NdjsonZstd,
    /// Not at all.
    None,
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Destination {
    /// The URL that events are posted to, of the node that is named or that is found, and the token to show it.
    ///
    /// # Errors
    ///
    /// When the settings or the token cannot be read.
    fn node(&self, common: &Common, named: Option<&str>) -> anyhow::Result<(String, Option<String>)> {
        let mut folder = None;
        let base = match named {
            Some(url) => url.to_owned(),
            None => {
                let flags = Flags { data: self.data.clone(), ..Flags::default() };
                let settings = settings::load(common.config.as_deref(), &flags)?.settings;
                match node::running(&settings.data) {
                    Some(node) => {
                        folder = Some(settings.data);
                        node.url()
                    }
                    None if self.data.is_some() => {
                        anyhow::bail!(
                            "no node runs on {}; start one with `alluvium up --data …`",
                            settings.data.display()
                        )
                    }
                    None => format!("http://{}", settings.listen),
                }
            }
        };
        let dataset = self.dataset.as_deref().unwrap_or("telemetry");
        let url = format!("{}/v1/{dataset}", base.trim_end_matches('/'));
        Ok((url, credentials::token(folder.as_deref())?))
    }

    fn to_node(&self, common: &Common, named: Option<&str>) -> anyhow::Result<Way> {
        let (url, token) = self.node(common, named)?;
        let encoding = match self.compress {
            Compression::None => BodyEncoding::Plain,
            Compression::Gzip => BodyEncoding::Gzip,
            Compression::Zstd => BodyEncoding::Zstd,
        };
        let destination = Arc::new(HttpDestination::new(&url, HttpSettings { encoding, token })?);
        Ok(Way::of_bodies(destination, &url, self.concurrency.unwrap_or(8)))
    }

    /// The stream of the stage, if one is named.
    #[cfg(feature = "aws")]
    async fn place_of_stage(&self) -> anyhow::Result<Option<Place>> {
        let Some(stage) = &self.stage else { return Ok(None) };
        let aws = alluvium_aws::config::from_environment().await;
        let stream = crate::stage::settings::load(&aws, stage).await?.stream;
        Ok(Some(Place::Stream(Service::Kinesis, stream)))
    }

    #[cfg(not(feature = "aws"))]
    async fn to_stream(&self, _: &Common, _: Service, _: &str) -> anyhow::Result<Way> {
        anyhow::bail!(crate::without_aws::WITHOUT_AWS)
    }

    #[cfg(feature = "aws")]
    async fn to_stream(&self, common: &Common, service: Service, name: &str) -> anyhow::Result<Way> {
        use alluvium_ingest::producer::{Aggregation, Ordering};

        if let Some(dataset) = &self.dataset {
            anyhow::bail!("--dataset {dataset}: a stream is told no dataset; an event's `type` says it");
        }
        crate::observe::log("warn", common.json)?;
        let aws = alluvium_aws::config::from_environment().await;
        let destination: Arc<dyn alluvium_core::Destination> = match service {
            Service::Kinesis => Arc::new(alluvium_aws::KinesisDestination::new(&aws, name)),
            Service::Firehose => Arc::new(alluvium_aws::FirehoseDestination::new(&aws, name)),
        };
        let defaults = ProducerSettings::default();
        let settings = ProducerSettings {
            name: name.to_owned(),
            aggregation: match self.aggregate {
                Together::Kpl => Aggregation::Kpl,
                Together::Ndjson => Aggregation::Ndjson,
                Together::NdjsonZstd => Aggregation::NdjsonZstd,
                Together::None => Aggregation::None,
            },
            ordering: if self.ordered { Ordering::PerKey } else { Ordering::Throughput },
            max_calls: self.concurrency.unwrap_or(defaults.max_calls),
            rate_limit_percent: self.rate_limit,
            // A shard may be slower than a file is read: what waits for it is not given up for that.
            record_time_to_live: Duration::from_secs(120),
            ..defaults
        };
        Ok(Way { destination, settings, travels: Travels::Event })
    }
}

/// Sends bodies, shows progress, prints the sum. `total` is the number of events to expect, if it is known.
///
/// # Errors
///
/// When a body is refused for good or cannot be delivered; what was acknowledged before is printed first.
pub async fn send<I>(common: &Common, to: &Destination, bodies: I, total: Option<u64>) -> anyhow::Result<Outcome>
where
    I: Iterator<Item = Result<EventBody, IngestError>> + Send + 'static,
{
    #[cfg(feature = "aws")]
    let of_stage = to.place_of_stage().await?;
    #[cfg(not(feature = "aws"))]
    let of_stage = None;
    let way = match to.to.as_ref().or(of_stage.as_ref()) {
        Some(Place::Stream(service, name)) => to.to_stream(common, *service, name).await?,
        Some(Place::Node(url)) => to.to_node(common, Some(url))?,
        None => to.to_node(common, None)?,
    };
    let started = Instant::now();
    let bar = progress(total, common.json);
    let show = |events| bar.set_position(events);
    let place = way.settings.name.clone();
    let sent = produce(way, bodies, show).await?;
    bar.finish_and_clear();
    report(common, &sent, started.elapsed());
    match sent.failure {
        Some(failure) => anyhow::bail!("{place}: {failure}"),
        None => Ok(Outcome::Done),
    }
}

/// A bar on a terminal, nothing elsewhere.
pub fn progress(total: Option<u64>, json: bool) -> ProgressBar {
    if json || !output::interactive() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:32} {human_pos} of {human_len} events, {per_sec}"),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} events, {per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is ours and right"))
}

fn report(common: &Common, sent: &Sent, took: Duration) {
    let seconds = took.as_secs_f64();
    let rate = sent.events as f64 / seconds.max(1e-9);
    let quantile = |q| sent.latencies.quantile(q).unwrap_or_default().as_secs_f64();
    if common.json {
        output::json(&json!({
            "accepted": sent.events,
            "failed": sent.failed_events,
            "requests": sent.calls,
            "retries": sent.retries,
            "bytes": sent.bytes,
            "seconds": seconds,
            "events_per_second": rate,
            "ack_p50_seconds": quantile(0.5),
            "ack_p99_seconds": quantile(0.99),
        }));
        return;
    }
    output::line(format!(
        "{} events acknowledged in {} ({} a second, {}), acknowledgement p50 {}, p99 {}",
        output::thousands(sent.events),
        output::seconds(seconds),
        output::thousands(rate as u64),
        output::bytes(sent.bytes),
        output::seconds(quantile(0.5)),
        output::seconds(quantile(0.99)),
    ));
    if sent.retries > 0 {
        output::line(format!("{} requests were sent again", output::thousands(sent.retries)));
    }
    if sent.failed_events > 0 {
        output::line(format!("{} events were not taken", output::thousands(sent.failed_events)));
    }
}

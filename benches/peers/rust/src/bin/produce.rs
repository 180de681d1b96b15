//! Our producer on one core: as fast as it takes records, or at a rate.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::KinesisDestination;
use alluvium_core::ports::PortError;
use alluvium_core::{Destination, DestinationLimits, EntryVerdict, HashKeyRange, PutEntry, PutError};
use alluvium_ingest::producer::{Aggregation, Outcome, Producer, ProducerSettings, UserRecord};
use alluvium_peers::{Latencies, Measured, Paced, records};
use anyhow::Context as _;
use async_trait::async_trait;
use serde_json::json;

/// The endpoint has no limits to keep to.
#[derive(Debug)]
struct Unlimited(KinesisDestination);

#[async_trait]
impl Destination for Unlimited {
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError> {
        self.0.put(entries).await
    }

    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        self.0.shard_map().await
    }

    fn limits(&self) -> DestinationLimits {
        DestinationLimits { shard_rates: None, ..self.0.limits() }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, aggregation, rate) = match &arguments[..] {
        [file, aggregation] => (file, aggregation, None),
        [file, aggregation, rate] => (file, aggregation, Some(rate.parse::<u64>()?)),
        _ => anyhow::bail!("usage: produce RECORDS kpl|ndjson_zstd|none [RECORDS_PER_SECOND]"),
    };
    let aggregation: Aggregation = serde_json::from_value(json!(aggregation)).context("the aggregation")?;
    let text = std::fs::read_to_string(file)?;
    let records = records(&text)?;
    let destination = KinesisDestination::new(&alluvium_aws::config::from_environment().await, "bench");
    let settings = ProducerSettings { aggregation, ..ProducerSettings::default() };
    let producer = Producer::start(Arc::new(Unlimited(destination)), settings)?;
    let measured = Measured::start()?;
    let mut latencies = Latencies::default();
    let mut waiting = Vec::new();
    let mut paced = Paced::at(rate);
    for (key, data) in &records {
        if paced.is_ahead() {
            paced.wait().await;
        }
        let delivery = producer.send(UserRecord::new(key, data.as_bytes())).await?;
        if rate.is_some() {
            waiting.push(delivery);
        }
        paced.took_one();
    }
    producer.flush().await;
    for delivery in waiting {
        match delivery.outcome().await {
            Outcome::Delivered(delivered) => latencies.add(delivered.total),
            Outcome::Undelivered(undelivered) => anyhow::bail!("not delivered: {undelivered:?}"),
        }
    }
    let progress = producer.progress();
    anyhow::ensure!(progress.delivered_records == records.len() as u64, "{progress:?}");
    measured.report(json!({
        "records": progress.delivered_records,
        "p50_ms": latencies.quantile(0.5).map(millis),
        "p99_ms": latencies.quantile(0.99).map(millis),
    }))?;
    producer.close().await;
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

//! Freshness, measured from outside: an event is sent, and asked for until it is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_ingest::producer::{
    Delivered, HttpDestination, HttpSettings, Outcome, Producer, ProducerSettings, UserRecord,
};
use alluvium_local::committer::CommitProgress;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// The source of the probes' events.
pub const SOURCE: &str = "probe";

const BETWEEN: Duration = Duration::from_millis(100);
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// How long it took for each probe, from its acknowledgement.
#[derive(Debug, Default)]
pub struct Probes {
    /// Until `GET /v1/telemetry?source=probe` returned it, in seconds, sorted.
    pub to_records: Vec<f64>,
    /// Until it was committed to the table, so that a statement that starts then sees it, in seconds, sorted.
    pub to_sql: Vec<f64>,
}

impl Probes {
    /// How many were sent.
    pub fn sent(&self) -> u64 {
        self.to_records.len() as u64
    }
}

/// The value that a share of `quantile` (0 to 1) of sorted values does not exceed; 0 when there are none.
pub fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let at = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(at.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// Sends one probe after the other until there are enough.
pub async fn run(
    base: String,
    token: Option<String>,
    owner: String,
    committed: Arc<CommitProgress>,
    enough: CancellationToken,
) -> anyhow::Result<Probes> {
    let client = Client::new(&base, token.as_deref())?;
    let http = HttpSettings { token, ..HttpSettings::default() };
    let destination = HttpDestination::new(&format!("{base}/v1/telemetry"), http)?;
    let producer = Producer::start(Arc::new(destination), ProducerSettings::for_bodies())?;
    let mut probes = Probes::default();
    // Those that are not committed yet.
    let mut waiting: Vec<(Delivered, Instant)> = Vec::new();
    while !enough.is_cancelled() {
        let id = format!("probe-{}", probes.sent());
        let event = json!({"id": id, "source": SOURCE, "type": "reading", "data": {"value": 1}}).to_string();
        let probe = producer.send(UserRecord::new(SOURCE, event.as_bytes())).await?;
        let delivered = match probe.outcome().await {
            Outcome::Delivered(delivered) => delivered,
            Outcome::Undelivered(undelivered) => anyhow::bail!("a probe was given up: {undelivered:?}"),
        };
        let acknowledged = Instant::now();
        waiting.push((delivered, acknowledged));
        while !is_there(&client, &owner, &id).await? {
            tokio::time::sleep(ASK_AGAIN).await;
        }
        probes.to_records.push(acknowledged.elapsed().as_secs_f64());
        waiting.retain(|(delivered, acknowledged)| {
            let position = committed.position(&delivered.shard);
            let is_committed = position.is_some_and(|position| position >= delivered.sequence);
            if is_committed {
                probes.to_sql.push(acknowledged.elapsed().as_secs_f64());
            }
            !is_committed
        });
        tokio::time::sleep(BETWEEN).await;
    }
    producer.close().await;
    probes.to_records.sort_by(f64::total_cmp);
    probes.to_sql.sort_by(f64::total_cmp);
    Ok(probes)
}

async fn is_there(client: &Client, owner: &str, id: &str) -> anyhow::Result<bool> {
    let query = [("source", SOURCE), ("owner", owner), ("limit", "1")].map(|(name, value)| (name, value.to_owned()));
    let page: Value = client.get("/v1/telemetry", &query).await?;
    Ok(page["records"][0]["id"] == id)
}

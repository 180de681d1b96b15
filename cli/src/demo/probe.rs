//! Freshness, measured from outside: an event is sent, and asked for until it is there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alluvium_core::{Clock as _, SystemClock};
use alluvium_ingest::{EventBody, HttpSender, SenderSettings};
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
pub async fn run(base: String, committed: Arc<CommitProgress>, enough: CancellationToken) -> anyhow::Result<Probes> {
    let client = Client::new(&base)?;
    let sender = HttpSender::new(&format!("{base}/v1/telemetry"), SenderSettings::default())?;
    let mut probes = Probes::default();
    while !enough.is_cancelled() {
        let id = format!("probe-{}", probes.sent());
        let event = json!({"id": id, "source": SOURCE, "type": "reading", "data": {"value": 1}}).to_string();
        sender.send(EventBody::of([event])).await?;
        let acknowledged = Instant::now();
        let acknowledged_at = SystemClock.now_micros();
        while !is_there(&client, &id).await? {
            tokio::time::sleep(ASK_AGAIN).await;
        }
        probes.to_records.push(acknowledged.elapsed().as_secs_f64());
        // The log gives arrivals in order and batches are committed in order, so a commit with a newer arrival holds it.
        while committed.newest_arrival.load(Ordering::Relaxed) < acknowledged_at && !enough.is_cancelled() {
            tokio::time::sleep(ASK_AGAIN).await;
        }
        if committed.newest_arrival.load(Ordering::Relaxed) >= acknowledged_at {
            probes.to_sql.push(acknowledged.elapsed().as_secs_f64());
        }
        tokio::time::sleep(BETWEEN).await;
    }
    probes.to_records.sort_by(f64::total_cmp);
    probes.to_sql.sort_by(f64::total_cmp);
    Ok(probes)
}

async fn is_there(client: &Client, id: &str) -> anyhow::Result<bool> {
    let query = [("source", SOURCE.to_owned()), ("limit", "1".to_owned())];
    let page: Value = client.get("/v1/telemetry", &query).await?;
    Ok(page["records"][0]["id"] == id)
}

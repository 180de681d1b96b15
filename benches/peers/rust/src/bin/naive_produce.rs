//! What one writes over the SDK without a library: 500 records a call, one call after the other, and again what was refused.

use std::time::{Duration, Instant};

use alluvium_peers::{Latencies, Measured, Paced, records};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use serde_json::json;

const CALL_RECORDS: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, rate) = match &arguments[..] {
        [file] => (file, None),
        [file, rate] => (file, Some(rate.parse::<u64>()?)),
        _ => anyhow::bail!("usage: naive_produce RECORDS [RECORDS_PER_SECOND]"),
    };
    let text = std::fs::read_to_string(file)?;
    let records = records(&text)?;
    let client = Client::new(&alluvium_aws::config::from_environment().await);
    let measured = Measured::start()?;
    let mut latencies = Latencies::default();
    let mut paced = Paced::at(rate);
    for call in records.chunks(CALL_RECORDS) {
        let mut entries = Vec::with_capacity(call.len());
        let mut taken = Vec::with_capacity(call.len());
        for (key, data) in call {
            if paced.is_ahead() {
                paced.wait().await;
            }
            let entry = PutRecordsRequestEntry::builder().partition_key(*key).data(Blob::new(data.as_bytes()));
            entries.push(entry.build()?);
            taken.push(Instant::now());
            paced.took_one();
        }
        while !entries.is_empty() {
            let answer = client.put_records().stream_name("bench").set_records(Some(entries.clone())).send().await?;
            let mut answers = answer.records().iter().map(|answer| answer.error_code().is_some());
            entries.retain(|_| answers.next().unwrap_or(true));
        }
        taken.iter().for_each(|taken| latencies.add(taken.elapsed()));
    }
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    measured.report(json!({
        "records": records.len(),
        "p50_ms": rate.and(latencies.quantile(0.5)).map(millis),
        "p99_ms": rate.and(latencies.quantile(0.99)).map(millis),
    }))
}

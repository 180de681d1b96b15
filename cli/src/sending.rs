//! What `send`, `generate` and `replay` share: where to, progress on a terminal, and the sum at the end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use alluvium_ingest::sender::SendEncoding;
use alluvium_ingest::{EventBody, HttpSender, IngestError, Outcome as Sent, SenderSettings};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::settings::{self, Flags};
use crate::{Common, Outcome, node, output};

/// Where events are sent.
#[derive(Debug, clap::Args)]
pub struct Destination {
    /// The node to send to, such as `http://127.0.0.1:7171`; without it, the one that runs on the data folder or where the settings
    /// say that one listens.
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// Send to the node that runs on this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "to")]
    pub data: Option<PathBuf>,
    /// The dataset.
    #[arg(long, value_name = "NAME", default_value = "telemetry")]
    pub dataset: String,
    /// How many requests are on their way at a time.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub concurrency: usize,
    /// Compress requests.
    #[arg(long, value_enum, default_value_t = Compression::None)]
    pub compress: Compression,
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
    /// The URL that events are posted to.
    ///
    /// # Errors
    ///
    /// When the settings cannot be read.
    pub fn url(&self, common: &Common) -> anyhow::Result<String> {
        let base = match &self.to {
            Some(url) => url.clone(),
            None => {
                let flags = Flags { data: self.data.clone(), ..Flags::default() };
                let settings = settings::load(common.config.as_deref(), &flags)?.settings;
                match node::running(&settings.data) {
                    Some(node) => node.url(),
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
        Ok(format!("{}/v1/{}", base.trim_end_matches('/'), self.dataset))
    }

    fn sender_settings(&self) -> SenderSettings {
        let encoding = match self.compress {
            Compression::None => SendEncoding::Plain,
            Compression::Gzip => SendEncoding::Gzip,
            Compression::Zstd => SendEncoding::Zstd,
        };
        SenderSettings { concurrency: self.concurrency, encoding, ..SenderSettings::default() }
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
    let sender = HttpSender::new(&to.url(common)?, to.sender_settings())?;
    let started = Instant::now();
    let bar = progress(total, common.json);
    let result = {
        let progress = sender.progress();
        let mut sending = std::pin::pin!(sender.send_all(bodies));
        loop {
            tokio::select! {
                result = &mut sending => break result,
                () = tokio::time::sleep(Duration::from_millis(100)) => bar.set_position(progress.events()),
            }
        }
    };
    bar.finish_and_clear();
    report(common, &sender.outcome(), started.elapsed());
    result?;
    Ok(Outcome::Done)
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
            "requests": sent.bodies,
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

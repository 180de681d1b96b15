//! A pipe: each line of standard input is a record. The pipe's own backpressure is the producer's.
//!
//! ```text
//! journalctl -o json | cargo run -p alluvium-ingest --example pipe -- http://127.0.0.1:8080/v1/data
//! ```

use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;

use alluvium_ingest::producer::{HttpDestination, HttpSettings, Producer, ProducerSettings, UserRecord};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: pipe URL")?;
    let destination = Arc::new(HttpDestination::new(&url, settings())?);
    let producer = Arc::new(Producer::start(destination, ProducerSettings::for_gateway())?);
    let (runtime, sends) = (tokio::runtime::Handle::current(), producer.clone());
    let read = tokio::task::spawn_blocking(move || -> Result<(), String> {
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| error.to_string())?;
            // Its outcome is counted, and nothing here would do anything else about it.
            let sent = runtime.block_on(sends.send(UserRecord::new("pipe", line.as_bytes())));
            drop(sent.map_err(|error| error.to_string())?);
        }
        Ok(())
    });
    let read = read.await?;
    let progress = producer.close().await;
    println!("{} delivered, {} given up", progress.delivered_records, progress.undelivered_records);
    read?;
    if progress.undelivered_records > 0 { Err("not everything was delivered".into()) } else { Ok(()) }
}

/// A token for whoever asks for one: see `alluvium token`.
#[expect(clippy::disallowed_methods, reason = "an example is an entry point")]
fn settings() -> HttpSettings {
    HttpSettings { token: std::env::var("ALLUVIUM_TOKEN").ok(), ..HttpSettings::default() }
}

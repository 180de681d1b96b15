//! A device that reports once a second, and never waits for the network.
//!
//! ```text
//! cargo run -p alluvium-ingest --example device_loop -- http://127.0.0.1:8080/v1/telemetry
//! ```

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use alluvium_ingest::producer::{
    HttpDestination, HttpSettings, Outcome, Producer, ProducerSettings, SendError, UserRecord,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: device_loop URL")?;
    let destination = Arc::new(HttpDestination::new(&url, settings())?);
    // A device holds little, and what it could not say within an hour does not matter any more.
    let producer_settings = ProducerSettings {
        buffered_bytes: 256 * 1024,
        record_time_to_live: Duration::from_secs(3600),
        ..ProducerSettings::for_gateway()
    };
    let producer = Producer::start(destination, producer_settings)?;
    for reading in 0.. {
        let event = format!(r#"{{"id":"device-7-{reading}","source":"device-7","value":{}}}"#, reading % 40);
        match producer.try_send(UserRecord::new("device-7", event.as_bytes())) {
            Ok(delivery) => {
                tokio::spawn(async move {
                    if let Outcome::Undelivered(undelivered) = delivery.outcome().await {
                        eprintln!("reading {reading}: {:?}", undelivered.why);
                    }
                });
            }
            // The network has been away for long: this reading is left out, and the next may fit again.
            Err(SendError::Full) => eprintln!("reading {reading} is left out"),
            Err(error) => return Err(error.into()),
        }
        let stop = tokio::time::timeout(Duration::from_secs(1), tokio::signal::ctrl_c());
        if stop.await.is_ok() {
            break;
        }
    }
    println!("{:?}", producer.close().await);
    Ok(())
}

/// A token for whoever asks for one: see `alluvium token`.
#[expect(clippy::disallowed_methods, reason = "an example is an entry point")]
fn settings() -> HttpSettings {
    HttpSettings { token: std::env::var("ALLUVIUM_TOKEN").ok(), ..HttpSettings::default() }
}

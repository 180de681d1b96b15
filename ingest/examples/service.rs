//! A service that answers its callers once their events are stored.
//!
//! ```text
//! cargo run -p alluvium-ingest --example service -- http://127.0.0.1:8080/v1/telemetry
//! curl -d '{"id":"1"}' http://127.0.0.1:3000/orders/17
//! ```

use std::error::Error;
use std::sync::Arc;

use alluvium_ingest::producer::{
    HttpDestination, HttpSettings, Outcome, Producer, ProducerSettings, SendError, UserRecord,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: service URL")?;
    let destination = Arc::new(HttpDestination::new(&url, settings())?);
    let producer = Arc::new(Producer::start(destination, ProducerSettings::for_gateway())?);
    let app = Router::new().route("/orders/{customer}", post(order)).with_state(producer.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let stopped = async {
        // Without a signal handler it cannot be stopped gracefully, so it stops at once.
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    println!("{:?}", producer.close().await);
    Ok(())
}

async fn order(
    State(producer): State<Arc<Producer>>,
    Path(customer): Path<String>,
    event: Bytes,
) -> Result<StatusCode, (StatusCode, String)> {
    // A full budget is the callers' to wait out, not this service's memory's.
    let delivery = producer.try_send(UserRecord::new(&customer, &event)).map_err(|error| {
        let status = match error {
            SendError::Invalid(_) => StatusCode::BAD_REQUEST,
            SendError::Full | SendError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, error.to_string())
    })?;
    match delivery.outcome().await {
        Outcome::Delivered(_) => Ok(StatusCode::NO_CONTENT),
        Outcome::Undelivered(undelivered) => {
            let last_error = undelivered.last_error.as_deref().unwrap_or("it was never sent");
            Err((StatusCode::BAD_GATEWAY, format!("{}: {last_error}", undelivered.why.as_str())))
        }
    }
}

/// A token for whoever asks for one: see `alluvium token`.
#[expect(clippy::disallowed_methods, reason = "an example is an entry point")]
fn settings() -> HttpSettings {
    HttpSettings { token: std::env::var("ALLUVIUM_TOKEN").ok(), ..HttpSettings::default() }
}

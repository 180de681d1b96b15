use std::sync::{Arc, Mutex};

use alluvium_core::Datasets;
use alluvium_core::destination::CallEffect;
use alluvium_core::ports::Refusal;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::post;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::memory_stream::{Fate, MemoryStream};
use crate::producer::{GivenUp, Outcome, Producer, ProducerSettings, UserRecord};
use crate::sender::SendEncoding;
use crate::{Gateway, GatewaySettings, router};

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn producer(url: &str) -> Producer {
    let settings = SenderSettings { encoding: SendEncoding::Zstd, ..SenderSettings::default() };
    let first_pause = std::time::Duration::from_millis(1);
    let settings_of_producer = ProducerSettings { first_pause, ..ProducerSettings::for_gateway() };
    Producer::start(Arc::new(HttpDestination::new(url, settings).unwrap()), settings_of_producer).unwrap()
}

#[tokio::test]
async fn events_reach_the_stream_through_a_gateway_once_and_in_few_requests() {
    // The first request is refused by the stream; the gateway asks for the same once more.
    let stream = Arc::new(MemoryStream::fated([Fate::Refuses(0, Refusal::Failed("injected".to_owned()))]));
    let datasets = Arc::new(Datasets::load(None, None).unwrap());
    let gateway = Gateway::new(stream.clone(), datasets, GatewaySettings::default()).unwrap();
    let producer = producer(&(serve(router(gateway)).await + "/v1/telemetry"));
    let mut deliveries = Vec::new();
    for n in 0..1_000 {
        let event = format!(r#"{{"n":{n}}}"#);
        deliveries.push(producer.send(UserRecord::new("device", event.as_bytes())).await.unwrap());
    }
    let progress = producer.close().await;
    assert_eq!((progress.delivered_records, stream.events().len()), (1_000, 1_000));
    assert!(progress.calls <= 4 && progress.retries > 0, "{progress:?}");
    let delivered = deliveries[999].outcome().await.delivered().unwrap().clone();
    assert!(delivered.shard.as_str().starts_with("shardId-"), "{delivered:?}");
}

#[tokio::test]
async fn a_request_is_sent_again_under_the_same_key_and_not_before_the_gateway_asked() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keys = seen.clone();
    let url = serve(Router::new().route(
        "/",
        post(async move |headers: HeaderMap| {
            let mut keys = keys.lock().unwrap();
            keys.push(headers["idempotency-key"].to_str().unwrap().to_owned());
            match keys.len() {
                1 => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")], "later").into_response(),
                _ => (StatusCode::ACCEPTED, r#"{"dataset":"d","accepted":1,"receipt":"s:4"}"#).into_response(),
            }
        }),
    ))
    .await;
    let producer = producer(&url);
    let delivery = producer.send(UserRecord::new("device", b"{}")).await.unwrap();
    let delivered = delivery.outcome().await.delivered().unwrap().clone();
    assert_eq!((delivered.shard.as_str(), delivered.sequence.as_u64(), delivered.attempts), ("s", Some(4), 2));
    assert!(delivered.total >= std::time::Duration::from_secs(1), "{delivered:?}");
    let keys = seen.lock().unwrap();
    assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].len() == 32, "{keys:?}");
}

#[tokio::test]
async fn a_refusal_is_an_outcome_with_the_gateways_words() {
    let url = serve(Router::new().route("/", post(async || (StatusCode::FORBIDDEN, "not you")))).await;
    let producer = producer(&url);
    let delivery = producer.send(UserRecord::new("device", b"{}")).await.unwrap();
    let Outcome::Undelivered(undelivered) = delivery.outcome().await else { panic!("it was refused") };
    assert_eq!((undelivered.why, undelivered.may_be_stored), (GivenUp::Refused, false));
    assert_eq!(undelivered.last_error.as_deref(), Some("status 403: not you"));
}

#[tokio::test]
async fn nobody_there_is_certainly_not_stored() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/data", listener.local_addr().unwrap());
    drop(listener);
    let destination = HttpDestination::new(&url, SenderSettings::default()).unwrap();
    let record = alluvium_core::PutRecord { partition_key: "k".to_owned(), explicit_hash_key: None, data: "{}".into() };
    let error = destination.put(vec![PutEntry { id: alluvium_core::EntryId(1), record }]).await.unwrap_err();
    assert_eq!((error.effect, error.advice), (CallEffect::NothingStored, Advice::Retry));
    assert!(HttpDestination::new("ftp://host", SenderSettings::default()).is_err());
}

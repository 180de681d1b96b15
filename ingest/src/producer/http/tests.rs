use std::sync::{Arc, Mutex};

use alluvium_core::Datasets;
use alluvium_core::contract::destination::{self as contract, Stored, StoredEntry};
use alluvium_core::destination::CallEffect;
use alluvium_core::ports::Refusal;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::post;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::memory_stream::{Fate, MemoryStream};
use crate::producer::{GivenUp, Outcome, Producer, ProducerSettings, UserRecord};
use crate::{Gateway, GatewaySettings, Generator, GeneratorSettings, router};

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn serve_stream(stream: &Arc<MemoryStream>) -> String {
    let datasets = Arc::new(Datasets::load(None, None).unwrap());
    let gateway = Gateway::new(stream.clone(), datasets, GatewaySettings::default()).unwrap();
    serve(router(gateway)).await + "/v1/telemetry"
}

fn producer(url: &str) -> Producer {
    start(url, BodyEncoding::Zstd, ProducerSettings::for_gateway())
}

fn start(url: &str, encoding: BodyEncoding, settings: ProducerSettings) -> Producer {
    let http = HttpSettings { encoding, ..HttpSettings::default() };
    let settings = ProducerSettings { first_pause: Duration::from_millis(1), ..settings };
    Producer::start(Arc::new(HttpDestination::new(url, http).unwrap()), settings).unwrap()
}

fn entry(data: impl Into<bytes::Bytes>) -> PutEntry {
    let record = alluvium_core::PutRecord { partition_key: "k".to_owned(), explicit_hash_key: None, data: data.into() };
    PutEntry { id: alluvium_core::EntryId(1), record }
}

/// What a gateway has put into its stream, body by body.
struct Bodies(Arc<MemoryStream>);

#[async_trait]
impl Stored for Bodies {
    async fn entries(&self, _: usize) -> Option<Vec<StoredEntry>> {
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        for envelope in self.0.envelopes() {
            if envelope.header.first_index == 0 {
                bodies.push(Vec::new());
            }
            let body = bodies.last_mut().unwrap();
            for element in envelope.elements() {
                if !body.is_empty() {
                    body.push(b'\n');
                }
                body.extend_from_slice(element);
            }
        }
        let entry = |data: Vec<u8>| StoredEntry { place: None, partition_key: None, data: data.into() };
        Some(bodies.into_iter().map(entry).collect())
    }

    /// Events as lines, none larger than an event may be.
    fn data(&self, word: &str, bytes: usize) -> bytes::Bytes {
        const LINE: usize = 500_000;
        let line = |length: usize| {
            let (head, tail) = (format!(r#"{{"word":"{word}","fill":""#), "\"}");
            let fill = ".".repeat(length - head.len() - tail.len());
            format!("{head}{fill}{tail}")
        };
        let mut data = String::with_capacity(bytes);
        while bytes - data.len() > 2 * LINE {
            data += &(line(LINE) + "\n");
        }
        data += &line(bytes - data.len());
        data.into()
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let stream = Arc::new(MemoryStream::default());
    let destination = HttpDestination::new(&serve_stream(&stream).await, HttpSettings::default()).unwrap();
    contract::all(&destination, &Bodies(stream)).await;
}

#[tokio::test]
async fn whole_bodies_arrive_in_every_encoding() {
    let settings = GeneratorSettings { events: Some(1_050), ..GeneratorSettings::default() };
    let mut sent: Vec<_> = Generator::new(settings).unwrap().take(1_050).map(|event| event.bytes.to_vec()).collect();
    let bodies: Vec<_> = sent.chunks(100).map(|events| events.join(&b'\n')).collect();
    sent.sort();
    for encoding in [BodyEncoding::Plain, BodyEncoding::Gzip, BodyEncoding::Zstd] {
        let stream = Arc::new(MemoryStream::default());
        let producer = start(&serve_stream(&stream).await, encoding, ProducerSettings::for_bodies());
        for body in &bodies {
            drop(producer.send(UserRecord::new("body", body)).await.unwrap());
        }
        let progress = producer.close().await;
        assert_eq!((progress.delivered_records, progress.calls, progress.retries), (11, 11, 0));
        let mut arrived = stream.events();
        arrived.sort();
        assert_eq!(arrived, sent, "{encoding:?}");
    }
}

#[tokio::test]
async fn events_reach_the_stream_through_a_gateway_once_and_in_few_requests() {
    // The first request is refused by the stream; the gateway asks for the same once more.
    let stream = Arc::new(MemoryStream::fated([Fate::Refuses(0, Refusal::Failed("injected".to_owned()))]));
    let producer = producer(&serve_stream(&stream).await);
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
    assert!(delivered.total >= Duration::from_secs(1), "{delivered:?}");
    let keys = seen.lock().unwrap();
    assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].len() == 32, "{keys:?}");
}

#[tokio::test]
async fn whoever_is_not_let_in_hears_the_gateways_words_and_shows_its_token() {
    let url = serve(Router::new().route(
        "/",
        post(async |headers: HeaderMap| match headers.get("authorization") {
            Some(token) if token == "Bearer good" => {
                (StatusCode::ACCEPTED, r#"{"dataset":"d","accepted":1,"receipt":"s:4"}"#).into_response()
            }
            _ => (StatusCode::FORBIDDEN, "not you").into_response(),
        }),
    ))
    .await;
    let producer = producer(&url);
    let delivery = producer.send(UserRecord::new("device", b"{}")).await.unwrap();
    let Outcome::Undelivered(undelivered) = delivery.outcome().await else { panic!("it was refused") };
    assert_eq!((undelivered.why, undelivered.may_be_stored), (GivenUp::Denied, false));
    assert_eq!(undelivered.last_error.as_deref(), Some("status 403: not you"));

    let settings = HttpSettings { token: Some("good".to_owned()), ..HttpSettings::default() };
    assert!(!format!("{settings:?}").contains("good"));
    let destination = HttpDestination::new(&url, settings).unwrap();
    assert!(!format!("{destination:?}").contains("good"));
    let verdicts = destination.put(vec![entry("{}")]).await.unwrap();
    assert!(matches!(&verdicts[..], [EntryVerdict::Stored { .. }]), "{verdicts:?}");
}

#[tokio::test]
async fn an_unknown_dataset_is_named_and_ends_it() {
    let stream = Arc::new(MemoryStream::default());
    let url = serve_stream(&stream).await.replace("telemetry", "nothing");
    let destination = HttpDestination::new(&url, HttpSettings::default()).unwrap();
    let error = destination.put(vec![entry("{}")]).await.unwrap_err();
    assert_eq!((error.effect, error.advice), (CallEffect::NothingStored, Advice::Stop));
    assert!(error.message.contains("the datasets here are: data, telemetry"), "{error}");
}

#[tokio::test]
async fn a_body_twice_too_large_gets_its_answer_and_not_a_reset_connection() {
    let stream = Arc::new(MemoryStream::default());
    let destination = HttpDestination::new(&serve_stream(&stream).await, HttpSettings::default()).unwrap();
    let verdicts = destination.put(vec![entry("1\n".repeat(10 * 1024 * 1024))]).await.unwrap();
    let [EntryVerdict::Invalid(why)] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert!(why.starts_with("status 413: "), "{why}");
}

#[tokio::test]
async fn nobody_there_is_named_with_its_cause_and_certainly_not_stored() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/data", listener.local_addr().unwrap());
    drop(listener);
    let destination = HttpDestination::new(&url, HttpSettings::default()).unwrap();
    let error = destination.put(vec![entry("{}")]).await.unwrap_err();
    assert_eq!((error.effect, error.advice), (CallEffect::NothingStored, Advice::Retry));
    assert!(error.message.to_lowercase().contains("connection refused"), "{error}");
}

#[test]
fn urls_and_tokens_that_cannot_be_are_named() {
    for url in ["", "telemetry", "ftp://host/x", "mailto:a@b", "http://"] {
        let error = HttpDestination::new(url, HttpSettings::default()).unwrap_err().to_string();
        assert!(error.starts_with("url: "), "{url}: {error}");
    }
    let settings = HttpSettings { token: Some("two\nlines".to_owned()), ..HttpSettings::default() };
    let error = HttpDestination::new("http://host/", settings).unwrap_err().to_string();
    assert!(error.starts_with("token: ") && !error.contains("lines"), "{error}");
}

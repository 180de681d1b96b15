use std::sync::atomic::{AtomicUsize, Ordering};

use alluvium_core::Datasets;
use alluvium_core::ports::{Advice, Refusal};
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::post;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::memory_stream::{Fate, MemoryStream};
use crate::{Bodies, BodySettings, Gateway, GatewaySettings, Generator, GeneratorSettings, Pace, router};

/// Serves a router on a free port for as long as the test runs; gives the base URL.
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

/// Pauses that a test does not notice.
fn quick() -> SenderSettings {
    let pause = Duration::from_millis(1);
    SenderSettings { first_pause: pause, longest_pause: pause, attempts: 4, ..SenderSettings::default() }
}

fn made(events: u64) -> Bodies<Generator> {
    let settings = GeneratorSettings { events: Some(events), ..GeneratorSettings::default() };
    Bodies::of(
        Generator::new(settings).unwrap(),
        BodySettings { events: 100, ..BodySettings::default() },
        Pace::Unlimited,
    )
}

#[tokio::test]
async fn everything_that_is_sent_arrives_in_every_encoding() {
    for encoding in [SendEncoding::Plain, SendEncoding::Gzip, SendEncoding::Zstd] {
        let stream = Arc::new(MemoryStream::default());
        let settings = SenderSettings { encoding, ..quick() };
        let sender = HttpSender::new(&serve_stream(&stream).await, settings).unwrap();
        let outcome = sender.send_all(made(1_050)).await.unwrap();
        assert_eq!((outcome.events, outcome.bodies, outcome.retries, outcome.failed_events), (1_050, 11, 0, 0));
        assert_eq!(outcome.latencies.count(), 11);
        assert_eq!(sender.progress().on_their_way(), 0);
        let mut arrived = stream.events();
        let settings = GeneratorSettings { events: Some(1_050), ..GeneratorSettings::default() };
        let mut sent: Vec<_> =
            Generator::new(settings).unwrap().take(1_050).map(|event| event.bytes.to_vec()).collect();
        arrived.sort();
        sent.sort();
        assert_eq!(arrived, sent, "{encoding:?}");
    }
}

#[tokio::test]
async fn a_body_is_sent_again_under_the_same_key_until_it_is_stored() {
    let answers = Arc::new(AtomicUsize::new(0));
    let keys = Arc::new(Mutex::new(Vec::new()));
    let (count, seen) = (answers.clone(), keys.clone());
    let flaky = post(async move |headers: HeaderMap| {
        seen.lock().unwrap().push(headers["idempotency-key"].to_str().unwrap().to_owned());
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")], "later").into_response(),
            1 => (StatusCode::TOO_MANY_REQUESTS, "later").into_response(),
            _ => (StatusCode::ACCEPTED, r#"{"dataset":"data","accepted":2,"receipt":"s:1"}"#).into_response(),
        }
    });
    let url = serve(Router::new().route("/", flaky)).await;
    let sender = HttpSender::new(&url, quick()).unwrap();
    let acknowledged = sender.send(EventBody::of(["{}", "{}"])).await.unwrap();
    assert_eq!((acknowledged.accepted, acknowledged.attempts, acknowledged.receipt.to_string()), (2, 3, "s:1".into()));
    let keys = keys.lock().unwrap();
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0] && key.len() == 32), "{keys:?}");
    assert_eq!(sender.outcome().retries, 2);
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_says_why() {
    let stream = Arc::new(MemoryStream::default());
    let url = serve_stream(&stream).await.replace("telemetry", "nothing");
    let sender = HttpSender::new(&url, quick()).unwrap();
    let error = sender.send(EventBody::of(["{}"])).await.unwrap_err();
    let IngestError::Refused { status, detail, events, .. } = &error else { panic!("{error}") };
    assert_eq!((*status, *events), (404, 1));
    assert!(detail.contains("the datasets here are: data, telemetry"), "{detail}");
    assert_eq!((sender.outcome().failed_events, sender.outcome().retries), (1, 0));
}

#[tokio::test]
async fn a_body_twice_too_large_gets_its_answer_and_not_a_reset_connection() {
    let stream = Arc::new(MemoryStream::default());
    let sender = HttpSender::new(&serve_stream(&stream).await, quick()).unwrap();
    let body = EventBody::of_ndjson("1\n".repeat(10 * 1024 * 1024), 10 * 1024 * 1024);
    let error = sender.send(body).await.unwrap_err();
    assert!(matches!(error, IngestError::Refused { status: 413, .. }), "{error}");
    assert_eq!(sender.outcome().retries, 0);
}

#[tokio::test]
async fn attempts_are_bounded_and_the_last_answer_is_told() {
    let full = || Fate::Refuses(0, Refusal::Full);
    let stream = Arc::new(MemoryStream::fated([full(), full()]));
    // The gateway asks for two seconds, which is more than there is left.
    let settings = SenderSettings { give_up_after: Duration::from_secs(1), ..quick() };
    let sender = HttpSender::new(&serve_stream(&stream).await, settings).unwrap();
    let error = sender.send(EventBody::of(["{}"])).await.unwrap_err();
    let IngestError::GaveUp { attempts, last, .. } = &error else { panic!("{error}") };
    assert_eq!(*attempts, 1);
    assert!(last.contains("status 503: the log holds as much as it may"), "{last}");
}

#[tokio::test]
async fn nobody_there_is_named_with_its_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/data", listener.local_addr().unwrap());
    drop(listener);
    let error = HttpSender::new(&url, quick()).unwrap().send(EventBody::of(["{}"])).await.unwrap_err();
    let IngestError::GaveUp { attempts: 4, last, .. } = &error else { panic!("{error}") };
    assert!(last.to_lowercase().contains("connection refused"), "{last}");
}

#[tokio::test]
async fn a_failure_ends_sending_and_what_was_acknowledged_stays_counted() {
    let stream = Arc::new(MemoryStream::fated([Fate::Fails(Advice::Retry)]));
    let settings = SenderSettings { concurrency: 1, give_up_after: Duration::ZERO, ..quick() };
    let sender = HttpSender::new(&serve_stream(&stream).await, settings).unwrap();
    let error = sender.send_all(made(10_000)).await.unwrap_err();
    assert!(matches!(error, IngestError::GaveUp { events: 100, .. }), "{error}");
    assert_eq!(sender.outcome().failed_events, 100);
    assert_eq!(sender.outcome().events, stream.events().len() as u64);
    let wrong = std::iter::once(Err(IngestError::setting("x", "wrong")));
    assert!(sender.send_all(wrong).await.is_err());
}

#[tokio::test]
async fn paced_bodies_wait_until_they_are_due() {
    let stream = Arc::new(MemoryStream::default());
    let sender = HttpSender::new(&serve_stream(&stream).await, quick()).unwrap();
    let due = Duration::from_millis(60);
    let bodies = [Duration::ZERO, due].map(|due| Ok(EventBody { due, ..EventBody::of(["{}"]) }));
    let started = Instant::now();
    sender.send_all(bodies.into_iter()).await.unwrap();
    assert!(started.elapsed() >= due);
    assert_eq!(stream.events().len(), 2);
}

#[tokio::test]
async fn a_failure_does_not_wait_for_what_is_not_due_yet() {
    let stream = Arc::new(MemoryStream::fated([Fate::Fails(Advice::Retry)]));
    let settings = SenderSettings { give_up_after: Duration::ZERO, ..quick() };
    let sender = HttpSender::new(&serve_stream(&stream).await, settings).unwrap();
    let bodies = [Duration::ZERO, Duration::from_secs(3600)].map(|due| Ok(EventBody { due, ..EventBody::of(["{}"]) }));
    let sent = tokio::time::timeout(Duration::from_secs(20), sender.send_all(bodies.into_iter()));
    assert!(sent.await.is_ok_and(|sent| sent.is_err()));
}

#[test]
fn urls_and_settings_that_cannot_be_are_named() {
    for url in ["", "telemetry", "ftp://host/x", "mailto:a@b", "http://"] {
        let error = HttpSender::new(url, SenderSettings::default()).unwrap_err().to_string();
        assert!(error.starts_with("url: "), "{url}: {error}");
    }
    let settings = SenderSettings { concurrency: 0, ..SenderSettings::default() };
    assert!(HttpSender::new("http://h/", settings).unwrap_err().to_string().starts_with("concurrency: 0"));
}

//! The endpoint over a stream in memory, called as SDKs call it.

mod calls;
mod limits;
mod puts;
mod reads;
mod signed;
mod streams;

use std::sync::atomic::Ordering;

use alluvium_core::ManualClock;
use alluvium_core::clock::Micros;
use axum::body::Body;
use http::request::Builder;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::memory_stream::{Fate, MemoryStream};

/// 2026-01-01T00:00:00Z.
const NOW: Micros = 1_767_225_600_000_000;

struct Fixture {
    stream: Arc<MemoryStream>,
    clock: Arc<ManualClock>,
    endpoint: KinesisEndpoint,
}

/// What the endpoint said.
#[derive(Debug)]
struct Said {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    /// Status, code and message of a failure in AWS's shape.
    fn failure(&self) -> (u16, String, String) {
        let body = self.json();
        let (code, message) = (body["__type"].as_str().unwrap(), body["message"].as_str().unwrap());
        assert_eq!(self.header("x-amzn-errortype"), code);
        assert_eq!(body.as_object().unwrap().len(), 2);
        (self.status, code.to_owned(), message.to_owned())
    }
}

fn fixture() -> Fixture {
    over(MemoryStream::default(), KinesisSettings::default())
}

fn over(stream: MemoryStream, settings: KinesisSettings) -> Fixture {
    let (stream, clock) = (Arc::new(stream), Arc::new(ManualClock::at(NOW)));
    stream.arrival.store(NOW, Ordering::SeqCst);
    let endpoint = KinesisEndpoint::new(stream.clone(), clock.clone(), settings).unwrap();
    Fixture { stream, clock, endpoint }
}

fn request(operation: &str) -> Builder {
    Request::builder()
        .method("POST")
        .uri("/")
        .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
        .header("content-type", "application/x-amz-json-1.1")
}

impl Fixture {
    async fn ask(&self, request: Request) -> Said {
        let response = router(self.endpoint.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let said = Said {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        };
        assert_eq!(said.header("x-amzn-requestid").len(), 36);
        said
    }

    async fn send(&self, operation: &str, body: impl Into<Body>) -> Said {
        self.ask(request(operation).body(body.into()).unwrap()).await
    }

    /// Calls an operation of which all goes well.
    async fn call(&self, operation: &str, input: Value) -> Value {
        let said = self.send(operation, input.to_string()).await;
        assert_eq!(said.status, 200, "{operation} {input}: {}", String::from_utf8_lossy(&said.body));
        assert_eq!(said.header("content-type"), "application/x-amz-json-1.1");
        said.json()
    }

    /// Calls an operation that fails.
    async fn fail(&self, operation: &str, input: Value) -> (u16, String, String) {
        self.send(operation, input.to_string()).await.failure()
    }

    /// Fails with this code and, in its message, these words.
    async fn refused(&self, operation: &str, input: Value, code: &str, words: &str) {
        let (status, found, message) = self.fail(operation, input.clone()).await;
        assert_eq!((status, found.as_str()), (400, code), "{operation} {input}: {message}");
        assert!(message.contains(words), "{operation} {input}: {message}");
    }

    async fn put(&self, key: &str, data: &str) -> Value {
        use base64::Engine as _;
        let data = base64::engine::general_purpose::STANDARD.encode(data);
        self.call("PutRecord", json!({"StreamName": "alluvium", "PartitionKey": key, "Data": data})).await
    }
}

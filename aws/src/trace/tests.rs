#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_core::ManualClock;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::{Layer as _, Service as _};
use lambda_runtime::{Context, LambdaInvocation};
use serde_json::{Value, json};
use tracing::{Dispatch, Instrument as _};

use super::*;
use crate::function::subscriber;

const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
const SECOND: i64 = 1_000_000;
const BEGUN: i64 = 1_769_860_800 * SECOND;

/// What a function writes and sends.
struct World {
    daemon: UdpSocket,
    clock: Arc<ManualClock>,
    log: Log,
    subscriber: Dispatch,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl World {
    fn at(verbosity: &str) -> Self {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        daemon.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let clock = Arc::new(ManualClock::at(BEGUN));
        let address = daemon.local_addr().unwrap().to_string();
        let steps = Steps::new("alluvium-dev-transform", Daemon::at(&address), clock.clone());
        let log = Log::default();
        let out = log.clone();
        let subscriber = subscriber(verbosity, steps, move || out.clone()).unwrap();
        Self { daemon, clock, log, subscriber }
    }

    /// The documents that were sent, in their order.
    fn documents(&self) -> Vec<Value> {
        let mut datagram = vec![0; 64 * 1024];
        let mut documents = Vec::new();
        while let Ok(bytes) = self.daemon.recv(&mut datagram) {
            let text = std::str::from_utf8(&datagram[..bytes]).unwrap();
            let (header, document) = text.split_once('\n').unwrap();
            assert_eq!(serde_json::from_str::<Value>(header).unwrap(), json!({"format": "json", "version": 1}));
            let document: Value = serde_json::from_str(document).unwrap();
            check(&document);
            documents.push(document);
        }
        documents
    }

    fn lines(&self) -> Vec<Value> {
        let log = self.log.0.lock().unwrap();
        std::str::from_utf8(&log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Checks a document against the rules of the guide for required fields.
fn check(document: &Value) {
    let is_id = |id: &Value, digits| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        id.as_str().is_some_and(|id| id.len() == digits && id.bytes().all(is_digit))
    };
    assert!(is_id(&document["id"], 16) && is_id(&document["parent_id"], 16), "{document}");
    assert!(document["trace_id"].as_str().unwrap().starts_with("1-"), "{document}");
    assert!(document["start_time"].as_f64() <= document["end_time"].as_f64(), "{document}");
    assert!(!document["name"].as_str().unwrap().is_empty());
    for within in document["subsegments"].as_array().into_iter().flatten() {
        assert!(is_id(&within["id"], 16) && within.get("trace_id").is_none(), "{document}");
    }
}

#[test]
fn a_step_is_a_subsegment_of_the_invocation_or_of_the_step_around_it() {
    let world = World::at("info");
    tracing::dispatcher::with_default(&world.subscriber, || {
        let _invocation = invocation_span("request-1", Some(TRACE)).entered();
        let store = tracing::debug_span!(target: STEP, "store", files = 2).entered();
        world.clock.advance(SECOND / 2);
        let file = tracing::debug_span!(target: STEP, "store file", of = "telemetry", fault = tracing::field::Empty);
        file.in_scope(|| world.clock.advance(SECOND / 4));
        file.record("fault", true);
        drop(file);
        drop(store);
        drop(tracing::debug_span!(target: "alluvium_lake", "of no concern").entered());
    });
    let documents = world.documents();
    let [file, store] = documents.as_slice() else { panic!("{documents:?}") };
    assert_eq!((&store["name"], &store["parent_id"]), (&json!("store"), &json!("53995c3f42cd8ad8")));
    assert_eq!((&store["annotations"], store.get("fault")), (&json!({"files": 2}), None));
    assert_eq!(
        (&file["name"], &file["parent_id"], &file["fault"]),
        (&json!("store file telemetry"), &store["id"], &json!(true))
    );
    for step in &documents {
        assert_eq!(
            (&step["type"], &step["trace_id"]),
            (&json!("subsegment"), &json!("1-5759e988-bd862e3fe1be46a994272793"))
        );
    }
    assert_eq!(
        (file["start_time"].as_f64(), file["end_time"].as_f64()),
        (Some(1_769_860_800.5), Some(1_769_860_800.75))
    );
    assert_eq!(world.lines(), [Value::Null; 0], "steps are no log lines");
}

#[test]
fn what_is_not_sampled_or_of_no_invocation_is_not_sent() {
    let world = World::at("info");
    tracing::dispatcher::with_default(&world.subscriber, || {
        let step = || drop(tracing::debug_span!(target: STEP, "store").entered());
        step();
        for trace in
            [None, Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"), Some("what")]
        {
            invocation_span("request-1", trace).in_scope(step);
        }
    });
    assert_eq!(world.documents(), [Value::Null; 0]);
}

#[test]
fn a_request_is_followed_through_the_invocations_that_work_on_it() {
    let world = World::at("info");
    let request =
        TraceHeader::read("Root=1-69000000-0123456789abcdef01234567;Parent=00000000000000aa;Sampled=1").unwrap();
    let parent = request.parent().unwrap();
    let invoked = |trace: &str, stage: Stage, step: &str| {
        invocation_span("request-1", Some(trace)).in_scope(|| {
            drop(tracing::debug_span!(target: STEP, "work", of = step).entered());
            world.clock.advance(SECOND);
            follow(stage, [(&parent, "batch-1"), (&parent, "batch-2")]);
            follow(stage, []);
        });
        world.documents()
    };
    let (transform, commit) = tracing::dispatcher::with_default(&world.subscriber, || {
        // Not sampled itself: the request's trace has it all the same.
        let transform = invoked(
            "Root=1-69000001-0123456789abcdef01234567;Parent=00000000000000bb;Sampled=0",
            Stage::Transform,
            "a",
        );
        (
            transform,
            invoked("Root=1-69000002-0123456789abcdef01234567;Parent=00000000000000cc;Sampled=1", Stage::Commit, "b"),
        )
    });
    assert_eq!((transform.len(), commit.len()), (2, 3));
    for (segment, batch) in transform.iter().zip(["batch-1", "batch-2"]) {
        assert_eq!((&segment["trace_id"], &segment["parent_id"]), (&json!(request.root), &json!("00000000000000aa")));
        assert_eq!((&segment["name"], segment.get("type")), (&json!("alluvium-dev-transform"), None));
        let said = json!({"batch": batch, "request_id": "request-1", "invocation_trace": "1-69000001-0123456789abcdef01234567"});
        assert_eq!((&segment["annotations"], &segment["subsegments"][0]["name"]), (&said, &json!("work a")));
        assert_eq!(segment["end_time"].as_f64().unwrap() - segment["start_time"].as_f64().unwrap(), 1.0);
    }
    for (before, segment) in transform.iter().zip(&commit[1..]) {
        assert_eq!((&segment["trace_id"], &segment["parent_id"]), (&json!(request.root), &before["id"]));
    }
    let ids: std::collections::BTreeSet<_> = transform
        .iter()
        .chain(&commit)
        .flat_map(|segment| [&segment["id"], &segment["subsegments"][0]["id"]])
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(ids.len(), 2 * 4 + 1, "no id twice");
}

/// The span that the layer looks for is the runtime's.
#[tokio::test]
async fn the_runtime_says_whose_invocation_it_is_whatever_the_verbosity() {
    for verbosity in ["error", "info", "off,alluvium_aws=error"] {
        let world = World::at(verbosity);
        let _guard = tracing::dispatcher::set_default(&world.subscriber);
        tracing::error!("before");
        let handler = lambda_runtime::service_fn(async |_: LambdaInvocation| {
            tracing::error!(files = 2, request_id = "another", trace = ?header().map(|header| header.to_string()), "within");
            let step = tracing::debug_span!(target: STEP, "store");
            async { tracing::error!("deep within") }.instrument(step).await;
            Ok(())
        });
        let mut context = Context::default();
        context.request_id = "request-1".to_owned();
        context.xray_trace_id = Some(TRACE.to_owned());
        let (parts, ()) = http::Response::new(()).into_parts();
        let invocation = LambdaInvocation { parts, body: bytes::Bytes::new(), context };
        TracingLayer::new().layer(handler).call(invocation).await.unwrap();
        let lines = world.lines();
        let [before, within, deep] = lines.as_slice() else { panic!("{verbosity}: {lines:?}") };
        assert_eq!(
            (before.get("request_id"), &before["message"], &before["level"]),
            (None, &json!("before"), &json!("ERROR"))
        );
        assert_eq!(
            (&within["request_id"], &within["trace_id"]),
            (&json!("request-1"), &json!("1-5759e988-bd862e3fe1be46a994272793"))
        );
        assert_eq!((&within["files"], &within["target"]), (&json!(2), &json!("alluvium_aws::trace::tests")));
        assert!(within["trace"].as_str().unwrap().contains(TRACE), "{within}");
        assert_eq!((&deep["request_id"], &deep["message"]), (&json!("request-1"), &json!("deep within")));
        assert_eq!(world.documents()[0]["name"], "store");
    }
}

#[test]
fn what_is_noted_deep_within_is_in_the_metrics_of_its_invocation_alone() {
    let world = World::at("info");
    tracing::dispatcher::with_default(&world.subscriber, || {
        crate::metrics::note("HotThrottled", 1);
        let of = |chunks| {
            invocation_span("request-1", None).in_scope(|| {
                let step = tracing::debug_span!(target: STEP, "store hot");
                step.in_scope(|| crate::metrics::note("HotThrottled", chunks));
                crate::metrics::note("HotThrottled", 1);
                let mut metrics = crate::Metrics::new("dev");
                let lines = metrics.take_noted().lines(BEGUN);
                assert_eq!(metrics.take_noted().lines(BEGUN), lines, "taken once");
                serde_json::from_str::<Value>(&lines[0]).unwrap()["HotThrottled"].clone()
            })
        };
        assert_eq!((of(7), of(2)), (json!(8), json!(3)));
    });
}

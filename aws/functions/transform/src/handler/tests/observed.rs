//! What an invocation reports: metrics by its ledger, and its part in the traces of requests.

use std::net::UdpSocket;

use alluvium_aws::function::subscriber;
use alluvium_aws::trace::{Daemon, Steps, invocation_span};
use alluvium_core::{CommitMessage, TraceParent};
use serde_json::{Value, json};

use super::*;

/// What one invocation reports, by dimension.
fn reported(metrics: &Metrics) -> Vec<Value> {
    metrics.lines(0).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn metrics_are_what_the_ledger_says() {
    let stores = Arc::new(Stores::default());
    let mut metrics = Metrics::new("test");
    let sent = [r#"{"source":"a","value":1}"#, r#"{"source":"b","value":2}"#, "not json", r#"{"source":"a"}"#];
    handler(&stores).handle(event(&sent), soon(), &mut metrics).await.unwrap();
    let message = CommitMessage::decode(&stores.object.lock().unwrap()).unwrap();
    let lines = reported(&metrics);
    let sum = |of: fn(&alluvium_core::LedgerEntry) -> u64| message.ledger.iter().map(of).sum::<u64>();
    let whole = &lines[0];
    assert_eq!(
        [
            &whole["Records"],
            &whole["BatchRecords"],
            &whole["Events"],
            &whole["Rows"],
            &whole["DeadLetters"],
            &whole["Filtered"]
        ],
        [
            &json!(4),
            &json!(4),
            &json!(sum(|e| e.received)),
            &json!(sum(|e| e.written)),
            &json!(sum(|e| e.dead)),
            &json!(sum(|e| e.filtered))
        ]
    );
    assert_eq!((sum(|entry| entry.received), sum(|entry| entry.dead)), (4, 2), "the batch has what this test is about");
    assert_eq!(
        (&whole["LedgerDifference"], &whole["BatchBytes"]),
        (&json!(0), &json!(sent.map(str::len).iter().sum::<usize>()))
    );
    assert_eq!((&whole["StorageFailures"], &whole["HotThrottled"]), (&json!(0), &json!(0)));
    assert_eq!(whole["FreshnessMilliseconds"], 2_500.0, "from the oldest arrival until all was stored");
    assert!(whole["TransformMilliseconds"].is_f64());
    for entry in &message.ledger {
        let line = lines.iter().find(|line| line["Dataset"] == entry.dataset).unwrap();
        assert_eq!((&line["Events"], &line["Rows"]), (&json!(entry.received), &json!(entry.written)), "{line}");
        for (reason, dead) in &entry.dead_by_reason {
            let line = lines.iter().find(|line| line["Reason"] == reason.as_str()).unwrap();
            assert_eq!(line["DeadLetters"], *dead, "{line}");
        }
    }
}

#[tokio::test]
async fn an_invocation_that_fails_reports_what_came_and_nothing_as_stored() {
    let stores = Arc::new(Stores { failing: AtomicUsize::new(1), advice: Some(Advice::Stop), ..Stores::default() });
    let mut metrics = Metrics::new("test");
    handler(&stores).handle(event(&["{}"]), soon(), &mut metrics).await.unwrap_err();
    let lines = reported(&metrics);
    assert_eq!(
        (lines.len(), &lines[0]["Records"], lines[0].get("Events"), lines[0].get("FreshnessMilliseconds")),
        (1, &json!(1), None, None)
    );
}

/// The daemon that steps of an invocation are sent to.
fn daemon() -> (UdpSocket, tracing::Dispatch) {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let daemon = Daemon::at(&listener.local_addr().unwrap().to_string());
    let steps = Steps::new("alluvium-test-transform", daemon, Arc::new(ManualClock::at(ARRIVAL_MS * 1000)));
    (listener, subscriber("info", steps, std::io::sink).unwrap())
}

fn documents(listener: &UdpSocket) -> Vec<Value> {
    let mut datagram = vec![0; 64 * 1024];
    let mut documents = Vec::new();
    while let Ok(bytes) = listener.recv(&mut datagram) {
        let text = std::str::from_utf8(&datagram[..bytes]).unwrap();
        documents.push(serde_json::from_str(text.split_once('\n').unwrap().1).unwrap());
    }
    documents
}

fn names(steps: &[Value]) -> Vec<&str> {
    steps.iter().map(|step| step["name"].as_str().unwrap()).collect()
}

const STEPS: [&str; 7] =
    ["decode", "transform", "store file dead_letters", "store file telemetry", "store hot", "store message", "enqueue"];

#[tokio::test]
async fn a_request_is_followed_from_the_stream_into_the_commit_message() {
    let (listener, subscriber) = daemon();
    let _guard = tracing::dispatcher::set_default(&subscriber);
    let stores = Arc::new(Stores::default());
    let handler = handler(&stores);
    // As the gateway's test leaves it.
    let request: TraceParent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01".parse().unwrap();
    let own = "Root=1-69000001-0123456789abcdef01234567;Parent=00000000000000bb;Sampled=1";
    let event = keyed_event(&request.to_string(), &[r#"{"source":"a","value":1}"#, "not json"]);
    let mut metrics = Metrics::new("test");
    handler.handle(event, soon(), &mut metrics).instrument(invocation_span("request-1", Some(own))).await.unwrap();
    let message = stores.object.lock().unwrap().clone();
    let message = CommitMessage::decode(&message).unwrap();
    assert_eq!(message.traces, [request]);
    let mut documents = documents(&listener);
    let followed = documents.pop().unwrap();
    assert_eq!(names(&documents), STEPS);
    for step in &documents {
        assert_eq!(
            (&step["trace_id"], &step["parent_id"]),
            (&json!("1-69000001-0123456789abcdef01234567"), &json!("00000000000000bb"))
        );
    }
    assert_eq!(
        (&followed["trace_id"], &followed["parent_id"]),
        (&json!("1-5759e988-bd862e3fe1be46a994272793"), &json!("53995c3f42cd8ad8"))
    );
    assert_eq!(names(followed["subsegments"].as_array().unwrap()), STEPS);
    assert_eq!(followed["annotations"]["batch"], message.batch.as_str());
    assert_eq!(followed["annotations"]["invocation_trace"], "1-69000001-0123456789abcdef01234567");
}

#[tokio::test]
async fn what_fails_is_counted_and_said_to_be_a_fault() {
    let (listener, subscriber) = daemon();
    let _guard = tracing::dispatcher::set_default(&subscriber);
    let stores = Arc::new(Stores { failing: AtomicUsize::new(2), ..Stores::default() });
    let own = "Root=1-69000001-0123456789abcdef01234567;Parent=00000000000000bb;Sampled=1";
    let failures = async |stores: &Arc<Stores>| {
        let mut metrics = Metrics::new("test");
        let handled = handler(stores).handle(event(&[r#"{"source":"a","value":1}"#]), soon(), &mut metrics).await;
        (handled.is_ok(), reported(metrics.take_noted())[0]["StorageFailures"].clone())
    };
    assert_eq!(failures(&stores).instrument(invocation_span("request-1", Some(own))).await, (true, json!(2)));
    assert!(documents(&listener).iter().all(|step| step.get("fault").is_none()), "it worked in the end");
    let stores = Arc::new(Stores { failing: AtomicUsize::new(1), advice: Some(Advice::Stop), ..Stores::default() });
    assert_eq!(failures(&stores).instrument(invocation_span("request-2", Some(own))).await, (false, json!(1)));
    let faults: Vec<_> = documents(&listener).into_iter().filter(|step| step["fault"] == true).collect();
    assert_eq!(names(&faults), ["store file telemetry"]);
}

#[tokio::test]
async fn chunks_that_the_index_has_no_room_for_are_counted() {
    let (_listener, subscriber) = daemon();
    let _guard = tracing::dispatcher::set_default(&subscriber);
    let retries = Retries::new(1);
    let storing = UntilDeadline { retries: &retries, deadline: soon(), chunks: 12 };
    let mut metrics = Metrics::new("test");
    async {
        for (what, advice) in [(HOT_CHUNKS, Advice::BackOff), (HOT_CHUNKS, Advice::Retry), (QUEUE, Advice::BackOff)] {
            let mut failing = true;
            let call = || {
                let failed = std::mem::take(&mut failing);
                async move { if failed { Err(PortError::new(advice, "away")) } else { Ok(()) } }
            };
            storing.persevere(what, call).await.unwrap();
        }
        metrics.take_noted();
    }
    .instrument(invocation_span("request-1", None))
    .await;
    let whole = &reported(&metrics)[0];
    assert_eq!((&whole["StorageFailures"], &whole["HotThrottled"]), (&json!(3), &json!(12)));
}

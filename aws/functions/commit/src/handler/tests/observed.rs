//! What an invocation reports: metrics by what was committed, and its part in the traces of requests.

use std::net::UdpSocket;
use std::time::Duration;

use alluvium_aws::function::subscriber;
use alluvium_aws::trace::{Daemon, Steps, invocation_span};
use serde_json::Value;

use super::*;

fn whole(metrics: &Metrics) -> Value {
    serde_json::from_str(&metrics.lines(0)[0]).unwrap()
}

#[tokio::test]
async fn metrics_are_what_was_committed() {
    let world = World::new();
    let handler = world.handler();
    let (one, two) = (world.message(1).await, world.message(2).await);
    let mut metrics = Metrics::new("test");
    handler.handle(event(&[&one, "_commits/none.json", &two, &one]), &mut metrics).await;
    let said = whole(&metrics);
    assert_eq!(
        [&said["CommitMessages"], &said["EventsCommitted"], &said["CommitRefused"], &said["CommitFailures"]],
        [&json!(4), &json!(4), &json!(1), &json!(0)]
    );
    assert_eq!(said["CommitLagSeconds"], 90.5);
    assert!(said["CommitMilliseconds"].is_f64());
    // What is in already is not committed a second time.
    let mut metrics = Metrics::new("test");
    handler.handle(event(&[&one]), &mut metrics).await;
    assert_eq!((&whole(&metrics)["EventsCommitted"], whole(&metrics).get("CommitLagSeconds")), (&json!(0), None));
}

#[tokio::test]
async fn a_lake_that_cannot_be_opened_is_a_failure() {
    let world = World::new();
    let one = world.message(1).await;
    world.hot.away.store(true, Ordering::SeqCst);
    let mut metrics = Metrics::new("test");
    world.handler().handle(event(&[&one]), &mut metrics).await;
    assert_eq!((&whole(&metrics)["CommitFailures"], &whole(&metrics)["EventsCommitted"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_commit_that_could_not_be_told_of_is_counted_and_none_where_nobody_is_told() {
    let world = World::new();
    let (one, two, three) = (world.message(1).await, world.message(2).await, world.message(3).await);
    let untold = async |handler: Handler, message: &str| {
        let mut metrics = Metrics::new("test");
        handler.handle(event(&[message]), &mut metrics).await;
        whole(&metrics).get("CommitsUntold").cloned()
    };
    assert_eq!(untold(world.handler(), &one).await, Some(json!(0)));
    world.told.away.store(true, Ordering::SeqCst);
    assert_eq!(untold(world.handler(), &two).await, Some(json!(1)));
    assert_eq!(untold(Handler { announcer: None, ..world.handler() }, &three).await, None);
}

#[tokio::test]
async fn a_request_is_followed_into_the_tables() {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let daemon = Daemon::at(&listener.local_addr().unwrap().to_string());
    let steps = Steps::new("alluvium-test-commit", daemon, Arc::new(ManualClock::at(ARRIVAL)));
    let _guard = tracing::dispatcher::set_default(&subscriber("info", steps, std::io::sink).unwrap());
    // As the transform's test has it from the gateway's.
    let request: TraceParent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01".parse().unwrap();
    let world = World { traces: vec![request], ..World::new() };
    let one = world.message(1).await;
    let own = "Root=1-69000002-0123456789abcdef01234567;Parent=00000000000000cc;Sampled=1";
    let mut metrics = Metrics::new("test");
    let handler = world.handler();
    handler.handle(event(&[&one]), &mut metrics).instrument(invocation_span("request-1", Some(own))).await;
    let mut datagram = vec![0; 64 * 1024];
    let mut documents: Vec<Value> = Vec::new();
    while let Ok(bytes) = listener.recv(&mut datagram) {
        let text = std::str::from_utf8(&datagram[..bytes]).unwrap();
        documents.push(serde_json::from_str(text.split_once('\n').unwrap().1).unwrap());
    }
    let names: Vec<_> = documents.iter().map(|document| document["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["open lake", "commit telemetry", "commit ledger", "alluvium-test-commit"]);
    let followed = documents.pop().unwrap();
    assert!(documents.iter().all(|step| step["trace_id"] == "1-69000002-0123456789abcdef01234567"), "{documents:?}");
    assert_eq!(followed["trace_id"], "1-5759e988-bd862e3fe1be46a994272793");
    assert_eq!(followed["subsegments"].as_array().unwrap().len(), 3);
    // The segment before it is the transform's, whose id follows from the batch and the request.
    let batch = followed["annotations"]["batch"].as_str().unwrap();
    let of_transform = content_hash(format!("Transform {request} {batch}").as_bytes());
    assert_eq!(followed["parent_id"], of_transform[..16]);
}

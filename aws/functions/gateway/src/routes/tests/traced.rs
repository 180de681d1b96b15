//! The trace of a request: its step, and what its records bear.

use std::net::UdpSocket;

use alluvium_aws::function::subscriber;
use alluvium_aws::trace::{Daemon, Steps, invocation_span};
use tracing::Instrument as _;

use super::*;

const SAMPLED: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

fn context(header: &str) -> Context {
    let mut context = Context::default();
    context.xray_trace_id = Some(header.to_owned());
    context
}

#[tokio::test]
async fn the_records_of_a_sampled_request_bear_its_trace() {
    for (header, borne) in [
        (SAMPLED, Some("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01")),
        (&SAMPLED.replace("Sampled=1", "Sampled=0"), None),
        ("of no use", None),
    ] {
        let stream = Arc::new(Kept::default());
        assert_eq!(ask_within(&stream, post("{\"value\":1}"), context(header)).await["statusCode"], 202);
        let records = stream.1.lock().unwrap();
        assert_eq!((records.len(), records[0].explicit_hash_key.is_some()), (1, borne.is_some()));
        let key = Some(records[0].partition_key.as_str());
        assert_eq!(key.filter(|key| key.len() == 55), borne, "{header}");
    }
}

#[tokio::test]
async fn the_put_is_a_step_of_the_request() {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let daemon = Daemon::at(&listener.local_addr().unwrap().to_string());
    let steps = Steps::new("alluvium-test-gateway", daemon, Arc::new(ManualClock::default()));
    let _guard = tracing::dispatcher::set_default(&subscriber("info", steps, std::io::sink).unwrap());
    let stream = Arc::new(Kept::default());
    ask_within(&stream, post("{\"value\":1}"), context(SAMPLED))
        .instrument(invocation_span("request-1", Some(SAMPLED)))
        .await;
    let mut datagram = vec![0; 64 * 1024];
    let bytes = listener.recv(&mut datagram).unwrap();
    let (_, document) = std::str::from_utf8(&datagram[..bytes]).unwrap().split_once('\n').unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!(
        [&document["name"], &document["trace_id"], &document["parent_id"], &document["annotations"]],
        [
            &json!("put records"),
            &json!("1-5759e988-bd862e3fe1be46a994272793"),
            &json!("53995c3f42cd8ad8"),
            &json!({"records": 1, "events": 1}),
        ]
    );
    assert!(listener.recv(&mut datagram).is_err(), "one step");
}

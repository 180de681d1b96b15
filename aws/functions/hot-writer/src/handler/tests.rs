#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use alluvium_core::ManualClock;
use serde_json::json;

use super::*;

/// Drains each path as its name says, and remembers it.
#[derive(Default)]
struct Paths(Mutex<Vec<(String, Instant)>>);

#[async_trait]
impl Drains for Paths {
    async fn drain(&self, path: &str, deadline: Instant) -> Result<Drained, PortError> {
        self.0.lock().unwrap().push((path.to_owned(), deadline));
        match path {
            "throttled" => Err(PortError::new(Advice::BackOff, "the table takes nothing")),
            "damaged" => Err(PortError::new(Advice::Stop, "it is no parcel")),
            _ => Ok(Drained { chunks: 3, expired: 1 }),
        }
    }
}

fn event(paths: &[(&str, u32)]) -> SqsEvent {
    let records = paths.iter().map(|(path, came)| {
        json!({
            "messageId": format!("id of {path}"), "receiptHandle": format!("receipt of {path}"), "body": path,
            "attributes": {"ApproximateReceiveCount": came.to_string(), "SentTimestamp": "1769860800000"},
            "messageAttributes": {}, "eventSource": "aws:sqs", "eventSourceARN": "arn", "awsRegion": "eu-west-1",
        })
    });
    serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap()
}

#[tokio::test]
async fn what_is_not_drained_comes_again_the_later_the_more_often_it_came() {
    let paths = Arc::new(Paths::default());
    let clock = Arc::new(ManualClock::at(1_769_860_800_000_000));
    let handler = Handler { drain: paths.clone(), clock };
    let end = Instant::now() + Duration::from_secs(60);
    let messages = event(&[("throttled", 1), ("good", 1), ("damaged", 7), ("throttled", 500)]);
    let handled = handler.handle(messages, end, &mut Metrics::new("test")).await;
    let failed: Vec<_> =
        handled.response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect();
    assert_eq!(failed, ["id of throttled", "id of damaged", "id of throttled"]);
    let waits: Vec<_> = handled.again.iter().map(|(receipt, wait)| (receipt.as_str(), wait.as_secs())).collect();
    assert_eq!(waits, [("receipt of throttled", 5), ("receipt of damaged", 35), ("receipt of throttled", 300)]);
    let tried = paths.0.lock().unwrap();
    assert_eq!(tried.len(), 4, "one that fails does not keep the others");
    assert!(tried.iter().all(|(_, deadline)| *deadline == end - SPARE));
}

#[tokio::test]
async fn an_event_of_drained_messages_names_none() {
    let handler = Handler { drain: Arc::<Paths>::default(), clock: Arc::new(ManualClock::at(1_769_860_830_500_000)) };
    assert_eq!(handler.since(1_769_860_900_000), Duration::ZERO, "a clock that is behind");
    let mut metrics = Metrics::new("test");
    let handled = handler.handle(event(&[("good", 1)]), Instant::now(), &mut metrics).await;
    let [line] = &metrics.lines(0)[..] else { panic!("{metrics:?}") };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["HotDrained"], &line["HotBehindSeconds"]), (&json!(3), &json!(30.5)));
    assert!(handled.response.batch_item_failures.is_empty() && handled.again.is_empty());
}

//! What CloudWatch counted of a stream, as Kinesis would have told it.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::{CloudWatchCounts, Retries};
use alluvium_core::SystemClock;
use alluvium_core::clock::{Clock as _, Micros};
use alluvium_core::service_counts::{Counted, ServiceCounts as _};

use crate::endpoint::{config, post, unique};

const MINUTE: Micros = 60_000_000;

/// Tells CloudWatch of so many records at a time.
async fn put(stream: &str, at: Micros, records: u64) {
    let time = jiff::Timestamp::from_second(at / 1_000_000).unwrap();
    let body = format!(
        "Action=PutMetricData&Version=2010-08-01&Namespace=AWS%2FKinesis&MetricData.member.1.MetricName=IncomingRecords\
         &MetricData.member.1.Dimensions.member.1.Name=StreamName&MetricData.member.1.Dimensions.member.1.Value={stream}\
         &MetricData.member.1.Value={records}&MetricData.member.1.Unit=Count&MetricData.member.1.Timestamp={time}"
    );
    let answer = post("monitoring", &body).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_records_of_a_window_are_added_up() {
    let (stream, other) = (unique("stream"), unique("stream"));
    let to = SystemClock.now_micros().div_euclid(MINUTE) * MINUTE - 30 * MINUTE;
    let from = to - 60 * MINUTE;
    let counts = |stream: &str, delivery: Option<&'static str>| {
        let (stream, clock) = (stream.to_owned(), Arc::new(SystemClock));
        async move { CloudWatchCounts::new(&config().await, &stream, delivery, clock, Retries::new(1)).unwrap() }
    };
    let of_stream = counts(&stream, Some("no-such-delivery")).await;
    assert_eq!(of_stream.sum(Counted::Put, from, to).await.unwrap(), Some(0), "nothing was counted yet");
    for (minute, records) in [(-1, 1_000), (0, 5), (30, 7), (59, 11), (60, 2_000)] {
        put(&stream, from + minute * MINUTE, records).await;
    }
    put(&other, from, 9_000).await;
    assert_eq!(of_stream.sum(Counted::Put, from, to).await.unwrap(), Some(23));
    assert_eq!(of_stream.sum(Counted::Read, from, to).await.unwrap(), Some(0));
    assert_eq!(counts(&stream, None).await.sum(Counted::Read, from, to).await.unwrap(), None);
    assert_eq!(of_stream.granularity(Duration::from_secs(3_600)), Some(Duration::from_secs(60)));
}

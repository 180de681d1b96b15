#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use alluvium_core::ManualClock;
use aws_config::Region;
use aws_sdk_s3::config::Credentials;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::*;

/// 2026-01-01T00:00:00Z.
const DAY_BEGINS: Micros = 1_767_225_600_000_000;
const MINUTE: Micros = 60_000_000;

/// A request as it was sent: its address, headers and body.
type Sent = (String, Vec<(String, String)>, Value);

/// CloudWatch as recorded: these answers in turn, the last one again and again.
#[derive(Debug, Clone)]
struct Recorded {
    answers: Arc<Mutex<Vec<(u16, Value)>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl HttpConnector for Recorded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        self.sent.lock().unwrap().push((request.uri().to_owned(), headers, body));
        let mut answers = self.answers.lock().unwrap();
        let (status, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let body = SdkBody::from(body.to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body)))
    }
}

fn counts(region: &'static str, answers: Vec<(u16, Value)>) -> (CloudWatchCounts, Recorded) {
    let recorded = Recorded { answers: Arc::new(Mutex::new(answers)), sent: Arc::default() };
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session".to_owned()), None, "tests");
    let config = SdkConfig::builder()
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let clock = Arc::new(ManualClock::at(DAY_BEGINS));
    let connector = SharedHttpConnector::new(recorded.clone());
    let counts = CloudWatchCounts::over(connector, &config, "events", Some("delivery"), clock, Retries::new(1));
    (counts.unwrap(), recorded)
}

fn page(values: &[f64], next: Option<&str>) -> (u16, Value) {
    let times: Vec<_> = (0..values.len()).collect();
    let mut page = json!({
        "Messages": [],
        "MetricDataResults": [{"Id": "counted", "Label": "IncomingRecords", "StatusCode": "Complete", "Timestamps": times, "Values": values}],
    });
    if let Some(next) = next {
        page["NextToken"] = json!(next);
    }
    (200, page)
}

#[tokio::test]
async fn the_minutes_of_a_window_are_added_up_over_the_pages_of_an_answer() {
    let (counts, recorded) = counts("eu-west-1", vec![page(&[10.0, 2.0], Some("more")), page(&[30.0], None)]);
    let (from, to) = (DAY_BEGINS - 61 * MINUTE, DAY_BEGINS - MINUTE);
    assert_eq!(counts.sum(Counted::Put, from, to).await.unwrap(), Some(42));
    let sent = recorded.sent.lock().unwrap();
    let [(address, headers, first), (_, _, second)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(address, "https://monitoring.eu-west-1.amazonaws.com/");
    let header = |name: &str| headers.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert_eq!(header("x-amz-target"), OPERATION);
    let signed = header("authorization");
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/monitoring/aws4_request"),
        "{signed}"
    );
    assert!(signed.contains("x-amz-security-token") && signed.contains("x-amz-target"), "{signed}");
    assert_eq!((&first["StartTime"], &first["EndTime"]), (&json!(from / 1_000_000), &json!(to / 1_000_000)));
    let metric = &first["MetricDataQueries"][0]["MetricStat"];
    assert_eq!((&metric["Period"], &metric["Stat"]), (&json!(60), &json!("Sum")));
    assert_eq!(metric["Metric"]["Dimensions"], json!([{"Name": "StreamName", "Value": "events"}]));
    assert_eq!((&first["NextToken"], &second["NextToken"]), (&Value::Null, &json!("more")));
}

#[tokio::test]
async fn what_firehose_reads_is_its_own_metric_and_coarse_windows_are_asked_for_coarsely() {
    let (counts, recorded) = counts("cn-north-1", vec![page(&[7.0], None)]);
    assert_eq!(counts.sum(Counted::Read, DAY_BEGINS - 600 * MINUTE, DAY_BEGINS).await.unwrap(), Some(7));
    counts.sum(Counted::Read, DAY_BEGINS - 605 * MINUTE, DAY_BEGINS).await.unwrap();
    let sent = recorded.sent.lock().unwrap().clone();
    assert_eq!(sent[0].0, "https://monitoring.cn-north-1.amazonaws.com.cn/");
    let metric = |n: usize| &sent[n].2["MetricDataQueries"][0]["MetricStat"];
    assert_eq!(metric(0)["Metric"]["MetricName"], "DataReadFromKinesisStream.Records");
    assert_eq!((&metric(0)["Period"], &metric(1)["Period"]), (&json!(3_600), &json!(300)));
    let of = CloudWatchCounts { delivery: None, ..counts };
    assert_eq!(of.sum(Counted::Read, 0, MINUTE).await.unwrap(), None, "nobody counts what Firehose would have read");
}

#[tokio::test]
async fn a_fault_that_passes_is_tried_again_and_a_right_that_is_missing_is_named() {
    let throttled =
        (400, json!({"__type": "com.amazonaws.cloudwatch#ThrottlingException", "message": "Rate exceeded"}));
    let (counts, recorded) = counts("eu-west-1", vec![throttled, (503, json!({})), page(&[1.0], None)]);
    assert_eq!(counts.sum(Counted::Put, 0, MINUTE).await.unwrap(), Some(1));
    assert_eq!(recorded.sent.lock().unwrap().len(), 3);
    let denied = json!({"__type": "AccessDeniedException", "Message": "User: x is not authorized to perform: cloudwatch:GetMetricData"});
    *recorded.answers.lock().unwrap() = vec![(400, denied)];
    let error = counts.sum(Counted::Put, 0, MINUTE).await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop);
    assert!(
        error.message.contains("`events`") && error.message.ends_with("it takes the right cloudwatch:GetMetricData"),
        "{error}"
    );
    for (answer, says) in [
        (json!({"MetricDataResults": [{"StatusCode": "Forbidden"}]}), "Forbidden"),
        (json!({"MetricDataResults": "none"}), "cannot be read"),
        (json!({"MetricDataResults": [], "NextToken": "again"}), "has no end"),
    ] {
        *recorded.answers.lock().unwrap() = vec![(200, answer)];
        let error = counts.sum(Counted::Put, 0, MINUTE).await.unwrap_err();
        assert!(error.message.contains(says), "{says}: {error}");
    }
}

#[test]
fn periods_are_kept_for_their_time() {
    let (counts, _) = counts("eu-west-1", vec![page(&[], None)]);
    for (days, seconds) in
        [(0, Some(60)), (14, Some(60)), (15, Some(300)), (62, Some(300)), (63, Some(3_600)), (455, None)]
    {
        assert_eq!(counts.granularity(DAY * days), seconds.map(Duration::from_secs), "{days} days ago");
    }
}

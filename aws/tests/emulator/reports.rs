//! Results of reports.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::reports::About;
use alluvium_aws::{S3Reports, config as sdk};
use alluvium_core::contract::report_results as contract;
use alluvium_core::file::{FileFormat, FilePlace};
use alluvium_core::report::{FileFacts, ReportResult, ReportResults as _, WindowId};
use alluvium_core::{Clock as _, ManualClock};
use async_trait::async_trait;
use aws_sdk_s3::types::{BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration};
use bytes::Bytes;

use crate::endpoint::{config, fetch, unique};

const HOUR: i64 = 3_600_000_000;
const KEPT: Duration = Duration::from_secs(400 * 86_400);

fn about(window_s: u64) -> About {
    About { title: "T".to_owned(), window_s: Some(window_s), delay_s: Some(600), broken: None }
}

/// Results in a bucket of their own that keeps versions, at half past ten of the contract's day, of the reports that the contract asks for.
async fn reports() -> (S3Reports, Arc<ManualClock>) {
    let s3 = sdk::s3(&config().await);
    let bucket = unique("reports");
    let region = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
    s3.create_bucket().bucket(&bucket).create_bucket_configuration(region).send().await.unwrap();
    let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(versions).send().await.unwrap();
    let clock = Arc::new(ManualClock::at(contract::DAY + 10 * HOUR + HOUR / 2));
    let reports = S3Reports::new(s3, format!("s3://{bucket}/results").parse().unwrap(), clock.clone(), KEPT);
    reports.know("hourly", &about(3_600)).await.unwrap();
    reports.know("idle", &about(86_400)).await.unwrap();
    (reports, clock)
}

/// Makes results as of this time.
struct Making<'a>(&'a S3Reports, i64);

fn result(window: WindowId, made_at: i64, csv: &[u8], parquet: &[u8]) -> ReportResult {
    use sha2::{Digest as _, Sha256};
    let facts = |bytes: &[u8]| FileFacts {
        bytes: bytes.len() as u64,
        sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let (csv, parquet) = (facts(csv), facts(parquet));
    ReportResult { from: window.0, to: window.0 + HOUR, made_at, rows: 1, csv, parquet }
}

#[async_trait]
impl contract::Maker for Making<'_> {
    async fn make(&self, window: WindowId, number: i64) {
        let (csv, parquet) = (format!("n\r\n{number}\r\n"), format!("PAR1 {number}"));
        let result = result(window, self.1, csv.as_bytes(), parquet.as_bytes());
        self.0.publish("hourly", &result, csv.into(), parquet.into()).await.unwrap();
    }
}

#[tokio::test]
async fn results_in_s3_keep_the_contract() {
    let (reports, _) = reports().await;
    contract::all(&reports, &Making(&reports, contract::DAY)).await;
}

#[tokio::test]
async fn of_many_who_make_results_none_forgets_anothers() {
    let (reports, _) = reports().await;
    let made = (0..8).map(|hour| {
        let reports = reports.clone();
        async move {
            let window = WindowId(contract::DAY + hour * HOUR);
            let (csv, parquet) = (Bytes::from(format!("{hour}")), Bytes::from_static(b"p"));
            reports.publish("hourly", &result(window, contract::DAY, &csv, &parquet), csv, parquet).await
        }
    });
    for published in futures::future::join_all(made).await {
        published.unwrap();
    }
    assert_eq!(reports.results("hourly", None, 10).await.unwrap().unwrap().results.len(), 8);
}

#[tokio::test]
async fn a_file_is_fetched_by_a_url_and_stays_that_of_its_result() {
    let (reports, _) = reports().await;
    let window = WindowId(contract::DAY);
    let maker: &dyn contract::Maker = &Making(&reports, contract::DAY);
    maker.make(window, 5).await;
    let Some(FilePlace::At(url)) = reports.place("hourly", window, FileFormat::Csv).await.unwrap() else {
        panic!("it is in S3")
    };
    maker.make(window, 6).await;
    let (head, body) = fetch(&url).await;
    assert!(head.starts_with("HTTP/1.1 200") && url.contains("hourly-19720927T0000Z.csv"), "{head} {url}");
    assert_eq!(body, "n\r\n5\r\n");
    assert_eq!(reports.place("hourly", WindowId(0), FileFormat::Csv).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_known_of_a_report_is_told() {
    let (reports, clock) = reports().await;
    let window = WindowId(contract::DAY + 9 * HOUR);
    for times in 1..=2 {
        reports.fail("hourly", window, "no such column").await.unwrap();
        let status = reports.reports().await.unwrap().remove(0);
        let failure = status.failure.unwrap();
        assert_eq!((failure.times, failure.error.as_str(), status.waiting), (times, "no such column", 1));
        assert_eq!(status.next_run, Some(clock.now_micros() + i64::from(times) * 60_000_000));
    }
    contract::Maker::make(&Making(&reports, contract::DAY), window, 1).await;
    let status = reports.reports().await.unwrap().remove(0);
    assert_eq!((status.failure, status.waiting, status.title.as_str()), (None, 0, "T"));
    assert_eq!(status.next_run, Some(contract::DAY + 11 * HOUR + HOUR / 6));
    let broken = About { broken: Some("line 1: no".to_owned()), ..About::default() };
    reports.know("idle", &broken).await.unwrap();
    let status = reports.reports().await.unwrap().remove(1);
    assert_eq!((status.broken.as_deref(), status.next_run, status.title.as_str()), (Some("line 1: no"), None, "idle"));
}

#[tokio::test]
async fn what_the_bucket_has_removed_is_named_no_more() {
    let (reports, clock) = reports().await;
    contract::Maker::make(&Making(&reports, contract::DAY), WindowId(contract::DAY), 1).await;
    clock.set(contract::DAY + i64::try_from(KEPT.as_micros()).unwrap() + 1);
    contract::Maker::make(&Making(&reports, clock.now_micros()), WindowId(contract::DAY + HOUR), 1).await;
    let left = reports.results("hourly", None, 10).await.unwrap().unwrap().results;
    assert_eq!(left.iter().map(|result| result.from).collect::<Vec<_>>(), [contract::DAY + HOUR]);
}

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use alluvium_core::file::{FileFormat, OpenFile};
use alluvium_core::report::{FileFacts, ResultsPage};
use alluvium_core::{ManualClock, Roles};
use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::api::openapi::tests::assert_described;
use crate::authorizer::{Access, Authorizer, AuthorizerSettings};

const HOUR: Micros = 3_600_000_000;

/// Two reports: `hourly` with three results, and one that is broken.
struct Shelf;

fn hourly(n: i64) -> ReportResult {
    let facts = |text: &str| FileFacts { bytes: text.len() as u64, sha256: format!("{:0>64}", n) };
    ReportResult {
        from: n * HOUR,
        to: (n + 1) * HOUR,
        made_at: (n + 2) * HOUR,
        rows: 1,
        csv: facts("n\r\n1\r\n"),
        parquet: facts("PAR1"),
    }
}

fn status(name: &str) -> ReportStatus {
    let broken = (name == "broken").then(|| "reports/broken.sql: line 2: no".to_owned());
    let failure = ReportFailure { from: 3 * HOUR, at: 5 * HOUR, times: 2, error: "no memory".to_owned() };
    let is_run = broken.is_none();
    ReportStatus {
        name: name.to_owned(),
        title: "T".to_owned(),
        window: is_run.then_some(Duration::from_secs(3600)),
        delay: is_run.then_some(Duration::from_secs(600)),
        broken,
        next_run: is_run.then_some(5 * HOUR),
        waiting: usize::from(is_run),
        failure: is_run.then_some(failure),
        kept: if is_run { 3 } else { 0 },
    }
}

#[async_trait]
impl ReportResults for Shelf {
    async fn reports(&self) -> Result<Vec<ReportStatus>, PortError> {
        Ok(vec![status("broken"), status("hourly")])
    }

    async fn results(
        &self,
        report: &str,
        before: Option<WindowId>,
        most: usize,
    ) -> Result<Option<ResultsPage>, PortError> {
        if report != "hourly" {
            return Ok(Some(ResultsPage::default()));
        }
        let older: Vec<_> = (0..3).rev().map(hourly).filter(|one| before.is_none_or(|at| one.window() < at)).collect();
        Ok(Some(ResultsPage { results: older.iter().take(most).cloned().collect(), more: older.len() > most }))
    }

    async fn open(
        &self,
        report: &str,
        window: WindowId,
        format: FileFormat,
    ) -> Result<Option<Box<dyn OpenFile>>, PortError> {
        if report == "away" {
            return Err(PortError::new(Advice::Retry, "the disk is away"));
        }
        let found = (0..3).map(hourly).find(|result| report == "hourly" && result.window() == window);
        let text = if format == FileFormat::Csv { "n\r\n1\r\n" } else { "PAR1" };
        Ok(found.map(|result| Box::new(Text(text, result.file(format).clone())) as Box<dyn OpenFile>))
    }
}

/// Read two bytes at a time.
struct Text(&'static str, FileFacts);

#[async_trait]
impl OpenFile for Text {
    fn bytes(&self) -> u64 {
        self.1.bytes
    }

    fn tag(&self) -> &str {
        &self.1.sha256
    }

    async fn read(&self, offset: u64) -> Result<Bytes, PortError> {
        let rest = &self.0[offset as usize..];
        Ok(Bytes::from_static(&rest.as_bytes()[..rest.len().min(2)]))
    }
}

fn authorizer() -> Arc<Authorizer> {
    let clock = Arc::new(ManualClock::at(1_000_000_000));
    Arc::new(Authorizer::new(AuthorizerSettings::default(), Some(&"x".repeat(32)), None, clock).unwrap())
}

async fn get(path: &str, known: Option<&str>) -> (u16, HeaderMap, Vec<u8>) {
    let app = reports_routes(Arc::new(ReportsApi { results: Arc::new(Shelf), links: Links::new(Some(authorizer())) }));
    let mut request = Request::get(path);
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, known);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Caller::new("ann", Roles::of_text("data.admin")).unwrap());
    let response = app.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn json(path: &str) -> Value {
    let (status, _, body) = get(path, None).await;
    assert_eq!(status, 200, "{path}");
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn reports_are_listed_with_their_newest_results() {
    let listed = json("/v1/reports").await;
    let [broken, hourly] = listed["reports"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(
        (&broken["broken"], &broken["window"], &broken["results"]),
        (&"reports/broken.sql: line 2: no".into(), &Value::Null, &serde_json::json!([]))
    );
    assert_eq!(
        (&hourly["window"], &hourly["delay"], &hourly["next_run"], &hourly["waiting"]),
        (&"1h".into(), &"10m".into(), &"1970-01-01T05:00:00Z".into(), &1.into())
    );
    let failure = serde_json::json!(
        {"window": "19700101T0300Z", "at": "1970-01-01T05:00:00Z", "times": 2, "error": "no memory"}
    );
    assert_eq!(hourly["failure"], failure);
    let windows: Vec<_> = hourly["results"].as_array().unwrap().iter().map(|one| one["window"].clone()).collect();
    assert_eq!(windows, ["19700101T0200Z", "19700101T0100Z", "19700101T0000Z"]);
    let newest = &hourly["results"][0];
    assert_eq!(
        (&newest["from"], &newest["to"], &newest["rows"], &newest["csv"]["bytes"]),
        (&"1970-01-01T02:00:00Z".into(), &"1970-01-01T03:00:00Z".into(), &1.into(), &6.into())
    );
    let url = newest["parquet"]["url"].as_str().unwrap();
    assert!(url.starts_with("/v1/reports/hourly/19700101T0200Z.parquet?link="), "{url}");
    let access = Access::of("GET", "/v1/reports/hourly/19700101T0200Z.parquet");
    assert_eq!(authorizer().check_link("GET", url, access).unwrap().unwrap().owner(), "ann");
    assert_eq!(get(url, None).await.2, b"PAR1");
}

#[tokio::test]
async fn pages_lead_to_each_other() {
    let first = json("/v1/reports/hourly?limit=2").await;
    assert_eq!((first["results"].as_array().unwrap().len(), &first["next"]), (2, &"19700101T0100Z".into()));
    let second = json("/v1/reports/hourly?limit=2&before=19700101T0100Z").await;
    assert_eq!((&second["results"][0]["window"], &second["next"]), (&"19700101T0000Z".into(), &Value::Null));
}

#[tokio::test]
async fn a_file_is_streamed_and_not_sent_twice() {
    let path = "/v1/reports/hourly/19700101T0100Z.csv";
    let (status, headers, body) = get(path, None).await;
    assert_eq!((status, body.as_slice()), (200, b"n\r\n1\r\n".as_slice()));
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(header("content-length"), "6");
    assert_eq!(header("content-disposition"), "attachment; filename=\"hourly-19700101T0100Z.csv\"");
    assert_eq!(header("cache-control"), "private, no-cache");
    let tag = header("etag");
    for known in [tag.as_str(), &format!("\"other\", W/{tag}"), "*"] {
        let (status, headers, body) = get(path, Some(known)).await;
        assert_eq!((status, body.len(), headers["etag"].to_str().unwrap()), (304, 0, tag.as_str()), "{known}");
    }
    assert_eq!(get(path, Some("\"other\"")).await.0, 200);
}

#[tokio::test]
async fn what_is_not_there_or_wrong_is_a_problem() {
    for (path, status, kind) in [
        ("/v1/reports/none", 404, "unknown-report"),
        ("/v1/reports/hourly?limit=0", 400, "bad-parameter"),
        ("/v1/reports/hourly?limit=1001", 400, "bad-parameter"),
        ("/v1/reports/hourly?before=now", 400, "bad-parameter"),
        ("/v1/reports/hourly?limit=1&limit=2", 400, "bad-parameter"),
        ("/v1/reports/hourly?page=1", 400, "bad-parameter"),
        ("/v1/reports?x=1", 400, "bad-parameter"),
        ("/v1/reports/hourly/19700101T0100Z.csv?x=1", 400, "bad-parameter"),
        ("/v1/reports/%ff", 400, "bad-path"),
        ("/v1/reports/none/19700101T0100Z.csv", 404, "unknown-result"),
        ("/v1/reports/hourly/19700101T0900Z.csv", 404, "unknown-result"),
        ("/v1/reports/hourly/19700101T0100Z.json", 404, "unknown-result"),
        ("/v1/reports/hourly/19700101T0100Z", 404, "unknown-result"),
        ("/v1/reports/hourly/1970-01-01T01:00Z.csv", 404, "unknown-result"),
        ("/v1/reports/hourly/..%2f..%2fsecret.csv", 404, "unknown-result"),
        ("/v1/reports/away/19700101T0100Z.csv", 503, "storage-unavailable"),
    ] {
        let (answered, _, body) = get(path, None).await;
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((answered, &problem["type"]), (status, &format!("/problems/{kind}").into()), "{path}");
        assert_described("GET", path, &problem);
    }
}

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_athena::config::http::{HttpRequest, HttpResponse};
use aws_sdk_athena::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use serde_json::{Value, json};

use super::super::{AthenaSettings, AthenaSql};
use super::*;
use crate::retry::Retries;

const ID: &str = "6c5ea5bd-1c0f-4b5c-9d1e-000000000001";

/// AWS as recorded: these answers in turn; what was sent is kept.
#[derive(Debug, Clone, Default)]
struct Recorded {
    answers: Arc<Mutex<VecDeque<String>>>,
    sent: Arc<Mutex<Vec<Value>>>,
}

impl HttpConnector for Recorded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or(json!(request.uri()));
        self.sent.lock().unwrap().push(body);
        let answer = self.answers.lock().unwrap().pop_front().unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), SdkBody::from(answer))))
    }
}

fn clients(answers: impl IntoIterator<Item = String>) -> (AthenaSql, aws_sdk_s3::Client, Recorded) {
    let recorded = Recorded { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Recorded::default() };
    let connector = recorded.clone();
    let http = http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone()));
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "tests");
    let athena = aws_sdk_athena::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials.clone())
        .http_client(http.clone());
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .http_client(http);
    let settings = AthenaSettings {
        workgroup: "prefix-api".to_owned(),
        results: Some("s3://results/api".parse().unwrap()),
        database: "lake".to_owned(),
        time_limit: Duration::from_secs(1),
    };
    let engine = AthenaSql::new(aws_sdk_athena::Client::from_conf(athena.build()), settings, Retries::new(1));
    (engine, aws_sdk_s3::Client::from_conf(s3.build()), recorded)
}

/// What Athena says of a statement.
fn execution(id: &str, query: &str, state: &str, parameters: &[&str]) -> String {
    let parameters = (!parameters.is_empty()).then_some(parameters);
    json!({"QueryExecution": {
        "QueryExecutionId": id, "Query": query, "ExecutionParameters": parameters,
        "Status": {"State": state, "AthenaError": {"ErrorCategory": 2, "ErrorMessage": "Column name 'n' specified more than once"}},
        "ResultConfiguration": {"OutputLocation": format!("s3://results/api/0123456789abcdef0123456789abcdef/{id}.csv")},
    }})
    .to_string()
}

fn unloading(state: &str) -> [String; 3] {
    let began = json!({"QueryExecutionId": "unload"}).to_string();
    [
        execution(ID, "select source, ? as n from telemetry -- all;\n;", "SUCCEEDED", &["'5'"]),
        began,
        execution("unload", "", state, &[]),
    ]
}

fn listing(sizes: &[usize], is_truncated: bool) -> String {
    let object = |(n, size): (usize, &usize)| {
        let key = format!("api/0123456789abcdef0123456789abcdef/{ID}/2026_{n}");
        format!("<Contents><Key>{key}</Key><Size>{size}</Size></Contents>")
    };
    let objects: String = sizes.iter().enumerate().map(object).collect();
    format!("<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{objects}</ListBucketResult>")
}

async fn made(answers: impl IntoIterator<Item = String>) -> (Result<MadeFile, PortError>, Vec<Value>) {
    let (engine, s3, recorded) = clients(answers);
    let made = engine.unloaded(&s3, &StatementId(ID.to_owned())).await;
    let sent = recorded.sent.lock().unwrap().clone();
    (made, sent)
}

#[tokio::test]
async fn the_statement_is_unloaded_beside_its_result_and_once() {
    let (first, sent) = made(unloading("RUNNING")).await;
    assert_eq!(first.unwrap(), MadeFile::UnderWay);
    let [_, start, asked] = &sent[..] else { panic!("{sent:?}") };
    let folder = format!("s3://results/api/0123456789abcdef0123456789abcdef/{ID}/");
    let expected = format!(
        "UNLOAD (\nselect source, ? as n from telemetry -- all;\n\n) TO '{folder}' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    );
    assert_eq!(start["QueryString"], expected);
    assert_eq!((&start["ExecutionParameters"], &start["WorkGroup"]), (&json!(["'5'"]), &json!("prefix-api")));
    let results = &start["ResultConfiguration"];
    assert_eq!(results["OutputLocation"], "s3://results/api/0123456789abcdef0123456789abcdef/");
    assert_eq!(results["EncryptionConfiguration"]["EncryptionOption"], "SSE_S3");
    assert_eq!(asked["QueryExecutionId"], "unload");
    let (_, again) = made(unloading("RUNNING")).await;
    let token = |sent: &[Value]| sent[1]["ClientRequestToken"].as_str().unwrap().to_owned();
    assert_eq!(token(&sent), token(&again), "who asks again is told of the same");
    assert!((32..=128).contains(&token(&sent).len()));
}

#[tokio::test]
async fn its_files_are_led_to_each_by_a_url_of_its_own() {
    for sizes in [vec![], vec![100], vec![100, 0, 200]] {
        let (files, sent) = made(unloading("SUCCEEDED").into_iter().chain([listing(&sizes, false)])).await;
        let MadeFile::At(urls) = files.unwrap() else { panic!("it is done") };
        assert_eq!(urls.len(), sizes.iter().filter(|size| **size > 0).count());
        assert!(
            urls.iter().all(|url| url.contains("X-Amz-Expires=900") && url.contains(ID) && url.contains(".parquet")),
            "{urls:?}"
        );
        let listed = sent[3].as_str().unwrap();
        assert!(listed.contains(&format!("prefix=api%2F0123456789abcdef0123456789abcdef%2F{ID}%2F")), "{listed}");
    }
    let (many, _) = made(unloading("SUCCEEDED").into_iter().chain([listing(&[1], true)])).await;
    assert!(many.unwrap_err().message.contains("more than 1000 files"));
}

#[tokio::test]
async fn what_cannot_be_unloaded_says_why() {
    let (failed, _) = made(unloading("FAILED")).await;
    let error = failed.unwrap_err();
    assert_eq!(error.advice, Advice::Stop);
    assert!(error.message.contains("as Parquet: Column name 'n' specified more than once"), "{error}");
    let (cancelled, _) = made(unloading("CANCELLED")).await;
    assert!(cancelled.unwrap_err().message.contains("start its statement again"));
}

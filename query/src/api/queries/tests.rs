#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use alluvium_core::Roles;
use alluvium_core::file::MadeFile;
use alluvium_core::ports::ResultPage;
use alluvium_core::problem::PROBLEM_JSON;
use arrow::array::Int64Array;
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::api::openapi::tests::assert_described;

/// An engine that does to a statement what its text says.
#[derive(Default)]
struct Obedient {
    started: Mutex<HashMap<String, Statement>>,
    /// Whether it keeps statements of several owners apart.
    apart: bool,
}

impl Obedient {
    fn find(&self, id: &StatementId) -> Result<Statement, PortError> {
        let found = self.started.lock().unwrap().get(&id.0).cloned();
        found.ok_or_else(|| PortError::new(Advice::Stop, format!("there is no statement `{}`", id.0)))
    }
}

#[async_trait]
impl SqlEngine for Obedient {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        match statement.sql.as_str() {
            "select refused" => return Err(PortError::new(Advice::Stop, "line 1:8: there is no column `refused`")),
            "select crowded" => return Err(PortError::new(Advice::BackOff, "64 statements are running")),
            "select away" => return Err(PortError::new(Advice::Retry, "the engine is away")),
            _ => {}
        }
        let mut started = self.started.lock().unwrap();
        let id = format!("id-{}", started.len());
        started.insert(id.clone(), statement);
        Ok(StatementId(id))
    }

    async fn status(&self, statement: &StatementId) -> Result<StatementStatus, PortError> {
        let found = self.find(statement)?;
        let state = match found.sql.as_str() {
            "select waiting" => StatementState::Waiting,
            "select running" => StatementState::Running,
            "select failed" => StatementState::Failed("line 1:8: division by zero".to_owned()),
            "select cancelled" => StatementState::Cancelled,
            _ => StatementState::Succeeded,
        };
        Ok(StatementStatus {
            state,
            reader: found.reader,
            owner: self.apart.then(|| OwnerKey::of(found.owner.as_deref().unwrap_or_default())),
            scanned_bytes: Some(10),
            elapsed: Some(Duration::from_millis(1_250)),
        })
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        self.find(statement)?;
        let (n, next) = match page {
            None if self.find(statement)?.sql == "select same" => {
                let column = || Arc::new(Int64Array::from(vec![1])) as arrow::array::ArrayRef;
                let columns = [("n", column()), ("n", column())];
                return Ok(ResultPage { batches: vec![RecordBatch::try_from_iter(columns).unwrap()], next: None });
            }
            None => (1, Some("two".to_owned())),
            Some("two") => (2, None),
            Some(other) => return Err(PortError::new(Advice::Stop, format!("there is no page `{other}`"))),
        };
        let column = Arc::new(Int64Array::from(vec![n])) as _;
        Ok(ResultPage { batches: vec![RecordBatch::try_from_iter([("n", column)]).unwrap()], next })
    }

    async fn cancel(&self, statement: &StatementId) -> Result<(), PortError> {
        self.find(statement)?;
        self.started.lock().unwrap().remove(&statement.0);
        Ok(())
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn ask(routes: &Router, method: Method, path: &str, body: impl Into<Body>) -> Answer {
    ask_as(None, routes, method, path, body).await
}

async fn ask_as(caller: Option<&Caller>, routes: &Router, method: Method, path: &str, body: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method(&method).uri(path).body(body.into()).unwrap();
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller.clone());
    }
    let response = routes.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    if parts.headers.get(header::CONTENT_TYPE).is_some_and(|it| it == PROBLEM_JSON) {
        assert_described(method.as_str(), path, &body);
    }
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn get(routes: &Router, path: &str) -> Answer {
    ask(routes, Method::GET, path, "").await
}

/// Starts a statement; answers its path.
async fn started(routes: &Router, sql: &str) -> String {
    let answer = ask(routes, Method::POST, "/v1/queries", json!({"sql": sql}).to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let location = answer.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(location, format!("/v1/queries/{}", answer.body["id"].as_str().unwrap()));
    location
}

fn assert_problem(answer: &Answer, status: u16, slug: &str, names: &str) {
    assert_eq!((answer.status, &answer.body["type"]), (status, &json!(format!("/problems/{slug}"))), "{}", answer.body);
    assert_eq!(answer.headers[header::CONTENT_TYPE], PROBLEM_JSON);
    assert!(answer.body["detail"].as_str().unwrap().contains(names), "{}", answer.body);
}

#[tokio::test]
async fn a_statement_is_started_looked_at_read_and_forgotten() {
    let engine = Arc::new(Obedient::default());
    let routes = queries_routes(engine.clone());
    let body = json!({"sql": "select n from t where n > cast(? as bigint)", "parameters": ["5"], "token": "monday"});
    let answer = ask(&routes, Method::POST, "/v1/queries", body.to_string()).await;
    assert_eq!((answer.status, &answer.body), (202, &json!({"id": "id-0"})));
    let asked = engine.find(&StatementId("id-0".to_owned())).unwrap();
    assert_eq!((asked.parameters, asked.token), (vec!["5".to_owned()], Some("monday".to_owned())));
    let status = get(&routes, "/v1/queries/id-0").await;
    assert_eq!(
        status.body,
        json!({"id": "id-0", "state": "succeeded", "waiting": false, "error": null, "scanned_bytes": 10, "elapsed_ms": 1250,
               "files": null})
    );
    let first = get(&routes, "/v1/queries/id-0/results").await;
    assert_eq!(first.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(first.body, json!({"columns": [{"name": "n", "type": "bigint"}], "rows": [[1]], "next": "two"}));
    let second = get(&routes, "/v1/queries/id-0/results?page=two").await;
    assert_eq!((&second.body["rows"], &second.body["next"]), (&json!([[2]]), &Value::Null));
    let gone = ask(&routes, Method::DELETE, "/v1/queries/id-0", "").await;
    assert_eq!((gone.status, gone.body), (204, Value::Null));
    assert_problem(&get(&routes, "/v1/queries/id-0").await, 404, "unknown-query", "`id-0`");
}

#[tokio::test]
async fn results_are_there_only_when_the_statement_succeeded() {
    let routes = queries_routes(Arc::new(Obedient::default()));
    for (sql, status, slug, names, state) in [
        ("select waiting", 409, "query-running", "still waits", "running"),
        ("select running", 409, "query-running", "still runs", "running"),
        ("select failed", 422, "statement-failed", "division by zero", "failed"),
        ("select cancelled", 409, "query-cancelled", "was cancelled", "cancelled"),
    ] {
        let location = started(&routes, sql).await;
        let looked = get(&routes, &location).await.body;
        assert_eq!((&looked["state"], &looked["waiting"]), (&json!(state), &json!(sql == "select waiting")));
        let answer = get(&routes, &format!("{location}/results")).await;
        assert_problem(&answer, status, slug, names);
        assert_eq!(answer.headers.contains_key(header::RETRY_AFTER), state == "running");
    }
    let location = started(&routes, "select failed").await;
    assert_eq!(get(&routes, &location).await.body["error"], "line 1:8: division by zero");
}

#[tokio::test]
async fn every_wrong_request_is_answered_with_a_problem_document() {
    let routes = queries_routes(Arc::new(Obedient::default()));
    for (body, status, slug, names) in [
        (json!({"sql": "drop table t"}).to_string(), 400, "statement-not-allowed", "`drop`"),
        (json!({"sql": "select 1; select 2"}).to_string(), 400, "statement-not-allowed", "more than one"),
        (json!({"query": "select 1"}).to_string(), 400, "bad-request", "unknown field `query`"),
        (json!({"sql": "select 1", "parameters": [1]}).to_string(), 400, "bad-request", "expected a string"),
        (json!({"sql": "select 1", "parameters": vec![""; 1_001]}).to_string(), 400, "bad-request", "1001"),
        (json!({"sql": "select 1", "token": ""}).to_string(), 400, "bad-request", "`token`"),
        ("select 1".to_owned(), 400, "bad-request", "expected {\"sql\""),
        (json!(["select 1", [], "t99"]).to_string(), 400, "bad-request", "an array"),
        (json!({"sql": " "}).to_string(), 400, "statement-not-allowed", "there is no statement"),
        (json!({"sql": "select refused"}).to_string(), 400, "statement-failed", "no column `refused`"),
        (json!({"sql": "select crowded"}).to_string(), 429, "too-many-queries", "64 statements"),
        (json!({"sql": "select away"}).to_string(), 503, "storage-unavailable", "away"),
        (json!({"sql": format!("select {}", "x".repeat(300_000))}).to_string(), 413, "statement-too-long", "262144"),
        ("x".repeat(600_000), 413, "unreadable-body", "length limit"),
    ] {
        assert_problem(&ask(&routes, Method::POST, "/v1/queries", body).await, status, slug, names);
    }
    let location = started(&routes, "select 1").await;
    for (path, status, slug, names) in [
        ("/v1/queries/id-9".to_owned(), 404, "unknown-query", "`id-9`"),
        ("/v1/queries/id-9/results".to_owned(), 404, "unknown-query", "`id-9`"),
        ("/v1/queries/a%2Fb".to_owned(), 404, "unknown-query", "`a/b`"),
        ("/v1/queries/%ff".to_owned(), 400, "bad-path", "UTF-8"),
        (format!("{location}/results?page=three"), 422, "statement-failed", "`three`"),
        (format!("{location}/results?page=two&page=two"), 400, "bad-parameter", "twice"),
        (format!("{location}/results?limit=5"), 400, "bad-parameter", "known: page, format"),
        (format!("{location}?x=5"), 400, "bad-parameter", "`x`: there is no such parameter"),
        (format!("{location}?link=5"), 400, "bad-parameter", "`link`"),
        (format!("{location}/results?format=xml"), 400, "bad-parameter", "json, ndjson, csv or arrow"),
    ] {
        assert_problem(&get(&routes, &path).await, status, slug, names);
    }
    let same = started(&routes, "select same").await;
    let refused = get(&routes, &format!("{same}/results?format=ndjson")).await;
    assert_problem(&refused, 422, "unwritable-result", "two values are called `n`");
    assert_eq!(get(&routes, &format!("{same}/results")).await.body["rows"], json!([[1, 1]]));
    let unknown = ask(&routes, Method::POST, "/v1/queries?x=1", json!({"sql": "select 1"}).to_string()).await;
    assert_problem(&unknown, 400, "bad-parameter", "known: none");
    let unknown = ask(&routes, Method::DELETE, &format!("{location}?force=true"), "").await;
    assert_problem(&unknown, 400, "bad-parameter", "`force`");
    assert_eq!(get(&routes, &location).await.status, 200);
    assert_eq!(get(&routes, "/v1/queries").await.status, 405);
}

#[tokio::test]
async fn a_statement_is_sent_as_it_is() {
    let routes = queries_routes(Arc::new(Obedient::default()));
    for (encoding, status) in
        [("identity", 202), ("Identity", 202), ("gzip", 415), ("br", 415), ("identity, gzip", 415)]
    {
        let request = Request::post("/v1/queries").header(header::CONTENT_ENCODING, encoding);
        let request = request.body(Body::from(json!({"sql": "select 1"}).to_string())).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{encoding}");
        if status == 415 {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["type"], "/problems/unknown-encoding");
            assert!(problem["detail"].as_str().unwrap().contains(&format!("`{encoding}`")), "{problem}");
            assert_described("POST", "/v1/queries", &problem);
        }
    }
}

fn caller(owner: &str, roles: &str) -> Option<Caller> {
    Some(Caller::new(owner, Roles::of_text(roles)).unwrap())
}

#[tokio::test]
async fn a_statement_sees_what_its_caller_may() {
    let engine = Arc::new(Obedient::default());
    let routes = queries_routes(engine.clone());
    for (caller, reader) in [
        (None, None),
        (caller("ann", "data.admin"), None),
        (caller("ann", "data.read"), Some("ann")),
        (caller("bob", "data.read data.write"), Some("bob")),
    ] {
        let body = json!({"sql": "select 1"}).to_string();
        let answer = ask_as(caller.as_ref(), &routes, Method::POST, "/v1/queries", body).await;
        let started = engine.find(&StatementId(answer.body["id"].as_str().unwrap().to_owned())).unwrap();
        assert_eq!((answer.status, started.reader.as_deref()), (202, reader), "{caller:?}");
    }
}

#[tokio::test]
async fn a_statement_is_its_readers_and_to_others_as_unknown_as_none() {
    let routes = queries_routes(Arc::new(Obedient::default()));
    let (ann, bob) = (caller("ann", "data.read"), caller("bob", "data.read"));
    let (admin, ann_admin) = (caller("carol", "data.admin"), caller("ann", "data.admin"));
    for (starter, asker, known) in [
        (&ann, &ann, true),
        (&ann, &bob, false),
        (&ann, &admin, true),
        (&ann, &ann_admin, true),
        (&ann, &None, true),
        (&admin, &ann, false),
        (&admin, &admin, true),
        (&ann_admin, &ann, false),
        (&ann_admin, &admin, true),
        (&None, &ann, false),
        (&None, &None, true),
    ] {
        let body = json!({"sql": "select 1"}).to_string();
        let answer = ask_as(starter.as_ref(), &routes, Method::POST, "/v1/queries", body).await;
        let id = answer.body["id"].as_str().unwrap().to_owned();
        for (method, path, status) in
            [(Method::GET, "", 200), (Method::GET, "/results", 200), (Method::DELETE, "", 204)]
        {
            let ask = async |id: &str| {
                let path = format!("/v1/queries/{id}{path}");
                ask_as(asker.as_ref(), &routes, method.clone(), &path, "").await
            };
            let (asked, never_was) = (ask(&id).await, ask("never").await);
            assert_problem(&never_was, 404, "unknown-query", "`never`");
            if known {
                assert_eq!(asked.status, status, "{starter:?} {asker:?} {method} {path}");
            } else {
                let same = asked.body.to_string().replace(&id, "never");
                assert_eq!(
                    (asked.status, same),
                    (404, never_was.body.to_string()),
                    "{starter:?} {asker:?} {method} {path}"
                );
            }
        }
        let left = get(&routes, &format!("/v1/queries/{id}")).await.status;
        assert_eq!(left, if known { 404 } else { 200 }, "who may not know of a statement does not stop it");
    }
}

#[tokio::test]
async fn results_come_in_the_format_that_is_asked_for() {
    let routes = queries_routes(Arc::new(Obedient::default()));
    let location = started(&routes, "select 1").await;
    let read = async |query: &str, accept: &'static str| {
        let request = Request::builder().uri(format!("{location}/results{query}")).header(header::ACCEPT, accept);
        let response = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let headers = (header("content-type").unwrap(), header("alluvium-next"), header("link"));
        (headers, response.into_body().collect().await.unwrap().to_bytes())
    };
    for (query, accept, media_type, first, second) in [
        ("format=csv", "*/*", "text/csv", "n\r\n1\r\n", "n\r\n2\r\n"),
        ("", "text/csv", "text/csv", "n\r\n1\r\n", "n\r\n2\r\n"),
        ("format=ndjson", "text/csv", "application/x-ndjson", "{\"n\":1}\n", "{\"n\":2}\n"),
    ] {
        let (headers, body) = read(&format!("?{query}"), accept).await;
        let link = format!("<?{query}{}page=two>; rel=\"next\"", if query.is_empty() { "" } else { "&" });
        assert_eq!(headers, (media_type.to_owned(), Some("two".to_owned()), Some(link)));
        assert_eq!(body, first);
        let (headers, body) = read(&format!("?{query}&page=two"), accept).await;
        assert_eq!((headers, &body[..]), ((media_type.to_owned(), None, None), second.as_bytes()));
    }
    let (headers, body) = read("?format=arrow", "*/*").await;
    let batches: Vec<_> = StreamReader::try_new(&body[..], None).unwrap().map(Result::unwrap).collect();
    assert_eq!((headers.0.as_str(), batches[0].num_rows()), ("application/vnd.apache.arrow.stream", 1));
}

/// Files that are somewhere else, if anywhere.
#[derive(Debug)]
struct Elsewhere;

#[async_trait]
impl ResultFiles for Elsewhere {
    async fn place(&self, statement: &StatementId, format: FileFormat) -> Result<FilePlace, PortError> {
        Ok(match format {
            FileFormat::Csv => {
                FilePlace::At(format!("https://bucket.s3.amazonaws.com/{}.csv?X-Amz-Expires=900", statement.0))
            }
            FileFormat::Parquet => FilePlace::Nowhere("there is CSV alone".to_owned()),
        })
    }

    async fn open(&self, _: &StatementId, _: FileFormat) -> Result<Box<dyn alluvium_core::file::OpenFile>, PortError> {
        panic!("it is not opened here")
    }
}

#[tokio::test]
async fn a_file_that_is_elsewhere_is_named_and_led_to() {
    let routes = queries_routes_with_files(Arc::new(Obedient::default()), Arc::new(Elsewhere), Links::new(None));
    let id = started(&routes, "select 1").await;
    let url = "https://bucket.s3.amazonaws.com/id-0.csv?X-Amz-Expires=900";
    assert_eq!(get(&routes, &id).await.body["files"], json!({"csv": url, "parquet": null}));
    let led = get(&routes, &format!("{id}/results.csv")).await;
    assert_eq!((led.status, led.headers[header::LOCATION].to_str().unwrap()), (302, url));
    assert_eq!(led.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(get(&routes, &format!("{id}/results.csv?link=ey.J")).await.status, 302);
    assert_problem(&get(&routes, &format!("{id}/results.csv?x=5")).await, 400, "bad-parameter", "`x`");
    assert_problem(&get(&routes, &format!("{id}/results.parquet")).await, 501, "no-such-file", "there is CSV alone");
    let running = started(&routes, "select running").await;
    assert_eq!(get(&routes, &running).await.body["files"], Value::Null);
    assert_problem(&get(&routes, &format!("{running}/results.csv")).await, 409, "query-running", "still runs");
}

/// Files of which Parquet is made when it is asked for, as the statement says.
#[derive(Debug)]
struct OnDemand(Vec<Result<MadeFile, Advice>>, Mutex<usize>);

#[async_trait]
impl ResultFiles for OnDemand {
    async fn place(&self, _: &StatementId, format: FileFormat) -> Result<FilePlace, PortError> {
        Ok(if format == FileFormat::Parquet { FilePlace::OnDemand } else { FilePlace::Nowhere("none".to_owned()) })
    }

    async fn made(&self, _: &StatementId, _: FileFormat) -> Result<MadeFile, PortError> {
        let mut asked = self.1.lock().unwrap();
        *asked += 1;
        self.0[*asked - 1].clone().map_err(|advice| PortError::new(advice, "two columns have one name"))
    }

    async fn open(&self, _: &StatementId, _: FileFormat) -> Result<Box<dyn alluvium_core::file::OpenFile>, PortError> {
        panic!("it is not opened here")
    }
}

#[tokio::test]
async fn a_file_that_is_made_on_demand_is_asked_for_until_it_is_there() {
    let url = |part: usize| format!("https://bucket.s3.amazonaws.com/part-{part}?X-Amz-Expires=900");
    let made = [
        Ok(MadeFile::UnderWay),
        Ok(MadeFile::At(vec![url(1)])),
        Ok(MadeFile::At(vec![url(1), url(2)])),
        Ok(MadeFile::At(Vec::new())),
        Err(Advice::Stop),
        Err(Advice::BackOff),
    ];
    let files = Arc::new(OnDemand(made.to_vec(), Mutex::default()));
    let routes = queries_routes_with_files(Arc::new(Obedient::default()), files.clone(), Links::new(None));
    let id = started(&routes, "select 1").await;
    let target = format!("{id}/results.parquet");
    assert_eq!(get(&routes, &id).await.body["files"], json!({"csv": null, "parquet": null}));
    assert_eq!(*files.1.lock().unwrap(), 0, "to look at a statement makes nothing");
    let under_way = get(&routes, &target).await;
    assert_eq!((under_way.status, &under_way.body), (202, &json!({"state": "running", "location": target})));
    assert!(under_way.headers[header::LOCATION] == *target && under_way.headers[header::RETRY_AFTER] == *"2");
    let led = get(&routes, &target).await;
    assert_eq!((led.status, led.headers[header::LOCATION].to_str().unwrap()), (302, &*url(1)));
    for urls in [vec![url(1), url(2)], Vec::new()] {
        let several = get(&routes, &target).await;
        assert_eq!((several.status, &several.body), (300, &json!({"files": urls})));
        assert_eq!(several.headers[header::CACHE_CONTROL], "no-store");
    }
    assert_problem(&get(&routes, &target).await, 422, "unwritable-result", "two columns have one name");
    assert_problem(&get(&routes, &target).await, 429, "too-many-queries", "two columns");
    let running = started(&routes, "select running").await;
    assert_problem(&get(&routes, &format!("{running}/results.parquet")).await, 409, "query-running", "still runs");
}

#[tokio::test]
async fn where_statements_are_kept_apart_each_is_its_owners_whatever_the_role() {
    let admin = |owner: &str| Caller::new(owner, Roles::of_text("data.admin")).unwrap();
    let (ann, bob) = (admin("ann"), admin("bob"));
    for apart in [true, false] {
        let engine = Arc::new(Obedient { apart, ..Obedient::default() });
        let routes = queries_routes_with_files(engine, Arc::new(Elsewhere), Links::new(None));
        let body = json!({"sql": "select 1"}).to_string();
        let id = ask_as(Some(&ann), &routes, Method::POST, "/v1/queries", body).await.body["id"].clone();
        let id = format!("/v1/queries/{}", id.as_str().unwrap());
        for target in [id.clone(), format!("{id}/results"), format!("{id}/results.csv")] {
            let theirs = ask_as(Some(&bob), &routes, Method::GET, &target, "").await;
            match apart {
                true => assert_problem(&theirs, 404, "unknown-query", "there is no statement"),
                false => assert!(theirs.status < 400, "{}", theirs.body),
            }
            let own = ask_as(Some(&ann), &routes, Method::GET, &target, "").await;
            assert!(own.status < 400, "{target}: {}", own.body);
        }
        let cancelled = ask_as(Some(&bob), &routes, Method::DELETE, &id, "").await.status;
        assert_eq!(cancelled, if apart { 404 } else { 204 });
    }
}

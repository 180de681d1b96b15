#![allow(clippy::unwrap_used)]

use alluvium_core::Roles;
use alluvium_core::clock::Micros;
use alluvium_core::ports::HotIndex as _;
use arrow::ipc::reader::StreamReader;
use axum::routing::post;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::openapi::tests::assert_described;
use super::*;
use crate::records::tests::world::{Event, HOUR, SECOND, World};

/// 2001-09-09T01:46:40Z
const NOW: Micros = 1_000_000_000 * SECOND;

async fn world() -> World {
    let mut world = World::at(NOW);
    world.hot.set_complete_since("telemetry", Micros::MIN).await.unwrap();
    let event = |id: &str, time| Event { id: id.into(), source: "a".into(), owner: "o".into(), time, arrival: 0 };
    world.arrive(vec![event("1", NOW - 1), event("2", NOW - HOUR / 2), event("3", NOW - 2 * HOUR)]).await;
    world
}

fn routes(world: &World) -> Router {
    // As the program has it: the gateway serves other methods of the same paths.
    let gateway = Router::new()
        .route("/v1/{dataset}", post(async || "posted"))
        .route("/data", post(async || "posted"))
        .fallback(async || "nothing there");
    let records = records_routes(RecordsApi { records: world.records.clone(), owner: Some("o".to_owned()) });
    gateway.merge(records).merge(sql_routes(world.lake.clone()))
}

struct Answer {
    status: u16,
    content_type: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn ask(routes: &Router, method: Method, path: &str, body: &str) -> Answer {
    let request = Request::builder().method(&method).uri(path).body(Body::from(body.to_owned())).unwrap();
    let response = routes.clone().oneshot(request).await.unwrap();
    let header = response.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
    if header.as_deref() == Some(PROBLEM_JSON) {
        assert_described(method.as_str(), path, &serde_json::from_slice(&body).unwrap());
    }
    Answer { status, content_type: header.unwrap_or_default(), body }
}

async fn get(routes: &Router, path: &str) -> Answer {
    ask(routes, Method::GET, path, "").await
}

#[tokio::test]
async fn what_comes_in_is_polled_for() {
    let mut world = world().await;
    let routes = routes(&world);
    let begin = get(&routes, "/v1/telemetry?after=newest").await.json();
    assert_eq!((&begin["records"], &begin["complete"]), (&json!([]), &json!(true)));
    let event = |id: &str, time| Event { id: id.into(), source: "a".into(), owner: "o".into(), time, arrival: 0 };
    world.arrive(vec![event("new", NOW - HOUR / 2)]).await;
    let next = begin["next"].as_str().unwrap();
    let new = get(&routes, &format!("/v1/telemetry?after={next}&fields=id&source=a")).await.json();
    assert_eq!(new["records"], json!([{"id": "new"}]));
    let lines = Request::get(format!("/v1/telemetry?after={next}&format=ndjson")).body(Body::empty()).unwrap();
    let lines = routes.clone().oneshot(lines).await.unwrap();
    assert_eq!(lines.headers()["alluvium-next"], new["next"].as_str().unwrap());
    assert!(lines.headers()["link"].to_str().unwrap().contains("?format=ndjson&after="));
    for (query, said) in [
        ("after=1", "expected `newest`, `oldest`, or `next`"),
        ("after=newest&from=-5m", "`from`: it does not go with `after`"),
        ("cursor=x&after=newest", "`cursor`: "),
        ("after=newest&after=oldest", "given twice"),
    ] {
        let refused = get(&routes, &format!("/v1/telemetry?{query}")).await;
        assert_eq!(refused.status, 400);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(said), "{detail}");
    }
}

#[tokio::test]
async fn records_are_json_and_walked_by_cursor() {
    let routes = routes(&world().await);
    let first = get(&routes, "/v1/telemetry?source=a&limit=1").await;
    assert_eq!((first.status, first.content_type.as_str()), (200, "application/json"));
    let first = first.json();
    assert_eq!(
        first["records"],
        json!([{"id": "1", "source": "a", "type": null, "time": "2001-09-09T01:46:39.999999Z",
                "ingest_time": "2001-09-09T01:46:40Z", "owner": "o", "data": {"value": 999_999_999.999_999}, "extra": {}}])
    );
    assert_eq!(first["complete"], true);
    let next = first["next"].as_str().unwrap();
    let rest = get(&routes, &format!("/v1/telemetry?source=a&cursor={next}")).await.json();
    let ids: Vec<_> = rest["records"].as_array().unwrap().iter().map(|record| &record["id"]).collect();
    assert_eq!(ids, ["2", "3"]);
    assert_eq!(rest["next"], Value::Null);
}

#[tokio::test]
async fn records_come_in_the_format_that_is_asked_for() {
    let routes = routes(&world().await);
    let line = r#"{"id":"1","source":"a","type":null,"time":"2001-09-09T01:46:39.999999Z","ingest_time":"2001-09-09T01:46:40Z","owner":"o","data":{"value":999999999.999999},"extra":{}}"#;
    let csv = "id,source,type,time,ingest_time,owner,value,extra\r\n\
               1,a,,2001-09-09T01:46:39.999999Z,2001-09-09T01:46:40Z,o,999999999.999999,\r\n";
    for (format, accept, media_type, body) in [
        ("", "application/x-ndjson", "application/x-ndjson", format!("{line}\n")),
        ("&format=ndjson", "text/csv", "application/x-ndjson", format!("{line}\n")),
        ("&format=csv", "*/*", "text/csv", csv.to_owned()),
        ("", "text/csv", "text/csv", csv.to_owned()),
    ] {
        let request = Request::builder().uri(format!("/v1/telemetry?limit=1{format}")).header(header::ACCEPT, accept);
        let response = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("content-type"), header("alluvium-complete")), (media_type.to_owned(), "true".to_owned()));
        let link = format!("<?limit=1{format}&cursor={}>; rel=\"next\"", header("alluvium-next"));
        assert_eq!(header("link"), link);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
    }
    let answer = get(&routes, "/v1/telemetry?format=arrow&from=-1h").await;
    assert_eq!(answer.content_type, ARROW_STREAM);
    let batches: Vec<_> = StreamReader::try_new(answer.body.as_slice(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!((batches.len(), batches[0].num_rows()), (1, 2));
    assert!(batches[0].column_by_name("event_date").is_some(), "the columns are the table's");
}

#[tokio::test]
async fn fields_leave_the_others_out_in_every_format() {
    let routes = routes(&world().await);
    for (fields, record, csv) in [
        ("id", json!({"id": "1"}), "id\r\n1\r\n"),
        ("value,id", json!({"id": "1", "data": {"value": 999_999_999.999_999}}), "value,id\r\n999999999.999999,1\r\n"),
        (
            "extra,time",
            json!({"time": "2001-09-09T01:46:39.999999Z", "extra": {}}),
            "extra,time\r\n,2001-09-09T01:46:39.999999Z\r\n",
        ),
    ] {
        let path = format!("/v1/telemetry?limit=1&fields={fields}");
        let page = get(&routes, &path).await.json();
        assert_eq!(page["records"], json!([record]));
        let next = page["next"].as_str().unwrap();
        let rest = get(&routes, &format!("/v1/telemetry?fields={fields}&cursor={next}")).await.json();
        assert_eq!(rest["records"].as_array().unwrap().len(), 2, "{rest}");
        let line: Value = serde_json::from_slice(&get(&routes, &format!("{path}&format=ndjson")).await.body).unwrap();
        assert_eq!(line, record);
        assert_eq!(String::from_utf8(get(&routes, &format!("{path}&format=csv")).await.body).unwrap(), csv);
    }
    let answer = get(&routes, "/v1/telemetry?format=arrow&fields=value,id").await;
    let schema = StreamReader::try_new(answer.body.as_slice(), None).unwrap().schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["value", "event_id"]);
    let answer = get(&routes, "/v1/telemetry?fields=values").await;
    let known = "known: id, source, type, time, ingest_time, owner, value, extra";
    assert!(answer.status == 400 && answer.json()["detail"].as_str().unwrap().contains(known));
}

#[tokio::test]
async fn times_can_be_named_in_several_ways() {
    let routes = routes(&world().await);
    for range in [
        "from=-1h",
        "from=2001-09-09T00:46:40Z",
        "from=999996400",
        "from=999996400000",
        "from=999996400000000&to=now",
        "from=2001-09-09T02:46:40%2B02:00",
        "from=2001-09-09T02:46:40+02:00",
        "from=-1h&to=9999-12-31T23:59:59.999Z",
        "from=-1h&to=9999-12-31T23:59:59%2B00:00",
    ] {
        let answer = get(&routes, &format!("/v1/telemetry?{range}")).await.json();
        assert_eq!(answer["records"].as_array().unwrap().len(), 2, "{range}: {answer}");
    }
}

#[tokio::test]
async fn every_wrong_request_is_answered_with_a_problem_document() {
    let routes = routes(&world().await);
    for (path, status, names) in [
        ("/v1/nothing", 404, "telemetry, dead_letters"),
        ("/data", 404, "there is no dataset `data`"),
        ("/v1/nothing", 404, "`alluvium schema infer FILES… > datasets/NAME.json`"),
        ("/v1/nothing", 404, "`alluvium schema check`"),
        ("/v1/telemetry?reading=now", 400, "`reading`: not a cursor"),
        ("/v1/telemetry?sauce=a", 400, "`sauce`: there is no such parameter; known: source, owner, from"),
        (&format!("/v1/telemetry?owner={}", "o".repeat(1025)), 400, "longer than 1024 bytes"),
        ("/v1/telemetry?source=", 400, "`source`: it is empty"),
        ("/v1/telemetry?owner=", 400, "`owner`: it is empty"),
        ("/v1/telemetry?source=caf%E9", 400, "not UTF-8"),
        ("/v1/telemetry?source=a&source=b", 400, "`source`: it is given twice"),
        ("/v1/telemetry?from=yesterday", 400, "`yesterday` is no time"),
        ("/v1/telemetry?from=-5x", 400, "`-5x` is no time"),
        ("/v1/telemetry?from=-5", 400, "`-5` has no unit; expected `-5m`"),
        ("/v1/telemetry?to=-86400000", 400, "`-86400000` has no unit"),
        ("/v1/telemetry?from=9999-12-31", 400, "`9999-12-31` is no time"),
        ("/v1/telemetry?from=9999-13-31T00:00:00Z", 400, "is no time"),
        ("/v1/telemetry?from=now&to=-1h", 400, "later than `to`"),
        ("/v1/telemetry?limit=0", 400, "1 to 10000"),
        ("/v1/telemetry?limit=many", 400, "1 to 10000"),
        ("/v1/telemetry?cursor=abc", 400, "not a cursor"),
        ("/v1/telemetry?format=xml", 400, "there is no format `xml`; expected json, ndjson, csv or arrow"),
        ("/v1/%ff", 400, "UTF-8"),
    ] {
        let answer = get(&routes, path).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (status, PROBLEM_JSON), "{path}");
        let problem = answer.json();
        assert!(problem["detail"].as_str().unwrap().contains(names), "{path}: {problem}");
    }
}

#[tokio::test]
async fn other_methods_of_the_same_paths_stay_with_their_router() {
    let routes = routes(&world().await);
    assert_eq!(ask(&routes, Method::POST, "/v1/telemetry", "").await.body, b"posted");
    assert_eq!(ask(&routes, Method::POST, "/data", "").await.body, b"posted");
    assert_eq!(ask(&routes, Method::DELETE, "/data", "").await.status, 405);
    assert_eq!(get(&routes, "/v2").await.body, b"nothing there");
}

/// The ids on the page that a caller gets, or the slug of the problem.
async fn seen(routes: &Router, caller: Option<&Caller>, path: &str) -> Result<Vec<String>, String> {
    let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller.clone());
    }
    let response = routes.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    match body.get("records") {
        Some(records) => {
            Ok(records.as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect())
        }
        None => Err(format!("{} {}", status.as_u16(), body["type"].as_str().unwrap())),
    }
}

#[tokio::test]
async fn a_caller_sees_what_is_theirs_whatever_the_program_reads_otherwise() {
    let mut world = world().await;
    let other = Event { id: "4".into(), source: "a".into(), owner: "p".into(), time: NOW - 2, arrival: 0 };
    world.arrive(vec![other]).await;
    let plain = |owner: &str| Caller::new(owner, Roles::of_text("data.read"));
    let admin = |owner: &str| Caller::new(owner, Roles::of_text("data.admin"));
    let (of_o, of_p, all) = (Ok(vec!["1", "2", "3"]), Ok(vec!["4"]), Ok(vec!["1", "4", "2", "3"]));
    let (nothing, refused) = (Ok(vec![]), Err("403 /problems/other-owner".to_owned()));
    let empty = Err("400 /problems/bad-parameter".to_owned());
    for (default, caller, named, ids) in [
        (Some("o"), None, "", &of_o),
        (None, None, "", &all),
        (Some("o"), None, "&owner=p", &of_p),
        (Some("o"), None, "&owner=*", &all),
        (Some("o"), plain("p"), "", &of_p),
        (None, plain("p"), "", &of_p),
        (None, plain("p"), "&owner=p", &of_p),
        (None, plain("p"), "&owner=o", &refused),
        (Some("o"), plain("p"), "&owner=o", &refused),
        (None, plain("p"), "&owner=*", &refused),
        (None, plain("p"), "&owner=", &empty),
        (None, plain("nobody"), "", &nothing),
        (Some("o"), admin("p"), "", &all),
        (Some("o"), admin("p"), "&owner=*", &all),
        (None, admin("p"), "&owner=o", &of_o),
        (None, admin("p"), "&owner=p", &of_p),
        (None, admin("p"), "&owner=", &empty),
    ] {
        let routes = records_routes(RecordsApi { records: world.records.clone(), owner: default.map(str::to_owned) });
        for path in ["/v1/telemetry?from=-1d", "/v1/telemetry?source=a"] {
            let found = seen(&routes, caller.as_ref(), &format!("{path}{named}")).await;
            let ids = ids.clone().map(|ids| ids.into_iter().map(str::to_owned).collect());
            assert_eq!(found, ids, "{default:?} {caller:?} {path}{named}");
        }
    }
}

#[tokio::test]
async fn dead_letters_are_read_the_same_way() {
    let world = World::at(NOW);
    let answer = get(&routes(&world), "/v1/dead_letters").await;
    assert_eq!(answer.json(), json!({"records": [], "next": null, "complete": true}));
    assert!(world.lake.statements.lock().unwrap()[0].contains("from dead_letters_raw"));
}

#[tokio::test]
async fn sql_is_answered_as_an_arrow_stream() {
    let world = world().await;
    let routes = routes(&world);
    let sql = "select * from telemetry_raw where source = 'a' order by event_time asc limit 2";
    let answer = ask(&routes, Method::POST, "/admin/sql", &json!({"sql": sql}).to_string()).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (200, ARROW_STREAM));
    let batches: Vec<_> = StreamReader::try_new(answer.body.as_slice(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    for (body, status, names) in [
        (json!({"sql": "wrong"}).to_string(), 400, "the statement is wrong"),
        (json!({"query": "select 1"}).to_string(), 400, "unknown field `query`"),
        ("select 1".to_owned(), 400, "expected {\"sql\""),
        (json!({"sql": "x".repeat(300_000)}).to_string(), 413, "262144"),
        ("x".repeat(600_000), 413, "length limit"),
    ] {
        let answer = ask(&routes, Method::POST, "/admin/sql", &body).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (status, PROBLEM_JSON));
        let problem = answer.json();
        assert!(problem["detail"].as_str().unwrap().contains(names), "{problem}");
    }
    assert_eq!(get(&routes, "/admin/sql").await.status, 405);
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_asked_for_again_at_its_location() {
    let world = world().await;
    let (_, records) = crate::records::tests::slow::slow(&world, 1);
    let patient = routes(&world);
    let routes = records_routes(RecordsApi { records, owner: Some("o".to_owned()) });
    let target = "/v1/telemetry?source=a&from=-3h&format=csv&limit=10";
    let expected = ask(&patient, Method::GET, target, "").await;
    assert_eq!(expected.status, 200);
    let mut location = target.to_owned();
    for round in 1.. {
        let request = Request::builder().uri(&location).body(Body::empty()).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        if response.status() == StatusCode::OK {
            assert!(round > 1);
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), expected.body);
            break;
        }
        assert_eq!(response.status(), StatusCode::ACCEPTED, "round {round}");
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"state": "running", "location": location}));
        assert!(location.starts_with(&format!("{target}&reading=")), "{location}");
        assert_eq!(location.matches("reading=").count(), 1);
        // A time before now is one before the read began.
        world.clock.advance(SECOND);
    }
}

use std::io::Write;

use alluvium_core::Problem;
use alluvium_core::ports::{Advice, Refusal};
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::FutureExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Builder;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::memory_stream::{Fate, MemoryStream};

fn small() -> GatewaySettings {
    GatewaySettings {
        body_bytes: 4096,
        body_expanded_bytes: 8192,
        event_bytes: 256,
        events: 100,
        buffered_bytes: 64 * 1024,
        concurrent_requests: 2,
        ..GatewaySettings::default()
    }
}

fn gateway(stream: &Arc<MemoryStream>, settings: GatewaySettings) -> Gateway {
    let datasets = Datasets::load(None, None).unwrap();
    Gateway::new(stream.clone(), Arc::new(datasets), settings).unwrap()
}

/// What the gateway said: status, `Retry-After`, media type, body.
struct Answer {
    status: u16,
    retry_after: Option<String>,
    media_type: String,
    body: Bytes,
}

impl Answer {
    fn acceptance(&self) -> Acceptance {
        assert_eq!(self.status, 202, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    fn problem(&self) -> Problem {
        assert_eq!(self.media_type, "application/problem+json");
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status);
        assert_eq!(problem.retry_after_seconds.map(|seconds| seconds.to_string()), self.retry_after);
        problem
    }

    /// Status and slug.
    fn refusal(&self) -> (u16, String) {
        let kind = self.problem().kind.strip_prefix("/problems/").unwrap().to_owned();
        let documented = openapi::tests::is_documented(self.status, &kind);
        assert!(documented || self.status == 405, "{} {kind} is not in the OpenAPI document", self.status);
        (self.status, kind)
    }
}

async fn ask(gateway: &Gateway, request: Request) -> Answer {
    let response = router(gateway.clone()).oneshot(request).await.unwrap();
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Answer {
        status: response.status().as_u16(),
        retry_after: header("retry-after"),
        media_type: header("content-type").unwrap_or_default(),
        body: response.into_body().collect().await.unwrap().to_bytes(),
    }
}

fn post_to(path: &str) -> Builder {
    Request::builder().method("POST").uri(path)
}

fn telemetry(content_type: &str, body: impl Into<Body>) -> Request {
    post_to("/v1/telemetry").header(CONTENT_TYPE, content_type).body(body.into()).unwrap()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd_frame(body: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(body, 3).unwrap()
}

#[tokio::test]
async fn a_traced_request_leaves_its_trace_as_the_partition_key_and_goes_to_the_same_shard() {
    let stream = Arc::new(MemoryStream::default());
    let trace = alluvium_core::TraceParent::new(0x5759_e988_bd86, 0x5399_5c3f).unwrap();
    let once = || post_to("/v1/telemetry").header("idempotency-key", "once");
    for request in [once(), once().extension(trace)] {
        let request = request.body(r#"{"value":1}"#.into()).unwrap();
        ask(&gateway(&stream, small()), request).await.acceptance();
    }
    let records = stream.records();
    let [plain, traced] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(traced.partition_key, trace.to_string());
    assert_eq!(traced.explicit_hash_key, Some(alluvium_core::record::hash_key(&plain.partition_key)));
    assert_eq!(traced.data, plain.data, "no byte of the record is another");
}

#[tokio::test]
async fn what_can_be_delimited_is_accepted_and_kept_as_it_was_sent() {
    type Case<'a> = (&'a str, &'a [u8], &'a [&'a [u8]]);
    let cases: [Case<'_>; 14] = [
        ("application/json", b"{\"a\":1}", &[b"{\"a\":1}"]),
        ("application/json", b" [{\"a\":1}, nope ,2]", &[b"{\"a\":1}", b"nope", b"2"]),
        ("application/json", b"hello", &[b"hello"]),
        ("application/json", b"\xEF\xBB\xBF[1]", &[b"1"]),
        ("application/json", b"{\"a\":1,\"a\":2}", &[b"{\"a\":1,\"a\":2}"]),
        (
            "application/json",
            b"[1e999, 123456789012345678901234567890]",
            &[b"1e999", b"123456789012345678901234567890"],
        ),
        ("application/x-ndjson", b"{\"a\":1}\n\n{\"a\":\n\xFF\xFE\n", &[b"{\"a\":1}", b"{\"a\":", b"\xFF\xFE"]),
        ("application/cloudevents+json", b"{\"id\":\"1\"}", &[b"{\"id\":\"1\"}"]),
        ("application/cloudevents-batch+json", b"[{\"id\":\"1\"}]", &[b"{\"id\":\"1\"}"]),
        ("text/plain", b"{\"a\":1}\n{\"a\":2}", &[b"{\"a\":1}", b"{\"a\":2}"]),
        ("application/x-www-form-urlencoded", b"[1,2]", &[b"1", b"2"]),
        ("", b"{\n\"a\":\n1}", &[b"{\n\"a\":\n1}"]),
        ("", &[0x1F, 0x8B], &[]),
        ("", b"\0", &[b"\0"]),
    ];
    for (content_type, body, events) in cases {
        let stream = Arc::new(MemoryStream::default());
        let answer = ask(&gateway(&stream, small()), telemetry(content_type, body.to_vec())).await;
        if events.is_empty() {
            assert_eq!(answer.refusal(), (400, "unreadable-encoding".into()));
            continue;
        }
        let acceptance = answer.acceptance();
        assert_eq!((acceptance.dataset.as_str(), acceptance.accepted), ("telemetry", events.len() as u64));
        assert_eq!(acceptance.receipt.runs().len(), 1);
        assert_eq!(stream.events(), events, "{}", String::from_utf8_lossy(body));
    }
}

#[tokio::test]
async fn the_envelope_says_owner_dataset_key_and_index() {
    let stream = Arc::new(MemoryStream::default());
    let settings = GatewaySettings { record_bytes: 128, ..small() };
    let event = format!("{{\"v\":\"{}\"}}", "x".repeat(40));
    let body = format!("{event}\n").repeat(5);
    let request = || {
        let request = post_to("/data").header("Idempotency-Key", "key-1").header(CONTENT_TYPE, "application/x-ndjson");
        request.extension(Writer::new("anna").unwrap()).body(Body::from(body.clone())).unwrap()
    };
    let gateway = gateway(&stream, settings);
    let receipt = ask(&gateway, request()).await.acceptance().receipt;
    let envelopes = stream.envelopes();
    assert_eq!(envelopes.iter().map(|envelope| envelope.header.first_index).collect::<Vec<_>>(), [0, 2, 4]);
    for envelope in &envelopes {
        assert_eq!((envelope.header.owner.as_str(), envelope.header.dataset.as_str()), ("anna", "data"));
        assert_eq!(envelope.header.idempotency_key.as_deref(), Some("key-1"));
    }
    assert!(stream.records().iter().all(|record| record.data.len() <= 128));
    assert_eq!(stream.events(), vec![event.clone().into_bytes(); 5]);
    let named: u64 =
        receipt.runs().iter().map(|run| run.last.as_u64().unwrap() - run.first.as_u64().unwrap() + 1).sum();
    assert_eq!(named, 3);
    // The same request again: the same keys, so the same shards.
    ask(&gateway, request()).await.acceptance();
    let keys: Vec<_> = stream.records().into_iter().map(|record| record.partition_key).collect();
    assert_eq!(keys[..3], keys[3..]);
}

#[tokio::test]
async fn an_event_larger_than_a_record_s_target_travels_alone() {
    let stream = Arc::new(MemoryStream::default());
    let gateway = gateway(&stream, GatewaySettings::default());
    let large = format!("\"{}\"", "x".repeat(alluvium_core::limits::EVENT_BYTES - 2));
    let answer = ask(&gateway, telemetry("application/json", format!("[1,{large},2]"))).await;
    assert_eq!(answer.acceptance().accepted, 3);
    let sizes: Vec<_> = stream.records().iter().map(|record| record.data.len()).collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= alluvium_core::limits::STREAM_RECORD_BYTES), "{sizes:?}");
}

#[tokio::test]
async fn compressed_bodies_are_told_by_header_or_by_magic_and_may_have_several_parts() {
    let (one, two) = (b"{\"a\":1}\n".as_slice(), b"{\"a\":2}\n".as_slice());
    let bodies = [
        ("gzip", gzip(one), 1),
        ("gzip", [gzip(one), gzip(two)].concat(), 2),
        ("x-gzip", gzip(one), 1),
        ("", [gzip(one), gzip(two)].concat(), 2),
        ("zstd", zstd_frame(one), 1),
        ("ZSTD", [zstd_frame(one), zstd_frame(two)].concat(), 2),
        ("identity", [zstd_frame(one), zstd_frame(two)].concat(), 2),
        ("", one.to_vec(), 1),
    ];
    for (encoding, body, events) in bodies {
        let stream = Arc::new(MemoryStream::default());
        let request = post_to("/v1/telemetry").header(CONTENT_TYPE, "application/x-ndjson");
        let request = if encoding.is_empty() { request } else { request.header(CONTENT_ENCODING, encoding) };
        let answer = ask(&gateway(&stream, small()), request.body(body.into()).unwrap()).await;
        assert_eq!(answer.acceptance().accepted, events, "{encoding}");
    }
}

#[tokio::test]
async fn wrong_input_is_refused_one_by_one_and_leaves_nothing() {
    let bomb = gzip(&vec![b' '; 1_000_000]);
    let zstd_bomb = zstd_frame(&vec![b' '; 1_000_000]);
    let cut = gzip(b"{\"a\":1}\n{\"a\":2}\n");
    let cut = cut[..cut.len() - 6].to_vec();
    let zstd_cut = zstd_frame(&[b'x'; 100])[..10].to_vec();
    let deep = format!("[{}{}]", "[".repeat(1000), "]".repeat(1000));
    let long = format!("{{}}\n\"{}\"\n", "x".repeat(300));
    let many = "1\n".repeat(101);
    /// Content type, content encoding, body; status, slug, part of the detail.
    type Case<'a> = (&'a str, &'a str, Vec<u8>, u16, &'a str, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ("json", "", b"".to_vec(), 400, "no-event", "no event"),
        ("json", "", b" \n ".to_vec(), 400, "no-event", "no event"),
        ("json", "", b"[ ]".to_vec(), 400, "no-event", "no event"),
        ("x-ndjson", "", b"\n\r\n".to_vec(), 400, "no-event", "no event"),
        ("json", "", b"[1,2".to_vec(), 400, "not-delimitable", "does not close"),
        ("json", "", b"[1]]".to_vec(), 400, "not-delimitable", "at byte 3"),
        ("json", "", b"[1}".to_vec(), 400, "not-delimitable", "closes nothing"),
        ("cloudevents-batch+json", "", b"{}".to_vec(), 400, "not-delimitable", "begins with \"{}\""),
        ("json", "", deep.into_bytes(), 400, "json-too-deep", "deeper than 64"),
        (
            "x-ndjson",
            "",
            long.into_bytes(),
            413,
            "event-too-large",
            "event 1 is 302 bytes long; the most that one event may have is 256",
        ),
        ("x-ndjson", "", many.into_bytes(), 413, "too-many-events", "more than 100 events"),
        ("json", "", vec![b' '; 4097], 413, "body-too-large", "4096"),
        ("json", "gzip", cut.clone(), 400, "unreadable-encoding", "gzip"),
        ("json", "", cut, 400, "unreadable-encoding", "gzip"),
        ("json", "gzip", b"{\"a\":1}".to_vec(), 400, "unreadable-encoding", "gzip"),
        ("json", "gzip", [gzip(b"1"), b"junk".to_vec()].concat(), 400, "unreadable-encoding", "gzip"),
        ("json", "zstd", zstd_cut, 400, "unreadable-encoding", "zstd"),
        ("json", "zstd", b"{}".to_vec(), 400, "unreadable-encoding", "zstd"),
        ("json", "gzip", bomb, 413, "body-expands-too-far", "8192"),
        ("json", "", zstd_bomb, 413, "body-expands-too-far", "8192"),
        ("json", "br", b"{}".to_vec(), 415, "unknown-encoding", "\"br\""),
        ("json", "gzip, gzip", b"{}".to_vec(), 415, "unknown-encoding", "gzip, gzip"),
    ];
    let stream = Arc::new(MemoryStream::default());
    let gateway = gateway(&stream, small());
    for (content_type, encoding, body, status, slug, detail) in cases {
        let request = post_to("/v1/telemetry").header(CONTENT_TYPE, format!("application/{content_type}"));
        let request = if encoding.is_empty() { request } else { request.header(CONTENT_ENCODING, encoding) };
        let answer = ask(&gateway, request.body(body.into()).unwrap()).await;
        assert_eq!(answer.refusal(), (status, slug.to_owned()));
        assert!(answer.problem().detail.contains(detail), "{detail}: {}", answer.problem().detail);
    }
    assert!(stream.records().is_empty());
}

#[tokio::test]
async fn unknown_datasets_parameters_other_methods_and_bad_keys_are_problems() {
    let stream = Arc::new(MemoryStream::default());
    let gateway = gateway(&stream, small());
    for path in ["/v1/nothing", "/v1/dead_letters", "/v1/%FF", "/v1/TELEMETRY"] {
        let answer = ask(&gateway, post_to(path).body("{}".into()).unwrap()).await;
        assert_eq!(answer.refusal(), (404, "unknown-dataset".into()), "{path}");
        let detail = answer.problem().detail;
        for words in ["data, telemetry", "`alluvium schema infer FILES…", "`alluvium schema check`"] {
            assert!(detail.contains(words), "{detail}");
        }
    }
    for (path, detail) in
        [("/v1/telemetry?ownr=ann", "there is no parameter \"ownr\""), ("/data?owner=%FF", "cannot be read")]
    {
        let answer = ask(&gateway, post_to(path).body("{}".into()).unwrap()).await;
        assert_eq!(answer.refusal(), (400, "bad-parameter".into()), "{path}");
        assert!(answer.problem().detail.contains(detail), "{}", answer.problem().detail);
    }
    ask(&gateway, post_to("/data?owner=ann").body("{}".into()).unwrap()).await.acceptance();
    let delete = Request::builder().method("DELETE").uri("/v1/telemetry").body(Body::empty()).unwrap();
    assert_eq!(ask(&gateway, delete).await.refusal(), (405, "method-not-allowed".into()));
    for key in ["", "two words", "käse", &"k".repeat(256)] {
        let request = post_to("/data").header("idempotency-key", key.as_bytes()).body("{}".into()).unwrap();
        assert_eq!(ask(&gateway, request).await.refusal(), (400, "bad-header".into()), "{key}");
    }
    let longest = post_to("/data").header("idempotency-key", "k".repeat(255)).body("{}".into()).unwrap();
    ask(&gateway, longest).await.acceptance();
}

#[tokio::test]
async fn a_cloudevent_in_binary_mode_becomes_a_structured_one() {
    let stream = Arc::new(MemoryStream::default());
    let gateway = gateway(&stream, small());
    let request = |content_type: &str| {
        post_to("/v1/telemetry")
            .header("ce-specversion", "1.0")
            .header("ce-id", "7")
            .header("ce-source", "roof%20%E2%82%AC")
            .header(CONTENT_TYPE, content_type)
    };
    ask(&gateway, request("application/json").body(" [1, 2]".into()).unwrap()).await.acceptance();
    ask(&gateway, request("text/plain").body("hi, \"you\"".into()).unwrap()).await.acceptance();
    ask(&gateway, request("image/x").body(vec![0xFF, 0].into()).unwrap()).await.acceptance();
    ask(&gateway, request("application/json").body("".into()).unwrap()).await.acceptance();
    let events: Vec<serde_json::Value> =
        stream.events().iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
    let data: Vec<_> = events.iter().map(|event| (event.get("data"), event.get("data_base64"))).collect();
    let (list, text, base64) = (serde_json::json!([1, 2]), serde_json::json!("hi, \"you\""), serde_json::json!("/wA="));
    assert_eq!(data, [(Some(&list), None), (Some(&text), None), (None, Some(&base64)), (None, None)]);
    for event in &events {
        assert_eq!(
            (&event["id"], &event["source"], &event["specversion"]),
            (&"7".into(), &"roof €".into(), &"1.0".into())
        );
    }
    let twice = request("text/plain").header("ce-id", "8").body("x".into()).unwrap();
    assert_eq!(ask(&gateway, twice).await.refusal(), (400, "bad-header".into()));
}

#[tokio::test]
async fn nothing_is_acknowledged_that_the_stream_did_not_store() {
    let cases = [
        (Fate::Fails(Advice::Retry), "not-stored", "nothing of the request was taken in"),
        (Fate::Fails(Advice::BackOff), "log-full", "nothing of the request was taken in"),
        (Fate::Refuses(0, Refusal::Full), "log-full", "nothing of the request was taken in"),
        (Fate::Refuses(1, Refusal::Full), "log-full", "2 of its 5 events were stored"),
        (Fate::Refuses(2, Refusal::Failed("/secret".into())), "not-stored", "4 of its 5 events were stored"),
        (Fate::Refuses(0, Refusal::Invalid("/secret".into())), "not-stored", "nothing of the request was taken in"),
    ];
    for (fate, slug, detail) in cases {
        let stream = Arc::new(MemoryStream::fated([fate]));
        let gateway = gateway(&stream, GatewaySettings { record_bytes: 128, ..small() });
        let body = format!("\"{}\"\n", "x".repeat(45)).repeat(5);
        let answer = ask(&gateway, telemetry("application/x-ndjson", body.clone())).await;
        assert_eq!(answer.refusal(), (503, slug.to_owned()));
        assert!(answer.retry_after.is_some());
        let found = answer.problem().detail;
        assert!(found.contains(detail) && !found.contains("secret"), "{found}");
        assert_eq!(ask(&gateway, telemetry("application/x-ndjson", body)).await.acceptance().accepted, 5);
    }
}

#[tokio::test]
async fn a_stream_that_does_not_answer_and_a_body_that_does_not_come_are_not_waited_for() {
    let stream = Arc::new(MemoryStream::fated([Fate::Waits]));
    let gateway = gateway(&stream, GatewaySettings { request_time: Duration::from_millis(20), ..small() });
    let answer = ask(&gateway, telemetry("application/json", "{}")).await;
    assert_eq!(answer.refusal(), (503, "stream-too-slow".into()));
    let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    assert_eq!(ask(&gateway, telemetry("application/json", never)).await.refusal(), (408, "body-too-slow".into()));
    let broken = Body::from_stream(futures::stream::iter([Ok("{"), Err(std::io::Error::other("reset"))]));
    assert_eq!(ask(&gateway, telemetry("application/json", broken)).await.refusal(), (400, "body-broken".into()));
}

#[tokio::test]
async fn past_the_limit_of_requests_the_next_is_told_to_come_again() {
    let stream = Arc::new(MemoryStream::fated([Fate::Waits, Fate::Waits]));
    let gateway = gateway(&stream, small());
    let ask_one = || async { ask(&gateway, telemetry("application/json", "{}")).await };
    let (first, second, third) = tokio::join!(ask_one(), ask_one(), async {
        let third = ask_one().await;
        stream.gate.add_permits(2);
        third
    });
    assert_eq!(third.refusal(), (429, "too-many-requests".into()));
    assert_eq!(third.retry_after.as_deref(), Some("1"));
    assert_eq!((first.acceptance().accepted, second.acceptance().accepted), (1, 1));
    ask_one().await.acceptance();
}

#[tokio::test]
async fn what_requests_hold_together_is_bounded_and_given_back() {
    let stream = Arc::new(MemoryStream::fated([Fate::Waits]));
    let settings = GatewaySettings { buffered_bytes: 4096 + 2 * 8192, event_bytes: 8192, ..small() };
    let gateway = gateway(&stream, settings);
    let large = || telemetry("application/json", gzip(format!("\"{}\"", "x".repeat(7000)).as_bytes()));
    let (first, second) = tokio::join!(ask(&gateway, large()), async {
        // The bodies are expanded on threads of their own, of which either might be the first.
        while stream.fates_left() > 0 {
            tokio::task::yield_now().await;
        }
        let second = ask(&gateway, large()).await;
        stream.gate.add_permits(1);
        second
    });
    assert_eq!(second.refusal(), (429, "too-many-requests".into()));
    first.acceptance();
    ask(&gateway, large()).await.acceptance();
}

#[tokio::test]
async fn after_the_stop_running_requests_finish_and_new_ones_are_sent_away() {
    let stream = Arc::new(MemoryStream::fated([Fate::Waits]));
    let gateway = gateway(&stream, small());
    let (running, drained_before, new) = tokio::join!(
        ask(&gateway, telemetry("application/json", "{}")),
        async {
            gateway.stop_intake();
            let drained = gateway.drained().now_or_never().is_some();
            stream.gate.add_permits(1);
            drained
        },
        async {
            tokio::task::yield_now().await;
            ask(&gateway, telemetry("application/json", "{}")).await
        }
    );
    assert!(!drained_before);
    running.acceptance();
    assert_eq!(new.refusal(), (503, "shutting-down".into()));
    assert!(new.retry_after.is_some());
    gateway.drained().await;
    assert_eq!(stream.events().len(), 1);
}

#[tokio::test]
async fn other_rooms_can_add_methods_to_the_same_paths() {
    let stream = Arc::new(MemoryStream::default());
    let reading = Router::new().route("/v1/{dataset}", get(async || "rows")).route("/data", get(async || "rows"));
    let both = router(gateway(&stream, small())).merge(reading);
    for (method, status) in [("GET", 200), ("POST", 202), ("PUT", 405)] {
        for path in ["/data", "/v1/data"] {
            let request = Request::builder().method(method).uri(path).body(Body::from("{}")).unwrap();
            assert_eq!(both.clone().oneshot(request).await.unwrap().status(), status, "{method} {path}");
        }
    }
}

#[test]
fn settings_are_read_by_name_and_checked() {
    let read = |text: &str| serde_json::from_str::<GatewaySettings>(text);
    assert_eq!(read("{}").unwrap(), GatewaySettings::default());
    assert_eq!(read(r#"{"request_time":"5s"}"#).unwrap().request_time, Duration::from_secs(5));
    assert!(read(r#"{"body_byte":1}"#).unwrap_err().to_string().contains("`body_byte`"));
    GatewaySettings::default().check().unwrap();
    type Case = (fn(&mut GatewaySettings), &'static str);
    let wrong: [Case; 6] = [
        (|s| s.body_bytes = 0, "body_bytes: 0"),
        (|s| s.event_bytes = 2 << 20, "event_bytes: 2097152"),
        (|s| s.owner = String::new(), "owner: "),
        (|s| s.request_time = Duration::ZERO, "request_time: "),
        (|s| s.buffered_bytes = 1 << 20, "buffered_bytes: 1048576 is too little"),
        (|s| s.record_bytes = 2 << 20, "record_bytes: "),
    ];
    for (change, expected) in wrong {
        let mut settings = GatewaySettings::default();
        change(&mut settings);
        let error = settings.check().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// Not a test of function: prints how many requests of 1,000 events one thread takes in, storing aside.
#[tokio::test]
#[ignore = "measures"]
async fn speed_of_intake() {
    let mut generator = crate::Generator::new(crate::GeneratorSettings::default()).unwrap();
    let mut body = Vec::new();
    for _ in 0..1000 {
        generator.write_next(&mut body);
        body.push(b'\n');
    }
    let body = Bytes::from(body);
    let stream: Arc<dyn Stream> = Arc::new(Forgetful);
    let datasets = Arc::new(Datasets::load(None, None).unwrap());
    let router = router(Gateway::new(stream, datasets, GatewaySettings::default()).unwrap());
    let started = std::time::Instant::now();
    for _ in 0..4000 {
        let response = router.clone().oneshot(telemetry("application/x-ndjson", body.clone())).await.unwrap();
        assert_eq!(response.status(), 202);
    }
    println!("{:.0} requests/s of {} bytes", 4000.0 / started.elapsed().as_secs_f64(), body.len());
}

/// Says `Stored` and keeps nothing.
struct Forgetful;

#[async_trait::async_trait]
impl Stream for Forgetful {
    async fn append(
        &self,
        batch: alluvium_core::PutBatch,
    ) -> Result<Vec<alluvium_core::ports::PutVerdict>, alluvium_core::ports::PortError> {
        let stored = |_| alluvium_core::ports::PutVerdict::Stored {
            shard: alluvium_core::ShardId::numbered(0),
            sequence: 1.into(),
        };
        Ok(batch.records.iter().map(stored).collect())
    }

    async fn read(
        &self,
        _: &alluvium_core::ShardId,
        _: Option<alluvium_core::SequenceNumber>,
        _: usize,
        _: Duration,
    ) -> Result<alluvium_core::ports::ReadPage, alluvium_core::ports::PortError> {
        unreachable!("the gateway does not read")
    }

    async fn shards(&self) -> Result<Vec<alluvium_core::ports::ShardState>, alluvium_core::ports::PortError> {
        unreachable!("the gateway does not ask for shards")
    }
}

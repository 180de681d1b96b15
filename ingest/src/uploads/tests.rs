use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use alluvium_core::ManualClock;
use alluvium_core::ports::{Advice, Refusal};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::*;
use crate::memory_stream::{Fate, MemoryStream};

const NOW: i64 = 1_000_000_000_000_000;
const SECOND: i64 = 1_000_000;

/// A node's uploads on a folder, which may be opened again.
struct World {
    folder: TempDir,
    stream: Arc<MemoryStream>,
    clock: Arc<ManualClock>,
    settings: UploadSettings,
}

impl World {
    fn of(settings: UploadSettings) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        Self { folder: TempDir::new().unwrap(), stream: Arc::default(), clock, settings }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("uploads")
    }

    fn open(&self) -> Uploads {
        let sign = |method: &str, target: &str, caller: Option<&Caller>| {
            Ok(format!("{target}?signed={method}-{}", caller.map_or("nobody", Caller::owner)))
        };
        let parts = UploadParts {
            stream: self.stream.clone(),
            datasets: Arc::new(Datasets::load(None, None).unwrap()),
            clock: self.clock.clone(),
            sign: Arc::new(sign),
            lag: Arc::new(|| Duration::ZERO),
        };
        Uploads::open(self.path(), parts, self.settings.clone()).unwrap()
    }

    /// The names in the folder, without the ids.
    fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut endings: Vec<_> = names.map(|path| path.extension().unwrap().to_str().unwrap().to_owned()).collect();
        endings.sort();
        endings
    }
}

async fn call(uploads: &Uploads, owner: &str, method: &str, path: &str, body: impl Into<Body>) -> Response {
    let mut request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    if !owner.is_empty() {
        let roles = if owner == "admin" { "data.admin" } else { "data.write" };
        let caller = Caller::new(owner, alluvium_core::Roles::of_text(roles)).unwrap();
        let writer = crate::Writer::of(&caller, request.uri()).unwrap();
        request.extensions_mut().insert(writer);
        request.extensions_mut().insert(caller);
    }
    router(uploads.clone()).oneshot(request).await.unwrap()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// Status and the problem's name, which the document has to have for this call.
async fn refusal(response: Response, method: &str, path: &str) -> (u16, String) {
    let status = response.status().as_u16();
    let problem = json_of(response).await;
    let kind = problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned();
    let document = serde_json::to_value(openapi()).unwrap();
    let described = &document["paths"][path][method]["responses"][status.to_string()]["description"];
    assert!(
        described.as_str().is_some_and(|text| text.contains(&format!("`{kind}`"))),
        "{method} {path} {status} {kind}"
    );
    (status, kind)
}

async fn ask(uploads: &Uploads, owner: &str, asked: Value) -> String {
    let response = call(uploads, owner, "POST", "/v1/uploads", asked.to_string()).await;
    assert_eq!(response.status(), 201);
    json_of(response).await["id"].as_str().unwrap().to_owned()
}

async fn put(uploads: &Uploads, owner: &str, id: &str, content: impl Into<Body>) -> Response {
    call(uploads, owner, "PUT", &format!("/v1/uploads/{id}/content"), content).await
}

async fn put_refused(uploads: &Uploads, id: &str, content: impl Into<Body>) -> (u16, String) {
    refusal(put(uploads, "ann", id, content).await, "put", "/v1/uploads/{id}/content").await
}

async fn status(uploads: &Uploads, id: &str) -> Value {
    json_of(call(uploads, "admin", "GET", &format!("/v1/uploads/{id}"), "").await).await
}

/// Waits until this upload has ended.
async fn ended(uploads: &Uploads, id: &str) -> Value {
    loop {
        let status = status(uploads, id).await;
        if status["state"] == "done" || status["state"] == "failed" {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Loads until this upload has ended.
async fn load(uploads: &Uploads, id: &str) -> Value {
    let loader = tokio::spawn(uploads.clone().load());
    let ended = ended(uploads, id).await;
    uploads.stop();
    loader.await.unwrap();
    ended
}

fn ndjson() -> Value {
    ndjson_of("telemetry")
}

fn ndjson_of(dataset: &str) -> Value {
    json!({"dataset": dataset, "format": "ndjson"})
}

/// Every event in the stream by whose it is, what its id is derived from, and its line; how often it is there.
fn events(stream: &MemoryStream) -> BTreeMap<(String, String, u32), (Vec<u8>, usize)> {
    let mut found = BTreeMap::new();
    for envelope in stream.envelopes() {
        let header = &envelope.header;
        let key = header.idempotency_key.clone().unwrap();
        for (index, event) in (header.first_index..).zip(envelope.elements()) {
            let kept = found.entry((header.owner.clone(), key.clone(), index)).or_insert((event.to_vec(), 0));
            assert_eq!(kept.0, event, "one id, two events");
            kept.1 += 1;
        }
    }
    found
}

#[tokio::test]
async fn a_nodes_uploads_keep_the_contract_of_a_store() {
    let world = World::of(UploadSettings { unfinished_of_owner: 2, ..UploadSettings::default() });
    alluvium_core::contract::upload_store::all(&world.open(), NOW).await;
}

#[tokio::test]
async fn what_was_put_is_in_the_stream_with_its_owner_dataset_and_lines() {
    let world = World::of(UploadSettings::default());
    let uploads = world.open();
    let asked = call(&uploads, "ann", "POST", "/v1/uploads", ndjson().to_string()).await;
    let location = asked.headers()["location"].to_str().unwrap().to_owned();
    let asked = json_of(asked).await;
    let id = asked["id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("/v1/uploads/{id}"));
    assert_eq!(asked["url"], format!("/v1/uploads/{id}/content?signed=PUT-ann"));
    assert_eq!(asked["expires"], "2001-09-09T02:01:40Z");
    assert_eq!(status(&uploads, &id).await["state"], "waiting");
    let content = "\u{FEFF}{\"a\": 1}\r\n\n  {\"a\": 2}\nnope";
    let accepted = put(&uploads, "ann", &id, content).await;
    assert_eq!(accepted.status(), 202);
    assert_eq!(json_of(accepted).await["state"], "queued");
    assert_eq!(world.files(), ["content", "json"]);
    for entry in std::fs::read_dir(world.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::metadata(world.path()).unwrap().permissions().mode() & 0o777, 0o700);
    let ended = load(&uploads, &id).await;
    assert_eq!(
        (&ended["state"], &ended["lines"], &ended["accepted"], &ended["odd"]),
        (&json!("done"), &json!(4), &json!(3), &json!(1))
    );
    let hash = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let found = events(&world.stream).into_iter().map(|((owner, key, line), (event, times))| {
        assert_eq!((owner.as_str(), key, times), ("ann", format!("file:{hash}"), 1));
        (line, event)
    });
    let expected = [(1, &b"{\"a\": 1}"[..]), (3, b"{\"a\": 2}"), (4, b"nope")];
    assert_eq!(found.collect::<Vec<_>>(), expected.map(|(line, event)| (line, event.to_vec())));
    assert!(world.stream.envelopes().iter().all(|envelope| envelope.header.dataset == "telemetry"));
    assert_eq!(world.files(), ["json"], "the content goes once it is loaded");
}

#[tokio::test]
async fn what_is_not_known_is_refused_and_no_array_stands_for_an_object() {
    let world = World::of(UploadSettings::default());
    let uploads = world.open();
    let asked = ndjson().to_string();
    let id = ask(&uploads, "ann", ndjson()).await;
    let of = |rest: &str| format!("/v1/uploads/{id}{rest}");
    for (method, path, described) in [
        ("POST", "/v1/uploads?x=1".to_owned(), "/v1/uploads"),
        ("GET", "/v1/uploads?x=1".to_owned(), "/v1/uploads"),
        ("GET", of("?x=1"), "/v1/uploads/{id}"),
        ("DELETE", of("?x=1"), "/v1/uploads/{id}"),
        ("PUT", of("/content?x=1&link=y"), "/v1/uploads/{id}/content"),
    ] {
        let answer = call(&uploads, "ann", method, &path, asked.clone()).await;
        let refused = refusal(answer, &method.to_lowercase(), described).await;
        assert_eq!(refused, (400, "bad-parameter".to_owned()), "{method} {path}");
    }
    let array = json!(["telemetry", "ndjson"]).to_string();
    let answer = call(&uploads, "ann", "POST", "/v1/uploads", array).await;
    assert_eq!(refusal(answer, "post", "/v1/uploads").await, (400, "bad-request".to_owned()));
    assert_eq!(call(&uploads, "admin", "POST", "/v1/uploads?owner=ann", asked).await.status(), 201);
    let put = call(&uploads, "ann", "PUT", &of("/content?link=y"), "{}\n").await;
    assert_eq!(put.status(), 202);
}

#[tokio::test]
async fn csv_is_events_whose_ids_come_from_their_rows() {
    let world = World::of(UploadSettings::default());
    let uploads = world.open();
    let id = ask(&uploads, "ann", json!({"dataset": "telemetry", "name": "logs/attic.2026.csv"})).await;
    put(&uploads, "ann", &id, "time,value\n1,5\n1,2,3\n\n2,6\n").await;
    let ended = load(&uploads, &id).await;
    assert_eq!(
        (&ended["state"], &ended["format"], &ended["accepted"], &ended["lines"]),
        (&json!("done"), &json!("csv"), &json!(3), &json!(5))
    );
    assert_eq!(
        ended["odd_lines"],
        json!([{"line": 3, "problem": "the row has 3 cells, the header 2; expected as many. It is a dead letter"}])
    );
    let found: Vec<_> = events(&world.stream)
        .into_iter()
        .map(|((_, _, row), (event, _))| (row, String::from_utf8(event).unwrap()))
        .collect();
    let row = |time, value| format!(r#"{{"source":"attic","time":"{time}","value":{value}}}"#);
    assert_eq!(found, [(2, row(1, 5)), (3, "1,2,3".to_owned()), (4, row(2, 6))]);
}

#[tokio::test]
async fn blank_lines_are_no_events_and_change_no_number() {
    for end in ["\n", "\r\n"] {
        let world = World::of(UploadSettings::default());
        let uploads = world.open();
        let ndjson = ["", " ", r#"{"a": 1}"#, "", "\t", "nope", r#"{"a": 2}"#, "", ""].join(end);
        let id = ask(&uploads, "ann", ndjson_of("telemetry")).await;
        put(&uploads, "ann", &id, ndjson).await;
        let csv = ["", "value,code", "", "1,a", " ", "2", "", "3,c", "", ""].join(end);
        let table = ask(&uploads, "ann", json!({"dataset": "telemetry", "format": "csv"})).await;
        put(&uploads, "ann", &table, csv).await;
        // A text that is an array only from its second line on is one all the same.
        let array = ask(&uploads, "ann", ndjson_of("telemetry")).await;
        put(&uploads, "ann", &array, ["", "[", "  {\"a\": 1},", "]"].join(end)).await;
        let blank = ask(&uploads, "ann", ndjson_of("telemetry")).await;
        put(&uploads, "ann", &blank, ["", " ", ""].join(end)).await;
        let loader = tokio::spawn(uploads.clone().load());
        let told = ended(&uploads, &id).await;
        assert_eq!((&told["state"], &told["accepted"], &told["odd"]), (&json!("done"), &json!(3), &json!(1)), "{told}");
        assert_eq!(
            told["odd_lines"],
            json!([{"line": 6, "problem": "it is no JSON object, which an event is; look for it among the dead letters"}]),
            "{told}"
        );
        let told = ended(&uploads, &table).await;
        assert_eq!(
            (&told["state"], &told["accepted"], &told["lines"]),
            (&json!("done"), &json!(3), &json!(8)),
            "{told}"
        );
        assert_eq!((&told["odd_lines"][0]["line"], &told["odd"]), (&json!(6), &json!(1)), "{told}");
        let told = ended(&uploads, &array).await;
        assert!(told["error"].as_str().is_some_and(|error| error.starts_with("line 2: it begins with `[`")), "{told}");
        let told = ended(&uploads, &blank).await;
        assert_eq!((&told["state"], &told["accepted"], &told["odd"]), (&json!("done"), &json!(0), &json!(0)), "{told}");
        uploads.stop();
        loader.await.unwrap();
        let numbers: Vec<_> =
            events(&world.stream).into_iter().map(|((_, _, number), (event, _))| (event, number)).collect();
        let number =
            |event: &str| numbers.iter().find(|(known, _)| known == event.as_bytes()).map(|(_, number)| *number);
        assert_eq!((number(r#"{"a": 1}"#), number("nope"), number(r#"{"a": 2}"#)), (Some(3), Some(6), Some(7)));
        assert_eq!(numbers.len(), 6, "{numbers:?}");
    }
}

/// So many lines that they are read and put in several parts.
fn long_content(lines: u32) -> Vec<u8> {
    (1..=lines)
        .flat_map(|line| format!("{{\"value\": {line}, \"note\": \"{}\"}}\n", "x".repeat(80)).into_bytes())
        .collect()
}

#[tokio::test]
async fn a_crash_on_the_way_loses_no_event_and_gives_none_another_id() {
    let lines = 60_000;
    let content = long_content(lines);
    // After so many batches that were stored, of one a part is, and then the node is gone.
    for batches in [0, 1, 2] {
        let mut world = World::of(UploadSettings { record_bytes: 64 * 1024, ..UploadSettings::default() });
        let stored = (0..batches).map(|_| Fate::Refuses(usize::MAX, Refusal::Full));
        world.stream = Arc::new(MemoryStream::fated(stored.chain([Fate::Refuses(3, Refusal::Full), Fate::Waits])));
        let uploads = world.open();
        let id = ask(&uploads, "ann", ndjson()).await;
        put(&uploads, "ann", &id, content.clone()).await;
        let loader = tokio::spawn(uploads.clone().load());
        while world.stream.fates_left() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        loader.abort();
        let _ = loader.await;
        let partly: usize = events(&world.stream).values().map(|(_, times)| times).sum();
        assert!((1..lines as usize).contains(&partly), "{partly}");
        drop(uploads);
        let again = world.open();
        let before = status(&again, &id).await;
        assert_eq!(before["state"], "loading");
        assert_eq!(before["accepted"].as_u64().unwrap() > 0, batches > 0, "it goes on where it was");
        let ended = load(&again, &id).await;
        assert_eq!(
            (&ended["state"], &ended["accepted"], &ended["lines"]),
            (&json!("done"), &json!(lines), &json!(lines))
        );
        let found = events(&world.stream);
        assert_eq!(found.keys().map(|(_, _, line)| *line).collect::<Vec<_>>(), (1..=lines).collect::<Vec<_>>());
        let twice = found.values().filter(|(_, times)| *times > 1).count();
        assert!(twice > 0 && twice < 4_000, "only what was put last is put again, and not {twice}");
    }
}

#[tokio::test]
async fn a_stream_that_is_full_or_fails_is_asked_again_until_it_has_all() {
    let mut world = World::of(UploadSettings { record_bytes: 1024, ..UploadSettings::default() });
    world.stream = Arc::new(MemoryStream::fated([
        Fate::Fails(Advice::BackOff),
        Fate::Refuses(2, Refusal::Full),
        Fate::Refuses(0, Refusal::Failed("disk".to_owned())),
    ]));
    let uploads = world.open();
    let id = ask(&uploads, "ann", ndjson()).await;
    put(&uploads, "ann", &id, long_content(100)).await;
    assert_eq!(load(&uploads, &id).await["accepted"], 100);
    assert!(events(&world.stream).values().all(|(_, times)| *times == 1));
}

#[tokio::test]
async fn a_file_of_another_kind_fails_and_says_of_which() {
    let world = World::of(UploadSettings::default());
    let uploads = world.open();
    let loader = tokio::spawn(uploads.clone().load());
    let utf16 = b"\xFF\xFE{\0}\0";
    let csv = json!({"dataset": "telemetry", "format": "csv"});
    for (asked, content, problem) in [
        (ndjson(), &b"BZh91AY&SY"[..], "the file is compressed with bzip2; expected NDJSON or CSV in UTF-8"),
        (ndjson(), b"PAR1\x15\x04", "the file is Parquet; expected"),
        (csv.clone(), b"PK\x03\x04\x14", "the file is a ZIP archive; expected"),
        (csv.clone(), utf16, "the file is text in UTF-16; expected"),
        (csv.clone(), b"{\"time\": 1, \"value\": 2}\n", "line 1: the first line is JSON; expected a header line"),
        (csv, b"time;value\n1;2\n", "line 1: the header is one column with ';' in its name; expected commas"),
    ] {
        let id = ask(&uploads, "ann", asked).await;
        put(&uploads, "ann", &id, content.to_vec()).await;
        let told = ended(&uploads, &id).await;
        let error = told["error"].as_str().unwrap_or_default();
        assert!(told["state"] == "failed" && error.starts_with(problem), "{told}");
    }
    uploads.stop();
    loader.await.unwrap();
    assert_eq!(events(&world.stream).len(), 0);
}

#[tokio::test]
async fn a_line_that_cannot_be_put_is_left_out_and_counted() {
    let world = World::of(UploadSettings { event_bytes: 100, ..UploadSettings::default() });
    let uploads = world.open();
    let id = ask(&uploads, "ann", ndjson()).await;
    // What is left out is no dead letter besides.
    let large = "x".repeat(101);
    let endless = "y".repeat(3_000_000);
    put(&uploads, "ann", &id, format!("{{\"a\":1}}\n{large}\n{{\"a\":2}}\n{endless}\n{{\"a\":3}}\n")).await;
    let ended = load(&uploads, &id).await;
    assert_eq!((&ended["accepted"], &ended["odd"], &ended["lines"]), (&json!(3), &json!(2), &json!(5)));
    let odd: Vec<_> = ended["odd_lines"].as_array().unwrap().iter().map(|odd| odd["line"].as_u64().unwrap()).collect();
    assert_eq!(odd, [2, 4]);
    let lines: Vec<_> = events(&world.stream).into_keys().map(|(_, _, line)| line).collect();
    assert_eq!(lines, [1, 3, 5]);
}

#[tokio::test]
async fn content_is_put_once_and_what_breaks_off_leaves_nothing() {
    let idle_time = Duration::from_millis(100);
    let limits =
        UploadSettings { max_bytes: 1_000, stored_bytes: 2_500, concurrent_puts: 5, ..UploadSettings::default() };
    let mut world = World::of(UploadSettings { idle_time, ..limits });
    let uploads = world.open();
    let id = ask(&uploads, "ann", ndjson()).await;
    let chunks = |chunks: Vec<Result<Bytes, std::io::Error>>| Body::from_stream(futures::stream::iter(chunks));
    let some = || Ok(Bytes::from_static(b"{\"value\": 1}\n"));
    assert_eq!(put_refused(&uploads, &id, "").await, (400, "no-event".to_owned()));
    assert_eq!(put_refused(&uploads, &id, vec![b'x'; 1_001]).await, (413, "file-too-large".to_owned()));
    let growing = (0..100).map(|_| some()).collect();
    assert_eq!(put_refused(&uploads, &id, chunks(growing)).await, (413, "file-too-large".to_owned()));
    let broken = chunks(vec![some(), Err(std::io::Error::other("gone"))]);
    assert_eq!(put_refused(&uploads, &id, broken).await, (400, "body-broken".to_owned()));
    let slow =
        Body::from_stream(futures::StreamExt::chain(futures::stream::iter([some()]), futures::stream::pending()));
    assert_eq!(put_refused(&uploads, &id, slow).await, (408, "body-too-slow".to_owned()));
    assert_eq!(world.files(), ["json"]);

    world.settings.idle_time = Duration::from_secs(60);
    let uploads = world.open();
    // A second one while the first is arriving; then the first's sender goes.
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let arriving = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let first = tokio::spawn({
        let (uploads, id) = (uploads.clone(), id.clone());
        async move { put(&uploads, "ann", &id, Body::from_stream(arriving)).await }
    });
    sender.send(some()).await.unwrap();
    sender.send(some()).await.unwrap();
    assert_eq!(put_refused(&uploads, &id, "{}").await, (409, "upload-arriving".to_owned()));
    let other = ask(&uploads, "ann", ndjson()).await;
    uploads.table().begin(&other, &world.settings).unwrap();
    let third = ask(&uploads, "ann", ndjson()).await;
    assert_eq!(put_refused(&uploads, &third, "{}").await, (429, "too-many-requests".to_owned()));
    uploads.table().broke_off(&other);
    first.abort();
    let _ = first.await;
    assert_eq!(world.files(), ["json", "json", "json"]);

    assert_eq!(put(&uploads, "ann", &id, vec![b'1'; 1_000]).await.status(), 202);
    assert_eq!(put_refused(&uploads, &id, "{}").await, (409, "upload-has-content".to_owned()));
    let refused = put_refused(&uploads, &other, vec![b'2'; 501]).await;
    assert_eq!(refused, (503, "uploads-full".to_owned()), "what one owner may have");
    for (owner, bytes, status) in [("bob", 1_000, 202), ("eve", 501, 503), ("eve", 500, 202)] {
        let id = ask(&uploads, owner, ndjson()).await;
        assert_eq!(put(&uploads, owner, &id, vec![b'3'; bytes]).await.status(), status, "{owner} {bytes}");
    }
    assert_eq!(load(&uploads, &id).await["state"], "done");
    assert_eq!(put_refused(&uploads, &other, "{}").await, (503, "shutting-down".to_owned()));
    let again = world.open();
    assert_eq!(put(&again, "ann", &other, vec![b'2'; 501]).await.status(), 202, "there is room again");
}

#[tokio::test]
async fn an_upload_is_unknown_to_others_and_forgotten_in_time() {
    let world =
        World::of(UploadSettings { ended: 2, unfinished_of_owner: 3, unfinished: 4, ..UploadSettings::default() });
    let uploads = world.open();
    let id = ask(&uploads, "ann", ndjson()).await;
    for method in ["GET", "DELETE"] {
        let path = format!("/v1/uploads/{id}");
        let answer = call(&uploads, "bob", method, &path, "").await;
        let refused = refusal(answer, &method.to_lowercase(), "/v1/uploads/{id}").await;
        assert_eq!(refused, (404, "unknown-upload".to_owned()));
    }
    let of_bob = put(&uploads, "bob", &id, "{}").await;
    assert_eq!(refusal(of_bob, "put", "/v1/uploads/{id}/content").await, (404, "unknown-upload".to_owned()));
    let listed = async |owner: &str, query: &str| {
        let path = format!("/v1/uploads{query}");
        json_of(call(&uploads, owner, "GET", &path, "").await).await["uploads"].as_array().unwrap().len()
    };
    ask(&uploads, "bob", ndjson()).await;
    for query in ["?ownr=bob", "?owner=ann&owner=bob", "?owner=%FF"] {
        let refused = call(&uploads, "", "GET", &format!("/v1/uploads{query}"), "").await;
        assert_eq!(refusal(refused, "get", "/v1/uploads").await, (400, "bad-parameter".to_owned()), "{query}");
    }
    for (owner, query, count) in
        [("ann", "", 1), ("admin", "", 2), ("admin", "?owner=bob", 1), ("admin", "?owner=eve", 0), ("", "", 2)]
    {
        assert_eq!(listed(owner, query).await, count, "{owner} {query}");
    }

    // Shares.
    for _ in 0..2 {
        ask(&uploads, "ann", ndjson()).await;
    }
    for owner in ["ann", "bob"] {
        let refused = call(&uploads, owner, "POST", "/v1/uploads", ndjson().to_string()).await;
        assert_eq!(refusal(refused, "post", "/v1/uploads").await, (429, "too-many-uploads".to_owned()));
    }

    // A link is good for 15 minutes; clocks may differ a little.
    world.clock.set(NOW + (15 * 60 + 59) * SECOND);
    assert_eq!(put(&uploads, "ann", &id, "{}").await.status(), 202);
    world.clock.set(NOW + (15 * 60 + 61) * SECOND);
    let loader = tokio::spawn(uploads.clone().load());
    ended(&uploads, &id).await;
    let mut last = id.clone();
    for _ in 0..2 {
        world.clock.advance(SECOND);
        // Those that waited for nothing are gone, so that there is room.
        last = ask(&uploads, "ann", ndjson()).await;
        put(&uploads, "ann", &last, format!("{{}} {last}")).await;
        ended(&uploads, &last).await;
    }
    uploads.stop();
    loader.await.unwrap();
    let again = world.open();
    let known = async |id: &str| status(&again, id).await["state"].clone();
    ask(&again, "bob", ndjson()).await;
    assert_eq!(known(&id).await, Value::Null, "two that have ended are remembered");
    assert_eq!(known(&last).await, "done");
    world.clock.advance(7 * 24 * 3600 * SECOND + SECOND);
    ask(&again, "bob", ndjson()).await;
    assert_eq!(known(&last).await, Value::Null);
    assert_eq!(world.files(), ["json"]);
}

#[tokio::test]
async fn owners_take_turns() {
    let world = World::of(UploadSettings::default());
    let uploads = world.open();
    for (owner, content) in [("ann", "1"), ("ann", "2"), ("ann", "3"), ("bob", "4")] {
        let id = ask(&uploads, owner, ndjson()).await;
        put(&uploads, owner, &id, content).await;
        world.clock.advance(SECOND);
    }
    let order: Vec<_> = (0..4)
        .map(|_| {
            let mut next = uploads.table().next().unwrap();
            next.end(NOW, None);
            uploads.table().update(next.clone());
            next.owner
        })
        .collect();
    assert_eq!(order, ["ann", "bob", "ann", "ann"]);
}

#[tokio::test]
async fn what_is_taken_back_or_erased_is_loaded_no_further() {
    let world = World::of(UploadSettings { record_bytes: 64 * 1024, ..UploadSettings::default() });
    let uploads = world.open();
    let loading = ask(&uploads, "ann", ndjson()).await;
    let of_bob = ask(&uploads, "bob", ndjson()).await;
    let data = ask(&uploads, "ann", json!({"dataset": "data", "format": "csv"})).await;
    put(&uploads, "ann", &loading, long_content(60_000)).await;
    let loader = tokio::spawn(uploads.clone().load());
    while status(&uploads, &loading).await["accepted"] == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    uploads.forget_owner("ann", Some("telemetry")).await.unwrap();
    let in_stream = world.stream.records().len();
    assert!(status(&uploads, &loading).await["state"].is_null());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.stream.records().len(), in_stream);
    assert_eq!(world.files(), ["json", "json"]);
    assert_eq!(call(&uploads, "ann", "DELETE", &format!("/v1/uploads/{data}"), "").await.status(), 204);
    assert_eq!(put_refused(&uploads, &data, "{}").await, (404, "unknown-upload".to_owned()));
    assert_eq!(status(&uploads, &of_bob).await["state"], "waiting");
    uploads.stop();
    loader.await.unwrap();
    forget_owner(&world.path(), "bob", None).unwrap();
    assert_eq!(world.files(), [""; 0]);
}

#[tokio::test]
async fn what_a_crash_left_behind_is_thrown_away_and_what_is_gone_is_said() {
    let world = World::of(UploadSettings::default());
    let uploads = world.open();
    let (waiting, queued) = (ask(&uploads, "ann", ndjson()).await, ask(&uploads, "ann", ndjson()).await);
    put(&uploads, "ann", &queued, "{}").await;
    let at = |id: &str, ending: &str| world.path().join(id).with_extension(ending);
    std::fs::write(at(&waiting, "draft"), "{").unwrap();
    std::fs::write(at(&waiting, "content"), "{}").unwrap();
    std::fs::write(at("0", "content"), "{}").unwrap();
    std::fs::remove_file(at(&queued, "content")).unwrap();
    std::fs::write(at("1", "json"), "{").unwrap();
    let again = world.open();
    assert_eq!(status(&again, &waiting).await["state"], "waiting");
    let failed = status(&again, &queued).await;
    assert!(failed["state"] == "failed" && failed["error"].as_str().unwrap().contains("gone"), "{failed}");
    assert_eq!(world.files(), ["json", "json", "json"]);
    assert_eq!(put(&again, "ann", &waiting, "{}").await.status(), 202);
}

#[test]
fn settings_that_cannot_hold_together_are_refused_by_name() {
    let default = UploadSettings::default;
    default().check().unwrap();
    for (settings, named) in [
        (UploadSettings { max_bytes: 0, ..default() }, "uploads.max_bytes"),
        (UploadSettings { stored_bytes: 5, ..default() }, "uploads.stored_bytes"),
        (UploadSettings { unfinished_of_owner: 0, ..default() }, "uploads.unfinished_of_owner"),
        (UploadSettings { kept: Duration::ZERO, ..default() }, "uploads.kept"),
    ] {
        assert!(settings.check().unwrap_err().to_string().starts_with(named), "{named}");
    }
}

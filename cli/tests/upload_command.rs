//! `alluvium upload`, with a node, and with an API whose links lead to another host.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::stand_in::{Seen, StandIn, answer};
use support::{Node, alluvium, number, run, sql};

/// Batches and commits in quick succession.
const HASTY: [(&str, &str); 2] = [("ALLUVIUM_DELIVERY__BUFFER", "20ms"), ("ALLUVIUM_COMMIT__INTERVAL", "30ms")];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the program with this on its standard input.
fn run_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut child =
        alluvium().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_and_standard_input_are_loaded_and_nothing_is_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start_with(&data, &[], &HASTY);
    let at = data.to_str().unwrap();
    let attic = folder.path().join("attic.csv");
    std::fs::write(&attic, "time,value,unit\n2026-01-31T12:00:00Z,21.5,Cel\n2026-01-31T12:01:00Z,21.6,Cel,x\n")
        .unwrap();
    let cellar = folder.path().join("cellar.ndjson.gz");
    std::fs::write(
        &cellar,
        gzip(b"{\"source\": \"cellar\", \"value\": 7}\n\n{\"source\": \"cellar\", \"value\": 8}\n"),
    )
    .unwrap();

    let files = [attic.to_str().unwrap(), cellar.to_str().unwrap()];
    for _ in 0..2 {
        let printed = run(&["--json", "upload", files[0], files[1], "--dataset", "telemetry", "--data", at]);
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        let told: Value = serde_json::from_slice(&printed.stdout).unwrap();
        assert_eq!((&told["accepted"], &told["odd"], &told["failed"]), (&json!(4), &json!(1), &json!(0)), "{told}");
        assert_eq!(told["uploads"][0]["file"], files[0]);
        assert_eq!(told["uploads"][0]["odd_lines"][0]["line"], 3, "{told}");
        assert_eq!((&told["uploads"][1]["state"], &told["uploads"][1]["lines"]), (&json!("done"), &json!(3)), "{told}");
    }
    let row = b"{\"source\": \"pipe\", \"value\": 1}";
    let piped = run_with_input(&["upload", "-", "--format", "ndjson", "--dataset", "telemetry", "--data", at], row);
    assert!(piped.status.success(), "{}", text(&piped.stderr));
    assert!(
        text(&piped.stdout).starts_with("standard input: 1 event of 1 line, as upload "),
        "{}",
        text(&piped.stdout)
    );
    node.stop();

    let of = |source: &str| number(&data, &format!("select count(*) from telemetry where source = '{source}'"));
    assert_eq!((of("attic"), of("cellar"), of("pipe")), (1, 2, 1));
    assert_eq!(number(&data, "select count(*) from telemetry_raw where source = 'cellar'"), 4);
    assert_eq!(number(&data, "select count(distinct original) from dead_letters"), 1);
}

#[test]
fn the_exit_code_says_what_could_not_be_loaded_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start_with(&data, &[], &HASTY);
    let broken = folder.path().join("broken.csv");
    std::fs::write(&broken, "source,value\na,1\nb,\"2\n").unwrap();
    let good = folder.path().join("good.csv");
    std::fs::write(&good, "source,value\nc,3\n").unwrap();
    let args = ["upload", broken.to_str().unwrap(), good.to_str().unwrap(), "--dataset", "telemetry", "--url"];
    let url = node.url();
    let upload = |more: &[&str], token: &str| {
        alluvium().args(args).arg(&url).args(more).env("ALLUVIUM_TOKEN", token).output().unwrap()
    };
    let printed = upload(&[], &node.token);
    let said = text(&printed.stdout);
    assert_eq!(printed.status.code(), Some(1), "{said}");
    assert!(said.contains("broken.csv: 1 event of 2 lines") && said.contains("failed: line 3: "), "{said}");
    assert!(
        said.contains("good.csv: 1 event of 2 lines"),
        "one that fails does not keep others from being loaded: {said}"
    );

    let printed = upload(&["--no-wait"], &node.token);
    assert!(printed.status.success(), "what becomes of it is not known yet: {}", text(&printed.stderr));
    let printed = upload(&["--owner", "somebody"], &node.token);
    assert!(printed.status.success() || printed.status.code() == Some(1), "{}", text(&printed.stderr));
    let printed = upload(&[], "made-up");
    let said = text(&printed.stderr);
    assert_eq!(printed.status.code(), Some(1));
    assert!(said.contains("broken.csv: ") && said.contains("`alluvium token` makes one"), "{said}");
    node.stop();
    let owners = sql(&data, "select count(*) as n from telemetry where owner = 'somebody'");
    assert_eq!(owners[0]["n"], 2, "the node's own token is an admin's, who may name an owner");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let (at, inside) = (data.to_str().unwrap(), folder.path().to_str().unwrap());
    let good = folder.path().join("good.ndjson");
    std::fs::write(&good, "{\"value\": 1}\n").unwrap();
    let good = good.to_str().unwrap();
    let empty = folder.path().join("empty.ndjson");
    std::fs::write(&empty, "").unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&[good, "missing.csv"], "missing.csv cannot be read"),
        (&[good, inside], "is a folder"),
        (&[good, empty.to_str().unwrap()], "is empty"),
        (&["-", "-", "--format", "csv"], "more than once"),
        (&["-"], "--format"),
        (&[good, good, "--name", "x.csv"], "--name"),
        (&[good, "--dataset", "nothing"], "there is no dataset"),
        (&[good, "--name", "attic.parquet"], "`format` is missing"),
        (&[good, "--data", inside], "no node runs on"),
    ];
    for (args, words) in cases {
        let mut args = [&["upload"], args].concat();
        for (flag, value) in [("--dataset", "telemetry"), ("--data", at)] {
            if !args.contains(&flag) {
                args.extend([flag, value]);
            }
        }
        let printed = run(&args);
        let said = text(&printed.stderr);
        assert_eq!(printed.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    assert_eq!(node.get("/v1/uploads").json()["uploads"], json!([]));
    node.stop();
}

/// An API that answers with a link to `host`, and knows of each upload that it is done.
fn api(host: &str, headers: Value) -> StandIn {
    let status = json!({"id": "u1", "state": "done", "lines": 1, "accepted": 1}).to_string();
    api_that_knows(host, headers, move || answer("200 OK", "application/json", &status))
}

/// An API that answers with a link to `host`, and like this when it is asked how far an upload is.
fn api_that_knows(host: &str, headers: Value, status: impl Fn() -> String + Send + 'static) -> StandIn {
    let url = format!("{host}/bucket/key?X-Amz-Signature=c0ffee");
    StandIn::start(move |seen| match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", _) => {
            let place = json!({"id": "u1", "url": url, "expires": "2026-01-31T12:15:00Z", "max_bytes": 1000, "headers": headers});
            answer("201 Created", "application/json", &place.to_string())
        }
        ("DELETE", _) => answer("204 No Content", "application/json", ""),
        _ => status(),
    })
}

fn upload_to(api: &StandIn, file: &Path, input: &[u8]) -> Output {
    let mut command = alluvium();
    command.args([
        "upload",
        file.to_str().unwrap(),
        "--format",
        "ndjson",
        "--dataset",
        "telemetry",
        "--url",
        &api.url(),
    ]);
    command.env("ALLUVIUM_TOKEN", "the-token").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn a_link_to_another_host_is_followed_and_the_token_stays_here() {
    let folder = tempfile::tempdir().unwrap();
    let row = b"{\"value\": 1}\n";
    let file = folder.path().join("rows.ndjson");
    std::fs::write(&file, row).unwrap();
    for (file, input) in [(file.as_path(), &b""[..]), (Path::new("-"), row)] {
        let store = StandIn::start(|_| answer("200 OK", "application/xml", ""));
        let api = api(&store.url(), json!({"x-amz-server-side-encryption": "aws:kms"}));
        let printed = upload_to(&api, file, input);
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        let [put] = &store.seen()[..] else { panic!("one request, and no other: {:?}", store.seen()) };
        assert_eq!((put.method.as_str(), put.target.as_str()), ("PUT", "/bucket/key?X-Amz-Signature=c0ffee"));
        assert_eq!(put.body, row);
        assert_eq!(put.header("x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(put.header("content-length"), Some("13"), "S3 takes nothing that does not say how long it is");
        assert_eq!(put.header("authorization"), None);
        let shown: Vec<_> = api.seen().iter().map(|seen| seen.header("authorization").map(str::to_owned)).collect();
        assert_eq!(shown, [Some("Bearer the-token".to_owned()), Some("Bearer the-token".to_owned())]);
    }
}

#[test]
fn what_another_host_refuses_is_told_without_the_link_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.ndjson");
    std::fs::write(&file, "{\"value\": 1}\n").unwrap();
    let refusal = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    let store = StandIn::start(move |_| answer("403 Forbidden", "application/xml", refusal));
    let elsewhere = StandIn::start(|_| answer("307 Temporary Redirect", "application/xml", ""));
    for (host, words) in
        [(store.url(), "Request has expired"), (elsewhere.url(), "307"), ("ftp://x".to_owned(), "link")]
    {
        let api = api(&host, json!({}));
        let printed = upload_to(&api, &file, b"");
        let said = text(&printed.stderr);
        assert_eq!(printed.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && !said.contains("c0ffee"), "{said}");
        let last = api.seen().last().map(|Seen { method, target, .. }| (method.clone(), target.clone()));
        assert_eq!(last, Some(("DELETE".to_owned(), "/v1/uploads/u1".to_owned())));
    }
    std::fs::write(&file, "{\"value\": 1}\n".repeat(100)).unwrap();
    for (file, input) in [(file.as_path(), &b""[..]), (Path::new("-"), &b" ".repeat(2000)[..])] {
        let before = store.seen().len();
        let printed = upload_to(&api(&store.url(), json!({})), file, input);
        assert!(text(&printed.stderr).contains("longer than 1000 bytes"), "{}", text(&printed.stderr));
        assert_eq!(store.seen().len(), before, "it is not sent to be refused");
    }
}

/// What an API answers that knows of an upload in this state.
fn status(state: &str) -> String {
    answer("200 OK", "application/json", &json!({"id": "u1", "state": state, "lines": 1, "accepted": 1}).to_string())
}

fn deletes(api: &StandIn) -> usize {
    api.seen().iter().filter(|seen| seen.method == "DELETE").count()
}

/// What does not say whether a file was taken: no answer, one of a host at fault, and that there is a file already.
fn unclear() -> [String; 3] {
    let conflict = json!({"type": "/problems/upload-has-content", "title": "Upload has content", "status": 409, "detail": "it is here"});
    [
        String::new(),
        answer("500 Internal Server Error", "application/xml", "<Error/>"),
        answer("409 Conflict", "application/problem+json", &conflict.to_string()),
    ]
}

#[test]
fn a_file_whose_answer_was_lost_is_not_taken_back_when_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.ndjson");
    std::fs::write(&file, "{\"value\": 1}\n").unwrap();
    for unclear in unclear() {
        let store = StandIn::start(move |_| unclear.clone());
        let api = api(&store.url(), json!({}));
        let printed = upload_to(&api, &file, b"");
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        assert_eq!((store.seen().len(), deletes(&api)), (1, 0));
    }
}

#[test]
fn what_may_not_have_been_taken_is_put_again_a_few_times() {
    let folder = tempfile::tempdir().unwrap();
    let row = b"{\"value\": 1}\n";
    let file = folder.path().join("rows.ndjson");
    std::fs::write(&file, row).unwrap();
    for (file, input) in [(file.as_path(), &b""[..]), (Path::new("-"), row)] {
        // The third time it is taken.
        let puts = Arc::new(AtomicUsize::new(0));
        let counted = puts.clone();
        let store = StandIn::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            0 => String::new(),
            1 => answer("503 Service Unavailable", "application/xml", "<Error><Code>SlowDown</Code></Error>"),
            _ => answer("200 OK", "application/xml", ""),
        });
        let known = move || status(if puts.load(Ordering::SeqCst) < 3 { "waiting" } else { "done" });
        let api = api_that_knows(&store.url(), json!({}), known);
        let printed = upload_to(&api, file, input);
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        let bodies: Vec<_> = store.seen().into_iter().map(|put| put.body).collect();
        assert_eq!((bodies, deletes(&api)), (vec![row.to_vec(); 3], 0));
    }
}

#[test]
fn what_is_taken_by_nobody_is_taken_back_and_what_nobody_knows_of_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.ndjson");
    std::fs::write(&file, "{\"value\": 1}\n").unwrap();
    let unknown = || answer("502 Bad Gateway", "text/plain", "");
    for (known, words, deleted) in [
        ((|| status("waiting")) as fn() -> String, "did not say that it took it", 1),
        (unknown, "it may be there or not: GET /v1/uploads/u1 tells", 0),
    ] {
        let store = StandIn::start(|_| String::new());
        let api = api_that_knows(&store.url(), json!({}), known);
        let printed = upload_to(&api, &file, b"");
        let said = text(&printed.stderr);
        assert_eq!(printed.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && !said.contains("c0ffee"), "{said}");
        assert_eq!((store.seen().len(), deletes(&api)), (4, deleted));
    }
}

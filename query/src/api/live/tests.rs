#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use alluvium_core::arrivals::Arrived;
use alluvium_core::ports::PortError;
use alluvium_core::{Caller, Roles, SequenceNumber, ShardId};
use async_trait::async_trait;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::records::tests::world::{Event as Made, SECOND, World, batch_of};

fn at(n: u64) -> Positions {
    [(ShardId::numbered(0), SequenceNumber::from(n))].into_iter().collect()
}

/// Answers what it is told to, one thing after the other, and then that nothing more will come. Remembers what it was asked.
#[derive(Debug, Default)]
struct Told {
    answers: Mutex<VecDeque<Result<Next, PortError>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Arrivals for Told {
    async fn newest(&self) -> Result<Positions, PortError> {
        Ok(at(100))
    }

    async fn after(&self, positions: &Positions, _: Duration) -> Result<Next, PortError> {
        self.asked.lock().unwrap().push(positions.to_string());
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(Next::Ended))
    }
}

fn piece(n: u64, events: &[(&str, &str, &str)]) -> Result<Next, PortError> {
    let made = |(id, owner, source): &(&str, &str, &str)| Made {
        id: (*id).into(),
        owner: (*owner).into(),
        source: (*source).into(),
        time: SECOND,
        arrival: SECOND,
    };
    let rows = batch_of(&events.iter().map(made).collect::<Vec<_>>());
    Ok(Next::Arrived(Arc::new(Arrived { positions: at(n), rows: vec![("telemetry".to_owned(), rows)] })))
}

struct Bench {
    told: Arc<Told>,
    api: LiveApi,
}

impl Bench {
    fn of(answers: Vec<Result<Next, PortError>>, most: usize) -> Self {
        let told = Arc::new(Told { answers: Mutex::new(answers.into()), ..Told::default() });
        let records = RecordsApi { records: World::at(SECOND).records, owner: None };
        let api = LiveApi::new(records, told.clone(), most);
        Self { told, api }
    }

    async fn ask(&self, path: &str, last: Option<&str>, caller: Option<Caller>) -> Response {
        let mut request = Request::builder().uri(path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut request = request.body(Body::empty()).unwrap();
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        live_routes(self.api.clone()).oneshot(request).await.unwrap()
    }

    /// The whole of a tail that ends, and what was asked for it.
    async fn tail(&self, path: &str, last: Option<&str>, caller: Option<Caller>) -> (String, Vec<String>) {
        let response = self.ask(path, last, caller).await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), std::mem::take(&mut *self.told.asked.lock().unwrap()))
    }
}

/// The ids of the records in a tail, and the ids of its events.
fn read(tail: &str) -> (Vec<String>, Vec<&str>) {
    let data = tail.lines().filter_map(|line| line.strip_prefix("data: "));
    let ids = data
        .filter_map(|data| Some(serde_json::from_str::<serde_json::Value>(data).unwrap()["id"].as_str()?.to_owned()));
    (ids.collect(), tail.lines().filter_map(|line| line.strip_prefix("id: ")).collect())
}

fn caller(owner: &str, roles: &str) -> Option<Caller> {
    Caller::new(owner, Roles::of_text(roles))
}

const S0: &str = "shardId-000000000000";

#[tokio::test]
async fn records_come_in_order_and_the_last_of_a_piece_says_where_it_ends() {
    let bench = Bench::of(
        vec![piece(101, &[("1", "ann", "a"), ("2", "bob", "b")]), Ok(Next::Nothing), piece(103, &[("3", "ann", "a")])],
        9,
    );
    let (tail, asked) = bench.tail("/v1/telemetry/live", None, None).await;
    assert_eq!(asked, [100, 101, 101, 103].map(|n| format!("{S0}:{n}")));
    let (records, ids) = read(&tail);
    assert_eq!((records, ids.len()), (vec!["1".into(), "2".into(), "3".into()], 3));
    assert_eq!((ids[0], ids[2]), (&*format!("{S0}:101"), &*format!("{S0}:103")));
    assert!(tail.starts_with("event: record\ndata: {\"id\":\"1\","), "{tail}");
}

#[tokio::test]
async fn a_tail_goes_on_where_it_was_broken_off_or_says_that_it_cannot() {
    let bench = Bench::of(vec![piece(43, &[("1", "ann", "a")])], 9);
    let (tail, asked) = bench.tail("/v1/telemetry/live", Some(&format!("{S0}:42")), None).await;
    assert_eq!((read(&tail).0.len(), &*asked[0]), (1, &*format!("{S0}:42")));
    let never = || Err(PortError::new(Advice::Stop, "the log never had it"));
    for answer in [Ok(Next::Gone), never()] {
        let bench = Bench::of(vec![answer, piece(101, &[("1", "ann", "a")])], 9);
        let (tail, asked) = bench.tail(&format!("/v1/telemetry/live?last_event_id={S0}:7"), None, None).await;
        assert!(tail.starts_with("event: reset\n") && tail.contains(&format!("id: {S0}:100")), "{tail}");
        assert_eq!((read(&tail).0.len(), &*asked[1]), (1, &*format!("{S0}:100")));
    }
    // Once it was fine, a failure is one.
    let bench = Bench::of(vec![piece(101, &[]), never()], 9);
    assert!(bench.tail("/v1/telemetry/live", None, None).await.0.contains("event: failed\n"));
    for last in ["x", "a:b"] {
        assert_eq!(bench.ask("/v1/telemetry/live", Some(last), None).await.status().as_u16(), 400, "{last}");
    }
}

#[tokio::test]
async fn a_reader_hears_of_their_own_records_and_of_the_source_that_they_named() {
    let events = [("1", "ann", "a"), ("2", "bob", "a"), ("3", "ann", "b")];
    for (path, caller, expected) in [
        ("/v1/telemetry/live", caller("ann", "data.read"), Some(vec!["1", "3"])),
        ("/v1/telemetry/live?source=a", caller("ann", "data.read"), Some(vec!["1"])),
        ("/v1/telemetry/live?owner=bob", caller("ann", "data.read"), None),
        ("/v1/telemetry/live?owner=bob", caller("root", "data.admin"), Some(vec!["2"])),
        ("/v1/telemetry/live", caller("root", "data.admin"), Some(vec!["1", "2", "3"])),
    ] {
        let bench = Bench::of(vec![piece(101, &events)], 9);
        match expected {
            Some(expected) => assert_eq!(read(&bench.tail(path, None, caller).await.0).0, expected, "{path}"),
            None => assert_eq!(bench.ask(path, None, caller).await.status().as_u16(), 403, "{path}"),
        }
    }
}

#[tokio::test]
async fn who_hears_nothing_is_told_now_and_then_how_far_the_stream_was_read() {
    let pieces = (1..=130).map(|n| piece(100 + n, &[("1", "bob", "a")])).collect();
    let bench = Bench::of(pieces, 9);
    let (tail, _) = bench.tail("/v1/telemetry/live", None, caller("ann", "data.read")).await;
    let (records, ids) = read(&tail);
    assert_eq!((records.len(), ids), (0, vec![&*format!("{S0}:164"), &*format!("{S0}:228")]));
}

#[tokio::test]
async fn there_are_only_so_many_tails_and_what_is_wrong_is_said() {
    let bench = Bench::of(vec![], 1);
    let first = bench.ask("/v1/telemetry/live", None, None).await;
    let refused = bench.ask("/v1/telemetry/live", None, None).await;
    assert_eq!((first.status().as_u16(), refused.status().as_u16()), (200, 429));
    assert!(refused.headers().contains_key("retry-after"));
    drop(first);
    assert_eq!(bench.ask("/v1/telemetry/live", None, None).await.status().as_u16(), 200);
    assert_eq!(bench.ask("/v1/nothing/live", None, None).await.status().as_u16(), 404);
    assert_eq!(bench.ask("/v1/telemetry/live?since=1", None, None).await.status().as_u16(), 400);
}

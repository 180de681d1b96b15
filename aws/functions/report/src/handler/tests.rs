#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use alluvium_aws::reports::KeptResult;
use alluvium_core::ManualClock;
use alluvium_core::ports::{Advice, ResultPage, StatementStatus};
use arrow::array::{Array as _, ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use super::*;

const MINUTE: Micros = 60_000_000;
const HOUR: Micros = 60 * MINUTE;
const DAY: Micros = 24_000 * HOUR;

/// An engine that answers two pages of a statement's text, or fails where the text says so.
#[derive(Default)]
struct Echo {
    started: Mutex<Vec<String>>,
    tokens: Mutex<Vec<Option<String>>>,
    failing: Mutex<Option<String>>,
}

#[async_trait]
impl SqlEngine for Echo {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        self.started.lock().unwrap().push(statement.sql.clone());
        self.tokens.lock().unwrap().push(statement.token);
        match &*self.failing.lock().unwrap() {
            Some(part) if statement.sql.contains(part.as_str()) => Err(PortError::new(Advice::Stop, "no such column")),
            _ => Ok(StatementId(statement.sql)),
        }
    }

    async fn status(&self, _: &StatementId) -> Result<StatementStatus, PortError> {
        Err(PortError::new(Advice::Stop, "nobody asks"))
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        let column = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text.to_owned()])) };
        let at = TimestampMicrosecondArray::from(vec![DAY]).with_timezone("UTC");
        let columns: [(&str, ArrayRef); 3] =
            [("text", column(&statement.0)), ("n", Arc::new(Int64Array::from(vec![7]))), ("at", Arc::new(at))];
        let next = page.is_none().then(|| "2".to_owned());
        Ok(ResultPage { batches: vec![RecordBatch::try_from_iter(columns).unwrap()], next })
    }

    async fn cancel(&self, _: &StatementId) -> Result<(), PortError> {
        Ok(())
    }
}

/// What is known, in memory.
struct Memory {
    clock: Arc<ManualClock>,
    kept: Mutex<BTreeMap<String, KeptReport>>,
    files: Mutex<BTreeMap<(String, WindowId), (Bytes, Bytes)>>,
}

impl Memory {
    fn change(&self, report: &str, change: impl FnOnce(&mut KeptReport)) -> KeptReport {
        let mut kept = self.kept.lock().unwrap();
        let known = kept.entry(report.to_owned()).or_insert_with(|| KeptReport::new(self.clock.now_micros()));
        change(known);
        known.clone()
    }
}

#[async_trait]
impl Keeper for Memory {
    async fn know(&self, report: &str, about: &About) -> Result<KeptReport, PortError> {
        Ok(self.change(report, |kept| kept.about = about.clone()))
    }

    async fn publish(&self, report: &str, result: &ReportResult, files: (Bytes, Bytes)) -> Result<(), PortError> {
        self.files.lock().unwrap().insert((report.to_owned(), result.window()), files);
        self.change(report, |kept| {
            kept.failure = None;
            kept.put(KeptResult { result: result.clone(), csv_version: None, parquet_version: None });
        });
        Ok(())
    }

    async fn fail(&self, report: &str, window: WindowId, error: &str) -> Result<(), PortError> {
        let at = self.clock.now_micros();
        self.change(report, |kept| kept.failed(window, at, error));
        Ok(())
    }

    async fn registered(&self, report: &str, columns: &str) -> Result<(), PortError> {
        self.change(report, |kept| kept.table = Some(columns.to_owned()));
        Ok(())
    }

    fn table_location(&self, report: &str) -> String {
        format!("s3://reports/results/{report}/parquet/")
    }
}

struct World {
    clock: Arc<ManualClock>,
    engine: Arc<Echo>,
    memory: Arc<Memory>,
    handler: Handler,
}

impl World {
    /// At half past ten of some day, with these reports of an hour.
    fn of(names: &[&str]) -> Self {
        let clock = Arc::new(ManualClock::at(DAY + 10 * HOUR + 30 * MINUTE));
        let engine = Arc::new(Echo::default());
        let memory = Arc::new(Memory { clock: clock.clone(), kept: Mutex::default(), files: Mutex::default() });
        let definition = |name: &&str| {
            let text = format!("-- title: T\n-- window: 1h\nselect '{name}' where t >= $from and t < $to");
            let report = Report::parse(ReportName::new(name).unwrap(), &text).map_err(|error| error.to_string());
            Definition { name: (*name).to_owned(), report }
        };
        let handler = Handler {
            definitions: names.iter().map(definition).collect(),
            engine: engine.clone(),
            results: memory.clone(),
            database: "alluvium_test".to_owned(),
            result_bytes: 1 << 20,
            clock: clock.clone(),
        };
        Self { clock, engine, memory, handler }
    }

    /// What an invocation of the schedule makes; a failure stands with a `!`.
    async fn scheduled(&self) -> Vec<String> {
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        let done = self.handler.handle(&event, Micros::MAX, &mut Metrics::new("test")).await.unwrap();
        let failed = done.failed.into_iter().map(|window| format!("!{window}"));
        done.made.into_iter().chain(failed).collect()
    }
}

#[tokio::test]
async fn the_newest_window_is_made_at_first_sight_and_each_once() {
    let world = World::of(&["a", "b"]);
    assert_eq!(world.scheduled().await, ["a/19720927T0900Z", "b/19720927T0900Z"]);
    assert_eq!(world.scheduled().await, [""; 0]);
    world.clock.advance(3 * HOUR);
    assert_eq!(world.scheduled().await.len(), 6);
    let started = world.engine.started.lock().unwrap().clone();
    assert!(
        started[0].contains("t >= cast('1972-09-27 09:00:00.000000 UTC' as timestamp(6) with time zone)"),
        "{started:?}"
    );
}

#[tokio::test]
async fn a_result_is_both_files_and_a_table() {
    let world = World::of(&["a"]);
    world.scheduled().await;
    let kept = world.memory.kept.lock().unwrap()["a"].clone();
    let result = kept.results[0].result.clone();
    let (csv, parquet) = world.memory.files.lock().unwrap()[&("a".to_owned(), result.window())].clone();
    assert_eq!((result.rows, result.csv.bytes, result.parquet.bytes), (2, csv.len() as u64, parquet.len() as u64));
    let csv = String::from_utf8(csv.to_vec()).unwrap();
    assert!(csv.starts_with("text,n,at\r\n") && csv.ends_with(",7,1972-09-27T00:00:00Z\r\n"), "{csv}");
    let rows: usize = ParquetRecordBatchReaderBuilder::try_new(parquet)
        .unwrap()
        .build()
        .unwrap()
        .map(|batch| batch.unwrap().column(0).len())
        .sum();
    assert_eq!(rows, 2);
    assert_eq!(kept.table.as_deref(), Some("`text` string, `n` bigint, `at` timestamp"));
    assert_eq!(
        world.engine.started.lock().unwrap().last().unwrap(),
        "CREATE EXTERNAL TABLE IF NOT EXISTS `alluvium_test`.`report_a` (`text` string, `n` bigint, `at` timestamp) \
         STORED AS PARQUET LOCATION 's3://reports/results/a/parquet/'"
    );
    world.clock.advance(HOUR);
    world.scheduled().await;
    assert_eq!(world.engine.started.lock().unwrap().len(), 3, "the table is made once");
}

#[tokio::test]
async fn a_failure_waits_longer_each_time_and_holds_up_no_other() {
    let world = World::of(&["a", "b"]);
    *world.engine.failing.lock().unwrap() = Some("'a'".to_owned());
    assert_eq!(world.scheduled().await, ["b/19720927T0900Z", "!a/19720927T0900Z"]);
    assert_eq!(world.scheduled().await, [""; 0]);
    world.clock.advance(MINUTE);
    assert_eq!(world.scheduled().await, ["!a/19720927T0900Z"]);
    world.clock.advance(MINUTE);
    assert_eq!(world.scheduled().await, [""; 0], "the second pause is longer");
    *world.engine.failing.lock().unwrap() = None;
    world.clock.advance(HOUR);
    assert_eq!(
        world.scheduled().await[..2],
        ["a/19720927T1000Z", "a/19720927T0900Z"],
        "the one that failed comes last"
    );
    assert_eq!(world.memory.kept.lock().unwrap()["a"].failure, None);
}

#[tokio::test]
async fn an_invocation_beside_another_joins_its_statement_and_a_new_attempt_does_not() {
    let world = World::of(&["a"]);
    let token = || world.engine.tokens.lock().unwrap().first().cloned().unwrap();
    let forget = || world.engine.tokens.lock().unwrap().clear();
    world.scheduled().await;
    let first = token();
    assert!(first.is_some());
    // As another one sees it that began before this one had ended.
    world.memory.change("a", |kept| kept.results.clear());
    forget();
    world.scheduled().await;
    assert_eq!(token(), first);

    world.memory.change("a", |kept| kept.results.clear());
    *world.engine.failing.lock().unwrap() = Some("'a'".to_owned());
    world.scheduled().await;
    world.clock.advance(MINUTE);
    forget();
    world.scheduled().await;
    assert_ne!(token(), first, "the statement that failed would be found again");
    // As after another window was made.
    world.memory.change("a", |kept| kept.failure = None);
    forget();
    world.scheduled().await;
    assert_ne!(token(), first);

    *world.engine.failing.lock().unwrap() = None;
    forget();
    let asked = json!({"report": "a", "window": "19720927T0900Z"});
    world.handler.handle(&asked, Micros::MAX, &mut Metrics::new("test")).await.unwrap();
    assert_eq!(token(), None, "it is made anew for who asks");
}

#[tokio::test]
async fn a_table_that_cannot_be_made_fails_no_result() {
    let world = World::of(&["a"]);
    *world.engine.failing.lock().unwrap() = Some("CREATE".to_owned());
    assert_eq!(world.scheduled().await, ["a/19720927T0900Z"]);
    assert_eq!(world.memory.kept.lock().unwrap()["a"].table, None);
}

#[tokio::test]
async fn a_result_that_is_too_large_is_none() {
    let mut world = World::of(&["a"]);
    world.handler.result_bytes = 100;
    assert_eq!(world.scheduled().await, ["!a/19720927T0900Z"]);
    let error = world.memory.kept.lock().unwrap()["a"].failure.clone().unwrap().error;
    assert!(error.starts_with("the result has more than 100 bytes"), "{error}");
}

#[tokio::test]
async fn no_window_is_begun_when_time_is_up() {
    let world = World::of(&["a", "b"]);
    let mut metrics = Metrics::new("test");
    let done = world.handler.handle(&json!({}), world.clock.now_micros(), &mut metrics).await.unwrap();
    assert_eq!(done, Done::default());
}

#[tokio::test]
async fn one_window_is_made_anew_for_who_asks() {
    let world = World::of(&["a"]);
    world.scheduled().await;
    let ask = async |report: &str, window: &str| {
        let asked = json!({"report": report, "window": window});
        world.handler.handle(&asked, Micros::MAX, &mut Metrics::new("test")).await
    };
    for window in ["19720927T0900Z", "19720927T0500Z"] {
        assert_eq!(ask("a", window).await.unwrap().made, [format!("a/{window}")]);
    }
    assert_eq!(world.memory.kept.lock().unwrap()["a"].results.len(), 2);
    for (report, window, message) in [
        ("none", "19720927T0900Z", "there is no report of this name; known: a"),
        ("a", "today", "`today` names no window"),
        ("a", "19720927T0905Z", "no window of `a` begins at 19720927T0905Z; one begins at 19720927T0900Z"),
        ("a", "19720927T1000Z", "the window 19720927T1000Z of `a` is not over"),
    ] {
        let refused = ask(report, window).await.unwrap_err().to_string();
        assert!(refused.starts_with(message), "{refused}");
    }
    let half = world.handler.handle(&json!({"report": "a"}), Micros::MAX, &mut Metrics::new("test")).await;
    let half = half.unwrap_err().to_string();
    assert!(half.starts_with("expected `report` and `window`"), "{half}");
}

/// What an invocation of the schedule that ends at a time says of itself: made, failed, and seconds behind.
async fn said(world: &World, until: Micros) -> [Value; 3] {
    let mut metrics = Metrics::new("test");
    world.handler.handle(&json!({}), until, &mut metrics).await.unwrap();
    let line: Value = serde_json::from_str(&metrics.lines(0)[0]).unwrap();
    ["ReportsMade", "ReportsFailed", "ReportsBehindSeconds"].map(|name| line[name].clone())
}

#[tokio::test]
async fn what_was_made_what_failed_and_what_waits_is_told() {
    let world = World::of(&["a", "b"]);
    assert_eq!(said(&world, 0).await, [json!(0), json!(0), json!(0.0)], "new ones are not late by what was due before");
    world.clock.advance(10 * MINUTE);
    assert_eq!(said(&world, 0).await, [json!(0), json!(0), json!(600.0)]);
    *world.engine.failing.lock().unwrap() = Some("'a'".to_owned());
    assert_eq!(said(&world, Micros::MAX).await, [json!(1), json!(1), json!(600.0)]);
    assert_eq!(said(&world, Micros::MAX).await, [json!(0), json!(0), json!(600.0)], "it waits to be tried again");
    *world.engine.failing.lock().unwrap() = None;
    // Half past twelve: two windows more have ended, the newest half an hour ago.
    world.clock.advance(110 * MINUTE);
    assert_eq!(said(&world, Micros::MAX).await, [json!(5), json!(0), json!(0.0)]);
}

#[tokio::test]
async fn a_report_that_is_broken_is_told_with_each_invocation() {
    let mut world = World::of(&["a"]);
    world.handler.definitions.push(Definition { name: "b".to_owned(), report: Err("no title".to_owned()) });
    assert_eq!(said(&world, Micros::MAX).await, [json!(1), json!(1), json!(0.0)]);
    assert_eq!(said(&world, Micros::MAX).await, [json!(0), json!(1), json!(0.0)]);
}

#[test]
fn the_reports_that_ship_are_read() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../reports"));
    let read = definitions(folder).unwrap();
    let names: Vec<_> = read.iter().map(|definition| definition.name.as_str()).collect();
    assert_eq!(names, ["dead_letters_per_day", "events_per_hour"]);
    assert!(read.iter().all(|definition| definition.report.is_ok()));
    assert_eq!(definitions(Path::new("/no/such/folder")).unwrap().len(), 0);
}

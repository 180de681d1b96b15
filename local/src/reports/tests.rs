#![allow(clippy::unwrap_used)]

mod crash;
mod files;
mod lengths;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use alluvium_core::ManualClock;
use alluvium_core::contract::report_results as contract;
use alluvium_core::file::FileFormat;
use alluvium_core::ports::{Advice, ResultPage, Statement, StatementId, StatementStatus};
use alluvium_core::report::{ReportResults as _, WindowId};
use arrow::array::{Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::*;
use crate::disk::RealDisk;

const MINUTE: Micros = 60_000_000;
const HOUR: Micros = 60 * MINUTE;

/// An engine that answers with the statement itself and a number, in two pages, or fails.
#[derive(Default)]
struct Echo {
    started: Mutex<Vec<String>>,
    failing: Mutex<Option<String>>,
    /// What all answers say beside the statement.
    number: AtomicI64,
}

#[async_trait]
impl SqlEngine for Echo {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        self.started.lock().unwrap().push(statement.sql.clone());
        match self.failing.lock().unwrap().clone() {
            Some(problem) => Err(PortError::new(Advice::Stop, problem)),
            None => Ok(StatementId(statement.sql)),
        }
    }

    async fn status(&self, _: &StatementId) -> Result<StatementStatus, PortError> {
        Err(PortError::new(Advice::Stop, "nobody asks"))
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        let numbers = Int64Array::from(vec![self.number.load(Ordering::SeqCst)]);
        let batch = RecordBatch::try_from_iter([
            ("statement", Arc::new(StringArray::from(vec![statement.0.clone()])) as _),
            ("number", Arc::new(numbers) as _),
        ]);
        let next = page.is_none().then(|| "2".to_owned());
        Ok(ResultPage { batches: vec![batch.unwrap()], next })
    }

    async fn cancel(&self, _: &StatementId) -> Result<(), PortError> {
        Ok(())
    }
}

/// A lake that has all that arrived before a time.
struct Until(AtomicI64);

#[async_trait]
impl Committed for Until {
    async fn committed_before(&self) -> Result<Micros, PortError> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

struct World {
    folder: tempfile::TempDir,
    engine: Arc<Echo>,
    committed: Arc<Until>,
    clock: Arc<ManualClock>,
    disk: Arc<dyn Disk>,
    settings: ReportsSettings,
}

fn report(name: &str, window: &str) -> Definition {
    let text = format!("-- title: T\n-- window: {window}\n-- delay: 10m\nselect '{name}' where t >= $from and t < $to");
    Definition { name: name.to_owned(), report: Ok(Report::parse(ReportName::new(name).unwrap(), &text).unwrap()) }
}

impl World {
    /// At 10:30 of some day, with everything committed for ever.
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            engine: Arc::default(),
            committed: Arc::new(Until(AtomicI64::new(Micros::MAX))),
            clock: Arc::new(ManualClock::at(24 * 1000 * HOUR + 10 * HOUR + 30 * MINUTE)),
            disk: Arc::new(RealDisk),
            settings: ReportsSettings::default(),
        }
    }

    fn open(&self, definitions: Vec<Definition>) -> std::io::Result<Reports> {
        let parts = ReportsParts {
            engine: self.engine.clone(),
            committed: self.committed.clone(),
            clock: self.clock.clone(),
            disk: self.disk.clone(),
            folder: self.results(),
        };
        Reports::open(parts, definitions, self.settings.clone())
    }

    fn hourly(&self) -> Reports {
        self.open(vec![report("hourly", "1h")]).unwrap()
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("reports")
    }

    fn files(&self, report: &str) -> Vec<String> {
        names(&self.results().join(report))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The windows that a report has results of, newest first, by the hour at which they begin.
async fn made(reports: &Reports, report: &str) -> Vec<String> {
    let page = reports.results(report, None, 1000).await.unwrap().unwrap();
    page.results.iter().map(|result| result.window().to_string()[9..13].to_owned()).collect()
}

async fn make_all(reports: &Reports) -> usize {
    let mut count = 0;
    while reports.make_next().await {
        count += 1;
    }
    count
}

async fn status(reports: &Reports, name: &str) -> alluvium_core::report::ReportStatus {
    reports.reports().await.unwrap().into_iter().find(|status| status.name == name).unwrap()
}

#[tokio::test]
async fn the_newest_window_is_made_at_first_sight_and_the_next_when_it_is_due() {
    let world = World::new();
    let reports = world.hourly();
    assert_eq!(make_all(&reports).await, 1);
    assert_eq!(made(&reports, "hourly").await, ["0900"]);
    let now = world.clock.now_micros();
    assert_eq!(status(&reports, "hourly").await.next_run, Some(now + 40 * MINUTE));
    world.clock.advance(40 * MINUTE - 1);
    assert_eq!(make_all(&reports).await, 0);
    world.clock.advance(1);
    assert_eq!(make_all(&reports).await, 1);
    assert_eq!(made(&reports, "hourly").await, ["1000", "0900"]);
    let started = world.engine.started.lock().unwrap().clone();
    assert_eq!(started.len(), 2);
    assert!(
        started[0].contains("t >= cast('1972-09-27 09:00:00.000000 UTC'") && started[0].contains(" 10:00:00."),
        "{started:?}"
    );
}

#[tokio::test]
async fn what_was_missed_is_made_afterwards_the_newest_first_and_not_more_than_so_many() {
    let mut world = World::new();
    world.settings.catch_up = 3;
    drop(world.hourly());
    world.clock.advance(5 * HOUR);
    let reports = world.hourly();
    assert_eq!(status(&reports, "hourly").await.waiting, 3);
    assert!(reports.make_next().await);
    assert_eq!(made(&reports, "hourly").await, ["1400"]);
    assert_eq!(make_all(&reports).await, 2);
    assert_eq!(made(&reports, "hourly").await, ["1400", "1300", "1200"]);
    // Before its first sight there is nothing to make, however many may be.
    world.settings.catch_up = 100;
    let reports = world.hourly();
    assert_eq!(make_all(&reports).await, 3);
    assert_eq!(made(&reports, "hourly").await, ["1400", "1300", "1200", "1100", "1000", "0900"]);
}

#[tokio::test]
async fn a_window_waits_for_what_had_arrived_to_be_committed() {
    let world = World::new();
    let reports = world.hourly();
    let due = world.clock.now_micros() - 20 * MINUTE;
    world.committed.0.store(due - 1, Ordering::SeqCst);
    assert_eq!(make_all(&reports).await, 0);
    assert_eq!(status(&reports, "hourly").await.waiting, 1);
    world.committed.0.store(due, Ordering::SeqCst);
    assert_eq!(make_all(&reports).await, 1);
}

#[tokio::test]
async fn reports_take_turns() {
    let world = World::new();
    let reports = world.open(vec![report("a", "1h"), report("b", "1h"), report("c", "1h")]).unwrap();
    make_all(&reports).await;
    world.clock.advance(2 * HOUR);
    world.engine.started.lock().unwrap().clear();
    assert_eq!(make_all(&reports).await, 6);
    let started = world.engine.started.lock().unwrap().clone();
    let turns: Vec<_> = started.iter().map(|sql| &sql[sql.find('\'').unwrap() + 1..][..1]).collect();
    assert_eq!(turns, ["a", "b", "c", "a", "b", "c"]);
}

#[tokio::test]
async fn a_failure_is_kept_and_shown_and_tried_again_later_each_time() {
    let world = World::new();
    let reports = world.hourly();
    let good = world.open(vec![report("other", "1h")]).unwrap();
    *world.engine.failing.lock().unwrap() = Some("no memory".to_owned());
    assert_eq!(make_all(&reports).await, 1);
    let failed = status(&reports, "hourly").await;
    let failure = failed.failure.unwrap();
    assert_eq!((failure.times, failure.error.as_str(), failed.waiting), (1, "no memory", 1));
    assert_eq!(failed.next_run, Some(world.clock.now_micros() + MINUTE));
    world.clock.advance(MINUTE);
    assert_eq!(make_all(&reports).await, 1);
    world.clock.advance(MINUTE);
    assert_eq!(make_all(&reports).await, 0, "the second pause is longer");
    world.clock.advance(MINUTE);
    *world.engine.failing.lock().unwrap() = None;
    assert_eq!(make_all(&reports).await, 1);
    assert_eq!((status(&reports, "hourly").await.failure, made(&reports, "hourly").await.len()), (None, 1));
    assert_eq!(make_all(&good).await, 1);
}

#[tokio::test]
async fn what_fails_on_purpose_is_no_failure_of_the_schedule() {
    let world = World::new();
    let reports = world.hourly();
    make_all(&reports).await;
    let made_before = WindowId(24 * 1000 * HOUR + 9 * HOUR);
    *world.engine.failing.lock().unwrap() = Some("no memory".to_owned());
    assert_eq!(reports.make("hourly", made_before).await.unwrap_err().to_string(), "no memory");
    *world.engine.failing.lock().unwrap() = None;
    world.clock.advance(40 * MINUTE);
    let told = status(&reports, "hourly").await;
    assert_eq!((told.failure, told.next_run), (None, Some(world.clock.now_micros())));
    assert_eq!(make_all(&reports).await, 1);
}

#[tokio::test]
async fn a_window_that_fails_holds_up_no_other() {
    let world = World::new();
    let reports = world.hourly();
    make_all(&reports).await;
    world.clock.advance(2 * HOUR);
    *world.engine.failing.lock().unwrap() = Some("no memory".to_owned());
    assert_eq!(make_all(&reports).await, 1);
    assert_eq!(status(&reports, "hourly").await.failure.unwrap().from % (24 * HOUR), 11 * HOUR);
    *world.engine.failing.lock().unwrap() = None;
    world.clock.advance(MINUTE);
    assert!(reports.make_next().await);
    assert_eq!(made(&reports, "hourly").await, ["1000", "0900"], "the one that has not failed comes first");
}

#[tokio::test]
async fn what_cannot_be_made_on_purpose_is_refused() {
    let mut world = World::new();
    world.settings.windows_kept = 2;
    let broken = Definition { name: "broken".to_owned(), report: Err("broken.sql: line 1: no".to_owned()) };
    let reports = world.open(vec![broken, report("hourly", "1h")]).unwrap();
    let day = 24 * 1000 * HOUR;
    let refusal = async |name: &str, at: Micros| reports.make(name, WindowId(at)).await.unwrap_err().to_string();
    assert_eq!(refusal("none", day).await, "there is no report `none`; known: hourly");
    assert_eq!(refusal("broken", day).await, "the report `broken` is broken: broken.sql: line 1: no");
    assert_eq!(
        refusal("hourly", day + 5 * MINUTE).await,
        "no window of `hourly` begins at 19720927T0005Z; they are 1h long, and one begins at 19720927T0000Z"
    );
    assert_eq!(
        refusal("hourly", day + 10 * HOUR).await,
        "the window 19720927T1000Z of `hourly` can be made from 1972-09-27T11:10:00Z on"
    );
    for hour in [8, 9] {
        reports.make("hourly", WindowId(day + hour * HOUR)).await.unwrap();
    }
    assert!(
        refusal("hourly", day)
            .await
            .starts_with("the 2 results of `hourly` that are kept are all newer than 19720927T0000Z")
    );
    reports.make("hourly", WindowId(day + 8 * HOUR)).await.unwrap();
    assert_eq!(made(&reports, "hourly").await, ["0900", "0800"]);
}

/// Makes results by an engine that answers with a number.
struct Making<'a>(&'a World, &'a Reports);

#[async_trait]
impl contract::Maker for Making<'_> {
    async fn make(&self, window: WindowId, number: i64) {
        self.0.engine.number.store(number, Ordering::SeqCst);
        self.1.make("hourly", window).await.unwrap();
    }
}

#[tokio::test]
async fn results_on_disk_keep_the_contract() {
    let world = World::new();
    let reports = world.open(vec![report("hourly", "1h"), report("idle", "1d")]).unwrap();
    contract::all(&reports, &Making(&world, &reports)).await;
}

//! Reads that take longer than a request may.

use std::collections::HashMap;
use std::sync::Mutex;

use alluvium_core::ports::{PortError, ResultPage, SqlEngine, Statement, StatementId, StatementState, StatementStatus};
use async_trait::async_trait;

use super::memory::MemoryLake;
use super::world::{MARGIN, World};
use super::*;

/// A lake whose statements run until they have been looked at so often, whoever started them again meanwhile.
pub(crate) struct SlowLake {
    lake: Arc<MemoryLake>,
    looks: usize,
    /// By id: the SQL, and how often it was looked at.
    started: Mutex<HashMap<StatementId, (String, usize)>>,
}

impl SlowLake {
    pub(crate) fn new(lake: Arc<MemoryLake>, looks: usize) -> Self {
        Self { lake, looks, started: Mutex::default() }
    }

    fn count(&self) -> usize {
        self.started.lock().unwrap().len()
    }
}

#[async_trait]
impl SqlEngine for SlowLake {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        let mut started = self.started.lock().unwrap();
        let id = StatementId(statement.token.unwrap_or_else(|| format!("{}", started.len())));
        let (sql, _) = started.entry(id.clone()).or_insert((statement.sql.clone(), 0));
        assert_eq!(*sql, statement.sql, "a token belongs to one statement");
        Ok(id)
    }

    async fn status(&self, statement: &StatementId) -> Result<StatementStatus, PortError> {
        let mut started = self.started.lock().unwrap();
        let (_, looks) = started.get_mut(statement).unwrap();
        *looks += 1;
        let state = if *looks > self.looks { StatementState::Succeeded } else { StatementState::Running };
        Ok(StatementStatus { state, reader: None, owner: None, scanned_bytes: None, elapsed: None })
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        let (sql, looks) = self.started.lock().unwrap()[statement].clone();
        assert!(looks > self.looks, "nobody waits for a statement that runs");
        self.lake.results(&StatementId(sql), page).await
    }

    async fn cancel(&self, _: &StatementId) -> Result<(), PortError> {
        panic!("a statement that is waited for goes on");
    }
}

/// A reader of the world's hot index and of its lake made slow.
pub(crate) fn slow(world: &World, looks: usize) -> (Arc<SlowLake>, Records) {
    let lake = Arc::new(SlowLake::new(world.lake.clone(), looks));
    let records = Records { sql: lake.clone(), ..world.records.clone() }.with_patience(Duration::ZERO);
    (lake, records)
}

async fn full() -> World {
    let mut world = fresh().await;
    world.hot.set_complete_since("telemetry", NOW - 30 * SECOND).await.unwrap();
    let events = (0..40).map(|n| event(&format!("{n:02}"), if n % 3 == 0 { "a" } else { "b" }, NOW - n * 2 * SECOND));
    world.arrive(events.collect()).await;
    world
}

#[tokio::test]
async fn a_slow_read_is_gone_on_with_until_it_is_there_and_no_statement_is_run_twice() {
    let mut world = full().await;
    let asked = RecordsRequest { from: Some(NOW - 70 * SECOND), ..request(30) };
    let expected = places(&world.records.page(&asked).await.unwrap());
    world.lake.statements.lock().unwrap().clear();
    world.records.page(&asked).await.unwrap();
    let statements = world.lake.statements.lock().unwrap().len();
    assert!(statements > 1, "{statements}");

    let (lake, records) = slow(&world, 2);
    let mut asked = RecordsRequest { reading: Some(records.begin("telemetry")), ..asked };
    let mut under_way = 0;
    let page = loop {
        match records.page(&asked).await {
            Ok(page) => break page,
            Err(QueryError::UnderWay(reading)) => {
                assert_eq!(Some(&reading), asked.reading.as_ref(), "it stays the same read");
                asked.reading = Some(reading.to_string().parse().unwrap());
            }
            Err(error) => panic!("{error}"),
        }
        under_way += 1;
        // What comes in below the boundary meanwhile would be another statement's.
        world.pass(SECOND).await;
        assert!(under_way < 100);
    };
    assert_eq!(places(&page), expected);
    assert_eq!((under_way, lake.count()), (2 * statements, statements), "two looks too early at each statement");
    assert!(page.complete);
}

#[tokio::test]
async fn another_read_runs_its_own_statements() {
    let world = full().await;
    let (lake, records) = slow(&world, 1);
    for count in 1..=2 {
        let begun = records.page(&request(40)).await.unwrap_err();
        assert!(matches!(begun, QueryError::UnderWay(_)), "{begun}");
        assert_eq!(lake.count(), count);
        world.clock.advance(1);
    }
}

#[tokio::test]
async fn who_is_not_told_to_hurry_waits_for_the_engine() {
    let world = full().await;
    let page = world.records.page(&request(40)).await.unwrap();
    assert_eq!(page.answered_by, AnsweredBy::HotAndLake);
    let (_, hurried) = slow(&world, 0);
    assert_eq!(places(&hurried.page(&request(40)).await.unwrap()), places(&page));
}

#[tokio::test]
async fn a_read_is_gone_on_with_for_a_while_and_for_its_own_dataset() {
    let world = full().await;
    let begun = world.records.begin("telemetry");
    let with = |reading: &Reading| RecordsRequest { reading: Some(reading.clone()), ..request(1) };
    world.clock.advance(MARGIN);
    world.records.page(&with(&begun)).await.unwrap();
    world.clock.advance(1);
    let refusals = [
        (with(&begun), "`reading`: that read was begun more than 20m ago"),
        (with(&Reading { as_of: NOW + HOUR, ..begun.clone() }), "`reading`: it begins in the future"),
        (with(&world.records.begin("data")), "`reading`: it was given out for `data`, not for `telemetry`"),
    ];
    for (request, message) in refusals {
        let refused = world.records.page(&request).await.unwrap_err().to_string();
        assert!(refused.starts_with(message), "{refused}");
    }
    assert_eq!("x".parse::<Reading>(), Err(CursorError::Damaged));
}

#[tokio::test]
async fn what_arrived_since_a_read_began_counts_as_uncommitted() {
    let mut world = full().await;
    world.commit_after = HOUR;
    let reading = Some(world.records.begin("telemetry"));
    let asked = RecordsRequest { reading, from: Some(NOW - 20 * SECOND), ..request(100) };
    world.arrive(vec![event("new", "a", NOW)]).await;
    assert!(world.records.page(&asked).await.unwrap().complete);
    // The margin is twenty minutes: after fifteen of them the first event has waited as long, and one that came since may have, too.
    world.pass(HOUR / 4).await;
    assert!(!world.records.page(&asked).await.unwrap().complete);
    let anew = RecordsRequest { reading: None, ..asked };
    assert!(world.records.page(&anew).await.unwrap().complete);
}

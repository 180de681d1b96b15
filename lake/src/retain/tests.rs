#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::{Clock as _, CommitMessage, Datasets, SystemClock};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::testing::{
    DEAD, Event, LEDGER, Maintainer, NOTES, Queue, READINGS, assert_the_library_reads_the_same, days, deliver_events,
    events_of, first_arrivals, maintainer_of, open_shared,
};
use crate::{CompactSettings, Outcome, SharedLake, UpkeepSettings};

/// `readings` are kept for 30 days.
fn kept_for_30_days() -> Datasets {
    let mut readings = crate::testing::dataset(READINGS, r#""value": {"type": "number"}"#);
    readings.retention = Some(days(30));
    Datasets::of([readings, crate::testing::dataset(NOTES, r#""text": {"type": "string"}"#)], None).unwrap()
}

fn maintainer(store: &Arc<dyn ObjectStore>, dead_letters: Option<Duration>) -> Maintainer {
    let compact = CompactSettings::default();
    maintainer_of(store, kept_for_30_days(), UpkeepSettings { compact, retain: RetainSettings { dead_letters } })
}

/// Events of these ages in days.
fn events(first: u64, ages: &[i64]) -> Vec<Event> {
    let now = SystemClock.now_micros();
    let event = |(n, age): (usize, &i64)| Event {
        owner: "owner".to_owned(),
        source: "source".to_owned(),
        id: (first + n as u64).to_string(),
        ingest_time: now,
        event_time: now - age * DAY,
    };
    ages.iter().enumerate().map(event).collect()
}

async fn commit(lake: &mut SharedLake, message: &CommitMessage) {
    let committed = lake.commit(std::slice::from_ref(message)).await;
    assert!(committed.failure.is_none() && committed.outcomes[0].is_done(), "{committed:?}");
}

/// Commits a file of old rows, one of old and young ones, and one of young ones. Returns them with the first one's message.
async fn three_files(store: &Arc<dyn ObjectStore>, lake: &mut SharedLake) -> ([Vec<Event>; 3], CommitMessage) {
    let batches = [events(1, &[45, 40]), events(3, &[45, 20]), events(5, &[20, 0])];
    let mut messages = Vec::new();
    for (batch, first) in batches.iter().zip([1, 3, 5]) {
        messages.push(deliver_events(store, first, batch).await);
        commit(lake, messages.last().unwrap()).await;
    }
    (batches, messages.swap_remove(0))
}

async fn rows(store: &Arc<dyn ObjectStore>) -> Vec<Event> {
    let mut rows: Vec<_> = events_of(store).await.into_values().flatten().collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn files_that_are_wholly_older_leave_and_those_that_straddle_stay() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let ([old, straddling, young], first) = three_files(&store, &mut lake).await;
    let Maintainer { upkeep, reader, .. } = &maintainer(&store, None);
    let expiry = upkeep.retain(READINGS).await.unwrap().unwrap();
    assert_eq!((expiry.files, expiry.rows, expiry.version), (1, old.len() as u64, 4));
    assert_eq!(rows(&store).await, first_arrivals(straddling.iter().chain(&young)));
    assert_eq!(upkeep.retain(READINGS).await.unwrap(), None);
    assert!(lake.keep_up().await.ledger_version.is_some());
    let newest = reader.newest(LEDGER).await.unwrap().version.unwrap();
    assert_eq!(crate::audit::problems_at(reader, &kept_for_30_days(), newest).await.unwrap(), [""; 0]);
    assert_the_library_reads_the_same(&store).await;
    let again = lake.commit(&[first]).await;
    assert!(matches!(again.outcomes[0], Outcome::AlreadyIn), "what expired does not come in again: {again:?}");
}

#[tokio::test]
async fn without_retention_rows_are_kept_for_ever() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    three_files(&store, &mut lake).await;
    let forever = maintainer_of(&store, crate::testing::datasets(), UpkeepSettings::default());
    assert_eq!(forever.upkeep.retain(READINGS).await.unwrap(), None);
    assert_eq!(forever.upkeep.retain(DEAD).await.unwrap(), None);
    let error = forever.upkeep.retain("elsewhere").await.unwrap_err();
    assert!(matches!(error, LakeError::NoTable(_)), "{error}");
}

#[tokio::test]
async fn dead_letters_have_a_retention_of_their_own() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut message = Queue::default().deliver(&store, &[(0, 1, 30)]).await;
    for file in message.files.iter_mut().filter(|file| file.dataset == DEAD) {
        file.stats =
            format!(r#"{{"numRecords":{},"maxValues":{{"event_time":"2023-11-14T22:13:20.000Z"}}}}"#, file.rows);
    }
    commit(&mut lake, &message).await;
    assert_eq!(maintainer(&store, None).upkeep.retain(DEAD).await.unwrap(), None);
    let expiry = maintainer(&store, Some(days(90))).upkeep.retain(DEAD).await.unwrap().unwrap();
    assert_eq!(expiry.files, 1);
}

#[tokio::test]
async fn retention_and_compaction_at_a_time_end_as_one_after_the_other() {
    for compaction_begins in [true, false] {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (mut lake, _) = open_shared(&store).await.unwrap();
        let ([_, straddling, young], _) = three_files(&store, &mut lake).await;
        let (one, other) = (maintainer(&store, None), maintainer(&store, None));
        let compact = async { drop(one.upkeep.compact(READINGS, 2).await.unwrap()) };
        let retain = async { drop(other.upkeep.retain(READINGS).await.unwrap()) };
        if compaction_begins {
            tokio::join!(compact, retain);
        } else {
            tokio::join!(retain, compact);
        }
        let found = rows(&store).await;
        let kept = first_arrivals(straddling.iter().chain(&young));
        assert!(kept.iter().all(|event| found.contains(event)), "{found:?}");
        lake.keep_up().await.failure.map_or(Ok(()), Err).unwrap();
        let newest = one.reader.newest(LEDGER).await.unwrap().version.unwrap();
        assert_eq!(crate::audit::problems_at(&one.reader, &kept_for_30_days(), newest).await.unwrap(), [""; 0]);
    }
}

#[test]
fn a_file_is_as_young_as_its_statistics_may_mean() {
    let newest = |max: &str| {
        let stats = format!(r#"{{"numRecords":1,"maxValues":{{{max}}}}}"#);
        let (path, modification_time) = (String::new(), 0);
        newest_event(&ActiveFile { path, size_bytes: 1, rows: 1, stats: Some(stats), modification_time })
    };
    let time = r#""event_time":"1970-01-03T00:00:00.001Z""#;
    let date = r#""event_date":"1970-01-03""#;
    assert_eq!(newest(time), Some(2 * DAY + 1_999), "times in the log are cut to milliseconds");
    assert_eq!(newest(&format!("{time},{date}")), Some(2 * DAY + 1_999));
    assert_eq!(newest(date), Some(3 * DAY - 1), "the last microsecond of the day");
    assert_eq!(newest(r#""event_time":"0100-01-01T00:00:00.000Z","event_date":"1969-12-31""#), Some(-1));
    assert_eq!(newest(r#""value":1"#), None);
    assert_eq!(newest(r#""event_date":"some day""#), None);
}

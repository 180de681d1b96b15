#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::testing::{Event, Maintainer, READINGS, deliver_events, maintainer, open_shared};
use crate::{CompactSettings, LakeReader};

fn event(number: u64) -> Event {
    let time = 1_767_225_600_000_000 + number as i64;
    let text = |of: &str| format!("{of} {}", number % 3);
    Event { owner: text("owner"), source: text("source"), id: number.to_string(), ingest_time: time, event_time: time }
}

/// A lake with two files, both of which the index knows, and what the log says of them.
async fn indexed() -> (Maintainer, BTreeMap<String, Vec<ActiveFile>>) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    for first in [1, 11] {
        let message = deliver_events(&store, first, &(first..first + 10).map(event).collect::<Vec<_>>()).await;
        assert!(lake.commit(&[message]).await.failure.is_none());
    }
    let keeper = maintainer(&store, CompactSettings::default());
    assert_eq!(keeper.upkeep.index_table(READINGS).await.unwrap(), 2);
    let reader = LakeReader::new(store, crate::testing::root());
    let files = reader.snapshot(READINGS).await.unwrap().files;
    (keeper, BTreeMap::from([(READINGS.to_owned(), files)]))
}

async fn findings(keeper: &Maintainer, tables: &BTreeMap<String, Vec<ActiveFile>>) -> Findings {
    let mut findings = Findings::default();
    check(&*keeper.index, tables, &mut findings).await.unwrap();
    findings
}

#[tokio::test]
async fn entries_that_are_right_are_not_talked_about() {
    let (keeper, tables) = indexed().await;
    let found = findings(&keeper, &tables).await;
    assert!(found.problems.is_empty() && found.notes.is_empty(), "{:?} {:?}", found.problems, found.notes);
}

#[tokio::test]
async fn an_entry_that_tells_something_else_is_found() {
    let (keeper, tables) = indexed().await;
    let right = keeper.index.entries(READINGS, None, 10).await.unwrap();
    let (one, last) = (&right[0], right[0].times.unwrap().1);
    let wrong = [
        (IndexEntry { rows: 9, ..one.clone() }, "says 9 rows"),
        (IndexEntry { size_bytes: 1, ..one.clone() }, "and 1 bytes"),
        (IndexEntry { times: Some((0, last + 86_400_000_000)), ..one.clone() }, "times after"),
        (IndexEntry { sources: Some(Bytes::from_static(b"ALK1")), ..one.clone() }, "damaged"),
    ];
    for (entry, why) in wrong {
        keeper.index.put(vec![entry]).await.unwrap();
        let found = findings(&keeper, &tables).await;
        let [problem] = &found.problems[..] else { panic!("{why}: {:?}", found.problems) };
        assert!(problem.contains(why) && problem.contains(&one.path), "{problem}");
    }
}

#[tokio::test]
async fn a_file_without_an_entry_and_an_entry_without_a_file_are_no_faults() {
    let (keeper, tables) = indexed().await;
    let one = keeper.index.entries(READINGS, None, 1).await.unwrap().remove(0);
    keeper.index.remove(READINGS, vec![one.path.clone()]).await.unwrap();
    keeper.index.put(vec![IndexEntry { path: "gone.parquet".to_owned(), rows: 1, ..one }]).await.unwrap();
    let found = findings(&keeper, &tables).await;
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!(found.notes, ["`readings` has 1 data file without an entry; the next maintenance makes it."]);
}

//! What commits cost as a table grows old. It asserts nothing and is run by hand, optimised:
//!
//! ```text
//! cargo test --release -p alluvium-lake --lib measure -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::sorted::Sorted;
use crate::testing::{
    Event, Maintainer, READINGS, datasets, deliver_events, library_table, maintainer, open_shared, open_shared_at, root,
};
use crate::{CompactSettings, LakeReader, VacuumMode};

/// How many commits, and of how many the median is told: those that end at each hundredth, tenth and the whole.
const COMMITS: u64 = 10_000;
const WINDOW: usize = 100;
/// How often maintenance comes by, in commits. At one commit every two seconds, every five minutes.
const MAINTAINED_EVERY: u64 = 150;

fn event(number: u64) -> Event {
    let time = 1_767_225_600_000_000 + number as i64 * 2_000_000;
    Event { owner: "o".to_owned(), source: "s".to_owned(), id: number.to_string(), ingest_time: time, event_time: time }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

fn tell(what: &str, times: &[Duration]) {
    for end in [WINDOW, COMMITS as usize / 10, COMMITS as usize] {
        if let Some(window) = times.get(end - WINDOW..end) {
            println!("{what}: commits {} to {end}: median {:?}", end - WINDOW + 1, median(window));
        }
    }
}

/// Ours: one batch a commit, with the ledger's commit after it, checkpoints, and maintenance beside.
#[tokio::test]
#[ignore = "a measurement"]
async fn commits_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, CompactSettings::default());
    let (mut lake, _) = open_shared_at(&store, &datasets(), clock.clone(), 100).await.unwrap();
    let mut times = Vec::new();
    for number in 1..=COMMITS {
        clock.advance(2_000_000);
        let message = deliver_events(&store, number, &[event(number)]).await;
        let started = Instant::now();
        let committed = lake.commit(&[message]).await;
        times.push(started.elapsed());
        assert!(committed.outcomes[0].is_done(), "{committed:?}");
        if number.is_multiple_of(MAINTAINED_EVERY) {
            for table in [READINGS, "ledger"] {
                upkeep.compact(table, 2).await.unwrap();
                upkeep.vacuum(table, VacuumMode::Delete, None).await.unwrap();
            }
        }
        if [COMMITS / 100, COMMITS / 10, COMMITS].contains(&number) {
            let started = Instant::now();
            let snapshot = LakeReader::new(store.clone(), root()).snapshot(READINGS).await.unwrap();
            println!(
                "ours: snapshot of {} files after {number} commits: {:?}",
                snapshot.files.len(),
                started.elapsed()
            );
        }
    }
    tell("ours", &times);
}

/// How long the library is given. Its commits cost more and more.
const PATIENCE: Duration = Duration::from_secs(600);

/// The library's transaction builder with the same files, without a ledger and without anything beside it.
#[tokio::test]
#[ignore = "a measurement"]
async fn commits_of_the_library() {
    let temp = tempfile::tempdir().unwrap();
    // The library takes a listing to be in the order of names, which that of a folder is not.
    let folder = LocalFileSystem::new_with_prefix(temp.path()).unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(Sorted(Arc::new(folder)));
    drop(open_shared(&store).await.unwrap());
    let mut table: DeltaTable = library_table(&store, READINGS).await;
    let begun = Instant::now();
    let mut times = Vec::new();
    for number in 1..=COMMITS {
        let message = deliver_events(&store, number, &[event(number)]).await;
        let add = crate::table::add(READINGS, &message.files[0], number as i64);
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let started = Instant::now();
        let commit = CommitBuilder::from(CommitProperties::default()).with_actions(vec![add]);
        let snapshot = table.snapshot().unwrap();
        let done = commit.build(Some(snapshot), table.log_store(), operation).await.unwrap();
        table.state = Some(done.snapshot());
        times.push(started.elapsed());
        if begun.elapsed() > PATIENCE {
            println!(
                "library: {number} commits in {PATIENCE:?}, the last hundred: median {:?}",
                median(&times[times.len() - WINDOW..])
            );
            break;
        }
    }
    tell("library", &times);
}

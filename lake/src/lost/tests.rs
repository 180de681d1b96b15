#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

use alluvium_core::ports::{Advice, Delivery, PortError, PutVerdict, ReadPage};
use alluvium_core::{BatchIdentity, Clock as _, PutBatch, SequenceNumber, ShardId, SystemClock};
use async_trait::async_trait;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::testing::{
    Crash, Crashing, DEAD, LEDGER, NOTES, Queue, READINGS, Told, assert_the_ledger_balances, deliver, open,
    open_shared, range, root, sealed,
};
use crate::{Outcome, SharedLake};

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// A queue that remembers what it was given, or takes nothing.
#[derive(Default)]
struct Paths {
    taken: Mutex<Vec<String>>,
    is_broken: bool,
}

#[async_trait]
impl CommitQueue for Paths {
    async fn enqueue(&self, path: &str) -> std::result::Result<(), PortError> {
        if self.is_broken {
            return Err(PortError::new(Advice::Retry, "the queue is away"));
        }
        self.taken.lock().unwrap().push(path.to_owned());
        Ok(())
    }

    async fn receive(&self, _: usize, _: Duration) -> std::result::Result<Vec<Delivery>, PortError> {
        unreachable!("recovering only enqueues")
    }

    async fn acknowledge(&self, _: &str) -> std::result::Result<(), PortError> {
        unreachable!("recovering only enqueues")
    }
}

async fn run(store: &Arc<dyn ObjectStore>, recover: Recover<'_>) -> RecoverReport {
    let reader = LakeReader::new(store.clone(), root());
    // Objects in memory go by the machine's time.
    recover_messages(&reader, recover, Duration::ZERO, SystemClock.now_micros() + 1).await.unwrap()
}

/// Waits until what is stored from now on is seen to be younger, and returns a time between.
fn wait_for_the_clock() -> Micros {
    let now = SystemClock.now_micros();
    while SystemClock.now_micros() <= now + 10 {
        std::hint::spin_loop();
    }
    now
}

/// The outcome of each batch, in the order in which they are asked for.
fn outcomes<'a>(report: &'a RecoverReport, batches: &[&BatchIdentity]) -> Vec<&'a LostOutcome> {
    assert_eq!(report.batches.len(), batches.len(), "{report:?}");
    let of = |batch: &&BatchIdentity| &report.batches.iter().find(|lost| lost.batch == **batch).unwrap().outcome;
    batches.iter().map(of).collect()
}

async fn commit(lake: &mut SharedLake, paths: &[String]) -> Vec<&'static str> {
    let commit = lake.commit_paths(paths).await;
    assert!(commit.failure.is_none(), "{commit:?}");
    let told = |outcome: &Outcome| match outcome {
        Outcome::Committed => "committed",
        Outcome::AlreadyIn => "already in",
        Outcome::Refused(_) | Outcome::Unfinished => "not in",
    };
    commit.outcomes.iter().map(told).collect()
}

#[tokio::test]
async fn a_lost_message_is_made_again_to_the_byte_and_commits() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let all = [
        queue.deliver(&store, &[(0, 1, 30), (1, 1, 5)]).await,
        // Filtered or dead, but for one row; then records that were put directly.
        queue.deliver(&store, &[(0, 33, 34)]).await,
        queue.deliver_direct(&store, &[1, 2, 3, 7, 11]).await,
    ];
    let mut lost = Vec::new();
    for message in &all {
        lost.push(sealed(&store, message, Told::All).await);
    }
    let batches: Vec<_> = lost.iter().map(|message| &message.batch).collect();

    let dry = run(&store, Recover::DryRun).await;
    assert!(outcomes(&dry, &batches).iter().all(|outcome| matches!(outcome, LostOutcome::CanBeRebuilt { .. })));
    assert!(!dry.is_settled());
    assert!(store.head(&Path::from(lost[0].path())).await.is_err(), "a dry run stores nothing");

    let paths = Paths::default();
    let report = run(&store, Recover::Enqueue(&paths)).await;
    assert!(report.is_settled() && !report.by_position);
    for (message, outcome) in lost.iter().zip(outcomes(&report, &batches)) {
        assert_eq!(outcome, &LostOutcome::Enqueued { message: message.path() });
        let stored = store.get(&Path::from(message.path())).await.unwrap().bytes().await.unwrap();
        assert_eq!(stored, message.encode());
    }
    let mut taken = paths.taken.into_inner().unwrap();
    taken.sort();
    assert_eq!(commit(&mut lake, &taken).await, ["committed"; 3]);
    assert_eq!(commit(&mut lake, &taken).await, ["already in"; 3]);
    assert_the_ledger_balances(&store, "recovered").await;
    assert_eq!(run(&store, Recover::DryRun).await, RecoverReport::default());
    let mut found = ledger_entries(&LakeReader::new(store.clone(), root())).await.unwrap();
    let mut expected: Vec<_> = all.iter().flat_map(|message| message.ledger.clone()).collect();
    for entries in [&mut found, &mut expected] {
        entries.sort_by(|one, other| (&one.batch, &one.dataset).cmp(&(&other.batch, &other.dataset)));
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_message_that_is_stored_is_enqueued_or_the_report_is_not_settled() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let lost = Queue::default().deliver(&store, &[(0, 1, 30)]).await;
    let lost = sealed(&store, &lost, Told::All).await;
    let message = || lost.path();
    let stored = run(&store, Recover::Store).await;
    assert_eq!(outcomes(&stored, &[&lost.batch]), [&LostOutcome::Stored { message: message() }]);
    for recover in [Recover::Store, Recover::DryRun] {
        let again = run(&store, recover).await;
        assert_eq!(outcomes(&again, &[&lost.batch]), [&LostOutcome::MessageOverdue { message: message() }]);
        assert!(!again.is_settled(), "nobody has enqueued it");
    }
    let broken = Paths { is_broken: true, ..Paths::default() };
    let again = run(&store, Recover::Enqueue(&broken)).await;
    assert!(matches!(outcomes(&again, &[&lost.batch])[0], LostOutcome::NotEnqueued { .. }), "{again:?}");
    let paths = Paths::default();
    let again = run(&store, Recover::Enqueue(&paths)).await;
    assert_eq!(outcomes(&again, &[&lost.batch]), [&LostOutcome::EnqueuedAgain { message: message() }]);
    assert!(again.is_settled());
    assert_eq!(*paths.taken.lock().unwrap(), [message()]);
    let (mut lake, _) = open_shared(&store).await.unwrap();
    assert_eq!(commit(&mut lake, &[message()]).await, ["committed"]);
}

#[tokio::test]
async fn a_young_message_is_left_to_the_queue_that_has_it() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let lost = Queue::default().deliver(&store, &[(0, 1, 30)]).await;
    let lost = sealed(&store, &lost, Told::All).await;
    let written = wait_for_the_clock();
    store.put(&Path::from(lost.path()), lost.encode().into()).await.unwrap();
    // The files are older than a moment that the message is younger than.
    let reader = LakeReader::new(store.clone(), root());
    let paths = Paths::default();
    let report = recover_messages(&reader, Recover::Enqueue(&paths), Duration::ZERO, written + 1).await.unwrap();
    assert_eq!(outcomes(&report, &[&lost.batch]), [&LostOutcome::MessageStored { message: lost.path() }]);
    assert!(report.is_settled() && paths.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_made_again_is_said_and_left() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let mut lost = Vec::new();
    for (first, told) in [(1, Told::All), (21, Told::Identity), (41, Told::All), (61, Told::All), (81, Told::All)] {
        let message = queue.deliver(&store, &[(0, first, first + 19)]).await;
        lost.push(sealed(&store, &message, told).await);
    }
    let [missing, older, cut, foreign, whole] = &lost[..] else { unreachable!() };
    let notes = |message: &CommitMessage| {
        let path = message.files.iter().find(|file| file.dataset == NOTES).unwrap().path.clone();
        Path::from(path)
    };
    store.delete(&notes(missing)).await.unwrap();
    let bytes = store.get(&notes(cut)).await.unwrap().bytes().await.unwrap();
    store.put(&notes(cut), bytes.slice(..bytes.len() - 9).into()).await.unwrap();
    let renamed = notes(foreign).to_string().replacen("notes/", "readings/", 1);
    store.rename(&notes(foreign), &Path::from(renamed)).await.unwrap();

    let broken = Paths { is_broken: true, ..Paths::default() };
    let report = run(&store, Recover::Enqueue(&broken)).await;
    assert!(!report.is_settled());
    let said = outcomes(&report, &[&missing.batch, &older.batch, &cut.batch, &foreign.batch, &whole.batch]);
    assert_eq!(said[0], &LostOutcome::FileMissing { tables: vec![NOTES.to_owned()] });
    assert_eq!(said[1], &LostOutcome::OlderRelease);
    assert!(matches!(said[2], LostOutcome::Damaged { problem } if problem.contains(notes(cut).as_ref())), "{said:?}");
    assert_eq!(said[3], &LostOutcome::FileMissing { tables: vec![NOTES.to_owned()] });
    assert!(matches!(said[4], LostOutcome::NotEnqueued { problem, .. } if problem.contains("away")), "{said:?}");
    assert!(store.head(&Path::from(whole.path())).await.is_ok(), "what is stored, an audit finds");
    for message in &lost[..4] {
        assert!(store.head(&Path::from(message.path())).await.is_err());
    }
    let read: RecoverReport = serde_json::from_value(serde_json::to_value(&report).unwrap()).unwrap();
    assert_eq!(read, report, "the report is what goes over the wire");
}

#[tokio::test]
async fn what_the_transform_may_still_be_at_is_left_alone() {
    let store = memory();
    let message = Queue::default().deliver(&store, &[(0, 1, 9)]).await;
    sealed(&store, &message, Told::All).await;
    let reader = LakeReader::new(store.clone(), root());
    let minutes = Duration::from_secs(600);
    let now = SystemClock.now_micros();
    let report = recover_messages(&reader, Recover::Store, minutes, now).await.unwrap();
    assert_eq!(report, RecoverReport { young: 1, ..RecoverReport::default() });
    let report = recover_messages(&reader, Recover::DryRun, minutes, now + 2 * micros(minutes)).await.unwrap();
    assert!(matches!(report.batches[0].outcome, LostOutcome::CanBeRebuilt { .. }), "{report:?}");
}

#[tokio::test]
async fn a_batch_that_a_crash_left_half_done_is_made_again_with_the_files_that_are_in() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let message = Queue::default().deliver(&store, &[(0, 1, 30)]).await;
    let first = sealed(&store, &message, Told::All).await;
    let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(store.clone(), Crash::AfterTheWrite, 1));
    let (mut lake, _) = open_shared(&dying).await.unwrap();
    assert!(lake.commit(std::slice::from_ref(&first)).await.failure.is_some());
    // Another release leaves other files of the same records, which are newer.
    for file in &first.files {
        let other = format!("{}/{}-{}.parquet", file.dataset, first.batch, "f".repeat(32));
        store.copy(&Path::from(file.path.as_str()), &Path::from(other)).await.unwrap();
    }
    let paths = Paths::default();
    let report = run(&store, Recover::Enqueue(&paths)).await;
    assert_eq!(outcomes(&report, &[&first.batch]), [&LostOutcome::Enqueued { message: first.path() }]);
    let (mut lake, _) = open_shared(&store).await.unwrap();
    assert_eq!(commit(&mut lake, &paths.taken.into_inner().unwrap()).await, ["committed"]);
    assert_the_ledger_balances(&store, "completed").await;
    assert_eq!(run(&store, Recover::DryRun).await.batches, [], "the other files are no batch of their own");
}

#[tokio::test]
async fn of_two_whole_sets_of_files_the_one_that_was_written_last_is_taken() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let message = Queue::default().deliver(&store, &[(0, 1, 30)]).await;
    let first = sealed(&store, &message, Told::All).await;
    // By path, one newer file stands before its elder and the others after theirs.
    wait_for_the_clock();
    let mut newer = first.clone();
    for (file, digit) in newer.files.iter_mut().zip(["0", "f", "f"]) {
        let path = format!("{}/{}-{}.parquet", file.dataset, first.batch, digit.repeat(32));
        store.copy(&Path::from(file.path.as_str()), &Path::from(path.as_str())).await.unwrap();
        file.path = path;
    }
    let paths = Paths::default();
    let report = run(&store, Recover::Enqueue(&paths)).await;
    assert_eq!(outcomes(&report, &[&first.batch]), [&LostOutcome::Enqueued { message: first.path() }]);
    let stored = store.get(&Path::from(first.path())).await.unwrap().bytes().await.unwrap();
    assert_eq!(CommitMessage::decode(&stored).unwrap(), newer);
}

#[tokio::test]
async fn records_that_came_again_in_other_batches_do_not_come_in_twice() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    // A delivery failed between its files and its message, and what came again was cut otherwise.
    let failed = queue.deliver(&store, &[(0, 1, 20)]).await;
    let failed = sealed(&store, &failed, Told::All).await;
    let again = queue.deliver(&store, &[(0, 1, 10)]).await;
    let rest = queue.deliver(&store, &[(0, 11, 20)]).await;
    assert_eq!(commit(&mut lake, &[again.path()]).await, ["committed"]);
    let report = run(&store, Recover::Store).await;
    let by = Vec::from_iter(BTreeSet::from([again.batch, rest.batch.clone()]));
    assert_eq!(outcomes(&report, &[&failed.batch, &rest.batch])[0], &LostOutcome::Covered { by });
    // So it is when the other waits for its commit, and when nobody has its message.
    for lost in [false, true] {
        let store = memory();
        open_shared(&store).await.unwrap();
        let mut queue = Queue::default();
        let failed = queue.deliver(&store, &[(0, 1, 20)]).await;
        let failed = sealed(&store, &failed, Told::All).await;
        let mut again = queue.deliver(&store, &[(0, 1, 30)]).await;
        if lost {
            again = sealed(&store, &again, Told::All).await;
        }
        let report = run(&store, Recover::Store).await;
        let said = outcomes(&report, &[&failed.batch, &again.batch]);
        assert_eq!(said[0], &LostOutcome::Covered { by: vec![again.batch.clone()] });
        assert_eq!(matches!(said[1], LostOutcome::Stored { .. }), lost, "{said:?}");
    }
}

#[tokio::test]
async fn a_batch_of_which_only_a_part_came_again_is_not_settled() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let failed = queue.deliver(&store, &[(0, 1, 20)]).await;
    let failed = sealed(&store, &failed, Told::All).await;
    let again = queue.deliver(&store, &[(0, 1, 10)]).await;
    assert_eq!(commit(&mut lake, &[again.path()]).await, ["committed"]);
    let report = run(&store, Recover::Store).await;
    let in_part = LostOutcome::CoveredInPart { by: vec![again.batch.clone()] };
    assert_eq!(outcomes(&report, &[&failed.batch]), [&in_part]);
    assert!(!report.is_settled(), "the records 11 to 20 are in no table");
    assert!(in_part.to_string().contains(again.batch.as_str()), "{in_part}");
    assert!(store.head(&Path::from(failed.path())).await.is_err(), "the records 1 to 10 would be in twice");
}

#[tokio::test]
async fn one_record_that_came_again_at_the_start_of_a_longer_batch_is_not_brought_in() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let failed = queue.deliver(&store, &[(0, 10, 10)]).await;
    let failed = sealed(&store, &failed, Told::All).await;
    let again = queue.deliver(&store, &[(0, 10, 12)]).await;
    assert_eq!(commit(&mut lake, &[again.path()]).await, ["committed"]);
    let report = run(&store, Recover::Store).await;
    let shares = LostOutcome::SharesARecord { with: vec![again.batch] };
    assert_eq!(outcomes(&report, &[&failed.batch]), [&shares]);
    assert!(!report.is_settled());
    assert!(store.head(&Path::from(failed.path())).await.is_err());
}

#[tokio::test]
async fn while_a_message_of_a_newer_release_waits_nothing_is_made_that_it_may_have() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let failed = queue.deliver(&store, &[(0, 1, 20)]).await;
    let failed = sealed(&store, &failed, Told::All).await;
    let again = queue.deliver(&store, &[(0, 1, 30)]).await;
    let newer = String::from_utf8(again.encode().to_vec()).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    store.put(&Path::from(again.path()), newer.into()).await.unwrap();
    let report = run(&store, Recover::Store).await;
    let said = outcomes(&report, &[&failed.batch, &again.batch]);
    assert_eq!(said[0], &LostOutcome::NewerMessage { message: again.path() });
    assert!(!report.is_settled());
    assert!(store.head(&Path::from(failed.path())).await.is_err());
    // A damaged one can never be committed.
    store.put(&Path::from(again.path()), "{".into()).await.unwrap();
    let report = run(&store, Recover::Store).await;
    assert_eq!(outcomes(&report, &[&failed.batch, &again.batch])[0], &LostOutcome::Stored { message: failed.path() });
}

#[tokio::test]
async fn a_batch_whose_identity_the_tables_have_forgotten_is_known_by_the_ledger() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let message = Queue::default().deliver(&store, &[(0, 1, 30)]).await;
    let message = sealed(&store, &message, Told::All).await;
    assert!(lake.commit(std::slice::from_ref(&message)).await.failure.is_none());
    // As if its tombstones were gone, and vacuum had never run: the logs of its tables begin anew.
    for table in [READINGS, NOTES, DEAD] {
        let log = LakeReader::new(store.clone(), root()).log(table);
        for object in log.list_objects(Some("_delta_log")).await.unwrap() {
            log.delete(&object.location).await.unwrap();
        }
    }
    let report = run(&store, Recover::Store).await;
    assert_eq!(outcomes(&report, &[&message.batch]), [&LostOutcome::AlreadyIn]);
}

/// A log of whose first shard these records are left.
struct Log(u64, u64);

#[async_trait]
impl Stream for Log {
    async fn append(&self, _: PutBatch) -> std::result::Result<Vec<PutVerdict>, PortError> {
        unreachable!("recovering only asks")
    }

    async fn read(
        &self,
        _: &ShardId,
        _: Option<SequenceNumber>,
        _: usize,
        _: Duration,
    ) -> std::result::Result<ReadPage, PortError> {
        unreachable!("recovering only asks")
    }

    async fn shards(&self) -> std::result::Result<Vec<ShardState>, PortError> {
        let Self(oldest, newest) = *self;
        let shard = ShardId::numbered(0);
        Ok(vec![ShardState { shard, oldest: Some(oldest.into()), newest: Some(newest.into()) }])
    }
}

#[tokio::test]
async fn where_one_committer_writes_nothing_is_made_and_the_log_is_asked() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    let first = deliver(&store, vec![range(0, 1, 10)]).await;
    lake.commit(&[first]).await.unwrap();
    let mut lost = Vec::new();
    for (first, last) in [(4, 10), (8, 20), (11, 30)] {
        let message = deliver(&store, vec![range(0, first, last)]).await;
        store.put(&Path::from(message.path()), "{}".into()).await.unwrap();
        lost.push(sealed(&store, &message, Told::All).await);
    }
    // Files of a batch that died between them come again all the same.
    let part = deliver(&store, vec![range(0, 31, 50)]).await;
    store.put(&Path::from(part.path()), "{}".into()).await.unwrap();
    let part = sealed(&store, &part, Told::All).await;
    store.delete(&Path::from(part.files[0].path.as_str())).await.unwrap();
    let batches: Vec<_> = lost.iter().chain([&part]).map(|message| &message.batch).collect();
    let names = async |recover: Recover<'_>| {
        let report = run(&store, recover).await;
        assert!(report.by_position);
        let names = outcomes(&report, &batches).into_iter().map(|outcome| match outcome {
            LostOutcome::Covered { .. } => "covered",
            LostOutcome::InLog => "in log",
            LostOutcome::NotInLog => "not in log",
            LostOutcome::FileMissing { .. } => "file missing",
            other => panic!("{other:?}"),
        });
        (names.collect::<Vec<_>>(), report.is_settled())
    };
    assert_eq!(names(Recover::OutOfLog(&Log(1, 50))).await, (vec!["covered", "in log", "in log", "in log"], true));
    assert_eq!(names(Recover::OutOfLog(&Log(11, 50))).await, (vec!["covered", "in log", "in log", "in log"], true));
    let forgotten = names(Recover::OutOfLog(&Log(12, 50))).await;
    assert_eq!(forgotten, (vec!["covered", "not in log", "not in log", "in log"], false));
    let begun_anew = names(Recover::OutOfLog(&Log(1, 20))).await;
    assert_eq!(begun_anew, (vec!["covered", "in log", "not in log", "file missing"], false));
    let not_asked = names(Recover::Store).await;
    assert_eq!(not_asked, (vec!["covered", "not in log", "not in log", "file missing"], false));
    assert!(store.head(&Path::from(lost[2].path())).await.is_err());
}

#[tokio::test]
async fn where_one_committer_writes_what_the_ledger_has_not_copied_must_be_in_the_log() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    let first = deliver(&store, vec![range(0, 1, 10)]).await;
    lake.commit(&[first]).await.unwrap();
    let next = deliver(&store, vec![range(0, 11, 30)]).await;
    lake.commit(&[next]).await.unwrap();
    // As if the last commit had died before the ledger's: nobody has seen all tables with it.
    let version = LakeReader::new(store.clone(), root()).newest(LEDGER).await.unwrap().version.unwrap();
    store.delete(&Path::from(format!("ledger/_delta_log/{version:020}.json"))).await.unwrap();
    let failed = deliver(&store, vec![range(0, 11, 20)]).await;
    store.put(&Path::from(failed.path()), "{}".into()).await.unwrap();
    let failed = sealed(&store, &failed, Told::All).await;
    let report = run(&store, Recover::OutOfLog(&Log(11, 30))).await;
    assert_eq!(outcomes(&report, &[&failed.batch]), [&LostOutcome::InLog]);
    let report = run(&store, Recover::OutOfLog(&Log(31, 31))).await;
    assert_eq!(outcomes(&report, &[&failed.batch]), [&LostOutcome::NotInLog]);
}

#![allow(clippy::unwrap_used)]

use alluvium_core::{ManualClock, SystemClock, TraceParent};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::testing::{
    Crash, Crashing, DAY, DEAD, Dice, LEDGER, NOTES, Queue, READINGS, Yielding, assert_rows_and_entries,
    assert_shared_complete, assert_the_ledger_balances, assert_the_library_reads_the_same, dataset, datasets, deliver,
    deliver_records, open, open_shared, open_shared_at, open_shared_with, queue, range, root,
};

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn told(commit: &SharedCommit) -> Vec<&'static str> {
    let tell = |outcome: &Outcome| match outcome {
        Outcome::Committed => "committed",
        Outcome::AlreadyIn => "already in",
        Outcome::Refused(_) => "refused",
        Outcome::Unfinished => "unfinished",
    };
    commit.outcomes.iter().map(tell).collect()
}

#[tokio::test]
async fn opening_an_empty_store_makes_every_table_once() {
    let store = memory();
    let (_, opening) = open_shared(&store).await.unwrap();
    assert_eq!(opening.created, [NOTES, READINGS, DEAD, LEDGER]);
    assert_eq!(opening.empty, [NOTES, READINGS, DEAD]);
    let (mut lake, opening) = open_shared(&store).await.unwrap();
    assert_eq!(opening.created, [""; 0]);
    assert_eq!(opening.empty, [NOTES, READINGS, DEAD]);
    let message = Queue::default().deliver(&store, &[(0, 2, 2)]).await;
    assert_eq!(told(&lake.commit(&[message]).await), ["committed"]);
    assert_eq!(open_shared(&store).await.unwrap().1.empty, [NOTES, DEAD]);
}

#[tokio::test]
async fn a_commit_says_which_batches_it_brought_in() {
    let store = memory();
    let mut queue = Queue::default();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let request = TraceParent::new(1, 2).unwrap();
    let one = queue.deliver(&store, &[(0, 1, 3)]).await.with_traces([request]);
    let two = queue.deliver(&store, &[(1, 1, 2)]).await;
    let said = |message: &CommitMessage| CommittedBatch {
        batch: message.batch.clone(),
        events: message.ledger.iter().map(|entry| entry.received).sum(),
        arrival: message.ledger[0].arrival,
        traces: message.traces.clone(),
    };
    let commit = lake.commit(&[one.clone(), two.clone(), one.clone()]).await;
    assert_eq!(commit.batches, [said(&one), said(&two)]);
    assert!(commit.batches.iter().all(|batch| batch.events > 0) && commit.batches[0].traces == [request]);
    assert_eq!(lake.commit(&[two]).await.batches, [], "it was in");
}

#[tokio::test]
async fn of_several_openers_at_once_each_table_is_made_by_one() {
    for seed in 0..30 {
        let disk = memory();
        let openers = (0..4).map(async |n| {
            let store: Arc<dyn ObjectStore> = Arc::new(Yielding::new(disk.clone(), seed * 10 + n));
            open_shared(&store).await.unwrap().1.created
        });
        let mut created: Vec<_> = futures::future::join_all(openers).await.into_iter().flatten().collect();
        created.sort();
        assert_eq!(created, [DEAD, LEDGER, NOTES, READINGS]);
    }
}

#[tokio::test]
async fn batches_of_any_kind_in_any_order_are_in_once() {
    let store = memory();
    let mut dice = Dice(1);
    let mut queue = queue(&store, &mut dice, 60).await;
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut order: Vec<_> = (0..60).chain(0..60).collect();
    dice.shuffle(&mut order);
    for chunk in order.chunks(7) {
        let messages: Vec<_> = chunk.iter().map(|index| queue.messages[*index].clone()).collect();
        let commit = lake.commit(&messages).await;
        assert!(commit.failure.is_none() && commit.outcomes.iter().all(Outcome::is_done), "{commit:?}");
        assert!(commit.tables.len() <= 3 && commit.waiting == 0, "one commit a table: {commit:?}");
    }
    assert_shared_complete(&store, &queue).await;
    let again = lake.commit(&queue.messages).await;
    assert!(again.outcomes.iter().all(|outcome| matches!(outcome, Outcome::AlreadyIn)), "{again:?}");
    assert!(again.tables.is_empty() && again.ledger_version.is_none(), "{again:?}");
    let (mut fresh, _) = open_shared(&store).await.unwrap();
    let again = fresh.commit(&queue.messages).await;
    assert!(again.outcomes.iter().all(|outcome| matches!(outcome, Outcome::AlreadyIn)), "{again:?}");
    let new = queue.deliver(&store, &[(0, 900, 910)]).await;
    assert_eq!(told(&fresh.commit(&[new.clone(), new]).await), ["committed", "already in"]);
    assert_shared_complete(&store, &queue).await;
}

/// What a crash test commits: batches with files for all tables, for one, for none; some all filtered or dead, one put directly.
async fn a_few(store: &Arc<dyn ObjectStore>) -> Queue {
    let mut queue = Queue::default();
    queue.deliver(store, &[(0, 1, 11)]).await;
    queue.deliver(store, &[(0, 12, 12), (1, 1, 7)]).await;
    queue.deliver(store, &[(0, 13, 13)]).await;
    queue.deliver(store, &[(0, 14, 14), (1, 17, 17)]).await;
    queue.deliver(store, &[(0, 17, 17)]).await;
    queue.deliver_direct(store, &[1, 2, 3, 7]).await;
    queue.deliver(store, &[(0, 18, 40)]).await;
    queue
}

async fn commit_in_pairs(store: &Arc<dyn ObjectStore>, queue: &Queue) -> std::result::Result<(), LakeError> {
    let (mut lake, _) = open_shared_with(store, 2).await?;
    for messages in queue.messages.chunks(2) {
        let commit = lake.commit(messages).await;
        assert!(commit.failure.is_some() || commit.outcomes.iter().all(Outcome::is_done), "{commit:?}");
        commit.failure.map_or(Ok(()), Err)?;
    }
    Ok(())
}

#[tokio::test]
async fn whatever_write_a_committer_dies_at_every_batch_is_in_once_in_the_end() {
    for crash in [Crash::BeforeTheWrite, Crash::AfterTheWrite] {
        let mut at_write = 1;
        loop {
            let disk = memory();
            let queue = a_few(&disk).await;
            let dying = Arc::new(Crashing::new(disk.clone(), crash, at_write));
            let store: Arc<dyn ObjectStore> = dying.clone();
            let outcome = commit_in_pairs(&store, &queue).await;
            if !dying.has_crashed() {
                outcome.unwrap();
                break;
            }
            // Another one takes over and dies too.
            let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(disk.clone(), crash, 1 + at_write % 7));
            commit_in_pairs(&dying, &queue).await.ok();
            commit_in_pairs(&disk, &queue).await.unwrap();
            assert_shared_complete(&disk, &queue).await;
            at_write += 1;
        }
        assert!(at_write > 20, "the run has more than {at_write} writes");
    }
}

/// Committers that come and go, warm and cold, over one queue that delivers in any order, again when nobody acknowledged, and now
/// and then again though somebody did.
async fn hustle(seed: u64) {
    let disk = memory();
    let mut dice = Dice(seed);
    let batches = 4 + dice.below(16);
    let queue = queue(&disk, &mut dice, batches).await;
    let mut paths: Vec<String> = queue.messages.iter().map(CommitMessage::path).collect();
    paths.extend(
        (0..dice.below(5)).map(|n| queue.messages[n as usize % queue.messages.len()].path()).collect::<Vec<_>>(),
    );
    let mut warm = Vec::new();
    while !paths.is_empty() {
        dice.shuffle(&mut paths);
        let committers = (0..1 + dice.below(4)).map(|_| {
            let took = paths.split_off(paths.len().saturating_sub(1 + dice.below(4) as usize));
            let yielding: Arc<dyn ObjectStore> = Arc::new(Yielding::new(disk.clone(), dice.below(u64::MAX)));
            let crash = if dice.below(2) == 0 { Crash::BeforeTheWrite } else { Crash::AfterTheWrite };
            let dying = (dice.below(3) == 0).then(|| 1 + dice.below(9) as i64);
            let (store, warm) = match dying {
                Some(at_write) => (Arc::new(Crashing::new(yielding, crash, at_write)) as Arc<dyn ObjectStore>, None),
                None => (yielding, warm.pop()),
            };
            async move {
                let mut lake = match warm {
                    Some(lake) => lake,
                    None => match open_shared_with(&store, 3).await {
                        Ok((lake, _)) => lake,
                        Err(_) => return (took, None),
                    },
                };
                let commit = lake.commit_paths(&took).await;
                assert!(commit.failure.is_some() || commit.outcomes.iter().all(Outcome::is_done), "{seed}: {commit:?}");
                assert!(dying.is_some() || commit.failure.is_none(), "{seed}: {commit:?}");
                let again = took.into_iter().zip(&commit.outcomes).filter(|(_, outcome)| !outcome.is_done());
                (again.map(|(path, _)| path).collect(), dying.is_none().then_some(lake))
            }
        });
        let committers: Vec<_> = committers.collect();
        for (again, lake) in futures::future::join_all(committers).await {
            paths.extend(again);
            warm.extend(lake);
        }
        if dice.below(6) == 0 {
            paths.push(queue.messages[dice.below(batches) as usize].path());
        }
    }
    assert_shared_complete(&disk, &queue).await;
}

#[tokio::test]
async fn committers_that_meet_and_die_lose_nothing_and_double_nothing() {
    for seed in 0..50 {
        hustle(seed).await;
    }
}

#[tokio::test]
async fn a_refused_message_holds_no_other_back() {
    let store = memory();
    let mut queue = Queue::default();
    let (one, two) = (queue.deliver(&store, &[(0, 1, 30)]).await, queue.deliver(&store, &[(1, 1, 30)]).await);
    let bad = async |change: &dyn Fn(&mut CommitMessage)| {
        let mut message = Queue::default().deliver(&store, &[(0, 31, 60)]).await;
        change(&mut message);
        message
    };
    let messages = [
        bad(&|message| message.files[0].rows += 1).await,
        one,
        bad(&|message| message.ledger[0].received += 1).await,
        bad(&|message| message.files[0].path = "readings/x.parquet".to_owned()).await,
        bad(&|message| message.files[0].size_bytes = u64::MAX).await,
        two,
        bad(&|message| {
            message.files.retain(|file| file.dataset != NOTES);
            message
                .ledger
                .iter_mut()
                .for_each(|entry| entry.written = if entry.dataset == NOTES { 0 } else { entry.written });
        })
        .await,
        bad(&|message| {
            let file = message.files.iter_mut().find(|file| file.dataset == NOTES).unwrap();
            (file.dataset, file.path) = ("elsewhere".to_owned(), file.path.replace(NOTES, "elsewhere"));
            message
                .ledger
                .iter_mut()
                .filter(|entry| entry.dataset == NOTES)
                .for_each(|entry| entry.dataset = "elsewhere".to_owned());
        })
        .await,
    ];
    let (mut lake, _) = open_shared(&store).await.unwrap();
    // All filtered, so that the dataset's table would get nothing.
    let mut filtered = Queue::default().deliver(&store, &[(0, 17, 18)]).await;
    filtered.ledger[0].dataset = "elsewhere".to_owned();
    let unheard_of = lake.commit(&[filtered]).await;
    assert!(matches!(&unheard_of.outcomes[..], [Outcome::Refused(LakeError::NoTable(_))]), "{unheard_of:?}");
    let commit = lake.commit(&messages).await;
    let refused = "refused";
    assert_eq!(told(&commit), [refused, "committed", refused, refused, refused, "committed", refused, refused]);
    let Outcome::Refused(unknown) = &commit.outcomes[7] else { unreachable!() };
    assert_eq!(unknown.to_string(), "there is no table `elsewhere` in the lake");
    assert!(commit.failure.is_none() && commit.tables.len() == 3, "{commit:?}");
    assert_shared_complete(&store, &queue).await;
}

/// The message of the same records as transformed by another release, which gives other bytes.
async fn transformed_anew(store: &Arc<dyn ObjectStore>, queue: &Queue, message: &CommitMessage) -> CommitMessage {
    let index = queue.messages.iter().position(|other| other == message).unwrap();
    let anew = deliver_records(store, message.covers.clone(), &queue.batches[index], "\nby another release").await;
    assert!(anew.batch == message.batch && anew.files != message.files);
    anew
}

#[tokio::test]
async fn records_that_were_transformed_anew_are_in_already() {
    let store = memory();
    let mut queue = Queue::default();
    let first = queue.deliver(&store, &[(0, 1, 30)]).await;
    let anew = transformed_anew(&store, &queue, &first).await;
    let (mut lake, _) = open_shared(&store).await.unwrap();
    assert_eq!(told(&lake.commit(&[first.clone(), anew.clone()]).await), ["committed", "already in"]);
    assert_eq!(told(&lake.commit(&[anew.clone(), first]).await), ["already in", "already in"]);
    assert_eq!(told(&open_shared(&store).await.unwrap().0.commit(&[anew]).await), ["already in"]);
    assert_shared_complete(&store, &queue).await;
}

/// Commits with a committer that dies right after its `n`th write.
async fn die_after(disk: &Arc<dyn ObjectStore>, n: i64, message: &CommitMessage) {
    let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(disk.clone(), Crash::AfterTheWrite, n));
    let (mut lake, _) = open_shared(&dying).await.unwrap();
    assert_eq!(told(&lake.commit(std::slice::from_ref(message)).await), ["unfinished"]);
}

#[tokio::test]
async fn a_batch_that_is_half_done_is_completed_by_its_own_message_only_and_holds_the_ledger_meanwhile() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let half = queue.deliver(&store, &[(0, 1, 30)]).await;
    let next = queue.deliver(&store, &[(0, 31, 60)]).await;
    let elsewhere = queue.deliver(&store, &[(1, 2, 2)]).await;
    die_after(&store, 1, &half).await;
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let commit = lake.commit(&[next.clone(), elsewhere]).await;
    assert_eq!(told(&commit), ["committed", "committed"]);
    // The half batch's and the next one's of `dead_letters`, and what came with the next one.
    assert_eq!((commit.ledger_version, commit.waiting), (None, 4), "{commit:?}");
    assert_the_ledger_balances(&store, "half done").await;
    let anew = transformed_anew(&store, &queue, &half).await;
    let commit = lake.commit(&[anew, next]).await;
    assert_eq!(told(&commit), ["refused", "already in"]);
    let Outcome::Refused(error) = &commit.outcomes[0] else { unreachable!() };
    assert!(error.to_string().contains("in in part"), "{error}");
    let commit = lake.commit(&[half]).await;
    assert_eq!((told(&commit), commit.waiting), (vec!["committed"], 0), "{commit:?}");
    assert_shared_complete(&store, &queue).await;
}

#[tokio::test]
async fn a_batch_that_is_in_and_not_in_the_ledger_is_brought_there_when_it_comes_again() {
    for message_comes_again in [true, false] {
        let store = memory();
        open_shared(&store).await.unwrap();
        let mut queue = Queue::default();
        let message = queue.deliver(&store, &[(0, 1, 30)]).await;
        die_after(&store, 3, &message).await;
        let again = if message_comes_again { vec![message] } else { Vec::new() };
        let commit = open_shared(&store).await.unwrap().0.commit(&again).await;
        assert_eq!((commit.ledger_version, commit.tables.len(), commit.waiting), (Some(1), 0, 0), "{commit:?}");
        assert!(commit.outcomes.iter().all(|outcome| matches!(outcome, Outcome::AlreadyIn)), "{commit:?}");
        assert_shared_complete(&store, &queue).await;
    }
}

#[tokio::test]
async fn checkpoints_keep_what_is_in_and_the_library_reads_the_same() {
    let store = memory();
    let mut dice = Dice(7);
    let queue = queue(&store, &mut dice, 40).await;
    let without_files = queue.messages.iter().filter(|message| message.files.is_empty()).count();
    assert!(without_files > 2, "{without_files}");
    let (mut one, _) = open_shared_with(&store, 4).await.unwrap();
    let (mut two, _) = open_shared_with(&store, 4).await.unwrap();
    for pair in queue.messages.chunks(2) {
        let commits = [one.commit(&pair[..1]).await, two.commit(&pair[1..]).await];
        assert!(commits.iter().all(|commit| told(commit) == ["committed"]), "{commits:?}");
    }
    assert_the_library_reads_the_same(&store).await;
    for table in [READINGS, NOTES, DEAD, LEDGER] {
        let log = TableLog::new(&store, &root(), table);
        let files = log.list().await.unwrap();
        let newest = files.checkpoints.keys().last().copied().unwrap();
        assert!(files.newest().unwrap() - newest < 6, "{table}: one writes it, and the other knows: {files:?}");
        assert!(files.checkpoints.len() as u64 <= files.newest().unwrap() / 4 + 1, "{table}: {files:?}");
    }
    assert_shared_complete(&store, &queue).await;
    remove_entries_below_the_checkpoint(&store).await;
    let (mut fresh, _) = open_shared(&store).await.unwrap();
    let again = fresh.commit(&queue.messages).await;
    assert!(again.outcomes.iter().all(|outcome| matches!(outcome, Outcome::AlreadyIn)), "{again:?}");
    assert!(again.tables.is_empty() && again.ledger_version.is_none(), "{again:?}");
    let late = Queue::default().deliver(&store, &[(0, 900, 930)]).await;
    assert_eq!(told(&fresh.commit(&[late]).await), ["committed"]);
    assert_the_library_reads_the_same(&store).await;
}

/// As maintenance does.
async fn remove_entries_below_the_checkpoint(store: &Arc<dyn ObjectStore>) {
    for table in [READINGS, NOTES, DEAD, LEDGER] {
        let files = TableLog::new(store, &root(), table).list().await.unwrap();
        let Some(checkpoint) = files.checkpoints.keys().last().copied() else { continue };
        for version in files.commits.range(..checkpoint).map(|(version, _)| version) {
            store.delete(&Path::from(format!("{table}/_delta_log/{version:020}.json"))).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_committer_that_slept_through_maintenance_looks_anew() {
    let store = memory();
    let mut queue = Queue::default();
    let clock = Arc::new(ManualClock::at(1_700_000_000_000_000));
    let (mut sleeper, _) = open_shared_at(&store, &datasets(), clock.clone(), 100).await.unwrap();
    let first = queue.deliver(&store, &[(0, 1, 30)]).await;
    assert_eq!(told(&sleeper.commit(std::slice::from_ref(&first)).await), ["committed"]);
    let (mut other, _) = open_shared_with(&store, 2).await.unwrap();
    for n in 1..8 {
        let message = queue.deliver(&store, &[(0, n * 30 + 1, n * 30 + 30)]).await;
        assert_eq!(told(&other.commit(&[message]).await), ["committed"]);
    }
    remove_entries_below_the_checkpoint(&store).await;
    clock.advance(2 * micros(MOST_IDLE));
    let last = queue.deliver(&store, &[(0, 900, 930)]).await;
    assert_eq!(told(&sleeper.commit(&[first, last]).await), ["already in", "committed"]);
    assert_rows_and_entries(&store, &queue).await;
}

#[tokio::test]
async fn a_lake_of_one_committer_and_a_damaged_log_are_refused_and_left_as_they_are() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    lake.commit(&[deliver(&store, vec![range(0, 1, 20)]).await]).await.unwrap();
    let error = open_shared(&store).await.unwrap_err();
    assert!(error.to_string().contains("one committer writes this lake"), "{error}");

    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let message = Queue::default().deliver(&store, &[(0, 1, 30)]).await;
    assert_eq!(told(&lake.commit(&[message]).await), ["committed"]);
    let newest = Path::from("notes/_delta_log/00000000000000000001.json");
    store.put(&newest, "{\"commitInfo\":".into()).await.unwrap();
    let error = open_shared(&store).await.unwrap_err();
    assert!(matches!(error, LakeError::Damaged { .. }), "{error}");
    store.head(&newest).await.expect("nothing is set aside");
}

#[tokio::test]
async fn a_dataset_may_gain_columns_while_others_commit() {
    let store = memory();
    let mut queue = Queue::default();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let readings = dataset(READINGS, r#""value": {"type": "number"}, "unit": {"type": "string"}"#);
    let wider = Datasets::of([readings, dataset(NOTES, r#""text": {"type": "string"}"#)], None).unwrap();
    let clock = Arc::new(ManualClock::at(1_700_000_000_000_000));
    let (mut newer, opening) = open_shared_at(&store, &wider, clock, 100).await.unwrap();
    assert_eq!((opening.created, opening.evolved), (vec![], vec![READINGS.to_owned()]));
    let messages = [queue.deliver(&store, &[(0, 1, 30)]).await, queue.deliver(&store, &[(0, 31, 60)]).await];
    assert_eq!(told(&lake.commit(&messages[..1]).await), ["committed"]);
    assert_eq!(told(&newer.commit(&messages).await), ["already in", "committed"]);
    assert_shared_complete(&store, &queue).await;
}

#[tokio::test]
async fn a_batch_that_stays_half_done_is_completed_without_its_message() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let half = queue.deliver(&store, &[(0, 1, 30)]).await;
    die_after(&store, 1, &half).await;
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let next = queue.deliver(&store, &[(0, 31, 60)]).await;
    let commit = lake.commit(&[next]).await;
    assert_eq!((told(&commit), commit.waiting), (vec!["committed"], 4), "somebody may be at it: {commit:?}");
    let commit = lake.commit(&[]).await;
    assert_eq!((commit.tables.len(), commit.waiting), (2, 0), "{commit:?}");
    assert_shared_complete(&store, &queue).await;
    assert_eq!(told(&lake.commit(&[half]).await), ["already in"]);
}

#[tokio::test]
async fn a_half_done_batch_whose_message_is_gone_waits_for_it() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let half = queue.deliver(&store, &[(0, 1, 30)]).await;
    die_after(&store, 1, &half).await;
    store.delete(&Path::from(half.path())).await.unwrap();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    for _ in 0..3 {
        let commit = lake.commit(&[]).await;
        assert!(commit.failure.is_none() && commit.waiting == 1, "{commit:?}");
    }
    assert_eq!(told(&lake.commit(&[half]).await), ["committed"]);
    assert_shared_complete(&store, &queue).await;
}

#[tokio::test]
async fn a_batch_without_files_is_remembered_as_long_as_a_message_may_live_and_not_for_ever() {
    for (days, outcome) in [(29, "already in"), (31, "committed")] {
        let store = memory();
        let mut queue = Queue::default();
        let clock = Arc::new(ManualClock::at(SystemClock.now_micros() - days * DAY));
        let (mut lake, _) = open_shared_at(&store, &datasets(), clock, 2).await.unwrap();
        let filtered = queue.deliver(&store, &[(0, 17, 17)]).await;
        assert_eq!(told(&lake.commit(std::slice::from_ref(&filtered)).await), ["committed"]);
        for n in 1..5 {
            let dead = queue.deliver(&store, &[(0, n * 77, n * 77)]).await;
            assert_eq!(told(&lake.commit(&[dead]).await), ["committed"]);
        }
        remove_entries_below_the_checkpoint(&store).await;
        let (mut fresh, _) = open_shared(&store).await.unwrap();
        assert_eq!(told(&fresh.commit(&[filtered]).await), [outcome], "{days}");
    }
}

#[tokio::test]
async fn a_committer_may_run_on_any_thread() {
    let store = memory();
    let mut queue = Queue::default();
    let path = queue.deliver(&store, &[(0, 1, 30)]).await.path();
    let disk = store.clone();
    let task = tokio::spawn(async move {
        let (mut lake, _) = open_shared(&disk).await.unwrap();
        told(&lake.commit_paths(&[path]).await)
    });
    assert_eq!(task.await.unwrap(), ["committed"]);
    assert_shared_complete(&store, &queue).await;
}

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::CommitMessage;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::testing::{
    Crash, Crashing, Dice, Queue, Retained, assert_shared_complete, datasets, open_shared, queue, root,
};
use crate::{AuditReport, AuditSettings, LakeReader, Outcome, audit_shared};

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

async fn commit(store: &Arc<dyn ObjectStore>, messages: &[CommitMessage]) {
    let (mut lake, _) = open_shared(store).await.unwrap();
    let commit = lake.commit(messages).await;
    assert!(commit.outcomes.iter().all(Outcome::is_done), "{commit:?}");
}

async fn report_of(store: &Arc<dyn ObjectStore>, stream: &Retained) -> AuditReport {
    audit_shared(&LakeReader::new(store.clone(), root()), &datasets(), stream, stream, &AuditSettings::at(0))
        .await
        .unwrap()
}

/// What is told of the stream: the notes, of a lake that balances.
async fn notes(store: &Arc<dyn ObjectStore>, stream: &Retained) -> Vec<String> {
    let report = report_of(store, stream).await;
    assert!(report.balances(), "{:?}", report.problems().collect::<Vec<_>>());
    report.checks.into_iter().flat_map(|check| check.notes).collect()
}

async fn problems(store: &Arc<dyn ObjectStore>, stream: &Retained) -> Vec<String> {
    let report = report_of(store, stream).await;
    assert!(!report.balances());
    report.problems().map(str::to_owned).collect()
}

/// Batches of one shard and of two, one put directly: records 1 to 60 of shard 0, 1 to 30 of shard 1.
async fn lake() -> (Arc<dyn ObjectStore>, Queue) {
    let store = memory();
    let mut queue = Queue::default();
    for runs in [&[(0, 1, 20)][..], &[(0, 21, 40), (1, 1, 10)], &[(1, 11, 30)], &[(0, 41, 60)]] {
        queue.deliver(&store, runs).await;
    }
    queue.deliver_direct(&store, &[1, 2, 3]).await;
    commit(&store, &queue.messages).await;
    (store, queue)
}

#[tokio::test]
async fn a_whole_lake_is_proven_record_by_record() {
    let (store, queue) = lake().await;
    let stream = Retained::of(&queue);
    let told = notes(&store, &stream).await;
    // 90 records, of which those that 13 divides hold no event.
    assert!(
        told.iter().any(|note| note.starts_with("Proven, by") && note.ends_with("4 batches of 84 events.")),
        "{told:?}"
    );
    assert!(
        told.iter().any(|note| note.contains("put directly") && note.ends_with("1 batch of 3 events.")),
        "{told:?}"
    );
    let report = report_of(&store, &stream).await;
    assert_eq!((report.batches, report.total().received), (5, 87));
    for shard in &report.shards {
        assert_eq!((shard.proven_from, shard.records_behind), (Some(shard.first), Some(0)));
    }
    for stream in [Retained { hesitates: true, ..stream.clone() }, Retained { tells_newest: false, ..stream.clone() }] {
        assert_eq!(notes(&store, &stream).await, told);
    }
}

#[tokio::test]
async fn records_after_all_that_is_committed_wait_and_others_are_lost() {
    let (store, mut queue) = lake().await;
    let waiting = queue.deliver(&store, &[(0, 61, 70)]).await;
    let report = report_of(&store, &Retained::of(&queue)).await;
    assert!(report.balances(), "{:?}", report.problems().collect::<Vec<_>>());
    assert_eq!(report.shards[0].records_behind, Some(10));
    let later = queue.deliver(&store, &[(0, 71, 75)]).await;
    commit(&store, &[later]).await;
    let found = problems(&store, &Retained::of(&queue)).await;
    assert!(found.len() == 1 && found[0].contains("no batch covers 10 records"), "{found:?}");
    commit(&store, &[waiting]).await;
    assert_shared_complete(&store, &queue).await;
}

#[tokio::test]
async fn a_shard_of_which_nothing_is_committed_waits() {
    let (store, mut queue) = lake().await;
    queue.deliver(&store, &[(2, 1, 4)]).await;
    let told = notes(&store, &Retained::of(&queue)).await;
    assert!(
        told.iter().any(|note| note.contains("000002: 4 records are in the stream and not yet committed")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_record_more_and_a_record_less_within_a_run_are_found() {
    let (store, queue) = lake().await;
    let whole = Retained::of(&queue);
    let shard = ShardId::numbered(0);
    let sequences: Vec<_> = whole.shards[&shard].keys().copied().collect();
    let batch = &queue.messages[1].batch;
    let mut less = whole.clone();
    less.shards.get_mut(&shard).unwrap().remove(&sequences[24]);
    let mut more = whole.clone();
    let between = sequences[24].to_string();
    let between = format!("{}{}", &between[..between.len() - 1], if between.ends_with('9') { 8 } else { 9 });
    more.shards.get_mut(&shard).unwrap().insert(between.parse().unwrap(), vec![2]);
    let mut swapped = less.clone();
    swapped.shards.get_mut(&shard).unwrap().insert(between.parse().unwrap(), vec![25]);
    // The end of the shard is gone, which retention never takes.
    let mut cut = whole.clone();
    cut.shards.get_mut(&ShardId::numbered(1)).unwrap().pop_last();
    for (stream, batch) in [(less, batch), (more, batch), (swapped, batch), (cut, &queue.messages[2].batch)] {
        let found = problems(&store, &stream).await;
        assert!(found.len() == 1 && found[0].contains("are not those that the batch was made of"), "{found:?}");
        assert!(found[0].contains(batch.as_str()), "{found:?}");
    }
}

#[tokio::test]
async fn records_that_were_delivered_in_two_batches_are_found() {
    let (store, mut queue) = lake().await;
    let again = queue.deliver(&store, &[(0, 55, 64)]).await;
    commit(&store, std::slice::from_ref(&again)).await;
    let found = problems(&store, &Retained::of(&queue)).await;
    assert!(found.len() == 1 && found[0].contains("both cover 6 records from"), "{found:?}");
    assert!(found[0].contains(again.batch.as_str()), "{found:?}");
}

#[tokio::test]
async fn events_that_the_ledger_counts_otherwise_are_found() {
    let (store, queue) = lake().await;
    let mut stream = Retained::of(&queue);
    // The same record with an event of another dataset.
    *stream.shards.get_mut(&ShardId::numbered(0)).unwrap().first_entry().unwrap().get_mut() = vec![2];
    let found = problems(&store, &stream).await;
    assert!(found.len() == 1 && found[0].contains(queue.messages[0].batch.as_str()), "{found:?}");
    assert!(found[0].contains("the ledger has received"), "{found:?}");
}

#[tokio::test]
async fn what_the_stream_has_forgotten_is_not_provable_and_the_rest_is() {
    let (store, queue) = lake().await;
    let whole = Retained::of(&queue);
    let events = |batches: &[usize]| -> u64 {
        batches.iter().flat_map(|batch| &queue.messages[*batch].ledger).map(|entry| entry.received).sum()
    };
    // How many records of each shard are forgotten, and which batches with them.
    let cases: [(usize, usize, &[usize]); 7] = [
        (1, 0, &[0]),
        (19, 0, &[0]),
        (20, 0, &[0]),
        (21, 0, &[0, 1]),
        (0, 1, &[1]),
        (0, 30, &[1, 2]),
        (60, 30, &[0, 1, 2, 3]),
    ];
    for (zero, one, forgotten) in cases {
        let mut stream = whole.clone();
        stream.forget(0, zero);
        stream.forget(1, one);
        let told = notes(&store, &stream).await;
        let expected = format!(
            "{} of {}.",
            counted(forgotten.len() as u64, "batch", "batches"),
            counted(events(forgotten), "event", "events")
        );
        let find = |what: &str| told.iter().find(|note| note.contains(what)).cloned().unwrap_or_default();
        assert!(find("no longer holds all their records").ends_with(&expected), "{zero}, {one}: {told:?}");
        assert_eq!(find("Proven, by").is_empty(), forgotten.len() == 4, "{zero}, {one}: {told:?}");
    }
    let mut resharded = whole;
    resharded.shards.remove(&ShardId::numbered(1));
    let told = notes(&store, &resharded).await;
    assert!(told.iter().any(|note| note.contains("no longer has this shard")), "{told:?}");
    assert!(told.iter().any(|note| note.contains("no longer holds") && note.contains(" 2 batches")), "{told:?}");
    let shards = report_of(&store, &resharded).await.shards;
    assert_eq!((shards[1].proven_from, shards[1].records_behind), (None, None));
}

#[tokio::test]
async fn user_records_of_aggregates_are_proven_also_where_a_delivery_ends_among_them() {
    let store = memory();
    let mut queue = Queue::default();
    // The aggregates 1, 2, 4 and 5 hold several records; 4 is cut into three, 5 into two at once with its neighbour.
    queue.deliver_user_records(&store, &[(1, 0, 1), (1, 1, 2), (2, 0, 3), (2, 1, 4), (2, 2, 7)]).await;
    queue.deliver_user_records(&store, &[(3, 0, 5), (4, 0, 6)]).await;
    queue.deliver_user_records(&store, &[(4, 1, 8), (4, 2, 9)]).await;
    queue.deliver_user_records(&store, &[(4, 3, 10), (5, 0, 11)]).await;
    queue.deliver_user_records(&store, &[(5, 1, 12), (6, 0, 14)]).await;
    queue.deliver_user_records(&store, &[(7, 0, 15)]).await;
    commit(&store, &queue.messages).await;
    let mut stream = Retained::of(&queue);
    // Aggregates of no user record: at the beginning, between batches, and at the end.
    let records = stream.shards.get_mut(&ShardId::numbered(0)).unwrap();
    for beside in
        [records.keys().next(), records.keys().nth(1), records.keys().last()].map(|at| at.unwrap().to_string())
    {
        let (start, last_digit) = beside.split_at(beside.len() - 1);
        let beside = format!("{start}{}", if last_digit == "0" { 1 } else { 0 });
        records.insert(beside.parse().unwrap(), Vec::new());
    }
    assert_eq!(report_of(&store, &stream).await.shards[0].records_behind, Some(0));
    let told = notes(&store, &stream).await;
    assert!(
        told.iter().any(|note| note.starts_with("Proven, by") && note.contains(" 2 batches of 6 events")),
        "{told:?}"
    );
    assert!(
        told.iter().any(|note| note.starts_with("Proven by") && note.contains(" 4 batches of 8 events")),
        "{told:?}"
    );

    let mut forgotten = stream.clone();
    let oldest = queue.batches[2][0].0.sequence;
    forgotten.shards.get_mut(&ShardId::numbered(0)).unwrap().retain(|at, _| *at >= oldest);
    let told = notes(&store, &forgotten).await;
    assert!(told.iter().any(|note| note.contains("a batch that is not: ")), "{told:?}");

    let mut wrong = stream;
    wrong.shards.get_mut(&ShardId::numbered(0)).unwrap().entry(queue.batches[1][1].0.sequence).or_default().pop();
    assert!(!report_of(&store, &wrong).await.balances(), "a user record is missing");
}

#[tokio::test]
async fn random_lakes_are_proven_and_any_record_that_is_taken_from_the_stream_or_added_is_missed() {
    for seed in 0..40 {
        let store = memory();
        let mut dice = Dice(seed);
        let queue = queue(&store, &mut dice, 12).await;
        commit(&store, &queue.messages).await;
        assert_shared_complete(&store, &queue).await;
        let whole = Retained::of(&queue);
        let Some((shard, records)) = whole.shards.iter().nth(dice.below(2) as usize) else { continue };
        let place = dice.below(records.len() as u64) as usize;
        let sequence = *records.keys().nth(place).unwrap();
        let mut less = whole.clone();
        less.shards.get_mut(shard).unwrap().remove(&sequence);
        if place == 0 {
            notes(&store, &less).await;
        } else {
            problems(&store, &less).await;
        }
    }
}

#[tokio::test]
async fn a_shard_that_promises_records_and_gives_none_is_an_error() {
    struct Promising;
    #[async_trait::async_trait]
    impl Stream for Promising {
        async fn append(
            &self,
            _: alluvium_core::PutBatch,
        ) -> std::result::Result<Vec<alluvium_core::ports::PutVerdict>, PortError> {
            unreachable!("an audit only reads")
        }

        async fn read(
            &self,
            _: &ShardId,
            _: Option<SequenceNumber>,
            _: usize,
            _: Duration,
        ) -> std::result::Result<alluvium_core::ports::ReadPage, PortError> {
            Ok(alluvium_core::ports::ReadPage { records: Vec::new(), more: true })
        }

        async fn shards(&self) -> std::result::Result<Vec<ShardState>, PortError> {
            Ok(vec![ShardState { shard: ShardId::numbered(0), oldest: None, newest: None }])
        }
    }
    let (store, queue) = lake().await;
    let reader = LakeReader::new(store, root());
    let error =
        audit_shared(&reader, &datasets(), &Promising, &Retained::of(&queue), &AuditSettings::at(0)).await.unwrap_err();
    assert_eq!(error.advice(), Advice::Retry);
}

#[tokio::test]
async fn an_audit_may_run_on_any_thread() {
    let (store, queue) = lake().await;
    let task = tokio::spawn(async move {
        let stream = Retained::of(&queue);
        report_of(&store, &stream).await.balances()
    });
    assert!(task.await.unwrap());
}

#[tokio::test]
async fn a_stored_message_that_nobody_commits_is_told_when_its_time_is_up() {
    let (store, mut queue) = lake().await;
    let waiting = queue.deliver(&store, &[(1, 31, 40)]).await;
    let stream = Retained::of(&queue);
    let reader = LakeReader::new(store.clone(), root());
    let stored = reader.store().head(&object_store::path::Path::from(waiting.path())).await.unwrap();
    let stored_at = stored.last_modified.timestamp_micros();
    let minute = 60_000_000;
    let at = async |now| {
        let settings = AuditSettings { commit_within: Duration::from_secs(300), ..AuditSettings::at(now) };
        audit_shared(&reader, &datasets(), &stream, &stream, &settings).await.unwrap()
    };
    let soon = at(stored_at + 4 * minute).await;
    assert!(soon.balances(), "{:?}", soon.problems().collect::<Vec<_>>());
    assert_eq!(soon.overdue().count(), 0);
    assert_eq!(soon.uncommitted.iter().map(|message| &message.path).collect::<Vec<_>>(), [&waiting.path()]);
    let late = at(stored_at + 6 * minute).await;
    assert_eq!(late.overdue().collect::<Vec<_>>(), [waiting.path()], "those of the batches that are in are not told");
    let problems: Vec<_> = late.problems().collect();
    assert!(problems.len() == 1 && problems[0].contains(&waiting.path()), "{problems:?}");
    // To enqueue it again is to have it committed, once.
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let paths: Vec<String> = late.overdue().map(str::to_owned).collect();
    for _ in 0..2 {
        assert!(lake.commit_paths(&paths).await.outcomes.iter().all(Outcome::is_done));
    }
    let done = at(stored_at + 6 * minute).await;
    assert!(done.balances() && done.uncommitted.is_empty(), "{done:?}");
}

#[tokio::test]
async fn a_message_of_a_batch_that_is_half_done_is_uncommitted() {
    let (store, mut queue) = lake().await;
    let half = queue.deliver(&store, &[(1, 31, 60)]).await;
    let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(store.clone(), Crash::AfterTheWrite, 1));
    let (mut lake, _) = open_shared(&dying).await.unwrap();
    assert!(lake.commit(std::slice::from_ref(&half)).await.failure.is_some());
    let report = report_of(&store, &Retained::of(&queue)).await;
    assert_eq!(report.uncommitted.iter().map(|message| &message.path).collect::<Vec<_>>(), [&half.path()]);
}

#![allow(clippy::unwrap_used)]

use object_store::memory::InMemory;

use super::*;
use crate::testing::{
    Crash, Crashing, DEAD, Dice, LEDGER, NOTES, Queue, READINGS, Yielding, assert_shared_complete,
    assert_the_ledger_balances, open_shared, open_shared_with, queue,
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
    assert_eq!(opening.empty, [DEAD, NOTES, READINGS]);
    let (mut lake, opening) = open_shared(&store).await.unwrap();
    assert_eq!(opening.created, [""; 0]);
    assert_eq!(opening.empty, [DEAD, NOTES, READINGS]);
    let message = Queue::default().deliver(&store, &[(0, 2, 2)]).await;
    assert_eq!(told(&lake.commit(&[message]).await), ["committed"]);
    assert_eq!(open_shared(&store).await.unwrap().1.empty, [DEAD, NOTES]);
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
            let when = format!("{crash:?} {at_write}");
            assert_the_ledger_balances(&disk, &when).await;
            // Another one takes over and dies too.
            let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(disk.clone(), crash, 1 + at_write % 7));
            commit_in_pairs(&dying, &queue).await.ok();
            assert_the_ledger_balances(&disk, &when).await;
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
        assert_the_ledger_balances(&disk, &format!("seed {seed}")).await;
    }
    assert_shared_complete(&disk, &queue).await;
}

#[tokio::test]
async fn committers_that_meet_and_die_lose_nothing_and_double_nothing() {
    for seed in 0..80 {
        hustle(seed).await;
    }
}

#![allow(clippy::unwrap_used)]

use object_store::memory::InMemory;

use super::*;
use crate::testing::{
    DEAD, Dice, LEDGER, NOTES, Queue, READINGS, Yielding, assert_shared_complete, open_shared, queue,
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
